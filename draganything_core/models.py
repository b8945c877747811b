"""The networks of one generation, loaded together: Stable Video Diffusion, the ControlNet, the feature model."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from .conditions import Geometry, Painting, painted_embeddings
from .features import LatentMasks, StableDiffusionFeatures, SvdFeatures, extract_entity_features
from .pipeline import DragAnythingPipeline
from .representations import represented_maps
from .svd import check_svd_folder, load_svd_parts
from .tiny import WEIGHTS
from .types import ConditionMaps, Entities, EntityFeatures, Size, Tracks
from .weights import load_controlnet


@dataclass(eq=False)
class Models:
    """A pipeline with the model its entity features come from (None: the video UNet itself).

    name: for records; remark: what a user must know before believing the result.
    """

    pipeline: DragAnythingPipeline
    sd15: StableDiffusionFeatures | None
    name: str
    remark: str = ""

    @property
    def native_size(self) -> Size:
        height, width = self.pipeline.controlnet.config.size
        return Size(height, width)

    @property
    def geometry(self) -> Geometry:
        """How the weights want discs and Gaussians painted."""
        config = self.pipeline.controlnet.config
        return Geometry(config.geometry, config.max_radius, Size(*config.max_radius_size))

    def entity_features(self, picture: Tensor, entities: Entities, size: Size, seed: int) -> EntityFeatures:
        """One vector per entity, from the model and noise level that the weights' config names.

        picture (3,H,W) in 0..1; features are taken at ``size``.
        """
        pipeline, source = self.pipeline, self.pipeline.controlnet.feature_source
        latent_masks: LatentMasks = "reference" if self.geometry.kind == "reference" else "exact"
        if source.model_kind == "sd15":
            with _on_device(self.sd15, pipeline._execution_device):
                return extract_entity_features(
                    picture, entities, size, source, seed, sd15=self.sd15, latent_masks=latent_masks
                )
        config = pipeline.controlnet.config
        conditioning = pipeline.condition_on(
            picture[None],
            fps_id=config.fps_id,
            motion_bucket_id=config.motion_bucket_id,
            noise_aug_strength=0.0,
            clip_preprocessing=config.clip_preprocessing,
            generator=torch.Generator().manual_seed(seed),
        )
        return extract_entity_features(
            picture,
            entities,
            size,
            source,
            seed,
            svd=SvdFeatures(pipeline.unet, pipeline.vae, device=pipeline._execution_device, model=self.name),
            image_embeds=conditioning.image_embeds,
            added_time_ids=conditioning.added_time_ids,
            latent_masks=latent_masks,
        )

    def condition_maps(
        self, features: EntityFeatures, entities: Entities, tracks: Tracks, size: Size, painting: Painting | None = None
    ) -> ConditionMaps:
        """Maps at ``size`` for the weights: their geometry, channels and painting ("vector" or "channel_0")."""
        config = self.pipeline.controlnet.config
        embeddings = painted_embeddings(features, config.entity_channels, painting or config.painting)
        return represented_maps(
            entities, tracks, embeddings, size, self.geometry, device=self.pipeline._execution_device
        )


def load_models(
    svd: Path | str,
    controlnet: Path | str,
    *,
    features: Path | str | None = None,
    preset: str | None = None,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
    offload: bool = False,
) -> Models:
    """Networks from local folders; nothing is downloaded.

    svd: a diffusers folder of Stable Video Diffusion; controlnet: folder or file of DragAnything weights; features: a
    Stable Diffusion 1.5 family folder or checkpoint, needed if the ControlNet's entity features come from one.
    offload: each network is on the device only while it works (needs a GPU). Raises ValueError or FileNotFoundError
    that say what a path holds, what was expected and where the right file goes.
    """
    check_svd_folder(Path(svd))
    network = load_controlnet(controlnet, preset=preset, torch_dtype=dtype)
    sd15 = None
    if network.feature_source.model_kind == "sd15":
        if features is None:
            raise ValueError(
                f"{controlnet}: these weights take entity features from a Stable Diffusion 1.5 family model. "
                "Give its diffusers folder or checkpoint file with --features."
            )
        # It works once, before the video model does: it is on the device only then.
        sd15 = StableDiffusionFeatures.from_pretrained(features, device="cpu", dtype=dtype)
    parts = load_svd_parts(svd, dtype)
    # Noise levels are the weights' choice, the rest of the schedule is the video model's.
    noise_levels = {"sigma_min": network.config.sigma_min, "sigma_max": network.config.sigma_max}
    scheduler = type(parts.scheduler).from_config(parts.scheduler.config, **noise_levels)
    pipeline = DragAnythingPipeline(parts.vae, parts.image_encoder, parts.unet, network, scheduler)
    if offload:
        pipeline.enable_model_cpu_offload(device=device)
    else:
        pipeline.to(device)
    used = [path for path in (svd, controlnet, features) if path is not None]
    return Models(pipeline, sd15, " + ".join(Path(path).resolve().name for path in used))


@contextmanager
def _on_device(features: StableDiffusionFeatures | None, device: torch.device) -> Iterator[None]:
    """The feature model on the device while the block runs, where it came from afterwards."""
    if features is None:
        yield
        return
    home = features.unet.device
    try:
        features.to(device)
        yield
    finally:
        features.to(home)


def tiny_models(*, dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu") -> Models:
    """The small built-in model: the same classes, trained on drawn sprites of 128x128 px."""
    models = load_models(WEIGHTS, WEIGHTS / "controlnet", dtype=dtype, device=device)
    models.name = "tiny"
    models.remark = (
        "The built-in model has 9 million parameters and has seen nothing but drawn sprites at 128x128 px: it shows "
        "how things are dragged, not what Stable Video Diffusion's pictures look like."
    )
    return models
