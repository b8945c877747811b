"""Motion from one format to another: documents, the authors' demo folders, KJNodes' splines, the host's TRACKS.

    python -m draganything_core.convert demo_folder motion.json
    python -m draganything_core.convert motion.json splines.json --to kj-points-store
    python -m draganything_core.convert coords.txt motion.json --size 512x512 --frames 20
    python -m draganything_core.convert motion.json tracks.npz

IN's format is read off its content. What the new format cannot hold is said in a warning.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import warnings
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor

from .atomic import replacing, write_text
from .command_line import size_argument
from .document import DocumentEntity, MaskSource, MotionDocument, load_document, save_document
from .images import read_picture, resized_picture
from .interchange import (
    FORMATS,
    Format,
    InterchangeWarning,
    detect_format,
    document_from_host,
    document_to_host,
    read_coords,
    read_demo_folder,
    read_points_store,
    read_tracks,
    write_coords,
    write_demo_folder,
    write_points_store,
    write_tracks,
)
from .interchange.demo_json import find_demo_json, picture_size
from .interchange.host_tracks import TRACKS_FILE, VISIBILITY_FILE
from .masks import decode_rle, encode_rle, load_mask
from .segment import GrabCutSegmenter, SamSegmenter, resolve_entities
from .types import Entities, Entity, Size

FORMAT_BY_SUFFIX: dict[str, Format] = {
    ".json": "document",
    ".txt": "kj-coords",
    ".npz": "tracks",
    ".npy": "tracks",
    "": "demo",
}


@dataclass(frozen=True)
class Source:
    """What was read: the document, the folder its files are relative to, and its picture's file if there is one."""

    document: MotionDocument
    folder: Path
    picture: Path | None


def main(argv: list[str] | None = None) -> int:
    """Runs the command line; returns 0, or 2 after one line that says what is wrong."""
    arguments = _parser().parse_args(argv)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", InterchangeWarning)
        try:
            report = convert(
                arguments.input,
                arguments.output,
                arguments.to,
                source_format=arguments.source_format,
                frames=arguments.frames,
                size=arguments.size,
                image=arguments.image,
                sam=arguments.sam,
                force=arguments.force,
            )
        except (ValueError, OSError, ImportError) as error:
            report = None
            message = " ".join(str(error).split())
    for warning in said:
        print(f"warning: {warning.message}", file=sys.stderr)
    if report is None:
        print(f"error: {message}", file=sys.stderr)
        return 2
    print(report)
    return 0


def convert(
    source: Path,
    target: Path,
    target_format: Format | None = None,
    *,
    source_format: Format | None = None,
    frames: int | None = None,
    size: Size | None = None,
    image: Path | None = None,
    sam: Path | None = None,
    force: bool = False,
) -> str:
    """Writes the motion in ``source`` to ``target``; returns one line that says what was written.

    Formats that are not given: the source's is read off its content, the target's off its name. frames, size and
    image say what the source does not; frames also changes a document's length. Entities known by clicks alone get the
    masks they mean where the target needs them, by Segment Anything's weights ``sam`` or else by GrabCut. Raises
    ValueError or an OSError.
    """
    target_format = target_format or _format_by_name(target)
    if not force:
        _refuse_to_overwrite(target)
    read = _read(source, source_format or detect_format(source), frames, size, image)
    if frames is not None:
        read = replace(read, document=replace(read.document, frames=frames))
    if _needs_masks(read.document, target_format):
        read = _with_found_masks(read, sam)
    _write(read, target, target_format, force)
    document = read.document
    count = f"{len(document.paths)} path{'' if len(document.paths) == 1 else 's'}"
    return f"{target}: {target_format}, {count}, {document.frames} frames, canvas {document.size}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m draganything_core.convert",
        description="Convert motion between documents, demo folders, KJNodes splines and TRACKS.",
        epilog="""\
formats:
  document         a motion document (.json)
  demo             the authors' demo folder: demo.jpg, demo.json, masks
  kj-points-store  the points_store of KJNodes' SplineEditor (.json)
  kj-coords        its coord_str, also other nodes' coordinates (.txt)
  tracks           the host's TRACKS as .npz, or Wan-Move's tracks.npy with visibility.npy

example:
  python -m draganything_core.convert Demo/bird motion.json
  python -m draganything_core.convert coords.txt motion.json --size 512x512""",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("input", metavar="IN", type=Path, help="file or folder to read; its content says its format")
    parser.add_argument("output", metavar="OUT", type=Path, help="file or folder to write")
    parser.add_argument("--to", choices=FORMATS, help="OUT's format (default: by its name)")
    parser.add_argument(
        "--from", dest="source_format", choices=FORMATS, help="IN's format, where the content lets one doubt"
    )
    parser.add_argument("--frames", metavar="N", type=_frames, help="frames of the clip (default: what IN says)")
    parser.add_argument(
        "--size", metavar="HxW", type=size_argument, help="canvas of an IN that does not say it, or --image's"
    )
    parser.add_argument("--image", metavar="FILE", type=Path, help="the picture the motion belongs to")
    parser.add_argument("--sam", metavar="FILE", type=Path, help="Segment Anything weights for clicks (or GrabCut)")
    parser.add_argument("--force", action="store_true", help="overwrite what is at OUT")
    return parser


