"""The pictures of a study: first frames with what was asked drawn on them, and every method's video of the same clip.

All videos of a study are shown at one size a clip, one length and one rate, and pass through the same encoder, so that
nothing but what is in them tells methods apart.
"""

from __future__ import annotations

import base64
import hashlib
import io
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from einops import rearrange
from PIL import Image
from torch import Tensor

from ..evaluation.cases import Cases
from ..evaluation.videos import VideoFolder, video_place
from ..generation import resolve_motion
from ..images import read_picture
from ..motion_input import read_motion
from ..pictures import overlay_frames
from ..segment import GrabCutSegmenter
from ..types import Size, Tracks
from .study import CASES

LONG_SIDE = 640  # px that a shown video has at most
DRAWN_SIDE = 360  # px: pictures narrower than this are enlarged before lines are drawn, so that these stay fine
JPEG_QUALITY = 92
PICTURES = (".png", ".jpg", ".jpeg", ".webp")


class Asked(Protocol):
    """Where first frames and lines come from, clip by clip."""

    @property
    def clips(self) -> tuple[str, ...]: ...

    def picture(self, clip: str) -> AskedPicture | None:
        """What is asked of a clip; None for one of which nothing is."""


@dataclass(frozen=True, eq=False)
class AskedPicture:
    """A first frame (3,H,W) in 0..1 with lines on it, maybe enlarged, and the size of the clip itself."""

    drawn: Tensor
    size: Size


@dataclass(frozen=True, eq=False)
class ShownCase:
    """A case's pictures as data URIs. asked: first frame and lines; videos: of each method, frame by frame."""

    asked: str
    videos: tuple[tuple[str, ...], ...]

    @property
    def mark(self) -> str:
        """sha256 of all of it."""
        return hashlib.sha256("\n".join([self.asked, *sum(self.videos, ())]).encode("ascii")).hexdigest()


class AskedFolder:
    """A folder with CLIP.json, a motion document, for each clip, or CLIP.png, a first frame that has its lines already.

    Where there are documents, pictures are theirs. Raises FileNotFoundError for no such folder, ValueError for an empty
    one.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        if not self.folder.is_dir():
            raise FileNotFoundError(f"--asked {self.folder}: no such folder")
        files = sorted(self.folder.iterdir())
        documents = {file.stem: file for file in files if file.suffix == ".json"}
        self._files = documents or {file.stem: file for file in files if file.suffix.lower() in PICTURES}
        if not self._files:
            raise ValueError(
                f"--asked {self.folder} holds neither motion documents (CLIP.json) nor pictures with lines (CLIP.png)"
            )

    @property
    def clips(self) -> tuple[str, ...]:
        return tuple(self._files)

    def picture(self, clip: str) -> AskedPicture:
        file = self._files[clip]
        if file.suffix.lower() in PICTURES:
            picture = read_picture(file)
            return AskedPicture(picture, Size.of(picture))
        motion = resolve_motion(read_motion(file), GrabCutSegmenter())
        drawn = drawn_lines(motion.image, motion.tracks, motion.names, motion.colors)
        return AskedPicture(drawn, Size.of(motion.image))


class AskedByProtocol:
    """The clips of an evaluation's protocol."""

    def __init__(self, cases: Cases) -> None:
        self.cases = cases
        self._numbers = {clip: number for number, clip in enumerate(cases.clips)}

    @property
    def clips(self) -> tuple[str, ...]:
        return tuple(self._numbers)

    def picture(self, clip: str) -> AskedPicture | None:
        case = self.cases.case(self._numbers[clip])
        if not case.tracks.path_entity.numel():
            return None
        drawn = drawn_lines(case.frames[0], case.tracks, [entity.name for entity in case.entities])
        return AskedPicture(drawn, case.size)


def drawn_lines(
    picture: Tensor, tracks: Tracks, names: Sequence[str], colors: Sequence[str | None] | None = None
) -> Tensor:
    """The first frame (3,H,W) with every line to be followed, its disc at its start."""
    scale = max(1, round(DRAWN_SIDE / picture.shape[-1]))
    frames = picture.expand(tracks.frames, -1, -1, -1)
    return overlay_frames(frames, tracks, names, colors, scale)[0]


def drawn_pictures(
    asked: Asked, folders: Mapping[str, Path], count: int | None = None, seed: int = 0
) -> dict[str, AskedPicture]:
    """What is asked of so many clips, drawn by lot from those that have a video in every folder, by clip, in order.

    folders: by method. count: None for CASES, or all if there are fewer. Raises FileNotFoundError where no clip has all
    videos, ValueError where fewer than count do.
    """
    clips = [clip for clip in asked.clips if all(video_place(folder, clip) for folder in folders.values())]
    if not clips:
        raise FileNotFoundError(
            f"none of {len(asked.clips)} clips has a video in each of {', '.join(map(str, folders.values()))}. A video "
            "is named as its clip, CLIP.mp4, or is a folder CLIP of pictures"
        )
    found: dict[str, AskedPicture] = {}
    for clip in random.Random(seed).sample(clips, len(clips)):
        if len(found) < (count or CASES) and (picture := asked.picture(clip)) is not None:
            found[clip] = picture
    if not found or len(found) < (count or 0):
        raise ValueError(f"only {len(found)} clips have lines and a video of every method; ask for fewer with --cases")
    return {clip: found[clip] for clip in clips if clip in found}


def shown_case(clip: str, asked: AskedPicture, folders: Sequence[VideoFolder]) -> ShownCase:
    """A clip's pictures. Of videos of several lengths, the first frames that all have."""
    size = _shown_size(asked.size)
    frames = min(folder.length(clip) for folder in folders)
    videos = tuple(tuple(map(data_uri, folder.video(clip, frames, size))) for folder in folders)
    return ShownCase(data_uri(asked.drawn), videos)


def data_uri(picture: Tensor) -> str:
    """A picture (3,H,W) in 0..1 as a JPEG inside a page."""
    pixels = (rearrange(picture, "c h w -> h w c").clamp(0, 1) * 255).round().to(torch.uint8).numpy()
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="JPEG", quality=JPEG_QUALITY, subsampling=0)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def _shown_size(size: Size) -> Size:
    scale = min(1.0, LONG_SIDE / max(size.height, size.width))
    return Size(max(1, round(size.height * scale)), max(1, round(size.width * scale)))
