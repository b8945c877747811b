"""Is it the thing that moves, all of it, and nothing else? Mask IoU, rigidity and leakage from points all over it.

A point tracker follows points spread over every mask and over the ground; the oracle row (the same in the real video)
tells how much of a figure is the tracker's own error.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from ..masks import distance_to_background
from ..types import Entities, Tracks
from .bootstrap import Mean, Ratio, Statistic
from .point_metrics import MOVING

ENTITY_POINTS = 12  # spread over each mask
GROUND_POINTS = 24  # spread over what no mask holds
EDGE = 4.0  # px that points keep from an edge, if that is ...
CORE = 0.6  # ... at most this share of the deepest place's depth: near an edge a tracker sees both sides of it
APART = 3.0  # px, at least, between two points
REACH = 14.0  # px: radius of the disc that is looked for as a point
AT_REST = 0.5  # px; what moves less than this in the real video rests
LEAST_POINTS = 3  # that must still be found: fewer tell neither a shape's place nor a slope

ENTITY_FIGURES = {
    "iou": "mask IoU",
    "rigidity": "rigidity: slope of motion against distance (0: one piece)",
    "leakage": "leakage: motion of what rests / motion asked for",
}


@dataclass(frozen=True, eq=False)
class SpreadPoints:
    """Points of the first frame to follow: places (N,2) x, y px; regions (N,H,W) bool; owner (N,), -1 the ground."""

    places: Tensor
    regions: Tensor
    owner: Tensor


@dataclass(frozen=True, eq=False)
class Followed:
    """Where the same points were found in a video: places (T,N,2) px, seen (T,N) bool."""

    places: Tensor
    seen: Tensor

    @property
    def moved(self) -> Tensor:
        """(T,N) px from where each point was in the first frame."""
        return torch.linalg.vector_norm(self.places - self.places[:1], dim=-1)


@dataclass(frozen=True)
class EntityMotion:
    """One entity: ious, one for each frame with a true mask; slopes, one for each frame in which it is to be far."""

    name: str
    ious: tuple[float, ...]
    slopes: tuple[float, ...]


@dataclass(frozen=True)
class ClipEntities:
    """The entities of one clip. leak_px: mean motion of what should rest, asked_px: of what is dragged; nan if none."""

    clip: str
    entities: tuple[EntityMotion, ...]
    leak_px: float
    asked_px: float


def spread_points(entities: Entities, first_index: Tensor) -> SpreadPoints:
    """Points over each entity's mask, and over the ground that is in no mask: first_index (H,W), 0 there.

    A whole picture (a camera's entity) gets none: it has no outline, and no ground beside it.
    """
    whole = any(bool(entity.mask.all()) for entity in entities)
    areas = [(number, e.mask, ENTITY_POINTS) for number, e in enumerate(entities) if not bool(e.mask.all())]
    areas += [] if whole else [(-1, first_index == 0, GROUND_POINTS)]
    height, width = first_index.shape
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    places, regions, owner = [], [], []
    for number, area, count in areas:
        core, chosen = _spread(area, count)
        for x, y in chosen:
            places.append((x, y))
            regions.append(core & ((columns - x) ** 2 + (rows - y) ** 2 <= REACH**2))
            owner.append(number)
    return SpreadPoints(
        torch.tensor(places, dtype=torch.float32).reshape(-1, 2),
        torch.stack(regions) if regions else torch.zeros(0, height, width, dtype=torch.bool),
        torch.tensor(owner, dtype=torch.long),
    )


def clip_entities(
    clip: str,
    points: SpreadPoints,
    video: Followed,
    real: Followed,
    entities: Entities,
    tracks: Tracks,
    index: Tensor,
    masked: Tensor,
) -> ClipEntities:
    """What a video does with its entities and its ground; points as followed in it and in the real video.

    entities and tracks at the video's size; index (T,H,W) int16, 0 none, k + 1 the k-th entity; masked (T,) bool, which
    frames have a mask. What should rest is the ground that rests in the real video. Lost points take no part.
    """
    far = MOVING * math.hypot(entities.size.height, entities.size.width)
    travelled = torch.linalg.vector_norm(tracks.paths - tracks.paths[:1], dim=-1)
    found = []
    for number, entity in enumerate(entities):
        own = points.owner == number
        if not bool(own.any()):
            continue
        own_places = points.places[own]
        ious = [
            mask_iou(carried_mask(entity.mask, own_places, video.places[frame, own], video.seen[frame, own]), truth)
            for frame in range(1, len(index))
            if bool(masked[frame]) and bool((truth := index[frame] == number + 1).any())
        ]
        slopes = [
            rigidity(video.moved[frame, own], own_places, tracks.paths[0, path], video.seen[frame, own])
            for path in torch.nonzero(tracks.path_entity == number).flatten().tolist()
            for frame in range(1, len(index))
            if bool(tracks.visibility[frame, path]) and float(travelled[frame, path]) > far
        ]
        found.append(EntityMotion(entity.name, _finite(ious), _finite(slopes)))
    counted = tracks.visibility.clone()
    counted[:1] = False
    asked = float(travelled[counted].mean()) if bool(counted.any()) else math.nan
    return ClipEntities(clip, tuple(found), _leak(points, video, real), asked)


def mask_iou(found: Tensor, truth: Tensor) -> float:
    """Intersection over union of two (H,W) bool masks; nan if both are empty."""
    union = int((found | truth).sum())
    return int((found & truth).sum()) / union if union else math.nan


def carried_mask(mask: Tensor, before: Tensor, after: Tensor, seen: Tensor) -> Tensor:
    """(H,W) bool: a mask (H,W) each of whose pixels goes where the nearest point does that is seen.

    before, after (N,2) px, seen (N,). With fewer than three such points nobody knows where it is: an empty mask. Gaps
    of a pixel, which open where points part, are closed.
    """
    carried = np.zeros(mask.shape, dtype=np.uint8)
    if int(seen.sum()) < LEAST_POINTS:
        return torch.from_numpy(carried > 0)
    rows, columns = torch.nonzero(mask, as_tuple=True)
    pixels = torch.stack([columns, rows], dim=-1).float()
    nearest = torch.cdist(pixels, before[seen]).argmin(dim=1)
    x, y = torch.floor(pixels + (after - before)[seen][nearest] + 0.5).long().unbind(-1)
    inside = (x >= 0) & (x < mask.shape[1]) & (y >= 0) & (y < mask.shape[0])
    carried[y[inside].numpy(), x[inside].numpy()] = 1
    # A border of the same kind, or closing would eat what touches the picture's edge.
    padded = cv2.copyMakeBorder(carried, 1, 1, 1, 1, cv2.BORDER_REPLICATE)
    return torch.from_numpy(cv2.morphologyEx(padded, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))[1:-1, 1:-1] > 0)


def rigidity(moved: Tensor, places: Tensor, drag_point: Tensor, seen: Tensor) -> float:
    """Slope, px/px, of how far points (N,2) of a mask moved (N,) against their distance from the drag point (2,).

    0: the whole thing goes along (so it does when nothing moves: read it beside the error). Below 0: what is far from
    the point stays behind, which is what dragging a point and not a thing does (the paper's Insight 2). nan with fewer
    than three points that are seen (N,).
    """
    if int(seen.sum()) < LEAST_POINTS:
        return math.nan
    distance = torch.linalg.vector_norm(places[seen].double() - drag_point.double(), dim=-1)
    spread = distance - distance.mean()
    variance = float((spread**2).sum())
    return float((spread * moved[seen].double()).sum()) / variance if variance > 0 else math.nan


def entity_statistics(clips: Sequence[ClipEntities]) -> dict[str, Statistic]:
    """Every figure of ENTITY_FIGURES: entities weigh the same in a clip, clips in the row; leakage is sum over sum.

    For an entity stands the mean of its IoUs, and the median of its slopes: one point gone astray tilts a line.
    """
    return {
        "iou": Mean([_mean([np.mean(e.ious) for e in clip.entities if e.ious]) for clip in clips]),
        "rigidity": Mean([_mean([np.median(e.slopes) for e in clip.entities if e.slopes]) for clip in clips]),
        "leakage": Ratio([clip.leak_px for clip in clips], [clip.asked_px for clip in clips]),
    }


def _spread(area: Tensor, count: int) -> tuple[Tensor, list[tuple[float, float]]]:
    """The core of a (H,W) area, and up to so many pixels of it, far from each other: always the same ones."""
    padded = cv2.copyMakeBorder(area.numpy().astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    depth = distance_to_background(padded)[1:-1, 1:-1]
    core = area.numpy() & (depth >= min(EDGE, CORE * float(depth.max())))
    rows, columns = np.nonzero(core)
    if not len(rows):
        return torch.from_numpy(core), []
    pixels = np.stack([columns, rows], axis=1).astype(np.float64)
    chosen = [int(depth[rows, columns].argmax())]
    apart = np.linalg.norm(pixels - pixels[chosen[0]], axis=1)
    while len(chosen) < count and apart.max() >= APART:
        chosen.append(int(apart.argmax()))
        apart = np.minimum(apart, np.linalg.norm(pixels - pixels[chosen[-1]], axis=1))
    return torch.from_numpy(core), [(float(x), float(y)) for x, y in pixels[chosen]]


def _leak(points: SpreadPoints, video: Followed, real: Followed) -> float:
    """px, mean over all frames after the first of the ground's points that should rest; nan without any."""
    resting = (points.owner == -1) & real.seen & (real.moved <= AT_REST) & video.seen
    resting[:1] = False
    return float(video.moved[resting].mean()) if bool(resting.any()) else math.nan


def _finite(values: Sequence[float]) -> tuple[float, ...]:
    return tuple(value for value in values if math.isfinite(value))


def _mean(values: Sequence[float | np.floating]) -> float:
    return float(np.mean(np.array(values))) if len(values) else math.nan
