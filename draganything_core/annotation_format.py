"""Annotated clips on disk, and their reader. The layout can be read without this code:

    OUT/annotation.json      what was annotated and how: schema version, dataset, split, configuration
    OUT/manifest.jsonl       one clip a line, sorted: a ClipRecord; written last, so an unfinished run has none
    OUT/clips/CLIP.json      the same record, written when the clip is done
    OUT/tracks/CLIP.npz      the arrays of a ClipTracks, by their names
    OUT/masks/CLIP.npz       index (T,h,w) uint8 or int16: 0 none, k + 1 the k-th entity; masked (T,) bool
    OUT/report.md, report.png

Coordinates are float (x, y) pixels of the record's width x height, pixel centres at integers. K entities, T frames.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .atomic import write_bytes, write_text
from .data import ClipSource, read_clips
from .data.clips import some_of
from .types import Entities, Entity, Size, Tracks

SCHEMA_VERSION = 1
HEAD, MANIFEST = "annotation.json", "manifest.jsonl"
DONE, FAILED = "done", "failed"

# What may be wrong with a track. A flagged track is kept; whoever trains decides what to leave out.
FLAGS = ("small_radius", "mostly_hidden", "jumps", "leaves_mask", "static")


@dataclass(frozen=True)
class EntityRecord:
    """One entity as the dataset labels it, and the flags of its track."""

    entity_id: int
    category: int
    name: str
    is_thing: bool
    flags: tuple[str, ...] = ()


@dataclass(frozen=True)
class FileRecord:
    """A file that belongs to a clip: its path in the annotation's folder and what it holds."""

    path: str
    sha256: str


@dataclass(frozen=True)
class ClipRecord:
    """One line of the manifest.

    source: the dataset's layout. frames: files relative to the dataset's root, one a frame, or the one video.
    first_frame: number of the clip's frame where the annotation begins. status: "done", or "failed" with a reason.
    inputs_sha256: of the pictures and masks that were read; config_sha256: of the configuration.
    """

    id: str
    source: str
    split: str | None
    status: str
    width: int
    height: int
    tracker: Mapping[str, Any]
    config_sha256: str
    reason: str | None = None
    frames: tuple[str, ...] = ()
    first_frame: int = 0
    n_frames: int = 0
    fps: float | None = None
    entities: tuple[EntityRecord, ...] = ()
    inputs_sha256: str | None = None
    tracks: FileRecord | None = None
    masks: FileRecord | None = None
    schema_version: int = SCHEMA_VERSION

    @property
    def size(self) -> Size:
        return Size(self.height, self.width)


@dataclass(frozen=True, eq=False)
class ClipTracks:
    """The arrays of one clip, as tracks/CLIP.npz names them.

    entity_id (K,) i32, category (K,) i32, is_thing (K,) bool; centre0 (K,2) f32 and radius0 (K,) f32: the inscribed
    circle of the first mask; area0 (K,) i32 its pixels; track (K,T,2) f32: where that centre goes; visible (K,T) bool:
    the tracker sees it, and it is inside its mask where there is one; confidence (K,T) f16: the tracker's own, 0..1;
    radius (K,T) f32: of the inscribed circle of that frame's mask, NaN where there is none; inside_mask (K,T) bool;
    flags (K,5) bool: the columns are flag_names.
    """

    entity_id: NDArray[np.int32]
    category: NDArray[np.int32]
    is_thing: NDArray[np.bool_]
    centre0: NDArray[np.float32]
    radius0: NDArray[np.float32]
    area0: NDArray[np.int32]
    track: NDArray[np.float32]
    visible: NDArray[np.bool_]
    confidence: NDArray[np.float16]
    radius: NDArray[np.float32]
    inside_mask: NDArray[np.bool_]
    flags: NDArray[np.bool_]
    flag_names: NDArray[np.str_]


