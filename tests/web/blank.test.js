import assert from "node:assert/strict";
import { test } from "node:test";

import { FRAMES, frameChanger, isBlank } from "../../web/blank.js";
import { newFormat, twoEntities } from "./shared_files.js";

const SIZE = { height: 40, width: 56 };

test("a new document is blank, with the frames that are usual; anything in it is not", () => {
  assert.ok(isBlank(newFormat().empty(SIZE, FRAMES)));
  assert.ok(isBlank(newFormat().empty(SIZE, 8), 8));
  assert.ok(!isBlank(newFormat().empty(SIZE, FRAMES), 8), "the user's own number is kept");
  assert.ok(!isBlank(twoEntities(), 5));
});

test("a document with other frames is the same object for as long as nothing changes", () => {
  const [withFrames, document] = [frameChanger(), twoEntities()];
  assert.equal(withFrames(document, document.frames), document);
  const longer = withFrames(document, 25);
  assert.deepEqual([longer.frames, document.frames], [25, 5]);
  assert.equal(withFrames(document, 25), longer);
  assert.notEqual(withFrames({ ...document }, 25), longer);
  assert.equal(withFrames(document, 24).frames, 24);
});
