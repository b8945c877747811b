"""From what the user drew to where every disc is in every frame: curves, timing, anchors, visibility, radii.

Everything is computed in float64 with steps that another language repeats to 1e-9 (tests/goldens/curves.json).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from einops import rearrange
from numpy.typing import NDArray
from torch import Tensor

from .camera import CAMERA_ENTITY_ID, CameraMotion, camera_entity, camera_motion, camera_starts
from .document import Anchor, CameraMove, MotionDocument, MotionPath, RadiusKey
from .easing import Array, frame_times, progress
from .types import Entities, Size, Tracks

CHORDS = 32  # straight pieces that stand for one smooth segment
SNAP = 1e-9  # times and parameters that differ by less are the same: i / n * n is not always i in floats
DEFAULT_DEPTH = 1.0


@dataclass(frozen=True, eq=False)
class PathTrack:
    """One path's disc in every frame: points (T,2) (x, y) px, visible (T,) bool, radii (T,) px."""

    points: Array
    visible: NDArray[np.bool_]
    radii: Array


def curve_points(path: MotionPath, frames: int) -> Tensor:
    """(T,2) float64 where the line is in each frame, (x, y) canvas px, before it is anchored to an entity.

    "arc_length": a smooth segment (catmull_rom, bezier) is replaced by 32 chords between points at equal steps of its
    parameter; progress s (easing between start and end) is the fraction of the chords' total length that is behind.
    "per_point" with "stretch": progress s is point number s * (n - 1), between points along the curve's own parameter;
    "hold" and "cut": frame i is at point i, and at the last one when there are no more; start, end and easing do not
    matter. One point, or points that coincide, rest. Raises ValueError on a path without points.
    """
    if not path.points:
        raise ValueError(f"a path of entity {path.entity} has no points; draw at least one")
    return torch.from_numpy(_line(path, frames))


def path_track(
    path: MotionPath,
    frames: int,
    size: Size,
    center: tuple[float, float],
    radius: float,
    default_anchor: Anchor,
    carried_by: CameraMotion | None = None,
) -> PathTrack:
    """One path's disc for an entity with that inscribed centre (x, y) and radius, on a canvas of that size.

    Anchor "center": the centre plus the line's displacement from its first point; "grabbed_point": the line itself.
    A camera that carries it moves that point and scales the radius. Visible: within a span, before a "cut" line has
    ended, and with the disc's centre on the canvas.
    """
    points = _anchored(curve_points(path, frames).numpy(), path, center, default_anchor)
    radii = radius * _radius_factors(path.radius_keys, frames)
    if carried_by is not None:
        points, radii = carried_by.moved(points), radii * carried_by.scale
    return PathTrack(points, _in_spans(path, frames) & on_canvas(points, size), radii)


def camera_tracks(camera: CameraMove, frames: int, size: Size, radius: float) -> list[PathTrack]:
    """The camera's own discs of that radius: one (pan) or four (zoom). Visible while on the canvas."""
    motion = camera_motion(camera, frames)
    lines = [motion.moved(start) for start in camera_starts(camera, size)]
    return [PathTrack(line, on_canvas(line, size), np.full(frames, radius)) for line in lines]


def document_tracks(
    document: MotionDocument, entities: Entities, default_anchor: Anchor = "center"
) -> tuple[Entities, Tracks]:
    """The document's entities and where each path's disc is, in paint order (the last one wins).

    Paint order: the camera, then entity order and within an entity path order; where any path has a depth, far
    (large) before near. A camera move puts the whole picture in front of the entities, with id 0, so that
    ``path_entity`` counts in the entities returned. default_anchor is for paths that leave the choice to the weights.
    Raises ValueError where entities have another size than the canvas, or a path's entity is not among them.
    """
    if default_anchor not in ("center", "grabbed_point"):
        raise ValueError(f'default_anchor must be "center" or "grabbed_point", got {default_anchor!r}')
    if entities.size != document.size:
        raise ValueError(
            f"the entities are {entities.size}, the document's canvas is {document.size}. Resize the entities to it."
        )
    indices = {entity.entity_id: index for index, entity in enumerate(entities)}
    camera, frames, size = document.camera, document.frames, document.size
    carrier = camera_motion(camera, frames) if camera is not None and camera.carries_entities else None
    tracks = []
    for path in paint_order(document.paths, list(indices)):
        index = indices[path.entity]
        track = path_track(path, frames, size, entities[index].center, entities[index].radius, default_anchor, carrier)
        tracks.append((index, track))
    if camera is None:
        return entities, _stacked(tracks, document)
    if CAMERA_ENTITY_ID in indices:
        raise ValueError(f"entity id {CAMERA_ENTITY_ID} is the camera's; give the other entity another id")
    picture = camera_entity(size)
    of_camera = [(0, track) for track in camera_tracks(camera, frames, size, picture.radius)]
    of_entities = [(index + 1, track) for index, track in tracks]
    return Entities((picture, *entities), size), _stacked(of_camera + of_entities, document)


