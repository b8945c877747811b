import assert from "node:assert/strict";
import { test } from "node:test";

import { boundsOf, contoursOf } from "../../web/contours.js";
import { curvePoints, flattened } from "../../web/curves.js";
import { linePlaces, otherStretches, pointAtPlace, seenStretches } from "../../web/line_frames.js";
import { badgesOf } from "../../web/render/badges.js";
import { isShown, newScene, positionAt, shownCamera, tracksOf, valueAt } from "../../web/scene.js";
import { DARK, ENTITY_COLORS, LIGHT, entityColor, luminance, themeFrom } from "../../web/theme.js";
import { documentTracks } from "../../web/tracks.js";
import { toCanvas } from "../../web/viewport.js";
import { Dice } from "./random.js";
import { goldenDocuments, newFormat, twoEntities } from "./shared_files.js";

const CANVAS = { width: 560, height: 400 };
const CIRCLES = new Map([[1, { center: [21, 17], radius: 6.5 }], [2, { center: [9, 8], radius: 3 }]]);

function sceneOf(document) {
  return { ...newScene(document, CANVAS, DARK), circles: CIRCLES };
}

function maskOf(...rows) {
  const pixels = Uint8Array.from(rows.join(""), (letter) => Number(letter === "#"));
  return { height: rows.length, width: rows[0].length, pixels };
}

function area(line) {
  return line.reduce((sum, [x, y], index) => {
    const [nextX, nextY] = line[(index + 1) % line.length];
    return sum + (x * nextY - nextX * y) / 2;
  }, 0);
}

test("a new scene shows the whole document", () => {
  const scene = sceneOf(twoEntities());
  const [left, top] = toCanvas(scene.viewport, [-0.5, -0.5]);
  const [right, bottom] = toCanvas(scene.viewport, [55.5, 39.5]);
  assert.ok(left >= 0 && top >= 0 && right <= CANVAS.width && bottom <= CANVAS.height);
});

test("a scene's tracks are the document's, and are kept while nothing that they depend on changes", () => {
  for (const [name, text] of goldenDocuments()) {
    const scene = sceneOf(newFormat().parse(text));
    assert.deepEqual(tracksOf(scene), documentTracks(scene.document, CIRCLES, "center"), name);
  }
  const scene = sceneOf(twoEntities());
  const [first] = tracksOf(scene);
  assert.equal(tracksOf({ ...scene, document: { ...scene.document, fps: 3 } })[0], first);
  for (const changed of [
    { ...scene, document: { ...scene.document, frames: 6 } },
    { ...scene, document: { ...scene.document, size: { height: 10, width: 10 } } },
    { ...scene, circles: new Map([...CIRCLES, [1, { center: [5, 5], radius: 2 }]]) },
    { ...scene, defaultAnchor: "grabbed_point" },
  ]) {
    assert.notDeepEqual(tracksOf(changed)[0], first);
    assert.deepEqual(tracksOf(changed), documentTracks(changed.document, changed.circles, changed.defaultAnchor));
  }
});

test("a camera that is dragged is shown in place of the document's", () => {
  const scene = sceneOf(twoEntities());
  assert.equal(shownCamera(scene), null);
  const camera = { pan: [3, 0], easing: "linear", start: 0, end: 1, carries_entities: false };
  assert.equal(shownCamera({ ...scene, document: { ...scene.document, camera } }), camera);
  const dragged = { ...camera, pan: [5, 5] };
  const drafts = [{ kind: "camera", camera: dragged }];
  assert.equal(shownCamera({ ...scene, document: { ...scene.document, camera }, drafts }), dragged);
});

test("hidden entities and unknown ones are not shown", () => {
  const document = { entities: [{ id: 1, hidden: false }, { id: 2, hidden: true }] };
  assert.deepEqual([1, 2, 3].map((id) => isShown(document, id)), [true, false, false]);
});

test("between two frames things are between their places, beyond the last they stay", () => {
  const points = [[0, 0], [4, 8], [4, 0]];
  assert.deepEqual(positionAt(points, 0.25), [1, 2]);
  assert.deepEqual(positionAt(points, 2), [4, 0]);
  assert.deepEqual(positionAt(points, 7), [4, 0]);
  assert.deepEqual(positionAt([[3, 4]], 0.5), [3, 4]);
  assert.equal(valueAt([1, 3, 3], 0.5), 2);
  assert.equal(valueAt([1, 3], -1), 1);
});

test("ticks lie where the line is in their frames", () => {
  for (const [name, text] of goldenDocuments()) {
    const document = newFormat().parse(text);
    for (const path of document.paths) {
      const [places, line] = [linePlaces(path, document.frames), flattened(path)];
      curvePoints(path, document.frames).forEach(([x, y], frame) => {
        const [tickX, tickY] = pointAtPlace(line, places[frame]);
        // Chords stand for curves: they are a little inside of them.
        assert.ok(Math.hypot(tickX - x, tickY - y) < 0.05, `${name}, frame ${frame}`);
      });
    }
  }
});

test("a line is seen half way to the frames in which it is not", () => {
  const places = [0, 2, 4, 6, 8];
  assert.deepEqual(seenStretches(places, [true, true, true, true, true], 8), [{ from: 0, to: 8 }]);
  const [first, second] = [{ from: 0, to: 3 }, { from: 7, to: 8 }];
  assert.deepEqual(seenStretches(places, [true, true, false, false, true], 8), [first, second]);
  assert.deepEqual(seenStretches(places, [false, false, false, false, false], 8), []);
  assert.deepEqual(seenStretches([0], [true], 8), [{ from: 0, to: 8 }]);
});

