"""ObjMC as the authors' script computes it, so that published figures can be recomputed to the last digit.

It is the mean Euclidean distance over all points of all tracks of all videos in both folders, in pixels of the source
video. There is no visibility, no cap on outliers, frame 0 counts, and unequal lengths are cut to the shorter.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np

TrackFile = dict[str, list[list[float]]]


def objmc_reference(ground_truth: Path | str, predicted: Path | str) -> float:
    """ObjMC of two folders of ``<video>.json`` = {"<entity id>": [[x, y], ...]}, in source pixels.

    Videos in only one folder are ignored; with none in both the result is nan. Raises KeyError naming video and id if
    a predicted file lacks one of the ground truth's ids (further ids do not count), FileNotFoundError for a missing
    folder, ValueError for a file that holds something else.
    Source: the published evaluation script's behaviour; paper section 4.1.
    """
    truth_files, predicted_files = _track_files(ground_truth), _track_files(predicted)
    distances: list[float] = []
    # The original goes in the order in which the file system lists the folder, which can change the last digit of a
    # sum. Descending names give the published script's digits on the reference sets, on every file system.
    for name in sorted(truth_files.keys() & predicted_files.keys(), reverse=True):
        distances += _distances(name, _read_tracks(truth_files[name]), _read_tracks(predicted_files[name]))
    return float(np.mean(distances)) if distances else math.nan


def _distances(video: str, truth: TrackFile, predicted: TrackFile) -> list[float]:
    distances = []
    for entity_id, track in truth.items():
        if entity_id not in predicted:
            raise KeyError(f"{video}: no predicted track for entity {entity_id}; there are {sorted(predicted)}")
        for (x, y), (predicted_x, predicted_y) in zip(track, predicted[entity_id], strict=False):
            distances.append(math.sqrt((x - predicted_x) ** 2 + (y - predicted_y) ** 2))
    return distances


def _track_files(folder: Path | str) -> dict[str, Path]:
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder; it should hold one <video>.json of tracks a video")
    return {path.name: path for path in folder.glob("*.json")}


def _read_tracks(path: Path) -> TrackFile:
    expected = '{"<entity id>": [[x, y], ...]}'
    try:
        tracks = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: not JSON ({error}); expected {expected}") from error
    if not isinstance(tracks, dict) or not all(_is_track(track) for track in tracks.values()):
        raise ValueError(f"{path}: expected {expected} in source pixels")
    return tracks


def _is_track(track: object) -> bool:
    return isinstance(track, list) and all(
        isinstance(point, list) and len(point) == 2 and all(isinstance(value, int | float) for value in point)
        for point in track
    )
