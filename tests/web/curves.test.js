import assert from "node:assert/strict";
import { test } from "node:test";

import { cameraMotion, cameraStarts, moved, shownFrame, zoomFactor, zoomPoints } from "../../web/camera.js";
import { bezierPoint, curvePoints, flattened, segments } from "../../web/curves.js";
import { eased, frameTimes, progress, spanOfFrames } from "../../web/easing.js";
import { cameraTracks, documentTracks, onCanvas, paintOrder, pathTrack } from "../../web/tracks.js";
import { Dice } from "./random.js";
import { CURVES, newFormat, twoEntities } from "./shared_files.js";

const TOLERANCE = 2e-9; // the core's own on this file, which is rounded to 1e-9
const KINDS = ["polyline", "catmull_rom", "bezier", "freehand"];
const EASINGS = ["linear", "ease_in", "ease_out", "ease_in_out", { cubic_bezier: [0.3, -0.6, 0.5, 1.6] }];
const SIZE = { height: 40, width: 56 };
const format = newFormat();

function documentWith({ path, camera, frames = 5 }) {
  return format.parse({
    format: "draganything-motion",
    version: 2,
    size: SIZE,
    frames,
    ...(path === undefined ? {} : { entities: [{ id: 1, name: "ball" }], paths: [{ entity: 1, ...path }] }),
    ...(camera === undefined ? {} : { camera }),
  });
}

function pathWith(points, options = {}) {
  return documentWith({ path: { points: points.map(([x, y]) => ({ x, y })), ...options } }).paths[0];
}

function assertNear(found, expected, tolerance, message) {
  assert.ok(Math.abs(found - expected) <= tolerance, `${message}: ${found} is not ${expected}`);
}

function assertTrack(track, expected) {
  assert.equal(track.points.length, expected.points.length);
  expected.points.forEach(([x, y], frame) => {
    assertNear(track.points[frame][0], x, TOLERANCE, `x of frame ${frame}`);
    assertNear(track.points[frame][1], y, TOLERANCE, `y of frame ${frame}`);
    assertNear(track.radii[frame], expected.radii[frame], TOLERANCE, `radius of frame ${frame}`);
  });
  assert.deepEqual(track.visible, expected.visible);
}

for (const { name, path, camera, frames, entity, ...expected } of CURVES.lines) {
  test(`golden line: ${name}`, () => {
    const document = documentWith({ path, camera, frames });
    const motion = document.camera && cameraMotion(document.camera, frames);
    assertTrack(pathTrack(document.paths[0], frames, document.size, entity, "center", motion), expected);
    const [track] = documentTracks(document, new Map([[1, entity]]), "center");
    assertTrack(track, expected);
  });
}

for (const { name, camera, frames, radius, tracks } of CURVES.cameras) {
  test(`golden camera: ${name}`, () => {
    const found = cameraTracks(documentWith({ camera, frames }).camera, frames, SIZE, radius);
    assert.equal(found.length, tracks.length);
    found.forEach((track, index) => assertTrack(track, tracks[index]));
  });
}

test("a straight line is walked at even steps", () => {
  const line = pathWith([[0, 10], [4, 10]], { curve: "polyline" });
  assert.deepEqual(curvePoints(line, 5), [[0, 10], [1, 10], [2, 10], [3, 10], [4, 10]]);
});

test("end points are kept and nothing is NaN, whatever the line", () => {
  const dice = new Dice(1);
  for (let round = 0; round < 300; round += 1) {
    const points = dice.list(1, 7, () => dice.position(1000));
    const repeated = dice.chance(0.3) ? points.flatMap((point) => [point, point]) : points;
    const options = { curve: dice.of(KINDS), timing: dice.of(["arc_length", "per_point"]), easing: dice.of(EASINGS) };
    const line = curvePoints(pathWith(repeated, options), dice.whole(2, 20));
    assert.deepEqual(line[0], points[0]);
    assert.deepEqual(line.at(-1), points.at(-1));
    assert.ok(line.flat().every(Number.isFinite));
  }
});

test("the tiniest lengths give no NaN", () => {
  for (const curve of KINDS) {
    const line = pathWith([[0, 0], [5e-324, 0], [1e-300, 1e-300], [1, 5e-324], [1, 0]], { curve });
    assert.ok(curvePoints(line, 9).flat().every(Number.isFinite));
  }
});

test("a reversed line is the film played backwards", () => {
  const dice = new Dice(2);
  for (let round = 0; round < 100; round += 1) {
    const points = dice.list(2, 6, () => dice.position(500));
    const options = { curve: dice.of(KINDS), timing: dice.of(["arc_length", "per_point"]) };
    const forwards = curvePoints(pathWith(points, options), 9);
    const backwards = curvePoints(pathWith([...points].reverse(), options), 9).reverse();
    forwards.flat().forEach((value, index) => assertNear(value, backwards.flat()[index], 1e-6, `round ${round}`));
  }
});

test("steps along an arc are of equal length", () => {
  const dice = new Dice(3);
  for (let round = 0; round < 50; round += 1) {
    const path = pathWith(dice.list(2, 6, () => dice.position(500)), { curve: dice.of(KINDS) });
    const { behind } = flattened(path);
    // A line of one frame for each chord's end lies on the chords, so its own length is the line's.
    const walked = curvePoints(path, 4001);
    const steps = walked.slice(1).map(([x, y], i) => Math.hypot(x - walked[i][0], y - walked[i][1]));
    const length = steps.reduce((sum, step) => sum + step, 0);
    assertNear(length, behind.at(-1), 0.01 * behind.at(-1), "length");
    const half = steps.slice(0, 2000).reduce((sum, step) => sum + step, 0);
    assertNear(half, length / 2, 0.01 * length, "half way in half the time");
  }
});

