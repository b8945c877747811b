/**
 * Moves the camera: a drag pans the picture's content, a drag of one of four points zooms it, a drag of the centre says
 * what the zoom nears.
 */

import { reachOf } from "../board.js";
import { moved, cameraMotion, zoomFactor, zoomPoints } from "../camera.js";
import { hundredth } from "../actions/targets.js";

/** @typedef {import("../board.js").Board} Board */
/** @typedef {import("../board.js").Gesture} Gesture */
/** @typedef {import("../board.js").Pointer} Pointer */
/** @typedef {import("../board.js").Tool} Tool */
/** @typedef {import("../document.js").CameraMove} CameraMove */
/** @typedef {import("../document.js").MotionDocument} MotionDocument */
/** @typedef {import("../document.js").Vector} Vector */
/** @typedef {import("../scene.js").Hover} Hover */

/** @type {Omit<CameraMove, "pan" | "zoom">} */
const STILL = { easing: "linear", start: 0, end: 1, carries_entities: true };

/**
 * @param {Board} board
 * @returns {Tool}
 */
export function cameraTool(board) {
  return {
    hover: (pointer) => {
      const hover = cameraPartAt(board, pointer);
      const draft = board.state.document.camera?.zoom === undefined ? offered(board.state.document) : null;
      board.show({ hover, drafts: draft === null ? [] : [{ kind: "camera", camera: draft }] });
      return hover.part === "pan" ? "move" : "pointer";
    },
    down: (pointer) => {
      const { part } = cameraPartAt(board, pointer);
      if (typeof part === "number") {
        return zoomGesture(board, part);
      }
      return part === "center" ? centerGesture(board) : panGesture(board, pointer);
    },
    leave: () => {
      board.show({ drafts: [] });
      return false;
    },
  };
}

/**
 * The document's camera with four points to drag, where it has none: a zoom that does not zoom yet.
 *
 * @param {MotionDocument} document
 * @returns {CameraMove}
 */
export function offered({ camera, size }) {
  /** @type {Vector} */
  const center = camera?.zoom?.center ?? [(size.width - 1) / 2, (size.height - 1) / 2];
  return { ...STILL, zoom: { factor: 1, center, points: zoomPoints(center, size) }, ...camera };
}

/** @type {(board: Board, pointer: Pointer) => Extract<Hover, {kind: "camera"}>} */
function cameraPartAt(board, pointer) {
  const { document } = board.state;
  const camera = offered(document);
  const reach = reachOf(board, pointer) * 1.3;
  const isNear = (/** @type {Vector} */ [x, y]) => Math.hypot(x - pointer.at[0], y - pointer.at[1]) <= reach;
  const motion = cameraMotion({ ...camera, easing: "linear", start: 0, end: 1 }, 2);
  const points = camera.zoom?.points ?? [];
  const ends = points.findIndex((point) => isNear(moved(motion, 1, point)));
  const at = ends >= 0 ? ends : points.findIndex(isNear);
  if (at >= 0) {
    return { kind: "camera", part: at };
  }
  return { kind: "camera", part: camera.zoom !== undefined && isNear(camera.zoom.center) ? "center" : "pan" };
}

/** @type {(board: Board, point: number) => Gesture} */
function zoomGesture(board, point) {
  const before = offered(board.state.document);
  const { center, points } = /** @type {import("../document.js").Zoom} */ (before.zoom);
  const [dx, dy] = before.pan ?? [0, 0];
  return drafted(board, ({ at }) => {
    const factor = zoomFactor(center, points[point], [at[0] - dx, at[1] - dy]) ?? 1;
    return { ...before, zoom: { factor: rounded(factor, 1000), center, points } };
  });
}

/** @type {(board: Board) => Gesture} */
function centerGesture(board) {
  const before = offered(board.state.document);
  const factor = before.zoom?.factor ?? 1;
  return drafted(board, ({ at }) => {
    /** @type {Vector} */
    const center = [hundredth(at[0]), hundredth(at[1])];
    return { ...before, zoom: { factor, center, points: zoomPoints(center, board.state.document.size) } };
  });
}

/** @type {(board: Board, start: Pointer) => Gesture} */
function panGesture(board, start) {
  const { camera } = board.state.document;
  const [x, y] = camera?.pan ?? [0, 0];
  return drafted(board, ({ at, shift }) => {
    const [dx, dy] = [at[0] - start.at[0], at[1] - start.at[1]];
    const isAcross = Math.abs(dx) > Math.abs(dy);
    /** @type {Vector} */
    const pan = [hundredth(x + (shift && !isAcross ? 0 : dx)), hundredth(y + (shift && isAcross ? 0 : dy))];
    return { ...STILL, ...camera, pan };
  });
}

/**
 * A move that is only shown until the pointer is lifted.
 *
 * @type {(board: Board, made: (pointer: Pointer) => CameraMove) => Gesture}
 */
function drafted(board, made) {
  /** @type {CameraMove | null} */
  let camera = null;
  return {
    move: (pointer) => {
      camera = made(pointer);
      board.show({ drafts: [{ kind: "camera", camera }] });
    },
    up: () => {
      board.show({ drafts: [] });
      if (camera !== null) {
        board.dispatch({ type: "change_camera", changes: camera });
      }
    },
    cancel: () => board.show({ drafts: [] }),
  };
}

/** @type {(value: number, parts: number) => number} */
function rounded(value, parts) {
  return Math.round(value * parts) / parts;
}
