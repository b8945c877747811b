"""The two kinds of autoencoder that a video model comes with, asked in the same way.

Stable Video Diffusion's own (AutoencoderKLTemporalDecoder) gives a distribution and looks at neighbouring frames when
it decodes; the small model's (AutoencoderTiny, TAESD's layout) gives latents and decodes each frame by itself.
"""

from __future__ import annotations

from typing import Any

from diffusers import AutoencoderTiny
from torch import Tensor


def encoded_distribution(vae: Any, pictures: Tensor) -> tuple[Tensor, Tensor | None]:
    """Mean, which is also the mode, and deviation (B,4,H/8,W/8) float32 of the latents, not scaled.

    pictures (B,3,H,W) in -1..1, of the autoencoder's type and on its device. None for one without a distribution.
    """
    encoded = vae.encode(pictures)
    if hasattr(encoded, "latents"):
        return encoded.latents.float(), None
    return encoded.latent_dist.mean.float(), encoded.latent_dist.std.float()


def decoded_frames(vae: Any, latents: Tensor) -> Tensor:
    """Neighbouring frames (t,3,H,W), about -1..1, of latents (t,4,h,w) that are divided by the scaling factor."""
    latents = latents.to(vae.dtype)
    if isinstance(vae, AutoencoderTiny):
        frames: Tensor = vae.decode(latents).sample
    else:
        frames = vae.decode(latents, num_frames=len(latents)).sample
    return frames
