/** Tools, history, view. */

import { button, element, set } from "../dom.js";
import { ICONS } from "../icons.js";
import { keysText } from "../keyboard.js";
import { TOOLS } from "../tools/toolbox.js";

/** @typedef {import("../editor.js").TrajectoryEditor} TrajectoryEditor */
/** @typedef {import("../layout.js").Panel} Panel */

const TOOL_TEXTS = /** @type {const} */ ({
  select: "toolSelect",
  segment: "toolSegment",
  freehand: "toolFreehand",
  line: "toolLine",
  pin: "toolPin",
  brush: "toolBrush",
  erase: "toolErase",
  camera: "toolCamera",
  pan: "toolPan",
});

/**
 * @param {TrajectoryEditor} editor
 * @param {() => void} toggleSettings
 * @returns {Panel}
 */
export function toolbar(editor, toggleSettings) {
  const isMac = /Mac|iP(hone|ad)/.test(navigator.userAgent);
  /** @type {(command: string, label: import("../strings.js").Key, sign: string) => HTMLButtonElement} */
  const commandButton = (command, label, sign) => {
    const press = () => {
      editor.run(command);
      editor.focus();
    };
    const made = button({ label: editor.t(label), sign, keys: keysText(command, isMac), press });
    made.dataset.command = command;
    return made;
  };
  const tools = TOOLS.map((name) => {
    const made = commandButton(`tool:${name}`, TOOL_TEXTS[name], ICONS[name]);
    return { name, made };
  });
  const undo = commandButton("undo", "undo", ICONS.undo);
  const redo = commandButton("redo", "redo", ICONS.redo);
  const remove = commandButton("delete", "deleteSelected", ICONS.remove);
  const scale = element("button", { type: "button", class: "da-button da-scale", title: editor.t("actualSize") });
  scale.addEventListener("click", () => editor.run("actual_size"));
  const bar = element(
    "div",
    { class: "da-bar da-toolbar", role: "toolbar", "aria-label": editor.t("tools") },
    ...tools.map(({ made }) => made),
    element("span", { class: "da-gap" }),
    undo,
    redo,
    remove,
    element("span", { class: "da-space" }),
    scale,
    commandButton("fit", "fit", ICONS.fit),
    commandButton("full_screen", "fullScreen", ICONS.full),
    button({ label: editor.t("panels"), sign: ICONS.panels, press: toggleSettings }),
    commandButton("help", "help", ICONS.help),
  );
  return {
    element: bar,
    update: () => {
      for (const { name, made } of tools) {
        made.setAttribute("aria-pressed", String(editor.scene.tool === name));
      }
      set(undo, "disabled", editor.state.past.length === 0);
      set(redo, "disabled", editor.state.future.length === 0);
      const { points, paths, entities } = editor.state.selection;
      set(remove, "disabled", points.length + paths.length + entities.length === 0);
      set(scale, "textContent", `${Math.round(editor.scene.viewport.scale * 100)} %`);
    },
  };
}
