"""One training step of the small model's ControlNet: forwards, backwards and the optimiser's update."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from benchmarks.cases.condition_encoder import plain_features, three_discs
from benchmarks.cases.denoising_step import _fitting
from benchmarks.measuring import Case, Way
from draganything_core.controlnet import SvdControlNet
from draganything_core.models import tiny_models
from draganything_core.training.objective import BaseObjective, ControlNetObjective, TrainingBatch, latent_mask
from draganything_core.types import ConditionMaps, Size

CLIPS = 2


def case(full: bool) -> Case:  # noqa: ARG001 (at full size a step takes minutes of a CPU)
    pipeline = tiny_models().pipeline
    config = pipeline.controlnet.config
    size = Size(*config.size)
    maps = _fitting(three_discs(config.frames, size), config.entity_channels)
    batch, noise, sigmas = some_batch(maps, pipeline.unet.config.cross_attention_dim)

    def step_of(objective: nn.Module, trained: nn.Module) -> Callable[[], float]:
        trained.requires_grad_(True)  # weights are loaded for generation: at rest
        optimizer = torch.optim.AdamW(trained.parameters(), lr=0.0)  # every repeat is the same step

        def step() -> float:
            optimizer.zero_grad()
            loss = objective(batch, noise, sigmas).loss
            loss.backward()
            optimizer.step()
            return float(loss.detach())

        return step

    # The frozen UNet of one must not be the trained one of the other.
    ours = step_of(ControlNetObjective(pipeline.unet, pipeline.controlnet), pipeline.controlnet)
    plain_pipeline = tiny_models().pipeline
    plain_network = encoding_plainly(plain_pipeline.controlnet)
    plain = step_of(ControlNetObjective(plain_pipeline.unet, plain_network), plain_network)
    base_unet = tiny_models().pipeline.unet
    base = step_of(BaseObjective(base_unet), base_unet)
    return Case(
        "training step",
        f"{CLIPS} clips of {maps.frames} frames of {size}, fp32, small built-in model",
        [Way("ours", ours), Way("without control", base), Way("dense entity maps", plain)],
        lambda ours, other: abs(ours - other) / abs(other),
        ("dense entity maps",),
        ["Without control: the video UNet itself is trained. With it, the UNet is frozen and the ControlNet trained."],
    )


def some_batch(maps: ConditionMaps, embedding: int) -> tuple[TrainingBatch, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    latent = maps.size.latent
    shape = (CLIPS, maps.frames, 4, latent.height, latent.width)
    batch = TrainingBatch(
        latents=torch.randn(shape, generator=generator),
        image_latents=torch.randn(CLIPS, 4, latent.height, latent.width, generator=generator),
        image_embeds=torch.randn(CLIPS, 1, embedding, generator=generator),
        added_time_ids=torch.tensor([[6.0, 30.0, 0.02]]).expand(CLIPS, -1),
        maps=[maps] * CLIPS,
        loss_mask=latent_mask(maps.entity_index >= 0).expand(CLIPS, -1, -1, -1),
    )
    return batch, torch.randn(shape, generator=generator), torch.tensor([0.7, 3.0])


def encoding_plainly(controlnet: SvdControlNet) -> SvdControlNet:
    """The same network, its encoder reading dense maps."""
    encoder, scale = controlnet.controlnet_cond_embedding, controlnet.config.gaussian_scale
    controlnet.encode_conditions = lambda maps: plain_features(encoder, maps, scale)  # type: ignore[method-assign]
    return controlnet
