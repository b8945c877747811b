import assert from "node:assert/strict";
import { test } from "node:test";

import { documentWarnings } from "../../web/warnings.js";
import { limitsOn } from "../../web/weights.js";
import { newFormat } from "./shared_files.js";

const TINY = {
  anchor: "center",
  max_radius: 16,
  max_radius_size: { height: 128, width: 128 },
  max_speed: null,
  size: { height: 128, width: 128 },
  frames: 8,
};

test("limits grow with the canvas", () => {
  assert.deepEqual(limitsOn(TINY, { height: 384, width: 384 }), { speed: null, radius: 12, largest: 48 });
  const fast = { ...TINY, max_speed: 9, max_radius: null, size: { height: 320, width: 576 } };
  assert.deepEqual(limitsOn(fast, { height: 160, width: 288 }), { speed: 4.5, radius: 2, largest: null });
});

test("without weights there is only the smallest disc", () => {
  assert.deepEqual(limitsOn(null, { height: 384, width: 384 }), { speed: null, radius: 4 });
});

test("a disc that the weights make smaller is warned of", () => {
  const document = newFormat().parse({
    format: "draganything-motion",
    version: 2,
    size: { height: 40, width: 56 },
    frames: 5,
    entities: [{ id: 1, name: "ball" }],
    paths: [],
  });
  const circles = new Map([[1, { center: [10, 10], radius: 9 }]]);
  const found = (largest) => documentWarnings(document, circles, "center", { speed: null, radius: null, largest });
  assert.deepEqual([found(9), found(null)], [[], []]);
  assert.deepEqual(found(8).map(({ kind, entity, path }) => [kind, entity, path]), [["too_large", 1, null]]);
});
