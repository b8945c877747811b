import assert from "node:assert/strict";
import { test } from "node:test";

import { combined, selected } from "../../web/actions/selection.js";
import { HISTORY_LIMIT, createReducer, initialState } from "../../web/state.js";
import { goldenDocuments, newFormat, twoEntities } from "./shared_files.js";

const format = newFormat();
const reduce = createReducer(format);

/** The state after actions, every one of which must be accepted. */
function after(...actions) {
  return onward(initialState(twoEntities()), ...actions);
}

function onward(state, ...actions) {
  return actions.reduce((before, action) => {
    const next = reduce(before, action);
    assert.equal(next.refusal, null, JSON.stringify(action));
    return next;
  }, state);
}

/** Why an action is refused; nothing else may have changed. */
function refusal(state, action) {
  const next = reduce(state, action);
  assert.equal(typeof next.refusal, "string", JSON.stringify(action));
  assert.deepEqual({ ...next, refusal: null }, { ...state, refusal: null });
  assert.equal(next.document, state.document);
  return next.refusal;
}

function pointsOf(state, path = 0) {
  return state.document.paths[path].points.map(({ x, y }) => [x, y]);
}

const LOCK = { type: "change_entity", id: 1, changes: { locked: true } };

// Entities

test("an added entity has an id, a name and a colour of its own, is painted last and selected", () => {
  const state = after({ type: "add_entity" }, { type: "add_entity", entity: { name: "kite", radius: 4 } });
  const [third, fourth] = state.document.entities.slice(2);
  assert.deepEqual([third.id, third.name, fourth.id, fourth.name, fourth.radius], [3, "entity 3", 4, "kite", 4]);
  assert.notEqual(third.color, fourth.color);
  assert.deepEqual(state.selection, { entities: [4], paths: [], points: [] });
});

test("an added entity has no colour that another one is shown in, though it names none", () => {
  const shown = ["#e69f00", "#56b4e9"]; // of the two entities that are there, which name no colour
  const [, , third] = after({ type: "add_entity" }).document.entities;
  assert.ok(!shown.includes(third.color), third.color);
});

test("ids of removed entities rest, and ids at the limit find a gap", () => {
  const state = after({ type: "remove_entities", ids: [1] }, { type: "add_entity" });
  assert.deepEqual(state.document.entities.map(({ id }) => id), [2, 3]);
  const entities = [{ id: 1, name: "a" }, { id: 1e9, name: "b" }];
  const full = format.completed({ ...twoEntities(), entities, paths: [] });
  assert.equal(onward(initialState(full), { type: "add_entity" }).document.entities[2].id, 2);
});

test("a removed entity takes its paths along, and the selection keeps its numbers right", () => {
  const selection = { entities: [1, 2], paths: [0, 1], points: [{ path: 1, point: 1 }] };
  const state = after({ type: "select", selection });
  const removed = onward(state, { type: "remove_entities", ids: [1] });
  assert.deepEqual(removed.document.paths.map(({ name }) => name), ["drift"]);
  assert.deepEqual(removed.selection, { entities: [2], paths: [0], points: [{ path: 0, point: 1 }] });
});

test("an entity is renamed, coloured, hidden, given a mask and rid of it", () => {
  const changes = { name: "sun", color: "#00ff00", hidden: true, mask: { file: "sun.png" }, radius: 3 };
  const state = after({ type: "change_entity", id: 2, changes });
  assert.deepEqual(state.document.entities[1], { id: 2, ...changes, locked: false });
  const bare = onward(state, { type: "change_entity", id: 2, changes: { mask: undefined, radius: undefined } });
  assert.ok(!("mask" in bare.document.entities[1]) && !("radius" in bare.document.entities[1]));
});

test("entities are put in another paint order", () => {
  const state = after({ type: "add_entity" }, { type: "reorder_entity", id: 3, to: 0 });
  assert.deepEqual(state.document.entities.map(({ id }) => id), [3, 1, 2]);
});

