"""The clips that a protocol judges by: the real video, what was asked of its entities, and where they truly are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
import yaml
from torch import Tensor

from ..annotation_format import DONE, Annotation, load_annotation
from ..camera import CAMERA_ENTITY_ID
from ..data.synthetic import SyntheticClip
from ..types import Entities, Size, Tracks
from .heldout import PROTOCOLS, HeldoutProtocol, load_protocol


@dataclass(frozen=True, eq=False)
class Case:
    """One clip, all at one size. number: its place among the protocol's clips, from which sampling has its seed.

    frames (T,3,H,W) in 0..1: the real video. entities and tracks: of its first frame, and where they are to go. index
    (T,H,W) int16: 0 none, k + 1 the k-th entity; masked (T,) bool: which frames have masks. source_size: of the video
    as it was published, whose pixels the original's ObjMC counts in.
    """

    number: int
    clip: str
    frames: Tensor
    entities: Entities
    tracks: Tracks
    index: Tensor
    masked: Tensor
    source_size: Size

    @property
    def size(self) -> Size:
        return self.entities.size


class Cases(Protocol):
    """A protocol's clips by number."""

    clips: tuple[str, ...]
    truth: str  # how it is known where things truly go

    def case(self, number: int) -> Case: ...


@dataclass(frozen=True)
class Published:
    """Figures that a paper gives for this setting or one like it, and under which conditions they were taken."""

    method: str
    source: str
    figures: Mapping[str, float]
    conditions: Mapping[str, Any]


@dataclass(frozen=True)
class AnnotatedProtocol:
    """Which clips of an annotated dataset, and how their videos are sampled.

    version: raised when figures are no longer comparable. size: at which videos are judged, and which the annotation
    has; sampling_size: at which a model makes them. tracker: the one whose annotation the protocol means. count: of
    the clips only the first so many; None for all.
    """

    name: str
    version: int
    source: str
    split: str | None
    size: Size
    frames: int
    tracker: str
    sampling_size: Size
    num_inference_steps: int
    min_guidance: float
    max_guidance: float
    sampling_seed: int
    count: int | None = None
    published: tuple[Published, ...] = field(default=(), compare=False)

    @property
    def how_to_annotate(self) -> str:
        """The command that makes what this protocol needs."""
        options = f"--size {self.size} --frames {self.frames}"
        split = f" --split {self.split}" if self.split else ""
        return f"python -m draganything_core.annotate {self.source.split()[0].upper()}_DIR ANNOTATION{split} {options}"


AnyProtocol = HeldoutProtocol | AnnotatedProtocol


def open_protocol(file: Path | str) -> AnyProtocol:
    """The protocol in a YAML file, or the package's own of that name: of synthetic clips or of an annotated dataset.

    Raises FileNotFoundError if there is none, ValueError naming what it lacks.
    """
    path = Path(file)
    if not path.is_file():
        path = PROTOCOLS / f"{path.name.removesuffix('.yaml')}.yaml"
    if not path.is_file():
        return load_protocol(file)  # which says what there is
    stored = yaml.safe_load(path.read_text("utf-8"))
    if not isinstance(stored, dict) or "dataset" not in stored:
        return load_protocol(path)
    try:
        dataset, sampling = stored.pop("dataset"), stored.pop("sampling")
        published = tuple(Published(**entry) for entry in stored.pop("published", []))
        return AnnotatedProtocol(
            source=dataset["source"],
            split=dataset["split"],
            size=Size(*stored.pop("size")),
            sampling_size=Size(*sampling.pop("size")),
            sampling_seed=sampling.pop("seed"),
            published=published,
            **sampling,
            **stored,
        )
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(
            f"{path}: not a protocol of an annotated dataset: {_said(error)}. Start from a copy of one that is, "
            f"such as {PROTOCOLS / 'davis.yaml'}"
        ) from error


def _said(error: Exception) -> str:
    return f"{error} is missing" if isinstance(error, KeyError) else str(error)


