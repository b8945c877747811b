"""Pictures of workflows in the real frontend: ``.venv/bin/python tests/host/look_at_workflows.py FOLDER [NAMES]``.

ComfyUI is started as `make comfyui` starts it, in a folder of its own; what that would open in the user's browser is
opened in a Chromium without a window (CHROMIUM, or one on the path). Saved in FOLDER: opened.png, what the user sees
first; of each workflow NAME_opened.png, NAME_before.png with all nodes in view, and NAME_after.png when it has run.
For eyes: nothing is judged but that nothing fails. Minutes a workflow on a processor; --steps makes them fewer.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

sys.path.insert(0, str(Path(__file__).parent))
from server import PACK, SETTINGS, Host, free_port

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
PATIENCE = 1800.0  # seconds for the host to start, and for each run
VIEW = {"width": 2560, "height": 1440}  # px; the frontend leaves out text that would be too small
SETTLED, SHOWN = 4.0, 15.0  # seconds until nodes are laid out, and until a video is loaded after a run
LOADED = """name => window.app?.extensionManager?.setting && app.graph?._nodes?.length > 0
  && (app.extensionManager.workflow.activeWorkflow?.filename ?? "").includes(name)"""
FIT = "() => app.extensionManager.command.execute('Comfy.Canvas.FitView')"
SET_STEPS = """steps => app.graph._nodes.flatMap(node => node.widgets ?? [])
  .filter(widget => widget.name === "steps").forEach(widget => { widget.value = steps; })"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("folder", type=Path, help="for the pictures")
    parser.add_argument("names", nargs="*", default=["first_drag", "foreground", "preview_motion"], help="of workflows")
    parser.add_argument("--steps", type=int, help="of every sampler; default: the workflow's own")
    parser.add_argument("--nodes-2", action="store_true", help="the frontend's newer way of drawing nodes")
    parser.add_argument("--only-open", action="store_true", help="run nothing")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        process, address = started(Host.find(), Path(folder), options.nodes_2)
        try:
            look(address, options)
        finally:
            os.killpg(process.pid, signal.SIGTERM)  # the starter and the ComfyUI that it started
            process.wait()


def started(host: Host, folder: Path, nodes_2: bool) -> tuple[subprocess.Popen[bytes], str]:
    """The starter's process, and the address that it opens in the browser once ComfyUI answers."""
    base = folder / "comfyui"
    settings = base / "user" / "default" / "comfy.settings.json"
    settings.parent.mkdir(parents=True)
    settings.write_text(json.dumps({**SETTINGS, "Comfy.VueNodes.Enabled": nodes_2}))
    asked = folder / "asked.txt"
    browser = folder / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {asked}.part && mv {asked}.part {asked}\n')
    browser.chmod(0o755)
    command = [
        sys.executable, PACK / "nodes" / "start_comfyui.py", "--port", str(free_port()), "--base-directory", base,
        "--database-url", "sqlite:///:memory:", "--disable-api-nodes",
    ]  # fmt: skip
    environment = {**os.environ, "COMFYUI_PATH": str(host.folder), "COMFYUI_PYTHON": host.python}
    process = subprocess.Popen(command, env={**environment, "BROWSER": str(browser)}, start_new_session=True)
    limit = time.monotonic() + PATIENCE
    while not asked.exists():
        if process.poll() is not None or time.monotonic() > limit:
            os.killpg(process.pid, signal.SIGTERM)
            raise SystemExit("ComfyUI was not started, or nothing was opened")
        time.sleep(0.5)
    return process, asked.read_text().strip()


def look(address: str, options: argparse.Namespace) -> None:
    from playwright.sync_api import sync_playwright

    found = os.environ.get("CHROMIUM") or next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        raise SystemExit("there is no Chromium; install one, or set CHROMIUM to its program")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        page = browser.new_page(viewport=VIEW)
        page.set_default_timeout(PATIENCE * 1000)
        page.on("pageerror", lambda error: print(f"the page's error: {error}"))
        print(f"opened: {address}", flush=True)
        open_workflow(page, address, "first_drag")
        save(page, options.folder / "opened.png")
        for name in options.names:
            open_workflow(page, address.replace("template=first_drag", f"template={name}"), name)
            save(page, options.folder / f"{name}_opened.png")
            page.evaluate(FIT)
            save(page, options.folder / f"{name}_before.png")
            if not options.only_open:
                run(page, address, options.steps)
                save(page, options.folder / f"{name}_after.png", SHOWN)
        browser.close()


def open_workflow(page: Any, address: str, name: str) -> None:
    page.goto(address)
    page.wait_for_function(LOADED, arg=name)


def run(page: Any, address: str, steps: int | None) -> None:
    """Presses Run and waits until the run is over. Raises SystemExit with the message of a node that failed."""
    if steps is not None:
        page.evaluate(SET_STEPS, steps)
    host = address.partition("?")[0].rstrip("/")
    before = set(history(host))
    page.locator("[data-testid=queue-button]").first.click()
    limit = time.monotonic() + PATIENCE
    while not (new := set(history(host)) - before) and time.monotonic() < limit:
        time.sleep(1)
    for number in new:
        status = history(host)[number]["status"]
        if status["status_str"] != "success":
            raise SystemExit(json.dumps(status["messages"][-1], indent=1)[:4000])


def history(host: str) -> dict[str, Any]:
    try:
        return dict(json.loads(urlopen(f"{host}/history", timeout=60).read()))
    except (URLError, TimeoutError):  # busy: asked again
        return {}


def save(page: Any, path: Path, after: float = SETTLED) -> None:
    page.wait_for_timeout(after * 1000)
    page.screenshot(path=path)
    print(path, flush=True)


if __name__ == "__main__":
    main()
