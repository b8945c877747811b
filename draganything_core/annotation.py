"""Annotating clips for training: entities of the first mask, their inscribed circles, where these go, and how sure.

Paper section 3.4: the centre of each entity's inscribed circle in the first frame is followed through the clip.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from .annotation_config import AnnotationConfig, Limits
from .annotation_format import (
    DONE,
    FAILED,
    FLAGS,
    HEAD,
    MANIFEST,
    SCHEMA_VERSION,
    ClipRecord,
    ClipTracks,
    EntityRecord,
    file_is_whole,
    parsed_json,
    record_file,
    record_from_json,
    record_to_json,
    write_clip,
    write_record,
)
from .atomic import write_text
from .data import Clip, ClipSource, first_frame_entities
from .masks import inscribed_circle
from .types import Entities

logger = logging.getLogger(__name__)

# How a launcher says how many processes it started: torchrun and accelerate, then the kinds of MPI accelerate knows.
PROCESS_COUNTS = ("WORLD_SIZE", "PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE")
WAIT = timedelta(days=7)  # for the slowest of several processes


@dataclass(frozen=True)
class Share:
    """Which of the clips this process annotates: every ``count``-th from the ``rank``-th on."""

    rank: int = 0
    count: int = 1
    wait: Callable[[], None] = lambda: None

    @property
    def is_main(self) -> bool:
        return self.rank == 0


def process_share() -> Share:
    """This process's share where torchrun, accelerate launch or mpirun started several; everything in a single one.

    Raises ImportError if there are several processes and accelerate is not installed.
    """
    if all(int(os.environ.get(name, "1")) == 1 for name in PROCESS_COUNTS):
        return Share()
    try:
        from accelerate import PartialState
    except ImportError as error:
        raise ImportError("several processes need accelerate: pip install draganything[train]") from error
    state = PartialState(cpu=True, timeout=WAIT)
    return Share(state.process_index, state.num_processes, state.wait_for_everyone)


def annotate_dataset(
    source: ClipSource, dataset: Path, split: str | None, fps: float | None, out: Path, config: AnnotationConfig,
    share: Share,
) -> list[ClipRecord]:  # fmt: skip
    """The records of all clips, in order, once every process has done its share; [] in all but the first process.

    A clip that was done before with this configuration from these very pictures and masks is left as it is. A clip
    that cannot be annotated is recorded with its reason and tried again next time. The manifest is written last.
    Raises ValueError if ``out`` holds the annotation of another dataset or split.
    """
    if share.is_main:
        _begin(source, dataset, split, fps, out, config)
    share.wait()
    own = source.clip_ids[share.rank :: share.count]
    for clip_id in tqdm(own, "annotating", unit="clip", disable=not share.is_main):
        _annotate_one(source, clip_id, dataset, split, out, config)
    share.wait()
    if not share.is_main:
        return []
    files = [record_file(out, clip_id) for clip_id in source.clip_ids]
    records = [record_from_json(file.read_text("utf-8"), file) for file in files]
    write_text(out / MANIFEST, "".join(f"{record_to_json(record)}\n" for record in records))
    return records


def annotated(clip: Clip, entities: Entities, config: AnnotationConfig) -> tuple[ClipTracks, dict[str, NDArray]]:
    """The arrays of one clip, and its masks as {index (T,H,W), masked (T,)}; see annotation_format.

    entities: of the clip's first frame, at the configuration's size. Raises what reading the clip raises.
    """
    masks = _index_masks(clip, entities)
    index, masked = masks["index"], masks["masked"]
    centers = torch.tensor([entity.center for entity in entities], dtype=torch.float32)
    paths, seen = config.tracker.track(clip.frames(config.size), centers, entities.masks)
    track, tracked = paths.numpy().transpose(1, 0, 2), seen.numpy().T
    inside = np.stack([_inside(index, k + 1, track[k]) for k in range(len(entities))]) & masked
    visible = tracked & (inside | ~masked)
    labels = [clip.labels(entity.entity_id) for entity in entities]
    radius0 = np.array([entity.radius for entity in entities], np.float32)
    tracks = ClipTracks(
        entity_id=np.array([entity.entity_id for entity in entities], np.int32),
        category=np.array([label.category for label in labels], np.int32),
        is_thing=np.array([label.is_thing for label in labels], bool),
        centre0=centers.numpy(),
        radius0=radius0,
        area0=np.array([int(entity.mask.sum()) for entity in entities], np.int32),
        track=np.ascontiguousarray(track, np.float32),
        visible=visible,
        confidence=tracked.astype(np.float16),
        radius=np.stack([_radii(index == k + 1) for k in range(len(entities))]),
        inside_mask=inside,
        flags=quality_flags(track, radius0, visible, tracked & masked & ~inside, config.limits),
        flag_names=np.array(FLAGS),
    )
    return tracks, masks


def quality_flags(
    track: NDArray[np.float32], radius0: NDArray[np.float32], visible: NDArray[np.bool_], outside: NDArray[np.bool_],
    limits: Limits,
) -> NDArray[np.bool_]:  # fmt: skip
    """(K,5) bool, what may be wrong with each track: the columns are FLAGS.

    track (K,T,2), radius0 (K,) px, visible (K,T); outside (K,T): the tracker sees the point outside its mask.
    """
    steps = np.linalg.norm(np.diff(track, axis=1), axis=-1)
    both_visible = visible[:, 1:] & visible[:, :-1]
    distance = np.where(visible, np.linalg.norm(track - track[:, :1], axis=-1), 0.0)
    flags = {
        "small_radius": radius0 < limits.small_radius,
        "mostly_hidden": visible.mean(axis=1) < limits.mostly_hidden,
        "jumps": (both_visible & (steps > limits.jumps * radius0[:, None])).any(axis=1),
        "leaves_mask": outside.sum(axis=1) > limits.leaves_mask,
        "static": distance.max(axis=1) < limits.static,
    }
    return np.stack([flags[name] for name in FLAGS], axis=1)


# --- one clip of a dataset --------------------------------------------------------------------------------------------


def _annotate_one(
    source: ClipSource, clip_id: str, dataset: Path, split: str | None, out: Path, config: AnnotationConfig
) -> None:
    record = ClipRecord(
        id=clip_id,
        source=source.name,
        split=split,
        status=FAILED,
        width=config.size.width,
        height=config.size.height,
        tracker=config.tracker.as_json(),
        config_sha256=config.sha256,
    )
    try:
        record = _done(record, source.clip(clip_id), dataset, out, config)
    except Exception as error:  # one clip, of thousands, must not end the run; the reason is in the record and report
        logger.warning(f"{error}", exc_info=not isinstance(error, (ValueError, OSError)))
        record = replace(record, reason=f"{type(error).__name__}: {error}")
    write_record(out, record)


def _done(record: ClipRecord, clip: Clip, dataset: Path, out: Path, config: AnnotationConfig) -> ClipRecord:
    """The record of the clip annotated, now or before."""
    first, entities = _first_entities(clip, config)
    available = len(clip) - first
    clip = clip.window(first, count=available if config.frames is None else min(config.frames, available))
    record = replace(
        record,
        status=DONE,
        frames=tuple(_relative(file, dataset) for file in clip.frame_files),
        first_frame=first,
        n_frames=len(clip),
        fps=clip.fps,
        inputs_sha256=_inputs_sha256(clip),
    )
    labels = [(entity.entity_id, *clip.labels(entity.entity_id)) for entity in entities]
    before = _stored_record(out, record.id)
    if before is not None and before == replace(
        record, entities=before.entities, tracks=before.tracks, masks=before.masks
    ):
        same_labels = [(e.entity_id, e.category, e.name, e.is_thing) for e in before.entities] == labels
        if same_labels and file_is_whole(out, before.tracks) and file_is_whole(out, before.masks):
            return before
    # Without its record a clip is not done: one killed between its files is annotated anew.
    record_file(out, record.id).unlink(missing_ok=True)
    tracks, masks = annotated(clip, entities, config)
    flags = [tuple(name for name, flag in zip(FLAGS, row, strict=True) if flag) for row in tracks.flags]
    described = tuple(EntityRecord(*label, flags=own) for label, own in zip(labels, flags, strict=True))
    tracks_file, masks_file = write_clip(out, record.id, tracks, masks)
    return replace(record, entities=described, tracks=tracks_file, masks=masks_file)


def _first_entities(clip: Clip, config: AnnotationConfig) -> tuple[int, Entities]:
    """The first frame that shows an entity that is large enough, and its entities there."""
    if not any(clip.masked):
        raise ValueError(f"clip {clip.clip_id}: it has no id masks; put them in NAME_masks beside the frames")
    for frame, has_mask in enumerate(clip.masked):
        if has_mask:
            entities = first_frame_entities(clip.window(frame), config.min_area, config.size)
            if len(entities):
                return frame, entities
    raise ValueError(
        f"clip {clip.clip_id}: no mask shows an entity of {config.min_area} px or more at {config.size}; "
        "lower --min-area"
    )


def _index_masks(clip: Clip, entities: Entities) -> dict[str, NDArray]:
    small = len(entities) < 256
    index = np.zeros((len(clip), entities.size.height, entities.size.width), np.uint8 if small else np.int16)
    masked = np.array(clip.masked)
    for frame in np.flatnonzero(masked):
        ids = clip.frame_ids(int(frame), entities.size).numpy()
        for k, entity in enumerate(entities):
            index[frame][ids == entity.entity_id] = k + 1
    return {"index": index, "masked": masked}


def _inside(index: NDArray, value: int, track: NDArray) -> NDArray[np.bool_]:
    """(T,) whether the pixel nearest to the point is on the picture and has this value."""
    columns, rows = np.floor(track + 0.5).astype(np.int64).T
    height, width = index.shape[1:]
    on_picture = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
    nearest = index[np.arange(len(index)), rows.clip(0, height - 1), columns.clip(0, width - 1)]
    return np.asarray(on_picture & (nearest == value))


def _radii(masks: NDArray[np.bool_]) -> NDArray[np.float32]:
    """(T,) radius of each mask's inscribed circle, NaN for an empty one."""
    return np.array([inscribed_circle(torch.from_numpy(m)).radius if m.any() else np.nan for m in masks], np.float32)


