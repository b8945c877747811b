"""A real ComfyUI server in a process of its own, on the CPU and in a folder of its own, with the pack linked in.

Only Python's own library: whatever runs the tests can drive it.
"""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

PACK = Path(__file__).parents[2]
NEEDED = "import torch, torchaudio, av, sqlalchemy, comfy_kitchen, aiohttp, diffusers, einops"
START_SECONDS = 900.0  # an idle machine takes ten
RUN_SECONDS = 1800.0
SETTINGS = {"Comfy.TutorialCompleted": True}  # else the frontend opens its templates over the first graph


class HostMissingError(Exception):
    """There is no ComfyUI that could be started; says why."""


class RefusedError(Exception):
    """The host refused a prompt; ``answer`` is what it said."""

    def __init__(self, answer: dict[str, Any]) -> None:
        super().__init__(json.dumps(answer, indent=1))
        self.answer = answer


class RunFailedError(Exception):
    """A node failed while a prompt ran."""


@dataclass(frozen=True)
class Host:
    """Where ComfyUI is, and the Python that runs it."""

    folder: Path
    python: str

    @classmethod
    def find(cls, *also_needed: str) -> Host:
        """The one in COMFYUI_PATH, or comfy-cli's default; its Python the one in COMFYUI_PYTHON, of a .venv or venv in
        that folder, or this one. also_needed: modules that this Python must have besides the pack's and the host's.
        Raises HostMissingError where there is none.
        """
        named = os.environ.get("COMFYUI_PATH")
        folder = Path(named) if named else Path.home() / "comfy" / "ComfyUI"
        if not (folder / "main.py").is_file():
            raise HostMissingError(f"there is no ComfyUI at {folder}; set COMFYUI_PATH")
        own = [folder / name / "bin" / "python" for name in (".venv", "venv")]
        found = [str(python) for python in own if python.is_file()]
        python = os.environ.get("COMFYUI_PYTHON") or (found or [sys.executable])[0]
        tried = subprocess.run(
            [python, "-c", ", ".join([NEEDED, *also_needed])], capture_output=True, text=True, check=False
        )
        if tried.returncode:
            reason = tried.stderr.strip().splitlines()[-1]
            raise HostMissingError(
                f"{python} lacks what it needs ({reason}); set COMFYUI_PYTHON to the Python that runs ComfyUI"
            )
        return cls(folder, python)


class Server:
    """A running ComfyUI; use it in a ``with`` block. ``base`` holds its models, input, output and custom_nodes.

    options: more of the host's own, as on its command line.
    """

    def __init__(
        self,
        host: Host,
        base: Path,
        pack: Path = PACK,
        pack_name: str = "draganything",
        options: Sequence[str] = (),
    ) -> None:
        self.host = host
        self.options = options
        self.base = base
        self.pack = pack
        self.pack_name = pack_name
        custom_nodes = base / "custom_nodes"
        custom_nodes.mkdir(parents=True)
        (custom_nodes / pack_name).symlink_to(pack, target_is_directory=True)
        settings = base / "user" / "default" / "comfy.settings.json"
        settings.parent.mkdir(parents=True)
        settings.write_text(json.dumps(SETTINGS))
        self.log_file = base / "log.txt"
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Server:
        command = [
            self.host.python, "main.py", "--cpu", "--listen", "127.0.0.1", "--port", str(self.port),
            "--base-directory", str(self.base), "--disable-api-nodes",
            "--disable-all-custom-nodes", "--whitelist-custom-nodes", self.pack_name,
            "--disable-auto-launch", "--database-url", "sqlite:///:memory:", *self.options,
        ]  # fmt: skip
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
        with self.log_file.open("w") as log:
            self.process = subprocess.Popen(
                command, cwd=self.host.folder, env=environment, stdout=log, stderr=subprocess.STDOUT
            )
        try:
            self._wait_until_up()
        except BaseException:
            self.process.kill()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    @property
    def log(self) -> str:
        """All that it has printed."""
        return self.log_file.read_text(errors="replace")

    def memory(self) -> int:
        """Bytes that the process holds in memory."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) * 1024

    def get(self, path: str) -> Any:
        """The JSON that a GET of a path, such as ``/object_info``, gives."""
        return json.loads(self.fetch(path))

    def fetch(self, path: str) -> bytes:
        with urlopen(self.address + path, timeout=60) as answer:
            return answer.read()

    def post(self, path: str, data: dict[str, Any]) -> Any:
        """The JSON that a POST gives. Raises RefusedError for an answer of 400."""
        body = json.dumps(data).encode()
        request = Request(self.address + path, body, {"Content-Type": "application/json"})
        try:
            with urlopen(request, timeout=60) as answer:
                text = answer.read()
        except HTTPError as error:
            raise RefusedError(json.loads(error.read())) from None
        return json.loads(text) if text else None

    def accept(self, prompt: dict[str, Any], **options: Any) -> str:
        """Queues a prompt in the API's format and gives its id. Raises RefusedError where the host finds it wrong."""
        return str(self.post("/prompt", {"prompt": prompt, **options})["prompt_id"])

    def finish(self, prompt_id: str, seconds: float = RUN_SECONDS) -> dict[str, Any]:
        """Waits for a prompt and gives what the host remembers of it, failed or not."""
        limit = time.monotonic() + seconds
        while time.monotonic() < limit:
            history = self.get(f"/history/{prompt_id}")
            if history:
                return dict(history[prompt_id])
            if self.process.poll() is not None:
                raise RunFailedError(f"the server ended:\n{self.log[-4000:]}")
            time.sleep(0.3)
        raise RunFailedError(f"the prompt took more than {seconds} s:\n{self.log[-4000:]}")

    def run(self, prompt: dict[str, Any], **options: Any) -> dict[str, Any]:
        """Runs a prompt and gives each output node's results. Raises RunFailedError with the node's own message."""
        history = self.finish(self.accept(prompt, **options))
        failures = [data for kind, data in history["status"]["messages"] if kind == "execution_error"]
        if failures:
            error = failures[0]
            raise RunFailedError(f"{error['node_type']}: {error['exception_message']}\n" + "".join(error["traceback"]))
        return dict(history["outputs"])

    def drop_all(self) -> None:
        """Stops what runs and forgets what waits."""
        self.post("/queue", {"clear": True})
        self.post("/interrupt", {})
        limit = time.monotonic() + RUN_SECONDS
        while self.get("/queue")["queue_running"] and time.monotonic() < limit:
            time.sleep(0.3)

    def file(self, saved: dict[str, str]) -> Path:
        """Where a file lies that an output node says it saved."""
        return self.base / saved["type"] / saved["subfolder"] / saved["filename"]

    def _wait_until_up(self) -> None:
        limit = time.monotonic() + START_SECONDS
        while time.monotonic() < limit:
            if self.process.poll() is not None:
                raise RunFailedError(f"the server did not start:\n{self.log[-4000:]}")
            try:
                self.get("/system_stats")
                return
            except (URLError, ConnectionError):
                time.sleep(0.3)
        raise RunFailedError(f"the server was not up after {START_SECONDS} s:\n{self.log[-4000:]}")


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
