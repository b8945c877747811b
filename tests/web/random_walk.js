/** Random actions on a state: most of them sensible, some of them nonsense, as a user and a faulty caller would. */

import { initialState } from "../../web/state.js";
import { newFormat, twoEntities } from "./shared_files.js";

const EASINGS = ["linear", "ease_in", "ease_out", "ease_in_out"];
const NONSENSE = [-1, 0.5, 1e9, NaN, Infinity, -0, 1e-7];

/** States after each of `count` random actions: yields {before, action, after}. Documents stay small. */
export function* walk(reduce, dice, count) {
  let state = initialState(dice.chance(0.5) ? twoEntities() : newFormat().empty({ height: 40, width: 56 }, 5));
  for (let step = 0; step < count; step += 1) {
    const action = randomAction(state, dice);
    const after = reduce(state, action);
    yield { before: state, action, after };
    state = after;
  }
}

function randomAction(state, dice) {
  const { document } = state;
  if (document.entities.length > 6 || document.paths.length > 12) {
    return { type: "remove_entities", ids: [dice.of(document.entities).id] };
  }
  return dice.of(ACTIONS)(new Targets(state, dice), dice);
}

/** Ids and numbers that mostly exist. */
class Targets {
  constructor({ document, clip }, dice) {
    this.document = document;
    this.clip = clip;
    this.dice = dice;
  }

  oneOf(count) {
    return this.dice.chance(0.03) ? this.dice.of(NONSENSE) : this.dice.whole(0, Math.max(count - 1, 0));
  }

  id() {
    const { entities } = this.document;
    return entities[this.oneOf(entities.length)]?.id ?? this.dice.whole(1, 9);
  }

  path() {
    return this.oneOf(this.document.paths.length);
  }

  pointOf(path) {
    return this.oneOf(this.document.paths[path]?.points.length ?? 1);
  }

  pointRef() {
    const path = this.path();
    return { path, point: this.pointOf(path) };
  }
}

function time(dice) {
  return dice.chance(0.03) ? dice.of(NONSENSE) : dice.chance(0.4) ? dice.whole(0, 4) / 4 : dice.roll();
}

function easing(dice) {
  return dice.chance(0.6)
    ? dice.of(EASINGS)
    : { cubic_bezier: [time(dice), dice.between(-2, 3), time(dice), dice.between(-2, 3)] };
}

function pace(dice) {
  const [start, end] = [time(dice), time(dice)];
  return dice.chance(0.1) ? { start, end } : { start: Math.min(start, end), end: Math.max(start, end) };
}

function pathChanges(dice) {
  return dice.of([
    () => ({ curve: dice.of(["polyline", "catmull_rom", "bezier", "freehand", "spline"]) }),
    () => ({ timing: dice.of(["arc_length", "per_point"]), fit: dice.of(["stretch", "hold", "cut"]) }),
    () => ({ anchor: dice.of(["center", "grabbed_point", undefined]) }),
    () => ({ easing: easing(dice) }),
    () => pace(dice),
    () => ({ depth: dice.of([undefined, 0.5, 3, NaN]) }),
    () => ({ static: dice.chance(0.5), name: dice.of(["", "浮标", 'a "b"\n']) }),
  ])();
}

function entityChanges(dice) {
  return dice.of([
    () => ({ name: dice.of(["ball", "", "bóia"]) }),
    () => ({ color: dice.of(["#ff8800", "red", undefined]) }),
    () => ({ radius: dice.of([undefined, 3.5, 0, dice.between(1, 9)]) }),
    () => ({ locked: dice.chance(0.2) }),
    () => ({ hidden: dice.chance(0.5) }),
    () => ({ mask: dice.of([undefined, { rle: "06" }, { file: "masks/a.png" }, { file: "../a" }]) }),
    () => ({ prompts: { points: dice.list(0, 2, () => ({ ...dice.point(), label: 1 })), scale: "part" } }),
    () => ({ prompts: { points: [{ x: 1, y: 2, label: 1 }], box: { x: 1, y: 2, width: 3, height: 4.5 } } }),
  ])();
}

