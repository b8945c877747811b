"""Who goes where in a synthetic clip: the ground's or camera's move, and every sprite's path. Nothing is drawn here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..camera import CameraMotion, camera_motion
from ..document import CameraMove, Easing, Zoom
from ..easing import progress
from ..types import Size

Array = NDArray[np.float64]
Kind = Literal["foreground", "background", "both", "camera"]
Wish = Literal["stay", "exit", "enter"]

CHANCES = (
    "background", "both", "camera", "zoom", "pan", "occlusion", "exits", "entries", "neighbours", "look_alikes", "held"
)  # fmt: skip
EASINGS = ("linear", "ease_in", "ease_out", "ease_in_out")
CANDIDATES = 40  # places and lines drawn for a sprite, of which the first that suits is taken
START_GAP = 2.0  # px between two sprites in the first frame
BEND = 0.35  # of a line's length: how far its control point lies off its middle, at most
CROSSING = 0.6  # two sprites cross where their middles come closer than this share of their radii's sum


@dataclass(frozen=True)
class SyntheticConfig:
    """What synthetic clips are like. Lengths are shares of the short side, chances are 0..1.

    sprites: chances of 1, 2, 3 ... moving sprites. radius: of a sprite's outer circle. travel: straight distance from
    a line's start to its end. background, both, camera: chances of those kinds of clip (the ground moves and sprites
    rest; the ground moves and sprites go their own ways; the camera takes everything along); the rest are foreground
    clips, where only sprites move. zoom: chance that a moving ground zooms; a ground that does not zoom pans, one that
    zooms pans too with the chance ``pan``. occlusion: chance that a line is led through another sprite, where it
    otherwise avoids them. exits: chance that a line ends outside; entries: chance of one more sprite that starts there.
    neighbours: chance of a sprite at rest; look_alikes: chance of a sprite that looks exactly like a moving one.
    held: chance that a sprite at rest is controlled, which means told to stay. void_strip: px at the left edge whose
    ids are void. supersampling: samples a pixel along each axis, odd.
    """

    size: Size = field(default_factory=lambda: Size(128, 128))
    frames: int = 8
    sprites: tuple[float, ...] = (0.5, 0.35, 0.15)
    radius: tuple[float, float] = (0.13, 0.2)
    travel: tuple[float, float] = (0.14, 0.66)
    background: float = 0.1
    both: float = 0.12
    camera: float = 0.18
    zoom: float = 0.4
    pan: float = 0.5
    pan_distance: tuple[float, float] = (0.1, 0.35)
    zoom_factor: tuple[float, float] = (1.15, 1.4)
    occlusion: float = 0.3
    exits: float = 0.06
    entries: float = 0.06
    neighbours: float = 0.25
    look_alikes: float = 0.12
    held: float = 0.3
    void_strip: int = 0
    supersampling: int = 3

    def __post_init__(self) -> None:
        if self.frames < 1:
            raise ValueError(f"synthetic clips: frames must be >= 1, got {self.frames}")
        if not self.sprites or min(self.sprites) < 0 or not sum(self.sprites) > 0:
            raise ValueError(f"synthetic clips: sprites must be chances of 1, 2, 3 ... sprites, got {self.sprites}")
        for name in CHANCES:
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"synthetic clips: {name} is a chance within 0..1, got {getattr(self, name)}")
        if self.background + self.both + self.camera > 1 + 1e-9:
            raise ValueError("synthetic clips: the chances of background, both and camera must not exceed 1 together")
        for name in ("radius", "travel", "pan_distance", "zoom_factor"):
            low, high = getattr(self, name)
            if not 0 < low <= high:
                raise ValueError(f"synthetic clips: {name} must be 0 < low <= high, got {low}, {high}")
        if self.radius[1] > 0.3:
            raise ValueError(f"synthetic clips: a radius above 0.3 of the short side leaves no room, got {self.radius}")
        if min(self.size.height, self.size.width) * self.radius[0] < 3:
            raise ValueError(f"synthetic clips: sprites of radius < 3 px cannot be drawn; {self.size} is too small")
        if not 0 <= self.void_strip < self.size.width:
            raise ValueError(f"synthetic clips: void_strip must be within 0..width, got {self.void_strip}")
        if self.supersampling < 1 or self.supersampling % 2 == 0:
            raise ValueError(f"synthetic clips: supersampling must be an odd number, got {self.supersampling}")

    @property
    def unit(self) -> int:
        """px of the short side, of which lengths are shares."""
        return min(self.size.height, self.size.width)


@dataclass(frozen=True, eq=False)
class Part:
    """One sprite's part in a clip: where its middle is and how large it is in each frame.

    origins (T,2) (x, y) px; scales (T,). moves: on its own, whatever the camera does. twin: place among the parts of
    the one whose looks it shares.
    """

    radius: float
    origins: Array
    scales: Array
    moves: bool
    controlled: bool
    twin: int | None = None


@dataclass(frozen=True, eq=False)
class Plan:
    """A clip before it is drawn: what moves, the ground's move, and the parts from the farthest to the nearest.

    move is None for a ground at rest; ``ground`` says the same for each frame.
    """

    kind: Kind
    move: CameraMove | None
    ground: CameraMotion
    parts: tuple[Part, ...]


def plan_clip(rng: np.random.Generator, config: SyntheticConfig) -> Plan:
    """A random plan after the config."""
    kind = _kind(rng, config)
    move = None if kind == "foreground" else _ground_move(rng, config)
    ground = _resting(config) if move is None else camera_motion(move, config.frames)
    carrier = ground if kind == "camera" else _resting(config)
    cast = _cast(rng, config, kind)
    far_to_near = rng.permutation(len(cast)).tolist()
    parts = tuple(
        replace(
            cast[place],
            origins=carrier.moved(cast[place].origins),
            scales=cast[place].scales * carrier.scale,
            twin=None if cast[place].twin is None else far_to_near.index(cast[place].twin),
        )
        for place in far_to_near
    )
    return Plan(kind, move, ground, parts)


def _kind(rng: np.random.Generator, config: SyntheticConfig) -> Kind:
    kinds: tuple[Kind, ...] = ("background", "both", "camera", "foreground")
    bounds = np.cumsum([config.background, config.both, config.camera])
    return kinds[int(np.searchsorted(bounds, rng.random(), side="right"))]


def _ground_move(rng: np.random.Generator, config: SyntheticConfig) -> CameraMove:
    middle = np.array([config.size.width - 1, config.size.height - 1]) / 2
    zoom = pan = None
    if rng.random() < config.zoom:
        factor = rng.uniform(*config.zoom_factor) ** rng.choice((-1, 1))
        corners = [(x, y) for y in (0.5, 1.5) for x in (0.5, 1.5)]
        points = tuple((float(x), float(y)) for x, y in middle * np.array(corners))
        zoom = Zoom(float(factor), (float(middle[0]), float(middle[1])), points)
    if zoom is None or rng.random() < config.pan:
        x, y = _direction(rng.uniform(0, 2 * np.pi)) * rng.uniform(*config.pan_distance) * config.unit
        pan = (float(x), float(y))
    return CameraMove(pan=pan, zoom=zoom, easing=Easing(str(rng.choice(EASINGS))))


def _resting(config: SyntheticConfig) -> CameraMotion:
    return CameraMotion(np.zeros(2), np.ones(config.frames), np.zeros((config.frames, 2)))


# --- the cast ---------------------------------------------------------------------------------------------------------


def _cast(rng: np.random.Generator, config: SyntheticConfig, kind: Kind) -> list[Part]:
    """The sprites in the order in which they get their lines: those at rest first, the others around them."""
    chances = np.array(config.sprites) / sum(config.sprites)
    movers = 1 + int(rng.choice(len(chances), p=chances))
    resting = movers if kind == "background" else int(rng.random() < config.neighbours)
    movers = 0 if kind == "background" else movers
    if kind == "camera" and rng.random() < 0.5:
        resting, movers = resting + movers, 0
    parts: list[Part] = []
    for _ in range(resting):
        _add(parts, _at_rest(rng, config, parts, _radius(rng, config)))
    for _ in range(movers):
        wish: Wish = "exit" if rng.random() < config.exits else "stay"
        _add(parts, _on_a_line(rng, config, parts, _radius(rng, config), wish))
    if movers and not any(part.moves for part in parts):
        # The sprites at rest took all the room, and something must move.
        parts.clear()
        _add(parts, _on_a_line(rng, config, parts, _radius(rng, config)))
    if movers and rng.random() < config.entries:
        _add(parts, _on_a_line(rng, config, parts, _radius(rng, config), "enter"))
    if parts and rng.random() < config.look_alikes:
        twin = len(parts) - 1
        goes = movers > 0 and rng.random() < 0.5
        make: Callable[..., Part | None] = _on_a_line if goes else _at_rest
        _add(parts, make(rng, config, parts, parts[twin].radius, twin=twin))
    return parts


def _add(parts: list[Part], part: Part | None) -> None:
    # Where the canvas is full, a sprite is left out.
    if part is not None:
        parts.append(part)


def _radius(rng: np.random.Generator, config: SyntheticConfig) -> float:
    return float(rng.uniform(*config.radius) * config.unit)


def _at_rest(
    rng: np.random.Generator, config: SyntheticConfig, others: list[Part], radius: float, twin: int | None = None
) -> Part | None:
    free = _free_starts(rng, config, others, radius)
    if not len(free):
        return None
    origins = np.repeat(free[:1], config.frames, axis=0)
    return Part(radius, origins, np.ones(config.frames), False, bool(rng.random() < config.held), twin)


def _on_a_line(
    rng: np.random.Generator,
    config: SyntheticConfig,
    others: list[Part],
    radius: float,
    wish: Wish = "stay",
    twin: int | None = None,
) -> Part | None:
    """A moving sprite: it stays on the canvas, leaves it, or enters it."""
    if wish == "enter":
        starts = _outside(rng, config, radius + START_GAP, CANDIDATES)
    else:
        starts = _free_starts(rng, config, others, radius)
    if not len(starts):
        return None
    starts = np.resize(starts, (CANDIDATES, 2))  # again from the first where fewer are free
    crossed = others[int(rng.integers(len(others)))] if others and rng.random() < config.occlusion else None
    ends = _ends(rng, config, starts, radius, wish, crossed)
    # A Bezier line lies within the room if its ends and its control point do.
    lines = _lines(rng, config, starts, ends, _room(config, radius) if wish == "stay" else None)
    long_enough = np.linalg.norm(ends - starts, axis=-1) >= config.travel[0] * config.unit
    origins = lines[_suitable(lines, long_enough, others, radius, crossed)]
    return Part(radius, origins, np.ones(config.frames), True, True, twin)


def _ends(
    rng: np.random.Generator, config: SyntheticConfig, starts: Array, radius: float, wish: Wish, crossed: Part | None
) -> Array:
    """(K,2) where the lines end."""
    low, high = _room(config, radius)
    if wish == "exit":
        return _outside(rng, config, 0.8 * radius, CANDIDATES)
    if wish == "enter":
        return rng.uniform(low, high, (CANDIDATES, 2))
    angles = rng.uniform(0, 2 * np.pi, CANDIDATES)
    if crossed is not None:
        towards = crossed.origins[rng.integers(config.frames, size=CANDIDATES)] - starts
        angles = np.arctan2(towards[:, 1], towards[:, 0])
    distances = rng.uniform(*config.travel, (CANDIDATES, 1)) * config.unit
    return np.clip(starts + _direction(angles) * distances, low, high)


def _lines(
    rng: np.random.Generator, config: SyntheticConfig, starts: Array, ends: Array, room: tuple[Array, Array] | None
) -> Array:
    """(K,T,2) quadratic Bezier lines with one easing; ``room``: lowest and highest (x, y) of their control points."""
    chords = ends - starts
    bends = rng.uniform(-BEND, BEND, (len(ends), 1)) * np.stack([-chords[:, 1], chords[:, 0]], axis=-1)
    controls = starts + chords / 2 + bends
    if room is not None:
        controls = np.clip(controls, *room)
    start, control, end = (points[:, None] for points in (starts, controls, ends))
    share = _progress(str(rng.choice(EASINGS)), config.frames)[:, None]
    return (1 - share) ** 2 * start + 2 * share * (1 - share) * control + share**2 * end


def _suitable(
    lines: Array, long_enough: NDArray[np.bool_], others: list[Part], radius: float, crossed: Part | None
) -> int:
    """Place of the first line that is long enough and crosses that sprite, or avoids all; else of the nearest to it."""
    shortfall = np.where(long_enough, 0.0, 1e6)
    if crossed is not None:
        shortfall += np.maximum(_closeness(lines, radius, crossed) - CROSSING, 0)
    elif others:
        nearest = np.min([_closeness(lines, radius, part) for part in others], axis=0)
        shortfall += np.maximum(1 - nearest, 0)
    return int(np.argmin(shortfall))


def _closeness(lines: Array, radius: float, other: Part) -> Array:
    """(K,) the least distance between the middles in any frame, in sums of the two radii."""
    distances = np.linalg.norm(lines - other.origins, axis=-1)
    nearest: Array = distances.min(axis=1) / (radius + other.radius)
    return nearest


def _free_starts(rng: np.random.Generator, config: SyntheticConfig, others: list[Part], radius: float) -> Array:
    """(n,2) places for the first frame that no other sprite takes; none where the canvas is full."""
    tries: Array = rng.uniform(*_room(config, radius), (CANDIDATES, 2))
    free = np.ones(CANDIDATES, dtype=bool)
    for part in others:
        free &= np.linalg.norm(tries - part.origins[0], axis=-1) > radius + part.radius + START_GAP
    return tries[free]


def _room(config: SyntheticConfig, radius: float) -> tuple[Array, Array]:
    """Lowest and highest (x, y) of a middle whose sprite lies within the canvas."""
    edge = radius + 0.5
    return np.full(2, edge), np.array([config.size.width - 1, config.size.height - 1]) - edge


def _outside(rng: np.random.Generator, config: SyntheticConfig, distance: float, count: int) -> Array:
    """(count,2) places on the rectangle that lies that far around the canvas."""
    low, high = np.full(2, -distance), np.array([config.size.width - 1, config.size.height - 1]) + distance
    corners = np.array([low, (high[0], low[1]), high, (low[0], high[1]), low])
    sides = np.array([np.abs(after - before).sum() for before, after in pairwise(corners)])
    along = np.concatenate([[0.0], np.cumsum(sides)])
    places = rng.uniform(0, along[-1], count)
    return np.stack([np.interp(places, along, corners[:, axis]) for axis in (0, 1)], axis=-1)


def _direction(angle: float | Array) -> Array:
    return np.stack([np.cos(angle), np.sin(angle)], axis=-1)


@cache
def _progress(easing: str, frames: int) -> Array:
    return progress(Easing(easing), 0.0, 1.0, frames)
