"""Nodes that find a thing by clicks: Segment Anything from the host's `sams` folder, or GrabCut without weights."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import comfy.model_management
import folder_paths
import torch
from comfy_api.v0_0_2 import io
from torch import Tensor

from ..draganything_core.document import Box, Click, MaskScale, Prompts
from ..draganything_core.interchange.loose_json import parse_text
from ..draganything_core.pictures import cutout_preview
from ..draganything_core.sam_weights import segment_anything_package
from ..draganything_core.segment import SCALES, GrabCutSegmenter, Segmenter
from ..draganything_core.shared_sam import SharedSam
from ..draganything_core.types import Entities
from .loaders import CATEGORY
from .types import image_from_frames, picture_from_image

SegmenterType = io.Custom("DRAGANYTHING_SEGMENTER")  # a Segmenter of the core's

FOLDER = "sams"  # other packs' name for it too
SUFFIXES = (".pth", ".pt", ".safetensors")
GRABCUT = "GrabCut (no weights)"
BEST = "best rated"
# What the largest encoder works with beside its weights, at most: attention of 4096 x 4096 tokens in 16 heads.
ENCODING_MEMORY = 4 * 2**30  # bytes

_loaded: WeakValueDictionary[tuple[Path, int], SharedSam] = WeakValueDictionary()
_loading = threading.Lock()


def register_sam_folder() -> None:
    """Makes models/sams one of the host's model folders, unless another pack has done so."""
    if FOLDER not in folder_paths.folder_names_and_paths:
        folder_paths.folder_names_and_paths[FOLDER] = ([str(Path(folder_paths.models_dir) / FOLDER)], set(SUFFIXES))


def sam_names() -> list[str]:
    """The weights in the `sams` folder, as the host lists them."""
    register_sam_folder()
    return [name for name in folder_paths.get_filename_list(FOLDER) if Path(name).suffix.lower() in SUFFIXES]


def shared_sam(name: str) -> SharedSam:
    """The network of one of those names, loaded once for nodes and editor while any of them holds it.

    Raises FileNotFoundError, ValueError or ImportError saying what is missing and what to do.
    """
    path = folder_paths.get_full_path(FOLDER, name) if name in sam_names() else None
    if path is None:
        raise FileNotFoundError(
            f"there are no weights {name!r:.80} in models/{FOLDER}. Put Segment Anything's there "
            "(sam_vit_b_01ec64.pth, sam_vit_l_0b3195.pth or sam_vit_h_4b8939.pth) and refresh with R, or take GrabCut, "
            "which needs none."
        )
    key = (Path(path), Path(path).stat().st_mtime_ns)
    with _loading:
        found = _loaded.get(key)
        if found is None:
            require_package()
            found = _loaded[key] = SharedSam.from_checkpoint(path)
        return found


def has_package() -> bool:
    """Whether the segment-anything package is installed."""
    try:
        segment_anything_package()
    except ImportError:
        return False
    return True


def require_package() -> None:
    """Raises ImportError saying what to install."""
    try:
        segment_anything_package()
    except ImportError as error:
        # It needs torchvision itself, and does not bring it along.
        lacking = (getattr(error.__cause__, "name", None) or "segment_anything").partition(".")[0].replace("_", "-")
        raise ImportError(
            f"Segment Anything needs a package: run `{sys.executable} -m pip install {lacking}`, restart "
            f"ComfyUI, or choose {GRABCUT}."
        ) from error


def encoding_device(sam: SharedSam, may_evict: bool) -> torch.device:
    """Where to encode a picture: the host's device if the network and its work fit there, else the CPU.

    may_evict: whether other models may be put out of its memory, which only a running prompt may do.
    """
    device = comfy.model_management.get_torch_device()
    needed = sam.bytes + ENCODING_MEMORY
    if device.type == "cpu":
        return device
    if may_evict:
        comfy.model_management.free_memory(needed, device)
    return device if comfy.model_management.get_free_memory(device) > needed else torch.device("cpu")


def segmenter_for_nodes(name: str) -> Segmenter:
    """GrabCut, or a view of a network that a running prompt uses and that its interruption stops."""
    if name == GRABCUT:
        return GrabCutSegmenter()
    sam = shared_sam(name)
    check: Callable[[], None] = comfy.model_management.throw_exception_if_processing_interrupted
    return sam.segmenter(device=lambda: encoding_device(sam, may_evict=True), check=check)


class LoadSam(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="DragAnythingLoadSAM",
            display_name="Load SAM",
            category=CATEGORY,
            description="What finds a thing where you click: Segment Anything's weights from models/sams, or GrabCut, "
            "which needs none and goes by colours only.",
            search_aliases=["draganything", "sam", "segment anything", "grabcut", "segmenter", "mask"],
            inputs=[
                io.Combo.Input(
                    "name",
                    options=[GRABCUT, *sam_names()],
                    default=GRABCUT,
                    tooltip="Weights in models/sams: sam_vit_b, sam_vit_l or sam_vit_h, as .pth or .safetensors. Other "
                    "files are refused with what they are.",
                )
            ],
            outputs=[SegmenterType.Output("segmenter", display_name="segmenter", tooltip="For Segment by Clicks.")],
        )

    @classmethod
    def validate_inputs(cls, name: str | None) -> bool | str:
        if name is None or name == GRABCUT or name in sam_names():
            return True
        return (
            f"there are no weights {name!r} in models/{FOLDER}. Put Segment Anything's there and refresh with R, or "
            f"choose {GRABCUT}."
        )

    @classmethod
    def execute(cls, name: str) -> io.NodeOutput:
        try:
            return io.NodeOutput(segmenter_for_nodes(name))
        except (ImportError, FileNotFoundError, ValueError) as error:
            raise type(error)(f"Load SAM, name: {error}") from error


