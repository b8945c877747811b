"""What the workflow graphs are put together from: models to download, the sample, and the nodes many of them have."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch
from graph_files import Graph, Link, Node

from draganything_core.document import (
    ControlPoint,
    DocumentEntity,
    Easing,
    MaskSource,
    MotionPath,
    dumps,
)
from draganything_core.masks import encode_rle
from draganything_core.motion_input import read_motion
from draganything_core.segment import resolve_entities
from draganything_core.types import Size

SAMPLE = Path(__file__).parents[2] / "draganything_core" / "tiny" / "sample" / "motion.json"
BALL, BALLOON, BACKGROUND = 1, 2, 3
BALL_CENTER = (0.24, 0.72)  # in shares of the picture's width and height, as everything below
TINY = {"steps": 12, "min_cfg": 1.0, "cfg": 1.0}  # what the tiny model was made for: no guidance, few steps

HOST_PICTURE, HOST_PICTURE_SIZE = "example.png", Size(768, 768)  # in the input folder of every ComfyUI

Line = tuple[tuple[float, float], ...]


class Model(NamedTuple):
    """A file, or folder, of weights that a workflow needs, below the host's models/."""

    folder: str
    name: str
    source: str

    def files(self, models: Path) -> list[Path]:
        """What must lie in the host's models folder for it to be chosen."""
        path = models / self.folder / self.name
        inside = () if path.suffix else ("config.json", "diffusion_pytorch_model.safetensors")
        return [path / name for name in inside] or [path]


SVD = Model("checkpoints", "svd.safetensors", "huggingface.co/stabilityai/stable-video-diffusion-img2vid")
SD15 = Model(
    "checkpoints", "v1-5-pruned-emaonly-fp16.safetensors", "huggingface.co/Comfy-Org/stable-diffusion-v1-5-archive"
)
CONTROLNET = Model("draganything", "DragAnything", "the authors' page")
SAM = Model("sams", "sam_vit_b_01ec64.pth", "github.com/facebookresearch/segment-anything")
WAN_PLACE = "huggingface.co/Comfy-Org/Wan_2.1_ComfyUI_repackaged"
WAN = Model(
    "diffusion_models",
    "Wan21-WanMove_fp8_scaled_e4m3fn_KJ.safetensors",
    "huggingface.co/Kijai/WanVideo_comfy_fp8_scaled",
)
WAN_TEXT = Model("text_encoders", "umt5_xxl_fp8_e4m3fn_scaled.safetensors", WAN_PLACE)
WAN_VAE = Model("vae", "wan_2.1_vae.safetensors", WAN_PLACE)
WAN_CLIP = Model("clip_vision", "clip_vision_h.safetensors", WAN_PLACE)
MODELS = (SVD, SD15, CONTROLNET, SAM, WAN, WAN_TEXT, WAN_VAE, WAN_CLIP)


class Sample:
    """The sample's motion document with its masks inline, and documents drawn on the same picture."""

    def __init__(self) -> None:
        motion = read_motion(SAMPLE)
        found = resolve_entities(motion.document, motion.image, None, motion.folder)
        things = tuple(
            replace(entity, mask=MaskSource(rle=encode_rle(mask)))
            for entity, mask in zip(motion.document.entities, found.masks, strict=True)
        )
        self.document = replace(motion.document, entities=things, image=None)
        self.ball, self.balloon = things
        ground = ~torch.any(found.masks, dim=0)
        self.background = DocumentEntity(BACKGROUND, "background", MaskSource(rle=encode_rle(ground)))

    @property
    def size(self) -> Size:
        return self.document.size

    def drawn(self, entities: tuple[DocumentEntity, ...], *paths: MotionPath) -> str:
        """The text of a document with these entities and lines."""
        return dumps(replace(self.document, entities=entities, paths=paths))

    def points(self, line: Line) -> tuple[ControlPoint, ...]:
        """Points in pixels, to a tenth, of a line in shares of the picture's sides."""
        return tuple(ControlPoint(*on_picture(place, self.size)) for place in line)

    def path(self, entity: int, line: Line, **choices: object) -> MotionPath:
        """A line that starts and stops gently."""
        return MotionPath(entity, self.points(line), easing=Easing("ease_in_out"), **choices)  # type: ignore[arg-type]


