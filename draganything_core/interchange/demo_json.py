"""The folder layout of the authors' demo: demo.jpg, demo.json and one picture per mask.

demo.json maps a key ("1", "2", ...) to {"comment", "mask_name", "trajectory": [[x, y], ...]} in pixels of the picture.
The keys' order is the paint order, a trajectory's points are its frames, and the disc sits on the point itself.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import torch
from einops import rearrange
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from ..atomic import write_bytes, write_text
from ..camera import CAMERA_ENTITY_ID
from ..document import ControlPoint, DocumentEntity, MaskSource, MotionDocument, MotionPath
from ..masks import PICTURE_SUFFIXES, load_mask
from ..types import Entities, Size
from .loose_json import parse_text, pixel, plain
from .losses import warn_losses, warn_lost
from .sampling import SAMPLE_DECIMALS, Line, document_lines

FILE_NAME = "demo.json"
IMAGE_NAME = "demo.jpg"
FORMAT_NAME = "demo.json"
LOST = ("visibility", "radius_keys", "depth", "path_name", "prompts", "radius", "color", "editor_flags", "idle",
        "shared", "open_anchor", "fps", "extra")  # fmt: skip


def read_demo_folder(path: Path | str, image: Path | str | None = None) -> MotionDocument:
    """The document in a demo folder, or in one of a folder's .json files; masks and picture are named, not loaded.

    image: the picture where it is not demo.jpg; it must lie in the folder for the document to name it. The canvas is
    the picture's size, the clip as long as the first trajectory; a trajectory of another length keeps its points and
    is stretched over the clip.

    Raises FileNotFoundError for a missing file (and says which masks there are), ValueError for what is not a demo.
    """
    json_file = find_demo_json(Path(path))
    folder = json_file.parent
    entries = _read_entries(json_file.read_text(encoding="utf-8-sig"), str(json_file))
    for entry in entries:
        if not (folder / entry.mask_name).is_file():
            raise FileNotFoundError(_no_mask(entry, json_file))
    picture = Path(image) if image is not None else _find_picture(folder, {entry.mask_name for entry in entries})
    document = _document(entries, picture_size(picture), str(json_file))
    return replace(document, image=_name_inside(picture, folder))


def read_demo_text(text: str, size: Size, what: str = FILE_NAME) -> MotionDocument:
    """The document in demo.json's text alone: masks are named and not looked for, no picture is.

    size: the picture's, which is not in the text. ``what`` names the text in errors. Raises ValueError.
    """
    return _document(_read_entries(text, what), size, what)


def write_demo_folder(
    document: MotionDocument,
    entities: Entities,
    image: Path | str | Tensor,
    folder: Path | str,
    base_dir: Path | str | None = None,
) -> Path:
    """Writes demo.jpg, the masks and demo.json into a folder; returns the path of demo.json.

    entities: the document's, with their masks on its canvas. image: the picture's file, or (3,H,W) 0..1. base_dir:
    the folder of the document's mask files; those that still are the entities' masks are copied as they are, others
    become PNG. Paths that are more than one point a frame are sampled. Losses are said by InterchangeWarning.

    Raises ValueError when the picture or an entity does not fit the document, or there is nothing to write.
    """
    folder = Path(folder)
    _check_entities(document, entities)
    lines = document_lines(document, FORMAT_NAME, entities, decimals=SAMPLE_DECIMALS)
    if not lines:
        raise ValueError("demo.json needs at least one path; the document has none. Draw a line first.")
    warn_losses(document, FORMAT_NAME, LOST)
    picture = _jpeg(image, document.size)
    masks = _mask_files(document, entities, lines, None if base_dir is None else Path(base_dir))
    write_bytes(folder / IMAGE_NAME, picture)
    for file in masks.values():
        write_bytes(folder / file.name, file.data)
    entries = {
        key: {
            "comment": line.name,
            "mask_name": masks[line.entity_id].name,
            "trajectory": [[plain(x), plain(y)] for x, y in line.points],
        }
        for key, line in zip(_keys(lines), lines, strict=True)
    }
    # Last of all: a folder without demo.json is plainly not finished.
    write_text(folder / FILE_NAME, json.dumps(entries, ensure_ascii=False) + "\n")
    return folder / FILE_NAME


def is_demo(data: Any) -> bool:
    """Whether a JSON value has the shape of demo.json."""
    return (
        isinstance(data, dict)
        and bool(data)
        and all(isinstance(entry, dict) and {"mask_name", "trajectory"} <= entry.keys() for entry in data.values())
    )


def find_demo_json(path: Path) -> Path:
    """The .json file meant by a demo folder or by the file itself. Raises FileNotFoundError naming what is there."""
    if path.is_file():
        return path
    if not path.is_dir():
        raise FileNotFoundError(f"no demo folder {path}; expected a folder that holds {FILE_NAME}, or the .json file")
    if (path / FILE_NAME).is_file():
        return path / FILE_NAME
    others = sorted(file.name for file in path.glob("*.json"))
    raise FileNotFoundError(
        f"no {FILE_NAME} in {path}; "
        + (f"name the file itself: there is {', '.join(others)}" if others else "the folder holds no .json file")
    )


def picture_size(path: Path) -> Size:
    """The size of a picture file, read from its header. Raises FileNotFoundError or ValueError."""
    if not path.is_file():
        raise FileNotFoundError(f"no picture {path}; check its name and folder")
    try:
        with Image.open(path) as picture:
            return Size(picture.height, picture.width)
    except (UnidentifiedImageError, OSError) as error:
        raise ValueError(f"{path} cannot be read as a picture: {error}") from error


@dataclass(frozen=True)
class _Entry:
    key: str
    comment: str
    mask_name: str
    points: tuple[ControlPoint, ...]


@dataclass(frozen=True)
class _MaskFile:
    name: str
    data: bytes


def _document(entries: list[_Entry], size: Size, what: str) -> MotionDocument:
    numbers = _entity_numbers(entries, what)
    return MotionDocument(
        size=size,
        frames=len(entries[0].points),
        entities=tuple(
            DocumentEntity(id=number, name=entry.comment, mask=MaskSource(file=entry.mask_name))
            for number, entry in zip(numbers, entries, strict=True)
        ),
        paths=tuple(
            MotionPath(
                entity=number,
                points=entry.points,
                curve="polyline",
                timing="per_point",
                fit="stretch",
                anchor="grabbed_point",
            )
            for number, entry in zip(numbers, entries, strict=True)
        ),
    )


def _read_entries(text: str, what: str) -> list[_Entry]:
    data = parse_text(text, what)
    if not isinstance(data, dict):
        raise ValueError(f"{what}: expected an object of entries, got a {type(data).__name__}")
    if not data:
        raise ValueError(f'{what}: no entries; expected at least one like {{"1": {{"mask_name": ...}}}}')
    extra = {key: sorted(entry.keys() - _KNOWN) for key, entry in data.items() if isinstance(entry, dict)}
    if any(extra.values()):
        warn_lost(
            f"{Path(what).name} holds keys that are not kept",
            (f"entry {key} ({', '.join(names)})" for key, names in extra.items() if names),
        )
    return [_read_entry(str(key), entry, f'{what}: entry "{key}"') for key, entry in data.items()]


_KNOWN = {"comment", "mask_name", "trajectory"}


def _read_entry(key: str, entry: Any, where: str) -> _Entry:
    if not isinstance(entry, dict):
        raise ValueError(f"{where}: expected an object with mask_name and trajectory, got {entry!r:.40}")
    for name in ("mask_name", "trajectory"):
        if name not in entry:
            raise ValueError(f"{where}: {name} is missing; it has {', '.join(map(str, entry)) or 'nothing'}")
    comment, mask_name, trajectory = entry.get("comment", ""), entry["mask_name"], entry["trajectory"]
    if not isinstance(comment, str):
        raise ValueError(f"{where}: comment must be text, got {comment!r:.40}")
    if not isinstance(mask_name, str) or not _stays_inside(mask_name):
        raise ValueError(f"{where}: mask_name must name a file inside the folder, got {mask_name!r:.60}")
    if not isinstance(trajectory, (list, tuple)) or not trajectory:
        raise ValueError(f"{where}: trajectory must be a list of [x, y] points, at least one, got {trajectory!r:.40}")
    return _Entry(key, comment, mask_name, tuple(_read_point(p, i, where) for i, p in enumerate(trajectory)))


def _read_point(point: Any, index: int, where: str) -> ControlPoint:
    if not isinstance(point, (list, tuple)) or len(point) != 2:
        raise ValueError(f"{where}: point {index} must be [x, y], got {point!r:.40}")
    x, y = (pixel(value, f"{where}: point {index}") for value in point)
    return ControlPoint(x, y)


def _entity_numbers(entries: list[_Entry], what: str) -> list[int]:
    # A file's own numbers stay, so that the entries go back under the keys they came from.
    if all(re.fullmatch(r"[1-9][0-9]{0,8}", entry.key) for entry in entries):
        return [int(entry.key) for entry in entries]
    warn_lost(f"{Path(what).name}: the entries are numbered from 1, other keys are not kept", (e.key for e in entries))
    return list(range(1, len(entries) + 1))


def _no_mask(entry: _Entry, json_file: Path) -> str:
    others = sorted(p.name for p in json_file.parent.iterdir() if _is_picture(p) and p.name != IMAGE_NAME)
    there = f"the folder holds {', '.join(others)}" if others else "the folder holds no other picture"
    return f'{json_file}: entry "{entry.key}" names the mask {entry.mask_name}, which is not there; {there}'


def _find_picture(folder: Path, mask_names: set[str]) -> Path:
    if (folder / IMAGE_NAME).is_file():
        return folder / IMAGE_NAME
    pictures = [p for p in sorted(folder.iterdir()) if _is_picture(p) and p.name not in mask_names]
    # The authors keep a segmenter's three answers beside the one they name: 0_car.jpg, 1_car.jpg, 2_car.jpg.
    candidates = [p for p in pictures if not re.match(r"[012]_", p.name)]
    if len(candidates) == 1:
        return candidates[0]
    found = f"it could be {', '.join(p.name for p in candidates)}" if candidates else "there is no other picture"
    raise FileNotFoundError(f"no {IMAGE_NAME} in {folder} and {found}; say which picture is meant (image=, --image)")


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in PICTURE_SUFFIXES


def _stays_inside(name: str) -> bool:
    parts = PurePosixPath(name)
    return bool(name) and not parts.is_absolute() and ".." not in parts.parts and not re.search(r"[\\:\x00-\x1f]", name)


def _name_inside(picture: Path, folder: Path) -> str | None:
    picture, folder = picture.resolve(), folder.resolve()
    return picture.relative_to(folder).as_posix() if picture.is_relative_to(folder) else None


def _check_entities(document: MotionDocument, entities: Entities) -> None:
    if entities.size != document.size:
        raise ValueError(
            f"the entities' masks are {entities.size}, the document's canvas is {document.size}; resize them"
        )
    missing = {path.entity for path in document.paths} - {entity.entity_id for entity in entities}
    if missing:
        raise ValueError(f"the document moves entities {sorted(missing)}, which have no mask among those given")


def _keys(lines: list[Line]) -> Iterable[str]:
    # Entities keep their numbers as keys where one entry is one entity; else entries are counted.
    numbers = [line.entity_id for line in lines]
    unique = len(set(numbers)) == len(numbers) and CAMERA_ENTITY_ID not in numbers
    return (str(number) for number in (numbers if unique else range(1, len(lines) + 1)))


def _jpeg(image: Path | str | Tensor, size: Size) -> bytes:
    if isinstance(image, Tensor):
        found = Size.of(image)
        picture = Image.fromarray(_uint8(rearrange(image, "c h w -> h w c")))
    else:
        found = picture_size(Path(image))
    if found != size:
        raise ValueError(f"the picture is {found}, the document's canvas is {size}; give the picture it was drawn on")
    if not isinstance(image, Tensor):
        with Image.open(image) as opened:
            if opened.format == "JPEG":
                return Path(image).read_bytes()
            picture = opened.convert("RGB")
    warn_lost(f"{IMAGE_NAME} is written as JPEG, which is not lossless", ["the picture"])
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=95, subsampling=0)
    return buffer.getvalue()


def _mask_files(
    document: MotionDocument, entities: Entities, lines: list[Line], base_dir: Path | None
) -> dict[int, _MaskFile]:
    # A file for each entity id; two entities share a name only where their files are the same.
    named = {entity.id: entity.mask.file for entity in document.entities if entity.mask and entity.mask.file}
    sources = {number: file for number, file in named.items() if _stays_inside(file)}
    masks = {entity.entity_id: entity.mask for entity in entities}
    names = {line.entity_id: line.name for line in lines}
    taken: dict[str, bytes] = {IMAGE_NAME: b"", FILE_NAME: b""}
    files: dict[int, _MaskFile] = {}
    for number, entity_name in names.items():
        if number == CAMERA_ENTITY_ID:
            mask = torch.ones(document.size.height, document.size.width, dtype=torch.bool)
        else:
            mask = masks[number]
        source = sources.get(number)
        file = _unchanged(source, mask, base_dir)
        if file is None:
            file = _MaskFile(_png_name(number, entity_name, source), _png(mask))
        while taken.get(file.name, file.data) != file.data:
            path = PurePosixPath(file.name)
            file = _MaskFile(str(path.with_stem(f"{path.stem}_{number}")), file.data)
        taken[file.name] = file.data
        files[number] = file
    return files


def _unchanged(source: str | None, mask: Tensor, base_dir: Path | None) -> _MaskFile | None:
    if source is None or base_dir is None or not (base_dir / source).is_file():
        return None
    if not torch.equal(load_mask(base_dir / source, size=(mask.shape[0], mask.shape[1])), mask.cpu()):
        return None
    return _MaskFile(source, (base_dir / source).read_bytes())


def _png_name(number: int, entity_name: str, source: str | None) -> str:
    if source is not None:
        return str(PurePosixPath(source).with_suffix(".png"))
    words = re.sub(r"[^0-9A-Za-z]+", "_", entity_name).strip("_")[:40]
    return f"{number}_{words}.png" if words else f"{number}.png"


def _png(mask: Tensor) -> bytes:
    # Only 255 counts as mask in the authors' demo.
    buffer = io.BytesIO()
    Image.fromarray(mask.cpu().numpy().astype(np.uint8) * 255).save(buffer, "PNG")
    return buffer.getvalue()


def _uint8(image: Tensor) -> np.ndarray:
    scaled: np.ndarray = (image.detach().float().cpu().clamp(0, 1) * 255).round().to(torch.uint8).numpy()
    return scaled