# --- files ------------------------------------------------------------------------------------------------------------


def _begin(
    source: ClipSource, dataset: Path, split: str | None, fps: float | None, out: Path, config: AnnotationConfig
) -> None:
    """Takes the folder for this run: refuses another dataset's, clears what a killed run left half written."""
    head_file = out / HEAD
    head = {
        "schema_version": SCHEMA_VERSION,
        "dataset": str(dataset.absolute()),
        "source": source.name,
        "split": split,
        "fps": fps,
        "config": config.as_json(),
    }
    if head_file.is_file():
        before = parsed_json(head_file, head_file.read_text("utf-8"))
        for name in ("source", "split"):
            if before.get(name) != head[name]:
                raise ValueError(
                    f"{out} holds the annotation of {name} {before.get(name)!r}, not {head[name]!r}; "
                    "give another folder for OUT"
                )
    # Gone while clips may change, so that nobody reads a manifest that no longer fits them.
    (out / MANIFEST).unlink(missing_ok=True)
    for folder in ("clips", "tracks", "masks"):
        for left in (out / folder).glob(".*"):
            left.unlink()
    write_text(head_file, json.dumps(head, indent=2, ensure_ascii=False) + "\n")


def _stored_record(out: Path, clip_id: str) -> ClipRecord | None:
    file = record_file(out, clip_id)
    if not file.is_file():
        return None
    try:
        return record_from_json(file.read_text("utf-8"), file)
    except ValueError as error:
        logger.warning(f"{error}; the clip is annotated anew")
        return None


def _inputs_sha256(clip: Clip) -> str:
    """Of everything that is read of the clip: pictures, masks, which frames have one, the rate, what is no entity."""
    masks: Sequence[Path | None] = clip.mask_files or ()
    digest = hashlib.sha256(json.dumps([clip.fps, sorted(clip.void_ids), clip.masked]).encode("utf-8"))
    for file in (*clip.frame_files, *(mask for mask in masks if mask is not None)):
        digest.update(_file_sha256(file))
    return digest.hexdigest()


def _file_sha256(file: Path) -> bytes:
    digest = hashlib.sha256()
    with file.open("rb") as opened:
        while block := opened.read(1 << 20):
            digest.update(block)
    return digest.digest()


def _relative(file: Path, dataset: Path) -> str:
    root = dataset if dataset.is_dir() else dataset.parent
    return Path(os.path.relpath(file, root)).as_posix()
