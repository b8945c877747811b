"""The report as one HTML page that needs nothing else: tables, plots as SVG, pictures inside the file."""

from __future__ import annotations

import base64
import html
import io
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from .bootstrap import Interval
from .report import (
    GROUPS,
    LOST_MARK,
    SUMMARY_TITLE,
    Report,
    RowResult,
    cell_text,
    conditions_lines,
    interval_text,
    is_lost,
    number_text,
    reading,
)

PLOTTED = (  # group, figure, whether less is better (None: neither)
    ("points", "ratio", True),
    ("points", "median_px", True),
    ("points", "pck_8", False),
    ("sprites", "ratio", True),
    ("entities", "iou", False),
    ("entities", "rigidity", None),
    ("entities", "leakage", True),
    ("pictures", "FID", True),
    ("pictures", "FVD", True),
    ("pictures", "rFID", True),
)
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#666666")  # Okabe and Ito's
WIDTH, LINE, LABEL, MARGIN = 376, 26, 96, 14  # px of a plot: its width, a row's height, the names' width, the edges
CURVE_HEIGHT = 250
PICTURE_WIDTH, JPEG_QUALITY = 1200, 82

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1b1b1f; background: #fff; max-width: 1240px;
       margin: 2rem auto; padding: 0 1.5rem; }
