"""Where in the first frame the texture lies that a path is followed by."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..types import Entities, Tracks

CAMERA_PATCH = 1 / 8  # of the short side: radius of the patch followed at each point of a whole picture


def tracking_regions(entities: Entities, tracks: Tracks, paths: Sequence[int]) -> Tensor:
    """(N,H,W) bool: the part of the first frame that moves with each of these paths.

    It is the entity's mask. A whole picture moves differently in each place: there it is a patch about the point.
    """
    size = tracks.size
    rows, columns = torch.meshgrid(torch.arange(size.height), torch.arange(size.width), indexing="ij")
    reach = CAMERA_PATCH * min(size.height, size.width)
    regions = []
    for path in paths:
        mask = entities[int(tracks.path_entity[path])].mask
        x, y = tracks.paths[0, path].tolist()
        regions.append((columns - x) ** 2 + (rows - y) ** 2 <= reach**2 if bool(mask.all()) else mask)
    return torch.stack(regions) if regions else torch.zeros(0, size.height, size.width, dtype=torch.bool)
