"""Everything that decides a training run: one tree of dataclasses, written in a YAML file, each value with its meaning.

Paths are relative to where the command runs. Values are checked when the tree is made; whether files are there, when
they are opened.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import cos, pi
from typing import Any, Literal

import torch

from ..annotation_format import FLAGS
from ..types import LATENT_SCALE, Size
from .objective import DropoutScheme, LossReduction, LossWeighting, condition_dropout

StageName = Literal["autoencoder", "base", "controlnet"]
RadiusKind = Literal["first_frame", "per_frame"]
Precision = Literal["fp32", "bf16"]
Schedule = Literal["constant", "cosine"]


@dataclass(frozen=True)
class Networks:
    """Which networks a run starts from, all in local files.

    svd: folder of Stable Video Diffusion (unet/, vae/, image_encoder/, scheduler/), frozen in the stage "controlnet".
    architecture: "tiny" builds the small untrained networks that the stages "autoencoder" and "base" train; the latter
    takes the autoencoder from ``svd``. Without it these stages go on training what is in ``svd``.
    controlnet: weights to start from; none: a copy of the UNet's encoder. preset: of those weights, if they need one.
    features: a Stable Diffusion 1.5 family model, where entity features come from one.
    """

    svd: str | None = None
    architecture: Literal["tiny"] | None = None
    controlnet: str | None = None
    preset: str | None = None
    features: str | None = None


@dataclass(frozen=True)
class Synthetic:
    """Clips drawn by ``data.synthetic``: numbers first .. first + clips - 1 of that seed.

    variations: fields of ``SyntheticConfig`` other than size and frames.
    """

    seed: int = 1
    first: int = 0
    clips: int = 1000
    variations: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _at_least("seed", self.seed, 0)
        _at_least("first", self.first, 0)
        _at_least("clips", self.clips, 1)


@dataclass(frozen=True)
class Data:
    """Which clips, how large and how long, and where what is computed from them once is kept.

    annotation: a folder made by ``python -m draganything_core.annotate``; dataset: the dataset's root, if it moved.
    synthetic: clips drawn by formula instead. sizes: (height, width) of the buckets; a clip goes to the nearest aspect
    ratio. frames: lengths of the buckets; a clip gives its first frames to the longest it fills, shorter ones are left
    out. exclude_flags: tracks with one of these flags are not controlled. tracker: the annotation's must be this one,
    unless allow_tracker. max_clips: only so many, for a trial.
    """

    annotation: str | None = None
    dataset: str | None = None
    synthetic: Synthetic | None = None
    sizes: tuple[tuple[int, int], ...] = ((320, 576),)
    frames: tuple[int, ...] = (25,)
    exclude_flags: tuple[str, ...] = ("small_radius", "mostly_hidden", "jumps", "leaves_mask")
    tracker: str | None = None
    allow_tracker: bool = False
    max_clips: int | None = None
    cache: str = "cache"

    def __post_init__(self) -> None:
        if (self.annotation is None) == (self.synthetic is None):
            raise ValueError("data: give either annotation (a folder made by annotate) or synthetic, and not both")
        if not self.sizes or not self.frames:
            raise ValueError("data: sizes and frames need at least one entry each")
        for height, width in self.sizes:
            if height < LATENT_SCALE or width < LATENT_SCALE or height % LATENT_SCALE or width % LATENT_SCALE:
                raise ValueError(
                    f"data.sizes: height and width must be multiples of {LATENT_SCALE}, got {height}x{width}"
                )
        for count in self.frames:
            _at_least("data.frames", count, 1)
        unknown = [flag for flag in self.exclude_flags if flag not in FLAGS]
        if unknown:
            raise ValueError(f"data.exclude_flags: unknown {unknown}; there are {', '.join(FLAGS)}")
        if self.synthetic is not None and (len(self.sizes) > 1 or len(self.frames) > 1):
            raise ValueError("data: synthetic clips have one size and one number of frames")
        if self.max_clips is not None:
            _at_least("data.max_clips", self.max_clips, 1)

    @property
    def bucket_sizes(self) -> tuple[Size, ...]:
        return tuple(Size(height, width) for height, width in self.sizes)


@dataclass(frozen=True)
class Noise:
    """Noise levels, what is left out, and the time ids.

    sigma_mean, sigma_std: of ln sigma. image_noise_mean, image_noise_std: of ln of the level on the first frame.
    image_noise_draws: so many noised first frames are encoded beforehand and one is picked each time; 0: the first
    frame is noised and encoded in every step, which is exact and costs one encoding a sample.
    condition_dropout, dropout_scheme: see ``objective.condition_dropout``.
    fps: of all clips; None: each clip's own (the id is fps - 1). motion_bucket_id: of all clips; None: from how much
    really moves, see ``drawn_motion.motion_bucket``, for clips whose flow is known.
    """

    sigma_mean: float = 0.7
    sigma_std: float = 1.6
    image_noise_mean: float = -3.0
    image_noise_std: float = 0.5
    image_noise_draws: int = 0
    condition_dropout: float = 0.1
    dropout_scheme: DropoutScheme = "joint"
    fps: float | None = None
    motion_bucket_id: int | None = 127

    def __post_init__(self) -> None:
        for name in ("sigma_std", "image_noise_std"):
            if getattr(self, name) < 0:
                raise ValueError(f"noise.{name} must be >= 0, got {getattr(self, name)}")
        _at_least("noise.image_noise_draws", self.image_noise_draws, 0)
        condition_dropout(torch.zeros(1), self.condition_dropout, self.dropout_scheme)  # checks both
        if self.fps is not None and not self.fps > 0:
            raise ValueError(f"noise.fps must be > 0, or null for each clip's own, got {self.fps}")


@dataclass(frozen=True)
class Control:
    """What is controlled, and how the ControlNet is made.

    choices: arguments of ``SvdControlNet`` that win over its defaults (entity_source, entity_channels, geometry,
    max_radius, gaussian_scale, anchor, ...); they are saved with the weights, for inference to follow.
    radius: of the discs: that of the first frame throughout (paper section 3.4), or that of each frame's mask.
    min_entities, max_entities: how many of a clip's entities are controlled, drawn evenly; None: all there are.
    drop: chance that a sample comes without any control at all.
    """

    choices: dict[str, Any] = field(default_factory=dict)
    radius: RadiusKind = "first_frame"
    min_entities: int | None = 1
    max_entities: int | None = None
    drop: float = 0.0

    def __post_init__(self) -> None:
        _one_of("control.radius", self.radius, ("first_frame", "per_frame"))
        for name in ("min_entities", "max_entities"):
            if getattr(self, name) is not None:
                _at_least(f"control.{name}", getattr(self, name), 1)
        if self.min_entities and self.max_entities and self.min_entities > self.max_entities:
            raise ValueError(
                f"control: min_entities {self.min_entities} is larger than max_entities {self.max_entities}"
            )
        if not 0 <= self.drop < 1:
            raise ValueError(f"control.drop must be in 0..1, 1 excluded, got {self.drop}")


@dataclass(frozen=True)
class Loss:
    """How errors become one number: see ``objective.LossWeighting``.

    mask_bg_weight: None is 0 in the stage "controlnet", as in the paper, and 1, which is no mask, in the stage "base".
    """

    mask_bg_weight: float | None = None
    loss_reduction: LossReduction = "mean"

    def __post_init__(self) -> None:
        self.weighting(0.0)  # checks the values

    def weighting(self, usual: float) -> LossWeighting:
        """The weighting, with a stage's usual weight of the ground where none is given."""
        return LossWeighting(usual if self.mask_bg_weight is None else self.mask_bg_weight, self.loss_reduction)