h1 { font-size: 1.5rem; margin: 0 0 .5rem; }
h2 { font-size: 1.1rem; margin: 2.2rem 0 .6rem; }
ul { margin: 0; padding-left: 1.1rem; }
li { overflow-wrap: anywhere; }
.conditions { color: #55555f; font-size: 13px; columns: 2; column-gap: 3rem; }
.absent { background: #fff7e8; border-left: 4px solid #e69f00; padding: .6rem 1rem .6rem 2rem; font-size: 13px; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .28rem 1rem .28rem .5rem; border-bottom: 1px solid #e4e4ea; vertical-align: top; }
th { font-weight: 600; }
tr:first-child th { border-bottom: 2px solid #1b1b1f; }
td small { color: #77777f; white-space: nowrap; display: block; }
.subject { background: #f1f6fb; }
.plots { display: flex; flex-wrap: wrap; gap: 1.4rem 2.4rem; }
figure { margin: 0; }
.plots figure { max-width: 376px; }
figcaption { font-size: 13px; font-weight: 600; margin-bottom: .2rem; }
figcaption small { color: #77777f; font-weight: 400; padding-left: .4rem; }
svg text { font: 12px system-ui, sans-serif; fill: #1b1b1f; }
svg .tick { fill: #77777f; font-size: 11px; }
.pictures figure { margin-bottom: 1.4rem; }
img { max-width: 100%; display: block; border-radius: 4px; }
dl { font-size: 13px; color: #55555f; }
dt { float: left; font-weight: 600; margin-right: .5rem; }
dd { margin: 0 0 .3rem; }
"""

Found = Mapping[str, Mapping[str, Mapping[str, Interval]]]


def page(report: Report, found: Found, pictures: Sequence[tuple[str, Path]] = ()) -> str:
    """The page's text. pictures: (caption, PNG file), which it then holds."""
    title = html.escape(report.title)
    parts = [
        f"<h1>{title}</h1>",
        '<ul class="conditions">'
        + "".join(f"<li>{html.escape(line)}</li>" for line in conditions_lines(report))
        + "</ul>",
        _absent(report),
        _plots(report, found),
        *(_table(report, found, key) for key in GROUPS),
        _summary(report),
        "<dl>"
        + "".join(f"<dt>{html.escape(t)}</dt><dd>{html.escape(text)}</dd>" for t, text in reading(report))
        + "</dl>",
        _pictures(pictures),
    ]
    return (
        f'<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<title>{title}</title>\n'
        f'<meta name="viewport" content="width=device-width">\n<style>{STYLE}</style>\n<body>\n'
        + "\n".join(part for part in parts if part)
        + "\n</body>\n</html>\n"
    )


# --- tables -----------------------------------------------------------------------------------------------------------


def _absent(report: Report) -> str:
    if not report.absent:
        return ""
    items = "".join(f"<li><b>{html.escape(e.name)}</b>: {html.escape(e.how_to_get)}</li>" for e in report.absent)
    return f'<h2>Not in this report</h2><ul class="absent">{items}</ul>'


def _table(report: Report, found: Found, key: str) -> str:
    rows = [row for row in report.rows if key in found[row.name]]
    if not rows:
        return ""
    mark = {row.name: ' class="subject"' if row.name == report.subject else "" for row in rows}
    head = "".join(f'<th{mark[row.name]} title="{html.escape(row.title)}">{html.escape(row.name)}</th>' for row in rows)
    lines = []
    for name, title in GROUPS[key].figures.items():
        if any(name in found[row.name][key] for row in rows):
            cells = "".join(f"<td{mark[row.name]}>{_cell(cell_text(found[row.name], key, name))}</td>" for row in rows)
            lines.append(f"<tr><th>{html.escape(title)}</th>{cells}</tr>")
    table = f"<table><tr><th></th>{head}</tr>{''.join(lines)}</table>"
    return f'<h2>{html.escape(GROUPS[key].title)}</h2><div class="scroll">{table}</div>'


def _summary(report: Report) -> str:
    rows = report.summary_rows()
    if not rows:
        return ""
    head = "".join(f"<th>{html.escape(name)}</th>" for name in rows)
    lines = [
        f"<tr><th>{html.escape(title)}</th>"
        + "".join(f"<td>{number_text(row.get(name)) or '–'}</td>" for row in rows.values())
        + "</tr>"
        for name, title in report.summary_titles.items()
    ]
    table = f"<table><tr><th></th>{head}</tr>{''.join(lines)}</table>"
    return f'<h2>{html.escape(SUMMARY_TITLE)}</h2><div class="scroll">{table}</div>'


def _cell(text: str) -> str:
    value, _, ends = text.partition(" ")
    return f"{value}<small>{ends}</small>" if ends else value or "–"


# --- plots ------------------------------------------------------------------------------------------------------------


def _plots(report: Report, found: Found) -> str:
    figures = [_curves(report.rows, found)]
    for key, name, less in PLOTTED:
        values = {row.name: found[row.name][key][name] for row in report.rows if name in found[row.name].get(key, {})}
        values = {row: one for row, one in values.items() if math.isfinite(one.value)}
        if len(values) > 1:
            better = "" if less is None else " less is better" if less else " more is better"
            source = " (by pictures)" if key == "sprites" else ""
            caption = f"{html.escape(GROUPS[key].figures[name])}{source}<small>{better}</small>"
            figures.append(
                f"<figure><figcaption>{caption}</figcaption>{interval_plot(values, colors(report.rows))}</figure>"
            )
    return f'<h2>At a glance</h2><div class="plots">{"".join(figures)}</div>'


def colors(rows: Sequence[RowResult]) -> dict[str, str]:
    """Each row's own colour, the same in every plot."""
    return {row.name: COLORS[number % len(COLORS)] for number, row in enumerate(rows)}


def interval_plot(values: Mapping[str, Interval], color: Mapping[str, str]) -> str:
    """SVG: one line a row, a dot at the figure and a bar over its interval."""
    ends = [end for one in values.values() for end in (one.value, one.low, one.high) if math.isfinite(end)]
    low, high = min(0.0, *ends), max(*ends, 0.0)
    span = (high - low) or 1.0
    left, right = LABEL, WIDTH - MARGIN

    def x(value: float) -> float:
        return left + (value - low) / span * (right - left)

    height = LINE * len(values) + 24
    parts = [f'<line x1="{x(0):.1f}" x2="{x(0):.1f}" y1="4" y2="{height - 20}" stroke="#c4c4cc"/>']
    for number, (row, one) in enumerate(values.items()):
        y = LINE * number + LINE / 2 + 4
        parts.append(f'<text x="{left - 8}" y="{y + 4:.1f}" text-anchor="end">{html.escape(_short(row))}</text>')
        if math.isfinite(one.low):
            parts.append(
                f'<line x1="{x(one.low):.1f}" x2="{x(one.high):.1f}" y1="{y:.1f}" y2="{y:.1f}" '
                f'stroke="{color[row]}" stroke-width="5" stroke-opacity=".35" stroke-linecap="round"/>'
            )
        parts.append(f'<circle cx="{x(one.value):.1f}" cy="{y:.1f}" r="4.5" fill="{color[row]}"><title>')
        parts.append(f"{html.escape(row)}: {interval_text(one)}</title></circle>")
    parts += _ticks(low, high, x, height - 6)
    return f'<svg width="{WIDTH}" height="{height}" role="img">{"".join(parts)}</svg>'


def _curves(rows: Sequence[RowResult], found: Found) -> str:
    """SVG: for each row the share of points within a distance."""
    errors = {
        row.name: np.sort([e for j in row.judgements for path in j.points.paths for e in path.errors]) for row in rows
    }
    standing = [s for row in rows[:1] for j in row.judgements for path in j.points.paths for s in path.standing]
    reach = float(np.quantile(standing, 0.95)) if standing else 0.0
    if not reach:
        return ""
    left, right, top, bottom = 40, WIDTH - MARGIN, 8, CURVE_HEIGHT - 24

    def x(value: float) -> float:
        return left + value / reach * (right - left)

    def y(share: float) -> float:
        return bottom - share * (bottom - top)

    parts = [
        f'<line x1="{left}" x2="{right}" y1="{y(s):.1f}" y2="{y(s):.1f}" stroke="#e4e4ea"/>'
        f'<text class="tick" x="{left - 6}" y="{y(s) + 4:.1f}" text-anchor="end">{s:.0%}</text>'
        for s in (0, 0.25, 0.5, 0.75, 1)
    ]
    places, color = np.linspace(0, reach, 80), colors(rows)
    for number, (name, own) in enumerate(errors.items()):
        shares = np.searchsorted(own, places, side="right") / max(len(own), 1)
        points = " ".join(f"{x(place):.1f},{y(share):.1f}" for place, share in zip(places, shares, strict=True))
        parts.append(f'<polyline points="{points}" fill="none" stroke="{color[name]}" stroke-width="2"/>')
        line = bottom - 12 - 16 * (len(errors) - 1 - number)
        label = html.escape(name) + (LOST_MARK if is_lost(found[name]) else "")
        parts.append(f'<text x="{right - 4}" y="{line}" text-anchor="end" style="fill:{color[name]}">{label}</text>')
    parts += _ticks(0, reach, x, CURVE_HEIGHT - 8)
    caption = "Share of points found within so many px<small>by the tracker; steeper is better</small>"
    return (
        f'<figure><figcaption>{caption}</figcaption><svg width="{WIDTH}" height="{CURVE_HEIGHT}" role="img">'
        f"{''.join(parts)}</svg></figure>"
    )


def _ticks(low: float, high: float, x: Callable[[float], float], y: float) -> list[str]:
    """Numbers at round places under a plot."""
    step = 10 ** math.floor(math.log10((high - low) or 1))
    step *= next(factor for factor in (0.2, 0.5, 1, 2) if (high - low) / (step * factor) <= 5.5)
    first = math.ceil(low / step)
    values = [step * number for number in range(first, math.floor(high / step + 1e-9) + 1)]
    return [f'<text class="tick" x="{x(v):.1f}" y="{y:.1f}" text-anchor="middle">{v:.3g}</text>' for v in values]


def _short(name: str) -> str:
    return name if len(name) <= 14 else name[:13] + "…"


# --- pictures ---------------------------------------------------------------------------------------------------------


def _pictures(pictures: Sequence[tuple[str, Path]]) -> str:
    if not pictures:
        return ""
    figures = "".join(
        f'<figure><figcaption>{html.escape(caption)}</figcaption><img alt="{html.escape(caption)}" '
        f'src="{_data(file)}"></figure>'
        for caption, file in pictures
    )
    return f'<h2>Pictures</h2><p>What was asked is drawn over the frames.</p><div class="pictures">{figures}</div>'


def _data(file: Path) -> str:
    """The picture inside the page, small enough for a page of many."""
    with Image.open(file) as picture:
        shown = picture.convert("RGB")
    if shown.width > PICTURE_WIDTH:
        shown = shown.resize(
            (PICTURE_WIDTH, round(shown.height * PICTURE_WIDTH / shown.width)), Image.Resampling.LANCZOS
        )
    buffer = io.BytesIO()
    shown.save(buffer, format="JPEG", quality=JPEG_QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
