"""Videos to learn from: readers of VIPSeg, YouTube-VOS, DAVIS and plain folders, all giving the same clips."""

from .clips import Clip, ClipSource, IdLabel, first_appearances, first_frame_entities, read_clips, resize_ids

__all__ = [
    "Clip",
    "ClipSource",
    "IdLabel",
    "first_appearances",
    "first_frame_entities",
    "read_clips",
    "resize_ids",
]
