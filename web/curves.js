/**
 * From control points to where a line is in each frame. The steps are the Python core's, which is the authority;
 * tests/goldens/curves.json pins both.
 */

import { frameTimes, progress } from "./easing.js";

/** @typedef {import("./document.js").ControlPoint} ControlPoint */
/** @typedef {import("./document.js").MotionPath} MotionPath */
/** @typedef {import("./document.js").Vector} Vector */

/**
 * A line as straight pieces between corners, and the length of the line up to each corner.
 *
 * @typedef {object} Flattened
 * @property {Float64Array} x
 * @property {Float64Array} y
 * @property {Float64Array} behind
 */

/** @typedef {readonly [Vector, Vector, Vector, Vector]} BezierSegment start, handle, handle, end */

export const CHORDS = 32; // straight pieces that stand for one smooth segment
export const SNAP = 1e-9; // times and parameters that differ by less are the same: i / n * n is not always i in floats

const CHORD_WEIGHTS = Array.from({ length: CHORDS }, (_, step) => bezierWeights(step / CHORDS));

/** @type {WeakMap<MotionPath, Flattened>} */
const FLATTENED = new WeakMap();

/** @type {WeakMap<MotionPath, BezierSegment[]>} */
const SEGMENTS = new WeakMap();

/**
 * Where the line is in each frame, before it is anchored to an entity.
 *
 * "arc_length": progress (easing between start and end) is the fraction of the straight pieces' total length that is
 * behind. "per_point" with "stretch": progress s is point number s * (n - 1), along the curve's own parameter; "hold"
 * and "cut": frame i is at point i, and at the last one when there are no more.
 *
 * @param {MotionPath} path
 * @param {number} frames
 * @returns {Vector[]}
 */
export function curvePoints(path, frames) {
  if (path.static) {
    return frameTimes(frames).map(() => position(path.points[0]));
  }
  if (path.timing === "arc_length") {
    const line = flattened(path);
    return progress(path.easing, path.start, path.end, frames).map((part) => atLength(line, part));
  }
  const last = path.points.length - 1;
  if (path.fit === "stretch") {
    return progress(path.easing, path.start, path.end, frames).map((part) => atPointNumber(path, part * last));
  }
  return frameTimes(frames).map((_, frame) => position(path.points[Math.min(frame, last)]));
}

/**
 * The straight pieces that stand for a path's curve: 32 for each smooth segment. Remembered for as long as the path is:
 * documents are never changed in place.
 *
 * @param {MotionPath} path
 * @returns {Flattened}
 */
export function flattened(path) {
  const known = FLATTENED.get(path);
  if (known !== undefined) {
    return known;
  }
  const line = withLengths(isSmooth(path) ? chords(segments(path)) : corners(path.points));
  FLATTENED.set(path, line);
  return line;
}

/**
 * How many straight pieces stand for one segment between two points of a path.
 *
 * @param {MotionPath} path
 * @returns {number}
 */
export function piecesOfSegment(path) {
  return isSmooth(path) ? CHORDS : 1;
}

/**
 * The cubic Bezier segments between the path's points, in whatever kind the curve was drawn. Remembered as well.
 *
 * @param {MotionPath} path
 * @returns {readonly BezierSegment[]}
 */
export function segments(path) {
  const known = SEGMENTS.get(path) ?? newSegments(path);
  SEGMENTS.set(path, known);
  return known;
}

/**
 * The point of a cubic Bezier segment at a parameter 0..1.
 *
 * @param {BezierSegment} segment
 * @param {number} t
 * @returns {Vector}
 */
export function bezierPoint([start, out, into, end], t) {
  const [a, b, c, d] = bezierWeights(t);
  return [
    a * start[0] + b * out[0] + c * into[0] + d * end[0],
    a * start[1] + b * out[1] + c * into[1] + d * end[1],
  ];
}

// The line

/**
 * How much each of a segment's four points counts at a parameter.
 *
 * @type {(t: number) => readonly [number, number, number, number]}
 */
function bezierWeights(t) {
  const rest = 1 - t;
  return [rest ** 3, 3 * rest ** 2 * t, 3 * rest * t ** 2, t ** 3];
}

/** @type {(path: MotionPath) => BezierSegment[]} */
function newSegments(path) {
  const points = path.points.map(position);
  const handles = path.curve === "catmull_rom" ? catmullRomHandles(points) : null;
  return points.slice(0, -1).map((first, index) => {
    const last = points[index + 1];
    if (handles !== null) {
      return [first, plus(first, handles[index].out), plus(last, handles[index].into), last];
    }
    if (path.curve === "bezier") {
      const [from, to] = [path.points[index], path.points[index + 1]];
      return [first, plus(first, from.handle_out ?? [0, 0]), plus(last, to.handle_in ?? [0, 0]), last];
    }
    return [first, thirds(first, last), thirds(last, first), last];
  });
}

/** @type {(path: MotionPath) => boolean} */
function isSmooth(path) {
  return path.points.length > 1 && (path.curve === "catmull_rom" || path.curve === "bezier");
}

/** @type {(point: ControlPoint) => Vector} */
function position(point) {
  return [point.x, point.y];
}

