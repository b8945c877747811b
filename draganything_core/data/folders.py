"""Plain folders of pictures or videos, with id masks beside them; and the frame sources all readers share.

Two layouts, told by content. CLIP is any name, a video any file PyAV decodes.

    ROOT/frames/CLIP/*.jpg or ROOT/frames/CLIP.mp4        ROOT/masks/CLIP/*.png        a tree of frames, one of masks
    ROOT/CLIP/*.jpg or ROOT/CLIP.mp4                      ROOT/CLIP_masks/*.png        masks beside the frames

A single clip may be given itself: a folder of pictures, or a video file. A mask is a PNG of one channel whose pixels
are ids, 0 for none. It has its picture's name; beside a video, its name is the frame's number counted from 0. Masks
are given for every frame, for the first frame only, or not at all.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import av
import torch
from einops import rearrange
from PIL import Image
from torch import Tensor

from ..images import read_picture
from ..masks import PICTURE_SUFFIXES
from ..types import Size
from .clips import Clip, ClipSource, IdLabel, reading, some_of

DEFAULT_FPS = 7.0  # of pictures, which tell no rate: the one Stable Video Diffusion's samples are shown at
MASKS = "_masks"
VIDEO_SUFFIXES = frozenset({".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm"})


@dataclass(frozen=True, eq=False)
class PictureFrames:
    """Frames that are one picture file each."""

    files: tuple[Path, ...]

    def __len__(self) -> int:
        return len(self.files)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(str(file) for file in self.files)

    @cached_property
    def size(self) -> Size:
        if not self.files[0].is_file():
            raise FileNotFoundError(f"{self.files[0]}: no such picture; was it moved?")
        with reading(self.files[0]), Image.open(self.files[0]) as picture:
            return Size(picture.height, picture.width)

    def read(self) -> Iterator[Tensor]:
        for file in self.files:
            try:
                yield read_picture(file)
            except SyntaxError as error:  # what Pillow raises on some broken PNGs
                raise ValueError(f"{file} cannot be read: {error}") from error

    def sliced(self, frames: slice) -> PictureFrames:
        return PictureFrames(self.files[frames])


@dataclass(frozen=True, eq=False)
class VideoFrames:
    """Frames of one video file, decoded from its start up to the last one wanted. numbers: which of its frames."""

    file: Path
    numbers: range
    size: Size

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def files(self) -> tuple[Path, ...]:
        return (self.file,)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(f"{self.file} frame {number}" for number in self.numbers)

    def read(self) -> Iterator[Tensor]:
        decoded = -1
        try:
            with av.open(str(self.file)) as container:
                for decoded, frame in enumerate(container.decode(video=0)):
                    if decoded in self.numbers:
                        pixels = torch.from_numpy(frame.to_ndarray(format="rgb24"))
                        yield rearrange(pixels, "h w c -> c h w").float() / 255
                    if decoded == self.numbers[-1]:
                        return
        except av.error.FFmpegError as error:
            raise ValueError(f"{self.file} cannot be read after frame {decoded}: {error}") from error
        raise ValueError(
            f"{self.file} ends after {decoded + 1} frames, frame {self.numbers[-1]} was expected; is the file cut off?"
        )

    def sliced(self, frames: slice) -> VideoFrames:
        return replace(self, numbers=self.numbers[frames])


def open_video(file: Path) -> tuple[VideoFrames, float]:
    """A video's frames, none of them decoded yet, and its frames per second.

    Raises ValueError naming the file if it is no video.
    """
    try:
        with av.open(str(file)) as container:
            if not container.streams.video:
                raise ValueError(f"{file} holds no video stream")
            stream = container.streams.video[0]
            # Some containers do not say how many frames there are; then the packets are counted, still undecoded.
            count = stream.frames or sum(1 for packet in container.demux(stream) if packet.size)
            size, rate = Size(stream.height, stream.width), stream.average_rate
    except av.error.FFmpegError as error:
        raise ValueError(f"{file} cannot be read as a video: {error}") from error
    if not rate:
        raise ValueError(f"{file} does not tell its frames per second; write it as .mp4")
    return VideoFrames(file, range(count), size), float(rate)


def pictures_in(folder: Path) -> tuple[Path, ...]:
    """The picture files in a folder, without hidden ones, by name: frame 2 before frame 10, padded or not."""
    files = [
        file for file in folder.iterdir() if file.suffix.lower() in PICTURE_SUFFIXES and not file.name.startswith(".")
    ]
    return tuple(sorted(files, key=lambda file: (_natural_order(file.name), file.name)))


def folders_in(folder: Path) -> tuple[str, ...]:
    """The names of a folder's subfolders, sorted, without hidden ones."""
    return tuple(sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith(".")))


def frames_of(clip_id: str, folder: Path) -> PictureFrames:
    """A clip's folder of pictures as frames in the order of their names."""
    if not folder.is_dir():
        raise FileNotFoundError(f"clip {clip_id}: no folder {folder}; put the frames there")
    files = pictures_in(folder)
    if not files:
        raise ValueError(f"clip {clip_id}: {folder} holds no pictures; put the frames there")
    for file, other in pairwise(sorted(files, key=lambda file: file.stem)):
        if file.stem == other.stem:
            raise ValueError(
                f"clip {clip_id}: {file} and {other.name} would be one frame; keep masks in another folder"
            )
    return PictureFrames(files)


