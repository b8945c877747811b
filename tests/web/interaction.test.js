import assert from "node:assert/strict";
import { test } from "node:test";

import { decodeRle } from "../../web/masks.js";
import { rescaled } from "../../web/rescale.js";
import { stroked } from "../../web/tools/brush.js";
import { SIZE, ballAndCloud, click, drag, fakeBoard, pointer, rectangle } from "./fake_board.js";
import { newFormat } from "./shared_files.js";

const places = (board, path = 0) => board.state.document.paths[path].points.map(({ x, y }) => [x, y]);
const steps = (board) => board.state.past.length;
const settled = () => new Promise((resolve) => setTimeout(resolve));

// Select

test("a drag of a point moves it, as one step of the history", () => {
  const board = fakeBoard();
  drag(board, "select", [[20, 12], [22, 14], [25, 17], [26, 18]]);
  assert.deepEqual(places(board), [[9, 29], [26, 18], [40, 29]]);
  assert.equal(steps(board), 1);
  board.dispatch({ type: "undo" });
  assert.deepEqual(places(board), [[9, 29], [20, 12], [40, 29]]);
});

test("a drag that is cancelled leaves nothing behind", () => {
  const board = fakeBoard();
  const gesture = board.tools.select.down(pointer(board, [20, 12]));
  gesture.move(pointer(board, [30, 20]));
  assert.deepEqual(places(board)[1], [30, 20]);
  gesture.cancel();
  assert.deepEqual(places(board)[1], [20, 12]);
  assert.equal(steps(board), 0);
});

test("an unsteady click selects and moves nothing", () => {
  const board = fakeBoard();
  drag(board, "select", [[20, 12], [20.2, 12.1]]);
  assert.deepEqual(board.state.selection.points, [{ path: 0, point: 1 }]);
  assert.equal(steps(board), 0);
});

test("a drag of a line beside its points moves the whole path, with Shift along one axis", () => {
  const board = fakeBoard();
  drag(board, "select", [[30, 20.5], [33, 21.5]]);
  assert.deepEqual(places(board), [[12, 30], [23, 13], [43, 30]]);
  // Shift toggles at the press, so it is held after it.
  const gesture = board.tools.select.down(pointer(board, [12, 30]));
  gesture.move(pointer(board, [18, 32], { shift: true }));
  gesture.up(pointer(board, [18, 32], { shift: true }));
  assert.deepEqual(places(board)[0], [18, 30]);
});

test("a drag of one of several selected points moves them all", () => {
  const board = fakeBoard();
  click(board, "select", [20, 12]);
  click(board, "select", [40, 29], { shift: true });
  drag(board, "select", [[40, 29], [41, 30]]);
  assert.deepEqual(places(board), [[9, 29], [21, 13], [41, 30]]);
});

test("a drag inside an entity draws its line in place of its only one, with Shift one more", () => {
  const board = fakeBoard();
  drag(board, "select", [[6, 32], [10, 38], [20, 38]]);
  assert.equal(board.state.document.paths.length, 1);
  assert.deepEqual(places(board)[0], [6, 32]);
  assert.deepEqual(board.said, ["lineReplaced"]);
  assert.equal(steps(board), 1);
  drag(board, "select", [[12, 25], [12, 5], [20, 5]], { shift: true });
  assert.equal(board.state.document.paths.length, 2);
  assert.ok(board.state.document.paths.every(({ entity }) => entity === 1));
});

test("a box selects whole lines that lie in it, and single points of others", () => {
  const board = fakeBoard();
  drag(board, "select", [[17, 9], [26, 16]]);
  assert.deepEqual(board.state.selection.points, [{ path: 0, point: 1 }]);
  drag(board, "select", [[1, 11], [54, 38]]);
  assert.deepEqual([board.state.selection.paths, board.state.selection.points], [[0], []]);
});

test("hidden entities are not taken", () => {
  const board = fakeBoard();
  board.dispatch({ type: "change_entity", id: 1, changes: { hidden: true } });
  click(board, "select", [20, 12]);
  click(board, "select", [6, 26]);
  assert.deepEqual(board.state.selection, { entities: [], paths: [], points: [] });
  drag(board, "select", [[17, 9], [26, 16]]);
  assert.deepEqual(board.state.selection.points, []);
});

