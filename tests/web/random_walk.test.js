import assert from "node:assert/strict";
import { test } from "node:test";

import { fitting } from "../../web/actions/selection.js";
import { sameJson } from "../../web/document.js";
import { createReducer } from "../../web/state.js";
import { Dice } from "./random.js";
import { walk } from "./random_walk.js";
import { newFormat } from "./shared_files.js";

const STEPS = 10_000;
const WALKS = 20;

function assertFrozen(value) {
  if (typeof value === "object" && value !== null) {
    assert.ok(Object.isFrozen(value));
    Object.values(value).forEach(assertFrozen);
  }
}

/** The state without what an undo and a redo leave behind on purpose: an open gesture and the last refusal. */
function withoutGesture({ gesture: _gesture, refusal: _refusal, ...rest }) {
  return rest;
}

test(`${STEPS} random actions keep every promise`, () => {
  const seen = { accepted: new Set(), refused: new Set() };
  for (let seed = 1; seed <= WALKS; seed += 1) {
    const reduce = createReducer(newFormat());
    const fresh = newFormat(); // remembers nothing of what the reducer's own format found good
    let step = 0;
    for (const { before, action, after } of walk(reduce, new Dice(seed), STEPS / WALKS)) {
      step += 1;
      const place = `seed ${seed}, step ${step}: ${action.type}`;
      (after.refusal === null ? seen.accepted : seen.refused).add(action.type);
      if (after.refusal !== null) {
        assert.deepEqual({ ...after, refusal: null }, { ...before, refusal: null }, place);
      }
      assert.equal(fitting(after.selection, after.document), after.selection, place);
      if (after.document !== before.document) {
        assertFrozen(after.document);
        const text = fresh.toText(after.document);
        assert.ok(sameJson(fresh.parse(text), after.document), place);
        assert.equal(fresh.toText(fresh.parse(text)), text, place);
      }
      assertHistory(reduce, before, action, after, place);
    }
  }
  const always = ["begin_gesture", "end_gesture", "cancel_gesture", "select", "select_all"];
  assert.deepEqual([...seen.accepted].filter((type) => !seen.refused.has(type) && !always.includes(type)), []);
  assert.deepEqual([...seen.refused].filter((type) => !seen.accepted.has(type)), []);
});

function assertHistory(reduce, before, action, after, place) {
  const isStep = after.past.length > before.past.length && action.type !== "redo";
  if (isStep && before.gesture === null) {
    const undone = reduce(after, { type: "undo" });
    assert.equal(undone.document, before.document, `${place}: undo restores the very document`);
    assert.equal(undone.selection, before.selection, place);
    const redone = reduce(undone, { type: "redo" });
    assert.equal(redone.document, after.document, `${place}: redo restores the very document`);
    const ended = reduce(after, { type: "end_gesture" });
    assert.deepEqual(withoutGesture(redone), withoutGesture(ended), place);
  }
}

test("everything can be undone to the start and redone to the end", () => {
  const reduce = createReducer(newFormat());
  const states = [...walk(reduce, new Dice(99), 300)].map(({ after }) => after);
  let state = reduce(states.at(-1), { type: "end_gesture" });
  const [end, documents] = [state, state.past.map(({ document }) => document)];
  for (const document of documents.reverse()) {
    state = reduce(state, { type: "undo" });
    assert.equal(state.document, document);
  }
  for (; state.future.length > end.future.length; state = reduce(state, { type: "redo" }));
  assert.deepEqual(withoutGesture(state), withoutGesture(end));
});
