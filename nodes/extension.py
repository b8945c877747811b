"""Which nodes there are, and what is set up before the host asks for them.

What needs diffusers (control, features, tiny_model) is imported when a node runs: the host starts sooner.
"""

from __future__ import annotations

from comfy_api.v0_0_2 import ComfyExtension, io

from .conditions import EntityEncoder, GaussianMapBuilder
from .editor_routes import register_routes
from .entities import EntitiesFromMasks
from .interchange import ExportTracks, ImportTracks
from .loaders import LoadControlNet, LoadTinyModel, register_model_folder
from .preview import PreviewMotion
from .sample import SamplePicture
from .sampling import ApplyDragAnything, SvdControlNetSampler
from .segmentation import LoadSam, SegmentByClicks, register_sam_folder
from .tracking import DidItObey, TrackPoints
from .trajectories import CameraMotion, TrajectoryEditor


class DragAnythingExtension(ComfyExtension):
    async def on_load(self) -> None:
        register_model_folder()
        register_sam_folder()
        register_routes()

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        return [
            LoadTinyModel,
            SamplePicture,
            LoadControlNet,
            LoadSam,
            SegmentByClicks,
            EntitiesFromMasks,
            TrajectoryEditor,
            CameraMotion,
            EntityEncoder,
            GaussianMapBuilder,
            ApplyDragAnything,
            SvdControlNetSampler,
            ImportTracks,
            ExportTracks,
            PreviewMotion,
            TrackPoints,
            DidItObey,
        ]
