"""Files that hold files: TRACKS as .npz or .npy, a demo folder as .zip. Nothing is unpickled, sizes come first."""

from __future__ import annotations

import io
import lzma
import tempfile
import tokenize
import zipfile
import zlib
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from ..document import DocumentEntity, MaskSource, MotionDocument
from ..masks import PICTURE_SUFFIXES, encode_rle, load_mask
from ..types import Size
from .demo_json import FILE_NAME, IMAGE_NAME, read_demo_text
from .detect import NUMPY_MAGIC, ZIP_MAGIC
from .host_tracks import PATH_KEY, VISIBILITY_KEY
from .losses import collected_losses, warn_lost

MOST_MEMBERS = 300
LARGEST_UNPACKED = 64 * 2**20  # bytes of all members together
LARGEST_PICTURE = 2**25  # pixels; 8192 x 4096
PICTURE_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "TIFF", "WEBP")  # Pillow knows others, some run programs to decode
MEMBER_MARK = b"PK\x01\x02"
BROKEN = (
    ValueError, OSError, EOFError, MemoryError, OverflowError, TypeError, SyntaxError, RuntimeError, KeyError,
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, tokenize.TokenError,
)  # fmt: skip  # what zipfile and numpy raise on bytes that are not what they say


def is_archive(content: bytes) -> bool:
    """Whether the bytes are a zip, which an .npz is too."""
    return content.startswith(ZIP_MAGIC)


def arrays_in(content: bytes, name: str) -> dict[str, np.ndarray]:
    """TRACKS' two arrays in an .npz, or a lone .npy of points, all of which then count as visible.

    Raises ValueError saying what the file holds instead.
    """
    if content.startswith(NUMPY_MAGIC):
        points = _array(content, name)
        warn_lost(f"{name} has no visibility beside it; every point counts as visible")
        return {PATH_KEY: points, VISIBILITY_KEY: np.ones(points.shape[:-1], dtype=bool)}
    members = _members(content, name)
    found = {key: members[f"{key}.npy"] for key in (PATH_KEY, VISIBILITY_KEY) if f"{key}.npy" in members}
    missing = [key for key in (PATH_KEY, VISIBILITY_KEY) if key not in found]
    if missing:
        held = ", ".join(list(members)[:8]) or "nothing"
        raise ValueError(f"{name}: neither TRACKS nor a demo folder: {' and '.join(missing)} missing; it holds {held}")
    return {key: _array(data, f"{name}, {key}") for key, data in found.items()}


def demo_in(content: bytes, name: str) -> MotionDocument | None:
    """The document of a zipped demo folder, its masks inside; None for a zip that has no .json.

    Raises ValueError naming the member that is missing or wrong.
    """
    members = _members(content, name)
    texts = [path for path in members if path.endswith(".json") and not path.startswith("__MACOSX/")]
    named = sorted((path for path in texts if PurePosixPath(path).name == FILE_NAME), key=len) or texts
    if not named:
        return None
    folder = PurePosixPath(named[0]).parent
    inside = {str(PurePosixPath(p).relative_to(folder)): d for p, d in members.items() if _is_in(p, folder)}
    text, what = inside[PurePosixPath(named[0]).name], f"{name}, {named[0]}"
    try:
        decoded = text.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(f"{what}: it is not UTF-8 text") from None
    with collected_losses():  # said below; this once it only tells the masks' names
        named_masks = read_demo_text(decoded, Size(1, 1), what).entities
    masks = {entity.mask.file for entity in named_masks if entity.mask and entity.mask.file}
    picture = _picture_name(inside, masks, name)
    size = _picture_size(inside[picture], f"{name}, {picture}")
    document = read_demo_text(decoded, size, what)
    _check_mask_pixels(len(masks), size, name)
    warn_lost(f"the picture {picture} stays in {name}; the document goes with the picture that is connected")
    found = {mask: encode_rle(_mask(inside, mask, size, name)) for mask in sorted(masks)}
    return replace(document, entities=tuple(_with_mask(entity, found) for entity in document.entities))


