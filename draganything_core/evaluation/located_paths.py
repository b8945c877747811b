"""Where things went in a video whose points cannot be followed: each thing's picture, searched for in every frame.

Points are lost where a model repaints a thing from frame to frame. A search for the whole thing by its colours still
finds it, though it may also find something else that looks alike.
"""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from ..images import resized_picture
from ..types import Entities, Entity, Size, Tracks
from .locate import locate_sprite
from .track_error import TRACKER, FollowedPaths, followed_paths

SEARCH = "its own picture, searched for in every frame"
LARGEST = 0.25  # share of the picture beyond which a thing is ground, which is everywhere
STRANGE = 0.25  # difference of colours (root mean square, 0..1) beyond which the best place is not the thing


def found_paths(frames: Tensor, picture: Tensor, entities: Entities, tracks: Tracks) -> FollowedPaths:
    """The tracks' paths followed through a video; each entity that is mostly lost there is searched for; see both.

    What neither finds is given as it was followed. Raises as both.
    """
    followed = followed_paths(frames, entities, tracks)
    lost = [
        index for index in dict.fromkeys(followed.entity.tolist()) if not followed.of_entity(index).error.is_measured
    ]
    if not lost:
        return followed
    located = located_paths(frames, picture, entities, tracks)
    again = [index for index in lost if located.of_entity(index).error.is_measured]
    if not again:
        return followed
    found, seen = followed.found.clone(), followed.seen.clone()
    for column, path in enumerate(located.paths.tolist()):
        if int(located.entity[column]) in again:
            own = followed.paths == path
            found[:, own], seen[:, own] = located.found[:, column, None], located.seen[:, column, None]
    is_all = len(again) == len(followed.entity.unique())
    tracker = SEARCH if is_all else f"{TRACKER}; what it lost, by {SEARCH}"
    return replace(followed, found=found, seen=seen, tracker=tracker)


def located_paths(frames: Tensor, picture: Tensor, entities: Entities, tracks: Tracks) -> FollowedPaths:
    """Where each small thing of a picture (3,H,W) is found in a video (T,3,H,W) in 0..1, by what its mask cuts out.

    entities and tracks may be on another canvas. Things larger than a quarter of the picture, and paths that are not
    visible in the first frame, are left out. Raises ValueError if the video has another number of frames.
    """
    if tracks.frames != len(frames):
        raise ValueError(f"track error: the tracks have {tracks.frames} frames, the video has {len(frames)}")
    size = Size.of(frames)
    entities, tracks, picture = entities.resized(size), tracks.resized(size), resized_picture(picture, size)
    small = torch.tensor([entity.mask.float().mean() <= LARGEST for entity in entities])
    searched = torch.nonzero(tracks.visibility[0] & small[tracks.path_entity]).flatten()
    asked = tracks.paths[:, searched]
    found, seen = asked.clone(), torch.zeros(asked.shape[:2], dtype=torch.bool)
    for column, path in enumerate(searched.tolist()):
        cutout, middle = _cutout(picture, entities[int(tracks.path_entity[path])])
        scales = tracks.radii[:, path] / tracks.radii[0, path]
        located = locate_sprite(frames, cutout, scales, doubt_outside=True)
        # The thing keeps its place relative to the line, also where the line was grabbed at its edge.
        found[:, column] = asked[0, column] + (located.middles - middle).to(asked)
        seen[:, column] = located.differences <= STRANGE
    counted = tracks.visibility[:, searched].clone()
    counted[0] = False
    return FollowedPaths(asked, found, seen, counted, searched, tracks.path_entity[searched], SEARCH)


def _cutout(picture: Tensor, entity: Entity) -> tuple[Tensor, Tensor]:
    """(4,n,n) the thing's colours and coverage, n odd, and the pixel (x, y) of the picture that is its middle."""
    rows, columns = torch.nonzero(entity.mask, as_tuple=True)
    top, left = int(rows.min()), int(columns.min())
    bottom, right = int(rows.max()), int(columns.max())
    middle_y, middle_x = (top + bottom) // 2, (left + right) // 2
    half = max(middle_y - top, bottom - middle_y, middle_x - left, right - middle_x)
    art = torch.cat([picture, entity.mask[None].to(picture)])
    art = F.pad(art, (half, half, half, half))[
        :, middle_y : middle_y + 2 * half + 1, middle_x : middle_x + 2 * half + 1
    ]
    return art, torch.tensor([middle_x, middle_y], dtype=torch.float64)
