/** Plays the clip: moves the shown frame with the clock, over and over. */

/** @typedef {import("./editor.js").TrajectoryEditor} TrajectoryEditor */

/**
 * @typedef {object} Player
 * @property {() => void} toggle
 * @property {() => void} pause
 * @property {(frame: number) => void} goTo
 * @property {(which: string) => void} step a number of frames, "first" or "last"
 * @property {(isWanted: boolean) => void} useCutouts
 * @property {() => boolean} usesCutouts
 */

const PAUSE_AT_END = 0.5; // seconds on the last frame, before the clip starts again

/**
 * @param {TrajectoryEditor} editor
 * @returns {Player}
 */
export function clipPlayer(editor) {
  let running = 0;
  let started = 0;
  let wantsCutouts = true;

  /** @type {(frame: number, playing: boolean) => void} */
  function show(frame, playing) {
    // The first frame is the picture itself, which is what is edited.
    editor.show({ frame, playing, cutouts: wantsCutouts && (playing || frame > 0) });
  }

  /** @type {(now: number) => void} */
  function tick(now) {
    const { frames, fps } = editor.scene.document;
    const length = (frames - 1) / fps;
    const at = ((now - started) / 1000) % (length + PAUSE_AT_END);
    show(Math.min(at * fps, frames - 1), true);
    running = requestAnimationFrame(tick);
  }

  function pause() {
    if (running !== 0) {
      cancelAnimationFrame(running);
      running = 0;
      show(Math.round(editor.scene.frame), false);
    }
  }

  return {
    toggle: () => {
      if (running !== 0) {
        pause();
        return;
      }
      const { frame, document } = editor.scene;
      const from = frame >= document.frames - 1 ? 0 : frame;
      started = performance.now() - (from / document.fps) * 1000;
      running = requestAnimationFrame(tick);
    },
    pause,
    goTo: (frame) => {
      pause();
      show(Math.min(Math.max(Math.round(frame), 0), editor.scene.document.frames - 1), false);
    },
    step: (which) => {
      pause();
      const last = editor.scene.document.frames - 1;
      const to = { first: 0, last }[which] ?? Math.round(editor.scene.frame) + Number(which);
      show(Math.min(Math.max(to, 0), last), false);
    },
    useCutouts: (isWanted) => {
      wantsCutouts = isWanted;
      show(editor.scene.frame, editor.scene.playing);
    },
    usesCutouts: () => wantsCutouts,
  };
}
