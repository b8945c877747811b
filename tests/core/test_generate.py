"""The command line, end to end: a document in, a video and what belongs beside it out."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from small_networks import small_stable_diffusion
from small_pipeline import small_pipeline

from draganything_core import generate
from draganything_core.video import read_video

SAMPLE = Path(generate.__file__).parent / "tiny" / "sample"
SMALL = ["--size", "64x96", "--frames", "3", "--steps", "1"]


@pytest.fixture
def sample(tmp_path):
    shutil.copytree(SAMPLE, tmp_path / "sample")
    return tmp_path / "sample" / "motion.json"


def run(*arguments):
    return generate.main([str(argument) for argument in arguments])


def test_the_sample_becomes_a_video_with_everything_beside_it(sample, tmp_path, capsys):
    out = tmp_path / "out" / "clip.mp4"
    assert run(sample, "--model", "tiny", "--out", out, *SMALL) == 0
    frames, fps, metadata = read_video(out)
    assert frames.shape == (3, 3, 64, 96)
    assert fps == json.loads(sample.read_text()).get("fps", 7)
    assert "machine-learning" in metadata["comment"]
    assert metadata["generated"] == "true"
    assert json.loads(metadata["settings"])["model"].startswith("tiny")
    names = {path.name for path in out.parent.iterdir()}
    assert names == {"clip.mp4", "clip.sheet.png", "clip.overlay.mp4", "clip.conditions.png", "clip.settings.json"}
    assert "drawn sprites" in capsys.readouterr().out


def test_settings_hold_what_was_resolved(sample, tmp_path):
    out = tmp_path / "clip.mp4"
    run(sample, "--model", "tiny", "--out", out, *SMALL, "--seed", 5, "--motion-bucket-id", 90)
    settings = json.loads((tmp_path / "clip.settings.json").read_text())
    assert settings["sampling"]["seed"] == 5
    assert settings["sampling"]["motion_bucket_id"] == 90
    # Not given, so the weights' own.
    assert settings["sampling"]["noise_aug_strength"] == 0.02
    assert settings["sampling"]["painting"] == "vector"
    assert settings["document"]["frames"] == 3
    assert settings["versions"]["torch"] == torch.__version__
    assert settings["weights_config"]["geometry"] == "exact"


def test_no_metadata_means_none_of_ours(sample, tmp_path):
    run(sample, "--model", "tiny", "--out", tmp_path / "a.mp4", *SMALL, "--no-metadata")
    for name in ("a.mp4", "a.overlay.mp4"):
        assert read_video(tmp_path / name)[2] == {}


@pytest.mark.slow
def test_equal_seeds_give_equal_videos(sample, tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        run(sample, "--model", "tiny", "--out", tmp_path / f"{name}.mp4", *SMALL, "--seed", seed)
    a, b, c = (read_video(tmp_path / f"{name}.mp4")[0] for name in "abc")
    assert torch.equal(a, b)
    assert not torch.equal(a, c)


def test_the_seed_decides_the_noise_too(sample, tmp_path):
    # Without control the entity features, which are seeded as well, play no part.
    for name, seed in (("a", 1), ("b", 2)):
        run(sample, "--model", "tiny", "--out", tmp_path / f"{name}.mp4", *SMALL, "--strength", 0, "--seed", seed)
    a, b = (read_video(tmp_path / f"{name}.mp4")[0] for name in "ab")
    assert not torch.equal(a, b)


def test_preview_loads_no_model_and_writes_only_the_conditions(sample, tmp_path, monkeypatch):
    monkeypatch.setattr(generate, "tiny_models", None)
    monkeypatch.setattr(generate, "load_models", None)
    assert run(sample, "--preview", "--frames", 4, "--size", "64x96", "--out", tmp_path / "p" / "clip.mp4") == 0
    assert [path.name for path in (tmp_path / "p").iterdir()] == ["clip.conditions.png"]


def test_the_preview_of_a_preset_uses_its_geometry(sample, tmp_path):
    run(sample, "--preview", "--frames", 2, "--out", tmp_path / "exact.mp4")
    run(sample, "--preview", "--frames", 2, "--out", tmp_path / "published.mp4", "--preset", "published")
    exact, published = (Image.open(tmp_path / f"{name}.conditions.png") for name in ("exact", "published"))
    assert exact.size == published.size
    assert not np.array_equal(np.asarray(exact), np.asarray(published))


def test_a_dry_run_counts_memory_and_does_nothing_else(sample, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(generate, "tiny_models", lambda **_: pytest.fail("loaded"))
    out = tmp_path / "out" / "clip.mp4"
    # For another machine: here is no such device.
    machine = ["--device", "cuda:7", "--offload", "--dtype", "fp16"]
    assert run(sample, "--model", "tiny", "--dry-run", "--out", out, *SMALL, *machine) == 0
    first, *rows = capsys.readouterr().out.splitlines()
    assert first == "3 frames of 64x96 in fp16, GiB on the device:"
    assert [row.split("  ")[0] for row in rows[1:]] == [
        "picture", "condition maps, at most", "denoising step", "decoding", "most at once"
    ]  # fmt: skip
    assert not out.parent.exists()
    assert run(sample, "--dry-run") == 2
    assert "--svd and --controlnet missing" in capsys.readouterr().err


@pytest.mark.slow
def test_local_folders_of_the_real_layout(sample, tmp_path):
    pipeline = small_pipeline()
    for name in ("unet", "vae", "image_encoder", "scheduler"):
        getattr(pipeline, name).save_pretrained(tmp_path / "svd" / name)
    pipeline.controlnet.save_pretrained(tmp_path / "controlnet")
    weights = ["--svd", tmp_path / "svd", "--controlnet", tmp_path / "controlnet"]
    # The features of the small UNet's last up block are 32 wide, its ControlNet paints 6: no group fits.
    assert run(sample, *weights, "--out", tmp_path / "a.mp4", *SMALL) == 2
    fitting = small_pipeline(entity_channels=16)
    fitting.controlnet.save_pretrained(tmp_path / "controlnet")
    assert run(sample, *weights, "--out", tmp_path / "a.mp4", *SMALL) == 0
    assert read_video(tmp_path / "a.mp4")[0].shape == (3, 3, 64, 96)


@pytest.mark.slow
def test_weights_that_take_features_from_stable_diffusion(sample, tmp_path, capsys):
    pipeline = small_pipeline(
        entity_channels=4,
        entity_source={"model_kind": "sd15", "timestep": 261, "ensemble": 2},
        geometry="reference",
        max_radius=50,
    )
    for name in ("unet", "vae", "image_encoder", "scheduler"):
        getattr(pipeline, name).save_pretrained(tmp_path / "svd" / name)
    pipeline.controlnet.save_pretrained(tmp_path / "controlnet")
    for name, network in small_stable_diffusion().items():
        network.save_pretrained(tmp_path / "sd15" / name)
    weights = ["--svd", tmp_path / "svd", "--controlnet", tmp_path / "controlnet", "--out", tmp_path / "a.mp4", *SMALL]
    assert run(sample, *weights) == 2
    assert "with --features" in capsys.readouterr().err
    assert run(sample, *weights, "--features", tmp_path / "sd15") == 0
    settings = json.loads((tmp_path / "a.settings.json").read_text())
    assert settings["model"] == "svd + controlnet + sd15"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--svd and --controlnet missing. Give --svd DIR and --controlnet DIR, or --model tiny"),
        (["--model", "tiny", "--out", "clip.gif"], "--out clip.gif: the video is written as .mp4"),
        (["--model", "tiny", "--size", "100x100"], "multiples of 32, got 100x100"),
        (["--model", "tiny", "--image", "nowhere.png"], "nowhere.png: no such picture"),
        (["--svd", "nowhere", "--controlnet", "nowhere"], "nowhere: no such folder. Expected the diffusers folder"),
        (["--model", "tiny", "--preset", "trained"], "leave out --preset, or --model tiny"),
        (["--model", "tiny", "--device", "gpu"], "--device gpu: not a device"),
        (["--model", "tiny", "--max-guidance", "nan"], "max_guidance_scale must be a finite number"),
        (["--model", "tiny", "--offload", "--device", "cpu"], "--offload moves networks to a GPU"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(sample, capsys, arguments, message):
    assert run(sample, *arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error


@pytest.mark.parametrize("option", ["--frames", "--steps", "--decode-chunk-size"])
@pytest.mark.parametrize("value", ["0", "-1", "x"])
def test_counts_are_whole_numbers_of_one_or_more(sample, capsys, option, value):
    with pytest.raises(SystemExit):
        run(sample, "--model", "tiny", f"{option}={value}")
    assert f"argument {option}: expected a whole number of 1 or more, got '{value}'" in capsys.readouterr().err


def test_a_place_that_cannot_be_written_is_refused_before_any_work(sample, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(generate, "tiny_models", None)
    (tmp_path / "file").write_text("")
    (tmp_path / "folder.mp4").mkdir()
    assert run(sample, "--model", "tiny", "--out", tmp_path / "file" / "a.mp4") == 2
    assert run(sample, "--model", "tiny", "--out", tmp_path / "folder.mp4") == 2
    assert "folder.mp4 is a folder" in capsys.readouterr().err


def test_a_picture_that_is_stretched_is_remarked_on(sample, tmp_path, caplog):
    run(sample, "--model", "tiny", "--out", tmp_path / "a.mp4", "--frames", 2, "--steps", 1, "--size", "64x96")
    assert "stretched by 50 % in width" in caplog.text
    caplog.clear()
    run(sample, "--model", "tiny", "--out", tmp_path / "a.mp4", "--frames", 2, "--steps", 1, "--size", "96x96")
    assert "stretched" not in caplog.text


def test_a_document_without_motion_is_refused(sample, capsys):
    document = json.loads(sample.read_text())
    document["paths"] = []
    sample.write_text(json.dumps(document))
    assert run(sample, "--model", "tiny") == 2
    assert "nothing to move" in capsys.readouterr().err


def test_a_picture_of_another_size_is_brought_to_the_canvas(sample, tmp_path, caplog):
    picture = sample.parent / "picture.png"
    Image.open(picture).resize((50, 70)).save(picture)
    assert run(sample, "--preview", "--frames", 2, "--out", tmp_path / "clip.mp4") == 0
    assert "the picture is resized to the canvas" in caplog.text


def test_help_shows_an_example(capsys):
    with pytest.raises(SystemExit):
        run("--help")
    assert "python -m draganything_core.generate motion.json --model tiny" in capsys.readouterr().out