@dataclass(frozen=True, eq=False)
class AnnotatedClip:
    """One annotated clip. Only the tracks are read with it; masks and frames are read when asked for."""

    record: ClipRecord
    arrays: ClipTracks
    annotation: Annotation

    @property
    def size(self) -> Size:
        return self.record.size

    @cached_property
    def entities(self) -> Entities:
        """The entities of the first frame, in the order of the arrays, with the dataset's ids and names."""
        first = self.index_masks()[0][0]
        items = (Entity(e.entity_id, e.name, first == k + 1) for k, e in enumerate(self.record.entities))
        return Entities(tuple(items), self.size)

    @cached_property
    def tracks(self) -> Tracks:
        """One path for each entity, with the radius of its first frame throughout (paper section 3.4)."""
        radius0 = torch.from_numpy(self.arrays.radius0)
        return self._tracks(radius0.expand(self.record.n_frames, -1).clone())

    @cached_property
    def tracks_with_frame_radii(self) -> Tracks:
        """The same paths with each frame's own radius; where there is no mask, the last one there was."""
        radius = self.arrays.radius.copy()
        for frame in range(1, radius.shape[1]):
            radius[:, frame] = np.where(np.isnan(radius[:, frame]), radius[:, frame - 1], radius[:, frame])
        return self._tracks(torch.from_numpy(radius.T.copy()))

    def index_masks(self) -> tuple[Tensor, Tensor]:
        """(T,H,W) int16, 0 none and k + 1 the k-th entity; and (T,) bool, which frames have a mask at all."""
        arrays = _read_npz(self.annotation.folder, self.record.masks, self.record.id)
        index, masked = arrays["index"], arrays["masked"]
        _check_shape(
            self.record.id, "index", index.shape, (self.record.n_frames, self.record.height, self.record.width)
        )
        return torch.from_numpy(index.astype(np.int16)), torch.from_numpy(masked)

    def frames(self) -> Tensor:
        """(T,3,H,W) float32 in 0..1 from the dataset, at the annotation's size. Raises what Clip.frames raises."""
        clip = self.annotation.source.clip(self.record.id)
        return clip.window(self.record.first_frame, count=self.record.n_frames).frames(self.size)

    def _tracks(self, radii: Tensor) -> Tracks:
        return Tracks(
            paths=torch.from_numpy(self.arrays.track.transpose(1, 0, 2).copy()),
            path_entity=torch.arange(len(self.arrays.entity_id)),
            visibility=torch.from_numpy(self.arrays.visible.T.copy()),
            radii=radii,
            size=self.size,
        )


@dataclass(frozen=True, eq=False)
class Annotation:
    """An annotated dataset: the manifest, and its clips by id. Iterating gives the clips that are done."""

    folder: Path
    dataset: Path
    head: Mapping[str, Any]
    records: tuple[ClipRecord, ...]

    @cached_property
    def source(self) -> ClipSource:
        """The dataset's clips, opened when frames are first asked for."""
        return read_clips(self.dataset, self.head["split"], self.head["fps"])

    @cached_property
    def clip_ids(self) -> tuple[str, ...]:
        """The clips that are done."""
        return tuple(record.id for record in self.records if record.status == DONE)

    @property
    def failed(self) -> tuple[ClipRecord, ...]:
        """The clips that could not be annotated; ``reason`` says why."""
        return tuple(record for record in self.records if record.status == FAILED)

    @property
    def tracker(self) -> str:
        """The tracker's name."""
        return str(self.head["config"]["tracker"]["name"])

    def clip(self, clip_id: str) -> AnnotatedClip:
        """One clip that is done. KeyError for another; ValueError if its files are not those the manifest names."""
        record = self._by_id.get(clip_id)
        if record is None:
            raise KeyError(f"{self.folder} has no clip {clip_id!r}; it has {some_of(self.clip_ids)}")
        if record.status != DONE:
            raise KeyError(f"{self.folder}: clip {clip_id!r} could not be annotated: {record.reason}")
        stored = _read_npz(self.folder, record.tracks, clip_id)
        try:
            arrays = ClipTracks(**stored)
        except TypeError as error:
            raise ValueError(f"clip {clip_id}: its tracks hold {sorted(stored)}, which is not schema 1") from error
        _check_shape(clip_id, "track", arrays.track.shape, (len(record.entities), record.n_frames, 2))
        return AnnotatedClip(record, arrays, self)

    @cached_property
    def _by_id(self) -> dict[str, ClipRecord]:
        return {record.id: record for record in self.records}

    def __len__(self) -> int:
        return len(self.clip_ids)

    def __iter__(self) -> Iterator[AnnotatedClip]:
        return (self.clip(clip_id) for clip_id in self.clip_ids)


