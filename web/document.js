/**
 * The motion document: what a user draws, as versioned JSON. In memory it is the JSON object with every default filled
 * in, frozen; written, it is what the Python core writes, without what equals its default.
 *
 * All coordinates are pixels of the document's canvas, pixel centres at integers, y down, never normalised. Times are
 * clip times: 0 is the first frame, 1 the last.
 */

import { JsonTextError, readJson, writeJson } from "./json_text.js";
import { migrated } from "./document_migrations.js";
import { referred, shapeChecker } from "./document_shape.js";
import { DocumentError, MAX_DEPTH, checkMeaning, isPlainObject, jsonChecker, shown } from "./document_validation.js";

/** @typedef {import("./document_shape.js").Schema} Schema */
/** @typedef {import("./document_validation.js").Check} Check */

/** @typedef {readonly [number, number]} Vector two numbers (x, y) or (dx, dy) in canvas pixels */
/** @typedef {"center" | "grabbed_point"} Anchor */
/** @typedef {"polyline" | "catmull_rom" | "bezier" | "freehand"} CurveKind */
/** @typedef {"linear" | "ease_in" | "ease_out" | "ease_in_out"} EasingName */
/** @typedef {EasingName | {readonly cubic_bezier: readonly [number, number, number, number]}} Easing */
/** @typedef {{readonly height: number, readonly width: number}} Size */
/** @typedef {{readonly time: number, readonly scale: number}} RadiusKey */

/**
 * One point of a line; the handles are offsets from it and matter to Bezier curves only.
 *
 * @typedef {object} ControlPoint
 * @property {number} x
 * @property {number} y
 * @property {Vector} [handle_in]
 * @property {Vector} [handle_out]
 */

/**
 * One line of one entity. Without an anchor the weights choose; without a depth it counts as 1.
 *
 * @typedef {object} MotionPath
 * @property {number} entity id of the entity that moves
 * @property {readonly ControlPoint[]} points
 * @property {CurveKind} curve
 * @property {"arc_length" | "per_point"} timing
 * @property {"stretch" | "hold" | "cut"} fit
 * @property {Anchor} [anchor]
 * @property {Easing} easing
 * @property {number} start
 * @property {number} end
 * @property {readonly (readonly [number, number])[]} visible closed spans of clip time, empty = never
 * @property {readonly RadiusKey[]} radius_keys
 * @property {number} [depth]
 * @property {boolean} static a pin
 * @property {string} name
 */

/** @typedef {{readonly rle: string} | {readonly file: string}} MaskSource */
/** @typedef {{readonly x: number, readonly y: number, readonly label: 0 | 1}} Click */
/** @typedef {{readonly x: number, readonly y: number, readonly width: number, readonly height: number}} Box */

/**
 * What a segmenter needs to find the mask.
 *
 * @typedef {object} Prompts
 * @property {readonly Click[]} points
 * @property {Box} [box]
 * @property {"part" | "object" | "whole"} [scale]
 */

/**
 * @typedef {object} DocumentEntity
 * @property {number} id
 * @property {string} name
 * @property {MaskSource} [mask]
 * @property {Prompts} [prompts]
 * @property {number} [radius] in place of the inscribed circle's, px
 * @property {string} [color] as #rrggbb
 * @property {boolean} locked
 * @property {boolean} hidden
 */

/** @typedef {{readonly factor: number, readonly center: Vector, readonly points: readonly Vector[]}} Zoom */

/**
 * A move of the whole picture: pan, zoom or both.
 *
 * @typedef {object} CameraMove
 * @property {Vector} [pan]
 * @property {Zoom} [zoom]
 * @property {Easing} easing
 * @property {number} start
 * @property {number} end
 * @property {boolean} carries_entities
 */

/**
 * Everything the user drew on one picture. Entities and paths are in paint order, the last one wins.
 *
 * @typedef {object} MotionDocument
 * @property {string} format
 * @property {number} version
 * @property {Size} size
 * @property {number} frames
 * @property {readonly DocumentEntity[]} entities
 * @property {readonly MotionPath[]} paths
 * @property {CameraMove} [camera]
 * @property {string} [image]
 * @property {number} fps
 * @property {Readonly<Record<string, unknown>>} extra free for tools, kept
 */

