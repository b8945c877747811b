/**
 * Whether JSON can be a motion document, and if not, where and why: what JSON holds, and what a schema cannot say
 * (names that must exist, times in order). The rules and the words are those of the Python core.
 */

import { RepeatedKey, writeJson } from "./json_text.js";

/** @typedef {(value: any, path: string) => void} Check */

export const MAX_DEPTH = 100; // levels of nesting; a document needs eight, the rest is for tools' own data in "extra"

const HALF_SURROGATE = /\p{Surrogate}/u;

/** A motion document that is refused: `jsonPath` says where, `reason` what was found and what was expected. */
export class DocumentError extends Error {
  /**
   * @param {string} jsonPath
   * @param {string} reason
   */
  constructor(jsonPath, reason) {
    super(`${jsonPath}: ${reason}`);
    this.name = "DocumentError";
    this.jsonPath = jsonPath;
    this.reason = reason;
  }
}

/**
 * A function that refuses what JSON cannot hold: NaN, infinities, repeated keys, half surrogate pairs, other objects.
 * What is frozen and was found good is not walked again.
 *
 * @returns {Check}
 */
export function jsonChecker() {
  /** @type {WeakSet<object>} */
  const good = new WeakSet();

  /** @type {(value: any, path: string, depth: number) => void} */
  function check(value, path, depth) {
    if (depth > MAX_DEPTH) {
      throw new DocumentError(path, `found nesting deeper than ${MAX_DEPTH} levels. Flatten it.`);
    }
    if (value instanceof RepeatedKey) {
      const reason = "found this key twice, expected it once. Remove one of the two.";
      throw new DocumentError(member(path, value.key), reason);
    }
    if (typeof value === "number") {
      if (!Number.isFinite(value)) {
        throw new DocumentError(path, `found ${value}, expected a finite number. Write one.`);
      }
    } else if (typeof value === "string") {
      checkUnicode(value, path);
    } else if (Array.isArray(value) || isPlainObject(value)) {
      if (!good.has(value)) {
        checkMembers(value, path, depth);
        if (Object.isFrozen(value)) {
          good.add(value);
        }
      }
    } else if (value !== null && typeof value !== "boolean" && typeof value !== "bigint") {
      const kind = typeof value === "object" ? value.constructor?.name : typeof value;
      const reason = `found a ${kind}, expected what JSON holds: object, list, text, number, true, null.`;
      throw new DocumentError(path, reason);
    }
  }

  /** @type {(value: any, path: string, depth: number) => void} */
  function checkMembers(value, path, depth) {
    if (Array.isArray(value)) {
      for (let index = 0; index < value.length; index += 1) {
        check(value[index], `${path}[${index}]`, depth + 1);
      }
      return;
    }
    for (const key of Object.keys(value)) {
      checkUnicode(key, path);
      check(value[key], member(path, key), depth + 1);
    }
  }

  return (value, path) => check(value, path, 0);
}

/**
 * Refuses what has the current version's shape and still makes no sense.
 *
 * @param {any} data
 */
export function checkMeaning(data) {
  const entities = data.entities ?? [];
  checkIds(entities);
  const known = entities.map((/** @type {any} */ entity) => entity.id);
  for (const [index, path] of (data.paths ?? []).entries()) {
    const place = `$.paths[${index}]`;
    if (!known.includes(path.entity)) {
      throw new DocumentError(
        `${place}.entity`,
        `found ${path.entity}, expected the id of an entity of this document (${writeJson(known)}). ` +
          "Add the entity or remove the path.",
      );
    }
    checkInterval(path, place);
    checkSpans(path.visible ?? [], `${place}.visible`);
    checkRadiusKeys(path.radius_keys ?? [], `${place}.radius_keys`);
  }
  if (data.camera !== undefined) {
    if (data.camera.pan === undefined && data.camera.zoom === undefined) {
      const reason = "found neither pan nor zoom, expected one or both. Add one or drop camera.";
      throw new DocumentError("$.camera", reason);
    }
    checkInterval(data.camera, "$.camera");
  }
}

/**
 * The JSON path of an object's member: `$.paths`, or `$["two words"]` where the key is not a plain name.
 *
 * @param {string} path
 * @param {string} key
 * @returns {string}
 */
export function member(path, key) {
  if (/^[A-Za-z_][A-Za-z0-9_]*$/.test(key)) {
    return `${path}.${key}`;
  }
  const escaped = (/** @type {string} */ letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, "0")}`;
  return `${path}[${JSON.stringify(key).replace(/[^\x00-\x7e]/g, escaped)}]`;
}

/**
 * A value as JSON for a message, cut where it is long.
 *
 * @param {unknown} value
 * @returns {string}
 */
export function shown(value) {
  const letters = Array.from(writeJson(value));
  return letters.length <= 60 ? letters.join("") : `${letters.slice(0, 57).join("")}...`;
}

/**
 * Whether a value is an object of JSON: neither a list nor of a class.
 *
 * @param {unknown} value
 * @returns {value is Record<string, unknown>}
 */
export function isPlainObject(value) {
  if (typeof value !== "object" || value === null) {
    return false;
  }
  const prototype = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

/** @type {(text: string, path: string) => void} */
function checkUnicode(text, path) {
  if (HALF_SURROGATE.test(text)) {
    throw new DocumentError(path, "found half of a surrogate pair in a text. Remove that character.");
  }
}

/** @type {(entities: any[]) => void} */
function checkIds(entities) {
  /** @type {Map<number, number>} */
  const firstWith = new Map();
  for (const [index, entity] of entities.entries()) {
    const first = firstWith.get(entity.id);
    if (first !== undefined) {
      throw new DocumentError(
        `$.entities[${index}].id`,
        `found ${entity.id}, which entity ${first} of the list has too, expected ids that differ. ` +
          "Give it a number of its own.",
      );
    }
    firstWith.set(entity.id, index);
  }
}

/** @type {(move: any, place: string) => void} */
function checkInterval(move, place) {
  const { start = 0, end = 1 } = move;
  if (!(start < end)) {
    const at = "end" in move ? `${place}.end` : `${place}.start`;
    throw new DocumentError(at, `found start ${start} and end ${end}, expected start < end. Move one of them.`);
  }
}

/** @type {(spans: number[][], place: string) => void} */
function checkSpans(spans, place) {
  for (const [index, [start, end]] of spans.entries()) {
    if (start > end) {
      throw new DocumentError(`${place}[${index}]`, `found [${start}, ${end}], expected from <= to. Swap the two.`);
    }
    if (index > 0 && start < spans[index - 1][1]) {
      throw new DocumentError(
        `${place}[${index}]`,
        `found a span from ${start} after one that ends at ${spans[index - 1][1]}, ` +
          "expected spans in order that do not overlap. Sort or merge them.",
      );
    }
  }
}

/** @type {(keys: {time: number}[], place: string) => void} */
function checkRadiusKeys(keys, place) {
  for (let index = 1; index < keys.length; index += 1) {
    const [before, { time }] = [keys[index - 1].time, keys[index]];
    if (!(before < time)) {
      const reason = `found ${time} after ${before}, expected times that grow. Sort or merge the keys.`;
      throw new DocumentError(`${place}[${index}].time`, reason);
    }
  }
}
