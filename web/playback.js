/** The preview that needs no model: cut-outs of the picture moving along their tracks over the filled ground. */

import { moved } from "./camera.js";
import { contextOf } from "./render/layers.js";
import { useDocumentPixels } from "./render/ink.js";
import { tinted, useSampling } from "./render/picture.js";
import { positionAt, shownMotion, tracksOf, valueAt } from "./scene.js";
import { paintOrder } from "./tracks.js";

/** @typedef {import("./camera.js").CameraMotion} CameraMotion */
/** @typedef {import("./document.js").Size} Size */
/** @typedef {import("./document.js").Vector} Vector */
/** @typedef {import("./masks.js").Mask} Mask */
/** @typedef {import("./scene.js").Picture} Picture */
/** @typedef {import("./scene.js").Scene} Scene */
/** @typedef {import("./tracks.js").PathTrack} PathTrack */
/** @typedef {import("./render/ink.js").Context} Context */

/**
 * Where a cut-out is: point p of the picture comes to (a x - b y + x0, b x + a y + y0), turned and scaled by (a, b).
 *
 * @typedef {object} Placement
 * @property {number} entity
 * @property {number} a
 * @property {number} b
 * @property {Vector} offset (x0, y0)
 * @property {boolean} seen whether any of its discs is painted in the frame
 */

/** @typedef {import("./render/picture.js").Piece} Piece */

const LEAST_SPREAD = 0.25; // of the disc's radius: discs nearer together than that say nothing about turning
const MAX_GROWTH = 3; // lines that part pull at a body; beyond this they are better met by moving it alone
const BLEEDING = 1.5; // px beside a mask that still have the entity's colour, and are no ground
const GHOST = 0.3; // opacity where no disc is painted
const FINEST_LEVEL = 2; // px: where the filling of the ground stops halving
const DENSER = 4; // times a level is laid over itself, so that few known pixels cover what is around them

/** @type {WeakMap<Mask, {picture: Picture, cutout: Piece}>} */
const CUTOUTS = new WeakMap();

/** @type {WeakMap<Picture, {masks: readonly Mask[], ground: OffscreenCanvas}>} */
const GROUNDS = new WeakMap();

/**
 * Where each cut-out is in a frame, which may lie between two; in paint order. Entities without a mask or a track stay
 * in the ground.
 *
 * An entity with one line moves with its disc and grows as it does, both compared with the first frame. One with
 * several lines from different places is moved, turned and scaled so that they are met best (least squares).
 *
 * @param {Scene} scene
 * @param {number} frame
 * @returns {Placement[]}
 */
export function placements(scene, frame) {
  const { document, masks, circles } = scene;
  const tracks = tracksOf(scene);
  /** @type {Map<number, PathTrack[]>} */
  const ofEntity = new Map();
  for (const number of paintOrder(document)) {
    const [track, { entity }] = [tracks[number], document.paths[number]];
    if (track !== null && masks.has(entity)) {
      const before = ofEntity.get(entity) ?? [];
      ofEntity.delete(entity); // an entity is as near as the nearest of its discs
      ofEntity.set(entity, [...before, track]);
    }
  }
  return [...ofEntity].map(([entity, own]) => {
    const seen = own.some((track) => track.visible[Math.round(frame)]);
    return { entity, seen, ...placed(own, frame, circles.get(entity)?.radius ?? 0) };
  });
}

/**
 * The frame as it will roughly look: the ground moved by the camera, and the cut-outs over it.
 *
 * @param {Context} context
 * @param {Scene} scene
 */
export function drawPlayback(context, scene) {
  const { picture, document, theme, frame } = scene;
  if (picture === null) {
    return;
  }
  const { width, height } = document.size;
  const found = placements(scene, frame).filter(({ entity }) => isShown(scene, entity));
  context.save();
  useDocumentPixels(context, scene);
  context.beginPath();
  context.rect(-0.5, -0.5, width, height);
  context.clip();
  useSampling(context, scene);
  const motion = shownMotion(scene);
  context.save();
  if (motion !== null) {
    useCamera(context, motion, frame);
  }
  const ground = groundOf(scene, found.map(({ entity }) => /** @type {Mask} */ (scene.masks.get(entity))));
  context.drawImage(ground, -0.5, -0.5, width, height);
  context.restore();
  context.fillStyle = theme.veil;
  context.fillRect(-0.5, -0.5, width, height);
  for (const placement of found) {
    drawCutout(context, scene, placement);
  }
  context.restore();
  context.globalAlpha = 1;
}

/**
 * How the discs of one entity carry it: turned and scaled if that can be told from them, else as the mean of them goes.
 *
 * @type {(tracks: readonly PathTrack[], frame: number, radius: number) => Omit<Placement, "entity" | "seen">}
 */
function placed(tracks, frame, radius) {
  const from = tracks.map((track) => track.points[0]);
  const to = tracks.map((track) => positionAt(track.points, frame));
  const [a, b] = isOneBody(tracks, radius) ? turned(from, to) : [growth(tracks, frame), 0];
  const [start, end] = [mean(from), mean(to)];
  return { a, b, offset: [end[0] - a * start[0] + b * start[1], end[1] - b * start[0] - a * start[1]] };
}

/**
 * Whether discs are places on one body: they start apart from each other, and no frame pulls it out of all proportion.
 *
 * @type {(tracks: readonly PathTrack[], radius: number) => boolean}
 */
function isOneBody(tracks, radius) {
  const from = tracks.map((track) => track.points[0]);
  const [x, y] = mean(from);
  if (from.every((point) => Math.hypot(point[0] - x, point[1] - y) < radius * LEAST_SPREAD)) {
    return false;
  }
  return tracks[0].points.every((_, frame) => {
    const size = Math.hypot(...turned(from, tracks.map((track) => track.points[frame])));
    return size < MAX_GROWTH && size > 1 / MAX_GROWTH;
  });
}

