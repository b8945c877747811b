/** What the editor's node is linked to in ComfyUI: picture, frames and weights, followed as they change. */

import { Server, ServerError } from "./api.js";
import { sourceOf, weightsBehind } from "./graph_walk.js";

/** @typedef {import("./api.js").ImageReference} ImageReference */
/** @typedef {import("./editor.js").TrajectoryEditor} TrajectoryEditor */

/** @typedef {{app: any, api: any}} ComfyUI */

/**
 * @typedef {object} Links
 * @property {(file: File) => Promise<void>} useFile takes a dropped picture as the node's input
 * @property {() => void} stop
 */

const LOOK_EVERY = 500; // ms: the host tells nobody when a node upstream shows another picture
const SAMPLE = "DragAnythingSample"; // the node whose picture the pack brings along
const FARTHEST = 8; // nodes upstream that are asked for a picture

/**
 * Keeps an editor on its node's picture and frames until it is told to stop.
 *
 * @param {any} node
 * @param {TrajectoryEditor} editor
 * @param {ComfyUI} comfy
 * @returns {Links}
 */
export function followNode(node, editor, { app, api }) {
  let shown = "";
  /** @type {{picture: string, upstream: string} | null} */
  let executed = null;
  const sample = sampleAddress(api);
  let asked = ""; // the weights that the editor was told of, or will be

  /** @type {() => string} */
  function wanted() {
    const { address, isDirect } = upstreamPicture(node, api, sample);
    const isSame = executed !== null && executed.upstream === address;
    // What is computed between the picture upstream and here is known from the last run only.
    return isSame && executed !== null && !isDirect ? executed.picture : address;
  }

  function look() {
    if (!node.graph) {
      return; // taken out of its graph, as on its way into a subgraph: its links cannot be asked
    }
    editor.setFrames(framesOf(node));
    followWeights();
    const address = wanted();
    if (address !== shown) {
      shown = address;
      load(address);
    }
  }

  async function followWeights() {
    const choice = weightsBehind(node);
    const wanted = JSON.stringify(choice);
    if (wanted === asked) {
      return;
    }
    asked = wanted;
    let weights = null;
    try {
      weights = choice && (await editor.server.weights(choice));
    } catch (error) {
      if (!(error instanceof ServerError && error.reason === "refused")) {
        asked = asked === wanted ? "" : asked; // asked again: the server may not have been there
        return;
      }
    }
    if (asked === wanted) {
      editor.setWeights(weights);
    }
  }

  /** @type {(address: string) => void} */
  function load(address) {
    if (address === "") {
      editor.setPicture(null);
      return;
    }
    const image = new Image();
    image.onload = () => {
      if (address === shown) {
        editor.setPicture({ image, reference: referenceOf(address) });
      }
    };
    image.onerror = () => {
      if (address === shown) {
        shown = ""; // looked for again: the server may not have been there
      }
    };
    image.src = address;
  }

  const before = { executed: node.onExecuted, connections: node.onConnectionsChange };
  node.onExecuted = function (/** @type {any} */ output, /** @type {unknown[]} */ ...rest) {
    const [picture] = output?.draganything_picture ?? [];
    if (picture !== undefined) {
      executed = { picture: addressOf(picture, api), upstream: upstreamPicture(node, api, sample).address };
      look();
    }
    return before.executed?.call(this, output, ...rest);
  };
  node.onConnectionsChange = function (/** @type {unknown[]} */ ...given) {
    queueMicrotask(look);
    return before.connections?.apply(this, given);
  };
  const gone = () => editor.setOnline(false);
  const back = () => editor.setOnline(true);
  api.addEventListener("reconnecting", gone);
  api.addEventListener("reconnected", back);
  const timer = setInterval(look, LOOK_EVERY);
  look();

  return {
    useFile: async (file) => {
      try {
        await takePicture(node, file, { app, api }, editor.t);
        look();
      } catch (error) {
        editor.fail(error);
      }
    },
    stop: () => {
      clearInterval(timer);
      api.removeEventListener("reconnecting", gone);
      api.removeEventListener("reconnected", back);
      Object.assign(node, { onExecuted: before.executed, onConnectionsChange: before.connections });
    },
  };
}

/**
 * The address of the picture that the nearest node upstream shows, and whether that node is linked to this one.
 *
 * @type {(node: any, api: any, sample: () => string) => {address: string, isDirect: boolean}}
 */