test("what rests shows no stretch, and what comes back over it is seen", () => {
  assert.deepEqual(seenStretches([0, 0, 4], [true, true, true], 4), [{ from: 0, to: 4 }]);
  assert.deepEqual(seenStretches([0, 4, 0], [true, false, true], 4), [{ from: 0, to: 2 }]);
});

test("seen and unseen stretches make up the line", () => {
  const dice = new Dice(4);
  for (let round = 0; round < 50; round += 1) {
    const places = dice.list(2, 12, () => dice.between(0, 9)).sort((one, other) => one - other);
    const seen = seenStretches(places, places.map(() => dice.chance(0.6)), 9);
    const all = [...seen, ...otherStretches(seen, 9)];
    const length = all.reduce((sum, { from, to }) => sum + to - from, 0);
    assert.ok(Math.abs(length - 9) < 1e-9 && all.every(({ from, to }) => from < to));
  }
});

test("outlines go around pixels and holes", () => {
  const [outer, hole, ...others] = contoursOf(maskOf("....", ".##.", ".##.", "...."));
  assert.deepEqual([hole, others], [undefined, []]);
  assert.deepEqual(outer.map(([x, y]) => Math.max(Math.abs(x - 1.5), Math.abs(y - 1.5))), new Array(8).fill(1));
  const ring = contoursOf(maskOf("#####", "#####", "##.##", "#####", "#####"));
  assert.equal(ring.length, 2);
  assert.ok(area(ring[0]) > 20 && area(ring[1]) < 0);
});

test("the steps of a slanted edge become a straight line", () => {
  const stairs = Array.from({ length: 12 }, (_, row) => "#".repeat(3 * row + 3).padEnd(36, "."));
  const [line] = contoursOf(maskOf(...stairs));
  assert.ok(line.length <= 9, `${line.length} points`);
});

test("an outline holds about as much as its mask has pixels", () => {
  for (const radius of [3, 7.3, 15]) {
    const rows = Array.from({ length: 40 }, (_, y) =>
      Array.from({ length: 40 }, (_, x) => (Math.hypot(x - 20, y - 19) < radius ? "#" : ".")).join(""),
    );
    const mask = maskOf(...rows);
    const count = mask.pixels.reduce((sum, pixel) => sum + pixel);
    const [line, ...others] = contoursOf(mask);
    assert.deepEqual(others, []);
    assert.ok(Math.abs(area(line) - count) < 0.12 * count, `${area(line)} for ${count}`);
  }
});

test("speckles have no outline to wait for", () => {
  const [height, width] = [300, 400];
  const pixels = Uint8Array.from({ length: height * width }, (_, at) => (at + Math.floor(at / width)) % 2);
  assert.deepEqual(contoursOf({ height, width, pixels }), []);
});

test("a mask's bounds", () => {
  assert.deepEqual(boundsOf(maskOf(".....", "..#..", "...#.")), { left: 2, top: 1, width: 2, height: 2 });
  assert.deepEqual(boundsOf(maskOf("#...#")), { left: 0, top: 0, width: 5, height: 1 });
  assert.deepEqual(boundsOf(maskOf("..")), { left: 0, top: 0, width: 0, height: 0 });
});

test("signs stand for the warnings at their places and stay on the canvas", () => {
  const scene = sceneOf(twoEntities());
  const warning = (entity, path, frame) => ({ kind: "too_fast", entity, path, frame, message: "" });
  const warnings = [warning(1, 0, 0), warning(1, null, 0), warning(1, 0, 2), warning(null, null, 2)];
  const badges = badgesOf({ ...scene, warnings });
  assert.deepEqual(badges.map((badge) => badge.warnings.length), [2, 1, 1]);
  for (const { position: [x, y] } of badgesOf({ ...scene, warnings, viewport: { scale: 90, left: -900, top: 800 } })) {
    assert.ok(x >= 0 && y >= 0 && x <= CANVAS.width && y <= CANVAS.height);
  }
});

test("hidden entities have no signs", () => {
  const scene = sceneOf(twoEntities());
  const entities = scene.document.entities.map((entity) => ({ ...entity, hidden: true }));
  const document = { ...scene.document, entities };
  const warnings = [{ kind: "tiny_mask", entity: 1, path: null, frame: 0, message: "" }];
  assert.deepEqual(badgesOf({ ...scene, document, warnings }), []);
});

test("the theme follows the host's background and takes the colours that it names", () => {
  const host = (colors) => themeFrom((name) => colors[name] ?? "");
  assert.deepEqual(host({}), DARK);
  assert.equal(host({ "--bg-color": "#fff" }).dark, false);
  assert.equal(host({ "--bg-color": "rgb(32, 32, 32)" }).dark, true);
  assert.equal(host({ "--bg-color": "#fff" }).accent, LIGHT.accent);
  assert.equal(host({ "--bg-color": "#202020" }).background, "#202020");
  assert.equal(host({ "--input-text": "#abcdef" }).text, "#abcdef");
  assert.equal(host({ "--input-text": "var(--nothing)" }).text, DARK.text);
});

test("text can be read on every ground of both themes", () => {
  const pairs = [["text", "background"], ["text", "paper"], ["onAccent", "accent"], ["onWarning", "warning"]];
  for (const theme of [DARK, LIGHT]) {
    for (const [text, ground] of pairs) {
      const [one, other] = [luminance(theme[text]), luminance(theme[ground])].sort((low, high) => low - high);
      assert.ok((other + 0.05) / (one + 0.05) >= 4.5, `${text} on ${ground}, dark: ${theme.dark}`);
    }
  }
});

test("an entity has its own colour, or the table's at its place", () => {
  const document = { entities: [{ id: 7 }, { id: 3, color: "#123456" }, { id: 5 }] };
  assert.deepEqual([7, 3, 5].map((id) => entityColor(document, id)), [ENTITY_COLORS[0], "#123456", ENTITY_COLORS[2]]);
});
