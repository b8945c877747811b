/** Play, frames, scrub bar. */

import { button, element, set } from "../dom.js";
import { ICONS } from "../icons.js";
import { keysText } from "../keyboard.js";
import { checkField } from "./fields.js";

/** @typedef {import("../editor.js").TrajectoryEditor} TrajectoryEditor */
/** @typedef {import("../layout.js").Panel} Panel */

/**
 * @param {TrajectoryEditor} editor
 * @returns {Panel}
 */
export function transport(editor) {
  const { t } = editor;
  /** @type {(command: string, label: import("../strings.js").Key, sign: string) => HTMLButtonElement} */
  const commandButton = (command, label, sign) => {
    const press = () => {
      editor.run(command);
      editor.focus();
    };
    const made = button({ label: t(label), sign, keys: keysText(command, false), press });
    made.dataset.command = command;
    return made;
  };
  const play = commandButton("play", "play", ICONS.play);
  const pause = commandButton("play", "pause", ICONS.pause);
  const scrub = element("input", { type: "range", class: "da-scrub", min: "0", step: "1", "aria-label": t("scrub") });
  scrub.addEventListener("input", () => editor.player.goTo(Number(scrub.value)));
  scrub.addEventListener("change", () => editor.focus());
  const number = element("output", { class: "da-frame" });
  const cutouts = checkField({
    label: t("cutouts"),
    hint: t("cutoutsHint"),
    change: (isWanted) => {
      editor.player.useCutouts(isWanted);
      editor.focus();
    },
  });
  const bar = element(
    "div",
    { class: "da-bar da-transport" },
    commandButton("frame:first", "frameFirst", ICONS.first),
    commandButton("frame:-1", "frameBefore", ICONS.before),
    play,
    pause,
    commandButton("frame:1", "frameAfter", ICONS.after),
    commandButton("frame:last", "frameLast", ICONS.last),
    scrub,
    number,
    cutouts.element,
  );
  return {
    element: bar,
    update: () => {
      const { frame, playing, document } = editor.scene;
      const shown = Math.round(frame);
      set(play, "hidden", playing);
      set(pause, "hidden", !playing);
      set(scrub, "max", String(document.frames - 1));
      set(scrub, "value", String(shown));
      set(number, "textContent", `${shown + 1} / ${document.frames}`);
      const spoken = t("frameNumber", { frame: shown + 1, frames: document.frames });
      if (scrub.getAttribute("aria-valuetext") !== spoken) {
        scrub.setAttribute("aria-valuetext", spoken);
      }
      cutouts.show(editor.player.usesCutouts());
    },
  };
}
