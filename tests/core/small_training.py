"""A training step of the small networks, and what it keeps for its backward pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from small_networks import random_maps, small_controlnet, small_unet
from torch import Tensor, nn

from draganything_core.training.objective import BaseObjective, ControlNetObjective, TrainingBatch


def some_batch(entities: int = 2) -> TrainingBatch:
    """Two clips of 3 frames of 40x56 px."""
    generator = torch.Generator().manual_seed(6)
    return TrainingBatch(
        latents=torch.randn(2, 3, 4, 5, 7, generator=generator),
        image_latents=torch.randn(2, 4, 5, 7, generator=generator),
        image_embeds=torch.randn(2, 1, 24, generator=generator),
        added_time_ids=torch.tensor([6.0, 127.0, 0.02]) - torch.arange(2)[:, None],
        maps=[random_maps(entities=entities, seed=seed) for seed in (1, 2)],
    )


def stage(name: str, autocast: torch.dtype | None = None, **architecture: Any) -> tuple[nn.Module, Any, Any]:
    """(objective, UNet, ControlNet) of stage "controlnet", or of "base" with None for the ControlNet."""
    unet = small_unet(**architecture)
    if name == "base":
        return BaseObjective(unet, autocast=autocast), unet, None
    controlnet = small_controlnet(**architecture)
    return ControlNetObjective(unet, controlnet, autocast=autocast), unet, controlnet


def loss_of(objective: nn.Module, batch: TrainingBatch | None = None) -> Tensor:
    noise = torch.randn(2, 3, 4, 5, 7, generator=torch.Generator().manual_seed(5))
    loss: Tensor = objective(batch or some_batch(), noise, torch.tensor([0.5, 4.0])).loss
    return loss


def saved_bytes(run: Callable[[], Any], known: list[Tensor]) -> int:
    """Storage that the graph of ``run`` keeps for its backward pass, that of ``known`` tensors left out."""
    addresses = {tensor.untyped_storage().data_ptr() for tensor in known}
    saved: dict[int, int] = {}
    alive = []  # so that no address is used twice

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in addresses:
            saved[storage.data_ptr()] = storage.nbytes()
        alive.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        run()
    return sum(saved.values())
