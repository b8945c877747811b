"""What a format cannot hold, said aloud: one warning per kind of loss, naming the entities and paths it touches."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from ..document import ControlPoint, CurveKind, DocumentEntity, Easing, MotionDocument, MotionPath
from .lines import click_on_line, default_name

MOST_NAMED = 12  # places in one warning
EVERY_FRAME = ((0.0, 1.0),)
KJ_HANDLES = "kj_points_store"  # where a reader keeps digits in a document's extra; nobody's loss but that format's


class InterchangeWarning(UserWarning):
    """Something that a format cannot hold, or that a file held and is not kept."""


_collected: ContextVar[list[str] | None] = ContextVar("collected losses", default=None)


@contextmanager
def collected_losses() -> Iterator[list[str]]:
    """A list that fills with what is lost inside the block, instead of warnings.

    Recording warnings changes the whole process, which a server's threads cannot do side by side.
    """
    said: list[str] = []
    token = _collected.set(said)
    try:
        yield said
    finally:
        _collected.reset(token)


def warn_lost(what: str, places: Iterable[str] = ()) -> None:
    """One InterchangeWarning: what is lost, and where (the first places of many)."""
    found = list(places)
    rest = len(found) - MOST_NAMED
    named = ", ".join(found[:MOST_NAMED]) + (f" and {rest} more" if rest > 0 else "")
    message = f"{what}: {named}" if named else what
    said = _collected.get()
    if said is None:
        warnings.warn(message, InterchangeWarning, stacklevel=2)
    else:
        said.append(message)


def warn_losses(document: MotionDocument, format_name: str, lost: Iterable[str]) -> None:
    """Warns once for each kind of loss (a key of LOSSES) that the document meets in a format."""
    for kind in lost:
        words, find = LOSSES[kind]
        places = find(document)
        if places:
            warn_lost(f"{format_name} does not hold {words}", places)


def entity_label(entity: DocumentEntity) -> str:
    """How a warning names an entity."""
    return f"entity {entity.id} ({entity.name})" if entity.name else f"entity {entity.id}"


def path_label(document: MotionDocument, path: MotionPath) -> str:
    """How a warning names a path: by its own name, else by its number, with its entity's."""
    number = next(index for index, other in enumerate(document.paths, start=1) if other is path)
    owner = next((e for e in document.entities if e.id == path.entity), None)
    own_name = f'path {number} "{path.name}"' if path.name else f"path {number}"
    return f"{own_name} of {entity_label(owner)}" if owner else own_name


def is_eased(path: MotionPath) -> bool:
    """Whether the path has a pace or times of its own."""
    return path.easing != Easing() or (path.start, path.end) != (0.0, 1.0)


def _paths_where(condition: Callable[[MotionPath], bool]) -> Callable[[MotionDocument], list[str]]:
    return lambda document: [path_label(document, path) for path in document.paths if condition(path)]


def _entities_where(condition: Callable[[DocumentEntity], bool]) -> Callable[[MotionDocument], list[str]]:
    return lambda document: [entity_label(entity) for entity in document.entities if condition(entity)]


def _sometimes_hidden(document: MotionDocument) -> list[str]:
    def ends_early(path: MotionPath) -> bool:
        cut = path.fit == "cut" and path.timing == "per_point" and not path.static
        return cut and len(path.points) < document.frames

    return _paths_where(lambda path: path.visible != EVERY_FRAME or ends_early(path))(document)


def _has_no_handle(point: ControlPoint) -> bool:
    return point.handle_in is None and point.handle_out is None


def _curve_by_handles(path: MotionPath) -> CurveKind:
    # What a reader takes a line for that comes without its kind of curve.
    return "catmull_rom" if all(_has_no_handle(point) for point in path.points) else "bezier"


def _paths_per_entity(document: MotionDocument) -> dict[int, int]:
    count = {entity.id: 0 for entity in document.entities}
    for path in document.paths:
        count[path.entity] = count.get(path.entity, 0) + 1
    return count


def _idle_entities(document: MotionDocument) -> list[str]:
    count = _paths_per_entity(document)
    return [entity_label(entity) for entity in document.entities if not count[entity.id]]


def _shared_entities(document: MotionDocument) -> list[str]:
    count = _paths_per_entity(document)
    return [entity_label(entity) for entity in document.entities if count[entity.id] > 1]


def _given_names(document: MotionDocument) -> list[str]:
    named = enumerate(document.entities, start=1)
    return [entity_label(entity) for number, entity in named if entity.name not in ("", default_name(number))]


def _prompted_entities(document: MotionDocument) -> list[str]:
    # A click that a reader would set again where the line starts is not lost.
    own = {path.entity: path for path in reversed(document.paths)}

    def is_lost(entity: DocumentEntity) -> bool:
        path = own.get(entity.id)
        recreated = click_on_line(path.points, document.size) if path and path.points else None
        return entity.prompts is not None and entity.prompts != recreated

    return [entity_label(entity) for entity in document.entities if is_lost(entity)]


LOSSES: dict[str, tuple[str, Callable[[MotionDocument], list[str]]]] = {
    "visibility": ("when a disc is visible", _sometimes_hidden),
    "radius_keys": ("radius keys", _paths_where(lambda path: bool(path.radius_keys))),
    "depth": ("depth (the paint order is kept)", _paths_where(lambda path: path.depth is not None)),
    "path_name": ("the names of paths", _paths_where(lambda path: bool(path.name))),
    "easing": ("easing, start and end", _paths_where(is_eased)),
    "curve": (
        "which curve joins the points (set the node's interpolation)",
        _paths_where(lambda path: path.curve != _curve_by_handles(path)),
    ),
    "corner": (
        "Bezier points without handles (the editor gives them handles of its own)",
        _paths_where(lambda path: path.curve == "bezier" and any(_has_no_handle(point) for point in path.points)),
    ),
    "anchor": ("the anchor", _paths_where(lambda path: path.anchor is not None)),
    "open_anchor": (
        "that the anchor is left to the weights (discs sit on the line)",
        _paths_where(lambda path: path.anchor is None and not path.static),
    ),
    "per_point": (
        "that points are samples in time (set sampling_method to controlpoints)",
        _paths_where(lambda path: path.timing == "per_point"),
    ),
    "mask": ("masks", _entities_where(lambda entity: entity.mask is not None)),
    "prompts": ("prompts", _prompted_entities),
    "radius": ("radii", _entities_where(lambda entity: entity.radius is not None)),
    "color": ("colours", _entities_where(lambda entity: entity.color is not None)),
    "editor_flags": ("locked and hidden", _entities_where(lambda entity: entity.locked or entity.hidden)),
    "name": ("the names of entities", _given_names),
    "idle": ("entities without a path", _idle_entities),
    "shared": ("that paths belong to one entity; they read back as one entity each", _shared_entities),
    "camera": ("camera moves", lambda document: ["the camera"] if document.camera is not None else []),
    "image": ("the picture", lambda document: [document.image] if document.image is not None else []),
    "fps": (
        "the frame rate",
        lambda document: [f"{document.fps:g} fps"] if document.fps != MotionDocument.fps else [],
    ),
    "extra": ("what tools stored in the document", lambda document: sorted(document.extra.keys() - {KJ_HANDLES})),
    "canvas": ("the canvas size", lambda document: [f"read it back with size {document.size}"]),
    "frames": ("the number of frames", lambda document: [f"read it back with {document.frames} frames"]),
}
