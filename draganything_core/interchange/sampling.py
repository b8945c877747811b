"""A document's paths as lists of points, for formats that hold nothing else."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..camera import CAMERA_ENTITY_ID
from ..curves import curve_points, document_tracks, paint_order, path_track
from ..document import ControlPoint, MotionDocument, MotionPath
from ..types import Entities
from .losses import is_eased, path_label, warn_lost

CAMERA_NAME = "camera"
SAMPLE_DECIMALS = 3  # thousandths of a pixel, for text: computed points do not need more, drawn ones keep every digit


@dataclass(frozen=True)
class Line:
    """One path as bare points (x, y) px in order of time; path is None for the camera's own."""

    entity_id: int
    name: str
    points: tuple[tuple[float, float], ...]
    path: MotionPath | None = None


def document_lines(
    document: MotionDocument,
    format_name: str,
    entities: Entities | None = None,
    *,
    ragged: bool = True,
    decimals: int | None = None,
) -> list[Line]:
    """The document's paths as lists of points in paint order, the camera's before all others.

    A path that already is a list of samples in time keeps its points to the last digit, and with ``ragged`` however
    many there are, as long as the first path has one for each frame (by it such formats tell the clip's length).
    Every other path is sampled once a frame where its disc sits: on the line for the anchor "grabbed_point" or none,
    beside it for "center"; ``decimals`` rounds these samples. That takes the entities' masks: without entities the
    lines themselves are sampled and the camera is left out.

    Warns (InterchangeWarning) of what sampling loses.
    """
    names = {entity.id: entity.name for entity in document.entities}
    order = document_paint_order(document)
    stays = [document.camera is None and is_list_of_samples(path, document.frames) for path in order]
    if not ragged or (order and stays[0] and len(order[0].points) != document.frames):
        stays = [stay and len(path.points) == document.frames for stay, path in zip(stays, order, strict=True)]
    sampled = [path for stay, path in zip(stays, order, strict=True) if not stay]
    _warn_of_sampling(document, format_name, sampled, entities)

    lines = [Line(CAMERA_ENTITY_ID, CAMERA_NAME, _pairs(line, decimals)) for line in _camera_lines(document, entities)]
    for stay, path in zip(stays, order, strict=True):
        if stay:
            points = tuple((float(point.x), float(point.y)) for point in path.points)
        else:
            points = _pairs(_sampled(document, path, entities), decimals)
        lines.append(Line(path.entity, names.get(path.entity, ""), points, path))
    return lines


def document_paint_order(document: MotionDocument) -> list[MotionPath]:
    """The document's paths in the order in which they are painted."""
    return paint_order(document.paths, [entity.id for entity in document.entities])


def is_list_of_samples(path: MotionPath, frames: int) -> bool:
    """Whether the path's points are its disc's places in time, with nothing left to compute."""
    one_a_frame = len(path.points) == frames
    return (
        path.timing == "per_point"
        and (one_a_frame or (path.fit == "stretch" and path.curve == "polyline"))
        and path.anchor != "center"
        and not path.static
        and not is_eased(path)
    )


def drawn_visibility(path: MotionPath, document: MotionDocument) -> Tensor:
    """(T,) bool: when the path is visible by its spans and its fit, on the canvas or off it."""
    # The same path resting in the canvas's corner: what then is left of its visibility is what was drawn.
    resting = replace(path, points=(ControlPoint(0.0, 0.0),) * len(path.points))
    track = path_track(resting, document.frames, document.size, (0.0, 0.0), 1.0, "grabbed_point")
    return torch.from_numpy(track.visible)


def _camera_lines(document: MotionDocument, entities: Entities | None) -> list[Tensor]:
    if document.camera is None or entities is None:
        return []
    _, tracks = document_tracks(replace(document, paths=()), entities)
    return list(tracks.paths.unbind(dim=1))


def _sampled(document: MotionDocument, path: MotionPath, entities: Entities | None) -> Tensor:
    if entities is None:
        return curve_points(path, document.frames)
    _, tracks = document_tracks(replace(document, paths=(path,)), entities, default_anchor="grabbed_point")
    return tracks.paths[:, -1]


def _pairs(points: Tensor, decimals: int | None) -> tuple[tuple[float, float], ...]:
    if decimals is not None:
        points = points.double().round(decimals=decimals)
    return tuple((x, y) for x, y in points.tolist())


def _warn_of_sampling(
    document: MotionDocument, format_name: str, sampled: list[MotionPath], entities: Entities | None
) -> None:
    if sampled:
        warn_lost(
            f"{format_name} holds points only, {document.frames} are sampled instead of the drawing",
            (path_label(document, path) for path in sampled),
        )
    if entities is None:
        beside = [path_label(document, path) for path in sampled if path.anchor == "center"]
        if beside:
            warn_lost(f"{format_name}: without masks the line is written, not the disc's centre beside it", beside)
        if document.camera is not None:
            warn_lost(f"{format_name}: without masks the camera move is left out", ["the camera"])
    elif document.camera is not None:
        warn_lost(f"{format_name} holds a camera move as points of the whole picture only", ["the camera"])
