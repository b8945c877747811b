"""Inputs on which the original crashed: each gives a correct result here, or one clear error."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from small_pipeline import FRAMES, HEIGHT, WIDTH, small_maps, small_picture, small_pipeline

from draganything_core.conditions import Geometry, reference_latent_mask
from draganything_core.generation import Sampling, generate_video, preview_maps, resolve_motion
from draganything_core.masks import latent_mask
from draganything_core.models import Models
from draganything_core.motion_input import read_motion
from draganything_core.segment import GrabCutSegmenter
from draganything_core.types import Size

CANVAS = Size(64, 96)
GEOMETRIES = [Geometry("exact", 50), Geometry("reference", 50)]


@pytest.fixture(scope="module")
def models():
    return Models(small_pipeline(entity_channels=16), None, "small")


def square(top=20, bottom=40, left=30, right=50):
    mask = np.zeros((CANVAS.height, CANVAS.width), dtype=np.uint8)
    mask[top:bottom, left:right] = 255
    return mask


def line(frames, start=(40, 30), step=(2, 1)):
    return [[start[0] + i * step[0], start[1] + i * step[1]] for i in range(frames)]


def demo_folder(folder, *entries):
    """A demo folder of (mask, trajectory) entries."""
    Image.fromarray(np.full((CANVAS.height, CANVAS.width, 3), 90, dtype=np.uint8)).save(folder / "demo.jpg")
    listed = {}
    for number, (mask, trajectory) in enumerate(entries, start=1):
        name = f"{number}.png"
        if mask is not None:
            Image.fromarray(mask).save(folder / name)
        listed[str(number)] = {"comment": f"thing {number}", "mask_name": name, "trajectory": trajectory}
    (folder / "demo.json").write_text(json.dumps(listed))
    return folder


def motion_of(folder, **changes):
    return resolve_motion(read_motion(folder), GrabCutSegmenter(), **changes)


def generated(models, motion):
    frames = generate_video(models, motion, Size(HEIGHT, WIDTH), Sampling(num_inference_steps=1)).frames
    assert bool(torch.isfinite(frames).all())
    return frames


def test_a_trajectory_shorter_than_the_first(models, tmp_path):
    motion = motion_of(demo_folder(tmp_path, (square(), line(26)), (square(0, 15, 0, 15), line(16))))
    assert len(generated(models, motion)) == 26
    assert bool(motion.tracks.visibility.all())
    # Stretched: its last point is reached in the last frame.
    assert motion.tracks.paths[-1, 1].tolist() == [40 + 15 * 2, 30 + 15]


@pytest.mark.parametrize("frames", [14, 20, 25])
@pytest.mark.parametrize("fit", ["stretch", "hold", "cut"])
def test_a_first_trajectory_shorter_than_the_frames_asked_for(models, tmp_path, frames, fit):
    motion = motion_of(demo_folder(tmp_path, (square(), line(10))), frames=frames, fit=fit)
    assert len(generated(models, motion)) == frames
    assert int(motion.tracks.visibility.sum()) == (10 if fit == "cut" else frames)


@pytest.mark.parametrize("latent_masks", ["exact", "reference"])
def test_a_mask_that_vanishes_on_the_latent_grid(tmp_path, latent_masks, caplog):
    geometry = "reference" if latent_masks == "reference" else "exact"
    models = Models(small_pipeline(entity_channels=16, geometry=geometry), None, "small")
    motion = motion_of(demo_folder(tmp_path, (square(20, 21, 30, 31), line(3))))
    features = models.entity_features(motion.image, motion.entities, CANVAS, seed=0)
    assert float(features.embeddings.abs().max()) > 0
    assert "thing 1" in caplog.text
    assert "nearest to it" in caplog.text
    assert len(generated(models, motion)) == 3


def test_the_original_geometry_averages_features_over_the_originals_masks(tmp_path):
    motion = motion_of(demo_folder(tmp_path, (square(13, 30, 11, 37), line(3))))
    mask = motion.entities[0].mask
    assert not torch.equal(latent_mask(mask, 8, 12), reference_latent_mask(mask, CANVAS))
    exact, reference = (
        Models(small_pipeline(entity_channels=16, geometry=geometry), None, "small")
        .entity_features(motion.image, motion.entities, CANVAS, seed=0)
        .embeddings
        for geometry in ("exact", "reference")
    )
    assert not torch.equal(exact, reference)


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=lambda geometry: geometry.kind)
def test_a_start_off_the_picture_that_comes_in_later(tmp_path, geometry):
    points = [[200, 90], [60, 40], [50, 30]]
    maps = preview_maps(motion_of(demo_folder(tmp_path, (square(), points))), Size(HEIGHT, WIDTH), geometry)
    painted = (maps.entity_index >= 0).flatten(1).any(dim=1)
    assert painted.tolist() == [False, True, True]


def test_a_missing_mask_file_is_named_with_those_there_are(tmp_path):
    folder = demo_folder(tmp_path, (square(), line(3)), (None, line(3)))
    with pytest.raises(FileNotFoundError, match=r"2\.png") as error:
        motion_of(folder)
    assert "1.png" in str(error.value)


def test_no_entity_is_one_clear_error(tmp_path):
    demo_folder(tmp_path)
    with pytest.raises(ValueError, match=r"demo\.json"):
        motion_of(tmp_path)


def test_a_document_without_paths_is_one_clear_error(tmp_path):
    Image.fromarray(square()).save(tmp_path / "picture.png")
    document = {
        "format": "draganything-motion",
        "version": 2,
        "size": {"height": CANVAS.height, "width": CANVAS.width},
        "frames": 3,
        "image": "picture.png",
    }
    (tmp_path / "motion.json").write_text(json.dumps(document))
    with pytest.raises(ValueError, match="nothing to move"):
        motion_of(tmp_path / "motion.json")


@pytest.mark.parametrize("guidance", [(1.0, 1.0), (0.0, 0.5)])
def test_no_guidance(models, guidance):
    low, high = guidance
    latents = models.pipeline(
        small_picture(),
        small_maps(channels=16),
        min_guidance_scale=low,
        max_guidance_scale=high,
        num_inference_steps=1,
        output_type="latent",
    ).frames
    assert bool(torch.isfinite(latents).all())


def test_a_size_the_unet_cannot_halve_is_refused_before_any_work(models, tmp_path):
    motion = motion_of(demo_folder(tmp_path, (square(), line(3))))
    with pytest.raises(ValueError, match="multiples of 16, got 40x72"):
        generate_video(models, motion, Size(40, 72))


def test_several_videos_at_once(models):
    maps = small_maps(channels=16)
    arguments = {"num_inference_steps": 1, "output_type": "latent"}
    batch = models.pipeline(small_picture(batch=2), [maps, maps], **arguments).frames
    assert batch.shape[0] == 2
    pictures = [Image.fromarray(np.zeros((HEIGHT, WIDTH, 3), dtype=np.uint8))] * 2
    assert models.pipeline(pictures, [maps, maps], **arguments).frames.shape == batch.shape


def test_half_precision_with_an_autoencoder_that_must_not_have_it():
    pipeline = small_pipeline(entity_channels=16).to(dtype=torch.float16)
    assert pipeline.vae.config.force_upcast
    frames = pipeline(small_picture(), small_maps(channels=16), num_inference_steps=1).frames
    assert bool(torch.isfinite(frames).all())
    assert pipeline.vae.dtype == torch.float32


def test_no_control_is_the_video_model_alone(models):
    frames = models.pipeline(small_picture(), None, num_frames=FRAMES, num_inference_steps=1).frames
    assert frames.shape == (1, FRAMES, 3, HEIGHT, WIDTH)


def test_condition_maps_of_another_size_than_the_picture(models):
    with pytest.raises(ValueError, match="the maps are 64x48, the picture is 32x48"):
        models.pipeline(small_picture(), small_maps(height=64, channels=16), num_inference_steps=1)


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=lambda geometry: geometry.kind)
@pytest.mark.parametrize("case", ["far off the picture", "whole picture", "one pixel"])
def test_extremes_that_the_original_took_still_work(models, tmp_path, geometry, case):
    mask = {"whole picture": np.full((CANVAS.height, CANVAS.width), 255, np.uint8), "one pixel": square(20, 21, 30, 31)}
    trajectory = [[10**6, -(10**6)]] * 3 if case == "far off the picture" else line(3)
    motion = motion_of(demo_folder(tmp_path, (mask.get(case, square()), trajectory)))
    maps = preview_maps(motion, Size(HEIGHT, WIDTH), geometry)
    painted = int((maps.entity_index >= 0).sum())
    assert painted == 0 if case == "far off the picture" else painted > 0
    assert len(generated(models, motion)) == 3
