/** What the user should know before generating: discs that leave the frame, overlap, are tiny, large or too fast. */

import { cameraMotion } from "./camera.js";
import { frameTimes } from "./easing.js";
import { cameraTracks, documentTracks, isSeen, onCanvas, paintOrder } from "./tracks.js";

/** @typedef {import("./document.js").Anchor} Anchor */
/** @typedef {import("./document.js").MotionDocument} MotionDocument */
/** @typedef {import("./document.js").Vector} Vector */
/** @typedef {import("./tracks.js").Circle} Circle */
/** @typedef {import("./tracks.js").PathTrack} PathTrack */

/**
 * One thing to know. `entity` is null for the camera, `path` for what concerns no line; `frame` is the first frame of
 * it (the fastest one for `too_fast`), counted from 0, while the message counts from 1 as the screen does.
 *
 * @typedef {object} Warning
 * @property {"leaves_frame" | "discs_overlap" | "tiny_mask" | "too_large" | "too_fast"} kind
 * @property {number | null} entity
 * @property {number | null} path
 * @property {number} frame
 * @property {string} message
 */

/**
 * What the weights can follow, in pixels of the document's canvas; null where they do not say.
 *
 * @typedef {object} Limits
 * @property {number | null} speed the farthest that a disc goes from one frame to the next
 * @property {number | null} radius the smallest disc
 * @property {number | null} [largest] the largest disc; larger ones are painted at this size
 */

/**
 * Half a cell of the latent grid, which has a cell for 8 pixels: a smaller disc may fill none of them.
 *
 * @type {Limits}
 */
export const DEFAULT_LIMITS = Object.freeze({ speed: null, radius: 4 });

const DEFAULT_DEPTH = 1;

/**
 * Everything to warn of in a document: first per entity and path in their order, then overlaps, then the camera. Hidden
 * entities count as well, as they are generated all the same.
 *
 * @param {MotionDocument} document
 * @param {ReadonlyMap<number, Circle>} circles by entity id; what has none yet is passed over
 * @param {Anchor} defaultAnchor
 * @param {Limits} [limits]
 * @returns {Warning[]}
 */
export function documentWarnings(document, circles, defaultAnchor, limits = DEFAULT_LIMITS) {
  const tracks = documentTracks(document, circles, defaultAnchor);
  return [
    ...document.entities.flatMap(({ id }) => tinyMask(document, id, circles.get(id), limits.radius)),
    ...document.entities.flatMap(({ id }) => tooLarge(document, id, circles.get(id), limits.largest ?? null)),
    ...tracks.flatMap((track, path) => (track === null ? [] : leavesFrame(document, path, track))),
    ...tracks.flatMap((track, path) => (track === null ? [] : tooFast(document, path, track, limits.speed))),
    ...overlaps(document, tracks),
    ...fastCamera(document, limits.speed),
  ];
}

/** @type {(document: MotionDocument, id: number, circle: Circle | undefined, limit: number | null) => Warning[]} */
function tinyMask(document, id, circle, limit) {
  if (circle === undefined || limit === null || circle.radius >= limit) {
    return [];
  }
  const size = `its disc has a radius of ${rounded(circle.radius)} px, and below ${rounded(limit)} px the model hardly`;
  const message = `${named(document, id)} is tiny: ${size} sees it. Give it a larger mask, or crop the picture closer.`;
  return [{ kind: "tiny_mask", entity: id, path: null, frame: 0, message }];
}

/** @type {(document: MotionDocument, id: number, circle: Circle | undefined, limit: number | null) => Warning[]} */
function tooLarge(document, id, circle, limit) {
  if (circle === undefined || limit === null || circle.radius <= limit) {
    return [];
  }
  const size = `its disc has a radius of ${rounded(circle.radius)} px, and these weights allow ${rounded(limit)} px`;
  const message = `${named(document, id)} is large: ${size}. It is painted at that size; a part may be easier to move.`;
  return [{ kind: "too_large", entity: id, path: null, frame: 0, message }];
}

/**
 * The centre is what counts: a disc that only touches the border is painted, one whose centre is outside is not.
 *
 * @type {(document: MotionDocument, path: number, track: PathTrack) => Warning[]}
 */
function leavesFrame(document, path, track) {
  const times = frameTimes(document.frames);
  const line = document.paths[path];
  const isOut = (/** @type {number} */ frame) =>
    isSeen(line, times[frame], frame) && !onCanvas(track.points[frame], document.size);
  const frame = times.findIndex((_, number) => isOut(number));
  if (frame === -1) {
    return [];
  }
  const where = `${named(document, line.entity)} leaves the picture in frame ${frame + 1}`;
  const message = `${where} and is not guided from outside. Shorten its line, or end its visible span there.`;
  return [{ kind: "leaves_frame", entity: line.entity, path, frame, message }];
}

