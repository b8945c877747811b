/** Documents with nothing in them yet, and how many frames a document has. */

/** @typedef {import("./document.js").MotionDocument} MotionDocument */

export const FRAMES = 14; // of a new document where no weights say it: the clip length that SVD was trained with

/**
 * Whether nothing is in a document that a new one would not have.
 *
 * @param {MotionDocument} document
 * @param {number} [usual] frames of a new one
 * @returns {boolean}
 */
export function isBlank({ entities, paths, camera, image, frames, fps, extra }, usual = FRAMES) {
  const hasContent = entities.length > 0 || paths.length > 0 || camera !== undefined || image !== undefined;
  return !hasContent && frames === usual && fps === 7 && Object.keys(extra).length === 0;
}

/**
 * A function that gives a document another number of frames: the same object while both are the same, so that what is
 * derived from it is kept.
 *
 * @returns {(document: MotionDocument, frames: number) => MotionDocument}
 */
export function frameChanger() {
  /** @type {{from: MotionDocument, changed: MotionDocument} | null} */
  let last = null;
  return (document, frames) => {
    if (frames === document.frames) {
      return document;
    }
    if (last?.from !== document || last.changed.frames !== frames) {
      last = { from: document, changed: { ...document, frames } };
    }
    return last.changed;
  };
}
