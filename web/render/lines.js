/** Drawn lines: their course, solid where seen and dashed where not, their direction, and the ticks of the frames. */

import { flattened } from "../curves.js";
import { linePlaces, otherStretches, pointAtPlace, seenStretches } from "../line_frames.js";
import { toCanvas } from "../viewport.js";
import { arrowHead, circlePath, drawLabel, fillOutlined, strokeCased } from "./ink.js";
import { useCanvasPixels, useDocumentPixels } from "./ink.js";
import { drawStamps } from "./layers.js";

/** @typedef {import("../curves.js").Flattened} Flattened */
/** @typedef {import("../document.js").MotionPath} MotionPath */
/** @typedef {import("../document.js").Vector} Vector */
/** @typedef {import("../line_frames.js").Stretch} Stretch */
/** @typedef {import("../scene.js").Scene} Scene */
/** @typedef {import("../tracks.js").PathTrack} PathTrack */
/** @typedef {import("./ink.js").Context} Context */
/** @typedef {"rest" | "hover" | "selected"} Emphasis */

/**
 * One path as it is drawn.
 *
 * @typedef {object} ShownPath
 * @property {number} number
 * @property {MotionPath} path
 * @property {PathTrack | null} track
 * @property {string} color
 * @property {Emphasis} emphasis
 * @property {boolean} isLocked
 */

const WIDTHS = { rest: 2, hover: 2.75, selected: 3 };
const LOCKED_WIDTH = 1.25;
const HALO = 7; // canvas px more than the line
const UNSEEN_DASH = [5, 5];
const FINEST = 1.2; // canvas px: corners of a line that are closer together are one

const TICK_RADIUS = 1.6;
const TICK_GAP = 7; // canvas px between ticks, on average
const NUMBER_GAP = 34; // between numbers
const STEPS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000];

/** @type {WeakMap<MotionPath, {fineness: number, whole: Path2D}>} */
const WHOLE_LINES = new WeakMap();

/**
 * A line with everything on it but its points. A pin has no line.
 *
 * @param {Context} context
 * @param {Scene} scene
 * @param {ShownPath} shown
 */
export function drawLine(context, scene, shown) {
  const { path, isLocked } = shown;
  if (path.static || path.points.length === 1) {
    return;
  }
  const line = flattened(path);
  const seen = seenOf(shown, scene.document.frames);
  drawCourse(context, scene, shown, line, seen);
  useCanvasPixels(context, scene);
  if (!scene.playing && !isLocked) {
    drawTicks(context, scene, shown, line);
  }
  drawArrow(context, scene, shown, line, seen);
}

/**
 * The numbers of the frames beside a line's ticks, as far apart as leaves them readable.
 *
 * @param {Context} context in canvas pixels
 * @param {Scene} scene
 * @param {ShownPath} shown
 */
export function drawFrameNumbers(context, scene, { path }) {
  const { frames } = scene.document;
  if (path.static || path.points.length === 1) {
    return;
  }
  const line = flattened(path);
  const places = linePlaces(path, frames);
  const step = stepOf(line, scene, frames, NUMBER_GAP);
  /** @type {Vector[]} */
  const written = [];
  const marked = scene.hover?.kind === "frame" ? scene.hover.frame : -1; // has a label of its own
  for (let frame = 0; frame < frames; frame += frame === 0 && step > 1 ? step - 1 : step) {
    const place = toCanvas(scene.viewport, pointAtPlace(line, places[frame]));
    const isFree = written.every(([x, y]) => Math.hypot(x - place[0], y - place[1]) >= NUMBER_GAP * 0.75);
    if (isFree && frame !== marked) {
      written.push(place);
      const [nx, ny] = normalAt(line, places[frame]);
      drawNumber(context, scene, String(frame + 1), [place[0] + 13 * nx, place[1] + 13 * ny]);
    }
  }
}