test("a locked entity and its paths stay as they are until it is unlocked", () => {
  const locked = after(LOCK, { type: "select", selection: { paths: [0] } }, { type: "copy" });
  for (const action of [
    { type: "remove_entities", ids: [2, 1] },
    { type: "change_entity", id: 1, changes: { name: "other" } },
    { type: "change_entity", id: 1, changes: { name: "other", locked: false } },
    { type: "reorder_entity", id: 1, to: 1 },
    { type: "add_path", path: { entity: 1, points: [{ x: 1, y: 2 }] } },
    { type: "pin_entity", id: 1, x: 1, y: 2 },
    { type: "remove_paths", paths: [0] },
    { type: "change_paths", paths: [1, 0], changes: { end: 0.5 } },
    { type: "change_paths", paths: [1], changes: { entity: 1 } },
    { type: "reorder_path", path: 0, to: 1 },
    { type: "reverse_paths", paths: [0] },
    { type: "extend_path", path: 0, points: [{ x: 1, y: 2 }] },
    { type: "simplify_path", path: 0, tolerance: 2 },
    { type: "insert_point", path: 0, index: 0, point: { x: 1, y: 2 } },
    { type: "insert_point_on_path", path: 0, segment: 0, parameter: 0.5 },
    { type: "change_point", path: 0, point: 0, changes: { x: 1 } },
    { type: "delete_points", points: [{ path: 0, point: 0 }] },
    { type: "move_selection", dx: 1, dy: 1 },
    { type: "show_span", path: 0, from: 0, to: 0.5 },
    { type: "hide_span", path: 0, from: 0, to: 0.5 },
    { type: "set_radius_key", path: 0, time: 0, scale: 2 },
    { type: "paste" },
  ]) {
    assert.match(refusal(locked, action), /“ball” is locked\. Unlock it/, JSON.stringify(action));
  }
  onward(locked, { type: "change_entity", id: 1, changes: { locked: false } }, { type: "reverse_paths", paths: [0] });
});

// Paths and points

test("a freehand line grows, is simplified, and is one step", () => {
  const row = Array.from({ length: 40 }, (_, x) => ({ x: x + 0.123456, y: 7 }));
  const state = after(
    { type: "begin_gesture" },
    { type: "add_path", path: { entity: 2, curve: "freehand", points: row.slice(0, 1) } },
    { type: "extend_path", path: 3, points: row.slice(1, 20) },
    { type: "extend_path", path: 3, points: row.slice(20) },
    { type: "simplify_path", path: 3, tolerance: 0.5 },
    { type: "end_gesture" },
  );
  assert.deepEqual(pointsOf(state, 3), [[0.12, 7], [39.12, 7]]);
  assert.equal(state.past.length, 1);
  assert.equal(onward(state, { type: "undo" }).document, state.past[0].document);
});

test("an entity takes several paths; a new one is selected and has the defaults", () => {
  const state = after({ type: "add_path", path: { entity: 1, points: [{ x: 1, y: 2 }], anchor: "center" } });
  const path = state.document.paths[3];
  assert.deepEqual([path.entity, path.curve, path.anchor, path.visible], [1, "catmull_rom", "center", [[0, 1]]]);
  assert.deepEqual(state.selection.paths, [3]);
});

test("a pin is a static path of one point", () => {
  const path = after({ type: "pin_entity", id: 2, x: 3, y: 4 }).document.paths[3];
  assert.deepEqual([path.entity, path.static, path.points], [2, true, [{ x: 3, y: 4 }]]);
});

test("the pace and kind of several paths change together", () => {
  const changes = { easing: { cubic_bezier: [0.2, 0, 0.4, 1] }, start: 0.25, end: 0.75, curve: "bezier", depth: 2 };
  const state = after({ type: "change_paths", paths: [0, 1], changes });
  for (const path of state.document.paths.slice(0, 2)) {
    assert.deepEqual({ ...path, ...changes }, path);
  }
  const back = onward(state, { type: "change_paths", paths: [0], changes: { depth: undefined, easing: undefined } });
  assert.deepEqual([back.document.paths[0].depth, back.document.paths[0].easing], [undefined, "linear"]);
});

