/**
 * The editor's state and the pure function that takes it from one action to the next. Nothing is changed in place; an
 * impossible action changes nothing and `refusal` says why.
 */

import { clipOf, clipboardEdits } from "./actions/clipboard.js";
import { entityEdits } from "./actions/entities.js";
import { pathEdits } from "./actions/paths.js";
import { pointEdits } from "./actions/points.js";
import { NOTHING, combined, everything, fitting } from "./actions/selection.js";
import { Refusal } from "./actions/targets.js";
import { timingEdits } from "./actions/timing.js";
import { documentEdits } from "./actions/whole_document.js";
import { sameJson } from "./document.js";
import { DocumentError } from "./document_validation.js";
import { speaker } from "./strings.js";

/** @typedef {import("./document.js").DocumentFormat} DocumentFormat */
/** @typedef {import("./document.js").MotionDocument} MotionDocument */
/** @typedef {import("./actions/selection.js").Selection} Selection */
/** @typedef {import("./actions/selection.js").SelectionMode} SelectionMode */
/** @typedef {import("./actions/targets.js").Change} Change */
/** @typedef {import("./actions/targets.js").Context} Context */
/** @typedef {import("./strings.js").Say} Say */

/**
 * A document as it was, with what was selected then: numbers of paths mean something only together with it.
 *
 * @typedef {object} Moment
 * @property {MotionDocument} document
 * @property {Selection} selection
 */

/**
 * From pointer down to pointer up: one step of the history. `origin` is the document before the moves that go on.
 *
 * @typedef {object} Gesture
 * @property {Moment} before
 * @property {MotionDocument | null} origin
 */

/**
 * @typedef {object} State
 * @property {MotionDocument} document
 * @property {Selection} selection
 * @property {readonly Moment[]} past the last one is what undo restores
 * @property {readonly Moment[]} future the last one is what redo restores
 * @property {Gesture | null} gesture
 * @property {MotionDocument | null} clip what was copied last
 * @property {string | null} refusal why the last action changed nothing
 */

/** @typedef {import("./actions/entities.js").EntityAction} EntityAction */
/** @typedef {import("./actions/paths.js").PathAction} PathAction */
/** @typedef {import("./actions/points.js").PointAction} PointAction */
/** @typedef {import("./actions/timing.js").TimingAction} TimingAction */
/** @typedef {import("./actions/whole_document.js").DocumentAction} DocumentAction */
/** @typedef {import("./actions/clipboard.js").Paste} Paste */
/** @typedef {EntityAction | PathAction | PointAction | TimingAction | DocumentAction | Paste} Edit */
/**
 * Replaces the selection where no mode is given.
 *
 * @typedef {{type: "select", selection: Partial<Selection>, mode?: SelectionMode}} Select
 */
/** @typedef {{type: "select_all"} | {type: "copy"}} OfSelection */
/** @typedef {{type: "begin_gesture"} | {type: "end_gesture"} | {type: "cancel_gesture"}} OfGesture */
/** @typedef {{type: "undo"} | {type: "redo"}} OfHistory an open gesture is ended first */
/** @typedef {Edit | Select | OfSelection | OfGesture | OfHistory} Action */
/** @typedef {(state: State, action: Action) => State} Reducer */

export const HISTORY_LIMIT = 500; // steps; they share what they have in common, so each costs what it changed

/** @type {Record<string, (document: MotionDocument, action: any, context: Context) => Change>} */
const EDITS = {
  ...entityEdits,
  ...pathEdits,
  ...pointEdits,
  ...timingEdits,
  ...documentEdits,
  ...clipboardEdits,
};

/**
 * The state in which an editor opens with a document.
 *
 * @param {MotionDocument} document as the format's parse or empty returns it
 * @returns {State}
 */
export function initialState(document) {
  return { document, selection: NOTHING, past: [], future: [], gesture: null, clip: null, refusal: null };
}

/**
 * The reducer for documents of a format.
 *
 * @param {DocumentFormat} format
 * @param {Say} [say] in whose words refusals are; English where none is given
 * @returns {Reducer}
 */
export function createReducer(format, say = speaker()) {
  return (state, action) => {
    try {
      return accepted(reduced(state, action, format));
    } catch (error) {
      if (error instanceof Refusal) {
        return { ...state, refusal: say(error.key, error.values) };
      }
      if (error instanceof DocumentError) {
        return { ...state, refusal: error.message };
      }
      throw error;
    }
  };
}

/** @type {(state: State, action: Action, format: DocumentFormat) => State} */
function reduced(state, action, format) {
  switch (action.type) {
    case "select":
      return withSelection(state, combined(state.selection, action.selection, action.mode ?? "replace"));
    case "select_all":
      return withSelection(state, everything(state.document));
    case "copy":
      return { ...state, clip: clipOf(state.document, state.selection, format) };
    case "begin_gesture":
      return { ...endedGesture(state), gesture: { before: momentOf(state), origin: null } };
    case "end_gesture":
      return endedGesture(state);
    case "cancel_gesture":
      return state.gesture === null ? state : { ...state, ...state.gesture.before, gesture: null };
    case "undo":
      return travelled(endedGesture(state), "past", "future");
    case "redo":
      return travelled(endedGesture(state), "future", "past");
    default:
      return edited(state, action, format);
  }
}

/** @type {(state: State, action: Edit, format: DocumentFormat) => State} */
function edited(state, action, format) {
  if (!Object.hasOwn(EDITS, action.type)) {
    throw new Refusal("noAction", { type: action.type });
  }
  const origin = (action.type === "move_selection" && state.gesture?.origin) || state.document;
  const context = { format, selection: state.selection, clip: state.clip, origin };
  const change = EDITS[action.type](state.document, action, context);
  const completed = format.completed(change.document);
  // The same document by another way is no step of the history.
  const document = sameJson(completed, state.document) ? state.document : completed;
  const selection = fitting(change.selection ?? state.selection, document);
  const next = { ...state, document, selection };
  if (state.gesture !== null) {
    return { ...next, gesture: { ...state.gesture, origin: action.type === "move_selection" ? origin : null } };
  }
  return document === state.document ? next : withStep(next, momentOf(state));
}

/**
 * A selection ends the moves that went on: what is moved next starts where it is now.
 *
 * @type {(state: State, selection: Selection) => State}
 */
function withSelection(state, selection) {
  const gesture = state.gesture && { ...state.gesture, origin: null };
  return { ...state, gesture, selection: fitting(selection, state.document) };
}

/** @type {(state: State) => State} */
function endedGesture(state) {
  if (state.gesture === null) {
    return state;
  }
  const { before } = state.gesture;
  const ended = { ...state, gesture: null };
  if (sameJson(before.document, state.document)) {
    return { ...ended, document: before.document };
  }
  return withStep(ended, before);
}

/** @type {(state: State, before: Moment) => State} */
function withStep(state, before) {
  return { ...state, past: [...state.past, before].slice(-HISTORY_LIMIT), future: [] };
}

/**
 * One step through the history.
 *
 * @type {(state: State, from: "past" | "future", to: "past" | "future") => State}
 */
function travelled(state, from, to) {
  const moment = state[from].at(-1);
  if (moment === undefined) {
    throw new Refusal(from === "past" ? "nothingToUndo" : "nothingToRedo");
  }
  return { ...state, ...moment, [from]: state[from].slice(0, -1), [to]: [...state[to], momentOf(state)] };
}

/** @type {(state: State) => Moment} */
function momentOf({ document, selection }) {
  return { document, selection };
}

/** @type {(state: State) => State} */
function accepted(state) {
  return state.refusal === null ? state : { ...state, refusal: null };
}
