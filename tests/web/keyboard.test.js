import assert from "node:assert/strict";
import { test } from "node:test";

import { GESTURES, SHORTCUTS, commandOf, isForThePage, keysText } from "../../web/keyboard.js";
import { ENGLISH, speaker } from "../../web/strings.js";

const press = (key, held = {}) => ({ key, ctrlKey: false, metaKey: false, shiftKey: false, altKey: false, ...held });

test("no key means two things", () => {
  const keys = SHORTCUTS.flatMap((shortcut) => shortcut.keys);
  assert.equal(new Set(keys).size, keys.length);
});

test("every shortcut and gesture has a text", () => {
  for (const key of [...SHORTCUTS.map(({ says }) => says), ...GESTURES]) {
    assert.ok(ENGLISH[key], key);
  }
});

test("every key that is listed is understood", () => {
  for (const { command, keys } of SHORTCUTS) {
    for (const key of keys) {
      const held = { ctrlKey: key.startsWith("Ctrl+"), shiftKey: /Shift\+/.test(key) };
      const name = key.replace(/^(Ctrl\+)?(Shift\+)?(?=.)/, "");
      assert.equal(commandOf(press(name, held)), command, key);
    }
  }
});

test("letters count Shift, signs do not, the command key is Ctrl, Alt is nobody's", () => {
  assert.equal(commandOf(press("Z", { ctrlKey: true, shiftKey: true })), "redo");
  assert.equal(commandOf(press("z", { metaKey: true })), "undo");
  assert.equal(commandOf(press("?", { shiftKey: true })), "help");
  assert.equal(commandOf(press("?")), "help");
  assert.equal(commandOf(press("+", { shiftKey: true })), "zoom_in");
  assert.equal(commandOf(press("F", { shiftKey: true })), "full_screen");
  assert.equal(commandOf(press("f")), "fit");
  assert.equal(commandOf(press("v", { altKey: true })), null);
  assert.equal(commandOf(press("V")), "tool:select");
});

test("queueing, saving, reloading and Tab are the page's, deleting and undoing are not", () => {
  for (const [key, held] of [["Enter", { ctrlKey: true }], ["s", { ctrlKey: true }], ["Tab", {}], ["F5", {}]]) {
    assert.ok(isForThePage(press(key, held)), key);
  }
  for (const [key, held] of [["Delete", {}], ["z", { ctrlKey: true }], ["s", {}], ["Enter", {}], ["f", {}]]) {
    assert.ok(!isForThePage(press(key, held)), key);
  }
});

test("keys are written as they stand on the keyboard", () => {
  assert.equal(keysText("redo", false), "Ctrl+Shift+Z / Ctrl+Y");
  assert.equal(keysText("undo", true), "⌘+Z");
  assert.equal(keysText("zoom_in", false), "+ / =");
  assert.equal(keysText("play", false), "Space");
});

test("texts fill in their values and fall back to English", () => {
  const say = speaker({ undo: "Rückgängig" });
  assert.equal(say("undo"), "Rückgängig");
  assert.equal(say("redo"), ENGLISH.redo);
  assert.equal(say("frameNumber", { frame: 2, frames: 14 }), "Frame 2 of 14");
});