test("points are inserted anywhere, before the first and after the last too, and selected", () => {
  const [first, last] = [{ x: 0, y: 1 }, { x: 50, y: 2 }];
  const state = after(
    { type: "insert_point", path: 1, index: 0, point: first },
    { type: "insert_point", path: 1, index: 3, point: last },
    { type: "insert_point", path: 1, index: 2, point: { x: 7, y: 7 } },
  );
  assert.deepEqual(pointsOf(state, 1), [[0, 1], [4, 4], [7, 7], [40, 4], [50, 2]]);
  assert.deepEqual(state.selection.points, [{ path: 1, point: 2 }]);
});

test("a point is inserted where the line was clicked", () => {
  const state = after({ type: "insert_point_on_path", path: 1, segment: 0, parameter: 0.25 });
  assert.deepEqual(pointsOf(state, 1), [[4, 4], [13, 4], [40, 4]]);
});

test("any points are deleted, end points too, and a path without points goes", () => {
  const some = after({ type: "delete_points", points: [{ path: 0, point: 0 }, { path: 0, point: 3 }] });
  assert.deepEqual(pointsOf(some), [[20, 10], [32, 30]]);
  const all = after(
    { type: "select", selection: { paths: [2] } },
    { type: "delete_points", points: [{ path: 1, point: 0 }, { path: 1, point: 1 }] },
  );
  assert.equal(all.document.paths.length, 2);
  assert.deepEqual(all.selection.paths, [1]);
});

test("a point gets handles and loses them", () => {
  const state = after({ type: "change_point", path: 0, point: 1, changes: { handle_in: [-3.001, 4], x: 21 } });
  assert.deepEqual(state.document.paths[0].points[1], { x: 21, y: 10, handle_in: [-3, 4] });
  const bare = onward(state, { type: "change_point", path: 0, point: 1, changes: { handle_in: undefined } });
  assert.deepEqual(bare.document.paths[0].points[1], { x: 21, y: 10 });
});

test("selected paths and points move together, each once", () => {
  const selection = { paths: [1], points: [{ path: 0, point: 2 }, { path: 1, point: 0 }] };
  const state = after({ type: "select", selection }, { type: "move_selection", dx: 1.5, dy: -2 });
  assert.deepEqual(pointsOf(state), [[8, 30], [20, 10], [33.5, 28], [48, 12]]);
  assert.deepEqual(pointsOf(state, 1), [[5.5, 2], [41.5, 2]]);
});

test("moves of one gesture count from its start, so that nothing drifts", () => {
  const third = 1 / 3;
  const moves = Array.from({ length: 300 }, (_, i) => ({ type: "move_selection", dx: third * (i + 1), dy: 0 }));
  const selection = { paths: [1] };
  const state = after({ type: "select", selection }, { type: "begin_gesture" }, ...moves, { type: "end_gesture" });
  assert.deepEqual(pointsOf(state, 1), [[104, 4], [140, 4]]);
  assert.equal(state.past.length, 1);
});

test("another selection or action within a gesture starts new moves", () => {
  const state = after(
    { type: "begin_gesture" },
    { type: "select", selection: { points: [{ path: 1, point: 0 }] } },
    { type: "move_selection", dx: 10, dy: 0 },
    { type: "select", selection: { points: [{ path: 1, point: 1 }] } },
    { type: "move_selection", dx: 0, dy: 5 },
    { type: "reverse_paths", paths: [1] },
    { type: "move_selection", dx: 1, dy: 0 },
    { type: "end_gesture" },
  );
  assert.deepEqual(pointsOf(state, 1), [[41, 9], [14, 4]]);
});

