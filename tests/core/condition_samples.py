"""Masks and tracks that the tests of condition maps begin with."""

from __future__ import annotations

import torch
from hypothesis import strategies as st

from draganything_core.conditions import (
    Geometry,
)
from draganything_core.types import Entities, Entity, Size, Tracks

EXACT = Geometry("exact")


def square_mask(size: Size, left: int, top: int, side: int) -> torch.Tensor:
    mask = torch.zeros(size.height, size.width, dtype=torch.bool)
    mask[top : top + side, left : left + side] = True
    return mask


def some_entities(count: int, size: Size) -> Entities:
    """Squares of growing sides down the picture's diagonal."""
    masks = [square_mask(size, 2 + 3 * i, 1 + 2 * i, 5 + 2 * i) for i in range(count)]
    return Entities(tuple(Entity(10 + i, f"square {i}", mask) for i, mask in enumerate(masks)), size)


def some_tracks(points: list, radii: list, path_entity: list[int], size: Size, visible: list | None = None) -> Tracks:
    """Tracks from points (T,P,2), radii (T,P) and, if some are hidden, visibility (T,P)."""
    paths = torch.tensor(points, dtype=torch.float32).reshape(len(points), len(path_entity), 2)
    radii = torch.tensor(radii, dtype=torch.float32).reshape(len(points), len(path_entity))
    visibility = torch.tensor(visible) if visible else torch.ones(radii.shape, dtype=torch.bool)
    return Tracks(paths, torch.tensor(path_entity, dtype=torch.long), visibility, radii, size)


def table(entities: Entities, channels: int = 3) -> torch.Tensor:
    return torch.arange(1.0, 1 + len(entities) * channels).reshape(len(entities), channels)


radii = st.integers(0, 8 * 14).map(lambda n: n / 8)
