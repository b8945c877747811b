"""The TRACKS that a workflow's Wan-Move node is given, read from a running server and compared with the drawn line."""

from __future__ import annotations

import re
from typing import Any

import torch
from graph_files import upstream
from server import RunFailedError, Server
from workflow_graphs import waving_arm

from draganything_core.curves import document_tracks
from draganything_core.types import Entities, Size

TOLERANCE = 2e-3  # px; the text that they are read from has four digits


def require_told_tracks(server: Server, workflow: dict[str, Any]) -> str:
    """Runs what lies before WanMoveTrackToVideo and says what enters it. Raises RunFailedError for other values.

    No weights are needed. The line's own length and turns are compared, not where it starts: that is the middle of
    the mask which the clicks found.
    """
    (target,) = (node["inputs"] for node in workflow.values() if node["class_type"] == "WanMoveTrackToVideo")
    prompt = upstream(workflow, target["tracks"][0])
    prompt["told"] = {"class_type": "PreviewAny", "inputs": {"source": target["tracks"]}}
    (text,) = server.run(prompt)["told"]["text"]
    path, visibility = text.split("'track_visibility'")
    found = torch.tensor([float(number) for number in re.findall(r"-?\d+\.\d*", path)]).view(target["length"], -1, 2)
    document = waving_arm(target["length"], Size(target["height"], target["width"]))
    mask = torch.zeros(target["height"], target["width"], dtype=torch.bool)
    mask[300:320, 400:480] = True  # any
    _, tracks = document_tracks(document, Entities.from_masks(mask[None], ["arm"]))
    if found.shape != tracks.paths.shape or "False" in visibility or "True" not in visibility:
        raise RunFailedError(f"the tracks are {tuple(found.shape)}, drawn was {tuple(tracks.paths.shape)}: {text}")
    error = float(((found - found[0]) - (tracks.paths - tracks.paths[0])).abs().max())
    if error > TOLERANCE:
        raise RunFailedError(f"the tracks are up to {error:.3f} px from the line that was drawn: {text}")
    return f"{found.shape[1]} track of {found.shape[0]} frames, within {error:.1e} px of the drawn line"
