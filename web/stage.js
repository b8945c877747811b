/** The canvas that the scene is drawn on: its size on the page, its pixels, and when it is drawn. */

import { element } from "./dom.js";
import { drawScene } from "./render.js";
import { themeOf } from "./theme.js";
import { resized } from "./viewport.js";

/** @typedef {import("./editor.js").TrajectoryEditor} TrajectoryEditor */

/**
 * @typedef {object} Stage
 * @property {HTMLCanvasElement} canvas
 * @property {() => void} schedule draws before the browser shows its next frame, once however often it is asked
 * @property {() => void} observe follows the canvas's size on the page from now on
 * @property {() => void} dispose
 */

const MAX_RATIO = 3; // backing store px for one CSS px; more is not seen and costs much

/**
 * @param {TrajectoryEditor} editor
 * @returns {Stage}
 */
export function stageOf(editor) {
  const canvas = element("canvas", { class: "da-canvas", tabIndex: 0, role: "application" });
  canvas.setAttribute("aria-label", editor.t("canvas"));
  canvas.setAttribute("data-testid", "draganything-canvas");
  const context = canvas.getContext("2d");
  if (context === null) {
    throw new Error("The browser gives no 2D canvas to draw on.");
  }
  let drawing = 0;

  function draw() {
    const { canvas: size } = editor.scene;
    // The host shows the canvas scaled as the graph is zoomed: as many pixels are drawn as are seen.
    const shown = canvas.getBoundingClientRect().width;
    const ratio = Math.min((devicePixelRatio * shown) / size.width || 1, MAX_RATIO);
    const [width, height] = [Math.round(size.width * ratio), Math.round(size.height * ratio)];
    if (canvas.width !== width || canvas.height !== height) {
      Object.assign(canvas, { width, height });
    }
    if (editor.scene.pixelRatio !== ratio) {
      editor.scene = { ...editor.scene, pixelRatio: ratio };
    }
    drawScene(/** @type {CanvasRenderingContext2D} */ (context), editor.scene);
    editor.layout.update();
  }

  function measure() {
    const after = { width: canvas.clientWidth, height: canvas.clientHeight };
    if (after.width === 0 || after.height === 0) {
      return;
    }
    const { canvas: before, viewport } = editor.scene;
    const { isFitted } = editor;
    editor.show({ canvas: after, theme: themeOf(editor.element), viewport: resized(viewport, before, after) });
    if (isFitted) {
      editor.fit();
    }
    draw(); // at once: the old picture would be seen stretched for a moment
  }

  const observer = new ResizeObserver(measure);
  return {
    canvas,
    schedule: () => {
      drawing ||= requestAnimationFrame(() => {
        drawing = 0;
        draw();
      });
    },
    observe: () => observer.observe(canvas),
    dispose: () => {
      observer.disconnect();
      cancelAnimationFrame(drawing);
    },
  };
}
