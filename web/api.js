/**
 * The pack's routes on the server. Every call ends: with its answer, or with a ServerError that says what happened in
 * words for the user. Nothing here touches the document, so a server that is gone costs nobody a line.
 */

import { speaker } from "./strings.js";

/** @typedef {import("./document.js").Box} Box */
/** @typedef {import("./document.js").Click} Click */
/** @typedef {import("./document.js").Size} Size */
/** @typedef {import("./document_shape.js").Schema} Schema */

/** @typedef {{filename: string, subfolder: string, type: string}} ImageReference as the host's /view takes it */
/** @typedef {"part" | "object" | "whole"} Scale */
/** @typedef {{scale: Scale, rle: string, score: number}} Answer one of the segmenter's masks, on the asked canvas */
/** @typedef {{name: string, label: string}} SegmenterChoice */
/** @typedef {{name: string, label: string, extension: string, reads: boolean, writes: boolean}} FileFormat */

/**
 * What the segmenter is asked. `hover`: only for a preview, which the server may answer more cheaply.
 *
 * @typedef {object} Question
 * @property {ImageReference} image
 * @property {Size} size the canvas that the coordinates are in
 * @property {readonly Click[]} points
 * @property {Box} [box]
 * @property {string} [segmenter]
 * @property {boolean} [hover]
 */

/** @typedef {{name: string, content: string, size: Size, frames: number, image?: ImageReference}} Import */
/** @typedef {{document: unknown, format: string, warnings: string[]}} Imported content in base64 */
/** @typedef {{name: string, content: string, media_type: string, warnings: string[]}} Exported content in base64 */

/** @typedef {{fetchApi: (route: string, options?: any) => Promise<any>}} Host the host's api object, or one like it */
/** @typedef {"unreachable" | "late" | "refused" | "cancelled"} Reason */
/** @typedef {import("./strings.js").Say} Say */

const PREFIX = "/draganything";
const QUICK = 15_000; // ms
const SLOW = 120_000; // ms; the first click on a picture loads the segmenter and encodes the picture

/** A call that brought no answer. `reason` says of which kind, the message says what to do. */
export class ServerError extends Error {
  /**
   * @param {Reason} reason
   * @param {string} message
   */
  constructor(reason, message) {
    super(message);
    this.name = "ServerError";
    this.reason = reason;
  }
}

/**
 * What an error says.
 *
 * @param {unknown} error
 * @returns {string}
 */
export function messageOf(error) {
  return error instanceof Error ? error.message : String(error);
}

export class Server {
  /**
   * @param {Host} host
   * @param {Say} [say] in whose words errors are; English where none is given
   */
  constructor(host, say = speaker()) {
    this.host = host;
    this.say = say;
    this.asked = 0;
    this.session = Math.random().toString(36).slice(2, 10); // so that two editors never share a request's id
  }

  /** @returns {Promise<Schema>} */
  schema() {
    return this.call("/schema", { within: QUICK });
  }

  /** @returns {Promise<{segmenters: SegmenterChoice[], default: string}>} */
  segmenters() {
    return this.call("/segmenters", { within: QUICK });
  }

  /**
   * What the weights can follow that a loader names.
   *
   * @param {{name: string, preset?: string}} choice
   * @returns {Promise<import("./weights.js").Weights>}
   */
  weights(choice) {
    return this.call(`/weights?${new URLSearchParams(choice)}`, { within: QUICK });
  }

  /**
   * @param {string} file of the host's input folder
   * @param {Size} size the canvas that it is scaled to
   * @returns {Promise<{rle: string, size: Size}>}
   */
  mask(file, size) {
    return this.call("/mask", { body: { file, size }, within: QUICK });
  }

  /** @returns {Promise<ImageReference>} the picture that the pack brings along */
  sample() {
    return this.call("/sample", { within: QUICK });
  }

  /** @returns {Promise<{formats: FileFormat[]}>} */
  formats() {
    return this.call("/formats", { within: QUICK });
  }

  /**
   * The masks for clicks or a box: up to three. An aborted question is cancelled on the server as well.
   *
   * @param {Question} question
   * @param {AbortSignal} [signal]
   * @returns {Promise<{masks: Answer[], size: Size, segmenter: string}>}
   */
  async segment(question, signal) {
    this.asked += 1;
    const request = `${this.session}-${this.asked}`;
    const cancel = () => {
      this.call("/cancel", { body: { request }, within: QUICK }).catch(() => {}); // it may be over, or the server gone
    };
    signal?.addEventListener("abort", cancel, { once: true });
    try {
      return await this.call("/segment", { body: { ...question, request }, within: SLOW, signal });
    } finally {
      signal?.removeEventListener("abort", cancel);
    }
  }

  /**
   * @param {Import} file
   * @returns {Promise<Imported>}
   */
  importFile(file) {
    return this.call("/import", { body: file, within: SLOW });
  }

  /**
   * @param {unknown} document
   * @param {string} format
   * @param {ImageReference | null} [image] the picture, for formats that take it with them
   * @returns {Promise<Exported>}
   */
  exportFile(document, format, image) {
    return this.call("/export", { body: { document, format, ...(image ? { image } : {}) }, within: SLOW });
  }

  /**
   * @param {string} route
   * @param {{body?: unknown, within: number, signal?: AbortSignal}} how
   * @returns {Promise<any>}
   */
  async call(route, { body, within, signal }) {
    if (signal?.aborted) {
      throw new ServerError("cancelled", this.say("withdrawn"));
    }
    const clock = new AbortController();
    const timer = setTimeout(() => clock.abort(), within);
    const stop = () => clock.abort();
    signal?.addEventListener("abort", stop, { once: true });
    const options = body === undefined ? {} : { method: "POST", body: JSON.stringify(body) };
    const headers = { "Content-Type": "application/json" };
    try {
      const response = await this.host.fetchApi(PREFIX + route, { ...options, headers, signal: clock.signal });
      return await answerOf(response, route, this.say);
    } catch (error) {
      if (error instanceof ServerError) {
        throw error;
      }
      throw lost(this.say, within, signal?.aborted === true, clock.signal.aborted);
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", stop);
    }
  }
}

/** @type {(say: Say, within: number, isCancelled: boolean, isAborted: boolean) => ServerError} */
function lost(say, within, isCancelled, isAborted) {
  if (isCancelled) {
    return new ServerError("cancelled", say("withdrawn"));
  }
  if (isAborted) {
    return new ServerError("late", say("serverLate", { seconds: within / 1000 }));
  }
  return unreachable(say);
}

/** @type {(say: Say) => ServerError} */
function unreachable(say) {
  return new ServerError("unreachable", say("serverLost"));
}

/** @type {(response: any, route: string, say: Say) => Promise<any>} */
async function answerOf(response, route, say) {
  const text = await response.text();
  /** @type {any} */
  let answer = null;
  try {
    answer = JSON.parse(text);
  } catch {
    answer = null; // a proxy's page, or the host's own error page: the status says more than its text
  }
  if (response.ok && answer !== null) {
    return answer;
  }
  if (typeof answer?.error === "string") {
    throw new ServerError("refused", answer.error);
  }
  if (response.status === 404 || response.status === 405) {
    throw new ServerError("refused", say("serverOld", { route: PREFIX + route }));
  }
  if ([502, 503, 504].includes(response.status)) {
    throw unreachable(say);
  }
  throw new ServerError("refused", say("serverRefused", { status: response.status, route: PREFIX + route }));
}
