/**
 * The trajectory editor: its state, what it shows, and the page's part of the work. It knows no ComfyUI: it can be put
 * into any page with a server to ask and someone to tell of changes.
 */

import { messageOf, Server, ServerError } from "./api.js";
import { FRAMES, frameChanger, isBlank } from "./blank.js";
import { runCommand } from "./commands.js";
import { shapesOf } from "./entity_shapes.js";
import { interact } from "./interaction.js";
import { listenToKeys } from "./key_events.js";
import { layOut } from "./layout.js";
import { maskFiles } from "./mask_files.js";
import { clipPlayer } from "./player.js";
import { newScene } from "./scene.js";
import { stageOf } from "./stage.js";
import { createReducer, initialState } from "./state.js";
import { speaker } from "./strings.js";
import { themeOf } from "./theme.js";
import { toolbox } from "./tools/toolbox.js";
import { listenToTransfers } from "./transfer.js";
import { fitted, sameSize } from "./viewport.js";
import { documentWarnings } from "./warnings.js";
import { limitsOn } from "./weights.js";

/** @typedef {import("./api.js").Answer} Answer */
/** @typedef {import("./api.js").Host} Host */
/** @typedef {import("./api.js").ImageReference} ImageReference */
/** @typedef {import("./api.js").Question} Question */
/** @typedef {import("./board.js").Board} Board */
/** @typedef {import("./board.js").Options} Options */
/** @typedef {import("./document.js").DocumentFormat} DocumentFormat */
/** @typedef {import("./document.js").MotionDocument} MotionDocument */
/** @typedef {import("./document.js").Size} Size */
/** @typedef {import("./entity_shapes.js").Shapes} Shapes */
/** @typedef {import("./scene.js").Scene} Scene */
/** @typedef {import("./scene.js").Tool} ToolName */
/** @typedef {import("./state.js").Action} Action */
/** @typedef {import("./strings.js").Key} Key */

/** @typedef {{image: HTMLImageElement, reference: ImageReference | null}} ShownPicture */

/**
 * @typedef {object} Surroundings
 * @property {DocumentFormat} format
 * @property {Host} host
 * @property {(text: string) => void} changed told of the document's text when a gesture is over
 * @property {(event: KeyboardEvent) => void} [keyTaken] told of every key that is the editor's and not the page's
 * @property {(file: File) => void} [pictureDropped]
 * @property {Partial<Record<Key, string>>} [translation]
 */

const FIRST_FRAME_TOOLS = ["segment", "box", "brush", "erase", "pin", "freehand"]; // what they take is where it was
const CANVAS_MARGIN = 14; // canvas px around the picture when it is fitted

/** @implements {Board} */
export class TrajectoryEditor {
  /** @param {Surroundings} surroundings */
  constructor({ format, host, changed, keyTaken, pictureDropped, translation }) {
    this.format = format;
    this.t = speaker(translation);
    this.server = new Server(host, this.t);
    this.changed = changed;
    this.keyTaken = keyTaken;
    this.pictureDropped = pictureDropped;
    this.reduce = createReducer(format, this.t);
    this.state = initialState(format.empty({ width: 576, height: 320 }, FRAMES));
    /** @type {Options} */
    this.options = { curve: "catmull_rom", scale: "best", click: "new", segmenter: undefined, preview: true };
    /** @type {ShownPicture | null} */
    this.picture = null;
    /** @type {number | null} */
    this.givenFrames = null;
    this.usualFrames = FRAMES; // of a new document, with these weights
    this.told = this.text();
    /** @type {string | null} */
    this.unreadable = null;
    this.isFitted = true;
    this.isOnline = true;
    this.withFrames = frameChanger();
    /** @type {MotionDocument} */
    this.toldOf = this.state.document;
    /** @type {MotionDocument | null} */
    this.warnedOf = null;
    /** @type {import("./weights.js").Weights | null} */
    this.weights = null;
    this.maskFiles = maskFiles((file, size) => this.server.mask(file, size), () => this.review());

    this.stage = stageOf(this);
    this.canvas = this.stage.canvas;
    /** @type {Shapes} */
    this.shapes = shapesOf(this.state.document);
    /** @type {Scene} */
    this.scene = newScene(this.state.document, { width: 1, height: 1 }, themeOf(document.documentElement), this.t);
    this.tools = toolbox(this);
    this.interaction = interact(this.canvas, this, {
      tool: () => this.tools[this.scene.tool],
      pressed: () => this.pressed(),
      hasFocus: () => this.element.contains(document.activeElement),
    });
    this.player = clipPlayer(this);
    this.layout = layOut(this);
    this.element = this.layout.element;
    Object.assign(this.element, { editor: this }); // for tests and the console
    this.stage.observe();
    listenToKeys(this);
    listenToTransfers(this);
  }

