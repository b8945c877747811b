/** In which frames a line's disc is seen: a strip of frames, dragged over to hide or show them. */

import { chosenPaths } from "../commands.js";
import { element } from "../dom.js";
import { frameTimes, spanOfFrames } from "../easing.js";

/** @typedef {import("../editor.js").TrajectoryEditor} TrajectoryEditor */
/** @typedef {import("../document.js").MotionPath} MotionPath */

const NEARLY = 1e-9;

/**
 * @param {TrajectoryEditor} editor
 * @returns {import("./line.js").Part}
 */
export function spansField(editor) {
  const strip = element("div", { class: "da-spans", role: "group", tabIndex: 0 });
  const { t } = editor;
  strip.setAttribute("aria-label", `${t("visible")}. ${t("visibleHint")}`);
  strip.title = t("visibleHint");
  /** @type {{from: number, to: number, shows: boolean} | null} */
  let dragged = null;
  /** @type {readonly MotionPath[]} */
  let paths = [];

  const count = () => editor.scene.document.frames;
  /** @type {(event: PointerEvent) => number} */
  const frameOf = (event) => {
    const { left, width } = strip.getBoundingClientRect();
    return Math.min(Math.max(Math.floor(((event.clientX - left) / width) * count()), 0), count() - 1);
  };
  const draw = () => {
    const seen = framesSeen(paths, count());
    if (dragged !== null) {
      const [first, last] = [Math.min(dragged.from, dragged.to), Math.max(dragged.from, dragged.to)];
      seen.fill(dragged.shows, first, last + 1);
    }
    const runs = runsOf(seen);
    strip.replaceChildren(
      ...runs.map(({ length, shows }) => {
        const part = element("span", { class: shows ? "da-seen" : "da-unseen" });
        part.style.flexGrow = String(length);
        return part;
      }),
    );
  };

  strip.addEventListener("pointerdown", (event) => {
    event.stopPropagation();
    strip.setPointerCapture(event.pointerId);
    const frame = frameOf(event);
    dragged = { from: frame, to: frame, shows: !framesSeen(paths, count())[frame] };
    draw();
  });
  strip.addEventListener("pointermove", (event) => {
    if (dragged !== null) {
      dragged.to = frameOf(event);
      draw();
    }
  });
  strip.addEventListener("pointerup", () => {
    if (dragged !== null) {
      const { from, to, shows } = dragged;
      dragged = null;
      apply(editor, Math.min(from, to), Math.max(from, to), shows);
      editor.focus();
    }
  });
  strip.addEventListener("pointercancel", () => {
    dragged = null;
    draw();
  });
  return {
    element: element("div", { class: "da-field" }, element("span", {}, t("visible")), strip),
    update: (chosen) => {
      paths = chosen;
      draw();
    },
  };
}

/**
 * In which frames all of some paths are seen.
 *
 * @param {readonly MotionPath[]} paths
 * @param {number} frames
 * @returns {boolean[]}
 */
export function framesSeen(paths, frames) {
  return frameTimes(frames).map((time) =>
    paths.every(({ visible }) => visible.some(([from, to]) => time >= from - NEARLY && time <= to + NEARLY)),
  );
}

/** @type {(editor: TrajectoryEditor, first: number, last: number, shows: boolean) => void} */
function apply(editor, first, last, shows) {
  const [from, to] = spanOfFrames(first, last, editor.scene.document.frames);
  editor.dispatch({ type: "begin_gesture" });
  for (const path of chosenPaths(editor)) {
    editor.dispatch({ type: shows ? "show_span" : "hide_span", path, from, to });
  }
  editor.dispatch({ type: "end_gesture" });
}

/** @type {(seen: readonly boolean[]) => {length: number, shows: boolean}[]} */
function runsOf(seen) {
  /** @type {{length: number, shows: boolean}[]} */
  const runs = [];
  for (const shows of seen) {
    const last = runs.at(-1);
    if (last?.shows === shows) {
      last.length += 1;
    } else {
      runs.push({ length: 1, shows });
    }
  }
  return runs;
}
