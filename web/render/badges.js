/** Warnings where they apply: small signs on the picture, one for each place. */

import { tracksOf } from "../scene.js";
import { toCanvas } from "../viewport.js";
import { drawLabel, fillOutlined } from "./ink.js";

/** @typedef {import("../document.js").Vector} Vector */
/** @typedef {import("../scene.js").Scene} Scene */
/** @typedef {import("../warnings.js").Warning} Warning */
/** @typedef {import("./ink.js").Context} Context */

/**
 * A sign for one or more warnings. It is under the pointer within `radius` of `position`.
 *
 * @typedef {object} Badge
 * @property {Vector} position canvas px
 * @property {number} radius canvas px
 * @property {readonly Warning[]} warnings
 */

const RADIUS = 10;
const MARGIN = 14;

/**
 * Where the warnings' signs are: at the disc in the frame that the warning is about, beside an entity's disc, or in the
 * corner for the camera; always on the canvas.
 *
 * @param {Scene} scene
 * @returns {Badge[]}
 */
export function badgesOf(scene) {
  /** @type {{position: Vector, radius: number, warnings: Warning[]}[]} */
  const badges = [];
  const tracks = tracksOf(scene);
  const hidden = new Set(scene.document.entities.filter((entity) => entity.hidden).map((entity) => entity.id));
  for (const warning of scene.warnings) {
    if (warning.entity !== null && hidden.has(warning.entity)) {
      continue;
    }
    const place = placeOf(scene, warning, warning.path === null ? null : (tracks[warning.path] ?? null));
    const position = onCanvas(scene, toCanvas(scene.viewport, place));
    const near = badges.find(({ position: [x, y] }) => Math.hypot(x - position[0], y - position[1]) < 2 * RADIUS);
    if (near === undefined) {
      badges.push({ position, radius: RADIUS, warnings: [warning] });
    } else {
      near.warnings.push(warning);
    }
  }
  return badges;
}

/**
 * The signs, with how many warnings each stands for when there are several.
 *
 * @param {Context} context in canvas pixels
 * @param {Scene} scene
 */
export function drawBadges(context, scene) {
  for (const { position, warnings } of badgesOf(scene)) {
    drawSign(context, scene, position);
    if (warnings.length > 1) {
      drawLabel(context, scene, String(warnings.length), [position[0] + 9, position[1] - 8]);
    }
  }
}

/** @type {(scene: Scene, warning: Warning, track: import("../tracks.js").PathTrack | null) => Vector} */
function placeOf({ document, circles }, { entity, frame }, track) {
  const place = track?.points[frame];
  if (place !== undefined) {
    return place;
  }
  const circle = entity === null ? undefined : circles.get(entity);
  return circle?.center ?? [document.size.width - 1, 0];
}

/** @type {(scene: Scene, place: Vector) => Vector} */
function onCanvas({ canvas }, [x, y]) {
  // Up and to the right of what it is about, which it would cover otherwise.
  return [
    Math.min(Math.max(x + 12, MARGIN), Math.max(canvas.width - MARGIN, MARGIN)),
    Math.min(Math.max(y - 14, MARGIN), Math.max(canvas.height - MARGIN, MARGIN)),
  ];
}

/** @type {(context: Context, scene: Scene, position: Vector) => void} */
function drawSign(context, { theme }, [x, y]) {
  const triangle = new Path2D();
  triangle.moveTo(x, y - 7);
  triangle.lineTo(x + 8, y + 6.5);
  triangle.lineTo(x - 8, y + 6.5);
  triangle.closePath();
  fillOutlined(context, triangle, { fill: theme.warning, line: theme.casing, width: 2.5 });
  context.lineJoin = "round";
  context.lineWidth = 2;
  context.strokeStyle = theme.warning;
  context.stroke(triangle);
  context.fillStyle = theme.onWarning;
  context.fillRect(x - 1, y - 2.5, 2, 5);
  context.fillRect(x - 1, y + 3.75, 2, 2);
}