def masks_of(clip_id: str, frames: PictureFrames, folder: Path) -> tuple[Path, ...]:
    """The mask of every frame: the PNG of its name in the folder, there or not.

    Raises FileNotFoundError for a mask whose frame is missing: two halves of a clip that do not fit are not paired.
    """
    files = tuple(folder / f"{file.stem}.png" for file in frames.files)
    unpaired = sorted({file.stem for file in pictures_in(folder)} - {file.stem for file in files})
    if unpaired:
        missing = frames.files[0].with_stem(unpaired[0])
        raise FileNotFoundError(f"clip {clip_id}: {folder} has masks of {some_of(unpaired)}, but there is no {missing}")
    return files


def listed_ids(file: Path, folder: Path) -> tuple[str, ...]:
    """The clip ids in a split's text file, one a line, sorted. ``folder`` must hold them all."""
    ids = sorted({line.strip() for line in file.read_text(encoding="utf-8").splitlines()} - {""})
    missing = sorted(set(ids) - set(folders_in(folder)))
    if missing:
        raise FileNotFoundError(f"{file} lists {len(missing)} clips that {folder} does not hold: {some_of(missing)}")
    return tuple(ids)


class Folders(ClipSource):
    """Plain folders of pictures or videos, as this module's text describes them. Every id but 0 is a thing."""

    name = "plain folders"

    def __init__(self, root: Path | str, split: str | None = None, fps: float | None = None) -> None:
        if split is not None:
            raise ValueError(f"{root}: plain folders have no splits, got split {split!r}; give a folder for each")
        self.root = Path(root)
        self.fps = fps
        self._clips = _clips_in(self.root)
        if not self._clips:
            raise ValueError(
                f"{root} holds no clips. Expected a dataset's root (VIPSeg: imgs or images, and panomasks; DAVIS: "
                "JPEGImages and ImageSets; YouTube-VOS: JPEGImages and meta.json, also inside train), or folders of "
                "pictures, or videos, with masks in NAME_masks beside them or in the trees frames and masks."
            )
        self.clip_ids = tuple(sorted(self._clips))

    def clip(self, clip_id: str) -> Clip:
        place, mask_folder = self._clips[self.checked_id(clip_id)]
        has_masks = mask_folder.is_dir()
        if place.is_dir():
            pictures = frames_of(clip_id, place)
            masks = masks_of(clip_id, pictures, mask_folder) if has_masks else None
            return Clip(clip_id, pictures, _only_first(masks), self._fps_or(DEFAULT_FPS), thing_label)
        try:
            video, fps = open_video(place)
        except ValueError as error:
            raise ValueError(f"clip {clip_id}: {error}") from error
        numbered = _numbered_masks(clip_id, len(video), mask_folder) if has_masks else None
        return Clip(clip_id, video, _only_first(numbered), self._fps_or(fps), thing_label)

    def _fps_or(self, fps: float) -> float:
        return fps if self.fps is None else self.fps


def thing_label(entity_id: int) -> IdLabel:
    """The meaning of ids that only tell objects apart."""
    return IdLabel(0, f"object {entity_id}", is_thing=True)


def _clips_in(root: Path) -> dict[str, tuple[Path, Path]]:
    """For every clip its folder of pictures or video, and where its masks would be."""
    if _is_video(root):
        return {root.stem: (root, root.with_name(root.stem + MASKS))}
    if not root.is_dir():
        return {}
    if (root / "frames").is_dir():
        places = _places_in(root / "frames")
        return {name: (place, root / "masks" / name) for name, place in places.items()}
    if pictures_in(root):
        root = root.resolve()  # for its name, where it was given as "."
        return {root.name: (root, root.with_name(root.name + MASKS))}
    places = {name: place for name, place in _places_in(root).items() if not name.endswith(MASKS)}
    return {name: (place, place.with_name(name + MASKS)) for name, place in places.items()}


def _places_in(folder: Path) -> dict[str, Path]:
    places: dict[str, Path] = {}
    for entry in sorted(folder.iterdir()):
        if entry.name.startswith("."):
            continue
        is_clip = bool(pictures_in(entry)) if entry.is_dir() else _is_video(entry)
        name = entry.stem if entry.is_file() else entry.name
        if is_clip and name in places:
            raise ValueError(f"{places[name]} and {entry} would both be clip {name}; rename one of them")
        if is_clip:
            places[name] = entry
    return places


def _natural_order(name: str) -> list[str | int]:
    # Text and numbers take turns, so that two names never compare text with a number.
    return [int(part) if position % 2 else part for position, part in enumerate(re.split(r"(\d+)", name))]


def _is_video(path: Path) -> bool:
    return path.is_file() and path.suffix.lower() in VIDEO_SUFFIXES


def _numbered_masks(clip_id: str, frames: int, folder: Path) -> tuple[Path, ...]:
    """The mask of every frame of a video, found by the number its name is; a path that is not there if it lacks one."""
    numbered: dict[int, Path] = {}
    for file in pictures_in(folder):
        if not file.stem.isdecimal():
            raise ValueError(f"clip {clip_id}: {file} must be named by the number of its frame, such as 00000.png")
        if int(file.stem) >= frames:
            raise ValueError(f"clip {clip_id}: {file} is the mask of a frame the video of {frames} frames has not")
        numbered[int(file.stem)] = file
    return tuple(numbered.get(number, folder / f"{number:05d}.png") for number in range(frames))


def _only_first(masks: tuple[Path, ...] | None) -> tuple[Path | None, ...] | None:
    """The masks, or the first frame's alone where that is all there is: then the others are not missing."""
    if masks is None:
        return None
    there = [file.is_file() for file in masks]
    return (masks[0], *(None for _ in masks[1:])) if there[0] and not any(there[1:]) else masks
