/** What is being made and is not in the document yet: strokes, boxes, brushes, previews and clicks. */

import { flattened } from "../curves.js";
import { entityColor } from "../theme.js";
import { toCanvas } from "../viewport.js";
import { arrowHead, circlePath, drawLabel, fillOutlined, linePath, strokeCased, useCanvasPixels } from "./ink.js";
import { drawMask } from "./picture.js";

/** @typedef {import("../document.js").Box} Box */
/** @typedef {import("../document.js").Click} Click */
/** @typedef {import("../document.js").MotionPath} MotionPath */
/** @typedef {import("../document.js").Vector} Vector */
/** @typedef {import("../scene.js").Draft} Draft */
/** @typedef {import("../scene.js").Scene} Scene */
/** @typedef {import("./ink.js").Context} Context */

const BOX_DASH = [6, 4];

/**
 * All drafts in their order, then the brush around the pointer.
 *
 * @param {Context} context
 * @param {Scene} scene
 */
export function drawDrafts(context, scene) {
  for (const draft of scene.drafts) {
    useCanvasPixels(context, scene);
    drawDraft(context, scene, draft);
  }
  useCanvasPixels(context, scene);
  if (scene.pointer !== null && (scene.tool === "brush" || scene.tool === "erase")) {
    drawBrushRing(context, scene, scene.pointer);
  }
}

/** @type {(context: Context, scene: Scene, draft: Draft) => void} */
function drawDraft(context, scene, draft) {
  switch (draft.kind) {
    case "stroke":
      drawStroke(context, scene, draft.points, colorOf(scene, draft.entity));
      break;
    case "line":
      drawNewLine(context, scene, draft);
      break;
    case "box":
      drawBox(context, scene, draft.box, draft.purpose === "select");
      break;
    case "brush":
      drawBrush(context, scene, draft);
      break;
    case "mask":
      drawPreview(context, scene, draft);
      break;
    case "clicks":
      drawClicks(context, scene, draft);
      break;
    case "camera": // drawn as the camera is
      break;
  }
}

/** @type {(scene: Scene, entity: number | null) => string} */
function colorOf({ document, theme }, entity) {
  return entity === null ? theme.accent : entityColor(document, entity);
}

/** @type {(context: Context, scene: Scene, points: readonly Vector[], color: string) => void} */
function drawStroke(context, { theme, viewport }, points, color) {
  const places = points.map((point) => toCanvas(viewport, point));
  const last = places.at(-1);
  if (last === undefined) {
    return;
  }
  strokeCased(context, linePath(places), { color, casing: theme.casing, width: 3 });
  fillOutlined(context, circlePath(places[0], 4.5), { fill: theme.pointFill, line: color, width: 1.5 });
  const before = [...places].reverse().find(([x, y]) => Math.hypot(last[0] - x, last[1] - y) >= 8);
  if (before !== undefined) {
    const angle = Math.atan2(last[1] - before[1], last[0] - before[0]);
    fillOutlined(context, arrowHead(last, angle, 13), { fill: color, line: theme.casing, width: 1 });
  }
}

/** @type {(context: Context, scene: Scene, draft: Extract<Draft, {kind: "line"}>) => void} */
function drawNewLine(context, scene, { points, curve, pointer, entity }) {
  const { theme, viewport } = scene;
  const color = colorOf(scene, entity);
  const next = pointer === null ? [] : [{ x: pointer[0], y: pointer[1] }];
  if (points.length + next.length > 1) {
    const placed = cornersOf([...points, ...next], curve, viewport);
    strokeCased(context, linePath(placed), { color, casing: theme.casing, width: 2, dash: [6, 4] });
  }
  if (points.length > 1) {
    strokeCased(context, linePath(cornersOf(points, curve, viewport)), { color, casing: theme.casing, width: 2.75 });
  }
  for (const point of points) {
    const place = toCanvas(viewport, [point.x, point.y]);
    for (const handle of [point.handle_in, point.handle_out]) {
      if (handle !== undefined) {
        const end = toCanvas(viewport, [point.x + handle[0], point.y + handle[1]]);
        strokeCased(context, linePath([place, end]), { color: theme.pointFill, casing: theme.casing, width: 1.25 });
        fillOutlined(context, circlePath(end, 3), { fill: color, line: theme.pointFill, width: 1 });
      }
    }
    fillOutlined(context, circlePath(place, 4.5), { fill: theme.pointFill, line: color, width: 1.75 });
  }
}