test("a reversed path goes the other way, handles and selected points with it", () => {
  const state = after(
    { type: "change_point", path: 0, point: 0, changes: { handle_out: [1, 2] } },
    { type: "select", selection: { points: [{ path: 0, point: 0 }] } },
    { type: "reverse_paths", paths: [0] },
  );
  assert.deepEqual(pointsOf(state), [[48, 12], [32, 30], [20, 10], [8, 30]]);
  assert.deepEqual(state.document.paths[0].points[3].handle_in, [1, 2]);
  assert.ok(!("handle_out" in state.document.paths[0].points[3]));
  assert.deepEqual(state.selection.points, [{ path: 0, point: 3 }]);
});

test("paths are put in another paint order, and stay selected", () => {
  const state = after({ type: "select", selection: { paths: [1] } }, { type: "reorder_path", path: 1, to: 2 });
  assert.deepEqual(state.document.paths.map(({ name }) => name), ["", "", "drift"]);
  assert.deepEqual(state.selection.paths, [2]);
});

// Timing

test("spans are shown and hidden", () => {
  const visible = (...actions) => after(...actions.map((action) => ({ path: 0, ...action }))).document.paths[0].visible;
  const hide = (from, to) => ({ type: "hide_span", from, to });
  const show = (from, to) => ({ type: "show_span", from, to });
  assert.deepEqual(visible(hide(0.25, 0.75)), [[0, 0.25], [0.75, 1]]);
  assert.deepEqual(visible(hide(0, 0.5)), [[0.5, 1]]);
  assert.deepEqual(visible(hide(0, 1)), []);
  assert.deepEqual(visible(hide(0, 1), show(0.5, 0.5), hide(0.25, 0.75)), []);
  assert.deepEqual(visible(hide(0.25, 0.75), show(0.5, 0.6)), [[0, 0.25], [0.5, 0.6], [0.75, 1]]);
  assert.deepEqual(visible(hide(0.25, 0.75), show(0.2, 0.75)), [[0, 1]]);
  assert.deepEqual(visible(hide(0, 1), show(0.6, 0.8), show(0.1, 0.2)), [[0.1, 0.2], [0.6, 0.8]]);
});

test("radius keys are set in order of time, replaced, moved and removed", () => {
  const state = after(
    { type: "set_radius_key", path: 0, time: 0.5, scale: 2 },
    { type: "set_radius_key", path: 0, time: 0, scale: 1 },
    { type: "set_radius_key", path: 0, time: 0.5, scale: 3 },
  );
  assert.deepEqual(state.document.paths[0].radius_keys, [{ time: 0, scale: 1 }, { time: 0.5, scale: 3 }]);
  const moved = onward(state, { type: "change_radius_key", path: 0, key: 0, time: 0.75, scale: 4 });
  assert.deepEqual(moved.document.paths[0].radius_keys, [{ time: 0.5, scale: 3 }, { time: 0.75, scale: 4 }]);
  assert.match(refusal(moved, { type: "change_radius_key", path: 0, key: 0, time: 0.75, scale: 1 }), /already/);
  const removed = onward(moved, { type: "remove_radius_key", path: 0, key: 0 });
  assert.deepEqual(removed.document.paths[0].radius_keys, [{ time: 0.75, scale: 4 }]);
});

// Camera and document

test("a camera pans, zooms about the middle or a chosen point, and goes with its last part", () => {
  const state = after({ type: "change_camera", changes: { pan: [3, -4] } }, { type: "zoom_camera", factor: 2 });
  assert.deepEqual(state.document.camera, {
    pan: [3, -4],
    zoom: { factor: 2, center: [27.5, 19.5], points: [[17.5, 9.5], [37.5, 9.5], [17.5, 29.5], [37.5, 29.5]] },
    easing: "linear",
    start: 0,
    end: 1,
    carries_entities: true,
  });
  const dragged = onward(state, { type: "drag_zoom_point", point: 1, to: [57.5, -10.5] });
  assert.equal(dragged.document.camera.zoom.factor, 3);
  assert.deepEqual(dragged.document.camera.zoom.points, state.document.camera.zoom.points);
  const elsewhere = onward(dragged, { type: "zoom_camera", factor: 0.5, center: [10, 10] });
  assert.deepEqual(elsewhere.document.camera.zoom.points[0], [0, 0]);
  const zoomless = onward(elsewhere, { type: "change_camera", changes: { zoom: undefined } });
  assert.deepEqual(zoomless.document.camera.pan, [3, -4]);
  assert.equal(onward(zoomless, { type: "change_camera", changes: { pan: undefined } }).document.camera, undefined);
  assert.equal(onward(elsewhere, { type: "remove_camera" }).document.camera, undefined);
});