def _frames(text: str) -> int:
    if not re.fullmatch("[0-9]{1,5}", text) or not 1 <= int(text) <= 10_000:
        raise argparse.ArgumentTypeError(f"expected a whole number from 1 to 10000, got {text!r}")
    return int(text)


def _format_by_name(target: Path) -> Format:
    if target.is_dir():
        return "demo"
    try:
        return FORMAT_BY_SUFFIX[target.suffix.lower()]
    except KeyError:
        raise ValueError(
            f"the name {target.name} does not say a format; give --to with one of {', '.join(FORMATS)}"
        ) from None


def _refuse_to_overwrite(target: Path) -> None:
    if target.is_dir() and any(target.iterdir()):
        raise FileExistsError(f"{target} exists and is not empty; give --force to write into it")
    if target.is_file():
        raise FileExistsError(f"{target} exists; give --force to overwrite it")


# Reading


def _read(source: Path, source_format: Format, frames: int | None, size: Size | None, image: Path | None) -> Source:
    folder = source if source.is_dir() else source.parent
    if source_format in ("document", "demo"):
        if source_format == "demo":
            document, folder = read_demo_folder(source, image), find_demo_json(source).parent
        else:
            document = load_document(source)
        if size not in (None, document.size):
            raise ValueError(f"{source} has a canvas of {document.size}; --size {size} is for formats without one")
        return Source(document, folder, image or (folder / document.image if document.image else None))
    canvas = size or (picture_size(image) if image else None)
    if canvas is None:
        raise ValueError(f"{source} ({source_format}) does not say its canvas; give --size HxW or --image FILE")
    return Source(_read_lines(source, source_format, frames, canvas), folder, image)


def _read_lines(source: Path, source_format: Format, frames: int | None, canvas: Size) -> MotionDocument:
    if source_format == "tracks":
        return document_from_host(read_tracks(source / TRACKS_FILE if source.is_dir() else source), canvas, frames)
    text = source.read_text(encoding="utf-8-sig")
    if source_format == "kj-coords":
        return read_coords(text, canvas, frames)
    if frames is None:
        raise ValueError(f"{source} ({source_format}) does not say how many frames the clip has; give --frames N")
    return read_points_store(text, canvas, frames)


# Writing


def _needs_masks(document: MotionDocument, target_format: Format) -> bool:
    """Whether points of the target depend on masks: discs that sit at inscribed centres, a camera that carries them."""
    if target_format == "demo":
        return True
    moved = document.camera is not None or any(path.anchor == "center" for path in document.paths)
    return target_format in ("kj-coords", "tracks") and moved


