"""The clips that training learns from, wherever they come from: frames, who moves where in them, what is seen of it."""

from __future__ import annotations

import hashlib
import json
import logging
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from typing import Any, NamedTuple, Protocol

import torch
from einops import rearrange
from torch import Tensor

from ..annotation_format import DONE, AnnotatedClip, Annotation, ClipRecord, load_annotation
from ..camera import CAMERA_ENTITY_ID
from ..data.clips import resize_ids
from ..data.synthetic import SyntheticClip, SyntheticConfig, synthetic_clip
from ..types import Entities, Size, Tracks
from .config import Data, Synthetic

logger = logging.getLogger(__name__)

Bucket = tuple[int, Size]

SYNTHETIC_VERSION = 2  # to be raised when the same numbers draw other clips; then caches are made anew
SYNTHETIC_FPS = 7.0  # they have no rate of their own; SVD's id for this one, 6, is what it is asked for by default


@dataclass(frozen=True, eq=False)
class MotionClip:
    """One clip, decoded.

    frames (T,3,H,W) float32 in 0..1. entities: those that may be controlled, with their masks of the first frame.
    tracks: one or more paths for each, with the radii of the first frame throughout; frame_radii (T,P) float32: the
    radii by each frame's mask or scale. masks (E,T,H,W) bool: where each entity is seen; in frames without masks its
    discs stand in. motion: mean length of the true flow in percent of the short side per frame, NaN where unknown.
    """

    clip_id: str
    frames: Tensor
    fps: float
    entities: Entities
    tracks: Tracks
    frame_radii: Tensor
    masks: Tensor
    motion: float

    @property
    def size(self) -> Size:
        return self.entities.size


class ClipSource(Protocol):
    """Clips by their number, in buckets of one length and size.

    buckets: (frames, size) of those that have clips. clip_buckets: for each clip its bucket's place among them.
    fingerprint: JSON that tells what made the clips: "videos" the pictures, "entities" what is controlled in them.
    """

    @property
    def buckets(self) -> tuple[Bucket, ...]: ...

    @property
    def clip_buckets(self) -> tuple[int, ...]: ...

    @property
    def fingerprint(self) -> dict[str, Any]: ...

    def __len__(self) -> int: ...

    def name(self, index: int) -> str:
        """The clip's id, without decoding it."""

    def clip(self, index: int) -> MotionClip:
        """The clip, decoded. Raises FileNotFoundError or ValueError naming the clip and the file that is wrong."""


def open_clips(data: Data, *, first: int = 0, count: int | None = None) -> ClipSource:
    """The clips that the configuration names, none decoded yet: of them ``count`` from the ``first`` on.

    A part, so that clips can be held out. ``data.max_clips`` limits what is left. Raises ValueError for settings that
    do not fit the clips, FileNotFoundError for an annotation that is not there; both say what to do.
    """
    if data.synthetic is not None:
        return _open_synthetic(data, data.synthetic, first, count)
    if data.annotation is not None:
        return _open_annotation(data, data.annotation, first, count)
    raise ValueError("data: give either annotation or synthetic")


# --- synthetic clips --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class SyntheticClips:
    """Clips drawn by formula: those numbers of one seed."""

    seed: int
    numbers: range
    config: SyntheticConfig

    @property
    def buckets(self) -> tuple[Bucket, ...]:
        return ((self.config.frames, self.config.size),)

    @property
    def clip_buckets(self) -> tuple[int, ...]:
        return (0,) * len(self.numbers)

    @property
    def fingerprint(self) -> dict[str, Any]:
        made_by = {"seed": self.seed, "first": self.numbers.start, "clips": len(self.numbers), **asdict(self.config)}
        return {"videos": {"source": "synthetic", "version": SYNTHETIC_VERSION, **made_by}, "entities": {}}

    def __len__(self) -> int:
        return len(self.numbers)

    def name(self, index: int) -> str:
        return f"synthetic_{self.seed}_{self.numbers[index]:06d}"

    def synthetic(self, index: int) -> SyntheticClip:
        """The clip with all that is true of it."""
        return synthetic_clip(self.seed, self.numbers[index], self.config)

    def clip(self, index: int) -> MotionClip:
        return motion_clip(self.synthetic(index), self.name(index))


