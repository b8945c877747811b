/**
 * The editor as a widget of ComfyUI's Trajectory Editor node. This is the only module that knows ComfyUI, and the only
 * one that does something by being loaded: it registers the extension.
 */

import { api } from "../../scripts/api.js";
import { app } from "../../scripts/app.js";
import { Server } from "./api.js";
import { documentFormat } from "./document.js";
import { element } from "./dom.js";
import { TrajectoryEditor } from "./editor.js";
import { followNode } from "./host_links.js";
import { translationFor } from "./translation.js";

/** @typedef {import("./document.js").DocumentFormat} DocumentFormat */

const WIDGET = "DRAGANYTHING_EDITOR"; // as nodes/trajectories.py names it
const NODE_SIZE = /** @type {const} */ ([860, 680]);
const SMALLEST = /** @type {const} */ ([420, 360]);
const REMOUNT = 250; // ms between looks at whether the editor is on the page
const RETRY = 3000; // ms between questions for the schema while the server does not answer

/** @type {Promise<DocumentFormat> | null} */
let format = null;

/** @type {Promise<ReturnType<typeof translationFor>> | null} */
let translation = null;

/** @type {Map<string, HTMLElement>} */
const PLACES = new Map(); // by node id: where the last editor of that id was put

app.registerExtension({
  name: "DragAnything.TrajectoryEditor",
  init() {
    const href = new URL("./editor.css", import.meta.url).href;
    document.head.append(element("link", { rel: "stylesheet", href }));
  },
  getCustomWidgets: () => ({ [WIDGET]: editorWidget }),
});

/** @type {(node: any, name: string) => {widget: any, minWidth: number, minHeight: number}} */
function editorWidget(node, name) {
  const place = element("div", { class: "da-place" });
  Object.assign(place.style, { width: "100%", height: "100%", minHeight: "0" });
  /** @type {TrajectoryEditor | null} */
  let editor = null;
  let text = ""; // what the editor will open with, once it can

  const widget = node.addDOMWidget(name, WIDGET, place, {
    getValue: () => (editor === null ? text : editor.value()),
    setValue: (/** @type {unknown} */ value) => {
      text = typeof value === "string" ? value : "";
      editor?.load(text);
    },
    getMinHeight: () => SMALLEST[1],
    hideOnZoom: false,
    serialize: true,
  });

  openEditor(node, place, () => {
    widget.callback?.(widget.value);
    app.extensionManager?.workflow?.activeWorkflow?.changeTracker?.captureCanvasState?.();
    node.graph?.setDirtyCanvas?.(true);
  }).then((opened) => {
    editor = opened;
    editor.load(text);
  });

  requestAnimationFrame(() => growTo(node, NODE_SIZE));
  return { widget, minWidth: SMALLEST[0], minHeight: SMALLEST[1] };
}

/** @type {(node: any, place: HTMLElement, changed: () => void) => Promise<TrajectoryEditor>} */
async function openEditor(node, place, changed) {
  const editor = new TrajectoryEditor({
    format: await knownFormat(),
    translation: await knownTranslation(),
    host: api,
    changed,
    keyTaken,
    pictureDropped: (file) => links.useFile(file),
  });
  const links = followNode(node, editor, { app, api });
  place.append(editor.element);
  // Without the focus the wheel belongs to the graph; in the classic rendering it ends up here all the same.
  place.addEventListener("wheel", (event) => {
    if (!editor.element.contains(document.activeElement)) {
      app.canvas.processMouseWheel?.(event);
    }
  });
  const releases = [keepMiddleButton(editor), keepTouches(editor)];
  const mounting = setInterval(() => takePlace(node, place), REMOUNT);
  const removed = node.onRemoved;
  node.onRemoved = function (/** @type {unknown[]} */ ...given) {
    links.stop();
    releases.forEach((release) => release());
    clearInterval(mounting);
    editor.dispose();
    return removed?.apply(this, given);
  };
  return editor;
}

