"""Synthetic clips with exact truth: textured sprites on lines over a ground that pans and zooms."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from einops import rearrange
from numpy.typing import NDArray
from torch import Tensor

from ..camera import CameraMotion, camera_entity
from ..curves import PathTrack, camera_tracks
from ..types import Entities, Entity, Size, Tracks
from .synthetic_motion import Array, Kind, Plan, SyntheticConfig, plan_clip
from .synthetic_sprites import GROUND_SAMPLES, SHAPES, Samples, SpriteArt, draw_ground, draw_sprite

__all__ = ["GROUND_ID", "VOID_ID", "Sprite", "SyntheticClip", "SyntheticConfig", "synthetic_clip", "synthetic_clips"]

# Ids as VIPSeg has them: 0 is void, 1..124 a stuff category, above that a thing's category * 100 + its number.
VOID_ID = 0
GROUND_ID = 28
FIRST_CATEGORY = 61  # of a shape's sprites, in the order of SHAPES

GROUND_MARKS = 0.3  # of the short side: size of a stripe, check or dot of the ground


@dataclass(frozen=True, eq=False)
class Sprite:
    """One sprite and where it is, on the canvas or off it.

    cutout (4,n,n): red, green, blue and coverage at scale 1, its middle on the middle pixel: a template to find it by.
    origins (T,2) float64: (x, y) px of its middle; scales (T,): its size relative to the cutout. moves: on its own,
    whatever the camera does. look_alike_of: id of the sprite that it shares every sample with, or None.
    """

    sprite_id: int
    shape: str
    texture: str
    cutout: Tensor
    origins: Tensor
    scales: Tensor
    moves: bool
    controlled: bool
    look_alike_of: int | None


@dataclass(frozen=True, eq=False)
class SyntheticClip:
    """A clip and all that is true of it.

    frames (T,3,H,W) float32 in 0..1. ids (T,H,W) int32 as in VIPSeg: GROUND_ID, the sprites' ids, VOID_ID in the void
    strip. void (H,W) bool: that strip. layers (T,H,W) uint8: what is seen at each pixel, also under the void: 0 the
    ground, k the sprite sprites[k - 1]; a sprite has the pixels that it covers by more than half, the nearest wins.
    amodal (T,S,H,W) bool: every sprite's whole shape on the canvas, seen or hidden. sprites: from the farthest to the
    nearest, also those that enter later.

    entities: what is labelled in the first frame with the mask seen there: for a camera clip the whole picture (id 0)
    first, then the ground, then the sprites. controlled (E,) bool: which of them the clip's maker moves or holds.
    tracks: one path for each entity in the same order, of the spot where the inscribed circle's centre is in the first
    frame; a camera has one path (pan) or four (zoom). visibility: the nearest pixel shows that entity and is not void;
    the camera's: on the canvas. radii: of the inscribed circle in the first frame, times the entity's scale since (the
    camera's stay). camera: the ground's motion. kind: "foreground", "background", "both" or "camera".
    """

    seed: int
    index: int
    kind: Kind
    frames: Tensor
    ids: Tensor
    void: Tensor
    layers: Tensor
    amodal: Tensor
    sprites: tuple[Sprite, ...]
    entities: Entities
    tracks: Tracks
    controlled: Tensor
    camera: CameraMotion

    @property
    def size(self) -> Size:
        return self.entities.size

    @cached_property
    def flow(self) -> Tensor:
        """(T-1,2,H,W) float32: from each pixel of a frame, (x, y) px to where what it shows is in the next frame."""
        origins, scales = _layer_motion(self.camera, self.sprites)
        ratio = scales[1:] / scales[:-1]
        offset = origins[1:] - ratio[..., None] * origins[:-1]
        layers, between = self.layers[:-1].numpy(), np.arange(len(ratio))[:, None, None]
        place = np.stack(np.meshgrid(np.arange(self.size.width), np.arange(self.size.height)), axis=-1)
        flow = (ratio[between, layers] - 1)[..., None] * place + offset[between, layers]
        return torch.from_numpy(rearrange(flow.astype(np.float32), "t h w c -> t c h w"))

    @cached_property
    def requested(self) -> tuple[Entities, Tracks]:
        """The controlled entities and their paths alone: what a model is asked for."""
        kept = torch.nonzero(self.controlled).flatten().tolist()
        paths = [path for path, entity in enumerate(self.tracks.path_entity.tolist()) if entity in kept]
        tracks = Tracks(
            paths=self.tracks.paths[:, paths],
            path_entity=torch.tensor([kept.index(int(self.tracks.path_entity[path])) for path in paths]).long(),
            visibility=self.tracks.visibility[:, paths],
            radii=self.tracks.radii[:, paths],
            size=self.size,
        )
        return Entities(tuple(self.entities[entity] for entity in kept), self.size), tracks


def synthetic_clips(seed: int, indices: range, config: SyntheticConfig | None = None) -> Iterator[SyntheticClip]:
    """The clips of those indices, one after the other."""
    return (synthetic_clip(seed, index, config) for index in indices)


def synthetic_clip(seed: int, index: int, config: SyntheticConfig | None = None) -> SyntheticClip:
    """The clip that (seed, index) name under a config: always the same, in whatever process and order it is made.

    Raises ValueError on a negative seed or index.
    """
    if seed < 0 or index < 0:
        raise ValueError(f"synthetic clips: seed and index must be >= 0, got {seed} and {index}")
    config = config or SyntheticConfig()
    rng = np.random.default_rng(np.random.SeedSequence([seed, index]))
    plan = plan_clip(rng, config)
    arts = _arts(rng, plan, config)
    sprites = _sprites(plan, arts)
    frames = _ground_frames(rng, plan, config)
    layers, ids, amodal = _lay_sprites(frames, sprites, arts)
    void = np.zeros((config.size.height, config.size.width), dtype=bool)
    void[:, : config.void_strip] = True
    ids[:, void] = VOID_ID
    entities, tracks, controlled = _truth(plan, sprites, torch.from_numpy(ids), config.size)
    return SyntheticClip(
        seed=seed,
        index=index,
        kind=plan.kind,
        frames=torch.from_numpy(frames),
        ids=torch.from_numpy(ids),
        void=torch.from_numpy(void),
        layers=torch.from_numpy(layers),
        amodal=torch.from_numpy(amodal),
        sprites=sprites,
        entities=entities,
        tracks=tracks,
        controlled=controlled,
        camera=plan.ground,
    )


# --- the picture ------------------------------------------------------------------------------------------------------


def _arts(rng: np.random.Generator, plan: Plan, config: SyntheticConfig) -> list[SpriteArt]:
    arts: dict[int, SpriteArt] = {}
    originals = [place for place, part in enumerate(plan.parts) if part.twin is None]
    for place in originals:
        hues = [art.hue for art in arts.values()]
        arts[place] = draw_sprite(rng, plan.parts[place].radius, hues, config.supersampling)
    return [arts[place if part.twin is None else part.twin] for place, part in enumerate(plan.parts)]


def _sprites(plan: Plan, arts: list[SpriteArt]) -> tuple[Sprite, ...]:
    shapes = list(SHAPES)
    ids = [(FIRST_CATEGORY + shapes.index(art.shape)) * 100 + place for place, art in enumerate(arts)]
    return tuple(
        Sprite(
            sprite_id=ids[place],
            shape=art.shape,
            texture=art.texture,
            cutout=torch.from_numpy(art.cutout()),
            origins=torch.from_numpy(part.origins),
            scales=torch.from_numpy(part.scales),
            moves=part.moves,
            controlled=part.controlled,
            look_alike_of=None if part.twin is None else ids[part.twin],
        )
        for place, (part, art) in enumerate(zip(plan.parts, arts, strict=True))
    )


def _ground_frames(rng: np.random.Generator, plan: Plan, config: SyntheticConfig) -> Samples:
    """(T,3,H,W) the ground alone."""
    height, width = config.size.height, config.size.width
    if plan.move is None:
        ground = draw_ground(rng, (0, 0), (height, width), 1, config.unit * GROUND_MARKS)
        picture = rearrange(ground.samples[:height, :width], "h w c -> c h w")
        return np.tile(picture, (config.frames, 1, 1, 1))
    motion, far = plan.ground, np.array([width - 1, height - 1], dtype=np.float64)
    # The plane's points that are ever seen: the canvas's corners, taken back by the motion.
    seen = [
        motion.center + (corner - motion.shift - motion.center) / motion.scale[:, None] for corner in (far * 0, far)
    ]
    low, high = np.floor(np.min(seen, axis=(0, 1))) - 1, np.ceil(np.max(seen, axis=(0, 1))) + 1
    corner, extent = (int(low[0]), int(low[1])), (int(high[1] - low[1]), int(high[0] - low[0]))
    ground = draw_ground(rng, corner, extent, GROUND_SAMPLES, config.unit * GROUND_MARKS)
    frames = np.empty((config.frames, 3, height, width), dtype=np.float32)
    for frame, scale, shift in zip(frames, motion.scale, motion.shift, strict=True):
        frame[:] = rearrange(ground.seen(motion.center, scale, shift, (height, width)), "h w c -> c h w")
    return frames


def _lay_sprites(
    frames: Samples, sprites: tuple[Sprite, ...], arts: list[SpriteArt]
) -> tuple[NDArray[np.uint8], NDArray[np.int32], NDArray[np.bool_]]:
    """Lays the sprites onto the frames, in place; layers and ids (T,H,W) and amodal (T,S,H,W) of what they cover."""
    count, _, height, width = frames.shape
    layers = np.zeros((count, height, width), dtype=np.uint8)
    ids = np.full((count, height, width), GROUND_ID, dtype=np.int32)
    amodal = np.zeros((count, len(sprites), height, width), dtype=bool)
    for place, (sprite, art) in enumerate(zip(sprites, arts, strict=True)):
        for frame, (origin, scale) in enumerate(zip(sprite.origins.numpy(), sprite.scales.tolist(), strict=True)):
            reach = art.reach * scale + 1
            left, top = np.maximum(np.floor(origin - reach), 0).astype(int).tolist()
            right, bottom = np.minimum(np.ceil(origin + reach) + 1, (width, height)).astype(int).tolist()
            if left >= right or top >= bottom:
                continue
            laid = art.laid(origin, scale, (left, top), (bottom - top, right - left))
            window = frames[frame, :, top:bottom, left:right]
            window *= 1 - laid[..., 3]
            window += rearrange(laid[..., :3], "h w c -> c h w")
            inside = laid[..., 3] > 0.5
            layers[frame, top:bottom, left:right][inside] = place + 1
            ids[frame, top:bottom, left:right][inside] = sprite.sprite_id
            amodal[frame, place, top:bottom, left:right] = inside
    return layers, ids, amodal


# --- the truth --------------------------------------------------------------------------------------------------------


class _Truth(NamedTuple):
    entities: Entities
    tracks: Tracks
    controlled: Tensor


def _truth(plan: Plan, sprites: tuple[Sprite, ...], ids: Tensor, size: Size) -> _Truth:
    """The first frame's entities, their tracks, and which are controlled."""
    items: list[Entity] = []
    controlled: list[bool] = []
    discs: list[tuple[int, PathTrack]] = []
    if plan.kind == "camera" and plan.move is not None:
        items.append(camera_entity(size))
        controlled.append(True)
        discs += [(0, track) for track in camera_tracks(plan.move, len(ids), size, items[0].radius)]
    origins, scales = _layer_motion(plan.ground, sprites)
    for layer, (entity_id, name, asked) in enumerate(
        [
            (GROUND_ID, "ground", plan.kind in ("background", "both")),
            *((sprite.sprite_id, f"{sprite.texture} {sprite.shape}", sprite.controlled) for sprite in sprites),
        ]
    ):
        mask = ids[0] == entity_id
        if not bool(mask.any()):
            continue  # not in the first frame, or wholly under the void
        entity = Entity(entity_id, name, mask)
        scale = scales[:, layer] / scales[0, layer]
        points = origins[:, layer] + (np.array(entity.center) - origins[0, layer]) * scale[:, None]
        discs.append((len(items), PathTrack(points, _shown(points, ids.numpy(), entity_id), entity.radius * scale)))
        items.append(entity)
        controlled.append(asked)
    tracks = Tracks(
        paths=torch.from_numpy(np.stack([disc.points for _, disc in discs], axis=1)).float(),
        path_entity=torch.tensor([owner for owner, _ in discs]),
        visibility=torch.from_numpy(np.stack([disc.visible for _, disc in discs], axis=1)),
        radii=torch.from_numpy(np.stack([disc.radii for _, disc in discs], axis=1)).float(),
        size=size,
    )
    return _Truth(Entities(tuple(items), size), tracks, torch.tensor(controlled))


def _layer_motion(camera: CameraMotion, sprites: tuple[Sprite, ...]) -> tuple[Array, Array]:
    """Origins (T,L,2) and scales (T,L) of the ground and the sprites; a spot moves with its layer's."""
    origins = np.stack([camera.center + camera.shift, *(sprite.origins.numpy() for sprite in sprites)], axis=1)
    scales = np.stack([camera.scale, *(sprite.scales.numpy() for sprite in sprites)], axis=1)
    return origins, scales


def _shown(points: Array, ids: NDArray[np.int32], entity_id: int) -> NDArray[np.bool_]:
    """(T,) whether the pixel nearest to each point is on the canvas and shows that entity."""
    columns, rows = np.floor(points + 0.5).astype(np.int64).T
    height, width = ids.shape[1:]
    on_canvas = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
    nearest = ids[np.arange(len(ids)), rows.clip(0, height - 1), columns.clip(0, width - 1)]
    return on_canvas & (nearest == entity_id)