  // What the outside tells

  /**
   * Takes a document's text from outside, such as the host's undo or a loaded graph. An unreadable one is kept as it is
   * until the user changes something.
   *
   * @param {string} text
   */
  load(text) {
    if (text === this.told) {
      return;
    }
    this.told = text;
    this.unreadable = null;
    this.interaction.cancel();
    this.tools[this.scene.tool].leave?.();
    try {
      const blank = this.format.empty(this.pictureSize() ?? this.state.document.size, this.usualFrames);
      const loaded = text.trim() === "" ? blank : this.format.parse(text);
      const isFirst = this.state.past.length === 0 && this.isBlank();
      this.state = isFirst
        ? { ...initialState(loaded), clip: this.state.clip }
        : this.reduce(this.state, { type: "import_document", data: loaded });
    } catch (error) {
      this.unreadable = text;
      this.fail(new Error(this.t("badDocument", { reason: messageOf(error) })));
    }
    this.toldOf = this.state.document;
    this.refresh();
  }

  /** The document as text; nothing at all where nothing is drawn, so that the node's own defaults hold. */
  text() {
    return this.isBlank() ? "" : this.format.toText(this.state.document);
  }

  /** What is saved. */
  value() {
    return this.unreadable ?? this.told;
  }

  /**
   * Shows a picture. An empty drawing takes its size; one that is not keeps its own canvas.
   *
   * @param {ShownPicture | null} picture
   */
  setPicture(picture) {
    this.picture = picture;
    const size = this.pictureSize();
    if (size !== null && this.isBlank() && !sameSize(size, this.state.document.size)) {
      this.startAnew(size);
    }
    this.layout.message.clear("needPicture");
    this.refresh();
    this.show({ picture: picture?.image ?? null });
    if (this.isFitted) {
      this.fit();
    }
  }

  /**
   * How many frames the node asks for, whatever the document says; null: the document's own.
   *
   * @param {number | null} frames
   */
  setFrames(frames) {
    if (frames !== this.givenFrames) {
      this.givenFrames = frames;
      this.refresh();
    }
  }

  /**
   * Takes what the weights can follow. An empty drawing takes their number of frames.
   *
   * @param {import("./weights.js").Weights | null} weights that the drawing goes to; null: none are known
   */
  setWeights(weights) {
    const [isBlank, { past, future, document }] = [this.isBlank(), this.state];
    this.weights = weights;
    if (!isBlank || past.length + future.length === 0) {
      this.usualFrames = weights?.frames ?? FRAMES;
    }
    if (isBlank && document.frames !== this.usualFrames) {
      this.startAnew(document.size);
    }
    this.scene = { ...this.scene, weights, defaultAnchor: weights?.anchor ?? "center" };
    this.review();
  }

  /**
   * Whether the host hears from its server.
   *
   * @param {boolean} isOnline
   */
  setOnline(isOnline) {
    if (isOnline === this.isOnline) {
      return;
    }
    this.isOnline = isOnline;
    this.layout.message.show(this.t(isOnline ? "serverBack" : "serverGone"), isOnline ? "hint" : "error", "server");
  }

  /** @returns {Size | null} */
  pictureSize() {
    const image = this.picture?.image;
    return image ? { width: image.naturalWidth, height: image.naturalHeight } : null;
  }

  // What tools and panels ask for

  /**
   * @param {Action} action
   * @returns {boolean}
   */
  dispatch(action) {
    const before = this.state;
    this.state = this.reduce(before, action);
    if (this.state.refusal !== null) {
      this.layout.message.show(this.state.refusal, "hint", "refusal");
      return false;
    }
    if (this.state.document !== before.document || this.state.selection !== before.selection) {
      this.refresh();
    }
    this.schedule();
    this.tell();
    return true;
  }

