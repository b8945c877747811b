"""Small documents, entities and values that the tests of all interchange formats begin with."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import torch
from hypothesis import settings
from hypothesis import strategies as st

from draganything_core.document import (
    ControlPoint,
    DocumentEntity,
    MaskSource,
    MotionDocument,
    MotionPath,
    document_from_json,
    document_to_json,
)
from draganything_core.interchange import (
    InterchangeWarning,
)
from draganything_core.types import Entities, Entity, Size

GOLDENS = Path(__file__).parents[1] / "goldens" / "interchange"
SIZE = Size(40, 56)


def text_of(name: str) -> str:
    return (GOLDENS / name).read_text()


def rectangle(top: int, left: int, height: int, width: int) -> torch.Tensor:
    mask = torch.zeros(SIZE.height, SIZE.width, dtype=torch.bool)
    mask[top : top + height, left : left + width] = True
    return mask


def two_entities() -> Entities:
    """Two rectangles of 40x56 whose inscribed centres are far from each other."""
    masks = (Entity(4, "car", rectangle(20, 30, 9, 21)), Entity(2, "sky", rectangle(2, 3, 11, 15)))
    return Entities(masks, SIZE)


def document_of(*paths: MotionPath, frames: int = 3, **more: object) -> MotionDocument:
    entities = (
        DocumentEntity(4, "car", MaskSource(file="car.png")),
        DocumentEntity(2, "sky", MaskSource(file="s.png")),
    )
    return MotionDocument(SIZE, frames, **({"entities": entities, "paths": paths} | more))


def samples(entity: int, *points: tuple[float, float], **more: object) -> MotionPath:
    chosen = {"curve": "polyline", "timing": "per_point", "anchor": "grabbed_point"} | more
    return MotionPath(entity, tuple(ControlPoint(x, y) for x, y in points), **chosen)


def warnings_of(call, *arguments, **more) -> list[str]:
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", InterchangeWarning)
        call(*arguments, **more)
    return [str(warning.message) for warning in said if issubclass(warning.category, InterchangeWarning)]


def quietly(call, *arguments, **more):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InterchangeWarning)
        return call(*arguments, **more)


def saved_and_loaded(document: MotionDocument) -> MotionDocument:
    return document_from_json(json.loads(json.dumps(document_to_json(document))))


pixels = st.floats(-1e5, 1e5, allow_nan=False) | st.integers(-3000, 3000)
names = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
some = settings(max_examples=50, deadline=None)


def host(paths: list, visible: list | None = None) -> dict[str, torch.Tensor]:
    track_path = torch.tensor(paths, dtype=torch.float32)
    seen = torch.ones(track_path.shape[:2], dtype=torch.bool) if visible is None else torch.tensor(visible)
    return {"track_path": track_path, "track_visibility": seen}


THREE_FRAMES = [[[35, 25], [8, 6]], [[36, 26], [9.5, 7]], [[37, 27], [11, 8]]]  # (T=3, N=2), each on its entity
