"""What synthetic clips show: textured sprites of several shapes, and the ground behind them. Drawing only, no motion.

A sprite is drawn once, on several samples a pixel, and laid on any place of a frame afterwards by its exact transform.
Lengths are px of the clip's canvas; a sprite's own coordinates have their origin in its middle.
"""

from __future__ import annotations

import colorsys
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Samples = NDArray[np.float32]  # (rows, columns) or (rows, columns, channels) in 0..1

RIM = 1.6  # px; the darker edge that keeps a sprite apart from any ground
MARKS = 1.4  # of a sprite's radius: size of a stripe, check or dot on it; much finer ones are lost in blocks of 8x8
SOFTNESS = 2  # px over which an edge goes from one colour to the other, as in photographs
HUE_GAP = 0.12  # of the colour circle; sprites of one clip are at least this far apart where there is room
GROUND_SAMPLES = 2  # samples a pixel of a ground that moves; its patterns are smooth enough for linear reading
SUBPIXEL_BITS = 8  # OpenCV fills polygons whose corners are whole numbers of 1/256 sample
PATTERNS = ("stripes", "checks", "dots", "noise")
TEXTURES = ("spot", *PATTERNS)


@dataclass(frozen=True, eq=False)
class SpriteArt:
    """How a sprite looks: (n,n,4) red, green, blue times coverage, and coverage, at ``supersampling`` samples a px."""

    shape: str
    texture: str
    hue: float
    radius: float
    supersampling: int
    samples: Samples

    def laid(self, origin: Array, scale: float, top_left: tuple[int, int], size: tuple[int, int]) -> Samples:
        """(h,w,4) the sprite with its middle at ``origin`` (x, y), on the window of that corner (x, y) and size."""
        step = self.supersampling / scale
        middle = (len(self.samples) - 1) / 2
        to_samples = np.array(
            [
                [step, 0.0, middle + (top_left[0] - origin[0]) * step],
                [0.0, step, middle + (top_left[1] - origin[1]) * step],
            ]
        )
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return cv2.warpAffine(self.samples, to_samples, size[::-1], flags=flags, borderValue=(0, 0, 0, 0))

    @property
    def reach(self) -> int:
        """px from the middle beyond which nothing of the unscaled sprite is left."""
        return int(np.ceil(self.radius)) + 2

    def cutout(self) -> Samples:
        """(4,n,n) red, green, blue (not times coverage) and coverage, unscaled, its middle on the middle pixel."""
        side = 2 * self.reach + 1
        laid = self.laid(np.zeros(2), 1.0, (-self.reach, -self.reach), (side, side))
        laid[..., :3] /= np.maximum(laid[..., 3:], 1e-6)
        return np.ascontiguousarray(laid.clip(0, 1).transpose(2, 0, 1))


def draw_sprite(rng: np.random.Generator, radius: float, taken_hues: list[float], supersampling: int) -> SpriteArt:
    """A sprite of random shape, texture, turn and vivid colour, away from the hues already taken."""
    shape = str(rng.choice(list(SHAPES)))
    texture = str(rng.choice(TEXTURES))
    hue = _free_hue(rng, taken_hues)
    reach = int(np.ceil(radius)) + 2
    side = 2 * reach * supersampling + 1
    corners = [
        np.rint((outline * radius * supersampling + (side - 1) / 2) * 2**SUBPIXEL_BITS).astype(np.int32)
        for outline in _turned(SHAPES[shape](rng), rng.uniform(0, 2 * np.pi))
    ]
    inside = np.zeros((side, side), np.float32)
    cv2.fillPoly(inside, corners, 1.0, shift=SUBPIXEL_BITS)
    edge = np.zeros((side, side), np.uint8)
    cv2.polylines(edge, corners, True, 1, round(2 * RIM * supersampling), shift=SUBPIXEL_BITS)

    along = ((np.arange(side) - (side - 1) / 2) / supersampling).astype(np.float32)
    value = _texture(texture, rng, along, along, MARKS * radius)
    dark, light, rim = _tones(rng, hue)
    colour = dark + (light - dark) * value[..., None]
    colour[edge > 0] = rim
    samples = np.dstack([colour * inside[..., None], inside])
    # Filtered here once, so that reading one place gives the whole pixel with the softness of its surroundings.
    window = SOFTNESS * supersampling + 1  # odd, or the sprite would be shifted by half a sample
    samples = cv2.blur(samples, (window, window), borderType=cv2.BORDER_CONSTANT)
    return SpriteArt(shape, texture, hue, radius, supersampling, samples)


