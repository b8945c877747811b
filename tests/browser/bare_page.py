"""The trajectory editor alone on a page, without ComfyUI: for figures and pictures of it, which need no server."""

from __future__ import annotations

import os
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

PACK = Path(__file__).parents[2]
# What ComfyUI names its colours, in its two themes.
THEMES = {
    "dark": {
        "--bg-color": "#202020",
        "--comfy-menu-bg": "#171718",
        "--comfy-input-bg": "#222222",
        "--input-text": "#dddddd",
        "--descrip-text": "#999999",
        "--border-color": "#4e4e4e",
    },
    "light": {
        "--bg-color": "#ffffff",
        "--comfy-menu-bg": "#f5f5f5",
        "--comfy-input-bg": "#c9c9c9",
        "--input-text": "#222222",
        "--descrip-text": "#444444",
        "--border-color": "#888888",
    },
}
HTML = """<!doctype html><meta charset="utf-8"><title>editor</title><link rel="stylesheet" href="/web/editor.css">
<style>body { margin: 12px; background: var(--bg-color, #202020) } #place { width: 1200px; height: 800px }</style>
<div id="place"></div>
<script type="module">
  import { documentFormat } from "/web/document.js";
  import { TrajectoryEditor } from "/web/editor.js";
  const schema = await (await fetch("/draganything_core/document.schema.json")).json();
  const format = documentFormat(schema);
  const host = { fetchApi: () => Promise.reject(new TypeError("there is no server")) };
  window.opened = (text) => {
    const place = document.getElementById("place");
    window.editor?.dispose();
    place.replaceChildren();
    const began = performance.now();
    const editor = new TrajectoryEditor({ format, host, changed: () => {} });
    editor.load(text);
    place.append(editor.element);
    window.editor = editor;
    return new Promise((resolve) => {
      // The second frame begins when the first one, with the drawing, is done.
      requestAnimationFrame(() => requestAnimationFrame(() => resolve(performance.now() - began)));
    });
  };
  window.pictured = async (address) => {
    const image = new Image();
    image.src = address;
    await image.decode();
    window.editor.setPicture({ image, reference: null });
  };
</script>"""


class Files(SimpleHTTPRequestHandler):
    """The pack's files, and the one page."""

    def do_GET(self) -> None:
        if self.path != "/":
            super().do_GET()
            return
        body = HTML.encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        pass


@contextmanager
def bare_page() -> Iterator[Any]:
    """A page with ``opened(text)``, which shows an editor with a document, and ``pictured(address)``."""
    from playwright.sync_api import sync_playwright

    program = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        sys.exit("install chromium, or set CHROMIUM to its program")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Files, directory=str(PACK)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 880})
        page.set_default_timeout(600_000)
        page.goto(f"http://127.0.0.1:{server.server_port}/")
        page.wait_for_function("Boolean(window.opened)")
        yield page
        browser.close()
    server.shutdown()


def on_page(page: Any, x: float, y: float) -> tuple[float, float]:
    """Where a place of the document is on the page, CSS pixels."""
    found = page.evaluate(
        """([x, y]) => {
          const { left, top } = editor.canvas.getBoundingClientRect();
          const { viewport } = editor.scene;
          return [left + viewport.left + (x + 0.5) * viewport.scale, top + viewport.top + (y + 0.5) * viewport.scale];
        }""",
        [x, y],
    )
    return found[0], found[1]
