/** Discs where they will be painted in the frame that is shown, whichever point of the entity the line guides. */

import { flattened } from "../curves.js";
import { linePlaces, pointAtPlace } from "../line_frames.js";
import { positionAt, valueAt } from "../scene.js";
import { toCanvas } from "../viewport.js";
import { limitsOn } from "../weights.js";
import { circlePath, linePath, strokeCased } from "./ink.js";

/** @typedef {import("../document.js").Vector} Vector */
/** @typedef {import("../scene.js").Scene} Scene */
/** @typedef {import("./ink.js").Context} Context */
/** @typedef {import("./lines.js").ShownPath} ShownPath */

const APART = 5; // canvas px: from here on, a disc and its line are shown as two places
const FINER = 8; // corners of a trail for each frame, so that it bends as its line does
const UNSEEN_DASH = [4, 4];
const TRAIL_DOTS = [0.1, 5];

/**
 * A path's disc, dashed in a frame in which it is not painted. Where the line does not run through the disc's centre
 * (the weights move the entity's centre along with it), a thread ties the two together.
 *
 * @param {Context} context in canvas pixels
 * @param {Scene} scene
 * @param {ShownPath} shown
 */
export function drawDisc(context, scene, shown) {
  const { track, path, color, emphasis, isLocked } = shown;
  if (track === null) {
    return;
  }
  const { frame, viewport, theme } = scene;
  const { largest } = limitsOn(scene.weights, scene.document.size);
  const center = toCanvas(viewport, positionAt(track.points, frame));
  const isPainted = track.visible[Math.round(frame)] ?? false;
  const radius = Math.min(valueAt(track.radii, frame), largest ?? Infinity) * viewport.scale;
  const isStrong = emphasis === "selected" || emphasis === "hover" || isHeld(scene, shown.number);
  const disc = circlePath(center, radius);
  if (isPainted) {
    context.globalAlpha = isStrong ? 0.3 : 0.16;
    context.fillStyle = color;
    context.fill(disc);
  }
  const fading = isPainted ? (isLocked ? 0.7 : 1) : 0.6;
  context.globalAlpha = fading;
  const width = isStrong ? 2.25 : 1.5;
  strokeCased(context, disc, { color, casing: theme.casing, width, dash: isPainted ? [] : UNSEEN_DASH });
  if (!path.static) {
    const place = valueAt(linePlaces(path, scene.document.frames), frame);
    drawThread(context, scene, toCanvas(viewport, pointAtPlace(flattened(path), place)), center, color);
  }
  context.fillStyle = theme.casing;
  context.fill(circlePath(center, 3.5));
  context.fillStyle = color;
  context.fill(circlePath(center, 2.25));
  context.globalAlpha = 1;
}

/**
 * The way of a disc's centre where it is not the line itself, as dots.
 *
 * @param {Context} context in canvas pixels
 * @param {Scene} scene
 * @param {ShownPath} shown
 */
export function drawTrail(context, scene, { track, path, color }) {
  if (track === null || path.static) {
    return;
  }
  const line = flattened(path);
  const { frames } = scene.document;
  const places = linePlaces(path, frames);
  const aside = track.points.map(([x, y], frame) => {
    const [lineX, lineY] = pointAtPlace(line, places[frame]);
    return /** @type {Vector} */ ([x - lineX, y - lineY]);
  });
  if (aside.some(([dx, dy]) => Math.hypot(dx, dy) * scene.viewport.scale > APART)) {
    const steps = Array.from({ length: (frames - 1) * FINER + 1 }, (_, step) => step / FINER);
    const corners = steps.map((frame) => {
      const [[x, y], [dx, dy]] = [pointAtPlace(line, valueAt(places, frame)), positionAt(aside, frame)];
      return toCanvas(scene.viewport, [x + dx, y + dy]);
    });
    const trail = linePath(corners);
    context.globalAlpha = 0.8;
    strokeCased(context, trail, { color, casing: scene.theme.casing, width: 2, dash: TRAIL_DOTS });
    context.globalAlpha = 1;
  }
}

/** @type {(context: Context, scene: Scene, from: Vector, to: Vector, color: string) => void} */
function drawThread(context, { theme }, from, to, color) {
  if (Math.hypot(to[0] - from[0], to[1] - from[1]) > APART) {
    strokeCased(context, linePath([from, to]), { color, casing: theme.casing, width: 1, dash: [3, 3] });
    context.fillStyle = theme.casing;
    context.fill(circlePath(from, 3));
    context.fillStyle = color;
    context.fill(circlePath(from, 2));
  }
}

/** @type {(scene: Scene, number: number) => boolean} */
function isHeld({ hover }, number) {
  return hover?.kind === "disc" && hover.path === number;
}