test("frames, fps, picture and tools' own data change", () => {
  const changes = { frames: 25, fps: 8, image: "a.png", extra: { view: 2 } };
  const { document } = after({ type: "change_document", changes });
  assert.deepEqual({ ...document, ...changes }, document);
});

test("a whole document is imported from text or object, as one step", () => {
  const [, text] = goldenDocuments().find(([name]) => name === "version_1.json");
  for (const data of [text, JSON.parse(text)]) {
    const state = after({ type: "select", selection: { paths: [0] } }, { type: "import_document", data });
    assert.deepEqual(state.document, format.parse(text));
    assert.deepEqual(state.selection, { entities: [], paths: [], points: [] });
    assert.deepEqual(onward(state, { type: "undo" }).document, twoEntities());
  }
});

// Copy and paste

test("copied entities become new ones with their paths", () => {
  const state = after({ type: "select", selection: { entities: [1] } }, { type: "copy" }, { type: "paste", dx: 2 });
  const { entities, paths } = state.document;
  assert.deepEqual([entities[2].id, entities[2].name], [3, "ball"]);
  assert.deepEqual(paths.slice(3).map(({ entity }) => entity), [3, 3]);
  assert.deepEqual(pointsOf(state, 3)[0], [10, 30]);
  assert.deepEqual(state.selection.entities, [3]);
});

test("copied paths go to their own entity, to the selected one or to the one named", () => {
  const copy = [{ type: "select", selection: { paths: [0] } }, { type: "copy" }];
  assert.equal(after(...copy, { type: "paste" }).document.paths[3].entity, 1);
  const selectCloud = { type: "select", selection: { entities: [2] } };
  assert.equal(after(...copy, selectCloud, { type: "paste" }).document.paths[3].entity, 2);
  assert.equal(after(...copy, { type: "paste", onto: 2 }).document.paths[3].entity, 2);
});

test("copied paths travel as text, and bring their entity where it is not known", () => {
  const clip = after({ type: "select", selection: { points: [{ path: 1, point: 0 }] } }, { type: "copy" }).clip;
  const other = initialState(format.empty({ height: 40, width: 56 }, 9));
  const state = onward(other, { type: "paste", text: format.toText(clip) });
  assert.deepEqual(state.document.entities.map(({ id, name }) => [id, name]), [[1, "cloud"]]);
  assert.deepEqual(pointsOf(state), [[4, 4], [40, 4]]);
  const larger = initialState(format.empty({ height: 80, width: 56 }, 9));
  const text = format.toText(clip);
  assert.match(refusal(larger, { type: "paste", text }), /picture of 56 x 40 pixels; here it is 56 x 80/);
});

// Selection

test("a selection is replaced, added to and toggled", () => {
  const before = selected({ entities: [1], paths: [2, 0, 2], points: [{ path: 0, point: 1 }] });
  assert.deepEqual(before.paths, [0, 2]);
  const meant = { entities: [1, 2], points: [{ path: 0, point: 1 }, { path: 0, point: 0 }] };
  assert.deepEqual(combined(before, meant, "replace"), {
    entities: [1, 2],
    paths: [],
    points: [{ path: 0, point: 0 }, { path: 0, point: 1 }],
  });
  assert.deepEqual(combined(before, meant, "add"), {
    entities: [1, 2],
    paths: [0, 2],
    points: [{ path: 0, point: 0 }, { path: 0, point: 1 }],
  });
  const toggled = { entities: [2], paths: [0, 2], points: [{ path: 0, point: 0 }] };
  assert.deepEqual(combined(before, meant, "toggle"), toggled);
});

