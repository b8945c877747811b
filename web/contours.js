/** Outlines of masks as closed lines, so that they can be drawn sharp at any zoom. */

import { simplified } from "./geometry.js";

/** @typedef {import("./document.js").Vector} Vector */
/** @typedef {import("./masks.js").Mask} Mask */

const TOLERANCE = 0.2; // document px
const MAX_CORNERS = 40_000; // of all lines together: what has more is speckles and no shape
const STEPS = /** @type {const} */ ([
  [1, 0],
  [0, 1],
  [-1, 0],
  [0, -1],
]); // right, down, left, up

/**
 * The lines around a mask and its holes in document px, each without repeating its first point. Outer ones go
 * clockwise, holes the other way round. Pixels that touch by a corner belong together. No lines for a mask that is all
 * speckles: drawing them would take longer than anyone wants to wait.
 *
 * @param {Mask} mask
 * @returns {Vector[][]}
 */
export function contoursOf(mask) {
  const { height, width, pixels } = mask;
  const seen = new Uint8Array(pixels.length); // whether the edge above a pixel was walked along
  /** @type {Vector[][]} */
  const lines = [];
  let corners = 0;
  for (let y = 0, at = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1, at += 1) {
      if (pixels[at] === 1 && seen[at] === 0 && (y === 0 || pixels[at - width] === 0)) {
        const walk = walked(mask, x, y, seen);
        corners += walk.length;
        if (corners > MAX_CORNERS) {
          return [];
        }
        lines.push(smoothed(walk));
      }
    }
  }
  return lines;
}

/**
 * The smallest rectangle of pixels that has all of a mask; of no width and height when the mask is empty.
 *
 * @param {Mask} mask
 * @returns {{left: number, top: number, width: number, height: number}}
 */
export function boundsOf({ width, height, pixels }) {
  const first = pixels.indexOf(1);
  if (first === -1) {
    return { left: 0, top: 0, width: 0, height: 0 };
  }
  const [top, bottom] = [Math.floor(first / width), Math.floor(pixels.lastIndexOf(1) / width)];
  let [left, right] = [width, -1];
  for (let y = top; y <= bottom; y += 1) {
    const [start, end] = [y * width, (y + 1) * width];
    const leftmost = pixels.subarray(start, start + left).indexOf(1);
    left = leftmost === -1 ? left : leftmost;
    const rightmost = pixels.subarray(start + right + 1, end).lastIndexOf(1);
    right = rightmost === -1 ? right : right + 1 + rightmost;
  }
  return { left, top, width: right - left + 1, height: bottom - top + 1 };
}

/**
 * Once around from the top edge of a pixel, the inside on the right hand. A step of a slanted edge (a turn to one side
 * at its start, to the other at its end) gives its middle, so that the slope becomes straight; any other stretch gives
 * the middles of its first and last pixel.
 *
 * @type {(mask: Mask, x: number, y: number, seen: Uint8Array) => {x: number, y: number}[]}
 */
function walked({ height, width, pixels }, startX, startY, seen) {
  const isSet = (/** @type {number} */ x, /** @type {number} */ y) =>
    x >= 0 && y >= 0 && x < width && y < height && pixels[y * width + x] === 1;
  /** @type {{x: number, y: number}[]} */
  const points = [];
  // (x, y) is a corner of pixels: pixel (x, y) is to its lower right. A stretch began `length` corners ago with a turn.
  let [x, y, direction, length, firstTurn] = [startX, startY, 0, 0, isSet(startX - 1, startY - 1) ? -1 : 1];
  const backToStart = () => x === startX && y === startY && direction === 0;
  do {
    const [dx, dy] = STEPS[direction];
    if (direction === 0) {
      seen[y * width + x] = 1;
    }
    [x, y, length] = [x + dx, y + dy, length + 1];
    const turn = turnAt(isSet, x, y, direction);
    if (turn !== 0) {
      const isStep = turn !== firstTurn;
      for (const back of isStep ? [length / 2] : [length - 0.5, 0.5]) {
        points.push({ x: x - back * dx - 0.5, y: y - back * dy - 0.5 });
      }
      [length, firstTurn] = [0, turn];
    }
    direction = (direction + turn + 4) % 4;
  } while (!backToStart());
  return points;
}

/**
 * Where the edge goes on from a corner: -1 to the left, 0 straight, 1 to the right.
 *
 * @type {(isSet: (x: number, y: number) => boolean, x: number, y: number, direction: number) => -1 | 0 | 1}
 */
function turnAt(isSet, x, y, direction) {
  const [dx, dy] = STEPS[direction];
  // The pixels ahead of the corner: their centres lie half a step ahead and half a step to either side.
  const [aheadX, aheadY] = [x + (dx - 1) / 2, y + (dy - 1) / 2];
  if (isSet(aheadX + dy / 2, aheadY - dx / 2)) {
    return -1;
  }
  return isSet(aheadX - dy / 2, aheadY + dx / 2) ? 0 : 1;
}

/** @type {(points: {x: number, y: number}[]) => Vector[]} */
function smoothed(points) {
  const line = simplified([...points, points[0]], TOLERANCE);
  return line.slice(0, -1).map(({ x, y }) => [x, y]);
}
