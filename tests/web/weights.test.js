import assert from "node:assert/strict";
import { test } from "node:test";

import { limitsOn } from "../../web/weights.js";

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
