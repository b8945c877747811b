/** Paints the selected entity's mask, or erases it. Without a selected entity the brush makes a new one. */

import { encodeRle } from "../masks.js";
import { selectedEntity } from "./freehand.js";

/** @typedef {import("../board.js").Board} Board */
/** @typedef {import("../board.js").Gesture} Gesture */
/** @typedef {import("../board.js").Pointer} Pointer */
/** @typedef {import("../board.js").Tool} Tool */
/** @typedef {import("../document.js").Vector} Vector */
/** @typedef {import("../masks.js").Mask} Mask */

/**
 * @param {Board} board
 * @param {boolean} erases
 * @returns {Tool}
 */
export function brushTool(board, erases) {
  return {
    hover: () => {
      board.show({ hover: null });
      return "none";
    },
    down: (pointer) => strokeGesture(board, pointer, erases !== (pointer.alt || pointer.eraser)),
  };
}

/** @type {(board: Board, start: Pointer, erase: boolean) => Gesture | null} */
function strokeGesture(board, start, erase) {
  const entity = selectedEntity(board);
  if (erase && entity === null) {
    board.say("selectToErase");
    return null;
  }
  const owner = board.state.document.entities.find((candidate) => candidate.id === entity);
  if (owner?.locked) {
    board.say("isLocked", { name: owner.name });
    return null;
  }
  const radius = board.scene.brushRadius;
  /** @type {Vector[]} */
  const points = [start.at];
  const draw = () => board.show({ drafts: [{ kind: "brush", points: [...points], radius, erase, entity }] });
  const clear = () => board.show({ drafts: [] });
  draw();
  return {
    move: ({ at }) => {
      points.push(at);
      draw();
    },
    up: ({ at }) => {
      points.push(at);
      clear();
      paint(board, entity, points, radius, erase);
    },
    cancel: clear,
  };
}

/** @type {(board: Board, id: number | null, points: readonly Vector[], radius: number, erase: boolean) => void} */
function paint(board, id, points, radius, erase) {
  const { size } = board.state.document;
  const before = id === null ? undefined : board.scene.masks.get(id);
  const mask = stroked(before ?? { ...size, pixels: new Uint8Array(size.width * size.height) }, points, radius, erase);
  if (!mask.pixels.includes(1)) {
    board.say("emptyMask");
    return;
  }
  const changes = { mask: { rle: encodeRle(mask) } };
  if (id === null) {
    board.dispatch({ type: "add_entity", entity: changes });
  } else {
    board.dispatch({ type: "change_entity", id, changes });
  }
}

/**
 * A mask with a stroke painted or erased: every pixel whose centre is within the radius of the line.
 *
 * @param {Mask} mask
 * @param {readonly Vector[]} points at least one
 * @param {number} radius document px
 * @param {boolean} erase
 * @returns {Mask}
 */
export function stroked({ height, width, pixels }, points, radius, erase) {
  const painted = Uint8Array.from(pixels);
  const value = erase ? 0 : 1;
  points.forEach((to, index) => {
    const from = points[Math.max(index - 1, 0)];
    const top = Math.max(Math.ceil(Math.min(from[1], to[1]) - radius), 0);
    const bottom = Math.min(Math.floor(Math.max(from[1], to[1]) + radius), height - 1);
    const left = Math.max(Math.ceil(Math.min(from[0], to[0]) - radius), 0);
    const right = Math.min(Math.floor(Math.max(from[0], to[0]) + radius), width - 1);
    for (let y = top; y <= bottom; y += 1) {
      for (let x = left; x <= right; x += 1) {
        if (squaredDistance(x, y, from, to) <= radius * radius) {
          painted[y * width + x] = value;
        }
      }
    }
  });
  return { height, width, pixels: painted };
}

/**
 * From a pixel to the straight line between two positions.
 *
 * @type {(x: number, y: number, from: Vector, to: Vector) => number}
 */
function squaredDistance(x, y, [x1, y1], [x2, y2]) {
  const [dx, dy] = [x2 - x1, y2 - y1];
  const length = dx * dx + dy * dy;
  const part = length > 0 ? Math.min(Math.max(((x - x1) * dx + (y - y1) * dy) / length, 0), 1) : 0;
  return (x1 + part * dx - x) ** 2 + (y1 + part * dy - y) ** 2;
}
