import assert from "node:assert/strict";
import { test } from "node:test";

import { entityCircle, inscribedCircle, largestComponent } from "../../web/circles.js";
import { Dice } from "./random.js";

function maskOf(...rows) {
  const pixels = Uint8Array.from(rows.join(""), (letter) => Number(letter === "#"));
  return { height: rows.length, width: rows[0].length, pixels };
}

/** The circle by its definition: from each pixel to the nearest one that is outside, or beyond the border. */
function circleByTrying({ left, top, width, height, pixels }) {
  let best = { radius: 0 };
  const isInside = (x, y) => x >= 0 && y >= 0 && x < width && y < height && pixels[y * width + x] === 1;
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      let radius = isInside(x, y) ? Infinity : 0;
      for (let otherY = -1; otherY <= height; otherY += 1) {
        for (let otherX = -1; otherX <= width; otherX += 1) {
          if (!isInside(otherX, otherY)) {
            radius = Math.min(radius, Math.hypot(x - otherX, y - otherY));
          }
        }
      }
      best = radius > best.radius ? { center: [left + x, top + y], radius } : best;
    }
  }
  return best;
}

test("a circle's centre is the pixel farthest from everything outside", () => {
  const mask = maskOf(".......", ".#####.", ".#####.", ".#####.", ".#####.", ".#####.", ".......");
  assert.deepEqual(inscribedCircle(mask), { center: [3, 3], radius: 3 });
});

test("the picture's border bounds a mask as background does", () => {
  assert.deepEqual(inscribedCircle(maskOf("#####", "#####", "#####")), { center: [1, 1], radius: 2 });
});

test("the largest component counts, touching by corners is touching", () => {
  const mask = maskOf("##.....", "##.....", "..##...", "..##...", "......#", ".....#.", "....#..");
  assert.deepEqual(largestComponent(mask), {
    left: 0,
    top: 0,
    width: 4,
    height: 4,
    pixels: Uint8Array.from([1, 1, 0, 0, 1, 1, 0, 0, 0, 0, 1, 1, 0, 0, 1, 1]),
  });
});

test("a component that branches and meets again is one", () => {
  const mask = maskOf("#.#.#", "#.#.#", "#####", ".....", "####.");
  assert.equal(largestComponent(mask).pixels.reduce((sum, pixel) => sum + pixel), 11);
});

test("any mask's circle is the one found by trying", () => {
  const dice = new Dice(12);
  for (let round = 0; round < 80; round += 1) {
    const [height, width] = [dice.whole(1, 14), dice.whole(1, 18)];
    const share = dice.between(0.5, 1);
    const pixels = Uint8Array.from({ length: height * width }, () => Number(dice.chance(share)));
    const region = largestComponent({ height, width, pixels });
    const found = inscribedCircle({ height, width, pixels });
    if (region === null) {
      assert.equal(found, null);
      continue;
    }
    const expected = circleByTrying(region);
    assert.deepEqual(found.center, expected.center);
    assert.ok(Math.abs(found.radius - expected.radius) < 1e-6);
  }
});

test("an empty mask has no circle", () => {
  assert.equal(inscribedCircle(maskOf("...", "...")), null);
  assert.equal(entityCircle({}, maskOf("...")), null);
});

test("an entity's own radius takes the place of the circle's", () => {
  const mask = maskOf("...", ".#.", "...");
  assert.deepEqual(entityCircle({ radius: 7.5 }, mask), { center: [1, 1], radius: 7.5 });
  assert.deepEqual(entityCircle({}, mask), { center: [1, 1], radius: 1 });
});
