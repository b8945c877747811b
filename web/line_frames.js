/** Where on a drawn line each frame is, and which stretches of it are seen: what ticks and dashes are drawn from. */

import { flattened, piecesOfSegment } from "./curves.js";
import { progress } from "./easing.js";

/** @typedef {import("./curves.js").Flattened} Flattened */
/** @typedef {import("./document.js").MotionPath} MotionPath */
/** @typedef {import("./document.js").Vector} Vector */

/**
 * From one place on a line to another one, as numbers of the flattened line's corners: 2.5 is half way between corners
 * 2 and 3.
 *
 * @typedef {{from: number, to: number}} Stretch
 */

/** @type {WeakMap<MotionPath, Float64Array>} */
const PLACES = new WeakMap();

/**
 * The place on the flattened line of each frame. Remembered for as long as the path is.
 *
 * @param {MotionPath} path
 * @param {number} frames
 * @returns {Float64Array}
 */
export function linePlaces(path, frames) {
  const known = PLACES.get(path);
  if (known !== undefined && known.length === frames) {
    return known;
  }
  const places = newPlaces(path, frames);
  PLACES.set(path, places);
  return places;
}

/**
 * The point at a place on a line.
 *
 * @param {Flattened} line
 * @param {number} place
 * @returns {Vector}
 */
export function pointAtPlace({ x, y }, place) {
  const first = Math.min(Math.max(Math.floor(place), 0), x.length - 1);
  const next = Math.min(first + 1, x.length - 1);
  const part = place - first;
  return [x[first] + (x[next] - x[first]) * part, y[first] + (y[next] - y[first]) * part];
}

/**
 * The stretches of a line that are passed in frames in which it is seen. Between a frame that is seen and one that is
 * not, it is seen half way. They are in order and do not overlap.
 *
 * @param {ArrayLike<number>} places one for each frame
 * @param {readonly boolean[]} seen
 * @param {number} last the line's last place: what a lone frame stands for is all of it
 * @returns {Stretch[]}
 */
export function seenStretches(places, seen, last) {
  if (places.length === 1) {
    return seen[0] ? [{ from: 0, to: last }] : [];
  }
  /** @type {Stretch[]} */
  const found = [];
  for (let frame = 0; frame + 1 < places.length; frame += 1) {
    const [here, next] = [places[frame], places[frame + 1]];
    const middle = (here + next) / 2;
    const [start, end] = [seen[frame] ? here : middle, seen[frame + 1] ? next : middle];
    if (start !== end) {
      found.push({ from: Math.min(start, end), to: Math.max(start, end) });
    }
  }
  return joined(found);
}

/**
 * What is left of a line from 0 to its last place beside some stretches.
 *
 * @param {readonly Stretch[]} stretches in order
 * @param {number} last
 * @returns {Stretch[]}
 */
export function otherStretches(stretches, last) {
  const starts = [0, ...stretches.map((stretch) => stretch.to)];
  const ends = [...stretches.map((stretch) => stretch.from), last];
  return starts.map((from, index) => ({ from, to: ends[index] })).filter(({ from, to }) => to > from);
}

/** @type {(stretches: Stretch[]) => Stretch[]} */
function joined(stretches) {
  /** @type {Stretch[]} */
  const result = [];
  for (const { from, to } of stretches.sort((one, other) => one.from - other.from)) {
    const before = result.at(-1);
    if (before !== undefined && from <= before.to) {
      before.to = Math.max(before.to, to);
    } else {
      result.push({ from, to });
    }
  }
  return result;
}

/** @type {(path: MotionPath, frames: number) => Float64Array} */
function newPlaces(path, frames) {
  const last = path.points.length - 1;
  if (path.static || last === 0) {
    return new Float64Array(frames);
  }
  const pieces = piecesOfSegment(path);
  if (path.timing === "per_point" && path.fit !== "stretch") {
    return Float64Array.from({ length: frames }, (_, frame) => Math.min(frame, last) * pieces);
  }
  const parts = progress(path.easing, path.start, path.end, frames);
  if (path.timing === "per_point") {
    return Float64Array.from(parts, (part) => part * last * pieces);
  }
  const { behind } = flattened(path);
  return Float64Array.from(parts, (part) => placeAtLength(behind, part * behind[behind.length - 1]));
}

/**
 * The last place at which so much of the line is behind.
 *
 * @type {(behind: Float64Array, length: number) => number}
 */
function placeAtLength(behind, length) {
  let [low, high] = [0, behind.length - 1];
  if (length >= behind[high]) {
    return high;
  }
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (behind[middle] <= length) {
      low = middle;
    } else {
      high = middle;
    }
  }
  return low + (length - behind[low]) / (behind[high] - behind[low]);
}
