"""One clip through the frozen networks: latents, image embedding, noised first frames, features of its entities."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from diffusers import AutoencoderTiny
from einops import rearrange
from torch import Tensor

from ..autoencoder import encoded_distribution
from ..clip_input import ClipPreprocessing, clip_input
from ..digests import tensor_bytes, weights_sha256
from ..features import LatentMasks, StableDiffusionFeatures, SvdFeatures, extract_entity_features
from ..representations import boxes_in_radii
from ..types import Entities, EntityFeatures, FeatureSource, Size
from .clips import MotionClip
from .config import Precision, TrainingConfig
from .objective import latent_mask, noised_pictures
from .order import noise_generator

ENCODED_PIXELS = 2**19  # in one call of the autoencoder: two frames of 320x576, which take it about 2 GiB
FEATURE_SEED = 0  # inference's default
GRABS = 8
GRAB_SEED = 0  # which of the points is taken is the run's own draw


@dataclass(frozen=True, eq=False)
class ClipNetworks:
    """The frozen networks that clips are encoded with, where and in what precision they are.

    vae: AutoencoderKLTemporalDecoder or AutoencoderTiny; image_encoder: CLIPVisionModelWithProjection. choices: the
    config of the ControlNet that is trained, for how it wants entity features; without it there are none. unet: the
    frozen video UNet, sd15: a Stable Diffusion model, whichever the choices take features from.
    """

    vae: Any
    image_encoder: Any
    choices: Any = None
    unet: Any = None
    sd15: StableDiffusionFeatures | None = None

    def __post_init__(self) -> None:
        if self.choices is None:
            return
        kind = self.feature_source.model_kind
        if (self.sd15 if kind == "sd15" else self.unet) is None:
            wanted = "a Stable Diffusion 1.5 model" if kind == "sd15" else "the video UNet"
            raise ValueError(f'entity_source: features of the kind "{kind}" come from {wanted}, and none was given')

    @cached_property
    def vae_sha256(self) -> str:
        return weights_sha256(self.vae)

    @cached_property
    def image_encoder_sha256(self) -> str:
        return weights_sha256(self.image_encoder)

    @cached_property
    def feature_model_sha256(self) -> list[str]:
        """Of what the choices take features from."""
        if self.feature_source.model_kind == "svd" or self.sd15 is None:
            return [weights_sha256(self.unet)]
        prompt = hashlib.sha256(tensor_bytes(self.sd15.empty_prompt)).hexdigest()
        return [weights_sha256(self.sd15.unet), weights_sha256(self.sd15.vae), prompt]

    def encoding_type(self, precision: Precision) -> torch.dtype | None:
        """What the autoencoder computes in under autocast; None: in the type of its weights.

        In bf16 the small one's latents are off by 0.5 % of their deviation, in half the time on a CPU. Those of
        one with a distribution were off by 2 %, which is too much to bake into files.
        """
        return torch.bfloat16 if precision == "bf16" and isinstance(self.vae, AutoencoderTiny) else None

    @property
    def clip_preprocessing(self) -> ClipPreprocessing:
        preprocessing: ClipPreprocessing = "svd" if self.choices is None else self.choices.clip_preprocessing
        return preprocessing

    @property
    def feature_source(self) -> FeatureSource:
        return FeatureSource(**self.choices.entity_source)

    @property
    def latent_masks(self) -> LatentMasks:
        return "reference" if self.choices.geometry == "reference" else "exact"

    @property
    def feature_time_ids(self) -> list[float]:
        return [float(self.choices.fps_id), float(self.choices.motion_bucket_id), 0.0]


def video_tensors(clip: MotionClip, index: int, config: TrainingConfig, networks: ClipNetworks) -> dict[str, Tensor]:
    """What is kept of a clip's frames, by the names of ``CachedClip``'s fields, and its motion.

    index: the clip's number, which the noise on its first frame depends on. Raises what encode_pictures raises.
    """
    vae, autocast = networks.vae, networks.encoding_type(config.precision)
    mean, deviation = encode_pictures(vae, clip.frames * 2 - 1, autocast)
    scale = vae.config.scaling_factor
    picture = _first_picture(clip)
    levels, noises = _picture_noise(clip.size, index, config)
    noised = noised_pictures((_as_floats(picture) * 2 - 1).expand_as(noises), levels, noises)
    tensors = {
        "latents": mean * scale,
        "picture": picture,
        "picture_latents": encode_pictures(vae, noised, autocast)[0] if len(levels) else mean[:0],
        "picture_levels": levels,
        "image_embeds": _image_embeds(picture, networks)[0].float().cpu(),
        "fps": torch.tensor(clip.fps, dtype=torch.float64),
        "motion": torch.tensor(clip.motion, dtype=torch.float64),
    }
    return tensors if deviation is None else {**tensors, "latents_std": deviation * scale}


def entity_tensors(clip: MotionClip, index: int, networks: ClipNetworks) -> dict[str, Tensor]:
    """What is kept of a clip's entities, by the names of ``CachedClip``'s fields."""
    coverage = latent_mask(clip.masks, threshold=None) * 255
    tensors = {
        "paths": clip.tracks.paths.float(),
        "path_entity": clip.tracks.path_entity.long(),
        "visibility": clip.tracks.visibility,
        "radii": clip.tracks.radii.float(),
        "frame_radii": clip.frame_radii.float(),
        "coverage": coverage.round().byte(),
        "grabs": _grabs(clip.entities, index),
        "boxes": boxes_in_radii(clip.entities).float(),
    }
    if networks.choices is None:
        return tensors
    return {**tensors, "embeddings": entity_features(_first_picture(clip), clip.entities, networks).embeddings.cpu()}


@torch.no_grad()
def encode_pictures(vae: Any, pixels: Tensor, autocast: torch.dtype | None = None) -> tuple[Tensor, Tensor | None]:
    """Mean and deviation (N,4,h,w) float32 of the latents of pictures (N,3,H,W) in -1..1, not scaled, on the CPU.

    The deviation is None for an autoencoder without a distribution. autocast: compute in this type; None: in that of
    the weights. A few pictures at a time, so that memory is bounded. Raises ValueError for latents that are not finite.
    """
    batch = max(1, ENCODED_PIXELS // (pixels.shape[-2] * pixels.shape[-1]))
    encoded = []
    with torch.autocast(vae.device.type, autocast or torch.bfloat16, enabled=autocast is not None):
        for chunk in pixels.split(batch):
            # Convolutions on a CPU are faster with channels last, in bf16 by a third.
            chunk = chunk.to(vae.device, vae.dtype, memory_format=torch.channels_last)
            encoded.append(encoded_distribution(vae, chunk))
    means, deviations = zip(*encoded, strict=True)
    mean = torch.cat(means).cpu().contiguous()
    if not bool(torch.isfinite(mean).all()):
        raise ValueError("the autoencoder's latents are not finite; run it in fp32 or bf16, it overflows in fp16")
    return mean, None if deviations[0] is None else torch.cat(deviations).cpu().contiguous()


@torch.no_grad()
def entity_features(picture: Tensor, entities: Entities, networks: ClipNetworks) -> EntityFeatures:
    """What ``Models.entity_features`` gives at inference for a picture (3,H,W) uint8, in training."""
    image, source = _as_floats(picture), networks.feature_source
    if source.model_kind == "sd15":
        return extract_entity_features(
            image, entities, Size.of(image), source, FEATURE_SEED, sd15=networks.sd15,
            latent_masks=networks.latent_masks,
        )  # fmt: skip
    unet = networks.unet
    return extract_entity_features(
        image,
        entities,
        Size.of(image),
        source,
        FEATURE_SEED,
        svd=SvdFeatures(unet, networks.vae),
        image_embeds=rearrange(_image_embeds(picture, networks), "1 d -> 1 1 d").to(unet.dtype),
        added_time_ids=torch.tensor([networks.feature_time_ids], device=unet.device),
        latent_masks=networks.latent_masks,
    )


# --- parts ------------------------------------------------------------------------------------------------------------


@torch.no_grad()
def _image_embeds(picture: Tensor, networks: ClipNetworks) -> Tensor:
    """(1,D) as the image encoder gives it."""
    encoder = networks.image_encoder
    pixels = clip_input(_as_floats(picture)[None], networks.clip_preprocessing)
    embeds: Tensor = encoder(pixels.to(encoder.device, encoder.dtype)).image_embeds
    return embeds


def _first_picture(clip: MotionClip) -> Tensor:
    """(3,H,W) uint8: the first frame as a file would hold it, for that is what inference is given."""
    return (clip.frames[0] * 255).round().byte()


def _as_floats(picture: Tensor) -> Tensor:
    return picture.float() / 255


def _picture_noise(size: Size, index: int, config: TrainingConfig) -> tuple[Tensor, Tensor]:
    """Levels (K,) and unit noise (K,3,H,W) of a clip's noised first frames."""
    noise = config.noise
    levels = torch.zeros(noise.image_noise_draws)
    noises = torch.zeros(len(levels), 3, size.height, size.width)
    for draw in range(noise.image_noise_draws):
        generator = noise_generator(config.seed, index, draw, "picture")
        exponent = noise.image_noise_mean + noise.image_noise_std * torch.randn((), generator=generator).item()
        levels[draw] = math.exp(exponent)
        noises[draw] = torch.randn(noises.shape[1:], generator=generator)
    return levels, noises


def _grabs(entities: Entities, index: int) -> Tensor:
    """(E,8,2) float32 (x, y) of pixels of each entity's mask, drawn evenly."""
    grabs = torch.zeros(len(entities), GRABS, 2)
    for place, entity in enumerate(entities):
        pixels = entity.mask.nonzero().flip(-1)
        generator = noise_generator(GRAB_SEED, index, place, "grab")
        grabs[place] = pixels[torch.randint(len(pixels), (GRABS,), generator=generator)].float()
    return grabs
