"""From an empty graph to a scored video, as a new user goes: nodes, links, things, lines and queue by mouse alone."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from editor_page import Editor, Place, wait_until_ready

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("browser")]

BALL, BALLOON, GROUND = (30, 91), (90, 36), (100, 117)  # in the sample picture as it is, 128 x 128
PACK = "DragAnything"
# The host gives new nodes their size in a moment, which is long where the machine is busy.
STEADY = """() => {
  const text = JSON.stringify(app.graph.nodes.map((node) => [...node.pos, ...node.size]));
  if (window.layout?.text !== text) window.layout = { text, since: performance.now(), looks: 0 };
  window.layout.looks += 1;
  return window.layout.looks > 20 && performance.now() - window.layout.since > 1000;
}"""
NODES = {  # where each is put on the page, CSS pixels
    "Sample Picture": (90, 110),
    "Load Tiny Demo Model": (90, 300),
    "Trajectory Editor": (300, 110),
    "SVD ControlNet Sampler": (900, 110),
    "Did It Obey?": (1100, 420),
}
LINKS = [
    ("Sample.image", "TrajectoryEditor.image"),
    *((f"LoadTiny.{name}", f"SVDSampler.{name}") for name in ("model", "clip_vision", "vae", "control_net")),
    ("TrajectoryEditor.motion", "SVDSampler.motion"),
    ("TrajectoryEditor.motion", "Score.motion"),
    ("SVDSampler.images", "Score.video"),
]
SLOT = """([kind, name, isInput]) => {
  const node = app.graph._nodes.find(({ type }) => type === kind);
  const index = (isInput ? node.inputs : node.outputs).findIndex((slot) => slot.name === name);
  const dot = document.querySelector(`[data-slot-key="${node.id}-${isInput ? "in" : "out"}-${index}"]`);
  if (dot !== null) {
    const { left, top, width, height } = dot.getBoundingClientRect();
    return [left + width / 2, top + height / 2];
  }
  const [x, y] = isInput ? node.getInputPos(index) : node.getOutputPos(index);
  const { left, top } = app.canvas.canvas.getBoundingClientRect();
  const { scale, offset } = app.canvas.ds;
  return [left + (x + offset[0]) * scale, top + (y + offset[1]) * scale];
}"""
LINK_COUNT = "[...app.graph.links.values()].length"
REPORT = """app.graph._nodes.find(({ type }) => type === "DragAnythingScore")
  .widgets?.map(({ value }) => String(value)).find((text) => /px|not measurable/.test(text))"""


def add_node(page: Any, name: str, at: Place) -> None:
    page.mouse.click(*at, button="right")
    for entry in ("Add Node", PACK, name):
        page.locator(".litecontextmenu").last.get_by_text(entry, exact=True).click()


def link(page: Any, source: str, target: str) -> None:
    before = page.evaluate(LINK_COUNT)
    page.mouse.move(*slot(page, source, is_input=False))
    page.mouse.down()
    x, y = slot(page, target, is_input=True)
    page.mouse.move(x - 10, y, steps=3)
    page.mouse.move(x, y)
    page.mouse.up()
    page.wait_for_function(f"{LINK_COUNT} === {before + 1}")


def slot(page: Any, name: str, *, is_input: bool) -> Place:
    node, socket = name.split(".")
    return tuple(page.evaluate(SLOT, [PACK + node, socket, is_input]))


def test_from_an_empty_graph_to_a_score(page):
    page.evaluate(
        "fetch('/free', {method: 'POST', headers: {'Content-Type': 'application/json'}, "
        "body: JSON.stringify({free_memory: true})})"
    )  # the other rendering's run would be taken for this one
    page.evaluate("app.graph.clear()")
    page.evaluate("app.canvas.ds.scale = 0.55; app.canvas.ds.offset = [100, 120]; app.canvas.setDirty(true, true)")
    for name, at in NODES.items():
        add_node(page, name, at)
    editor = Editor(page)
    page.wait_for_function(STEADY)
    for source, target in LINKS:
        link(page, source, target)
    editor.settle()
    editor.wait("e.weights !== null")
    assert editor.ask("e.state.document.frames") == 8, "a new drawing has as many frames as the weights were made for"

    editor.segment(BALL)
    editor.segment(BALLOON)
    editor.drag([BALL, (52, 68), (74, 94), (97, 83)])
    editor.drag([BALLOON, (78, 25), (57, 22), (34, 27)])
    editor.tool("pin")
    editor.click(GROUND)
    document = json.loads(editor.saved())
    assert [len(path["points"]) for path in document["paths"]] == [4, 4, 1]
    assert document["paths"][2]["static"]
    editor.command("play")
    editor.wait("e.scene.playing && e.scene.frame > 3")
    editor.command("play")
    editor.wait("!e.scene.playing")
    editor.command("frame:first")

    move_a_point_until_there_are(editor, 20)
    saved = editor.saved()
    for step in range(20):
        editor.command("undo") if step < 3 else editor.press("Control+z")
    assert (editor.saved(), editor.steps()) == ("", 0)
    for step in range(20):
        editor.command("redo") if step < 3 else editor.press("Control+Shift+z")
    assert (editor.saved(), editor.steps()) == (saved, 20)

    page.locator("[data-testid=queue-button]").first.click()
    page.wait_for_function(f"Boolean({REPORT})", timeout=600_000)
    report = page.evaluate(REPORT)
    found = re.match(r"([\d.]+) px mean.* \(standing still: ([\d.]+) px\)", report)
    assert found, report
    assert float(found[1]) < 0.75 * float(found[2]), report
    assert page.evaluate(LINK_COUNT) == len(LINKS)

    graph = page.evaluate("JSON.stringify(app.graph.serialize())")
    page.reload()
    wait_until_ready(page)
    page.evaluate("(graph) => app.loadGraphData(JSON.parse(graph))", graph)
    editor.settle()
    assert editor.saved() == saved
    assert editor.ask("e.state.document.paths.length") == 3
    prompt = page.evaluate("app.graphToPrompt().then((prompt) => prompt.output)")
    assert saved in [node["inputs"].get("document") for node in prompt.values()]


def move_a_point_until_there_are(editor: Editor, steps: int) -> None:
    """Drags the last point of the ball's line up and down, a step of the history each time."""
    editor.tool("select")
    at, other = (97, 83), (97, 91)
    for before in range(editor.steps(), steps):
        editor.drag([at, other])
        assert editor.steps() == before + 1
        at, other = other, at