def paint_order(paths: tuple[MotionPath, ...], entity_ids: list[int]) -> list[MotionPath]:
    """Paths in entity order, then in their own; far (large depth) before near. A path without a depth is at 1.

    Raises ValueError for a path of an entity that is not among ``entity_ids``.
    """
    for path in paths:
        if path.entity not in entity_ids:
            raise ValueError(f"a path moves entity {path.entity}, expected one of {entity_ids}. Add its mask.")
    by_entity = sorted(paths, key=lambda path: entity_ids.index(path.entity))
    return sorted(by_entity, key=lambda path: -(DEFAULT_DEPTH if path.depth is None else path.depth))


def on_canvas(points: Array, size: Size) -> NDArray[np.bool_]:
    """(T,) whether each point lies on the canvas, whose pixels reach half a pixel around their centres."""
    limit = np.array([size.width, size.height]) - 0.5
    inside: NDArray[np.bool_] = np.all((points >= -0.5) & (points <= limit), axis=-1)
    return inside


# The line


def _line(path: MotionPath, frames: int) -> Array:
    points = np.array([(point.x, point.y) for point in path.points], dtype=np.float64)
    times = frame_times(frames)
    if path.static:
        return np.repeat(points[:1], len(times), axis=0)
    if path.timing == "arc_length":
        return _at_length(_flattened(path, points), progress(path.easing, path.start, path.end, frames))
    if path.timing != "per_point":
        raise ValueError(f'timing must be "arc_length" or "per_point", got {path.timing!r}')
    if path.fit == "stretch":
        return _at_point_number(path, points, progress(path.easing, path.start, path.end, frames) * (len(points) - 1))
    if path.fit not in ("hold", "cut"):
        raise ValueError(f'fit must be "stretch", "hold" or "cut", got {path.fit!r}')
    return points[np.minimum(np.arange(frames), len(points) - 1)]


def _at_length(line: Array, fractions: Array) -> Array:
    """(T,2) points at those fractions of the length of a line of straight pieces."""
    lengths = np.hypot(*np.diff(line, axis=0).T)
    behind = np.concatenate([[0.0], np.cumsum(lengths)])
    distinct = np.append(np.diff(behind) > 0, True)  # a piece without length would divide by zero
    targets = fractions * behind[-1]
    return np.stack([np.interp(targets, behind[distinct], line[distinct, axis]) for axis in (0, 1)], axis=-1)


def _at_point_number(path: MotionPath, points: Array, numbers: Array) -> Array:
    """(T,2) points at fractional point numbers; whole numbers give the points themselves, bit for bit."""
    if len(points) == 1:
        return np.repeat(points, len(numbers), axis=0)
    nearest = np.rint(numbers)
    numbers = np.where(np.abs(numbers - nearest) < SNAP, nearest, numbers)
    first = np.minimum(numbers.astype(np.int64), len(points) - 2)
    return _bezier(_segments(path, points)[first], numbers - first)


def _flattened(path: MotionPath, points: Array) -> Array:
    """(M,2) the straight pieces that stand for the curve."""
    if path.curve in ("polyline", "freehand") or len(points) == 1:
        return points
    steps = np.arange(CHORDS) / CHORDS
    segments = _segments(path, points)
    pieces = _bezier(np.repeat(segments, CHORDS, axis=0), np.tile(steps, len(segments)))
    return np.concatenate([pieces, points[-1:]])


