import assert from "node:assert/strict";
import { test } from "node:test";

import { decodeRle, encodeRle, insideMask } from "../../web/masks.js";
import { Dice } from "./random.js";
import { goldenDocuments } from "./shared_files.js";

const SIZE = { height: 40, width: 56 };

function goldenRle() {
  const [, text] = goldenDocuments().find(([name]) => name === "mask_rle.json");
  return JSON.parse(text).entities[0].mask.rle;
}

test("the golden mask is read where it lies and written as it was", () => {
  const mask = decodeRle(goldenRle(), SIZE);
  assert.ok(insideMask(mask, 20, 18));
  assert.ok(!insideMask(mask, 36, 20));
  assert.equal(encodeRle(mask), goldenRle());
});

test("any mask survives the way through its code", () => {
  const dice = new Dice(8);
  for (let round = 0; round < 60; round += 1) {
    const [height, width] = [dice.whole(1, 30), dice.whole(1, 50)];
    const share = dice.roll();
    const pixels = Uint8Array.from({ length: height * width }, () => Number(dice.chance(share)));
    const rle = encodeRle({ height, width, pixels });
    assert.match(rle, /^[0-o]+$/);
    assert.deepEqual(decodeRle(rle, { height, width }).pixels, pixels);
  }
});

test("a full and an empty mask", () => {
  const full = { height: 2, width: 3, pixels: new Uint8Array(6).fill(1) };
  assert.equal(encodeRle(full), "06");
  assert.equal(encodeRle({ ...full, pixels: new Uint8Array(6) }), "6");
  assert.deepEqual(decodeRle("06", { height: 2, width: 3 }), full);
});

test("a code that does not fit is refused with what is wrong", () => {
  for (const [rle, reason] of [
    ["5", /cover 5 of 6/],
    ["7", /run 0 .* is 7 pixels long/],
    ["1 5", /character " " at 1/],
    ["P", /ends inside a number/],
    ["", /cover 0 of 6/],
    ["222M", /run 3 .* is -1 pixels/],
    ["222O", /run 3 .* ends at pixel 7; the whole mask has 6/],
    ["oooooooooooo0", /longer than 50 bits/],
  ]) {
    assert.throws(() => decodeRle(rle, { height: 2, width: 3 }), { name: "RangeError", message: reason }, rle);
  }
});

test("a point lies in the pixel around it, and nowhere off the canvas", () => {
  const mask = { height: 2, width: 3, pixels: new Uint8Array(6).fill(1) };
  assert.ok(insideMask(mask, -0.5, -0.5) && insideMask(mask, 2.49, 1.49));
  assert.ok(!insideMask(mask, 2.5, 1) && !insideMask(mask, -0.51, 0) && !insideMask(mask, 0, 1.5));
});
