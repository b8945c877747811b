"""Runs of the trainer on random networks and synthetic clips, so small that a step takes a tenth of a second."""

from __future__ import annotations

import itertools
import math
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from accelerate import Accelerator
from diffusers import AutoencoderTiny
from einops import repeat
from safetensors.torch import load_file
from small_networks import ARCHITECTURE, ENCODER, small_unet
from torch import Tensor
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from draganything_core.controlnet import SvdControlNet
from draganything_core.svd import set_norm_eps
from draganything_core.tiny.architecture import seeded, tiny_scheduler
from draganything_core.training.config import (
    Control,
    Data,
    Networks,
    Noise,
    Optimizer,
    Synthetic,
    TrainingConfig,
    Validation,
)
from draganything_core.training.loop import Trainer
from draganything_core.training.objective import ControlNetObjective, LossWeighting, TrainingBatch
from draganything_core.training.stages import build_stage
from draganything_core.types import ConditionMaps

FRAMES, SIZE = 3, (32, 48)
CLIPS = 5
# Large sprites, and one beside them that is told to stay: most clips have several entities to choose from.
VARIATIONS = {"radius": (0.2, 0.28), "held": 1.0, "neighbours": 0.8, "supersampling": 1}
CHOICES: dict[str, Any] = {
    **ENCODER,
    "entity_channels": 8,
    "entity_source": {"model_kind": "svd"},
    "max_radius": 8.0,
    "max_radius_size": SIZE,
    "sigma_min": 0.02,
    "sigma_max": 20.0,
    "size": SIZE,
    "frames": FRAMES,
}
NORM_EPS = 1e-5
MASKED = LossWeighting()  # nothing counts outside the masks


def save_small_svd(folder: Path) -> Path:
    """A folder of random networks in the layout of Stable Video Diffusion, the autoencoder in that of TAESD."""
    with seeded(4):
        vae = AutoencoderTiny(
            encoder_block_out_channels=(8, 8, 8, 8),
            decoder_block_out_channels=(8, 8, 8, 8),
            num_encoder_blocks=(1, 1, 1, 1),
            num_decoder_blocks=(1, 1, 1, 1),
            scaling_factor=1.0,
            force_upcast=False,
        )
        image_encoder = CLIPVisionModelWithProjection(
            CLIPVisionConfig(
                hidden_size=16,
                intermediate_size=16,
                num_hidden_layers=2,
                num_attention_heads=2,
                image_size=224,
                patch_size=112,
                projection_dim=ARCHITECTURE["cross_attention_dim"],
            )
        )
    unet = set_norm_eps(small_unet(num_frames=FRAMES), NORM_EPS)
    parts = {"unet": unet, "vae": vae, "image_encoder": image_encoder, "scheduler": tiny_scheduler()}
    for name, part in parts.items():
        part.save_pretrained(folder / name)
    return folder


def small_config(svd: Path, output: Path, stage: str = "controlnet", steps: int = 20, **changes: Any) -> TrainingConfig:
    """A run of 20 steps with 2 clips in each, its checkpoints 10 steps apart and nothing measured on the way.

    changes: fields of TrainingConfig; a dict for a section changes that section's fields.
    """
    # Clips are cached beside the networks, for all runs on them.
    data = Data(synthetic=Synthetic(3, 0, CLIPS, VARIATIONS), sizes=(SIZE,), frames=(FRAMES,), cache=str(svd / "cache"))
    config = TrainingConfig(
        stage=stage,
        output=str(output),
        data=data,
        steps=steps,
        networks=Networks(svd=str(svd)),
        noise=Noise(image_noise_draws=2, motion_bucket_id=30),
        control=Control(choices=CHOICES),
        optimizer=Optimizer(lr=1e-3, warmup_steps=4, schedule="cosine", ema_decay=0.99),
        validation=Validation(every=None),
        global_batch=2,
        precision="fp32",
        seed=7,
        checkpoint_every=10,
        log_every=5,
    )
    for name, value in changes.items():
        if isinstance(value, dict):
            value = replace(getattr(config, name), **value)
        config = replace(config, **{name: value})
    return config


