/** Points of paths: inserting, moving and deleting any of them, the end points too. */

import { withPointOnPath } from "../geometry.js";
import { withoutPaths } from "./entities.js";
import { selected } from "./selection.js";
import { Refusal, checkSome, controlPoint, hundredth, unlockedPathOf, unlockedPointOf, withPath } from "./targets.js";

/** @typedef {import("../document.js").ControlPoint} ControlPoint */
/** @typedef {import("../document.js").MotionDocument} MotionDocument */
/** @typedef {import("../geometry.js").PointRef} PointRef */
/** @typedef {import("./selection.js").Selection} Selection */
/** @typedef {import("./targets.js").Change} Change */
/** @typedef {import("./targets.js").Context} Context */

/** @typedef {{type: "insert_point", path: number, index: number, point: ControlPoint}} InsertPoint 0 is before all */
/** @typedef {{type: "insert_point_on_path", path: number, segment: number, parameter: number}} InsertPointOnPath */
/** @typedef {{type: "change_point", path: number, point: number, changes: Partial<ControlPoint>}} ChangePoint */
/** @typedef {{type: "delete_points", points: readonly PointRef[]}} DeletePoints a path without points goes too */
/**
 * Moves the selected paths and points. Within a gesture, moves that follow each other count from where the first one
 * began: the last one alone says how far.
 *
 * @typedef {{type: "move_selection", dx: number, dy: number}} MoveSelection
 */
/** @typedef {InsertPoint | InsertPointOnPath | ChangePoint | DeletePoints | MoveSelection} PointAction */

export const pointEdits = {
  /** @type {(document: MotionDocument, action: InsertPoint, context: Context) => Change} */
  insert_point: (document, { path, index, point }, { selection }) => {
    const { points } = unlockedPathOf(document, path);
    if (!(Number.isInteger(index) && index >= 0 && index <= points.length)) {
      throw new Refusal("noPointPlace", { place: index, count: points.length });
    }
    const inserted = [...points.slice(0, index), controlPoint(point), ...points.slice(index)];
    return withInserted(document, path, index, inserted, selection);
  },

  /** @type {(document: MotionDocument, action: InsertPointOnPath, context: Context) => Change} */
  insert_point_on_path: (document, { path, segment, parameter }, { selection }) => {
    const line = unlockedPathOf(document, path);
    if (!(Number.isInteger(segment) && segment >= 0 && segment < line.points.length - 1)) {
      throw new Refusal("noSegment", { segment, count: line.points.length });
    }
    if (!(parameter >= 0 && parameter <= 1)) {
      throw new Refusal("badParameter", { parameter });
    }
    const inserted = withPointOnPath(line, segment, parameter).map((point, at) =>
      at === segment + 1 ? controlPoint(point) : point,
    );
    return withInserted(document, path, segment + 1, inserted, selection);
  },

  /** @type {(document: MotionDocument, action: ChangePoint) => Change} */
  change_point: (document, { path, point, changes }) => {
    const changed = controlPoint({ ...unlockedPointOf(document, { path, point }), ...changes });
    const points = document.paths[path].points.map((other, at) => (at === point ? changed : other));
    return { document: withPath(document, path, { points }) };
  },

  /** @type {(document: MotionDocument, action: DeletePoints, context: Context) => Change} */
  delete_points: (document, { points }, { selection }) => {
    checkSome(points);
    points.forEach((point) => unlockedPointOf(document, point));
    const gone = byPath(points);
    const paths = document.paths.map((path, number) => {
      const left = path.points.filter((_, index) => !gone.get(number)?.has(index));
      return left.length === path.points.length ? path : { ...path, points: left };
    });
    const emptied = paths.flatMap((path, number) => (path.points.length === 0 ? [number] : []));
    return withoutPaths({ ...document, paths }, emptied, selected({ ...selection, points: [] }));
  },

  /** @type {(document: MotionDocument, action: MoveSelection, context: Context) => Change} */
  move_selection: (_document, { dx, dy }, { selection, origin }) => {
    const touched = new Set([...selection.paths, ...selection.points.map(({ path }) => path)]);
    checkSome([...touched]);
    const chosen = byPath(selection.points);
    const paths = origin.paths.map((path, number) => {
      if (!touched.has(number)) {
        return path;
      }
      const { points } = unlockedPathOf(origin, number);
      const isMoved = (/** @type {number} */ index) =>
        selection.paths.includes(number) || chosen.get(number)?.has(index) === true;
      return { ...path, points: points.map((point, index) => (isMoved(index) ? shifted(point, dx, dy) : point)) };
    });
    return { document: { ...origin, paths } };
  },
};

/**
 * The path with its new points; the new one is selected.
 *
 * @type {(document: MotionDocument, path: number, index: number, points: ControlPoint[], before: Selection) => Change}
 */
function withInserted(document, path, index, points, before) {
  return {
    document: withPath(document, path, { points }),
    selection: selected({ entities: before.entities, points: [{ path, point: index }] }),
  };
}

/** @type {(points: readonly PointRef[]) => Map<number, Set<number>>} */
function byPath(points) {
  /** @type {Map<number, Set<number>>} */
  const result = new Map();
  for (const { path, point } of points) {
    result.set(path, (result.get(path) ?? new Set()).add(point));
  }
  return result;
}

/** @type {(point: ControlPoint, dx: number, dy: number) => ControlPoint} */
function shifted(point, dx, dy) {
  return { ...point, x: hundredth(point.x + dx), y: hundredth(point.y + dy) };
}
