"""Judging a model on held-out synthetic clips: the protocol, the rows, and scores that are made once."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from draganything_core.evaluate import main
from draganything_core.evaluation.heldout import (
    ROWS,
    heldout_scores,
    load_protocol,
    read_scores,
    row_video,
    summaries,
)
from draganything_core.models import Models, tiny_models
from draganything_core.types import Size


@pytest.fixture(scope="module")
def models() -> Models:
    models = tiny_models()
    models.pipeline.set_progress_bar_config(disable=True)
    return models


@pytest.fixture
def protocol():
    return replace(load_protocol("synthetic_heldout"), count=3, size=Size(64, 64), frames=3, num_inference_steps=1)


def test_the_shipped_protocol_names_what_figures_depend_on():
    protocol = load_protocol("synthetic_heldout")
    assert (protocol.count, protocol.size, protocol.frames) == (200, Size(128, 128), 8)
    assert (protocol.num_inference_steps, protocol.guidance, protocol.sampling_seed) == (12, 1.0, 0)
    kinds = [protocol.clip(number).kind for number in range(40)]
    assert set(kinds) == {"foreground", "background", "both", "camera"}


def test_a_protocol_that_is_not_there_is_refused_with_those_that_are():
    with pytest.raises(FileNotFoundError, match="synthetic_heldout"):
        load_protocol("vipsegg")


def test_a_protocol_that_lacks_something_is_refused_by_name(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("name: mine\nsize: [64, 64]\nclips: {seed: 1, first: 0}\n", "utf-8")
    with pytest.raises(ValueError, match=r"mine\.yaml.*count"):
        load_protocol(file)


def test_real_frames_obey_exactly_and_rows_have_figures(models, protocol, tmp_path):
    for row in ROWS:
        heldout_scores(row, models, protocol, tmp_path)
    found = summaries(tmp_path, ROWS, protocol)
    assert found["real"].clips == 3
    assert found["real"].ratio < 0.02
    assert found["real"].gradient_energy == pytest.approx(1)
    assert found["autoencoder"].psnr_outside < found["real"].psnr_outside
    assert found["no_control, ground at rest"].clips <= 3


def test_control_acts_and_strength_zero_is_the_video_model_alone(models, protocol):
    clip = next(clip for clip in map(protocol.clip, range(9)) if len(clip.requested[0]))
    videos = {row: row_video(row, models, protocol, clip, 0) for row in ("control", "no_control")}
    assert not torch.equal(videos["control"], videos["no_control"])
    strength_zero = models.pipeline(
        (clip.frames[0] * 255).round() / 255,
        None,
        num_frames=3,
        num_inference_steps=1,
        max_guidance_scale=1.0,
        generator=torch.Generator().manual_seed(0),
    ).frames[0]
    assert torch.equal(videos["no_control"], strength_zero)


def test_scores_are_made_once_and_shared_by_processes(models, protocol, tmp_path):
    made: list[int] = []
    for rank in (0, 1):
        heldout_scores("real", models, protocol, tmp_path, rank, 2, lambda clip, _: made.append(clip.index))
    assert made == [0, 2, 1]
    with pytest.raises(ValueError, match="1 of 4 clips have no score"):
        read_scores("real", tmp_path, replace(protocol, count=4))
    heldout_scores("real", models, replace(protocol, count=4), tmp_path, 0, 1, lambda clip, _: made.append(clip.index))
    assert made == [0, 2, 1, 3]
    assert [score.index for score in read_scores("real", tmp_path, replace(protocol, count=4))] == [0, 1, 2, 3]


def test_scores_of_other_settings_are_never_mixed(models, protocol, tmp_path):
    heldout_scores("real", models, protocol, tmp_path)
    with pytest.raises(ValueError, match="num_inference_steps"):
        heldout_scores("real", models, replace(protocol, num_inference_steps=2), tmp_path)
    others = tiny_models()
    others.pipeline.unet.conv_in.weight.mul_(2)
    with pytest.raises(ValueError, match="weights"):
        heldout_scores("real", others, protocol, tmp_path)


def test_the_command_writes_a_report(tmp_path, capsys):
    protocol = tmp_path / "small.yaml"
    protocol.write_text(
        "name: small\nversion: 1\nclips: {seed: 5, first: 0, count: 3}\nsize: [64, 64]\nframes: 3\n"
        "num_inference_steps: 1\nguidance: 1.0\nsampling_seed: 0\n",
        "utf-8",
    )
    out = tmp_path / "out"
    arguments = ["--model", "tiny", "--protocol", str(protocol), "--clips", "2", "--sheets", "1", "--out", str(out)]
    assert main([*arguments, "--device", "cpu"]) == 0
    report = json.loads((out / "report.json").read_text("utf-8"))
    assert report["protocol"]["count"] == 2
    assert set(report["rows"]) >= set(ROWS)
    assert "ratio to standing still" in (out / "report.md").read_text("utf-8")
    assert [file.name for file in sorted((out / "control").glob("*.png"))] == ["00000.png"]
    assert "control: 2 clips" in capsys.readouterr().out


def test_the_command_wants_a_model(tmp_path, capsys):
    assert main(["--out", str(tmp_path)]) == 2
    assert "--model tiny" in capsys.readouterr().err
    assert not any(Path(tmp_path).iterdir())
