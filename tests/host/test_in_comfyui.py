"""The pack inside a real ComfyUI, in a process of its own, so that the host's modules reach no other test.

The tests proper lie in inside/, where this file runs pytest once more, with the Python that runs the host.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from found_host import host_or_skip
from server import PACK

INSIDE = Path(__file__).parent / "inside"


@pytest.mark.slow
def test_the_pack_works_inside_comfyui(tmp_path):
    host = host_or_skip("NOTHING INSIDE COMFYUI WAS TESTED", "pytest")
    pytest_inside = ["-m", "pytest", str(INSIDE), "-c", str(INSIDE / "pytest.ini"), "-p", "no:cacheprovider", "-ra"]
    environment = {**os.environ, "COMFYUI_PATH": str(host.folder), "DRAGANYTHING_PACK": str(PACK)}
    environment.pop("PYTEST_XDIST_WORKER", None)
    environment.pop("PYTEST_ADDOPTS", None)
    # Started in an empty folder: `python -m` puts it on the path, and the pack's nodes/ would hide the host's nodes.
    run = subprocess.run(
        [host.python, *pytest_inside, "--basetemp", str(tmp_path / "inside")],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, f"inside ComfyUI:\n{run.stdout[-20000:]}\n{run.stderr[-4000:]}"
    print(run.stdout[-2000:])
