"""Makes the figures of method.md from the shipped sample, without any model: ``python docs/make_figures.py``."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from draganything_core.atomic import write_bytes
from draganything_core.conditions import Geometry
from draganything_core.generation import preview_maps, resolve_motion
from draganything_core.motion_input import read_motion
from draganything_core.pictures import condition_picture
from draganything_core.segment import GrabCutSegmenter
from draganything_core.types import Size

ROOT = Path(__file__).parents[1]
SAMPLE = ROOT / "draganything_core" / "tiny" / "sample" / "motion.json"
PICTURES = Path(__file__).parent / "pictures"
MAP_SIZE = Size(256, 256)
COLUMNS = 4

INK, PAPER, GRAY = "#1f2430", "#ffffff", "#8a92a3"
FROZEN, TRAINED, DATA = "#dfe8f5", "#fbe0d2", "#eef0f3"

# name: left, top, width, height, colour, text
BOXES = {
    "picture": (20, 20, 150, 56, DATA, "first frame"),
    "masks": (20, 106, 150, 56, DATA, "masks, lines"),
    "features": (210, 20, 190, 56, FROZEN, "frozen UNet\none pass, mean over mask"),
    "maps": (210, 106, 190, 56, DATA, "entity map, Gaussian map\n(T, C, H, W)  (T, 1, H, W)"),
    "encoder": (440, 106, 190, 56, TRAINED, "condition encoder\n(T, 320, H/8, W/8)"),
    "control": (440, 200, 190, 130, TRAINED, "ControlNet\ncopy of the UNet's\nencoder and middle"),
    "zero": (670, 200, 110, 130, TRAINED, "zero\nconvolutions\n12 + 1"),
    "unet": (
        820,
        106,
        160,
        224,
        FROZEN,
        "SVD's UNet\nalso reads the\nnoisy latents\n\nskips + residuals\nmiddle + residual",
    ),
    "noisy": (210, 232, 190, 66, DATA, "noisy latents, picture's\nlatents (T, 8, H/8, W/8)"),
    "velocity": (820, 20, 160, 56, DATA, "denoised latents"),
}
ARROWS = [
    ("picture", "features"),
    ("masks", "maps"),
    ("features", "maps"),
    ("maps", "encoder"),
    ("encoder", "control"),
    ("noisy", "control"),
    ("control", "zero"),
    ("zero", "unet"),
    ("unet", "velocity"),
]


def main() -> None:
    write_image(maps_picture(), PICTURES / "maps.webp")
    write_image(network_picture(), PICTURES / "network.webp")


def maps_picture() -> Image.Image:
    """The sample's masks, Gaussian maps, entity maps, and discs on their lines, in four frames."""
    motion = resolve_motion(read_motion(SAMPLE), GrabCutSegmenter())
    maps = preview_maps(motion, MAP_SIZE, Geometry())
    sheet = condition_picture(
        motion.image, maps, motion.tracks, motion.names, motion.colors, COLUMNS, entities=motion.entities
    )
    pixels = (sheet.clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
    return Image.fromarray(np.ascontiguousarray(pixels))


def network_picture(scale: int = 2) -> Image.Image:
    """What is fed to what: boxes and arrows, blue what stays frozen, orange what is trained."""
    picture = Image.new("RGB", (1000 * scale, 400 * scale), PAPER)
    drawing = ImageDraw.Draw(picture)
    font = ImageFont.load_default(14 * scale)
    for left, top, width, height, color, text in BOXES.values():
        corners = [side * scale for side in (left, top, left + width, top + height)]
        drawing.rounded_rectangle(corners, radius=8 * scale, fill=color, outline=INK, width=scale)
        middle = ((left + width / 2) * scale, (top + height / 2) * scale)
        drawing.multiline_text(middle, text, fill=INK, font=font, anchor="mm", align="center", spacing=4 * scale)
    for start, end in ARROWS:
        draw_arrow(drawing, *ends(BOXES[start], BOXES[end]), scale)
    legend = [(FROZEN, "frozen"), (TRAINED, "trained"), (DATA, "data")]
    for index, (color, text) in enumerate(legend):
        left, top = (210 + 150 * index) * scale, 362 * scale
        drawing.rectangle([left, top, left + 18 * scale, top + 18 * scale], fill=color, outline=INK)
        drawing.text((left + 28 * scale, top + 9 * scale), text, fill=INK, font=font, anchor="lm")
    return picture


def ends(start: tuple, end: tuple) -> tuple[tuple[float, float], tuple[float, float]]:
    """Where an arrow leaves one box and meets the other: sideways where they stand apart, else up or down."""
    left, top, width, height = start[:4]
    to_left, to_top, to_width, to_height = end[:4]
    low, high = max(top, to_top), min(top + height, to_top + to_height)
    if to_left >= left + width and high > low:
        return (left + width, (low + high) / 2), (to_left, (low + high) / 2)
    x = (max(left, to_left) + min(left + width, to_left + to_width)) / 2
    return ((x, top + height), (x, to_top)) if to_top > top else ((x, top), (x, to_top + to_height))


def draw_arrow(drawing: ImageDraw.ImageDraw, start: tuple, end: tuple, scale: int) -> None:
    tail, tip = np.array(start) * scale, np.array(end) * scale
    ahead = (tip - tail) / np.linalg.norm(tip - tail)
    side = np.array([-ahead[1], ahead[0]])
    base = tip - ahead * 9 * scale
    drawing.line([*tail, *base], fill=INK, width=2 * scale)
    drawing.polygon([tuple(tip), tuple(base + side * 5 * scale), tuple(base - side * 5 * scale)], fill=INK)


def write_image(picture: Image.Image, path: Path) -> None:
    stored = io.BytesIO()
    picture.save(stored, "WEBP", quality=85, method=6)
    write_bytes(path, stored.getvalue())
    print(f"wrote {path}")


if __name__ == "__main__":
    main()