/**
 * What can be done with documents once the schema is known.
 *
 * @typedef {object} DocumentFormat
 * @property {(data: unknown) => MotionDocument} parse from a JSON text or object of any version; throws DocumentError
 * @property {(document: object) => MotionDocument} completed a current document, checked, its defaults filled in,
 *   frozen; the parts that need no change are shared, so whoever calls gives them away. Throws DocumentError
 * @property {(document: MotionDocument) => Record<string, unknown>} toJson in a fixed order, without defaults
 * @property {(document: MotionDocument) => string} toText one line for each entity and path, as Python writes it
 * @property {(size: Size, frames: number) => MotionDocument} empty
 */

const NOT_OURS = "Files of other programs are brought in by `python -m draganything_core.convert IN OUT`.";

// The order in which the Python core writes a document, so that both write the same text.
const WRITING_ORDER = ["format", "version", "size", "frames", "entities", "paths", "camera", "image", "fps", "extra"];

/**
 * The format that a schema describes: document.schema.json of the Python core, as parsed JSON.
 *
 * @param {Schema} schema
 * @returns {DocumentFormat}
 */
export function documentFormat(schema) {
  const version = /** @type {number} */ (schema.properties?.version.const);
  const name = /** @type {string} */ (schema.properties?.format.const);
  const checkJson = jsonChecker();
  const checkShape = shapeChecker(schema, schema);
  const fill = filler(schema);

  /** @type {DocumentFormat["parse"]} */
  function parse(data) {
    const tree = typeof data === "string" ? parsedText(data) : data;
    checkJson(tree, "$");
    const found = versionOf(tree, version);
    const check = found === version ? checkShape : shapeChecker(referred(`#/$defs/version_${found}`, schema), schema);
    check(tree, "$");
    const current = migrated(tree, found, version);
    checkMeaning(current);
    return frozen(fill(copied(current)));
  }

  /** @type {DocumentFormat["completed"]} */
  function completed(document) {
    const whole = frozen(fill(document));
    checkJson(whole, "$");
    checkShape(whole, "$");
    checkMeaning(whole);
    return whole;
  }

  /** @type {DocumentFormat["toJson"]} */
  function toJson(document) {
    const short = /** @type {Record<string, unknown>} */ (withoutDefaults(completed(document), schema, schema));
    return Object.fromEntries(WRITING_ORDER.filter((key) => key in short).map((key) => [key, short[key]]));
  }

  return {
    parse,
    completed,
    toJson,
    toText: (document) => {
      const members = Object.entries(toJson(document)).map(([key, value]) => `"${key}": ${memberText(value)}`);
      return `{\n  ${members.join(",\n  ")}\n}\n`;
    },
    empty: (size, frames) => completed({ format: name, version, size: { ...size }, frames }),
  };
}

/**
 * Whether two values of JSON are equal; the order of keys does not matter. What is shared is not compared.
 *
 * @param {unknown} one
 * @param {unknown} other
 * @returns {boolean}
 */
export function sameJson(one, other) {
  if (one === other) {
    return true;
  }
  if (Array.isArray(one) && Array.isArray(other)) {
    return one.length === other.length && one.every((item, index) => sameJson(item, other[index]));
  }
  if (!isPlainObject(one) || !isPlainObject(other)) {
    return false;
  }
  const keys = Object.keys(one);
  return (
    keys.length === Object.keys(other).length &&
    keys.every((key) => Object.hasOwn(other, key) && sameJson(one[key], other[key]))
  );
}

/**
 * A copy of JSON that shares nothing with it.
 *
 * @template T
 * @param {T} value
 * @returns {T}
 */
export function copied(value) {
  if (Array.isArray(value)) {
    return /** @type {any} */ (value.map(copied));
  }
  if (!isPlainObject(value)) {
    return value;
  }
  // fromEntries makes a member of its own even of a key named __proto__.
  return /** @type {any} */ (Object.fromEntries(Object.entries(value).map(([key, held]) => [key, copied(held)])));
}

/** @type {(text: string) => unknown} */
function parsedText(text) {
  try {
    return readJson(text);
  } catch (error) {
    if (!(error instanceof JsonTextError)) {
      throw error;
    }
    const reason = error.message.startsWith("nesting")
      ? `found nesting deeper than ${MAX_DEPTH} levels. Flatten it.`
      : `found text that is not JSON (${error.message}), expected JSON. Correct it.`;
    throw new DocumentError("$", reason);
  }
}

