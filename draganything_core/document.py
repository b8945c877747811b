"""The motion document: what a user draws, as versioned JSON (document.schema.json is its one source)."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from .atomic import write_text
from .document_migrations import migrated
from .document_validation import DocumentError, check_json, check_meaning, check_shape, parse_text, shown
from .types import Size

FORMAT = "draganything-motion"
CURRENT_VERSION = 2

_NOT_OURS = "Files of other programs are brought in by `python -m draganything_core.convert IN OUT`."
_Kind = TypeVar("_Kind")

Anchor = Literal["center", "grabbed_point"]
CurveKind = Literal["polyline", "catmull_rom", "bezier", "freehand"]
Timing = Literal["arc_length", "per_point"]
Fit = Literal["stretch", "hold", "cut"]
MaskScale = Literal["part", "object", "whole"]


@dataclass(frozen=True)
class ControlPoint:
    """One point of a line, in canvas pixels; the handles are offsets from it and matter to Bezier curves only."""

    x: float
    y: float
    handle_in: tuple[float, float] | None = None
    handle_out: tuple[float, float] | None = None


@dataclass(frozen=True)
class Easing:
    """Progress along the line over time, as CSS names it: cubic Bezier through (0,0), (x1,y1), (x2,y2), (1,1).

    kind: "linear", "ease_in", "ease_out", "ease_in_out" or "cubic_bezier" with its four numbers (x within 0..1).
    """

    kind: str = "linear"
    bezier: tuple[float, float, float, float] | None = None

    def __post_init__(self) -> None:
        if (self.kind == "cubic_bezier") != (self.bezier is not None):
            raise ValueError(f"easing {self.kind!r} with numbers {self.bezier}: cubic_bezier has four, the others none")


@dataclass(frozen=True)
class RadiusKey:
    """Radius factor (times the entity's radius) at a time 0..1 of the clip; linear between keys, held outside."""

    time: float
    scale: float


@dataclass(frozen=True)
class MotionPath:
    """One line of one entity.

    anchor: "center" moves the inscribed centre by the line's displacement, "grabbed_point" puts the disc on the
    line itself, None leaves the choice to the weights. timing: "arc_length" walks the curve at the easing's pace,
    "per_point" takes the points as samples in time; ``fit`` then says what happens when there are not as many
    points as frames: "stretch" resamples, "hold" keeps point i for frame i and holds the last one, "cut" hides the
    disc after the last one. start and end: clip times 0..1 between which the disc moves (it rests before and after).
    visible: closed spans [from, to] of clip time 0..1, empty = never. depth: larger is farther and painted earlier.
    static: a pin; the disc rests on the first point (or, with anchor "center", at the inscribed centre), and moves with
    the picture where a camera move carries the entities.
    """

    entity: int
    points: tuple[ControlPoint, ...]
    curve: CurveKind = "catmull_rom"
    timing: Timing = "arc_length"
    fit: Fit = "stretch"
    anchor: Anchor | None = None
    easing: Easing = Easing()
    start: float = 0.0
    end: float = 1.0
    visible: tuple[tuple[float, float], ...] = ((0.0, 1.0),)
    radius_keys: tuple[RadiusKey, ...] = ()
    depth: float | None = None
    static: bool = False
    name: str = ""


@dataclass(frozen=True)
class MaskSource:
    """An entity's mask: inline as a COCO compressed run-length string, or a file beside the document."""

    rle: str | None = None
    file: str | None = None


@dataclass(frozen=True)
class Click:
    """A point prompt; label 1 = on the entity, 0 = not on it."""

    x: float
    y: float
    label: int = 1


@dataclass(frozen=True)
class Box:
    """A box prompt: left, top, width, height in canvas pixels."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Prompts:
    """What a segmenter needs to find the mask; scale picks one of its three answers, None the best rated."""

    points: tuple[Click, ...] = ()
    box: Box | None = None
    scale: MaskScale | None = None


@dataclass(frozen=True)
class DocumentEntity:
    """An entity as the user sees it. A mask, prompts or both; ``radius`` overrides the inscribed circle's (px)."""

    id: int
    name: str
    mask: MaskSource | None = None
    prompts: Prompts | None = None
    radius: float | None = None
    color: str | None = None
    locked: bool = False
    hidden: bool = False


@dataclass(frozen=True)
class Zoom:
    """Zoom by ``factor`` (> 1 nears) about ``center`` (canvas px); ``points`` are the four dragged start points."""

    factor: float
    center: tuple[float, float]
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class CameraMove:
    """A move of the whole picture (paper figure 9d): the image is the entity, one path pans it, four zoom it.

    pan (dx, dy): how far the picture's content moves, canvas px. carries_entities: the other entities' discs move
    and scale with the picture, their own lines on top.
    """

    pan: tuple[float, float] | None = None
    zoom: Zoom | None = None
    easing: Easing = Easing()
    start: float = 0.0
    end: float = 1.0
    carries_entities: bool = True


@dataclass(frozen=True)
class MotionDocument:
    """Everything the user drew on one picture: canvas size, frame count, entities, lines, camera.

    Entities and paths are in paint order (last wins). image: the picture's file beside the document, if saved.
    extra: free for tools (editor view state); kept. The core reads only what its own importers left there.
    """

    size: Size
    frames: int
    entities: tuple[DocumentEntity, ...] = ()
    paths: tuple[MotionPath, ...] = ()
    camera: CameraMove | None = None
    image: str | None = None
    fps: float = 7.0
    extra: dict[str, Any] = field(default_factory=dict)
    version: int = CURRENT_VERSION


def document_from_json(data: dict[str, Any] | str) -> MotionDocument:
    """The document that a JSON object, or its text, describes; older versions are brought up to date.

    Raises DocumentError (a ValueError) that starts with the JSON path of the first thing that is wrong.
    """
    tree = parse_text(data) if isinstance(data, str) else data
    check_json(tree)
    version = _version_of(tree)
    check_shape(tree, version)
    current = migrated(tree, version, CURRENT_VERSION)
    check_meaning(current)
    return _document(current)


def document_to_json(document: MotionDocument) -> dict[str, Any]:
    """The document as a JSON object in a fixed order, without what equals its default.

    Raises DocumentError where the document would not be read again.
    """
    data = {"format": FORMAT, "version": document.version, **_encode(document)}
    check_json(data)
    check_shape(data, _version_of(data))
    check_meaning(data)
    return data


def dumps(document: MotionDocument) -> str:
    """The document as JSON text: one line for each entity and each path, so that differences read well."""
    members = (f"{json.dumps(key)}: {_text(value)}" for key, value in document_to_json(document).items())
    return "{\n  " + ",\n  ".join(members) + "\n}\n"


def load_document(path: Path | str) -> MotionDocument:
    """The document in a file. Raises FileNotFoundError, or DocumentError that also names the file."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"no motion document at {path}; expected a JSON file written by the editor or by convert"
        )
    try:
        return document_from_json(path.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError as error:
        raise DocumentError(
            "$", f"found bytes that are not UTF-8 ({error.reason}), expected JSON text (in {path})"
        ) from None
    except DocumentError as error:
        raise DocumentError(error.json_path, f"{error.reason} (in {path})") from None


def save_document(document: MotionDocument, path: Path | str) -> None:
    """Writes the document as UTF-8 JSON, whole or not at all."""
    write_text(path, dumps(document))


def _version_of(data: Any) -> int:
    """The version of the format, once it is sure that this is a motion document that this program can read."""
    if not isinstance(data, dict):
        raise DocumentError("$", f"found {shown(data)}, expected a motion document, which is an object. {_NOT_OURS}")
    version = data.get("version")
    if version is None:
        raise DocumentError("$.version", f"found nothing, expected {CURRENT_VERSION}. {_NOT_OURS}")
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        raise DocumentError(
            "$.version", f"found {shown(version)}, expected a version 1 to {CURRENT_VERSION}. Correct it."
        )
    if version > CURRENT_VERSION:
        raise DocumentError(
            "$.version",
            f"found {version}, expected at most {CURRENT_VERSION}: the document was made by a newer version. "
            "Update DragAnything to open it.",
        )
    return version


def _encode(value: Any) -> Any:
    """A dataclass as JSON: its fields under their own names, without those that hold their default."""
    if isinstance(value, Easing):
        return {"cubic_bezier": _encode(value.bezier)} if value.kind == "cubic_bezier" else value.kind
    if is_dataclass(value):
        named = ((entry.name, getattr(value, entry.name), entry) for entry in fields(value))
        return {name: _encode(held) for name, held, entry in named if held != _default(entry)}
    if isinstance(value, tuple | list):
        return [_encode(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)  # as JavaScript writes it
    return copy.deepcopy(value) if isinstance(value, dict) else value


def _default(entry: Field[Any]) -> Any:
    return entry.default if entry.default_factory is MISSING else entry.default_factory()


def _decode(kind: type[_Kind], data: dict[str, Any], **convert: Callable[[Any], Any]) -> _Kind:
    """A dataclass from the members that are there; the others keep their default."""
    return kind(**{key: convert[key](value) if key in convert else value for key, value in data.items()})


def _each(convert: Callable[[Any], Any]) -> Callable[[list[Any]], tuple[Any, ...]]:
    return lambda items: tuple(convert(item) for item in items)


_numbers = _each(float)


def _document(data: dict[str, Any]) -> MotionDocument:
    return _decode(
        MotionDocument,
        {key: value for key, value in data.items() if key != "format"},
        size=lambda size: _decode(Size, size, height=int, width=int),
        frames=int,
        entities=_each(_entity),
        paths=_each(_path),
        camera=_camera,
        fps=float,
        extra=copy.deepcopy,
    )


def _entity(data: dict[str, Any]) -> DocumentEntity:
    return _decode(
        DocumentEntity,
        data,
        id=int,
        mask=lambda mask: MaskSource(**mask),
        prompts=lambda prompts: _decode(
            Prompts,
            prompts,
            points=_each(lambda click: _decode(Click, click, x=float, y=float, label=int)),
            box=lambda box: Box(*(float(box[side]) for side in ("x", "y", "width", "height"))),
        ),
        radius=float,
    )


def _path(data: dict[str, Any]) -> MotionPath:
    return _decode(
        MotionPath,
        data,
        entity=int,
        points=_each(
            lambda point: _decode(ControlPoint, point, x=float, y=float, handle_in=_numbers, handle_out=_numbers)
        ),
        easing=_easing,
        start=float,
        end=float,
        visible=_each(_numbers),
        radius_keys=_each(lambda key: RadiusKey(float(key["time"]), float(key["scale"]))),
        depth=float,
    )


def _camera(data: dict[str, Any]) -> CameraMove:
    return _decode(
        CameraMove,
        data,
        pan=_numbers,
        zoom=lambda zoom: Zoom(float(zoom["factor"]), _numbers(zoom["center"]), _each(_numbers)(zoom["points"])),
        easing=_easing,
        start=float,
        end=float,
    )


def _easing(data: str | dict[str, Any]) -> Easing:
    return Easing(data) if isinstance(data, str) else Easing("cubic_bezier", _numbers(data["cubic_bezier"]))


def _text(value: Any) -> str:
    """A top-level member as text: a list of objects takes one line for each."""
    if isinstance(value, list) and value:
        return "[\n    " + ",\n    ".join(json.dumps(item, ensure_ascii=False) for item in value) + "\n  ]"
    return json.dumps(value, ensure_ascii=False)
