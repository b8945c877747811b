import assert from "node:assert/strict";
import { test } from "node:test";

import {
  MAX_SCALE,
  MIN_SCALE,
  clientToCanvas,
  fitted,
  panned,
  resized,
  toCanvas,
  toDocument,
  zoomed,
} from "../../web/viewport.js";
import { Dice } from "./random.js";

const PICTURE = { height: 40, width: 56 };
const CANVAS = { height: 300, width: 500 };

function assertSame(found, expected) {
  found.forEach((value, axis) => assert.ok(Math.abs(value - expected[axis]) < 1e-9, `${found} is not ${expected}`));
}

test("a fitted picture touches the margin on one side and is in the middle", () => {
  const viewport = fitted(PICTURE, CANVAS, 10);
  assert.equal(viewport.scale, 7);
  assertSame(toCanvas(viewport, [-0.5, -0.5]), [54, 10]);
  assertSame(toCanvas(viewport, [55.5, 39.5]), [446, 290]);
});

test("pixel centres are at whole numbers", () => {
  const viewport = { scale: 10, left: 0, top: 0 };
  assert.deepEqual(toCanvas(viewport, [0, 0]), [5, 5]);
  assert.deepEqual(toDocument(viewport, [25, 15]), [2, 1]);
});

test("there and back is where it was, after any zooms and pans", () => {
  const dice = new Dice(9);
  let viewport = fitted(PICTURE, CANVAS);
  for (let round = 0; round < 500; round += 1) {
    viewport = dice.chance(0.5)
      ? zoomed(viewport, dice.between(0.5, 2), dice.position(500))
      : panned(viewport, ...dice.position(50));
    assert.ok(viewport.scale >= MIN_SCALE && viewport.scale <= MAX_SCALE);
    const point = dice.position();
    const there = toDocument(viewport, toCanvas(viewport, point));
    there.forEach((value, axis) => assert.ok(Math.abs(value - point[axis]) < 1e-6));
  }
});

test("a zoom leaves what is under the pointer where it is, at the limits too", () => {
  const viewport = fitted(PICTURE, CANVAS);
  for (const factor of [1.25, 0.8, 1000, 1e-6]) {
    const under = toDocument(viewport, [123, 77]);
    assertSame(toCanvas(zoomed(viewport, factor, [123, 77]), under), [123, 77]);
  }
  assert.equal(zoomed(viewport, 1e9, [0, 0]).scale, MAX_SCALE);
  assert.equal(zoomed(viewport, 1e-9, [0, 0]).scale, MIN_SCALE);
});

test("a pan moves the picture by canvas pixels", () => {
  const viewport = fitted(PICTURE, CANVAS);
  const [x, y] = toCanvas(viewport, [3, 4]);
  assertSame(toCanvas(panned(viewport, 12, -5), [3, 4]), [x + 12, y - 5]);
});

test("a canvas of another size keeps its middle", () => {
  const viewport = zoomed(fitted(PICTURE, CANVAS), 3, [40, 50]);
  const middle = toDocument(viewport, [250, 150]);
  const wider = { height: 200, width: 900 };
  assertSame(toDocument(resized(viewport, CANVAS, wider), [450, 100]), middle);
});

test("a canvas without room still has a scale", () => {
  assert.equal(fitted(PICTURE, { height: 0, width: 0 }, 8).scale, MIN_SCALE);
});

test("pointer events on a canvas that the host shows smaller", () => {
  const rectangle = { left: 100, top: 50, width: 300, height: 180 };
  assert.deepEqual(clientToCanvas([100, 50], rectangle, CANVAS), [0, 0]);
  assert.deepEqual(clientToCanvas([400, 230], rectangle, CANVAS), [500, 300]);
  assert.deepEqual(clientToCanvas([250, 140], rectangle, CANVAS), [250, 150]);
});
