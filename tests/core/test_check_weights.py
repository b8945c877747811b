"""The weights check, end to end on small random weights in the layouts of the real ones."""

import itertools
import json
import re
import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from small_networks import small_stable_diffusion, small_unet
from small_pipeline import small_pipeline

from draganything_core import check_weights
from draganything_core.weight_check import check_files


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """An SVD folder and a ControlNet folder that belong together."""
    folder = tmp_path_factory.mktemp("weights")
    pipeline = small_pipeline(entity_channels=16)
    for name in ("unet", "vae", "image_encoder", "scheduler"):
        getattr(pipeline, name).save_pretrained(folder / "svd" / name)
    pipeline.controlnet.save_pretrained(folder / "controlnet")
    return folder


@pytest.fixture
def spoilt(weights, tmp_path):
    """A copy of those folders to damage."""
    shutil.copytree(weights, tmp_path / "weights")
    return tmp_path / "weights"


def run(folder, out, *arguments):
    names = ["--svd", folder / "svd", "--controlnet", folder / "controlnet", "--out", out]
    return check_weights.main([str(argument) for argument in (*names, *arguments)])


def verdicts(folder, features=None):
    found = check_files(folder / "svd", folder / "controlnet", features)
    return {verdict.part.split(" (")[0]: verdict for verdict in found}


def rewrite(file, change):
    config = json.loads(file.read_text())
    change(config)
    file.write_text(json.dumps(config))


@pytest.mark.slow
def test_right_weights_are_rendered_in_eight_ways_into_one_sheet_and_one_report(weights, tmp_path, capsys, monkeypatch):
    generate_video, videos = check_weights.generate_video, []

    def recorded(*arguments):
        generated = generate_video(*arguments)
        videos.append(generated.frames)
        return generated

    monkeypatch.setattr(check_weights, "generate_video", recorded)
    assert run(weights, tmp_path / "out", "--steps", 1, "--frames", 3, "--size", "64x96") == 0
    printed = capsys.readouterr().out
    assert printed.count("  right  ") == 5
    report = (tmp_path / "out" / "report.md").read_text()
    rows = re.findall(r"^\| motion \| (\w+) \| (\w+) \| (\d+) \| ([\d.]+) \|", report, re.MULTILINE)
    ways = {(painting, clip, int(bucket)) for painting, clip, bucket, _ in rows}
    assert ways == {(p, c, b) for p in ("vector", "channel_0") for c in ("svd", "reference") for b in (128, 180)}
    assert len(videos) == 8
    assert not any(torch.equal(one, other) for one, other in itertools.combinations(videos, 2))
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"sheet.png", "report.md"}
    # One row of cells for the picture and one for each way.
    assert Image.open(tmp_path / "out" / "sheet.png").height > 9 * 100


def test_a_small_network_is_right_but_its_difference_from_svd_is_told(weights):
    unet = verdicts(weights)["SVD unet"]
    assert unet.right
    assert any("cross_attention_dim is 24, SVD as published has 1024" in remark for remark in unet.remarks)


def test_tensors_missing_unknown_and_of_another_shape_are_told_apart(spoilt):
    file = spoilt / "svd" / "vae" / "diffusion_pytorch_model.safetensors"
    tensors = load_file(file)
    tensors["stranger"] = tensors.pop("encoder.conv_in.bias")
    tensors["decoder.conv_in.bias"] = tensors["decoder.conv_in.bias"][:3].clone()
    save_file(tensors, file, metadata={"format": "pt"})
    vae = verdicts(spoilt)["SVD vae"]
    assert vae.verdict == "wrong"
    remarks = " ".join(vae.remarks)
    assert "1 tensors are missing, such as encoder.conv_in.bias" in remarks
    assert "1 tensors are not in this network, such as stranger" in remarks
    assert "1 tensors have another shape, such as decoder.conv_in.bias: (3,) instead of (32,)" in remarks


def test_the_wrong_file_in_a_place_is_named_for_what_it_is(spoilt):
    small_unet().save_pretrained(spoilt / "controlnet")
    verdict = verdicts(spoilt)["ControlNet"]
    assert verdict.verdict == "wrong"
    assert "Stable Video Diffusion's UNet" in verdict.found


def test_missing_parts_are_missing_and_nothing_is_rendered(spoilt, tmp_path, capsys):
    shutil.rmtree(spoilt / "svd" / "image_encoder")
    (spoilt / "svd" / "scheduler" / "scheduler_config.json").unlink()
    assert run(spoilt, tmp_path / "out") == 1
    printed = capsys.readouterr().out
    assert "missing  SVD image_encoder" in printed
    assert "missing  SVD scheduler" in printed
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["report.md"]
    assert "Nothing was rendered" in (tmp_path / "out" / "report.md").read_text()


def test_heads_that_are_not_the_unets_are_wrong(spoilt):
    def more_heads(config):
        config["num_attention_heads"] = [4, 8]

    rewrite(spoilt / "controlnet" / "config.json", more_heads)
    verdict = verdicts(spoilt)["ControlNet"]
    assert verdict.verdict == "wrong"
    assert "num_attention_heads is [4, 8], the UNet's is [2, 4]" in verdict.remarks[0]


def test_weights_that_need_a_feature_model_say_so(spoilt, tmp_path):
    def from_sd15(config):
        config["entity_source"] = {"model_kind": "sd15", "timestep": 261, "ensemble": 1}

    rewrite(spoilt / "controlnet" / "config.json", from_sd15)
    assert verdicts(spoilt)["feature model"].verdict == "missing"
    assert verdicts(spoilt, tmp_path / "nowhere")["feature model"].verdict == "missing"
    assert verdicts(spoilt, spoilt / "svd")["feature model"].verdict == "wrong"


def test_a_feature_model_that_is_given_is_checked_even_where_none_is_needed(weights, tmp_path):
    assert verdicts(weights, tmp_path / "nowhere")["feature model"].verdict == "missing"
    small_stable_diffusion()["unet"].save_pretrained(tmp_path / "sd15" / "unet")
    verdict = verdicts(weights, tmp_path / "sd15")["feature model"]
    assert verdict.verdict == "wrong"
    assert "no vae and no text_encoder" in verdict.found


def test_a_scheduler_of_another_kind_is_told(spoilt):
    def other(config):
        config["prediction_type"] = "epsilon"

    rewrite(spoilt / "svd" / "scheduler" / "scheduler_config.json", other)
    verdict = verdicts(spoilt)["SVD scheduler"]
    assert verdict.verdict == "wrong"
    assert verdict.remarks == ("prediction_type is epsilon, SVD as published has v_prediction",)
    (spoilt / "svd" / "scheduler" / "scheduler_config.json").write_text("{}")
    assert verdicts(spoilt)["SVD scheduler"].verdict == "wrong"


def test_a_file_in_place_of_the_svd_folder_is_named(weights):
    file = weights / "svd" / "unet" / "diffusion_pytorch_model.safetensors"
    (verdict,) = check_files(file, weights / "controlnet", None)
    assert verdict.verdict == "wrong"
    assert "Stable Video Diffusion's UNet" in verdict.found


def test_what_was_found_out_is_kept_when_rendering_fails(weights, tmp_path, capsys):
    assert run(weights, tmp_path / "out", "--size", "33x48") == 2
    assert "multiples of 16, got 33x48" in capsys.readouterr().err
    assert "| right |" in (tmp_path / "out" / "report.md").read_text()


def test_unreadable_input_is_one_line(weights, tmp_path, capsys):
    assert run(weights, tmp_path, "--input", Path("nowhere.json")) == 2
    assert "nowhere.json: no such file" in capsys.readouterr().err
