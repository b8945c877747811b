"""The paper's experiments: what their files state, arms run and gone on with, foreign rows, tables and verdicts."""

from __future__ import annotations

import json
import math
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from small_networks import random_maps, small_controlnet
from training_run import CHOICES, FRAMES, SIZE, VARIATIONS, save_small_svd

from draganything_core import train
from draganything_core.annotation_config import lucas_kanade
from draganything_core.conditions import Geometry
from draganything_core.digests import weights_sha256
from draganything_core.evaluation.bootstrap import Bootstrap, Mean
from draganything_core.evaluation.cases import drawn_case
from draganything_core.evaluation.entity_metrics import ClipEntities, EntityMotion
from draganything_core.evaluation.judging import Judgement
from draganything_core.evaluation.point_metrics import ClipPoints, PathPoints
from draganything_core.evaluation.sprite_scores import ClipScore, PathScore
from draganything_core.experiments import pixel_motion as pixels
from draganything_core.experiments.__main__ import main
from draganything_core.experiments.arms import asked_tracks, read_row
from draganything_core.experiments.definition import SHIPPED, Arm, Clips, Experiment, Inference, Limit, load_experiment
from draganything_core.experiments.definition import shipped_experiments as shipped
from draganything_core.experiments.figures import (
    FIGURES,
    ClipResult,
    OverSeeds,
    clip_result,
    fastest_step,
    result_from_json,
    result_to_json,
)
from draganything_core.experiments.limits import controlnet_sha256, found_limit, write_limit
from draganything_core.experiments.pixel_motion import PixelMotion, drags_a_thing, motion_picture, pixel_motion
from draganything_core.experiments.table import made_table, table_json, table_markdown
from draganything_core.images import read_picture
from draganything_core.representations import box_map, boxes_in_radii, represented_tracks
from draganything_core.tiny import WEIGHTS
from draganything_core.training.clips import SYNTHETIC_VERSION, open_clips
from draganything_core.types import Entities, Entity, Size, Tracks
from draganything_core.weights import load_controlnet

# --- what is stated ---------------------------------------------------------------------------------------------------


def test_the_papers_experiments_are_there():
    wanted = {"table2", "table3", "figure2", "anchors", "painting", "radius", "control_span", "large_motion"}
    assert set(shipped()) == wanted


@pytest.mark.parametrize("name", shipped())
def test_every_shipped_experiment_names_only_what_there_is(name):
    experiment = load_experiment(name)
    assert len({arm.name for arm in experiment.arms}) == len(experiment.arms)
    for arm in experiment.arms:
        experiment.clips_of(arm).clip(0, Size(64, 64), 2)
        if experiment.steps is None:
            continue
        assert experiment.steps == 600
        config = experiment.training_config(arm, 3, WEIGHTS, Path("out"), Path("cache"))
        assert (config.stage, config.steps, config.seed) == ("controlnet", 600, 3)
        assert config.data.synthetic.clips == 2000
        source = open_clips(config.data)
        assert experiment.clips.seed != config.data.synthetic.seed, "judged clips must not be trained on"
        assert {name: getattr(source.config, name) for name in experiment.clips.variations} == experiment.clips.tuples


def test_how_clips_are_drawn_is_a_part_of_what_a_row_depends_on():
    plain, crossing = (load_experiment(name).clips.drawing for name in ("figure2", "table2"))
    assert plain["version"] == SYNTHETIC_VERSION
    assert {"radius", "travel", "supersampling"} < set(plain), "defaults may change, too"
    assert {name for name in plain if plain[name] != crossing[name]} == set(load_experiment("table2").clips.variations)


@pytest.mark.parametrize("name", ["table2", "table3"])
def test_the_tables_have_three_seeds_and_more_crossings_and_look_alikes(name):
    experiment = load_experiment(name)
    assert len(experiment.seeds) == 3
    assert experiment.clips.variations["occlusion"] > 0.3
    assert experiment.clips.variations["look_alikes"] > 0.12


@pytest.mark.parametrize("name", shipped())
def test_arms_of_an_experiment_differ(name):
    experiment = load_experiment(name)
    told = [json.dumps([dict(arm.training), dict(arm.inference), dict(arm.clips)]) for arm in experiment.arms]
    assert len(set(told)) == len(told)


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("metric: sprites.mean_px", "metric: sprites.mean", "unknown sprites.mean;"),
        ("reference: masked", "reference: maskd", "'maskd'"),
        ("better: lower", "beter: lower", "unknown beter; lacks better"),
        ("occlusion: 0.8", "oclusion: 0.8", "unknown oclusion"),
        ("occlusion: 0.8", "occlusion: 1.8", "occlusion is a chance"),
    ],
)
def test_a_file_with_a_mistake_is_refused_by_name(before, after, message, tmp_path):
    text = (SHIPPED / "table3.yaml").read_text("utf-8")
    text = text.replace("reference: everywhere", "reference: masked")
    assert before in text
    file = tmp_path / "mine.yaml"
    file.write_text(text.replace(before, after), "utf-8")
    with pytest.raises(ValueError, match=message) as refused:
        load_experiment(file)
    assert str(file) in str(refused.value)


