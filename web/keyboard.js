/** What the keys do. One table for the keyboard itself and for the list that the user sees on "?". */

/** @typedef {import("./strings.js").Key} StringKey */

/**
 * One command and its keys. A key is what KeyboardEvent.key says, letters in lower case; "Ctrl+" also stands for the
 * command key. `hold`: while the key is held down.
 *
 * @typedef {object} Shortcut
 * @property {string} command
 * @property {readonly string[]} keys
 * @property {StringKey} says
 * @property {"tools" | "edit" | "time" | "view"} group
 */

/** @type {readonly Shortcut[]} */
export const SHORTCUTS = [
  { command: "tool:select", keys: ["v"], says: "toolSelect", group: "tools" },
  { command: "tool:segment", keys: ["s"], says: "toolSegment", group: "tools" },
  { command: "tool:freehand", keys: ["d"], says: "toolFreehand", group: "tools" },
  { command: "tool:line", keys: ["p"], says: "toolLine", group: "tools" },
  { command: "tool:pin", keys: ["n"], says: "toolPin", group: "tools" },
  { command: "tool:brush", keys: ["b"], says: "toolBrush", group: "tools" },
  { command: "tool:erase", keys: ["e"], says: "toolErase", group: "tools" },
  { command: "tool:camera", keys: ["c"], says: "toolCamera", group: "tools" },
  { command: "tool:pan", keys: ["h"], says: "toolPan", group: "tools" },
  { command: "brush_smaller", keys: ["["], says: "brushSmaller", group: "tools" },
  { command: "brush_larger", keys: ["]"], says: "brushLarger", group: "tools" },
  { command: "finish", keys: ["Enter"], says: "finish", group: "tools" },
  { command: "leave", keys: ["Escape"], says: "leave", group: "tools" },
  { command: "undo", keys: ["Ctrl+z"], says: "undo", group: "edit" },
  { command: "redo", keys: ["Ctrl+Shift+z", "Ctrl+y"], says: "redo", group: "edit" },
  { command: "delete", keys: ["Delete", "Backspace"], says: "deleteSelected", group: "edit" },
  { command: "copy", keys: ["Ctrl+c"], says: "copy", group: "edit" },
  { command: "cut", keys: ["Ctrl+x"], says: "cut", group: "edit" },
  { command: "paste", keys: ["Ctrl+v"], says: "paste", group: "edit" },
  { command: "duplicate", keys: ["Ctrl+d"], says: "duplicate", group: "edit" },
  { command: "select_all", keys: ["Ctrl+a"], says: "selectAll", group: "edit" },
  { command: "reverse", keys: ["r"], says: "reverseHint", group: "edit" },
  { command: "lock", keys: ["l"], says: "lock", group: "edit" },
  { command: "nudge:-1,0", keys: ["ArrowLeft"], says: "nudge", group: "edit" },
  { command: "nudge:1,0", keys: ["ArrowRight"], says: "nudge", group: "edit" },
  { command: "nudge:0,-1", keys: ["ArrowUp"], says: "nudge", group: "edit" },
  { command: "nudge:0,1", keys: ["ArrowDown"], says: "nudge", group: "edit" },
  { command: "nudge:-10,0", keys: ["Shift+ArrowLeft"], says: "nudgeFar", group: "edit" },
  { command: "nudge:10,0", keys: ["Shift+ArrowRight"], says: "nudgeFar", group: "edit" },
  { command: "nudge:0,-10", keys: ["Shift+ArrowUp"], says: "nudgeFar", group: "edit" },
  { command: "nudge:0,10", keys: ["Shift+ArrowDown"], says: "nudgeFar", group: "edit" },
  { command: "play", keys: [" "], says: "play", group: "time" },
  { command: "frame:-1", keys: [","], says: "frameBefore", group: "time" },
  { command: "frame:1", keys: ["."], says: "frameAfter", group: "time" },
  { command: "frame:first", keys: ["Home"], says: "frameFirst", group: "time" },
  { command: "frame:last", keys: ["End"], says: "frameLast", group: "time" },
  { command: "fit", keys: ["f", "0"], says: "fit", group: "view" },
  { command: "actual_size", keys: ["1"], says: "actualSize", group: "view" },
  { command: "zoom_in", keys: ["+", "="], says: "zoomIn", group: "view" },
  { command: "zoom_out", keys: ["-"], says: "zoomOut", group: "view" },
  { command: "full_screen", keys: ["Shift+f"], says: "fullScreen", group: "view" },
  { command: "help", keys: ["?"], says: "help", group: "view" },
];

/** What the mouse does, for the same list. Keys first, then what is done with them. */
export const GESTURES = /** @type {const} */ ([
  "gestureDrag",
  "gestureShiftDrag",
  "gestureBox",
  "gestureInsert",
  "gestureRemove",
  "gestureToggle",
  "gestureHandles",
  "gestureSegment",
  "gesturePan",
  "gestureWheel",
]);

/**
 * @typedef {object} Press what a KeyboardEvent says
 * @property {string} key
 * @property {boolean} ctrlKey
 * @property {boolean} metaKey
 * @property {boolean} shiftKey
 * @property {boolean} altKey
 */

/**
 * The command for a press, or null. Signs such as "?" are named by themselves, whatever keys make them on the user's
 * keyboard; letters and named keys count Shift.
 *
 * @param {Press} press
 * @returns {string | null}
 */
export function commandOf({ key, ctrlKey, metaKey, shiftKey, altKey }) {
  if (altKey) {
    return null;
  }
  const isSign = key.length === 1 && key.toLowerCase() === key.toUpperCase();
  const shift = shiftKey && !isSign ? "Shift+" : "";
  const name = (ctrlKey || metaKey ? "Ctrl+" : "") + shift + (key.length === 1 ? key.toLowerCase() : key);
  return SHORTCUTS.find(({ keys }) => keys.includes(name))?.command ?? null;
}

/**
 * Whether a press is for the page around the editor: queueing, saving, reloading, leaving by Tab. Everything else stays
 * in the editor, used or not, so that no shortcut of the page is set off by accident.
 *
 * @param {Press} press
 * @returns {boolean}
 */
export function isForThePage({ key, ctrlKey, metaKey }) {
  const isQueueOrFile = (ctrlKey || metaKey) && ["Enter", "s", "o", "r"].includes(key);
  return isQueueOrFile || key === "Tab" || /^F\d+$/.test(key);
}

/**
 * How a command's keys are written in lists and tooltips.
 *
 * @param {string} command
 * @param {boolean} isMac
 * @returns {string}
 */
export function keysText(command, isMac) {
  const keys = SHORTCUTS.find((shortcut) => shortcut.command === command)?.keys ?? [];
  return keys.map((key) => shownKey(key, isMac)).join(" / ");
}

/** @type {(key: string, isMac: boolean) => string} */
function shownKey(key, isMac) {
  /** @type {Record<string, string>} */
  const names = { " ": "Space", ArrowLeft: "←", ArrowRight: "→", ArrowUp: "↑", ArrowDown: "↓", Escape: "Esc" };
  const parts = key === "+" ? ["+"] : key.split("+");
  const shown = parts.map((part) => {
    if (part === "Ctrl" && isMac) {
      return "⌘";
    }
    return names[part] ?? (part.length === 1 ? part.toUpperCase() : part);
  });
  return shown.join("+");
}