def _segments(path: MotionPath, points: Array) -> Array:
    """(n-1,4,2) cubic Bezier control points of each segment, in whatever kind the curve was drawn."""
    first, last = points[:-1], points[1:]
    if path.curve in ("polyline", "freehand"):
        inner = (2 * first + last) / 3, (first + 2 * last) / 3
    elif path.curve == "catmull_rom":
        inner = _catmull_rom_handles(points)
    elif path.curve == "bezier":
        out = np.array([point.handle_out or (0.0, 0.0) for point in path.points[:-1]], dtype=np.float64)
        into = np.array([point.handle_in or (0.0, 0.0) for point in path.points[1:]], dtype=np.float64)
        inner = first + out, last + into
    else:
        raise ValueError(f"curve must be polyline, catmull_rom, bezier or freehand, got {path.curve!r}")
    return np.stack([first, *inner, last], axis=1)


def _catmull_rom_handles(points: Array) -> tuple[Array, Array]:
    """The two inner Bezier points of each segment of a centripetal Catmull-Rom curve (Yuksel et al. 2011, alpha 0.5).

    The curve's ends continue by reflection (2 p0 - p1). A point drawn twice makes a corner.
    """
    padded = np.concatenate([2 * points[:1] - points[1:2], points, 2 * points[-1:] - points[-2:-1]])
    steps = np.diff(padded, axis=0)
    knots = np.sqrt(np.hypot(*steps.T))  # distance ** 0.5
    before, along, after = knots[:-2], knots[1:-1], knots[2:]
    out = _handle(steps[:-2], steps[1:-1], before, along)
    into = _handle(-steps[2:], -steps[1:-1], after, along)
    return points[:-1] + out, points[1:] + into


def _handle(neighbour: Array, segment: Array, beside: Array, along: Array) -> Array:
    """(n,2) offset of a segment's handle; zero where the neighbouring or the own segment has no length."""
    # As ratios of knots, never products: those of the tiniest lengths would underflow to 0 / 0.
    usable = (beside > 0) & (along > 0)
    safe_beside, safe_along = np.where(usable, beside, 1.0), np.where(usable, along, 1.0)
    of_segment = safe_beside / (safe_beside + safe_along)
    of_neighbour = (safe_along / safe_beside) * (safe_along / (safe_beside + safe_along))
    offset = (of_segment[:, None] * segment + of_neighbour[:, None] * neighbour) / 3
    return np.where(usable[:, None], offset, 0.0)


def _bezier(control: Array, parameter: Array) -> Array:
    """(K,2) points of K cubic Beziers (K,4,2), each at its own parameter 0..1."""
    t = parameter[:, None]
    rest = 1.0 - t
    return (
        rest**3 * control[:, 0]
        + 3 * rest**2 * t * control[:, 1]
        + 3 * rest * t**2 * control[:, 2]
        + t**3 * control[:, 3]
    )


# The disc on the line


def _anchored(line: Array, path: MotionPath, center: tuple[float, float], default_anchor: Anchor) -> Array:
    if (path.anchor or default_anchor) == "grabbed_point":
        return line
    origin = np.array([path.points[0].x, path.points[0].y], dtype=np.float64)
    return np.array(center, dtype=np.float64) + (line - origin)


def _in_spans(path: MotionPath, frames: int) -> NDArray[np.bool_]:
    times = frame_times(frames)
    spans = [(times >= start - SNAP) & (times <= end + SNAP) for start, end in path.visible]
    visible = np.logical_or.reduce([np.zeros(frames, dtype=bool), *spans])
    if path.timing == "per_point" and path.fit == "cut" and not path.static:
        visible &= np.arange(frames) < len(path.points)
    return visible


def _radius_factors(keys: tuple[RadiusKey, ...], frames: int) -> Array:
    if not keys:
        return np.ones(frames)
    return np.interp(frame_times(frames), [key.time for key in keys], [key.scale for key in keys])


# All of them


def _stacked(tracks: list[tuple[int, PathTrack]], document: MotionDocument) -> Tracks:
    frames, count = document.frames, len(tracks)
    points = np.array([track.points for _, track in tracks], dtype=np.float64).reshape(count, frames, 2)
    visible = np.array([track.visible for _, track in tracks], dtype=bool).reshape(count, frames)
    radii = np.array([track.radii for _, track in tracks], dtype=np.float64).reshape(count, frames)
    return Tracks(
        paths=torch.from_numpy(rearrange(points, "p t c -> t p c")).float().contiguous(),
        path_entity=torch.tensor([index for index, _ in tracks], dtype=torch.long),
        visibility=torch.from_numpy(rearrange(visible, "p t -> t p")).contiguous(),
        radii=torch.from_numpy(rearrange(radii, "p t -> t p")).float().contiguous(),
        size=document.size,
    )