def test_an_override_of_no_config_key_is_refused():
    experiment = load_experiment("table3")
    arm = replace(experiment.arms[0], training={"loss.mask": 1.0})
    with pytest.raises(ValueError, match=r"loss\.mask: there is no such key"):
        experiment.training_config(arm, 0, WEIGHTS, Path("out"), Path("cache"))


def test_an_arms_own_settings_win_over_those_of_all():
    experiment = hand_made(
        training={"loss.mask_bg_weight": 0.25, "steps": 9},
        inference={"guidance": 2.0},
        clips=Clips(5, 20, variations={"held": 0.5}),
    )
    arm = Arm("own", "", {"loss.mask_bg_weight": 0.5}, {"guidance": 3.0}, {"held": 1.0})
    other = Arm("other", "")
    configs = [experiment.training_config(each, 4, WEIGHTS, Path("out"), Path("cache")) for each in (arm, other)]
    assert [config.loss.mask_bg_weight for config in configs] == [0.5, 0.25]
    assert [(config.steps, config.seed) for config in configs] == [(600, 4)] * 2, "these are the experiment's own"
    assert [experiment.inference_of(each, 4).guidance for each in (arm, other)] == [3.0, 2.0]
    assert [dict(experiment.clips_of(each).variations) for each in (arm, other)] == [{"held": 1.0}, {"held": 0.5}]
    few = load_experiment("table2", steps=2)
    assert few.training_config(few.arms[0], 0, WEIGHTS, Path("out"), Path("cache")).data.synthetic.clips == 2 * 8
    more = experiment.training_config(arm, 4, WEIGHTS, Path("out"), Path("cache"), "--threads=7")
    assert more.threads == 7


def test_seeds_are_of_the_training_or_else_of_the_sampling():
    assert [hand_made().inference_of(Arm("a", ""), seed).seed for seed in (0, 5)] == [0, 0]
    assert [hand_made(steps=None).inference_of(Arm("a", ""), seed).seed for seed in (0, 5)] == [0, 5]


def test_judged_clips_are_those_from_the_first_on():
    size, changed = Size(48, 64), {"supersampling": 1, "sprites": [1.0]}
    later, earlier = Clips(9, 2, first=3, variations=changed), Clips(9, 9, variations=changed)
    assert torch.equal(later.clip(1, size, 2).frames, earlier.clip(4, size, 2).frames)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seeds": ()}, "seeds must be one or more"),
        ({"seeds": (1, 1)}, "each once"),
        ({"steps": 0}, "steps must be >= 1"),
        ({"steps": None, "training": {"steps": 3}}, "nothing is trained"),
        ({"better": "more"}, "lower or higher"),
        ({"arms": (Arm("old", ""),)}, "two or more arms"),
        ({"inference": {"guidanc": 1.0}}, "arm old, inference: unknown guidanc"),
        ({"pixel_motion": True, "arms": (Arm("old", ""), Arm("n", "", clips={"held": 1.0}))}, "clips of its own"),
        ({"inference": {"control_end": 1.5}}, "control_end <= 1"),
        ({"inference": {"radius": "none"}}, "radius 'none'"),
    ],
)
def test_what_is_no_experiment_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        hand_made(**changes)


def test_steps_are_not_for_an_experiment_that_trains_nothing():
    assert load_experiment("table2", steps=7, seeds=(4,)).steps == 7
    assert load_experiment("table2", seeds=(4,)).seeds == (4,)
    with pytest.raises(ValueError, match="trains nothing"):
        load_experiment("control_span", steps=7)


@pytest.mark.parametrize("change", [["--clips", "1"], ["--seeds", "3"]])
def test_a_limit_of_other_clips_than_the_stated_ones_is_not_written(change, tmp_path, capsys):
    assert main(["large_motion", "--write-limit", *change, "--out", str(tmp_path)]) == 2
    assert "the clips and seeds that were stated" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_experiment_is_exit_status_2(capsys):
    assert main(["tabel2"]) == 2
    assert "table2" in capsys.readouterr().err


# --- the switches that arms need --------------------------------------------------------------------------------------


