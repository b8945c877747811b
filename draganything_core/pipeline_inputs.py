"""What the pipeline is given, brought into one form, and refused by name where it does not fit together."""

from __future__ import annotations

import math

import numpy as np
import torch
from einops import rearrange
from PIL import Image
from torch import Tensor

from .types import ConditionMaps, Size


def as_batch(image: Tensor | Image.Image | list[Image.Image]) -> Tensor:
    """(B,3,H,W) float32 in 0..1."""
    if isinstance(image, Image.Image):
        image = [image]
    if isinstance(image, list):
        if not image or not all(isinstance(picture, Image.Image) for picture in image):
            raise ValueError("image: a list must hold one or more PIL pictures; stack tensors into (B, 3, H, W)")
        if len({picture.size for picture in image}) != 1:
            raise ValueError(f"image: pictures of one batch must have one size, got {[p.size for p in image]}")
        arrays = [np.asarray(picture.convert("RGB"), dtype=np.float32) / 255 for picture in image]
        return rearrange(torch.from_numpy(np.stack(arrays)), "b h w c -> b c h w")
    batch = image[None] if image.ndim == 3 else image
    if batch.ndim != 4 or batch.shape[1] != 3:
        raise ValueError(f"image must be (B, 3, H, W) or (3, H, W) in 0..1, got shape {tuple(image.shape)}")
    if not (batch.min() >= 0 and batch.max() <= 1):  # so written that a value that is no number is refused too
        raise ValueError(
            f"image must be in 0..1, got values from {float(batch.min()):.3g} to {float(batch.max()):.3g}. "
            "Divide 8-bit pictures by 255."
        )
    return batch.float()


def as_list(conditions: ConditionMaps | list[ConditionMaps] | None) -> list[ConditionMaps] | None:
    """The condition maps of each picture, None without control."""
    return [conditions] if isinstance(conditions, ConditionMaps) else conditions


def check_multiple(size: Size, multiple: int) -> None:
    """Raises ValueError unless height and width are multiples of so many px."""
    if size.height % multiple or size.width % multiple:
        raise ValueError(
            f"size: height and width must be multiples of {multiple}, got {size}. The nearest is "
            f"{_nearest_multiple(size.height, multiple)}x{_nearest_multiple(size.width, multiple)}."
        )


def check_choices(control_start: float, control_end: float, output_type: str, num_frames: int | None) -> None:
    """Raises ValueError naming the choice that cannot be made."""
    if not 0 <= control_start <= control_end <= 1:
        raise ValueError(
            f"control_start and control_end must be 0 <= start <= end <= 1, got {control_start} and {control_end}"
        )
    if output_type not in ("pt", "np", "pil", "latent"):
        raise ValueError(f'output_type must be "pt", "np", "pil" or "latent", got {output_type!r}')
    if num_frames is not None and num_frames < 1:
        raise ValueError(f"num_frames must be >= 1, or None for the conditions' own, got {num_frames}")


def frame_count(pixels: Tensor, maps: list[ConditionMaps] | None, num_frames: int | None, otherwise: int) -> int:
    """The number of frames: the conditions' own, or as asked, or ``otherwise``.

    Raises ValueError where the maps fit neither the pictures nor each other nor the number asked for.
    """
    if maps is None:
        return num_frames or otherwise
    if len(maps) != len(pixels):
        raise ValueError(f"conditions: {len(pixels)} pictures need as many condition maps, got {len(maps)}")
    size = Size.of(pixels)
    for each in maps:
        if each.size != size:
            raise ValueError(
                f"conditions: the maps are {each.size}, the picture is {size}. Build them at the picture's size."
            )
        if each.frames != maps[0].frames or (num_frames is not None and each.frames != num_frames):
            raise ValueError(
                f"conditions: maps of {each.frames} frames where {num_frames or maps[0].frames} were expected. "
                "Build all maps for the number of frames that is generated."
            )
    return maps[0].frames


def check_numbers(at_least_one: dict[str, int], finite: dict[str, float]) -> None:
    """Raises ValueError naming the first number that is out of range."""
    for name, count in at_least_one.items():
        if count < 1:
            raise ValueError(f"{name} must be >= 1, got {count}")
    for name, value in finite.items():
        if not math.isfinite(value):
            raise ValueError(f"{name} must be a finite number, got {value}")


def check_draws(
    pixels: Tensor, generator: torch.Generator | list[torch.Generator] | None, image_noise: Tensor | None
) -> None:
    """Raises ValueError for generators or noise that are not of as many pictures."""
    if isinstance(generator, list) and len(generator) != len(pixels):
        raise ValueError(f"generator: {len(pixels)} pictures need as many generators, or one, got {len(generator)}")
    if image_noise is not None and image_noise.shape != pixels.shape:
        raise ValueError(f"image_noise must be {tuple(pixels.shape)} as the pictures, got {tuple(image_noise.shape)}")


def _nearest_multiple(value: int, multiple: int) -> int:
    return max(multiple, round(value / multiple) * multiple)
