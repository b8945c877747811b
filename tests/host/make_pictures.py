"""Draws the pictures that ComfyUI shows beside the workflows: ``.venv/bin/python tests/host/make_pictures.py [NAMES]``.

Left what is asked for, right what came of it, the last frame of the video. Where a workflow needs downloads there is no
video to show: right is what the model would be told, and both are marked so. Of ComfyUI's own picture, which is not
this project's, only the outline of the thing that is dragged is shown. Minutes on a processor: every workflow without
downloads is run in a real ComfyUI.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parent))
from make_files import ROOT
from server import Host, Server
from workflow_graphs import WITH_DOWNLOADS, WITHOUT_DOWNLOADS
from workflow_parts import HOST_PICTURE, SAMPLE, Sample

from draganything_core.atomic import replacing
from draganything_core.conditions import Geometry, build_condition_maps
from draganything_core.curves import document_tracks
from draganything_core.document import document_from_json
from draganything_core.images import read_picture, resized_picture
from draganything_core.motion_input import read_motion
from draganything_core.motion_preview import condition_frames
from draganything_core.pictures import cutout_preview, overlay_frames
from draganything_core.segment import GrabCutSegmenter, resolve_entities
from draganything_core.types import Entities, Tracks
from draganything_core.video import read_video

SIDE = 320  # px, height of both halves
POINT = 4.0  # px, radius of what is only a point
CAPTION, INK, PAPER = 26, (235, 235, 240), (38, 38, 44)  # px, colours
WITHOUT = [make.__name__ for make in WITHOUT_DOWNLOADS]
WITH = [make.__name__ for make in WITH_DOWNLOADS]
DRAWN, TOLD = "drawn", "what the model is told - not a result"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", default=[*WITHOUT, *WITH], help="of workflows; default: all")
    names = parser.parse_args().names
    host = Host.find()
    for name in [name for name in names if name in WITH]:
        save(ROOT / "workflows" / f"{name}.jpg", *drawn_and_told(name, host.folder / "input" / HOST_PICTURE), TOLD)
        print(f"workflows/{name}.jpg", flush=True)
    to_run = [name for name in names if name in WITHOUT]
    if to_run:
        with tempfile.TemporaryDirectory() as folder, Server(host, Path(folder)) as server:
            for name in to_run:
                save(ROOT / "workflows" / f"{name}.jpg", *before_and_after(server, name))
                print(f"workflows/{name}.jpg", flush=True)


def before_and_after(server: Server, name: str) -> tuple[Tensor, Tensor]:
    """Two pictures (3,H,W): the first frame with all lines on it, and the last frame."""
    prompt = prompt_of(name)
    numbers = [number for number, node in prompt.items() if node["class_type"] == "DragAnythingTrajectoryEditor"]
    asked = [number for number, node in prompt.items() if node["class_type"] == "DragAnythingCamera"] or numbers
    drawn = {
        "shown": {"class_type": "DragAnythingPreviewMotion", "inputs": {"motion": [asked[-1], 0]}},
        "saved": {"class_type": "SaveImage", "inputs": {"images": ["shown", 0], "filename_prefix": "asked"}},
    }
    drawn["shown"]["inputs"] |= {"background": "filled", "lines": True}
    outputs = server.run(prompt | drawn)
    pictures = [read_picture(server.file(file)) for file in outputs["saved"]["images"]]
    videos = [file for results in outputs.values() for file in results.get("images", []) if is_video(file)]
    last = read_video(server.file(videos[-1]))[0][-1] if videos else pictures[-1]
    return pictures[0], last


def drawn_and_told(name: str, host_picture: Path) -> tuple[Tensor, Tensor]:
    """Two pictures (3,H,W): the thing with its line, and the last frame of what the model is told of it."""
    (text,) = (node["inputs"]["document"] for node in prompt_of(name).values() if "document" in node["inputs"])
    document = document_from_json(text)
    if name == "sam_clicks":
        picture = ground = read_motion(SAMPLE).image
        document = replace(document, entities=(Sample().ball,))
    else:
        picture = resized_picture(read_picture(host_picture), document.size)
        ground = (torch.tensor(PAPER) / 255)[:, None, None].expand_as(picture)
    entities, tracks = document_tracks(document, resolve_entities(document, picture, GrabCutSegmenter(), ROOT))
    names = [entity.name for entity in entities]
    frames = cutout_preview(ground, entities).expand(tracks.frames, -1, -1, -1)
    drawn = overlay_frames(frames, tracks, names)[0]
    if name == "wan_move_through_tracks":  # is told the line alone, and no disc
        points = replace(tracks, radii=torch.full_like(tracks.radii, POINT))
        told = overlay_frames(torch.zeros_like(frames), points, names)[-1]
    else:
        maps = build_condition_maps(entities, tracks, torch.eye(len(entities)), document.size, Geometry("exact"))
        told = condition_frames(ground, maps)[-1]
    rows, columns = (slice(None), slice(None)) if name == "sam_clicks" else around(entities, tracks)
    return drawn[:, rows, columns], told[:, rows, columns]


def around(entities: Entities, tracks: Tracks) -> tuple[slice, slice]:
    """Rows and columns of the square, twice as large as they are, that things and their lines are in the middle of."""
    places = torch.cat([torch.nonzero(entities.masks.any(dim=0)).flip(1).float(), tracks.paths.flatten(0, 1)])
    low, high = places.amin(dim=0), places.amax(dim=0)
    side = min(int(2 * (high - low).max()), tracks.size.height, tracks.size.width)
    limits = torch.tensor([tracks.size.width, tracks.size.height]) - side
    left, top = torch.minimum(((low + high - side) / 2).clamp(min=0), limits).int().tolist()
    return slice(top, top + side), slice(left, left + side)


def prompt_of(name: str) -> dict[str, Any]:
    return dict(json.loads((ROOT / "workflows" / "api" / f"{name}.json").read_text()))


def is_video(file: dict[str, str]) -> bool:
    return file["filename"].endswith(".mp4")


def save(path: Path, left: Tensor, right: Tensor, caption: str | None = None) -> None:
    """The pictures side by side, as a JPEG; a caption says below the right one what it is."""
    halves = [as_image(picture) for picture in (left, right)]
    joined = Image.new("RGB", (sum(half.width for half in halves), SIDE + CAPTION * bool(caption)), PAPER)
    pen = ImageDraw.Draw(joined)
    edge = 0
    for half, text in zip(halves, (DRAWN, caption), strict=True):
        joined.paste(half, (edge, 0))
        if caption:
            pen.text((edge + 8, SIDE + CAPTION / 2), text, fill=INK, font=ImageFont.load_default(14), anchor="lm")
        edge += half.width
    with replacing(path) as temporary:
        joined.save(temporary, format="JPEG", quality=88)


def as_image(picture: Tensor) -> Image.Image:
    pixels = (picture.clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
    image = Image.fromarray(pixels)
    return image.resize((round(image.width * SIDE / image.height), SIDE), Image.Resampling.BICUBIC)


if __name__ == "__main__":
    main()