def features(conditions, maps):
    return small_controlnet(conditions=conditions).encode_conditions(maps)


@torch.no_grad()
def test_a_network_sees_only_the_maps_that_its_config_names(tmp_path):
    maps = random_maps(entities=2, seed=1)
    no_gaussian = replace(maps, gaussian=torch.zeros_like(maps.gaussian))
    no_entity = replace(maps, entity_index=torch.full_like(maps.entity_index, -1))
    neither = replace(no_gaussian, entity_index=no_entity.entity_index)
    for conditions, seen in (("entity", no_gaussian), ("gaussian", no_entity), ("none", neither)):
        assert torch.equal(features(conditions, maps), features("both", seen)), conditions
        assert not torch.equal(features(conditions, maps), features("both", maps)), conditions
    small_controlnet(conditions="entity").save_pretrained(tmp_path)
    assert type(small_controlnet()).from_pretrained(tmp_path).config.conditions == "entity"
    with pytest.raises(ValueError, match="conditions must be one of"):
        small_controlnet(conditions="neither")


def some_motion():
    frames, size = 3, Size(40, 56)
    masks = torch.zeros(2, size.height, size.width, dtype=torch.bool)
    masks[0, 4:15, 6:13], masks[1, 20:30, 24:44] = True, True
    entities = Entities((Entity(3, "tall", masks[0]), Entity(5, "wide", masks[1])), size)
    start = torch.tensor([entity.center for entity in entities])
    paths = start + torch.arange(frames)[:, None, None] * torch.tensor([3.0, 1.0])
    radii = torch.tensor([entity.radius for entity in entities]) * torch.tensor([1.0, 1.2, 1.4])[:, None]
    tracks = Tracks(paths.float(), torch.arange(2), torch.ones(frames, 2, dtype=torch.bool), radii.float(), size)
    return entities, tracks


def test_boxes_in_training_are_those_of_inference():
    entities, tracks = some_motion()
    vectors = torch.eye(2)
    asked = box_map(entities, tracks, vectors, Size(80, 96))
    boxes = boxes_in_radii(entities).float()
    drawn = represented_tracks(tracks, vectors, Size(80, 96), Geometry("box"), boxes)
    assert torch.equal(drawn.gaussian, asked.gaussian)
    assert torch.equal(drawn.entity_index, asked.entity_index)
    assert int((box_map(entities, tracks, vectors, tracks.size).entity_index[0] == 0).sum()) == 11 * 7
    with pytest.raises(ValueError, match="bounding boxes"):
        represented_tracks(tracks, vectors, tracks.size, Geometry("box"))


def test_a_grabbed_point_is_on_the_mask_and_goes_the_same_way():
    entities, tracks = some_motion()
    asked = asked_tracks(entities, tracks, 4, Inference(anchor="grabbed_point"))
    x, y = asked.paths[0].long().unbind(-1)
    assert all(bool(entity.mask[y[k], x[k]]) for k, entity in enumerate(entities))
    assert not torch.equal(asked.paths, tracks.paths)
    assert torch.allclose(asked.paths - asked.paths[:1], tracks.paths - tracks.paths[:1])
    assert torch.equal(asked.radii, tracks.radii[:1].expand(3, 2))
    assert torch.equal(asked_tracks(entities, tracks, 4, Inference(radius="per_frame")).radii, tracks.radii)


# --- tables -----------------------------------------------------------------------------------------------------------


def result(clip, error):
    size = Size(40, 56)
    points = ClipPoints(clip, size, (PathPoints("1", (error, error + 1), (10.0, 12.0)),))
    entities = ClipEntities(clip, (EntityMotion("it", (0.5, 0.25), ()),), math.nan, 4.0)
    pictures = {"iou": 0.5, "pixel_iou": 0.4, "psnr_inside": 20.0, "psnr_outside": math.nan, "speed": 3.0,
                "seconds": 1.5}  # fmt: skip
    return ClipResult(points, Judgement(clip, None, points, entities, error, 2), pictures)


def hand_made(**changes):
    arms = (Arm("old", "as it was"), Arm("new", "another way"))
    wanted = {
        "name": "mine", "question": "Is it better?", "source": "nothing", "metric": "sprites.mean_px",
        "better": "lower", "also": ("pictures.iou", "entities.rigidity"), "reference": "old", "seeds": (0, 1),
        "steps": 600, "clips": Clips(5, 20), "arms": arms,
    }  # fmt: skip
    return Experiment(**{**wanted, **changes})