def small_trainer(config: TrainingConfig) -> Trainer:
    """Built as the command builds it, on the CPU; goes on where the run in its folder stopped."""
    accelerator = Accelerator(cpu=True)
    return Trainer(config, build_stage(config, accelerator), accelerator)


def signalled(trainer: Trainer, step: int, number: int = signal.SIGTERM) -> Trainer:
    """The trainer, whose process gets a signal while the inputs of a step are made."""
    make, calls = trainer.stage.inputs, itertools.count(trainer.first_step * len(trainer.micro_batches))

    def inputs(loaded: Any, device: torch.device) -> Any:
        if next(calls) == step * len(trainer.micro_batches):
            os.kill(os.getpid(), number)
        return make(loaded, device)

    trainer.stage.inputs = inputs  # type: ignore[method-assign]
    return trainer


def last_state(output: Path | str) -> dict[str, Tensor]:
    """Every tensor of a run's newest checkpoint: network, optimizer and averages."""
    newest = sorted((Path(output) / "checkpoints").glob("step-*"))[-1]
    return {
        f"{newest.name} {file.stem}.{name}": tensor
        for file in sorted(newest.glob("*.safetensors"))
        for name, tensor in load_file(file).items()
    }


def different(one: dict[str, Tensor], other: dict[str, Tensor]) -> list[str]:
    """Names of the tensors that are not the same bit by bit, or not in both."""
    return [
        name
        for name in sorted(one.keys() | other.keys())
        if not (name in one and name in other and torch.equal(one[name], other[name]))
    ]


class Pairs(NamedTuple):
    """Clips under fixed noises: a batch of N clips, the unit noise (N,T,4,h,w) on each, its level (N,)."""

    batch: TrainingBatch
    noise: Tensor
    sigmas: Tensor


class Overfitted(NamedTuple):
    """Masked losses on the fixed pairs: before training, after it, and then under the conditions of other clips."""

    before: float
    after: float
    with_other_conditions: float


def fixed_pairs(clip: TrainingBatch, count: int = 8, sigmas: tuple[float, float] = (0.3, 10.0)) -> Pairs:
    """One clip (a batch of one) under so many noises, at levels evenly spaced between two on a logarithmic scale."""
    (maps,) = clip.maps or []
    batch = TrainingBatch(
        **{
            name: repeat(getattr(clip, name), "1 ... -> n ...", n=count)
            for name in ("latents", "image_latents", "image_embeds", "added_time_ids", "loss_mask")
        },
        maps=[maps] * count,
    )
    noise = torch.randn(batch.latents.shape, generator=torch.Generator().manual_seed(0))
    return Pairs(batch, noise, torch.logspace(*(math.log10(sigma) for sigma in sigmas), count))


def overfit(
    unet: Any,
    controlnet: SvdControlNet,
    pairs: Pairs,
    other_conditions: list[ConditionMaps],
    *,
    steps: int = 500,
    lr: float = 5e-3,
    weighting: LossWeighting = MASKED,
) -> Overfitted:
    """What becomes of a ControlNet that is trained on these pairs and nothing else, all of them in every step.

    other_conditions: for each pair those of another clip, for the last figure.
    """
    objective = ControlNetObjective(unet, controlnet, weighting)
    optimizer = torch.optim.Adam(objective.parameters(), betas=(0.9, 0.99))
    batch, noise, sigmas = pairs

    @torch.no_grad()
    def measured(maps: list[ConditionMaps] | None) -> float:
        return float(objective(replace(batch, maps=maps), noise, sigmas).loss)

    before = measured(batch.maps)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = lr * (1 - step / steps)
        optimizer.zero_grad()
        objective(batch, noise, sigmas).loss.backward()
        torch.nn.utils.clip_grad_norm_(objective.parameters(), 1.0)
        optimizer.step()
    return Overfitted(before, measured(batch.maps), measured(other_conditions))