test("a segment's curve starts and ends at its points", () => {
  const path = pathWith([[8, 30], [20, 10], [32, 30]]);
  assert.deepEqual(segments(path).map((segment) => bezierPoint(segment, 0)), [[8, 30], [20, 10]]);
  assert.deepEqual(segments(path).map((segment) => bezierPoint(segment, 1)), [[20, 10], [32, 30]]);
});

test("a line is computed once for as long as its path lives", () => {
  const path = pathWith([[8, 30], [20, 10], [32, 30]]);
  assert.equal(flattened(path), flattened(path));
  assert.notEqual(flattened(path), flattened({ ...path }));
});

test("easing by hand", () => {
  assert.equal(eased("linear", 0.25), 0.25);
  assertNear(eased("ease_in_out", 0.5), 0.5, 1e-12, "half");
  assertNear(eased("ease_in_out", 0.25), 0.1292, 1e-4, "as browsers draw it");
  assertNear(eased("ease_in", 0.5), 0.3154, 1e-4, "as browsers draw it");
  assert.deepEqual([eased("ease_out", 0), eased("ease_out", 1)], [0, 1]);
  assert.deepEqual(frameTimes(1), [0]);
  assert.deepEqual(progress("linear", 0.25, 0.75, 5), [0, 0, 0.5, 1, 1]);
});

test("a span around frames shows these frames and no others", () => {
  const dice = new Dice(4);
  for (let round = 0; round < 200; round += 1) {
    const frames = dice.whole(1, 30);
    const first = dice.whole(0, frames - 1);
    const last = dice.whole(first, frames - 1);
    const [from, to] = spanOfFrames(first, last, frames);
    const seen = frameTimes(frames).map((time) => time >= from && time <= to);
    assert.deepEqual(seen, seen.map((_, frame) => frame >= first && frame <= last), `${first}..${last} of ${frames}`);
  }
});

test("paint order is entity order, then path order, and far before near", () => {
  const document = twoEntities();
  assert.deepEqual(paintOrder(document), [0, 2, 1]);
  const turned = { ...document, entities: [...document.entities].reverse() };
  assert.deepEqual(paintOrder(turned), [1, 0, 2]);
  const [first, second, third] = document.paths;
  const deep = { ...document, paths: [first, { ...second, depth: 3 }, { ...third, depth: 0.5 }] };
  assert.deepEqual(paintOrder(deep), [1, 0, 2]);
});

test("a path whose entity has no circle yet has no track", () => {
  const circle = { center: [20, 15], radius: 4 };
  const tracks = documentTracks(twoEntities(), new Map([[2, circle]]), "center");
  assert.deepEqual(tracks.map((track) => track === null), [true, false, true]);
  assert.deepEqual(tracks[1].points[0], [20, 15]);
});

test("the anchor that a path leaves open is the weights' choice", () => {
  const circles = new Map([[2, { center: [20, 15], radius: 4 }]]);
  assert.deepEqual(documentTracks(twoEntities(), circles, "grabbed_point")[1].points[0], [4, 4]);
});

test("the canvas reaches half a pixel around its outer pixels", () => {
  const outside = [[-0.51, 5], [55.51, 5], [5, -0.51], [5, 39.51]];
  assert.ok([[-0.5, 39.5], [55.5, -0.5]].every((point) => onCanvas(point, SIZE)));
  assert.ok(!outside.some((point) => onCanvas(point, SIZE)));
});

test("what a frame shows is what the camera takes to the canvas's corners", () => {
  const { camera } = documentWith({
    camera: { pan: [-6, 3], zoom: { factor: 1.5, center: [30, 15], points: zoomPoints([30, 15], SIZE) } },
  });
  const motion = cameraMotion(camera, 5);
  const corners = [[-0.5, -0.5], [55.5, -0.5], [55.5, 39.5], [-0.5, 39.5]];
  for (let frame = 0; frame < 5; frame += 1) {
    shownFrame(motion, frame, SIZE).forEach((corner, index) => {
      const [x, y] = moved(motion, frame, corner);
      assertNear(x, corners[index][0], 1e-9, "x");
      assertNear(y, corners[index][1], 1e-9, "y");
    });
  }
  assert.deepEqual(shownFrame(motion, 0, SIZE), corners);
});

test("a dragged zoom point ends where it was dragged to", () => {
  const center = [27.5, 19.5];
  const [start] = zoomPoints(center, SIZE);
  const dragged = [center[0] + 2.5 * (start[0] - center[0]), center[1] + 2.5 * (start[1] - center[1])];
  const factor = zoomFactor(center, start, dragged);
  const { camera } = documentWith({ camera: { zoom: { factor, center, points: zoomPoints(center, SIZE) } } });
  const [x, y] = moved(cameraMotion(camera, 5), 4, cameraStarts(camera, SIZE)[0]);
  assertNear(x, dragged[0], 1e-9, "x");
  assertNear(y, dragged[1], 1e-9, "y");
  assert.equal(zoomFactor(center, center, dragged), null);
  assert.equal(zoomFactor(center, start, center), 0.01, "the smallest factor that a document holds");
});

test("a pan starts at the picture's centre", () => {
  assert.deepEqual(cameraStarts(documentWith({ camera: { pan: [1, 2] } }).camera, SIZE), [[27.5, 19.5]]);
});
