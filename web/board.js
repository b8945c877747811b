/**
 * What a tool can see and do. Tools know no page and no events: pointers come to them as plain data in the document's
 * pixels, and what they want done they say to the board.
 */

/** @typedef {import("./actions/selection.js").Selection} Selection */
/** @typedef {import("./api.js").Answer} Answer */
/** @typedef {import("./api.js").Question} Question */
/** @typedef {import("./api.js").Scale} Scale */
/** @typedef {import("./document.js").CurveKind} CurveKind */
/** @typedef {import("./document.js").Vector} Vector */
/** @typedef {import("./scene.js").Draft} Draft */
/** @typedef {import("./scene.js").Hover} Hover */
/** @typedef {import("./scene.js").Scene} Scene */
/** @typedef {import("./scene.js").Tool} ToolName */
/** @typedef {import("./strings.js").Key} Key */
/** @typedef {import("./state.js").Action} Action */
/** @typedef {import("./state.js").State} State */

/**
 * Where a pointer is and how it is held.
 *
 * @typedef {object} Pointer
 * @property {Vector} at document px
 * @property {Vector} canvas canvas px
 * @property {"mouse" | "pen" | "touch"} kind
 * @property {0 | 1 | 2} button the one that went down
 * @property {boolean} shift
 * @property {boolean} control or the command key
 * @property {boolean} alt
 * @property {boolean} eraser the pen's other end
 */

/**
 * From pointer down to pointer up. Exactly one of `up` and `cancel` is called, once.
 *
 * @typedef {object} Gesture
 * @property {(pointer: Pointer) => void} move
 * @property {(pointer: Pointer) => void} up
 * @property {() => void} cancel
 */

/**
 * `finish` takes what is being made into the document, `leave` drops it; both leave the tool ready for the next thing.
 *
 * @typedef {object} Tool
 * @property {(pointer: Pointer) => string} hover shows what a press would take; answers with the CSS cursor
 * @property {(pointer: Pointer) => Gesture | null} down
 * @property {(pointer: Pointer) => void} [twice] after a double click, the two presses of which were presses as well
 * @property {() => boolean} [finish] whether there was something to finish
 * @property {() => boolean} [leave] whether there was something to drop
 * @property {() => boolean} [back] takes back the last step of what is being made; whether there was one
 */

/**
 * What is chosen beside the tools.
 *
 * @typedef {object} Options
 * @property {CurveKind} curve of new lines
 * @property {Scale | "best"} scale which of the segmenter's three answers
 * @property {"new" | "add" | "remove"} click what a plain click of the segmenter's tool means
 * @property {string | undefined} segmenter
 * @property {boolean} preview whether resting the pointer asks for a preview
 */

/**
 * @typedef {object} Board
 * @property {State} state
 * @property {Scene} scene
 * @property {Options} options
 * @property {(action: Action) => boolean} dispatch false when it was refused; the user is told why
 * @property {(changes: Partial<Scene>) => void} show
 * @property {(changes: Partial<Options>) => void} choose
 * @property {(key: Key, values?: Record<string, string | number>) => void} say a hint to the user
 * @property {(error: unknown) => void} fail tells the user what went wrong
 * @property {(question: Pick<Question, "points" | "box" | "hover">, signal: AbortSignal) => Promise<Answer[]>} segment
 * @property {(call: () => void, delay: number) => () => void} after calls later; the function returned prevents it
 */

export const DRAG_AFTER = 4; // canvas px: less is a click with an unsteady hand

/**
 * How far from a pointer something may be to be meant, in document px: fingers hide what they touch.
 *
 * @param {Board} board
 * @param {Pointer} pointer
 * @returns {number}
 */
export function reachOf(board, pointer) {
  const canvas = { mouse: 8, pen: 10, touch: 20 }[pointer.kind];
  return canvas / board.scene.viewport.scale;
}

/**
 * Whether a pointer went far enough from where it went down to be dragging.
 *
 * @param {Pointer} from
 * @param {Pointer} to
 * @returns {boolean}
 */
export function isDrag(from, to) {
  const [dx, dy] = [to.canvas[0] - from.canvas[0], to.canvas[1] - from.canvas[1]];
  return Math.hypot(dx, dy) >= DRAG_AFTER * (to.kind === "touch" ? 2 : 1);
}

/**
 * A gesture that is a click until the pointer has moved, and then another one.
 *
 * @param {Pointer} start
 * @param {{click: (pointer: Pointer) => void, drag: (start: Pointer) => Gesture | null}} meanings
 * @returns {Gesture}
 */
export function clickOrDrag(start, { click, drag }) {
  /** @type {Gesture | null | undefined} */
  let dragged;
  return {
    move: (pointer) => {
      if (dragged === undefined && isDrag(start, pointer)) {
        dragged = drag(start);
      }
      dragged?.move(pointer);
    },
    up: (pointer) => {
      if (dragged === undefined) {
        click(pointer);
      } else {
        dragged?.up(pointer);
      }
    },
    cancel: () => dragged?.cancel(),
  };
}

/**
 * A gesture that changes the document with every move, as one step of the history.
 *
 * @param {Board} board
 * @param {(pointer: Pointer) => void} change
 * @param {(pointer: Pointer) => void} [end] within the step still
 * @returns {Gesture}
 */
export function changing(board, change, end) {
  board.dispatch({ type: "begin_gesture" });
  return {
    move: change,
    up: (pointer) => {
      change(pointer);
      end?.(pointer);
      board.dispatch({ type: "end_gesture" });
    },
    cancel: () => board.dispatch({ type: "cancel_gesture" }),
  };
}
