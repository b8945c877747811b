"""The pack inside a real ComfyUI, in a process of its own, so that the host's modules reach no other test.

The host is the folder in COMFYUI_PATH, or comfy-cli's default; its Python the one in COMFYUI_PYTHON, or of a .venv or
venv in that folder, or this one. The tests proper lie in inside/, where this file runs pytest once more.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

INSIDE = Path(__file__).parent / "inside"
PACK = Path(__file__).parents[2]
NEEDED = "import torch, torchaudio, av, sqlalchemy, comfy_kitchen, aiohttp, diffusers, einops, pytest"


def host_folder() -> Path:
    named = os.environ.get("COMFYUI_PATH")
    folder = Path(named) if named else Path.home() / "comfy" / "ComfyUI"
    if (folder / "comfy" / "controlnet.py").is_file():
        return folder
    if named:
        pytest.fail(f"COMFYUI_PATH is {named}, and there is no ComfyUI")
    pytest.skip(f"NOTHING INSIDE COMFYUI WAS TESTED: no ComfyUI at {folder}; set COMFYUI_PATH")


def host_python(folder: Path) -> str:
    own = [folder / name / "bin" / "python" for name in (".venv", "venv")]
    found = [str(python) for python in own if python.is_file()]
    python = os.environ.get("COMFYUI_PYTHON") or (found or [sys.executable])[0]
    tried = subprocess.run([python, "-c", NEEDED], capture_output=True, text=True, check=False)
    if tried.returncode:
        reason = tried.stderr.strip().splitlines()[-1]
        pytest.skip(
            f"NOTHING INSIDE COMFYUI WAS TESTED: {python} lacks what it needs ({reason}); set COMFYUI_PYTHON to the "
            "Python that runs it, with this pack's requirements and pytest"
        )
    return python


@pytest.mark.slow
def test_the_pack_works_inside_comfyui(tmp_path):
    folder = host_folder()
    python = host_python(folder)
    command = [python, "-m", "pytest", str(INSIDE), "-c", str(INSIDE / "pytest.ini"), "-p", "no:cacheprovider", "-ra"]
    environment = {**os.environ, "COMFYUI_PATH": str(folder), "DRAGANYTHING_PACK": str(PACK)}
    environment.pop("PYTEST_XDIST_WORKER", None)
    environment.pop("PYTEST_ADDOPTS", None)
    # Started in an empty folder: `python -m` puts it on the path, and the pack's nodes/ would hide the host's nodes.
    run = subprocess.run(
        [*command, "--basetemp", str(tmp_path / "inside")],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, f"inside ComfyUI:\n{run.stdout[-20000:]}\n{run.stderr[-4000:]}"
    print(run.stdout[-2000:])
