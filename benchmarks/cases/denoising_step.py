"""One denoising step with the ControlNet and without: both halves of guidance, condition features given.

By default the small built-in model. At full width: random weights in bf16, of one half of guidance (4.4 GB).
"""

from __future__ import annotations

import torch
from diffusers import UNetSpatioTemporalConditionModel
from einops import repeat
from torch import Tensor, nn

from benchmarks.cases.condition_encoder import plain_features, three_discs
from benchmarks.full_size_controlnet import random_controlnet, random_weights
from benchmarks.measuring import Case, Way, relative_difference
from draganything_core.contiguous_context import contiguous_contexts
from draganything_core.controlnet import SvdControlNet
from draganything_core.models import tiny_models
from draganything_core.residual_injection import injected_residuals
from draganything_core.types import ConditionMaps, Size


def case(full: bool) -> Case:
    unet, controlnet, maps, halves = full_width() if full else small()
    dtype, size = unet.dtype, maps.size
    generator = torch.Generator().manual_seed(0)
    sample = torch.randn(halves, maps.frames, 8, size.latent.height, size.latent.width, generator=generator).to(dtype)
    known = {
        "encoder_hidden_states": torch.randn(halves, 1, unet.config.cross_attention_dim, generator=generator).to(dtype),
        "added_time_ids": torch.tensor([[6.0, 127.0, 0.02]]).expand(halves, -1),
    }
    with torch.inference_mode():
        features = controlnet.encode_conditions(maps)

    @torch.inference_mode()
    def with_control(features: Tensor) -> Tensor:
        features = repeat(features, "t c h w -> (n t) c h w", n=halves)
        residuals = controlnet(sample, 0.5, condition_features=features, **known)
        steered = injected_residuals(unet, residuals.multiplied(*controlnet.residual_multiplicity))
        with steered, contiguous_contexts(unet):
            return unet(sample, 0.5, **known).sample

    @torch.inference_mode()
    def without_control() -> Tensor:
        with contiguous_contexts(unet):
            return unet(sample, 0.5, **known).sample

    def plain() -> Tensor:
        with torch.inference_mode():
            encoder, scale = controlnet.controlnet_cond_embedding, controlnet.config.gaussian_scale
            encoded = [plain_features(encoder, _as(maps, dtype), scale) for _ in range(halves)]
        return with_control(encoded[0])

    return Case(
        "denoising step",
        f"{maps.frames} frames of {size}, {halves} of 2 halves of guidance, "
        + ("full width, random weights in bf16" if full else "small built-in model"),
        [
            Way("ours", lambda: with_control(features)),
            Way("without control", without_control),
            Way("conditions encoded in the step", plain),
        ],
        relative_difference,
        ("conditions encoded in the step",),
    )


def small() -> tuple[nn.Module, SvdControlNet, ConditionMaps, int]:
    pipeline = tiny_models().pipeline
    config = pipeline.controlnet.config
    maps = three_discs(config.frames, Size(*config.size))
    return pipeline.unet, pipeline.controlnet, _fitting(maps, config.entity_channels), 2


def full_width() -> tuple[nn.Module, SvdControlNet, ConditionMaps, int]:
    with torch.device("meta"):
        unet = UNetSpatioTemporalConditionModel(num_attention_heads=(5, 10, 20, 20))
    return random_weights(unet, torch.bfloat16), random_controlnet(torch.bfloat16), three_discs(), 1


def _fitting(maps: ConditionMaps, channels: int) -> ConditionMaps:
    return ConditionMaps(maps.gaussian, maps.entity_index, maps.embeddings[:, :channels].contiguous(), maps.size)


def _as(maps: ConditionMaps, dtype: torch.dtype) -> ConditionMaps:
    return ConditionMaps(maps.gaussian.to(dtype), maps.entity_index, maps.embeddings.to(dtype), maps.size)
