"""Draws the sample input by formula: ``python -m draganything_core.tiny.make_sample [FOLDER]``.

A beach ball on a meadow and a balloon over hills at dusk: one picture, a mask for each of the two, and a motion
document in which the ball bounces away and the balloon rises. All of it is this project's own work. The two things are
of one hue each with a dark rim, as those are that the small model has seen: it keeps a colour, not a pattern of many.

Everything is drawn on a scene of 192 x 192 units, on several samples a pixel, and averaged.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from einops import rearrange, reduce
from numpy.typing import NDArray
from PIL import Image

from ..atomic import replacing
from ..document import ControlPoint, DocumentEntity, Easing, MaskSource, MotionDocument, MotionPath, save_document
from ..pictures import save_png
from .architecture import FRAMES, SIZE

SAMPLE_FOLDER = Path(__file__).parent / "sample"
SAMPLES = 3  # along each axis of a pixel

SCENE = 192.0  # units along each side

# Centres (x, y) and radii, units.
BALL, BALL_RADIUS = (46.0, 138.0), 26.0
BALLOON, BALLOON_RADIUS = (136.0, 56.0), 24.0
SUN = (104.0, 92.0)
RIM = 0.075  # width of the two things' dark edges, of their radius

BALL_LINE = ((46, 138), (78, 104), (112, 142), (146, 126))
BALLOON_LINE = ((136, 56), (118, 38), (86, 34), (52, 42))

Values = NDArray[np.float64]  # (rows, columns) of samples
Colours = NDArray[np.float64]  # (rows, columns, 3) red, green, blue in 0..1
Inside = NDArray[np.bool_]  # (rows, columns)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=SAMPLE_FOLDER, help="default: the package's own sample")
    folder = parser.parse_args().folder
    make_sample(folder)
    print(f"wrote picture.png, ball.png, balloon.png and motion.json to {folder}")  # noqa: T201


def make_sample(folder: Path) -> None:
    """Writes picture.png, ball.png, balloon.png and motion.json into the folder."""
    picture = torch.from_numpy(draw_picture()).float() / 255
    save_png(rearrange(picture, "h w c -> c h w"), folder / "picture.png")
    for name, mask in draw_masks().items():
        with replacing(folder / f"{name}.png") as temporary:
            Image.fromarray(mask).save(temporary, format="PNG", optimize=True)
    save_document(sample_document(), folder / "motion.json")


def sample_document() -> MotionDocument:
    """The ball bounces to the right, the balloon rises to the left; both start and stop gently."""
    lines = {1: BALL_LINE, 2: BALLOON_LINE}
    return MotionDocument(
        size=SIZE,
        frames=FRAMES,
        image="picture.png",
        entities=(
            DocumentEntity(1, "ball", MaskSource(file="ball.png")),
            DocumentEntity(2, "balloon", MaskSource(file="balloon.png")),
        ),
        paths=tuple(
            MotionPath(
                entity=entity,
                points=tuple(ControlPoint(*pixel(point)) for point in line),
                curve="catmull_rom",
                easing=Easing("ease_in_out"),
            )
            for entity, line in lines.items()
        ),
    )


def draw_picture() -> NDArray[np.uint8]:
    """The picture (H,W,3)."""
    x, y = _sample_places()
    picture = _sky(x, y)
    picture = _with_hills(picture, x, y)
    picture = _with_meadow(picture, x, y)
    picture = np.where(_in_balloon(x, y)[..., None], _balloon(x, y), picture)
    picture = np.where(_in_ball(x, y)[..., None], _ball(x, y), picture)
    return (_pixel_means(picture).clip(0, 1) * 255).round().astype(np.uint8)


def draw_masks() -> dict[str, NDArray[np.uint8]]:
    """Masks (H,W) by name: 255 where at least half of a pixel belongs to the thing, else 0."""
    x, y = _sample_places()
    things = {"ball": _in_ball(x, y), "balloon": _in_balloon(x, y)}
    return {
        name: np.where(_pixel_means(inside[..., None].astype(np.float64))[..., 0] >= 0.5, 255, 0).astype(np.uint8)
        for name, inside in things.items()
    }


# --- the landscape ----------------------------------------------------------------------------------------------------


def _sky(x: Values, y: Values) -> Colours:
    sky = _gradient(y, {0: "#2b3a67", 45: "#7d6a9c", 85: "#f0a58f", 120: "#ffd9a0"})
    distance = np.hypot(x - SUN[0], (y - SUN[1]) * 1.2)
    sky = _mix(sky, _colour("#fff1c4"), 0.75 * np.exp(-distance / 26) + 0.25 * np.exp(-distance / 90))
    sky = _mix(sky, _colour("#fffbe8"), _step(10 - np.hypot(x - SUN[0], y - SUN[1]), softness=1.5))
    clouds = _noise(x / 64, y / 12, seed=1)
    return _mix(sky, _colour("#ffcdc4"), 0.6 * _step(clouds - 0.5, softness=0.4) * (1 - y / 150))


def _with_hills(picture: Colours, x: Values, y: Values) -> Colours:
    ridges = (
        (98.0, 9.0, 61.0, 0.4, "#a98ba8", "#d8a9a0"),
        (108.0, 8.0, 43.0, 2.1, "#6f6f8e", "#a58c92"),
        (117.0, 5.0, 71.0, 4.0, "#4a6a63", "#74866b"),
    )
    for seed, (level, height, length, phase, dark, light) in enumerate(ridges, start=10):
        top = level - height * np.sin(x / length * 2.2 + phase) - 0.4 * height * np.sin(x / length * 5.3 + 2 * phase)
        top -= 2.5 * (_noise(x / 9, np.zeros_like(y), seed=seed) - 0.5)
        texture = _noise(x / 6, y / 4, seed=seed + 10)
        slope = _mix(_flat(x, dark), _colour(light), 0.25 + 0.5 * texture)
        slope = _mix(slope, _colour("#ffd9a0"), 0.5 * np.exp(-np.abs(x - SUN[0]) / 45) * np.exp(-(y - top).clip(0) / 7))
        picture = _mix(picture, slope, _step(y - top, softness=0.3))
    return picture


def _with_meadow(picture: Colours, x: Values, y: Values) -> Colours:
    edge = 126 + 3 * np.sin(x / 52 + 1) + 1.5 * np.sin(x / 17)
    meadow = _gradient(y, {122: "#a9b35c", 145: "#6f9a45", 191: "#2f6332"})
    # Blades look longer and further apart the nearer they are.
    nearness = ((y - 118) / 74).clip(0.05, 1)
    blades = _noise((x - SCENE / 2) / (1.2 + 2.2 * nearness), y / (2 + 9 * nearness), seed=31)
    patches = _noise(x / 34, y / 12, seed=32)
    meadow = meadow * (0.72 + 0.34 * blades + 0.26 * patches)[..., None]
    meadow = _mix(
        meadow, _colour("#ffe2a0"), 0.32 * np.exp(-np.abs(x - SUN[0]) / 60) * np.exp(-(y - edge).clip(0) / 22)
    )
    ball_x, ball_y = BALL
    shadow = np.hypot((x - ball_x + 7) / (1.15 * BALL_RADIUS), (y - ball_y - 0.93 * BALL_RADIUS) / (0.28 * BALL_RADIUS))
    meadow = _mix(meadow, _colour("#16321f"), 0.62 * _step(1 - shadow, softness=0.5))
    return _mix(picture, meadow, _step(y - edge, softness=0.8))


# --- the two things ---------------------------------------------------------------------------------------------------


def _in_ball(x: Values, y: Values) -> Inside:
    return (x - BALL[0]) ** 2 + (y - BALL[1]) ** 2 <= BALL_RADIUS**2


def _ball(x: Values, y: Values) -> Colours:
    right, down, near = _sphere(x, y, BALL, BALL_RADIUS)
    # The pole is tilted towards the eye, so that the stripes meet on the visible side.
    across, pole, depth = right * 0.9 - down * 0.44, (right * 0.44 + down * 0.9) * 0.75 - near * 0.66, near * 0.75
    depth += (right * 0.44 + down * 0.9) * 0.66
    stripe = np.floor((np.arctan2(across, depth) / (2 * np.pi) + 0.5) * 6).astype(int) % 2
    colours = np.stack([_colour(c) for c in ("#bcd3fb", "#2f6df0")])[stripe]
    colours = np.where((pole < -0.955)[..., None], _colour("#2f6df0"), colours)
    colours = _lit(colours, right, down, near, gloss=0.55)
    return _mix(colours, _colour("#0c1f45"), _step(np.hypot(right, down) - (1 - RIM), softness=0.03))


def _in_balloon(x: Values, y: Values) -> Inside:
    (center_x, center_y), radius = BALLOON, BALLOON_RADIUS
    right, down = np.abs(x - center_x) / radius, (y - center_y) / radius
    envelope = right**2 + down**2 <= 1
    # Below the middle the sides run straight from the sphere, at 36 degrees below its equator, to the mouth.
    skirt = (down > 0.6) & (down <= 1.38) & (right <= 0.8 - (down - 0.6) * 0.75)
    basket = (down > 1.5) & (down <= 1.78) & (right <= 0.17)
    ropes = (down > 1.3) & (down <= 1.6) & (np.abs(right - 0.15) <= 0.022)
    return envelope | skirt | basket | ropes


def _balloon(x: Values, y: Values) -> Colours:
    radius = BALLOON_RADIUS
    down = (y - BALLOON[1]) / radius
    half_width = np.where(down <= 0.6, np.sqrt((1 - down**2).clip(1e-6)), (0.8 - (down - 0.6) * 0.75).clip(0.05))
    right = ((x - BALLOON[0]) / radius / half_width).clip(-1, 1)
    gore = np.floor((np.arcsin(right) / np.pi + 0.5) * 9).astype(int).clip(0, 8)
    colours = np.stack([_colour(c) for c in ("#f2402c", "#fbbdb2", "#f2402c")])[gore % 3]
    flat = right * half_width
    colours = _lit(
        colours, flat, down.clip(-1, 0.75), np.sqrt((1 - flat**2 - down.clip(-1, 0.75) ** 2).clip(0)), gloss=0.2
    )
    inwards = np.minimum(half_width * (1 - np.abs(right)), np.where(down < 0, 1 - np.hypot(flat, down), 1.0))
    colours = _mix(colours, _colour("#45100a"), _step(RIM + 0.015 - inwards, softness=0.03))
    wicker = _mix(_flat(x, "#5a3b22"), _colour("#a97c4a"), 0.5 + 0.5 * np.sin(x * 2.6) * np.sin(y * 2.6))
    return np.where((down > 1.38)[..., None], wicker, colours)


def _sphere(x: Values, y: Values, center: tuple[float, float], radius: float) -> tuple[Values, Values, Values]:
    """Where on the unit sphere a sample lies: right, down, towards the eye."""
    right, down = (x - center[0]) / radius, (y - center[1]) / radius
    return right, down, np.sqrt((1 - right**2 - down**2).clip(0))


def _lit(colours: Colours, right: Values, down: Values, near: Values, gloss: float) -> Colours:
    """A round thing in the light of the low sun (from the upper middle) and of the sky, with a highlight."""
    light = (0.30, -0.62, 0.72)
    towards = (right * light[0] + down * light[1] + near * light[2]).clip(0)
    shaded = colours * (np.array([0.34, 0.32, 0.42]) + towards[..., None] * np.array([0.80, 0.74, 0.62]))
    shaded *= (0.62 + 0.38 * near**0.5)[..., None]
    return _mix(shaded, np.ones(3), gloss * towards**24)


# --- samples, noise, colours ------------------------------------------------------------------------------------------


def _sample_places() -> tuple[Values, Values]:
    """x and y in the scene of every sample, (SAMPLES * H, SAMPLES * W) each."""
    rows = (np.arange(SIZE.height * SAMPLES) + 0.5) / SAMPLES * (SCENE / SIZE.height)
    columns = (np.arange(SIZE.width * SAMPLES) + 0.5) / SAMPLES * (SCENE / SIZE.width)
    x, y = np.meshgrid(columns, rows)
    return x, y


def pixel(point: tuple[float, float]) -> tuple[float, float]:
    """(x, y) px of a point of the scene, to a tenth; pixel centres are at integers."""
    x, y = point
    return round(x * SIZE.width / SCENE - 0.5, 1), round(y * SIZE.height / SCENE - 0.5, 1)


def _pixel_means(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    return reduce(samples, "(h v) (w u) c -> h w c", "mean", v=SAMPLES, u=SAMPLES)


def _noise(x: Values, y: Values, seed: int) -> Values:
    """Smooth noise in 0..1 whose features are about 1 in size, the sum of three octaves of random lattices."""
    total, weights = np.zeros_like(x), 0.0
    for octave in range(3):
        lattice = np.random.default_rng([seed, octave]).random((64, 64))
        u, v = x * 2**octave + 7.3 * octave, y * 2**octave + 3.1 * octave
        column, row = np.floor(u).astype(int), np.floor(v).astype(int)
        s, t = _ease(u - column), _ease(v - row)
        top = lattice[row % 64, column % 64] * (1 - s) + lattice[row % 64, (column + 1) % 64] * s
        bottom = lattice[(row + 1) % 64, column % 64] * (1 - s) + lattice[(row + 1) % 64, (column + 1) % 64] * s
        total += (top * (1 - t) + bottom * t) * 0.5**octave
        weights += 0.5**octave
    return total / weights


def _ease(t: Values) -> Values:
    return t * t * (3 - 2 * t)


def _step(value: Values, softness: float) -> Values:
    """0 below 0, 1 above ``softness``, smooth between."""
    return _ease((value / softness).clip(0, 1))


def _gradient(place: Values, stops: dict[int, str]) -> Colours:
    """Colours along a coordinate, blended between the stops."""
    table = np.stack([_colour(stop) for stop in stops.values()])
    return np.stack([np.interp(place, list(stops), table[:, channel]) for channel in range(3)], axis=-1)


def _mix(below: Colours, above: Colours, share: Values) -> Colours:
    return below + (above - below) * share[..., None]


def _flat(like: Values, colour: str) -> Colours:
    return np.broadcast_to(_colour(colour), (*like.shape, 3))


def _colour(code: str) -> NDArray[np.float64]:
    return np.array([int(code[start : start + 2], 16) / 255 for start in (1, 3, 5)])


if __name__ == "__main__":
    main()
