/** Documents with nothing in them yet. */

/** @typedef {import("./document.js").MotionDocument} MotionDocument */

export const FRAMES = 14; // of a new document: the clip length that SVD was trained with

/**
 * Whether nothing is in a document that a new one would not have.
 *
 * @param {MotionDocument} document
 * @returns {boolean}
 */
export function isBlank({ entities, paths, camera, image, frames, fps, extra }) {
  const hasContent = entities.length > 0 || paths.length > 0 || camera !== undefined || image !== undefined;
  return !hasContent && frames === FRAMES && fps === 7 && Object.keys(extra).length === 0;
}
