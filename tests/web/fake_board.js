/** A board without a page: the real reducer and the real scene, for tools to work on. */

import { shapesOf } from "../../web/entity_shapes.js";
import { encodeRle } from "../../web/masks.js";
import { newScene } from "../../web/scene.js";
import { createReducer, initialState } from "../../web/state.js";
import { DARK } from "../../web/theme.js";
import { toolbox } from "../../web/tools/toolbox.js";
import { toCanvas, toDocument } from "../../web/viewport.js";
import { newFormat } from "./shared_files.js";

export const SIZE = { height: 40, width: 56 };

/** The run-length string of a rectangle's mask. */
export function rectangle(left, top, right, bottom) {
  const pixels = new Uint8Array(SIZE.width * SIZE.height);
  for (let y = top; y <= bottom; y += 1) {
    pixels.fill(1, y * SIZE.width + left, y * SIZE.width + right + 1);
  }
  return encodeRle({ ...SIZE, pixels });
}

/** A document with a ball (1) at 4..14 x 24..34 that has one line, and a cloud (2) at 30..50 x 2..8 that has none. */
export function ballAndCloud() {
  return newFormat().parse({
    format: "draganything-motion",
    version: 2,
    size: SIZE,
    frames: 5,
    entities: [
      { id: 1, name: "ball", mask: { rle: rectangle(4, 24, 14, 34) } },
      { id: 2, name: "cloud", mask: { rle: rectangle(30, 2, 50, 8) } },
    ],
    paths: [{ entity: 1, curve: "polyline", points: [{ x: 9, y: 29 }, { x: 20, y: 12 }, { x: 40, y: 29 }] }],
  });
}

/** A board with the tools at work on it. Answers of the segmenter are what `answers` holds. */
export function fakeBoard(document = ballAndCloud()) {
  const reduce = createReducer(newFormat());
  const board = {
    state: initialState(document),
    scene: newScene(document, { width: 560, height: 400 }, DARK),
    options: { curve: "catmull_rom", scale: "best", click: "new", segmenter: undefined, preview: false },
    said: [],
    failed: [],
    asked: [],
    answers: [],
    dispatch(action) {
      board.state = reduce(board.state, action);
      const { masks, circles } = shapesOf(board.state.document);
      const { document: now, selection } = board.state;
      board.scene = { ...board.scene, document: now, selection, masks, circles };
      return board.state.refusal === null;
    },
    show(changes) {
      board.scene = { ...board.scene, ...changes };
    },
    choose(changes) {
      board.options = { ...board.options, ...changes };
    },
    say: (key) => board.said.push(key),
    fail: (error) => board.failed.push(error),
    segment: async (question) => {
      board.asked.push(question);
      return board.answers;
    },
    after: (call) => {
      call();
      return () => {};
    },
  };
  board.dispatch({ type: "select", selection: {} });
  board.show({ viewport: { scale: 10, left: 0, top: 0 } });
  board.tools = toolbox(board);
  return board;
}

/** A pointer at a document point. */
export function pointer(board, at, held = {}) {
  const canvas = toCanvas(board.scene.viewport, at);
  const plain = { kind: "mouse", button: 0, shift: false, control: false, alt: false, eraser: false };
  return { at: toDocument(board.scene.viewport, canvas), canvas, ...plain, ...held };
}

/** A press, moves along the points and a release; the pointer hovers first, as a mouse does. */
export function drag(board, tool, points, held = {}) {
  const [first, ...others] = points.map((at) => pointer(board, at, held));
  board.tools[tool].hover(first);
  const gesture = board.tools[tool].down(first);
  others.forEach((each) => gesture?.move(each));
  gesture?.up(others.at(-1) ?? first);
}

export function click(board, tool, at, held = {}) {
  drag(board, tool, [at], held);
}
