/** What is under the pointer: distances to points and paths, boxes, masks. And lines with one point more, or fewer. */

import { bezierPoint, flattened, piecesOfSegment, segments } from "./curves.js";
import { insideMask } from "./masks.js";

/** @typedef {import("./document.js").Box} Box */
/** @typedef {import("./document.js").ControlPoint} ControlPoint */
/** @typedef {import("./document.js").MotionDocument} MotionDocument */
/** @typedef {import("./document.js").MotionPath} MotionPath */
/** @typedef {import("./document.js").Vector} Vector */
/** @typedef {import("./masks.js").Mask} Mask */

/** @typedef {{readonly path: number, readonly point: number}} PointRef a point of the document, by its numbers */

/**
 * The place on a path that is nearest to somewhere: the position, its distance, the segment (between points number
 * `segment` and `segment + 1`) and the parameter 0..1 within it. A path of one point has no segment: it counts as 0.
 *
 * @typedef {object} PlaceOnPath
 * @property {Vector} position
 * @property {number} distance
 * @property {number} segment
 * @property {number} parameter
 */

/**
 * The place on a path that is nearest to a position.
 *
 * @param {MotionPath} path
 * @param {Vector} position
 * @returns {PlaceOnPath}
 */
export function nearestOnPath(path, [x, y]) {
  const line = flattened(path);
  let [best, bestPiece, bestPart] = [Infinity, 0, 0];
  for (let piece = 0; piece < Math.max(line.x.length - 1, 1); piece += 1) {
    const end = Math.min(piece + 1, line.x.length - 1);
    const [dx, dy] = [line.x[end] - line.x[piece], line.y[end] - line.y[piece]];
    const part = partAlong(x - line.x[piece], y - line.y[piece], dx, dy);
    const [awayX, awayY] = [line.x[piece] + part * dx - x, line.y[piece] + part * dy - y];
    const away = awayX * awayX + awayY * awayY; // squared, as there are thousands of pieces
    if (away < best) {
      [best, bestPiece, bestPart] = [away, piece, part];
    }
  }
  const end = Math.min(bestPiece + 1, line.x.length - 1);
  const pieces = piecesOfSegment(path);
  return {
    position: [
      line.x[bestPiece] + bestPart * (line.x[end] - line.x[bestPiece]),
      line.y[bestPiece] + bestPart * (line.y[end] - line.y[bestPiece]),
    ],
    distance: Math.sqrt(best),
    segment: Math.floor(bestPiece / pieces),
    parameter: ((bestPiece % pieces) + bestPart) / pieces,
  };
}

/**
 * The nearest control point within reach of a position, or null. Points of `preferred` paths win over nearer ones of
 * others, so that what is selected is not covered by what is not; at equal distance the one painted last wins.
 *
 * @param {MotionDocument} document
 * @param {Vector} position
 * @param {number} reach document px
 * @param {readonly number[]} [preferred]
 * @returns {PointRef | null}
 */
export function pointAt(document, [x, y], reach, preferred = []) {
  /** @type {PointRef | null} */
  let best = null;
  let bestRank = [false, Infinity];
  document.paths.forEach((path, number) => {
    const isPreferred = preferred.includes(number);
    path.points.forEach((point, index) => {
      const distance = Math.hypot(point.x - x, point.y - y);
      if (distance <= reach && isBetter(isPreferred, distance, bestRank)) {
        [best, bestRank] = [{ path: number, point: index }, [isPreferred, distance]];
      }
    });
  });
  return best;
}

/**
 * The nearest path within reach of a position with the place on it, or null; `preferred` as in pointAt.
 *
 * @param {MotionDocument} document
 * @param {Vector} position
 * @param {number} reach document px
 * @param {readonly number[]} [preferred]
 * @returns {{path: number, place: PlaceOnPath} | null}
 */
export function pathAt(document, position, reach, preferred = []) {
  /** @type {{path: number, place: PlaceOnPath} | null} */
  let best = null;
  let bestRank = [false, Infinity];
  document.paths.forEach((path, number) => {
    const place = nearestOnPath(path, position);
    const isPreferred = preferred.includes(number);
    if (place.distance <= reach && isBetter(isPreferred, place.distance, bestRank)) {
      [best, bestRank] = [{ path: number, place }, [isPreferred, place.distance]];
    }
  });
  return best;
}

/**
 * The id of the entity in whose mask a position lies, or null: the last one in paint order that is not hidden.
 *
 * @param {MotionDocument} document
 * @param {ReadonlyMap<number, Mask>} masks by entity id
 * @param {Vector} position
 * @returns {number | null}
 */
export function entityAt(document, masks, [x, y]) {
  const seen = document.entities.filter((entity) => {
    const mask = masks.get(entity.id);
    return !entity.hidden && mask !== undefined && insideMask(mask, x, y);
  });
  return seen.at(-1)?.id ?? null;
}

