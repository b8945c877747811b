"""Nodes that load: the tiny demo model, and a DragAnything ControlNet from the models' folders."""

from __future__ import annotations

from pathlib import Path

import folder_paths
from comfy_api.v0_0_2 import io

from .packages import packages_for
from .types import ControlNetType

CATEGORY = "DragAnything"
FOLDER = "draganything"
FOLDERS = (FOLDER, "controlnet")
SUFFIXES = (".safetensors", ".bin", ".pth")
FROM_WEIGHTS = "from the weights"
PRESETS = Path(__file__).parents[1] / "draganything_core" / "presets"


def register_model_folder() -> None:
    """Makes models/draganything one of the host's model folders; one that a user configured elsewhere is kept."""
    paths, extensions = folder_paths.folder_names_and_paths.get(FOLDER, ([], set()))
    own = str(Path(folder_paths.models_dir) / FOLDER)
    paths = paths if own in paths else [*paths, own]
    folder_paths.folder_names_and_paths[FOLDER] = (paths, extensions | set(SUFFIXES))


class LoadTinyModel(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="DragAnythingLoadTiny",
            display_name="Load Tiny Demo Model",
            category=CATEGORY,
            description="The small video model that ships with DragAnything: runs on a CPU in seconds, needs no "
            "download, 8 frames of 128 x 128 px. For trying things out; its pictures are of simple shapes.",
            search_aliases=["draganything", "demo", "svd", "drag", "motion"],
            inputs=[],
            outputs=[
                io.Model.Output("model", tooltip="The video model, for any sampler."),
                io.ClipVision.Output("clip_vision", tooltip="Its image encoder."),
                io.Vae.Output("vae", tooltip="Its autoencoder."),
                ControlNetType.Output(
                    "control_net", display_name="control_net", tooltip="Its DragAnything ControlNet."
                ),
            ],
        )

    @classmethod
    def execute(cls) -> io.NodeOutput:
        with packages_for("Load Tiny Demo Model"):
            from .tiny_model import load_tiny

            tiny = load_tiny()
        return io.NodeOutput(tiny.model, tiny.clip_vision, tiny.vae, tiny.control)


class LoadControlNet(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="DragAnythingLoadControlNet",
            display_name="Load DragAnything ControlNet",
            category=CATEGORY,
            description="A DragAnything ControlNet for Stable Video Diffusion, from models/draganything or "
            "models/controlnet: a folder in diffusers' layout, or one file with its configuration.",
            search_aliases=["draganything", "controlnet", "svd", "drag", "trajectory", "motion control"],
            inputs=[
                io.Combo.Input(
                    "name",
                    options=weight_names(),
                    tooltip="Weights in models/draganything or models/controlnet. Other files are refused with what "
                    "they are.",
                ),
                io.Combo.Input(
                    "preset",
                    options=[FROM_WEIGHTS, *sorted(file.stem for file in PRESETS.glob("*.json"))],
                    default=FROM_WEIGHTS,
                    tooltip="How conditions are made for the authors' published weights: as in their training "
                    "(trained) or as in their demo (published). Weights trained with this project know it themselves.",
                ),
            ],
            outputs=[
                ControlNetType.Output(
                    "control_net", display_name="control_net", tooltip="The ControlNet, for Apply DragAnything."
                )
            ],
        )

    @classmethod
    def validate_inputs(cls, name: str | None) -> bool | str:
        if name is None or name in weight_names():
            return True
        places = " or ".join(str(Path(path)) for path in folder_paths.get_folder_paths(FOLDER)[:1])
        return (
            f"there are no weights {name!r}. Put the folder with config.json and diffusion_pytorch_model.safetensors "
            f"into {places}, and refresh with R."
        )

    @classmethod
    def execute(cls, name: str, preset: str) -> io.NodeOutput:
        with packages_for("Load DragAnything ControlNet"):
            from .control import load_control

            control = load_control(weights_path(name), None if preset == FROM_WEIGHTS else preset)
        return io.NodeOutput(control)


def weight_names() -> list[str]:
    """What can be chosen: a folder in diffusers' layout by its name, any other weights by their file's."""
    names = []
    for folder in FOLDERS:
        for file in folder_paths.get_filename_list(folder):
            path = Path(file)
            if path.suffix in SUFFIXES:
                full_path = Path(folder_paths.get_full_path_or_raise(folder, file))
                is_folder = path.parent != Path() and full_path.with_name("config.json").is_file()
                names.append((Path(folder) / (path.parent if is_folder else path)).as_posix())
    return list(dict.fromkeys(names))


def weights_path(name: str) -> Path:
    """Where the weights of such a name are. Raises FileNotFoundError that names the folders searched."""
    folder, _, inside = name.partition("/")
    for root in folder_paths.get_folder_paths(folder) if folder in FOLDERS else ():
        path = Path(root) / inside
        if path.exists() and path.resolve() != Path(root).resolve():
            return path
    searched = ", ".join(root for place in FOLDERS for root in folder_paths.get_folder_paths(place))
    raise FileNotFoundError(
        f"Load DragAnything ControlNet, name: there are no weights {name!r}. Searched: {searched}. Put them into "
        "models/draganything and refresh with R."
    )
