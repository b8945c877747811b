"""Takes the README's five pictures of a first drag in a real ComfyUI: ``python docs/make_first_drag.py``.

It needs what the tests in a browser need: a ComfyUI in COMFYUI_PATH or ~/comfy/ComfyUI, playwright, and a Chromium on
the path or in CHROMIUM. About two minutes on an idle processor. The editor's picture is also its help page's.
"""

from __future__ import annotations

import io
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "host"))
from look_at_workflows import BROWSERS, open_workflow, run
from server import Host, Server

from draganything_core.atomic import write_bytes

ROOT = Path(__file__).parents[1]
PICTURES = ROOT / "docs" / "pictures"
HELP_PICTURE = ROOT / "web" / "docs" / "pictures" / "trajectory_editor.webp"
PATIENCE = 120_000  # ms; an idle machine needs ten seconds for the slowest step
HINT_STAYS = 5500  # ms, a little longer than the editor's hints
SETTLED = 1500  # ms, until what was done is drawn
WIDTH = 640  # px

# What is drawn, in pixels of the sample: from inside a thing to where it shall be.
BALL_LINE = ((30, 91), (44, 72), (58, 74), (72, 92), (84, 86), (96, 82))
BALLOON_LINE = ((90, 37), (78, 26), (58, 22), (36, 27))

SHOWN = "() => document.querySelector('[data-testid=draganything-editor]')?.editor.picture"
# The host lays nodes out in several steps: where the canvas is must not have changed since it was asked last.
AT_REST = """() => {
  const box = document.querySelector("[data-testid=draganything-canvas]").getBoundingClientRect();
  const place = JSON.stringify(box);
  const isSame = window.draganythingPlace === place && box.width > 100;
  window.draganythingPlace = place;
  return isSame;
}"""
LOOK_AT = """([types, width, height]) => {
  const nodes = app.graph._nodes.filter((node) => types.includes(node.type));
  const left = Math.min(...nodes.map((node) => node.pos[0])) - 20;
  const top = Math.min(...nodes.map((node) => node.pos[1])) - 60;
  const right = Math.max(...nodes.map((node) => node.pos[0] + node.size[0])) + 20;
  const bottom = Math.max(...nodes.map((node) => node.pos[1] + node.size[1])) + 20;
  const scale = Math.min(1, (width - 100) / (right - left), (height - 150) / (bottom - top));
  const [besideMenu, belowTabs] = [80, 100];
  app.canvas.ds.scale = scale;
  app.canvas.ds.offset = [-left + besideMenu / scale, -top + belowTabs / scale];
  app.canvas.setDirty(true, true);
  const canvas = app.canvas.canvas.getBoundingClientRect();
  return [canvas.left + besideMenu, canvas.top + belowTabs, (right - left) * scale, (bottom - top) * scale];
}"""
PAUSED_AT_END = """async () => {
  const video = document.querySelector("video");
  video.pause();
  await new Promise((resolve) => {
    video.addEventListener("seeked", resolve, { once: true });
    video.currentTime = Math.max(0, video.duration - 0.08);
  });
}"""

Place = tuple[float, float]


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, Server(Host.find(), Path(folder)) as server, browser() as chromium:
        page = chromium.new_context(viewport={"width": 1500, "height": 980}).new_page()
        page.set_default_timeout(PATIENCE)
        first_drag(page, server)


def first_drag(page: Any, server: Server) -> None:
    """From the template to the video, by mouse and keyboard, a picture at each step."""
    address = f"{server.address}/?template=first_drag&source={server.pack_name}"
    open_workflow(page, address, "first_drag")
    page.wait_for_function(SHOWN)
    nodes = page.evaluate("() => app.graph._nodes.map((node) => node.type).filter((type) => !/Note/.test(type))")
    save(page, "first_drag_1_workflow.webp", clip=look_at(page, nodes), width=2 * WIDTH)

    editor = Editor(page)
    look_at(page, ["DragAnythingTrajectoryEditor"])
    page.wait_for_function(AT_REST, polling=250)
    editor.make_empty()
    editor.run("tool:segment")
    page.mouse.move(*editor.place(BALL_LINE[0]), steps=4)
    editor.wait("e.scene.drafts.some(({ kind }) => kind === 'mask')")  # what a click would find
    save(page, "first_drag_2_click.webp", editor, pointer=editor.place(BALL_LINE[0]))
    for line in (BALL_LINE, BALLOON_LINE):
        editor.segment(line[0])

    page.wait_for_timeout(HINT_STAYS)
    editor.drag(BALLOON_LINE)
    editor.drag(BALL_LINE, let_go=False)
    save(page, "first_drag_3_drag.webp", editor, pointer=editor.place(BALL_LINE[-1]))
    page.mouse.up()
    page.wait_for_timeout(SETTLED)
    write_bytes(HELP_PICTURE, as_webp(editor_picture(page, editor)))
    print(f"wrote {HELP_PICTURE}", flush=True)

    for _ in range(5):
        editor.run("frame:1")
    save(page, "first_drag_4_scrub.webp", editor)

    shown_last = ["DragAnythingSVDSampler", "CreateVideo", "SaveVideo"]
    look_at(page, shown_last)
    run(page, address, steps=None)
    page.wait_for_function("() => document.querySelector('video')?.readyState >= 2")
    page.evaluate(PAUSED_AT_END)
    save(page, "first_drag_5_run.webp", clip=look_at(page, shown_last))


