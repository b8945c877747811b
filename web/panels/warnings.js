/** What the user should know before generating; a click shows where it is. */

import { element } from "../dom.js";
import { section } from "./fields.js";

/** @typedef {import("../editor.js").TrajectoryEditor} TrajectoryEditor */
/** @typedef {import("../layout.js").Panel} Panel */
/** @typedef {import("../warnings.js").Warning} Warning */

/**
 * @param {TrajectoryEditor} editor
 * @returns {Panel}
 */
export function warningsPanel(editor) {
  const list = element("ul", { class: "da-warnings" });
  const whole = section(editor.t("warnings"), [list]);
  whole.hidden = true;
  /** @type {readonly Warning[]} */
  let shown = [];
  return {
    element: whole,
    update: () => {
      const { warnings } = editor.scene;
      if (warnings === shown) {
        return;
      }
      shown = warnings;
      whole.hidden = warnings.length === 0;
      whole.querySelector("summary")?.replaceChildren(`${editor.t("warnings")} (${warnings.length})`);
      list.replaceChildren(
        ...warnings.map((warning) => {
          const press = () => show(editor, warning);
          return element("li", {}, element("button", { type: "button", onclick: press }, warning.message));
        }),
      );
    },
  };
}

/** @type {(editor: TrajectoryEditor, warning: Warning) => void} */
function show(editor, { entity, path, frame }) {
  const ofEntity = entity === null ? {} : { entities: [entity] };
  editor.dispatch({ type: "select", selection: path === null ? ofEntity : { paths: [path] } });
  editor.player.goTo(frame);
  editor.focus();
}