def motion_clip(clip: SyntheticClip, name: str) -> MotionClip:
    """A synthetic clip with what its maker controls, which may be nothing."""
    entities, tracks = clip.requested
    shown = [
        (~clip.void).expand(len(clip.frames), -1, -1) if entity.entity_id == CAMERA_ENTITY_ID
        else clip.ids == entity.entity_id
        for entity in entities
    ]  # fmt: skip
    moved = clip.flow.norm(dim=1).mean().item() / min(clip.size.height, clip.size.width)
    return MotionClip(
        clip_id=name,
        frames=clip.frames,
        fps=SYNTHETIC_FPS,
        entities=entities,
        tracks=replace(tracks, radii=tracks.radii[:1].expand_as(tracks.radii).clone()),
        frame_radii=tracks.radii,
        masks=torch.stack(shown) if shown else torch.zeros(0, *clip.ids.shape, dtype=torch.bool),
        motion=100 * moved,
    )


def _open_synthetic(data: Data, drawn: Synthetic, first: int, count: int | None) -> SyntheticClips:
    (size,), (frames,) = data.bucket_sizes, data.frames
    known = [entry.name for entry in fields(SyntheticConfig) if entry.name not in ("size", "frames")]
    unknown = [name for name in drawn.variations if name not in known]
    if unknown:
        raise ValueError(f"data.synthetic.variations: unknown {', '.join(unknown)}; there are {', '.join(known)}")
    # YAML has lists where the clips' configuration has tuples.
    variations: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in drawn.variations.items()
    }
    try:
        config = SyntheticConfig(size=size, frames=frames, **variations)
    except (TypeError, ValueError) as error:
        raise ValueError(f"data.synthetic.variations: {error}") from error
    numbers = range(drawn.first, drawn.first + drawn.clips)
    return SyntheticClips(drawn.seed, numbers[_part(len(numbers), data, first, count)], config)


# --- annotated clips --------------------------------------------------------------------------------------------------


class _Window(NamedTuple):
    """The part of an annotated clip that is used: its first frames, at this size."""

    record: ClipRecord
    frames: int
    size: Size


@dataclass(frozen=True, eq=False)
class AnnotatedClips:
    """The clips of an annotation that are long enough, without the entities whose track has one of some flags."""

    annotation: Annotation
    windows: tuple[_Window, ...]
    exclude_flags: frozenset[str]

    @cached_property
    def buckets(self) -> tuple[Bucket, ...]:
        used = {(window.frames, window.size.height, window.size.width) for window in self.windows}
        return tuple((frames, Size(height, width)) for frames, height, width in sorted(used))

    @cached_property
    def clip_buckets(self) -> tuple[int, ...]:
        return tuple(self.buckets.index((window.frames, window.size)) for window in self.windows)

    @cached_property
    def fingerprint(self) -> dict[str, Any]:
        # inputs_sha256 is of the pictures themselves, so a dataset may be moved.
        videos = [
            (record.id, record.inputs_sha256, record.first_frame, frames, str(size))
            for record, frames, size in self.windows
        ]
        tracks = [
            (record.tracks and record.tracks.sha256, record.masks and record.masks.sha256)
            for record, _, _ in self.windows
        ]
        return {
            "videos": {"source": "annotation", "clips": len(videos), "sha256": _sha256(videos)},
            "entities": {
                "tracker": self.annotation.tracker,
                "tracks_sha256": _sha256(tracks),
                "exclude_flags": sorted(self.exclude_flags),
            },
        }

    def __len__(self) -> int:
        return len(self.windows)

    def name(self, index: int) -> str:
        return self.windows[index].record.id

    def clip(self, index: int) -> MotionClip:
        record, frames, size = self.windows[index]
        clip = self.annotation.clip(record.id)
        pictures = self.annotation.source.clip(record.id).window(record.first_frame, count=frames).frames(size)
        kept = [k for k, entity in enumerate(record.entities) if self.exclude_flags.isdisjoint(entity.flags)]
        tracks = _kept_tracks(clip.tracks, kept, frames).resized(size)
        return MotionClip(
            clip_id=record.id,
            frames=pictures,
            fps=float(record.fps or self.annotation.source.clip(record.id).fps),
            entities=Entities(tuple(clip.entities[k] for k in kept), clip.size).resized(size),
            tracks=tracks,
            frame_radii=_kept_tracks(clip.tracks_with_frame_radii, kept, frames).resized(size).radii,
            masks=_seen_masks(clip, kept, tracks),
            motion=math.nan,
        )