test("locked entities can be looked at and not changed", () => {
  const board = fakeBoard();
  board.dispatch({ type: "change_entity", id: 1, changes: { locked: true } });
  drag(board, "select", [[20, 12], [26, 18]]);
  assert.deepEqual(places(board)[1], [20, 12]);
  drag(board, "select", [[6, 32], [20, 38]]);
  assert.equal(board.state.document.paths.length, 1);
  assert.deepEqual(board.state.document.paths, ballAndCloud().paths);
});

test("a double click adds a point to a line, Alt and a click takes one away", () => {
  const board = fakeBoard();
  board.tools.select.twice(pointer(board, [30, 20.5]));
  assert.equal(places(board).length, 4);
  click(board, "select", [9, 29], { alt: true });
  assert.equal(places(board).length, 3);
  assert.deepEqual(places(board)[0], [20, 12]);
});

test("a Bezier handle turns its opposite along, with Alt it does not", () => {
  const board = fakeBoard();
  board.dispatch({ type: "change_paths", paths: [0], changes: { curve: "bezier" } });
  const handles = { handle_in: [-6, 0], handle_out: [6, 0] };
  board.dispatch({ type: "change_point", path: 0, point: 1, changes: handles });
  board.dispatch({ type: "select", selection: { paths: [0] } });
  drag(board, "select", [[26, 12], [26, 15], [20, 18]]);
  const [, point] = board.state.document.paths[0].points;
  assert.deepEqual([point.handle_in, point.handle_out], [[0, -6], [0, 6]]);
  const gesture = board.tools.select.down(pointer(board, [20, 18]));
  gesture.up(pointer(board, [24, 18], { alt: true }));
  const [, bent] = board.state.document.paths[0].points;
  assert.deepEqual([bent.handle_in, bent.handle_out], [[0, -6], [4, 6]]);
});

test("what the pointer is over is shown: point, frame, line, entity", () => {
  const board = fakeBoard();
  const over = (at) => {
    board.tools.select.hover(pointer(board, at));
    return board.scene.hover;
  };
  assert.deepEqual(over([20, 12]), { kind: "point", path: 0, point: 1 });
  assert.equal(over([30.2, 20.7]).kind, "path");
  assert.equal(over([6, 26]).kind, "entity");
  assert.equal(over([54, 38]), null);
  const [, , third] = [0, 1, 2];
  const middle = over([22.2, 13.8]);
  assert.deepEqual([middle.kind, middle.frame], ["frame", third]);
});

// Lines

test("points are placed by clicks, bent by drags, taken back one by one, and finished as one step", () => {
  const board = fakeBoard();
  click(board, "line", [6, 26]);
  click(board, "line", [6, 10]);
  click(board, "line", [20, 4]);
  assert.equal(steps(board), 0);
  assert.ok(board.tools.line.back());
  drag(board, "line", [[18, 3], [22, 3]]);
  assert.ok(board.tools.line.finish());
  const { entity, curve, points } = board.state.document.paths[1];
  assert.deepEqual([entity, curve, points.length], [1, "bezier", 3]);
  assert.deepEqual([points[2].handle_in, points[2].handle_out], [[-4, 0], [4, 0]]);
  assert.equal(steps(board), 1);
  assert.ok(!board.tools.line.finish());
});

test("a click on the last point finishes, Escape drops, a lone point is no line", () => {
  const board = fakeBoard();
  click(board, "line", [6, 26]);
  click(board, "line", [6, 10]);
  click(board, "line", [6, 10]);
  assert.equal(board.state.document.paths.length, 2);
  click(board, "line", [8, 26]);
  assert.ok(board.tools.line.leave());
  click(board, "line", [8, 26]);
  assert.ok(board.tools.line.finish());
  assert.equal(board.state.document.paths.length, 2);
});

test("the first point needs an entity, under it or selected", () => {
  const board = fakeBoard();
  click(board, "line", [54, 38]);
  assert.deepEqual(board.said, ["startInEntity"]);
  board.dispatch({ type: "select", selection: { entities: [2] } });
  click(board, "line", [54, 38]);
  click(board, "line", [50, 20]);
  board.tools.line.finish();
  assert.equal(board.state.document.paths[1].entity, 2);
});

