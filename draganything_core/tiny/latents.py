"""The formula that the small autoencoder's latents follow, and its way back to colours."""

from __future__ import annotations

import torch
from einops import rearrange, reduce
from torch import Tensor

from ..types import LATENT_SCALE

BRIGHTNESS_GAIN, COLOUR_GAIN, VARIATION_GAIN = 5.0, 3.0, 12.0  # bring each channel's deviation to about 0.4
VARIATION_SHIFT = 0.7


def plan_latents(pictures: Tensor) -> Tensor:
    """(B,4,H/8,W/8) latents of pictures (B,3,H,W) in 0..1 by formula.

    Of each 8x8 block: mean brightness about 0.5, red minus green, their mean minus blue, deviation of the brightness.
    """
    means = reduce(pictures, "b c (h y) (w x) -> b c h w", "mean", y=LATENT_SCALE, x=LATENT_SCALE)
    red, green, blue = means.unbind(dim=1)
    blocks = rearrange(pictures.mean(dim=1), "b (h y) (w x) -> b h w (y x)", y=LATENT_SCALE, x=LATENT_SCALE)
    channels = [
        BRIGHTNESS_GAIN * (means.mean(dim=1) - 0.5),
        COLOUR_GAIN * (red - green),
        COLOUR_GAIN * ((red + green) / 2 - blue),
        VARIATION_GAIN * blocks.std(dim=-1, correction=0) - VARIATION_SHIFT,
    ]
    return torch.stack(channels, dim=1)


def preview_factors() -> list[list[float]]:
    """What each of the four latents adds to red, green and blue of an 8x8 block in -1..1: ``plan_latents`` backwards.

    The variation within a block has no colour. No bias: latents of 0 are middle grey.
    """
    mean_of = torch.tensor([[1 / 3, 1 / 3, 1 / 3], [1, -1, 0], [1 / 2, 1 / 2, -1]], dtype=torch.float64)
    gains = torch.tensor([BRIGHTNESS_GAIN, COLOUR_GAIN, COLOUR_GAIN], dtype=torch.float64)
    colours = 2 * torch.linalg.inv(gains[:, None] * mean_of)  # (3 colours, 3 latents); 0..1 is half of -1..1
    return [*colours.T.tolist(), [0.0, 0.0, 0.0]]
