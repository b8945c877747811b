/** The same drawing on a canvas of another size. */

import { decodeRle, encodeRle } from "./masks.js";

/** @typedef {import("./document.js").CameraMove} CameraMove */
/** @typedef {import("./document.js").ControlPoint} ControlPoint */
/** @typedef {import("./document.js").DocumentEntity} DocumentEntity */
/** @typedef {import("./document.js").MotionDocument} MotionDocument */
/** @typedef {import("./document.js").Prompts} Prompts */
/** @typedef {import("./document.js").Size} Size */
/** @typedef {import("./document.js").Vector} Vector */

/**
 * How things of one canvas come to another one.
 *
 * @typedef {object} Stretch
 * @property {Size} before
 * @property {Size} after
 * @property {number} across
 * @property {number} down
 */

/**
 * A document stretched over another canvas: positions by (x + 0.5) s - 0.5, as pixels are resized, masks by the nearest
 * pixel, radii by the geometric mean of both factors.
 *
 * @param {MotionDocument} document
 * @param {Size} size
 * @returns {MotionDocument}
 */
export function rescaled(document, size) {
  const { width, height } = document.size;
  const by = { before: document.size, after: size, across: size.width / width, down: size.height / height };
  return {
    ...document,
    size: { ...size },
    entities: document.entities.map((entity) => ofEntity(entity, by)),
    paths: document.paths.map((path) => ({ ...path, points: path.points.map((point) => ofPoint(point, by)) })),
    ...(document.camera === undefined ? {} : { camera: ofCamera(document.camera, by) }),
  };
}

/** @type {(entity: DocumentEntity, by: Stretch) => DocumentEntity} */
function ofEntity(entity, by) {
  const { mask, prompts, radius } = entity;
  return {
    ...entity,
    ...(radius === undefined ? {} : { radius: radius * Math.sqrt(by.across * by.down) }),
    ...(mask !== undefined && "rle" in mask ? { mask: { rle: ofMask(mask.rle, by) } } : {}),
    ...(prompts === undefined ? {} : { prompts: ofPrompts(prompts, by) }),
  };
}

/** @type {(rle: string, by: Stretch) => string} */
function ofMask(rle, { before, after, across, down }) {
  const { pixels: from } = decodeRle(rle, before);
  const pixels = new Uint8Array(after.width * after.height);
  for (let y = 0; y < after.height; y += 1) {
    const row = Math.min(Math.floor((y + 0.5) / down), before.height - 1) * before.width;
    for (let x = 0; x < after.width; x += 1) {
      pixels[y * after.width + x] = from[row + Math.min(Math.floor((x + 0.5) / across), before.width - 1)];
    }
  }
  return encodeRle({ ...after, pixels });
}

/** @type {(prompts: Prompts, by: Stretch) => Prompts} */
function ofPrompts({ points, box, ...rest }, by) {
  const moved = points.map(({ label, ...at }) => ({ ...ofPlace(at, by), label }));
  if (box === undefined) {
    return { ...rest, points: moved };
  }
  const size = { width: box.width * by.across, height: box.height * by.down };
  return { ...rest, points: moved, box: { ...ofPlace(box, by), ...size } };
}

/** @type {(point: ControlPoint, by: Stretch) => ControlPoint} */
function ofPoint({ handle_in: into, handle_out: out, ...at }, by) {
  return {
    ...ofPlace(at, by),
    ...(into === undefined ? {} : { handle_in: ofOffset(into, by) }),
    ...(out === undefined ? {} : { handle_out: ofOffset(out, by) }),
  };
}

/** @type {(camera: CameraMove, by: Stretch) => CameraMove} */
function ofCamera({ pan, zoom, ...rest }, by) {
  const place = (/** @type {Vector} */ [x, y]) => {
    const moved = ofPlace({ x, y }, by);
    return /** @type {Vector} */ ([moved.x, moved.y]);
  };
  return {
    ...rest,
    ...(pan === undefined ? {} : { pan: ofOffset(pan, by) }),
    ...(zoom === undefined ? {} : { zoom: { ...zoom, center: place(zoom.center), points: zoom.points.map(place) } }),
  };
}

/** @type {(at: {x: number, y: number}, by: Stretch) => {x: number, y: number}} */
function ofPlace({ x, y }, { across, down }) {
  return { x: (x + 0.5) * across - 0.5, y: (y + 0.5) * down - 0.5 };
}

/** @type {(offset: Vector, by: Stretch) => Vector} */
function ofOffset([dx, dy], { across, down }) {
  return [dx * across, dy * down];
}
