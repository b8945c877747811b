"""How far the ground, or the whole picture under a camera, is from where it was asked to go in a generated video.

As the small model's evaluation has it (draganything_core/evaluation/sprite_search.py), without a clip that knows the
truth: a disc of the first frame about each path's start stands for the path, and is searched for in every frame.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from draganything_core.camera import camera_motion
from draganything_core.document import MotionDocument
from draganything_core.evaluation.locate import locate_sprite
from draganything_core.evaluation.located_paths import LARGEST, STRANGE
from draganything_core.evaluation.sprite_search import LEAST_SEEN, PATCH
from draganything_core.evaluation.track_error import FollowedPaths, TrackError
from draganything_core.types import Entities, Size, Tracks


def ground_error(
    frames: Tensor, picture: Tensor, document: MotionDocument, entities: Entities, tracks: Tracks
) -> TrackError:
    """Track error of the paths of what fills more than a quarter of a picture (3,H,W), in a video (T,3,H,W) as large.

    entities, tracks: the document's, the camera's among them. Both the size that the camera's zoom asks for and that
    of the first frame are tried. Frames that should show less than a quarter of a disc are not counted.
    """
    large = [path for path, owner in enumerate(tracks.path_entity.tolist()) if _fills(entities, owner)]
    asked = tracks.paths[:, large]
    still = np.ones(len(frames))
    zoom = camera_motion(document.camera, len(frames)).scale if document.camera else still
    scales = torch.from_numpy(np.stack([zoom, still], axis=1))
    found, seen = asked.clone(), torch.zeros(asked.shape[:2], dtype=torch.bool)
    counted = tracks.visibility[:, large].clone()
    for column, path in enumerate(large):
        nearest = asked[0, column].round()
        patch = _patch(picture, entities[int(tracks.path_entity[path])].mask, nearest)
        middles = asked[:, column] + (nearest - asked[0, column]) * scales[:, :1]
        parts = _shown_parts(patch, middles, scales[:, 0], tracks.size)
        shares = (patch[3] * parts).sum(dim=(1, 2)) / patch[3].sum()
        sought = torch.nonzero(shares >= LEAST_SEEN).flatten()
        located = locate_sprite(frames[sought], patch, scales[sought], parts[sought], doubt_outside=True)
        offset = (asked[0, column] - nearest).to(located.middles) * located.scales[:, None]
        found[sought, column] = (located.middles + offset).to(found)
        seen[sought, column] = located.differences <= STRANGE
        counted[shares < LEAST_SEEN, column] = False
    counted[0] = False
    return FollowedPaths(asked, found, seen, counted, torch.tensor(large), tracks.path_entity[large]).error


def _fills(entities: Entities, index: int) -> bool:
    return bool(entities[index].mask.float().mean() > LARGEST)


def _patch(picture: Tensor, mask: Tensor, middle: Tensor) -> Tensor:
    """(4,n,n) the picture's colours about a pixel (x, y), and as coverage the mask within a disc."""
    reach = math.ceil(PATCH * min(picture.shape[1:]))
    x, y = (int(place) for place in middle)
    padded = F.pad(torch.cat([picture, mask[None].to(picture)]), [reach] * 4)
    patch = padded[:, y : y + 2 * reach + 1, x : x + 2 * reach + 1].clone()
    steps = torch.arange(-reach, reach + 1)
    patch[3] *= steps**2 + steps[:, None] ** 2 <= reach**2
    return patch


def _shown_parts(patch: Tensor, middles: Tensor, scales: Tensor, size: Size) -> Tensor:
    """(T,n,n) bool: which pixels of a patch lie on the canvas with its middle at (T,2) x, y px and its scale (T,)."""
    steps = torch.arange(patch.shape[-1]) - patch.shape[-1] // 2
    columns, rows = (middles[:, axis, None] + steps * scales[:, None] for axis in (0, 1))
    inside_columns = (columns > -0.5) & (columns < size.width - 0.5)
    inside_rows = (rows > -0.5) & (rows < size.height - 0.5)
    return inside_rows[:, :, None] & inside_columns[:, None, :]
