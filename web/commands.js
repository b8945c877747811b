/** What keys and buttons do, by name. The names are those of keyboard.js. */

import { panned, zoomed } from "./viewport.js";

/** @typedef {import("./editor.js").TrajectoryEditor} TrajectoryEditor */

const ZOOM_STEP = 1.25;
const BRUSH_STEP = 1.2;
const PASTED_BESIDE = 12; // document px, so that a duplicate does not lie on what it doubles

/** @type {Record<string, (editor: TrajectoryEditor, argument: string) => unknown>} */
const COMMANDS = {
  tool: (editor, name) => editor.chooseTool(/** @type {any} */ (name)),
  undo: (editor) => editor.tools[editor.scene.tool].back?.() || travelled(editor, "undo"),
  redo: (editor) => travelled(editor, "redo"),
  delete: (editor) => editor.tools[editor.scene.tool].back?.() || removed(editor),
  duplicate: (editor) =>
    editor.dispatch({ type: "copy" }) &&
    editor.dispatch({ type: "paste", dx: PASTED_BESIDE, dy: PASTED_BESIDE }),
  select_all: (editor) => editor.dispatch({ type: "select_all" }),
  reverse: (editor) => editor.dispatch({ type: "reverse_paths", paths: chosenPaths(editor) }),
  lock: (editor) => locked(editor),
  nudge: (editor, by) => nudged(editor, by.split(",").map(Number)),
  finish: (editor) => editor.tools[editor.scene.tool].finish?.(),
  leave: (editor) => left(editor),
  brush_smaller: (editor) => brushed(editor, 1 / BRUSH_STEP),
  brush_larger: (editor) => brushed(editor, BRUSH_STEP),
  play: (editor) => editor.player.toggle(),
  frame: (editor, which) => editor.player.step(which),
  fit: (editor) => editor.fit(),
  actual_size: (editor) => zoomedBy(editor, 1 / editor.scene.viewport.scale),
  zoom_in: (editor) => zoomedBy(editor, ZOOM_STEP),
  zoom_out: (editor) => zoomedBy(editor, 1 / ZOOM_STEP),
  pan: (editor, by) => {
    const [dx, dy] = by.split(",").map(Number);
    editor.show({ viewport: panned(editor.scene.viewport, dx, dy) });
  },
  full_screen: (editor) => fullScreen(editor),
  help: (editor) => editor.layout.help.toggle(),
};

/**
 * @param {TrajectoryEditor} editor
 * @param {string} command a name, with an argument after a colon where it takes one
 */
export function runCommand(editor, command) {
  const [name, argument = ""] = command.split(/:(.*)/s);
  COMMANDS[name](editor, argument);
}

/**
 * Numbers of the paths that a command is about: those selected, whole or by points, or those of selected entities.
 *
 * @param {TrajectoryEditor} editor
 * @returns {number[]}
 */
export function chosenPaths({ state }) {
  const { selection, document } = state;
  const touched = [...new Set([...selection.paths, ...selection.points.map(({ path }) => path)])];
  if (touched.length > 0) {
    return touched.sort((one, other) => one - other);
  }
  return document.paths.flatMap((path, number) => (selection.entities.includes(path.entity) ? [number] : []));
}

/** @type {(editor: TrajectoryEditor, type: "undo" | "redo") => void} */
function travelled(editor, type) {
  editor.interaction.cancel();
  editor.dispatch({ type });
  editor.interaction.refresh();
}

/** @type {(editor: TrajectoryEditor) => void} */
function removed(editor) {
  const { points, paths, entities } = editor.state.selection;
  if (points.length > 0) {
    editor.dispatch({ type: "delete_points", points });
  } else if (paths.length > 0) {
    editor.dispatch({ type: "remove_paths", paths });
  } else if (entities.length > 0) {
    editor.dispatch({ type: "remove_entities", ids: entities });
  } else {
    editor.say("nothingSelected");
  }
  editor.interaction.refresh();
}

/** @type {(editor: TrajectoryEditor) => void} */
function locked(editor) {
  const { entities, paths } = editor.state.document;
  const owners = chosenPaths(editor).map((number) => paths[number].entity);
  const ids = [...new Set([...editor.state.selection.entities, ...owners])];
  const areLocked = entities.filter(({ id }) => ids.includes(id)).every((entity) => entity.locked);
  editor.dispatch({ type: "begin_gesture" });
  ids.forEach((id) => editor.dispatch({ type: "change_entity", id, changes: { locked: !areLocked } }));
  editor.dispatch({ type: "end_gesture" });
}

/** @type {(editor: TrajectoryEditor, by: number[]) => void} */
function nudged(editor, [dx, dy]) {
  const { points, paths } = editor.state.selection;
  if (points.length + paths.length > 0) {
    editor.dispatch({ type: "move_selection", dx, dy });
  } else {
    const step = 24;
    editor.show({ viewport: panned(editor.scene.viewport, -Math.sign(dx) * step, -Math.sign(dy) * step) });
  }
}

/**
 * Escape leaves the nearest thing first: the help, the gesture, what a tool is making, the selection.
 *
 * @type {(editor: TrajectoryEditor) => void}
 */
function left(editor) {
  if (editor.layout.help.isOpen()) {
    editor.layout.help.toggle();
  } else if (editor.interaction.isBusy()) {
    editor.interaction.cancel();
  } else if (!editor.tools[editor.scene.tool].leave?.()) {
    editor.dispatch({ type: "select", selection: {} });
  }
}

/** @type {(editor: TrajectoryEditor, factor: number) => void} */
function brushed(editor, factor) {
  editor.show({ brushRadius: Math.min(Math.max(editor.scene.brushRadius * factor, 0.5), 500) });
}

/** @type {(editor: TrajectoryEditor, factor: number) => void} */
function zoomedBy(editor, factor) {
  const { canvas, viewport } = editor.scene;
  editor.show({ viewport: zoomed(viewport, factor, [canvas.width / 2, canvas.height / 2]) });
}

/** @type {(editor: TrajectoryEditor) => void} */
function fullScreen(editor) {
  if (document.fullscreenElement === editor.element) {
    document.exitFullscreen();
  } else {
    editor.element.requestFullscreen().then(() => editor.focus(), editor.fail.bind(editor));
  }
}
