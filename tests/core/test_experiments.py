"""The paper's experiments: what their files state, arms run and gone on with, foreign rows, tables and verdicts."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from small_networks import random_maps, small_controlnet
from training_run import CHOICES, FRAMES, SIZE, VARIATIONS, save_small_svd

from draganything_core import train
from draganything_core.conditions import Geometry
from draganything_core.evaluation.bootstrap import Bootstrap
from draganything_core.evaluation.entity_metrics import ClipEntities, EntityMotion
from draganything_core.evaluation.judging import Judgement
from draganything_core.evaluation.point_metrics import ClipPoints, PathPoints
from draganything_core.experiments.__main__ import main
from draganything_core.experiments.arms import asked_tracks, read_row
from draganything_core.experiments.definition import SHIPPED, Arm, Clips, Experiment, Inference, load_experiment
from draganything_core.experiments.definition import shipped_experiments as shipped
from draganything_core.experiments.figures import FIGURES, ClipResult, result_from_json, result_to_json
from draganything_core.experiments.table import made_table, table_json, table_markdown
from draganything_core.representations import box_map, boxes_in_radii, represented_tracks
from draganything_core.tiny import WEIGHTS
from draganything_core.training.clips import open_clips
from draganything_core.types import Entities, Entity, Size, Tracks

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
        source = open_clips(config.data)
        assert experiment.clips.seed != config.data.synthetic.seed, "judged clips must not be trained on"
        assert {name: getattr(source.config, name) for name in experiment.clips.variations} == experiment.clips.tuples


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
    pictures = {"iou": 0.5, "pixel_iou": 0.4, "psnr_inside": 20.0, "psnr_outside": math.nan, "seconds": 1.5}
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


def test_a_result_survives_json():
    stored = json.loads(json.dumps(result_to_json(result("00000", 3.0))))
    assert json.dumps(result_to_json(result_from_json(stored))) == json.dumps(stored)


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
            "inference": {"num_inference_steps": 1},
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
    config = json.loads((out / "box" / "seed-0" / "training" / "weights" / "config.json").read_text("utf-8"))
    assert (config["geometry"], config["conditions"]) == ("box", "gaussian")
    assert len(read_row(rows["box"].parent, settings["box"])) == 2
    assert "box against both" in capsys.readouterr().out
    assert json.loads((out / "table.json").read_text("utf-8"))["missing"] == []

    # Nothing is trained again, and of what is there nothing is made again.
    monkeypatch.setattr(train, "main", lambda _: pytest.fail("trained again"))
    assert main(command) == 0
    assert {arm: file.read_text("utf-8") for arm, file in rows.items()} == before
    rows["box"].unlink()
    (rows["box"].parent / "clips" / "00001.json").unlink()
    assert main([*command, "--table"]) == 0
    assert "Missing: box, seed 0" in capsys.readouterr().out
    assert main(command) == 0
    first, again = json.loads(before["box"])["results"], json.loads(rows["box"].read_text("utf-8"))["results"]
    assert first[0] == again[0]
    assert first[1]["sprites"] == again[1]["sprites"]

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


def test_a_dry_run_adds_up_what_it_is_told_and_makes_nothing(command, tmp_path, capsys):
    elsewhere = [command[0], "--out", str(tmp_path), *command[3:]]
    told = ["--dry-run", "--steps", "900", "--seconds-per-step", "2", "--seconds-per-clip", "90"]
    assert main([*elsewhere, *told]) == 0
    printed = capsys.readouterr().out
    assert "both, seed 0 (both maps): 900 steps, 2 clips" in printed
    assert "1.00 h of training + 0.10 h of judging = 1.10 h (2 s a step as told, 90 s a clip as told)" in printed
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_dry_run_measures_what_it_is_not_told(command, tmp_path, capsys):
    assert main([command[0], "--out", str(tmp_path), *command[3:], "--dry-run"]) == 0
    printed = capsys.readouterr().out
    assert "s a step measured over 3 steps" in printed
    assert "s a clip measured on one clip" in printed
    assert list(tmp_path.iterdir()) == []
