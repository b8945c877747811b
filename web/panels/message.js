/** A line under the picture for hints and errors, its place kept free; read out by screen readers. */

import { element } from "../dom.js";

/** @typedef {import("../editor.js").TrajectoryEditor} TrajectoryEditor */

/**
 * `topic` names what a message is about, so that it can be taken back. An error stays until it is closed.
 *
 * @typedef {object} MessageLine
 * @property {HTMLElement} element
 * @property {(text: string, kind: "hint" | "error", topic: string) => void} show
 * @property {(topic: string) => void} clear
 */

const HINT_STAYS = 5000; // ms

/**
 * @param {TrajectoryEditor} editor
 * @returns {MessageLine}
 */
export function messageLine(editor) {
  const text = element("span", { class: "da-message-text" });
  const close = element("button", { type: "button", class: "da-message-close", "aria-label": editor.t("close") }, "×");
  const line = element("div", { class: "da-message", role: "status", hidden: true }, text, close);
  let shown = "";
  let timer = 0;
  const hide = () => {
    clearTimeout(timer);
    line.hidden = true;
    shown = "";
  };
  close.addEventListener("click", hide);
  return {
    element: line,
    show: (message, kind, topic) => {
      clearTimeout(timer);
      text.textContent = message;
      line.classList.toggle("da-error", kind === "error");
      line.hidden = false;
      shown = topic;
      if (kind === "hint") {
        timer = window.setTimeout(hide, HINT_STAYS);
      }
    },
    clear: (topic) => {
      if (shown === topic) {
        hide();
      }
    },
  };
}
