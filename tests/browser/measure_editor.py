"""Times the trajectory editor in a real browser: ``make measure-editor``.

Twenty lines of 200 points each on a 1024x576 canvas belong to five things with masks. Measured are the scripting
and rendering that each move of a pointer costs while it hovers and while it drags a point, and what the editor costs to
open with the document: medians of the time that the page's main thread works, by the browser's own counters, so that
other programs on the machine count little. The editor is alone on its page: what ComfyUI does beside it is not counted.
It needs playwright and Chromium, and no host.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from bare_page import bare_page, on_page

from draganything_core.document import ControlPoint, DocumentEntity, MaskSource, MotionDocument, MotionPath, dumps
from draganything_core.masks import encode_rle
from draganything_core.types import Size

SIZE = Size(576, 1024)
PATHS, POINTS, THINGS, FRAMES = 20, 200, 5, 25
MOVES, OPENINGS = 60, 7
LIMITS = {"hover": 8.0, "drag": 8.0, "open": 200.0, "document": 200_000}  # ms, ms, ms, bytes


def drawing() -> MotionDocument:
    """Five blobs with ragged outlines, as segmenters find them, and four wavy lines of each."""
    random = np.random.default_rng(0)
    rows, columns = np.mgrid[: SIZE.height, : SIZE.width]
    things, lines = [], []
    for number in range(1, THINGS + 1):
        x, y = 120 + 180 * (number - 1), 150 + 60 * (number % 3)
        angle = np.arctan2(rows - y, columns - x)
        edge = 70 + sum(6 / k * np.sin(k * angle + random.uniform(0, 6)) for k in range(2, 24))
        mask = torch.from_numpy(np.hypot(rows - y, columns - x) < edge)
        things.append(DocumentEntity(number, f"thing {number}", MaskSource(rle=encode_rle(mask))))
        for line in range(PATHS // THINGS):
            along = np.linspace(0, 1, POINTS)
            xs = x + 15 * line + 90 * along
            ys = y + 220 * along + 18 * np.sin(8 * along + line)
            points = tuple(ControlPoint(round(float(a), 2), round(float(b), 2)) for a, b in zip(xs, ys, strict=True))
            lines.append(MotionPath(number, points, curve="freehand"))
    return MotionDocument(SIZE, FRAMES, entities=tuple(things), paths=tuple(lines))


def spent(protocol: Any) -> float:
    """Milliseconds that the page's main thread has worked so far: scripts, styles, layout, drawing."""
    metrics = {each["name"]: each["value"] for each in protocol.send("Performance.getMetrics")["metrics"]}
    return 1000 * float(metrics["TaskDuration"])


def moves(page: Any, protocol: Any, places: list[tuple[float, float]]) -> list[float]:
    """What each move to a place costs until the page has drawn it."""
    costs = []
    for x, y in places:
        before = spent(protocol)
        page.mouse.move(x, y)
        page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        costs.append(spent(protocol) - before)
    return costs


def measured(page: Any) -> dict[str, float]:
    protocol = page.context.new_cdp_session(page)
    protocol.send("Performance.enable", {"timeDomain": "threadTicks"})
    document = drawing()
    text = dumps(document)
    openings, waits = [], []
    for _ in range(OPENINGS):
        before = spent(protocol)
        waits.append(page.evaluate("(text) => opened(text)", text))
        openings.append(spent(protocol) - before)
    idle = moves(page, protocol, [(5, 5)] * 15)  # beside the editor: what asking costs
    start = document.paths[0].points[100]
    x, y = on_page(page, start.x, start.y)
    hover = moves(page, protocol, [(x + 3 * step, y + 2 * step) for step in range(MOVES)])
    page.mouse.move(x, y)
    page.mouse.down()
    drag = moves(page, protocol, [(x + 2 * step, y + step) for step in range(1, MOVES)])
    page.mouse.up()
    points = page.evaluate("editor.state.document.paths.map((path) => path.points.length)")
    if points != [POINTS] * PATHS or page.evaluate("editor.state.past.length") != 1:
        sys.exit(f"the drawing was not dragged: {points}")
    base = statistics.median(idle)
    return {
        "hover": statistics.median(hover) - base,
        "drag": statistics.median(drag) - base,
        "open": statistics.median(openings),
        "open_wall": statistics.median(waits),
        "document": len(text.encode()),
        "masks": sum(len(entity.mask.rle or "") for entity in document.entities if entity.mask),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there as well (ms and bytes)")
    arguments = parser.parse_args()
    with bare_page() as page:
        figures = measured(page)
    if arguments.json:
        arguments.json.write_text(json.dumps({**figures, "limits": LIMITS}) + "\n", "utf-8")
    print(f"{PATHS} lines of {POINTS} points, {THINGS} masks, {FRAMES} frames, canvas {SIZE}")
    print(f"the machine's load: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    rows = [
        ("a move that hovers", "hover", 1, "ms"),
        ("a move that drags", "drag", 1, "ms"),
        ("opening", "open", 1, "ms"),
        ("the document", "document", 1000, "kB"),
    ]
    for what, name, unit, sign in rows:
        print(f"{what:20} {figures[name] / unit:7.1f} {sign}   wanted: {LIMITS[name] / unit:g}")
    print(f"opening by the clock {figures['open_wall']:.0f} ms, masks in the document {figures['masks'] / 1000:.1f} kB")
    if any(figures[name] > limit for name, limit in LIMITS.items()):
        sys.exit("more than wanted")


if __name__ == "__main__":
    main()
