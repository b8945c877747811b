import assert from "node:assert/strict";
import { test } from "node:test";

import { ServerError } from "../../web/api.js";
import { shapesOf } from "../../web/entity_shapes.js";
import { maskFiles } from "../../web/mask_files.js";
import { SIZE, rectangle } from "./fake_board.js";

const settled = () => new Promise((resolve) => setTimeout(resolve));
const ENTITIES = [{ id: 3, name: "", mask: { file: "ball.png" } }];

test("a mask file is asked for once and becomes a shape", async () => {
  const asked = [];
  let news = 0;
  const answer = async (file) => (asked.push(file), { rle: rectangle(4, 24, 14, 34) });
  const files = maskFiles(answer, () => (news += 1));
  const before = shapesOf({ entities: ENTITIES, size: SIZE }, undefined, files);
  assert.deepEqual([before.masks.size, before.unknown], [0, [3]]);
  await settled();
  const after = shapesOf({ entities: ENTITIES, size: SIZE }, before, files);
  assert.deepEqual([after.circles.get(3).center, asked, news], [[9, 29], ["ball.png"], 1]);
});

test("a file that is refused stays unknown and says why; one that could not be asked for is asked for again", async () => {
  let [reason, calls, news] = ["refused", 0, 0];
  const files = maskFiles(
    async () => {
      calls += 1;
      throw new ServerError(reason, "There is no such file.");
    },
    () => (news += 1),
  );
  for (const [name, expected] of [["a.png", "There is no such file."], ["b.png", null]]) {
    files.maskOf(name, SIZE);
    await settled();
    assert.equal(files.maskOf(name, SIZE), null);
    assert.equal(files.problemOf(name, SIZE), expected);
    reason = "unreachable";
  }
  assert.deepEqual([calls, news], [3, 1]);
});
