"""The editor's node inside a real subgraph of the real frontend: picture, frames and weights come across its border."""

from __future__ import annotations

import json
from typing import Any

import pytest
from editor_page import BALL, NODE, Editor

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("browser")]

# A graph with the weights and a sampler; the editor's node then becomes a subgraph of its own.
INTO_A_SUBGRAPH = f"""() => {{
  const node = {NODE};
  const add = (type, x, y) => {{
    const added = LiteGraph.createNode(type);
    added.pos = [x, y];
    app.graph.add(added);
    return added;
  }};
  const link = (from, output, to, input) => from.connect(
    from.outputs.findIndex(({{ name }}) => name === output),
    to, to.inputs.findIndex(({{ name }}) => name === input),
  );
  const [tiny, sampler] = [add("DragAnythingLoadTiny", -340, 500), add("DragAnythingSVDSampler", 1000, 40)];
  link(tiny, "control_net", sampler, "control_net");
  link(node, "motion", sampler, "motion");
  const {{ subgraph, node: outside }} = app.graph.convertToSubgraph(new Set([node]));
  window.draganythingSubgraph = [subgraph, outside];
}}"""
OPEN = """() => {
  const [subgraph, outside] = window.draganythingSubgraph;
  app.canvas.openSubgraph(subgraph, outside);
  app.canvas.ds.scale = 1;
  const inside = subgraph.nodes.find((node) => node.type === "DragAnythingTrajectoryEditor");
  app.canvas.ds.offset = [200 - inside.pos[0], 120 - inside.pos[1]];
  app.canvas.setDirty(true, true);
}"""
INSIDE = """window.draganythingSubgraph[0].nodes.find((node) => node.type === "DragAnythingTrajectoryEditor")"""


def documents(page: Any) -> list[dict[str, Any]]:
    prompt = page.evaluate("app.graphToPrompt().then((prompt) => prompt.output)")
    texts = [node["inputs"].get("document") for node in prompt.values()]
    return [json.loads(text) for text in texts if isinstance(text, str) and text]


GONE = """() => [...document.querySelectorAll("[data-testid=draganything-editor]")]
  .every((shown) => shown.getBoundingClientRect().width === 0)"""
BACK_TO_ROOT = "app.canvas.setGraph(app.rootGraph ?? app.graph.rootGraph ?? app.graph)"


def open_inside(page: Any) -> Editor:
    """Steps into the subgraph once the page is done with what it showed before."""
    page.wait_for_function(GONE)
    page.evaluate(OPEN)
    inside = Editor(page)
    inside.settle()
    return inside


def test_the_editor_works_inside_a_subgraph(page, editor):
    editor.segment(BALL)
    page.evaluate(INTO_A_SUBGRAPH)
    inside = open_inside(page)
    assert inside.ask("e.state.document.entities.length") == 1, "what was drawn came along"
    inside.wait("e.weights !== null")
    assert inside.ask("e.weights.frames") == 8, "the weights are found across the border"
    assert inside.ask("e.picture.reference.filename") == "picture.png"
    inside.drag([BALL, (140, 200), (190, 260)])
    assert len(json.loads(page.evaluate(f"{INSIDE}.widgets[0].value"))["paths"]) == 1

    page.evaluate(BACK_TO_ROOT)
    [document] = documents(page)
    assert len(document["paths"]) == 1, "what is drawn inside is queued"
    assert open_inside(page).ask("e.state.document.paths.length") == 1
    page.evaluate(BACK_TO_ROOT)
