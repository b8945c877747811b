/** The largest circle inside a mask: where an entity's disc is and how large, as the Python core finds it. */

/** @typedef {import("./document.js").DocumentEntity} DocumentEntity */
/** @typedef {import("./masks.js").Mask} Mask */
/** @typedef {import("./tracks.js").Circle} Circle */

/**
 * A part of a picture, row by row, 1 inside.
 *
 * @typedef {object} Region
 * @property {number} left
 * @property {number} top
 * @property {number} width
 * @property {number} height
 * @property {Uint8Array} pixels
 */

/**
 * All stretches of pixels within a row, in reading order: the row and the first and last column of each. Typed arrays,
 * as a speckled mask has hundreds of thousands.
 *
 * @typedef {object} Runs
 * @property {Int32Array} rows
 * @property {Int32Array} firsts
 * @property {Int32Array} lasts
 */

/** @type {WeakMap<Mask, {circle: Circle | null}>} */
const CIRCLES = new WeakMap();

/**
 * An entity's disc: its mask's inscribed circle with the entity's own radius where it has one; null for an empty mask.
 *
 * @param {Pick<DocumentEntity, "radius">} entity
 * @param {Mask} mask
 * @returns {Circle | null}
 */
export function entityCircle(entity, mask) {
  const circle = inscribedCircle(mask);
  return circle === null || entity.radius === undefined ? circle : { ...circle, radius: entity.radius };
}

/**
 * Largest circle inside the largest 8-connected component of a mask (DragAnything, section 3.3), null for an empty one.
 * The picture's border bounds the mask as background does. Remembered for as long as the mask is.
 *
 * @param {Mask} mask
 * @returns {Circle | null}
 */
export function inscribedCircle(mask) {
  const known = CIRCLES.get(mask);
  if (known !== undefined) {
    return known.circle;
  }
  const component = largestComponent(mask);
  const circle = component && deepestPoint(component);
  CIRCLES.set(mask, { circle });
  return circle;
}

/**
 * The largest 8-connected component of a mask, cut out along its bounding box; null when the mask is empty.
 *
 * @param {Mask} mask
 * @returns {Region | null}
 */
export function largestComponent(mask) {
  const runs = runsOf(mask);
  if (runs.rows.length === 0) {
    return null;
  }
  const roots = connected(runs);
  const areas = new Int32Array(roots.length);
  roots.forEach((root, index) => {
    areas[root] += runs.lasts[index] - runs.firsts[index] + 1;
  });
  const area = areas.reduce((one, other) => Math.max(one, other));
  const largest = areas.indexOf(area);
  const isAlone = areas.lastIndexOf(area) === largest;
  return filled(runs, roots, isAlone ? largest : firstInBlocks(runs, roots, (root) => areas[root] === area));
}

/** @type {(mask: Mask) => Runs} */
function runsOf({ height, width, pixels }) {
  const most = height * Math.ceil(width / 2);
  const [rows, firsts, lasts] = [new Int32Array(most), new Int32Array(most), new Int32Array(most)];
  let count = 0;
  for (let row = 0, at = 0; row < height; row += 1) {
    for (let column = 0; column < width; column += 1, at += 1) {
      if (pixels[at] === 0) {
        continue;
      }
      if (column === 0 || pixels[at - 1] === 0) {
        [rows[count], firsts[count]] = [row, column];
        count += 1;
      }
      lasts[count - 1] = column;
    }
  }
  return { rows: rows.subarray(0, count), firsts: firsts.subarray(0, count), lasts: lasts.subarray(0, count) };
}

/**
 * For each run, the number of the first run that it is connected with. Diagonal neighbours count.
 *
 * @type {(runs: Runs) => Int32Array}
 */
function connected({ rows, firsts, lasts }) {
  const parents = Int32Array.from(rows.keys());

  /** @type {(index: number) => number} */
  function rootOf(index) {
    let root = index;
    while (parents[root] !== root) {
      parents[root] = parents[parents[root]];
      root = parents[root];
    }
    return root;
  }

  let above = 0; // the first run of the row above that reaches as far right as this one's left neighbour
  for (let index = 0; index < parents.length; index += 1) {
    const row = rows[index] - 1;
    while (rows[above] < row || (rows[above] === row && lasts[above] < firsts[index] - 1)) {
      above += 1;
    }
    for (let other = above; rows[other] === row && firsts[other] <= lasts[index] + 1; other += 1) {
      const [one, two] = [rootOf(index), rootOf(other)];
      parents[Math.max(one, two)] = Math.min(one, two);
    }
  }
  return parents.map((_, index) => rootOf(index));
}

/**
 * Of components of the same size, the one that comes first when the picture is read in blocks of two by two pixels:
 * the core's labels are numbered so.
 *
 * @type {(runs: Runs, roots: Int32Array, isCandidate: (root: number) => boolean) => number}
 */
