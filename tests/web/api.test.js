import assert from "node:assert/strict";
import { test } from "node:test";

import { Server, ServerError } from "../../web/api.js";
import { fromBase64, toBase64 } from "../../web/files.js";

/** A host whose server answers with a status and a text. */
function answering(status, text) {
  const calls = [];
  const fetchApi = async (route, options) => {
    calls.push([route, options]);
    return { ok: status < 400, status, text: async () => text };
  };
  return { calls, fetchApi };
}

const SIZE = { height: 4, width: 6 };
const QUESTION = { image: { filename: "a.png", subfolder: "", type: "input" }, size: SIZE, points: [] };

async function failure(host, call = (server) => server.segment(QUESTION)) {
  try {
    await call(new Server(host));
  } catch (error) {
    assert.ok(error instanceof ServerError, String(error));
    return error;
  }
  return assert.fail("nothing failed");
}

test("a question is asked under the pack's prefix, each with an id of its own", async () => {
  const host = answering(200, '{"masks": []}');
  const server = new Server(host);
  await server.segment(QUESTION);
  await server.segment(QUESTION);
  const [[route, options], [, other]] = host.calls;
  assert.equal(route, "/draganything/segment");
  assert.equal(options.method, "POST");
  assert.notEqual(JSON.parse(options.body).request, JSON.parse(other.body).request);
});

test("what the server refuses is said in its own words", async () => {
  const error = await failure(answering(400, '{"error": "No such picture. Choose another one."}'));
  assert.deepEqual([error.reason, error.message], ["refused", "No such picture. Choose another one."]);
});

test("a server without the route, a broken answer and a dead one each say what to do", async () => {
  assert.match((await failure(answering(404, "404: Not Found"))).message, /Restart ComfyUI/);
  assert.match((await failure(answering(500, "<html>"))).message, /500.*log/);
  assert.match((await failure(answering(200, "<html>"))).message, /200/);
  const dead = { fetchApi: () => Promise.reject(new TypeError("Failed to fetch")) };
  assert.deepEqual((await failure(dead)).reason, "unreachable");
  assert.deepEqual((await failure(answering(502, "Bad gateway"))).reason, "unreachable");
});

test("a withdrawn question is cancelled here and on the server", async () => {
  const routes = [];
  const host = {
    fetchApi: (route, { signal, body }) => {
      routes.push([route, JSON.parse(body).request]);
      return new Promise((_, reject) => signal.addEventListener("abort", () => reject(new Error("aborted"))));
    },
  };
  const withdrawal = new AbortController();
  const asked = failure(host, (server) => server.segment(QUESTION, withdrawal.signal));
  withdrawal.abort();
  assert.equal((await asked).reason, "cancelled");
  assert.deepEqual(routes.map(([route]) => route), ["/draganything/segment", "/draganything/cancel"]);
  assert.equal(routes[0][1], routes[1][1]);
});

test("files of any length go to base64 and back", () => {
  const bytes = Uint8Array.from({ length: 100_001 }, (_, at) => (at * 7) % 256);
  assert.deepEqual(fromBase64(toBase64(bytes)), bytes);
  assert.equal(toBase64(new Uint8Array()), "");
});
