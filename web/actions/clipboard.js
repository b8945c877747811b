/**
 * Copy and paste. What is copied is a motion document of its own with the entities and paths that were selected, so
 * that it can travel as text from one editor to another.
 */

import { freeId } from "./entities.js";
import { selected } from "./selection.js";
import { Refusal, entityOf, hundredth, unlockedEntityOf } from "./targets.js";

/** @typedef {import("../document.js").DocumentEntity} DocumentEntity */
/** @typedef {import("../document.js").DocumentFormat} DocumentFormat */
/** @typedef {import("../document.js").MotionDocument} MotionDocument */
/** @typedef {import("../document.js").MotionPath} MotionPath */
/** @typedef {import("./selection.js").Selection} Selection */
/** @typedef {import("./targets.js").Change} Change */
/** @typedef {import("./targets.js").Context} Context */

/**
 * Adds what was copied: in this editor, or elsewhere as `text`. Copied entities become new ones with their paths.
 * Copied paths go to the entity `onto`, or to the one that is selected, or to their own where it is here too; otherwise
 * their entity comes with them. dx, dy: how far pasted paths are moved.
 *
 * @typedef {{type: "paste", text?: string, onto?: number, dx?: number, dy?: number}} Paste
 */

const COPIED = "copied"; // the key in a clip's extra that says what the user selected: "entities" or "paths"

/**
 * What the selection holds, as a document to paste. Points count as their paths.
 *
 * @param {MotionDocument} document
 * @param {Selection} selection
 * @param {DocumentFormat} format
 * @returns {MotionDocument}
 */
export function clipOf(document, selection, format) {
  const isOfEntities = selection.entities.length > 0;
  const chosen = new Set([...selection.paths, ...selection.points.map(({ path }) => path)]);
  const paths = document.paths.filter(
    (path, number) => chosen.has(number) || selection.entities.includes(path.entity),
  );
  const ids = new Set([...selection.entities, ...paths.map((path) => path.entity)]);
  if (ids.size === 0) {
    throw new Refusal("nothingToCopy");
  }
  const { format: name, version, size, frames } = document;
  const entities = document.entities.filter((entity) => ids.has(entity.id));
  const extra = { [COPIED]: isOfEntities ? "entities" : "paths" };
  return format.completed({ format: name, version, size, frames, entities, paths, extra });
}

export const clipboardEdits = {
  /** @type {(document: MotionDocument, action: Paste, context: Context) => Change} */
  paste: (document, { text, onto, dx = 0, dy = 0 }, { format, selection, clip: held }) => {
    const clip = text === undefined ? held : format.parse(text);
    if (clip === null) {
      throw new Refusal("nothingCopied");
    }
    if (clip.size.width !== document.size.width || clip.size.height !== document.size.height) {
      const [there, here] = [clip.size, document.size].map(({ width, height }) => `${width} x ${height}`);
      throw new Refusal("copiedElsewhere", { there, here });
    }
    const paths = clip.paths.map((path) => movedPath(path, dx, dy));
    const owners = clip.extra[COPIED] === "paths" ? ownersOf(document, clip, onto, selection) : null;
    return owners === null ? withEntities(document, clip, paths) : withPaths(document, paths, owners);
  },
};

/**
 * Which entity of this document takes the paths of which entity of the clip, or null where one has no taker.
 *
 * @type {(document: MotionDocument, clip: MotionDocument, onto: number | undefined, selection: Selection) =>
 *   Map<number, number> | null}
 */
function ownersOf(document, clip, onto, selection) {
  const target = onto ?? (selection.entities.length === 1 ? selection.entities[0] : undefined);
  if (target !== undefined) {
    const { id } = entityOf(document, target);
    return new Map(clip.entities.map((entity) => [entity.id, id]));
  }
  const isHere = (/** @type {DocumentEntity} */ entity) =>
    document.entities.some((other) => other.id === entity.id && other.name === entity.name);
  return clip.entities.every(isHere) ? new Map(clip.entities.map(({ id }) => [id, id])) : null;
}

/** @type {(document: MotionDocument, paths: MotionPath[], owners: Map<number, number>) => Change} */
function withPaths(document, paths, owners) {
  const added = paths.map((path) => ({ ...path, entity: owners.get(path.entity) ?? path.entity }));
  added.forEach((path) => unlockedEntityOf(document, path.entity));
  return {
    document: { ...document, paths: [...document.paths, ...added] },
    selection: selected({ paths: added.map((_, index) => document.paths.length + index) }),
  };
}

/** @type {(document: MotionDocument, clip: MotionDocument, paths: MotionPath[]) => Change} */
function withEntities(document, clip, paths) {
  /** @type {Map<number, number>} */
  const ids = new Map();
  let grown = document;
  for (const entity of clip.entities) {
    const id = freeId(grown);
    ids.set(entity.id, id);
    grown = { ...grown, entities: [...grown.entities, { ...entity, id, locked: false }] };
  }
  const { document: pasted } = withPaths(grown, paths, ids);
  return { document: pasted, selection: selected({ entities: [...ids.values()] }) };
}

/** @type {(path: MotionPath, dx: number, dy: number) => MotionPath} */
function movedPath(path, dx, dy) {
  if (dx === 0 && dy === 0) {
    return path;
  }
  const points = path.points.map((point) => ({ ...point, x: hundredth(point.x + dx), y: hundredth(point.y + dy) }));
  return { ...path, points };
}