def rows_with(gain, seeds=(0, 1)):
    """Clips of very different difficulty; "new" is nearer by ``gain(clip, seed)``."""
    old = {seed: [5.0 + 3 * (number % 7) + seed for number in range(20)] for seed in (0, 1)}
    rows = {("old", seed): [result(f"{n:05d}", error) for n, error in enumerate(old[seed])] for seed in (0, 1)}
    for seed in seeds:
        rows["new", seed] = [result(f"{n:05d}", error - gain(n, seed)) for n, error in enumerate(old[seed])]
    return rows


def test_a_difference_is_paired_by_clip_and_averaged_over_seeds():
    table = made_table(hand_made(), rows_with(lambda n, seed: 1.0 + 0.5 * seed + 0.1 * (n % 2)))
    cell = table.cells["new"]["sprites.mean_px"]
    assert cell.difference.value == pytest.approx(-1.3)
    assert cell.differences == pytest.approx((-1.05, -1.55))
    assert cell.difference.high < -1.2, "what makes clips hard for both must cancel out"
    assert cell.value.value == pytest.approx(sum(cell.seeds) / 2)
    (said,) = table.verdicts
    assert "new against old: better" in said
    assert "excludes 0" in said


def test_a_null_result_is_reported_as_null():
    table = made_table(hand_made(), rows_with(lambda n, seed: (-1.0) ** n * 2 + 0.1 * seed))
    (said,) = table.verdicts
    assert "no difference was found" in said
    assert "includes 0). This is a null result." in said
    assert said in table_markdown(table)
    assert "better (" not in said


def test_which_way_is_better_is_the_experiments_word():
    rows = rows_with(lambda n, seed: 1.0 + 0.1 * (n % 2))
    assert "old: worse" in made_table(hand_made(better="higher"), rows).verdicts[0]


def test_seeds_that_disagree_are_named():
    table = made_table(hand_made(), rows_with(lambda n, seed: -1.0 if seed else 4.0))
    assert "The seeds disagree on the sign: -4, 1." in table.verdicts[0]


def test_missing_rows_are_named_and_nothing_is_said_of_them():
    table = made_table(hand_made(), rows_with(lambda n, seed: 1.0 + 0.1 * (n % 2), seeds=(1,)))
    assert table.missing == ("new, seed 0",)
    assert "Only 1 of 2 seeds" in table.verdicts[0]
    assert "**Not complete.** Missing: new, seed 0." in table_markdown(table)
    alone = {row: results for row, results in rows_with(lambda n, seed: 1.0).items() if row != ("old", 0)}
    cell = made_table(hand_made(), alone).cells["new"]["sprites.mean_px"]
    assert len(cell.seeds) == 2
    assert cell.differences == pytest.approx((-1.0,)), "of the seed that both have"
    empty = made_table(hand_made(), {})
    assert empty.verdicts == ("new against old: not measured yet.",)
    assert len(empty.missing) == 4
    assert "| arm |" not in table_markdown(empty)


def test_a_table_states_what_was_stated_before_and_every_figure_has_a_title():
    table = made_table(hand_made(), rows_with(lambda n, seed: 1.0), Bootstrap(resamples=50))
    text, stored = table_markdown(table), table_json(table)
    assert "Is it better?" in text
    assert FIGURES["pictures.iou"] in text
    assert stored["experiment"]["seeds"] == (0, 1)
    assert stored["arms"]["new"]["sprites.mean_px"]["difference"]["clips"] == 20
    assert "nan" not in text


def test_of_one_clip_nothing_is_said():
    alone = {row: results[:1] for row, results in rows_with(lambda n, seed: 1.0).items()}
    assert made_table(hand_made(), alone).verdicts[0].endswith("too few clips for an interval, so nothing is said.")


def test_a_difference_that_is_not_0_has_a_star():
    lines = table_markdown(made_table(hand_made(), rows_with(lambda n, seed: 1.0 + 0.1 * (n % 2)))).splitlines()
    (difference,) = (line for line in lines if line.startswith("| new - old |"))
    nearer, overlap, slope = difference.split("|")[2:5]
    assert nearer.endswith("] * ")
    assert "*" not in overlap + slope


def test_a_figure_over_seeds_is_of_the_clips_that_all_measured():
    first, second = Mean([1.0, 3.0, math.nan]), Mean([5.0, 7.0, 9.0])
    both = OverSeeds([first, second])
    assert both.measured.tolist() == [True, True, False]
    assert both(np.array([[1.0, 1.0, 0.0]]))[0] == pytest.approx((2 + 6) / 2)


def path_score(entity_id, role="moved", is_sprite=True, error=2.0, values=200, **figures):
    told = {"ious": (0.5,), "pixel_ious": (0.25,), **figures}
    return PathScore(entity_id, str(entity_id), is_sprite, role, (1.0,), (2.0,), (0.1,), inside_error=error,
                     inside_values=values, **told)  # fmt: skip


