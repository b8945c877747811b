/** Binary masks as the document stores them: COCO compressed run-length strings, read down the columns. */

/** @typedef {import("./document.js").Size} Size */

/**
 * A mask's pixels row by row, 1 on the entity.
 *
 * @typedef {object} Mask
 * @property {number} height
 * @property {number} width
 * @property {Uint8Array} pixels
 */

const MAX_BITS = 50; // of one number: whole numbers stay exact, and no picture has runs that long

/**
 * The mask of a COCO compressed run-length string.
 *
 * @param {string} rle
 * @param {Size} size
 * @returns {Mask}
 * @throws {RangeError} when the string is no code, ends inside a number, or does not cover the canvas
 */
export function decodeRle(rle, { height, width }) {
  const pixels = new Uint8Array(height * width);
  let at = 0;
  for (const [index, run] of runsOf(rle, pixels.length).entries()) {
    for (const end = at + run; at < end && at < pixels.length; at += 1) {
      pixels[(at % height) * width + Math.floor(at / height)] = index % 2;
    }
  }
  return { height, width, pixels };
}

/**
 * The COCO compressed run-length string of a mask, the same characters that the Python core writes.
 *
 * @param {Mask} mask
 * @returns {string}
 */
export function encodeRle({ height, width, pixels }) {
  const runs = [0];
  let current = 0;
  for (let at = 0; at < height * width; at += 1) {
    const pixel = pixels[(at % height) * width + Math.floor(at / height)] ? 1 : 0;
    if (pixel !== current) {
      runs.push(0);
      current = pixel;
    }
    runs[runs.length - 1] += 1;
  }
  // From the fourth on, a run is written as the difference from the run two before it.
  return runs.map((run, index) => charactersOf(run - (index > 2 ? runs[index - 2] : 0))).join("");
}

/**
 * Whether a point of the canvas lies in a mask: whether the pixel around it does.
 *
 * @param {Mask} mask
 * @param {number} x
 * @param {number} y
 * @returns {boolean}
 */
export function insideMask(mask, x, y) {
  const [column, row] = [Math.floor(x + 0.5), Math.floor(y + 0.5)];
  const isOnCanvas = column >= 0 && row >= 0 && column < mask.width && row < mask.height;
  return isOnCanvas && mask.pixels[row * mask.width + column] === 1;
}

/** @type {(rle: string, limit: number) => number[]} */
function runsOf(rle, limit) {
  /** @type {number[]} */
  const runs = [];
  let [number, bits, covered] = [0, 0, 0];
  for (let position = 0; position < rle.length; position += 1) {
    const code = rle.charCodeAt(position) - 48;
    if (!(code >= 0 && code < 64)) {
      const letter = JSON.stringify(rle[position]);
      throw new RangeError(`run-length mask: character ${letter} at ${position} is outside the code ('0' to 'o')`);
    }
    number += (code & 31) * 2 ** bits;
    bits += 5;
    if (code & 32) {
      if (bits >= MAX_BITS) {
        throw new RangeError(`run-length mask: the number around position ${position} is longer than ${MAX_BITS} bits`);
      }
      continue;
    }
    const difference = code & 16 ? number - 2 ** bits : number;
    const run = difference + (runs.length > 2 ? runs[runs.length - 2] : 0);
    covered += run;
    if (run < 0 || covered > limit) {
      const place = `run ${runs.length} (up to position ${position})`;
      const reach = `is ${run} pixels long and ends at pixel ${covered}`;
      throw new RangeError(`run-length mask: ${place} ${reach}; the whole mask has ${limit}`);
    }
    runs.push(run);
    [number, bits] = [0, 0];
  }
  if (bits > 0 || covered !== limit) {
    const missing = bits > 0 ? "the string ends inside a number" : `the runs cover ${covered} of ${limit} pixels`;
    throw new RangeError(`run-length mask: ${missing}. It belongs to another picture, or was cut off.`);
  }
  return runs;
}

/**
 * Five bits a character, lowest first; bit 5 says that more follow, bit 4 of the last one is the sign.
 *
 * @type {(number: number) => string}
 */
function charactersOf(number) {
  let text = "";
  for (let rest = number; ; ) {
    const bits = rest & 31;
    rest >>= 5;
    const isLast = rest === (bits & 16 ? -1 : 0);
    text += String.fromCharCode(48 + (isLast ? bits : bits | 32));
    if (isLast) {
      return text;
    }
  }
}
