"""Motions from elsewhere, made whole: a canvas, a number of frames, masks inside the document, owners of bare lines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from .document import ControlPoint, DocumentEntity, Fit, MaskSource, MotionDocument, MotionPath
from .images import read_picture
from .interchange import document_from_host, read_demo_folder, tracks_from_host
from .interchange.archives import is_archive
from .interchange.demo_json import find_demo_json
from .interchange.detect import detect_format
from .interchange.formats import LARGEST_FILE, read
from .interchange.host_tracks import PATH_KEY, TRACKS_FILE, VISIBILITY_KEY, read_tracks
from .interchange.losses import warn_lost
from .masks import encode_rle, load_mask
from .types import Entities, Size

UnequalLines = Literal["refuse", "stretch", "hold", "cut"]
UNEQUAL_LINES: tuple[UnequalLines, ...] = get_args(UnequalLines)
NO_CANVAS = "does not say its canvas. Link the picture, or set width and height to the pixels it was drawn on"
NO_FRAMES = "does not say how many frames the clip has. Set frames"


@dataclass(frozen=True, eq=False)
class ImportedMotion:
    """A document, and its picture (3,H,W) where what was read names one; bare: its things are lines, nothing else."""

    document: MotionDocument
    bare: bool
    picture: Tensor | None = None


def motion_from_bytes(content: bytes, name: str, size: Size | None = None, frames: int = 0) -> ImportedMotion:
    """The motion in a file's bytes or a text's, in any format; the content says which.

    size: the canvas, for formats that do not say theirs. frames: instead of the file's own, 0 for those. What is not
    kept is said by InterchangeWarning. Raises ValueError for what cannot be read, or a canvas or frames nobody says.
    """
    found = read(content, name, size or Size(1, 1), frames or 1)
    for lost in found.warnings:
        warn_lost(lost)
    says_canvas = found.format == "document" or (found.format == "demo" and is_archive(content))
    if size is None and not says_canvas:
        raise ValueError(f"{name} ({found.format}) {NO_CANVAS}.")
    if not frames and found.format == "kj-points-store":
        raise ValueError(f"{name} ({found.format}) {NO_FRAMES}.")
    document = replace(found.document, frames=frames or found.document.frames)
    return ImportedMotion(document, found.format != "document" and not _has_masks(document))


def motion_from_path(path: Path, size: Size | None = None, frames: int = 0) -> ImportedMotion:
    """The motion in a file or folder, its masks inside the document, and the picture it names, where it names one.

    As motion_from_bytes; also a demo folder, or a .json in one, whose masks lie beside it, and a folder of Wan-Move's
    tracks. Raises FileNotFoundError for what is missing.
    """
    if not path.exists():
        raise FileNotFoundError(f"there is no file or folder {path}; check its name")
    if path.is_file() and path.stat().st_size > LARGEST_FILE:
        raise ValueError(f"{path} has {path.stat().st_size / 2**20:.1f} MiB; expected at most {LARGEST_FILE >> 20} MiB")
    archive = path.is_file() and is_archive(path.read_bytes())
    kind = None if archive else detect_format(path)
    if kind == "demo":
        json_file = find_demo_json(path)
        folder, document = json_file.parent, read_demo_folder(json_file)
        imported = ImportedMotion(replace(document, frames=frames or document.frames), bare=False)
    elif kind == "tracks":
        folder, file = path.parent, path / TRACKS_FILE if path.is_dir() else path
        imported = motion_from_tracks(read_tracks(file), size, frames, path.name)
    else:
        folder, imported = path.parent, motion_from_bytes(path.read_bytes(), path.name, size, frames)
    document = imported.document
    picture = read_picture(folder / document.image) if document.image else None
    return replace(imported, document=with_masks_inside(replace(document, image=None), folder), picture=picture)


def motion_from_tracks(
    host: Mapping[str, Any], size: Size | None, frames: int = 0, name: str = "TRACKS"
) -> ImportedMotion:
    """The motion of the host's TRACKS on a canvas, for their own number of frames or another. Raises ValueError."""
    if size is None:
        raise ValueError(f"{name} {NO_CANVAS}.")
    return ImportedMotion(document_from_host(host, size, frames or None), bare=True)


