/** What is selected: entities by id, paths and points by number. Every list is in order and without repetition. */

/** @typedef {import("../document.js").MotionDocument} MotionDocument */
/** @typedef {import("../geometry.js").PointRef} PointRef */

/**
 * @typedef {object} Selection
 * @property {readonly number[]} entities ids
 * @property {readonly number[]} paths numbers
 * @property {readonly PointRef[]} points
 */

/** @typedef {"replace" | "add" | "toggle"} SelectionMode */

/** @type {Selection} */
export const NOTHING = Object.freeze({
  entities: Object.freeze([]),
  paths: Object.freeze([]),
  points: Object.freeze([]),
});

/**
 * A selection of what is named, and nothing else.
 *
 * @param {Partial<Selection>} parts
 * @returns {Selection}
 */
export function selected({ entities = [], paths = [], points = [] }) {
  return {
    entities: inOrder(entities),
    paths: inOrder(paths),
    points: pointsInOrder(points),
  };
}

/**
 * A selection after a click (replace), a click with a key held (toggle) or a box (add).
 *
 * @param {Selection} before
 * @param {Partial<Selection>} meant
 * @param {SelectionMode} mode
 * @returns {Selection}
 */
export function combined(before, meant, mode) {
  const next = selected(meant);
  if (mode === "replace") {
    return next;
  }
  const keys = (/** @type {readonly PointRef[]} */ points) => new Map(points.map((point) => [keyOf(point), point]));
  const [oldPoints, newPoints] = [keys(before.points), keys(next.points)];
  const points = merged([...oldPoints.keys()], [...newPoints.keys()], mode);
  return selected({
    entities: merged(before.entities, next.entities, mode),
    paths: merged(before.paths, next.paths, mode),
    points: points.flatMap((key) => oldPoints.get(key) ?? newPoints.get(key) ?? []),
  });
}

/**
 * The part of a selection that a document still has.
 *
 * @param {Selection} selection
 * @param {MotionDocument} document
 * @returns {Selection}
 */
export function fitting(selection, document) {
  const ids = new Set(document.entities.map((entity) => entity.id));
  const entities = selection.entities.filter((id) => ids.has(id));
  const paths = selection.paths.filter((number) => number in document.paths);
  const points = selection.points.filter(({ path, point }) => point in (document.paths[path]?.points ?? []));
  const isWhole =
    entities.length === selection.entities.length &&
    paths.length === selection.paths.length &&
    points.length === selection.points.length;
  return isWhole ? selection : { entities, paths, points };
}

/**
 * The selection after paths got other numbers; null is a path that is gone.
 *
 * @param {Selection} selection
 * @param {(path: number) => number | null} renumber
 * @returns {Selection}
 */
export function renumbered(selection, renumber) {
  return selected({
    entities: selection.entities,
    paths: selection.paths.flatMap((path) => renumber(path) ?? []),
    points: selection.points.flatMap(({ path, point }) => {
      const number = renumber(path);
      return number === null ? [] : [{ path: number, point }];
    }),
  });
}

/**
 * Everything that can be selected, down to the paths.
 *
 * @param {MotionDocument} document
 * @returns {Selection}
 */
export function everything(document) {
  return selected({
    entities: document.entities.map((entity) => entity.id),
    paths: document.paths.map((_, number) => number),
  });
}

/**
 * @template T
 * @param {readonly T[]} before
 * @param {readonly T[]} meant
 * @param {SelectionMode} mode
 * @returns {T[]}
 */
function merged(before, meant, mode) {
  const added = meant.filter((item) => !before.includes(item));
  const kept = mode === "toggle" ? before.filter((item) => !meant.includes(item)) : before;
  return [...kept, ...added];
}

/** @type {(numbers: readonly number[]) => number[]} */
function inOrder(numbers) {
  return [...new Set(numbers)].sort((one, other) => one - other);
}

/** @type {(points: readonly PointRef[]) => PointRef[]} */
function pointsInOrder(points) {
  const unique = new Map(points.map(({ path, point }) => [keyOf({ path, point }), { path, point }]));
  return [...unique.values()].sort((one, other) => one.path - other.path || one.point - other.point);
}

/** @type {(point: PointRef) => string} */
function keyOf({ path, point }) {
  return `${path} ${point}`;
}
