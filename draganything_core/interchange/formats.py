"""The formats as files in memory, in one table: what a browser or a node sends and gets, without a path.

    imported = read(content, "coords.txt", Size(320, 576), frames=25)      # the content says the format
    exported = write(imported.document, "tracks")                          # exported.content is an .npz

Whoever sends a file may mean harm: sizes are checked before anything is unpacked or computed.
"""

from __future__ import annotations

import io
import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from torch import Tensor

from ..document import MaskSource, MotionDocument, document_from_json, dumps
from ..images import resized_picture
from ..masks import decode_rle
from ..types import Entities, Entity, Size
from .archives import arrays_in, demo_in, is_archive, zipped
from .demo_json import read_demo_text, write_demo_folder
from .detect import NUMPY_MAGIC, Format, detect_content
from .host_tracks import PATH_KEY, VISIBILITY_KEY, document_from_host, document_to_host
from .kj import read_coords, read_points_store, write_coords, write_points_store
from .lines import click_on_line
from .losses import collected_losses, warn_lost

LARGEST_FILE = 16 * 2**20  # bytes
LARGEST_TEXT = 4 * 2**20  # bytes
MOST_VALUES = 60_000  # points, lists and objects of a text: reading them takes about a tenth of a millisecond each
MOST_SAMPLES = 1_000_000  # points of all paths in all frames
MOST_MASK_PIXELS = 2**28  # of all masks together
TEXT = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"')  # a JSON string


@dataclass(frozen=True)
class FileFormat:
    """A format as people see it: ``name`` as in ``detect_format``, a label, the file it is saved as by default."""

    name: Format
    label: str
    file_name: str
    media_type: str
    reads: bool = True
    writes: bool = True

    @property
    def extension(self) -> str:
        """The file's, with its dot."""
        return Path(self.file_name).suffix


FILE_FORMATS: tuple[FileFormat, ...] = (
    FileFormat("document", "Motion document", "motion.json", "application/json"),
    FileFormat("kj-points-store", "KJNodes spline editor (points_store)", "points_store.json", "application/json"),
    FileFormat("kj-coords", "KJNodes coordinates (coord_str)", "coordinates.txt", "text/plain"),
    FileFormat("tracks", "TRACKS (.npz)", "tracks.npz", "application/octet-stream"),
    FileFormat("demo", "The authors' demo folder (.zip)", "demo.zip", "application/zip"),
)


@dataclass(frozen=True)
class Imported:
    """What a file holds, its format, and what of it is not kept."""

    document: MotionDocument
    format: Format
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Exported:
    """A file: its usual name, its bytes, and what of the document it does not hold."""

    name: str
    content: bytes
    media_type: str
    warnings: tuple[str, ...]


def file_format(name: str) -> FileFormat:
    """The format of that name. Raises ValueError naming those there are."""
    for known in FILE_FORMATS:
        if known.name == name:
            return known
    names = ", ".join(known.name for known in FILE_FORMATS)
    raise ValueError(f"format: there is none called {name!r:.60}; expected one of {names}")


def read(content: bytes, name: str, size: Size, frames: int) -> Imported:
    """The document in a file's bytes, in any of the formats; the content says which, ``name`` is for messages.

    size and frames serve where the file says neither: the canvas of splines, coordinates, TRACKS and a demo.json
    alone; the frames of splines. A demo folder comes as .zip, its masks go into the document. A demo.json alone has
    no masks: a click where its line starts stands for each thing.

    Raises ValueError that says what is wrong with the file.
    """
    _check_content(content, name)
    with collected_losses() as said:
        if is_archive(content) and (demo := demo_in(content, name)) is not None:
            found: Format = "demo"
            document = demo
        else:
            found = detect_content(content, name)
            document = _READERS[found](content, name, size, frames)
    _check_amount(document, name)
    return Imported(document, found, tuple(said))


def write(document: MotionDocument, format_name: str, picture: Tensor | None = None) -> Exported:
    """A document as a file of a format.

    picture (3,H,W) in 0..1: the demo folder needs it, and a mask inside the document for every thing. Masks also
    tell where discs sit beside their lines (anchor "center") and what a camera carries; without them that is warned of.

    Raises ValueError for an unknown format or what it cannot hold at all.
    """
    known = file_format(format_name)
    _check_amount(document, "the document")
    with collected_losses() as said:
        content = _WRITERS[known.name](document, picture)
    return Exported(known.file_name, content, known.media_type, tuple(said))


def _check_content(content: bytes, name: str) -> None:
    if not content:
        raise ValueError(f"{name}: the file is empty; copy it again")
    if len(content) > LARGEST_FILE:
        raise ValueError(f"{name}: {len(content) / 2**20:.1f} MiB; expected at most {LARGEST_FILE // 2**20} MiB")
    if not (is_archive(content) or content.startswith(NUMPY_MAGIC)):
        check_text(content, name)


def check_text(content: bytes, name: str) -> None:
    """Raises ValueError for a text that is too long or holds too much to be read in seconds, before it is parsed."""
    if len(content) > LARGEST_TEXT:
        raise ValueError(
            f"{name}: {len(content) / 2**20:.1f} MiB of text; expected at most {LARGEST_TEXT // 2**20} MiB"
        )
    outside_texts = TEXT.sub(b"", content)  # a mask's characters are brackets too
    values = outside_texts.count(b"{") + outside_texts.count(b"[")
    if values > MOST_VALUES:
        raise ValueError(f"{name}: {values} points and lists; expected at most {MOST_VALUES}. Thin the lines out.")