def discs(tracks: Tracks) -> Tensor:
    """(P,T,H,W) bool: the disc of each path in the frames in which it is visible."""
    height, width = tracks.size.height, tracks.size.width
    rows = rearrange(torch.arange(height), "h -> 1 1 h 1")
    columns = rearrange(torch.arange(width), "w -> 1 1 1 w")
    x, y = rearrange(tracks.paths, "t p xy -> xy p t 1 1")
    radii, visible = (rearrange(values, "t p -> p t 1 1") for values in (tracks.radii, tracks.visibility))
    return ((columns - x) ** 2 + (rows - y) ** 2 <= radii**2) & visible


def _open_annotation(data: Data, folder: str, first: int, count: int | None) -> AnnotatedClips:
    annotation = load_annotation(folder, data.dataset)
    _check_tracker(annotation, data)
    done = [record for record in annotation.records if record.status == DONE]
    long_enough = [record for record in done if record.n_frames >= min(data.frames)]
    if not long_enough:
        lengths = ", ".join(f"{n} of {length}" for length, n in sorted(Counter(r.n_frames for r in done).items()))
        raise ValueError(
            f"{folder}: none of its clips has the {min(data.frames)} frames of the shortest bucket in "
            f"data.frames; it has {f'clips of these lengths: {lengths}' if done else 'no clips'}"
        )
    if len(long_enough) < len(done):
        logger.info(
            f"{folder}: {len(done) - len(long_enough)} of {len(done)} clips are shorter than "
            f"{min(data.frames)} frames and are left out"
        )
    windows = tuple(
        _Window(
            record,
            max(frames for frames in data.frames if frames <= record.n_frames),
            _nearest_aspect(annotation, record, data.bucket_sizes),
        )
        for record in long_enough[_part(len(long_enough), data, first, count)]
    )
    clips = AnnotatedClips(annotation, windows, frozenset(data.exclude_flags))
    empty = sum(all(not clips.exclude_flags.isdisjoint(e.flags) for e in window.record.entities) for window in windows)
    if empty:
        logger.info(f"{folder}: {empty} of {len(windows)} clips have only entities that are flagged")
    return clips


def _check_tracker(annotation: Annotation, data: Data) -> None:
    if data.tracker is None or data.tracker == annotation.tracker or data.allow_tracker:
        return
    raise ValueError(
        f'{data.annotation}: its tracks were made by the tracker "{annotation.tracker}", data.tracker asks for '
        f'"{data.tracker}". Annotate with that one, or take these tracks with --data.allow_tracker true'
    )


def _nearest_aspect(annotation: Annotation, record: ClipRecord, sizes: Sequence[Size]) -> Size:
    """The size whose shape is nearest to that of the clip's own pictures; annotations do not keep the aspect ratio."""
    if len(sizes) == 1:
        return sizes[0]
    own = annotation.source.clip(record.id).size
    return min(sizes, key=lambda size: abs(math.log(size.width / size.height) - math.log(own.width / own.height)))


def _kept_tracks(tracks: Tracks, kept: list[int], frames: int) -> Tracks:
    """The paths of some entities, one for each, in their first frames."""
    return Tracks(
        paths=tracks.paths[:frames, kept],
        path_entity=torch.arange(len(kept)),
        visibility=tracks.visibility[:frames, kept],
        radii=tracks.radii[:frames, kept],
        size=tracks.size,
    )


def _seen_masks(clip: AnnotatedClip, kept: list[int], tracks: Tracks) -> Tensor:
    """(E,T,H,W) bool masks at the tracks' size; the tracks' discs in frames without masks."""
    index, masked = clip.index_masks()
    index = resize_ids(index[: tracks.frames].int(), tracks.size)
    masked = masked[: tracks.frames]
    owned = rearrange(torch.tensor(kept, dtype=torch.int32) + 1, "e -> e 1 1 1")
    return torch.where(rearrange(masked, "t -> t 1 1"), index == owned, discs(tracks))


def _part(available: int, data: Data, first: int, count: int | None) -> slice:
    """Which of the clips are used. Raises ValueError if that is none."""
    end = available if count is None else min(first + count, available)
    if data.max_clips is not None:
        end = min(end, first + data.max_clips)
    if first >= end:
        raise ValueError(f"data: there are {available} clips, and none of them is left from number {first} on")
    return slice(first, end)


def _sha256(facts: Any) -> str:
    return hashlib.sha256(json.dumps(facts).encode("utf-8")).hexdigest()
