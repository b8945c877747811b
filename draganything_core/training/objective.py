"""What training minimises: Stable Video Diffusion's denoising error in its exact velocity form, inside entity masks.

Nothing here draws a random number: noise, noise levels and the uniforms behind dropout are arguments.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, fields, replace
from itertools import pairwise
from typing import Any, Literal, NamedTuple

import torch
from einops import rearrange, reduce, repeat
from torch import Tensor, nn

from ..controlnet import SvdControlNet
from ..residual_injection import injected_residuals
from ..types import LATENT_SCALE, ConditionMaps, ControlResiduals, Size

LossReduction = Literal["mean", "sum"]
DropoutScheme = Literal["joint", "instruct_pix2pix"]

SIGMA_BUCKETS = (0.3, 3.0)  # edges: fine detail below, mostly noise above


def sample_sigmas(generators: Iterable[torch.Generator], mean: float = 0.7, std: float = 1.6) -> Tensor:
    """(N,) float32 noise levels, ln sigma ~ N(mean, std^2), one from each generator.

    The defaults are those of open SVD trainers: 5 % lie below 0.145, half below 2.01, 95 % below 28.
    """
    normals = [torch.randn((), generator=generator, dtype=torch.float64) for generator in generators]
    return torch.exp(mean + std * torch.stack(normals)).float()


def sample_image_noise_levels(generators: Iterable[torch.Generator], mean: float = -3.0, std: float = 0.5) -> Tensor:
    """(N,) float32 levels of the noise on the first frame, ln s ~ N(mean, std^2), one from each generator.

    Give generators other than those of the sigmas: how noisy the picture is must not tell how noisy the video is.
    """
    return sample_sigmas(generators, mean, std)


def sigma_quantiles(quantiles: Tensor, mean: float = 0.7, std: float = 1.6) -> Tensor:
    """The float32 noise levels below which these fractions (0..1, both excluded) of ``sample_sigmas`` lie.

    Evenly spaced quantiles make a validation loss that does not depend on a draw.
    """
    if not bool(((quantiles > 0) & (quantiles < 1)).all()):
        raise ValueError(f"quantiles must lie between 0 and 1, both excluded, got {quantiles.tolist()}")
    return torch.exp(mean + std * torch.special.ndtri(quantiles.double())).float()


class Preconditioning(NamedTuple):
    """How a network output F becomes a denoiser (arXiv 2206.00364): D(x) = c_skip x + c_out F(c_in x, c_noise)."""

    c_skip: Tensor
    c_out: Tensor
    c_in: Tensor
    c_noise: Tensor


def preconditioning(sigmas: Tensor) -> Preconditioning:
    """SVD's scalings at these noise levels, each of the shape of ``sigmas``."""
    variance = sigmas**2 + 1
    return Preconditioning(1 / variance, -sigmas / variance.sqrt(), variance.rsqrt(), sigmas.log() / 4)


def denoised(output: Tensor, noisy: Tensor, sigmas: Tensor) -> Tensor:
    """(B,T,4,h,w) the clean latents that a network output stands for, at noisy = latents + sigma noise.

    output and noisy (B,T,4,h,w), sigmas (B,).
    """
    c = preconditioning(_per_sample(sigmas))
    return c.c_skip * noisy + c.c_out * output


def velocity_target(latents: Tensor, noise: Tensor, sigmas: Tensor) -> Tensor:
    """v = (noise - sigma latents) / sqrt(sigma^2 + 1), which the network is to put out.

    (F - v)^2 is exactly SVD's loss (sigma^2 + 1) / sigma^2 (D - latents)^2, without its cancellation at small sigma:
    a perfect prediction in bf16 costs the latter some 40 times as much rounding error.
    latents and noise (B,T,4,h,w), sigmas (B,).
    """
    sigmas = _per_sample(sigmas)
    return (noise - sigmas * latents) / (sigmas**2 + 1).sqrt()


def noised_pictures(pictures: Tensor, levels: Tensor, noise: Tensor) -> Tensor:
    """(B,3,H,W) first frames in -1..1 with noise of its own level (B,) on each: what the autoencoder is to encode.

    SVD adds this noise to the pixels, before encoding. noise (B,3,H,W) is a draw of its own; with that of the latents
    the picture would give away what the network is to predict.
    """
    return pictures + rearrange(levels, "b -> b 1 1 1") * noise


def added_time_ids(fps: Tensor, motion_bucket_ids: Tensor, image_noise_levels: Tensor) -> Tensor:
    """(B,3) float32 of (fps - 1, motion bucket, level of the noise on the first frame), each given as (B,).

    SVD was trained on frames per second minus one.
    """
    return torch.stack([fps - 1, motion_bucket_ids, image_noise_levels], dim=1).float()


