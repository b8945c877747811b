"""Nodes that say what moves where: lines of entities, and the camera."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import folder_paths
from comfy_api.v0_0_2 import io, ui
from torch import Tensor

from ..draganything_core.document import (
    CameraMove,
    DocumentEntity,
    Easing,
    MotionDocument,
    Zoom,
    document_from_json,
)
from ..draganything_core.document_validation import DocumentError
from ..draganything_core.images import resized_picture
from ..draganything_core.pictures import cutout_preview, overlay_frames
from ..draganything_core.segment import GrabCutSegmenter, resolve_entities
from ..draganything_core.types import Entities, Size
from .loaders import CATEGORY
from .types import DrawnMotion, EntitiesType, MotionType, image_from_frames, picture_from_image, pixels_from_picture

FRAMES = 14  # of an empty document; SVD's own clip length
FARTHEST = 16384.0  # px
EDITOR_WIDGET = "DRAGANYTHING_EDITOR"  # the widget that web/draganything.js draws; on the wire it stays a STRING
EASINGS = ["linear", "ease_in", "ease_out", "ease_in_out"]


class TrajectoryEditor(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="DragAnythingTrajectoryEditor",
            display_name="Trajectory Editor",
            category=CATEGORY,
            description="Holds the motion document: the things of a picture and the lines they are dragged along. "
            "Things that have clicks but no mask are found by GrabCut.",
            search_aliases=["draganything", "spline", "path", "drag", "motion", "track", "draw"],
            inputs=[
                io.Image.Input("image", tooltip="The picture, the video's first frame."),
                io.String.Input(
                    "document",
                    default="",
                    multiline=True,
                    extra_dict={"widgetType": EDITOR_WIDGET},
                    tooltip="The motion document as JSON. Coordinates are pixels of its own canvas. Empty: nothing is "
                    "drawn yet, on a canvas of the picture's size.",
                ),
                io.Int.Input(
                    "frames",
                    default=0,
                    min=0,
                    max=1024,
                    tooltip=f"Number of frames of the video. 0: the document's own, {FRAMES} where it is empty.",
                ),
                EntitiesType.Input(
                    "entities",
                    optional=True,
                    tooltip="Masks for the document's entities of the same number; others are added.",
                ),
            ],
            outputs=[
                MotionType.Output(
                    "motion", display_name="motion", tooltip="The picture, its entities and their lines."
                ),
                EntitiesType.Output(
                    "entities", display_name="entities", tooltip="The entities with the masks that were found."
                ),
                io.Image.Output("preview", tooltip="Lines, discs and masks on the picture, a picture a frame."),
            ],
        )

    @classmethod
    def validate_inputs(cls, document: str | None) -> bool | str:
        if not document or not document.strip():
            return True
        try:
            document_from_json(document)
        except DocumentError as error:
            return str(error)
        return True

    @classmethod
    def execute(cls, image: Tensor, document: str, frames: int, entities: Entities | None = None) -> io.NodeOutput:
        picture = picture_from_image(image)
        motion = drawn_motion(picture, document, frames, entities)
        return io.NodeOutput(
            motion, motion.entities, image_from_frames(motion_preview(motion)), ui=shown_in_editor(picture)
        )


class CameraMotion(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="DragAnythingCamera",
            display_name="Camera Motion",
            category=CATEGORY,
            description="Moves the whole picture: pan, zoom, or both, instead of the motion's own camera move.",
            search_aliases=["draganything", "camera", "pan", "zoom", "dolly"],
            inputs=[
                MotionType.Input("motion", tooltip="What is drawn so far; an empty Trajectory Editor for nothing."),
                io.Float.Input(
                    "pan_x",
                    default=0.0,
                    min=-FARTHEST,
                    max=FARTHEST,
                    step=1.0,
                    tooltip="How far the picture's content moves to the right until the last frame, in pixels of the "
                    "canvas; negative: to the left.",
                ),
                io.Float.Input(
                    "pan_y",
                    default=0.0,
                    min=-FARTHEST,
                    max=FARTHEST,
                    step=1.0,
                    tooltip="How far it moves down, in pixels of the canvas; negative: up.",
                ),
                io.Float.Input(
                    "zoom",
                    default=1.0,
                    min=0.05,
                    max=20.0,
                    step=0.05,
                    tooltip="Scale in the last frame: 2 is twice as near, 0.5 twice as far, 1 no zoom.",
                ),
                io.Float.Input(
                    "center_x",
                    default=0.5,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip="What the zoom nears: 0 the left edge, 1 the right one.",
                ),
                io.Float.Input(
                    "center_y",
                    default=0.5,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip="What the zoom nears: 0 the upper edge, 1 the lower one.",
                ),
                io.Combo.Input(
                    "easing", options=EASINGS, default="linear", tooltip="How the move starts and ends, over time."
                ),
                io.Float.Input(
                    "start",
                    default=0.0,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip="When the move starts: 0 the first frame, 1 the last.",
                ),
                io.Float.Input(
                    "end",
                    default=1.0,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip="When the move ends: 0 the first frame, 1 the last.",
                ),
                io.Boolean.Input(
                    "carries_entities",
                    default=True,
                    tooltip="Whether the things' discs move and grow with the picture, their own lines on top.",
                ),
            ],
            outputs=[MotionType.Output("motion", display_name="motion", tooltip="The motion with this camera move.")],
        )

    @classmethod
    def execute(
        cls,
        motion: DrawnMotion,
        pan_x: float,
        pan_y: float,
        zoom: float,
        center_x: float,
        center_y: float,
        easing: str,
        start: float,
        end: float,
        carries_entities: bool,
    ) -> io.NodeOutput:
        if start >= end:
            raise ValueError(f"Camera Motion, start and end: the move must start before it ends, got {start} and {end}")
        size = motion.document.size
        center = (center_x * (size.width - 1), center_y * (size.height - 1))
        pan = (pan_x, pan_y) if pan_x or pan_y else None
        zoomed = Zoom(zoom, center, zoom_points(size)) if zoom != 1 else None
        move = CameraMove(pan, zoomed, Easing(easing), start, end, carries_entities)
        camera = move if pan or zoomed else None
        return io.NodeOutput(replace(motion, document=replace(motion.document, camera=camera)))


def drawn_motion(picture: Tensor, text: str, frames: int, linked: Entities | None) -> DrawnMotion:
    """The motion of a document's text on a picture (3,H,W); frames: instead of the document's, 0 for those.

    linked: entities whose masks take the place of those of the same number, and which are added where there are none.
    """
    if text.strip():
        document = document_from_json(text)
        document = replace(document, frames=frames or document.frames)
    else:
        document = MotionDocument(Size.of(picture), frames or FRAMES)
    picture = resized_picture(picture, document.size)
    given = {} if linked is None else {entity.entity_id: entity for entity in linked.resized(document.size)}
    to_find = tuple(entity for entity in document.entities if entity.id not in given)
    found = resolve_entities(
        replace(document, entities=to_find, paths=()), picture, GrabCutSegmenter(), folder_paths.get_input_directory()
    )
    masks: dict[int, Any] = {entity.entity_id: entity for entity in found} | given
    known = {entity.id for entity in document.entities}
    added = tuple(DocumentEntity(number, entity.name) for number, entity in given.items() if number not in known)
    document = replace(document, entities=document.entities + added)
    ordered = [
        replace(masks[entity.id], name=entity.name, radius_px=entity.radius or masks[entity.id].radius_px)
        for entity in document.entities
    ]
    return DrawnMotion(picture, document, Entities(tuple(ordered), document.size))


def shown_in_editor(picture: Tensor) -> dict[str, Any]:
    """The picture as the editor is told of it: a computed one can be drawn on once the graph has run."""
    return {"draganything_picture": ui.PreviewImage(pixels_from_picture(picture)).as_dict()["images"]}


def motion_preview(motion: DrawnMotion) -> Tensor:
    """(T,3,H,W): the picture with every mask, line and disc; a single frame where nothing moves yet."""
    masks = cutout_preview(motion.picture, motion.entities, motion.colors(motion.entities))
    if not motion.document.paths and motion.document.camera is None:
        return masks[None]
    entities, tracks = motion.resolved("center")
    names = [entity.name for entity in entities]
    frames = masks.expand(tracks.frames, -1, -1, -1)
    return overlay_frames(frames, tracks, names, motion.colors(entities))


def zoom_points(size: Size) -> tuple[tuple[float, float], ...]:
    """The four points that a zoom drags: half way between the middle and the corners, as in training."""
    middle_x, middle_y = (size.width - 1) / 2, (size.height - 1) / 2
    return tuple((middle_x * x, middle_y * y) for y in (0.5, 1.5) for x in (0.5, 1.5))
