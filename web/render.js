/** The editor's canvas: a scene in, pixels out. Nothing is decided here. */

import { touchedPaths } from "./hits.js";
import { drawPlayback } from "./playback.js";
import { drawBadges } from "./render/badges.js";
import { drawCamera } from "./render/camera.js";
import { drawDisc, drawTrail } from "./render/discs.js";
import { drawDrafts } from "./render/drafts.js";
import { drawLabel, useCanvasPixels } from "./render/ink.js";
import { drawLayer } from "./render/layers.js";
import { drawFrameMark, drawFrameNumbers, drawLine } from "./render/lines.js";
import { drawMask, drawMasks, drawPaper, drawPicture } from "./render/picture.js";
import { drawInsertion, drawPin, drawPoints } from "./render/points.js";
import { isShown, positionAt, tracksOf } from "./scene.js";
import { entityColor } from "./theme.js";
import { paintOrder } from "./tracks.js";
import { toCanvas } from "./viewport.js";

/** @typedef {import("./scene.js").Scene} Scene */
/** @typedef {import("./render/ink.js").Context} Context */
/** @typedef {import("./render/lines.js").ShownPath} ShownPath */

const AT_REST = /** @type {const} */ ("rest"); // as what is under the pointer is drawn, too, beneath its own looks

/**
 * Draws all of a scene. The canvas's width and height must be the scene's canvas times its pixel ratio.
 *
 * From the ground up: paper, picture (or cut-outs), masks, lines, discs and pins at rest, the camera's frame, what is
 * selected or under the pointer, drafts, signs and labels.
 *
 * @param {Context} context
 * @param {Scene} scene
 */
export function drawScene(context, scene) {
  context.globalAlpha = 1;
  context.globalCompositeOperation = "source-over";
  const shown = shownPaths(scene);
  const lively = shown.filter(({ emphasis }) => emphasis !== "rest");
  const resting = shown.flatMap((path) => (path.emphasis === "selected" ? [] : [{ ...path, emphasis: AT_REST }]));
  if (scene.cutouts && scene.picture !== null) {
    drawMoving(context, scene, resting);
  } else {
    drawStill(context, scene, resting);
  }
  drawHoveredMask(context, scene);
  useCanvasPixels(context, scene);
  drawCamera(context, scene);
  for (const path of lively) {
    useCanvasPixels(context, scene);
    drawTrail(context, scene, path);
    drawLine(context, scene, path);
  }
  drawOnLines(context, scene, lively);
  drawDrafts(context, scene);
  drawSigns(context, scene, shown);
}

/**
 * Everything that neither a moving pointer nor what is selected changes, each layer upon the one before it: the ground
 * stays while lines are edited, the lines while frames go by.
 *
 * @type {(context: Context, scene: Scene, resting: readonly ShownPath[]) => void}
 */
function drawStill(context, scene, resting) {
  const { document, picture, masks, selection, frame } = scene;
  const ofGround = [document.entities, document.size, picture, masks, selection.entities];
  const ofLines = [...ofGround, ...keyOfLines(scene, resting)];
  const still = { name: "still", key: [...ofLines, frame], opaque: true };
  drawLayer(context, scene, still, (upper) => {
    drawLayer(upper, scene, { name: "lines", key: ofLines, opaque: true }, (middle) => {
      drawLayer(middle, scene, { name: "ground", key: ofGround, opaque: true }, (lower) => {
        drawPaper(lower, scene);
        drawPicture(lower, scene);
        drawMasks(lower, scene);
      });
      resting.forEach((path) => drawLine(middle, scene, path));
    });
    drawDiscs(upper, scene, resting);
  });
}

/**
 * The ground changes with each frame here, the lines do not.
 *
 * @type {(context: Context, scene: Scene, resting: readonly ShownPath[]) => void}
 */
function drawMoving(context, scene, resting) {
  drawPaper(context, scene);
  drawPlayback(context, scene);
  const layer = { name: "lines alone", key: keyOfLines(scene, resting), opaque: false };
  drawLayer(context, scene, layer, (upper) => resting.forEach((path) => drawLine(upper, scene, path)));
  drawDiscs(context, scene, resting);
}

