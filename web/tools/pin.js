/** Holds something where it is: a press on an entity pins it, a press beside all of them pins the ground there. */

import { shownEntityAt } from "../hits.js";
import { encodeRle } from "../masks.js";
import { onCanvas } from "../tracks.js";

/** @typedef {import("../board.js").Board} Board */
/** @typedef {import("../board.js").Tool} Tool */
/** @typedef {import("../document.js").MotionDocument} MotionDocument */
/** @typedef {import("../document.js").Vector} Vector */

const PIN_PART = 0.06; // of the picture's short side: the radius of a pin in the ground

/**
 * @param {Board} board
 * @returns {Tool}
 */
export function pinTool(board) {
  return {
    hover: ({ at }) => {
      board.show({ hover: shownEntityAt(board.scene, at) });
      return "crosshair";
    },
    down: ({ at }) => {
      const under = shownEntityAt(board.scene, at);
      if (under === null && !onCanvas(at, board.state.document.size)) {
        board.say("onThePicture");
        return null;
      }
      board.dispatch({ type: "begin_gesture" });
      const id = under?.id ?? groundEntity(board, at);
      const isPinned = board.dispatch({ type: "pin_entity", id, x: at[0], y: at[1] });
      board.dispatch({ type: isPinned ? "end_gesture" : "cancel_gesture" });
      return null;
    },
  };
}

/** @type {(board: Board, at: Vector) => number} */
function groundEntity(board, at) {
  const { size, entities } = board.state.document;
  const radius = Math.max(Math.min(size.width, size.height) * PIN_PART, 1);
  const taken = entities.filter((entity) => /^ground/.test(entity.name)).length;
  const name = taken === 0 ? "ground" : `ground ${taken + 1}`;
  board.dispatch({ type: "add_entity", entity: { name, mask: { rle: encodeRle(disc(size, at, radius)) } } });
  return board.state.selection.entities[0];
}

/** @type {(size: MotionDocument["size"], center: Vector, radius: number) => import("../masks.js").Mask} */
function disc({ width, height }, [cx, cy], radius) {
  const pixels = new Uint8Array(width * height);
  for (let y = Math.max(Math.ceil(cy - radius), 0); y <= Math.min(cy + radius, height - 1); y += 1) {
    for (let x = Math.max(Math.ceil(cx - radius), 0); x <= Math.min(cx + radius, width - 1); x += 1) {
      pixels[y * width + x] = (x - cx) ** 2 + (y - cy) ** 2 <= radius ** 2 ? 1 : 0;
    }
  }
  return { height, width, pixels };
}
