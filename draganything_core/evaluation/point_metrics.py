"""End-point error and its kin: how far dragged points are from where they were to go.

Frames count where the truth sees the point, after the first: there every video is right. Points of no entity (void)
are asked of nobody. A path's mean stands for it, the mean of its paths for a clip, the mean of clips for the row, so
that neither a long clip nor one full of things outweighs the others; only the median is of all points together.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..types import Size
from .bootstrap import Mean, Median, Ratio, Statistic

PCK_SHORT_SIDE = 256  # px; PCK thresholds are px of a picture whose short side is this
PCK_THRESHOLDS = (4, 8, 16)
MOVING = 0.05  # of the diagonal: what is to go farther than this at some time counts as moving

POINT_FIGURES = {
    "ratio": "error / error of standing still",
    "mean_px": "end-point error, px",
    "median_px": "end-point error, median, px",
    "capped_px": "error, each at most the diagonal, px",
    "diagonal_percent": "error, % of the diagonal",
    **{f"pck_{threshold}": f"within {threshold} px of {PCK_SHORT_SIDE}" for threshold in PCK_THRESHOLDS},
    "moving_ratio": "moving only: error / standing still",
    "moving_px": "moving only: error, px",
    "static_px": "error of standing still, px",
    "lost": "share of points not found again",
}


@dataclass(frozen=True)
class PathPoints:
    """One path's distances in px, one for each counted frame.

    errors: from where the point was asked to be to where it was found; standing: to where it was in the first frame,
    the error had nothing moved. lost: in how many of these frames it was not found again (its last place counts then).
    """

    name: str
    errors: tuple[float, ...]
    standing: tuple[float, ...]
    lost: int = 0


@dataclass(frozen=True)
class ClipPoints:
    """The paths of one clip, in px of ``size``."""

    clip: str
    size: Size
    paths: tuple[PathPoints, ...]


def path_points(names: Sequence[str], asked: Tensor, visible: Tensor, found: Tensor, seen: Tensor) -> list[PathPoints]:
    """The distances of P paths: asked and found (T,P,2) px, visible (truth) and seen (tracker) (T,P) bool.

    Paths that the truth never sees after the first frame have no distances. Raises ValueError if shapes disagree.
    """
    shape = tuple(asked.shape)
    if len(shape) != 3 or shape[-1] != 2 or len(names) != shape[1]:
        raise ValueError(f"point metrics: {len(names)} names need asked points of (T, {len(names)}, 2), got {shape}")
    for title, tensor, expected in (
        ("found", found, shape),
        ("visible", visible, shape[:2]),
        ("seen", seen, shape[:2]),
    ):
        if tuple(tensor.shape) != expected:
            raise ValueError(f"point metrics: {title} must be {expected} as asked is, got {tuple(tensor.shape)}")
    counted = visible.clone()
    counted[:1] = False
    errors = torch.linalg.vector_norm(found.double() - asked.double(), dim=-1)
    standing = torch.linalg.vector_norm(asked.double() - asked[:1].double(), dim=-1)
    return [
        PathPoints(
            name,
            tuple(errors[counted[:, path], path].tolist()),
            tuple(standing[counted[:, path], path].tolist()),
            int((~seen[counted[:, path], path]).sum()),
        )
        for path, name in enumerate(names)
    ]


def point_statistics(clips: Sequence[ClipPoints]) -> dict[str, Statistic]:
    """Every figure of POINT_FIGURES over these clips. A clip without a counted point takes no part."""
    moving = [_moving(clip) for clip in clips]
    errors, standing = [_clip_mean(clip.paths) for clip in clips], [_clip_mean(clip.paths, True) for clip in clips]
    diagonals = [_diagonal(clip.size) for clip in clips]
    capped = [
        _mean([np.mean(np.minimum(path.errors, diagonal)) for path in clip.paths if path.errors])
        for clip, diagonal in zip(clips, diagonals, strict=True)
    ]
    return {
        "ratio": Ratio(errors, standing),
        "mean_px": Mean(errors),
        "median_px": Median([[error for path in clip.paths for error in path.errors] for clip in clips]),
        "capped_px": Mean(capped),
        "diagonal_percent": Mean([100 * error / whole for error, whole in zip(errors, diagonals, strict=True)]),
        **{
            f"pck_{threshold}": Mean([_share_within(clip, threshold) for clip in clips]) for threshold in PCK_THRESHOLDS
        },
        "moving_ratio": Ratio([_clip_mean(paths) for paths in moving], [_clip_mean(paths, True) for paths in moving]),
        "moving_px": Mean([_clip_mean(paths) for paths in moving]),
        "static_px": Mean(standing),
        "lost": Mean([_mean([path.lost / len(path.errors) for path in clip.paths if path.errors]) for clip in clips]),
    }


def _moving(clip: ClipPoints) -> tuple[PathPoints, ...]:
    far = MOVING * _diagonal(clip.size)
    return tuple(path for path in clip.paths if path.standing and max(path.standing) > far)


def _share_within(clip: ClipPoints, threshold: float) -> float:
    allowed = threshold * min(clip.size.height, clip.size.width) / PCK_SHORT_SIDE
    return _mean([np.mean(np.array(path.errors) <= allowed) for path in clip.paths if path.errors])


def _clip_mean(paths: Sequence[PathPoints], standing: bool = False) -> float:
    return _mean([np.mean(path.standing if standing else path.errors) for path in paths if path.errors])


def _mean(values: Sequence[float | np.floating]) -> float:
    return float(np.mean(np.array(values))) if len(values) else math.nan


def _diagonal(size: Size) -> float:
    return math.hypot(size.height, size.width)
