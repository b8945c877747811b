"""Networks loaded together, and what the weights' config decides about them."""

import pytest
import torch
from small_networks import small_stable_diffusion
from small_pipeline import small_pipeline

from draganything_core.features import StableDiffusionFeatures
from draganything_core.models import Models, load_models, tiny_models
from draganything_core.sd15 import embed_empty_prompt
from draganything_core.types import Entities, Size


@pytest.fixture
def folders(tmp_path):
    """An SVD folder, and a function that saves a ControlNet with some choices beside it."""
    pipeline = small_pipeline()
    for name in ("unet", "vae", "image_encoder", "scheduler"):
        getattr(pipeline, name).save_pretrained(tmp_path / "svd" / name)

    def load(**choices):
        small_pipeline(**choices).controlnet.save_pretrained(tmp_path / "controlnet")
        return load_models(tmp_path / "svd", tmp_path / "controlnet")

    return load


def test_noise_levels_are_the_weights_own(folders):
    scheduler = folders(sigma_min=0.02, sigma_max=20.0).pipeline.scheduler
    scheduler.set_timesteps(5)
    assert scheduler.sigmas[0] == pytest.approx(20.0)
    assert scheduler.sigmas[-2] == pytest.approx(0.02)
    assert scheduler.config.prediction_type == "v_prediction"


def test_geometry_and_size_are_the_weights_own(folders):
    models = folders(geometry="reference", max_radius=40, max_radius_size=[64, 96])
    assert models.geometry.kind == "reference"
    assert models.geometry.radius_limit(Size(128, 192)) == 80
    assert models.native_size == Size(32, 48)
    assert models.name == "svd + controlnet"


def test_the_folder_of_the_video_model_is_checked_before_anything_is_read(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such folder"):
        load_models(tmp_path / "svd", tmp_path / "controlnet")


def test_the_built_in_model_is_frozen_and_says_what_it_has_seen():
    models = tiny_models()
    assert "drawn sprites" in models.remark
    assert models.native_size == Size(128, 128)
    assert not any(p.requires_grad for p in models.pipeline.unet.parameters())
    assert tiny_models(dtype=torch.bfloat16).pipeline.unet.dtype == torch.bfloat16


def test_the_feature_model_is_on_the_device_only_while_it_works(monkeypatch):
    parts = small_stable_diffusion()
    features = StableDiffusionFeatures(parts["unet"], parts["vae"], embed_empty_prompt(parts["text_encoder"]))
    events = []
    monkeypatch.setattr(features, "to", lambda device: events.append(f"to {device}"))
    parts["unet"].register_forward_pre_hook(lambda *_: events.append("works"))
    source = {"model_kind": "sd15", "timestep": 261, "ensemble": 1}
    models = Models(small_pipeline(entity_channels=4, entity_source=source), features, "small")
    models.entity_features(torch.zeros(3, 64, 96), Entities.from_masks(torch.ones(1, 64, 96)), Size(64, 96), seed=0)
    assert events == ["to cpu", "works", "to cpu"]