def on_picture(place: tuple[float, float], size: Size) -> tuple[float, float]:
    """(x, y) px, to a tenth, of a place in shares of the picture's sides."""
    x, y = place
    return round(x * size.width - 0.5, 1), round(y * size.height - 0.5, 1)


def downloads(*models: Model) -> str:
    """What a note says of files that are needed."""
    lines = [f"- `{model.name}` into `models/{model.folder}` ({model.source})" for model in models]
    return "**This one needs downloads.** Nothing is downloaded by itself; get\n\n" + "\n".join(lines)


def tiny_editor(graph: Graph, document: str) -> Node:
    """The sample picture in the editor, with a document on it."""
    picture = graph.add("DragAnythingSample", 0)
    return graph.add("DragAnythingTrajectoryEditor", 1, image=picture["image"], document=document)


def tiny_video(graph: Graph, motion: Node, name: str, *, shows_conditions: bool = False) -> Node:
    """The rest of a graph with the tiny model: sampled by the node that does it all, and saved."""
    models = graph.add("DragAnythingLoadTiny", 0)
    linked = {key: models[key] for key in ("model", "clip_vision", "vae", "control_net")}
    encoded = {}
    if shows_conditions:
        features = graph.add("DragAnythingEntityEncoder", 2, motion=motion["motion"], **linked)
        maps = graph.add("DragAnythingGaussianMap", 2, motion=motion["motion"], features=features["features"])
        graph.add("PreviewImage", 2, title="What the model is told", images=maps["preview"])
        encoded = {"features": features["features"]}
    sampler = graph.add("DragAnythingSVDSampler", 3, motion=motion["motion"], **linked, **encoded, **TINY)
    save_video(graph, sampler["images"], name)
    return sampler


def tiny_parts(graph: Graph, editor: Node, name: str, sample: Sample) -> None:
    """The same with one node for each step, sampled by the host's own sampler."""
    models = graph.add("DragAnythingLoadTiny", 0)
    picture = editor.inputs["image"]
    features = graph.add(
        "DragAnythingEntityEncoder",
        2,
        motion=editor["motion"],
        **{key: models[key] for key in ("model", "clip_vision", "vae", "control_net")},
    )
    maps = graph.add("DragAnythingGaussianMap", 2, motion=editor["motion"], features=features["features"])
    graph.add("PreviewImage", 2, title="What the model is told", images=maps["preview"])
    conditioning = graph.add(
        "SVD_img2vid_Conditioning",
        3,
        clip_vision=models["clip_vision"],
        init_image=picture,
        vae=models["vae"],
        width=128,
        height=128,
        video_frames=sample.document.frames,
        motion_bucket_id=maps["motion_bucket_id"],
        fps=7,
        augmentation_level=0.02,
    )
    steered = graph.add(
        "DragAnythingApply",
        3,
        positive=conditioning["positive"],
        negative=conditioning["negative"],
        control_net=models["control_net"],
        conditions=maps["conditions"],
    )
    sampler = graph.add(
        "KSampler",
        3,
        model=models["model"],
        positive=steered["positive"],
        negative=steered["negative"],
        latent_image=conditioning["latent"],
        steps=TINY["steps"],
        cfg=TINY["cfg"],
        sampler_name="euler",
        scheduler="karras",
    )
    frames = graph.add("VAEDecode", 4, samples=sampler["LATENT"], vae=models["vae"])
    save_video(graph, frames["IMAGE"], name)


def save_video(graph: Graph, frames: Link, name: str, *, fps: float = 7.0, column: int = 4) -> None:
    video = graph.add("CreateVideo", column, images=frames, fps=fps)
    graph.add("SaveVideo", column, video=video["VIDEO"], filename_prefix=f"draganything/{name}")