@dataclass(frozen=True, eq=False)
class ConditionDropout:
    """Which samples keep their image embedding and which their image latents; both (B,) bool."""

    keep_embeds: Tensor
    keep_latents: Tensor


def condition_dropout(uniforms: Tensor, rate: float = 0.1, scheme: DropoutScheme = "joint") -> ConditionDropout:
    """What guidance needs its unconditional half to have seen: some samples without their picture.

    uniforms (B,) in 0..1, one draw a sample. "joint" drops embedding and latents together with probability ``rate``,
    as guidance at inference does. "instruct_pix2pix" (arXiv 2211.09800) drops only the embedding, both, or only the
    latents, with probability ``rate`` each. The condition maps always stay, as in both halves of guidance.
    Raises ValueError for a rate that leaves no sample whole.
    """
    if scheme not in ("joint", "instruct_pix2pix"):
        raise ValueError(f'condition dropout: scheme must be "joint" or "instruct_pix2pix", got {scheme!r}')
    parts = 1 if scheme == "joint" else 3
    if not 0 <= rate * parts < 1:
        raise ValueError(f"condition dropout: rate must be >= 0 and below 1/{parts} for {scheme}, got {rate}")
    if scheme == "joint":
        keep = uniforms >= rate
        return ConditionDropout(keep, keep)
    return ConditionDropout(uniforms >= 2 * rate, (uniforms < rate) | (uniforms >= 3 * rate))


@dataclass(frozen=True, eq=False)
class TrainingBatch:
    """Clips of one shape, as the networks see them.

    latents (B,T,4,h,w): times the autoencoder's scaling factor. image_latents (B,4,h,w): of the noised first frame,
    not scaled. image_embeds (B,1,D). added_time_ids (B,3): see the function of that name.
    maps: the condition maps of each clip, T frames of 8h x 8w px; None where no ControlNet is trained.
    loss_mask (B,T,h,w): bool, or float 0..1: the entities' cells, see ``latent_mask``; None: every cell.
    """

    latents: Tensor
    image_latents: Tensor
    image_embeds: Tensor
    added_time_ids: Tensor
    maps: list[ConditionMaps] | None = None
    loss_mask: Tensor | None = None

    def __post_init__(self) -> None:
        if self.latents.ndim != 5:
            raise ValueError(f"training batch: latents must be (B, T, C, h, w), got {tuple(self.latents.shape)}")
        batch, frames, channels, height, width = self.latents.shape
        expected = {
            "image_latents": (batch, channels, height, width),
            "image_embeds": (batch, 1, self.image_embeds.shape[-1]),
            "added_time_ids": (batch, self.added_time_ids.shape[-1]),
            "loss_mask": (batch, frames, height, width),
        }
        for name, shape in expected.items():
            tensor = getattr(self, name)
            if tensor is not None and tuple(tensor.shape) != shape:
                raise ValueError(f"training batch: {name} must be {shape} to match latents, got {tuple(tensor.shape)}")
        if self.maps is None:
            return
        if len(self.maps) != batch:
            raise ValueError(f"training batch: {batch} clips need as many condition maps, got {len(self.maps)}")
        size = Size(height * LATENT_SCALE, width * LATENT_SCALE)
        for maps in self.maps:
            if maps.frames != frames or maps.size != size:
                raise ValueError(
                    f"training batch: condition maps of {maps.frames} frames of {maps.size} px do not fit latents of "
                    f"{frames} frames, which are {size} px"
                )

    def to(self, device: torch.device | str) -> TrainingBatch:
        tensors = {
            field.name: value.to(device)
            for field in fields(self)
            if isinstance(value := getattr(self, field.name), Tensor)
        }
        maps = None if self.maps is None else [maps.to(device) for maps in self.maps]
        return replace(self, maps=maps, **tensors)

    def without(self, dropout: ConditionDropout) -> TrainingBatch:
        """The batch with zeros for the embeddings and image latents that are not kept, as guidance has them."""
        keep_embeds = rearrange(dropout.keep_embeds, "b -> b 1 1").to(self.image_embeds.device)
        keep_latents = rearrange(dropout.keep_latents, "b -> b 1 1 1").to(self.image_latents.device)
        return replace(
            self,
            image_embeds=self.image_embeds.where(keep_embeds, 0.0),
            image_latents=self.image_latents.where(keep_latents, 0.0),
        )


