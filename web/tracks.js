/** Where every path's disc is in every frame: anchor, camera, visibility, radius, paint order. Pinned as curves.js. */

import { cameraMotion, cameraStarts, moved } from "./camera.js";
import { SNAP, curvePoints } from "./curves.js";
import { frameTimes } from "./easing.js";

/** @typedef {import("./document.js").Anchor} Anchor */
/** @typedef {import("./document.js").CameraMove} CameraMove */
/** @typedef {import("./document.js").MotionDocument} MotionDocument */
/** @typedef {import("./document.js").MotionPath} MotionPath */
/** @typedef {import("./document.js").RadiusKey} RadiusKey */
/** @typedef {import("./document.js").Size} Size */
/** @typedef {import("./document.js").Vector} Vector */
/** @typedef {import("./camera.js").CameraMotion} CameraMotion */
/** @typedef {{readonly center: Vector, readonly radius: number}} Circle an entity's inscribed circle, px */

/**
 * One path's disc in every frame.
 *
 * @typedef {object} PathTrack
 * @property {readonly Vector[]} points (x, y) canvas px
 * @property {readonly boolean[]} visible
 * @property {readonly number[]} radii px
 */

const DEFAULT_DEPTH = 1;

/**
 * One path's disc for an entity with that inscribed circle, on a canvas of that size.
 *
 * Anchor "center": the centre plus the line's displacement from its first point; "grabbed_point": the line itself. A
 * camera that carries it moves that point and scales the radius. Visible: within a span, before a "cut" line has ended,
 * and with the disc's centre on the canvas.
 *
 * @param {MotionPath} path
 * @param {number} frames
 * @param {Size} size
 * @param {Circle} circle
 * @param {Anchor} defaultAnchor for a path that leaves the choice to the weights
 * @param {CameraMotion} [carriedBy]
 * @returns {PathTrack}
 */
export function pathTrack(path, frames, size, circle, defaultAnchor, carriedBy) {
  const line = anchored(curvePoints(path, frames), path, circle.center, defaultAnchor);
  const points = carriedBy === undefined ? line : line.map((point, frame) => moved(carriedBy, frame, point));
  const scale = carriedBy?.scale ?? [];
  return {
    points,
    visible: frameTimes(frames).map((time, frame) => isSeen(path, time, frame) && onCanvas(points[frame], size)),
    radii: frameTimes(frames).map(
      (time, frame) => circle.radius * radiusFactor(path.radius_keys, time) * (scale[frame] ?? 1),
    ),
  };
}

/**
 * The camera's own discs of that radius: one (pan) or four (zoom). Visible while on the canvas.
 *
 * @param {CameraMove} camera
 * @param {number} frames
 * @param {Size} size
 * @param {number} radius
 * @returns {PathTrack[]}
 */
export function cameraTracks(camera, frames, size, radius) {
  const motion = cameraMotion(camera, frames);
  return cameraStarts(camera, size).map((start) => {
    const points = frameTimes(frames).map((_, frame) => moved(motion, frame, start));
    return { points, visible: points.map((point) => onCanvas(point, size)), radii: points.map(() => radius) };
  });
}

/**
 * Where each path's disc is, in the document's order of paths; null for a path whose entity has no circle yet.
 *
 * @param {MotionDocument} document
 * @param {ReadonlyMap<number, Circle>} circles by entity id
 * @param {Anchor} defaultAnchor
 * @returns {(PathTrack | null)[]}
 */
export function documentTracks(document, circles, defaultAnchor) {
  const { camera, frames, size } = document;
  const carrier = camera?.carries_entities ? cameraMotion(camera, frames) : undefined;
  return document.paths.map((path) => {
    const circle = circles.get(path.entity);
    return circle === undefined ? null : pathTrack(path, frames, size, circle, defaultAnchor, carrier);
  });
}

/**
 * Numbers of the paths in the order in which they are painted, the last one wins: entity order, then path order, and
 * far (large depth) before near.
 *
 * @param {MotionDocument} document
 * @returns {number[]}
 */
export function paintOrder(document) {
  const place = new Map(document.entities.map((entity, index) => [entity.id, index]));
  /** @type {(number: number) => [number, number]} */
  const rank = (number) => {
    const path = document.paths[number];
    return [-(path.depth ?? DEFAULT_DEPTH), place.get(path.entity) ?? 0];
  };
  return document.paths
    .map((_, number) => number)
    .sort((one, other) => rank(one)[0] - rank(other)[0] || rank(one)[1] - rank(other)[1] || one - other);
}

/**
 * Whether a point lies on the canvas, whose pixels reach half a pixel around their centres.
 *
 * @param {Vector} point
 * @param {Size} size
 * @returns {boolean}
 */
export function onCanvas([x, y], size) {
  return x >= -0.5 && y >= -0.5 && x <= size.width - 0.5 && y <= size.height - 0.5;
}

/** @type {(line: Vector[], path: MotionPath, center: Vector, defaultAnchor: Anchor) => Vector[]} */
function anchored(line, path, center, defaultAnchor) {
  if ((path.anchor ?? defaultAnchor) === "grabbed_point") {
    return line;
  }
  const origin = path.points[0];
  return line.map(([x, y]) => [center[0] + (x - origin.x), center[1] + (y - origin.y)]);
}

/**
 * Whether a path is meant to be seen in a frame, wherever its disc is then: the frame's clip time lies within a span,
 * and a "cut" line has not ended.
 *
 * @param {MotionPath} path
 * @param {number} time clip time of the frame
 * @param {number} frame
 * @returns {boolean}
 */
export function isSeen(path, time, frame) {
  const hasEnded =
    path.timing === "per_point" && path.fit === "cut" && !path.static && frame >= path.points.length;
  return !hasEnded && path.visible.some(([from, to]) => time >= from - SNAP && time <= to + SNAP);
}

/** @type {(keys: readonly RadiusKey[], time: number) => number} */
function radiusFactor(keys, time) {
  const next = keys.findIndex((key) => key.time > time);
  if (keys.length === 0 || next === 0) {
    return keys[0]?.scale ?? 1;
  }
  if (next === -1) {
    return keys[keys.length - 1].scale;
  }
  const [before, after] = [keys[next - 1], keys[next]];
  const slope = (after.scale - before.scale) / (after.time - before.time);
  return before.scale + slope * (time - before.time);
}
