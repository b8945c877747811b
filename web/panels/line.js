/** How the selected lines move: kind, pace, times, which frames they are seen in, how large their discs are. */

import { chosenPaths } from "../commands.js";
import { button, element } from "../dom.js";
import { CUBIC_BEZIERS, frameTimes } from "../easing.js";
import { checkField, choiceField, numberField, section, shared, textField } from "./fields.js";
import { spansField } from "./spans.js";
import { curveChoices } from "./tool_options.js";

/** @typedef {import("../editor.js").TrajectoryEditor} TrajectoryEditor */
/** @typedef {import("../actions/paths.js").PathChanges} PathChanges */
/** @typedef {import("../document.js").Easing} Easing */
/** @typedef {import("../document.js").MotionPath} MotionPath */
/** @typedef {import("../layout.js").Panel} Panel */
/** @typedef {{element: HTMLElement, update: (paths: readonly MotionPath[]) => void}} Part */

const SIMPLER = 1; // px that a simplified line may be off

/**
 * @param {TrajectoryEditor} editor
 * @returns {Panel}
 */
export function linePanel(editor) {
  const { t } = editor;
  const parts = [nameAndKind(editor), paceFields(editor), placeFields(editor), radiusKeys(editor), spansField(editor)];
  const fields = element("div", { class: "da-fields" }, ...parts.map((part) => part.element));
  const nothing = element("p", { class: "da-note" }, t("noSelection"));
  const whole = section(t("line"), [nothing, fields]);
  /** @type {readonly unknown[]} */
  let shown = [];
  return {
    element: whole,
    update: () => {
      const { document, selection } = editor.state;
      const key = [document, selection, Math.round(editor.scene.frame), editor.givenFrames];
      if (key.every((part, index) => part === shown[index])) {
        return;
      }
      shown = key;
      const numbers = chosenPaths(editor);
      const paths = numbers.map((number) => document.paths[number]);
      nothing.hidden = paths.length > 0;
      fields.hidden = paths.length === 0;
      const title = paths.length > 1 ? t("lines", { count: paths.length }) : t("line");
      whole.querySelector("summary")?.replaceChildren(title);
      if (paths.length > 0) {
        parts.forEach((part) => part.update(paths));
      }
    },
  };
}

/** @type {(editor: TrajectoryEditor, changes: PathChanges) => void} */
function change(editor, changes) {
  editor.dispatch({ type: "change_paths", paths: chosenPaths(editor), changes });
}

/** @type {(editor: TrajectoryEditor) => Part} */
function nameAndKind(editor) {
  const { t } = editor;
  const name = textField(editor, { label: t("name"), change: (value) => change(editor, { name: value }) });
  const curve = choiceField({
    label: t("curve"),
    choices: curveChoices(editor),
    change: (value) => change(editor, { curve: value }),
  });
  const pin = checkField({ label: t("pin"), hint: t("pinHint"), change: (value) => change(editor, { static: value }) });
  const reverse = button({
    label: t("reverseHint"),
    text: t("reverse"),
    class: "da-text-button",
    press: () => editor.run("reverse"),
  });
  const simplify = button({
    label: t("simplifyHint"),
    text: t("simplify"),
    class: "da-text-button",
    press: () => {
      editor.dispatch({ type: "begin_gesture" });
      chosenPaths(editor).forEach((path) => editor.dispatch({ type: "simplify_path", path, tolerance: SIMPLER }));
      editor.dispatch({ type: "end_gesture" });
    },
  });
  const buttons = element("div", { class: "da-buttons" }, pin.element, reverse, simplify);
  return {
    element: element("div", { class: "da-fields" }, name.element, curve.element, buttons),
    update: (paths) => {
      name.show(shared(paths, (path) => path.name));
      curve.show(shared(paths, (path) => path.curve));
      pin.show(shared(paths, (path) => path.static));
    },
  };
}