function upstreamPicture(node, api, sample) {
  let source = inputNode(node, "image");
  for (let step = 0; source !== null && step < FARTHEST; step += 1) {
    const address = source.type === SAMPLE ? sample() : shownBy(source, api);
    if (address !== "") {
      return { address, isDirect: step === 0 };
    }
    const images = (source.inputs ?? []).filter((/** @type {any} */ input) => input.type === "IMAGE");
    source = images.length > 0 ? inputNode(source, images[0].name) : null;
  }
  return { address: "", isDirect: false };
}

/**
 * The address of what a node shows: its preview, or the file that its upload widget names.
 *
 * @type {(node: any, api: any) => string}
 */
function shownBy(node, api) {
  const image = node.widgets?.find((/** @type {any} */ widget) => widget.name === "image")?.value;
  if (typeof image === "string" && image !== "" && /^LoadImage/.test(node.type ?? "")) {
    const [, path, type] = /^(.*?)(?: \[(input|temp|output)\])?$/.exec(image) ?? [];
    const parts = path.split("/");
    const filename = parts.pop() ?? "";
    return addressOf({ filename, subfolder: parts.join("/"), type: type ?? "input" }, api);
  }
  return node.imgs?.[0]?.src ?? "";
}

/**
 * The address of the sample picture once it is known; asked for when it is first wanted, and again after a failure.
 *
 * @type {(api: any) => () => string}
 */
function sampleAddress(api) {
  let address = "";
  let isAsked = false;
  const server = new Server(api);
  return () => {
    if (!isAsked) {
      isAsked = true;
      server.sample().then(
        (reference) => (address = addressOf(reference, api)),
        () => (isAsked = false),
      );
    }
    return address;
  };
}

/** @type {(node: any, name: string) => any} */
function inputNode(node, name) {
  const slot = node.inputs?.findIndex((/** @type {any} */ input) => input.name === name) ?? -1;
  return slot < 0 ? null : (sourceOf(node, slot) ?? node.getInputNode?.(slot) ?? null);
}

/**
 * The frames that the node's input asks for, linked or typed; null where the document decides.
 *
 * @type {(node: any) => number | null}
 */
function framesOf(node) {
  const source = inputNode(node, "frames");
  const own = node.widgets?.find((/** @type {any} */ widget) => widget.name === "frames")?.value;
  const linked = source?.widgets?.find((/** @type {any} */ widget) => typeof widget.value === "number")?.value;
  const frames = source === null ? own : linked;
  return Number.isInteger(frames) && frames > 0 ? frames : null;
}

/** @type {(reference: ImageReference, api: any) => string} */
function addressOf({ filename, subfolder, type }, api) {
  return api.apiURL(`/view?${new URLSearchParams({ filename, subfolder, type })}`);
}

/** @type {(address: string) => ImageReference | null} */
function referenceOf(address) {
  const asked = new URL(address, location.href).searchParams;
  const filename = asked.get("filename");
  const [subfolder, type] = [asked.get("subfolder") ?? "", asked.get("type") ?? "output"];
  return filename === null ? null : { filename, subfolder, type };
}

/**
 * Uploads a picture and gives it to the node's Load Image; without one, one is made and linked.
 *
 * @type {(node: any, file: File, comfy: ComfyUI, say: import("./strings.js").Say) => Promise<void>}
 */
async function takePicture(node, file, { app, api }, say) {
  const body = new FormData();
  body.append("image", file);
  const response = await api.fetchApi("/upload/image", { method: "POST", body });
  if (!response.ok) {
    throw new Error(say("uploadRefused", { status: response.status }));
  }
  const { name, subfolder } = await response.json();
  const value = subfolder ? `${subfolder}/${name}` : name;
  const loader = inputNode(node, "image") ?? addedLoader(node, app);
  const widget = loader.widgets?.find((/** @type {any} */ each) => each.name === "image");
  if (widget === undefined || loader.type !== "LoadImage") {
    throw new Error(say("pictureLinked"));
  }
  if (Array.isArray(widget.options?.values) && !widget.options.values.includes(value)) {
    widget.options.values.push(value);
  }
  widget.value = value;
  widget.callback?.(value);
}

/** @type {(node: any, app: any) => any} */
function addedLoader(node, app) {
  const graph = node.graph ?? app.graph;
  const loader = /** @type {any} */ (globalThis).LiteGraph.createNode("LoadImage");
  loader.pos = [node.pos[0] - 360, node.pos[1]];
  graph.add(loader);
  const slot = node.inputs.findIndex((/** @type {any} */ input) => input.name === "image");
  loader.connect(0, node, slot);
  return loader;
}
