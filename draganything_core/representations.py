"""The other ways the paper compares to stand for a moving entity (its figure 2), as condition maps.

All keep the contract of ``build_condition_maps``: entities and tracks on the picture's canvas, embeddings (E,C) with
one row per entity, later paths over earlier ones, nothing painted where a path is invisible. ``gaussian`` then holds
the representation's own picture in 0..1 and ``entity_index`` the pixels that carry an entity's vector, so that a
network can be trained on any of them unchanged. Positions are mapped by (x + 0.5) s - 0.5.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import torch
from torch import Tensor

from .conditions import Geometry, build_condition_maps, check_condition_inputs, exact_condition_maps
from .drawn_motion import drawn_motion
from .types import ConditionMaps, Entities, Entity, Size, Tracks

FUTURE = 0.5  # brightness of the part of a line that is still ahead; what has been travelled is 1
LINE_PX = 3
FAR = 2**20  # px; the lines' points beyond it are drawn as this far, within what OpenCV can hold


def represented_maps(
    entities: Entities,
    tracks: Tracks,
    embeddings: Tensor,
    size: Size,
    geometry: Geometry,
    *,
    device: torch.device | str = "cpu",
) -> ConditionMaps:
    """Condition maps as weights of that geometry want them: discs, or what figure 2 sets against them."""
    if geometry.kind in ("exact", "reference"):
        maps = build_condition_maps(entities, tracks, embeddings, size, geometry, device=device)
    else:
        check_condition_inputs(entities, tracks, embeddings)
        boxes = boxes_in_radii(entities) if geometry.kind == "box" else None
        maps = represented_tracks(tracks, embeddings, size, geometry, boxes, device=device)
    return replace(maps, motion=drawn_motion(entities, tracks))


def represented_tracks(
    tracks: Tracks,
    embeddings: Tensor,
    size: Size,
    geometry: Geometry,
    boxes: Tensor | None = None,
    *,
    device: torch.device | str = "cpu",
) -> ConditionMaps:
    """``represented_maps`` without masks, as training has it. boxes: of "box", see ``boxes_in_radii``.

    Raises ValueError for the kind "reference", which needs masks, and for boxes that are not given.
    """
    if geometry.kind == "point":
        return _points_of(tracks, embeddings, size).to(device)
    if geometry.kind == "trajectory":
        return _lines_of(tracks, embeddings, size).to(device)
    if geometry.kind == "box":
        if boxes is None:
            raise ValueError("representations: boxes are drawn from the entities' bounding boxes, which are not given")
        return _boxes_of(tracks, embeddings, size, boxes).to(device)
    return exact_condition_maps(tracks, embeddings, size, geometry, device=device)


def point_map(entities: Entities, tracks: Tracks, embeddings: Tensor, size: Size) -> ConditionMaps:
    """One pixel per path and frame: 1 and the entity's vector at the pixel nearest to the point (figure 2a)."""
    check_condition_inputs(entities, tracks, embeddings)
    return _points_of(tracks, embeddings, size)


def _points_of(tracks: Tracks, embeddings: Tensor, size: Size) -> ConditionMaps:
    maps, tracks = _blank_maps(tracks, embeddings, size)
    pixels = tracks.paths.add(0.5).floor().clamp(-FAR, FAR).long()
    for path, entity in enumerate(tracks.path_entity.tolist()):
        x, y = pixels[:, path].unbind(-1)
        shown = tracks.visibility[:, path] & (x >= 0) & (x < size.width) & (y >= 0) & (y < size.height)
        frames = shown.nonzero().squeeze(-1)
        maps.gaussian[frames, 0, y[frames], x[frames]] = 1.0
        maps.entity_index[frames, y[frames], x[frames]] = entity
    return maps


def trajectory_map(
    entities: Entities, tracks: Tracks, embeddings: Tensor, size: Size, thickness_px: int = LINE_PX
) -> ConditionMaps:
    """The whole line of every path in every frame: 1 where it has passed, 0.5 where it will (figure 2b).

    The index holds the entity along the whole line. Lines join points that are visible in neighbouring frames.
    """
    if thickness_px < 1:
        raise ValueError(f"thickness_px must be >= 1, got {thickness_px}")
    check_condition_inputs(entities, tracks, embeddings)
    return _lines_of(tracks, embeddings, size, thickness_px)


