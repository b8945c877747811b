/** What does not change from one drawing to the next is kept as a picture of its own and only copied. */

/** @typedef {import("../scene.js").Scene} Scene */
/** @typedef {import("./ink.js").Context} Context */

/** @typedef {{canvas: OffscreenCanvas, context: OffscreenCanvasRenderingContext2D, key: readonly unknown[]}} Layer */

/** @type {WeakMap<Context, Map<string, Layer>>} */
const LAYERS = new WeakMap();

/** @type {Map<string, OffscreenCanvas>} */
const STAMPS = new Map();
const MAX_STAMPS = 200;

/**
 * Draws a layer over the whole canvas: anew when something in its key (compared by identity), the canvas or the view
 * has changed, else as it was. Layers may be drawn upon others within `draw`.
 *
 * @param {Context} context
 * @param {Scene} scene
 * @param {{name: string, key: readonly unknown[], opaque: boolean}} layer the key: everything else that it depends on
 * @param {(context: Context) => void} draw
 */
export function drawLayer(context, scene, { name, key, opaque }, draw) {
  const { scale, left, top } = scene.viewport;
  const whole = [scene.theme, scene.pixelRatio, scale, left, top, ...key];
  const layer = layerOf(context, name, opaque);
  if (!sameItems(layer.key, whole)) {
    layer.context.setTransform(1, 0, 0, 1, 0, 0);
    layer.context.clearRect(0, 0, layer.canvas.width, layer.canvas.height);
    draw(layer.context);
    layer.key = whole;
  }
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.drawImage(layer.canvas, 0, 0);
}

/**
 * Draws a small mark that appears many times. It is drawn once, around (0, 0), and then copied.
 *
 * @param {Context} context in canvas pixels
 * @param {Scene} scene
 * @param {{name: string, reach: number}} mark a name that says all that its look depends on; how far it reaches, px
 * @param {readonly (readonly [number, number])[]} places
 * @param {(context: Context) => void} draw
 */
export function drawStamps(context, { pixelRatio }, { name, reach }, places, draw) {
  const size = Math.ceil(2 * reach * pixelRatio);
  const key = `${name} ${size} ${pixelRatio}`;
  let stamp = STAMPS.get(key);
  if (stamp === undefined) {
    stamp = new OffscreenCanvas(size, size);
    const own = contextOf(stamp);
    own.setTransform(pixelRatio, 0, 0, pixelRatio, size / 2, size / 2);
    draw(own);
    if (STAMPS.size >= MAX_STAMPS) {
      STAMPS.clear();
    }
    STAMPS.set(key, stamp);
  }
  const [width, half] = [size / pixelRatio, size / pixelRatio / 2];
  for (const [x, y] of places) {
    context.drawImage(stamp, x - half, y - half, width, width);
  }
}

/**
 * The drawing context of an offscreen canvas.
 *
 * @param {OffscreenCanvas} canvas
 * @param {boolean} [opaque] nothing under it shows, which makes copying it cheaper
 * @returns {OffscreenCanvasRenderingContext2D}
 */
export function contextOf(canvas, opaque = false) {
  const context = canvas.getContext("2d", { alpha: !opaque });
  if (context === null) {
    throw new Error("this browser gives no drawing context; close other pages that draw, and reload");
  }
  return context;
}

/** @type {(context: Context, name: string, opaque: boolean) => Layer} */
function layerOf(context, name, opaque) {
  const { width, height } = context.canvas;
  const layers = LAYERS.get(context) ?? new Map();
  LAYERS.set(context, layers);
  const known = layers.get(name);
  if (known !== undefined && known.canvas.width === width && known.canvas.height === height) {
    return known;
  }
  const canvas = new OffscreenCanvas(width, height);
  const layer = { canvas, context: contextOf(canvas, opaque), key: [Symbol("nothing is drawn yet")] };
  layers.set(name, layer);
  return layer;
}

/** @type {(one: readonly unknown[], other: readonly unknown[]) => boolean} */
function sameItems(one, other) {
  return one.length === other.length && one.every((item, index) => Object.is(item, other[index]));
}
