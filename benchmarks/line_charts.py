"""Line charts as one picture, in the style of the other figures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from PIL import Image, ImageDraw, ImageFont

INK, PAPER, GRAY, PALE = "#1f2430", "#ffffff", "#8a92a3", "#e3e6ec"
COLORS = ("#c4531d", "#2f6db3", "#4a8f4f")
WIDTH, HEIGHT = 840, 560  # px of one chart
LEFT, RIGHT, TOP, BOTTOM = 110, 80, 150, 70  # px that its axes leave free
SMALL, LARGE = 22, 28  # px of the writing
TICKS = 4


class Chart(NamedTuple):
    """points: label and place on the axis of each; lines: by name, a value >= 0 for each of the points."""

    title: str
    unit: str
    points: Sequence[tuple[str, float]]
    lines: dict[str, Sequence[float]]


def drawn(charts: Sequence[Chart], columns: int = 2) -> Image.Image:
    rows = -(-len(charts) // columns)
    picture = Image.new("RGB", (columns * WIDTH, rows * HEIGHT), PAPER)
    for index, chart in enumerate(charts):
        _draw(ImageDraw.Draw(picture), chart, (index % columns) * WIDTH, (index // columns) * HEIGHT)
    return picture


def _draw(draw: ImageDraw.ImageDraw, chart: Chart, left: int, top: int) -> None:
    small, large = ImageFont.load_default(SMALL), ImageFont.load_default(LARGE)
    start, end = left + LEFT, left + WIDTH - RIGHT
    floor, ceiling = top + HEIGHT - BOTTOM, top + TOP
    highest = _round_up(max(value for values in chart.lines.values() for value in values))
    farthest = max(place for _, place in chart.points)
    xs = [start + (end - start) * place / farthest for _, place in chart.points]

    draw.text((left + 24, top + 20), chart.title, INK, large)
    draw.text((start, ceiling - 14), chart.unit, GRAY, small, anchor="ls")
    for tick in range(TICKS + 1):
        y = floor - (floor - ceiling) * tick / TICKS
        draw.line((start, y, end, y), INK if tick == 0 else PALE, 2)
        draw.text((start - 12, y), f"{highest * tick / TICKS:g}", GRAY, small, anchor="rm")
    for x, (label, _) in zip(xs, chart.points, strict=True):
        draw.text((x, floor + 12), label, GRAY, small, anchor="ma")
    legend = left + 24
    for index, (name, values) in enumerate(chart.lines.items()):
        color = COLORS[index % len(COLORS)]
        dots = [(x, floor - (floor - ceiling) * value / highest) for x, value in zip(xs, values, strict=True)]
        draw.line(dots, color, 5)
        for x, y in dots:
            draw.ellipse((x - 6, y - 6, x + 6, y + 6), color)
        draw.line((legend, top + 84, legend + 36, top + 84), color, 5)
        draw.text((legend + 46, top + 84), name, color, small, anchor="lm")
        legend += 86 + int(draw.textlength(name, small))


def _round_up(value: float) -> float:
    """The next number of one digit and a half (1, 1.5, 2, 3, 4, 5, 6, 8 times a power of ten) that is not smaller."""
    power = 1.0
    while power * 10 <= value:
        power *= 10
    while power > value > 0:
        power /= 10
    return next((step * power for step in (1, 1.5, 2, 3, 4, 5, 6, 8) if step * power >= value), 10 * power)