test("between lines a click on one adds a point there, and Shift lengthens it", () => {
  const board = fakeBoard();
  drag(board, "line", [[30, 20.5], [34, 16]]);
  assert.equal(places(board).length, 4);
  assert.deepEqual(places(board)[2].map(Math.round), [34, 16]);
  click(board, "line", [50, 35], { shift: true });
  assert.deepEqual(places(board).at(-1), [50, 35]);
});

test("a freehand line keeps its ends and few points, and starts in the entity that it moves", () => {
  const board = fakeBoard();
  const wave = Array.from({ length: 120 }, (_, at) => [35 - at / 6, 5 + 3 * Math.sin(at / 10)]);
  drag(board, "freehand", wave);
  const { entity, points } = board.state.document.paths[1];
  assert.equal(entity, 2);
  assert.ok(points.length >= 6 && points.length < 30, `${points.length} points`);
  assert.deepEqual([points[0].x, points.at(-1).x], [35, 15.17]);
  drag(board, "freehand", [[54, 38], [40, 38]]);
  assert.equal(board.state.document.paths.length, 3, "the selected line's entity gets one more");
});

// Masks

test("a stroke paints what is within its radius, and erasing is its opposite", () => {
  const empty = { ...SIZE, pixels: new Uint8Array(SIZE.width * SIZE.height) };
  const painted = stroked(empty, [[10, 10], [20, 10]], 2, false);
  const at = (x, y) => painted.pixels[y * SIZE.width + x];
  assert.deepEqual([at(8, 10), at(7, 10), at(15, 12), at(15, 13), at(22, 10), at(12, 8)], [1, 0, 1, 0, 1, 1]);
  assert.ok(!stroked(painted, [[10, 10], [20, 10]], 2, true).pixels.includes(1));
  assert.ok(!empty.pixels.includes(1));
});

test("the brush grows the selected entity's mask; without one it makes an entity", () => {
  const board = fakeBoard();
  board.show({ brushRadius: 2 });
  board.dispatch({ type: "select", selection: { entities: [2] } });
  drag(board, "brush", [[52, 5], [54, 5]]);
  const grown = decodeRle(board.state.document.entities[1].mask.rle, SIZE);
  assert.equal(grown.pixels[5 * SIZE.width + 55], 1);
  board.dispatch({ type: "select", selection: {} });
  drag(board, "brush", [[20, 20], [22, 20]]);
  assert.equal(board.state.document.entities.length, 3);
  assert.equal(steps(board), 2);
});

test("a mask is never erased to nothing", () => {
  const board = fakeBoard();
  board.dispatch({ type: "select", selection: { entities: [2] } });
  board.show({ brushRadius: 40 });
  drag(board, "erase", [[40, 5], [41, 5]]);
  assert.deepEqual(board.said, ["emptyMask"]);
  assert.deepEqual(board.state.document, ballAndCloud());
});

// Pins and the camera

test("a pin holds an entity, or the ground where there is none, in one step", () => {
  const board = fakeBoard();
  click(board, "pin", [40, 5]);
  assert.deepEqual([board.state.document.paths[1].entity, board.state.document.paths[1].static], [2, true]);
  click(board, "pin", [50, 35]);
  const ground = board.state.document.entities[2];
  assert.equal(ground.name, "ground");
  assert.equal(decodeRle(ground.mask.rle, SIZE).pixels[35 * SIZE.width + 50], 1);
  assert.equal(board.state.document.paths[2].entity, ground.id);
  assert.equal(steps(board), 2);
  click(board, "pin", [-4, 3]);
  assert.deepEqual(board.said, ["onThePicture"]);
});

test("the camera is panned by a drag and zoomed by one of four points, shown before it is done", () => {
  const board = fakeBoard();
  const gesture = board.tools.camera.down(pointer(board, [5, 5]));
  gesture.move(pointer(board, [8, 4]));
  assert.deepEqual(board.scene.drafts[0].camera.pan, [3, -1]);
  assert.equal(board.state.document.camera, undefined);
  gesture.up(pointer(board, [8, 4]));
  assert.deepEqual(board.state.document.camera.pan, [3, -1]);
  // The picture's centre is (27.5, 19.5), the first point a quarter of the short side up and left of it.
  drag(board, "camera", [[17.5 + 3, 9.5 - 1], [7.5 + 3, -0.5 - 1]]);
  assert.equal(board.state.document.camera.zoom.factor, 2);
  assert.deepEqual(board.state.document.camera.pan, [3, -1]);
  assert.equal(steps(board), 2);
});

// The segmenter