test("only what exists is selected", () => {
  const points = [{ path: 0, point: 0 }, { path: 0, point: 4 }, { path: 9, point: 0 }];
  const selection = { entities: [1, 9], paths: [0, 7], points };
  const state = after({ type: "select", selection });
  assert.deepEqual(state.selection, { entities: [1], paths: [0], points: [{ path: 0, point: 0 }] });
  assert.deepEqual(after({ type: "select_all" }).selection, { entities: [1, 2], paths: [0, 1, 2], points: [] });
});

// History

test("undo and redo restore document and selection exactly", () => {
  const state = after(
    { type: "select", selection: { paths: [1] } },
    { type: "reverse_paths", paths: [0] },
    { type: "remove_paths", paths: [0] },
  );
  const undone = onward(state, { type: "undo" });
  assert.equal(undone.document, state.past[1].document);
  assert.deepEqual(undone.selection.paths, [1]);
  const redone = onward(undone, { type: "redo" });
  assert.equal(redone.document, state.document);
  assert.equal(redone.selection, state.selection);
  assert.match(refusal(redone, { type: "redo" }), /nothing to redo/);
  assert.match(refusal(initialState(twoEntities()), { type: "undo" }), /nothing to undo/);
});

test("a new step drops what could be redone", () => {
  const state = after({ type: "reverse_paths", paths: [0] }, { type: "undo" }, { type: "reverse_paths", paths: [1] });
  assert.equal(state.future.length, 0);
  assert.equal(state.past.length, 1);
});

test("what changes nothing is no step, and keeps what could be redone", () => {
  const undone = after({ type: "reverse_paths", paths: [0] }, { type: "undo" });
  const state = onward(undone, { type: "change_entity", id: 1, changes: { name: "ball" } });
  assert.equal(state.document, undone.document);
  assert.equal(state.future.length, 1);
  const away = onward(
    onward(undone, { type: "select", selection: { paths: [0] } }),
    { type: "begin_gesture" },
    { type: "move_selection", dx: 5, dy: 5 },
    { type: "move_selection", dx: 0, dy: 0 },
    { type: "end_gesture" },
  );
  assert.equal(away.past.length, 0);
  assert.equal(away.future.length, 1);
});

test("a cancelled gesture leaves no trace", () => {
  const before = after({ type: "select", selection: { paths: [0] } });
  const remove = { type: "remove_paths", paths: [0] };
  const state = onward(before, { type: "begin_gesture" }, remove, { type: "cancel_gesture" });
  assert.deepEqual(state, before);
  assert.equal(state.document, before.document);
});

test("undo and a new gesture end the gesture that is open", () => {
  const open = after({ type: "begin_gesture" }, { type: "reverse_paths", paths: [0] });
  const undone = onward(open, { type: "undo" });
  assert.equal(undone.gesture, null);
  assert.deepEqual(undone.document, twoEntities());
  assert.equal(onward(undone, { type: "redo" }).document, open.document);
  assert.equal(onward(open, { type: "begin_gesture" }).past.length, 1);
  assert.match(refusal(open, { type: "redo" }), /nothing to redo/);
});

test("the history is bounded", () => {
  const flips = Array.from({ length: HISTORY_LIMIT + 20 }, () => ({ type: "reverse_paths", paths: [0] }));
  assert.equal(after(...flips).past.length, HISTORY_LIMIT);
});

// What is impossible

