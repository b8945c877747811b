/** What is under the pointer and would be taken by a press, the most particular thing first. */

import { curvePoints } from "./curves.js";
import { entityAt, nearestFrame, pathAt, pointAt } from "./geometry.js";

/** @typedef {import("./document.js").MotionDocument} MotionDocument */
/** @typedef {import("./document.js").Vector} Vector */
/** @typedef {import("./geometry.js").PlaceOnPath} PlaceOnPath */
/** @typedef {import("./scene.js").Hover} Hover */
/** @typedef {import("./scene.js").Scene} Scene */

/** @typedef {{readonly document: MotionDocument, readonly numbers: readonly number[]}} Shown */

/** @type {WeakMap<MotionDocument, Shown>} */
const SHOWN = new WeakMap();

/**
 * Numbers of the paths that the selection touches: as wholes or by their points.
 *
 * @param {Scene} scene
 * @returns {number[]}
 */
export function touchedPaths({ selection }) {
  return [...new Set([...selection.paths, ...selection.points.map(({ path }) => path)])];
}

/**
 * A handle of a selected Bezier path, or null.
 *
 * @param {Scene} scene
 * @param {Vector} position
 * @param {number} reach document px
 * @returns {Extract<Hover, {kind: "handle"}> | null}
 */
export function handleAt(scene, [x, y], reach) {
  /** @type {Extract<Hover, {kind: "handle"}> | null} */
  let best = null;
  let nearest = reach;
  for (const path of touchedPaths(scene)) {
    const { curve, points, static: isPin } = scene.document.paths[path];
    if (curve !== "bezier" || isPin) {
      continue;
    }
    for (const [point, { x: px, y: py, handle_in: into, handle_out: out }] of points.entries()) {
      for (const [side, handle] of /** @type {const} */ ([["in", into], ["out", out]])) {
        const distance = handle === undefined ? Infinity : Math.hypot(px + handle[0] - x, py + handle[1] - y);
        const isAtPoint = handle !== undefined && handle[0] === 0 && handle[1] === 0; // the point itself is meant
        if (distance <= nearest && !isAtPoint) {
          [best, nearest] = [{ kind: "handle", path, point, side }, distance];
        }
      }
    }
  }
  return best;
}

/**
 * The control point under a position; those of selected paths first, those of hidden entities never.
 *
 * @param {Scene} scene
 * @param {Vector} position
 * @param {number} reach document px
 * @returns {Extract<Hover, {kind: "point"}> | null}
 */
export function shownPointAt(scene, position, reach) {
  const { document, numbers } = shown(scene.document);
  const found = pointAt(document, position, reach, preferred(scene, numbers));
  return found === null ? null : { kind: "point", path: numbers[found.path], point: found.point };
}

/**
 * The path under a position with the place on it; as above.
 *
 * @param {Scene} scene
 * @param {Vector} position
 * @param {number} reach document px
 * @returns {{path: number, place: PlaceOnPath} | null}
 */
export function shownPathAt(scene, position, reach) {
  const { document, numbers } = shown(scene.document);
  const found = pathAt(document, position, reach, preferred(scene, numbers));
  return found === null ? null : { path: numbers[found.path], place: found.place };
}

/**
 * The entity under a position.
 *
 * @param {Scene} scene
 * @param {Vector} position
 * @returns {Extract<Hover, {kind: "entity"}> | null}
 */
export function shownEntityAt({ document, masks }, position) {
  const id = entityAt(document, masks, position);
  return id === null ? null : { kind: "entity", id };
}

/**
 * Everything that a press with the select tool could take: handle, point, frame tick, path, entity.
 *
 * @param {Scene} scene
 * @param {Vector} position
 * @param {number} reach document px
 * @returns {Hover | null}
 */
export function hoverAt(scene, position, reach) {
  const near = handleAt(scene, position, reach) ?? shownPointAt(scene, position, reach);
  if (near !== null) {
    return near;
  }
  const line = shownPathAt(scene, position, reach);
  if (line === null) {
    return shownEntityAt(scene, position);
  }
  const path = scene.document.paths[line.path];
  const { frame, distance } = nearestFrame(curvePoints(path, scene.document.frames), position);
  return distance <= reach
    ? { kind: "frame", path: line.path, frame }
    : { kind: "path", path: line.path, position: line.place.position };
}

/**
 * A document with only the paths of entities that are not hidden, and their numbers in the whole one.
 *
 * @type {(document: MotionDocument) => Shown}
 */
function shown(document) {
  const known = SHOWN.get(document);
  if (known !== undefined) {
    return known;
  }
  const hidden = new Set(document.entities.filter((entity) => entity.hidden).map((entity) => entity.id));
  const numbers = [...document.paths.keys()].filter((number) => !hidden.has(document.paths[number].entity));
  const reduced = hidden.size === 0 ? document : { ...document, paths: numbers.map((at) => document.paths[at]) };
  const result = { document: reduced, numbers };
  SHOWN.set(document, result);
  return result;
}

/** @type {(scene: Scene, numbers: readonly number[]) => number[]} */
function preferred(scene, numbers) {
  return touchedPaths(scene).map((number) => numbers.indexOf(number));
}
