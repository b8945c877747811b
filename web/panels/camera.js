/** The camera's move in numbers. */

import { button, element } from "../dom.js";
import { checkField, choiceField, numberField, section } from "./fields.js";

/** @typedef {import("../editor.js").TrajectoryEditor} TrajectoryEditor */
/** @typedef {import("../document.js").CameraMove} CameraMove */
/** @typedef {import("../document.js").EasingName} EasingName */
/** @typedef {import("../document.js").Vector} Vector */
/** @typedef {import("../layout.js").Panel} Panel */

/**
 * @param {TrajectoryEditor} editor
 * @returns {Panel}
 */
export function cameraPanel(editor) {
  const { t } = editor;
  /** @type {(changes: Partial<CameraMove>) => boolean} */
  const change = (changes) => editor.dispatch({ type: "change_camera", changes });
  const panNow = () => editor.state.document.camera?.pan ?? [0, 0];
  const [panX, panY] = ["x", "y"].map((axis, at) =>
    numberField(editor, {
      label: `${t("pan")} ${axis}`,
      min: -1e6,
      max: 1e6,
      change: (value) => {
        const pan = [...panNow()];
        pan[at] = value ?? 0;
        change({ pan: pan[0] === 0 && pan[1] === 0 ? undefined : /** @type {any} */ (pan) });
      },
    }),
  );
  const zoom = numberField(editor, {
    label: t("zoom"),
    hint: t("zoomHint"),
    min: 0.01,
    max: 100,
    step: 0.05,
    empty: "1",
    change: (factor) => {
      if (factor === undefined) {
        change({ zoom: undefined });
      } else {
        editor.dispatch({ type: "zoom_camera", factor });
      }
    },
  });
  const pace = choiceField({
    label: t("pace"),
    choices: [
      ["linear", t("paceEven")],
      ["ease_in", t("paceIn")],
      ["ease_out", t("paceOut")],
      ["ease_in_out", t("paceInOut")],
    ],
    change: (easing) => change({ easing: /** @type {EasingName} */ (easing) }),
  });
  const [start, end] = /** @type {const} */ (["start", "end"]).map((side) =>
    numberField(editor, {
      label: t(side),
      hint: t(side === "start" ? "startHint" : "endHint"),
      min: 0,
      max: 1,
      step: 0.05,
      change: (value) => change({ [side]: value ?? (side === "start" ? 0 : 1) }),
    }),
  );
  const carries = checkField({
    label: t("carries"),
    hint: t("carriesHint"),
    change: (value) => change({ carries_entities: value }),
  });
  const remove = button({
    label: t("removeCamera"),
    text: t("removeCamera"),
    class: "da-text-button",
    press: () => editor.dispatch({ type: "remove_camera" }),
  });
  const pan = element("div", { class: "da-pair" }, panX.element, panY.element);
  const times = element("div", { class: "da-pair" }, start.element, end.element);
  const ofMove = element("div", { class: "da-fields" }, pace.element, times, carries.element, remove);
  const whole = section(t("camera"), [element("div", { class: "da-fields" }, pan, zoom.element, ofMove)], false);
  /** @type {import("../document.js").MotionDocument | null} */
  let shown = null;
  let tool = "";
  return {
    element: whole,
    update: () => {
      if (tool !== editor.scene.tool) {
        tool = editor.scene.tool;
        whole.open = tool === "camera" || whole.open;
      }
      const { document } = editor.state;
      if (shown === document) {
        return;
      }
      shown = document;
      const { camera } = document;
      const [x, y] = camera?.pan ?? [0, 0];
      panX.show(x);
      panY.show(y);
      zoom.show(camera?.zoom?.factor ?? null);
      ofMove.hidden = camera === undefined;
      pace.show(typeof camera?.easing === "string" ? camera.easing : null);
      start.show(camera?.start ?? 0);
      end.show(camera?.end ?? 1);
      carries.show(camera?.carries_entities ?? true);
    },
  };
}