/**
 * The version of the format, once it is sure that this is a motion document that this program can read.
 *
 * @type {(data: any, current: number) => number}
 */
function versionOf(data, current) {
  if (!isPlainObject(data)) {
    const reason = `found ${shown(data)}, expected a motion document, which is an object. ${NOT_OURS}`;
    throw new DocumentError("$", reason);
  }
  const version = /** @type {any} */ (data.version ?? null);
  if (version === null) {
    throw new DocumentError("$.version", `found nothing, expected ${current}. ${NOT_OURS}`);
  }
  if (!(Number.isSafeInteger(version) || typeof version === "bigint") || version < 1) {
    throw new DocumentError("$.version", `found ${shown(version)}, expected a version 1 to ${current}. Correct it.`);
  }
  if (version > current) {
    throw new DocumentError(
      "$.version",
      `found ${version}, expected at most ${current}: the document was made by a newer version. ` +
        "Update DragAnything to open it.",
    );
  }
  return version;
}

/**
 * A function that gives a document its missing defaults. Parts that miss none are returned as they are.
 *
 * @type {(root: Schema) => (document: any) => any}
 */
function filler(root) {
  /** @type {WeakSet<object>} */
  const whole = new WeakSet();

  /** @type {(value: any, schema: Schema) => any} */
  function filled(value, schema) {
    if (typeof value !== "object" || value === null || whole.has(value)) {
      return value;
    }
    const result = Array.isArray(value) ? filledItems(value, schema) : filledMembers(value, schema);
    whole.add(result);
    return result;
  }

  /** @type {(items: any[], schema: Schema) => any[]} */
  function filledItems(items, schema) {
    const inside = resolved(schema, root).items;
    if (inside === undefined) {
      return items;
    }
    const result = items.map((item) => filled(item, inside));
    return result.every((item, index) => item === items[index]) ? items : result;
  }

  /** @type {(value: any, schema: Schema) => any} */
  function filledMembers(value, schema) {
    const part = resolved(schema, root);
    let result = value;
    for (const [key, inside] of Object.entries(part.properties ?? {})) {
      const held = Object.hasOwn(value, key) ? value[key] : undefined;
      const full = held === undefined ? copied(resolved(inside, root).default) : filled(held, inside);
      if (full !== held) {
        result = { ...result, [key]: full };
      } else if (held === undefined && Object.hasOwn(value, key)) {
        const { [key]: _nothing, ...rest } = result;
        result = rest;
      }
    }
    return result;
  }
  return (document) => filled(document, root);
}

/** @type {(value: any, schema: Schema, root: Schema) => unknown} */
function withoutDefaults(value, schema, root) {
  const part = resolved(schema, root);
  if (Array.isArray(value) && part.items !== undefined) {
    const { items } = part;
    return value.map((item) => withoutDefaults(item, items, root));
  }
  if (!isPlainObject(value) || part.properties === undefined) {
    return copied(value);
  }
  const members = Object.entries(part.properties).filter(
    ([key, inside]) => Object.hasOwn(value, key) && !sameJson(value[key], resolved(inside, root).default),
  );
  return Object.fromEntries(members.map(([key, inside]) => [key, withoutDefaults(value[key], inside, root)]));
}

/**
 * A schema with what its `$ref` says; its own words come first.
 *
 * @type {(schema: Schema, root: Schema) => Schema}
 */
function resolved(schema, root) {
  return schema.$ref === undefined ? schema : { ...referred(schema.$ref, root), ...schema };
}

/**
 * @template T
 * @param {T} value
 * @returns {T}
 */
function frozen(value) {
  if (typeof value === "object" && value !== null && !Object.isFrozen(value)) {
    Object.values(value).forEach(frozen);
    Object.freeze(value);
  }
  return value;
}

/** @type {(value: unknown) => string} */
function memberText(value) {
  const isList = Array.isArray(value) && value.length > 0;
  return isList ? `[\n    ${value.map(writeJson).join(",\n    ")}\n  ]` : writeJson(value);
}