/**
 * The turn and scale (a, b) that bring points nearest to others, both seen from their means (Umeyama 1991).
 *
 * @type {(from: readonly Vector[], to: readonly Vector[]) => [number, number]}
 */
function turned(from, to) {
  const [start, end] = [mean(from), mean(to)];
  let [square, along, across] = [0, 0, 0];
  from.forEach((point, index) => {
    const [px, py] = [point[0] - start[0], point[1] - start[1]];
    const [qx, qy] = [to[index][0] - end[0], to[index][1] - end[1]];
    square += px * px + py * py;
    along += px * qx + py * qy;
    across += px * qy - py * qx;
  });
  return [along / square, across / square];
}

/**
 * How much larger the discs are than in the first frame, on average.
 *
 * @type {(tracks: readonly PathTrack[], frame: number) => number}
 */
function growth(tracks, frame) {
  const factors = tracks.map(({ radii }) => (radii[0] > 0 ? valueAt(radii, frame) / radii[0] : 1));
  return factors.reduce((sum, factor) => sum + factor, 0) / factors.length;
}

/** @type {(points: readonly Vector[]) => Vector} */
function mean(points) {
  const [x, y] = points.reduce(([sumX, sumY], point) => [sumX + point[0], sumY + point[1]], [0, 0]);
  return [x / points.length, y / points.length];
}

/** @type {(scene: Scene, id: number) => boolean} */
function isShown({ document }, id) {
  return document.entities.some((entity) => entity.id === id && !entity.hidden);
}

/** @type {(context: Context, motion: CameraMotion, frame: number) => void} */
function useCamera(context, motion, frame) {
  const scale = valueAt(motion.scale, frame);
  const [x, y] = originAt(motion, frame);
  context.transform(scale, 0, 0, scale, x, y);
}

/**
 * Where the camera takes the point (0, 0).
 *
 * @type {(motion: CameraMotion, frame: number) => Vector}
 */
function originAt(motion, frame) {
  return positionAt(
    motion.shift.map((_, number) => moved(motion, number, [0, 0])),
    frame,
  );
}

/** @type {(context: Context, scene: Scene, placement: Placement) => void} */
function drawCutout(context, scene, { entity, a, b, offset, seen }) {
  const mask = /** @type {Mask} */ (scene.masks.get(entity));
  const { canvas, left, top } = cutoutOf(/** @type {Picture} */ (scene.picture), mask);
  context.save();
  context.globalAlpha = seen ? 1 : GHOST;
  context.transform(a, b, -b, a, offset[0], offset[1]);
  context.drawImage(canvas, left - 0.5, top - 0.5);
  context.restore();
}

/**
 * The pixels of the picture within a mask, cut out along its bounding box.
 *
 * @type {(picture: Picture, mask: Mask) => Piece}
 */
function cutoutOf(picture, mask) {
  const known = CUTOUTS.get(mask);
  if (known?.picture === picture) {
    return known.cutout;
  }
  const { canvas: shape, left, top } = tinted(mask, "#000000");
  const canvas = new OffscreenCanvas(shape.width, shape.height);
  const context = contextOf(canvas);
  context.drawImage(shape, 0, 0);
  context.globalCompositeOperation = "source-in";
  context.drawImage(picture, -left, -top, mask.width, mask.height);
  const cutout = { canvas, left, top };
  CUTOUTS.set(mask, { picture, cutout });
  return cutout;
}

/**
 * The picture with what was cut out filled from around it. Remembered for the picture.
 *
 * @type {(scene: Scene, cut: readonly Mask[]) => OffscreenCanvas}
 */
function groundOf({ picture: any, document: { size } }, cut) {
  const picture = /** @type {Picture} */ (any);
  const known = GROUNDS.get(picture);
  if (known !== undefined && known.masks.length === cut.length && known.masks.every((mask) => cut.includes(mask))) {
    return known.ground;
  }
  const ground = new OffscreenCanvas(size.width, size.height);
  const context = contextOf(ground);
  context.drawImage(picture, 0, 0, size.width, size.height);
  context.globalCompositeOperation = "destination-out";
  for (const mask of cut) {
    const { canvas, left, top } = tinted(mask, "#000000");
    for (const [dx, dy] of [[-BLEEDING, 0], [BLEEDING, 0], [0, -BLEEDING], [0, BLEEDING], [0, 0]]) {
      context.drawImage(canvas, left + dx, top + dy);
    }
  }
  context.globalCompositeOperation = "destination-over";
  context.imageSmoothingQuality = "high";
  context.drawImage(fillingOf(ground), 0, 0, size.width, size.height);
  GROUNDS.set(picture, { masks: [...cut], ground });
  return ground;
}

/**
 * Colours for the holes of a picture from what is around them: the picture is halved until nothing is left, and the
 * finer levels are laid over the coarser ones where they know more.
 *
 * @type {(picture: OffscreenCanvas) => OffscreenCanvas}
 */
function fillingOf(picture) {
  const half = new OffscreenCanvas(Math.ceil(picture.width / 2), Math.ceil(picture.height / 2));
  const context = contextOf(half);
  context.imageSmoothingQuality = "medium";
  for (let time = 0; time < DENSER; time += 1) {
    context.drawImage(picture, 0, 0, half.width, half.height);
  }
  if (Math.min(half.width, half.height) > FINEST_LEVEL) {
    context.globalCompositeOperation = "destination-over";
    context.drawImage(fillingOf(half), 0, 0, half.width, half.height);
  }
  return half;
}
