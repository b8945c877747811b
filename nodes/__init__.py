"""ComfyUI's side of DragAnything: which nodes there are. They convert, call the core, and wrap what it gives.

What needs diffusers (control, features, tiny_model) is imported when a node runs: the host starts sooner.
"""

from __future__ import annotations

from comfy_api.v0_0_2 import ComfyExtension, io

from .conditions import EntityEncoder, GaussianMapBuilder
from .entities import EntitiesFromMasks
from .loaders import LoadControlNet, LoadTinyModel, register_model_folder
from .sampling import ApplyDragAnything, SvdControlNetSampler
from .trajectories import CameraMotion, TrajectoryEditor


class DragAnythingExtension(ComfyExtension):
    async def on_load(self) -> None:
        register_model_folder()

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        return [
            LoadTinyModel,
            LoadControlNet,
            EntitiesFromMasks,
            TrajectoryEditor,
            CameraMotion,
            EntityEncoder,
            GaussianMapBuilder,
            ApplyDragAnything,
            SvdControlNetSampler,
        ]
