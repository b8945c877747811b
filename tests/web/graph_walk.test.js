import assert from "node:assert/strict";
import { test } from "node:test";

import { sourceOf, weightsBehind } from "../../web/graph_walk.js";

/** A graph of the host's shape: nodes by id, links as [id, origin, slot, target, slot]. */
function graphOf(nodes, links, more = {}) {
  const graph = { ...more, nodes: Object.entries(nodes).map(([id, node]) => Object.assign(node, { id })) };
  graph.links = new Map(
    links.map(([id, origin_id, origin_slot, target_id, target_slot]) => [
      id,
      { origin_id, origin_slot, target_id, target_slot },
    ]),
  );
  graph.getLink = (id) => graph.links.get(id);
  graph.getNodeById = (id) => graph.nodes.find((node) => node.id === String(id));
  graph.nodes.forEach((node) => Object.assign(node, { graph }));
  return graph;
}

const CONTROL = "DRAGANYTHING_CONTROLNET";
const loader = (name) => ({
  type: "DragAnythingLoadControlNet",
  widgets: [{ name: "name", value: name }, { name: "preset", value: "trained" }],
  outputs: [{ links: [2] }],
});

test("the weights are those of the nearest node downstream that takes some", () => {
  const editor = { outputs: [{ links: [1] }] };
  const sampler = { inputs: [{ link: 1 }, { link: 2, type: CONTROL }], outputs: [] };
  graphOf({ 1: editor, 2: sampler, 3: loader("draganything/a") }, [[1, 1, 0, 2, 0], [2, 3, 0, 2, 1]]);
  assert.deepEqual(weightsBehind(editor), { name: "draganything/a", preset: "trained" });
  assert.equal(weightsBehind({ outputs: [], graph: {} }), null);
});

test("a circle of links ends", () => {
  const node = { inputs: [{ link: 1 }], outputs: [{ links: [1] }] };
  graphOf({ 1: node }, [[1, 1, 0, 1, 0]]);
  assert.equal(weightsBehind(node), null);
});

test("in a subgraph, pictures come from outside and the weights are found there", () => {
  const editor = { inputs: [{ link: 7, name: "image" }], outputs: [{ links: [8] }] };
  const inside = graphOf({ 5: editor }, [[7, -10, 0, 5, 0], [8, 5, 0, -20, 0]]);
  Object.assign(inside, { inputs: [{ linkIds: [7] }], outputs: [{ linkIds: [8] }] });
  const image = { type: "LoadImage", outputs: [{ links: [1] }] };
  const whole = { subgraph: inside, inputs: [{ link: 1 }], outputs: [{ links: [3] }] };
  const sampler = { inputs: [{ link: 3 }, { link: 4, type: CONTROL }] };
  const tiny = { type: "DragAnythingLoadTiny" };
  inside.rootGraph = graphOf({ 1: image, 2: whole, 3: sampler, 4: tiny }, [
    [1, 1, 0, 2, 0],
    [3, 2, 0, 3, 0],
    [4, 4, 0, 3, 1],
  ]);
  assert.equal(sourceOf(editor, 0), image);
  assert.equal(sourceOf(sampler, 0), editor);
  assert.deepEqual(weightsBehind(editor), { name: "tiny" });
  assert.deepEqual(weightsBehind(image), { name: "tiny" });
  assert.equal(sourceOf({ inputs: [{ link: null }], graph: inside }, 0), null);
});
