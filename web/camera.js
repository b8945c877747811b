/** Camera moves: the whole picture is the entity, one path pans it and four paths zoom it. */

import { progress } from "./easing.js";

/** @typedef {import("./document.js").CameraMove} CameraMove */
/** @typedef {import("./document.js").Size} Size */
/** @typedef {import("./document.js").Vector} Vector */

/**
 * Where the camera takes the picture: in frame t, point p goes to center + (p - center) * scale[t] + shift[t].
 *
 * @typedef {object} CameraMotion
 * @property {Vector} center
 * @property {readonly number[]} scale
 * @property {readonly Vector[]} shift
 */

const MIN_FACTOR = 0.01; // the limits of document.schema.json
const MAX_FACTOR = 100;

/**
 * The move in each frame. The zoom's factor grows by the same ratio for equal progress, as a steady zoom does.
 *
 * @param {CameraMove} camera
 * @param {number} frames
 * @returns {CameraMotion}
 */
export function cameraMotion(camera, frames) {
  const done = progress(camera.easing, camera.start, camera.end, frames);
  const [dx, dy] = camera.pan ?? [0, 0];
  return {
    center: camera.zoom?.center ?? [0, 0],
    scale: done.map((part) => (camera.zoom?.factor ?? 1) ** part),
    shift: done.map((part) => /** @type {const} */ ([part * dx, part * dy])),
  };
}

/**
 * Where the camera takes a point in a frame.
 *
 * @param {CameraMotion} motion
 * @param {number} frame
 * @param {Vector} point
 * @returns {Vector}
 */
export function moved(motion, frame, point) {
  const [center, shift, scale] = [motion.center, motion.shift[frame], motion.scale[frame]];
  return [
    center[0] + (point[0] - center[0]) * scale + shift[0],
    center[1] + (point[1] - center[1]) * scale + shift[1],
  ];
}

/**
 * The four corners (from the top left, clockwise) of what a frame shows, on the unmoved picture. They are the outer
 * edges of the corner pixels.
 *
 * @param {CameraMotion} motion
 * @param {number} frame
 * @param {Size} size
 * @returns {Vector[]}
 */
export function shownFrame(motion, frame, size) {
  const [center, shift, scale] = [motion.center, motion.shift[frame], motion.scale[frame]];
  const [left, top, right, bottom] = [-0.5, -0.5, size.width - 0.5, size.height - 0.5];
  /** @type {Vector[]} */
  const corners = [
    [left, top],
    [right, top],
    [right, bottom],
    [left, bottom],
  ];
  return corners.map(([x, y]) => [
    center[0] + (x - shift[0] - center[0]) / scale,
    center[1] + (y - shift[1] - center[1]) / scale,
  ]);
}

/**
 * Where the camera's paths start: the zoom's four points, or for a pan the picture's centre.
 *
 * @param {CameraMove} camera
 * @param {Size} size
 * @returns {readonly Vector[]}
 */
export function cameraStarts(camera, size) {
  return camera.zoom?.points ?? [[(size.width - 1) / 2, (size.height - 1) / 2]];
}

/**
 * Four points to drag for a zoom about a centre: a square around it, a quarter of the picture's short side away.
 *
 * @param {Vector} center
 * @param {Size} size
 * @returns {Vector[]}
 */
export function zoomPoints([x, y], size) {
  const reach = Math.max(Math.min(size.width, size.height) / 4, 1);
  return [
    [x - reach, y - reach],
    [x + reach, y - reach],
    [x - reach, y + reach],
    [x + reach, y + reach],
  ];
}

/**
 * The zoom factor of which a point comes to lie as far from the centre as the one that it was dragged to, or null where
 * the point is the centre itself and no factor moves it.
 *
 * @param {Vector} center
 * @param {Vector} start
 * @param {Vector} dragged
 * @returns {number | null}
 */
export function zoomFactor(center, start, dragged) {
  const before = Math.hypot(start[0] - center[0], start[1] - center[1]);
  const after = Math.hypot(dragged[0] - center[0], dragged[1] - center[1]);
  return before > 0 ? Math.min(Math.max(after / before, MIN_FACTOR), MAX_FACTOR) : null;
}
