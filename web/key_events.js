/** Key presses within an editor, as commands. None goes on to the page around, but those that are for it. */

import { commandOf, isForThePage } from "./keyboard.js";

/** @typedef {import("./editor.js").TrajectoryEditor} TrajectoryEditor */

const BY_CLIPBOARD = ["copy", "cut", "paste"]; // they come as events of the clipboard, which bring the text along

/** @param {TrajectoryEditor} editor */
export function listenToKeys(editor) {
  const { element: root } = editor;
  root.addEventListener("keydown", (event) => pressed(editor, event));
  root.addEventListener("keyup", (event) => released(editor, event));
  root.addEventListener("contextmenu", (event) => {
    if (!isTyping(event.target)) {
      event.preventDefault();
    }
  });
  // Nothing that is pressed in here is for the page around: it would drag the node, or open its menu.
  for (const name of ["pointerdown", "mousedown", "click", "dblclick", "contextmenu"]) {
    root.addEventListener(name, (event) => event.stopPropagation());
  }
}

/** @type {(editor: TrajectoryEditor, event: KeyboardEvent) => void} */
function pressed(editor, event) {
  if (isForThePage(event)) {
    return;
  }
  event.stopPropagation();
  const command = isTyping(event.target) ? null : commandOf(event);
  editor.keyTaken?.(event);
  if (command === null || BY_CLIPBOARD.includes(command) || (isPress(event) && isButton(event.target))) {
    return;
  }
  event.preventDefault();
  if (command !== "play") {
    editor.run(command);
  } else if (!event.repeat) {
    editor.interaction.holdSpace(true);
  }
}

/**
 * The space bar plays when it is let go, unless the view was moved while it was held.
 *
 * @type {(editor: TrajectoryEditor, event: KeyboardEvent) => void}
 */
function released(editor, event) {
  event.stopPropagation();
  const isPlay = event.key === " " && !isTyping(event.target) && !isButton(event.target);
  if (isPlay && !editor.interaction.holdSpace(false)) {
    editor.run("play");
  }
}

/** @type {(event: KeyboardEvent) => boolean} */
function isPress({ key }) {
  return key === " " || key === "Enter";
}

/** @type {(target: EventTarget | null) => boolean} */
function isButton(target) {
  return target instanceof HTMLElement && target.matches("button, summary, input[type=checkbox]");
}

/** @type {(target: EventTarget | null) => boolean} */
function isTyping(target) {
  return target instanceof HTMLElement && target.matches("input:not([type=range], [type=checkbox]), textarea, select");
}
