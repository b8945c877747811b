/** When things happen: the clip time of each frame, and how far along its line a disc is at that time. */

/** @typedef {import("./document.js").Easing} Easing */
/** @typedef {readonly [number, number, number, number]} Handles (x1, y1, x2, y2), as CSS writes them */

/**
 * CSS Easing Functions, section "cubic Bezier easing".
 *
 * @type {Readonly<Record<"ease_in" | "ease_out" | "ease_in_out", Handles>>}
 */
export const CUBIC_BEZIERS = {
  ease_in: [0.42, 0, 1, 1],
  ease_out: [0, 0, 0.58, 1],
  ease_in_out: [0.42, 0, 0.58, 1],
};
const HALVINGS = 60; // of the interval 0..1: past the last bit of a float, and the core's own number of them

/**
 * Clip time of each frame: i / (T - 1), so 0 is the first frame and 1 the last; a lone frame is at 0.
 *
 * @param {number} frames
 * @returns {number[]}
 */
export function frameTimes(frames) {
  return Array.from({ length: frames }, (_, frame) => frame / Math.max(frames - 1, 1));
}

/**
 * The span of clip time around frames first..last and no others: its ends lie half way to the frames beside them.
 *
 * @param {number} first
 * @param {number} last
 * @param {number} frames
 * @returns {[number, number]}
 */
export function spanOfFrames(first, last, frames) {
  const steps = Math.max(frames - 1, 1);
  return [Math.max((first - 0.5) / steps, 0), Math.min((last + 0.5) / steps, 1)];
}

/**
 * Progress 0..1 along the line in each frame: at rest before `start` and after `end` (clip times). A curve that
 * overshoots is held at 0 or 1: a disc never leaves its line.
 *
 * @param {Easing} easing
 * @param {number} start
 * @param {number} end
 * @param {number} frames
 * @returns {number[]}
 */
export function progress(easing, start, end, frames) {
  return frameTimes(frames).map((time) => unit(eased(easing, unit((time - start) / (end - start)))));
}

/**
 * The easing's value at a time 0..1: 0 at 0 and 1 at 1, exactly.
 *
 * @param {Easing} easing
 * @param {number} time
 * @returns {number}
 */
export function eased(easing, time) {
  if (easing === "linear" || time <= 0 || time >= 1) {
    return unit(time);
  }
  const [x1, y1, x2, y2] = typeof easing === "string" ? CUBIC_BEZIERS[easing] : easing.cubic_bezier;
  return bezier(parameterAt(time, x1, x2), y1, y2);
}

/** @type {(value: number) => number} */
function unit(value) {
  return Math.min(Math.max(value, 0), 1);
}

/**
 * Bisection alone, without Newton's steps: x never falls with the parameter, so this cannot fail where the slope is
 * zero, and halving as the core halves finds the core's answer.
 *
 * @type {(time: number, x1: number, x2: number) => number}
 */
function parameterAt(time, x1, x2) {
  let [low, high] = [0, 1];
  for (let halving = 0; halving < HALVINGS; halving += 1) {
    const middle = (low + high) / 2;
    if (bezier(middle, x1, x2) < time) {
      low = middle;
    } else {
      high = middle;
    }
  }
  return (low + high) / 2;
}

/**
 * Cubic Bezier from 0 to 1 with the handles' values `first` and `second`.
 *
 * @type {(parameter: number, first: number, second: number) => number}
 */
function bezier(parameter, first, second) {
  const rest = 1 - parameter;
  return 3 * rest * rest * parameter * first + 3 * rest * parameter * parameter * second + parameter ** 3;
}
