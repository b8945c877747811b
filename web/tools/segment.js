/**
 * Makes entities by the segmenter on the server: a click is on the thing, Shift and a click adds to it, Alt or the
 * right button and a click takes away, a drag draws a box around it. Resting the pointer shows what a click would find.
 */

import { clickOrDrag } from "../board.js";
import { decodeRle } from "../masks.js";
import { onCanvas } from "../tracks.js";
import { boxBetween } from "./select.js";

/** @typedef {import("../api.js").Answer} Answer */
/** @typedef {import("../api.js").Scale} Scale */
/** @typedef {import("../board.js").Board} Board */
/** @typedef {import("../board.js").Gesture} Gesture */
/** @typedef {import("../board.js").Options} Options */
/** @typedef {import("../board.js").Pointer} Pointer */
/** @typedef {import("../board.js").Tool} Tool */
/** @typedef {import("../document.js").Click} Click */
/** @typedef {import("../document.js").Prompts} Prompts */
/** @typedef {import("../document.js").Vector} Vector */

/** @typedef {Pick<Prompts, "points" | "box">} Asked */
/** @typedef {{entity: number | null, asked: Asked}} Subject what clicks are about; null: one that is not there yet */

const REST = 180; // ms that a pointer rests before a preview is asked for
const SCALES = /** @type {const} */ (["part", "object", "whole"]);
const SCALE_WORDS = /** @type {const} */ ({ part: "scalePart", object: "scaleObject", whole: "scaleWhole" });

/**
 * The tool, with what the panel of its options needs.
 *
 * @typedef {Tool & {chooseScale: (scale: Options["scale"]) => void, leave: () => boolean}} SegmentTool
 */

/**
 * @param {Board} board
 * @returns {SegmentTool}
 */
export function segmentTool(board) {
  /** @type {AbortController | null} */
  let asking = null;
  /** @type {AbortController | null} */
  let previewing = null;
  /** @type {() => void} */
  let rested = () => {};
  /** @type {{entity: number, asked: Asked, answers: readonly Answer[]} | null} */
  let last = null;

  function stopPreview() {
    rested();
    previewing?.abort();
    previewing = null;
  }

  /** @type {(pointer: Pointer) => void} */
  function preview({ at }) {
    stopPreview();
    board.show({ drafts: subjectDrafts(board) });
    if (asking !== null || !board.options.preview || !isInside(board, at)) {
      return;
    }
    rested = board.after(async () => {
      const own = new AbortController();
      previewing = own;
      try {
        const answers = await board.segment({ points: [click(at, 1)], hover: true }, own.signal);
        const [answer] = ranked(answers, board.options);
        if (previewing === own && answer !== undefined) {
          const mask = decodeRle(answer.rle, board.state.document.size);
          const label = `${board.scene.say(SCALE_WORDS[answer.scale])} · ${Math.round(answer.score * 100)} %`;
          board.show({ drafts: [...subjectDrafts(board), { kind: "mask", mask, entity: null, label }] });
        }
      } catch {
        previewing = null; // a preview is a courtesy: the click itself says what is wrong
      }
    }, REST);
  }

  /** @type {(subject: Subject) => Promise<void>} */
  async function ask({ entity, asked }) {
    stopPreview();
    asking?.abort();
    const own = new AbortController();
    asking = own;
    board.show({ hover: null, drafts: [{ kind: "clicks", ...asked, waiting: true }] });
    try {
      const answers = await board.segment(asked, own.signal);
      if (asking === own) {
        accept(entity, asked, answers);
      }
    } catch (error) {
      if (asking === own) {
        board.fail(error);
      }
    } finally {
      if (asking === own) {
        asking = null;
        board.show({ drafts: subjectDrafts(board) });
      }
    }
  }

  /** @type {(entity: number | null, asked: Asked, answers: readonly Answer[]) => void} */
  function accept(entity, asked, answers) {
    const [answer] = ranked(answers, board.options);
    if (answer === undefined) {
      board.say("nothingFound");
      return;
    }
    const changes = { mask: { rle: answer.rle }, prompts: promptsOf(asked, board.options) };
    const isThere = entity !== null && board.state.document.entities.some(({ id }) => id === entity);
    const isDone = isThere
      ? board.dispatch({ type: "change_entity", id: entity, changes })
      : board.dispatch({ type: "add_entity", entity: changes });
    if (isDone) {
      const id = isThere ? entity : board.state.selection.entities[0];
      board.dispatch({ type: "select", selection: { entities: [id] } });
      last = { entity: id, asked, answers };
      if (board.state.document.paths.length === 0) {
        board.say("nowDrag");
      }
    }
  }

  /** @type {(pointer: Pointer) => void} */
  function clicked(pointer) {
    if (!isInside(board, pointer.at)) {
      board.say("onThePicture");
      return;
    }
    const means = meaning(pointer, board.options);
    const subject = means === "new" ? null : subjectOf(board);
    if (subject === null) {
      ask({ entity: null, asked: { points: [click(pointer.at, 1)] } });
      return;
    }
    const points = [...subject.asked.points, click(pointer.at, means === "remove" ? 0 : 1)];
    ask({ entity: subject.entity, asked: { ...subject.asked, points } });
  }

  /** @type {(start: Pointer) => Gesture} */
  function boxGesture(start) {
    stopPreview();
    const subject = start.shift ? subjectOf(board) : null;
    return {
      move: ({ at }) =>
        board.show({ hover: null, drafts: [{ kind: "box", box: boxBetween(start.at, at), purpose: "segment" }] }),
      up: ({ at }) => {
        const box = clipped(boxBetween(start.at, at), board.state.document.size);
        if (box === null) {
          board.show({ drafts: subjectDrafts(board) });
          board.say("onThePicture");
          return;
        }
        ask({ entity: subject?.entity ?? null, asked: { points: subject?.asked.points ?? [], box } });
      },
      cancel: () => board.show({ drafts: subjectDrafts(board) }),
    };
  }

  return {
    hover: (pointer) => {
      preview(pointer);
      return "crosshair";
    },
    down: (pointer) => clickOrDrag(pointer, { click: clicked, drag: boxGesture }),
    leave: () => {
      const wasAsking = asking !== null;
      stopPreview();
      asking?.abort();
      asking = null;
      board.show({ drafts: [] });
      return wasAsking;
    },
    chooseScale: (scale) => {
      board.choose({ scale });
      const subject = subjectOf(board);
      if (subject === null || subject.entity === null) {
        return;
      }
      if (last !== null && last.entity === subject.entity && last.asked.points.length === subject.asked.points.length) {
        accept(subject.entity, last.asked, last.answers);
      } else {
        ask(subject);
      }
    },
  };
}