const ACTIONS = [
  () => ({ type: "begin_gesture" }),
  () => ({ type: "end_gesture" }),
  (_, dice) => ({ type: dice.of(["end_gesture", "cancel_gesture"]) }),
  () => ({ type: "undo" }),
  () => ({ type: "undo" }),
  () => ({ type: "redo" }),
  () => ({ type: "copy" }),
  () => ({ type: "select_all" }),
  (targets, dice) => ({
    type: "select",
    selection: {
      entities: dice.list(0, 2, () => targets.id()),
      paths: dice.list(0, 2, () => targets.path()),
      points: dice.list(0, 3, () => targets.pointRef()),
    },
    mode: dice.of(["replace", "add", "toggle"]),
  }),
  (targets, dice) => ({
    type: "paste",
    ...(dice.chance(0.3) ? { onto: targets.id() } : {}),
    ...(targets.clip && dice.chance(0.3) ? { text: newFormat().toText(targets.clip) } : {}),
    dx: dice.of([0, 3]),
  }),
  (_, dice) => ({ type: "add_entity", entity: entityChanges(dice) }),
  () => ({ type: "add_entity" }),
  (targets, dice) => ({ type: "remove_entities", ids: dice.list(0, 2, () => targets.id()) }),
  (targets, dice) => ({ type: "change_entity", id: targets.id(), changes: entityChanges(dice) }),
  (targets) => ({ type: "change_entity", id: targets.id(), changes: { locked: false } }),
  (targets) => ({ type: "reorder_entity", id: targets.id(), to: targets.oneOf(targets.document.entities.length) }),
  (targets, dice) => ({
    type: "add_path",
    path: { entity: targets.id(), points: dice.list(0, 6, () => dice.point()), ...pathChanges(dice) },
  }),
  (targets, dice) => {
    const points = dice.list(1, 6, () => dice.point());
    return { type: "add_path", path: { entity: targets.id(), points } };
  },
  (targets, dice) => ({ type: "pin_entity", id: targets.id(), ...dice.point() }),
  (targets, dice) => ({ type: "remove_paths", paths: dice.list(0, 2, () => targets.path()) }),
  (targets, dice) => {
    const paths = dice.list(0, 3, () => targets.path());
    return { type: "change_paths", paths, changes: pathChanges(dice) };
  },
  (targets) => ({ type: "change_paths", paths: [targets.path()], changes: { entity: targets.id() } }),
  (targets) => ({ type: "reorder_path", path: targets.path(), to: targets.path() }),
  (targets, dice) => ({ type: "reverse_paths", paths: dice.list(0, 2, () => targets.path()) }),
  (targets, dice) => ({ type: "extend_path", path: targets.path(), points: dice.list(0, 5, () => dice.point()) }),
  (targets, dice) => ({ type: "simplify_path", path: targets.path(), tolerance: dice.between(0, 20) }),
  (targets, dice) => ({ type: "insert_point", path: targets.path(), index: targets.oneOf(5), point: dice.point() }),
  (targets, dice) => ({
    type: "insert_point_on_path",
    path: targets.path(),
    segment: targets.oneOf(3),
    parameter: time(dice),
  }),
  (targets, dice) => ({ type: "change_point", ...targets.pointRef(), changes: dice.point() }),
  (targets, dice) => ({ type: "change_point", ...targets.pointRef(), changes: { x: dice.of(NONSENSE) } }),
  (targets, dice) => ({ type: "delete_points", points: dice.list(0, 3, () => targets.pointRef()) }),
  (_, dice) => ({ type: "move_selection", dx: dice.between(-9, 9), dy: dice.whole(-9, 9) }),
  (_, dice) => ({ type: "move_selection", dx: dice.between(-9, 9), dy: dice.of(NONSENSE) }),
  (targets, dice) => ({ type: "show_span", path: targets.path(), from: time(dice), to: time(dice) }),
  (targets, dice) => ({ type: "hide_span", path: targets.path(), from: time(dice), to: time(dice) }),
  (targets, dice) => ({ type: "set_radius_key", path: targets.path(), time: time(dice), scale: dice.between(0, 3) }),
  (targets, dice) => ({
    type: "change_radius_key",
    path: targets.path(),
    key: targets.oneOf(3),
    time: time(dice),
    scale: dice.between(0, 3),
  }),
  (targets) => ({ type: "remove_radius_key", path: targets.path(), key: targets.oneOf(3) }),
  (_, dice) => ({
    type: "change_camera",
    changes: dice.of([
      () => ({ pan: dice.position() }),
      () => ({ pan: undefined }),
      () => ({ zoom: undefined }),
      () => ({ easing: easing(dice), carries_entities: dice.chance(0.5) }),
      () => pace(dice),
    ])(),
  }),
  () => ({ type: "remove_camera" }),
  (_, dice) => ({
    type: "zoom_camera",
    factor: dice.between(0, 4),
    ...(dice.chance(0.5) ? { center: dice.position() } : {}),
  }),
  (targets, dice) => ({ type: "drag_zoom_point", point: targets.oneOf(4), to: dice.position() }),
  (_, dice) => ({ type: "change_document", changes: { frames: dice.whole(0, 12), fps: dice.between(0, 30) } }),
  (_, dice) => ({ type: "change_document", changes: { image: dice.of([undefined, "a.png", "/etc/passwd"]) } }),
  (_, dice) => ({ type: "change_document", changes: { extra: { view: [dice.roll(), null, "ü"], big: 2n ** 70n } } }),
  (targets, dice) => {
    const text = newFormat().toText(targets.document);
    return { type: "import_document", data: dice.of([text, JSON.parse(text), text.slice(0, -3), {}]) };
  },
];