test("impossible actions change nothing and say why", () => {
  const state = after({ type: "reverse_paths", paths: [0] });
  for (const [action, reason] of [
    [{ type: "dance" }, /no action “dance”/],
    [{ type: "toString" }, /no action “toString”/],
    [{ type: "remove_entities", ids: [] }, /Nothing is selected/],
    [{ type: "remove_entities", ids: [7] }, /no entity 7/],
    [{ type: "change_entity", id: 7, changes: {} }, /no entity 7/],
    [{ type: "change_entity", id: 1, changes: { id: 2 } }, /keeps its id/],
    [{ type: "change_entity", id: 1, changes: { color: "red" } }, /\$\.entities\[0\]\.color: found "red"/],
    [{ type: "change_entity", id: 1, changes: { size: 3 } }, /unknown key/],
    [{ type: "reorder_entity", id: 1, to: 2 }, /no place number 2/],
    [{ type: "add_path", path: { entity: 7, points: [{ x: 1, y: 1 }] } }, /no entity 7/],
    [{ type: "add_path", path: { entity: 1, points: [] } }, /\$\.paths\[3\]\.points: found \[\]/],
    [{ type: "add_path", path: { entity: 1, points: [{ x: NaN, y: 1 }] } }, /\.x: found NaN/],
    [{ type: "remove_paths", paths: [3] }, /no path number 3; the document has 3/],
    [{ type: "remove_paths", paths: [0.5] }, /no path number 0.5/],
    [{ type: "change_paths", paths: [0], changes: { start: 1 } }, /expected start < end/],
    [{ type: "change_paths", paths: [0], changes: { curve: "spline" } }, /found "spline"/],
    [{ type: "change_paths", paths: [0], changes: { points: [] } }, /one by one/],
    [{ type: "reorder_path", path: 0, to: -1 }, /no place number -1/],
    [{ type: "simplify_path", path: 0, tolerance: NaN }, /tolerance/],
    [{ type: "insert_point", path: 0, index: 5, point: { x: 1, y: 1 } }, /no place 5/],
    [{ type: "insert_point_on_path", path: 2, segment: 0, parameter: 0 }, /no segment 0/],
    [{ type: "insert_point_on_path", path: 0, segment: 0, parameter: 2 }, /0 to 1/],
    [{ type: "change_point", path: 0, point: 9, changes: { x: 1 } }, /no point number 9; the path has 4/],
    [{ type: "change_point", path: 0, point: 0, changes: { x: 1e7 } }, /at most 1000000/],
    [{ type: "delete_points", points: [] }, /Nothing is selected/],
    [{ type: "move_selection", dx: 1, dy: 1 }, /Nothing is selected/],
    [{ type: "show_span", path: 0, from: 0.5, to: 0.25 }, /this is 0.5 to 0.25/],
    [{ type: "hide_span", path: 0, from: NaN, to: 1 }, /this is NaN to 1/],
    [{ type: "set_radius_key", path: 0, time: 2, scale: 1 }, /at most 1/],
    [{ type: "remove_radius_key", path: 0, key: 0 }, /no radius key number 0/],
    [{ type: "remove_camera" }, /no camera/],
    [{ type: "zoom_camera", factor: 0 }, /at least 0.01/],
    [{ type: "drag_zoom_point", point: 0, to: [1, 1] }, /Add a zoom first/],
    [{ type: "change_document", changes: { frames: 0 } }, /\$\.frames: found 0/],
    [{ type: "change_document", changes: { entities: [] } }, /“entities” is not changed as a whole/],
    [{ type: "import_document", data: "{}" }, /\$\.version: found nothing/],
    [{ type: "import_document", data: "[" }, /not JSON/],
    [{ type: "copy" }, /Nothing is selected/],
    [{ type: "paste" }, /Nothing was copied/],
    [{ type: "paste", text: "hello" }, /not JSON/],
  ]) {
    assert.match(refusal(state, action), reason, JSON.stringify(action));
  }
});

test("a refusal is gone after the next action that works", () => {
  const refused = reduce(initialState(twoEntities()), { type: "undo" });
  assert.equal(reduce(refused, { type: "reverse_paths", paths: [0] }).refusal, null);
});

test("what an action brings is copied, so that its owner may go on using it", () => {
  const path = { entity: 1, points: [{ x: 1, y: 2 }], visible: [[0, 0.5]] };
  const state = after({ type: "add_path", path });
  path.points[0].x = 9;
  path.visible[0][1] = 9;
  assert.deepEqual(pointsOf(state, 3), [[1, 2]]);
  assert.deepEqual(state.document.paths[3].visible, [[0, 0.5]]);
});
