"""How much moves in a video, as Stable Video Diffusion's motion bucket id tells it, read off what is drawn.

SVD was told in its training how much moves in each clip. A video model that believes it holds the ground still where
next to nothing is said to move, against a ControlNet that is to move it. So weights that were trained with each clip's
own id are asked with the id that the masks and lines call for.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import fmean
from typing import Any

import torch
from torch import Tensor

from .types import Entities, Tracks

HIGHEST_MOTION_BUCKET = 255
MOTION_BUCKETS_PER_PERCENT = 110  # SVD's own scale was never published


def drawn_motion(entities: Entities, tracks: Tracks) -> float:
    """How far the mean pixel is drawn to go in a frame, in percent of the short side; 0 where nothing moves.

    Every pixel of an entity's mask goes as far as the entity's points do on average, between the first and the last
    frame in which they are visible. Where masks overlap the smaller one counts; what no mask covers, rests.
    """
    speeds = [
        _speed(points[seen], seen) for points, seen in zip(tracks.paths.unbind(1), tracks.visibility.T, strict=True)
    ]
    moved = torch.zeros(tracks.size.height, tracks.size.width)
    by_area = sorted(range(len(entities)), key=lambda index: -int(entities[index].mask.sum()))
    for index in by_area:
        own = [speeds[path] for path in torch.nonzero(tracks.path_entity == index).flatten().tolist()]
        moved[entities[index].mask] = fmean(own or [0.0])
    return 100 * float(moved.mean()) / min(tracks.size.height, tracks.size.width)


def motion_bucket(motion: float, per_percent: float = MOTION_BUCKETS_PER_PERCENT) -> int:
    """0..255: so many for each percent of the short side that the mean pixel moves in a frame.

    On the scale of the default, clips in which sprites move over a resting ground are mostly at 10 to 90, those with a
    moving ground above 110. Raises ValueError for a motion that is not known.
    """
    if not (math.isfinite(motion) and motion >= 0):
        raise ValueError(f"motion must be known, in percent of the short side per frame, got {motion}")
    return min(HIGHEST_MOTION_BUCKET, round(per_percent * motion))


def wanted_motion_bucket(choices: Mapping[str, Any], motion: float | None) -> float:
    """The id that weights with these choices want where nobody gives one; motion: see ``drawn_motion``, if known."""
    per_percent = choices["motion_buckets_per_percent"]
    if per_percent is None or motion is None:
        return float(choices["motion_bucket_id"])
    return float(motion_bucket(motion, per_percent))


def _speed(points: Tensor, seen: Tensor) -> float:
    """px a frame along the points (n,2) of the frames (T,) bool in which a path is visible; straight between them."""
    frames = torch.nonzero(seen).flatten()
    if len(frames) < 2:
        return 0.0
    return float(torch.linalg.vector_norm(points.diff(dim=0), dim=-1).sum() / (frames[-1] - frames[0]))
