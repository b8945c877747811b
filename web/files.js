/** Import and export: files of other programs go through the server, which knows every format. */

import { element } from "./dom.js";

/** @typedef {import("./editor.js").TrajectoryEditor} TrajectoryEditor */

const PIECE = 0x8000; // bytes turned into characters at a time: a call takes only so many arguments

/**
 * Takes a file in place of the document, as one step of the history.
 *
 * @param {TrajectoryEditor} editor
 * @param {File} file
 */
export async function importedFile(editor, file) {
  const { document } = editor.state;
  const reference = editor.picture?.reference;
  try {
    const content = toBase64(new Uint8Array(await file.arrayBuffer()));
    const question = { name: file.name, content, size: document.size, frames: editor.scene.document.frames };
    const answer = await editor.server.importFile(reference ? { ...question, image: reference } : question);
    editor.setOnline(true);
    if (!editor.dispatch({ type: "import_document", data: answer.document })) {
      return;
    }
    if (answer.warnings.length > 0) {
      editor.say("importedWarnings", { warnings: answer.warnings.join(" ") });
    } else {
      editor.say("imported", { name: file.name, format: answer.format });
    }
  } catch (error) {
    editor.fail(error);
  }
}

/**
 * Hands the user the document as a file.
 *
 * @param {TrajectoryEditor} editor
 * @param {string} format
 */
export async function exportedFile(editor, format) {
  try {
    const answer = await editor.server.exportFile(
      editor.format.toJson(editor.scene.document),
      format,
      editor.picture?.reference,
    );
    editor.setOnline(true);
    save(answer.name, fromBase64(answer.content), answer.media_type);
    editor.say(answer.warnings.length > 0 ? "importedWarnings" : "exported", {
      name: answer.name,
      warnings: answer.warnings.join(" "),
    });
  } catch (error) {
    editor.fail(error);
  }
}

/** @type {(name: string, bytes: Uint8Array<ArrayBuffer>, type: string) => void} */
function save(name, bytes, type) {
  const href = URL.createObjectURL(new Blob([bytes], { type }));
  element("a", { href, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(href), 60_000);
}

/**
 * @param {Uint8Array} bytes
 * @returns {string}
 */
export function toBase64(bytes) {
  let text = "";
  for (let at = 0; at < bytes.length; at += PIECE) {
    text += String.fromCharCode(...bytes.subarray(at, at + PIECE));
  }
  return btoa(text);
}

/**
 * @param {string} text
 * @returns {Uint8Array<ArrayBuffer>}
 */
export function fromBase64(text) {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}
