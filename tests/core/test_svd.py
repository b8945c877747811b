import json

import diffusers
import pytest
import torch
from safetensors.torch import load_file, save_file
from small_networks import small_unet
from small_pipeline import small_pipeline

from draganything_core.svd import load_networks, load_svd_parts, save_networks
from draganything_core.tiny import WEIGHTS
from draganything_core.tiny.architecture import tiny_autoencoder
from draganything_core.weights import WeightsError


@pytest.fixture(scope="module")
def svd_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("svd")
    pipeline = small_pipeline()
    for name in ("unet", "vae", "image_encoder", "scheduler"):
        getattr(pipeline, name).save_pretrained(folder / name)
    return folder


def copied(folder, tmp_path, *parts):
    """A folder of links to the whole one's parts, but for the named ones."""
    for part in folder.iterdir():
        if part.name not in parts:
            (tmp_path / part.name).symlink_to(part)
    return tmp_path


def test_networks_come_back_as_saved_frozen_and_in_the_dtype_asked_for(svd_folder):
    parts = load_svd_parts(svd_folder, torch.bfloat16)
    assert {network.dtype for network in (parts.unet, parts.vae, parts.image_encoder)} == {torch.bfloat16}
    assert not any(p.requires_grad for p in parts.unet.parameters())
    expected = small_unet().state_dict()
    for name, tensor in parts.unet.state_dict().items():
        torch.testing.assert_close(tensor, expected[name].bfloat16())
    assert parts.scheduler.config.sigma_max == 700


def test_the_autoencoder_stays_out_of_fp16(svd_folder):
    parts = load_svd_parts(svd_folder, torch.float16)
    assert parts.unet.dtype == torch.float16
    assert parts.vae.dtype == torch.float32


def test_stability_ais_licence_is_named_for_its_networks_alone(svd_folder, caplog):
    caplog.set_level("INFO")
    load_svd_parts(svd_folder)
    assert "Stability AI's own weights are under the Stable Video Diffusion licence" in caplog.text
    caplog.clear()
    load_svd_parts(WEIGHTS)
    assert "Stability" not in caplog.text


def test_small_autoencoders_are_read_without_a_warning(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(diffusers.utils.logging.get_logger(), "propagate", True)
    vae = tiny_autoencoder()
    save_networks(tmp_path, {"vae": vae})
    read = load_networks(tmp_path, ("vae",), torch.float32)["vae"]
    assert list(read.config.block_out_channels) == list(vae.config.block_out_channels)
    load_networks(WEIGHTS, ("vae",), torch.float32)
    assert caplog.text == ""


def test_files_marked_fp16_are_found(svd_folder, tmp_path):
    folder = copied(svd_folder, tmp_path, "unet")
    small_unet().half().save_pretrained(folder / "unet", variant="fp16")
    assert load_svd_parts(folder).unet.dtype == torch.float32


def test_what_a_folder_lacks_is_named(svd_folder, tmp_path):
    folder = copied(svd_folder, tmp_path, "vae")
    (folder / "vae").mkdir()
    (folder / "vae" / "config.json").write_text("{}")
    with pytest.raises(
        WeightsError, match=r"it lacks vae/\*\.safetensors\. It holds image_encoder, scheduler, unet, v"
    ):
        load_svd_parts(folder)
    with pytest.raises(FileNotFoundError, match=r"no such folder\. Expected the diffusers folder"):
        load_svd_parts(tmp_path / "nowhere")


def test_a_single_file_is_named_for_what_it_is(svd_folder):
    with pytest.raises(
        WeightsError, match=r"is Stable Video Diffusion's UNet .*a single file\. Expected the diffusers folder"
    ):
        load_svd_parts(svd_folder / "unet" / "diffusion_pytorch_model.safetensors")


def test_missing_tensors_are_refused_not_made_up(svd_folder, tmp_path):
    folder = copied(svd_folder, tmp_path, "unet")
    (folder / "unet").mkdir()
    tensors = load_file(svd_folder / "unet" / "diffusion_pytorch_model.safetensors")
    del tensors["mid_block.resnets.0.time_mixer.mix_factor"]
    save_file(tensors, folder / "unet" / "diffusion_pytorch_model.safetensors", metadata={"format": "pt"})
    config = (svd_folder / "unet" / "config.json").read_text()
    (folder / "unet" / "config.json").write_text(json.dumps(json.loads(config)))
    with pytest.raises(
        WeightsError, match=r"1 of the tensors .* are missing, such as mid_block\.resnets\.0\.time_mixer"
    ):
        load_svd_parts(folder)
