/**
 * The tool for everything: selects and moves points, handles and lines, selects by a box, and draws a line where it is
 * dragged inside an entity.
 */

import { changing, clickOrDrag, reachOf } from "../board.js";
import { pointsInBox } from "../geometry.js";
import { hoverAt, shownPathAt, shownPointAt, touchedPaths } from "../hits.js";
import { lineGesture } from "./freehand.js";

/** @typedef {import("../board.js").Board} Board */
/** @typedef {import("../board.js").Gesture} Gesture */
/** @typedef {import("../board.js").Pointer} Pointer */
/** @typedef {import("../board.js").Tool} Tool */
/** @typedef {import("../actions/selection.js").Selection} Selection */
/** @typedef {import("../document.js").Box} Box */
/** @typedef {import("../document.js").Vector} Vector */
/** @typedef {import("../geometry.js").PointRef} PointRef */
/** @typedef {import("../scene.js").Hover} Hover */

/**
 * @param {Board} board
 * @returns {Tool}
 */
export function selectTool(board) {
  return {
    hover: (pointer) => {
      const hover = hoverAt(board.scene, pointer.at, reachOf(board, pointer));
      board.show({ hover });
      return cursorOf(hover);
    },
    down: (pointer) => pressed(board, pointer, hoverAt(board.scene, pointer.at, reachOf(board, pointer))),
    twice: (pointer) => {
      if (shownPointAt(board.scene, pointer.at, reachOf(board, pointer)) === null) {
        insertPoint(board, pointer);
      }
    },
  };
}

/**
 * A press on a point, handle or line: what the select tool and the line tool have in common; null for anything else.
 *
 * @param {Board} board
 * @param {Pointer} pointer
 * @param {Hover | null} target
 * @returns {Gesture | null}
 */
export function pressedOnLine(board, pointer, target) {
  switch (target?.kind) {
    case "handle":
      return handleGesture(board, pointer, target);
    case "point":
      return pressedPoint(board, pointer, { path: target.path, point: target.point });
    case "path":
    case "frame":
      return pressedParts(board, pointer, { paths: [target.path] }, touchedPaths(board.scene).includes(target.path));
    default:
      return null;
  }
}

/**
 * Adds a point to the line under the pointer; false where there is none.
 *
 * @param {Board} board
 * @param {Pointer} pointer
 * @returns {boolean}
 */
export function insertPoint(board, pointer) {
  const line = shownPathAt(board.scene, pointer.at, reachOf(board, pointer));
  if (line === null || board.state.document.paths[line.path].points.length < 2) {
    return false;
  }
  const { segment, parameter } = line.place;
  return board.dispatch({ type: "insert_point_on_path", path: line.path, segment, parameter });
}

/** @type {(board: Board, pointer: Pointer, target: Hover | null) => Gesture | null} */
function pressed(board, pointer, target) {
  if (target?.kind === "entity") {
    return pressedEntity(board, pointer, target.id);
  }
  return pressedOnLine(board, pointer, target) ?? pressedNothing(board, pointer);
}

/** @type {(board: Board, pointer: Pointer, point: PointRef) => Gesture | null} */
function pressedPoint(board, pointer, point) {
  if (pointer.alt) {
    board.dispatch({ type: "delete_points", points: [point] });
    return null;
  }
  const isSelected = board.state.selection.points.some((other) => sameRef(other, point));
  return pressedParts(board, pointer, { points: [point] }, isSelected);
}

/**
 * A press on parts: they are selected at once, so that the same press can move them; of several that are selected, a
 * click without a move selects the one.
 *
 * @type {(board: Board, pointer: Pointer, parts: Partial<Selection>, isSelected: boolean) => Gesture | null}
 */
function pressedParts(board, pointer, parts, isSelected) {
  if (pointer.shift || pointer.control) {
    board.dispatch({ type: "select", selection: parts, mode: "toggle" });
    return null;
  }
  if (!isSelected) {
    board.dispatch({ type: "select", selection: parts });
  }
  return clickOrDrag(pointer, {
    click: () => board.dispatch({ type: "select", selection: parts }),
    drag: (start) => moveGesture(board, start),
  });
}

