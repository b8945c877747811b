import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { test } from "node:test";

const WEB = new URL("../../web/", import.meta.url);
const MODULES = readdirSync(WEB, { recursive: true }).filter((name) => name.endsWith(".js"));
const REGISTERS = "draganything.js"; // the one that does something by being loaded, and needs the host's page for it

test("importing a module does nothing: the host imports every one of them", async () => {
  assert.ok(MODULES.includes("state.js"));
  const before = new Set(Reflect.ownKeys(globalThis));
  for (const name of MODULES.filter((each) => each !== REGISTERS)) {
    const module = await import(new URL(name, WEB).href);
    assert.ok(!("default" in module), `${name} has a default export`);
    assert.ok(Object.keys(module).length > 0 || /@typedef/.test(readFileSync(new URL(name, WEB), "utf8")), name);
  }
  const added = Reflect.ownKeys(globalThis).filter((key) => !before.has(key));
  assert.deepEqual(added, []);
});

test("modules are short, their lines too", () => {
  for (const name of MODULES) {
    const lines = readFileSync(new URL(name, WEB), "utf8").split("\n");
    assert.ok(lines.length <= 401, `${name} has ${lines.length} lines`);
    lines.forEach((line, index) => assert.ok(line.length <= 120, `${name}:${index + 1} is ${line.length} wide`));
  }
});
