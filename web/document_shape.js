/**
 * Whether JSON has the shape that document.schema.json describes; if not, the first thing that is wrong is refused,
 * with its JSON path and the field's meaning.
 */

import { DocumentError, isPlainObject, member, shown } from "./document_validation.js";

/** @typedef {import("./document_validation.js").Check} Check */

/**
 * The few keywords of JSON Schema (draft 2020-12) that document.schema.json uses.
 *
 * @typedef {object} Schema
 * @property {string} [$ref]
 * @property {Record<string, Schema>} [$defs]
 * @property {string} [description]
 * @property {string | string[]} [type]
 * @property {unknown} [const]
 * @property {unknown[]} [enum]
 * @property {string} [pattern]
 * @property {number} [minimum]
 * @property {number} [maximum]
 * @property {number} [exclusiveMinimum]
 * @property {Record<string, Schema>} [properties]
 * @property {string[]} [required]
 * @property {boolean} [additionalProperties]
 * @property {number} [minProperties]
 * @property {number} [maxProperties]
 * @property {Schema} [items]
 * @property {Schema[]} [prefixItems]
 * @property {number} [minItems]
 * @property {number} [maxItems]
 * @property {unknown} [default]
 */

/** @type {Record<string, string>} */
const TYPE_NAMES = {
  object: "an object",
  array: "a list",
  string: "text",
  number: "a number",
  integer: "a whole number",
  boolean: "true or false",
};
const WITHOUT_A_RULE = new Set(["$schema", "$id", "$comment", "$defs", "title", "description", "default"]);
const SIMILAR = 0.6; // share of common letters from which an unknown key is taken for a misspelt one

/**
 * A function that refuses what the schema refuses, keyword by keyword in the schema's own order. What is frozen and was
 * found good at a place of the schema is not walked again: documents share what an edit did not touch.
 *
 * @param {Schema} schema
 * @param {Schema} root the schema whose `$defs` the references mean
 * @returns {Check}
 */
export function shapeChecker(schema, root) {
  /** @type {Map<Schema, Check>} */
  const compiled = new Map();

  /** @type {(part: Schema) => Check} */
  function checkOf(part) {
    const known = compiled.get(part);
    if (known !== undefined) {
      return known;
    }
    /** @type {Check[]} */
    const rules = [];
    /** @type {WeakSet<object>} */
    const good = new WeakSet();
    /** @type {Check} */
    const check = (value, path) => {
      const remembered = typeof value === "object" && value !== null && Object.isFrozen(value);
      if (remembered && good.has(value)) {
        return;
      }
      for (const rule of rules) {
        rule(value, path);
      }
      if (remembered) {
        good.add(value);
      }
    };
    compiled.set(part, check);
    for (const [keyword, limit] of Object.entries(part)) {
      if (!WITHOUT_A_RULE.has(keyword)) {
        rules.push(ruleOf(keyword, limit, part));
      }
    }
    return check;
  }

  /** @type {(keyword: string, limit: any, part: Schema) => Check} */
  function ruleOf(keyword, limit, part) {
    switch (keyword) {
      case "$ref":
        return checkOf(referred(limit, root));
      case "properties": {
        const checks = Object.entries(/** @type {Record<string, Schema>} */ (limit)).map(
          ([key, inside]) => /** @type {[string, Check]} */ ([key, checkOf(inside)]),
        );
        return (value, path) => {
          if (isPlainObject(value)) {
            checks.forEach(([key, check]) => Object.hasOwn(value, key) && check(value[key], member(path, key)));
          }
        };
      }
      case "items": {
        const check = checkOf(limit);
        const first = part.prefixItems?.length ?? 0;
        return (value, path) => {
          for (let index = first; Array.isArray(value) && index < value.length; index += 1) {
            check(value[index], `${path}[${index}]`);
          }
        };
      }
      case "prefixItems": {
        const checks = /** @type {Schema[]} */ (limit).map(checkOf);
        return (value, path) => {
          checks.forEach((check, index) => {
            if (Array.isArray(value) && index < value.length) {
              check(value[index], `${path}[${index}]`);
            }
          });
        };
      }
      case "required":
        return (value, path) => {
          const key = isPlainObject(value) && limit.find((/** @type {string} */ name) => !Object.hasOwn(value, name));
          if (typeof key === "string") {
            const expected = meaning(/** @type {any} */ (part.properties)[key], root);
            throw new DocumentError(member(path, key), `found nothing, expected ${expected}. Add it.`);
          }
        };
      case "additionalProperties":
        return (value, path) => {
          const known = Object.keys(part.properties ?? {});
          const key = isPlainObject(value) && Object.keys(value).find((name) => !known.includes(name));
          if (typeof key === "string") {
            const guess = mostSimilar(key, known);
            const reason = `found an unknown key, expected one of ${known.join(", ")}. Remove it`;
            throw new DocumentError(member(path, key), guess === null ? `${reason}.` : `${reason} or write ${guess}.`);
          }
        };
      default: {
        const holds = testOf(keyword, limit);
        return (value, path) => {
          if (!holds(value)) {
            throw refusal(keyword, limit, part, root, value, path);
          }
        };
      }
    }
  }

  return checkOf(schema);
}