function firstInBlocks({ rows, firsts }, roots, isCandidate) {
  let [best, bestRow, bestColumn] = [0, Infinity, Infinity];
  roots.forEach((root, index) => {
    const [row, column] = [rows[index] >> 1, firsts[index] >> 1];
    if (isCandidate(root) && (row < bestRow || (row === bestRow && column < bestColumn))) {
      [best, bestRow, bestColumn] = [root, row, column];
    }
  });
  return best;
}

/** @type {(runs: Runs, roots: Int32Array, wanted: number) => Region} */
function filled({ rows, firsts, lasts }, roots, wanted) {
  let [left, right, bottom] = [Infinity, -Infinity, 0];
  for (let index = wanted; index < roots.length; index += 1) {
    if (roots[index] === wanted) {
      [left, right, bottom] = [Math.min(left, firsts[index]), Math.max(right, lasts[index]), rows[index]];
    }
  }
  const top = rows[wanted];
  const [width, height] = [right - left + 1, bottom - top + 1];
  const pixels = new Uint8Array(width * height);
  for (let index = wanted; index < roots.length; index += 1) {
    if (roots[index] === wanted) {
      const start = (rows[index] - top) * width - left;
      pixels.fill(1, start + firsts[index], start + lasts[index] + 1);
    }
  }
  return { left, top, width, height, pixels };
}

/**
 * The pixel that is farthest from everything outside, the first one in reading order, and how far that is. Exact
 * squared distances after Meijster, Roerdink and Hesselink (2000), in two passes over whole numbers.
 *
 * @type {(region: Region) => Circle}
 */
function deepestPoint({ left, top, width, height, pixels }) {
  const depths = columnDepths(pixels, width, height);
  const [centers, starts] = [new Int32Array(width + 2), new Int32Array(width + 2)];
  const depth = new Int32Array(width + 2); // of one row, with the outside left and right of it
  let [best, bestX, bestY] = [0, 0, 0];
  for (let y = 0; y < height; y += 1) {
    depth.set(depths.subarray(y * width, (y + 1) * width), 1);
    const envelopes = lowerEnvelope(depth, centers, starts);
    let envelope = envelopes;
    for (let x = width; x >= 1; x -= 1) {
      while (starts[envelope] > x) {
        envelope -= 1;
      }
      const [dx, dy] = [x - centers[envelope], depth[centers[envelope]]];
      const square = dx * dx + dy * dy;
      // From the right, so that the leftmost of a row's equals is kept; rows above win over those below.
      if (square > best || (square === best && y === bestY)) {
        [best, bestX, bestY] = [square, x - 1, y];
      }
    }
  }
  // The core computes in single precision.
  return { center: [left + bestX, top + bestY], radius: Math.fround(Math.sqrt(best)) };
}

/**
 * How many steps it is from each pixel straight up or down to the nearest one outside.
 *
 * @type {(pixels: Uint8Array, width: number, height: number) => Int32Array}
 */
function columnDepths(pixels, width, height) {
  const depths = new Int32Array(width * height);
  for (let at = 0; at < depths.length; at += 1) {
    depths[at] = pixels[at] === 0 ? 0 : at < width ? 1 : depths[at - width] + 1;
  }
  const lastRow = (height - 1) * width;
  for (let at = depths.length - 1; at >= 0; at -= 1) {
    const below = at >= lastRow ? 1 : depths[at + width] + 1;
    if (below < depths[at]) {
      depths[at] = below;
    }
  }
  return depths;
}

/**
 * The parabolas (x - center)^2 + depth[center]^2 that are lowest somewhere in a row, from left to right: their centres
 * and from which x on each is the lowest. Returns the number of the last one.
 *
 * @type {(depth: Int32Array, centers: Int32Array, starts: Int32Array) => number}
 */
function lowerEnvelope(depth, centers, starts) {
  let last = 0;
  [centers[0], starts[0]] = [0, 0];
  for (let x = 1; x < depth.length; x += 1) {
    const own = depth[x] * depth[x];
    while (last >= 0) {
      const [dx, dy] = [starts[last] - centers[last], depth[centers[last]]];
      const away = starts[last] - x;
      if (dx * dx + dy * dy <= away * away + own) {
        break;
      }
      last -= 1;
    }
    if (last < 0) {
      last = 0;
      [centers[0], starts[0]] = [x, 0];
      continue;
    }
    const center = centers[last];
    const crossing = x * x - center * center + own - depth[center] * depth[center];
    const start = 1 + Math.floor(crossing / (2 * (x - center)));
    if (start < depth.length) {
      last += 1;
      [centers[last], starts[last]] = [x, start];
    }
  }
  return last;
}
