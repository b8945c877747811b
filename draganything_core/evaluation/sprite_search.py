"""What a synthetic clip's truth says to look for in a video of it, and where the video has it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, product
from typing import Literal

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..data.synthetic import Sprite, SyntheticClip
from .locate import SEPARATION, Place, sprite_places

Role = Literal["moved", "held", "static", "carried", "entering"]
Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

AT_REST = 0.5  # px; what the truth moves less than this rests
LEAST_SEEN = 0.25  # of a thing's whole area: in frames where the truth shows less of it, it is not looked for
PATCH = 0.25  # of the short side: radius of the disc of ground that stands for a path of the ground or the camera


@dataclass(frozen=True, eq=False)
class Thing:
    """Something to look for, and where it should be.

    entity_id and name as in the clip's entities. role: "moved" and "held" are asked for (to go somewhere, to stay),
    "carried" goes where the camera takes it, "static" just rests, "entering" is not in the first frame. layer: which
    of the clip's layers shows it, 0 for the ground. looks: things with the same number look alike. cutout (4,n,n).
    middles (T,2), scales (T,): where the cutout truly is; asked (T,2): the path of a spot of it. parts (T,n,n):
    which pixels of the cutout the truth shows. sought (T,): the frames after the first in which these are enough to
    recognise it. counted (T,): those of them in which that spot is visible, too.
    """

    entity_id: int
    name: str
    role: Role
    layer: int
    looks: int
    cutout: Tensor
    middles: Array
    scales: Array
    asked: Array
    parts: Tensor
    sought: Mask
    counted: Mask

    @property
    def is_sprite(self) -> bool:
        return self.layer > 0

    def path_point(self, place: Place) -> Array:
        """(2,) where a place has the spot that the path follows."""
        offset = (self.asked[0] - self.middles[0]) / self.scales[0]
        found: Array = np.array(place.middle) + offset * place.scale
        return found


def things_of(clip: SyntheticClip) -> list[Thing]:
    """One for each path of a sprite, and of the ground and the camera where they are controlled; then who enters."""
    layers = {sprite.sprite_id: layer for layer, sprite in enumerate(clip.sprites, start=1)}
    things = []
    for path, owner in enumerate(clip.tracks.path_entity.tolist()):
        entity, controlled = clip.entities[owner], bool(clip.controlled[owner])
        layer = layers.get(entity.entity_id, 0)
        asked = clip.tracks.paths[:, path].double().numpy()
        visible = clip.tracks.visibility[:, path].numpy()
        moving = bool(np.linalg.norm(asked - asked[0], axis=-1).max() > AT_REST)
        role: Role = ("moved" if moving else "held") if controlled else ("carried" if moving else "static")
        if layer:
            things.append(_sprite(clip, clip.sprites[layer - 1], layer, entity.name, role, asked, visible))
        elif controlled:
            things.append(_ground(clip, entity.entity_id, entity.name, path, role, asked, visible))
    known = {entity.entity_id for entity in clip.entities}
    for sprite in clip.sprites:
        if sprite.sprite_id not in known:
            always = np.ones(len(clip.frames), dtype=bool)
            origins = sprite.origins.numpy()
            things.append(_sprite(clip, sprite, layers[sprite.sprite_id], sprite.shape, "entering", origins, always))
    return things


def _sprite(
    clip: SyntheticClip, sprite: Sprite, layer: int, name: str, role: Role, asked: Array, visible: Mask
) -> Thing:
    middles, scales = sprite.origins.numpy(), sprite.scales.numpy()
    looks = sprite.sprite_id if sprite.look_alike_of is None else sprite.look_alike_of
    parts = _parts(clip, layer, sprite.cutout, middles, scales)
    sought = _sought(sprite.cutout, parts)
    return Thing(
        sprite.sprite_id, name, role, layer, looks,
        sprite.cutout, middles, scales, asked, parts, sought, sought & visible,
    )  # fmt: skip


def _ground(
    clip: SyntheticClip, entity_id: int, name: str, path: int, role: Role, asked: Array, visible: Mask
) -> Thing:
    cutout = _ground_patch(clip, asked[0])
    scales = clip.camera.scale / clip.camera.scale[0]
    middles = asked + (np.rint(asked[0]) - asked[0]) * scales[:, None]
    parts = _parts(clip, 0, cutout, middles, scales)
    sought = _sought(cutout, parts)
    return Thing(entity_id, name, role, 0, -1 - path, cutout, middles, scales, asked, parts, sought, sought & visible)


def _sought(cutout: Tensor, parts: Tensor) -> Mask:
    """(T,) the frames after the first in which enough is seen."""
    seen = (cutout[3] * parts).sum(dim=(1, 2)) / cutout[3].sum().clamp(min=1e-6)
    return (seen >= LEAST_SEEN).numpy() & (np.arange(len(parts)) > 0)


def _ground_patch(clip: SyntheticClip, start: Array) -> Tensor:
    """(4,n,n) what the first frame shows of the ground about a point, within a disc."""
    reach = math.ceil(PATCH * min(clip.size.height, clip.size.width))
    x, y = np.rint(start).astype(int).tolist()
    ground = (clip.layers[:1] == 0).float()
    padded = torch.nn.functional.pad(torch.cat([clip.frames[0], ground]), [reach] * 4)
    patch = padded[:, y : y + 2 * reach + 1, x : x + 2 * reach + 1].clone()
    steps = torch.arange(-reach, reach + 1)
    patch[3] *= steps**2 + steps[:, None] ** 2 <= reach**2
    return patch


def _parts(clip: SyntheticClip, layer: int, cutout: Tensor, middles: Array, scales: Array) -> Tensor:
    """(T,n,n) bool: which pixels of a cutout the truth shows in each frame."""
    side = cutout.shape[-1]
    parts = []
    for shown, (x, y), scale in zip((clip.layers == layer).numpy(), middles, scales, strict=True):
        to_canvas = np.array([[scale, 0, x - side // 2 * scale], [0, scale, y - side // 2 * scale]])
        flags = cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
        parts.append(cv2.warpAffine(shown.astype(np.uint8), to_canvas, (side, side), flags=flags) > 0)
    return torch.from_numpy(np.stack(parts))


def found_places(video: Tensor, things: list[Thing]) -> list[dict[int, Place]]:
    """For each thing its place in every frame in which it is sought."""
    found: list[dict[int, Place]] = [{} for _ in things]
    for looks in dict.fromkeys(thing.looks for thing in things):
        alike = [number for number, thing in enumerate(things) if thing.looks == looks]
        sought = np.sum([things[number].sought for number in alike], axis=0)
        offers = {number: _offers(video, things[number], int(sought.max())) for number in alike}
        for frame in np.flatnonzero(sought).tolist():
            present = [number for number in alike if things[number].sought[frame]]
            offered = [offers[number][frame][: len(present)] for number in present]
            chosen = _handed_out(offered, [things[number] for number in present], frame)
            for number, place in zip(present, chosen, strict=True):
                found[number][frame] = place
    return found


def _offers(video: Tensor, thing: Thing, most: int) -> dict[int, list[Place]]:
    """The places that look like a thing, in every frame in which it is sought."""
    frames = np.flatnonzero(thing.sought).tolist()
    if not frames:
        return {}
    scales = torch.from_numpy(np.stack([thing.scales[frames], np.repeat(thing.scales[:1], len(frames))], axis=1))
    return dict(zip(frames, sprite_places(video[frames], thing.cutout, scales, thing.parts[frames], most), strict=True))


def _handed_out(offered: list[list[Place]], alike: list[Thing], frame: int) -> list[Place]:
    """One place for each of several look-alikes: no place twice if it can be, and the least sum of errors."""
    apart = SEPARATION * (alike[0].cutout.shape[-1] // 2)

    def unfitness(places: Sequence[Place]) -> tuple[int, float]:
        middles = [np.array(place.middle) for place in places]
        shared = sum(float(np.linalg.norm(one - other)) <= apart for one, other in combinations(middles, 2))
        errors = [np.linalg.norm(middle - thing.middles[frame]) for middle, thing in zip(middles, alike, strict=True)]
        return shared, float(sum(errors))

    return min(map(list, product(*offered)), key=unfitness)


def whole_shape(thing: Thing, place: Place, size: tuple[int, ...]) -> Mask:
    """(H,W) bool: the thing's whole shape at a place."""
    (x, y), scale, middle = place.middle, place.scale, thing.cutout.shape[-1] // 2
    to_cutout = np.array([[1 / scale, 0, middle - x / scale], [0, 1 / scale, middle - y / scale]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(thing.cutout[3].numpy(), to_cutout, size[::-1], flags=flags) > 0.5)
