"""Other tools' formats, in and out: the authors' demo folder, KJNodes' splines, the host's TRACKS.

A format goes into a document and back without a change. What a format cannot hold of a document is said in an
InterchangeWarning, one for each kind of loss, naming the entities and paths.
"""

from .demo_json import read_demo_folder, read_demo_text, write_demo_folder
from .detect import FORMATS, Format, detect_content, detect_format
from .host_tracks import (
    document_from_host,
    document_to_host,
    read_tracks,
    tracks_from_host,
    tracks_to_host,
    write_tracks,
)
from .kj import read_coords, read_points_store, write_coords, write_points_store
from .losses import InterchangeWarning, collected_losses

__all__ = [
    "FORMATS",
    "Format",
    "InterchangeWarning",
    "collected_losses",
    "detect_content",
    "detect_format",
    "document_from_host",
    "document_to_host",
    "read_coords",
    "read_demo_folder",
    "read_demo_text",
    "read_points_store",
    "read_tracks",
    "tracks_from_host",
    "tracks_to_host",
    "write_coords",
    "write_demo_folder",
    "write_points_store",
    "write_tracks",
]
