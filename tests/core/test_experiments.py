"""The paper's experiments: what their files state, the switches that arms need, arms run and gone on with."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from experiment_samples import hand_made, some_motion
from small_networks import random_maps, small_controlnet
from training_run import CHOICES, FRAMES, SIZE, VARIATIONS, save_small_svd

from draganything_core import train
from draganything_core.annotation_config import lucas_kanade
from draganything_core.conditions import Geometry
from draganything_core.evaluation.cases import drawn_case
from draganything_core.experiments import pixel_motion as pixels
from draganything_core.experiments.__main__ import main
from draganything_core.experiments.arms import asked_tracks, read_row
from draganything_core.experiments.definition import SHIPPED, Arm, Clips, Inference, load_experiment
from draganything_core.experiments.definition import shipped_experiments as shipped
from draganything_core.experiments.pixel_motion import PixelMotion, drags_a_thing, motion_picture, pixel_motion
from draganything_core.images import read_picture
from draganything_core.representations import box_map, boxes_in_radii, represented_tracks
from draganything_core.tiny import WEIGHTS
from draganything_core.training.clips import SYNTHETIC_VERSION, open_clips
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
