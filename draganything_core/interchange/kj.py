"""The two texts of KJNodes' SplineEditor: points_store (what is drawn) and coord_str (what is sampled from it).

points_store: [{"points": [{"x", "y", "h1x", "h1y", "h2x", "h2y"}], "color", "name", "isSinglePoint"}]; all pixels of
the editor's own canvas, y down. Handles are absolute, h1 towards the point before and h2 towards the one after; they
are there once a line was shown as Bezier. Which curve joins the points is a setting of the node, not in the text.
coord_str: [{"x", "y"}] for one line, a list of such lists for several; a point is a sample in time.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from ..document import ControlPoint, CurveKind, DocumentEntity, MotionDocument, MotionPath
from ..types import Entities, Size
from .lines import line_entity
from .loose_json import parse_text, pixel, plain
from .losses import KJ_HANDLES, warn_losses, warn_lost
from .sampling import SAMPLE_DECIMALS, document_lines, document_paint_order

POINTS_STORE = "points_store"
COORDS = "coord_str"
LOST_IN_POINTS_STORE = ("canvas", "frames", "mask", "prompts", "radius", "editor_flags", "idle", "shared", "curve",
                        "corner", "per_point", "anchor", "easing", "visibility", "radius_keys", "depth", "path_name",
                        "camera", "image", "fps", "extra")  # fmt: skip
LOST_IN_COORDS = ("canvas", "mask", "prompts", "radius", "color", "editor_flags", "name", "idle", "shared", "anchor",
                  "visibility", "radius_keys", "depth", "path_name", "image", "fps", "extra")  # fmt: skip
COLORS = ("#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b", "#e377c2", "#7f7f7f", "#bcbd22", "#17becf")
HANDLE_KEYS = ("h1x", "h1y", "h2x", "h2y")
SPLINE_KEYS = frozenset({"points", "color", "name", "isSinglePoint"})
POINT_KEYS = frozenset({"x", "y", *HANDLE_KEYS})
SAME_HANDLE = 1e-9  # px; a handle that was moved since differs by more


def read_points_store(text: str, size: Size, frames: int, curve: CurveKind = "catmull_rom") -> MotionDocument:
    """The document of a points_store text, one entity and one line per spline; the older bare point list counts as one.

    size: the editor's canvas (mask_width x mask_height); frames: of the clip; neither is in the text. A spline with
    handles becomes a Bezier curve, others the given kind. An entity's prompt is a click where its line starts.

    Raises ValueError naming the spline and the point that are wrong.
    """
    splines = parse_text(text, POINTS_STORE)
    if isinstance(splines, list) and splines and all(_is_point(item) for item in splines):
        splines = [{"points": splines}]
    if not isinstance(splines, list):
        raise ValueError(f"{POINTS_STORE}: expected a list of splines, got a {type(splines).__name__}")
    _warn_of_what_is_not_kept(splines)
    entities, paths, exact = [], [], {}
    for number, spline in enumerate(splines, start=1):
        where = f"{POINTS_STORE}: spline {number}"
        if not isinstance(spline, dict) or not isinstance(spline.get("points"), list):
            raise ValueError(f'{where}: expected an object with a list of "points", got {spline!r:.40}')
        if not spline["points"]:
            warn_lost(f"{where} has no points and is left out")
            continue
        points = tuple(_control_point(point, f"{where}, point {i}") for i, point in enumerate(spline["points"]))
        entities.append(line_entity(number, points, size, *_name_and_color(spline, number, where)))
        paths.append(
            MotionPath(
                entity=number,
                points=points,
                curve="bezier" if _has_handles(points) else curve,
                static=bool(spline.get("isSinglePoint", False)),
            )
        )
        absolute = [[point.get(key) for key in HANDLE_KEYS] for point in spline["points"]]
        if absolute != [[_absolute(point).get(key) for key in HANDLE_KEYS] for point in points]:
            exact[str(number)] = absolute
    if not paths:
        raise ValueError(f"{POINTS_STORE}: no spline with points; draw one")
    extra = {KJ_HANDLES: exact} if exact else {}
    return MotionDocument(size=size, frames=frames, entities=tuple(entities), paths=tuple(paths), extra=extra)


def write_points_store(document: MotionDocument) -> str:
    """The points_store text of a document: a spline per path in paint order, with its entity's name and colour.

    Says by InterchangeWarning what is lost. Raises ValueError when there is no path.
    """
    _check_paths(document, POINTS_STORE)
    warn_losses(document, POINTS_STORE, LOST_IN_POINTS_STORE)
    entities = {entity.id: entity for entity in document.entities}
    splines = [
        _spline(path, entities.get(path.entity), _exact_handles(document, path), index)
        for index, path in enumerate(document_paint_order(document))
    ]
    return json.dumps(splines, ensure_ascii=False)


def read_coords(text: str, size: Size, frames: int | None = None) -> MotionDocument:
    """The document of a coord_str text: one entity and one list of samples per track.

    The text may be flat or nested, JSON or with single quotes, whole or as a list of strings, a track each. size: the
    canvas, which is not in the text; frames: by default as many as the first track has points. A track of another
    length keeps its points and is stretched over the clip. An entity's prompt is a click where its line starts.

    Raises ValueError naming the track and the point that are wrong.
    """
    tracks = [
        tuple(_sample(point, f"{COORDS}: track {number}, point {i}") for i, point in enumerate(track))
        for number, track in enumerate(_tracks(parse_text(text, COORDS)), start=1)
    ]
    if not any(tracks):
        raise ValueError(f"{COORDS}: no track with points; draw one")
    empty = [f"track {number}" for number, track in enumerate(tracks, start=1) if not track]
    if empty:
        warn_lost(f"{COORDS}: tracks without points are left out", empty)
    numbered = [(number, track) for number, track in enumerate(tracks, start=1) if track]
    return MotionDocument(
        size=size,
        frames=frames or len(numbered[0][1]),
        entities=tuple(line_entity(number, track, size) for number, track in numbered),
        paths=tuple(
            MotionPath(entity=number, points=track, curve="polyline", timing="per_point", fit="stretch")
            for number, track in numbered
        ),
    )


def write_coords(document: MotionDocument, entities: Entities | None = None) -> str:
    """The coord_str text of a document: flat for one path, nested for several, in paint order.

    Paths that are more than a list of samples are sampled once a frame, rounded to thousandths of a pixel. entities:
    the document's masks, for the camera and for discs that sit beside their line (anchor "center").

    Says by InterchangeWarning what is lost. Raises ValueError when there is no path.
    """
    _check_paths(document, COORDS)
    warn_losses(document, COORDS, LOST_IN_COORDS)
    lines = document_lines(document, COORDS, entities, decimals=SAMPLE_DECIMALS)
    if not lines:
        raise ValueError(f"{COORDS}: a camera move alone needs masks to be sampled; draw a path")
    tracks = [[{"x": plain(x), "y": plain(y)} for x, y in line.points] for line in lines]
    return json.dumps(tracks[0] if len(tracks) == 1 else tracks)


def is_points_store(data: Any) -> bool:
    """Whether a JSON value has the shape of a points_store; a bare list of points only when it has handles."""
    if not isinstance(data, list) or not data:
        return False
    if all(_is_point(item) for item in data):
        return any("h1x" in point or "h2x" in point for point in data)
    return all(isinstance(item, dict) and "points" in item for item in data)


def is_coords(data: Any) -> bool:
    """Whether a JSON value has the shape of a coord_str."""
    try:
        tracks = _tracks(data)
    except ValueError:
        return False
    return any(tracks) and all(_is_point(point) for track in tracks for point in track)


def _is_point(value: Any) -> bool:
    return isinstance(value, dict) and {"x", "y"} <= value.keys()


def _tracks(value: Any) -> list[list[Any]]:
    # Down to a list of tracks, each a list of what should be points.
    if isinstance(value, str):
        return _tracks(parse_text(value, COORDS))
    if not isinstance(value, (list, tuple)):
        raise ValueError(f"{COORDS}: expected a list of points or of tracks, got {value!r:.40}")
    if any(isinstance(item, str) for item in value):
        return [track for item in value for track in _tracks(item)]
    if any(isinstance(item, (list, tuple)) for item in value):
        for number, item in enumerate(value, start=1):
            if not isinstance(item, (list, tuple)):
                raise ValueError(f"{COORDS}: track {number} must be a list of points, got {item!r:.40}")
        return [list(item) for item in value]
    return [list(value)]


def _sample(point: Any, where: str) -> ControlPoint:
    if not _is_point(point):
        raise ValueError(f'{where}: expected {{"x": ..., "y": ...}}, got {point!r:.60}')
    return ControlPoint(pixel(point["x"], f"{where}, x"), pixel(point["y"], f"{where}, y"))


def _control_point(point: Any, where: str) -> ControlPoint:
    place = _sample(point, where)
    return replace(
        place,
        handle_in=_offset(point, "h1", place.x, place.y, where),
        handle_out=_offset(point, "h2", place.x, place.y, where),
    )


def _offset(point: dict[str, Any], side: str, x: float, y: float, where: str) -> tuple[float, float] | None:
    given = [name for name in (f"{side}x", f"{side}y") if name in point]
    if not given:
        return None
    if len(given) == 1:
        raise ValueError(f"{where}: a handle needs both {side}x and {side}y, got only {given[0]}")
    return pixel(point[f"{side}x"], f"{where}, {side}x") - x, pixel(point[f"{side}y"], f"{where}, {side}y") - y


def _has_handles(points: Iterable[ControlPoint]) -> bool:
    return any(point.handle_in or point.handle_out for point in points)


def _absolute(point: ControlPoint) -> dict[str, float]:
    # Both handles or none: the editor gives a point that lacks one of them two new ones.
    if point.handle_in is None and point.handle_out is None:
        return {}
    in_x, in_y = point.handle_in or (0.0, 0.0)
    out_x, out_y = point.handle_out or (0.0, 0.0)
    return dict(zip(HANDLE_KEYS, (point.x + in_x, point.y + in_y, point.x + out_x, point.y + out_y), strict=True))


def _exact_handles(document: MotionDocument, path: MotionPath) -> list[dict[str, float]]:
    """The absolute handles of a path's points, with the digits they were read with where they were not moved since."""
    computed = [_absolute(point) for point in path.points]
    stored = document.extra.get(KJ_HANDLES)
    rows = stored.get(str(path.entity)) if isinstance(stored, dict) else None
    if not isinstance(rows, list) or len(rows) != len(computed):
        return computed
    read = [dict(zip(HANDLE_KEYS, row, strict=False)) if isinstance(row, list) else {} for row in rows]
    return [
        {key: before[key] if _is_same(before.get(key), value) else value for key, value in now.items()}
        for now, before in zip(computed, read, strict=True)
    ]


