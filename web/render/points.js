/** Control points of lines, their Bezier handles, and pins. */

import { toCanvas } from "../viewport.js";
import { circlePath, fillOutlined, linePath } from "./ink.js";
import { drawStamps } from "./layers.js";

/** @typedef {import("../document.js").ControlPoint} ControlPoint */
/** @typedef {import("../document.js").Vector} Vector */
/** @typedef {import("../scene.js").Scene} Scene */
/** @typedef {import("./ink.js").Context} Context */
/** @typedef {import("./lines.js").ShownPath} ShownPath */

/** @typedef {{radius: number, fill: string, ring: string, places: Vector[]}} Marks points that look alike */

const POINT_RADIUS = 4;
const END_RADIUS = 5;
const HANDLE_RADIUS = 3.25;
const POINT_GAP = 9; // canvas px: points of a dense line that are closer to the last one drawn are left out

/**
 * The points of a path, with the handles of a selected Bezier line. Dense lines show only some of their points, but
 * always the ends, those selected and the one under the pointer.
 *
 * @param {Context} context in canvas pixels
 * @param {Scene} scene
 * @param {ShownPath} shown
 */
export function drawPoints(context, scene, shown) {
  const { path, number, color, emphasis } = shown;
  if (path.static) {
    return;
  }
  const places = path.points.map(({ x, y }) => toCanvas(scene.viewport, [x, y]));
  const chosen = new Set(scene.selection.points.filter((point) => point.path === number).map(({ point }) => point));
  const hovered = scene.hover?.kind === "point" && scene.hover.path === number ? scene.hover.point : -1;
  if (path.curve === "bezier" && emphasis === "selected") {
    drawHandles(context, scene, shown, places);
  }
  const { theme } = scene;
  /** @type {Map<string, Marks>} */
  const marks = new Map();
  for (const index of visiblePoints(places, chosen, hovered)) {
    const isEnd = index === 0 || index === places.length - 1;
    const radius = (isEnd ? END_RADIUS : POINT_RADIUS) + (index === hovered ? 2 : 0);
    const [fill, ring] = chosen.has(index) ? [theme.accent, theme.pointFill] : [theme.pointFill, color];
    const name = `point ${radius} ${fill} ${ring} ${theme.casing}`;
    const alike = marks.get(name) ?? { radius, fill, ring, places: [] };
    alike.places.push(places[index]);
    marks.set(name, alike);
  }
  for (const [name, { radius, fill, ring, places: alike }] of marks) {
    drawStamps(context, scene, { name, reach: radius + 4 }, alike, (stamp) =>
      fillWithRing(stamp, scene, circlePath([0, 0], radius), fill, ring),
    );
  }
}

/**
 * A pin: a static path, whose tip is the point that stays.
 *
 * @param {Context} context in canvas pixels
 * @param {Scene} scene
 * @param {ShownPath} shown
 */
export function drawPin(context, scene, { path, number, color, emphasis, isLocked }) {
  const [x, y] = toCanvas(scene.viewport, [path.points[0].x, path.points[0].y]);
  const { hover, selection, theme } = scene;
  const isHovered = hover !== null && "path" in hover && hover.path === number;
  const isChosen = emphasis === "selected" || selection.points.some((point) => point.path === number);
  const radius = isHovered ? 8.5 : 7.5;
  const middle = y - 2 * radius;
  const drop = new Path2D();
  drop.moveTo(x, y);
  drop.bezierCurveTo(x - 0.35 * radius, y - 0.7 * radius, x - radius, middle + 0.75 * radius, x - radius, middle);
  drop.arc(x, middle, radius, Math.PI, 0);
  drop.bezierCurveTo(x + radius, middle + 0.75 * radius, x + 0.35 * radius, y - 0.7 * radius, x, y);
  drop.closePath();
  context.globalAlpha = scene.playing || isLocked ? 0.6 : 1;
  if (isChosen) {
    fillOutlined(context, drop, { fill: color, line: theme.accent, width: 3.5 });
  }
  fillOutlined(context, drop, { fill: color, line: isChosen ? theme.pointFill : theme.casing, width: 1.5 });
  context.fillStyle = theme.pointFill;
  context.fill(circlePath([x, middle], 0.38 * radius));
  context.globalAlpha = 1;
}

/**
 * Where a press would add a point.
 *
 * @param {Context} context in canvas pixels
 * @param {Scene} scene
 * @param {Vector} position document px
 * @param {string} color
 */
export function drawInsertion(context, scene, position, color) {
  const [x, y] = toCanvas(scene.viewport, position);
  fillOutlined(context, circlePath([x, y], 6), { fill: scene.theme.pointFill, line: scene.theme.casing });
  context.strokeStyle = color;
  context.lineWidth = 2;
  context.lineCap = "round";
  context.beginPath();
  context.moveTo(x - 3, y);
  context.lineTo(x + 3, y);
  context.moveTo(x, y - 3);
  context.lineTo(x, y + 3);
  context.stroke();
}

/** @type {(context: Context, scene: Scene, path: Path2D, fill: string, ring: string) => void} */
function fillWithRing(context, { theme }, path, fill, ring) {
  context.lineWidth = 5;
  context.strokeStyle = theme.casing;
  context.stroke(path);
  context.lineWidth = 3;
  context.strokeStyle = ring;
  context.stroke(path);
  context.fillStyle = fill;
  context.fill(path);
}

/**
 * Numbers of the points to draw: on a dense line those that have room.
 *
 * @type {(places: readonly Vector[], chosen: ReadonlySet<number>, hovered: number) => number[]}
 */
function visiblePoints(places, chosen, hovered) {
  const last = places.length - 1;
  let [x, y] = [-Infinity, -Infinity];
  return places.flatMap((place, index) => {
    const hasRoom = (place[0] - x) ** 2 + (place[1] - y) ** 2 >= POINT_GAP ** 2;
    if (!hasRoom && index !== last && index !== hovered && !chosen.has(index)) {
      return [];
    }
    [x, y] = place;
    return [index];
  });
}

/** @type {(context: Context, scene: Scene, shown: ShownPath, places: readonly Vector[]) => void} */
function drawHandles(context, scene, { path, number, color }, places) {
  const { hover, theme, viewport } = scene;
  const [stems, knobs] = [new Path2D(), new Path2D()];
  path.points.forEach((point, index) => {
    for (const side of /** @type {const} */ (["in", "out"])) {
      const handle = side === "in" ? point.handle_in : point.handle_out;
      if (handle === undefined || (handle[0] === 0 && handle[1] === 0)) {
        continue;
      }
      const end = toCanvas(viewport, [point.x + handle[0], point.y + handle[1]]);
      stems.addPath(linePath([places[index], end]));
      const isHovered =
        hover?.kind === "handle" && hover.path === number && hover.point === index && hover.side === side;
      const reach = HANDLE_RADIUS + (isHovered ? 1.75 : 0);
      knobs.rect(end[0] - reach, end[1] - reach, 2 * reach, 2 * reach);
    }
  });
  context.lineWidth = 3;
  context.strokeStyle = theme.casing;
  context.stroke(stems);
  context.lineWidth = 1.25;
  context.strokeStyle = theme.pointFill;
  context.stroke(stems);
  fillWithRing(context, scene, knobs, color, theme.pointFill);
}
