"""How far things are from where they were dragged: tracked positions of a video against the tracks it was asked for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..point_tracker import track_points
from ..types import Entities, Size, Tracks
from .regions import tracking_regions

TRACKER = "in-mask Lucas-Kanade, forward-backward checked"
MOST_LOST = 0.5  # share of points lost beyond which nothing is claimed


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

    @property
    def is_measured(self) -> bool:
        """Whether there was anything to measure and the tracker found most of it."""
        return self.points > 0 and self.lost <= MOST_LOST

    @property
    def ratio(self) -> float:
        """mean_px over static_px: 0 obeys, 1 is no better than standing still; NaN where nothing was to move."""
        return self.mean_px / self.static_px if self.static_px > 0 else float("nan")

    def __str__(self) -> str:
        if not self.points:
            return "no visible point to measure"
        if not self.is_measured:
            return f"not measurable: the tracker lost {self.lost:.0%} of the points"
        return f"{self.mean_px:.1f} px mean, {self.median_px:.1f} px median (standing still: {self.static_px:.1f} px)"


@dataclass(frozen=True, eq=False)
class FollowedPaths:
    """Where the paths visible in the first frame were asked to go, and where the tracker found them.

    asked, found (T,N,2) x, y px of the video; seen (T,N): the tracker is sure; counted (T,N): the path is visible, and
    it is not the first frame; paths (N,): which of the tracks' paths these are; entity (N,): which entity each moves;
    tracker: what found them.
    """

    asked: Tensor
    found: Tensor
    seen: Tensor
    counted: Tensor
    paths: Tensor
    entity: Tensor
    tracker: str = TRACKER

    def of_entity(self, index: int) -> FollowedPaths:
        """Those of one entity."""
        own = self.entity == index
        return FollowedPaths(
            self.asked[:, own], self.found[:, own], self.seen[:, own], self.counted[:, own],
            self.paths[own], self.entity[own], self.tracker,
        )  # fmt: skip

    @property
    def distances(self) -> Tensor:
        """(T,N) px between asked and found."""
        return torch.linalg.vector_norm(self.found - self.asked, dim=-1)

    @property
    def error(self) -> TrackError:
        """What these paths add up to."""
        counted = self.counted
        if not bool(counted.any()):
            return TrackError(float("nan"), float("nan"), float("nan"), 0.0, 0, self.tracker)
        distances = self.distances[counted]
        static = torch.linalg.vector_norm(self.asked - self.asked[:1], dim=-1)[counted]
        return TrackError(
            mean_px=float(distances.mean()),
            median_px=float(np.median(distances.numpy())),
            static_px=float(static.mean()),
            lost=float((~self.seen[counted]).float().mean()),
            points=int(counted.sum()),
            tracker=self.tracker,
        )


def track_error(frames: Tensor, entities: Entities, tracks: Tracks) -> TrackError:
    """Track error of a video (T,3,H,W) in 0..1 whose first frame the entities' masks are of; see followed_paths."""
    return followed_paths(frames, entities, tracks).error


def followed_paths(frames: Tensor, entities: Entities, tracks: Tracks) -> FollowedPaths:
    """The tracks' paths followed through a video (T,3,H,W) in 0..1 whose first frame the entities' masks are of.

    entities and tracks may be on another canvas; they are mapped to the video's size. Paths not visible in the first
    frame cannot be followed and are left out. Raises ValueError if the video has another number of frames.
    """
    if tracks.frames != len(frames):
        raise ValueError(f"track error: the tracks have {tracks.frames} frames, the video has {len(frames)}")
    size = Size.of(frames)
    entities, tracks = entities.resized(size), tracks.resized(size)
    followed = torch.nonzero(tracks.visibility[0]).flatten()
    asked = tracks.paths[:, followed]
    counted = tracks.visibility[:, followed].clone()
    counted[0] = False
    if not bool(counted.any()):
        found, seen = asked[:1].expand_as(asked), torch.zeros_like(counted)
    else:
        regions = tracking_regions(entities, tracks, followed.tolist())
        found, seen = track_points(frames, asked[0], regions)
    return FollowedPaths(asked, found, seen, counted, followed, tracks.path_entity[followed])
