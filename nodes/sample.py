"""The node that gives something to begin with: the picture that ships with the pack, its masks and its motion."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import folder_paths
from comfy_api.v0_0_2 import io

from ..draganything_core.atomic import replacing
from ..draganything_core.document import MaskSource, MotionDocument, dumps
from ..draganything_core.masks import encode_rle
from ..draganything_core.motion_input import read_motion
from ..draganything_core.segment import resolve_entities
from ..draganything_core.types import Entities
from .loaders import CATEGORY
from .types import image_from_frames

SAMPLE = Path(__file__).parents[1] / "draganything_core" / "tiny" / "sample" / "motion.json"
SHOWN_NAME = "draganything_sample.png"


def sample_reference() -> dict[str, str]:
    """The sample picture in the host's temp folder, as /view takes it: the editor shows it before any run."""
    picture = SAMPLE.parent / "picture.png"
    folder = Path(folder_paths.get_temp_directory())
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(folder / SHOWN_NAME) as temporary:
        shutil.copyfile(picture, temporary)
    return {"filename": SHOWN_NAME, "subfolder": "", "type": "temp"}


class SamplePicture(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="DragAnythingSample",
            display_name="Sample Picture",
            category=CATEGORY,
            description="The picture that ships with DragAnything, to try things out with: a beach ball on a meadow "
            "and a balloon over hills, a mask for each of the two, and a motion in which the ball bounces to the right "
            "and the balloon drifts to the left. In your own work Load Image stands in its place.",
            search_aliases=["draganything", "example", "demo", "test", "image"],
            inputs=[],
            outputs=[
                io.Image.Output(
                    "image", display_name="image", tooltip="The picture, of the size that the Tiny Demo Model works at."
                ),
                io.Mask.Output("masks", display_name="masks", tooltip="Two masks: the ball's and the balloon's."),
                io.String.Output(
                    "document",
                    display_name="document",
                    tooltip="The motion document as JSON, for the Trajectory Editor.",
                ),
            ],
        )

    @classmethod
    def execute(cls) -> io.NodeOutput:
        motion = read_motion(SAMPLE)
        entities = resolve_entities(motion.document, motion.image, None, motion.folder)
        document = with_inline_masks(motion.document, entities)
        return io.NodeOutput(image_from_frames(motion.image[None]), entities.masks.float(), dumps(document))


def with_inline_masks(document: MotionDocument, entities: Entities) -> MotionDocument:
    """The document with each entity's mask within it, so that it needs no files beside it."""
    inline = tuple(
        replace(entity, mask=MaskSource(rle=encode_rle(found.mask)))
        for entity, found in zip(document.entities, entities, strict=True)
    )
    return replace(document, entities=inline, image=None)
