/** Entities: adding, removing, their looks, masks and prompts, paint order. */

import { copied } from "../document.js";
import { renumbered, selected } from "./selection.js";
import { Refusal, checkSome, entityOf, reordered, unlockedEntityOf } from "./targets.js";

/** @typedef {import("../document.js").DocumentEntity} DocumentEntity */
/** @typedef {import("../document.js").MotionDocument} MotionDocument */
/** @typedef {import("./selection.js").Selection} Selection */
/** @typedef {import("./targets.js").Change} Change */
/** @typedef {import("./targets.js").Context} Context */

/** @typedef {Partial<Omit<DocumentEntity, "id">>} EntityChanges a value of undefined takes the member away */
/** @typedef {{type: "add_entity", entity?: EntityChanges}} AddEntity it is painted last, and selected */
/** @typedef {{type: "remove_entities", ids: readonly number[]}} RemoveEntities with their paths */
/** @typedef {{type: "change_entity", id: number, changes: EntityChanges}} ChangeEntity name, color, mask, locked ... */
/** @typedef {{type: "reorder_entity", id: number, to: number}} ReorderEntity to a place in the paint order */
/** @typedef {AddEntity | RemoveEntities | ChangeEntity | ReorderEntity} EntityAction */

// Okabe and Ito's colours: told apart by people who see fewer of them, too.
const COLORS = ["#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7"];
const MAX_ID = 1_000_000_000; // the limit of document.schema.json
const ALLOWED_WHILE_LOCKED = ["locked", "hidden"];

export const entityEdits = {
  /** @type {(document: MotionDocument, action: AddEntity) => Change} */
  add_entity: (document, { entity = {} }) => {
    const id = freeId(document);
    const name = `entity ${id}`;
    /** @type {DocumentEntity} */
    const added = { color: freeColor(document), locked: false, hidden: false, name, ...copied(entity), id };
    return {
      document: { ...document, entities: [...document.entities, added] },
      selection: selected({ entities: [id] }),
    };
  },

  /** @type {(document: MotionDocument, action: RemoveEntities, context: Context) => Change} */
  remove_entities: (document, { ids }, { selection }) => {
    checkSome(ids);
    ids.forEach((id) => unlockedEntityOf(document, id));
    const entities = document.entities.filter((entity) => !ids.includes(entity.id));
    const removed = document.paths.flatMap((path, number) => (ids.includes(path.entity) ? [number] : []));
    return withoutPaths({ ...document, entities }, removed, selection);
  },

  /** @type {(document: MotionDocument, action: ChangeEntity) => Change} */
  change_entity: (document, { id, changes }) => {
    const entity = entityOf(document, id);
    if ("id" in changes) {
      throw new Refusal("fixedId");
    }
    if (!Object.keys(changes).every((key) => ALLOWED_WHILE_LOCKED.includes(key))) {
      unlockedEntityOf(document, id);
    }
    const changed = { ...entity, ...copied(changes) };
    return {
      document: { ...document, entities: document.entities.map((other) => (other === entity ? changed : other)) },
    };
  },

  /** @type {(document: MotionDocument, action: ReorderEntity) => Change} */
  reorder_entity: (document, { id, to }) => {
    const from = document.entities.indexOf(unlockedEntityOf(document, id));
    return { document: { ...document, entities: reordered(document.entities, from, to) } };
  },
};

/**
 * A document without the paths of those numbers, and the selection in the numbers that are left.
 *
 * @param {MotionDocument} document
 * @param {readonly number[]} removed
 * @param {Selection} selection
 * @returns {Change}
 */
export function withoutPaths(document, removed, selection) {
  /** @type {(number: number) => number | null} */
  const renumber = (number) =>
    removed.includes(number) ? null : number - removed.filter((other) => other < number).length;
  return {
    document: { ...document, paths: document.paths.filter((_, number) => !removed.includes(number)) },
    selection: renumbered(selection, renumber),
  };
}

/**
 * An id that no entity of the document has: one more than the largest, so that ids of removed entities rest.
 *
 * @param {MotionDocument} document
 * @returns {number}
 */
export function freeId(document) {
  const ids = document.entities.map((entity) => entity.id);
  const next = Math.max(0, ...ids) + 1;
  if (next <= MAX_ID) {
    return next;
  }
  let free = 1;
  while (ids.includes(free)) {
    free += 1;
  }
  return free;
}

/** @type {(document: MotionDocument) => string} */
function freeColor(document) {
  // One without a colour of its own is shown in the table's at its place.
  const used = document.entities.map((entity, place) => entity.color ?? COLORS[place % COLORS.length]);
  return COLORS.find((color) => !used.includes(color)) ?? COLORS[document.entities.length % COLORS.length];
}
