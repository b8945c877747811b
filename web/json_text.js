/**
 * JSON text read and written without loss: repeated keys are noticed, whole numbers that a float cannot hold are kept.
 */

const MARK = /([{}[\],:"])/;
const NUMBER = /(-?(?:0|[1-9][0-9]*)(?![0-9])(?:(\.[0-9]+)?([eE][-+]?[0-9]+)?))/;
const LITERAL = /(true|false|null|NaN|-?Infinity)/;
const SPACE = /[ \t\n\r]*/y;
const TOKEN = new RegExp(`${SPACE.source}(?:${MARK.source}|${NUMBER.source}|${LITERAL.source})`, "y");
const QUOTE_OR_ESCAPE = /["\\]/g;
const LITERALS = new Map(
  /** @type {[string, boolean | null | number][]} */ ([
    ["true", true],
    ["false", false],
    ["null", null],
    ["NaN", NaN],
    ["Infinity", Infinity],
    ["-Infinity", -Infinity],
  ]),
);
const MAX_DIGITS = 4300; // of a whole number: more are an attack on the reader, and the Python core refuses them too
const MAX_READING_DEPTH = 1000; // of the reader's own stack; what a document may hold is far less and checked later

/** Text that is not JSON; the message says what is wrong and where. */
export class JsonTextError extends Error {}

/** Stands in the tree for an object that has a key twice, until its place is known. */
export class RepeatedKey {
  /** @param {string} key */
  constructor(key) {
    this.key = key;
  }
}

/**
 * The value of a JSON text. NaN, infinities and repeated keys are let through for the check that knows their path.
 * Whole numbers beyond 2^53 become bigint.
 *
 * @param {string} text
 * @returns {unknown}
 * @throws {JsonTextError}
 */
export function readJson(text) {
  const reader = new Reader(text);
  const value = reader.value(0);
  reader.end();
  return value;
}

/**
 * A value as JSON on one line, with a space after commas and colons as Python writes it.
 *
 * @param {unknown} value
 * @returns {string}
 */
export function writeJson(value) {
  if (Array.isArray(value)) {
    return `[${value.map(writeJson).join(", ")}]`;
  }
  if (typeof value === "object" && value !== null) {
    const members = Object.entries(value).map(([key, held]) => `${JSON.stringify(key)}: ${writeJson(held)}`);
    return `{${members.join(", ")}}`;
  }
  if (typeof value === "number" && Number.isInteger(value) && !Number.isSafeInteger(value)) {
    return value.toExponential(); // its plain digits would be read as another whole number
  }
  return typeof value === "bigint" ? String(value) : JSON.stringify(value);
}

class Reader {
  /** @param {string} text */
  constructor(text) {
    this.text = text;
    this.at = 0;
  }

  /**
   * @param {number} depth
   * @returns {unknown}
   */
  value(depth) {
    if (depth > MAX_READING_DEPTH) {
      throw new JsonTextError(`nesting deeper than ${MAX_READING_DEPTH} levels`);
    }
    const token = this.token();
    if (token === null) {
      return this.fail("a value was expected");
    }
    const [, mark, number, fraction, exponent, literal] = token;
    if (number !== undefined) {
      return numberOf(number, fraction === undefined && exponent === undefined);
    }
    if (literal !== undefined) {
      return LITERALS.get(literal);
    }
    switch (mark) {
      case "{":
        return this.object(depth);
      case "[":
        return this.list(depth);
      case '"':
        return this.string();
      default:
        this.at -= 1;
        return this.fail("a value was expected");
    }
  }

  /** @param {number} depth */
  list(depth) {
    /** @type {unknown[]} */
    const items = [];
    if (this.skips("]")) {
      return items;
    }
    do {
      items.push(this.value(depth + 1));
    } while (this.skips(","));
    this.expect("]", "a comma or ] was expected");
    return items;
  }

  /** @param {number} depth */
  object(depth) {
    /** @type {Map<string, unknown>} */
    const members = new Map();
    /** @type {string | undefined} */
    let repeated;
    if (!this.skips("}")) {
      do {
        this.expect('"', "a key in quotes was expected");
        const key = this.string();
        this.expect(":", "a colon was expected");
        repeated ??= members.has(key) ? key : undefined;
        members.set(key, this.value(depth + 1));
      } while (this.skips(","));
      this.expect("}", "a comma or } was expected");
    }
    // fromEntries makes a member of its own even of a key named __proto__.
    return repeated === undefined ? Object.fromEntries(members) : new RepeatedKey(repeated);
  }

  /** The string whose opening quote has just been read. */
  string() {
    const start = this.at - 1;
    for (let from = this.at; ; ) {
      QUOTE_OR_ESCAPE.lastIndex = from;
      const mark = QUOTE_OR_ESCAPE.exec(this.text);
      if (mark === null) {
        this.at = start;
        return this.fail("a text without its closing quote");
      }
      if (mark[0] === '"') {
        this.at = mark.index + 1;
        break;
      }
      from = mark.index + 2;
    }
    try {
      return /** @type {string} */ (JSON.parse(this.text.slice(start, this.at)));
    } catch {
      this.at = start;
      return this.fail("a text with a line break or an unknown escape");
    }
  }

  end() {
    this.space();
    if (this.at < this.text.length) {
      this.fail("nothing more was expected");
    }
  }

  token() {
    TOKEN.lastIndex = this.at;
    const token = TOKEN.exec(this.text);
    if (token !== null) {
      this.at = TOKEN.lastIndex;
    }
    return token;
  }

  space() {
    SPACE.lastIndex = this.at;
    SPACE.exec(this.text);
    this.at = SPACE.lastIndex;
  }

  /** @param {string} mark */
  skips(mark) {
    this.space();
    const found = this.text[this.at] === mark;
    this.at += found ? 1 : 0;
    return found;
  }

  /**
   * @param {string} mark
   * @param {string} otherwise
   */
  expect(mark, otherwise) {
    if (!this.skips(mark)) {
      this.fail(otherwise);
    }
  }

  /**
   * @param {string} what
   * @returns {never}
   */
  fail(what) {
    this.space();
    const lines = this.text.slice(0, this.at).split("\n");
    const column = /** @type {string} */ (lines.at(-1)).length + 1;
    throw new JsonTextError(`${what} at line ${lines.length}, column ${column}`);
  }
}

/**
 * @param {string} digits
 * @param {boolean} whole
 * @returns {number | bigint}
 */
function numberOf(digits, whole) {
  if (whole && digits.length > MAX_DIGITS) {
    throw new JsonTextError(`a whole number of ${digits.length} digits`);
  }
  const number = Number(digits);
  return whole && !Number.isSafeInteger(number) ? BigInt(digits) : number;
}
