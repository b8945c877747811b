"""How far things are from where they were dragged: tracked positions of a video against the tracks it was asked for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..point_tracker import track_points
from ..types import Entities, Size, Tracks

TRACKER = "in-mask Lucas-Kanade, forward-backward checked"
CAMERA_PATCH = 1 / 8  # radius of the patch followed at each of a camera's points, of the short side


@dataclass(frozen=True)
class TrackError:
    """Distances in px of the video between asked and found positions, over visible frames after the first.

    static_px: the mean distance had nothing moved at all, the figure to beat; lost: share of those points that the
    tracker did not find again (it then holds the last position); points: how many distances there are.
    """

    mean_px: float
    median_px: float
    static_px: float
    lost: float
    points: int
    tracker: str = TRACKER

    def __str__(self) -> str:
        if not self.points:
            return "no visible point to measure"
        if self.lost > 0.5:
            return f"not measurable: the tracker lost {self.lost:.0%} of the points"
        return f"{self.mean_px:.1f} px mean, {self.median_px:.1f} px median (standing still: {self.static_px:.1f} px)"


def track_error(frames: Tensor, entities: Entities, tracks: Tracks) -> TrackError:
    """Track error of a video (T,3,H,W) in 0..1 whose first frame the entities' masks are of.

    entities and tracks may be on another canvas; they are mapped to the video's size. Paths not visible in the first
    frame cannot be followed and are left out. Raises ValueError if the video has another number of frames.
    """
    if tracks.frames != len(frames):
        raise ValueError(f"track error: the tracks have {tracks.frames} frames, the video has {len(frames)}")
    size = Size.of(frames)
    entities, tracks = entities.resized(size), tracks.resized(size)
    followed = torch.nonzero(tracks.visibility[0]).flatten().tolist()
    if not followed or tracks.frames < 2:
        return TrackError(float("nan"), float("nan"), float("nan"), 0.0, 0)
    asked = tracks.paths[:, followed]
    regions = torch.stack([_region(entities, tracks, path, size) for path in followed])
    found, seen = track_points(frames, asked[0], regions)
    counted = tracks.visibility[1:, followed]
    if not bool(counted.any()):
        return TrackError(float("nan"), float("nan"), float("nan"), 0.0, 0)
    distances = torch.linalg.vector_norm(found - asked, dim=-1)[1:][counted]
    static = torch.linalg.vector_norm(asked - asked[:1], dim=-1)[1:][counted]
    return TrackError(
        mean_px=float(distances.mean()),
        median_px=float(np.median(distances.numpy())),
        static_px=float(static.mean()),
        lost=float((~seen[1:][counted]).float().mean()),
        points=int(counted.sum()),
    )


def _region(entities: Entities, tracks: Tracks, path: int, size: Size) -> Tensor:
    """(H,W) bool: where to look for a path's texture. A whole picture moves differently in each place, so a patch."""
    mask = entities[int(tracks.path_entity[path])].mask
    if not bool(mask.all()):
        return mask
    x, y = tracks.paths[0, path].tolist()
    rows, columns = torch.meshgrid(torch.arange(size.height), torch.arange(size.width), indexing="ij")
    return (columns - x) ** 2 + (rows - y) ** 2 <= (CAMERA_PATCH * min(size.height, size.width)) ** 2
