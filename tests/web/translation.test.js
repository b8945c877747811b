import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { ENGLISH, speaker } from "../../web/strings.js";
import { translationFor } from "../../web/translation.js";

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
