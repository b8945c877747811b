"""The node that shows a motion before any model has run."""

from __future__ import annotations

import uuid
from typing import Any

import torch
from comfy_api.v0_0_2 import io, ui
from torch import Tensor

from ..draganything_core.conditions import Geometry, build_condition_maps
from ..draganything_core.motion_preview import BACKGROUNDS, Background, condition_frames, moving_cutouts
from ..draganything_core.pictures import overlay_frames
from ..draganything_core.types import ConditionMaps, Entities, Tracks
from .loaders import CATEGORY
from .types import ConditionsType, DrawnMotion, MotionConditions, MotionType, image_from_frames

NAME = "Preview Motion"


class PreviewMotion(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="DragAnythingPreviewMotion",
            display_name=NAME,
            category=CATEGORY,
            description="Shows at once, with no model, what a motion asks for: the picture's own cut-outs moved along "
            "their lines, and what the ControlNet would be told in every frame.",
            search_aliases=["draganything", "preview", "animate", "motion", "trajectory", "condition"],
            inputs=[
                MotionType.Input("motion", tooltip="The picture and what moves where."),
                io.Combo.Input(
                    "background",
                    options=list(BACKGROUNDS),
                    default=BACKGROUNDS[0],
                    tooltip="filled: what the things uncover is filled from its surroundings. dimmed: the picture "
                    "stays as it is, in little light, and the things are bright.",
                ),
                io.Boolean.Input(
                    "lines", default=True, tooltip="Draws lines, discs, names and the frame's number on the cut-outs."
                ),
                ConditionsType.Input(
                    "conditions",
                    optional=True,
                    tooltip="From the Gaussian Map Builder: shows these maps, at their size. Without them they are "
                    "drawn as weights trained with this project want them, at the canvas's size.",
                ),
            ],
            outputs=[
                io.Image.Output(
                    "cutouts",
                    display_name="cutouts",
                    tooltip="A picture a frame: the things where their lines take them. Faint where the ControlNet is "
                    "told nothing of a thing.",
                ),
                io.Image.Output(
                    "condition_maps",
                    display_name="condition_maps",
                    tooltip="A picture a frame: each disc in its thing's colour, as bright as the Gaussian.",
                ),
            ],
            hidden=[io.Hidden.prompt, io.Hidden.extra_pnginfo],
            is_output_node=True,
        )

    @classmethod
    def execute(
        cls, motion: DrawnMotion, background: Background, lines: bool, conditions: MotionConditions | None = None
    ) -> io.NodeOutput:
        if not motion.document.paths and motion.document.camera is None:
            raise ValueError(
                f"{NAME}, motion: nothing moves. Draw a line in the Trajectory Editor, or add a Camera Motion."
            )
        entities, tracks = motion.resolved("center" if conditions is None else conditions.choices["anchor"])
        maps = shown_maps(entities, tracks, conditions)
        frames = moving_cutouts(motion.picture, entities, tracks, background)
        colors = motion.colors(entities)
        if lines:
            frames = overlay_frames(frames, tracks, [entity.name for entity in entities], colors)
        cutouts = image_from_frames(frames)
        condition_pictures = image_from_frames(condition_frames(motion.picture, maps, colors))
        return io.NodeOutput(cutouts, condition_pictures, ui=animated(cutouts, motion.document.fps, cls))


def shown_maps(entities: Entities, tracks: Tracks, conditions: MotionConditions | None) -> ConditionMaps:
    """The maps of some conditions, once it is sure that they are of this motion; without them, new ones on its canvas.

    Raises ValueError naming the node's input.
    """
    if conditions is None:
        placeholders = torch.eye(len(entities))
        return build_condition_maps(entities, tracks, placeholders, entities.size, Geometry("exact"))
    found = (conditions.maps.frames, len(conditions.maps.embeddings))
    expected = (tracks.frames, len(entities))
    if found != expected:
        raise ValueError(
            f"{NAME}, conditions: they are of {found[0]} frames and {found[1]} entities, the motion has {expected[0]} "
            f"and {expected[1]} (with the camera, if it moves). Link the motion that they were made of."
        )
    return conditions.maps


def animated(images: Tensor, fps: float, node: type[io.ComfyNode]) -> dict[str, Any]:
    """The ui entry of a clip that plays on the node; it lies in the host's folder for temporary files."""
    saved = ui.ImageSaveHelper.save_animated_webp(
        images,
        filename_prefix=f"draganything_{uuid.uuid4().hex[:8]}",
        folder_type=io.FolderType.temp,
        cls=node,
        fps=fps,
        lossless=False,
        quality=90,
        method=0,
    )
    shown: dict[str, Any] = ui.SavedImages([saved], is_animated=len(images) > 1).as_dict()
    return shown
