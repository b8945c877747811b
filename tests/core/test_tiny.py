"""The small network: the same classes, the same weights from the same seed, control that acts. And its sample input."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image

from draganything_core.curves import document_tracks
from draganything_core.document import load_document
from draganything_core.pipeline import DragAnythingPipeline
from draganything_core.tiny import tiny_pipeline_parts
from draganything_core.tiny.make_sample import BALL, BALLOON, SAMPLE_FOLDER, draw_masks, draw_picture, sample_document
from draganything_core.types import ConditionMaps, Entities, Size


@pytest.fixture(scope="module")
def parts():
    return tiny_pipeline_parts()


def weights_of(parts) -> dict[str, torch.Tensor]:
    networks = ("vae", "image_encoder", "unet", "controlnet")
    return {f"{name}.{key}": value for name in networks for key, value in parts[name].state_dict().items()}


def a_disc(frames: int = 2, channels: int = 64) -> ConditionMaps:
    """One disc at (40, 30), radius 12, on 64x128 pixels, in every frame."""
    y, x = torch.meshgrid(torch.arange(64), torch.arange(128), indexing="ij")
    squared = (x - 40) ** 2 + (y - 30) ** 2
    gaussian = torch.where(squared <= 144, torch.exp(-squared / 46), 0.0).expand(frames, 1, -1, -1)
    index = torch.where(squared <= 144, 0, -1).to(torch.int16).expand(frames, -1, -1)
    return ConditionMaps(gaussian, index, torch.linspace(-1, 1, channels)[None], Size(64, 128))


# --- network ----------------------------------------------------------------------------------------------------------


def test_the_seed_decides_the_weights_and_the_random_state_stays(parts):
    torch.manual_seed(11)
    state = torch.get_rng_state()
    again, other = weights_of(tiny_pipeline_parts(0)), weights_of(tiny_pipeline_parts(1))
    assert torch.equal(torch.get_rng_state(), state)
    first = weights_of(parts)
    assert first.keys() == again.keys()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["unet.conv_in.weight"], other["unet.conv_in.weight"])


def test_it_is_small_enough_to_ship(parts):
    numbers = sum(weight.numel() for weight in weights_of(parts).values())
    assert numbers * 2 < 20e6  # bytes in half precision


def test_heads_and_groups_divide_the_widths(parts):
    config = parts["unet"].config
    assert all(width % 32 == 0 for width in (*config.block_out_channels, *parts["vae"].config.block_out_channels))
    head_widths = {w / h for w, h in zip(config.block_out_channels, config.num_attention_heads, strict=True)}
    assert head_widths == {32}


def test_features_fit_the_entity_map_without_pooling(parts):
    caught = []
    handle = parts["unet"].up_blocks[-1].register_forward_hook(lambda module, inputs, output: caught.append(output))
    with torch.no_grad():
        parts["unet"](torch.zeros(1, 1, 8, 8, 16), torch.tensor(0.25), torch.zeros(1, 1, 32), torch.zeros(1, 3))
    handle.remove()
    assert caught[0].shape == (1, parts["controlnet"].config.entity_channels, 8, 16)
    assert parts["controlnet"].feature_source.model_kind == "svd"


def test_the_schedule_is_svds(parts):
    scheduler = parts["scheduler"]
    scheduler.set_timesteps(4)
    expected = torch.tensor([700, 70.54084, 2.2691164, 0.002, 0])  # Karras et al. 2022, equation 5, rho 7
    torch.testing.assert_close(scheduler.sigmas, expected, rtol=1e-5, atol=0)
    torch.testing.assert_close(scheduler.timesteps, 0.25 * expected[:4].log(), rtol=1e-5, atol=0)
    assert float(scheduler.init_noise_sigma) == pytest.approx((700**2 + 1) ** 0.5)
    assert scheduler.config.prediction_type == "v_prediction"


def test_an_empty_map_gives_no_condition_features_and_a_disc_does(parts):
    controlnet = parts["controlnet"]
    maps = a_disc()
    empty = ConditionMaps(maps.gaussian * 0, torch.full_like(maps.entity_index, -1), maps.embeddings, maps.size)
    with torch.no_grad():
        assert controlnet.encode_conditions(empty).abs().max() == 0
        features = controlnet.encode_conditions(maps)
    assert features[0, :, 3, 5].std() > 0.5  # the cell of (40, 30)
    assert features[0, :, :, 12:].abs().max() == 0  # out of the disc's reach


def test_it_generates_and_control_acts(parts):
    pipeline = DragAnythingPipeline(**parts)
    pipeline.set_progress_bar_config(disable=True)

    def generate(strength: float) -> torch.Tensor:
        return pipeline(
            torch.full((3, 64, 128), 0.5),
            a_disc(),
            num_inference_steps=2,
            control_strength=strength,
            generator=torch.Generator().manual_seed(3),
        ).frames[0]

    controlled, alone = generate(1.0), generate(0.0)
    assert controlled.shape == (2, 3, 64, 128)
    assert 0 <= controlled.min() < controlled.max() <= 1
    assert torch.equal(controlled, generate(1.0))
    change = (controlled - alone).abs().mean((0, 1))
    assert change[20:40, 30:50].mean() > 0.02
    assert change[20:40, 30:50].mean() > 1.5 * change[:, 80:].mean()


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
    assert (text["format"], text["version"], text["size"]) == ("draganything-motion", 2, {"height": 192, "width": 320})


def test_the_sample_is_whole_and_light():
    document = load_document(SAMPLE_FOLDER / "motion.json")
    named = {document.image, "motion.json", *(entity.mask.file for entity in document.entities)}
    assert {file.name for file in SAMPLE_FOLDER.iterdir()} == named
    assert sum(file.stat().st_size for file in SAMPLE_FOLDER.iterdir()) < 200_000


def test_lines_start_at_the_things_and_discs_stay_in_the_picture():
    document = load_document(SAMPLE_FOLDER / "motion.json")
    masks = torch.stack([torch.from_numpy(sample_pixels(entity.mask.file) > 127) for entity in document.entities])
    entities, tracks = document_tracks(document, Entities.from_masks(masks, [e.name for e in document.entities]))
    centers = torch.tensor([entity.center for entity in entities])
    torch.testing.assert_close(centers, torch.tensor([BALL, BALLOON]), atol=1.5, rtol=0)
    torch.testing.assert_close(tracks.paths[0], centers, atol=0.01, rtol=0)
    assert tracks.visibility.all()
    reach = tracks.radii[..., None]
    assert (tracks.paths - reach).min() >= 0
    assert (tracks.paths + reach <= torch.tensor([319.0, 191.0])).all()
    assert (tracks.paths[-1] - tracks.paths[0]).norm(dim=-1).min() > 80
