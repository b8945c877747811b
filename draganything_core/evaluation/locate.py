"""Where a known sprite is in a video: it is looked for by what it looks like, wherever that may be."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
import torch
from einops import rearrange
from numpy.typing import NDArray
from torch import Tensor

LEAST_INSIDE = 0.5  # of what is looked for: a place that has less of it on the picture is no candidate
DOUBT = 1.5  # then a place that is half outside must differ half as much (squared) as the best one inside
WHOLLY_INSIDE = 0.999  # of its weight: sums over a whole picture are rounded
SEPARATION = 0.5  # of the template's reach: two places of one sprite are at least this far apart

Samples = NDArray[np.float32]


class Place(NamedTuple):
    """Where a sprite was found: its middle (x, y) px, its size relative to the cutout, and how well it fits.

    difference: root mean square of the colours' differences in 0..1; 0 is a perfect match.
    """

    middle: tuple[float, float]
    scale: float
    difference: float


@dataclass(frozen=True, eq=False)
class Located:
    """The best place in each frame: middles (T,2) float64 (x, y) px, scales (T,), differences (T,) as in Place."""

    middles: Tensor
    scales: Tensor
    differences: Tensor


def locate_sprite(
    video: Tensor,
    cutout: Tensor,
    scales: float | Tensor = 1.0,
    parts: Tensor | None = None,
    *,
    doubt_outside: bool = False,
) -> Located:
    """The place of each frame of a video that looks most like a sprite, with sub-pixel middles.

    video (T,3,H,W) float in 0..1. cutout (4,n,n), n odd: red, green, blue and coverage in 0..1, its middle on the
    middle pixel. scales: its size in the video, one for all frames, (T,) one a frame, or (T,K) sizes to try in each
    frame, of which the best match is kept. parts (T,n,n) bool: which pixels of the cutout to go by in each frame, for
    a sprite that is partly hidden; all of them without.

    The whole picture is searched, and as far beyond its border as half of what is looked for stays inside. The measure
    is the squared difference of colours, weighted by coverage and divided by the weight; a parabola through its lowest
    value and the neighbours' gives the fraction of a pixel. Nothing is random, and a frame's place does not depend on
    the other frames.

    Raises ValueError on shapes that do not fit, a scale that is not > 0, a cutout or part in which nothing is left
    or that is too large for the picture, and a video with values that are not finite numbers.
    """
    best = [places[0] for places in sprite_places(video, cutout, scales, parts, doubt_outside=doubt_outside)]
    return Located(
        middles=torch.tensor([place.middle for place in best], dtype=torch.float64),
        scales=torch.tensor([place.scale for place in best], dtype=torch.float64),
        differences=torch.tensor([place.difference for place in best], dtype=torch.float64),
    )


def sprite_places(
    video: Tensor,
    cutout: Tensor,
    scales: float | Tensor = 1.0,
    parts: Tensor | None = None,
    most: int = 1,
    *,
    doubt_outside: bool = False,
) -> list[list[Place]]:
    """For each frame the places that look like a sprite, the best first: at least one and at most that many.

    They are separate local minima of the difference: where several sprites look alike, each has one. Arguments and
    errors as in ``locate_sprite``.
    """
    if most < 1:
        raise ValueError(f"locate: at least one place must be asked for, got most={most}")
    _check(video, cutout, parts)
    tried = _tried_scales(scales, len(video))
    frames = rearrange(video.detach().float().cpu(), "t c h w -> t h w c").contiguous().numpy()
    art = rearrange(cutout.detach().float().cpu(), "c h w -> h w c").numpy()
    shown = [None] * len(frames) if parts is None else list(parts.cpu().numpy())
    return [
        _places(frame, art, part, sorted(set(sizes)), most, doubt_outside)
        for frame, part, sizes in zip(frames, shown, tried, strict=True)
    ]


class _Template(NamedTuple):
    colour: Samples  # (m,m,3)
    weight: Samples  # (m,m)
    scale: float

    @property
    def reach(self) -> int:
        return len(self.weight) // 2


def _places(
    frame: Samples, art: Samples, part: NDArray[np.bool_] | None, scales: list[float], most: int, doubt_outside: bool
) -> list[Place]:
    """The best places in one frame, over all scales."""
    templates = [_template(art, part, scale) for scale in scales]
    apart = SEPARATION * min(template.reach for template in templates)
    places: list[Place] = []
    minima = (_minima(frame, template, doubt_outside) for template in templates)
    for place in heapq.merge(*minima, key=lambda place: place.difference):
        if all(math.dist(place.middle, other.middle) > apart for other in places):
            places.append(place)
        if len(places) == most:
            break
    if not places:
        raise ValueError(
            f"locate: nowhere on the {frame.shape[0]}x{frame.shape[1]} picture is half of the cutout inside "
            f"(it is {len(art)} pixels wide, scales {scales}); look for something smaller, in a video in 0..1"
        )
    return places


def _template(art: Samples, part: NDArray[np.bool_] | None, scale: float) -> _Template:
    """A cutout (n,n,4) at another size, weighted by its coverage within the part."""
    middle = len(art) // 2
    reach = int(np.ceil(middle * scale))
    side = 2 * reach + 1
    to_art = np.array([[1 / scale, 0, middle - reach / scale], [0, 1 / scale, middle - reach / scale]])
    coverage = art[..., 3:]
    laid = cv2.warpAffine(
        np.dstack([art[..., :3] * coverage, coverage]),
        to_art,
        (side, side),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
    )
    weight = laid[..., 3]
    if part is not None:
        flags = cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
        weight = weight * cv2.warpAffine(part.astype(np.float32), to_art, (side, side), flags=flags)
    if not weight.sum() > 1e-3:
        raise ValueError(f"locate: nothing is left of the cutout to look for (its weight is {weight.sum():.2g} pixels)")
    return _Template(laid[..., :3] / np.maximum(laid[..., 3:], 1e-6), weight, scale)


def _minima(frame: Samples, template: _Template, doubt_outside: bool) -> Iterator[Place]:
    """The local minima of the difference over all places of the template's middle, the lowest first."""
    margin = template.reach // 2
    difference = _differences(frame, template, margin, doubt_outside)
    lowest_around = cv2.erode(difference, np.ones((3, 3), np.uint8))
    rows, columns = np.nonzero((difference == lowest_around) & np.isfinite(difference))
    order = np.argsort(difference[rows, columns], kind="stable")
    for row, column in zip(rows[order].tolist(), columns[order].tolist(), strict=True):
        x, y = column + _fraction(difference[row], column), row + _fraction(difference[:, column], row)
        yield Place((x - margin, y - margin), template.scale, float(np.sqrt(difference[row, column])))


