/** Reads masks (a JSON list of {rle, height, width}) from standard input, writes the list of their circles. */

import { readFileSync } from "node:fs";

import { inscribedCircle } from "../../web/circles.js";
import { decodeRle } from "../../web/masks.js";

const masks = JSON.parse(readFileSync(0, "utf8"));
process.stdout.write(JSON.stringify(masks.map(({ rle, ...size }) => inscribedCircle(decodeRle(rle, size)))));
