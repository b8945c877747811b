/**
 * Pointer events of the canvas, as gestures of tools. It knows the page's events and no tool in particular: it says
 * where the pointer is in the document, keeps one gesture at a time, and does what is the same with every tool (panning
 * by the middle button or the space bar, zooming by the wheel, two fingers).
 */

import { isDrag } from "./board.js";
import { panGesture } from "./tools/pan.js";
import { clientToCanvas, panned, toDocument, zoomed } from "./viewport.js";

/** @typedef {import("./board.js").Board} Board */
/** @typedef {import("./board.js").Gesture} Gesture */
/** @typedef {import("./board.js").Pointer} Pointer */
/** @typedef {import("./board.js").Tool} Tool */
/** @typedef {import("./document.js").Vector} Vector */

const WHEEL_STEP = 0.0015; // of the zoom's logarithm for each pixel that the wheel scrolls
const LINE = 16; // px, for wheels that count lines
const TWICE_WITHIN = 350; // ms and canvas px between the presses of a double click
const TWICE_NEAR = 8;

/**
 * @typedef {object} Interaction
 * @property {() => void} cancel the gesture that goes on
 * @property {() => boolean} isBusy whether one does
 * @property {(isHeld: boolean) => boolean} holdSpace answers whether the view was moved while it was held
 * @property {() => void} refresh what is under the pointer, after the document or the tool changed
 * @property {(event: PointerEvent) => void} take an event that was caught before it came to the canvas
 * @property {() => void} dispose
 */

/**
 * What this needs to know of the editor: the chosen tool, whom to tell of a press before it is handled (it takes the
 * focus then), and whether it has the focus: without it, the wheel is the page's.
 *
 * @typedef {{tool: () => Tool, pressed: () => void, hasFocus: () => boolean}} Around
 */

/**
 * @param {HTMLElement} canvas
 * @param {Board} board
 * @param {Around} around
 * @returns {Interaction}
 */