/**
 * Nodes 2.0 may go on showing the element of a node that is gone when another node gets its id, as undo and reloading
 * make it: the new node's element then takes the old one's place. Nodes of other graphs may have the same id, and so
 * have the copies that the host makes on the way into a subgraph, which are in no graph.
 *
 * @type {(node: any, place: HTMLElement) => void}
 */
function takePlace(node, place) {
  if (!node.graph || node.graph !== app.canvas.graph) {
    return;
  }
  const id = String(node.id);
  const shown = PLACES.get(id);
  if (place.isConnected) {
    PLACES.set(id, place);
  } else if (shown?.isConnected) {
    shown.replaceWith(place);
    PLACES.set(id, place);
  }
}

/**
 * Keeps the host's undo off a key. It hears of keys before anyone can stop them, and looks at them in the next frame;
 * with Alt they are none of its.
 *
 * @type {(event: KeyboardEvent) => void}
 */
function keyTaken(event) {
  Object.defineProperty(event, "altKey", { value: true });
}

/**
 * Keeps the middle button's drags in the editor. Nodes 2.0 pans the graph by them, and takes them on their way down to
 * the editor: they have to be caught above it.
 *
 * @type {(editor: TrajectoryEditor) => () => void}
 */
function keepMiddleButton(editor) {
  const listening = new AbortController();
  const { signal } = listening;
  /** @type {(event: PointerEvent) => void} */
  const keep = (event) => {
    const isMiddle = event.type === "pointermove" ? (event.buttons & 4) !== 0 : event.button === 1;
    if (isMiddle && event.target === editor.canvas) {
      event.stopImmediatePropagation();
      editor.interaction.take(event);
    }
  };
  for (const name of /** @type {const} */ (["pointerdown", "pointermove", "pointerup"])) {
    window.addEventListener(name, keep, { capture: true, signal });
  }
  return () => listening.abort();
}

/**
 * Keeps touches in the editor, which knows them as pointers. The host zooms the graph by two fingers and opens menus by
 * a long one, and takes both on their way down to the editor.
 *
 * @type {(editor: TrajectoryEditor) => () => void}
 */
function keepTouches(editor) {
  const listening = new AbortController();
  const { signal } = listening;
  /** @type {(event: TouchEvent) => void} */
  const keep = (event) => {
    if (event.target instanceof Node && editor.element.contains(event.target)) {
      event.stopImmediatePropagation();
    }
  };
  for (const name of /** @type {const} */ (["touchstart", "touchmove", "touchend", "touchcancel"])) {
    window.addEventListener(name, keep, { capture: true, passive: true, signal });
  }
  return () => listening.abort();
}

/**
 * The format of the server's schema; asked for until it answers, as nothing can be opened without it.
 *
 * @type {() => Promise<DocumentFormat>}
 */
function knownFormat() {
  format ??= (async () => {
    for (;;) {
      try {
        return documentFormat(await new Server(api).schema());
      } catch (error) {
        console.warn("DragAnything: the editor waits for the server's schema.", error);
        await new Promise((resolve) => setTimeout(resolve, RETRY));
      }
    }
  })();
  return format;
}

/**
 * The editor's words in the page's language, English where the host has none.
 *
 * @type {() => Promise<ReturnType<typeof translationFor>>}
 */
function knownTranslation() {
  translation ??= (async () => {
    try {
      const response = await api.fetchApi("/i18n");
      return translationFor(await response.json(), app.extensionManager?.setting?.get?.("Comfy.Locale"));
    } catch (error) {
      console.warn("DragAnything: there are no translations, the editor speaks English.", error);
      return {};
    }
  })();
  return translation;
}

/**
 * A new node opens large enough to work in; a loaded one keeps its size.
 *
 * @type {(node: any, size: readonly [number, number]) => void}
 */
function growTo(node, [width, height]) {
  if (node.graph && !node.properties?.draganything_sized) {
    node.properties = { ...node.properties, draganything_sized: true };
    node.setSize([Math.max(node.size[0], width), Math.max(node.size[1], height)]);
  }
}
