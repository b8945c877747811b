"""Which format a file or folder is in, by what is inside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, get_args

from .demo_json import FILE_NAME, find_demo_json, is_demo
from .host_tracks import TRACKS_FILE
from .kj import is_coords, is_points_store
from .loose_json import parse_text

Format = Literal["document", "demo", "kj-points-store", "kj-coords", "tracks"]
FORMATS: tuple[Format, ...] = get_args(Format)

ZIP_MAGIC, NUMPY_MAGIC = b"PK\x03\x04", b"\x93NUMPY"


def detect_format(path: Path | str) -> Format:
    """The format of a file or folder by its content; its name only helps where a folder holds several files.

    A bare list of points is taken for coord_str unless it has Bezier handles: the oldest points_store looks the same.
    Raises FileNotFoundError when there is nothing, ValueError when it is none of the formats.
    """
    path = Path(path)
    if path.is_dir():
        return _format_of_folder(path)
    if not path.is_file():
        raise FileNotFoundError(f"no such file or folder: {path}")
    return detect_content(path.read_bytes(), str(path))


def detect_content(data: bytes, what: str) -> Format:
    """The format of a file's bytes, as ``detect_format`` tells it; ``what`` names them in errors (ValueError)."""
    if data.startswith((ZIP_MAGIC, NUMPY_MAGIC)):
        return "tracks"
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(f"{what} is neither text nor .npz; expected {_EXPECTED}") from None
    found = _format_of_value(parse_text(text, what))
    if found is None:
        raise ValueError(f"{what} is not in a format known here; expected {_EXPECTED}")
    return found


_EXPECTED = "a motion document, a demo folder, a KJ points_store or coord_str, or TRACKS as .npz"


def _format_of_folder(folder: Path) -> Format:
    if not (folder / FILE_NAME).is_file() and (folder / TRACKS_FILE).is_file():
        return "tracks"
    json_file = find_demo_json(folder)
    if _format_of_value(parse_text(json_file.read_text(encoding="utf-8-sig"), str(json_file))) == "demo":
        return "demo"
    raise ValueError(f"{json_file} is not a demo.json: its entries need mask_name and trajectory")


def _format_of_value(data: Any) -> Format | None:
    if isinstance(data, dict) and {"version", "size", "frames"} <= data.keys():
        return "document"
    if is_demo(data):
        return "demo"
    if is_points_store(data):
        return "kj-points-store"
    return "kj-coords" if is_coords(data) else None
