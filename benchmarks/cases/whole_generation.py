"""A whole video of the shipped sample with the small built-in model, as ``make demo`` makes it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from benchmarks.cases.condition_encoder import plain_features
from benchmarks.cases.sample import sample_motion
from benchmarks.measuring import Case, Way
from draganything_core.controlnet import SvdControlNet
from draganything_core.generation import Sampling, generate_video
from draganything_core.models import tiny_models
from draganything_core.types import ConditionMaps

STEPS = 12


def case(full: bool) -> Case:  # noqa: ARG001 (weights of full size are nothing this repository has)
    models, motion = tiny_models(), sample_motion()
    models.pipeline.set_progress_bar_config(disable=True)
    controlnet, size = models.pipeline.controlnet, models.native_size
    sampling = Sampling(num_inference_steps=STEPS)
    maps = generate_video(models, motion, size, replace(sampling, num_inference_steps=1, control_strength=0.0)).maps

    def video(strength: float) -> Tensor:
        return generate_video(models, motion, size, replace(sampling, control_strength=strength)).frames

    def plain() -> Tensor:
        with encoded_in_every_step(controlnet, maps):
            return video(1.0)

    return Case(
        "whole generation",
        f"{maps.frames} frames of {size}, {STEPS} steps with guidance, features and decoding included, small model",
        [
            Way("ours", lambda: video(1.0)),
            Way("without control", lambda: video(0.0)),
            Way("conditions encoded in every step", plain),
        ],
        lambda ours, other: float((ours - other).abs().max()),
        ("conditions encoded in every step",),
    )


@contextmanager
def encoded_in_every_step(controlnet: SvdControlNet, maps: ConditionMaps) -> Iterator[None]:
    """While the block runs, the network encodes the maps anew in each call, for each half of guidance, densely."""
    forward, encoder = controlnet.forward, controlnet.controlnet_cond_embedding

    def forward_with_encoder(sample: Tensor, *arguments: Any, **others: Any) -> Any:
        halves = [plain_features(encoder, maps, controlnet.config.gaussian_scale) for _ in range(len(sample))]
        return forward(sample, *arguments, **others | {"condition_features": torch.cat(halves)})

    controlnet.forward = forward_with_encoder  # type: ignore[method-assign]
    try:
        yield
    finally:
        del controlnet.forward
