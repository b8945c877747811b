import assert from "node:assert/strict";
import { test } from "node:test";

import { documentWarnings } from "../../web/warnings.js";
import { newFormat } from "./shared_files.js";

const NO_LIMITS = { speed: null, radius: null };

/** Two small entities far apart, each at rest. */
function documentWith(changes) {
  return newFormat().parse({
    format: "draganything-motion",
    version: 2,
    size: { height: 40, width: 56 },
    frames: 5,
    entities: [{ id: 1, name: "ball" }, { id: 2, name: "" }],
    paths: [line(1, [10, 10], [14, 10]), line(2, [40, 30], [44, 30])],
    ...changes,
  });
}

function line(entity, from, to, more = {}) {
  const points = [from, to].map(([x, y]) => ({ x, y }));
  return { entity, points, curve: "polyline", anchor: "grabbed_point", ...more };
}

function circles(radius = 5) {
  return new Map([[1, { center: [10, 10], radius }], [2, { center: [40, 30], radius }]]);
}

function found(document, limits = NO_LIMITS, ofEntities = circles()) {
  return documentWarnings(document, ofEntities, "center", limits);
}

test("a calm document has no warnings", () => {
  assert.deepEqual(found(documentWith({}), { speed: 3, radius: 4 }), []);
});

test("a disc whose centre leaves the picture, with the first frame outside", () => {
  const [warning, ...others] = found(documentWith({ paths: [line(1, [10, 10], [90, 10])] }));
  assert.deepEqual(others, []);
  assert.deepEqual([warning.kind, warning.entity, warning.path, warning.frame], ["leaves_frame", 1, 0, 3]);
  assert.match(warning.message, /“ball” leaves the picture in frame 4/);
});

test("a line that is not seen outside leaves nothing", () => {
  assert.deepEqual(found(documentWith({ paths: [line(1, [10, 10], [90, 10], { visible: [[0, 0.5]] })] })), []);
});

test("touching the border is no leaving", () => {
  assert.deepEqual(found(documentWith({ paths: [line(1, [10, 10], [55, 10])] })), []);
});

test("discs that overlap: one warning for two entities, at the first frame", () => {
  const paths = [line(1, [10, 10], [40, 30]), line(2, [40, 30], [40, 30]), line(2, [40, 30], [41, 30])];
  const [warning, ...others] = found(documentWith({ paths }));
  assert.deepEqual(others, []);
  assert.deepEqual([warning.kind, warning.entity, warning.path, warning.frame], ["discs_overlap", 1, 0, 3]);
  assert.match(warning.message, /Entity 2 covers “ball” from frame 4 on/);
});

test("discs overlap by the radius that the weights leave them", () => {
  const large = circles(25);
  assert.deepEqual(found(documentWith({}), NO_LIMITS, large).map(({ kind }) => kind), ["discs_overlap"]);
  const limits = { ...NO_LIMITS, largest: 15 };
  assert.ok(!found(documentWith({}), limits, large).map(({ kind }) => kind).includes("discs_overlap"));
});

test("no overlap where a depth says which is in front, one is not seen, or both are one entity's", () => {
  const still = line(2, [40, 30], [40, 30]);
  const crossing = line(1, [10, 10], [40, 30]);
  for (const paths of [
    [{ ...crossing, depth: 2 }, still],
    [{ ...crossing, visible: [[0, 0.5]] }, still],
    [crossing, { ...still, entity: 1 }],
  ]) {
    assert.deepEqual(found(documentWith({ paths })), []);
  }
});

test("a tiny mask, by the limit given", () => {
  const limits = { ...NO_LIMITS, radius: 4 };
  const small = new Map([...circles(), [2, { center: [40, 30], radius: 3.96 }]]);
  const [warning, ...others] = found(documentWith({}), limits, small);
  assert.deepEqual(others, []);
  assert.deepEqual([warning.kind, warning.entity, warning.path, warning.frame], ["tiny_mask", 2, null, 0]);
  assert.deepEqual(found(documentWith({}), limits, circles(4)), []);
});

test("a large thing that moves, where its disc loses a third of its area or more", () => {
  const limits = { ...NO_LIMITS, largest: 8 };
  const large = new Map([...circles(), [2, { center: [40, 30], radius: 10.1 }]]);
  const [warning, ...others] = found(documentWith({}), limits, large);
  assert.deepEqual(others, []);
  assert.deepEqual([warning.kind, warning.entity, warning.path, warning.frame], ["too_large", 2, null, 0]);
  assert.match(warning.message, /painted with 8 px of radius, not 10.1/);
  assert.deepEqual(found(documentWith({}), limits, circles(10)), []);
  assert.deepEqual(found(documentWith({}), { ...NO_LIMITS, largest: null }, large), []);
  const pins = [line(1, [10, 10], [10, 10], { static: true }), line(2, [40, 30], [40, 30], { static: true })];
  for (const paths of [pins, []]) {
    const kinds = found(documentWith({ paths }), limits, circles(30)).map(({ kind }) => kind);
    assert.ok(!kinds.includes("too_large"), "what rests may be larger");
  }
});

test("too fast, by the limit given, at the fastest frame", () => {
  const paths = [line(1, [10, 10], [50, 10], { easing: "ease_in" })];
  const [warning, ...others] = found(documentWith({ paths }), { ...NO_LIMITS, speed: 12 });
  assert.deepEqual(others, []);
  assert.deepEqual([warning.kind, warning.entity, warning.path, warning.frame], ["too_fast", 1, 0, 4]);
  assert.match(warning.message, /frame 5\); these weights follow up to 12 px/);
  assert.deepEqual(found(documentWith({ paths }), { ...NO_LIMITS, speed: 20 }), []);
});

test("a jump between unseen frames is not too fast", () => {
  const paths = [line(1, [10, 10], [50, 10], { visible: [[0, 0.1], [0.9, 1]] })];
  assert.deepEqual(found(documentWith({ paths }), { ...NO_LIMITS, speed: 1 }), []);
});

test("a fast camera is warned of without an entity", () => {
  const pan = documentWith({ camera: { pan: [20, 0], carries_entities: false } });
  const [warning, ...others] = found(pan, { ...NO_LIMITS, speed: 4 });
  assert.deepEqual(others, []);
  assert.deepEqual([warning.kind, warning.entity, warning.path], ["too_fast", null, null]);
  assert.match(warning.message, /camera's pan moves 5 px/);
  assert.deepEqual(found(pan, { ...NO_LIMITS, speed: 5.1 }), []);
});

test("an entity without a circle yet is passed over", () => {
  const paths = [line(1, [10, 10], [90, 10])];
  assert.deepEqual(found(documentWith({ paths }), { speed: 1, radius: 99 }, new Map()), []);
});