/**
 * The control points within a box, its border included.
 *
 * @param {MotionDocument} document
 * @param {Box} box
 * @returns {PointRef[]}
 */
export function pointsInBox(document, box) {
  const isInside = (/** @type {ControlPoint} */ { x, y }) =>
    x >= box.x && y >= box.y && x <= box.x + box.width && y <= box.y + box.height;
  return document.paths.flatMap((path, number) =>
    path.points.flatMap((point, index) => (isInside(point) ? [{ path: number, point: index }] : [])),
  );
}

/**
 * The frame whose position is nearest to one, and how far away it is.
 *
 * @param {readonly Vector[]} positions one for each frame
 * @param {Vector} position
 * @returns {{frame: number, distance: number}}
 */
export function nearestFrame(positions, [x, y]) {
  const distances = positions.map((point) => Math.hypot(point[0] - x, point[1] - y));
  const distance = Math.min(...distances);
  return { frame: distances.indexOf(distance), distance };
}

/**
 * The points of a path with one more at a place on it. A Bezier line keeps its shape exactly (de Casteljau's split); a
 * straight one too; a smooth one bends a little, as its handles follow its points.
 *
 * @param {MotionPath} path
 * @param {number} segment
 * @param {number} parameter
 * @returns {ControlPoint[]}
 */
export function withPointOnPath(path, segment, parameter) {
  const { points } = path;
  const curve = segments(path)[segment];
  const [x, y] = bezierPoint(curve, parameter);
  if (path.curve !== "bezier") {
    return [...points.slice(0, segment + 1), { x, y }, ...points.slice(segment + 1)];
  }
  const [start, out, into, end] = curve;
  const [first, middle, last] = [
    between(start, out, parameter),
    between(out, into, parameter),
    between(into, end, parameter),
  ];
  const before = { ...points[segment], handle_out: offset(first, start) };
  const after = { ...points[segment + 1], handle_in: offset(last, end) };
  /** @type {Vector} */
  const split = [x, y];
  const added = {
    x,
    y,
    handle_in: offset(between(first, middle, parameter), split),
    handle_out: offset(between(middle, last, parameter), split),
  };
  return [...points.slice(0, segment), before, added, after, ...points.slice(segment + 2)];
}

/**
 * Fewer points for a freehand line: none of those left out is farther than `tolerance` from the line that remains
 * (Douglas and Peucker 1973). The end points are kept.
 *
 * @template {{readonly x: number, readonly y: number}} Point
 * @param {readonly Point[]} points
 * @param {number} tolerance px
 * @returns {Point[]}
 */
export function simplified(points, tolerance) {
  const kept = new Set([0, points.length - 1]);
  const open = [[0, points.length - 1]];
  for (let span = open.pop(); span !== undefined; span = open.pop()) {
    const [first, last] = span;
    const { index, distance } = farthest(points, first, last);
    if (distance > tolerance) {
      kept.add(index);
      open.push([first, index], [index, last]);
    }
  }
  return points.filter((_, index) => kept.has(index));
}

/** @type {(isPreferred: boolean, distance: number, best: (boolean | number)[]) => boolean} */
function isBetter(isPreferred, distance, [bestPreferred, bestDistance]) {
  return isPreferred === bestPreferred ? distance <= Number(bestDistance) : isPreferred;
}

/**
 * Which part 0..1 of a piece (dx, dy) is nearest to an offset from its start.
 *
 * @type {(x: number, y: number, dx: number, dy: number) => number}
 */
function partAlong(x, y, dx, dy) {
  const square = dx * dx + dy * dy;
  return square > 0 ? Math.min(Math.max((x * dx + y * dy) / square, 0), 1) : 0;
}

/**
 * The point between two others that is farthest from the straight line between them.
 *
 * @type {(points: readonly {x: number, y: number}[], first: number, last: number) =>
 *   {index: number, distance: number}}
 */
function farthest(points, first, last) {
  const [start, end] = [points[first], points[last]];
  const [dx, dy] = [end.x - start.x, end.y - start.y];
  let [index, distance] = [first, -1];
  for (let number = first + 1; number < last; number += 1) {
    const [x, y] = [points[number].x - start.x, points[number].y - start.y];
    const part = partAlong(x, y, dx, dy);
    const away = Math.hypot(x - part * dx, y - part * dy);
    if (away > distance) {
      [index, distance] = [number, away];
    }
  }
  return { index, distance };
}

/** @type {(one: Vector, other: Vector, part: number) => Vector} */
function between(one, other, part) {
  return [one[0] + (other[0] - one[0]) * part, one[1] + (other[1] - one[1]) * part];
}

/** @type {(to: Vector, from: Vector) => Vector} */
function offset(to, from) {
  return [to[0] - from[0], to[1] - from[1]];
}