/** @type {(editor: TrajectoryEditor) => Part} */
function paceFields(editor) {
  const { t } = editor;
  const easing = choiceField({
    label: t("pace"),
    choices: [
      ["linear", t("paceEven")],
      ["ease_in", t("paceIn")],
      ["ease_out", t("paceOut")],
      ["ease_in_out", t("paceInOut")],
      ["own", t("paceOwn")],
    ],
    change: (value) => {
      /** @type {Easing} */
      const chosen = value === "own" ? { cubic_bezier: [...CUBIC_BEZIERS.ease_in_out] } : /** @type {any} */ (value);
      change(editor, { easing: chosen });
    },
  });
  const handles = textField(editor, {
    label: t("paceOwn"),
    hint: t("paceHandles"),
    change: (text) => {
      const numbers = text.split(/[\s,;]+/).filter(Boolean).map(Number);
      change(editor, { easing: /** @type {any} */ ({ cubic_bezier: numbers }) });
    },
  });
  const [start, end] = /** @type {const} */ (["start", "end"]).map((side) =>
    numberField(editor, {
      label: t(side),
      hint: t(side === "start" ? "startHint" : "endHint"),
      min: 0,
      max: 1,
      step: 0.05,
      change: (value) => change(editor, { [side]: value ?? (side === "start" ? 0 : 1) }),
    }),
  );
  const times = element("div", { class: "da-pair" }, start.element, end.element);
  return {
    element: element("div", { class: "da-fields" }, easing.element, handles.element, times),
    update: (paths) => {
      const common = shared(paths, (path) => JSON.stringify(path.easing));
      const value = common === null ? null : /** @type {Easing} */ (JSON.parse(common));
      const isOwn = value !== null && typeof value !== "string";
      easing.show(isOwn ? "own" : /** @type {any} */ (value));
      handles.element.hidden = !isOwn;
      handles.show(isOwn ? value.cubic_bezier.join(", ") : null);
      start.show(shared(paths, (path) => path.start));
      end.show(shared(paths, (path) => path.end));
    },
  };
}

/** @type {(editor: TrajectoryEditor) => Part} */
function placeFields(editor) {
  const { t } = editor;
  const timing = choiceField({
    label: t("timing"),
    choices: [
      ["arc_length", t("timingLength")],
      ["per_point", t("timingPoints")],
    ],
    change: (value) => change(editor, { timing: value }),
  });
  const fit = choiceField({
    label: t("fitLine"),
    choices: [
      ["stretch", t("fitStretch")],
      ["hold", t("fitHold")],
      ["cut", t("fitCut")],
    ],
    change: (value) => change(editor, { fit: value }),
  });
  const anchor = choiceField({
    label: t("anchor"),
    choices: [
      ["weights", t("anchorWeights")],
      ["center", t("anchorCenter")],
      ["grabbed_point", t("anchorGrabbed")],
    ],
    change: (value) => change(editor, { anchor: value === "weights" ? undefined : value }),
  });
  const depth = numberField(editor, {
    label: t("depth"),
    hint: t("depthHint"),
    step: 0.1,
    min: -1e6,
    max: 1e6,
    empty: "1",
    change: (value) => change(editor, { depth: value }),
  });
  return {
    element: element("div", { class: "da-fields" }, anchor.element, timing.element, fit.element, depth.element),
    update: (paths) => {
      const isSampled = shared(paths, (path) => path.timing) === "per_point";
      timing.show(shared(paths, (path) => path.timing));
      fit.show(shared(paths, (path) => path.fit));
      fit.element.hidden = !isSampled;
      anchor.show(shared(paths, (path) => path.anchor ?? "weights"));
      depth.show(shared(paths, (path) => path.depth ?? null));
    },
  };
}

/**
 * The size at the frame that is shown; a size that is set there is a key of the line.
 *
 * @type {(editor: TrajectoryEditor) => Part}
 */
function radiusKeys(editor) {
  const { t } = editor;
  const timeNow = () => frameTimes(editor.scene.document.frames)[Math.round(editor.scene.frame)];
  /** @type {(path: MotionPath) => number} */
  const keyNow = (path) => path.radius_keys.findIndex((key) => Math.abs(key.time - timeNow()) < 1e-6);
  const size = numberField(editor, {
    label: t("radiusKeyHere"),
    hint: t("radiusKeys"),
    min: 0.05,
    max: 1000,
    step: 0.1,
    empty: "1",
    change: (scale) => {
      editor.dispatch({ type: "begin_gesture" });
      for (const number of chosenPaths(editor)) {
        const key = keyNow(editor.state.document.paths[number]);
        if (scale === undefined && key >= 0) {
          editor.dispatch({ type: "remove_radius_key", path: number, key });
        } else if (scale !== undefined) {
          editor.dispatch({ type: "set_radius_key", path: number, time: timeNow(), scale });
        }
      }
      editor.dispatch({ type: "end_gesture" });
    },
  });
  const keys = element("div", { class: "da-keys" });
  return {
    element: element("div", { class: "da-fields" }, size.element, keys),
    update: (paths) => {
      size.show(shared(paths, (path) => path.radius_keys[keyNow(path)]?.scale ?? null));
      const [path] = paths;
      const shown = paths.length === 1 ? path.radius_keys : [];
      const last = editor.scene.document.frames - 1;
      keys.replaceChildren(
        ...shown.map(({ time, scale }) => {
          const frame = Math.round(time * last);
          const text = `${frame + 1}: ×${Math.round(scale * 100) / 100}`;
          const press = () => editor.show({ frame });
          return button({ label: `${t("radiusKeys")}: ${text}`, text, class: "da-text-button", press });
        }),
      );
    },
  };
}
