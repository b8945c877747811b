"""Pictures as tensors: reading a file, changing the size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from .types import Size


def read_picture(path: Path | str) -> Tensor:
    """(3,H,W) float32 in 0..1 from an image file, upright as its EXIF says; transparency is laid over white.

    Raises FileNotFoundError for a missing file, ValueError for one that is no picture; both name it.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such picture; check its name and folder")
    try:
        with Image.open(path) as opened:
            upright = ImageOps.exif_transpose(opened)
            if upright.mode == "F":
                raise ValueError(f"{path}: its pixels are floats of no known range; save it with 8 or 16 bits")
            rgba = (_eight_bits(upright) if upright.mode.startswith("I") else upright).convert("RGBA")
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError) as error:
        raise ValueError(f"{path}: not a picture that can be read ({error}); save it as PNG or JPEG") from error
    white = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
    pixels = np.asarray(Image.alpha_composite(white, rgba).convert("RGB"), dtype=np.float32) / 255
    return rearrange(torch.from_numpy(pixels), "h w c -> c h w")


def resized_picture(picture: Tensor, size: Size) -> Tensor:
    """(3,H,W) float32 in 0..1 at another size, bicubic with antialiasing; the aspect ratio is not kept.

    So does the original with its pictures. Raises ValueError for another shape or values outside 0..1.
    """
    check_picture(picture)
    if Size.of(picture) == size:
        return picture.float()
    resized = F.interpolate(picture[None].float(), (size.height, size.width), mode="bicubic", antialias=True)
    return resized[0].clamp(0, 1)


def _eight_bits(picture: Image.Image) -> Image.Image:
    # Pillow would clip 16 bits at 255 instead of scaling them.
    values = np.asarray(picture).astype(np.float64).clip(0, 65535) * (255 / 65535)
    return Image.fromarray(values.round().astype(np.uint8))


def check_picture(picture: Tensor) -> None:
    """Raises ValueError unless this is (3,H,W) in 0..1."""
    if picture.ndim != 3 or picture.shape[0] != 3:
        raise ValueError(f"image must be (3, H, W) in 0..1, got shape {tuple(picture.shape)}")
    if picture.min() < 0 or picture.max() > 1:
        low, high = float(picture.min()), float(picture.max())
        raise ValueError(f"image must be in 0..1, got values from {low:.3g} to {high:.3g}. Divide 8-bit ones by 255.")
