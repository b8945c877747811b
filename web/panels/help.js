/** The list of keys and gestures that "?" shows. */

import { button, element } from "../dom.js";
import { GESTURES, SHORTCUTS, keysText } from "../keyboard.js";

/** @typedef {import("../editor.js").TrajectoryEditor} TrajectoryEditor */

/**
 * @typedef {object} Help
 * @property {HTMLElement} element
 * @property {() => void} toggle
 * @property {() => boolean} isOpen
 */

const GROUPS = /** @type {const} */ ([
  ["tools", "helpTools"],
  ["edit", "helpEdit"],
  ["time", "helpTime"],
  ["view", "helpView"],
]);

/**
 * @param {TrajectoryEditor} editor
 * @returns {Help}
 */
export function helpPanel(editor) {
  const isMac = /Mac|iP(hone|ad)/.test(navigator.userAgent);
  const toggle = () => {
    sheet.hidden = !sheet.hidden;
    if (sheet.hidden) {
      editor.focus();
    } else {
      close.focus();
    }
  };
  const close = button({ label: editor.t("close"), text: "×", press: () => toggle(), class: "da-help-close" });
  const groups = GROUPS.map(([group, title]) =>
    element("section", {}, element("h3", {}, editor.t(title)), element("dl", {}, ...rows(editor, group, isMac))),
  );
  const mouse = element(
    "section",
    {},
    element("h3", {}, editor.t("helpMouse")),
    element("ul", {}, ...GESTURES.map((key) => element("li", {}, editor.t(key)))),
  );
  const sheet = element(
    "div",
    { class: "da-help", role: "dialog", "aria-label": editor.t("help"), hidden: true },
    close,
    element("div", { class: "da-help-columns" }, ...groups, mouse),
  );
  return { element: sheet, toggle, isOpen: () => !sheet.hidden };
}

/**
 * One row for each text; commands that say the same share theirs.
 *
 * @type {(editor: TrajectoryEditor, group: string, isMac: boolean) => HTMLElement[]}
 */
function rows(editor, group, isMac) {
  /** @type {Map<string, string[]>} */
  const keys = new Map();
  for (const { command, says } of SHORTCUTS.filter((shortcut) => shortcut.group === group)) {
    const text = editor.t(says);
    keys.set(text, [...(keys.get(text) ?? []), keysText(command, isMac)]);
  }
  return [...keys].flatMap(([text, names]) => [
    element("dt", {}, ...names.flatMap((name) => name.split(" / ")).map((name) => element("kbd", {}, name))),
    element("dd", {}, text),
  ]);
}
