/** What belongs to the chosen tool: brush size, what a click means, which mask, the kind of new lines. */

import { element } from "../dom.js";
import { checkField, choiceField } from "./fields.js";

/** @typedef {import("../editor.js").TrajectoryEditor} TrajectoryEditor */
/** @typedef {import("../layout.js").Panel} Panel */
/** @typedef {import("../board.js").Options} Options */
/** @typedef {import("../strings.js").Key} Key */

const HINTS = /** @type {const} */ ({
  select: "hintSelect",
  segment: "toolSegment",
  box: "toolSegment",
  freehand: "hintFreehand",
  line: "hintLine",
  pin: "hintPin",
  brush: "toolBrush",
  erase: "toolErase",
  camera: "hintCamera",
  pan: "hintPan",
});

/**
 * @param {TrajectoryEditor} editor
 * @returns {Panel}
 */
export function toolOptions(editor) {
  const brush = brushOptions(editor);
  const segment = segmentOptions(editor);
  const line = choiceField({
    label: editor.t("newLines"),
    choices: curveChoices(editor),
    change: (curve) => editor.choose({ curve }),
  });
  const hint = element("span", { class: "da-hint" });
  const bar = element("div", { class: "da-bar da-options" }, ...segment.elements, brush.element, line.element, hint);
  return {
    element: bar,
    update: () => {
      const { tool } = editor.scene;
      const text = editor.t(hintFor(editor));
      if (hint.textContent !== text) {
        hint.textContent = text;
      }
      const isBrush = tool === "brush" || tool === "erase";
      brush.element.hidden = !isBrush;
      segment.elements.forEach((part) => {
        part.hidden = tool !== "segment" && tool !== "box";
      });
      hint.hidden = tool === "segment" && editor.picture !== null;
      line.element.hidden = !["select", "freehand", "line"].includes(tool);
      line.show(editor.options.curve);
      brush.update();
      segment.update();
    },
  };
}

/**
 * What to do now: first a picture, then something in it, then what the tool is for.
 *
 * @type {(editor: TrajectoryEditor) => Key}
 */
function hintFor({ picture, scene, state }) {
  const needsThings = ["select", "freehand", "line", "erase"].includes(scene.tool);
  if (picture === null) {
    return "noPicture";
  }
  return needsThings && state.document.entities.length === 0 ? "hintStart" : HINTS[scene.tool];
}

/**
 * The kinds of curves, for new lines and for those that are there.
 *
 * @param {TrajectoryEditor} editor
 * @returns {[import("../document.js").CurveKind, string][]}
 */
export function curveChoices({ t }) {
  return [
    ["catmull_rom", t("curveSmooth")],
    ["polyline", t("curvePolyline")],
    ["bezier", t("curveBezier")],
    ["freehand", t("curveFreehand")],
  ];
}

/** @type {(editor: TrajectoryEditor) => {element: HTMLElement, update: () => void}} */
function brushOptions(editor) {
  const input = element("input", { type: "range", min: "1", max: "200", step: "1" });
  const size = element("output", {});
  input.addEventListener("input", () => editor.show({ brushRadius: Number(input.value) / 2 }));
  input.addEventListener("change", () => editor.focus());
  const whole = element("label", { class: "da-field" }, element("span", {}, editor.t("brushSize")), input, size);
  return {
    element: whole,
    update: () => {
      const across = Math.round(editor.scene.brushRadius * 2);
      input.value = String(across);
      size.textContent = `${across} px`;
    },
  };
}

/** @type {(editor: TrajectoryEditor) => {elements: HTMLElement[], update: () => void}} */
function segmentOptions(editor) {
  const click = buttonGroup(
    editor,
    "clickMeans",
    [
      ["new", "clickNew", "clickNewHint"],
      ["add", "clickAdd", "clickAddHint"],
      ["remove", "clickRemove", "clickRemoveHint"],
    ],
    (value) => editor.choose({ click: /** @type {Options["click"]} */ (value) }),
  );
  const scale = buttonGroup(
    editor,
    "scale",
    [
      ["best", "scaleBest"],
      ["part", "scalePart"],
      ["object", "scaleObject"],
      ["whole", "scaleWhole"],
    ],
    (value) => editor.tools.segment.chooseScale(/** @type {Options["scale"]} */ (value)),
  );
  const segmenter = choiceField({
    label: editor.t("segmenter"),
    choices: /** @type {[string, string][]} */ ([]),
    change: (name) => editor.choose({ segmenter: name }),
  });
  const preview = checkField({
    label: editor.t("preview"),
    hint: editor.t("previewHint"),
    change: (isWanted) => editor.choose({ preview: isWanted }),
  });
  let wasAsked = false;
  const ask = async () => {
    wasAsked = true;
    try {
      const { segmenters, default: usual } = await editor.server.segmenters();
      segmenter.offer(segmenters.map(({ name, label }) => [name, label]));
      editor.choose({ segmenter: editor.options.segmenter ?? usual });
    } catch (error) {
      wasAsked = false;
      editor.fail(error);
    }
  };
  return {
    elements: [click.element, scale.element, segmenter.element, preview.element],
    update: () => {
      if (!wasAsked && editor.scene.tool === "segment") {
        ask();
      }
      click.show(editor.options.click);
      scale.show(editor.options.scale);
      segmenter.show(editor.options.segmenter ?? null);
      preview.show(editor.options.preview);
    },
  };
}

/**
 * @type {(editor: TrajectoryEditor, label: Key, choices: [string, Key, Key?][], choose: (value: string) => void) =>
 *   {element: HTMLElement, show: (value: string) => void}}
 */
function buttonGroup(editor, label, choices, choose) {
  const buttons = choices.map(([value, text, hint]) => {
    const press = () => {
      choose(value);
      editor.focus();
    };
    const properties = { type: "button", class: "da-choice", title: editor.t(hint ?? text), onclick: press };
    return { value, made: element("button", properties, editor.t(text)) };
  });
  const group = element(
    "div",
    { class: "da-field da-group", role: "group", "aria-label": editor.t(label) },
    element("span", {}, editor.t(label)),
    ...buttons.map(({ made }) => made),
  );
  return {
    element: group,
    show: (shown) => buttons.forEach(({ value, made }) => made.setAttribute("aria-pressed", String(value === shown))),
  };
}