def drawn_case(clip: SyntheticClip, number: int) -> Case:
    """What is judged of a drawn clip: what it asks for, and its exact masks."""
    entities, tracks = clip.requested
    index = torch.zeros(clip.ids.shape, dtype=torch.int16)
    for k, entity in enumerate(entities):
        if entity.entity_id != CAMERA_ENTITY_ID:  # which is the number of the void in the masks
            index[clip.ids == entity.entity_id] = k + 1
    masked = torch.ones(len(clip.frames), dtype=torch.bool)
    return Case(number, f"{number:05d}", clip.frames, entities, tracks, index, masked, clip.size)


class SyntheticCases:
    """The clips of a protocol of drawn ones, whose truth is exact."""

    truth = "exact: the clips are drawn"

    def __init__(self, protocol: HeldoutProtocol) -> None:
        self.protocol = protocol
        self.clips = tuple(f"{number:05d}" for number in range(protocol.count))

    def case(self, number: int) -> Case:
        return drawn_case(self.protocol.clip(number), number)


class AnnotatedCases:
    """The clips of an annotation that a protocol judges by. short, failed: ids of clips that take no part."""

    def __init__(self, protocol: AnnotatedProtocol, annotation: Annotation) -> None:
        self.protocol, self.annotation = protocol, annotation
        _check_annotation(protocol, annotation)
        done = [record for record in annotation.records if record.status == DONE]
        self.clips = tuple(record.id for record in done if record.n_frames >= protocol.frames)[: protocol.count]
        self.short = tuple(record.id for record in done if record.n_frames < protocol.frames)
        self.failed = tuple(record.id for record in annotation.failed)
        tracker = annotation.head["config"]["tracker"]
        self.truth = f"tracks by {tracker['name']} {tracker['version']} in the real video"
        if not self.clips:
            raise ValueError(
                f"{annotation.folder} holds no clip of {protocol.frames} frames, which {protocol.name} needs "
                f"({len(self.short)} are shorter, {len(self.failed)} failed). Annotate anew: {protocol.how_to_annotate}"
            )

    def case(self, number: int) -> Case:
        clip, frames = self.annotation.clip(self.clips[number]), self.protocol.frames
        index, masked = clip.index_masks()
        tracks = clip.tracks
        return Case(
            number=number,
            clip=clip.record.id,
            frames=clip.frames()[:frames],
            entities=clip.entities,
            tracks=Tracks(
                tracks.paths[:frames],
                tracks.path_entity,
                tracks.visibility[:frames],
                tracks.radii[:frames],
                tracks.size,
            ),
            index=index[:frames],
            masked=masked[:frames],
            source_size=self.annotation.source.clip(clip.record.id).size,
        )


def open_cases(protocol: AnyProtocol, annotation: Path | str | None = None, dataset: Path | str | None = None) -> Cases:
    """A protocol's clips. annotation: folder, for a protocol of a dataset; dataset: its root, where it has moved.

    Raises ValueError or FileNotFoundError saying what is missing and which command makes it.
    """
    if isinstance(protocol, HeldoutProtocol):
        if annotation is not None:
            raise ValueError(
                f"--annotation {annotation} is for a protocol of a dataset; {protocol.name} draws its clips"
            )
        return SyntheticCases(protocol)
    if annotation is None:
        raise ValueError(
            f"{protocol.name} judges by clips of {protocol.source}, which are not part of this package. Get them from "
            f"their authors, run `{protocol.how_to_annotate}`, and give --annotation ANNOTATION"
        )
    return AnnotatedCases(protocol, load_annotation(annotation, dataset))


def _check_annotation(protocol: AnnotatedProtocol, annotation: Annotation) -> None:
    head = annotation.head
    height, width = head["config"]["size"]
    found: dict[str, Any] = {"dataset": head["source"], "split": head["split"], "size": f"{height}x{width}"}
    wanted = {"dataset": protocol.source, "split": protocol.split, "size": str(protocol.size)}
    wrong = [f"{name} {found[name]} instead of {wanted[name]}" for name in found if found[name] != wanted[name]]
    limit = head["config"]["frames"]
    if limit is not None and limit < protocol.frames:
        wrong.append(f"at most {limit} frames of each clip instead of {protocol.frames}")
    if wrong:
        raise ValueError(
            f"{annotation.folder} is no annotation for {protocol.name}: {'; '.join(wrong)}. "
            f"Make one with `{protocol.how_to_annotate}`"
        )