/**
 * The frame under the pointer: its tick, large, and its number.
 *
 * @param {Context} context in canvas pixels
 * @param {Scene} scene
 * @param {ShownPath} shown
 * @param {number} frame
 */
export function drawFrameMark(context, scene, { path, color }, frame) {
  const { frames } = scene.document;
  const [x, y] = toCanvas(scene.viewport, pointAtPlace(flattened(path), linePlaces(path, frames)[frame] ?? 0));
  fillOutlined(context, circlePath([x, y], 5), { fill: color, line: "#ffffff" });
  drawLabel(context, scene, `${frame + 1} / ${frames}`, [x, y - 12], { side: "above" });
}

/**
 * In which frames a path is seen. A path without a disc yet is drawn as if it were seen throughout.
 *
 * @type {(shown: ShownPath, frames: number) => readonly boolean[]}
 */
function seenOf({ track }, frames) {
  return track?.visible ?? new Array(frames).fill(true);
}

/** @type {(context: Context, scene: Scene, solid: Path2D) => void} */
function drawHalo(context, { theme, viewport }, solid) {
  context.lineJoin = "round";
  context.lineCap = "round";
  context.strokeStyle = theme.accent;
  context.globalAlpha = 0.6;
  context.lineWidth = (WIDTHS.selected + HALO) / viewport.scale;
  context.stroke(solid);
  context.globalAlpha = 1;
}

/** @type {(context: Context, scene: Scene, shown: ShownPath, line: Flattened, seen: readonly boolean[]) => void} */
function drawCourse(context, scene, { path, color, emphasis, isLocked }, line, seen) {
  useDocumentPixels(context, scene);
  const { scale } = scene.viewport;
  const last = line.x.length - 1;
  const look = { color, casing: scene.theme.casing, unit: scale };
  const fading = scene.playing ? 0.5 : isLocked ? 0.7 : 1;
  const stretches = seenStretches(linePlaces(path, scene.document.frames), seen, last);
  const unseen = otherStretches(stretches, last);
  const solid = unseen.length === 0 ? wholeLine(path, line, scale) : partsOf(line, stretches, scale);
  if (emphasis === "selected") {
    drawHalo(context, scene, solid);
  }
  if (unseen.length > 0) {
    context.globalAlpha = 0.6 * fading;
    strokeCased(context, partsOf(line, unseen, scale), { ...look, width: 1.5, dash: UNSEEN_DASH });
  }
  context.globalAlpha = fading;
  strokeCased(context, solid, { ...look, width: isLocked ? LOCKED_WIDTH : WIDTHS[emphasis] });
  context.globalAlpha = 1;
}

/** @type {(context: Context, scene: Scene, shown: ShownPath, line: Flattened, seen: readonly boolean[]) => void} */
function drawArrow(context, scene, { color, emphasis }, line, seen) {
  const { viewport } = scene;
  const last = line.x.length - 1;
  const tip = toCanvas(viewport, [line.x[last], line.y[last]]);
  let back = last;
  let from = tip;
  while (back > 0 && Math.hypot(tip[0] - from[0], tip[1] - from[1]) < 8) {
    back -= 1;
    from = toCanvas(viewport, [line.x[back], line.y[back]]);
  }
  if (Math.hypot(tip[0] - from[0], tip[1] - from[1]) === 0) {
    return;
  }
  const angle = Math.atan2(tip[1] - from[1], tip[0] - from[0]);
  const length = emphasis === "selected" ? 14 : 12;
  // The tip reaches past the last point, which a selected line shows as a point of its own.
  const reach = emphasis === "selected" ? 20 : 3;
  const ahead = /** @type {const} */ ([tip[0] + reach * Math.cos(angle), tip[1] + reach * Math.sin(angle)]);
  context.globalAlpha = (scene.playing ? 0.5 : 1) * (seen[seen.length - 1] ? 1 : 0.55);
  fillOutlined(context, arrowHead(ahead, angle, length), { fill: color, line: scene.theme.casing, width: 1 });
  context.globalAlpha = 1;
}

