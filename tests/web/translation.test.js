import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { test } from "node:test";

import { Server } from "../../web/api.js";
import { createReducer, initialState } from "../../web/state.js";
import { ENGLISH, speaker } from "../../web/strings.js";
import { translationFor } from "../../web/translation.js";
import { documentWarnings } from "../../web/warnings.js";
import { newFormat, twoEntities } from "./shared_files.js";

test("the English that translations start from is what the editor says", () => {
  const main = JSON.parse(readFileSync(new URL("../../locales/en/main.json", import.meta.url), "utf8"));
  assert.deepEqual(main.draganything.editor, { ...ENGLISH }, "run tests/host/make_files.py");
});

test("a region's words come before its language's, and English for the rest", () => {
  const of = (editor) => ({ draganything: { editor } });
  const messages = { zh: of({ undo: "A", redo: "B", nonsense: "C", copy: 7 }), "zh-TW": of({ undo: "D" }) };
  const found = translationFor(messages, "zh-TW");
  assert.deepEqual(found, { undo: "D", redo: "B" });
  assert.deepEqual(["undo", "redo", "copy"].map(speaker(found)), ["D", "B", ENGLISH.copy]);
});

test("no messages, another shape of them, no language: English", () => {
  for (const [messages, locale] of [[undefined, "fr"], [{ fr: null }, "fr"], [{}, undefined], [{ fr: {} }, 3]]) {
    assert.deepEqual(translationFor(messages, locale), {});
  }
});

test("warnings, refusals and what goes wrong with the server are said in the page's language, too", async () => {
  const words = { warnLeaves: "{name} geht in Bild {frame} hinaus.", quotedName: "»{name}«", serverLost: "Weg." };
  const german = speaker(words);
  const document = newFormat().parse({
    ...newFormat().toJson(twoEntities()),
    frames: 5,
    paths: [{ entity: 1, curve: "polyline", points: [{ x: 10, y: 10 }, { x: 990, y: 10 }], anchor: "grabbed_point" }],
  });
  const circles = new Map([[1, { center: [10, 10], radius: 5 }]]);
  const [warning] = documentWarnings(document, circles, "center", { speed: null, radius: null }, german);
  assert.match(warning.message, /^».*« geht in Bild \d hinaus\.$/);

  const reduce = createReducer(newFormat(), speaker({ nothingToUndo: "Nichts da." }));
  assert.equal(reduce(initialState(document), { type: "undo" }).refusal, "Nichts da.");

  const server = new Server({ fetchApi: () => Promise.reject(new TypeError("Failed to fetch")) }, german);
  await assert.rejects(server.formats(), { message: "Weg." });
});

test("no module says something in words of its own", () => {
  const web = new URL("../../web/", import.meta.url);
  const modules = readdirSync(web, { recursive: true }).filter((name) => name.endsWith(".js"));
  for (const name of modules) {
    const text = readFileSync(new URL(name, web), "utf8");
    assert.doesNotMatch(text, /new (Refusal|ServerError)\((["'][^"']*["'], )?[`"'][^`"']* /, name);
    assert.doesNotMatch(text, /drawLabel\(context, scene, ["'`][^$]/, name);
  }
});
