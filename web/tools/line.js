/**
 * Places points one by one: a click is a corner or a smooth point, a drag pulls a Bezier point's handles. Between
 * lines it works on those that are there: a click on one adds a point, a drag of a point moves it, Shift and a click
 * lengthens the selected one.
 */

import { changing, clickOrDrag, reachOf } from "../board.js";
import { handleAt, shownEntityAt, shownPathAt, shownPointAt, touchedPaths } from "../hits.js";
import { selectedEntity } from "./freehand.js";
import { insertPoint, pressedOnLine } from "./select.js";

/** @typedef {import("../board.js").Board} Board */
/** @typedef {import("../board.js").Gesture} Gesture */
/** @typedef {import("../board.js").Pointer} Pointer */
/** @typedef {import("../board.js").Tool} Tool */
/** @typedef {import("../document.js").ControlPoint} ControlPoint */
/** @typedef {import("../document.js").CurveKind} CurveKind */
/** @typedef {import("../document.js").Vector} Vector */
/** @typedef {import("../scene.js").Hover} Hover */

/** @typedef {{entity: number, points: readonly ControlPoint[], curve: CurveKind}} Line the one being placed */

/**
 * @param {Board} board
 * @returns {Tool}
 */
export function lineTool(board) {
  /** @type {Line | null} */
  let line = null;

  /** @type {(next: Line | null, pointer?: Vector | null) => void} */
  function draw(next, pointer = null) {
    line = next;
    board.show({ drafts: next === null ? [] : [{ kind: "line", ...next, pointer }] });
  }

  /** @type {() => boolean} */
  function finish() {
    if (line === null) {
      return false;
    }
    const { entity, points, curve } = line;
    draw(null);
    if (points.length > 1) {
      board.dispatch({ type: "add_path", path: { entity, points, curve } });
    }
    return true;
  }

  /** @type {(start: Pointer, entity: number) => Gesture} */
  function placing(start, entity) {
    const before = line ?? { entity, points: [], curve: board.options.curve };
    const point = { x: start.at[0], y: start.at[1] };
    draw({ ...before, points: [...before.points, point] });
    return {
      move: (pointer) => {
        if (Math.hypot(pointer.canvas[0] - start.canvas[0], pointer.canvas[1] - start.canvas[1]) < 3) {
          return;
        }
        const [dx, dy] = [pointer.at[0] - point.x, pointer.at[1] - point.y];
        const pulled = { ...point, handle_in: minus(dx, dy), handle_out: /** @type {Vector} */ ([dx, dy]) };
        draw({ ...before, curve: "bezier", points: [...before.points, pulled] });
      },
      up: () => {},
      cancel: () => draw(before.points.length === 0 ? null : before),
    };
  }

  return {
    hover: (pointer) => {
      if (line !== null) {
        draw(line, pointer.at);
        return "crosshair";
      }
      const target = targetOf(board, pointer);
      board.show({ hover: target });
      return target === null || target.kind === "entity" ? "crosshair" : "copy";
    },
    down: (pointer) => {
      if (line !== null) {
        return isOnLast(board, pointer, line) ? clickOnLast(board, pointer, finish) : placing(pointer, line.entity);
      }
      const [lengthened] = touchedPaths(board.scene);
      if (pointer.shift && lengthened !== undefined) {
        const point = { x: pointer.at[0], y: pointer.at[1] };
        board.dispatch({ type: "extend_path", path: lengthened, points: [point] });
        return null;
      }
      const target = targetOf(board, pointer);
      if (target?.kind === "path") {
        return insertPoint(board, pointer) ? draggingInserted(board) : null;
      }
      if (target !== null && target.kind !== "entity") {
        return pressedOnLine(board, pointer, target);
      }
      const entity = target?.id ?? selectedEntity(board);
      if (entity === null) {
        board.say("startInEntity");
        return null;
      }
      return placing(pointer, entity);
    },
    twice: () => finish(),
    finish,
    leave: () => {
      const wasOpen = line !== null;
      draw(null);
      return wasOpen;
    },
    back: () => {
      if (line === null) {
        return false;
      }
      const points = line.points.slice(0, -1);
      draw(points.length === 0 ? null : { ...line, points });
      return true;
    },
  };
}

/** @type {(board: Board, pointer: Pointer) => Hover | null} */
function targetOf(board, pointer) {
  const reach = reachOf(board, pointer);
  const near = handleAt(board.scene, pointer.at, reach) ?? shownPointAt(board.scene, pointer.at, reach);
  if (near !== null) {
    return near;
  }
  const path = shownPathAt(board.scene, pointer.at, reach / 2);
  if (path !== null && board.scene.document.paths[path.path].points.length > 1) {
    return { kind: "path", path: path.path, position: path.place.position, insert: true };
  }
  return shownEntityAt(board.scene, pointer.at);
}

/**
 * The point that was just added follows the pointer, within the same press but as a step of its own.
 *
 * @type {(board: Board) => Gesture}
 */
function draggingInserted(board) {
  const [inserted] = board.state.selection.points;
  const { x, y } = board.state.document.paths[inserted.path].points[inserted.point];
  return changing(board, ({ at }) => board.dispatch({ type: "move_selection", dx: at[0] - x, dy: at[1] - y }));
}

/** @type {(board: Board, pointer: Pointer, line: Line) => boolean} */
function isOnLast(board, { at, kind }, { points }) {
  const last = points[points.length - 1];
  const reach = (kind === "touch" ? 14 : 6) / board.scene.viewport.scale;
  return Math.hypot(at[0] - last.x, at[1] - last.y) <= reach;
}

/** @type {(board: Board, pointer: Pointer, finish: () => void) => Gesture} */
function clickOnLast(_board, pointer, finish) {
  return clickOrDrag(pointer, { click: finish, drag: () => null });
}

/** @type {(dx: number, dy: number) => Vector} */
function minus(dx, dy) {
  return [-dx, -dy];
}
