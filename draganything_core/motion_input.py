"""What a command line is given: a motion document or a demo folder, and the picture that belongs to it."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from .document import MotionDocument, load_document
from .images import read_picture, resized_picture
from .interchange import detect_format, read_demo_folder
from .types import Size

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class MotionInput:
    """A motion document, its picture (3,H,W) in 0..1 at the document's size, and the folder its files are beside."""

    document: MotionDocument
    image: Tensor
    folder: Path
    name: str


def read_motion(path: Path | str, image: Path | str | None = None) -> MotionInput:
    """The motion in ``path``, a motion document (.json) or a folder (or demo.json) of the authors' demo layout.

    image: the first frame, if it is not the one the document names. A picture of another size than the document's
    canvas is resized to it. What a file is is told by its content. Raises FileNotFoundError or
    ValueError saying which file and what was expected.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file; give a motion document (.json) or a demo folder")
    kind = detect_format(path)
    if kind == "document":
        document, folder, name = load_document(path), path.parent, path.stem
    elif kind == "demo":
        folder = path if path.is_dir() else path.parent
        document, name = _read_demo(path, image), folder.resolve().name
    else:
        raise ValueError(
            f"{path} holds {kind}, which has no picture. Convert it first, with the picture it was drawn on: "
            f"python -m draganything_core.convert {path} motion.json --image FILE"
        )
    if image is None and document.image is None:
        raise ValueError(f"{path}: the document names no picture; give the first frame with --image FILE")
    picture_path = Path(image) if image is not None else folder / str(document.image)
    picture = read_picture(picture_path)
    if Size.of(picture) != document.size:
        logger.warning(
            "%s is %s, the document's canvas %s: the picture is resized to the canvas",
            picture_path,
            Size.of(picture),
            document.size,
        )
        picture = resized_picture(picture, document.size)
    return MotionInput(document, picture, folder, name)


def _read_demo(path: Path, image: Path | str | None) -> MotionDocument:
    # The folder's own picture tells the size the lines were drawn at; another one may have any size.
    try:
        return read_demo_folder(path)
    except FileNotFoundError:
        if image is None:
            raise
        return read_demo_folder(path, image)
