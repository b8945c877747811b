/**
 * What the editor's canvas shows, as plain data. A Scene holds everything that is drawn and nothing that is not: the
 * document and its selection, the view of it (viewport, canvas size, pixel ratio, theme), what belongs to the document
 * but is not written in it (the picture's pixels, decoded masks, circles, what the weights choose as anchor, warnings),
 * the moment (frame, playing, whether cut-outs move), and what the pointer is about to do (tool, pointer, hover,
 * drafts). Whoever handles the pointer makes a new Scene for each change by `{...scene, frame: 3}` and hands it to
 * drawScene (render.js), which draws it and decides nothing; nothing in a Scene is ever changed in place, because what
 * is derived from its parts (tracks, contours, cut-outs) is remembered by their identity. All coordinates are document
 * pixels (as in the document: pixel centres at integers, y down), except canvas sizes, which are canvas pixels (CSS
 * pixels of the canvas element). `newScene` fills in everything but the document, the canvas size and the theme.
 */

import { NOTHING } from "./actions/selection.js";
import { cameraMotion } from "./camera.js";
import { speaker } from "./strings.js";
import { pathTrack } from "./tracks.js";
import { fitted } from "./viewport.js";

/** @typedef {import("./actions/selection.js").Selection} Selection */
/** @typedef {import("./camera.js").CameraMotion} CameraMotion */
/** @typedef {import("./document.js").Anchor} Anchor */
/** @typedef {import("./document.js").Box} Box */
/** @typedef {import("./document.js").CameraMove} CameraMove */
/** @typedef {import("./document.js").Click} Click */
/** @typedef {import("./document.js").ControlPoint} ControlPoint */
/** @typedef {import("./document.js").CurveKind} CurveKind */
/** @typedef {import("./document.js").DocumentEntity} DocumentEntity */
/** @typedef {import("./document.js").MotionDocument} MotionDocument */
/** @typedef {import("./document.js").MotionPath} MotionPath */
/** @typedef {import("./document.js").Size} Size */
/** @typedef {import("./document.js").Vector} Vector */
/** @typedef {import("./masks.js").Mask} Mask */
/** @typedef {import("./strings.js").Say} Say */
/** @typedef {import("./theme.js").Theme} Theme */
/** @typedef {import("./tracks.js").Circle} Circle {center: [x, y], radius} as tracks.js and circles.js have it */
/** @typedef {import("./tracks.js").PathTrack} PathTrack */
/** @typedef {import("./viewport.js").Viewport} Viewport */
/** @typedef {import("./warnings.js").Warning} Warning */

/**
 * The picture under the document, stretched over the whole of it whatever its own size is. The object stands for its
 * pixels: another picture is another object.
 *
 * @typedef {ImageBitmap | HTMLImageElement | HTMLCanvasElement | OffscreenCanvas} Picture
 */

/** @typedef {"select" | "segment" | "box" | "brush" | "erase" | "freehand" | "line" | "pin" | "camera" | "pan"} Tool */

/**
 * What is under the pointer and would be taken by a press. A `path` target with `insert` shows the point that a press
 * would add there.
 *
 * @typedef {{kind: "entity", id: number}
 *   | {kind: "path", path: number, position: Vector, insert?: boolean}
 *   | {kind: "point", path: number, point: number}
 *   | {kind: "handle", path: number, point: number, side: "in" | "out"}
 *   | {kind: "frame", path: number, frame: number}
 *   | {kind: "disc", path: number}
 *   | {kind: "camera", part: "frame" | "center" | "pan" | number}
 * } Hover `frame`: that frame's tick and its number; `camera`: a number is one of the zoom's points
 */

/**
 * What is being made and is not in the document yet. `entity` is whose colour it is drawn in (null: the accent's).
 *
 * - stroke: a freehand line as the pointer went.
 * - line: points placed so far, and the pointer as the next one.
 * - box: a rubber band that selects, or the box given to the segmenter.
 * - brush: where the brush went in this stroke; `radius` in document px.
 * - mask: a mask that a press would accept (hover preview, the three scales), with the label shown beside it.
 * - clicks: what the segmenter was told so far; `waiting` while its answer is on the way.
 * - camera: a move being dragged; drawn in place of the document's.
 *
 * @typedef {{kind: "stroke", points: readonly Vector[], entity: number | null}
 *   | {kind: "line", points: readonly ControlPoint[], curve: CurveKind, pointer: Vector | null, entity: number | null}
 *   | {kind: "box", box: Box, purpose: "select" | "segment"}
 *   | {kind: "brush", points: readonly Vector[], radius: number, erase: boolean, entity: number | null}
 *   | {kind: "mask", mask: Mask, entity: number | null, label?: string}
 *   | {kind: "clicks", points: readonly Click[], box?: Box, waiting?: boolean}
 *   | {kind: "camera", camera: CameraMove}
 * } Draft
 */

