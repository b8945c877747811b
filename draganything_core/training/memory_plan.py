"""What a training step will take in memory and arithmetic, found by running it on tensors that hold no data.

The networks are copied without their weights' values, and one step runs forward and backward on shapes alone: seconds
at full size, on any machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from ..controlnet import SvdControlNet
from ..counting import GIB, Meter, byte_count, parameter_count, without_data
from ..types import LATENT_SCALE, ConditionMaps, Size
from .activation_checkpointing import checkpoint_blocks
from .config import Precision
from .objective import BaseObjective, ControlNetObjective, TrainingBatch

ENTITIES = 8  # a clip; their number hardly matters


@dataclass(frozen=True)
class MemoryPlan:
    """Bytes of each part on one device, and floating point operations of one step of its micro-batch.

    condition_maps: as index maps. saved_activations: what the forward pass leaves for the backward pass.
    working_memory: the most that a step holds at any time beyond those: the layer at work, the gradients on their way,
    weights cast to bf16. Flops are counted from the step's operations, a multiply and an add as two:
    step_flops is one forward and one backward pass, recomputed_flops comes on top where activations are recomputed.
    Not counted: the device's own context, kernels' scratch space, gaps in the allocator, copies of gradients that
    several processes exchange, the optimizer's temporary tensors (at a time when activations are gone).
    """

    frozen_parameters: int
    trained_parameters: int
    frozen_weights: int
    trained_weights: int
    gradients: int
    optimizer_state: int
    ema: int
    condition_maps: int
    saved_activations: int
    working_memory: int
    controlnet_flops: int
    unet_flops: int
    step_flops: int
    recomputed_flops: int

    @property
    def total(self) -> int:
        return sum(size for _, size in self._parts())

    def __str__(self) -> str:
        flops = [
            ("forward pass of the ControlNet", self.controlnet_flops),
            ("forward pass of the UNet", self.unet_flops),
            ("step, forward and backward", self.step_flops),
            ("recomputed on top of it", self.recomputed_flops),
        ]
        rows = [(name, f"{size / GIB:.2f}", "GiB") for name, size in [*self._parts(), ("total", self.total)] if size]
        rows += [(name, f"{count / 1e12:.3g}", "TFLOP") for name, count in flops if count]
        return "\n".join(f"{name:<36}{number:>10} {unit}" for name, number, unit in rows)

    def _parts(self) -> list[tuple[str, int]]:
        return [
            (f"frozen weights, {self.frozen_parameters / 1e6:.1f} M parameters", self.frozen_weights),
            (f"trained weights, {self.trained_parameters / 1e6:.1f} M parameters", self.trained_weights),
            ("gradients", self.gradients),
            ("optimizer state", self.optimizer_state),
            ("moving average of the weights", self.ema),
            ("condition maps", self.condition_maps),
            ("saved activations", self.saved_activations),
            ("working memory", self.working_memory),
        ]


def plan_memory(
    unet: Any,
    controlnet: SvdControlNet | None,
    frames: int,
    size: Size,
    micro_batch: int,
    precision: Precision,
    optimizer_bytes_per_parameter: float,
    checkpointing: bool,
    ema: bool = True,
) -> MemoryPlan:
    """The plan of one micro-batch of ``micro_batch`` clips of ``frames`` frames and ``size`` px.

    unet and controlnet: as they are, or made under ``torch.device("meta")``, where they take no memory; they stay
    unchanged. Their weights count in the types that they have: a frozen UNet may be bf16, trained weights are float32.
    Without a ControlNet the UNet is trained. precision "bf16": autocast as on a GPU, which keeps norms in float32.
    optimizer_bytes_per_parameter: 8 for AdamW, about 2 with 8-bit states. checkpointing: as by ``checkpoint_blocks``.
    Takes seconds at 25 frames of 320x576.
    Raises ValueError for another precision, counts below one and sizes that are no multiple of 8.
    """
    if precision not in ("fp32", "bf16"):
        raise ValueError(f'precision must be "fp32" or "bf16", got {precision!r}')
    if frames < 1 or micro_batch < 1:
        raise ValueError(f"frames and micro_batch must be at least 1, got {frames} and {micro_batch}")
    if size.height % LATENT_SCALE or size.width % LATENT_SCALE:
        raise ValueError(f"size: height and width must be multiples of {LATENT_SCALE}, got {size}")

    autocast = torch.bfloat16 if precision == "bf16" else None
    is_unet_frozen = controlnet is not None
    with FakeTensorMode():
        batch = _batch_without_data(unet.config, controlnet, frames, size, micro_batch)
        unet = without_data(unet)
        controlnet = None if controlnet is None else without_data(controlnet)
        plain = planned = _measured_step(unet, controlnet, batch, autocast, checkpointing=False)
        if checkpointing:
            planned = _measured_step(unet, controlnet, batch, autocast, checkpointing=True)
    trained = unet if controlnet is None else controlnet
    trained_parameters, trained_bytes = parameter_count(trained), byte_count(trained.parameters())
    return MemoryPlan(
        frozen_parameters=parameter_count(unet) if is_unet_frozen else 0,
        trained_parameters=trained_parameters,
        frozen_weights=byte_count(unet.parameters()) if is_unet_frozen else 0,
        trained_weights=trained_bytes,
        gradients=trained_bytes,
        optimizer_state=round(optimizer_bytes_per_parameter * trained_parameters),
        ema=trained_bytes if ema else 0,
        condition_maps=byte_count(_map_tensors(batch)),
        saved_activations=planned.saved,
        working_memory=planned.peak - planned.saved,
        controlnet_flops=plain.controlnet_flops,
        unet_flops=plain.forward_flops - plain.controlnet_flops,
        step_flops=plain.flops,
        recomputed_flops=planned.flops - plain.flops,
    )


class _Measured(NamedTuple):
    saved: int  # bytes alive between forward and backward
    peak: int  # most bytes alive at once
    controlnet_flops: int  # of its forward pass
    forward_flops: int  # of both networks
    flops: int


def _measured_step(
    unet: Any, controlnet: Any, batch: TrainingBatch, autocast: torch.dtype | None, checkpointing: bool
) -> _Measured:
    if controlnet is None:
        objective: nn.Module = BaseObjective(unet, autocast=autocast)
    else:
        objective = ControlNetObjective(unet, controlnet, autocast=autocast)
    checkpoint_blocks(unet, controlnet, checkpointing)
    trained = list(objective.parameters())
    gradients = [torch.zeros_like(parameter) for parameter in trained]
    for parameter, gradient in zip(trained, gradients, strict=True):
        parameter.grad = gradient
    noise, sigmas = torch.zeros_like(batch.latents), torch.ones(len(batch.latents))

    meter = Meter([*unet.parameters(), *trained, *gradients, *_map_tensors(batch)])
    before_unet: list[int] = []
    hooks = [unet.register_forward_pre_hook(lambda *_: before_unet.append(meter.flops))]
    if autocast is not None:
        hooks += [norm.register_forward_pre_hook(_in_float32) for norm in _norms(unet, controlnet)]
    with meter:
        loss = objective(batch, noise, sigmas).loss
        saved, forward_flops = meter.alive, meter.flops
        loss.backward()
    for hook in hooks:
        hook.remove()
    return _Measured(saved, meter.peak, before_unet[0], forward_flops, meter.flops)


def _norms(*networks: nn.Module | None) -> list[nn.Module]:
    modules = [module for network in networks if network is not None for module in network.modules()]
    return [module for module in modules if isinstance(module, (nn.GroupNorm, nn.LayerNorm))]


def _in_float32(_norm: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    # So autocast runs norms on a GPU. On the CPU, whose rules tensors without data follow, it leaves them as they are.
    return (inputs[0].float(),)


def _batch_without_data(
    config: Any, controlnet: SvdControlNet | None, frames: int, size: Size, micro_batch: int
) -> TrainingBatch:
    latents = (config.out_channels, size.height // LATENT_SCALE, size.width // LATENT_SCALE)
    context = config.cross_attention_dim
    time_ids = config.projection_class_embeddings_input_dim // config.addition_time_embed_dim
    return TrainingBatch(
        latents=torch.zeros(micro_batch, frames, *latents),
        image_latents=torch.zeros(micro_batch, *latents),
        image_embeds=torch.zeros(micro_batch, 1, context if isinstance(context, int) else context[0]),
        added_time_ids=torch.zeros(micro_batch, time_ids),
        maps=None if controlnet is None else [_maps_without_data(controlnet, frames, size) for _ in range(micro_batch)],
    )


def _maps_without_data(controlnet: SvdControlNet, frames: int, size: Size) -> ConditionMaps:
    return ConditionMaps(
        gaussian=torch.zeros(frames, 1, size.height, size.width),
        entity_index=torch.zeros(frames, size.height, size.width, dtype=torch.int16),
        embeddings=torch.zeros(ENTITIES, controlnet.config.entity_channels),
        size=size,
    )


def _map_tensors(batch: TrainingBatch) -> list[Tensor]:
    return [t for maps in batch.maps or [] for t in (maps.gaussian, maps.entity_index, maps.embeddings)]
