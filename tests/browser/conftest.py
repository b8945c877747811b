"""A real ComfyUI server with the pack, and a real browser on it. What is missing is said loudly at the end of the run.

The host is found as tests/host does (COMFYUI_PATH, COMFYUI_PYTHON); the browser is CHROMIUM, or one on the path.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1] / "host"))
from found_host import host_or_skip
from server import PACK

PICTURE = PACK / "draganything_core" / "tiny" / "sample" / "picture.png"
SIDE = 384  # px; three times the sample's, so that gestures have room
NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
STARTS_WITHIN = 180  # seconds; an idle machine takes ten
READY = """() => Boolean(window.app?.extensionManager?.setting && window.LiteGraph
  && LiteGraph.registered_node_types.DragAnythingTrajectoryEditor)"""


def pytest_terminal_summary(terminalreporter: Any) -> None:
    skipped = [report for report in terminalreporter.stats.get("skipped", []) if "tests/browser/" in report.nodeid]
    for reason in sorted({str(report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr)
                          for report in skipped}):  # fmt: skip
        terminalreporter.section("The editor in a browser", sep="!", red=True)
        terminalreporter.write_line(reason, red=True)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server that this test run starts, with the sample picture, enlarged, as its input.

    DRAGANYTHING_SERVER names one that runs already instead: with this pack, and the picture in its input folder.
    """
    if "DRAGANYTHING_SERVER" in os.environ:
        yield os.environ["DRAGANYTHING_SERVER"]
        return
    host = host_or_skip("THE EDITOR WAS NOT TRIED IN A BROWSER")
    base = tmp_path_factory.mktemp("comfyui")
    (base / "custom_nodes").mkdir()
    (base / "custom_nodes" / "draganything").symlink_to(PACK)
    (base / "input").mkdir()
    with Image.open(PICTURE) as picture:
        picture.resize((SIDE, SIDE)).save(base / "input" / "picture.png")
    port = free_port()
    # fmt: off
    command = [
        host.python, str(host.folder / "main.py"), "--cpu", "--port", str(port), "--listen", "127.0.0.1",
        "--base-directory", str(base), "--disable-all-custom-nodes", "--whitelist-custom-nodes", "draganything",
        "--disable-api-nodes", "--disable-auto-launch", "--database-url", "sqlite:///:memory:",
    ]
    # fmt: on
    log = (base / "server.log").open("w")
    with subprocess.Popen(command, cwd=base, stdout=log, stderr=subprocess.STDOUT) as process:
        try:
            address = f"http://127.0.0.1:{port}"
            wait_for(address, process, base / "server.log")
            yield address
        finally:
            process.terminate()


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="THE EDITOR WAS NOT TRIED: playwright is missing")
    named = os.environ.get("CHROMIUM")
    found = named or next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("THE EDITOR WAS NOT TRIED IN A BROWSER: install chromium, or set CHROMIUM to its program")
    with sync_api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture(scope="module", params=["classic", "nodes 2.0"])
def page(request: pytest.FixtureRequest, server: str, browser: Any) -> Iterator[Any]:
    """ComfyUI with an empty graph, in one of its two ways of drawing nodes."""
    set_up(server, {"Comfy.TutorialCompleted": True, "Comfy.VueNodes.Enabled": request.param == "nodes 2.0"})
    context = browser.new_context(viewport={"width": 1400, "height": 950})
    opened = context.new_page()
    opened.set_default_timeout(120_000)
    errors: list[str] = []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.goto(server)
    opened.wait_for_function(READY)
    opened.wait_for_timeout(2500)  # the host goes on setting up for a moment, and clears the graph
    yield opened
    context.close()
    assert not errors


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def wait_for(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + STARTS_WITHIN
    while time.monotonic() < until:
        if process.poll() is not None:
            pytest.fail(f"ComfyUI stopped while it started:\n{log.read_text()[-3000:]}")
        try:
            urllib.request.urlopen(f"{address}/system_stats", timeout=5).close()
        except (urllib.error.URLError, TimeoutError, ConnectionError):
            time.sleep(0.5)
        else:
            return
    pytest.fail(f"ComfyUI did not start within {STARTS_WITHIN} seconds:\n{log.read_text()[-3000:]}")


def set_up(address: str, settings: dict[str, Any]) -> None:
    body = json.dumps(settings).encode()
    request = urllib.request.Request(f"{address}/settings", body, {"Content-Type": "application/json"})
    urllib.request.urlopen(request, timeout=30).close()
