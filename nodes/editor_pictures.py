"""The pictures that the editor speaks of: files of the host's input, temp and output folders, and nothing else.

A reference is what the host's /view takes: {"filename", "subfolder", "type"}. The host itself turns it into a path.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import folder_paths
import torch
from PIL import Image
from torch import Tensor

from ..draganything_core.bounded_cache import BoundedCache
from ..draganything_core.images import read_picture, resized_picture
from ..draganything_core.interchange.archives import LARGEST_PICTURE, PICTURE_FORMATS
from ..draganything_core.masks import load_mask
from ..draganything_core.types import Size

FOLDERS = ("input", "temp", "output")
LONGEST_NAME = 1024  # characters
LARGEST_FILE = 128 * 2**20  # bytes
MEMORY = 256 * 2**20  # bytes; a picture on a canvas takes 3 bytes a pixel
UNREADABLE = (ValueError, OSError, SyntaxError, EOFError, TypeError, OverflowError, IndexError, KeyError, MemoryError,
              RuntimeError, struct.error, zlib.error)  # fmt: skip  # what Pillow raises on files that are not whole


class NoPictureError(ValueError):
    """A reference that names no picture; says which and what was expected."""


@dataclass(frozen=True)
class PictureReference:
    """A file in a subfolder of one of the host's three folders."""

    filename: str
    subfolder: str = ""
    type: str = "input"

    @classmethod
    def parse(cls, data: Any, where: str = "image") -> PictureReference:
        """From JSON. Raises NoPictureError naming the member that is wrong."""
        if not isinstance(data, dict):
            raise NoPictureError(f"{where}: expected filename, subfolder and type of a picture, got {data!r:.60}")
        filename, subfolder, kind = data.get("filename"), data.get("subfolder", ""), data.get("type", "input")
        for name, value in (("filename", filename), ("subfolder", subfolder)):
            if not isinstance(value, str) or len(value) > LONGEST_NAME or "\0" in value:
                raise NoPictureError(f"{where}.{name}: expected the name of a file or folder, got {value!r:.60}")
        if not filename:
            raise NoPictureError(f"{where}.filename: it is empty; connect or drop a picture")
        if kind not in FOLDERS:
            raise NoPictureError(f"{where}.type: expected one of {', '.join(FOLDERS)}, got {kind!r:.60}")
        return cls(filename, subfolder, kind)

    @property
    def label(self) -> str:
        """How messages name it."""
        name = f"{self.subfolder}/{self.filename}" if self.subfolder else self.filename
        return f"{name!r:.80} in the {self.type} folder"

    def path(self) -> Path:
        """The file, as the host resolves it. Raises NoPictureError for one that is elsewhere or not there."""
        root = folder_paths.get_directory_by_type(self.type)
        try:
            found = folder_paths.get_annotated_filepath(str(Path(self.subfolder) / self.filename), root)
            path = Path(found).resolve()
            is_file = path.is_file()
        except (ValueError, OSError) as error:  # outside the folder, or no name that a file can have
            raise NoPictureError(f"image: {self.label} cannot be opened; only pictures in it can") from error
        if not any(path.is_relative_to(folder) for folder in _folders()):  # older hosts resolve what is outside, too
            raise NoPictureError(f"image: {self.label} cannot be opened; only pictures in it can")
        if not is_file:
            raise NoPictureError(f"image: there is no {self.label}. Run the node that makes it, or choose it again.")
        return path


class Pictures:
    """Pictures on a canvas, decoded once while they fit into ``memory`` bytes and the file stays as it is."""

    def __init__(self, memory: int = MEMORY) -> None:
        self.cache: BoundedCache[tuple[Path, int, int, Size], Tensor] = BoundedCache(memory)

    def on_canvas(self, reference: PictureReference, size: Size) -> Tensor:
        """(3,H,W) float32 in 0..1 at the canvas's size. Raises NoPictureError for what is no picture, or too large."""
        path = reference.path()
        facts = path.stat()
        key = (path, facts.st_mtime_ns, facts.st_size, size)
        pixels = self.cache.get(key)
        if pixels is None:
            picture = resized_picture(_decoded(path, reference, read_picture), size)
            pixels = (picture * 255).round().to(torch.uint8)
            self.cache.put(key, pixels, pixels.nbytes)
        return pixels.float() / 255

    def mask(self, reference: PictureReference, size: Size) -> Tensor:
        """(H,W) bool: a mask file at the canvas's size."""
        path = reference.path()
        return _decoded(path, reference, lambda file: load_mask(file, (size.height, size.width)))


def check_canvas(size: Size) -> None:
    """Raises ValueError for a canvas of more pixels than a picture may have."""
    if size.height * size.width > LARGEST_PICTURE:
        raise ValueError(f"size: the canvas {size} is too large; expected at most {LARGEST_PICTURE} pixels")


def _folders() -> list[Path]:
    return [Path(folder).resolve() for folder in map(folder_paths.get_directory_by_type, FOLDERS) if folder]


def _decoded(path: Path, reference: PictureReference, decode: Callable[[Path], Tensor]) -> Tensor:
    if path.stat().st_size > LARGEST_FILE:
        raise NoPictureError(f"image: {reference.label} is larger than {LARGEST_FILE // 2**20} MiB. Scale it down.")
    try:
        # The header first: a small file can unpack to gigabytes, and Pillow runs programs for some formats.
        with Image.open(path, formats=PICTURE_FORMATS) as header:
            size = Size(header.height, header.width)
        if size.height * size.width <= LARGEST_PICTURE:
            return decode(path)
    except (*UNREADABLE, Image.DecompressionBombError) as error:
        formats = ", ".join(PICTURE_FORMATS)
        raise NoPictureError(
            f"image: {reference.label} cannot be read as a picture; expected {formats}. Save it as PNG."
        ) from error
    raise NoPictureError(f"image: {reference.label} is {size}; at most {LARGEST_PICTURE} pixels fit. Scale it down.")
