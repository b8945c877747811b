/** What the user should know before generating: discs that leave the frame, overlap, are tiny, large or too fast. */

import { cameraMotion } from "./camera.js";
import { frameTimes } from "./easing.js";
import { speaker } from "./strings.js";
import { cameraTracks, documentTracks, isSeen, onCanvas, paintOrder } from "./tracks.js";

/** @typedef {import("./document.js").Anchor} Anchor */
/** @typedef {import("./document.js").MotionDocument} MotionDocument */
/** @typedef {import("./document.js").Vector} Vector */
/** @typedef {import("./strings.js").Say} Say */
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
// A disc cut to four fifths of its radius still covers two thirds of what it would: nobody sees the difference.
const LARGE = 1.25;

/**
 * Everything to warn of in a document: first per entity and path in their order, then overlaps, then the camera. Hidden
 * entities count as well, as they are generated all the same.
 *
 * @param {MotionDocument} document
 * @param {ReadonlyMap<number, Circle>} circles by entity id; what has none yet is passed over
 * @param {Anchor} defaultAnchor
 * @param {Limits} [limits]
 * @param {Say} [say] in whose words the messages are; English where none is given
 * @returns {Warning[]}
 */
export function documentWarnings(document, circles, defaultAnchor, limits = DEFAULT_LIMITS, say = speaker()) {
  const tracks = documentTracks(document, circles, defaultAnchor);
  return [
    ...document.entities.flatMap(({ id }) => tinyMask(say, document, id, circles.get(id), limits.radius)),
    ...document.entities.flatMap(({ id }) => tooLarge(say, document, id, circles.get(id), limits.largest ?? null)),
    ...tracks.flatMap((track, path) => (track === null ? [] : leavesFrame(say, document, path, track))),
    ...tracks.flatMap((track, path) => (track === null ? [] : tooFast(say, document, path, track, limits.speed))),
    ...overlaps(say, document, tracks, limits.largest ?? Infinity),
    ...fastCamera(say, document, limits.speed),
  ];
}

/**
 * @type {(say: Say, document: MotionDocument, id: number, circle: Circle | undefined, limit: number | null) =>
 *   Warning[]}
 */
function tinyMask(say, document, id, circle, limit) {
  if (circle === undefined || limit === null || circle.radius >= limit) {
    return [];
  }
  const values = { name: named(say, document, id), radius: rounded(circle.radius), limit: rounded(limit) };
  return [{ kind: "tiny_mask", entity: id, path: null, frame: 0, message: say("warnTiny", values) }];
}

/**
 * Of what is to move alone: what is pinned rests just as well under a smaller disc.
 *
 * @type {(say: Say, document: MotionDocument, id: number, circle: Circle | undefined, limit: number | null) =>
 *   Warning[]}
 */
function tooLarge(say, document, id, circle, limit) {
  const moves = document.paths.some((path) => path.entity === id && !path.static);
  if (!moves || circle === undefined || limit === null || circle.radius <= LARGE * limit) {
    return [];
  }
  const values = { name: named(say, document, id), radius: rounded(circle.radius), limit: rounded(limit) };
  return [{ kind: "too_large", entity: id, path: null, frame: 0, message: say("warnLarge", values) }];
}

/**
 * The centre is what counts: a disc that only touches the border is painted, one whose centre is outside is not.
 *
 * @type {(say: Say, document: MotionDocument, path: number, track: PathTrack) => Warning[]}
 */
function leavesFrame(say, document, path, track) {
  const times = frameTimes(document.frames);
  const line = document.paths[path];
  const isOut = (/** @type {number} */ frame) =>
    isSeen(line, times[frame], frame) && !onCanvas(track.points[frame], document.size);
  const frame = times.findIndex((_, number) => isOut(number));
  if (frame === -1) {
    return [];
  }
  const message = say("warnLeaves", { name: named(say, document, line.entity), frame: frame + 1 });
  return [{ kind: "leaves_frame", entity: line.entity, path, frame, message }];
}

