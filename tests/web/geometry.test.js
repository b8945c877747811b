import assert from "node:assert/strict";
import { test } from "node:test";

import { flattened } from "../../web/curves.js";
import {
  entityAt,
  nearestFrame,
  nearestOnPath,
  pathAt,
  pointAt,
  pointsInBox,
  simplified,
  withPointOnPath,
} from "../../web/geometry.js";
import { Dice } from "./random.js";
import { twoEntities } from "./shared_files.js";

const [SMOOTH] = twoEntities().paths;

function lineOf(path) {
  const { x, y } = flattened(path);
  return Array.from(x, (value, index) => [value, y[index]]);
}

test("the nearest place on a straight line by hand", () => {
  const path = { ...SMOOTH, curve: "polyline", points: [{ x: 0, y: 0 }, { x: 10, y: 0 }, { x: 10, y: 10 }] };
  assert.deepEqual(nearestOnPath(path, [4, 3]), { position: [4, 0], distance: 3, segment: 0, parameter: 0.4 });
  assert.deepEqual(nearestOnPath(path, [12, 7]), { position: [10, 7], distance: 2, segment: 1, parameter: 0.7 });
  assert.deepEqual(nearestOnPath(path, [-3, -4]), { position: [0, 0], distance: 5, segment: 0, parameter: 0 });
});

test("no sample of a line is nearer than the nearest place", () => {
  const dice = new Dice(5);
  for (let round = 0; round < 100; round += 1) {
    const curve = dice.of(["polyline", "catmull_rom", "bezier", "freehand"]);
    const path = { ...SMOOTH, curve, points: dice.list(1, 6, () => dice.point()) };
    const [x, y] = dice.position();
    const { distance, position, segment, parameter } = nearestOnPath(path, [x, y]);
    assert.ok(lineOf(path).every((corner) => Math.hypot(corner[0] - x, corner[1] - y) >= distance - 1e-9));
    assert.ok(Math.abs(Math.hypot(position[0] - x, position[1] - y) - distance) < 1e-9);
    assert.ok(segment >= 0 && segment < Math.max(path.points.length - 1, 1));
    assert.ok(parameter >= 0 && parameter <= 1);
  }
});

test("a path of one point is there", () => {
  const place = nearestOnPath({ ...SMOOTH, points: [{ x: 3, y: 4 }] }, [0, 0]);
  assert.deepEqual(place, { position: [3, 4], distance: 5, segment: 0, parameter: 0 });
});

test("the nearest point within reach is hit, the last painted one among equals", () => {
  const document = twoEntities();
  assert.deepEqual(pointAt(document, [9, 29], 5), { path: 0, point: 0 });
  assert.equal(pointAt(document, [28, 39], 5), null);
  const doubled = { ...document, paths: [...document.paths, document.paths[0]] };
  assert.deepEqual(pointAt(doubled, [9, 29], 5), { path: 3, point: 0 });
});

test("what is selected is not covered by what is not", () => {
  const document = twoEntities();
  const covered = { ...document, paths: [...document.paths, { ...SMOOTH, points: [{ x: 9, y: 30 }] }] };
  assert.deepEqual(pointAt(covered, [9, 30], 3), { path: 3, point: 0 });
  assert.deepEqual(pointAt(covered, [9, 30], 3, [0]), { path: 0, point: 0 });
  assert.equal(pathAt(covered, [9, 30], 3)?.path, 3);
  assert.equal(pathAt(covered, [9, 30], 3, [0])?.path, 0);
});

test("a path is hit along its line, not only at its points", () => {
  const hit = pathAt(twoEntities(), [20, 5], 2);
  assert.equal(hit?.path, 1);
  assert.deepEqual(hit?.place.position, [20, 4]);
  assert.equal(pathAt(twoEntities(), [55, 39], 2), null);
});

test("the last painted entity whose mask is there, unless it is hidden", () => {
  const document = twoEntities();
  const mask = { height: 40, width: 56, pixels: new Uint8Array(40 * 56) };
  mask.pixels[10 * 56 + 20] = 1;
  const masks = new Map([[1, mask], [2, mask]]);
  assert.equal(entityAt(document, masks, [20.4, 9.6]), 2);
  assert.equal(entityAt(document, masks, [20.6, 10]), null);
  const [first, second] = document.entities;
  assert.equal(entityAt({ ...document, entities: [first, { ...second, hidden: true }] }, masks, [20, 10]), 1);
  assert.equal(entityAt(document, new Map(), [20, 10]), null);
});

test("a box takes the points within and on its border", () => {
  assert.deepEqual(pointsInBox(twoEntities(), { x: 4, y: 4, width: 16, height: 26 }), [
    { path: 0, point: 0 },
    { path: 0, point: 1 },
    { path: 1, point: 0 },
  ]);
});

test("the nearest frame", () => {
  assert.deepEqual(nearestFrame([[0, 0], [10, 0], [20, 0]], [12, 0]), { frame: 1, distance: 2 });
});

test("a point put on a Bezier or straight line leaves its shape", () => {
  const dice = new Dice(6);
  for (let round = 0; round < 100; round += 1) {
    const curve = dice.of(["polyline", "bezier", "freehand"]);
    const before = { ...SMOOTH, curve, points: dice.list(2, 5, () => dice.point()) };
    const segment = dice.whole(0, before.points.length - 2);
    const points = withPointOnPath(before, segment, dice.roll());
    assert.equal(points.length, before.points.length + 1);
    const after = { ...before, points };
    for (const corner of lineOf(after)) {
      const { distance } = nearestOnPath(before, corner);
      assert.ok(distance < 0.2, `round ${round}: ${distance} px off, by more than the chords are`);
    }
  }
});

test("a point put on a smooth line lies on it", () => {
  const points = withPointOnPath(SMOOTH, 1, 0.5);
  assert.equal(points.length, 5);
  assert.ok(nearestOnPath(SMOOTH, [points[2].x, points[2].y]).distance < 0.01);
});

test("a simplified line keeps its ends and stays within the tolerance", () => {
  const dice = new Dice(7);
  for (let round = 0; round < 50; round += 1) {
    const points = dice.list(1, 120, () => {
      const [x, y] = dice.position();
      return { x, y };
    });
    const tolerance = dice.between(0, 20);
    const few = simplified(points, tolerance);
    assert.equal(few[0], points[0]);
    assert.equal(few.at(-1), points.at(-1));
    const remaining = { ...SMOOTH, curve: "freehand", points: few };
    assert.ok(points.every(({ x, y }) => nearestOnPath(remaining, [x, y]).distance <= tolerance + 1e-9));
  }
});

test("a freehand line of points in a row becomes two, and a corner is kept", () => {
  const row = Array.from({ length: 50 }, (_, x) => ({ x, y: 0 }));
  assert.deepEqual(simplified(row, 0.1), [row[0], row[49]]);
  const corner = [...row, ...Array.from({ length: 50 }, (_, y) => ({ x: 49, y: y + 1 }))];
  assert.deepEqual(simplified(corner, 0.1), [row[0], row[49], corner[99]]);
  assert.deepEqual(simplified([{ x: 1, y: 1 }], 1), [{ x: 1, y: 1 }]);
});