/** @type {(one: Vector, other: Vector) => Vector} */
function plus(one, other) {
  return [one[0] + other[0], one[1] + other[1]];
}

/** @type {(near: Vector, far: Vector) => Vector} */
function thirds(near, far) {
  return [(2 * near[0] + far[0]) / 3, (2 * near[1] + far[1]) / 3];
}

/** @typedef {{readonly x: Float64Array, readonly y: Float64Array}} Corners */

/** @type {(points: readonly ControlPoint[]) => Corners} */
function corners(points) {
  return { x: Float64Array.from(points, (point) => point.x), y: Float64Array.from(points, (point) => point.y) };
}

/** @type {(pieces: readonly BezierSegment[]) => Corners} */
function chords(pieces) {
  // Straight into typed arrays: a long line has thousands of chords, and it is drawn anew with every pointer move.
  const [x, y] = [new Float64Array(pieces.length * CHORDS + 1), new Float64Array(pieces.length * CHORDS + 1)];
  let at = 0;
  for (const [start, out, into, end] of pieces) {
    for (const [a, b, c, d] of CHORD_WEIGHTS) {
      x[at] = a * start[0] + b * out[0] + c * into[0] + d * end[0];
      y[at] = a * start[1] + b * out[1] + c * into[1] + d * end[1];
      at += 1;
    }
  }
  [x[at], y[at]] = pieces[pieces.length - 1][3];
  return { x, y };
}

/** @type {(corners: Corners) => Flattened} */
function withLengths({ x, y }) {
  const behind = new Float64Array(x.length);
  for (let index = 1; index < x.length; index += 1) {
    const [dx, dy] = [x[index] - x[index - 1], y[index] - y[index - 1]];
    behind[index] = behind[index - 1] + Math.sqrt(dx * dx + dy * dy); // many times faster than Math.hypot
  }
  return { x, y, behind };
}

/**
 * The point at a fraction of a line's length.
 *
 * @type {(line: Flattened, fraction: number) => Vector}
 */
function atLength({ x, y, behind }, fraction) {
  const last = behind.length - 1;
  const target = fraction * behind[last];
  if (!(target < behind[last])) {
    return [x[last], y[last]];
  }
  // The last corner at or before the target: the piece after it is the first one that has a length.
  let [low, high] = [0, last];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (behind[middle] <= target) {
      low = middle;
    } else {
      high = middle;
    }
  }
  const part = target - behind[low];
  const length = behind[high] - behind[low];
  return [x[low] + ((x[high] - x[low]) / length) * part, y[low] + ((y[high] - y[low]) / length) * part];
}

/**
 * The point at a fractional point number; whole numbers give the points themselves, bit for bit.
 *
 * @type {(path: MotionPath, number: number) => Vector}
 */
function atPointNumber(path, number) {
  if (path.points.length === 1) {
    return position(path.points[0]);
  }
  const nearest = Math.round(number);
  const exact = Math.abs(number - nearest) < SNAP ? nearest : number;
  const first = Math.min(Math.trunc(exact), path.points.length - 2);
  return bezierPoint(segments(path)[first], exact - first);
}

/**
 * Offsets of the two handles of each segment of a centripetal Catmull-Rom curve (Yuksel et al. 2011, alpha 0.5). The
 * curve's ends continue by reflection (2 p0 - p1). A point drawn twice makes a corner.
 *
 * @type {(points: readonly Vector[]) => {out: Vector, into: Vector}[]}
 */
function catmullRomHandles(points) {
  const count = points.length;
  if (count === 1) {
    return [];
  }
  const padded = [reflected(points[0], points[1]), ...points, reflected(points[count - 1], points[count - 2])];
  /** @type {Vector[]} */
  const steps = padded.slice(1).map((point, index) => [point[0] - padded[index][0], point[1] - padded[index][1]]);
  const knots = steps.map((step) => Math.sqrt(Math.hypot(...step)));
  return points.slice(1).map((_, index) => ({
    out: handle(steps[index], steps[index + 1], knots[index], knots[index + 1]),
    into: handle(negative(steps[index + 2]), negative(steps[index + 1]), knots[index + 2], knots[index + 1]),
  }));
}

/** @type {(end: Vector, neighbour: Vector) => Vector} */
function reflected(end, neighbour) {
  return [2 * end[0] - neighbour[0], 2 * end[1] - neighbour[1]];
}

/** @type {(vector: Vector) => Vector} */
function negative([x, y]) {
  return [-x, -y];
}

/**
 * Offset of a segment's handle; zero where the neighbouring or the own segment has no length.
 *
 * @type {(neighbour: Vector, segment: Vector, beside: number, along: number) => Vector}
 */
function handle(neighbour, segment, beside, along) {
  if (!(beside > 0 && along > 0)) {
    return [0, 0];
  }
  // As ratios of knots, never products: those of the tiniest lengths would underflow to 0 / 0.
  const ofSegment = beside / (beside + along);
  const ofNeighbour = (along / beside) * (along / (beside + along));
  return [
    (ofSegment * segment[0] + ofNeighbour * neighbour[0]) / 3,
    (ofSegment * segment[1] + ofNeighbour * neighbour[1]) / 3,
  ];
}