def _is_same(before: Any, value: float) -> bool:
    return isinstance(before, (int, float)) and abs(before - value) <= SAME_HANDLE


def _spline(
    path: MotionPath, entity: DocumentEntity | None, handles: list[dict[str, float]], index: int
) -> dict[str, Any]:
    points = [{"x": p.x, "y": p.y} | absolute for p, absolute in zip(path.points, handles, strict=True)]
    spline: dict[str, Any] = {
        "points": [{key: plain(float(value)) for key, value in point.items()} for point in points],
        "color": (entity.color if entity else None) or COLORS[index % len(COLORS)],
        "name": entity.name if entity else f"Spline {index + 1}",
    }
    return spline | {"isSinglePoint": True} if path.static else spline


def _name_and_color(spline: dict[str, Any], number: int, where: str) -> tuple[str, str | None]:
    name, color = spline.get("name", f"Spline {number}"), spline.get("color", COLORS[(number - 1) % len(COLORS)])
    if not isinstance(name, str):
        raise ValueError(f"{where}: name must be text, got {name!r:.40}")
    return name, color if _is_color(color) else None


def _is_color(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch("#[0-9a-fA-F]{6}", value) is not None


def _warn_of_what_is_not_kept(splines: list[Any]) -> None:
    colors, keys = [], []
    for number, spline in enumerate(splines, start=1):
        if not isinstance(spline, dict):
            continue
        points = spline.get("points")
        of_points = [p.keys() - POINT_KEYS for p in points if isinstance(p, dict)] if isinstance(points, list) else []
        unknown = (spline.keys() - SPLINE_KEYS).union(*of_points)
        if unknown:
            keys.append(f"spline {number} ({', '.join(sorted(map(str, unknown)))})")
        if "color" in spline and not _is_color(spline["color"]):
            colors.append(f"spline {number} ({spline['color']!r:.40})")
    if keys:
        warn_lost(f"{POINTS_STORE} holds keys that are not kept", keys)
    if colors:
        warn_lost(f"{POINTS_STORE} holds colours that are not kept, only those like #1f77b4 are", colors)


def _check_paths(document: MotionDocument, format_name: str) -> None:
    if not document.paths and not (document.camera and format_name == COORDS):
        raise ValueError(f"{format_name} needs at least one path; the document has none. Draw a line first.")
