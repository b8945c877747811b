/** The clip as a whole: frames, pace, canvas; and files of other programs. */

import { button, element } from "../dom.js";
import { exportedFile, importedFile } from "../files.js";
import { rescaled } from "../rescale.js";
import { choiceField, numberField, section } from "./fields.js";

/** @typedef {import("../editor.js").TrajectoryEditor} TrajectoryEditor */
/** @typedef {import("../layout.js").Panel} Panel */

/**
 * @param {TrajectoryEditor} editor
 * @returns {Panel}
 */
export function clipPanel(editor) {
  const { t } = editor;
  const frames = numberField(editor, {
    label: t("frames"),
    min: 1,
    max: 10000,
    change: (value) => editor.dispatch({ type: "change_document", changes: { frames: Math.round(value ?? 1) } }),
  });
  const fps = numberField(editor, {
    label: t("fps"),
    min: 0.1,
    max: 1000,
    change: (value) => editor.dispatch({ type: "change_document", changes: { fps: value ?? 7 } }),
  });
  const size = element("p", { class: "da-note" });
  const fit = button({
    label: t("fitSize"),
    text: t("fitSize"),
    class: "da-text-button",
    press: () => {
      const to = editor.pictureSize();
      if (to !== null) {
        const data = editor.format.toJson(editor.format.completed(rescaled(editor.state.document, to)));
        editor.dispatch({ type: "import_document", data });
      }
    },
  });
  const numbers = element("div", { class: "da-pair" }, frames.element, fps.element);
  const files = fileButtons(editor);
  const children = element("div", { class: "da-fields" }, numbers, size, fit, ...files.elements);
  /** @type {readonly unknown[]} */
  let shown = [];
  return {
    element: section(t("clip"), [children], false),
    update: () => {
      const { document } = editor.scene;
      const key = [document, editor.picture];
      if (key.every((part, index) => part === shown[index])) {
        return;
      }
      shown = key;
      frames.show(document.frames);
      frames.enable(editor.givenFrames === null);
      frames.element.title = editor.givenFrames === null ? "" : t("framesFromNode");
      fps.show(document.fps);
      const canvas = `${document.size.width} × ${document.size.height}`;
      const picture = editor.pictureSize();
      const isOther =
        picture !== null && (picture.width !== document.size.width || picture.height !== document.size.height);
      size.textContent = isOther
        ? t("otherSize", { picture: `${picture.width} × ${picture.height}`, canvas })
        : `${t("size")}: ${canvas}`;
      fit.hidden = !isOther;
    },
  };
}

/** @type {(editor: TrajectoryEditor) => {elements: HTMLElement[]}} */
function fileButtons(editor) {
  const { t } = editor;
  /** @type {[string, string][]} */
  const unknown = [["", "…"]];
  const format = choiceField({ label: t("format"), choices: unknown, change: () => {} });
  const chosen = element("input", { type: "file", hidden: true });
  chosen.setAttribute("data-testid", "draganything-import");
  chosen.addEventListener("change", async () => {
    const [file] = chosen.files ?? [];
    chosen.value = "";
    if (file !== undefined) {
      await importedFile(editor, file);
    }
  });
  const open = button({
    label: t("importFile"),
    text: t("importFile"),
    class: "da-text-button",
    press: () => chosen.click(),
  });
  const save = button({
    label: t("exportFile"),
    text: t("exportFile"),
    class: "da-text-button",
    press: () => {
      const select = format.element.querySelector("select");
      exportedFile(editor, select?.value ?? "");
    },
  });
  let isKnown = false;
  // The formats are asked for when they are looked for: the server may not be there yet.
  format.element.addEventListener("pointerenter", async () => {
    if (isKnown) {
      return;
    }
    isKnown = true;
    try {
      const { formats } = await editor.server.formats();
      format.offer(formats.filter(({ writes }) => writes).map(({ name, label }) => [name, label]));
      chosen.accept = formats.filter(({ reads }) => reads).map(({ extension }) => extension).join(",");
    } catch (error) {
      isKnown = false;
      editor.fail(error);
    }
  });
  return { elements: [format.element, element("div", { class: "da-buttons" }, open, save, chosen)] };
}
