/** Moves the view, not the document. */

import { panned } from "../viewport.js";

/** @typedef {import("../board.js").Board} Board */
/** @typedef {import("../board.js").Gesture} Gesture */
/** @typedef {import("../board.js").Pointer} Pointer */
/** @typedef {import("../board.js").Tool} Tool */

/**
 * @param {Board} board
 * @returns {Tool}
 */
export function panTool(board) {
  return {
    hover: () => {
      board.show({ hover: null });
      return "grab";
    },
    down: (pointer) => panGesture(board, pointer),
  };
}

/**
 * The gesture that moves the view with the pointer.
 *
 * @param {Board} board
 * @param {Pointer} start
 * @returns {Gesture}
 */
export function panGesture(board, start) {
  const { viewport } = board.scene;
  /** @type {Gesture["move"]} */
  const move = ({ canvas }) =>
    board.show({ viewport: panned(viewport, canvas[0] - start.canvas[0], canvas[1] - start.canvas[1]) });
  return { move, up: move, cancel: () => board.show({ viewport }) };
}
