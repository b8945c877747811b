/** Masks and circles of a document's entities, decoded once and kept for as long as they do not change. */

import { entityCircle } from "./circles.js";
import { decodeRle } from "./masks.js";

/** @typedef {import("./document.js").MaskSource} MaskSource */
/** @typedef {import("./document.js").MotionDocument} MotionDocument */
/** @typedef {import("./masks.js").Mask} Mask */
/** @typedef {import("./tracks.js").Circle} Circle */

/**
 * `unknown`: ids of entities whose mask is in a file, or still to be found when the graph runs.
 *
 * @typedef {object} Shapes
 * @property {ReadonlyMap<number, Mask>} masks
 * @property {ReadonlyMap<number, Circle>} circles
 * @property {readonly number[]} unknown
 */

/** @type {WeakMap<MaskSource, Mask | null>} */
const MASKS = new WeakMap();

/**
 * The shapes of a document's entities; `before` itself where nothing changed, so that what is derived is kept as well.
 * Masks in files are unknown without someone to ask for them.
 *
 * @param {Pick<MotionDocument, "entities" | "size">} document
 * @param {Shapes} [before]
 * @param {Pick<import("./mask_files.js").MaskFiles, "maskOf">} [files]
 * @returns {Shapes}
 */
export function shapesOf({ entities, size }, before, files) {
  /** @type {Map<number, Mask>} */
  const masks = new Map();
  /** @type {Map<number, Circle>} */
  const circles = new Map();
  for (const entity of entities) {
    const mask = entity.mask === undefined ? null : maskOf(entity.mask, size, files);
    const circle = mask && entityCircle(entity, mask);
    if (mask !== null && circle !== null) {
      masks.set(entity.id, mask);
      circles.set(entity.id, sameCircle(before?.circles.get(entity.id), circle));
    }
  }
  if (before !== undefined && sameMap(before.masks, masks) && sameMap(before.circles, circles)) {
    return before;
  }
  return { masks, circles, unknown: entities.map(({ id }) => id).filter((id) => !masks.has(id)) };
}

/** @type {(source: MaskSource, size: import("./document.js").Size, files: any) => Mask | null} */
function maskOf(source, size, files) {
  return "rle" in source ? decoded(source, size) : (files?.maskOf(source.file, size) ?? null);
}

/**
 * A mask that cannot be decoded counts as unknown: the node says why when it runs.
 *
 * @type {(source: {readonly rle: string}, size: import("./document.js").Size) => Mask | null}
 */
function decoded(source, size) {
  const known = MASKS.get(source);
  if (known !== undefined) {
    return known;
  }
  const mask = tried(source.rle, size);
  MASKS.set(source, mask);
  return mask;
}

/** @type {(rle: string, size: import("./document.js").Size) => Mask | null} */
function tried(rle, size) {
  try {
    return decodeRle(rle, size);
  } catch (error) {
    if (error instanceof RangeError) {
      return null;
    }
    throw error;
  }
}

/** @type {(before: Circle | undefined, circle: Circle) => Circle} */
function sameCircle(before, circle) {
  const isSame =
    before?.radius === circle.radius && before.center[0] === circle.center[0] && before.center[1] === circle.center[1];
  return isSame ? before : circle;
}

/** @type {(one: ReadonlyMap<number, unknown>, other: ReadonlyMap<number, unknown>) => boolean} */
function sameMap(one, other) {
  return one.size === other.size && [...other].every(([key, value]) => one.get(key) === value);
}
