/** How lines, marks and labels look: widths, outlines, plates. Everything here is in canvas pixels. */

import { luminance } from "../theme.js";

/** @typedef {import("../document.js").Vector} Vector */
/** @typedef {import("../scene.js").Scene} Scene */
/** @typedef {import("../theme.js").Theme} Theme */
/** @typedef {CanvasRenderingContext2D | OffscreenCanvasRenderingContext2D} Context */

export const WHOLE_TURN = 2 * Math.PI;
const TEXT_SIZE = 11;
const PLATE_HEIGHT = 17;

/**
 * From here on, one unit is one canvas pixel.
 *
 * @param {Context} context
 * @param {Scene} scene
 */
export function useCanvasPixels(context, { pixelRatio }) {
  context.setTransform(pixelRatio, 0, 0, pixelRatio, 0, 0);
}

/**
 * From here on, one unit is one document pixel, with the picture's pixel centres at whole numbers.
 *
 * @param {Context} context
 * @param {Scene} scene
 */
export function useDocumentPixels(context, { pixelRatio, viewport: { scale, left, top } }) {
  const zoom = pixelRatio * scale;
  context.setTransform(zoom, 0, 0, zoom, pixelRatio * (left + scale / 2), pixelRatio * (top + scale / 2));
}

/**
 * A line with a dark outline, so that it shows on any picture. The path may be in document pixels: widths and dashes
 * are divided by `unit`, the canvas pixels of one unit. Dashes lie on an outline without gaps, which is fainter; those
 * shorter than a pixel are round dots.
 *
 * @param {Context} context
 * @param {Path2D} path
 * @param {{color: string, casing: string, width: number, dash?: readonly number[], unit?: number}} look
 */
export function strokeCased(context, path, { color, casing, width, dash = [], unit = 1 }) {
  const opacity = context.globalAlpha;
  context.lineJoin = "round";
  context.lineCap = dash[0] >= 1 ? "butt" : "round";
  context.globalAlpha = dash.length > 0 ? 0.45 * opacity : opacity;
  context.strokeStyle = casing;
  context.lineWidth = (width + 2) / unit;
  context.stroke(path);
  context.globalAlpha = opacity;
  context.setLineDash(dash.map((length) => length / unit));
  context.strokeStyle = color;
  context.lineWidth = width / unit;
  context.stroke(path);
  context.setLineDash([]);
}

/**
 * A filled mark with an outline.
 *
 * @param {Context} context
 * @param {Path2D} path
 * @param {{fill: string, line: string, width?: number}} look
 */
export function fillOutlined(context, path, { fill, line, width = 1.5 }) {
  context.lineJoin = "round";
  context.strokeStyle = line;
  context.lineWidth = 2 * width;
  context.stroke(path);
  context.fillStyle = fill;
  context.fill(path);
}

/**
 * A circle as a path.
 *
 * @param {Vector} center
 * @param {number} radius
 * @returns {Path2D}
 */
export function circlePath([x, y], radius) {
  const path = new Path2D();
  path.arc(x, y, Math.max(radius, 0), 0, WHOLE_TURN);
  return path;
}

/**
 * Straight lines through canvas points.
 *
 * @param {readonly Vector[]} points
 * @param {boolean} [closed]
 * @returns {Path2D}
 */
export function linePath(points, closed = false) {
  const path = new Path2D();
  points.forEach(([x, y], index) => (index === 0 ? path.moveTo(x, y) : path.lineTo(x, y)));
  if (closed) {
    path.closePath();
  }
  return path;
}

/**
 * A triangle with its tip at a point.
 *
 * @param {Vector} tip
 * @param {number} angle direction in which it points, radians
 * @param {number} [length]
 * @returns {Path2D}
 */
export function arrowHead([x, y], angle, length = 11) {
  const back = (/** @type {number} */ turn) =>
    /** @type {Vector} */ ([x - length * Math.cos(angle + turn), y - length * Math.sin(angle + turn)]);
  return linePath([[x, y], back(0.46), back(-0.46)], true);
}

/**
 * A line of text on a plate, kept inside the canvas.
 *
 * @param {Context} context in canvas pixels
 * @param {Scene} scene
 * @param {string} text
 * @param {Vector} place the middle of the plate's left or lower edge, as `side` says
 * @param {{side?: "right" | "above", plate?: string}} [look] a plate of another colour than the theme's
 */
export function drawLabel(context, { theme, canvas }, text, [x, y], { side = "right", plate } = {}) {
  context.font = `600 ${TEXT_SIZE}px ${theme.font}`;
  const width = Math.ceil(context.measureText(text).width) + 12;
  const wantedLeft = side === "right" ? x : x - width / 2;
  const wantedTop = side === "right" ? y - PLATE_HEIGHT / 2 : y - PLATE_HEIGHT;
  const left = Math.round(Math.min(Math.max(wantedLeft, 2), Math.max(canvas.width - width - 2, 2)));
  const top = Math.round(Math.min(Math.max(wantedTop, 2), Math.max(canvas.height - PLATE_HEIGHT - 2, 2)));
  context.fillStyle = plate ?? theme.label;
  context.beginPath();
  context.roundRect(left, top, width, PLATE_HEIGHT, 4);
  context.fill();
  context.fillStyle = plate === undefined ? theme.labelText : inkOn(plate);
  context.textBaseline = "middle";
  context.textAlign = "left";
  context.fillText(text, left + 6, top + PLATE_HEIGHT / 2 + 0.5);
}

/**
 * Black or white, whichever is read more easily on a colour.
 *
 * @param {string} color
 * @returns {string}
 */
export function inkOn(color) {
  return (luminance(color) ?? 0) > 0.3 ? "#101114" : "#ffffff";
}
