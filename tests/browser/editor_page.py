"""The one trajectory editor on ComfyUI's page, as tests work it: by mouse, keyboard, touch and files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Place = tuple[float, float]
BALL, BALLOON, GROUND = (92, 275), (271, 111), (300, 350)  # in the sample picture at 384 x 384

READY = """() => Boolean(window.app?.extensionManager?.setting && window.LiteGraph
  && LiteGraph.registered_node_types.DragAnythingTrajectoryEditor)"""
ADD_NODES = """() => {
  app.graph.clear();
  window.draganythingPlace = null;
  const loader = LiteGraph.createNode("LoadImage");
  loader.pos = [-340, 40];
  app.graph.add(loader);
  const image = loader.widgets.find((widget) => widget.name === "image");
  image.value = "picture.png";
  image.callback?.(image.value);
  const node = LiteGraph.createNode("DragAnythingTrajectoryEditor");
  node.pos = [40, 40];
  app.graph.add(node);
  loader.connect(0, node, node.inputs.findIndex((input) => input.name === "image"));
  app.canvas.ds.scale = 1;
  app.canvas.ds.offset = [60, 60];
  app.canvas.setDirty(true, true);
}"""
NODE = """app.graph._nodes.find((node) => node.type === "DragAnythingTrajectoryEditor")"""
WIDGET = f"{NODE}?.widgets[0]"
ROOT = "document.querySelector('[data-testid=draganything-editor]')"
SHOWN = f"""() => document.querySelectorAll("[data-testid=draganything-editor]").length === 1
  && {ROOT}.editor.picture !== null"""
# The host lays a new node out in several steps: where the canvas is must not have changed since it was asked last.
AT_REST = """() => {
  const canvas = document.querySelector("[data-testid=draganything-canvas]");
  const { left, top, width, height } = canvas.getBoundingClientRect();
  const place = [left, top, width, height].join(" ");
  const isSame = window.draganythingPlace === place && width > 100;
  window.draganythingPlace = place;
  return isSame;
}"""


class Editor:
    """Places are pixels of the picture."""

    def __init__(self, page: Any) -> None:
        self.page = page

    def settle(self) -> None:
        """Waits until there is one editor, with its picture, and the host is done laying it out."""
        self.page.wait_for_function(SHOWN)
        self.page.evaluate("window.draganythingPlace = null")
        self.page.wait_for_function(AT_REST, polling=250)

    def ask(self, expression: str) -> Any:
        return self.page.evaluate(f"(() => {{ const e = {ROOT}.editor; return {expression}; }})()")

    def wait(self, expression: str) -> None:
        self.page.wait_for_function(f"(() => {{ const e = {ROOT}?.editor; return e && ({expression}); }})()")

    def place(self, at: Place) -> Place:
        """Where a place of the picture is on the page, CSS pixels."""
        return tuple(
            self.ask(
                f"""(([x, y], r, v) => [
                  r.left + (v.left + (x + 0.5) * v.scale) * r.width / e.canvas.clientWidth,
                  r.top + (v.top + (y + 0.5) * v.scale) * r.height / e.canvas.clientHeight,
                ])({list(at)}, e.canvas.getBoundingClientRect(), e.scene.viewport)"""
            )
        )

    def command(self, name: str) -> None:
        """Presses a command's button."""
        self.page.locator(f'[data-command="{name}"]:visible').first.click()

    def tool(self, name: str) -> None:
        self.command(f"tool:{name}")

    def click(self, at: Place, **how: Any) -> None:
        self.page.mouse.click(*self.place(at), **how)

    def drag(self, points: Sequence[Place], button: str = "left") -> None:
        mouse = self.page.mouse
        mouse.move(*self.place(points[0]))
        mouse.down(button=button)
        for at in points[1:]:
            mouse.move(*self.place(at), steps=5)
        mouse.up(button=button)

    def press(self, key: str) -> None:
        self.page.keyboard.press(key)

    def segment(self, at: Place) -> None:
        before = self.ask("e.state.document.entities.length")
        self.tool("segment")
        self.click(at)
        self.wait(f"e.state.document.entities.length === {before + 1}")
        self.tool("select")

    def saved(self) -> str:
        return str(self.page.evaluate(f"{WIDGET}.value"))

    def steps(self) -> int:
        return int(self.ask("e.state.past.length"))

    def error(self) -> str:
        """The error that is shown, once there is one."""
        line = self.page.locator(".da-message.da-error")
        line.wait_for()
        return str(line.locator(".da-message-text").text_content())

    def open_settings(self, title: str) -> None:
        """Unfolds a part of the settings."""
        part = self.page.locator("details.da-section", has=self.page.locator("summary", has_text=title))
        if not part.evaluate("(part) => part.open"):
            part.locator("summary").click()


def wait_until_ready(page: Any) -> None:
    page.wait_for_function(READY)
    page.wait_for_timeout(2500)  # the host goes on setting up for a moment, and clears the graph