def _check_amount(document: MotionDocument, what: str) -> None:
    """Refuses what would take minutes or gigabytes to sample, show or send."""
    points = sum(len(path.points) for path in document.paths)
    if points > MOST_VALUES:
        raise ValueError(f"{what}: {points} points; expected at most {MOST_VALUES}. Thin the lines out.")
    samples = document.frames * len(document.paths)
    if samples > MOST_SAMPLES:
        raise ValueError(
            f"{what}: {len(document.paths)} paths over {document.frames} frames are {samples} points; expected at most "
            f"{MOST_SAMPLES}. Take fewer paths or frames."
        )
    masks = sum(entity.mask is not None for entity in document.entities)
    pixels = masks * document.size.height * document.size.width
    if pixels > MOST_MASK_PIXELS:
        raise ValueError(
            f"{what}: {masks} masks of {document.size} are {pixels} pixels; expected at most {MOST_MASK_PIXELS}. Take "
            "fewer masks or a smaller canvas."
        )


# Reading: (content, name, size, frames) -> document


def _read_document(content: bytes, _name: str, _size: Size, _frames: int) -> MotionDocument:
    return document_from_json(content.decode("utf-8-sig"))


def _read_points_store(content: bytes, _name: str, size: Size, frames: int) -> MotionDocument:
    return read_points_store(content.decode("utf-8-sig"), size, frames)


def _read_coords(content: bytes, _name: str, size: Size, _frames: int) -> MotionDocument:
    return read_coords(content.decode("utf-8-sig"), size)


def _read_tracks(content: bytes, name: str, size: Size, _frames: int) -> MotionDocument:
    arrays = arrays_in(content, name)
    points = arrays.get(PATH_KEY)
    if points is not None and points.size > 2 * MOST_VALUES:
        raise ValueError(f"{name}: {points.size // 2} points; expected at most {MOST_VALUES}. Take fewer tracks.")
    return document_from_host(arrays, size)


def _read_demo_json(content: bytes, name: str, size: Size, _frames: int) -> MotionDocument:
    document = read_demo_text(content.decode("utf-8-sig"), size, name)
    starts = {path.entity: click_on_line(path.points, size) for path in document.paths}
    warn_lost(
        f"{name} alone has no masks; a click where its line starts stands for each thing. For the masks, give the "
        "folder as .zip",
        (entity.mask.file for entity in document.entities if entity.mask and entity.mask.file),
    )
    entities = tuple(replace(entity, mask=None, prompts=starts[entity.id]) for entity in document.entities)
    return replace(document, entities=entities)


_READERS: dict[Format, Callable[[bytes, str, Size, int], MotionDocument]] = {
    "document": _read_document,
    "kj-points-store": _read_points_store,
    "kj-coords": _read_coords,
    "tracks": _read_tracks,
    "demo": _read_demo_json,
}


# Writing: (document, picture) -> content


def _write_document(document: MotionDocument, _picture: Tensor | None) -> bytes:
    return dumps(document).encode()


def _write_points_store(document: MotionDocument, _picture: Tensor | None) -> bytes:
    return (write_points_store(document) + "\n").encode()


def _write_coords(document: MotionDocument, _picture: Tensor | None) -> bytes:
    return (write_coords(document, _entities_if_masked(document)) + "\n").encode()


def _write_tracks(document: MotionDocument, _picture: Tensor | None) -> bytes:
    host = document_to_host(document, _entities_if_masked(document))
    buffer = io.BytesIO()
    np.savez(buffer, track_path=host[PATH_KEY].numpy(), track_visibility=host[VISIBILITY_KEY].numpy())
    return buffer.getvalue()


def _write_demo(document: MotionDocument, picture: Tensor | None) -> bytes:
    if picture is None:
        raise ValueError("a demo folder needs the picture, and none is given. Connect or drop one first.")
    unmasked = [entity.id for entity in document.entities if not _has_inline_mask(entity.mask)]
    if unmasked:
        raise ValueError(
            f"a demo folder needs a mask of every thing, and entities {unmasked} have none in the document. Click on "
            "them, or brush a mask."
        )
    with tempfile.TemporaryDirectory() as folder:
        write_demo_folder(document, _entities(document), resized_picture(picture, document.size), folder)
        return zipped(Path(folder))


_WRITERS: dict[Format, Callable[[MotionDocument, Tensor | None], bytes]] = {
    "document": _write_document,
    "kj-points-store": _write_points_store,
    "kj-coords": _write_coords,
    "tracks": _write_tracks,
    "demo": _write_demo,
}


def _has_inline_mask(mask: MaskSource | None) -> bool:
    return mask is not None and mask.rle is not None


def _entities_if_masked(document: MotionDocument) -> Entities | None:
    return _entities(document) if all(_has_inline_mask(entity.mask) for entity in document.entities) else None


def _entities(document: MotionDocument) -> Entities:
    size = document.size
    items = []
    for entity in document.entities:
        assert entity.mask is not None  # both callers have looked
        assert entity.mask.rle is not None
        mask = decode_rle(entity.mask.rle, size.height, size.width)
        items.append(Entity(entity.id, entity.name, mask, entity.radius))
    return Entities(tuple(items), size)
