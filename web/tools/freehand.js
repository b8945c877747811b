/** Draws lines by hand. A line starts in the entity that it moves, or belongs to the one that is selected. */

import { clickOrDrag } from "../board.js";
import { shownEntityAt } from "../hits.js";
import { simplified } from "../geometry.js";

/** @typedef {import("../board.js").Board} Board */
/** @typedef {import("../board.js").Gesture} Gesture */
/** @typedef {import("../board.js").Pointer} Pointer */
/** @typedef {import("../board.js").Tool} Tool */
/** @typedef {import("../document.js").Vector} Vector */

const TREMBLE = 1.5; // canvas px: what a hand's line may lose to be easy to edit

/**
 * @param {Board} board
 * @returns {Tool}
 */
export function freehandTool(board) {
  return {
    hover: ({ at }) => {
      const under = shownEntityAt(board.scene, at);
      board.show({ hover: under });
      return under === null && selectedEntity(board) === null ? "not-allowed" : "crosshair";
    },
    down: (pointer) => {
      const entity = shownEntityAt(board.scene, pointer.at)?.id ?? selectedEntity(board);
      if (entity === null) {
        board.say("startInEntity");
        return null;
      }
      return clickOrDrag(pointer, {
        click: () => board.dispatch({ type: "select", selection: { entities: [entity] } }),
        drag: (start) => lineGesture(board, start, entity, false),
      });
    },
  };
}

/**
 * The gesture that draws a line for an entity.
 *
 * @param {Board} board
 * @param {Pointer} start
 * @param {number} entity
 * @param {boolean} isOnly whether the new line takes the place of the entity's only one
 * @returns {Gesture}
 */
export function lineGesture(board, start, entity, isOnly) {
  /** @type {Vector[]} */
  const points = [start.at];
  /** @type {() => void} */
  const clear = () => board.show({ drafts: [] });
  return {
    move: ({ at }) => {
      points.push(at);
      board.show({ hover: null, drafts: [{ kind: "stroke", points: [...points], entity }] });
    },
    up: ({ at }) => {
      points.push(at);
      clear();
      addLine(board, points, entity, isOnly);
    },
    cancel: clear,
  };
}

/**
 * The one entity that is selected, by itself or by its lines; null for none or several.
 *
 * @param {Board} board
 * @returns {number | null}
 */
export function selectedEntity({ state }) {
  const { selection, document } = state;
  const byLines = [...selection.paths, ...selection.points.map(({ path }) => path)].map(
    (path) => document.paths[path].entity,
  );
  const ids = new Set([...selection.entities, ...byLines]);
  return ids.size === 1 ? [...ids][0] : null;
}

/** @type {(board: Board, points: readonly Vector[], entity: number, isOnly: boolean) => void} */
function addLine(board, points, entity, isOnly) {
  const { curve } = board.options;
  const tolerance = TREMBLE / board.scene.viewport.scale / (curve === "freehand" ? 4 : 1);
  const kept = simplified(
    points.map(([x, y]) => ({ x, y })),
    tolerance,
  );
  const { paths } = board.state.document;
  const before = paths.flatMap((path, number) => (path.entity === entity ? [number] : []));
  board.dispatch({ type: "begin_gesture" });
  if (isOnly && before.length === 1) {
    board.dispatch({ type: "remove_paths", paths: before });
    board.say("lineReplaced");
  }
  // A hand draws no handles: those of Bezier lines are for the line tool.
  const kind = curve === "bezier" ? "catmull_rom" : curve;
  board.dispatch({ type: "add_path", path: { entity, points: kept, curve: kind } });
  board.dispatch({ type: "end_gesture" });
}
