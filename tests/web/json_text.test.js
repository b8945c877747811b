import assert from "node:assert/strict";
import { test } from "node:test";

import { JsonTextError, RepeatedKey, readJson, writeJson } from "../../web/json_text.js";
import { goldenDocuments } from "./shared_files.js";

test("what JSON.parse reads is read the same", () => {
  const texts = [
    ...goldenDocuments().map(([, text]) => text),
    ' [1, -0.5e3 , 1E+2,0.1,{"a":{}, "b" : [ ]}, "\\u00e9\\n\\"\\\\", true,false,null] ',
    '""',
    "-0",
  ];
  for (const text of texts) {
    assert.deepEqual(readJson(text), JSON.parse(text));
  }
});

test("what JSON.parse refuses is refused", () => {
  const texts = ["", " ", "[1,]", "[1 2]", "{a: 1}", '{"a" 1}', '{"a": 1,}', "01", "1.", ".5", "+1", "1e", "- 1"];
  texts.push("'a'", '"a', '"a\nb"', '"\\x"', "tru", "[1]]", "[", "{", '{"a": }', "\ufeff1", "nul", '"\\u12"');
  for (const text of texts) {
    assert.throws(() => JSON.parse(text), SyntaxError, text);
    assert.throws(() => readJson(text), JsonTextError, text);
  }
});

test("a fault is found by line and column", () => {
  assert.throws(() => readJson('{\n  "a": ?}'), /line 2, column 8/);
});

test("a repeated key stands out until its place is known", () => {
  const value = readJson('[{"a": {"b": 1, "c": 2, "b": 3}}]');
  assert.ok(value[0].a instanceof RepeatedKey);
  assert.equal(value[0].a.key, "b");
});

test("a key named __proto__ is a key", () => {
  const value = readJson('{"__proto__": {"x": 1}}');
  assert.deepEqual(Object.keys(value), ["__proto__"]);
  assert.equal(value.x, undefined);
});

test("numbers survive", () => {
  for (const text of ["12345678901234567890", "-9007199254740993", "0.1", "5e-324", "1e+22", "1.152921504606847e+18"]) {
    assert.equal(writeJson(readJson(text)), text);
  }
  assert.equal(readJson("1152921504606846976"), 2n ** 60n);
  assert.equal(writeJson(-0), "0");
});

test("text is written as Python writes it", () => {
  const written = '{"a": [1, 2.5, "é"], "b c": null, "d": {}, "e": []}';
  assert.equal(writeJson({ a: [1, 2.5, "é"], "b c": null, d: {}, e: [] }), written);
});
