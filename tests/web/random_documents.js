/**
 * For the Python tests. Writes motion documents that random actions made, and where the editor sees their discs, to the
 * file named on the command line, as a JSON list of {text, paths, camera}.
 */

import { writeFileSync } from "node:fs";

import { createReducer } from "../../web/state.js";
import { cameraTracks, documentTracks } from "../../web/tracks.js";
import { Dice } from "./random.js";
import { walk } from "./random_walk.js";
import { newFormat } from "./shared_files.js";

const WALKS = 30;
const STEPS = 100;
const EVERY = 10; // neighbouring documents are much alike
const CIRCLE = { center: [21, 17], radius: 6.5 }; // known to the Python test as well

function described(document, format) {
  const circles = new Map(document.entities.map(({ id }) => [id, CIRCLE]));
  return {
    text: format.toText(document),
    paths: documentTracks(document, circles, "center"),
    camera: document.camera ? cameraTracks(document.camera, document.frames, document.size, CIRCLE.radius) : [],
  };
}

const found = [];
for (let seed = 1; seed <= WALKS; seed += 1) {
  const format = newFormat();
  let step = 0;
  for (const { after } of walk(createReducer(format), new Dice(1000 + seed), STEPS)) {
    step += 1;
    if (step % EVERY === 0) {
      found.push(described(after.document, format));
    }
  }
}
writeFileSync(process.argv[2], JSON.stringify(found));
