/** Whole paths: drawing, removing, kind and pace, paint order, direction, pins. */

import { copied } from "../document.js";
import { simplified } from "../geometry.js";
import { withoutPaths } from "./entities.js";
import { renumbered, selected } from "./selection.js";
import {
  Refusal,
  checkSome,
  controlPoint,
  reordered,
  unlockedEntityOf,
  unlockedPathOf,
  withPath,
} from "./targets.js";

/** @typedef {import("../document.js").ControlPoint} ControlPoint */
/** @typedef {import("../document.js").MotionDocument} MotionDocument */
/** @typedef {import("../document.js").MotionPath} MotionPath */
/** @typedef {import("./targets.js").Change} Change */
/** @typedef {import("./targets.js").Context} Context */

/** @typedef {Partial<Omit<MotionPath, "points">>} PathChanges a value of undefined takes the member away */
/** @typedef {PathChanges & {entity: number, points: readonly ControlPoint[]}} NewPath */
/** @typedef {{type: "add_path", path: NewPath}} AddPath it is painted last, and selected */
/** @typedef {{type: "pin_entity", id: number, x: number, y: number}} PinEntity a path that holds the entity there */
/** @typedef {{type: "remove_paths", paths: readonly number[]}} RemovePaths */
/** @typedef {{type: "change_paths", paths: readonly number[], changes: PathChanges}} ChangePaths curve, pace ... */
/** @typedef {{type: "reorder_path", path: number, to: number}} ReorderPath to a place in the paint order */
/** @typedef {{type: "reverse_paths", paths: readonly number[]}} ReversePaths */
/** @typedef {{type: "extend_path", path: number, points: readonly ControlPoint[]}} ExtendPath as the pen goes on */
/** @typedef {{type: "simplify_path", path: number, tolerance: number}} SimplifyPath tolerance in px */
/**
 * @typedef {AddPath | PinEntity | RemovePaths | ChangePaths | ReorderPath | ReversePaths | ExtendPath | SimplifyPath
 * } PathAction
 */

export const pathEdits = {
  /** @type {(document: MotionDocument, action: AddPath) => Change} */
  add_path: (document, { path }) => withAdded(document, path),

  /** @type {(document: MotionDocument, action: PinEntity) => Change} */
  pin_entity: (document, { id, x, y }) => withAdded(document, { entity: id, points: [{ x, y }], static: true }),

  /** @type {(document: MotionDocument, action: RemovePaths, context: Context) => Change} */
  remove_paths: (document, { paths }, { selection }) => {
    checkSome(paths);
    paths.forEach((number) => unlockedPathOf(document, number));
    return withoutPaths(document, [...new Set(paths)], selection);
  },

  /** @type {(document: MotionDocument, action: ChangePaths) => Change} */
  change_paths: (document, { paths, changes }) => {
    checkSome(paths);
    if ("points" in changes) {
      throw new Refusal("fixedPoints");
    }
    if (changes.entity !== undefined) {
      unlockedEntityOf(document, changes.entity);
    }
    return {
      document: paths.reduce((changed, number) => {
        unlockedPathOf(document, number);
        return withPath(changed, number, copied(changes));
      }, document),
    };
  },

  /** @type {(document: MotionDocument, action: ReorderPath, context: Context) => Change} */
  reorder_path: (document, { path, to }, { selection }) => {
    unlockedPathOf(document, path);
    const order = reordered([...document.paths.keys()], path, to);
    return {
      document: { ...document, paths: order.map((number) => document.paths[number]) },
      selection: renumbered(selection, (number) => order.indexOf(number)),
    };
  },

  /** @type {(document: MotionDocument, action: ReversePaths, context: Context) => Change} */
  reverse_paths: (document, { paths }, { selection }) => {
    checkSome(paths);
    const changed = [...new Set(paths)].reduce((result, number) => {
      const { points } = unlockedPathOf(document, number);
      return withPath(result, number, { points: points.map(turned).reverse() });
    }, document);
    const points = selection.points.map(({ path, point }) => {
      const isReversed = paths.includes(path);
      return { path, point: isReversed ? document.paths[path].points.length - 1 - point : point };
    });
    return { document: changed, selection: selected({ ...selection, points }) };
  },

  /** @type {(document: MotionDocument, action: ExtendPath) => Change} */
  extend_path: (document, { path, points }) => {
    const before = unlockedPathOf(document, path).points;
    return { document: withPath(document, path, { points: [...before, ...points.map(controlPoint)] }) };
  },

  /** @type {(document: MotionDocument, action: SimplifyPath, context: Context) => Change} */
  simplify_path: (document, { path, tolerance }, { selection }) => {
    const { points } = unlockedPathOf(document, path);
    if (!(tolerance >= 0)) {
      throw new Refusal("badTolerance", { tolerance });
    }
    const kept = selection.points.filter((point) => point.path !== path);
    return {
      document: withPath(document, path, { points: simplified(points, tolerance) }),
      selection: selected({ ...selection, points: kept }),
    };
  },
};

/** @type {(document: MotionDocument, path: NewPath) => Change} */
function withAdded(document, { points, ...rest }) {
  unlockedEntityOf(document, rest.entity);
  /** @type {any} */ // what is left out gets its default when the document is completed
  const added = { ...copied(rest), points: points.map(controlPoint) };
  return {
    document: { ...document, paths: [...document.paths, added] },
    selection: selected({ paths: [document.paths.length] }),
  };
}

/**
 * A point of a line that goes the other way: its handles change sides.
 *
 * @type {(point: ControlPoint) => ControlPoint}
 */
function turned({ handle_in: into, handle_out: out, ...place }) {
  return {
    ...place,
    ...(out === undefined ? {} : { handle_in: out }),
    ...(into === undefined ? {} : { handle_out: into }),
  };
}
