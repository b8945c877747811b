"""Hypothesis strategies for motion documents: everything the format can hold, and nothing it refuses."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from draganything_core.document import (
    Box,
    CameraMove,
    Click,
    ControlPoint,
    DocumentEntity,
    Easing,
    MaskSource,
    MotionDocument,
    MotionPath,
    Prompts,
    RadiusKey,
    Zoom,
)
from draganything_core.types import Size

times = st.floats(0, 1)
pixels = st.floats(-1000, 1000)
lengths = st.floats(0.001, 1000)
vectors = st.tuples(pixels, pixels)
names = st.text(max_size=8)
files = st.from_regex(r"[a-z]{1,4}(/[a-z. ]{1,4}[a-z])?\.png", fullmatch=True)

easings = st.one_of(
    st.sampled_from(["linear", "ease_in", "ease_out", "ease_in_out"]).map(Easing),
    st.tuples(times, st.floats(-10, 10), times, st.floats(-10, 10)).map(lambda four: Easing("cubic_bezier", four)),
)
points = st.builds(ControlPoint, x=pixels, y=pixels, handle_in=st.none() | vectors, handle_out=st.none() | vectors)


@st.composite
def intervals(draw: st.DrawFn) -> tuple[float, float]:
    """(start, end) clip times, start before end."""
    start, end = sorted(draw(st.lists(times, min_size=2, max_size=2, unique=True)))
    return start, end


@st.composite
def visible_spans(draw: st.DrawFn) -> tuple[tuple[float, float], ...]:
    """Spans of clip time in order, apart from each other or touching."""
    ends = sorted(draw(st.lists(times, max_size=6).filter(lambda ends: len(ends) % 2 == 0)))
    return tuple(zip(ends[::2], ends[1::2], strict=True))


@st.composite
def radius_keys(draw: st.DrawFn) -> tuple[RadiusKey, ...]:
    at = sorted(draw(st.lists(times, max_size=4, unique=True)))
    return tuple(RadiusKey(time, draw(st.floats(0.01, 100))) for time in at)


@st.composite
def motion_paths(draw: st.DrawFn, entity_ids: tuple[int, ...] = (1,)) -> MotionPath:
    start, end = draw(intervals())
    return MotionPath(
        entity=draw(st.sampled_from(entity_ids)),
        points=tuple(draw(st.lists(points, min_size=1, max_size=6))),
        curve=draw(st.sampled_from(["polyline", "catmull_rom", "bezier", "freehand"])),
        timing=draw(st.sampled_from(["arc_length", "per_point"])),
        fit=draw(st.sampled_from(["stretch", "hold", "cut"])),
        anchor=draw(st.sampled_from([None, "center", "grabbed_point"])),
        easing=draw(easings),
        start=start,
        end=end,
        visible=draw(visible_spans()),
        radius_keys=draw(radius_keys()),
        depth=draw(st.none() | pixels),
        static=draw(st.booleans()),
        name=draw(names),
    )


prompts = st.builds(
    Prompts,
    points=st.lists(st.builds(Click, pixels, pixels, st.sampled_from([0, 1])), max_size=3).map(tuple),
    box=st.none() | st.builds(Box, pixels, pixels, lengths, lengths),
    scale=st.sampled_from([None, "part", "object", "whole"]),
)
masks = st.one_of(
    st.builds(MaskSource, rle=st.text("0123456789ABCXYZ`abcno", min_size=1, max_size=12)),
    st.builds(MaskSource, file=files),
)


def document_entities(entity_id: int) -> st.SearchStrategy[DocumentEntity]:
    return st.builds(
        DocumentEntity,
        id=st.just(entity_id),
        name=names,
        mask=st.none() | masks,
        prompts=st.none() | prompts,
        radius=st.none() | lengths,
        color=st.none() | st.from_regex(r"#[0-9a-fA-F]{6}", fullmatch=True),
        locked=st.booleans(),
        hidden=st.booleans(),
    )


zooms = st.builds(
    Zoom,
    factor=st.floats(0.01, 100),
    center=vectors,
    points=st.lists(vectors, min_size=4, max_size=4).map(tuple),
)


@st.composite
def camera_moves(draw: st.DrawFn) -> CameraMove:
    pan, zoom = draw(st.tuples(st.none() | vectors, st.none() | zooms).filter(lambda both: any(map(bool, both))))
    start, end = draw(intervals())
    return CameraMove(pan, zoom, draw(easings), start, end, draw(st.booleans()))


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | names,
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(names, inside, max_size=3),
    max_leaves=6,
)


@st.composite
def motion_documents(draw: st.DrawFn) -> MotionDocument:
    """Any document that the format can hold."""
    ids = tuple(draw(st.lists(st.integers(1, 10**9), max_size=3, unique=True)))
    return MotionDocument(
        size=draw(st.builds(Size, st.integers(1, 64), st.integers(1, 64))),
        frames=draw(st.integers(1, 30)),
        entities=tuple(draw(document_entities(entity_id)) for entity_id in ids),
        paths=tuple(draw(st.lists(motion_paths(ids), max_size=3))) if ids else (),
        camera=draw(st.none() | camera_moves()),
        image=draw(st.none() | files),
        fps=draw(st.floats(0.1, 1000)),
        extra=draw(st.dictionaries(names, json_values, max_size=3)),
    )