def latent_mask(masks: Tensor, threshold: float | None = 0.5) -> Tensor:
    """(..., H/8, W/8) float32: 1 for each latent cell of which masks (..., H, W) cover more than ``threshold``, else 0.

    threshold: None gives the covered part itself, a soft mask of the same area.
    masks: bool or 0..1, for each frame the union of its controlled entities (M_i of the paper's equation 3). Where
    later frames have no masks, the discs of the condition maps, ``entity_index >= 0``, stand in for them.
    Raises ValueError for sizes that are no multiple of 8.
    """
    height, width = masks.shape[-2:]
    if height % LATENT_SCALE or width % LATENT_SCALE:
        raise ValueError(f"masks: height and width must be multiples of {LATENT_SCALE}, got {height}x{width}")
    parts = reduce(masks.float(), "... (h y) (w x) -> ... h w", "mean", y=LATENT_SCALE, x=LATENT_SCALE)
    return parts if threshold is None else (parts > threshold).float()


@dataclass(frozen=True)
class LossWeighting:
    """How the errors of a clip's cells become one number.

    mask_bg_weight b: a cell weighs w = b + (1 - b) M, so 0 is the paper's equation 3 and 1 is no mask at all.
    loss_reduction: over the cells of one clip. "mean": sum(w e) / sum(w) over frames, channels and cells, so that
    small entities count as much as large ones; a clip whose weights are all zero gets the plain mean, which is the
    limit of small b. "sum": the plain sum(w e) of equation 3, in proportion to the area; a clip without a mask then
    adds only its background's b. Clips are averaged in either case, so equal shares of a batch may be averaged too.
    """

    mask_bg_weight: float = 0.0
    loss_reduction: LossReduction = "mean"

    def __post_init__(self) -> None:
        if not 0 <= self.mask_bg_weight <= 1:
            raise ValueError(f"mask_bg_weight must be in 0..1, got {self.mask_bg_weight}")
        if self.loss_reduction not in ("mean", "sum"):
            raise ValueError(f'loss_reduction must be "mean" or "sum", got {self.loss_reduction!r}')

    def per_sample(self, errors: Tensor, mask: Tensor | None) -> Tensor:
        """(B,) losses of squared errors (B,T,C,h,w) under a mask (B,T,h,w) of bool or 0..1; None: all ones."""
        channels = errors.shape[2]
        cell_errors = reduce(errors, "b t c h w -> b t h w", "sum")
        if mask is None:
            weights = torch.ones_like(cell_errors)
        else:
            weights = self.mask_bg_weight + (1 - self.mask_bg_weight) * mask.to(cell_errors)
        if self.loss_reduction == "sum":
            return reduce(weights * cell_errors, "b t h w -> b", "sum")
        is_weightless = reduce(weights, "b t h w -> b 1 1 1", "sum") == 0
        weights = weights.masked_fill(is_weightless, 1.0)
        weighted = reduce(weights * cell_errors, "b t h w -> b", "sum")
        return weighted / (channels * reduce(weights, "b t h w -> b", "sum"))


def velocity_losses(
    output: Tensor, latents: Tensor, noise: Tensor, sigmas: Tensor, mask: Tensor | None, weighting: LossWeighting
) -> Tensor:
    """(B,) losses of a network's output, the errors (F - v)^2 taken in float32 whatever it was computed in."""
    target = velocity_target(latents.float(), noise.float(), sigmas.float())
    return weighting.per_sample((output.float() - target) ** 2, mask)


class ObjectiveOutput(NamedTuple):
    """loss: the mean of the samples', to call backward on. per_sample: (B,) float32, detached, for the records."""

    loss: Tensor
    per_sample: Tensor


def denoising_loss(
    unet: Any,
    controlnet: SvdControlNet | None,
    batch: TrainingBatch,
    noise: Tensor,
    sigmas: Tensor,
    weighting: LossWeighting,
    autocast: torch.dtype | None = None,
) -> ObjectiveOutput:
    """The error of a video UNet, under a ControlNet if there is one, at unit noise (B,T,4,h,w) and levels (B,).

    Residuals have the multiplicity that the ControlNet's configuration gives them at inference. autocast: the type to
    compute in under autocast; None: that of the weights, or of an autocast around the call.
    Raises ValueError where shapes disagree, and for a ControlNet with a batch that has no condition maps.
    """
    network_input = noisy_input(batch, noise, sigmas)
    c_noise = preconditioning(sigmas.float()).c_noise
    # Not torch.autocast(enabled=False), which would end an autocast around the call.
    with nullcontext() if autocast is None else torch.autocast(network_input.device.type, autocast):
        residuals = None if controlnet is None else _residuals(controlnet, network_input, c_noise, batch)
        with injected_residuals(unet, residuals):
            output = unet(
                network_input.to(unet.dtype),
                c_noise,
                encoder_hidden_states=batch.image_embeds.to(unet.dtype),
                added_time_ids=batch.added_time_ids,
                return_dict=False,
            )[0]
    losses = velocity_losses(output, batch.latents, noise, sigmas, batch.loss_mask, weighting)
    return ObjectiveOutput(losses.mean(), losses.detach())