/** @type {(points: MotionPath["points"], curve: MotionPath["curve"], viewport: Scene["viewport"]) => Vector[]} */
function cornersOf(points, curve, viewport) {
  const { x, y } = flattened(/** @type {MotionPath} */ ({ points, curve }));
  return Array.from(x, (_, index) => toCanvas(viewport, [x[index], y[index]]));
}

/** @type {(context: Context, scene: Scene, box: Box, isFilled: boolean) => void} */
function drawBox(context, { theme, viewport }, box, isFilled) {
  const [left, top] = toCanvas(viewport, [box.x, box.y]);
  const path = new Path2D();
  path.rect(left, top, box.width * viewport.scale, box.height * viewport.scale);
  if (isFilled) {
    context.globalAlpha = 0.14;
    context.fillStyle = theme.accent;
    context.fill(path);
    context.globalAlpha = 1;
  }
  strokeCased(context, path, { color: theme.accent, casing: theme.casing, width: 1.5, dash: isFilled ? [] : BOX_DASH });
}

/** @type {(context: Context, scene: Scene, draft: Extract<Draft, {kind: "brush"}>) => void} */
function drawBrush(context, scene, { points, radius, erase, entity }) {
  const { theme, viewport } = scene;
  const places = points.map((point) => toCanvas(viewport, point));
  context.globalAlpha = 0.5;
  context.strokeStyle = erase ? theme.negative : colorOf(scene, entity);
  context.fillStyle = context.strokeStyle;
  context.lineCap = "round";
  context.lineJoin = "round";
  context.lineWidth = 2 * radius * viewport.scale;
  if (places.length === 1) {
    context.fill(circlePath(places[0], radius * viewport.scale)); // a line of no length is not drawn
  } else {
    context.stroke(linePath(places));
  }
  context.globalAlpha = 1;
}

/** @type {(context: Context, scene: Scene, pointer: Vector) => void} */
function drawBrushRing(context, { theme, viewport, brushRadius, tool }, pointer) {
  const [x, y] = toCanvas(viewport, pointer);
  const color = tool === "erase" ? theme.negative : theme.positive;
  const ring = circlePath([x, y], brushRadius * viewport.scale);
  strokeCased(context, ring, { color: theme.pointFill, casing: theme.casing, width: 1.5 });
  const sign = linePath([[x - 4, y], [x + 4, y]]);
  if (tool === "brush") {
    sign.addPath(linePath([[x, y - 4], [x, y + 4]]));
  }
  strokeCased(context, sign, { color, casing: theme.casing, width: 2 });
}

/** @type {(context: Context, scene: Scene, draft: Extract<Draft, {kind: "mask"}>) => void} */
function drawPreview(context, scene, { mask, entity, label }) {
  drawMask(context, scene, mask, colorOf(scene, entity), "hover");
  useCanvasPixels(context, scene);
  if (label !== undefined && scene.pointer !== null) {
    const [x, y] = toCanvas(scene.viewport, scene.pointer);
    drawLabel(context, scene, label, [x + 14, y - 14]);
  }
}

/** @type {(context: Context, scene: Scene, draft: Extract<Draft, {kind: "clicks"}>) => void} */
function drawClicks(context, scene, { points, box, waiting = false }) {
  if (box !== undefined) {
    drawBox(context, scene, box, false);
  }
  for (const click of points) {
    drawClick(context, scene, click);
  }
  const last = points.at(-1) ?? (box && { x: box.x + box.width, y: box.y });
  if (waiting && last !== undefined) {
    const [x, y] = toCanvas(scene.viewport, [last.x, last.y]);
    drawLabel(context, scene, scene.say("findingOutline"), [x + 14, y]);
  }
}

/** @type {(context: Context, scene: Scene, click: Click) => void} */
function drawClick(context, { theme, viewport }, click) {
  const [x, y] = toCanvas(viewport, [click.x, click.y]);
  const fill = click.label === 1 ? theme.positive : theme.negative;
  fillOutlined(context, circlePath([x, y], 8), { fill, line: theme.casing, width: 2 });
  fillOutlined(context, circlePath([x, y], 8), { fill, line: "#ffffff", width: 0.75 });
  const sign = linePath([[x - 4, y], [x + 4, y]]);
  if (click.label === 1) {
    sign.addPath(linePath([[x, y - 4], [x, y + 4]]));
  }
  context.lineCap = "round";
  context.lineWidth = 2;
  context.strokeStyle = "#ffffff";
  context.stroke(sign);
}