@dataclass(frozen=True)
class Optimizer:
    """AdamW, its learning rate over the run, and the average of the weights.

    warmup_steps: the rate rises evenly over these. schedule: "constant" after it, or "cosine" down to final_lr_share of
    the rate at the last step. max_grad_norm: gradients are scaled down to it; None: never. ema_decay: the moving
    average of the weights that is exported, with diffusers' warm-up of the decay; None: the weights themselves.
    """

    lr: float = 1e-5
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 0.01
    warmup_steps: int = 500
    schedule: Schedule = "constant"
    final_lr_share: float = 0.0
    max_grad_norm: float | None = 1.0
    ema_decay: float | None = 0.9999

    def __post_init__(self) -> None:
        if not self.lr > 0:
            raise ValueError(f"optimizer.lr must be > 0, got {self.lr}")
        _one_of("optimizer.schedule", self.schedule, ("constant", "cosine"))
        _at_least("optimizer.warmup_steps", self.warmup_steps, 0)
        if self.max_grad_norm is not None and not self.max_grad_norm > 0:
            raise ValueError(f"optimizer.max_grad_norm must be > 0, or null for none, got {self.max_grad_norm}")
        if self.ema_decay is not None and not 0 <= self.ema_decay < 1:
            raise ValueError(f"optimizer.ema_decay must be in 0..1, or null for none, got {self.ema_decay}")

    def rate(self, step: int, steps: int) -> float:
        """The learning rate of one step, counted from 0, of a run of so many."""
        if step < self.warmup_steps:
            return self.lr * (step + 1) / self.warmup_steps
        if self.schedule == "constant":
            return self.lr
        done = (step - self.warmup_steps) / max(1, steps - self.warmup_steps)
        share = 0.5 * (1 + cos(pi * min(done, 1.0)))
        return self.lr * (self.final_lr_share + (1 - self.final_lr_share) * share)