def test_pictures_are_judged_where_sprites_were_moved():
    paths = (
        path_score(1, ious=(0.5, 0.7), pixel_ious=(0.2, 0.4)),
        path_score(2, error=0.0, values=200, ious=(0.9,), pixel_ious=(0.6,)),
        path_score(3, role="held", error=99.0, ious=(0.0,), pixel_ious=(0.0,)),
        path_score(4, is_sprite=False, error=99.0, ious=(0.0,), pixel_ious=(0.0,)),
    )
    score = ClipScore(9, 0, "foreground", 8.0, paths, (), 3.0, 300, 1.0, 1.0)
    judgement = result("00000", 3.0).judgement
    found = clip_result("00000", Size(40, 56), some_motion()[1], score, judgement, 1.25).pictures
    assert found["iou"] == pytest.approx(0.7)
    assert found["pixel_iou"] == pytest.approx(0.4)
    assert found["psnr_inside"] == pytest.approx(-10 * math.log10(2 / 400))
    assert found["psnr_outside"] == pytest.approx(20)
    assert found["speed"] == pytest.approx(math.hypot(3, 1))
    assert found["seconds"] == 1.25
    nothing = replace(score, paths=paths[2:], outside_error=0.0)
    found = clip_result("00000", Size(40, 56), some_motion()[1], nothing, judgement, 1.0).pictures
    assert all(math.isnan(found[name]) for name in ("iou", "pixel_iou", "psnr_inside", "psnr_outside"))


def test_a_result_survives_json():
    stored = json.loads(json.dumps(result_to_json(result("00000", 3.0))))
    assert json.dumps(result_to_json(result_from_json(stored))) == json.dumps(stored)


# --- limits of weights ------------------------------------------------------------------------------------------------

SPEED = Limit("max_speed", "pictures.speed", "sprites.mean_px", 8.0)


@pytest.mark.parametrize(
    ("measured", "value", "text"),
    [
        ([(2, 3.0), (4, 6.0), (6, 10.0)], 5.0, "ends between pictures.speed 4 (6) and 6 (10)"),
        ([(6, 10.0), (2, 3.0), (4, 6.0)], 5.0, "ends between"),  # in any order
        ([(2, 3.0), (4, 9.0), (6, 7.0)], 3.7, "ends between"),  # the first crossing counts
        ([(2, 3.0), (4.25, 8.0)], 4.2, "held up to 4.2, the largest"),
        ([(2, 8.1), (4, 9.0)], None, "held nowhere, not even at pictures.speed 2"),
    ],
)
def test_a_limit_is_where_the_figure_first_passes_its_bound(measured, value, text):
    found = found_limit(SPEED, measured)
    assert found.value == pytest.approx(value) if value else found.value is None
    assert text in found.text


def test_an_arm_without_a_figure_has_no_limit():
    with pytest.raises(ValueError, match=r"max_speed: an arm has no pictures\.speed or no sprites\.mean_px"):
        found_limit(SPEED, [(2, 3.0), (math.nan, 9.0)])


def test_a_table_tells_its_limit_once_it_is_whole():
    experiment = hand_made(steps=None, limit=SPEED, seeds=(0,))
    rows = {("old", 0): [result("00000", 3.0)] * 3, ("new", 0): [result("00000", 20.0)] * 3}
    for number, row in enumerate(rows.values()):
        for each in row:
            each.pictures["speed"] = 2.0 + 10 * number
    table = made_table(experiment, rows)
    # The mean of errors 3 and 4, of 20 and 21: 3.5 at 2 px a frame and 20.5 at 12.
    assert table.limit.value == pytest.approx(2 + 10 * (8 - 3.5) / 17, abs=0.05)
    assert "- max_speed of these weights: 4.6 (sprites.mean_px <= 8 ends" in table_markdown(table)
    assert (
        "max_speed: the px a frame, the fastest step asked for, at which `sprites.mean_px` passes 8"
        in table_markdown(table)
    )
    assert table_json(table)["limit"]["value"] == table.limit.value
    del rows["new", 0]
    assert made_table(experiment, rows).limit is None
    assert "max_speed of these" not in table_markdown(made_table(experiment, rows))


def test_a_limit_is_of_weights_that_are_there_and_of_figures_that_there_are():
    with pytest.raises(ValueError, match="steps must be null"):
        hand_made(limit=SPEED)
    with pytest.raises(ValueError, match="limit: unknown sprites"):
        replace(SPEED, figure="sprites")
    with pytest.raises(ValueError, match="entry must be one of max_speed"):
        replace(SPEED, entry="max_radius")


