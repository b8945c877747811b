/** The camera's frame on the unmoved picture, and the points that set its move. */

import { cameraStarts, moved, shownFrame } from "../camera.js";
import { shownCamera, shownMotion } from "../scene.js";
import { toCanvas } from "../viewport.js";
import { arrowHead, circlePath, drawLabel, fillOutlined, linePath, strokeCased } from "./ink.js";

/** @typedef {import("../camera.js").CameraMotion} CameraMotion */
/** @typedef {import("../document.js").CameraMove} CameraMove */
/** @typedef {import("../document.js").Vector} Vector */
/** @typedef {import("../scene.js").Scene} Scene */
/** @typedef {import("./ink.js").Context} Context */

const END_DASH = [7, 5];
const CORNER = 14; // canvas px of the brackets at the frame's corners

/**
 * What the camera shows in the frame, what it shows in the last one (dashed) and, in the camera's tool, what can be
 * dragged. While the cut-outs move, the picture itself is moved and the canvas is the frame.
 *
 * @param {Context} context in canvas pixels
 * @param {Scene} scene
 */
export function drawCamera(context, scene) {
  const [camera, motion] = [shownCamera(scene), shownMotion(scene)];
  if (camera === null || motion === null) {
    return;
  }
  const isEdited = scene.tool === "camera";
  if (!scene.cutouts) {
    drawFrames(context, scene, motion, isEdited);
  }
  if (isEdited && !scene.playing) {
    drawArrows(context, scene, camera, motion);
    drawGrips(context, scene, camera);
  }
}

/** @type {(context: Context, scene: Scene, motion: CameraMotion, isEdited: boolean) => void} */
function drawFrames(context, scene, motion, isEdited) {
  const { document, theme, hover } = scene;
  const last = document.frames - 1;
  const now = cornersAt(scene, motion, Math.round(scene.frame));
  const end = cornersAt(scene, motion, last);
  const look = { color: theme.camera, casing: theme.casing };
  if (isEdited) {
    context.fillStyle = "rgba(0, 0, 0, 0.35)";
    const outside = linePath(now, true);
    outside.rect(0, 0, scene.canvas.width, scene.canvas.height);
    context.fill(outside, "evenodd");
  }
  context.globalAlpha = 0.75;
  strokeCased(context, linePath(end, true), { ...look, width: 1.25, dash: END_DASH });
  context.globalAlpha = 1;
  const isHeld = hover?.kind === "camera" && hover.part === "frame";
  strokeCased(context, linePath(now, true), { ...look, width: isHeld ? 2.5 : 1.5 });
  strokeCased(context, brackets(now), { ...look, width: isHeld ? 4.5 : 3.5 });
  if (scene.frame < last) {
    const label = scene.say("cameraFrame", { frame: document.frames });
    drawLabel(context, scene, label, [end[0][0] + 4, end[0][1] + 12], {});
  }
}

/**
 * The way of each point that sets the move, from the first frame to the last.
 *
 * @type {(context: Context, scene: Scene, camera: CameraMove, motion: CameraMotion) => void}
 */
function drawArrows(context, scene, camera, motion) {
  const { document, theme, viewport } = scene;
  for (const start of cameraStarts(camera, scene.document.size)) {
    const from = toCanvas(viewport, start);
    const to = toCanvas(viewport, moved(motion, document.frames - 1, start));
    if (Math.hypot(to[0] - from[0], to[1] - from[1]) < 4) {
      continue;
    }
    strokeCased(context, linePath([from, to]), { color: theme.camera, casing: theme.casing, width: 2 });
    const angle = Math.atan2(to[1] - from[1], to[0] - from[0]);
    fillOutlined(context, arrowHead(to, angle), { fill: theme.camera, line: theme.casing, width: 1 });
  }
}

/** @type {(context: Context, scene: Scene, camera: CameraMove) => void} */
function drawGrips(context, scene, camera) {
  const { theme, viewport, hover } = scene;
  const isHeld = (/** @type {string | number} */ part) => hover?.kind === "camera" && hover.part === part;
  camera.zoom?.points.forEach((point, index) => {
    const [x, y] = toCanvas(viewport, point);
    const reach = isHeld(index) ? 8 : 6;
    const diamond = linePath([[x, y - reach], [x + reach, y], [x, y + reach], [x - reach, y]], true);
    fillOutlined(context, diamond, { fill: theme.pointFill, line: theme.casing, width: 1.5 });
    context.lineWidth = 2;
    context.strokeStyle = theme.camera;
    context.stroke(diamond);
  });
  if (camera.zoom !== undefined) {
    drawCross(context, scene, toCanvas(viewport, camera.zoom.center), isHeld("center") ? 11 : 8);
  } else {
    const place = toCanvas(viewport, cameraStarts(camera, scene.document.size)[0]);
    const radius = isHeld("pan") ? 8 : 6;
    fillOutlined(context, circlePath(place, radius), { fill: theme.camera, line: theme.casing, width: 1.5 });
  }
}

/** @type {(context: Context, scene: Scene, place: Vector, reach: number) => void} */
function drawCross(context, { theme }, [x, y], reach) {
  const cross = linePath([[x - reach, y], [x + reach, y]]);
  cross.addPath(linePath([[x, y - reach], [x, y + reach]]));
  cross.addPath(circlePath([x, y], reach * 0.55));
  strokeCased(context, cross, { color: theme.camera, casing: theme.casing, width: 1.75 });
}

/** @type {(scene: Scene, motion: CameraMotion, frame: number) => Vector[]} */
function cornersAt({ document, viewport }, motion, frame) {
  return shownFrame(motion, frame, document.size).map((corner) => toCanvas(viewport, corner));
}

/**
 * The corners of a frame, as a viewfinder has them.
 *
 * @type {(corners: readonly Vector[]) => Path2D}
 */
function brackets(corners) {
  const path = new Path2D();
  corners.forEach((corner, index) => {
    const [before, after] = [corners[(index + 3) % 4], corners[(index + 1) % 4]];
    path.moveTo(...towards(corner, before));
    path.lineTo(...corner);
    path.lineTo(...towards(corner, after));
  });
  return path;
}

/** @type {(from: Vector, to: Vector) => Vector} */
function towards(from, to) {
  const length = Math.hypot(to[0] - from[0], to[1] - from[1]);
  const part = length > 0 ? Math.min(CORNER, length / 2) / length : 0;
  return [from[0] + (to[0] - from[0]) * part, from[1] + (to[1] - from[1]) * part];
}
