"""Bare lines as entities: what a reader makes of a format that knows points and nothing else."""

from __future__ import annotations

from collections.abc import Sequence

from ..document import Click, ControlPoint, DocumentEntity, Prompts
from ..types import Size


def default_name(number: int) -> str:
    """The name of an entity that came without one."""
    return f"line {number}"


def line_entity(
    number: int, points: Sequence[ControlPoint], size: Size, name: str | None = None, color: str | None = None
) -> DocumentEntity:
    """The entity that a bare line moves: the thing under its first point, for a segmenter to find."""
    return DocumentEntity(
        id=number, name=default_name(number) if name is None else name, prompts=click_on_line(points, size), color=color
    )


def click_on_line(points: Sequence[ControlPoint], size: Size) -> Prompts:
    """A click on the line's first point, or on the canvas pixel nearest to it."""
    x = min(max(points[0].x, 0.0), size.width - 1.0)
    y = min(max(points[0].y, 0.0), size.height - 1.0)
    return Prompts(points=(Click(x, y),))
