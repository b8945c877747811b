"""Starts ComfyUI with this pack and opens the first-drag workflow: ``python nodes/start_comfyui.py [OPTIONS]``.

ComfyUI is the folder in COMFYUI_PATH, or where comfy-cli puts it; its Python the one in COMFYUI_PYTHON, or of a .venv
or venv in that folder, or this one. The pack is linked into its custom_nodes, unless it is there already; nothing that
is there is changed. Options are ComfyUI's own, such as ``--port 8200``.
"""

from __future__ import annotations

import sys

sys.path.pop(0)  # this folder, whose types.py would be taken for Python's own

import os
import re
import subprocess
import threading
import time
import webbrowser
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

PACK = Path(__file__).resolve().parents[1]
LINK_NAME = "ComfyUI-DragAnything"
WORKFLOW = "first_drag"
PORT = 8188  # ComfyUI's own
PATIENCE = 300.0  # seconds until ComfyUI must answer; the first start is slow
NEEDED = ("av", "cv2", "diffusers", "einops", "jsonschema", "safetensors", "transformers", "tqdm")
ASK = f"""
import importlib.util, torch
missing = [name for name in {NEEDED!r} if importlib.util.find_spec(name) is None]
kinds = [torch.cuda, torch.backends.mps, *([torch.xpu] if hasattr(torch, "xpu") else [])]
print("gpu" if any(kind.is_available() for kind in kinds) else "cpu", *missing)
"""
NO_COMFYUI = """there is no ComfyUI at {places}.

Get one with comfy-cli, which needs a few minutes:

    pip install comfy-cli
    comfy install            (add --cpu on a machine without a graphics card)

then start this again. Have you one elsewhere? Say where: COMFYUI_PATH=/path/to/ComfyUI"""


class StartError(Exception):
    """Why ComfyUI cannot be started, and what to do."""


def main(arguments: list[str]) -> int:
    try:
        host = host_folder()
        python, device = host_python(host)
        pack_name = linked_pack(Path(option("--base-directory", arguments) or host))
    except StartError as error:
        print(f"ComfyUI was not started: {error}", file=sys.stderr)  # noqa: T201
        return 1
    # ComfyUI does not start without a graphics card unless it is told so.
    command = [python, "main.py", *arguments, *(["--cpu"] if device == "cpu" and "--cpu" not in arguments else [])]
    address = f"http://127.0.0.1:{port_of(arguments)}"
    if "--disable-auto-launch" not in arguments:
        threading.Thread(target=open_when_up, args=(address, pack_name), daemon=True).start()
    print(f"{' '.join(command)}    (in {host}; stop it with Ctrl+C)", flush=True)  # noqa: T201
    try:
        return subprocess.call(command, cwd=host)
    except KeyboardInterrupt:
        return 0


def host_folder() -> Path:
    """Where ComfyUI is: what COMFYUI_PATH names, or one of comfy-cli's places."""
    named = os.environ.get("COMFYUI_PATH")
    home = Path.home()
    places = [Path(named)] if named else [home / "comfy" / "ComfyUI", home / "Documents" / "comfy" / "ComfyUI"]
    for place in places:
        if (place / "main.py").is_file() and (place / "comfy").is_dir():
            return place.resolve()
    raise StartError(NO_COMFYUI.format(places=" or ".join(map(str, places))))


def host_python(host: Path) -> tuple[str, str]:
    """The Python that runs ComfyUI, and what it computes on: "gpu" or "cpu".

    Raises StartError where it has no torch, or not what this pack needs.
    """
    inside = [host / name / part for name in (".venv", "venv") for part in ("bin/python", "Scripts/python.exe")]
    found = [str(python) for python in inside if python.is_file()]
    python = os.environ.get("COMFYUI_PYTHON") or (found or [sys.executable])[0]
    answer = subprocess.run([python, "-c", ASK], capture_output=True, text=True, check=False)
    if answer.returncode:
        reason = (answer.stderr.strip().splitlines() or ["it does not run"])[-1]
        raise StartError(
            f"{python} cannot run it ({reason}). Set COMFYUI_PYTHON to the Python that ComfyUI was installed with."
        )
    device, *missing = answer.stdout.split()
    if missing:
        raise StartError(
            f"its Python lacks {', '.join(missing)}. Install what the pack needs:\n\n"
            f"    {python} -m pip install -r {PACK / 'requirements.txt'}"
        )
    return python, device


def linked_pack(base: Path) -> str:
    """The pack's name in a folder's custom_nodes, after linking it there if it was not. Nothing is overwritten.

    base: ComfyUI's folder, or the one that its --base-directory names.
    """
    custom_nodes = base.absolute() / "custom_nodes"
    if custom_nodes.is_dir():
        for place in sorted(custom_nodes.iterdir()):
            if place.resolve() == PACK:
                return place.name
    link = custom_nodes / LINK_NAME
    if link.exists() or link.is_symlink():
        raise StartError(f"{link} is there already and is not this folder ({PACK}). Move it away, then start again.")
    try:
        custom_nodes.mkdir(parents=True, exist_ok=True)
        link.symlink_to(PACK, target_is_directory=True)
    except OSError as error:
        raise StartError(f"{PACK} cannot be linked to {link} ({error}). Move or copy it there yourself.") from None
    print(f"linked {link} -> {PACK}")  # noqa: T201
    return link.name


def port_of(arguments: list[str]) -> int:
    """The port that ComfyUI's own options name."""
    named = option("--port", arguments) or ""
    return int(named) if named.isdecimal() else PORT  # what is no port ComfyUI itself refuses


def option(wanted: str, arguments: list[str]) -> str | None:
    """The value of one of ComfyUI's own options, as ``--port 8200`` or ``--port=8200``."""
    for argument, following in zip(arguments, [*arguments, None][1:], strict=True):
        name, sign, value = argument.partition("=")
        if name == wanted:
            return value if sign else following
    return None


def open_when_up(address: str, pack_name: str) -> None:
    """Opens the workflow in the browser as soon as ComfyUI answers."""
    limit = time.monotonic() + PATIENCE
    while time.monotonic() < limit:
        try:
            urlopen(f"{address}/system_stats", timeout=5).close()
        except (URLError, ConnectionError, TimeoutError):
            time.sleep(0.5)
        else:
            webbrowser.open(workflow_address(address, pack_name))
            return


def workflow_address(address: str, pack_name: str) -> str:
    """The address at which the frontend opens the workflow; the bare one for a folder name that it does not take."""
    return (
        f"{address}/?template={WORKFLOW}&source={pack_name}" if re.fullmatch(r"[A-Za-z0-9_.-]+", pack_name) else address
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