/** @type {(context: Context, scene: Scene, shown: ShownPath, line: Flattened) => void} */
function drawTicks(context, scene, { path, track, emphasis }, line) {
  const { frames } = scene.document;
  const places = linePlaces(path, frames);
  const step = stepOf(line, scene, frames, TICK_GAP);
  const radius = emphasis === "rest" ? TICK_RADIUS - 0.3 : TICK_RADIUS;
  /** @type {Vector[]} */
  const ticks = [];
  for (let frame = 0; frame < frames; frame += step) {
    if (track?.visible[frame] ?? true) {
      ticks.push(toCanvas(scene.viewport, pointAtPlace(line, places[frame])));
    }
  }
  const mark = { name: `tick ${radius} ${scene.theme.casing}`, reach: radius + 2 };
  drawStamps(context, scene, mark, ticks, (stamp) =>
    fillOutlined(stamp, circlePath([0, 0], radius), { fill: "#ffffff", line: scene.theme.casing, width: 1 }),
  );
}

/** @type {(context: Context, scene: Scene, text: string, place: Vector) => void} */
function drawNumber(context, { theme }, text, [x, y]) {
  context.font = `600 10px ${theme.font}`;
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.lineJoin = "round";
  context.lineWidth = 3;
  context.strokeStyle = "rgba(10, 11, 14, 0.8)";
  context.strokeText(text, x, y);
  context.fillStyle = "#ffffff";
  context.fillText(text, x, y);
}

/**
 * Every how many frames something fits on a line.
 *
 * @type {(line: Flattened, scene: Scene, frames: number, gap: number) => number}
 */
function stepOf({ behind }, { viewport }, frames, gap) {
  const room = (behind[behind.length - 1] * viewport.scale) / Math.max(frames - 1, 1);
  return STEPS.find((step) => step * room >= gap) ?? frames;
}

/**
 * The direction across a line at a place, of length 1.
 *
 * @type {(line: Flattened, place: number) => Vector}
 */
function normalAt(line, place) {
  const last = line.x.length - 1;
  const [before, after] = [pointAtPlace(line, Math.max(place - 1, 0)), pointAtPlace(line, Math.min(place + 1, last))];
  const [dx, dy] = [after[0] - before[0], after[1] - before[1]];
  const length = Math.hypot(dx, dy);
  return length > 0 ? [dy / length, -dx / length] : [0, -1];
}

/**
 * A whole line in document pixels, with the corners that can be told apart at a scale. Remembered for the next drawing.
 *
 * @type {(path: MotionPath, line: Flattened, scale: number) => Path2D}
 */
function wholeLine(path, line, scale) {
  const fineness = Math.floor(Math.log2(scale));
  const known = WHOLE_LINES.get(path);
  if (known !== undefined && known.fineness === fineness) {
    return known.whole;
  }
  const whole = partsOf(line, [{ from: 0, to: line.x.length - 1 }], 2 ** (fineness + 1));
  WHOLE_LINES.set(path, { fineness, whole });
  return whole;
}

/** @type {(line: Flattened, stretches: readonly Stretch[], scale: number) => Path2D} */
function partsOf(line, stretches, scale) {
  const path = new Path2D();
  const gap = (FINEST / scale) ** 2;
  for (const { from, to } of stretches) {
    let [x, y] = pointAtPlace(line, from);
    path.moveTo(x, y);
    for (let corner = Math.floor(from) + 1; corner < to; corner += 1) {
      const [dx, dy] = [line.x[corner] - x, line.y[corner] - y];
      if (dx * dx + dy * dy >= gap) {
        [x, y] = [line.x[corner], line.y[corner]];
        path.lineTo(x, y);
      }
    }
    path.lineTo(...pointAtPlace(line, to));
  }
  return path;
}