export function interact(canvas, board, { tool, pressed, hasFocus }) {
  /** @type {Gesture | null} */
  let gesture = null;
  let owner = -1;
  /** @type {Map<number, Vector>} */
  const fingers = new Map();
  /** @type {{at: number, canvas: Vector, button: number} | null} */
  let lastPress = null;
  /** @type {Pointer | null} */
  let doubled = null; // the second press of a double click, until it turns out to be a drag
  /** @type {Pointer | null} */
  let lastPointer = null;
  let isSpaceHeld = false;
  let movedView = false;
  const listening = new AbortController();

  /** @type {(event: PointerEvent | WheelEvent) => Vector} */
  function onCanvas(event) {
    const size = { width: canvas.clientWidth, height: canvas.clientHeight };
    return clientToCanvas([event.clientX, event.clientY], canvas.getBoundingClientRect(), size);
  }

  /** @type {(event: PointerEvent) => Pointer} */
  function pointerOf(event) {
    const at = onCanvas(event);
    return {
      at: toDocument(board.scene.viewport, at),
      canvas: at,
      kind: event.pointerType === "touch" || event.pointerType === "pen" ? event.pointerType : "mouse",
      button: event.button === 1 || event.button === 2 ? event.button : 0,
      shift: event.shiftKey,
      control: event.ctrlKey || event.metaKey,
      alt: event.altKey,
      eraser: (event.buttons & 32) !== 0,
    };
  }

  function cancel() {
    const open = gesture;
    gesture = null;
    open?.cancel();
  }

  /** @type {(pointer: Pointer) => void} */
  function hover(pointer) {
    lastPointer = pointer;
    board.show({ pointer: pointer.at });
    canvas.style.cursor = isSpaceHeld ? "grab" : tool().hover(pointer);
  }

  /** @type {(event: PointerEvent) => void} */
  function down(event) {
    event.stopPropagation();
    pressed();
    const pointer = pointerOf(event);
    if (pointer.kind === "touch" && gesture !== null && !fingers.has(owner)) {
      return; // a palm beside the pen
    }
    if (pointer.kind === "touch") {
      fingers.set(event.pointerId, pointer.canvas);
      if (fingers.size === 2) {
        cancel();
        lastPress = null;
      }
    }
    if (gesture !== null || fingers.size > 1) {
      return;
    }
    event.preventDefault();
    canvas.setPointerCapture(event.pointerId);
    owner = event.pointerId;
    const isTwice = isSecond(event, pointer);
    lastPress = isTwice ? null : { at: event.timeStamp, canvas: pointer.canvas, button: event.button };
    board.show({ pointer: pointer.at });
    if (pointer.button === 1 || isSpaceHeld) {
      movedView = true;
      canvas.style.cursor = "grabbing";
      gesture = panGesture(board, pointer);
    } else {
      gesture = tool().down(pointer);
      doubled = isTwice ? pointer : null;
    }
  }

  /** @type {(event: PointerEvent) => void} */
  function move(event) {
    event.stopPropagation();
    if (fingers.has(event.pointerId) && fingers.size === 2) {
      pinch(event);
      return;
    }
    if (gesture === null) {
      if (event.pointerType !== "touch") {
        hover(pointerOf(event)); // a finger on the glass that draws nothing points at nothing either
      }
      return;
    }
    if (event.pointerId !== owner) {
      return;
    }
    const events = event.getCoalescedEvents?.() ?? [];
    for (const each of events.length > 0 ? events : [event]) {
      gesture.move(pointerOf(each));
    }
    lastPointer = pointerOf(event);
    board.show({ pointer: lastPointer.at });
  }

  /** @type {(event: PointerEvent) => void} */
  function up(event) {
    event.stopPropagation();
    fingers.delete(event.pointerId);
    if (event.pointerId !== owner) {
      return;
    }
    const [ended, second] = [gesture, doubled];
    [gesture, doubled] = [null, null];
    const pointer = pointerOf(event);
    ended?.up(pointer);
    if (second !== null && !isDrag(second, pointer)) {
      tool().twice?.(pointer);
    }
    if (pointer.kind === "mouse") {
      hover(pointer);
    } else {
      leave();
    }
  }

  function leave() {
    if (gesture === null) {
      lastPointer = null;
      board.show({ pointer: null, hover: null });
    }
  }

  /** @type {(event: PointerEvent) => void} */
  function lost(event) {
    fingers.delete(event.pointerId);
    if (event.pointerId === owner) {
      cancel();
    }
  }

  /** @type {(event: PointerEvent) => void} */
  function pinch(event) {
    const other = [...fingers].find(([id]) => id !== event.pointerId)?.[1];
    const [before, after] = [fingers.get(event.pointerId), onCanvas(event)];
    if (other === undefined || before === undefined) {
      return;
    }
    fingers.set(event.pointerId, after);
    const [was, is] = [distance(before, other), distance(after, other)];
    const [from, to] = [middle(before, other), middle(after, other)];
    const grown = was > 0 ? zoomed(board.scene.viewport, is / was, from) : board.scene.viewport;
    board.show({ viewport: panned(grown, to[0] - from[0], to[1] - from[1]), pointer: null, hover: null });
  }

  /** @type {(event: WheelEvent) => void} */
  function wheel(event) {
    if (!hasFocus()) {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
    const unit = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? LINE : 1;
    const { viewport } = board.scene;
    // A trackpad scrolls both ways to pan; a wheel turns one way, and a pinch comes as a wheel with Ctrl.
    const isPan = event.deltaX !== 0 && !event.ctrlKey;
    const changed = isPan
      ? panned(viewport, -event.deltaX * unit, -event.deltaY * unit)
      : zoomed(viewport, Math.exp(-event.deltaY * unit * WHEEL_STEP * (event.ctrlKey ? 5 : 1)), onCanvas(event));
    board.show({ viewport: changed });
  }

  /** @type {(event: PointerEvent, pointer: Pointer) => boolean} */
  function isSecond(event, pointer) {
    return (
      lastPress !== null &&
      lastPress.button === event.button &&
      event.timeStamp - lastPress.at < TWICE_WITHIN &&
      distance(lastPress.canvas, pointer.canvas) < TWICE_NEAR
    );
  }

  const { signal } = listening;
  canvas.addEventListener("pointerdown", down, { signal });
  canvas.addEventListener("pointermove", move, { signal });
  canvas.addEventListener("pointerup", up, { signal });
  canvas.addEventListener("pointercancel", lost, { signal });
  canvas.addEventListener("lostpointercapture", lost, { signal });
  canvas.addEventListener("pointerleave", leave, { signal });
  canvas.addEventListener("wheel", wheel, { signal, passive: false });

  return {
    cancel,
    isBusy: () => gesture !== null,
    holdSpace: (isHeld) => {
      if (isHeld && !isSpaceHeld) {
        movedView = false;
      }
      isSpaceHeld = isHeld;
      canvas.style.cursor = isHeld ? "grab" : "default";
      return movedView;
    },
    refresh: () => {
      if (gesture === null && lastPointer !== null) {
        hover({ ...lastPointer, at: toDocument(board.scene.viewport, lastPointer.canvas) });
      }
    },
    take: (event) => {
      /** @type {Record<string, (event: PointerEvent) => void>} */
      const meanings = { pointerdown: down, pointermove: move, pointerup: up };
      meanings[event.type]?.(event);
    },
    dispose: () => listening.abort(),
  };
}

/** @type {(one: Vector, other: Vector) => number} */
function distance(one, other) {
  return Math.hypot(other[0] - one[0], other[1] - one[1]);
}

/** @type {(one: Vector, other: Vector) => Vector} */
function middle(one, other) {
  return [(one[0] + other[0]) / 2, (one[1] + other[1]) / 2];
}