@dataclass(frozen=True, eq=False)
class Ground:
    """The plane behind the sprites: samples (rows, columns, 3) whose first one is at ``corner`` (x, y) of the plane."""

    samples: Samples
    corner: Array
    supersampling: int

    def seen(self, center: Array, scale: float, shift: Array, size: tuple[int, int]) -> Samples:
        """(h,w,3) the ground where plane point p is seen at center + (p - center) * scale + shift."""
        step = self.supersampling / scale
        x, y = ((center - (center + shift) / scale) - self.corner) * self.supersampling
        to_samples = np.array([[step, 0.0, x], [0.0, step, y]])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return cv2.warpAffine(self.samples, to_samples, size[::-1], flags=flags, borderMode=cv2.BORDER_REPLICATE)


def draw_ground(
    rng: np.random.Generator, corner: tuple[int, int], size: tuple[int, int], supersampling: int, unit: float
) -> Ground:
    """A muted ground from plane point ``corner`` (x, y) over (height, width) px, with marks about ``unit`` px large."""
    rows, columns = (supersampling * length + 1 for length in size)
    across, down = (
        (first + np.arange(count) / supersampling).astype(np.float32)
        for first, count in zip(corner, (columns, rows), strict=True)
    )
    cells = int(rng.integers(2, 6))
    middle = rng.uniform(0.3, 0.7) + rng.uniform(-0.08, 0.08, 3)
    tints = middle + rng.uniform(-0.17, 0.17, (cells, cells, 1)) + rng.uniform(-0.07, 0.07, (cells, cells, 3))
    samples = cv2.resize(tints.astype(np.float32), (columns, rows), interpolation=cv2.INTER_CUBIC)
    pattern = str(rng.choice(("none", *PATTERNS)))
    marks = 0.04 * _noise(rng, rows, columns, max(size) / (0.5 * unit))
    if pattern != "none":
        marks += rng.uniform(0.08, 0.2) * (_texture(pattern, rng, down, across, unit) - 0.5)
    samples += marks[..., None]
    return Ground(np.clip(samples, 0.0, 1.0, out=samples), np.array(corner, dtype=np.float64), supersampling)


# --- shapes: outlines (n,2) with their farthest corner at distance 1 from the middle ---------------------------------

Outlines = list[Array]


def _polar(radii: Array | float, angles: NDArray[np.floating]) -> Array:
    return np.stack([radii * np.cos(angles), radii * np.sin(angles)], axis=-1)


def _circle(radius: float = 1.0) -> Array:
    return _polar(radius, np.arange(48) * (2 * np.pi / 48))


def _regular(corners: int) -> Outlines:
    return [_polar(1.0, np.arange(corners) * (2 * np.pi / corners))]


def _star(rng: np.random.Generator) -> Outlines:
    points = int(rng.integers(5, 8))
    radii = np.where(np.arange(2 * points) % 2 == 0, 1.0, rng.uniform(0.5, 0.65))
    return [_polar(radii, np.arange(2 * points) * (np.pi / points))]


def _blob(rng: np.random.Generator) -> Outlines:
    angles = np.arange(60) * (2 * np.pi / 60)
    waves = [rng.uniform(0.05, 0.2) * np.cos(k * angles + rng.uniform(0, 2 * np.pi)) for k in (2, 3, 5)]
    radii = 1.0 + np.sum(waves, axis=0)
    return [_polar(radii / radii.max(), angles)]


def _key(_: np.random.Generator) -> Outlines:
    """A round head with a thin handle: the largest circle inside sits in the head, far from the centre of mass."""
    head, handle = 0.55, 0.15
    opening = np.arcsin(handle / head)
    arc = _polar(head, np.linspace(opening, 2 * np.pi - opening, 40)) - (0.45, 0.0)
    return [np.concatenate([arc, [(0.98, -handle), (0.98, handle)]])]


