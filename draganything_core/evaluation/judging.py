"""One video judged against its case: its points, its entities, its features. Every row of a report goes through here.

OUT/ROW/judged/settings.json    what the judgements are of
OUT/ROW/judged/CLIP.json        a Judgement
OUT/ROW/judged/CLIP.npz         features, by the network's key
OUT/ROW/tracks/CLIP.json        found tracks as the original's script reads them, in px of the source video
OUT/asked_tracks/CLIP.json      what was asked, likewise
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..annotation_config import NamedTracker
from ..atomic import write_bytes, write_text
from ..types import Size
from .bootstrap import Ratio, Statistic
from .cases import Case, Cases
from .entity_metrics import (
    ClipEntities,
    EntityMotion,
    Followed,
    clip_entities,
    entity_statistics,
    spread_points,
)
from .frechet import Features
from .point_metrics import ClipPoints, PathPoints, path_points, point_statistics
from .regions import tracking_regions

VERSION = 1  # of the measures; to be raised when they give other figures for the same video
FOLDER, SETTINGS = "judged", "settings.json"
ASKED, TRACKS = "asked_tracks", "tracks"

TrackFile = dict[str, list[list[float]]]


@dataclass(frozen=True)
class Judgement:
    """What was found in one video. objmc_sum, objmc_points: distances as the original's script adds them up.

    video: what tells this video from another of the same name; None where the row's settings do.
    """

    clip: str
    video: str | None
    points: ClipPoints
    entities: ClipEntities
    objmc_sum: float
    objmc_points: int


class Judge:
    """Follows points with one tracker, and takes features with some networks."""

    def __init__(self, tracker: NamedTracker, features: Sequence[Features] = ()) -> None:
        self.tracker, self.features = tracker, tuple(features)
        self._real: dict[str, Followed] = {}

    def judgement(self, video: Tensor, case: Case, fingerprint: str | None = None) -> tuple[Judgement, TrackFile]:
        """The judgement of a video (T,3,H,W) in 0..1 of the case, and its tracks in px of the source video.

        Paths that are not visible in the first frame cannot be followed and are left out. Raises ValueError for a
        video of another length or size.
        """
        _check_video(video, case)
        tracks = case.tracks
        paths = torch.nonzero(tracks.visibility[0]).flatten().tolist()
        spread = spread_points(case.entities, case.index[0])
        queries = torch.cat([tracks.paths[0, paths].float(), spread.places])
        regions = torch.cat([tracking_regions(case.entities, tracks, paths), spread.regions])
        found, seen = self._followed(video, queries, regions)
        if case.clip not in self._real:
            is_real = video is case.frames
            real = (found, seen) if is_real else self._followed(case.frames, queries, regions)
            self._real[case.clip] = Followed(real[0][:, len(paths) :], real[1][:, len(paths) :])
        names = path_names(case, paths)
        asked, visible = tracks.paths[:, paths], tracks.visibility[:, paths]
        points = path_points(names, asked, visible, found[:, : len(paths)], seen[:, : len(paths)])
        entities = clip_entities(
            case.clip,
            spread,
            Followed(found[:, len(paths) :], seen[:, len(paths) :]),
            self._real[case.clip],
            case.entities,
            tracks,
            case.index,
            case.masked,
        )
        here, there = (_in_source_pixels(p, case) for p in (found[:, : len(paths)], asked))
        distances = torch.linalg.vector_norm(here - there, dim=-1)
        judgement = Judgement(
            case.clip,
            fingerprint,
            ClipPoints(case.clip, case.size, tuple(points)),
            entities,
            float(distances.sum()),
            distances.numel(),
        )
        return judgement, _track_file(names, here)

    def asked_tracks(self, case: Case) -> TrackFile:
        """What was asked, in px of the source video, of the paths that are followed."""
        paths = torch.nonzero(case.tracks.visibility[0]).flatten().tolist()
        return _track_file(path_names(case, paths), _in_source_pixels(case.tracks.paths[:, paths], case))

    def _followed(self, video: Tensor, queries: Tensor, regions: Tensor) -> tuple[Tensor, Tensor]:
        if not len(queries):
            return torch.zeros(len(video), 0, 2), torch.zeros(len(video), 0, dtype=torch.bool)
        return self.tracker.track(video, queries, regions)


@dataclass(frozen=True, eq=False)
class RowSource:
    """One row's name and videos. video: makes or reads that of a case, (T,3,H,W) in 0..1.

    settings: what its judgements are of, beside protocol and tracker. fingerprint: what tells a clip's video from
    another of that name, for videos from files, which may be replaced.
    """

    name: str
    title: str
    video: Callable[[Case], Tensor]
    settings: Mapping[str, Any] = field(default_factory=dict)
    fingerprint: Callable[[str], str] | None = None

    def mark(self, clip: str) -> str | None:
        """The fingerprint, if there is one."""
        return None if self.fingerprint is None else self.fingerprint(clip)


def judge_row(
    row: RowSource,
    cases: Cases,
    judge: Judge,
    out: Path,
    numbers: Iterable[int],
    also: Callable[[Case, Tensor], None] | None = None,
) -> None:
    """Judges these clips' videos of a row; what is judged already, with these features, is left as it is.

    also: called with each new video, before its clip counts as done.
    """
    for number in numbers:
        clip = cases.clips[number]
        if is_judged(out / row.name / FOLDER, clip, row.mark(clip), judge.features):
            continue
        case = cases.case(number)
        judge_video(row, case, row.video(case), judge, out, also)


def judge_video(
    row: RowSource,
    case: Case,
    video: Tensor,
    judge: Judge,
    out: Path,
    also: Callable[[Case, Tensor], None] | None = None,
) -> None:
    """Judges one video and writes what was found."""
    folder = out / row.name / FOLDER
    judgement, tracks = judge.judgement(video, case, row.mark(case.clip))
    write_text(out / ASKED / f"{case.clip}.json", json.dumps(judge.asked_tracks(case)) + "\n")
    write_text(out / row.name / TRACKS / f"{case.clip}.json", json.dumps(tracks) + "\n")
    _write_features(folder / f"{case.clip}.npz", {each.key: each.extract(video) for each in judge.features})
    if also is not None:
        also(case, video)
    # Last, for it says that the clip is done.
    write_text(folder / f"{case.clip}.json", json.dumps(asdict(judgement)) + "\n")


def claim(row: RowSource, protocol: Mapping[str, Any], judge: Judge, out: Path) -> None:
    """Notes in the row's folder what its judgements are of, or checks that it is this.

    protocol: its settings. Raises ValueError if the folder holds judgements of other settings.
    """
    settings = {"protocol": protocol, **row.settings, "judging": VERSION, "tracker": judge.tracker.as_json()}
    wanted: dict[str, Any] = json.loads(json.dumps(settings))
    file = out / row.name / FOLDER / SETTINGS
    if file.is_file():
        before: dict[str, Any] = json.loads(file.read_text("utf-8"))
        changed = [name for name in sorted({*wanted, *before}) if before.get(name) != wanted.get(name)]
        if changed:
            raise ValueError(
                f"{file.parent} holds judgements with another {', '.join(changed)}; give another folder, or delete it"
            )
    else:
        write_text(file, json.dumps(wanted, indent=2) + "\n")


def is_judged(folder: Path, clip: str, mark: str | None, features: Sequence[Features]) -> bool:
    """Whether a clip's judgement is there, of this very video, with all of these features."""
    file, stored = folder / f"{clip}.json", folder / f"{clip}.npz"
    if not (file.is_file() and stored.is_file()):
        return False
    if json.loads(file.read_text("utf-8"))["video"] != mark:
        return False
    with np.load(stored) as arrays:
        return all(each.key in arrays for each in features)


