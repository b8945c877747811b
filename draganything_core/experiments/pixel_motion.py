"""Where the pixels of the first frame go in a video: the paper's figure 3 as a picture, by the evaluation's tracker.

What stands for a thing by a point drags the pixels near it and leaves the rest behind; what stands for all of it moves
all of it alike, and nothing beside it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from einops import rearrange
from torch import Tensor

from ..annotation_config import NamedTracker
from ..camera import CAMERA_ENTITY_ID
from ..evaluation.cases import Case
from ..evaluation.entity_metrics import REACH
from ..evaluation.point_metrics import MOVING
from ..pictures import overlay_frames

CELLS = 32  # along the longer side: one point is followed in the middle of each
SIDE = 384  # px: pictures are enlarged to about this width
GAP = 6  # px between them
LEAST = 1.0  # px; what goes less far than this gets no arrow
LOST = (90, 90, 96)  # colour of cells whose point is not found in the last frame
PAPER = 0.1
INK = (255, 255, 255)


@dataclass(frozen=True, eq=False)
class PixelMotion:
    """places (h,w,2): x, y px in the first frame of the middle of each cell; moved (h,w,2): how far it went to the last
    frame; seen (h,w): whether it was found there."""

    places: Tensor
    moved: Tensor
    seen: Tensor

    @property
    def distance(self) -> Tensor:
        """(h,w) px."""
        return torch.linalg.vector_norm(self.moved, dim=-1)


def drags_a_thing(case: Case) -> bool:
    """Whether something other than the whole picture is to go far."""
    tracks = case.tracks
    travelled = torch.linalg.vector_norm(tracks.paths[-1] - tracks.paths[0], dim=-1)
    far = MOVING * math.hypot(case.size.height, case.size.width)
    things = [entity.entity_id != CAMERA_ENTITY_ID and not bool(entity.mask.all()) for entity in case.entities]
    return any(
        things[entity] and float(travelled[path]) > far for path, entity in enumerate(tracks.path_entity.tolist())
    )


def pixel_motion(video: Tensor, case: Case, tracker: NamedTracker) -> PixelMotion:
    """Points all over the first frame of a video (T,3,H,W), followed to its last.

    Each is followed by the texture around it that belongs to the same entity, or to none, in the case's first mask.
    """
    height, width = case.size.height, case.size.width
    step = max(1, round(max(height, width) / CELLS))
    down, across = torch.arange(step // 2, height, step), torch.arange(step // 2, width, step)
    ys, xs = torch.meshgrid(down, across, indexing="ij")
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    owner = case.index[0]
    regions = [
        (owner == owner[y, x]) & ((columns - x) ** 2 + (rows - y) ** 2 <= REACH**2)
        for y, x in zip(ys.flatten().tolist(), xs.flatten().tolist(), strict=True)
    ]
    places = torch.stack([xs, ys], dim=-1).float()
    found, seen = tracker.track(video, rearrange(places, "h w c -> (h w) c"), torch.stack(regions))
    last = rearrange(found[-1], "(h w) c -> h w c", h=len(down))
    return PixelMotion(places, last.float() - places, rearrange(seen[-1], "(h w) -> h w", h=len(down)))


def motion_picture(video: Tensor, case: Case, motion: PixelMotion) -> Tensor:
    """(3,H',W'): the first frame with its lines; the video's last frame; how far each cell went, with arrows.

    Dark is nowhere, bright as far as the farthest line goes, so that pictures of one clip have one scale; grey is lost.
    """
    scale = max(1, round(SIDE / case.size.width))
    names = [entity.name for entity in case.entities]
    asked = overlay_frames(case.frames[:1].expand_as(case.frames), case.tracks, names, scale=scale)[0]
    made = overlay_frames(video, case.tracks, names, scale=scale)[-1]
    gap = torch.full((3, asked.shape[-2], GAP), PAPER)
    return torch.cat([asked, gap, made, gap, _heat(case, motion, scale)], dim=-1)


def _heat(case: Case, motion: PixelMotion, scale: int) -> Tensor:
    farthest = float(torch.linalg.vector_norm(case.tracks.paths[-1] - case.tracks.paths[0], dim=-1).max())
    levels = (motion.distance / max(farthest, LEAST)).clamp(0, 1).mul(255).round().to(torch.uint8).numpy()
    colors = cv2.applyColorMap(levels, cv2.COLORMAP_INFERNO)[..., ::-1].copy()
    colors[~motion.seen.numpy()] = LOST
    size = (case.size.width * scale, case.size.height * scale)
    picture = np.ascontiguousarray(cv2.resize(colors, size, interpolation=cv2.INTER_NEAREST))
    shown = motion.seen & (motion.distance >= LEAST)
    starts = (motion.places[shown] + 0.5) * scale - 0.5
    ends = starts + motion.moved[shown] * scale
    for start, end in zip(starts.round().int().tolist(), ends.round().int().tolist(), strict=True):
        cv2.arrowedLine(picture, start, end, INK, 1, cv2.LINE_AA, tipLength=0.12)
    return rearrange(torch.from_numpy(picture).float() / 255, "h w c -> c h w")