/**
 * The answers, the wanted one first: of the chosen scale, or the best rated.
 *
 * @param {readonly Answer[]} answers
 * @param {Pick<Options, "scale">} options
 * @returns {Answer[]}
 */
export function ranked(answers, { scale }) {
  const wanted = (/** @type {Answer} */ answer) => (answer.scale === scale ? 1 : 0);
  return [...answers].sort((one, other) => wanted(other) - wanted(one) || other.score - one.score);
}

/** @type {(pointer: Pointer, options: Options) => Options["click"]} */
function meaning({ shift, alt, button, eraser }, options) {
  if (alt || button === 2 || eraser) {
    return "remove";
  }
  return shift ? "add" : options.click;
}

/**
 * The selected entity with what was asked for it, or null where no entity that was found by clicks is selected.
 *
 * @type {(board: Board) => Subject | null}
 */
function subjectOf({ state }) {
  const [id, ...others] = state.selection.entities;
  const entity = state.document.entities.find((candidate) => candidate.id === id);
  if (entity?.prompts === undefined || others.length > 0) {
    return null;
  }
  const { points, box } = entity.prompts;
  return { entity: entity.id, asked: box === undefined ? { points } : { points, box } };
}

/** @type {(board: Board) => import("../scene.js").Draft[]} */
function subjectDrafts(board) {
  const subject = subjectOf(board);
  return subject === null ? [] : [{ kind: "clicks", ...subject.asked }];
}

/** @type {(asked: Asked, options: Options) => Prompts} */
function promptsOf(asked, { scale }) {
  const isScale = SCALES.some((name) => name === scale);
  return isScale ? { ...asked, scale: /** @type {Scale} */ (scale) } : { ...asked };
}

/** @type {(at: Vector, label: 0 | 1) => Click} */
function click([x, y], label) {
  return { x: Math.round(x * 10) / 10, y: Math.round(y * 10) / 10, label };
}

/** @type {(board: Board, at: Vector) => boolean} */
function isInside(board, at) {
  return onCanvas(at, board.state.document.size);
}

/**
 * The part of a box that is on the canvas, in whole tenths; null where there is none.
 *
 * @type {(box: import("../document.js").Box, size: import("../document.js").Size) =>
 *   import("../document.js").Box | null}
 */
function clipped(box, size) {
  const tenth = (/** @type {number} */ value) => Math.round(value * 10) / 10;
  const [left, top] = [Math.max(box.x, 0), Math.max(box.y, 0)];
  const right = Math.min(box.x + box.width, size.width - 1);
  const bottom = Math.min(box.y + box.height, size.height - 1);
  if (!(right - left >= 1 && bottom - top >= 1)) {
    return null;
  }
  return { x: tenth(left), y: tenth(top), width: tenth(right - left), height: tenth(bottom - top) };
}
