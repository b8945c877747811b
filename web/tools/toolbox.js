/** All tools of one editor, by their names. */

import { brushTool } from "./brush.js";
import { cameraTool } from "./camera.js";
import { freehandTool } from "./freehand.js";
import { lineTool } from "./line.js";
import { panTool } from "./pan.js";
import { pinTool } from "./pin.js";
import { segmentTool } from "./segment.js";
import { selectTool } from "./select.js";

/** @typedef {import("../board.js").Board} Board */
/** @typedef {import("../board.js").Tool} Tool */
/** @typedef {import("../board.js").ToolName} ToolName */
/** @typedef {Record<ToolName, Tool> & {segment: import("./segment.js").SegmentTool}} Toolbox */

/** The order in which the toolbar shows them. */
export const TOOLS = /** @type {const} */ ([
  "select",
  "segment",
  "freehand",
  "line",
  "pin",
  "brush",
  "erase",
  "camera",
  "pan",
]);

/**
 * @param {Board} board
 * @returns {Toolbox}
 */
export function toolbox(board) {
  const segment = segmentTool(board);
  return {
    select: selectTool(board),
    segment,
    box: segment, // the segmenter's tool makes a box of every drag
    freehand: freehandTool(board),
    line: lineTool(board),
    pin: pinTool(board),
    brush: brushTool(board, false),
    erase: brushTool(board, true),
    camera: cameraTool(board),
    pan: panTool(board),
  };
}
