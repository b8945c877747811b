"""A motion's lines for a video of another size than its canvas, as other tools take them."""

from __future__ import annotations

import json

import torch

from .document import MotionDocument
from .interchange import collected_losses, document_to_host, write_coords
from .interchange.host_tracks import PATH_KEY, HostTracks
from .interchange.loose_json import plain
from .interchange.losses import warn_lost
from .interchange.sampling import SAMPLE_DECIMALS
from .types import Entities, Size


def lines_for_video(document: MotionDocument, entities: Entities, size: Size) -> tuple[HostTracks, str]:
    """TRACKS and coord_str of a document, in pixels of a video of that size: (x + 0.5) * s - 0.5.

    Paths are sampled on the document's canvas, so that their pace stays what was drawn. What either does not hold is
    said by InterchangeWarning. Raises ValueError when there is nothing to write.
    """
    with collected_losses() as said:
        tracks = document_to_host(document, entities)
        coordinates = write_coords(document, entities)
    for lost in said:
        # Whoever reads these back needs the video's size.
        warn_lost(lost.replace(f"with size {document.size}", f"with size {size}"))
    if size == document.size:
        return tracks, coordinates
    scale = torch.tensor(document.size.scale_to(size))
    scaled = {**tracks, PATH_KEY: (tracks[PATH_KEY] + 0.5) * scale - 0.5}
    places = scaled[PATH_KEY].transpose(0, 1).tolist()
    lines = [[{"x": _rounded(x), "y": _rounded(y)} for x, y in line] for line in places]
    return scaled, json.dumps(lines[0] if len(lines) == 1 else lines)


def _rounded(value: float) -> int | float:
    return plain(round(value, SAMPLE_DECIMALS))