/**
 * Everything that is drawn.
 *
 * @typedef {object} Scene
 * @property {MotionDocument} document
 * @property {Selection} selection
 * @property {Viewport} viewport
 * @property {Size} canvas CSS px of the canvas element
 * @property {number} pixelRatio backing store px for one CSS px
 * @property {Theme} theme
 * @property {Say} say the words on the picture
 * @property {Picture | null} picture
 * @property {ReadonlyMap<number, Mask>} masks by entity id, each of the document's size
 * @property {ReadonlyMap<number, Circle>} circles by entity id, each with the entity's own radius where it has one
 * @property {Anchor} defaultAnchor for paths that leave the choice to the weights
 * @property {import("./weights.js").Weights | null} weights which may make large discs smaller
 * @property {readonly Warning[]} warnings
 * @property {number} frame the frame shown; between two frames while playing smoothly
 * @property {boolean} playing handles, ticks and points step back
 * @property {boolean} cutouts the cut-outs are where they are in the frame, over the filled ground; false: the picture
 *   as it is
 * @property {Tool} tool
 * @property {Vector | null} pointer null while it is not over the canvas
 * @property {number} brushRadius document px; shown around the pointer with the tools brush and erase
 * @property {Hover | null} hover
 * @property {readonly Draft[]} drafts drawn in this order, the last one on top
 */

/**
 * A scene of a document and nothing else: no picture, nothing selected, frame 0, all of it in view.
 *
 * @param {MotionDocument} document
 * @param {Size} canvas CSS px
 * @param {Theme} theme
 * @param {Say} [say] English where none is given
 * @returns {Scene}
 */
export function newScene(document, canvas, theme, say = speaker()) {
  return {
    document,
    selection: NOTHING,
    viewport: fitted(document.size, canvas, 16),
    canvas,
    pixelRatio: 1,
    theme,
    say,
    picture: null,
    masks: new Map(),
    circles: new Map(),
    defaultAnchor: "center",
    weights: null,
    warnings: [],
    frame: 0,
    playing: false,
    cutouts: false,
    tool: "select",
    pointer: null,
    brushRadius: 12,
    hover: null,
    drafts: [],
  };
}

/** @typedef {Pick<Scene, "document" | "circles" | "defaultAnchor">} Moving the parts of a scene that set its tracks */

/** @type {WeakMap<MotionPath, {inputs: readonly unknown[], track: PathTrack}>} */
const TRACKS = new WeakMap();

/** @type {WeakMap<CameraMove, {frames: number, motion: CameraMotion}>} */
const MOTIONS = new WeakMap();

/**
 * Where each path's disc is in each frame, in the document's order of paths; null where the entity has no circle yet.
 * A path's track is remembered until something that it depends on changes.
 *
 * @param {Moving} scene
 * @returns {(PathTrack | null)[]}
 */
export function tracksOf({ document, circles, defaultAnchor }) {
  const { camera, frames, size } = document;
  const carrier = camera?.carries_entities ? motionOf(camera, frames) : undefined;
  return document.paths.map((path) => {
    const circle = circles.get(path.entity);
    return circle === undefined ? null : trackOf(path, frames, size, circle, defaultAnchor, carrier);
  });
}

/** @type {typeof pathTrack} */
function trackOf(path, ...inputs) {
  const known = TRACKS.get(path);
  if (known?.inputs.every((input, index) => input === inputs[index])) {
    return known.track;
  }
  const track = pathTrack(path, ...inputs);
  TRACKS.set(path, { inputs, track });
  return track;
}

/**
 * What a camera move does in each frame, remembered for as long as the move is.
 *
 * @param {CameraMove} camera
 * @param {number} frames
 * @returns {CameraMotion}
 */
export function motionOf(camera, frames) {
  const known = MOTIONS.get(camera);
  if (known?.frames === frames) {
    return known.motion;
  }
  const motion = cameraMotion(camera, frames);
  MOTIONS.set(camera, { frames, motion });
  return motion;
}

/**
 * The camera move that is shown: the one being dragged, else the document's, or null.
 *
 * @param {Scene} scene
 * @returns {CameraMove | null}
 */
export function shownCamera({ document, drafts }) {
  const dragged = drafts.find((draft) => draft.kind === "camera");
  return dragged?.camera ?? document.camera ?? null;
}

/**
 * What the shown camera move does in each frame, or null without one.
 *
 * @param {Scene} scene
 * @returns {CameraMotion | null}
 */
export function shownMotion(scene) {
  const camera = shownCamera(scene);
  return camera === null ? null : motionOf(camera, scene.document.frames);
}

/**
 * Whether an entity is drawn: it is there and not hidden.
 *
 * @param {MotionDocument} document
 * @param {number} id
 * @returns {boolean}
 */
export function isShown(document, id) {
  return document.entities.some((entity) => entity.id === id && !entity.hidden);
}

/**
 * A position in a frame that may lie between two: on the straight line between theirs.
 *
 * @param {readonly Vector[]} points one for each frame
 * @param {number} frame
 * @returns {Vector}
 */
export function positionAt(points, frame) {
  const { first, next, part } = around(frame, points.length);
  const [before, after] = [points[first], points[next]];
  return [before[0] + (after[0] - before[0]) * part, before[1] + (after[1] - before[1]) * part];
}

/**
 * A number in a frame that may lie between two.
 *
 * @param {ArrayLike<number>} values one for each frame
 * @param {number} frame
 * @returns {number}
 */
export function valueAt(values, frame) {
  const { first, next, part } = around(frame, values.length);
  return values[first] + (values[next] - values[first]) * part;
}

/** @type {(frame: number, count: number) => {first: number, next: number, part: number}} */
function around(frame, count) {
  const inside = Math.min(Math.max(frame, 0), count - 1);
  const first = Math.floor(inside);
  return { first, next: Math.min(first + 1, count - 1), part: inside - first };
}
