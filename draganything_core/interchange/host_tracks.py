"""The host's TRACKS: {"track_path": (T,N,2) float (x, y) px, "track_visibility": (T,N) bool}; on disk as .npz or .npy.

TRACKS are points that are followed through the clip. They have no entities, radii, canvas or paint order beyond N's.
On disk: an .npz with the two arrays, or Wan-Move's pair of files, tracks.npy (1,T,N,2) and visibility.npy (1,T,N).
"""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from einops import repeat
from torch import Tensor

from ..atomic import write_bytes
from ..document import ControlPoint, MotionDocument, MotionPath
from ..types import Entities, Size, Tracks
from .lines import line_entity
from .loose_json import FARTHEST_PIXEL
from .losses import EVERY_FRAME, warn_losses, warn_lost
from .sampling import document_lines, drawn_visibility

HostTracks = dict[str, Tensor]

FORMAT_NAME = "TRACKS"
PATH_KEY = "track_path"
VISIBILITY_KEY = "track_visibility"
TRACKS_FILE, VISIBILITY_FILE = "tracks.npy", "visibility.npy"  # Wan-Move's names
UNNAMED = "an array without a name"  # what an .npy holds
LOST = ("canvas", "mask", "prompts", "radius", "color", "editor_flags", "name", "idle", "shared", "open_anchor",
        "radius_keys", "depth", "path_name", "image", "fps", "extra")  # fmt: skip


def tracks_to_host(tracks: Tracks) -> HostTracks:
    """The host's TRACKS of some tracks, N = P: track_path (T,P,2) float32 and track_visibility (T,P) bool, on the CPU.

    Which entity a path moves, the radii and the canvas stay behind; radii that change say so (InterchangeWarning).
    """
    changing = (tracks.radii != tracks.radii[:1]).any(dim=0).nonzero().flatten().tolist()
    if changing:
        warn_lost(f"{FORMAT_NAME} does not hold radii that change", (f"path {index + 1}" for index in changing))
    return {PATH_KEY: tracks.paths.detach().float().cpu(), VISIBILITY_KEY: tracks.visibility.cpu()}


def tracks_from_host(host: Mapping[str, Any], entities: Entities) -> Tracks:
    """Tracks that move entities: track i moves entity i where there are as many of them, else the entity it starts on.

    host: TRACKS with (T,N) visibility, or (T,1) for all alike. The canvas is the entities', discs sit on the tracks
    and have the entities' radii. A track starts where it is visible first; where masks overlap the last one has it.

    Raises ValueError on wrong shapes, numbers that are not finite, or a track that starts on no entity.
    """
    paths, visibility = _checked(host)
    count = paths.shape[1]
    if count == len(entities):
        owners = list(range(count))
    else:
        owners = [_entity_under(paths[:, i], visibility[:, i], entities, i + 1) for i in range(count)]
    radii = torch.tensor([entities[owner].radius for owner in owners], dtype=torch.float32)
    return Tracks(
        paths=paths,
        path_entity=torch.tensor(owners, dtype=torch.long),
        visibility=visibility,
        radii=repeat(radii, "p -> t p", t=paths.shape[0]),
        size=entities.size,
    )


def document_from_host(host: Mapping[str, Any], size: Size, frames: int | None = None) -> MotionDocument:
    """The document of TRACKS: one entity and one list of samples per track, its visibility as spans of time.

    size: the canvas, which TRACKS do not hold; frames: by default their T. The disc sits on the track (anchor
    "grabbed_point"), and an entity's prompt is a click where its track starts. Raises ValueError as tracks_from_host.
    """
    paths, visibility = _checked(host)
    lines = [tuple(ControlPoint(x, y) for x, y in track.tolist()) for track in paths.unbind(dim=1)]
    return MotionDocument(
        size=size,
        frames=frames or paths.shape[0],
        entities=tuple(line_entity(number, line, size) for number, line in enumerate(lines, start=1)),
        paths=tuple(
            MotionPath(
                entity=number,
                points=line,
                curve="polyline",
                timing="per_point",
                fit="stretch",
                anchor="grabbed_point",
                visible=_spans(visible.tolist()),
            )
            for number, (line, visible) in enumerate(zip(lines, visibility.unbind(dim=1), strict=True), start=1)
        ),
    )


