"""What a run is going to do and need, before it does it: ``python -m draganything_core.train CONFIG --dry-run``."""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import UNetSpatioTemporalConditionModel

from ..controlnet import SvdControlNet
from ..tiny.architecture import seeded, tiny_autoencoder, tiny_controlnet, tiny_unet
from .clips import open_clips
from .config import TrainingConfig
from .memory_plan import plan_memory
from .order import DataOrder, rank_positions

ADAMW_BYTES = 8.0  # two averages in float32 for each parameter
A100_TFLOPS = 110.0  # a second in bf16, of 312 at its best: what open trainers of this kind of network report


def describe_run(config: TrainingConfig, processes: int = 1) -> str:
    """Clips, steps, parameters, memory by part and time, as text. No weights are loaded and nothing is written.

    Raises what opening the clips raises, and ValueError where the batch cannot be shared by so many processes.
    """
    source = open_clips(config.data)
    sizes = [source.clip_buckets.count(bucket) for bucket in range(len(source.buckets))]
    order = DataOrder(config.seed, config.global_batch, tuple(sizes))
    micro_batches = rank_positions(config.global_batch, 0, processes, config.micro_batch)
    lines = [f"stage {config.stage}, into {config.output}"]
    for (frames, size), count in zip(source.buckets, sizes, strict=True):
        lines.append(f"{count} clips of {frames} frames at {size}")
    lines.append(
        f"{config.steps} steps of {config.global_batch} clips: {processes} processes with {len(micro_batches)} "
        f"micro-batches of {len(micro_batches[0])} each; all clips {config.steps / order.steps_per_round:.3g} times"
    )
    if config.stage == "autoencoder":
        with seeded(config.seed):
            parameters = sum(p.numel() for p in tiny_autoencoder().parameters())
        return "\n".join([*lines, f"{parameters / 1e6:.2f} million parameters are trained"])

    unet, controlnet = _networks_without_data(config)
    frames, size = max(source.buckets, key=lambda bucket: bucket[0] * bucket[1].height * bucket[1].width)
    plan = plan_memory(
        unet,
        controlnet,
        frames,
        size,
        len(micro_batches[0]),
        config.precision,
        ADAMW_BYTES,
        config.activation_checkpointing,
        ema=config.optimizer.ema_decay is not None,
    )
    step_flops = (plan.step_flops + plan.recomputed_flops) * len(micro_batches)
    hours = step_flops * config.steps / (A100_TFLOPS * 1e12) / 3600
    lines.append(str(plan))
    lines.append(
        f"time: {step_flops / 1e12:.3g} TFLOP a step and process; {hours:.3g} hours at {A100_TFLOPS:g} TFLOP/s, "
        "which an A100 may reach in bf16 (an estimate, not a measurement)"
    )
    return "\n".join(lines)


def _networks_without_data(config: TrainingConfig) -> tuple[UNetSpatioTemporalConditionModel, SvdControlNet | None]:
    """UNet and ControlNet of the config's shapes, on the meta device or as small as the tiny ones."""
    if config.networks.architecture == "tiny":
        with seeded(config.seed):
            unet = tiny_unet()
            return unet, None if config.stage == "base" else tiny_controlnet(unet, **config.control.choices)
    assert config.networks.svd is not None
    folder = Path(config.networks.svd) / "unet"
    shape = UNetSpatioTemporalConditionModel.load_config(folder) if (folder / "config.json").is_file() else {}
    with torch.device("meta"):
        unet = UNetSpatioTemporalConditionModel.from_config(shape)
        controlnet = None if config.stage == "base" else SvdControlNet.from_unet(unet, **config.control.choices)
    if controlnet is not None and config.precision == "bf16":
        unet.to(torch.bfloat16)  # as a frozen one is kept on a GPU
    return unet, controlnet
