"""A motion before any model has run: the picture's own cut-outs moved along their tracks, and the condition maps.

Pictures are (3,H,W) and frames (T,3,H,W), float in 0..1. Nothing is invented: a cut-out is moved, turned and scaled as
one piece, and what it uncovers is filled from its surroundings or left dark.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import cv2
import numpy as np
import torch
from einops import rearrange
from numpy.typing import NDArray
from PIL import ImageColor
from torch import Tensor

from .images import check_picture, resized_picture
from .pictures import entity_color
from .types import ConditionMaps, Entities, Entity, Size, Tracks

Background = Literal["filled", "dimmed"]
BACKGROUNDS: tuple[Background, ...] = get_args(Background)
Pixels = NDArray[np.float32]

BEYOND = np.array((24, 24, 27), np.float32) / np.float32(255)  # what the camera uncovers: nobody knows what is there
DIM = 0.35  # share of the picture's light that a dimmed ground keeps
UNGUIDED = 0.35  # opacity of a cut-out while none of its discs is shown to the network
SOFT_EDGE = 2  # px about a mask that are filled too: outlines that segmenters leave behind
FILL_SIDE = 512  # px; what is uncovered is filled at no larger size, which is quick and smooth
RESTING = 0.5  # px; what moves less than this against the ground is a part of it
WEAKEST = 0.25  # light of a disc's rim, so that its colour can still be told


def moving_cutouts(picture: Tensor, entities: Entities, tracks: Tracks, background: Background = "filled") -> Tensor:
    """Frames (T,3,H,W) in which every entity that has a path is moved over what is left of the picture.

    An entity with one path moves with it and grows with its disc's radius, about the disc's centre. One with several
    moves, turns and grows as fits their points best. An entity that covers the whole picture (the camera's is one)
    moves the ground. One that rests, or goes with the ground, stays a part of it and in nobody's way: a pin often holds
    what is behind everything else. A cut-out is faint where none of its discs is visible, for there the network is told
    nothing; one that leaves the canvas is cut off by it. Entities are painted in the order of their last paths.

    picture: (3,H,W), of the entities' and tracks' size. background: "filled" fills what the entities uncover from its
    surroundings; "dimmed" leaves the picture as it is, in little light.
    Raises ValueError for sizes that differ, or an unknown background.
    """
    check_picture(picture)
    sizes = {"the entities": entities.size, "the tracks": tracks.size}
    for name, size in sizes.items():
        if size != Size.of(picture):
            raise ValueError(f"motion preview: {name} are on {size}, the picture is {Size.of(picture)}; resize them")
    if background not in BACKGROUNDS:
        raise ValueError(f"motion preview: background must be one of {', '.join(BACKGROUNDS)}, got {background!r}")
    colors = np.ascontiguousarray(rearrange(picture.cpu().float(), "c h w -> h w c").numpy())
    places = {index: placements(tracks, index) for index in _painted_entities(tracks)}
    whole = [index for index in places if bool(entities[index].mask.all())]
    camera = places[whole[-1]] if whole else np.tile(np.eye(2, 3), (tracks.frames, 1, 1))
    cut_out = [i for i in places if i not in whole and not _goes_with(camera, places[i], entities[i])]
    masks = {index: entities[index].mask.cpu().numpy() for index in cut_out}
    ground = _layer(_ground(colors, list(masks.values()), background))
    sprites = {index: _layer(colors, mask) for index, mask in masks.items()}
    opacities = {index: np.where(_is_guided(tracks, index), 1.0, UNGUIDED) for index in cut_out}
    frames = []
    for frame in range(tracks.frames):
        canvas = _over(np.broadcast_to(BEYOND, colors.shape), _warped(ground, camera[frame]))
        for index in cut_out:
            canvas = _over(canvas, _warped(sprites[index], places[index][frame]), opacities[index][frame])
        frames.append(torch.from_numpy(canvas))
    return rearrange(torch.stack(frames), "t h w c -> t c h w").clamp(0, 1).contiguous()


def placements(tracks: Tracks, entity: int) -> NDArray[np.float64]:
    """(T,2,3): where the entity (its index) is taken in each frame; a point p of frame 0 goes to A p + b, [A | b].

    One path, or several that start at one point: their mean displacement, scaled about the start by their mean radius.
    Several: the rotation, scale and displacement that fit their points best (least squares). Raises ValueError for an
    entity without a path.
    """
    own = (tracks.path_entity == entity).nonzero().flatten()
    if not len(own):
        raise ValueError(f"entity index {entity} has no path, it is placed nowhere")
    points, radii = tracks.paths[:, own].double().cpu().numpy(), tracks.radii[:, own].double().cpu().numpy()
    middle = points.mean(axis=1)
    about = points - middle[:, None]
    start, now = about[0] @ (1, 1j), about @ (1, 1j)
    extent = float((abs(start) ** 2).sum())
    if extent > 1e-6:
        turn = (now * start.conj()).sum(axis=1) / extent
    else:
        turn = (radii / radii[0]).mean(axis=1).astype(np.complex128)
    linear = np.stack([np.stack([turn.real, -turn.imag], -1), np.stack([turn.imag, turn.real], -1)], -2)
    shift = middle - linear @ middle[0]
    return np.concatenate([linear, shift[..., None]], axis=-1)


def condition_frames(picture: Tensor, maps: ConditionMaps, colors: Sequence[str | None] | None = None) -> Tensor:
    """(T,3,H,W) at the maps' size: in each disc its entity's colour, as bright as the Gaussian, over the grey picture.

    colors: "#rrggbb" for each row of the maps' embeddings, None takes the table's.
    Raises ValueError where there are fewer colours than entities.
    """
    count = len(maps.embeddings)
    given = [None] * count if colors is None else list(colors)
    if len(given) < count:
        raise ValueError(f"condition frames: {count} entities need as many colours (None takes the table's)")
    hues = [ImageColor.getcolor(color or entity_color(index), "RGB") for index, color in enumerate(given)]
    table = torch.tensor([(0, 0, 0), *hues]) / 255
    gray = resized_picture(picture.cpu(), maps.size).mean(dim=0) * DIM
    index = maps.entity_index.cpu().long()
    light = WEAKEST + (1 - WEAKEST) * maps.gaussian.cpu().float()
    discs = rearrange(table[index + 1], "t h w c -> t c h w") * light
    return torch.where((index >= 0)[:, None], discs, gray).clamp(0, 1)


def _painted_entities(tracks: Tracks) -> list[int]:
    """Indices of the entities that have a path, in the order of their last paths."""
    painted = tracks.path_entity.tolist()
    return sorted(set(painted), key=lambda index: len(painted) - painted[::-1].index(index))


def _goes_with(camera: NDArray[np.float64], placed: NDArray[np.float64], entity: Entity) -> bool:
    """Whether the entity's disc is never taken elsewhere, or made larger or smaller, than the ground is."""
    (x, y), radius = entity.inscribed_circle
    ends = np.array([(x - radius, y, 1), (x + radius, y, 1)]).T
    return bool(np.abs((placed - camera) @ ends).max() < RESTING)


def _is_guided(tracks: Tracks, entity: int) -> NDArray[np.bool_]:
    """(T,) whether some disc of the entity is visible, or is hidden by nothing but the canvas's edge."""
    own = tracks.path_entity == entity
    limit = tracks.paths.new_tensor([tracks.size.width, tracks.size.height]) - 0.5
    inside = ((tracks.paths >= -0.5) & (tracks.paths <= limit)).all(dim=-1)
    guided: NDArray[np.bool_] = (tracks.visibility | ~inside)[:, own].any(dim=1).cpu().numpy()
    return guided


def _ground(colors: Pixels, masks: list[NDArray[np.bool_]], background: Background) -> Pixels:
    if background == "dimmed":
        return colors * np.float32(DIM)
    if not masks:
        return colors
    edge = np.ones((2 * SOFT_EDGE + 1, 2 * SOFT_EDGE + 1), np.uint8)
    hole = cv2.dilate(np.logical_or.reduce(masks).astype(np.uint8), edge)
    return np.where(hole[..., None] > 0, _filled(colors, hole), colors).astype(np.float32)


def _filled(colors: Pixels, hole: NDArray[np.uint8]) -> Pixels:
    """The picture with the hole's pixels made of what surrounds it (Telea 2004), smooth where the picture is large."""
    height, width = hole.shape
    scale = min(1.0, FILL_SIDE / max(height, width))
    small = (max(1, round(width * scale)), max(1, round(height * scale)))
    levels = (cv2.resize(colors, small, interpolation=cv2.INTER_AREA) * 255).round().astype(np.uint8)
    # Any pixel that the hole touches counts, or its colour would seep into the filling.
    touched = (cv2.resize(hole.astype(np.float32), small, interpolation=cv2.INTER_AREA) > 0).astype(np.uint8)
    if touched.all():
        return np.broadcast_to(BEYOND, colors.shape)
    filled = cv2.inpaint(levels, touched, 3, cv2.INPAINT_TELEA).astype(np.float32) / 255
    return np.asarray(cv2.resize(filled, (width, height), interpolation=cv2.INTER_LINEAR), dtype=np.float32)


def _layer(colors: Pixels, mask: NDArray[np.bool_] | None = None) -> Pixels:
    """(H,W,4): colours times coverage, and coverage, so that edges stay clean when it is warped."""
    coverage = np.ones((*colors.shape[:2], 1), np.float32) if mask is None else mask[..., None].astype(np.float32)
    return np.concatenate([colors * coverage, coverage], axis=-1)


def _warped(layer: Pixels, placement: NDArray[np.float64]) -> Pixels:
    if np.array_equal(placement, np.eye(2, 3)):
        return layer
    height, width = layer.shape[:2]
    return np.asarray(cv2.warpAffine(layer, placement, (width, height), flags=cv2.INTER_LINEAR), dtype=np.float32)


def _over(canvas: Pixels, layer: Pixels, opacity: float = 1.0) -> Pixels:
    """The canvas with a layer of colours times coverage laid over it."""
    share = np.float32(opacity)
    return layer[..., :3] * share + canvas * (1 - layer[..., 3:] * share)
