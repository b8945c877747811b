"""Nodes that bring motions in from other tools and take them out again."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import comfy.model_management
import folder_paths
from comfy_api.v0_0_2 import io
from comfy_execution.graph_utils import ExecutionBlocker
from torch import Tensor

from ..draganything_core.document import dumps
from ..draganything_core.interchange import write_demo_folder, write_points_store
from ..draganything_core.motion_export import lines_for_video
from ..draganything_core.motion_import import (
    UNEQUAL_LINES,
    ImportedMotion,
    UnequalLines,
    given_owners,
    motion_from_bytes,
    motion_from_path,
    motion_from_tracks,
    with_masks_inside,
    with_masks_of,
    with_unequal_lines,
)
from ..draganything_core.types import Entities, Size
from .loaders import CATEGORY
from .notices import losses_noted, shown
from .trajectories import drawn_motion
from .types import DrawnMotion, EntitiesType, MotionType, picture_from_image

IMPORT, EXPORT = "Import Tracks", "Export Tracks"
COORDINATES = ["coord_str", "points_store"]
MOST_FRAMES, LARGEST_SIDE = 10_000, 16384
DEMO_FOLDER = "draganything/demo"


class ImportTracks(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="DragAnythingImportTracks",
            display_name=IMPORT,
            category=CATEGORY,
            description="Motion from elsewhere, as a motion document: the host's TRACKS, KJNodes' coordinates and "
            "splines, the authors' demo folders. What a format holds and this one does not is said under the node.",
            search_aliases=["draganything", "tracks", "coordinates", "spline", "demo.json", "wanmove", "ati", "load"],
            inputs=[
                io.String.Input(
                    "text",
                    default="",
                    multiline=True,
                    tooltip="Coordinates (coord_str or points_store of KJNodes' Spline Editor), demo.json's text, or a "
                    "motion document. Give this, file or tracks.",
                ),
                io.String.Input(
                    "file",
                    default="",
                    tooltip="A file in ComfyUI's input folder with any of these, TRACKS as .npz or .npy, a demo folder "
                    "or one as .zip: its name there, such as bird/demo.json.",
                ),
                io.Int.Input(
                    "frames",
                    default=0,
                    min=0,
                    max=MOST_FRAMES,
                    tooltip="Number of frames of the video. 0: as many as what is read has.",
                ),
                io.Int.Input(
                    "width",
                    default=0,
                    min=0,
                    max=LARGEST_SIDE,
                    tooltip="Width in pixels of the canvas that the coordinates are of. 0: the picture's.",
                ),
                io.Int.Input(
                    "height",
                    default=0,
                    min=0,
                    max=LARGEST_SIDE,
                    tooltip="Height in pixels of the canvas that the coordinates are of. 0: the picture's.",
                ),
                io.Combo.Input(
                    "unequal_lines",
                    options=list(UNEQUAL_LINES),
                    default=UNEQUAL_LINES[0],
                    tooltip="Where lines have different numbers of points. refuse: an error. stretch: each lasts as "
                    "long as the clip. hold: short ones rest at their end. cut: short ones vanish.",
                ),
                io.Tracks.Input("tracks", optional=True, tooltip="The host's TRACKS, in pixels of the canvas."),
                io.Image.Input(
                    "image",
                    optional=True,
                    tooltip="The video's first frame, for the motion output; by default the picture of the file.",
                ),
                EntitiesType.Input(
                    "entities",
                    optional=True,
                    tooltip="What bare lines move: line by line where there are as many, else each the one it starts "
                    "on. Without it the thing under a line's start is found by GrabCut.",
                ),
            ],
            outputs=[
                io.String.Output(
                    "document", display_name="document", tooltip="The motion document, for the Trajectory Editor."
                ),
                MotionType.Output(
                    "motion", display_name="motion", tooltip="The same on its picture; needs one, linked or the file's."
                ),
            ],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def validate_inputs(cls, file: str | None) -> bool | str:
        try:
            if file and file.strip():
                input_path(file)
        except (ValueError, OSError) as error:
            return str(error)
        return True

    @classmethod
    def fingerprint_inputs(cls, file: str | None = None, **_others: Any) -> list[tuple[str, int]]:
        # A file may change while its name stays; a linked name is not known yet.
        if not file or not file.strip():
            return []
        path = input_path(file)
        files = path.iterdir() if path.is_dir() else path.parent.iterdir() if path.suffix == ".json" else [path]
        return sorted((each.name, each.stat().st_mtime_ns) for each in files if each.is_file())

    @classmethod
    def execute(
        cls,
        text: str,
        file: str,
        frames: int,
        width: int,
        height: int,
        unequal_lines: UnequalLines,
        tracks: Any = None,
        image: Tensor | None = None,
        entities: Entities | None = None,
    ) -> io.NodeOutput:
        linked = None if image is None else picture_from_image(image)
        size = given_size(IMPORT, width, height) or (None if linked is None else Size.of(linked))
        with losses_noted(IMPORT) as lost:
            source, imported = read_motion(text, file, tracks, size, frames)
            try:
                document = with_unequal_lines(imported.document, unequal_lines)
                if entities is not None:
                    document = (given_owners if imported.bare else with_masks_of)(document, entities)
            except ValueError as error:
                raise ValueError(f"{IMPORT}, {source}: {error}") from error
        picture = imported.picture if linked is None else linked
        if picture is None:
            motion = ExecutionBlocker(f"{IMPORT}: motion needs a picture. Link image.")
        else:
            motion = drawn_motion(picture, dumps(document), 0, None)
        count = len(document.paths)
        said = [f"{count} line{'s' * (count != 1)}, {document.frames} frames, canvas {document.size}", *lost]
        return io.NodeOutput(dumps(document), motion, ui=shown(cls, "\n".join(said)))


class ExportTracks(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="DragAnythingExportTracks",
            display_name=EXPORT,
            category=CATEGORY,
            description="A motion for other tools: TRACKS for the host's Wan-Move nodes, coordinates for KJNodes and "
            "ATI, the motion document, and, if wanted, the authors' demo folder. What each does not hold is said under "
            "the node.",
            search_aliases=["draganything", "tracks", "coordinates", "spline", "demo.json", "wanmove", "ati", "save"],
            inputs=[
                MotionType.Input("motion", tooltip="The picture and what moves where."),
                io.Int.Input(
                    "frames",
                    default=0,
                    min=0,
                    max=MOST_FRAMES,
                    tooltip="Number of frames to sample the lines for. 0: the motion's own.",
                ),
                io.Int.Input(
                    "width",
                    default=0,
                    min=0,
                    max=LARGEST_SIDE,
                    tooltip="Width in pixels of the video that TRACKS and coord_str are for. 0: the motion's canvas.",
                ),
                io.Int.Input(
                    "height",
                    default=0,
                    min=0,
                    max=LARGEST_SIDE,
                    tooltip="Height in pixels of the video that TRACKS and coord_str are for. 0: the motion's canvas.",
                ),
                io.Combo.Input(
                    "coordinates_as",
                    options=COORDINATES,
                    default=COORDINATES[0],
                    tooltip="coord_str: a point a frame, as Wan, ATI and LTX nodes take it. points_store: the drawn "
                    "points, for KJNodes' Spline Editor, on the motion's canvas.",
                ),
                io.Boolean.Input(
                    "save_demo",
                    default=False,
                    tooltip="Also writes the authors' demo folder (demo.jpg, demo.json, masks) to ComfyUI's output "
                    "folder.",
                ),
                io.String.Input(
                    "demo_folder",
                    default=DEMO_FOLDER,
                    tooltip="The demo folder's name in the output folder; a number is added to it.",
                ),
            ],
            outputs=[
                io.Tracks.Output(
                    "tracks",
                    display_name="tracks",
                    tooltip="A track for each line, in paint order, pixels of the video.",
                ),
                io.String.Output(
                    "coordinates", display_name="coordinates", tooltip="The lines as text, as coordinates_as says."
                ),
                io.String.Output(
                    "document",
                    display_name="document",
                    tooltip="The motion document on its own canvas, masks included. It alone loses nothing.",
                ),
            ],
            hidden=[io.Hidden.unique_id],
            is_output_node=True,
        )

    @classmethod
    def validate_inputs(cls, demo_folder: str | None) -> bool | str:
        try:
            output_path(demo_folder or DEMO_FOLDER)
        except ValueError as error:
            return str(error)
        return True

    @classmethod
    def execute(
        cls,
        motion: DrawnMotion,
        frames: int,
        width: int,
        height: int,
        coordinates_as: str,
        save_demo: bool,
        demo_folder: str,
    ) -> io.NodeOutput:
        if not motion.document.paths and motion.document.camera is None:
            raise ValueError(
                f"{EXPORT}, motion: nothing moves. Draw a line in the Trajectory Editor, or add a Camera Motion."
            )
        document = replace(motion.document, frames=frames or motion.document.frames)
        size = given_size(EXPORT, width, height) or document.size
        with losses_noted(EXPORT) as lost:
            tracks, coordinates = lines_for_video(document, motion.entities, size)
            if coordinates_as == "points_store":
                coordinates = write_points_store(document)
            count = tracks["track_path"].shape[1]
            said = [f"{count} track{'s' * (count != 1)}, {document.frames} frames, for a video of {size}"]
            if save_demo:
                folder = unused(output_path(demo_folder))
                write_demo_folder(document, motion.entities, motion.picture, folder)
                said.append(f"demo folder: {folder}")
        host_device = comfy.model_management.intermediate_device()
        on_host = {name: tensor.to(host_device) for name, tensor in tracks.items()}
        whole = dumps(with_masks_of(document, motion.entities))
        return io.NodeOutput(on_host, coordinates, whole, ui=shown(cls, "\n".join([*said, *lost])))


def read_motion(text: str, file: str, tracks: Any, size: Size | None, frames: int) -> tuple[str, ImportedMotion]:
    """Which input was given, and the motion in it. Raises ValueError or FileNotFoundError naming the input."""
    given = {"text": text.strip(), "file": file.strip(), "tracks": tracks}
    sources = [name for name, value in given.items() if not (value is None or (isinstance(value, str) and not value))]
    if len(sources) != 1:
        found = " and ".join(sources) or "nothing"
        raise ValueError(f"{IMPORT}: one of text, file and tracks is read, and {found} is given. Give exactly one.")
    source = sources[0]
    try:
        if source == "tracks":
            return source, motion_from_tracks(tracks, size, frames)
        if source == "file":
            return source, motion_from_path(input_path(file), size, frames)
        imported = motion_from_bytes(text.encode(), "the text", size, frames)
        inside = with_masks_inside(imported.document, Path(folder_paths.get_input_directory()))
        return source, replace(imported, document=inside)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{IMPORT}, {source}: {error}") from error
    except ValueError as error:
        raise ValueError(f"{IMPORT}, {source}: {error}") from error


def given_size(node: str, width: int, height: int) -> Size | None:
    """The size that was set, None where both are 0. Raises ValueError where one is."""
    if bool(width) != bool(height):
        raise ValueError(f"{node}, width and height: {width} x {height} px. Set both, or leave both at 0.")
    return Size(height, width) if width else None


def input_path(name: str) -> Path:
    """Where a file or folder of the input folder is. Raises ValueError, or FileNotFoundError with what is there."""
    root = Path(os.path.abspath(folder_paths.get_input_directory()))
    # Links that the user put there are followed; only names that lead out are not.
    path = Path(os.path.abspath(root / name.strip()))
    if not path.is_relative_to(root):
        raise ValueError(f"{IMPORT}, file: {name!r} is not in ComfyUI's input folder. Put the file into {root}.")
    if not path.exists():
        raise FileNotFoundError(f"{IMPORT}, file: there is no {name!r} in {root}. Put it there.")
    return path


def output_path(name: str) -> Path:
    """Where a folder of the output folder is to be. Raises ValueError where it would lie elsewhere."""
    root = Path(os.path.abspath(folder_paths.get_output_directory()))
    path = Path(os.path.abspath(root / name.strip()))
    if not path.is_relative_to(root) or path == root:
        raise ValueError(f"{EXPORT}, demo_folder: {name!r} does not name a folder inside the output folder {root}.")
    return path


def unused(folder: Path) -> Path:
    """The folder's name with the first number that is free."""
    number = 1
    while (numbered := folder.with_name(f"{folder.name}_{number:05}")).exists():
        number += 1
    return numbered