def load_annotation(folder: Path | str, dataset: Path | str | None = None) -> Annotation:
    """An annotation that ``python -m draganything_core.annotate`` has finished.

    dataset: the dataset's root, where it is no longer where it was annotated. Raises FileNotFoundError if there is no
    annotation or it is unfinished, ValueError if it has another schema version or its manifest is damaged.
    """
    folder = Path(folder)
    for name, advice in (
        (HEAD, "it is no annotation; make one with python -m draganything_core.annotate DATASET OUT"),
        (MANIFEST, "the annotation was not finished; run the same command again, it goes on where it stopped"),
    ):
        if not (folder / name).is_file():
            raise FileNotFoundError(f"{folder} has no {name}: {advice}")
    head = parsed_json(folder / HEAD, (folder / HEAD).read_text("utf-8"))
    _check_version(folder / HEAD, head)
    lines = (folder / MANIFEST).read_text("utf-8").splitlines()
    records = tuple(record_from_json(line, f"{folder / MANIFEST} line {n}") for n, line in enumerate(lines, 1))
    return Annotation(folder, Path(dataset if dataset is not None else head["dataset"]), head, records)


def record_to_json(record: ClipRecord) -> str:
    """The record as one line."""
    return json.dumps(asdict(record), ensure_ascii=False)


def record_from_json(text: str, where: Path | str) -> ClipRecord:
    """The record in one line. Raises ValueError naming the place if it is damaged or of another schema version."""
    stored = parsed_json(where, text)
    _check_version(where, stored)
    try:
        entities = tuple(EntityRecord(**{**entry, "flags": tuple(entry["flags"])}) for entry in stored["entities"])
        files = {name: FileRecord(**stored[name]) if stored[name] else None for name in ("tracks", "masks")}
        return ClipRecord(**{**stored, "entities": entities, "frames": tuple(stored["frames"]), **files})
    except (TypeError, KeyError) as error:
        raise ValueError(f"{where} is not a clip's record ({error}); annotate again") from error


def write_clip(
    folder: Path, clip_id: str, tracks: ClipTracks, masks: Mapping[str, NDArray]
) -> tuple[FileRecord, FileRecord]:
    """Writes a clip's tracks and masks, each file whole or not at all; where they are, and what they hold."""
    arrays = {entry.name: getattr(tracks, entry.name) for entry in fields(tracks)}
    return (
        _write_npz(folder, f"tracks/{clip_id}.npz", arrays),
        _write_npz(folder, f"masks/{clip_id}.npz", masks),
    )


def write_record(folder: Path, record: ClipRecord) -> None:
    """Writes clips/CLIP.json, which says that the clip is done."""
    write_text(record_file(folder, record.id), record_to_json(record) + "\n")


def record_file(folder: Path, clip_id: str) -> Path:
    """Where a clip's record is."""
    return folder / "clips" / f"{clip_id}.json"


def file_is_whole(folder: Path, file: FileRecord | None) -> bool:
    """Whether a file is there and holds what its record says."""
    if file is None or not (folder / file.path).is_file():
        return False
    return hashlib.sha256((folder / file.path).read_bytes()).hexdigest() == file.sha256


def _write_npz(folder: Path, path: str, arrays: Mapping[str, NDArray]) -> FileRecord:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    data = buffer.getvalue()
    write_bytes(folder / path, data)
    return FileRecord(path, hashlib.sha256(data).hexdigest())


def _read_npz(folder: Path, file: FileRecord | None, clip_id: str) -> dict[str, NDArray]:
    if file is None or not (folder / file.path).is_file():
        raise FileNotFoundError(f"clip {clip_id}: {folder / (file.path if file else '')} is missing; annotate again")
    data = (folder / file.path).read_bytes()
    if hashlib.sha256(data).hexdigest() != file.sha256:
        raise ValueError(f"clip {clip_id}: {folder / file.path} is not what the manifest says; annotate again")
    with np.load(io.BytesIO(data), allow_pickle=False) as stored:
        return dict(stored)


def parsed_json(where: Path | str, text: str) -> dict[str, Any]:
    """The JSON object in a text. Raises ValueError naming the place if it is damaged."""
    try:
        stored = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"{where} is damaged ({error}); annotate again") from error
    if not isinstance(stored, dict):
        raise ValueError(f"{where} holds no JSON object; annotate again")
    return stored


def _check_version(where: Path | str, stored: Mapping[str, Any]) -> None:
    version = stored.get("schema_version")
    if version != SCHEMA_VERSION:
        raise ValueError(
            f"{where}: schema version {version}, this program reads {SCHEMA_VERSION}; annotate again with this program"
        )


def _check_shape(clip_id: str, name: str, shape: tuple[int, ...], expected: tuple[int, ...]) -> None:
    if tuple(shape) != expected:
        raise ValueError(f"clip {clip_id}: {name} is {tuple(shape)}, the manifest says {expected}; annotate again")
