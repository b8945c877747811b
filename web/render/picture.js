/** The ground of the canvas: the page around the picture, the picture, and the tinted masks on it. */

import { boundsOf, contoursOf } from "../contours.js";
import { entityColor } from "../theme.js";
import { useDocumentPixels } from "./ink.js";
import { contextOf } from "./layers.js";

/** @typedef {import("../masks.js").Mask} Mask */
/** @typedef {import("../scene.js").Scene} Scene */
/** @typedef {import("./ink.js").Context} Context */

/** @typedef {"rest" | "hover" | "selected"} Emphasis */
/** @typedef {{canvas: OffscreenCanvas, left: number, top: number}} Piece a part of the picture and where it belongs */

const PIXELS_FROM = 8; // canvas px for a document px: from here on, pixels are shown as squares
const GRID = 64; // document px between the lines on empty paper

/** Opacity of a mask's tint and width of its outline, canvas px. */
const MASK_LOOKS = {
  rest: { tint: 0.22, width: 1.25 },
  hover: { tint: 0.38, width: 2 },
  selected: { tint: 0.32, width: 2 },
};

/** @type {WeakMap<Mask, {color: string, piece: Piece}>} */
const TINTS = new WeakMap();

/** @type {WeakMap<Mask, Path2D>} */
const OUTLINES = new WeakMap();

/**
 * The page and the paper, with a border around where the picture is.
 *
 * @param {Context} context
 * @param {Scene} scene
 */
export function drawPaper(context, scene) {
  const { document, theme, viewport } = scene;
  const { width, height } = document.size;
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.fillStyle = theme.background;
  context.fillRect(0, 0, context.canvas.width, context.canvas.height);
  useDocumentPixels(context, scene);
  context.fillStyle = theme.paper;
  context.fillRect(-0.5, -0.5, width, height);
  if (scene.picture === null) {
    drawGrid(context, scene);
  }
  context.strokeStyle = theme.edge;
  context.lineWidth = 2 / viewport.scale;
  context.strokeRect(-0.5, -0.5, width, height);
}

/**
 * The picture as it is, over the whole of the document.
 *
 * @param {Context} context
 * @param {Scene} scene
 */
export function drawPicture(context, scene) {
  if (scene.picture === null) {
    return;
  }
  useDocumentPixels(context, scene);
  const { width, height } = scene.document.size;
  useSampling(context, scene);
  context.drawImage(scene.picture, -0.5, -0.5, width, height);
}

/**
 * Smooth when the picture is small or a little enlarged, its pixels when they are looked at.
 *
 * @param {Context} context
 * @param {Scene} scene
 */
export function useSampling(context, { viewport, pixelRatio }) {
  const zoom = viewport.scale * pixelRatio;
  context.imageSmoothingEnabled = zoom < PIXELS_FROM;
  context.imageSmoothingQuality = zoom < 1 ? "medium" : "low";
}

/**
 * The masks of the entities that are shown, in paint order.
 *
 * @param {Context} context
 * @param {Scene} scene
 */
export function drawMasks(context, scene) {
  for (const entity of scene.document.entities) {
    const mask = scene.masks.get(entity.id);
    if (mask !== undefined && !entity.hidden) {
      const emphasis = scene.selection.entities.includes(entity.id) ? "selected" : "rest";
      drawMask(context, scene, mask, entityColor(scene.document, entity.id), emphasis);
    }
  }
}

/**
 * One mask, tinted and outlined.
 *
 * @param {Context} context
 * @param {Scene} scene
 * @param {Mask} mask
 * @param {string} color
 * @param {Emphasis} emphasis
 */
export function drawMask(context, scene, mask, color, emphasis) {
  const look = MASK_LOOKS[emphasis];
  const { scale } = scene.viewport;
  useDocumentPixels(context, scene);
  context.globalAlpha = look.tint;
  useSampling(context, scene);
  const { canvas, left, top } = tinted(mask, color);
  context.drawImage(canvas, left - 0.5, top - 0.5);
  context.globalAlpha = 1;
  const outline = outlineOf(mask);
  context.lineJoin = "round";
  if (emphasis === "selected") {
    context.strokeStyle = scene.theme.accent;
    context.lineWidth = (look.width + 4) / scale;
    context.globalAlpha = 0.55;
    context.stroke(outline);
    context.globalAlpha = 1;
  }
  context.strokeStyle = scene.theme.casing;
  context.lineWidth = (look.width + 1.5) / scale;
  context.stroke(outline);
  context.strokeStyle = color;
  context.lineWidth = look.width / scale;
  context.stroke(outline);
}

/**
 * The outline of a mask in document pixels.
 *
 * @param {Mask} mask
 * @returns {Path2D}
 */
export function outlineOf(mask) {
  const known = OUTLINES.get(mask);
  if (known !== undefined) {
    return known;
  }
  const path = new Path2D();
  for (const line of contoursOf(mask)) {
    line.forEach(([x, y], index) => (index === 0 ? path.moveTo(x, y) : path.lineTo(x, y)));
    path.closePath();
  }
  OUTLINES.set(mask, path);
  return path;
}

/**
 * A mask in one colour and nothing beside it. The colour asked for last is remembered.
 *
 * @param {Mask} mask
 * @param {string} color
 * @returns {Piece}
 */
export function tinted(mask, color) {
  const known = TINTS.get(mask);
  if (known?.color === color) {
    return known.piece;
  }
  const { left, top, width, height } = boundsOf(mask);
  const canvas = new OffscreenCanvas(Math.max(width, 1), Math.max(height, 1));
  const context = contextOf(canvas);
  const image = context.createImageData(canvas.width, canvas.height);
  for (let y = 0; y < height; y += 1) {
    const row = (top + y) * mask.width + left;
    for (let x = 0; x < width; x += 1) {
      image.data[4 * (y * width + x) + 3] = mask.pixels[row + x] * 255;
    }
  }
  context.putImageData(image, 0, 0);
  context.globalCompositeOperation = "source-in";
  context.fillStyle = color;
  context.fillRect(0, 0, canvas.width, canvas.height);
  const piece = { canvas, left, top };
  TINTS.set(mask, { color, piece });
  return piece;
}

/** @type {(context: Context, scene: Scene) => void} */
function drawGrid(context, { document, theme, viewport }) {
  const { width, height } = document.size;
  const step = GRID * 2 ** Math.max(0, Math.ceil(Math.log2(16 / (GRID * viewport.scale))));
  context.beginPath();
  for (let x = step; x < width; x += step) {
    context.moveTo(x - 0.5, -0.5);
    context.lineTo(x - 0.5, height - 0.5);
  }
  for (let y = step; y < height; y += step) {
    context.moveTo(-0.5, y - 0.5);
    context.lineTo(width - 0.5, y - 0.5);
  }
  context.strokeStyle = theme.paperGrid;
  context.lineWidth = 1 / viewport.scale;
  context.stroke();
}