def read_judgements(folder: Path, clips: Sequence[str]) -> list[Judgement]:
    """The judgements of these clips, in order. Raises ValueError unless all are there."""
    files = [folder / FOLDER / f"{clip}.json" for clip in clips]
    missing = [file.stem for file in files if not file.is_file()]
    if missing:
        raise ValueError(f"{folder}: {len(missing)} of {len(clips)} clips are not judged yet; run it again")
    return [judgement_from_json(json.loads(file.read_text("utf-8"))) for file in files]


def read_features(folder: Path, clips: Sequence[str], features: Features) -> list[Tensor]:
    """(n_i,D) the stored features of each clip."""
    found = []
    for clip in clips:
        with np.load(folder / FOLDER / f"{clip}.npz") as arrays:
            found.append(torch.from_numpy(arrays[features.key]))
    return found


def judgement_from_json(stored: Mapping[str, Any]) -> Judgement:
    """What ``asdict`` made of a judgement, back again."""
    entities = stored["entities"]
    motions = tuple(EntityMotion(e["name"], tuple(e["ious"]), tuple(e["slopes"])) for e in entities["entities"])
    return Judgement(
        stored["clip"],
        stored["video"],
        points_from_json(stored["points"]),
        ClipEntities(entities["clip"], motions, _number(entities["leak_px"]), _number(entities["asked_px"])),
        stored["objmc_sum"],
        stored["objmc_points"],
    )


