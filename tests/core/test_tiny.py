"""The small model: shapes that ComfyUI takes, light weights, things that go where they are dragged; its sample."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image

from draganything_core.curves import document_tracks
from draganything_core.document import load_document
from draganything_core.evaluation.heldout import load_protocol, row_video
from draganything_core.evaluation.sprite_scores import pooled, score_clip
from draganything_core.models import tiny_models
from draganything_core.tiny import WEIGHTS
from draganything_core.tiny.architecture import (
    BLOCK_WIDTHS,
    HEAD_WIDTH,
    NORM_EPS,
    SIGMA_MAX,
    SIGMA_MIN,
    seeded,
    tiny_autoencoder,
    tiny_controlnet,
    tiny_image_encoder,
    tiny_scheduler,
    tiny_unet,
)
from draganything_core.tiny.make_sample import (
    BALL,
    BALLOON,
    SAMPLE_FOLDER,
    draw_masks,
    draw_picture,
    pixel,
    sample_document,
)
from draganything_core.types import Entities, Size
from draganything_core.unet_keys import sgm_unet_config

# --- shapes -----------------------------------------------------------------------------------------------------------


def test_the_seed_decides_the_weights_and_the_random_state_stays():
    torch.manual_seed(11)
    state = torch.get_rng_state()
    networks = []
    for seed in (0, 0, 1):
        with seeded(seed):
            networks.append(tiny_unet())
    assert torch.equal(torch.get_rng_state(), state)
    first, again, other = (network.conv_in.weight for network in networks)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_comfyui_takes_its_shapes():
    unet = tiny_unet()
    arguments = sgm_unet_config(unet.config)  # raises for shapes that ComfyUI cannot build
    assert (arguments["model_channels"], arguments["num_head_channels"]) == (BLOCK_WIDTHS[0], HEAD_WIDTH)
    assert arguments["context_dim"] == tiny_image_encoder().config.projection_dim
    residual_eps = {module.eps for name, module in unet.named_modules() if name.rsplit(".", 1)[-1] in ("norm1", "norm2")
                    and isinstance(module, torch.nn.GroupNorm)}  # fmt: skip
    assert residual_eps == {NORM_EPS}
    assert tiny_image_encoder().config.num_hidden_layers >= 2
    assert tiny_autoencoder().config.encoder_block_out_channels == (64, 64, 64, 64)


def test_no_level_is_so_narrow_that_group_norms_wash_out_the_time_embedding():
    assert min(BLOCK_WIDTHS) >= 64


def test_the_image_encoder_is_what_half_precision_keeps_of_it():
    for parameter in tiny_image_encoder().parameters():
        assert torch.equal(parameter, parameter.half().float())


def test_an_untrained_controlnet_adds_nothing_and_reads_features_as_they_are():
    unet = tiny_unet()
    controlnet = tiny_controlnet(unet)
    assert controlnet.config.entity_channels == unet.config.block_out_channels[0]
    assert all(not parameter.any() for block in controlnet.controlnet_down_blocks for parameter in block.parameters())
    assert tiny_controlnet(unet, max_radius=9.0).config.max_radius == 9.0


def test_the_schedule_covers_its_noise_levels():
    scheduler = tiny_scheduler()
    scheduler.set_timesteps(4)
    assert scheduler.sigmas.tolist() == pytest.approx([SIGMA_MAX, 3.8722, 0.45149, SIGMA_MIN, 0], rel=1e-3)


# --- weights ----------------------------------------------------------------------------------------------------------


def test_the_weights_are_light_and_in_half_precision():
    files = [file for file in WEIGHTS.rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) < 20e6
    assert {file.parent.name for file in files if file.suffix == ".safetensors"} == {
        "unet", "vae", "image_encoder", "controlnet"
    }  # fmt: skip
    models = tiny_models()
    assert all(torch.equal(p, p.half().float()) for p in models.pipeline.unet.parameters())


def test_the_weights_are_of_the_architecture():
    pipeline = tiny_models().pipeline
    unet = tiny_unet()
    for own, made in (
        (pipeline.unet, unet),
        (pipeline.vae, tiny_autoencoder()),
        (pipeline.image_encoder, tiny_image_encoder()),
        (pipeline.controlnet, tiny_controlnet(unet)),
    ):
        shapes = {name: tensor.shape for name, tensor in made.state_dict().items()}
        assert {name: tensor.shape for name, tensor in own.state_dict().items()} == shapes
    assert (pipeline.scheduler.config.sigma_min, pipeline.scheduler.config.sigma_max) == (SIGMA_MIN, SIGMA_MAX)


@pytest.mark.slow
def test_held_out_sprites_go_where_they_are_dragged():
    models, protocol = tiny_models(), load_protocol("synthetic_heldout")
    models.pipeline.set_progress_bar_config(disable=True)
    scores = []
    for number in range(6):
        clip = protocol.clip(number)
        scores.append(score_clip(row_video("control", models, protocol, clip, number), clip))
    summary = pooled(scores)
    assert summary.median_px < 0.25 * summary.standing_px  # the card has the figures over many clips


# --- sample input -----------------------------------------------------------------------------------------------------


def sample_pixels(name: str) -> np.ndarray:
    return np.array(Image.open(SAMPLE_FOLDER / name))


def test_the_picture_is_what_the_script_draws():
    drawn, shipped = draw_picture().astype(int), sample_pixels("picture.png").astype(int)
    assert drawn.shape == shipped.shape
    assert np.abs(drawn - shipped).max() <= 1  # another machine's sine may differ in its last digit


def test_the_masks_are_what_the_script_draws():
    for name, mask in draw_masks().items():
        np.testing.assert_array_equal(sample_pixels(f"{name}.png"), mask)


def test_the_document_is_what_the_script_writes():
    assert load_document(SAMPLE_FOLDER / "motion.json") == sample_document()
    text = json.loads((SAMPLE_FOLDER / "motion.json").read_text())
    assert (text["format"], text["version"], text["size"]) == ("draganything-motion", 2, {"height": 128, "width": 128})


def test_the_sample_is_whole_and_light():
    document = load_document(SAMPLE_FOLDER / "motion.json")
    named = {document.image, "motion.json", *(entity.mask.file for entity in document.entities)}
    assert {file.name for file in SAMPLE_FOLDER.iterdir()} == named
    assert sum(file.stat().st_size for file in SAMPLE_FOLDER.iterdir()) < 200_000
    assert document.size == Size(128, 128)


def test_lines_start_at_the_things_and_discs_stay_in_the_picture():
    document = load_document(SAMPLE_FOLDER / "motion.json")
    masks = torch.stack([torch.from_numpy(sample_pixels(entity.mask.file) > 127) for entity in document.entities])
    entities, tracks = document_tracks(document, Entities.from_masks(masks, [e.name for e in document.entities]))
    centers = torch.tensor([entity.center for entity in entities])
    torch.testing.assert_close(centers, torch.tensor([pixel(BALL), pixel(BALLOON)]), atol=1.5, rtol=0)
    torch.testing.assert_close(tracks.paths[0], centers, atol=0.01, rtol=0)
    assert tracks.visibility.all()
    reach = tracks.radii[..., None]
    assert (tracks.paths - reach).min() >= -1
    assert (tracks.paths + reach <= 128).all()
    assert (tracks.paths[-1] - tracks.paths[0]).norm(dim=-1).min() > 40