class BaseObjective(nn.Module):
    """``denoising_loss`` of the video UNet alone, to train it; by default every cell counts."""

    def __init__(
        self,
        unet: Any,
        weighting: LossWeighting = LossWeighting(mask_bg_weight=1.0),
        autocast: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.unet = unet
        self.weighting = weighting
        self.autocast = autocast

    def forward(self, batch: TrainingBatch, noise: Tensor, sigmas: Tensor) -> ObjectiveOutput:
        return denoising_loss(self.unet, None, batch, noise, sigmas, self.weighting, self.autocast)


class ControlNetObjective(nn.Module):
    """``denoising_loss`` of the frozen video UNet under a ControlNet, to train the ControlNet (paper equation 3).

    A module, so that a wrapper for many processes sees condition encoder and network in one call. The UNet is frozen
    here and is no submodule: ``parameters``, ``state_dict`` and ``to`` are the ControlNet's alone, so move the UNet
    yourself. Gradients pass through its decoder to the residuals.
    """

    def __init__(
        self,
        unet: Any,
        controlnet: SvdControlNet,
        weighting: LossWeighting = LossWeighting(),
        autocast: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.controlnet = controlnet
        self.weighting = weighting
        self.autocast = autocast
        self._frozen = (unet.requires_grad_(False),)  # a tuple hides it from nn.Module

    def forward(self, batch: TrainingBatch, noise: Tensor, sigmas: Tensor) -> ObjectiveOutput:
        (unet,) = self._frozen
        return denoising_loss(unet, self.controlnet, batch, noise, sigmas, self.weighting, self.autocast)


def noisy_input(batch: TrainingBatch, noise: Tensor, sigmas: Tensor) -> Tensor:
    """(B,T,8,h,w) float32, what both networks read: c_in (latents + sigma noise) beside the picture's latents.

    Raises ValueError unless noise has the shape of the latents and there is one sigma for each sample.
    """
    latents = batch.latents.float()
    if noise.shape != latents.shape:
        raise ValueError(f"noise must be {tuple(latents.shape)} like the latents, got {tuple(noise.shape)}")
    if tuple(sigmas.shape) != (len(latents),):
        raise ValueError(f"sigmas must be ({len(latents)},), one for each sample, got {tuple(sigmas.shape)}")
    sigmas = _per_sample(sigmas.float())
    noisy = (latents + sigmas * noise.float()) * preconditioning(sigmas).c_in
    pictures = repeat(batch.image_latents.float(), "b c h w -> b t c h w", t=latents.shape[1])
    return torch.cat([noisy, pictures], dim=2)


def bucket_totals(sigmas: Tensor, losses: Tensor, edges: Sequence[float] = SIGMA_BUCKETS) -> Tensor:
    """(len(edges) + 1, 2) float64: sum and number of the losses (N,) whose sigma (N,) lies between two edges.

    Totals of steps and of processes are added; a sigma on an edge belongs above it. The loss depends
    on sigma more than on progress, so a trend shows only within a bucket.
    """
    boundaries = torch.tensor(edges, dtype=torch.float64, device=sigmas.device)
    buckets = torch.bucketize(sigmas.double(), boundaries, right=True)
    totals = torch.zeros(len(edges) + 1, 2, dtype=torch.float64, device=sigmas.device)
    return totals.index_add_(0, buckets, torch.stack([losses.double(), torch.ones_like(losses).double()], dim=1))


def bucket_means(totals: Tensor, edges: Sequence[float] = SIGMA_BUCKETS) -> dict[str, float]:
    """Mean loss of each bucket that has any, by a name such as "sigma<0.3", "sigma 0.3-3" or "sigma>=3"."""
    between = [f"sigma {low:g}-{high:g}" for low, high in pairwise(edges)]
    names = [f"sigma<{edges[0]:g}", *between, f"sigma>={edges[-1]:g}"]
    return {name: total / count for name, (total, count) in zip(names, totals.tolist(), strict=True) if count}


def _residuals(
    controlnet: SvdControlNet, network_input: Tensor, c_noise: Tensor, batch: TrainingBatch
) -> ControlResiduals:
    if batch.maps is None:
        raise ValueError("training batch: a ControlNet is trained on condition maps, and this batch has none")
    residuals: ControlResiduals = controlnet(
        network_input.to(controlnet.dtype),
        c_noise,
        encoder_hidden_states=batch.image_embeds.to(controlnet.dtype),
        added_time_ids=batch.added_time_ids,
        condition_features=torch.cat([controlnet.encode_conditions(maps) for maps in batch.maps]),
    )
    return residuals.multiplied(*controlnet.residual_multiplicity)


def _per_sample(values: Tensor) -> Tensor:
    return rearrange(values, "b -> b 1 1 1 1")