const ANSWERS = [
  { scale: "part", rle: rectangle(40, 30, 42, 32), score: 0.5 },
  { scale: "object", rle: rectangle(38, 28, 44, 34), score: 0.9 },
  { scale: "whole", rle: rectangle(30, 20, 50, 38), score: 0.7 },
];

test("a click makes an entity of the best answer, and a chosen scale another one of it", async () => {
  const board = fakeBoard();
  board.answers = ANSWERS;
  click(board, "segment", [41, 31]);
  await settled();
  const added = board.state.document.entities[2];
  assert.deepEqual([added.mask.rle, added.prompts], [ANSWERS[1].rle, { points: [{ x: 41, y: 31, label: 1 }] }]);
  board.tools.segment.chooseScale("part");
  await settled();
  const chosen = board.state.document.entities[2];
  assert.deepEqual([chosen.mask.rle, chosen.prompts.scale], [ANSWERS[0].rle, "part"]);
  assert.equal(board.asked.length, 1, "the answer was there already");
});

test("after the first thing that is found, the user is told what comes next; once there are lines, no more", async () => {
  for (const [paths, said] of [[[], ["nowDrag"]], [ballAndCloud().paths, []]]) {
    const board = fakeBoard({ ...ballAndCloud(), paths });
    board.answers = ANSWERS;
    click(board, "segment", [41, 31]);
    await settled();
    assert.deepEqual(board.said, said);
  }
});

test("Shift adds a click to the selected entity, Alt or the right button takes away", async () => {
  const board = fakeBoard();
  board.answers = ANSWERS;
  click(board, "segment", [41, 31]);
  await settled();
  click(board, "segment", [43, 31], { shift: true });
  await settled();
  click(board, "segment", [35, 31], { button: 2 });
  await settled();
  assert.equal(board.state.document.entities.length, 3);
  const { points } = board.state.document.entities[2].prompts;
  assert.deepEqual(points.map(({ x, label }) => [x, label]), [[41, 1], [43, 1], [35, 0]]);
  assert.deepEqual(board.asked.at(-1).points, points);
});

test("a drag asks with a box, kept within the picture", async () => {
  const board = fakeBoard();
  board.answers = ANSWERS;
  drag(board, "segment", [[38, 28], [70, 60]]);
  await settled();
  assert.deepEqual(board.asked[0].box, { x: 38, y: 28, width: 17, height: 11 });
  assert.deepEqual(board.state.document.entities[2].prompts.box, board.asked[0].box);
});

test("an answer that comes too late changes nothing", async () => {
  const board = fakeBoard();
  let answer;
  board.segment = () => new Promise((resolve) => (answer = resolve));
  click(board, "segment", [41, 31]);
  assert.ok(board.tools.segment.leave());
  answer(ANSWERS);
  await settled();
  assert.equal(board.state.document.entities.length, 2);
});

test("a refusal of the server is told, and the tool goes on", async () => {
  const board = fakeBoard();
  board.segment = async () => {
    throw new Error("no");
  };
  click(board, "segment", [41, 31]);
  await settled();
  assert.equal(board.failed.length, 1);
  assert.deepEqual(board.scene.drafts, []);
  assert.deepEqual(board.state.document, ballAndCloud());
});

// Another canvas

test("a drawing on a canvas of another size is the same drawing", () => {
  const document = newFormat().parse({
    ...newFormat().toJson(ballAndCloud()),
    camera: { pan: [4, 2], zoom: { factor: 2, center: [27.5, 19.5], points: [[9, 9], [40, 9], [9, 30], [40, 30]] } },
  });
  const large = newFormat().completed(rescaled(document, { height: 80, width: 168 }));
  assert.deepEqual(large.size, { height: 80, width: 168 });
  const [first] = large.paths[0].points;
  assert.deepEqual([first.x, first.y], [28, 58.5]);
  assert.deepEqual(large.camera.pan, [12, 4]);
  assert.deepEqual(large.camera.zoom.center, [83.5, 39.5]);
  const area = (rle, size) => decodeRle(rle, size).pixels.reduce((sum, pixel) => sum + pixel, 0);
  const ball = ({ entities }) => entities[0].mask.rle;
  assert.equal(area(ball(large), large.size), 6 * area(ball(document), document.size));
  assert.deepEqual(newFormat().completed(rescaled(large, SIZE)), document);
});