def with_masks_inside(document: MotionDocument, folder: Path) -> MotionDocument:
    """The document with every mask that it names as a file of the folder inside it, on its canvas.

    Raises FileNotFoundError or ValueError as load_mask.
    """
    canvas = (document.size.height, document.size.width)

    def inside(entity: DocumentEntity) -> DocumentEntity:
        if entity.mask is None or entity.mask.file is None:
            return entity
        return replace(entity, mask=MaskSource(rle=encode_rle(load_mask(folder / entity.mask.file, canvas))))

    return replace(document, entities=tuple(inside(entity) for entity in document.entities))


def with_masks_of(document: MotionDocument, entities: Entities) -> MotionDocument:
    """The document with the masks of entities of the same numbers inside it. Entities may be on any canvas."""
    masks = {entity.entity_id: entity.mask for entity in entities.resized(document.size)}
    return replace(
        document,
        entities=tuple(
            replace(entity, mask=MaskSource(rle=encode_rle(masks[entity.id]))) if entity.id in masks else entity
            for entity in document.entities
        ),
    )


def given_owners(document: MotionDocument, entities: Entities) -> MotionDocument:
    """The document whose lines move these entities instead of what lies under them.

    Line i moves entity i where there are as many of them, else each moves the entity it starts on, the last one where
    masks overlap. The entities may be on any canvas. Raises ValueError naming a line that starts on none.
    """
    entities = entities.resized(document.size)
    starts = torch.tensor([[_first_visible(path) for path in document.paths]])
    host = {PATH_KEY: starts, VISIBILITY_KEY: torch.ones(starts.shape[:2], dtype=torch.bool)}
    owners = tracks_from_host(host, entities).path_entity.tolist()
    paths = (
        replace(path, entity=entities[owner].entity_id) for path, owner in zip(document.paths, owners, strict=True)
    )
    described = tuple(DocumentEntity(entity.entity_id, entity.name, radius=entity.radius_px) for entity in entities)
    return with_masks_of(replace(document, entities=described, paths=tuple(paths)), entities)


def with_unequal_lines(document: MotionDocument, unequal: UnequalLines) -> MotionDocument:
    """The document in which lines of samples that differ in length are stretched over the clip, held or cut off.

    "refuse" raises ValueError that names two such lines; lines that are all alike are stretched to the clip's frames.
    """
    if unequal not in UNEQUAL_LINES:
        raise ValueError(f"unequal_lines must be one of {', '.join(UNEQUAL_LINES)}, got {unequal!r}")
    sampled = [path for path in document.paths if path.timing == "per_point" and not path.static]
    lengths = {len(path.points): number for number, path in reversed(list(enumerate(sampled, start=1)))}
    if len(lengths) < 2:
        return document
    if unequal == "refuse":
        (first, a), (other, b) = sorted(lengths.items(), key=lambda each: each[1])[:2]
        raise ValueError(
            f"line {a} has {first} points and line {b} has {other}: they are samples in time, and do not last equally "
            "long. Set unequal_lines to stretch (all last as long as the clip), hold (short ones rest at their end) or "
            "cut (short ones vanish), or give lines of one length."
        )
    fit: Fit = unequal
    return replace(
        document,
        paths=tuple(replace(path, fit=fit) if path in sampled else path for path in document.paths),
    )


def _has_masks(document: MotionDocument) -> bool:
    return any(entity.mask is not None for entity in document.entities)


def _first_visible(path: MotionPath) -> tuple[float, float]:
    time = path.visible[0][0] if path.visible else 0.0
    point: ControlPoint = path.points[round(time * (len(path.points) - 1))]
    return point.x, point.y
