/** Masks that a document names as files of the host's input folder, asked of the server once. */

import { messageOf } from "./api.js";
import { decodeRle } from "./masks.js";

/** @typedef {import("./document.js").Size} Size */
/** @typedef {import("./masks.js").Mask} Mask */

/** @typedef {{mask: Mask | null, problem: string | null}} Known both null while the answer is on the way */

const MOST = 64; // masks that are kept

/**
 * @typedef {object} MaskFiles
 * @property {(file: string, size: Size) => Mask | null} maskOf asks for it where it is not known yet
 * @property {(file: string, size: Size) => string | null} problemOf why a file gives no mask; null where none is known
 */

/**
 * @param {(file: string, size: Size) => Promise<{rle: string}>} ask
 * @param {() => void} arrived told when there is something new to know
 * @returns {MaskFiles}
 */
export function maskFiles(ask, arrived) {
  /** @type {Map<string, Known>} */
  const known = new Map();

  /** @type {(key: string, file: string, size: Size) => Promise<void>} */
  async function read(key, file, size) {
    try {
      const { rle } = await ask(file, size);
      known.set(key, { mask: decodeRle(rle, size), problem: null });
    } catch (error) {
      if (isPassing(error)) {
        known.delete(key); // asked for again as soon as something else is drawn
        return;
      }
      known.set(key, { mask: null, problem: messageOf(error) });
    }
    arrived();
  }

  return {
    maskOf: (file, size) => {
      const key = keyOf(file, size);
      if (!known.has(key)) {
        if (known.size >= MOST) {
          known.clear();
        }
        known.set(key, { mask: null, problem: null });
        read(key, file, size);
      }
      return known.get(key)?.mask ?? null;
    },
    problemOf: (file, size) => known.get(keyOf(file, size))?.problem ?? null,
  };
}

/** @type {(file: string, size: Size) => string} */
function keyOf(file, { width, height }) {
  return `${width} ${height} ${file}`;
}

/** @type {(error: unknown) => boolean} */
function isPassing(error) {
  return ["unreachable", "late"].includes(/** @type {any} */ (error)?.reason);
}
