/** The list of entities, the last one painted at the top: names, colours, order, locks, and which one is hidden. */

import { button, element, set } from "../dom.js";
import { ICONS } from "../icons.js";
import { entityColor } from "../theme.js";
import { numberField, section } from "./fields.js";

/** @typedef {import("../editor.js").TrajectoryEditor} TrajectoryEditor */
/** @typedef {import("../document.js").DocumentEntity} DocumentEntity */
/** @typedef {import("../layout.js").Panel} Panel */

/** @typedef {{element: HTMLElement, update: (entity: DocumentEntity) => void}} Row */

/**
 * @param {TrajectoryEditor} editor
 * @returns {Panel}
 */
export function entitiesPanel(editor) {
  /** @type {Map<number, Row>} */
  const rows = new Map();
  const list = element("ul", { class: "da-entities", "aria-label": editor.t("entities") });
  const nothing = element("p", { class: "da-note" }, editor.t("noEntities"));
  /** @type {unknown} */
  let shown = null;
  return {
    element: section(editor.t("entities"), [list, nothing]),
    update: () => {
      const { document, selection } = editor.state;
      const key = [document, selection, editor.scene.circles];
      if (Array.isArray(shown) && key.every((part, index) => part === /** @type {any} */ (shown)[index])) {
        return;
      }
      shown = key;
      const wanted = [...document.entities].reverse().map((entity) => {
        const row = rows.get(entity.id) ?? entityRow(editor, entity.id);
        rows.set(entity.id, row);
        row.update(entity);
        return row.element;
      });
      if (wanted.length !== list.children.length || wanted.some((row, at) => list.children[at] !== row)) {
        list.replaceChildren(...wanted);
      }
      nothing.hidden = wanted.length > 0;
    },
  };
}

/** @type {(editor: TrajectoryEditor, id: number) => Row} */
function entityRow(editor, id) {
  const { t } = editor;
  /** @type {(changes: import("../actions/entities.js").EntityChanges) => boolean} */
  const change = (changes) => editor.dispatch({ type: "change_entity", id, changes });
  const entityNow = () => editor.state.document.entities.find((entity) => entity.id === id);
  /** @type {(event: MouseEvent) => void} */
  const select = ({ shiftKey, ctrlKey, metaKey }) => {
    const mode = shiftKey || ctrlKey || metaKey ? "toggle" : "replace";
    editor.dispatch({ type: "select", selection: { entities: [id] }, mode });
  };
  /** @type {(by: number) => void} */
  const reorder = (by) => {
    const at = editor.state.document.entities.findIndex((entity) => entity.id === id);
    editor.dispatch({ type: "reorder_entity", id, to: at + by });
  };

  const color = element("input", { type: "color", class: "da-color", title: t("color"), "aria-label": t("color") });
  color.addEventListener("change", () => change({ color: color.value }));
  const name = element("input", { type: "text", class: "da-name", "aria-label": t("name") });
  name.addEventListener("change", () => change({ name: name.value }));
  name.addEventListener("focus", () => editor.dispatch({ type: "select", selection: { entities: [id] } }));
  name.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      name.value = entityNow()?.name ?? "";
    }
    if (event.key === "Enter" || event.key === "Escape") {
      editor.focus();
    }
  });
  const hide = button({ label: t("hide"), sign: ICONS.seen, press: () => change({ hidden: !entityNow()?.hidden }) });
  const unhide = button({ label: t("show"), sign: ICONS.unseen, press: () => change({ hidden: false }) });
  const lock = button({ label: t("lockEntity"), sign: ICONS.unlocked, press: () => change({ locked: true }) });
  const unlock = button({ label: t("unlock"), sign: ICONS.locked, press: () => change({ locked: false }) });
  const up = button({ label: t("moveUp"), sign: ICONS.up, press: () => reorder(1) });
  const down = button({ label: t("moveDown"), sign: ICONS.down, press: () => reorder(-1) });
  const remove = button({
    label: t("remove"),
    sign: ICONS.remove,
    press: () => editor.dispatch({ type: "remove_entities", ids: [id] }),
  });
  const radius = numberField(editor, {
    label: t("radius"),
    hint: t("radiusHint"),
    min: 0.5,
    max: 100000,
    step: 0.5,
    empty: t("radiusAuto"),
    change: (value) => change({ radius: value }),
  });
  const note = element("span", { class: "da-note" });
  const more = element("div", { class: "da-more" }, radius.element, up, down, remove);
  const head = element("div", { class: "da-row" }, color, name, note, hide, unhide, lock, unlock);
  const row = element("li", { class: "da-entity", "data-entity": id, onclick: select }, head, more);
  // Fields and buttons of the row do their own work; the rest of it selects.
  for (const part of [color, name, hide, unhide, lock, unlock, more]) {
    part.addEventListener("click", (event) => event.stopPropagation());
  }
  return {
    element: row,
    update: (entity) => {
      const { document, selection } = editor.state;
      const at = document.entities.indexOf(entity);
      const isSelected = selection.entities.includes(id);
      const isTouched = document.paths.some((path, number) => path.entity === id && isChosen(editor, number));
      set(color, "value", entityColor(document, id));
      if (window.document.activeElement !== name) {
        set(name, "value", entity.name);
      }
      set(note, "textContent", noteOf(editor, entity));
      set(note, "title", note.textContent ?? "");
      set(hide, "hidden", entity.hidden);
      set(unhide, "hidden", !entity.hidden);
      set(lock, "hidden", entity.locked);
      set(unlock, "hidden", !entity.locked);
      set(more, "hidden", !isSelected);
      set(up, "disabled", at === document.entities.length - 1 || entity.locked);
      set(down, "disabled", at === 0 || entity.locked);
      set(remove, "disabled", entity.locked);
      radius.show(entity.radius ?? null);
      radius.enable(!entity.locked);
      row.classList.toggle("da-selected", isSelected);
      row.classList.toggle("da-touched", isTouched);
      row.setAttribute("aria-current", String(isSelected));
    },
  };
}

/** @type {(editor: TrajectoryEditor, number: number) => boolean} */
function isChosen({ state }, number) {
  return state.selection.paths.includes(number) || state.selection.points.some(({ path }) => path === number);
}

/** @type {(editor: TrajectoryEditor, entity: DocumentEntity) => string} */
function noteOf({ t, state, scene, maskFiles }, { id, mask }) {
  const paths = state.document.paths.filter((path) => path.entity === id);
  if (mask !== undefined && "file" in mask && !scene.masks.has(id)) {
    const problem = maskFiles.problemOf(mask.file, scene.document.size);
    return problem === null ? t("maskComing") : t("maskUnread", { file: mask.file, problem });
  }
  if (!scene.masks.has(id)) {
    return t("noMask");
  }
  if (paths.length === 0) {
    return t("noLine");
  }
  if (paths.every((path) => path.static)) {
    return t("pinned");
  }
  return paths.length === 1 ? t("oneLine") : t("lineCount", { count: paths.length });
}