def test_the_largest_motion_is_stated_before_it_is_run():
    assert load_experiment("large_motion").limit == SPEED
    assert [name for name in shipped() if load_experiment(name).pixel_motion] == ["figure2"]


def test_the_fastest_step_is_between_two_frames_that_see_the_path():
    _, tracks = some_motion()
    assert fastest_step(tracks) == pytest.approx(math.hypot(3, 1))
    paths, visibility = tracks.paths.clone(), tracks.visibility.clone()
    paths[2, 1] += 50
    assert fastest_step(replace(tracks, paths=paths)) > 50
    visibility[2, 1] = False
    assert fastest_step(replace(tracks, paths=paths, visibility=visibility)) == pytest.approx(math.hypot(3, 1))
    assert math.isnan(fastest_step(replace(tracks, visibility=torch.zeros_like(visibility))))


def test_a_limit_goes_into_the_weights_config_and_changes_nothing_else(tmp_path):
    small_controlnet(gaussian_scale=2.0).save_pretrained(tmp_path)
    file = tmp_path / "config.json"
    before, name = json.loads(file.read_text("utf-8")), controlnet_sha256(tmp_path)
    assert before["max_speed"] is None
    write_limit(tmp_path, "max_speed", 7.5)
    assert json.loads(file.read_text("utf-8")) == {**before, "max_speed": 7.5}
    assert file.read_text("utf-8").startswith('{\n  "_class_name"')
    assert list(tmp_path.glob(".*")) == []
    loaded = load_controlnet(tmp_path)
    assert loaded.config.max_speed == 7.5
    assert controlnet_sha256(tmp_path) == name, "rows that were measured before stay those of these weights"
    assert weights_sha256(loaded) == weights_sha256(small_controlnet(gaussian_scale=2.0))
    loaded.register_to_config(gaussian_scale=3.0)
    loaded.save_pretrained(tmp_path)
    assert controlnet_sha256(tmp_path) != name
    with pytest.raises(ValueError, match="nothing that is measured"):
        write_limit(tmp_path, "max_radius", 7.5)
    with pytest.raises(FileNotFoundError, match=r"config\.json"):
        write_limit(tmp_path / "none", "max_speed", 7.5)


# --- where pixels go --------------------------------------------------------------------------------------------------


def dragged_case():
    clips = Clips(9, 4, variations={"radius": [0.2, 0.24], "camera": 0.0, "background": 0.0, "both": 0.0})
    cases = (drawn_case(clips.clip(number, Size(64, 96), 4), number) for number in range(clips.count))
    return next(case for case in cases if drags_a_thing(case))


def test_pixels_of_a_dragged_thing_go_with_it_and_no_others(monkeypatch):
    monkeypatch.setattr(pixels, "CELLS", 16)
    case = dragged_case()
    motion = pixel_motion(case.frames, case, lucas_kanade())
    assert motion.places.shape[:2] == (11, 16)  # a cell for 6 px
    x, y = motion.places.long().unbind(-1)
    owner = case.index[0][y, x]
    far = torch.linalg.vector_norm(case.tracks.paths[-1] - case.tracks.paths[0], dim=-1)
    dragged = int(case.tracks.path_entity[int(far.argmax())]) + 1
    inside, ground = motion.seen & (owner == dragged), motion.seen & (owner == 0)
    assert int(inside.sum()) > 5
    assert float((motion.distance[inside] - far.max()).abs().median()) < 1.5
    assert float(motion.distance[ground].median()) < 0.5
    still = pixel_motion(case.frames[:1].expand_as(case.frames), case, lucas_kanade())
    assert float(still.distance[still.seen].max()) < 0.5


def test_the_picture_of_pixel_motion_is_bright_where_things_go_and_grey_where_they_are_lost():
    case = dragged_case()
    height, width = 4, 6
    places = torch.stack(torch.meshgrid(torch.arange(6) * 16.0 + 8, torch.arange(4) * 16.0 + 8, indexing="xy"), dim=-1)
    moved, seen = torch.zeros(height, width, 2), torch.ones(height, width, dtype=torch.bool)
    far = torch.linalg.vector_norm(case.tracks.paths[-1] - case.tracks.paths[0], dim=-1).max()
    moved[1, 2, 0], seen[3, 5] = far, False
    picture = motion_picture(case.frames, case, PixelMotion(places, moved, seen))
    scale, cell = 4, 64
    assert picture.shape == (3, 64 * scale, 3 * 96 * scale + 12)
    heat = picture[:, :, -96 * scale :]
    assert heat[:, cell + 4, 2 * cell + 4].min() > 0.6, "as far as the farthest line: the brightest colour"
    assert heat[:, 4, 4].max() < 0.1, "nowhere: the darkest"
    assert torch.allclose(heat[:, -4, -4] * 255, torch.tensor([90.0, 90.0, 96.0]))


