/**
 * Which part of the document the editor's canvas shows, and how large.
 *
 * Three spaces: *client* pixels of pointer events, *canvas* pixels (CSS pixels of the editor's canvas before the host
 * scales it), and *document* pixels. A document pixel is a square around its whole-numbered centre, so that the
 * picture's left edge is at document x = -0.5.
 */

/** @typedef {import("./document.js").Size} Size */
/** @typedef {import("./document.js").Vector} Vector */

/**
 * Canvas pixels for one document pixel, and where on the canvas the picture's top left edge is.
 *
 * @typedef {object} Viewport
 * @property {number} scale
 * @property {number} left
 * @property {number} top
 */

/**
 * @typedef {object} Rectangle
 * @property {number} left
 * @property {number} top
 * @property {number} width
 * @property {number} height
 */

export const MIN_SCALE = 0.02;
export const MAX_SCALE = 64;

/**
 * The whole picture in the middle of a canvas, as large as fits beside a margin. A canvas without room shows it at the
 * smallest scale.
 *
 * @param {Size} picture
 * @param {Size} canvas
 * @param {number} [margin] canvas px left free on each side
 * @returns {Viewport}
 */
export function fitted(picture, canvas, margin = 0) {
  const across = (canvas.width - 2 * margin) / picture.width;
  const down = (canvas.height - 2 * margin) / picture.height;
  return centred(picture, canvas, withinLimits(Math.min(across, down)));
}

/**
 * The picture in the middle of a canvas at a scale.
 *
 * @param {Size} picture
 * @param {Size} canvas
 * @param {number} scale
 * @returns {Viewport}
 */
export function centred(picture, canvas, scale) {
  const [left, top] = [(canvas.width - picture.width * scale) / 2, (canvas.height - picture.height * scale) / 2];
  return { scale, left, top };
}

/**
 * Zoomed by a factor, with the document's point under a canvas point left where it is. At the limits of the scale the
 * factor is what is left of it.
 *
 * @param {Viewport} viewport
 * @param {number} factor
 * @param {Vector} canvasPoint
 * @returns {Viewport}
 */
export function zoomed(viewport, factor, [x, y]) {
  const scale = withinLimits(viewport.scale * factor);
  const ratio = scale / viewport.scale;
  return { scale, left: x - (x - viewport.left) * ratio, top: y - (y - viewport.top) * ratio };
}

/**
 * The picture moved by canvas pixels.
 *
 * @param {Viewport} viewport
 * @param {number} dx
 * @param {number} dy
 * @returns {Viewport}
 */
export function panned(viewport, dx, dy) {
  return { ...viewport, left: viewport.left + dx, top: viewport.top + dy };
}

/**
 * The same view on a canvas of another size: what was in its middle stays there.
 *
 * @param {Viewport} viewport
 * @param {Size} before
 * @param {Size} after
 * @returns {Viewport}
 */
export function resized(viewport, before, after) {
  return panned(viewport, (after.width - before.width) / 2, (after.height - before.height) / 2);
}

/**
 * Where a document point is on the canvas.
 *
 * @param {Viewport} viewport
 * @param {Vector} documentPoint
 * @returns {Vector}
 */
export function toCanvas(viewport, [x, y]) {
  return [viewport.left + (x + 0.5) * viewport.scale, viewport.top + (y + 0.5) * viewport.scale];
}

/**
 * Which document point is under a canvas point.
 *
 * @param {Viewport} viewport
 * @param {Vector} canvasPoint
 * @returns {Vector}
 */
export function toDocument(viewport, [x, y]) {
  return [(x - viewport.left) / viewport.scale - 0.5, (y - viewport.top) / viewport.scale - 0.5];
}

/**
 * Which canvas point a pointer event is over. The host may show the canvas scaled: its rectangle on the page is then
 * not as large as its own width and height.
 *
 * @param {Vector} clientPoint clientX and clientY
 * @param {Rectangle} rectangle of the canvas on the page
 * @param {Size} canvas clientWidth and clientHeight
 * @returns {Vector}
 */
export function clientToCanvas([x, y], rectangle, canvas) {
  return [
    ((x - rectangle.left) / rectangle.width) * canvas.width,
    ((y - rectangle.top) / rectangle.height) * canvas.height,
  ];
}

/** @type {(scale: number) => number} */
function withinLimits(scale) {
  return Math.min(Math.max(scale, MIN_SCALE), MAX_SCALE);
}

/**
 * @param {Size} one
 * @param {Size} other
 * @returns {boolean}
 */
export function sameSize(one, other) {
  return one.width === other.width && one.height === other.height;
}
