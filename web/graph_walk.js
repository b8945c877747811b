/**
 * Which nodes are linked in ComfyUI's graph, across the borders of subgraphs. Nodes and graphs are the host's own; only
 * what is read of them is named here.
 */

const BORDER_IN = -10; // the host's number of a subgraph's own input side, as if it were a node
const BORDER_OUT = -20; // and of its output side
const FARTHEST = 200; // nodes that are visited
const CONTROL = "DRAGANYTHING_CONTROLNET"; // the type of links that carry weights
const TINY = "DragAnythingLoadTiny";
const LOADER = "DragAnythingLoadControlNet";

/** @typedef {{name: string, preset?: string}} WeightsChoice as the server takes it */

/**
 * The node whose output a node's input takes, wherever it is: outside when the link comes from the subgraph's border,
 * inside when it comes from a subgraph's node. Null where nothing is linked.
 *
 * @param {any} node
 * @param {number} slot
 * @returns {any}
 */
export function sourceOf(node, slot) {
  const link = linkOf(node.graph, node.inputs?.[slot]?.link);
  return link === null ? null : originOf(node.graph, link);
}

/**
 * The weights' loader that a drawing ends up with: the nearest one that is linked to a node downstream. Null for none.
 *
 * @param {any} node
 * @returns {WeightsChoice | null}
 */
export function weightsBehind(node) {
  const [seen, queue] = [new Set([node]), [node]];
  for (const each of queue) {
    const choice = weightsOf(each);
    if (choice !== null) {
      return choice;
    }
    for (const next of targetsOf(each)) {
      if (!seen.has(next) && seen.size < FARTHEST) {
        seen.add(next);
        queue.push(next);
      }
    }
  }
  return null;
}

/** @type {(node: any) => WeightsChoice | null} */
function weightsOf(node) {
  for (const [slot, input] of (node.inputs ?? []).entries()) {
    const loader = input.type === CONTROL ? sourceOf(node, slot) : null;
    if (loader?.type === TINY) {
      return { name: "tiny" };
    }
    const [name, preset] = ["name", "preset"].map((each) => widgetValue(loader, each));
    if (loader?.type === LOADER && typeof name === "string" && name !== "") {
      return typeof preset === "string" ? { name, preset } : { name };
    }
  }
  return null;
}

/** @type {(node: any, name: string) => unknown} */
function widgetValue(node, name) {
  return node?.widgets?.find((/** @type {any} */ widget) => widget.name === name)?.value;
}

/**
 * The nodes that take what a node gives, in the order of its outputs.
 *
 * @type {(node: any) => any[]}
 */
function targetsOf(node) {
  const ids = (node.outputs ?? []).flatMap((/** @type {any} */ output) => output.links ?? []);
  return ids.flatMap((/** @type {any} */ id) => reached(node.graph, linkOf(node.graph, id)));
}

/** @type {(graph: any, link: any) => any[]} */
function reached(graph, link) {
  if (link === null) {
    return [];
  }
  if (Number(link.target_id) === BORDER_OUT) {
    const outer = outside(graph);
    const ids = outer?.outputs?.[link.target_slot]?.links ?? [];
    return ids.flatMap((/** @type {any} */ id) => reached(outer.graph, linkOf(outer.graph, id)));
  }
  const target = nodeOf(graph, link.target_id);
  const inside = target?.subgraph;
  if (inside) {
    const ids = inside.inputs?.[link.target_slot]?.linkIds ?? [];
    return ids.flatMap((/** @type {any} */ id) => reached(inside, linkOf(inside, id)));
  }
  return target ? [target] : [];
}

/** @type {(graph: any, link: any) => any} */
function originOf(graph, link) {
  if (Number(link.origin_id) === BORDER_IN) {
    const outer = outside(graph);
    return outer === null ? null : sourceOf(outer, link.origin_slot);
  }
  const origin = nodeOf(graph, link.origin_id);
  const within = linkOf(origin?.subgraph, origin?.subgraph?.outputs?.[link.origin_slot]?.linkIds?.[0]);
  return within === null ? origin : originOf(origin.subgraph, within);
}

/**
 * The first node that stands for a subgraph; null for a graph that is none.
 *
 * @type {(graph: any) => any}
 */
function outside(graph) {
  const root = graph.rootGraph ?? graph;
  const graphs = [root, ...(root.subgraphs?.values?.() ?? [])];
  const nodes = graphs.flatMap((each) => each._nodes ?? each.nodes ?? []);
  return nodes.find((node) => node.subgraph === graph) ?? null;
}

/** @type {(graph: any, id: any) => any} */
function linkOf(graph, id) {
  if (!graph || id === null || id === undefined) {
    return null;
  }
  return graph.getLink?.(id) ?? graph.links?.get?.(id) ?? graph.links?.[id] ?? null;
}

/** @type {(graph: any, id: any) => any} */
function nodeOf(graph, id) {
  return graph.getNodeById?.(id) ?? null;
}
