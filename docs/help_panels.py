"""Puts pictures side by side with words under them, as the nodes' help pages show them."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from einops import rearrange
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from draganything_core.atomic import write_bytes

WIDTH = 600  # px; ComfyUI's help panel is narrower and scales it down
GAP, MARGIN, LINE_HEIGHT = 6, 8, 20  # px
FONT_SIZE = 15
PAPER, INK, FAINT = (24, 24, 27), (235, 235, 235), (150, 150, 155)
FRAME_MS, PAUSE_MS = 180, 900

Panel = tuple[str, Tensor | str]  # words under it, and a picture (3,H,W) in 0..1 or a text that is shown as it is


def row(panels: Sequence[Panel]) -> Image.Image:
    """The panels side by side, all as wide and as high as the first picture is when they fill the width."""
    cell_width = (WIDTH - 2 * MARGIN - GAP * (len(panels) - 1)) // len(panels)
    first = next(shown for _, shown in panels if not isinstance(shown, str))
    cell = (cell_width, round(cell_width * first.shape[-2] / first.shape[-1]))
    captions = [wrapped(words, cell_width) for words, _ in panels]
    foot = LINE_HEIGHT * max(len(lines) for lines in captions) + 4
    sheet = Image.new("RGB", (WIDTH, 2 * MARGIN + cell[1] + foot), PAPER)
    pen = ImageDraw.Draw(sheet)
    for index, ((_, shown), lines) in enumerate(zip(panels, captions, strict=True)):
        left = MARGIN + index * (cell_width + GAP)
        picture = written(shown, cell) if isinstance(shown, str) else fitted(shown, cell)
        sheet.paste(picture, (left, MARGIN))
        for number, line in enumerate(lines):
            middle = (left + cell_width // 2, MARGIN + cell[1] + 4 + number * LINE_HEIGHT)
            pen.text(middle, line, fill=INK, font=font(), anchor="ma")
    return sheet


def wrapped(words: str, width: int) -> list[str]:
    """The words in lines that are no wider than that many pixels."""
    return textwrap.wrap(words, max(1, int(width / font().getlength("n")))) or [""]


def written(text: str, size: tuple[int, int]) -> Image.Image:
    """A text on dark ground, cut off where it does not fit."""
    page = Image.new("RGB", size, (12, 12, 14))
    ImageDraw.Draw(page).multiline_text((8, 8), text, fill=FAINT, font=font(), spacing=4)
    return page


def fitted(picture: Tensor, size: tuple[int, int]) -> Image.Image:
    """The picture at that size; small ones keep their pixels, so that nothing looks finer than it is."""
    image = as_image(picture)
    enlarged = size[0] >= 1.5 * image.width
    return image.resize(size, Image.Resampling.NEAREST if enlarged else Image.Resampling.LANCZOS)


def sheet_of(picture: Tensor) -> Image.Image:
    """A finished picture, no wider than the help page."""
    image = as_image(picture)
    return image.resize((WIDTH, round(image.height * WIDTH / image.width)), Image.Resampling.LANCZOS)


def enlarged(frames: Tensor, scale: int) -> Tensor:
    """The same frames, that many times as large, pixels left as they are."""
    return F.interpolate(frames, scale_factor=scale, mode="nearest")


def as_image(picture: Tensor) -> Image.Image:
    pixels = (picture.clamp(0, 1) * 255).round().to(torch.uint8)
    return Image.fromarray(rearrange(pixels, "c h w -> h w c").contiguous().numpy())


def write_sheets(sheets: Image.Image | list[Image.Image], path: Path) -> None:
    """A WebP of one picture, or one that plays several again and again with a pause at the end."""
    first, *others = sheets if isinstance(sheets, list) else [sheets]
    stored = io.BytesIO()
    if others:
        durations = [FRAME_MS] * len(others) + [PAUSE_MS]
        first.save(
            stored, "WEBP", save_all=True, append_images=others, duration=durations, loop=0, quality=78, method=6
        )
    else:
        first.save(stored, "WEBP", quality=82, method=6)
    write_bytes(path, stored.getvalue())


def font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(FONT_SIZE)