def zipped(folder: Path) -> bytes:
    """A folder's files as a zip; the same files always give the same bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            archive.writestr(zipfile.ZipInfo(file.relative_to(folder).as_posix()), file.read_bytes())
    return buffer.getvalue()


def _members(content: bytes, name: str) -> dict[str, bytes]:
    if content.count(MEMBER_MARK) > MOST_MEMBERS:
        raise ValueError(f"{name}: more than {MOST_MEMBERS} files in it; expected TRACKS or a demo folder")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            files = [info for info in archive.infolist() if not info.is_dir()]
            unpacked = sum(info.file_size for info in files)
            if unpacked <= LARGEST_UNPACKED:
                return {info.filename: archive.read(info) for info in files}
    except BROKEN as error:
        raise ValueError(f"{name}: it cannot be unpacked ({error}). Pack it again as .zip.") from error
    raise ValueError(
        f"{name}: {unpacked / 2**20:.0f} MiB when unpacked; expected at most {LARGEST_UNPACKED // 2**20} MiB"
    )


def _array(data: bytes, what: str) -> np.ndarray:
    try:
        array = np.load(io.BytesIO(data), allow_pickle=False)
    except BROKEN as error:
        raise ValueError(f"{what}: it cannot be read as an .npy of plain numbers ({error})") from error
    if not isinstance(array, np.ndarray):
        raise ValueError(f"{what}: expected one array, got an archive")
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{what}: expected numbers, got {array.dtype}")
    # Torch takes neither the other byte order nor numbers longer than 64 bits.
    return array.astype(np.float64) if array.dtype.itemsize > 8 else array.astype(array.dtype.newbyteorder("="))


def _is_in(path: str, folder: PurePosixPath) -> bool:
    return PurePosixPath(path).is_relative_to(folder)


def _picture_name(inside: dict[str, bytes], masks: set[str], name: str) -> str:
    if IMAGE_NAME in inside:
        return IMAGE_NAME
    pictures = [file for file in inside if PurePosixPath(file).suffix.lower() in PICTURE_SUFFIXES and file not in masks]
    if len(pictures) == 1:
        return pictures[0]
    raise ValueError(
        f"{name}: no {IMAGE_NAME} in it, and {len(pictures)} other pictures that are no masks. Name the picture "
        f"{IMAGE_NAME}."
    )


def _picture_size(data: bytes, what: str) -> Size:
    try:
        with Image.open(io.BytesIO(data), formats=PICTURE_FORMATS) as opened:
            size = Size(opened.height, opened.width)
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"{what}: it cannot be read as a picture ({error})") from error
    if size.height * size.width > LARGEST_PICTURE:
        raise ValueError(f"{what}: {size} is too large; expected at most {LARGEST_PICTURE} pixels. Scale it down.")
    return size


def _check_mask_pixels(count: int, size: Size, name: str) -> None:
    if count * size.height * size.width > 8 * LARGEST_PICTURE:
        raise ValueError(f"{name}: {count} masks of {size} are too many pixels. Scale the picture and masks down.")


def _mask(inside: dict[str, bytes], file: str, size: Size, name: str) -> Tensor:
    if file not in inside:
        there = ", ".join(sorted(inside)[:8])
        raise ValueError(f"{name}: the mask {file} is not in it; it holds {there}")
    _picture_size(inside[file], f"{name}, {file}")
    with tempfile.TemporaryDirectory() as folder:
        unpacked = Path(folder) / "mask"
        unpacked.write_bytes(inside[file])
        try:
            return load_mask(unpacked, (size.height, size.width))
        except (ValueError, SyntaxError) as error:
            raise ValueError(f"{name}, {file}: it cannot be read as a mask; save it as PNG") from error


def _with_mask(entity: DocumentEntity, found: dict[str, str]) -> DocumentEntity:
    assert entity.mask is not None  # demo.json names one for every entry
    assert entity.mask.file is not None
    return replace(entity, mask=MaskSource(rle=found[entity.mask.file]))