def points_from_json(stored: Mapping[str, Any]) -> ClipPoints:
    """What ``asdict`` made of a clip's points, back again."""
    paths = (PathPoints(p["name"], tuple(p["errors"]), tuple(p["standing"]), p["lost"]) for p in stored["paths"])
    return ClipPoints(stored["clip"], Size(**stored["size"]), tuple(paths))


def judged_statistics(judgements: Sequence[Judgement]) -> dict[str, Statistic]:
    """Every figure of a row but those of its pictures."""
    return {
        **point_statistics([judgement.points for judgement in judgements]),
        **entity_statistics([judgement.entities for judgement in judgements]),
        "ObjMC_ref": Ratio(
            [judgement.objmc_sum for judgement in judgements], [judgement.objmc_points for judgement in judgements]
        ),
    }


def path_names(case: Case, paths: Sequence[int]) -> list[str]:
    """The entity's id for its first path, "id.2" and so on for others: no name twice."""
    names: list[str] = []
    owners: list[int] = []
    for path in paths:
        owner = int(case.tracks.path_entity[path])
        owners.append(owner)
        entity_id = case.entities[owner].entity_id
        names.append(str(entity_id) if owners.count(owner) == 1 else f"{entity_id}.{owners.count(owner)}")
    return names


def _in_source_pixels(places: Tensor, case: Case) -> Tensor:
    scale = torch.tensor(case.size.scale_to(case.source_size), dtype=torch.float64)
    return (places.double() + 0.5) * scale - 0.5


def _track_file(names: Sequence[str], places: Tensor) -> TrackFile:
    return {name: places[:, path].tolist() for path, name in enumerate(names)}


def _write_features(file: Path, arrays: Mapping[str, Tensor]) -> None:
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **{key: tensor.numpy() for key, tensor in arrays.items()})
    write_bytes(file, buffer.getvalue())


def _check_video(video: Tensor, case: Case) -> None:
    if tuple(video.shape) != tuple(case.frames.shape):
        raise ValueError(
            f"clip {case.clip}: the video is {tuple(video.shape)}, the real one (T, 3, H, W) = "
            f"{tuple(case.frames.shape)}; a video is judged at its clip's own length and size"
        )
    if not bool(torch.isfinite(video).all()):
        raise ValueError(f"clip {case.clip}: the video holds a value that is not a finite number")


def _number(value: float | None) -> float:
    return math.nan if value is None else value
