import assert from "node:assert/strict";
import { test } from "node:test";

import { copied, sameJson } from "../../web/document.js";
import { MIGRATIONS } from "../../web/document_migrations.js";
import { DocumentError } from "../../web/document_validation.js";
import { SCHEMA, goldenDocuments, newFormat, refusedDocuments, twoEntities } from "./shared_files.js";

const MINIMAL = { format: "draganything-motion", version: 2, size: { height: 40, width: 56 }, frames: 5 };
const format = newFormat();

function refusal(data) {
  try {
    format.parse(data);
  } catch (error) {
    assert.ok(error instanceof DocumentError, String(error));
    return error;
  }
  return assert.fail(`accepted ${JSON.stringify(data)}`);
}

for (const [name, text] of goldenDocuments()) {
  test(`golden document ${name} is read, and written as it stands`, () => {
    const document = format.parse(text);
    const written = format.toText(document);
    assert.deepEqual(format.parse(written), document);
    assert.deepEqual(format.parse(JSON.parse(written)), document);
    if (JSON.parse(text).version === 2) {
      assert.equal(written, text);
    }
  });
}

for (const [name, { path, document }] of refusedDocuments()) {
  test(`bad document ${name} is refused at its place`, () => {
    const error = refusal(document);
    assert.equal(error.jsonPath, path);
    assert.ok(error.message.startsWith(`${path}: found `), error.message);
    assert.match(error.message, /expected.*\.$/s);
  });
}

test("a minimal document has the defaults of the schema", () => {
  assert.deepEqual(format.parse(MINIMAL), { ...MINIMAL, fps: 7, entities: [], paths: [], extra: {} });
  const drawn = { entities: [{ id: 1, name: "a" }], paths: [{ entity: 1, points: [{ x: 1, y: 2 }] }] };
  const [path] = format.parse({ ...MINIMAL, ...drawn }).paths;
  assert.deepEqual(path, {
    entity: 1,
    points: [{ x: 1, y: 2 }],
    curve: "catmull_rom",
    timing: "arc_length",
    fit: "stretch",
    easing: "linear",
    start: 0,
    end: 1,
    visible: [[0, 1]],
    radius_keys: [],
    static: false,
    name: "",
  });
});

test("a document with its defaults written out is the same document", () => {
  for (const [, text] of goldenDocuments()) {
    const document = format.parse(text);
    assert.deepEqual(format.parse(copied(document)), document);
  }
});

test("members are written in the core's order", () => {
  const extra = { view: 1 };
  const whole = { ...twoEntities(), extra, fps: 8, image: "a.png", camera: { pan: [1, 2] } };
  const order = ["format", "version", "size", "frames", "entities", "paths", "camera", "image", "fps", "extra"];
  assert.deepEqual(Object.keys(format.toJson(whole)), order);
});

test("a document is frozen and shares nothing with what was read", () => {
  const data = { ...copied(MINIMAL), extra: { view: [1] } };
  const document = format.parse(data);
  data.extra.view.push(2);
  assert.deepEqual(document.extra, { view: [1] });
  assert.throws(() => document.extra.view.push(3), TypeError);
  assert.throws(() => (document.size.width = 3), TypeError);
});

test("completing a changed document shares what did not change", () => {
  const document = twoEntities();
  const completed = format.completed({ ...document, frames: 9 });
  assert.equal(completed.paths, document.paths);
  assert.equal(completed.extra, document.extra);
});

test("a member set to undefined is a member taken away", () => {
  const document = format.parse({ ...MINIMAL, image: "a.png", fps: 12 });
  const completed = format.completed({ ...document, image: undefined, fps: undefined });
  assert.deepEqual(completed, format.parse(MINIMAL));
  assert.ok(!("image" in completed));
});

test("what was found good is checked again where it changed", () => {
  const document = format.completed(twoEntities());
  const [first, ...others] = document.paths;
  const bad = { ...document, paths: [{ ...first, points: [...first.points, { x: NaN, y: 1 }] }, ...others] };
  assert.throws(() => format.completed(bad), /^DocumentError: \$\.paths\[0\]\.points\[4\]\.x: found NaN/);
  const moved = { ...document, entities: document.paths };
  assert.throws(() => format.completed(moved), DocumentError, "good as a path is not good as an entity");
});