class SegmentByClicks(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="DragAnythingSegment",
            display_name="Segment by Clicks",
            category=CATEGORY,
            description="The mask of the thing that clicks or a box mean. Without a segmenter GrabCut finds it, by "
            "colours and without weights.",
            search_aliases=["draganything", "sam", "segment anything", "mask", "click", "points", "grabcut"],
            inputs=[
                io.Image.Input("image", tooltip="The picture; of a batch the first."),
                SegmenterType.Input(
                    "segmenter",
                    optional=True,
                    tooltip="From Load SAM. The picture is encoded once, then clicks are fast.",
                ),
                io.String.Input(
                    "positive_coords",
                    default="[]",
                    multiline=True,
                    tooltip='Clicks on the thing, as JSON in pixels of the picture: [{"x": 120, "y": 80}]. What point '
                    "editors give.",
                ),
                io.String.Input(
                    "negative_coords",
                    default="[]",
                    multiline=True,
                    tooltip='Clicks beside the thing, which must not be in the mask: [{"x": 10, "y": 80}], in pixels.',
                ),
                io.BoundingBox.Input(
                    "box",
                    optional=True,
                    force_input=True,
                    tooltip="A box around the thing, in pixels; with it no click is needed.",
                ),
                io.Combo.Input(
                    "scale",
                    options=[BEST, *SCALES],
                    default=BEST,
                    tooltip="Which of the segmenter's three answers: the smallest (part), the middle one (object), the "
                    "largest (whole), or the one it rates best.",
                ),
            ],
            outputs=[
                io.Mask.Output(
                    "mask", display_name="mask", tooltip="The thing, 1 inside: one mask of the picture's size."
                ),
                io.Image.Output("preview", display_name="preview", tooltip="The mask on the picture, with its disc."),
            ],
        )

    @classmethod
    def validate_inputs(cls, positive_coords: str | None, negative_coords: str | None) -> bool | str:
        try:
            for name, text in (("positive_coords", positive_coords), ("negative_coords", negative_coords)):
                clicks_from_json(text or "", 1, name)
        except ValueError as error:
            return str(error)
        return True

    @classmethod
    def execute(
        cls,
        image: Tensor,
        positive_coords: str,
        negative_coords: str,
        scale: str,
        segmenter: Segmenter | None = None,
        box: Any = None,
    ) -> io.NodeOutput:
        picture = picture_from_image(image)
        try:
            prompts = Prompts(
                clicks_from_json(positive_coords, 1, "positive_coords")
                + clicks_from_json(negative_coords, 0, "negative_coords"),
                box_from_host(box),
            )
            mask = found_mask(picture, prompts, segmenter or GrabCutSegmenter(), None if scale == BEST else scale)
        except ValueError as error:
            raise ValueError(f"Segment by Clicks, {error}") from error
        preview = cutout_preview(picture, Entities.from_masks(mask[None], [""]))
        device = comfy.model_management.intermediate_device()
        return io.NodeOutput(mask[None].float().to(device), image_from_frames(preview[None]))


def found_mask(picture: Tensor, prompts: Prompts, segmenter: Segmenter, scale: MaskScale | None) -> Tensor:
    """(H,W) bool, not empty: what prompts mean in a picture (3,H,W). Raises ValueError naming the input at fault."""
    if not prompts.points and prompts.box is None:
        raise ValueError(
            'positive_coords: there is neither a click nor a box. Give a click like [{"x": 120, "y": 80}] in pixels '
            "of the picture, or link a box."
        )
    segmenter.set_image(picture)
    try:
        mask = segmenter.segment(prompts).chosen(scale).cpu()
    except ValueError as error:
        raise ValueError(f"positive_coords, negative_coords and box: {error}") from error
    if not bool(mask.any()):
        raise ValueError(
            f"scale {scale or BEST}: nothing was found at these clicks. Click elsewhere on the thing, or choose "
            "another scale."
        )
    return mask


def clicks_from_json(text: str, label: int, name: str) -> tuple[Click, ...]:
    """Clicks of a JSON list of {"x", "y"}, as point editors give; an empty text is none. ValueError names the input."""
    points = parse_text(text, name) if text.strip() else []
    if not isinstance(points, list):
        raise ValueError(f'{name}: expected a list of points like [{{"x": 120, "y": 80}}], got {points!r:.60}')
    for number, point in enumerate(points, start=1):
        if not isinstance(point, dict) or not all(_is_number(point.get(axis)) for axis in "xy"):
            raise ValueError(f'{name}: point {number} must be like {{"x": 120, "y": 80}} in pixels, got {point!r:.60}')
    return tuple(Click(float(point["x"]), float(point["y"]), label) for point in points)


def box_from_host(given: Any) -> Box | None:
    """The box of a BOUNDING_BOX {"x", "y", "width", "height"}, or of a list (or list of lists) that holds one."""
    box = given
    while isinstance(box, (list, tuple)):
        if len(box) > 1:
            raise ValueError(f"box: there are {len(box)}, expected one. Segment each thing with a node of its own.")
        box = box[0] if box else None
    if box is None:
        return None
    keys = ("x", "y", "width", "height")
    if not isinstance(box, dict) or not all(_is_number(box.get(key)) for key in keys):
        raise ValueError(f"box: expected x, y, width and height in pixels, got {given!r:.80}")
    x, y, width, height = (float(box[key]) for key in keys)
    if not (width > 0 and height > 0):
        raise ValueError(f"box: it must be wider and higher than 0 px, got {width:g} x {height:g}")
    return Box(x, y, width, height)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e9  # NaN is not