  /** @param {Partial<Scene>} changes */
  show(changes) {
    if (changes.viewport !== undefined) {
      this.isFitted = false;
    }
    this.scene = { ...this.scene, ...changes };
    this.schedule();
  }

  /** @param {Partial<Options>} changes */
  choose(changes) {
    this.options = { ...this.options, ...changes };
    this.schedule();
  }

  /**
   * @param {Key} key
   * @param {Record<string, string | number>} [values]
   */
  say(key, values) {
    this.layout.message.show(this.t(key, values), "hint", key);
  }

  /** @param {unknown} error */
  fail(error) {
    if (error instanceof ServerError && error.reason === "cancelled") {
      return;
    }
    if (error instanceof ServerError && error.reason === "unreachable") {
      this.setOnline(false);
      return;
    }
    this.layout.message.show(messageOf(error), "error", "error");
  }

  /**
   * @param {Pick<Question, "points" | "box" | "hover">} question
   * @param {AbortSignal} signal
   * @returns {Promise<Answer[]>}
   */
  async segment(question, signal) {
    const image = this.picture?.reference;
    if (!image) {
      throw new ServerError("refused", this.t("needPicture"));
    }
    const { size } = this.state.document;
    const { segmenter } = this.options;
    const answer = await this.server.segment({ ...question, image, size, segmenter }, signal);
    this.setOnline(true);
    return answer.masks;
  }

  /**
   * @param {() => void} call
   * @param {number} delay ms
   * @returns {() => void}
   */
  after(call, delay) {
    const timer = setTimeout(call, delay);
    return () => clearTimeout(timer);
  }

  /** @param {ToolName} tool */
  chooseTool(tool) {
    this.interaction.cancel();
    const before = this.tools[this.scene.tool];
    if (!before.finish?.()) {
      before.leave?.();
    }
    this.show({ tool, hover: null, drafts: [] });
    this.interaction.refresh();
  }

  /** @param {string} command */
  run(command) {
    return runCommand(this, command);
  }

  // The view

  fit() {
    this.show({ viewport: fitted(this.scene.document.size, this.scene.canvas, CANVAS_MARGIN) });
    this.isFitted = true;
  }

  /** The canvas takes the focus, and what is not about lines happens in the first frame. */
  pressed() {
    this.focus();
    if (FIRST_FRAME_TOOLS.includes(this.scene.tool)) {
      this.player.goTo(0);
    } else {
      this.player.pause();
    }
  }

  focus() {
    this.canvas.focus({ preventScroll: true });
  }

  // Within

  isBlank() {
    return isBlank(this.state.document, this.usualFrames);
  }

  /** @param {Size} size of the canvas of a new document */
  startAnew(size) {
    this.state = { ...initialState(this.format.empty(size, this.usualFrames)), clip: this.state.clip };
    this.toldOf = this.state.document;
  }

  /** Brings what is shown up to date with what is known beside the state. */
  review() {
    this.warnedOf = null;
    this.refresh();
  }

  /** Brings what is shown up to date with the state. */
  refresh() {
    const shown = this.withFrames(this.state.document, this.givenFrames ?? this.state.document.frames);
    this.shapes = shapesOf(shown, this.shapes, this.maskFiles);
    const { masks, circles } = this.shapes;
    const isOtherSize = !sameSize(shown.size, this.scene.document.size);
    const frame = Math.min(this.scene.frame, shown.frames - 1);
    this.scene = { ...this.scene, document: shown, selection: this.state.selection, masks, circles, frame };
    if (this.state.gesture === null && this.warnedOf !== shown) {
      this.warnedOf = shown;
      const limits = limitsOn(this.weights, shown.size);
      const warnings = documentWarnings(shown, circles, this.scene.defaultAnchor, limits, this.t);
      this.scene = { ...this.scene, warnings };
    }
    if (isOtherSize) {
      this.fit();
    }
    this.schedule();
  }

  /** Tells the outside of the document once no gesture goes on. */
  tell() {
    if (this.state.gesture !== null || this.state.document === this.toldOf) {
      return;
    }
    this.toldOf = this.state.document;
    const text = this.text();
    if (text !== this.told) {
      this.told = text;
      this.unreadable = null;
      this.changed(text);
    }
  }

  schedule() {
    this.stage.schedule();
  }

  dispose() {
    this.player.pause();
    this.interaction.dispose();
    this.stage.dispose();
  }
}