/**
 * What a schema with a `$ref` refers to.
 *
 * @param {string} reference
 * @param {Schema} root
 * @returns {Schema}
 */
export function referred(reference, root) {
  const found = root.$defs?.[reference.replace("#/$defs/", "")];
  if (found === undefined) {
    throw new Error(`document.schema.json refers to ${reference}, which it does not hold`);
  }
  return found;
}

/**
 * Whether a value obeys a keyword; keywords are silent about values of other types, as JSON Schema wants it.
 *
 * @type {(keyword: string, limit: any) => (value: any) => boolean}
 */
function testOf(keyword, limit) {
  const isNumber = (/** @type {unknown} */ value) => typeof value === "number" || typeof value === "bigint";
  switch (keyword) {
    case "type": {
      const names = Array.isArray(limit) ? limit : [limit];
      return (value) => names.some((name) => isOfType(value, name));
    }
    case "const":
      return (value) => value === limit;
    case "enum":
      return (value) => limit.includes(value);
    case "pattern": {
      const pattern = new RegExp(limit, "u");
      return (value) => typeof value !== "string" || pattern.test(value);
    }
    case "minimum":
      return (value) => !isNumber(value) || value >= limit;
    case "maximum":
      return (value) => !isNumber(value) || value <= limit;
    case "exclusiveMinimum":
      return (value) => !isNumber(value) || value > limit;
    case "minItems":
      return (value) => !Array.isArray(value) || value.length >= limit;
    case "maxItems":
      return (value) => !Array.isArray(value) || value.length <= limit;
    case "minProperties":
      return (value) => !isPlainObject(value) || Object.keys(value).length >= limit;
    case "maxProperties":
      return (value) => !isPlainObject(value) || Object.keys(value).length <= limit;
    default:
      throw new Error(`document.schema.json uses ${keyword}, which this reader does not know`);
  }
}

/** @type {(value: unknown, name: string) => boolean} */
function isOfType(value, name) {
  switch (name) {
    case "object":
      return isPlainObject(value);
    case "array":
      return Array.isArray(value);
    case "integer":
      return Number.isInteger(value) || typeof value === "bigint";
    case "number":
      return typeof value === "number" || typeof value === "bigint";
    default:
      return typeof value === name;
  }
}

/** @type {(keyword: string, limit: any, part: Schema, root: Schema, found: unknown, path: string) => DocumentError} */
function refusal(keyword, limit, part, root, found, path) {
  const meant = meaning(part, root);
  // A pattern is for machines: people read its description better.
  const expected = keyword === "pattern" ? meant : `${expectation(keyword, limit, part)} (${meant})`;
  return new DocumentError(path, `found ${shown(found)}, expected ${expected}. Change it.`);
}

/** @type {(keyword: string, limit: any, part: Schema) => string} */
function expectation(keyword, limit, part) {
  switch (keyword) {
    case "type":
      return (Array.isArray(limit) ? limit : [limit]).map((name) => TYPE_NAMES[name]).join(" or ");
    case "const":
      return shown(limit);
    case "enum":
      return `one of ${limit.map(shown).join(", ")}`;
    case "minimum":
      return `at least ${limit}`;
    case "maximum":
      return `at most ${limit}`;
    case "exclusiveMinimum":
      return `more than ${limit}`;
    case "minItems":
    case "maxItems":
      return `${part.maxItems === part.minItems ? "exactly" : "at least"} ${limit} in the list`;
    default:
      return `${limit} of ${Object.keys(part.properties ?? {}).join(", ")}`;
  }
}

/**
 * What a field is, from its description, to stand inside a sentence.
 *
 * @type {(part: Schema, root: Schema) => string}
 */
function meaning(part, root) {
  let described = part;
  while (described.description === undefined && described.$ref !== undefined) {
    described = referred(described.$ref, root);
  }
  const text = (described.description ?? "").replace(/\.$/, "");
  return text.slice(0, 1).toLowerCase() + text.slice(1);
}

/** @type {(key: string, known: string[]) => string | null} */
function mostSimilar(key, known) {
  const rated = known.map((name) => ({ name, rating: (2 * commonLetters(key, name)) / (key.length + name.length) }));
  const [best] = rated.sort((one, other) => other.rating - one.rating);
  return best !== undefined && best.rating >= SIMILAR ? best.name : null;
}

/**
 * Letters that two words have in common: their longest common piece, and the same again to its left and right
 * (Ratcliff and Obershelp 1988).
 *
 * @type {(one: string, other: string) => number}
 */
function commonLetters(one, other) {
  let length = 0;
  let [start, otherStart] = [0, 0];
  for (let i = 0; i < one.length; i += 1) {
    for (let j = 0; j < other.length; j += 1) {
      let run = 0;
      while (i + run < one.length && j + run < other.length && one[i + run] === other[j + run]) {
        run += 1;
      }
      if (run > length) {
        [length, start, otherStart] = [run, i, j];
      }
    }
  }
  if (length === 0) {
    return 0;
  }
  const left = commonLetters(one.slice(0, start), other.slice(0, otherStart));
  return length + left + commonLetters(one.slice(start + length), other.slice(otherStart + length));
}
