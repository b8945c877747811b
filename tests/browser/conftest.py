"""A real ComfyUI server with the pack, and a real browser on it. What is missing is said loudly at the end of the run.

The host is found as tests/host does (COMFYUI_PATH, COMFYUI_PYTHON); the browser is CHROMIUM, or one on the path.
"""

from __future__ import annotations

import json
import os
import shutil
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
sys.path.insert(0, str(Path(__file__).parent))
from editor_page import ADD_NODES, Editor, wait_until_ready
from found_host import host_or_skip
from server import PACK, Host, free_port

PICTURE = PACK / "draganything_core" / "tiny" / "sample" / "picture.png"
SIDE = 384  # px; three times the sample's, so that gestures have room
NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
PATIENCE = float(os.environ.get("BROWSER_PATIENCE", "120"))  # seconds; an idle machine needs ten for the slowest step


def pytest_terminal_summary(terminalreporter: Any) -> None:
    skipped = [report for report in terminalreporter.stats.get("skipped", []) if "tests/browser/" in report.nodeid]
    for reason in sorted({str(report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr)
                          for report in skipped}):  # fmt: skip
        terminalreporter.section("The editor in a browser", sep="!", red=True)
        terminalreporter.write_line(reason, red=True)


class RunningHost:
    """A server that this test run starts, with the sample picture, enlarged, as its input. It can go and come back."""

    def __init__(self, host: Host, base: Path) -> None:
        (base / "custom_nodes").mkdir()
        (base / "custom_nodes" / "draganything").symlink_to(PACK)
        (base / "input").mkdir()
        with Image.open(PICTURE) as picture:
            picture.resize((SIDE, SIDE)).save(base / "input" / "picture.png")
        port = free_port()
        self.address = f"http://127.0.0.1:{port}"
        self.base = base
        self.log = base / "server.log"
        # fmt: off
        self.command = [
            host.python, str(host.folder / "main.py"), "--cpu", "--port", str(port), "--listen", "127.0.0.1",
            "--base-directory", str(base), "--disable-all-custom-nodes", "--whitelist-custom-nodes", "draganything",
            "--disable-api-nodes", "--disable-auto-launch", "--database-url", "sqlite:///:memory:",
        ]
        # fmt: on
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("a") as log:
            self.process = subprocess.Popen(self.command, cwd=self.base, stdout=log, stderr=subprocess.STDOUT)
        wait_for(self.address, self.process, self.log)

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


@pytest.fixture(scope="session")
def running_host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHost]:
    started = RunningHost(host_or_skip("THE EDITOR WAS NOT TRIED IN A BROWSER"), tmp_path_factory.mktemp("comfyui"))
    try:
        started.start()
        yield started
    finally:
        started.stop()


@pytest.fixture(scope="session")
def server(request: pytest.FixtureRequest) -> str:
    """The address of the server. DRAGANYTHING_SERVER names one that runs already, with this pack and the picture."""
    if "DRAGANYTHING_SERVER" in os.environ:
        return os.environ["DRAGANYTHING_SERVER"]
    return str(request.getfixturevalue("running_host").address)


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


@pytest.fixture(scope="session", params=["classic", "nodes 2.0"])
def page(request: pytest.FixtureRequest, server: str, browser: Any) -> Iterator[Any]:
    """ComfyUI's page, in one of its two ways of drawing nodes."""
    set_up(server, {"Comfy.TutorialCompleted": True, "Comfy.VueNodes.Enabled": request.param == "nodes 2.0"})
    context = browser.new_context(viewport={"width": 1400, "height": 950}, accept_downloads=True)
    opened = context.new_page()
    opened.set_default_timeout(PATIENCE * 1000)
    errors: list[str] = []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.goto(server)
    wait_until_ready(opened)
    yield opened
    context.close()
    assert not errors


@pytest.fixture
def editor(page: Any) -> Editor:
    """The editor of a new node with the sample picture, alone in the graph."""
    page.evaluate(ADD_NODES)
    shown = Editor(page)
    shown.settle()
    return shown


def wait_for(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        if process.poll() is not None:
            pytest.fail(f"ComfyUI stopped while it started:\n{log.read_text()[-3000:]}")
        try:
            urllib.request.urlopen(f"{address}/system_stats", timeout=5).close()
        except (urllib.error.URLError, TimeoutError, ConnectionError):
            time.sleep(0.5)
        else:
            return
    pytest.fail(f"ComfyUI did not start within {PATIENCE:g} seconds:\n{log.read_text()[-3000:]}")


def set_up(address: str, settings: dict[str, Any]) -> None:
    body = json.dumps(settings).encode()
    request = urllib.request.Request(f"{address}/settings", body, {"Content-Type": "application/json"})
    urllib.request.urlopen(request, timeout=30).close()