/** @type {(board: Board, start: Pointer) => Gesture} */
function moveGesture(board, start) {
  return changing(board, (pointer) => {
    const [dx, dy] = straight(pointer.at[0] - start.at[0], pointer.at[1] - start.at[1], pointer.shift);
    board.dispatch({ type: "move_selection", dx, dy });
  });
}

/**
 * A handle follows the pointer, and its opposite turns with it unless Alt is held.
 *
 * @type {(board: Board, pointer: Pointer, target: Extract<Hover, {kind: "handle"}>) => Gesture}
 */
function handleGesture(board, _pointer, { path, point, side }) {
  const { x, y } = board.state.document.paths[path].points[point];
  return changing(board, ({ at, alt }) => {
    const [dx, dy] = [at[0] - x, at[1] - y];
    const [own, other] = side === "in" ? ["handle_in", "handle_out"] : ["handle_out", "handle_in"];
    const opposite = alt ? {} : { [other]: [-dx, -dy] };
    board.dispatch({ type: "change_point", path, point, changes: { [own]: [dx, dy], ...opposite } });
  });
}

/** @type {(board: Board, pointer: Pointer, id: number) => Gesture} */
function pressedEntity(board, pointer, id) {
  return clickOrDrag(pointer, {
    click: ({ shift, control }) => {
      const mode = shift || control ? "toggle" : "replace";
      board.dispatch({ type: "select", selection: { entities: [id] }, mode });
    },
    drag: (start) => lineGesture(board, start, id, !start.shift),
  });
}

/** @type {(board: Board, pointer: Pointer) => Gesture} */
function pressedNothing(board, pointer) {
  const keeps = pointer.shift || pointer.control;
  return clickOrDrag(pointer, {
    click: () => keeps || board.dispatch({ type: "select", selection: {} }),
    drag: (start) => boxGesture(board, start, keeps),
  });
}

/** @type {(board: Board, start: Pointer, keeps: boolean) => Gesture} */
function boxGesture(board, start, keeps) {
  const clear = () => board.show({ drafts: [] });
  return {
    move: ({ at }) => {
      board.show({ drafts: [{ kind: "box", box: boxBetween(start.at, at), purpose: "select" }] });
    },
    up: ({ at }) => {
      clear();
      const selection = boxed(board, boxBetween(start.at, at));
      board.dispatch({ type: "select", selection, mode: keeps ? "add" : "replace" });
    },
    cancel: clear,
  };
}

/**
 * What a box selects: lines that lie in it with all their points, and single points of the others.
 *
 * @type {(board: Board, box: Box) => Partial<Selection>}
 */
function boxed(board, box) {
  const { document } = board.state;
  const hidden = new Set(document.entities.filter((entity) => entity.hidden).map((entity) => entity.id));
  const points = pointsInBox(document, box).filter(({ path }) => !hidden.has(document.paths[path].entity));
  const isWhole = (/** @type {number} */ path) =>
    points.filter((point) => point.path === path).length === document.paths[path].points.length;
  const paths = [...new Set(points.map(({ path }) => path))].filter(isWhole);
  return { paths, points: points.filter(({ path }) => !paths.includes(path)) };
}

/**
 * The box with two positions as opposite corners.
 *
 * @param {Vector} one
 * @param {Vector} other
 * @returns {Box}
 */
export function boxBetween([x1, y1], [x2, y2]) {
  return { x: Math.min(x1, x2), y: Math.min(y1, y2), width: Math.abs(x2 - x1), height: Math.abs(y2 - y1) };
}

/**
 * A move along the nearer axis only, where that is wanted.
 *
 * @type {(dx: number, dy: number, isWanted: boolean) => [number, number]}
 */
function straight(dx, dy, isWanted) {
  if (!isWanted) {
    return [dx, dy];
  }
  return Math.abs(dx) > Math.abs(dy) ? [dx, 0] : [0, dy];
}

/** @type {(hover: Hover | null) => string} */
function cursorOf(hover) {
  if (hover === null) {
    return "default";
  }
  return hover.kind === "entity" ? "crosshair" : "move";
}

/** @type {(one: PointRef, other: PointRef) => boolean} */
function sameRef(one, other) {
  return one.path === other.path && one.point === other.point;
}
