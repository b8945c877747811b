"""A motion taken from a video: entities of its first frame followed through it, as a document to edit and re-drive."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
from torch import Tensor

from .annotation_config import NamedTracker, lucas_kanade
from .document import DocumentEntity, MaskSource, MotionDocument, RadiusKey
from .interchange.host_tracks import HostTracks, document_from_host
from .masks import distance_to_background, encode_rle, largest_component
from .types import Entities, Entity, Size

MOST_POINTS = 16  # of one entity


@dataclass(frozen=True, eq=False)
class VideoMotion:
    """What was found: the document and its entities on the video's canvas, the same as TRACKS, and by which tracker.

    seen: share of all points in all frames that the tracker is sure of.
    """

    document: MotionDocument
    entities: Entities
    tracks: HostTracks
    tracker: NamedTracker
    seen: float


def video_motion(
    frames: Tensor, entities: Entities, *, points: int = 1, tracker: NamedTracker | None = None
) -> VideoMotion:
    """The motion of entities of the first frame of a video (T,3,H,W) in 0..1.

    With one point an entity's path is that of its inscribed centre, which moves as most of the entity does: the tracker
    takes the median of what it follows inside the mask. With more, up to 16, the mask is shared out among places spread
    over it, and each is a path of its own, with as large a disc as the mask holds there. Discs sit on the paths; where
    the tracker is not sure of a point its disc is not visible.

    entities: on any canvas, brought to the video's size. tracker: Lucas-Kanade by default, which needs no weights.
    Raises ValueError for a single frame, no entity, or another number of points than 1 to 16.
    """
    if len(frames) < 2:
        raise ValueError(f"the video has {len(frames)} frame; to follow anything there must be at least 2")
    if not len(entities):
        raise ValueError("there is no entity to follow; give at least one mask")
    if not 1 <= points <= MOST_POINTS:
        raise ValueError(f"points must be from 1 to {MOST_POINTS} an entity, got {points}")
    tracker = tracker or lucas_kanade()
    size = Size.of(frames)
    entities = entities.resized(size)
    starts = [start_points(entity, points) for entity in entities]
    owners = [index for index, (own, _) in enumerate(starts) for _ in own]
    regions = torch.cat([_shares(entity, own) for entity, (own, _) in zip(entities, starts, strict=True)])
    paths, seen = tracker.track(frames, torch.cat([own for own, _ in starts]), regions)
    tracks = {"track_path": paths, "track_visibility": seen}
    document = document_from_host(tracks, size)
    return VideoMotion(
        document=replace(
            document,
            entities=tuple(_document_entity(entity) for entity in entities),
            paths=tuple(
                replace(path, entity=entities[owner].entity_id, radius_keys=keys)
                for path, owner, keys in zip(document.paths, owners, _radius_keys(entities, starts), strict=True)
            ),
        ),
        entities=entities,
        tracks=tracks,
        tracker=tracker,
        seen=float(seen.float().mean()),
    )


def start_points(entity: Entity, count: int) -> tuple[Tensor, Tensor]:
    """Where to follow an entity: (N,2) float32 x, y px, N <= count, and (N,) px to the mask's edge from each.

    Its inscribed centre first, then each time the pixel farthest from those before it, and half as far from the edge.
    All are in the entity's largest component; fewer than ``count`` where that has no more pixels.
    """
    component = largest_component(entity.mask).cpu().numpy().astype(np.uint8)
    bordered = cv2.copyMakeBorder(component, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    clear = distance_to_background(bordered)[1:-1, 1:-1]
    rows, columns = np.indices(component.shape)
    center_x, center_y = entity.center
    chosen = [(round(center_x), round(center_y))]
    apart = np.hypot(columns - chosen[0][0], rows - chosen[0][1])
    while len(chosen) < count:
        room = np.minimum(apart, 2 * clear)
        row, column = np.unravel_index(int(np.argmax(room)), room.shape)
        if room[row, column] <= 0:
            break
        chosen.append((int(column), int(row)))
        apart = np.minimum(apart, np.hypot(columns - column, rows - row))
    radii = torch.tensor([float(clear[y, x]) for x, y in chosen])
    return torch.tensor(chosen, dtype=torch.float32), radii


def _shares(entity: Entity, points: Tensor) -> Tensor:
    """(N,H,W) bool: the mask, divided among its points by which is nearest."""
    size = entity.size
    rows, columns = torch.meshgrid(torch.arange(size.height), torch.arange(size.width), indexing="ij")
    distances = torch.stack([torch.hypot(columns - x, rows - y) for x, y in points.tolist()])
    nearest = torch.arange(len(points))[:, None, None] == distances.argmin(dim=0)
    return nearest & entity.mask.cpu()


def _radius_keys(entities: Entities, starts: list[tuple[Tensor, Tensor]]) -> Iterator[tuple[RadiusKey, ...]]:
    """For each point the size of its disc, where it is not the entity's own."""
    for entity, (_, radii) in zip(entities, starts, strict=True):
        for radius in radii.tolist():
            scale = radius / entity.inscribed_circle.radius
            yield () if scale == 1 else (RadiusKey(0.0, scale),)


def _document_entity(entity: Entity) -> DocumentEntity:
    return DocumentEntity(
        entity.entity_id, entity.name, mask=MaskSource(rle=encode_rle(entity.mask)), radius=entity.radius_px
    )