def test_a_camera_drags_no_thing():
    whole = torch.ones(40, 56, dtype=torch.bool)
    entities, tracks = some_motion()
    case = replace(dragged_case(), entities=Entities((Entity(0, "camera", whole),), entities.size))
    one = Tracks(tracks.paths[:, :1] * 9, torch.zeros(1, dtype=torch.long), tracks.visibility[:, :1],
                 tracks.radii[:, :1], tracks.size)  # fmt: skip
    assert not drags_a_thing(replace(case, tracks=one))


# --- arms, really run -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def command(tmp_path_factory):
    """The arguments of an experiment of two arms with two steps and two clips each, on small random networks."""
    folder = tmp_path_factory.mktemp("experiment")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.cuda, "is_available", lambda: False)
        svd = save_small_svd(folder / "svd")
        small_controlnet(**CHOICES).save_pretrained(folder / "controlnet")
        experiment = {
            "question": "Does it run?", "source": "nothing", "metric": "sprites.mean_px", "better": "lower",
            "also": ["entities.leakage"], "reference": "both", "seeds": [0], "steps": 2,
            "clips": {"seed": 9, "count": 2, "variations": VARIATIONS},
            "inference": {"num_inference_steps": 1}, "pixel_motion": True,
            "training": {
                "networks.architecture": None, "control.choices": CHOICES, "data.sizes": [SIZE],
                "data.frames": [FRAMES], "data.synthetic.clips": 2, "global_batch": 2, "precision": "fp32",
                "noise.image_noise_draws": 0, "validation.every": None,
            },
            "arms": {
                "both": {"title": "both maps", "training": {"control.choices.conditions": "both"}},
                "box": {
                    "title": "a box",
                    "training": {"control.choices.geometry": "box", "control.choices.conditions": "gaussian"},
                },
            },
        }  # fmt: skip
        (folder / "mine.yaml").write_text(json.dumps(experiment), "utf-8")  # JSON is YAML
        yield [
            str(folder / "mine.yaml"), "--out", str(folder / "out"), "--svd", str(svd),
            "--controlnet", str(folder / "controlnet"), "--threads", "1",
        ]  # fmt: skip


def out_of(command):
    return Path(command[2]) / "mine"


@pytest.mark.slow
def test_arms_are_run_skipped_gone_on_with_and_never_mixed(command, capsys, monkeypatch):
    assert main(command) == 0
    out = out_of(command)
    rows = {arm: out / arm / "seed-0" / "row.json" for arm in ("both", "box")}
    before = {arm: file.read_text("utf-8") for arm, file in rows.items()}
    settings = {arm: json.loads(text)["settings"] for arm, text in before.items()}
    assert settings["box"]["training"]["control.choices.geometry"] == "box"
    assert settings["box"]["drawing"]["held"] == VARIATIONS["held"]
    config = json.loads((out / "box" / "seed-0" / "training" / "weights" / "config.json").read_text("utf-8"))
    assert (config["geometry"], config["conditions"]) == ("box", "gaussian")
    assert len(read_row(rows["box"].parent, settings["box"])) == 2
    assert "box against both" in capsys.readouterr().out
    assert json.loads((out / "table.json").read_text("utf-8"))["missing"] == []
    assert "![box](box/seed-0/pixel_motion.png)" in (out / "table.md").read_text("utf-8")
    assert "![the real video](pixel_motion.png)" in (out / "table.md").read_text("utf-8")
    assert {Size.of(read_picture(out / arm / "seed-0" / "pixel_motion.png")).width for arm in rows} == {3 * 384 + 12}

    # Nothing is trained again, and of what is there nothing is made again.
    monkeypatch.setattr(train, "main", lambda _: pytest.fail("trained again"))
    assert main(command) == 0
    assert {arm: file.read_text("utf-8") for arm, file in rows.items()} == before
    rows["box"].unlink()
    (rows["box"].parent / "clips" / "00001.json").unlink()
    assert main([*command, "--table"]) == 0
    assert "Missing: box, seed 0" in capsys.readouterr().out
    assert main([*command, "--dry-run", "--seconds-per-step", "2", "--seconds-per-clip", "3600"]) == 0
    assert "to do: 0 steps, 1 judged clips\ntime: 0.00 h of training + 1.00 h of judging" in capsys.readouterr().out
    assert main(command) == 0
    first, again = json.loads(before["box"])["results"], json.loads(rows["box"].read_text("utf-8"))["results"]
    assert first[0] == again[0]
    assert first[1]["sprites"] == again[1]["sprites"]

    # What changes no weights changes no row.
    assert main([*command, "--threads", "2"]) == 0

    # Other settings: named, and nothing is touched. What is done is known before it starts.
    capsys.readouterr()
    assert main([*command, "--clips", "3"]) == 2
    assert "another clips.count" in capsys.readouterr().err
    assert main([*command, "--steps", "4"]) == 2
    assert "another training.steps" in capsys.readouterr().err
    assert main([*command, "--dry-run", "--seconds-per-step", "2", "--seconds-per-clip", "3"]) == 0
    assert "box, seed 0 (a box): done" in capsys.readouterr().out


