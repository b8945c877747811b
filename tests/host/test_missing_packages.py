"""A package that is not installed: ComfyUI starts all the same, and a node says what to install."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from server import PACK, Host, HostMissingError

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("missing_packages")]

ROOT = Path(__file__).parents[2]
EVERY_NODE = set(json.loads((ROOT / "tests/host/object_info.json").read_text()))
ONLY_NODE = "DragAnythingPackagesMissing"
WHEN_A_NODE_RUNS = ("av", "diffusers", "safetensors", "tqdm", "transformers")  # imported only then
OPTIONAL = ("segment_anything", "torchvision")  # torchvision: the host's own, which Segment Anything needs
OF_OTHERS = {"accelerate": "accelerate", "torchvision": "torchvision", "yaml": "pyyaml"}  # what diffusers asks for
NEEDED_BY_ALL = {  # packages, by the names that Python imports
    "cv2": "opencv-python-headless",
    "einops": "einops",
    "jsonschema": "jsonschema",
    "numpy": "numpy",
    "PIL": "pillow",
}


@pytest.fixture(scope="module")
def tried(tmp_path_factory):
    try:
        host = Host.find()
    except HostMissingError as error:
        if "COMFYUI_PATH" in os.environ:
            pytest.fail(str(error))
        pytest.skip(f"NO PACKAGE WAS TAKEN AWAY IN COMFYUI: {error}")
    work = tmp_path_factory.mktemp("missing")
    script = Path(__file__).parent / "missing_packages.py"
    command = [host.python, script, host.folder, PACK, work / "base"]
    run = subprocess.run(
        command, cwd=work, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout.splitlines()[-1])


@pytest.mark.parametrize("module", NEEDED_BY_ALL)
def test_one_node_stands_for_all_and_says_what_to_install(tried, module):
    found = tried[module]
    assert found["loaded"], found["logged"]
    assert found["nodes"] == [ONLY_NODE]
    said = found["said"][ONLY_NODE]
    assert f"needs the package {NEEDED_BY_ALL[module]}" in said
    assert f"pip install -r {PACK / 'requirements.txt'}" in said
    (logged,) = found["logged"]
    assert said.removeprefix("ImportError: ") in logged


@pytest.mark.parametrize("module", WHEN_A_NODE_RUNS)
def test_the_node_that_needs_it_says_what_to_install(tried, module):
    found = tried[module]
    assert set(found["nodes"]) == EVERY_NODE
    said = found["said"]["DragAnythingLoadTiny"]
    assert f"Load Tiny Demo Model: DragAnything needs the package {module}" in said
    assert f"pip install -r {PACK / 'requirements.txt'}" in said


@pytest.mark.parametrize("module", OPTIONAL)
def test_an_optional_package_is_missed_by_its_own_node_alone(tried, module):
    found = tried[module]
    assert set(found["nodes"]) == EVERY_NODE
    assert found["logged"] == []
    assert f"pip install {module.replace('_', '-')}" in found["said"]["DragAnythingLoadSAM"]


@pytest.mark.parametrize("module", OF_OTHERS)
def test_a_package_that_diffusers_lacks_is_named_where_it_is_missed(tried, module):
    found = tried[module]
    assert set(found["nodes"]) == EVERY_NODE
    said = found["said"]["DragAnythingLoadTiny"]
    assert said is None or (
        f"Load Tiny Demo Model: DragAnything needs the package {OF_OTHERS[module]}, " in said
        and f"-m pip install {OF_OTHERS[module]}`" in said
    ), said


def test_no_requirement_is_left_out(tried):
    assert set(tried) == {*NEEDED_BY_ALL, *WHEN_A_NODE_RUNS, *OPTIONAL, *OF_OTHERS}
    listed = [line for line in (PACK / "requirements.txt").read_text().splitlines() if line[:1] != "#"]
    packages = {line.partition(">")[0] for line in listed}
    assert packages == {*NEEDED_BY_ALL.values(), *WHEN_A_NODE_RUNS}