def _with_found_masks(source: Source, sam: Path | None) -> Source:
    """The same with a mask inline for each entity that has only clicks; unchanged where there is no picture."""
    document = source.document
    clicked = [entity for entity in document.entities if entity.mask is None and entity.prompts is not None]
    if not clicked or source.picture is None:
        return source
    segmenter = SamSegmenter.from_checkpoint(sam) if sam else GrabCutSegmenter()
    picture = resized_picture(read_picture(source.picture), document.size)
    found = resolve_entities(replace(document, entities=tuple(clicked), paths=()), picture, segmenter, source.folder)
    masks = {entity.entity_id: MaskSource(rle=encode_rle(entity.mask)) for entity in found}
    entities = tuple(replace(entity, mask=masks.get(entity.id, entity.mask)) for entity in document.entities)
    return replace(source, document=replace(document, entities=entities))


def _write(source: Source, target: Path, target_format: Format, force: bool) -> None:
    if target_format == "document":
        _write_document(source, target, force)
    elif target_format == "demo":
        _write_demo(source, target)
    elif target_format == "kj-points-store":
        write_text(target, write_points_store(source.document) + "\n")
    elif target_format == "kj-coords":
        write_text(target, write_coords(source.document, _entities_if_masked(source)) + "\n")
    else:
        if target.suffix.lower() == ".npy" and not force:
            _refuse_to_overwrite(target.with_name(VISIBILITY_FILE))
        write_tracks(document_to_host(source.document, _entities_if_masked(source)), target)


def _write_demo(source: Source, target: Path) -> None:
    if source.picture is None:
        raise ValueError("a demo folder needs the picture, and the input names none; give --image FILE")
    unmasked = [entity.id for entity in source.document.entities if entity.mask is None]
    if unmasked:
        raise ValueError(
            f"a demo folder needs masks, and entities {unmasked} have neither masks nor clicks to find them by; "
            "add clicks (prompts) or a mask to each in the document"
        )
    write_demo_folder(source.document, _entities(source), source.picture, target, base_dir=source.folder)


def _write_document(source: Source, target: Path, force: bool) -> None:
    """A document names only files in its own folder: what lies elsewhere comes along, the masks inside the document."""
    document, home = source.document, target.resolve().parent
    entities = tuple(_with_mask_at(home, entity, source) for entity in document.entities)
    image = None
    if source.picture is not None:
        picture = source.picture.resolve()
        picture_size(picture)  # a document must not name what is no picture
        if not picture.is_relative_to(home):
            copy = home / f"{target.stem}{picture.suffix}"
            if not force:
                _refuse_to_overwrite(copy)
            with replacing(copy) as temporary:
                shutil.copyfile(picture, temporary)
            picture = copy
        image = picture.relative_to(home).as_posix()
    save_document(replace(document, entities=entities, image=image), target)


def _with_mask_at(home: Path, entity: DocumentEntity, source: Source) -> DocumentEntity:
    if entity.mask is None or entity.mask.file is None:
        return entity
    file = (source.folder / entity.mask.file).resolve()
    if file.is_relative_to(home):
        return replace(entity, mask=MaskSource(file=file.relative_to(home).as_posix()))
    return replace(entity, mask=MaskSource(rle=encode_rle(_mask(entity.mask, source))))


def _entities_if_masked(source: Source) -> Entities | None:
    return _entities(source) if all(entity.mask is not None for entity in source.document.entities) else None


def _entities(source: Source) -> Entities:
    entities = (
        Entity(entity.id, entity.name, _mask(entity.mask, source), entity.radius)
        for entity in source.document.entities
        if entity.mask is not None
    )
    return Entities(tuple(entities), source.document.size)


def _mask(mask: MaskSource, source: Source) -> Tensor:
    size = source.document.size
    if mask.rle is not None:
        return decode_rle(mask.rle, size.height, size.width)
    return load_mask(source.folder / str(mask.file), (size.height, size.width))


if __name__ == "__main__":
    sys.exit(main())