def _differences(frame: Samples, template: _Template, margin: int, doubt_outside: bool) -> Samples:
    """(H + 2 margin, W + 2 margin): the weighted mean squared difference with the middle at each pixel.

    Expanded into correlations, sum w (i - c)^2 = sum w i^2 - 2 sum wc i + sum wc^2, so that each is one fast transform;
    only the pixels on the picture count, unless what is outside is doubted. Values about 0.5 keep the sums small, and
    with them what is lost in rounding.
    """
    edge = template.reach + margin
    picture = cv2.copyMakeBorder(frame - 0.5, edge, edge, edge, edge, cv2.BORDER_CONSTANT, value=(0, 0, 0))
    inside = np.pad(np.ones(frame.shape[:2], np.float32), edge)
    colour, weight = template.colour - 0.5, template.weight
    weighted = np.ascontiguousarray(colour * weight[..., None])
    present = _correlated(inside, weight)
    total = (
        _correlated((picture**2).sum(axis=-1), weight)
        - 2 * _correlated(picture, weighted)
        + _correlated(inside, (weighted * colour).sum(axis=-1))
    )
    mean = total.clip(0) / (3 * present.clip(1e-6))
    share = present / weight.sum()
    wholly = share > WHOLLY_INSIDE
    if doubt_outside and wholly.any():
        mean = share * mean + (1 - share).clip(0) * DOUBT * mean[wholly].min()
    mean[share < LEAST_INSIDE] = np.inf
    return mean


def _correlated(picture: Samples, kernel: Samples) -> Samples:
    return cv2.matchTemplate(picture, kernel, cv2.TM_CCORR)


def _fraction(values: Samples, lowest: int) -> float:
    """Where the parabola through a minimum and its two neighbours is lowest, relative to it: -0.5..0.5."""
    if not 0 < lowest < len(values) - 1:
        return 0.0
    before, here, after = values[lowest - 1 : lowest + 2].astype(np.float64)
    bend = before - 2 * here + after
    if not np.isfinite(bend) or bend <= 0:
        return 0.0
    return float(np.clip((before - after) / (2 * bend), -0.5, 0.5))


def _tried_scales(scales: float | Tensor, frames: int) -> list[list[float]]:
    """For each frame the sizes to try."""
    tried = torch.as_tensor(scales, dtype=torch.float64)
    if tried.ndim == 0:
        tried = tried.expand(frames)
    if tried.ndim == 1:
        tried = tried[:, None]
    if tried.ndim != 2 or len(tried) != frames or tried.shape[1] == 0:
        raise ValueError(
            f"locate: scales must be one number, ({frames},) or ({frames}, K) for {frames} frames, "
            f"got shape {tuple(torch.as_tensor(scales).shape)}"
        )
    if not bool((torch.isfinite(tried) & (tried > 0)).all()):
        raise ValueError("locate: every scale must be a finite number > 0")
    return tried.tolist()


def _check(video: Tensor, cutout: Tensor, parts: Tensor | None) -> None:
    if video.ndim != 4 or video.shape[1] != 3 or not video.is_floating_point() or len(video) == 0:
        raise ValueError(f"locate: a video must be (T, 3, H, W) float in 0..1, got {video.dtype} {tuple(video.shape)}")
    if not bool(torch.isfinite(video).all()):
        raise ValueError("locate: the video holds a value that is not a finite number")
    side = cutout.shape[-1]
    if tuple(cutout.shape) != (4, side, side) or side % 2 == 0:
        raise ValueError(f"locate: a cutout must be (4, n, n) with odd n, got shape {tuple(cutout.shape)}")
    expected = (len(video), side, side)
    if parts is not None and (tuple(parts.shape) != expected or parts.dtype != torch.bool):
        raise ValueError(f"locate: parts must be bool {expected}, got {parts.dtype} {tuple(parts.shape)}")
