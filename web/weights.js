/** What the weights that a drawing goes to can follow. */

import { DEFAULT_LIMITS } from "./warnings.js";

/** @typedef {import("./document.js").Anchor} Anchor */
/** @typedef {import("./document.js").Size} Size */
/** @typedef {import("./warnings.js").Limits} Limits */

/**
 * What the server reads from the weights' configuration. `max_radius`: px at `max_radius_size`; `max_speed`: px from
 * one frame to the next at `size`, the native one; both null where the weights set no limit.
 *
 * @typedef {object} Weights
 * @property {Anchor} anchor
 * @property {number | null} max_radius
 * @property {Size} max_radius_size
 * @property {number | null} max_speed
 * @property {Size} size
 * @property {number} frames
 */

/**
 * The limits of weights on a canvas: the drawing is scaled to the size that is generated, and they with it.
 *
 * @param {Weights | null} weights null: none are known
 * @param {Size} canvas
 * @returns {Limits}
 */
export function limitsOn(weights, canvas) {
  if (weights === null) {
    return DEFAULT_LIMITS;
  }
  const scale = scaleOf(weights.size, canvas);
  return {
    speed: weights.max_speed === null ? null : weights.max_speed * scale,
    radius: DEFAULT_LIMITS.radius === null ? null : DEFAULT_LIMITS.radius * scale,
    largest: weights.max_radius === null ? null : weights.max_radius * scaleOf(weights.max_radius_size, canvas),
  };
}

/** @type {(from: Size, to: Size) => number} */
function scaleOf(from, to) {
  return (to.width / from.width + to.height / from.height) / 2;
}
