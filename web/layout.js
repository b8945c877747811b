/** The editor's parts on the page: toolbar, canvas, settings, transport. */

import { element } from "./dom.js";
import { cameraPanel } from "./panels/camera.js";
import { clipPanel } from "./panels/clip.js";
import { entitiesPanel } from "./panels/entities.js";
import { helpPanel } from "./panels/help.js";
import { linePanel } from "./panels/line.js";
import { messageLine } from "./panels/message.js";
import { toolOptions } from "./panels/tool_options.js";
import { toolbar } from "./panels/toolbar.js";
import { transport } from "./panels/transport.js";
import { warningsPanel } from "./panels/warnings.js";

/** @typedef {import("./editor.js").TrajectoryEditor} TrajectoryEditor */

/**
 * A part of the page that shows what the editor's state is. `update` is called once for each drawn frame.
 *
 * @typedef {object} Panel
 * @property {HTMLElement} element
 * @property {() => void} update
 */

/**
 * @typedef {object} Layout
 * @property {HTMLElement} element
 * @property {() => void} update
 * @property {import("./panels/message.js").MessageLine} message
 * @property {import("./panels/help.js").Help} help
 * @property {() => void} toggleSettings
 */

/**
 * @param {TrajectoryEditor} editor
 * @returns {Layout}
 */
export function layOut(editor) {
  const message = messageLine(editor);
  const help = helpPanel(editor);
  const settings = [
    entitiesPanel(editor),
    linePanel(editor),
    warningsPanel(editor),
    cameraPanel(editor),
    clipPanel(editor),
  ];
  const side = element("div", { class: "da-side" }, ...settings.map((panel) => panel.element));
  const stage = element("div", { class: "da-stage" }, editor.canvas);
  const toggleSettings = () => root.classList.toggle("da-no-side");
  const bars = [toolbar(editor, toggleSettings), toolOptions(editor), transport(editor)];
  const [tools, options, time] = bars.map((bar) => bar.element);
  const root = element(
    "div",
    { class: "da-editor", role: "region", "aria-label": editor.t("editor"), tabIndex: -1 },
    tools,
    options,
    element("div", { class: "da-middle" }, stage, side),
    element("div", { class: "da-messages" }, message.element),
    time,
    help.element,
  );
  root.setAttribute("data-testid", "draganything-editor");
  root.setAttribute("data-capture-wheel", "true"); // ComfyUI then leaves the wheel to what has the focus
  return {
    element: root,
    update: () => {
      root.classList.toggle("da-light", !editor.scene.theme.dark);
      bars.forEach((bar) => bar.update());
      // While something is dragged nobody reads the settings, and they would cost more than the drawing.
      if (editor.state.gesture === null) {
        settings.forEach((panel) => panel.update());
      }
    },
    message,
    help,
    toggleSettings,
  };
}
