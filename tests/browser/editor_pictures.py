"""Pictures of the trajectory editor to look at: ``.venv/bin/python tests/browser/editor_pictures.py [FOLDER]``.

Every mode, at two zooms and in both themes, drawn on the sample picture: a sheet for each theme and zoom, and each
picture by itself. It needs playwright and Chromium, and no host.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bare_page import PACK, THEMES, bare_page, on_page
from PIL import Image, ImageDraw

PICTURE = "/draganything_core/tiny/sample/picture.png"
DRAWN = PACK / "workflows" / "api" / "first_drag.json"  # the sample's things with their masks and lines
FOLDER = Path(tempfile.gettempdir()) / "draganything_editor"
BALL = (30, 91)
ZOOMS = {"fit": 0, "near": 4}  # steps of zooming in
COLUMNS = 3


def sample() -> str:
    graph = json.loads(DRAWN.read_text())
    return next(
        node["inputs"]["document"] for node in graph.values() if node["class_type"] == "DragAnythingTrajectoryEditor"
    )


def run(page: Any, expression: str) -> None:
    page.evaluate(f"(() => {{ const e = window.editor; {expression}; }})()")


def move(page: Any, *places: tuple[float, float], press: bool = False) -> None:
    """Goes along places of the picture; the button stays down, so that what is being made shows."""
    page.mouse.move(*on_page(page, *places[0]))
    if press:
        page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*on_page(page, *place), steps=4)


def nothing(page: Any) -> None:
    run(page, "e.load('')")


def selected(page: Any) -> None:
    run(page, "e.dispatch({ type: 'select', selection: { paths: [0] } })")
    move(page, (74, 94))


def several(page: Any) -> None:
    run(page, "e.dispatch({ type: 'select', selection: { entities: [1], paths: [0, 1] } })")


def segment(page: Any) -> None:
    run(page, "e.chooseTool('segment')")
    mask = "e.scene.masks.get(2)"
    clicks = "{ kind: 'clicks', points: [{ x: 90, y: 36, label: 1 }, { x: 90, y: 58, label: 0 }] }"
    preview = f"{{ kind: 'mask', mask: {mask}, entity: null, label: 'Object · 97 %' }}"
    run(page, f"e.show({{ drafts: [{clicks}, {preview}], pointer: [92, 30] }})")


def freehand(page: Any) -> None:
    run(page, "e.chooseTool('freehand')")
    move(page, BALL, (45, 110), (70, 112), (100, 100), press=True)


def placing(page: Any) -> None:
    run(page, "e.dispatch({ type: 'select', selection: { entities: [1] } }); e.chooseTool('line')")
    for place in ((24, 100), (50, 118), (80, 104)):
        page.mouse.click(*on_page(page, *place))
    move(page, (100, 112))


def bezier(page: Any) -> None:
    run(page, "e.dispatch({ type: 'change_paths', paths: [0], changes: { curve: 'bezier' } })")
    for point, side in ((0, "handle_out: [12, -34]"), (3, "handle_in: [-24, -22]")):
        change = f"{{ type: 'change_point', path: 0, point: {point}, changes: {{ {side} }} }}"
        run(page, f"e.dispatch({change})")
    run(page, "e.dispatch({ type: 'select', selection: { points: [{ path: 0, point: 0 }] } })")


def pinned(page: Any) -> None:
    run(page, "e.chooseTool('pin')")
    page.mouse.click(*on_page(page, 104, 112))


def brush(page: Any) -> None:
    run(page, "e.dispatch({ type: 'select', selection: { entities: [1] } }); e.chooseTool('brush')")
    move(page, (40, 98), (58, 108), press=True)


def erase(page: Any) -> None:
    run(page, "e.dispatch({ type: 'select', selection: { entities: [2] } }); e.chooseTool('erase')")
    move(page, (80, 50), (96, 56), press=True)


def camera(page: Any) -> None:
    run(page, "e.dispatch({ type: 'zoom_camera', factor: 1.4 })")
    run(page, "e.dispatch({ type: 'change_camera', changes: { pan: [-12, 6] } }); e.chooseTool('camera')")
    move(page, (60, 60))


def playing(page: Any) -> None:
    run(page, "e.player.goTo(5)")


def spans(page: Any) -> None:
    run(page, "e.dispatch({ type: 'hide_span', path: 1, from: 0.5, to: 1 })")
    run(page, "e.dispatch({ type: 'select', selection: { paths: [1] } })")


def warned(page: Any) -> None:
    weights = "max_radius: 12, max_radius_size: size, max_speed: 4, size, frames: 8"
    run(page, f"const size = {{ height: 128, width: 128 }}; e.setWeights({{ anchor: 'center', {weights} }})")
    run(page, "e.dispatch({ type: 'extend_path', path: 0, points: [{ x: 140, y: 60 }] })")


def unreachable(page: Any) -> None:
    run(page, "e.setOnline(false)")


def keys(page: Any) -> None:
    run(page, "e.run('help')")


MODES: dict[str, Callable[[Any], None]] = {
    "nothing": nothing, "selected": selected, "several": several, "segment": segment, "freehand": freehand,
    "placing": placing, "bezier": bezier, "pinned": pinned, "brush": brush, "erase": erase, "camera": camera,
    "playing": playing, "spans": spans, "warned": warned, "unreachable": unreachable, "keys": keys,
}  # fmt: skip


def picture_of(page: Any, mode: str, steps: int, path: Path) -> None:
    page.evaluate("(text) => opened(text)", sample())
    page.evaluate("(address) => pictured(address)", PICTURE)
    run(page, "e.fit()")
    run(page, f"for (let step = 0; step < {steps}; step += 1) e.run('zoom_in')")
    MODES[mode](page)
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    page.locator("#place").screenshot(path=path)
    page.mouse.up()


def sheet(paths: dict[str, Path]) -> Image.Image:
    """All pictures at half their size, with their names."""
    pictures = {name: Image.open(path).convert("RGB") for name, path in paths.items()}
    width, height = (side // 2 for side in next(iter(pictures.values())).size)
    rows = -(-len(pictures) // COLUMNS)
    whole = Image.new("RGB", (COLUMNS * width, rows * (height + 14)), "black")
    for number, (name, picture) in enumerate(pictures.items()):
        left, top = number % COLUMNS * width, number // COLUMNS * (height + 14)
        ImageDraw.Draw(whole).text((left + 4, top), name, fill="white")
        whole.paste(picture.resize((width, height), Image.Resampling.LANCZOS), (left, top + 14))
    return whole


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=FOLDER)
    parser.add_argument("--modes", nargs="*", choices=MODES, default=list(MODES))
    parser.add_argument("--themes", nargs="*", choices=THEMES, default=list(THEMES))
    parser.add_argument("--zooms", nargs="*", choices=ZOOMS, default=list(ZOOMS))
    chosen = parser.parse_args()
    chosen.folder.mkdir(parents=True, exist_ok=True)
    with bare_page() as page:
        for theme in chosen.themes:
            colours = "".join(f"{name}: {value};" for name, value in THEMES[theme].items())
            page.evaluate("(style) => document.documentElement.setAttribute('style', style)", colours)
            for zoom in chosen.zooms:
                paths = {mode: chosen.folder / f"{theme}_{zoom}_{mode}.png" for mode in chosen.modes}
                for mode, path in paths.items():
                    picture_of(page, mode, ZOOMS[zoom], path)
                name = chosen.folder / f"{theme}_{zoom}.png"
                sheet(paths).save(name)
                print(name, flush=True)


if __name__ == "__main__":
    main()
