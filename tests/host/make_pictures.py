"""Draws the pictures that ComfyUI shows beside the workflows: ``.venv/bin/python tests/host/make_pictures.py [NAMES]``.

Left what is asked for, right what came of it: the last frame of the video, or, where a workflow needs downloads, of the
lines alone. Minutes on a processor: every workflow without downloads is run in a real ComfyUI.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parent))
from graph_files import upstream
from make_files import ROOT
from server import Host, Server
from workflow_graphs import WITH_DOWNLOADS, WITHOUT_DOWNLOADS
from workflow_parts import HOST_PICTURE

from draganything_core.atomic import replacing
from draganything_core.images import read_picture
from draganything_core.video import read_video

SIDE = 320  # px, height of both halves
WITHOUT = [make.__name__ for make in WITHOUT_DOWNLOADS]
WITH = [make.__name__ for make in WITH_DOWNLOADS]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", default=[*WITHOUT, *WITH], help="of workflows; default: all")
    names = parser.parse_args().names
    host = Host.find()
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "input").mkdir()
        shutil.copy(host.folder / "input" / HOST_PICTURE, Path(folder) / "input")
        with Server(host, Path(folder)) as server:
            for name in names:
                save(ROOT / "workflows" / f"{name}.jpg", *before_and_after(server, name))
                print(f"workflows/{name}.jpg", flush=True)


def before_and_after(server: Server, name: str) -> tuple[Tensor, Tensor]:
    """Two pictures (3,H,W): the first frame with all lines on it, and the last frame."""
    prompt = json.loads((ROOT / "workflows" / "api" / f"{name}.json").read_text())
    numbers = [number for number, node in prompt.items() if node["class_type"] == "DragAnythingTrajectoryEditor"]
    asked = [number for number, node in prompt.items() if node["class_type"] == "DragAnythingCamera"] or numbers
    drawn = {
        "shown": {"class_type": "DragAnythingPreviewMotion", "inputs": {"motion": [asked[-1], 0]}},
        "saved": {"class_type": "SaveImage", "inputs": {"images": ["shown", 0], "filename_prefix": "asked"}},
    }
    drawn["shown"]["inputs"] |= {"background": "filled", "lines": True}
    if name in WITH:
        prompt = upstream(prompt, asked[-1])
        for node in prompt.values():
            if node["class_type"] == "DragAnythingLoadSAM":
                node["inputs"]["name"] = "GrabCut (no weights)"
    outputs = server.run(prompt | drawn)
    pictures = [read_picture(server.file(file)) for file in outputs["saved"]["images"]]
    videos = [file for results in outputs.values() for file in results.get("images", []) if is_video(file)]
    last = read_video(server.file(videos[-1]))[0][-1] if videos else pictures[-1]
    return pictures[0], last


def is_video(file: dict[str, str]) -> bool:
    return file["filename"].endswith(".mp4")


def save(path: Path, *pictures: Tensor) -> None:
    """The pictures side by side, as a JPEG."""
    halves = [as_image(picture) for picture in pictures]
    joined = Image.new("RGB", (sum(half.width for half in halves), SIDE))
    left = 0
    for half in halves:
        joined.paste(half, (left, 0))
        left += half.width
    with replacing(path) as temporary:
        joined.save(temporary, format="JPEG", quality=88)


def as_image(picture: Tensor) -> Image.Image:
    pixels = (picture.clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
    image = Image.fromarray(pixels)
    return image.resize((round(image.width * SIDE / image.height), SIDE), Image.Resampling.BICUBIC)


if __name__ == "__main__":
    main()
