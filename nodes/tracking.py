"""Nodes that follow things through a video: to take a motion from it, and to see whether it moves as was asked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import comfy.model_management
import folder_paths
import torch
from comfy_api.v0_0_2 import io
from torch import Tensor

from ..draganything_core.annotation_config import NamedTracker, lucas_kanade
from ..draganything_core.document import MotionDocument, dumps
from ..draganything_core.evaluation.located_paths import found_paths
from ..draganything_core.evaluation.obedience import obedience_overlay, obedience_report
from ..draganything_core.types import Entities, Size
from ..draganything_core.video_motion import MOST_POINTS, video_motion
from .loaders import CATEGORY
from .notices import shown
from .types import (
    DrawnMotion,
    EntitiesType,
    MotionType,
    image_from_frames,
    masks_from_host,
    picture_from_image,
)

TRACK_POINTS, SCORE = "Track Points", "Did It Obey?"
LUCAS_KANADE, COTRACKER = "Lucas-Kanade", "CoTracker"
COTRACKER_FOLDER = "cotracker"
OVERLAY_SIDE = 256  # px; the short side below which the overlay is enlarged, so that lines and names stay fine


class TrackPoints(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="DragAnythingTrackPoints",
            display_name=TRACK_POINTS,
            category=CATEGORY,
            description="Follows the things of a video's first frame through it: their motion, to look at, to edit and "
            "to drive another video with. Needs no weights.",
            search_aliases=["draganything", "tracker", "tracking", "optical flow", "cotracker", "motion transfer"],
            inputs=[
                io.Image.Input("video", tooltip="The video's frames, at least 2; its first is the motion's picture."),
                io.Int.Input(
                    "points",
                    default=1,
                    min=1,
                    max=MOST_POINTS,
                    tooltip="Points of each thing. 1: its centre, moved as most of the thing does. More: its parts, "
                    "each with a line of its own.",
                ),
                io.Combo.Input(
                    "tracker",
                    options=[LUCAS_KANADE, COTRACKER],
                    default=LUCAS_KANADE,
                    tooltip="Lucas-Kanade needs no weights. CoTracker 3 finds hidden things again; it is not part of "
                    "this pack, and its licence (CC-BY-NC 4.0) forbids commercial use.",
                ),
                EntitiesType.Input("entities", optional=True, tooltip="What to follow. Link this, motion or masks."),
                MotionType.Input(
                    "motion", optional=True, tooltip="Follows this motion's entities; its lines do not matter."
                ),
                io.Mask.Input(
                    "masks", optional=True, tooltip="One mask for each thing, of the first frame; above 0.5 is inside."
                ),
                io.String.Input(
                    "cotracker_code",
                    default="co-tracker",
                    optional=True,
                    advanced=True,
                    tooltip="For CoTracker: your clone of github.com/facebookresearch/co-tracker, a folder in "
                    "models/cotracker. The Python code in it is run.",
                ),
                io.String.Input(
                    "cotracker_weights",
                    default="scaled_offline.pth",
                    optional=True,
                    advanced=True,
                    tooltip="For CoTracker: scaled_offline.pth or baseline_offline.pth, a file in models/cotracker.",
                ),
            ],
            outputs=[
                io.Tracks.Output(
                    "tracks",
                    display_name="tracks",
                    tooltip="Where each point is in each frame, in pixels of the video, and whether it is seen.",
                ),
                io.String.Output(
                    "document",
                    display_name="document",
                    tooltip="The same as a motion document, masks included, for the Trajectory Editor.",
                ),
                MotionType.Output("motion", display_name="motion", tooltip="The same with the first frame as picture."),
            ],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def execute(
        cls,
        video: Tensor,
        points: int,
        tracker: str,
        entities: Entities | None = None,
        motion: DrawnMotion | None = None,
        masks: Tensor | None = None,
        cotracker_code: str = "",
        cotracker_weights: str = "",
    ) -> io.NodeOutput:
        if len(video) < 2:
            raise ValueError(f"{TRACK_POINTS}, video: {len(video)} frame. To follow anything, link at least 2 frames.")
        followed = entities_to_follow(entities, motion, masks)
        chosen = lucas_kanade() if tracker == LUCAS_KANADE else own_cotracker(cotracker_code, cotracker_weights)
        frames = frames_from_image(video)
        found = video_motion(frames, followed, points=points, tracker=chosen)
        document = found.document if motion is None else with_colors_of(motion.document, found.document)
        host_device = comfy.model_management.intermediate_device()
        tracks = {name: tensor.to(host_device) for name, tensor in found.tracks.items()}
        lines = [
            f"{len(document.paths)} points of {len(found.entities)} entities in {len(frames)} frames, "
            f"{found.seen:.0%} seen",
            f"by {chosen.name.replace('_', '-')} {chosen.version}",
        ]
        if "licence" in chosen.settings:
            lines.append(f"licence of CoTracker: {chosen.settings['licence']}")
        return io.NodeOutput(
            tracks,
            dumps(document),
            DrawnMotion(frames[0], document, found.entities),
            ui=shown(cls, "\n".join(lines)),
        )


class DidItObey(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="DragAnythingScore",
            display_name=SCORE,
            category=CATEGORY,
            description="Follows the things through a generated video, or searches for them where they cannot be "
            "followed, and compares with where they were dragged. Given in pixels of the video, and as a share of the "
            "error of a video that stands still.",
            search_aliases=["draganything", "score", "evaluate", "track error", "metric", "obedience", "compare"],
            inputs=[
                io.Image.Input("video", tooltip="The generated frames, as many as the motion's; any size."),
                MotionType.Input("motion", tooltip="What was asked for, with the picture that was animated."),
            ],
            outputs=[
                io.Image.Output(
                    "overlay",
                    display_name="overlay",
                    tooltip="A picture a frame: asked lines and discs in the things' colours; dots where each was "
                    "found, with a line to where it should be. White is on its line, red a disc's radius or more "
                    "beside it, grey what was lost. Small videos are shown at twice their size.",
                ),
                io.Float.Output(
                    "mean_px",
                    display_name="mean_px",
                    tooltip="Mean distance between asked and found, pixels of the video; NaN if it cannot be measured.",
                ),
                io.Float.Output(
                    "ratio",
                    display_name="ratio",
                    tooltip="The same as a share of the error of standing still: 0 obeys, 1 is no better than a still "
                    "picture. NaN where it cannot be measured or nothing was to move.",
                ),
                io.String.Output(
                    "report", display_name="report", tooltip="In words, each entity by itself, with the tracker's name."
                ),
            ],
            hidden=[io.Hidden.unique_id],
            is_output_node=True,
        )

    @classmethod
    def execute(cls, video: Tensor, motion: DrawnMotion) -> io.NodeOutput:
        if not motion.document.paths and motion.document.camera is None:
            raise ValueError(f"{SCORE}, motion: nothing was to move. Link the motion that the video was made with.")
        if len(video) != motion.document.frames:
            raise ValueError(
                f"{SCORE}, video: it has {len(video)} frames, the motion {motion.document.frames}. Link the motion "
                "that the video was made with; give the Trajectory Editor the video's number of frames."
            )
        frames = frames_from_image(video)
        entities, tracks = motion.resolved("center")
        names = [entity.name for entity in entities]
        followed = found_paths(frames, motion.picture, entities, tracks)
        size = Size.of(frames)
        scale = 1 if min(size.height, size.width) >= OVERLAY_SIDE else 2
        overlay = obedience_overlay(frames, tracks, followed, names, motion.colors(entities), scale)
        report = obedience_report(tracks, followed, names, size)
        error = followed.error
        figures = (error.mean_px, error.ratio) if error.is_measured else (float("nan"), float("nan"))
        return io.NodeOutput(image_from_frames(overlay), *figures, report, ui=shown(cls, report))


def frames_from_image(image: Tensor) -> Tensor:
    """(T,3,H,W) float32 in 0..1 of an IMAGE."""
    return torch.stack([picture_from_image(image[index : index + 1]) for index in range(len(image))])


def entities_to_follow(entities: Entities | None, motion: DrawnMotion | None, masks: Tensor | None) -> Entities:
    """The entities of the one input that is linked. Raises ValueError where none is, or several, or a mask is empty."""
    given = {
        name: value
        for name, value in (("entities", entities), ("motion", motion), ("masks", masks))
        if value is not None
    }
    if len(given) != 1:
        found = " and ".join(given) or "none of them"
        raise ValueError(
            f"{TRACK_POINTS}: one of entities, motion and masks says what to follow; {found} linked. Link exactly one."
        )
    if masks is not None:
        binary = masks_from_host(masks)
        empty = [index + 1 for index, mask in enumerate(binary) if not bool(mask.any())]
        if empty:
            raise ValueError(
                f"{TRACK_POINTS}, masks: mask {empty[0]} of {len(binary)} is empty, no pixel is above 0.5. Paint the "
                "thing of the first frame white, or leave that mask out."
            )
        return Entities.from_masks(binary)
    chosen = entities if motion is None else motion.entities
    if chosen is None or not len(chosen):
        raise ValueError(f"{TRACK_POINTS}, {next(iter(given))}: there is no entity in it. Draw one, or link masks.")
    return chosen


def with_colors_of(drawn: MotionDocument, document: MotionDocument) -> MotionDocument:
    """The document, with the colours that its entities have in another."""
    colors = {entity.id: entity.color for entity in drawn.entities}
    return replace(
        document, entities=tuple(replace(entity, color=colors.get(entity.id)) for entity in document.entities)
    )


def own_cotracker(code: str, weights: str) -> NamedTracker:
    """CoTracker from the user's copies in models/cotracker, and nowhere else: a graph from the web names these paths,
    and the code in them is run.

    Raises FileNotFoundError or ValueError naming the node's input and the folder.
    """
    from ..draganything_core.cotracker import cotracker

    paths = [inside_cotracker_folder(name, value) for name, value in (("code", code), ("weights", weights))]
    return cotracker(*paths, device=comfy.model_management.get_torch_device())


def inside_cotracker_folder(name: str, value: str) -> Path:
    root = Path(folder_paths.models_dir) / COTRACKER_FOLDER
    kind = "a clone of github.com/facebookresearch/co-tracker" if name == "code" else "scaled_offline.pth"
    path = root / value
    # Not resolved: a link that the user put there may lead anywhere.
    if not value or ".." in Path(value).parts or not path.is_relative_to(root):
        raise ValueError(
            f"{TRACK_POINTS}, cotracker_{name}: {value!r} is not in {root}. Put {kind} there, and name it."
        )
    if not path.exists():
        raise FileNotFoundError(
            f"{TRACK_POINTS}, cotracker_{name}: there is no {path}. Put {kind} there (its licence, CC-BY-NC 4.0, "
            f"forbids commercial use), or choose {LUCAS_KANADE}, which needs none."
        )
    return path