def document_to_host(document: MotionDocument, entities: Entities | None = None) -> HostTracks:
    """The host's TRACKS of a document, N = its paths in paint order: where each disc is in every frame.

    entities: the document's masks, for the camera and for discs that sit beside their line (anchor "center").
    Visible is what was drawn so; a track that leaves the canvas stays visible, the host looks after that itself.

    Says by InterchangeWarning what is lost. Raises ValueError when there is nothing to write.
    """
    warn_losses(document, FORMAT_NAME, LOST)
    lines = document_lines(document, FORMAT_NAME, entities, ragged=False)
    if not lines:
        raise ValueError(f"{FORMAT_NAME} need at least one path; the document has none. Draw a line first.")
    always = torch.ones(document.frames, dtype=torch.bool)
    visibility = [always if line.path is None else drawn_visibility(line.path, document) for line in lines]
    return {
        PATH_KEY: torch.tensor([line.points for line in lines], dtype=torch.float32).transpose(0, 1).contiguous(),
        VISIBILITY_KEY: torch.stack(visibility, dim=1),
    }


def read_tracks(path: Path | str) -> HostTracks:
    """TRACKS from an .npz, or from Wan-Move's tracks.npy with visibility.npy beside it. Nothing is unpickled.

    Raises FileNotFoundError, or ValueError saying what the file holds instead.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no TRACKS file {path}; expected an .npz with {PATH_KEY} and {VISIBILITY_KEY}")
    arrays = _loaded(path)
    if PATH_KEY not in arrays and UNNAMED in arrays:
        arrays = _wan_move_pair(path, arrays[UNNAMED])
    missing = [key for key in (PATH_KEY, VISIBILITY_KEY) if key not in arrays]
    if missing:
        raise ValueError(f"{path}: {' and '.join(missing)} missing; it holds {', '.join(arrays) or 'nothing'}")
    return dict(zip((PATH_KEY, VISIBILITY_KEY), _checked(arrays), strict=True))


def write_tracks(host: Mapping[str, Any], path: Path | str) -> list[Path]:
    """Writes TRACKS and returns the files written: Wan-Move's pair of files if the name ends in .npy, else an .npz."""
    path = Path(path)
    paths, visibility = (tensor.numpy() for tensor in _checked(host))
    if path.suffix.lower() == ".npy":
        beside = path.with_name(VISIBILITY_FILE)
        write_bytes(beside, _saved(lambda file: np.save(file, visibility[None])))
        write_bytes(path, _saved(lambda file: np.save(file, paths[None])))
        return [path, beside]
    write_bytes(path, _saved(lambda file: np.savez(file, track_path=paths, track_visibility=visibility)))
    return [path]


def _loaded(path: Path) -> dict[str, np.ndarray]:
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return {UNNAMED: loaded}
        with loaded:
            return {name: loaded[name] for name in loaded.files}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} cannot be read as .npz or .npy of plain numbers: {error}") from error


def _wan_move_pair(path: Path, points: np.ndarray) -> dict[str, np.ndarray]:
    beside = path.with_name(VISIBILITY_FILE)
    if beside.is_file():
        return {PATH_KEY: points, VISIBILITY_KEY: _loaded(beside).get(UNNAMED, np.empty(0))}
    warn_lost(f"there is no {VISIBILITY_FILE} beside {path.name}; every point counts as visible")
    return {PATH_KEY: points, VISIBILITY_KEY: np.ones(points.shape[:-1], dtype=bool)}


def _saved(save: Callable[[io.BytesIO], None]) -> bytes:
    buffer = io.BytesIO()
    save(buffer)
    return buffer.getvalue()