@dataclass(frozen=True)
class Validation:
    """What is measured during training, on clips that are not trained on.

    every: steps between two; None: never. clips: the first so many of ``synthetic`` (or of the annotation's own clips,
    which are then left out of training). sigmas: evenly spaced quantiles of the noise levels for a loss that does not
    depend on a draw. videos: so many clips are generated, saved, and their track error measured.
    """

    every: int | None = 1000
    clips: int = 8
    synthetic: Synthetic | None = None
    sigmas: int = 4
    videos: int = 2
    num_inference_steps: int = 25
    guidance: float = 1.0

    def __post_init__(self) -> None:
        if self.every is not None:
            _at_least("validation.every", self.every, 1)
        for name in ("clips", "sigmas", "num_inference_steps"):
            _at_least(f"validation.{name}", getattr(self, name), 1)
        _at_least("validation.videos", self.videos, 0)


@dataclass(frozen=True)
class Autoencoder:
    """The stage "autoencoder": squares cut from the clips' frames, and the weights of its losses.

    crop: px of a square's side. latents: how strongly the encoder is held to ``tiny.latents.plan_latents``.
    chroma, pooled, gradient: weights of the errors in colour, in the means of 8x8 px, and in steps between pixels.
    sharpness: weight of the error in how large those steps are in each 8x8 px, wherever in it they lie.
    noise: deviation of the noise on the latents that the decoder learns to see through. decode: "encoded" latents, or
    those of the "plan", which stay the same while the encoder learns to make them: their pictures move as latents do,
    so that a small video model learns them sooner. train: "decoder" leaves the
    encoder, and with it all latents made before, as it is in ``networks.svd``.
    """

    crop: int = 64
    latents: float = 0.5
    chroma: float = 2.0
    pooled: float = 1.0
    gradient: float = 1.0
    sharpness: float = 0.0
    noise: float = 0.04
    decode: Literal["encoded", "plan"] = "encoded"
    train: Literal["all", "decoder"] = "all"

    def __post_init__(self) -> None:
        _one_of("autoencoder.decode", self.decode, ("encoded", "plan"))
        _one_of("autoencoder.train", self.train, ("all", "decoder"))
        if self.crop < LATENT_SCALE or self.crop % LATENT_SCALE:
            raise ValueError(f"autoencoder.crop must be a multiple of {LATENT_SCALE}, got {self.crop}")


@dataclass(frozen=True)
class TrainingConfig:
    """One run.

    stage: what is trained: "controlnet" (the product), or one of the two that make a small base to train it on.
    output: folder of the run: checkpoints, metrics, videos, and at the end the weights.
    global_batch: clips a step over all processes; micro_batch: clips in memory at once, None: all of a process.
    precision: what the networks compute in; the trained weights, their averages and the optimizer are always fp32.
    activation_checkpointing: blocks are computed again in backward, for memory. threads: torch's CPU threads a process.
    checkpoint_every: steps; keep: newest checkpoints kept. log_every: steps between two lines of metrics.jsonl.
    max_nonfinite: so many steps in a row without a finite loss and gradient end the run. tensorboard: also log there.
    """

    stage: StageName
    output: str
    data: Data
    steps: int
    networks: Networks = field(default_factory=Networks)
    noise: Noise = field(default_factory=Noise)
    control: Control = field(default_factory=Control)
    loss: Loss = field(default_factory=Loss)
    optimizer: Optimizer = field(default_factory=Optimizer)
    validation: Validation = field(default_factory=Validation)
    autoencoder: Autoencoder = field(default_factory=Autoencoder)
    global_batch: int = 8
    micro_batch: int | None = None
    precision: Precision = "bf16"
    activation_checkpointing: bool = False
    seed: int = 0
    threads: int | None = None
    checkpoint_every: int = 500
    keep: int | None = 2
    log_every: int = 10
    max_nonfinite: int = 5
    tensorboard: bool = False

    def __post_init__(self) -> None:
        _one_of("stage", self.stage, ("autoencoder", "base", "controlnet"))
        _one_of("precision", self.precision, ("fp32", "bf16"))
        for name in ("steps", "global_batch", "checkpoint_every", "log_every", "max_nonfinite"):
            _at_least(name, getattr(self, name), 1)
        _at_least("seed", self.seed, 0)
        for name in ("micro_batch", "threads", "keep"):
            if getattr(self, name) is not None:
                _at_least(name, getattr(self, name), 1)
        if self.stage == "controlnet" and self.networks.svd is None:
            raise ValueError("networks.svd: the stage controlnet needs a folder of Stable Video Diffusion")
        if self.stage == "base" and self.networks.svd is None:
            raise ValueError("networks.svd: the stage base needs a folder with an autoencoder and an image encoder")
        if self.stage == "autoencoder" and (self.networks.architecture is None) == (self.networks.svd is None):
            raise ValueError(
                "networks: the stage autoencoder takes either architecture: tiny, to begin with, or svd, to go on from"
            )
        if self.stage == "autoencoder" and self.autoencoder.train == "decoder" and self.networks.svd is None:
            raise ValueError("autoencoder.train: a decoder is trained on its own only from a folder in networks.svd")


def _at_least(name: str, value: int, lowest: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < lowest:
        raise ValueError(f"{name} must be a whole number >= {lowest}, got {value!r}")


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(allowed)}, got {value!r}")