@pytest.mark.slow
def test_an_interrupted_training_is_status_75_without_a_row(command, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(train, "main", lambda _: train.EXIT_INTERRUPTED)
    elsewhere = [command[0], "--out", str(tmp_path), *command[3:]]
    assert main(elsewhere) == 75
    assert "goes on where it stopped" in capsys.readouterr().err
    assert not list(tmp_path.rglob("row.json"))
    assert main([*elsewhere, "--steps", "3"]) == 2, "it is claimed before there is a row"
    assert "settings.json was made with another training.steps" in capsys.readouterr().err


def test_a_dry_run_adds_up_what_it_is_told_and_makes_nothing(command, tmp_path, capsys):
    elsewhere = [command[0], "--out", str(tmp_path), *command[3:]]
    told = ["--dry-run", "--steps", "900", "--seconds-per-step", "2", "--seconds-per-clip", "90"]
    assert main([*elsewhere, *told]) == 0
    printed = capsys.readouterr().out
    assert "both, seed 0 (both maps): 900 steps, 2 clips" in printed
    assert "1.00 h of training + 0.10 h of judging = 1.10 h (2 s a step as told, 90 s a clip as told)" in printed
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_limit_is_found_and_written(command, tmp_path, capsys):
    """Weights that are there, judged at two speeds; the bound is so high that the faster one is the limit."""
    experiment = json.loads(Path(command[0]).read_text("utf-8"))
    arms = {f"px_{speed}": {"title": f"{speed}", "clips": {"travel": [speed / 9] * 2}} for speed in (1, 2)}
    changes = {"arms": arms, "reference": "px_1", "steps": None, "training": {}, "also": ["pictures.speed"]}
    changes["pixel_motion"] = False
    limit = {"entry": "max_speed", "over": "pictures.speed", "figure": "sprites.mean_px", "bound": 1e6}
    variations = {**VARIATIONS, "background": 0.0, "both": 0.0, "camera": 0.0}
    clips = {**experiment["clips"], "variations": variations}
    (tmp_path / "fast.yaml").write_text(json.dumps({**experiment, **changes, "clips": clips, "limit": limit}), "utf-8")
    weights = tmp_path / "controlnet"
    shutil.copytree(command[command.index("--controlnet") + 1], weights)
    own = [str(tmp_path / "fast.yaml"), "--out", str(tmp_path / "out"), *command[3:], "--controlnet", str(weights)]
    assert main([*own, "--table", "--write-limit"]) == 2
    assert "rows are missing: px_1, seed 0; px_2, seed 0" in capsys.readouterr().err
    assert main([*own, "--write-limit"]) == 0
    table = json.loads((tmp_path / "out" / "fast" / "table.json").read_text("utf-8"))
    speeds = [table["arms"][arm]["pictures.speed"]["value"]["value"] for arm in arms]
    assert speeds[0] < speeds[1]
    written = json.loads((weights / "config.json").read_text("utf-8"))["max_speed"]
    assert written == table["limit"]["value"] == pytest.approx(speeds[1], abs=0.05)
    assert main([*own, "--table"]) == 0, "the rows are still those of these weights"
    assert main([*command, "--table", "--write-limit"]) == 2
    assert "mine looks for no limit" in capsys.readouterr().err


@pytest.mark.slow
def test_a_dry_run_measures_what_it_is_not_told(command, tmp_path, capsys):
    assert main([command[0], "--out", str(tmp_path), *command[3:], "--dry-run"]) == 0
    printed = capsys.readouterr().out
    assert "s a step measured over 3 steps" in printed
    assert "s a clip measured on one clip" in printed
    assert re.search(r"once before, 2 training clips are encoded, 0\.00 h at \S+ s a clip, unless", printed)
    assert list(tmp_path.iterdir()) == []
