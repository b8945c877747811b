"""The small autoencoder's objective: latents that follow a formula, and a decoder that sees the picture in them.

Left to itself an encoder of four channels gives up colour for detail. So it is held near latents that can be written
down: an 8x8 block's mean brightness, two differences of its mean colours, and how much its brightness varies.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from diffusers import AutoencoderTiny
from einops import reduce
from torch import Tensor, nn

from ..tiny.latents import plan_latents
from ..types import LATENT_SCALE
from .config import Autoencoder
from .objective import ObjectiveOutput

SCALES = 3  # the picture, its half and its quarter, each compared by itself


class AutoencoderObjective(nn.Module):
    """How far the decoded picture is from the picture, and the latents from ``plan_latents``."""

    def __init__(self, vae: AutoencoderTiny, weights: Autoencoder, autocast: torch.dtype | None = None) -> None:
        super().__init__()
        self.vae = vae
        self.weights = weights
        self.autocast = autocast

    def forward(self, pictures: Tensor, noise: Tensor) -> ObjectiveOutput:
        """Loss of pictures (B,3,H,W) in 0..1, their latents under unit noise (B,4,H/8,W/8) times ``weights.noise``."""
        plan = plan_latents(pictures)
        with torch.autocast(pictures.device.type, self.autocast or torch.bfloat16, enabled=self.autocast is not None):
            latents = self.vae.encode(pictures * 2 - 1).latents
            shown = plan if self.weights.decode == "plan" else latents
            decoded = self.vae.decode(shown + self.weights.noise * noise).sample
        decoded = decoded.float() / 2 + 0.5
        losses = picture_losses(decoded, pictures, self.weights)
        losses = losses + self.weights.latents * _per_picture((latents.float() - plan).abs())
        return ObjectiveOutput(losses.mean(), losses.detach())


def picture_losses(decoded: Tensor, pictures: Tensor, weights: Autoencoder) -> Tensor:
    """(B,) losses of decoded pictures (B,3,H,W): values and steps at three scales, colour, and the means of blocks."""
    losses = torch.zeros(len(pictures), device=pictures.device)
    own, true = decoded, pictures
    for scale in range(SCALES):
        if scale:
            own, true = F.avg_pool2d(own, 2), F.avg_pool2d(true, 2)
        losses = losses + _per_picture((own - true).abs())
        for axis in (-2, -1):
            losses = losses + weights.gradient * _per_picture((own.diff(dim=axis) - true.diff(dim=axis)).abs())
    losses = losses + weights.chroma * _per_picture((_chroma(decoded) - _chroma(pictures)).abs())
    blocks = F.avg_pool2d(decoded, LATENT_SCALE) - F.avg_pool2d(pictures, LATENT_SCALE)
    losses = losses + weights.pooled * _per_picture(blocks.abs())
    if weights.sharpness:
        # Where an edge may lie here or there, all other errors are least for a blurred one. This one is not.
        losses = losses + weights.sharpness * _per_picture((_steepness(decoded) - _steepness(pictures)).abs())
    return losses


def _steepness(pictures: Tensor) -> Tensor:
    """(B,C,H/8,W/8) root mean square of the steps between neighbouring pixels of each 8x8 block."""
    across = F.pad(pictures.diff(dim=-1).square(), (0, 1))
    down = F.pad(pictures.diff(dim=-2).square(), (0, 0, 0, 1))
    return (F.avg_pool2d(across + down, LATENT_SCALE) + 1e-6).sqrt()


def _chroma(pictures: Tensor) -> Tensor:
    return pictures - pictures.mean(dim=1, keepdim=True)


def _per_picture(errors: Tensor) -> Tensor:
    return reduce(errors, "b c h w -> b", "mean")