/** @type {(scene: Scene, resting: readonly ShownPath[]) => unknown[]} */
function keyOfLines({ document, playing }, resting) {
  const parts = resting.flatMap(({ path, track, color, isLocked }) => [path, track, color, isLocked]);
  return [document.frames, playing, ...parts];
}

/** @type {(context: Context, scene: Scene) => void} */
function drawHoveredMask(context, scene) {
  const id = scene.hover?.kind === "entity" ? scene.hover.id : null;
  const mask = id === null ? undefined : scene.masks.get(id);
  const isSelected = id !== null && scene.selection.entities.includes(id);
  if (id !== null && mask !== undefined && !isSelected && !scene.cutouts && isShown(scene.document, id)) {
    drawMask(context, scene, mask, entityColor(scene.document, id), "hover");
  }
}

/** @type {(context: Context, scene: Scene, shown: readonly ShownPath[]) => void} */
function drawDiscs(context, scene, shown) {
  useCanvasPixels(context, scene);
  for (const path of shown) {
    drawDisc(context, scene, path);
  }
  for (const path of shown) {
    if (path.path.static) {
      drawPin(context, scene, path);
    }
  }
}

/** @type {(context: Context, scene: Scene, lively: readonly ShownPath[]) => void} */
function drawOnLines(context, scene, lively) {
  drawDiscs(context, scene, lively);
  if (scene.playing) {
    return;
  }
  for (const path of lively) {
    drawPoints(context, scene, path);
  }
  const selected = lively.filter(({ emphasis }) => emphasis === "selected");
  if (selected.length === 1) {
    drawFrameNumbers(context, scene, selected[0]); // on several lines they would be in each other's way
  }
}

/** @type {(context: Context, scene: Scene, shown: readonly ShownPath[]) => void} */
function drawSigns(context, scene, shown) {
  const { hover } = scene;
  useCanvasPixels(context, scene);
  const under = hover !== null && "path" in hover ? shown.find(({ number }) => number === hover.path) : undefined;
  if (hover?.kind === "frame" && under !== undefined) {
    drawFrameMark(context, scene, under, hover.frame);
  }
  if (hover?.kind === "path" && hover.insert && under !== undefined) {
    drawInsertion(context, scene, hover.position, under.color);
  }
  if (!scene.playing) {
    drawNames(context, scene, shown);
    drawBadges(context, scene);
  }
}

/**
 * The names of the entities that are selected or under the pointer, above their discs.
 *
 * @type {(context: Context, scene: Scene, shown: readonly ShownPath[]) => void}
 */
function drawNames(context, scene, shown) {
  const { circles, document, frame, hover, selection, viewport } = scene;
  for (const entity of document.entities) {
    const isMeant = selection.entities.includes(entity.id) || (hover?.kind === "entity" && hover.id === entity.id);
    const circle = circles.get(entity.id);
    if (!isMeant || entity.hidden || entity.name === "" || circle === undefined) {
      continue;
    }
    const track = scene.cutouts ? shown.find(({ path }) => path.entity === entity.id)?.track : null;
    const center = toCanvas(viewport, track ? positionAt(track.points, frame) : circle.center);
    const place = /** @type {const} */ ([center[0], center[1] - circle.radius * viewport.scale - 6]);
    drawLabel(context, scene, entity.name, place, { side: "above", plate: entityColor(document, entity.id) });
  }
}

/**
 * The paths of entities that are not hidden, in paint order.
 *
 * @type {(scene: Scene) => ShownPath[]}
 */
function shownPaths(scene) {
  const { document, hover } = scene;
  const tracks = tracksOf(scene);
  const entities = new Map(document.entities.map((entity) => [entity.id, entity]));
  const touched = new Set(touchedPaths(scene));
  const hovered = hover !== null && "path" in hover ? hover.path : -1;
  return paintOrder(document).flatMap((number) => {
    const path = document.paths[number];
    const entity = entities.get(path.entity);
    if (entity === undefined || entity.hidden) {
      return [];
    }
    const emphasis = touched.has(number) ? "selected" : number === hovered ? "hover" : AT_REST;
    const color = entityColor(document, entity.id);
    return [{ number, path, track: tracks[number], color, emphasis, isLocked: entity.locked }];
  });
}