def _checked(host: Mapping[str, Any]) -> tuple[Tensor, Tensor]:
    """(T,N,2) float32 and (T,N) bool, without a leading batch of one, (T,1) visibility spread over the tracks."""
    for key in (PATH_KEY, VISIBILITY_KEY):
        if key not in host:
            raise ValueError(f"{FORMAT_NAME}: {key} is missing; there is {', '.join(map(str, host)) or 'nothing'}")
    given = _tensor(host[PATH_KEY], PATH_KEY)
    shape = tuple(given.shape)
    if given.ndim == 4 and shape[0] == 1:
        given = given[0]
    if given.ndim != 3 or given.shape[-1] != 2 or given.numel() == 0:
        raise ValueError(f"{FORMAT_NAME}: {PATH_KEY} must be (T, N, 2) x, y pixels with T, N >= 1, got shape {shape}")
    if not bool(torch.isfinite(given).all()) or bool((given.abs() > FARTHEST_PIXEL).any()):
        raise ValueError(
            f"{FORMAT_NAME}: {PATH_KEY} holds a value that is not a number of pixels between -{FARTHEST_PIXEL} and "
            f"{FARTHEST_PIXEL}; give points that are not visible some finite place"
        )
    paths = given.detach().cpu().float()
    if given.dtype == torch.float64 and not torch.equal(paths.double(), given.cpu()):
        warn_lost(f"{FORMAT_NAME} are 32 bit floats; {PATH_KEY} is rounded to them")
    return paths.clone(), _visibility(_tensor(host[VISIBILITY_KEY], VISIBILITY_KEY), paths)


def _visibility(given: Tensor, paths: Tensor) -> Tensor:
    frames, count = paths.shape[:2]
    visible = given[0] if given.ndim == 3 and given.shape[0] == 1 else given
    if tuple(visible.shape) not in ((frames, count), (frames, 1)):
        raise ValueError(
            f"{FORMAT_NAME}: {VISIBILITY_KEY} must be ({frames}, {count}) or ({frames}, 1) to match {PATH_KEY}, "
            f"got shape {tuple(given.shape)}"
        )
    return (visible.detach().cpu() > 0.5).expand(frames, count).clone()


def _tensor(value: Any, key: str) -> Tensor:
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        return torch.from_numpy(np.ascontiguousarray(value))
    if isinstance(value, Tensor) and not value.is_complex():
        return value
    raise ValueError(f"{FORMAT_NAME}: {key} must be a tensor or an array of numbers, got {value!r:.60}")


def _entity_under(track: Tensor, visible: Tensor, entities: Entities, number: int) -> int:
    seen = visible.nonzero().flatten().tolist()
    x, y = track[seen[0] if seen else 0].tolist()
    column, row = math.floor(x + 0.5), math.floor(y + 0.5)
    inside = 0 <= column < entities.size.width and 0 <= row < entities.size.height
    owners = [index for index, entity in enumerate(entities) if inside and bool(entity.mask[row, column])]
    if not owners:
        raise ValueError(
            f"{FORMAT_NAME}: track {number} starts at ({x:g}, {y:g}), where no entity's mask is. Give as many tracks "
            f"as entities (there are {len(entities)}), in their order, or start each track on its entity."
        )
    return owners[-1]


def _spans(visible: list[bool]) -> tuple[tuple[float, float], ...]:
    """The spans of clip time 0..1 in which a track is visible, from the first frame of each run to its last."""
    if all(visible):
        return EVERY_FRAME
    last = len(visible) - 1 or 1
    starts = [i for i, seen in enumerate(visible) if seen and (i == 0 or not visible[i - 1])]
    ends = [i for i, seen in enumerate(visible) if seen and (i == len(visible) - 1 or not visible[i + 1])]
    return tuple((start / last, end / last) for start, end in zip(starts, ends, strict=True))
