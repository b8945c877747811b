/**
 * For the Python tests. Reads a JSON list of texts from standard input and writes a JSON list of what the editor makes
 * of each: {text} where it is a motion document, {path, reason} where it is refused.
 */

import { readFileSync } from "node:fs";

import { DocumentError } from "../../web/document_validation.js";
import { newFormat } from "./shared_files.js";

const format = newFormat();

function answer(text) {
  try {
    return { text: format.toText(format.parse(text)) };
  } catch (error) {
    if (error instanceof DocumentError) {
      return { path: error.jsonPath, reason: error.reason };
    }
    throw error;
  }
}

process.stdout.write(JSON.stringify(JSON.parse(readFileSync(0, "utf8")).map(answer)));
