/** What the tests read: the schema and goldens that the Python core is tested with. */

import { readFileSync, readdirSync } from "node:fs";

import { documentFormat } from "../../web/document.js";

const ROOT = new URL("../../", import.meta.url);
const DOCUMENTS = new URL("tests/goldens/documents/", ROOT);

export const SCHEMA = readJsonFile("draganything_core/document.schema.json");
export const CURVES = readJsonFile("tests/goldens/curves.json");

/** The format, new for each caller so that no test depends on what another one checked. */
export function newFormat() {
  return documentFormat(SCHEMA);
}

/** [name, text] of each golden document. */
export function goldenDocuments() {
  return textsIn(DOCUMENTS);
}

/** [name, {path, reason, document}] of each document to refuse. */
export function refusedDocuments() {
  return textsIn(new URL("refused/", DOCUMENTS)).map(([name, text]) => [name, JSON.parse(text)]);
}

/** A document with entities 1 and 2 and three paths: two of entity 1, one of entity 2. */
export function twoEntities() {
  return newFormat().parse({
    format: "draganything-motion",
    version: 2,
    size: { height: 40, width: 56 },
    frames: 5,
    entities: [
      { id: 1, name: "ball" },
      { id: 2, name: "cloud" },
    ],
    paths: [
      { entity: 1, points: [{ x: 8, y: 30 }, { x: 20, y: 10 }, { x: 32, y: 30 }, { x: 48, y: 12 }] },
      { entity: 2, points: [{ x: 4, y: 4 }, { x: 40, y: 4 }], curve: "polyline", name: "drift" },
      { entity: 1, points: [{ x: 5, y: 35 }], static: true },
    ],
  });
}

function readJsonFile(path) {
  return JSON.parse(readFileSync(new URL(path, ROOT), "utf8"));
}

function textsIn(folder) {
  const names = readdirSync(folder).filter((name) => name.endsWith(".json"));
  return names.sort().map((name) => [name, readFileSync(new URL(name, folder), "utf8")]);
}