def _lines_of(tracks: Tracks, embeddings: Tensor, size: Size, thickness_px: int = LINE_PX) -> ConditionMaps:
    maps, tracks = _blank_maps(tracks, embeddings, size)
    points = tracks.paths.add(0.5).floor().clamp(-FAR, FAR).int().numpy()
    for path, entity in enumerate(tracks.path_entity.tolist()):
        for frame in range(tracks.frames):
            line = points[:, path], tracks.visibility[:, path].tolist(), size, thickness_px
            future = _line(*line, frame, tracks.frames - 1)
            past = _line(*line, 0, frame)
            maps.gaussian[frame, 0][future] = FUTURE
            maps.gaussian[frame, 0][past] = 1.0
            maps.entity_index[frame][future | past] = entity
    return maps


def gaussian_map(
    entities: Entities, tracks: Tracks, embeddings: Tensor, size: Size, geometry: Geometry
) -> ConditionMaps:
    """The 2D Gaussians alone, with no entity's vector anywhere (figure 2c)."""
    maps = build_condition_maps(entities, tracks, embeddings, size, geometry)
    return replace(maps, entity_index=torch.full_like(maps.entity_index, -1))


def box_map(entities: Entities, tracks: Tracks, embeddings: Tensor, size: Size) -> ConditionMaps:
    """The mask's bounding box, filled with 1 and the entity's vector, moved along with the disc (figure 2d).

    The box keeps its place about the inscribed circle and grows as the disc's radius does. A pixel belongs to it if
    its centre does; a box between pixel centres takes the nearest ones.
    """
    check_condition_inputs(entities, tracks, embeddings)
    return _boxes_of(tracks, embeddings, size, boxes_in_radii(entities))


def boxes_in_radii(entities: Entities) -> Tensor:
    """(E,2,2) float64 x, y of each bounding box's first and last pixel edge, from the inscribed circle's centre and in
    units of its radius: with a disc's place and radius, they say where the box is."""
    boxes = [_box_about_center(entity) / entity.radius for entity in entities]
    return torch.stack(boxes) if boxes else torch.zeros(0, 2, 2, dtype=torch.float64)


def _boxes_of(tracks: Tracks, embeddings: Tensor, size: Size, boxes: Tensor) -> ConditionMaps:
    maps, tracks_on_target = _blank_maps(tracks, embeddings, size)
    scale = torch.tensor(tracks.size.scale_to(size), dtype=torch.float64)
    for path, index in enumerate(tracks.path_entity.tolist()):
        radius = tracks.radii[:, path].cpu().double()
        corners = radius[:, None, None] * (boxes[index].double() * scale)
        corners = (tracks_on_target.paths[:, path, None] + corners + 0.5).clamp(-FAR, FAR)  # as pixel edges
        first, end = corners.round().long().unbind(1)
        end = torch.maximum(end, first + 1)
        first, end = first.clamp(min=0), end.clamp(min=0)
        for frame in tracks_on_target.visibility[:, path].nonzero().flatten().tolist():
            (left, top), (right, bottom) = first[frame].tolist(), end[frame].tolist()
            maps.gaussian[frame, 0, top:bottom, left:right] = 1.0
            maps.entity_index[frame, top:bottom, left:right] = index
    return maps


def _box_about_center(entity: Entity) -> Tensor:
    """(2,2) x, y of the bounding box's first and last pixel edge, relative to the inscribed circle's centre."""
    rows, columns = entity.mask.cpu().nonzero().unbind(-1)
    first = torch.stack([columns.min(), rows.min()]) - 0.5
    last = torch.stack([columns.max(), rows.max()]) + 0.5
    return torch.stack([first, last]).double() - torch.tensor(entity.center, dtype=torch.float64)


def _line(points: np.ndarray, visible: list[bool], size: Size, thickness_px: int, first: int, last: int) -> Tensor:
    """(H,W) bool: the line through the visible points of the frames first..last."""
    canvas = np.zeros((size.height, size.width), np.uint8)
    for frame in range(first, last + 1):
        if visible[frame]:
            start = frame - 1 if frame > first and visible[frame - 1] else frame
            cv2.line(canvas, points[start].tolist(), points[frame].tolist(), 1, thickness_px)
    return torch.from_numpy(canvas.astype(bool))


def _blank_maps(tracks: Tracks, embeddings: Tensor, size: Size) -> tuple[ConditionMaps, Tracks]:
    """Empty maps of every frame, and the tracks at their size in float64, on the CPU."""
    gaussian = torch.zeros(tracks.frames, 1, size.height, size.width)
    entity_index = torch.full((tracks.frames, size.height, size.width), -1, dtype=torch.int16)
    tracks = tracks.to("cpu")
    tracks = replace(tracks, paths=tracks.paths.double()).resized(size)
    return ConditionMaps(gaussian, entity_index, embeddings.cpu().float(), size), tracks
