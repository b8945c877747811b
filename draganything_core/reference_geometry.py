"""The original's integer geometry, kept to the pixel because the published weights were shown maps drawn by it.

Everything here follows the authors' demo with all its consequences: positions are truncated, radii come from the mask
resized to the target, the Gaussian is a picture pasted as a square (its empty corners erase what lies under them) and
squashed, not cropped, where the border cuts the square. The last row and column never receive a Gaussian.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
import torch
from torch import Tensor

from .types import Entities, Size, Tracks

TEMPLATE_SIZE = 200  # px; the Gaussian picture that is resized into every square
TEMPLATE_SIGMA = 40.0  # px of the template, so 0.4 of its radius
SMALLEST_PASTE = 4  # px; squares with a smaller visible side receive no Gaussian
FAR = 2**30  # px; positions and radii beyond it are taken as this far, so that their squares fit 64 bits


@lru_cache(maxsize=1)
def gaussian_template() -> np.ndarray:
    """(200,200) uint8 Gaussian inside a disc: 255 in the centre (100,100), 11 on its rim, 0 in the corners."""
    squared = np.add.outer(*2 * [(np.arange(TEMPLATE_SIZE) - TEMPLATE_SIZE // 2) ** 2])
    bell = np.exp(-squared / (2 * TEMPLATE_SIGMA**2)) * (squared <= (TEMPLATE_SIZE // 2) ** 2)
    template = (bell / bell.max() * 255).astype(np.uint8)
    template.setflags(write=False)
    return template


def reference_radius(mask: Tensor, size: Size) -> int:
    """Radius in whole px of ``size`` of a (H,W) bool mask, before any limit.

    The mask is resized bilinearly as 0/1 bytes, which rounds at one half. The picture's border does not bound the
    mask: one that touches it measures too large, a mask of the whole picture measures 3.4e38. A mask that vanishes
    on the way measures 0.
    """
    return int(_largest_distance(mask, size))


def reference_latent_mask(mask: Tensor, size: Size) -> Tensor:
    """(h,w) bool mask on the latent grid of ``size``, over which the entity's features are averaged.

    Resized bilinearly as 0/1 bytes. A thin mask may come out empty; the original failed on it in a later frame.
    """
    return torch.from_numpy(_resized(mask, size.latent).astype(bool))


def reference_centers(tracks: Tracks, size: Size) -> Tensor:
    """(T,P,2) int64 x, y of the discs in px of ``size``: scaled in float64, then truncated toward zero."""
    source = torch.tensor([tracks.size.width, tracks.size.height], dtype=torch.float64)
    target = torch.tensor([size.width, size.height], dtype=torch.float64)
    # Division first, as the original: multiplying by a ready-made factor can fall on the other side of an integer.
    return (tracks.paths.cpu().double() / source * target).clamp(-FAR, FAR).trunc().long()


def reference_sides(entities: Entities, tracks: Tracks, size: Size, limit: float) -> Tensor:
    """(T,P) int64 radii in px of ``size``, at most ``limit``: half the side of the pasted square.

    The original never changes a radius in time. Where the tracks ask for another one than the entity's inscribed
    circle has, the measured radius is multiplied by their quotient before it is truncated and limited.
    """
    measured = {index: _largest_distance(entities[index].mask, size) for index in set(tracks.path_entity.tolist())}
    distances = torch.tensor([measured[index] for index in tracks.path_entity.tolist()], dtype=torch.float64)
    circles = [entities[index].inscribed_circle.radius for index in tracks.path_entity.tolist()]
    # Both sides of the quotient are rounded to float32, so that an unchanged radius gives exactly 1.
    factors = tracks.radii.cpu().float() / torch.tensor(circles, dtype=torch.float32)
    return (distances * factors.double()).clamp(max=FAR).trunc().clamp(max=limit).long()


def paint_reference(entities: Entities, tracks: Tracks, size: Size, limit: float) -> tuple[np.ndarray, np.ndarray]:
    """Gaussian map (T,H,W) uint8 0..255 and entity index (T,H,W) int16 (-1 = none), as the original drew them.

    Paths are painted in order and the last one wins: with its square in the Gaussian map, with its disc in the index,
    so the two disagree around overlaps. A path paints nothing in frames in which it is invisible.
    """
    centers = reference_centers(tracks, size).tolist()
    sides = reference_sides(entities, tracks, size, limit).tolist()
    gaussian = np.zeros((tracks.frames, size.height, size.width), np.uint8)
    entity_index = np.full((tracks.frames, size.height, size.width), -1, np.int16)
    path_entity = tracks.path_entity.tolist()
    for frame, path in tracks.visibility.cpu().nonzero().tolist():
        (x, y), side = centers[frame][path], sides[frame][path]
        _paste_gaussian(gaussian[frame], x, y, side)
        _fill_disc(entity_index[frame], x, y, side, path_entity[path])
    return gaussian, entity_index


def _paste_gaussian(picture: np.ndarray, x: int, y: int, side: int) -> None:
    height, width = picture.shape
    top, bottom = max(y - side, 0), min(y + side, height - 1)
    left, right = max(x - side, 0), min(x + side, width - 1)
    if bottom - top >= SMALLEST_PASTE and right - left >= SMALLEST_PASTE:
        picture[top:bottom, left:right] = _resized_template(right - left, bottom - top)


def _fill_disc(picture: np.ndarray, x: int, y: int, side: int, value: int) -> None:
    height, width = picture.shape
    top, bottom = max(y - side, 0), min(y + side + 1, height)
    left, right = max(x - side, 0), min(x + side + 1, width)
    if top < bottom and left < right:
        squared = np.add.outer((np.arange(top, bottom) - y) ** 2, (np.arange(left, right) - x) ** 2)
        picture[top:bottom, left:right][squared <= side**2] = value


@lru_cache(maxsize=64)
def _resized_template(width: int, height: int) -> np.ndarray:
    return cv2.resize(gaussian_template(), (width, height), interpolation=cv2.INTER_LINEAR)


def _largest_distance(mask: Tensor, size: Size) -> float:
    return float(cv2.distanceTransform(_resized(mask, size), cv2.DIST_L2, cv2.DIST_MASK_5).max())


def _resized(mask: Tensor, size: Size) -> np.ndarray:
    pixels = mask.cpu().contiguous().view(torch.uint8).numpy()
    return cv2.resize(pixels, (size.width, size.height), interpolation=cv2.INTER_LINEAR)