/** @type {(say: Say, document: MotionDocument, path: number, track: PathTrack, limit: number | null) => Warning[]} */
function tooFast(say, document, path, track, limit) {
  const { speed, frame } = fastest(track);
  if (limit === null || speed <= limit) {
    return [];
  }
  const entity = document.paths[path].entity;
  const what = { name: named(say, document, entity), remedy: say("warnFastLine") };
  const message = say("warnFast", { ...what, speed: rounded(speed), frame: frame + 1, limit: rounded(limit) });
  return [{ kind: "too_fast", entity, path, frame, message }];
}

/** @type {(say: Say, document: MotionDocument, limit: number | null) => Warning[]} */
function fastCamera(say, { camera, frames, size }, limit) {
  if (camera === undefined || limit === null) {
    return [];
  }
  const steps = cameraTracks(camera, frames, size, 0).map(fastest);
  const { speed, frame } = steps.reduce((one, other) => (other.speed > one.speed ? other : one));
  if (speed <= limit) {
    return [];
  }
  const isZoom = cameraMotion(camera, frames).scale.some((scale) => scale !== 1);
  const what = { name: say(isZoom ? "cameraZoom" : "cameraPan"), remedy: say("warnFastCamera") };
  const message = say("warnFast", { ...what, speed: rounded(speed), frame: frame + 1, limit: rounded(limit) });
  return [{ kind: "too_fast", entity: null, path: null, frame, message }];
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
 * Pairs of entities whose discs, as they are painted, overlap without a depth that says which is in front: one warning
 * for a pair.
 *
 * @type {(say: Say, document: MotionDocument, tracks: readonly (PathTrack | null)[], largest: number) => Warning[]}
 */
function overlaps(say, document, tracks, largest) {
  const order = paintOrder(document);
  /** @type {Map<string, Warning>} */
  const found = new Map();
  order.forEach((under, place) => {
    for (const over of order.slice(place + 1)) {
      const [covered, covering] = [document.paths[under], document.paths[over]];
      const pair = [covered.entity, covering.entity].sort((one, other) => one - other).join(" ");
      const isSettled = (covered.depth ?? DEFAULT_DEPTH) !== (covering.depth ?? DEFAULT_DEPTH);
      const isOne = covered.entity === covering.entity;
      const frame = isSettled || isOne ? -1 : firstOverlap(tracks[under], tracks[over], largest);
      const known = found.get(pair);
      if (frame !== -1 && (known === undefined || frame < known.frame)) {
        const [lower, upper] = [covered, covering].map(({ entity }) => named(say, document, entity));
        const message = say("warnOverlap", { over: upper, under: lower, frame: frame + 1 });
        found.set(pair, { kind: "discs_overlap", entity: covered.entity, path: under, frame, message });
      }
    }
  });
  return [...found.values()];
}

/** @type {(one: PathTrack | null, other: PathTrack | null, largest: number) => number} */
function firstOverlap(one, other, largest) {
  if (one === null || other === null) {
    return -1;
  }
  return one.points.findIndex(
    (point, frame) =>
      one.visible[frame] &&
      other.visible[frame] &&
      distance(point, other.points[frame]) < painted(one, frame, largest) + painted(other, frame, largest),
  );
}

/** @type {(track: PathTrack, frame: number, largest: number) => number} */
function painted({ radii }, frame, largest) {
  return Math.min(radii[frame], largest);
}

/** @type {(say: Say, document: MotionDocument, id: number) => string} */
function named(say, document, id) {
  const entity = document.entities.find((candidate) => candidate.id === id);
  return entity?.name ? say("quotedName", { name: entity.name }) : say("entityNumber", { id });
}

/** @type {(one: Vector, other: Vector) => number} */
function distance(one, other) {
  return Math.hypot(one[0] - other[0], one[1] - other[1]);
}

/** @type {(value: number) => string} */
function rounded(value) {
  return String(Math.round(value * 10) / 10);
}
