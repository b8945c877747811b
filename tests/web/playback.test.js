import assert from "node:assert/strict";
import { test } from "node:test";

import { placements } from "../../web/playback.js";
import { newScene } from "../../web/scene.js";
import { LIGHT } from "../../web/theme.js";
import { newFormat } from "./shared_files.js";

const MASK = { height: 40, width: 56, pixels: new Uint8Array(40 * 56).fill(1) };

function sceneWith(paths, changes = {}) {
  const document = newFormat().parse({
    format: "draganything-motion",
    version: 2,
    size: { height: 40, width: 56 },
    frames: 5,
    entities: [{ id: 1, name: "ball" }, { id: 2, name: "cloud" }],
    paths,
    ...changes,
  });
  const masks = new Map([[1, MASK], [2, MASK]]);
  const circles = new Map([[1, { center: [20, 20], radius: 4 }], [2, { center: [30, 10], radius: 4 }]]);
  return { ...newScene(document, { width: 300, height: 200 }, LIGHT), masks, circles };
}

function line(entity, from, to, more = {}) {
  const points = [from, to].map(([x, y]) => ({ x, y }));
  return { entity, points, curve: "polyline", ...more };
}

function moved({ a, b, offset }, [x, y]) {
  return [a * x - b * y + offset[0], b * x + a * y + offset[1]];
}

function near(found, expected) {
  found.forEach((value, index) => assert.ok(Math.abs(value - expected[index]) < 1e-9, `${found} is not ${expected}`));
}

test("in the first frame everything is where it was", () => {
  const apart = line(1, [20, 22], [10, 30], { anchor: "grabbed_point" });
  const scene = sceneWith([line(1, [5, 5], [9, 9]), apart, line(2, [1, 1], [9, 1])], { camera: { pan: [9, 3] } });
  for (const placement of placements(scene, 0)) {
    near([placement.a, placement.b, ...placement.offset], [1, 0, 0, 0]);
  }
});

test("a cut-out goes as far as its line, whichever point the line guides", () => {
  for (const anchor of ["center", "grabbed_point"]) {
    const [placement] = placements(sceneWith([line(1, [17, 18], [27, 14], { anchor })]), 2);
    near(moved(placement, [20, 20]), [25, 18]);
  }
});

test("between two frames it is between their places", () => {
  const [placement] = placements(sceneWith([line(1, [20, 20], [28, 20])]), 1.5);
  near(moved(placement, [20, 20]), [23, 20]);
});

test("it grows with its disc, compared with the first frame, about the disc's centre", () => {
  const radius_keys = [{ time: 0, scale: 0.5 }, { time: 1, scale: 1.5 }];
  const [placement] = placements(sceneWith([line(1, [20, 20], [28, 20], { radius_keys })]), 4);
  near(moved(placement, [20, 20]), [28, 20]);
  near(moved(placement, [22, 20]), [34, 20]);
});

test("two lines on one body turn it", () => {
  const held = { entity: 1, points: [{ x: 20, y: 20 }], static: true, anchor: "grabbed_point" };
  const quarter = line(1, [24, 20], [20, 24], { anchor: "grabbed_point" });
  const [placement] = placements(sceneWith([held, quarter]), 4);
  const [from, to] = [moved(placement, [20, 20]), moved(placement, [24, 20])];
  near([to[0] - from[0], to[1] - from[1]], [0, 4]);
});

test("lines that tear a body apart only move it", () => {
  const paths = [[16, -20], [24, 60]].map(([x, end]) => line(1, [x, 20], [x, end], { anchor: "grabbed_point" }));
  const [placement] = placements(sceneWith(paths), 4);
  near([placement.a, placement.b, ...placement.offset], [1, 0, 0, 0]);
});

test("lines from one place are met in their middle", () => {
  const [placement] = placements(sceneWith([line(1, [3, 3], [11, 3]), line(1, [3, 3], [3, 11])]), 4);
  near(moved(placement, [20, 20]), [24, 24]);
  near([placement.a, placement.b], [1, 0]);
});

test("a camera that carries entities moves and scales their cut-outs", () => {
  const zoom = { factor: 2, center: [20, 20], points: [[10, 10], [30, 10], [10, 30], [30, 30]] };
  const scene = sceneWith([line(1, [20, 20], [20, 20])], { camera: { zoom, pan: [4, 0], carries_entities: true } });
  const [placement] = placements(scene, 4);
  near(moved(placement, [20, 20]), [24, 20]);
  near(moved(placement, [21, 20]), [26, 20]);
});

test("the nearest cut-out comes last", () => {
  const still = (entity, depth) => line(entity, [9, 9], [9, 9], { depth });
  const order = (one, two, three) =>
    placements(sceneWith([still(1, one), still(2, two), still(1, three)]), 0).map(({ entity }) => entity);
  assert.deepEqual(order(1, 1, 1), [1, 2]);
  assert.deepEqual(order(1, 2, 3), [2, 1]);
  assert.deepEqual(order(3, 2, 1), [2, 1]);
  assert.deepEqual(order(3, 1, 2), [1, 2]);
});

test("unseen only when none of its discs is painted", () => {
  const [first, second] = [line(1, [9, 9], [9, 9], { visible: [[0, 0.5]] }), line(1, [9, 9], [9, 9], { visible: [] })];
  assert.deepEqual(placements(sceneWith([first, second]), 1).map(({ seen }) => seen), [true]);
  assert.deepEqual(placements(sceneWith([first, second]), 4).map(({ seen }) => seen), [false]);
});

test("what has no mask or no circle stays in the ground", () => {
  const scene = sceneWith([line(1, [9, 9], [19, 9]), line(2, [9, 9], [19, 9])]);
  assert.deepEqual(placements({ ...scene, masks: new Map([[2, MASK]]) }, 2).map(({ entity }) => entity), [2]);
  assert.deepEqual(placements({ ...scene, circles: new Map() }, 2), []);
});
