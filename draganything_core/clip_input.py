"""The picture as the CLIP image encoder wants it: 224 x 224 by blur and bicubic, as Stable Video Diffusion does it."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

ClipPreprocessing = Literal["svd", "reference"]

CLIP_SIZE = 224
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


def clip_input(image: Tensor, preprocessing: ClipPreprocessing = "svd") -> Tensor:
    """(B,3,224,224) input of the CLIP tower for pictures (B,3,H,W) in 0..1.

    "svd": resized, then CLIP's mean and standard deviation, as SVD's own pipeline. "reference": resized only; the
    authors' pipeline never applies the mean and standard deviation.
    """
    if preprocessing not in ("svd", "reference"):
        raise ValueError(f'clip_preprocessing must be "svd" or "reference", got {preprocessing!r}')
    resized = _resize_antialiased(image.float(), CLIP_SIZE)
    if preprocessing == "reference":
        return resized
    mean = resized.new_tensor(CLIP_MEAN).view(1, 3, 1, 1)
    std = resized.new_tensor(CLIP_STD).view(1, 3, 1, 1)
    return (resized - mean) / std


def _resize_antialiased(image: Tensor, side: int) -> Tensor:
    # Gaussian blur by the reduction factor, then bicubic with aligned corners: scikit-image's rule, which SVD follows.
    height, width = image.shape[-2:]
    blurred = _blur(_blur(image, _blur_kernel(width / side), horizontal=True), _blur_kernel(height / side), False)
    return F.interpolate(blurred, size=(side, side), mode="bicubic", align_corners=True)


def _blur_kernel(factor: float) -> Tensor:
    sigma = max((factor - 1.0) / 2.0, 0.001)
    taps = int(max(4.0 * sigma, 3))
    taps += 1 - taps % 2
    offsets = torch.arange(taps, dtype=torch.float32) - taps // 2
    kernel = torch.exp(-(offsets**2) / (2.0 * sigma**2))
    return kernel / kernel.sum()


def _blur(image: Tensor, kernel: Tensor, horizontal: bool) -> Tensor:
    channels, reach = image.shape[1], len(kernel) // 2
    padding = (reach, reach, 0, 0) if horizontal else (0, 0, reach, reach)
    shape = (channels, 1, 1, -1) if horizontal else (channels, 1, -1, 1)
    weight = kernel.to(image).repeat(channels).view(*shape)
    return F.conv2d(F.pad(image, padding, mode="reflect"), weight, groups=channels)
