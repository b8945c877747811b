/** What comes and goes by the clipboard and by dropping files. */

import { importedFile } from "./files.js";

/** @typedef {import("./editor.js").TrajectoryEditor} TrajectoryEditor */

/**
 * Answers the page's events of copying, pasting and dropping for an editor; they go no further than its element.
 *
 * @param {TrajectoryEditor} editor
 */
export function listenToTransfers(editor) {
  const { element: root } = editor;
  root.addEventListener("copy", (event) => copied(editor, event, false));
  root.addEventListener("cut", (event) => copied(editor, event, true));
  root.addEventListener("paste", (event) => pasted(editor, event));
  root.addEventListener("dragover", (event) => {
    if (event.dataTransfer?.types.includes("Files")) {
      event.preventDefault();
      event.stopPropagation();
    }
  });
  root.addEventListener("drop", (event) => {
    const [file] = event.dataTransfer?.files ?? [];
    if (file !== undefined) {
      event.preventDefault();
      event.stopPropagation();
      taken(editor, file);
    }
  });
}

/** @type {(editor: TrajectoryEditor, event: ClipboardEvent, isCut: boolean) => void} */
function copied(editor, event, isCut) {
  event.stopPropagation();
  if (isField(event.target)) {
    return;
  }
  event.preventDefault();
  if (!editor.dispatch({ type: "copy" }) || editor.state.clip === null) {
    return;
  }
  event.clipboardData?.setData("text/plain", editor.format.toText(editor.state.clip));
  if (isCut) {
    editor.run("delete");
  } else {
    editor.say("copied");
  }
}

/** @type {(editor: TrajectoryEditor, event: ClipboardEvent) => void} */
function pasted(editor, event) {
  event.stopPropagation();
  if (isField(event.target)) {
    return;
  }
  event.preventDefault();
  const [file] = event.clipboardData?.files ?? [];
  if (file !== undefined) {
    taken(editor, file);
    return;
  }
  const text = event.clipboardData?.getData("text/plain") ?? "";
  if (editor.dispatch(text.trim() === "" ? { type: "paste" } : { type: "paste", text })) {
    editor.say("pasted");
  }
}

/** @type {(editor: TrajectoryEditor, file: File) => void} */
function taken(editor, file) {
  if (file.type.startsWith("image/") && editor.pictureDropped !== undefined) {
    editor.pictureDropped(file);
  } else {
    importedFile(editor, file);
  }
}

/** @type {(target: EventTarget | null) => boolean} */
function isField(target) {
  return target instanceof HTMLElement && target.matches("input, textarea, select");
}