def _bar(_: np.random.Generator) -> Outlines:
    return [np.array([(-0.96, -0.27), (0.96, -0.27), (0.96, 0.27), (-0.96, 0.27)])]


SHAPES: dict[str, Callable[[np.random.Generator], Outlines]] = {
    "disc": lambda _: [_circle()],
    "triangle": lambda _: _regular(3),
    "square": lambda _: _regular(4),
    "hexagon": lambda _: _regular(6),
    "star": _star,
    "blob": _blob,
    "ring": lambda _: [_circle(), _circle(0.36)],
    "key": _key,
    "bar": _bar,
}


def _turned(outlines: Outlines, angle: float) -> Outlines:
    sine, cosine = np.sin(angle), np.cos(angle)
    turn = np.array([[cosine, sine], [-sine, cosine]])
    return [outline @ turn for outline in outlines]


# --- textures: values 0..1 on a grid of px coordinates ----------------------------------------------------------------


def _texture(kind: str, rng: np.random.Generator, down: Samples, across: Samples, unit: float) -> Samples:
    if kind == "noise":
        return 0.5 + 0.5 * _noise(rng, len(down), len(across), float(across[-1] - across[0]) / (0.5 * unit))
    angle, wave = rng.uniform(0, np.pi), 2 * np.pi / (rng.uniform(0.7, 1.1) * unit)
    first, second = rng.uniform(0, 2 * np.pi, 2)
    cosine, sine = np.float32(wave * np.cos(angle)), np.float32(wave * np.sin(angle))
    if kind == "spot":
        x, y = rng.uniform(-0.4, 0.4, 2) * unit
        distance = np.sqrt((across - np.float32(x)) ** 2 + (down[:, None] - np.float32(y)) ** 2)
        return np.clip(0.5 + (0.38 * unit - distance) / (0.3 * unit), 0, 1).astype(np.float32)
    # exp(i(a + b)) = exp(ia) exp(ib): the waves across the whole grid from those along its two sides.
    along = np.exp(1j * (across * cosine + np.float32(first))) * np.exp(1j * (down * sine))[:, None]
    if kind == "stripes":
        return np.clip(0.5 + 1.2 * along.imag, 0, 1)
    turned = np.exp(1j * (-across * sine + np.float32(second))) * np.exp(1j * (down * cosine))[:, None]
    if kind == "checks":
        return np.clip(0.5 + 1.8 * along.imag * turned.imag, 0, 1)
    return np.clip(0.2 + 0.8 * (along.imag + turned.imag), 0, 1)  # dots


def _noise(rng: np.random.Generator, rows: int, columns: int, cells: float) -> Samples:
    """(rows, columns) smooth noise in about -1..1 with that many cells along the longer side."""
    count = max(2, round(cells))
    grid = rng.uniform(-1, 1, (count, count)).astype(np.float32)
    return cv2.resize(grid, (columns, rows), interpolation=cv2.INTER_CUBIC).clip(-1, 1)


# --- colours ----------------------------------------------------------------------------------------------------------


def _free_hue(rng: np.random.Generator, taken: list[float]) -> float:
    for hue in rng.uniform(0, 1, 30):
        apart = [abs((hue - other + 0.5) % 1 - 0.5) for other in taken]
        if all(gap >= HUE_GAP for gap in apart):
            return float(hue)
    return float(hue)  # a full circle: any hue will do


def _tones(rng: np.random.Generator, hue: float) -> tuple[Samples, Samples, Samples]:
    """Dark tone, light tone and rim of one vivid hue."""
    saturation, value = rng.uniform(0.75, 1.0), rng.uniform(0.8, 1.0)
    vivid = hue, saturation, value
    shaded = hue, saturation, value * 0.6
    pale = hue, saturation * 0.35, min(1.0, value + 0.1)
    dark, light = (shaded, vivid) if rng.random() < 0.5 else (vivid, pale)
    rim = hue, saturation, value * 0.45
    first, second, third = (np.array(colorsys.hsv_to_rgb(*tone), dtype=np.float32) for tone in (dark, light, rim))
    return first, second, third