/** @type {(document: MotionDocument, path: number, track: PathTrack, limit: number | null) => Warning[]} */
function tooFast(document, path, track, limit) {
  const { speed, frame } = fastest(track);
  if (limit === null || speed <= limit) {
    return [];
  }
  const entity = document.paths[path].entity;
  const message = `${named(document, entity)} ${tooFastText(speed, frame, limit, "a shorter line or a calmer easing")}`;
  return [{ kind: "too_fast", entity, path, frame, message }];
}

/** @type {(document: MotionDocument, limit: number | null) => Warning[]} */
function fastCamera({ camera, frames, size }, limit) {
  if (camera === undefined || limit === null) {
    return [];
  }
  const steps = cameraTracks(camera, frames, size, 0).map(fastest);
  const { speed, frame } = steps.reduce((one, other) => (other.speed > one.speed ? other : one));
  if (speed <= limit) {
    return [];
  }
  const kind = cameraMotion(camera, frames).scale.some((scale) => scale !== 1) ? "zoom" : "pan";
  const message = `The camera's ${kind} ${tooFastText(speed, frame, limit, "a smaller move or a calmer easing")}`;
  return [{ kind: "too_fast", entity: null, path: null, frame, message }];
}

/** @type {(speed: number, frame: number, limit: number, remedy: string) => string} */
function tooFastText(speed, frame, limit, remedy) {
  const pace = `moves ${rounded(speed)} px in one frame (frame ${frame + 1})`;
  return `${pace}; these weights follow up to ${rounded(limit)} px. Use more frames, ${remedy}.`;
}

/**
 * The longest step between two frames in which a disc is visible, and the frame that it leads to.
 *
 * @type {(track: PathTrack) => {speed: number, frame: number}}
 */
function fastest({ points, visible }) {
  let [speed, fastestFrame] = [0, 0];
  for (let frame = 1; frame < points.length; frame += 1) {
    const step = distance(points[frame - 1], points[frame]);
    if (visible[frame - 1] && visible[frame] && step > speed) {
      [speed, fastestFrame] = [step, frame];
    }
  }
  return { speed, frame: fastestFrame };
}

/**
 * Pairs of entities whose discs overlap without a depth that says which is in front: one warning for a pair.
 *
 * @type {(document: MotionDocument, tracks: readonly (PathTrack | null)[]) => Warning[]}
 */
function overlaps(document, tracks) {
  const order = paintOrder(document);
  /** @type {Map<string, Warning>} */
  const found = new Map();
  order.forEach((under, place) => {
    for (const over of order.slice(place + 1)) {
      const [covered, covering] = [document.paths[under], document.paths[over]];
      const pair = [covered.entity, covering.entity].sort((one, other) => one - other).join(" ");
      const isSettled = (covered.depth ?? DEFAULT_DEPTH) !== (covering.depth ?? DEFAULT_DEPTH);
      const frame = isSettled || covered.entity === covering.entity ? -1 : firstOverlap(tracks[under], tracks[over]);
      const known = found.get(pair);
      if (frame !== -1 && (known === undefined || frame < known.frame)) {
        const [lower, upper] = [named(document, covered.entity), named(document, covering.entity)];
        const what = `${upper} covers ${lower} from frame ${frame + 1} on`;
        const message = `${what}. Keep the lines apart, or give them depths to say which is in front.`;
        found.set(pair, { kind: "discs_overlap", entity: covered.entity, path: under, frame, message });
      }
    }
  });
  return [...found.values()];
}

/** @type {(one: PathTrack | null, other: PathTrack | null) => number} */
function firstOverlap(one, other) {
  if (one === null || other === null) {
    return -1;
  }
  return one.points.findIndex(
    (point, frame) =>
      one.visible[frame] &&
      other.visible[frame] &&
      distance(point, other.points[frame]) < one.radii[frame] + other.radii[frame],
  );
}

/** @type {(document: MotionDocument, id: number) => string} */
function named(document, id) {
  const entity = document.entities.find((candidate) => candidate.id === id);
  return entity?.name ? `“${entity.name}”` : `Entity ${id}`;
}

/** @type {(one: Vector, other: Vector) => number} */
function distance(one, other) {
  return Math.hypot(one[0] - other[0], one[1] - other[1]);
}

/** @type {(value: number) => string} */
function rounded(value) {
  return String(Math.round(value * 10) / 10);
}
