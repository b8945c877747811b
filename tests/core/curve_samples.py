"""Lines and entities that the tests of curves, tracks and cameras begin with."""

from __future__ import annotations

from typing import Any

import torch

from draganything_core.curves import document_tracks
from draganything_core.document import (
    CameraMove,
    ControlPoint,
    DocumentEntity,
    MotionDocument,
    MotionPath,
)
from draganything_core.types import Entities, Entity, Size, Tracks

SIZE = Size(40, 56)
LINE = ((0.0, 10.0), (4.0, 10.0))


def line(*points: tuple[float, float], **options: Any) -> MotionPath:
    return MotionPath(options.pop("entity", 1), tuple(ControlPoint(x, y) for x, y in points), **options)


def entity(entity_id: int, x: int, y: int, half: int = 3) -> Entity:
    """A square of odd side around (x, y): its inscribed centre is that pixel, its radius half + 1."""
    mask = torch.zeros(SIZE.height, SIZE.width, dtype=torch.bool)
    mask[y - half : y + half + 1, x - half : x + half + 1] = True
    return Entity(entity_id, f"square {entity_id}", mask)


def tracks_of(
    *paths: MotionPath,
    frames: int = 5,
    camera: CameraMove | None = None,
    entities: tuple[Entity, ...] | None = None,
    **options: Any,
) -> tuple[Entities, Tracks]:
    entities = (entity(1, 20, 15), entity(2, 40, 25)) if entities is None else entities
    drawn = tuple(DocumentEntity(item.entity_id, item.name) for item in entities)
    document = MotionDocument(SIZE, frames, drawn, paths, camera)
    return document_tracks(document, Entities(entities, SIZE), **options)
