"""What `make comfyui` does to a host, tried on an empty folder that looks like one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PACK = Path(__file__).parents[2]
START = PACK / "nodes" / "start_comfyui.py"
ANSWERS = {"cpu": "cpu", "gpu": "gpu", "incomplete": "gpu diffusers einops"}


@pytest.fixture
def host(tmp_path):
    folder = tmp_path / "ComfyUI"
    (folder / "comfy").mkdir(parents=True)
    (folder / "main.py").touch()
    (folder / "custom_nodes").mkdir()
    return folder


def start(host, *options, answer="cpu"):
    """Runs the starter; the Python it is given answers its question and writes down what it is asked to start."""
    python = host.parent / "python"
    python.write_text(f'#!/bin/sh\nif [ "$1" = -c ]; then echo {ANSWERS[answer]}; else echo "$PWD: $*"; fi\n')
    python.chmod(0o755)
    environment = {**os.environ, "COMFYUI_PATH": str(host), "COMFYUI_PYTHON": str(python)}
    return subprocess.run([sys.executable, START, *options], env=environment, capture_output=True, text=True)


def test_the_pack_is_linked_and_comfyui_started(host):
    run = start(host, "--port", "8200")
    assert run.returncode == 0, run.stderr
    assert f"{host}: main.py --port 8200 --cpu" in run.stdout
    assert (host / "custom_nodes" / "ComfyUI-DragAnything").resolve() == PACK


def test_a_graphics_card_is_used(host):
    assert f"{host}: main.py\n" in start(host, answer="gpu").stdout


def test_a_pack_that_is_there_stays_as_it_is(host):
    own = host / "custom_nodes" / "mine"
    own.symlink_to(PACK)
    assert start(host).returncode == 0
    assert list((host / "custom_nodes").iterdir()) == [own]


@pytest.mark.parametrize("joined", [True, False])
def test_the_pack_is_linked_where_comfyui_is_told_to_look(host, tmp_path, joined):
    base = tmp_path / "elsewhere"
    assert start(host, *([f"--base-directory={base}"] if joined else ["--base-directory", str(base)])).returncode == 0
    assert (base / "custom_nodes" / "ComfyUI-DragAnything").resolve() == PACK
    assert list((host / "custom_nodes").iterdir()) == []


def test_a_port_without_a_number_is_left_to_comfyui(host):
    assert start(host, "--port").returncode == 0


def test_nothing_is_overwritten(host):
    other = host / "custom_nodes" / "ComfyUI-DragAnything"
    other.mkdir()
    run = start(host)
    assert run.returncode == 1
    assert f"{other} is there already" in run.stderr
    assert not other.is_symlink()
    assert list(other.iterdir()) == []


def test_without_a_host_it_says_how_to_get_one(tmp_path):
    run = start(tmp_path / "nowhere")
    assert run.returncode == 1
    assert "comfy install" in run.stderr
    assert "COMFYUI_PATH" in run.stderr


def test_what_the_hosts_python_lacks_is_named(host):
    run = start(host, answer="incomplete")
    assert run.returncode == 1
    assert "diffusers, einops" in run.stderr
    assert f"-m pip install -r {PACK / 'requirements.txt'}" in run.stderr
    assert list((host / "custom_nodes").iterdir()) == []
