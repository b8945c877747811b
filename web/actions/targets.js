/** What an action is about: the entity, path or point that it names, or a Refusal that says why not. */

/** @typedef {import("../document.js").ControlPoint} ControlPoint */
/** @typedef {import("../document.js").DocumentEntity} DocumentEntity */
/** @typedef {import("../document.js").DocumentFormat} DocumentFormat */
/** @typedef {import("../document.js").MotionDocument} MotionDocument */
/** @typedef {import("../document.js").MotionPath} MotionPath */
/** @typedef {import("../document.js").Vector} Vector */
/** @typedef {import("../geometry.js").PointRef} PointRef */
/** @typedef {import("../strings.js").Key} Key */
/** @typedef {import("./selection.js").Selection} Selection */

/**
 * What an action makes of a document. Without a selection the old one is kept where it still fits.
 *
 * @typedef {object} Change
 * @property {MotionDocument} document
 * @property {Selection} [selection]
 */

/**
 * What an action may look at besides the document.
 *
 * @typedef {object} Context
 * @property {DocumentFormat} format
 * @property {Selection} selection
 * @property {MotionDocument | null} clip what was copied last
 * @property {MotionDocument} origin the document before the moves that go on
 */

/** An action that is impossible: one of the editor's texts says why, for the user. */
export class Refusal extends Error {
  /**
   * @param {Key} key
   * @param {Record<string, string | number>} [values]
   */
  constructor(key, values = {}) {
    super(key);
    this.key = key;
    this.values = values;
  }
}

/**
 * @param {MotionDocument} document
 * @param {number} id
 * @returns {DocumentEntity}
 */
export function entityOf(document, id) {
  const entity = document.entities.find((candidate) => candidate.id === id);
  if (entity === undefined) {
    throw new Refusal("noEntity", { id });
  }
  return entity;
}

/**
 * @param {MotionDocument} document
 * @param {number} id
 * @returns {DocumentEntity}
 */
export function unlockedEntityOf(document, id) {
  const entity = entityOf(document, id);
  if (entity.locked) {
    throw new Refusal("isLocked", { name: entity.name });
  }
  return entity;
}

/**
 * @param {MotionDocument} document
 * @param {number} number
 * @returns {MotionPath}
 */
export function pathOf(document, number) {
  if (!isPlace(number, document.paths.length)) {
    throw new Refusal("noPath", { number, count: document.paths.length });
  }
  return document.paths[number];
}

/**
 * The path of that number, of an entity that is not locked.
 *
 * @param {MotionDocument} document
 * @param {number} number
 * @returns {MotionPath}
 */
export function unlockedPathOf(document, number) {
  const path = pathOf(document, number);
  unlockedEntityOf(document, path.entity);
  return path;
}

/**
 * @param {MotionDocument} document
 * @param {PointRef} point
 * @returns {ControlPoint}
 */
export function unlockedPointOf(document, { path, point }) {
  const { points } = unlockedPathOf(document, path);
  if (!isPlace(point, points.length)) {
    throw new Refusal("noPoint", { number: point, count: points.length });
  }
  return points[point];
}

/**
 * @param {MotionDocument} document
 * @param {number} number
 * @param {Partial<MotionPath>} changes
 * @returns {MotionDocument}
 */
export function withPath(document, number, changes) {
  return { ...document, paths: document.paths.map((path, at) => (at === number ? { ...path, ...changes } : path)) };
}

/**
 * A list with one of its items at another place.
 *
 * @template T
 * @param {readonly T[]} items
 * @param {number} from
 * @param {number} to
 * @returns {T[]}
 */
export function reordered(items, from, to) {
  if (!isPlace(to, items.length)) {
    throw new Refusal("noListPlace", { place: to, count: items.length });
  }
  const others = items.filter((_, index) => index !== from);
  return [...others.slice(0, to), items[from], ...others.slice(to)];
}

/**
 * Refuses an action without targets.
 *
 * @param {readonly unknown[]} targets
 */
export function checkSome(targets) {
  if (targets.length === 0) {
    throw new Refusal("noTarget");
  }
}

/**
 * A coordinate to a hundredth of a pixel: finer than any hand, and the document stays small.
 *
 * @param {number} value
 * @returns {number}
 */
export function hundredth(value) {
  return Math.round(value * 100) / 100 + 0; // + 0 turns -0 into 0
}

/**
 * A control point of its own, with what a control point has and nothing else.
 *
 * @param {ControlPoint} point
 * @returns {ControlPoint}
 */
export function controlPoint({ x, y, handle_in: into, handle_out: out }) {
  return {
    x: hundredth(x),
    y: hundredth(y),
    ...(into === undefined ? {} : { handle_in: rounded(into) }),
    ...(out === undefined ? {} : { handle_out: rounded(out) }),
  };
}

/** @type {(vector: Vector) => Vector} */
function rounded([x, y]) {
  return [hundredth(x), hundredth(y)];
}

/** @type {(number: number, count: number) => boolean} */
function isPlace(number, count) {
  return Number.isInteger(number) && number >= 0 && number < count;
}
