/** Older versions of the motion document, brought up to date one version at a time. JSON in, JSON out. */

/** @type {Record<string, string>} */
const CURVES = { linear: "polyline", catmull_rom: "catmull_rom" };

/**
 * Version -> what makes the next version of it.
 *
 * @type {Record<number, (data: any) => any>}
 */
export const MIGRATIONS = { 1: fromVersion1 };

/**
 * The same document in the target version's form; data has the shape of `version` and is left as it was.
 *
 * @param {any} data
 * @param {number} version
 * @param {number} target
 * @returns {any}
 */
export function migrated(data, version, target) {
  let current = data;
  for (let step = version; step < target; step += 1) {
    current = MIGRATIONS[step](current);
  }
  return current;
}

/**
 * Version 1 kept one line inside each entity; version 2 keeps lines in a list of their own.
 *
 * @param {any} data
 * @returns {any}
 */
function fromVersion1(data) {
  /** @type {any[]} */
  const drawn = data.entities.filter((/** @type {any} */ entity) => entity.control_points.length > 0);
  return {
    format: "draganything-motion",
    version: 2,
    size: data.size,
    frames: data.frames,
    entities: data.entities.map((/** @type {any} */ entity) => {
      const { control_points: _points, interpolation: _interpolation, ...kept } = entity;
      return kept;
    }),
    paths: drawn.map((entity) => ({
      entity: entity.id,
      points: entity.control_points,
      curve: CURVES[entity.interpolation],
    })),
  };
}
