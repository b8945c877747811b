"""Draws the icon and the banner that the registry shows: ``python docs/make_icon.py``."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from draganything_core.atomic import write_bytes

PICTURES = Path(__file__).parent / "pictures"
ICON, BANNER = (400, 400), (1260, 540)  # the registry's largest icon; 21:9
FINE = 3  # drawn larger, then reduced, so that edges are smooth

NIGHT, DUSK = (24, 28, 48), (58, 52, 96)
LINE, BALL, PAPER = (255, 209, 102), (239, 108, 84), (246, 244, 238)


def main() -> None:
    write_picture(mark(*ICON, center=(0.5, 0.5), reach=0.36), PICTURES / "icon.png")
    write_picture(banner(), PICTURES / "banner.png")


def mark(width: int, height: int, center: tuple[float, float], reach: float) -> Image.Image:
    """A ball that follows its line, with where it was and its Gaussian glow; reach: half its extent over the height."""
    width, height = width * FINE, height * FINE
    picture = ground(width, height)
    middle, unit = np.array(center) * (width, height), reach * height
    time = np.linspace(0, 1, 200)
    line = middle + unit * np.stack([2 * time - 1, 0.75 - 1.6 * time**1.6 + 0.35 * np.sin(3 * np.pi * time)], axis=1)
    picture = glowing(picture, line[-1], 0.62 * unit)
    drawing = ImageDraw.Draw(picture, "RGBA")
    for index, alpha in ((0, 70), (66, 110), (132, 160)):
        disc(drawing, line[index], 0.2 * unit, (*BALL, alpha))
    for point in line:
        disc(drawing, point, 0.035 * unit, LINE)
    disc(drawing, line[-1], 0.28 * unit, BALL)
    disc(drawing, line[-1] - 0.09 * unit, 0.07 * unit, (*PAPER, 200))
    return picture.resize((width // FINE, height // FINE), Image.Resampling.LANCZOS)


def banner() -> Image.Image:
    """The mark at the right, the name at the left."""
    picture = mark(*BANNER, center=(0.78, 0.52), reach=0.3)
    drawing = ImageDraw.Draw(picture)
    drawing.text((80, 235), "DragAnything", fill=PAPER, font=ImageFont.load_default(92), anchor="lm")
    drawing.text(
        (84, 325), "move things in a picture by dragging them", fill=LINE, font=ImageFont.load_default(31), anchor="lm"
    )
    return picture


def ground(width: int, height: int) -> Image.Image:
    """A slow change of colour from top left to bottom right."""
    share = (np.linspace(0, 1, width)[None, :] + np.linspace(0, 1, height)[:, None])[..., None] / 2
    return Image.fromarray(((1 - share) * NIGHT + share * DUSK).round().astype(np.uint8))


def glowing(picture: Image.Image, center: np.ndarray, deviation: float) -> Image.Image:
    """The picture with a 2D Gaussian of the line's colour on it."""
    pixels = np.asarray(picture).astype(float)
    rows, columns = np.mgrid[: pixels.shape[0], : pixels.shape[1]]
    squared = (columns - center[0]) ** 2 + (rows - center[1]) ** 2
    weight = 0.55 * np.exp(-squared / (2 * deviation**2))[..., None]
    return Image.fromarray(((1 - weight) * pixels + weight * np.array(LINE)).round().astype(np.uint8))


def disc(drawing: ImageDraw.ImageDraw, center: np.ndarray, radius: float, color: tuple[int, ...]) -> None:
    drawing.ellipse([*(center - radius), *(center + radius)], fill=color)


def write_picture(picture: Image.Image, path: Path) -> None:
    stored = io.BytesIO()
    picture.save(stored, "PNG", optimize=True)
    write_bytes(path, stored.getvalue())
    print(f"wrote {path}")


if __name__ == "__main__":
    main()