test("messages say what was found, what was expected and what to do", () => {
  assert.equal(
    refusal({ ...MINIMAL, frames: "20" }).message,
    '$.frames: found "20", expected a whole number (frames in the clip). Change it.',
  );
  assert.match(refusal({ ...MINIMAL, frame: 5 }).message, /Remove it or write frames\.$/);
  assert.match(refusal({ ...MINIMAL, version: 3 }).message, /made by a newer version\. Update/);
  assert.match(refusal("[]").message, /draganything_core\.convert/);
});

test("values that JSON cannot hold are refused", () => {
  for (const value of [NaN, Infinity, () => 1, Symbol("a"), new Map(), new Date(), "\ud800", [undefined]]) {
    assert.match(refusal({ ...MINIMAL, extra: { value } }).jsonPath, /^\$\.extra\.value/);
  }
  assert.equal(refusal({ ...MINIMAL, extra: { ["\udc00"]: 1 } }).jsonPath, "$.extra");
});

for (const [text, path] of [
  ['{"frames": 5,', "$"],
  ["", "$"],
  ['{"frames": 5, "frames": 6}', "$.frames"],
  ['{"paths": [{"points": []}, {"start": 0, "start": 1}]}', "$.paths[1].start"],
  ['{"size": {"height": NaN}}', "$.size.height"],
  ['{"paths": [{"points": [{"x": 1, "y": -Infinity}]}]}', "$.paths[0].points[0].y"],
  ['{"fps": 1e999}', "$.fps"],
  ['{"extra": {"a b": NaN}}', '$.extra["a b"]'],
  ['{"image": "\\ud800.png"}', "$.image"],
  ["[".repeat(100_000), "$"],
  ["[".repeat(200) + "]".repeat(200), "$" + "[0]".repeat(101)],
  [`{"frames": ${"1".repeat(5000)}}`, "$"],
]) {
  test(`text that JSON should not hold is refused: ${text.slice(0, 30)}`, () => {
    assert.equal(refusal(text).jsonPath, path);
  });
}

test("what tools left in extra is kept to the last digit", () => {
  const extra = '{"a b": [null, true, "ü"], "big": 12345678901234567890, "__proto__": {"x": 1}, "tiny": 5e-324}';
  const rest = '"format": "draganything-motion", "version": 2, "size": {"height": 4, "width": 5}, "frames": 1';
  const text = `{${rest}, "extra": ${extra}}`;
  const written = format.toText(format.parse(text));
  assert.ok(written.includes(`"extra": ${extra}`), written);
});

test("there is a step from every older version", () => {
  const current = SCHEMA.properties.version.const;
  const older = Array.from({ length: current - 1 }, (_, index) => String(index + 1));
  assert.deepEqual(Object.keys(MIGRATIONS), older);
  assert.ok(older.every((version) => `version_${version}` in SCHEMA.$defs));
});

test("an older document becomes the same as its current form", () => {
  const texts = new Map(goldenDocuments());
  const current = format.parse(texts.get("version_1_brought_up_to_date.json"));
  assert.deepEqual(format.parse(texts.get("version_1.json")), current);
});

test("an empty document has a size and frames and nothing else", () => {
  assert.deepEqual(format.empty({ height: 40, width: 56 }, 5), format.parse(MINIMAL));
  assert.throws(() => format.empty({ height: 0, width: 56 }, 5), /\$\.size\.height/);
});

test("a schema with a rule that is not known here is not read in part", async () => {
  const { documentFormat } = await import("../../web/document.js");
  assert.throws(() => documentFormat({ ...SCHEMA, anyOf: [] }), /anyOf/);
});

test("equality of JSON does not depend on the order of keys, and sees every difference", () => {
  assert.ok(sameJson({ a: [1, { b: 2 }], c: 3 }, { c: 3, a: [1, { b: 2 }] }));
  for (const other of [{ a: 1 }, { a: 1, b: 3 }, { a: 1, c: 2 }, [1, 2], null, "{}"]) {
    assert.ok(!sameJson({ a: 1, b: 2 }, other), JSON.stringify(other));
  }
  assert.ok(!sameJson([1], { 0: 1 }));
});