class Editor:
    """The one editor on the page. Places are pixels of the picture."""

    def __init__(self, page: Any) -> None:
        self.page = page

    def ask(self, expression: str) -> Any:
        return self.page.evaluate(f"() => {{ const e = {EDITOR}; return {expression}; }}")

    def wait(self, expression: str) -> None:
        self.page.wait_for_function(f"() => {{ const e = {EDITOR}; return {expression}; }}")

    def run(self, command: str) -> None:
        self.page.locator(f'[data-command="{command}"]').first.click()

    def place(self, at: Place) -> Place:
        """Where a pixel of the picture is on the page."""
        x, y = self.ask(
            f"""(([x, y], r, v) => [
              r.left + (v.left + (x + 0.5) * v.scale) * r.width / e.canvas.clientWidth,
              r.top + (v.top + (y + 0.5) * v.scale) * r.height / e.canvas.clientHeight,
            ])({list(at)}, e.canvas.getBoundingClientRect(), e.scene.viewport)"""
        )
        return x, y

    def make_empty(self) -> None:
        """Select all and delete: first the lines, then the things."""
        self.run("tool:select")
        for _ in range(2):
            self.page.keyboard.press("Control+a")
            self.page.keyboard.press("Delete")
        self.wait("e.state.document.entities.length + e.state.document.paths.length === 0")

    def segment(self, at: Place) -> None:
        before = self.ask("e.state.document.entities.length")
        self.run("tool:segment")
        self.page.mouse.click(*self.place(at))
        self.wait(f"e.state.document.entities.length === {before + 1}")
        self.run("tool:select")

    def drag(self, line: Sequence[Place], let_go: bool = True) -> None:
        self.page.mouse.move(*self.place(line[0]))
        self.page.mouse.down()
        for at in line[1:]:
            self.page.mouse.move(*self.place(at), steps=6)
        if let_go:
            self.page.mouse.up()


EDITOR = "document.querySelector('[data-testid=draganything-editor]').editor"


def look_at(page: Any, types: list[str]) -> tuple[float, float, float, float]:
    """Brings the nodes of these types into view; gives their box on the page (left, top, width, height)."""
    size = page.viewport_size
    left, top, width, height = page.evaluate(LOOK_AT, [types, size["width"], size["height"]])
    page.wait_for_timeout(SETTLED)
    return left, top, width, height


def editor_picture(page: Any, editor: Editor, pointer: Place | None = None) -> Image.Image:
    left, top, width, height = editor.ask(
        "(r => [r.left, r.top, r.width, r.height])(e.layout.element.getBoundingClientRect())"
    )
    return picture(page, (left, top, width, height), pointer)


def picture(
    page: Any, clip: tuple[float, float, float, float], pointer: Place | None = None, width_px: int = WIDTH
) -> Image.Image:
    """A part of the page, with the mouse pointer, which a browser without a screen does not show."""
    left, top, width, height = clip
    room = page.viewport_size
    width, height = min(width, room["width"] - left), min(height, room["height"] - top)
    taken = page.screenshot(clip={"x": left, "y": top, "width": width, "height": height})
    image = Image.open(io.BytesIO(taken)).convert("RGB")
    if pointer is not None:
        draw_pointer(image, (pointer[0] - left, pointer[1] - top))
    return image.resize((width_px, round(image.height * width_px / image.width)), Image.Resampling.LANCZOS)


def draw_pointer(image: Image.Image, tip: Place) -> None:
    """An arrow with its tip there."""
    outline = ((0, 0), (0, 24), (6, 19), (10, 28), (14, 26), (10, 17), (18, 17))
    points = [(tip[0] + x, tip[1] + y) for x, y in outline]
    ImageDraw.Draw(image).polygon(points, fill="white", outline="black", width=2)


def save(
    page: Any,
    name: str,
    editor: Editor | None = None,
    *,
    clip: tuple[float, float, float, float] | None = None,
    pointer: Place | None = None,
    width: int = WIDTH,
) -> None:
    """A picture of the editor, or of a part of the page, in docs/pictures."""
    page.wait_for_timeout(SETTLED)
    image = picture(page, clip, pointer, width) if clip else editor_picture(page, editor, pointer)
    write_bytes(PICTURES / name, as_webp(image))
    print(f"wrote {PICTURES / name}, {(PICTURES / name).stat().st_size // 1000} kB", flush=True)


def as_webp(image: Image.Image) -> bytes:
    stored = io.BytesIO()
    image.save(stored, "WEBP", quality=82, method=6)
    return stored.getvalue()


class browser:  # noqa: N801 - it is used like open()
    """Chromium without a window, while a ``with`` block lasts."""

    def __enter__(self) -> Any:
        from playwright.sync_api import sync_playwright

        program = os.environ.get("CHROMIUM") or next((path for name in BROWSERS if (path := shutil.which(name))), None)
        if program is None:
            sys.exit("There is no Chromium: install one, or name it in CHROMIUM.")
        self.playwright = sync_playwright().start()
        self.chromium = self.playwright.chromium.launch(
            executable_path=program, args=["--no-sandbox"], timeout=PATIENCE
        )
        return self.chromium

    def __exit__(self, *_: object) -> None:
        self.chromium.close()
        self.playwright.stop()


if __name__ == "__main__":
    main()
