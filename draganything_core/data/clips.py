"""Clips with id masks, read lazily: what every dataset reader gives, and the one function that picks the reader."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple, Protocol

import cv2
import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..images import resized_picture
from ..types import Entities, Entity, Size

MIN_AREA = 64  # px: an entity smaller than one latent cell of 8x8 pixels has no place of its own to be moved to


class IdLabel(NamedTuple):
    """What one id of a mask stands for. category: the dataset's own number, 0 where it numbers none."""

    category: int
    name: str
    is_thing: bool


class Labels(Protocol):
    """The meaning of a clip's ids."""

    def __call__(self, entity_id: int) -> IdLabel: ...


class FrameSource(Protocol):
    """Frames of one clip, decoded only when they are read."""

    def __len__(self) -> int: ...

    @property
    def files(self) -> tuple[Path, ...]:
        """The files the frames come from: one for each frame, or the one video."""

    @property
    def names(self) -> tuple[str, ...]:
        """What to call each frame in a message."""

    @property
    def size(self) -> Size:
        """Size of the first frame, from its header alone."""

    def read(self) -> Iterator[Tensor]:
        """The frames in order, each (3,H,W) float32 in 0..1."""

    def sliced(self, frames: slice) -> FrameSource:
        """Some of the frames, still unread."""


@dataclass(frozen=True, eq=False)
class Clip:
    """One video and its id masks. Nothing is decoded before it is asked for.

    mask_files: one path a frame, None for a frame the dataset has no mask of; None where it has no masks at all. A
    path that is not there is an error when it is read. void_ids: ids that are no entity (background, unlabelled).
    expressions: sentences that refer to an id, where the dataset has them.
    """

    clip_id: str
    pictures: FrameSource
    mask_files: tuple[Path | None, ...] | None
    fps: float
    labels: Labels
    void_ids: frozenset[int] = frozenset({0})
    expressions: Mapping[int, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not len(self.pictures):
            raise ValueError(f"clip {self.clip_id}: it has no frames; remove its folder, or fill it")
        if self.mask_files is not None and len(self.mask_files) != len(self.pictures):
            raise ValueError(f"clip {self.clip_id}: {len(self.pictures)} frames, but {len(self.mask_files)} masks")
        if not (math.isfinite(self.fps) and self.fps > 0):
            raise ValueError(f"clip {self.clip_id}: fps must be a finite number > 0, got {self.fps}")

    def __len__(self) -> int:
        return len(self.pictures)

    @property
    def frame_files(self) -> tuple[Path, ...]:
        """The files of the frames: one for each frame, or the one video."""
        return self.pictures.files

    @cached_property
    def size(self) -> Size:
        """Size of the first frame as it is stored; all other frames and masks must agree with it."""
        with _naming(self.clip_id):
            return self.pictures.size

    @property
    def masked(self) -> tuple[bool, ...]:
        """For each frame, whether the dataset has a mask of it."""
        return (False,) * len(self) if self.mask_files is None else tuple(file is not None for file in self.mask_files)

    def window(self, start: int = 0, stride: int = 1, count: int | None = None) -> Clip:
        """``count`` frames from ``start`` on, every ``stride``-th (to the end without a count): a clip, still unread.

        Its fps is the clip's divided by the stride. Raises ValueError if the clip does not have these frames.
        """
        if start < 0 or stride < 1 or (count is not None and count < 1):
            raise ValueError(
                f"clip {self.clip_id}: a window needs start >= 0, stride >= 1 and count >= 1, "
                f"got start {start}, stride {stride}, count {count}"
            )
        available = len(range(start, len(self), stride))
        if not available or (count is not None and count > available):
            raise ValueError(
                f"clip {self.clip_id}: {count or 1} frames from frame {start} with stride {stride} are not there; "
                f"the clip has {len(self)} frames"
            )
        chosen = slice(start, start + stride * (count or available), stride)
        masks = None if self.mask_files is None else self.mask_files[chosen]
        return replace(self, pictures=self.pictures.sliced(chosen), mask_files=masks, fps=self.fps / stride)

    def frames(self, size: Size | None = None) -> Tensor:
        """(T,3,H,W) float32 in 0..1, at the clip's own size or resized bicubic with antialiasing.

        Raises FileNotFoundError or ValueError naming the clip and the file.
        """
        frames = []
        with _naming(self.clip_id):
            for name, frame in zip(self.pictures.names, self.pictures.read(), strict=True):
                self._check_size(Size.of(frame), name)
                frames.append(frame if size is None else resized_picture(frame, size))
        return torch.stack(frames)

    def ids(self, size: Size | None = None) -> Tensor:
        """(T,H,W) int32, the masks of all frames, at the clip's own size or resized by nearest neighbour.

        Raises FileNotFoundError or ValueError naming the clip and the file, also for a frame without a mask.
        """
        return torch.stack([self.frame_ids(index, size) for index in range(len(self))])

    def frame_ids(self, index: int, size: Size | None = None) -> Tensor:
        """(H,W) int32, the mask of one frame; like :meth:`ids`."""
        with _naming(self.clip_id):
            file = None if self.mask_files is None else self.mask_files[index]
            if file is None:
                raise ValueError(self._no_mask(index))
            ids = _read_ids(file)
            self._check_size(Size.of(ids), str(file))
        return ids if size is None else resize_ids(ids, size)

    def entity_ids(self, ids: Tensor) -> list[int]:
        """The ids in a mask that are entities, sorted."""
        return [entity_id for entity_id in torch.unique(ids).tolist() if entity_id not in self.void_ids]

    def _check_size(self, size: Size, name: str) -> None:
        if size != self.size:
            raise ValueError(f"{name} is {size}, the clip's first frame {self.size}; all must be of one size")

    def _no_mask(self, index: int) -> str:
        masked = [frame for frame, has_mask in enumerate(self.masked) if has_mask]
        if not masked:
            return "it has no id masks"
        return (
            f"frame {index} ({self.pictures.names[index]}) has no id mask; "
            f"{len(masked)} of {len(self)} frames have one, the first is frame {masked[0]}"
        )


class ClipSource(ABC):
    """A dataset's clips in sorted order. Its making lists folders and no more; a clip is looked at when asked for."""

    name: str  # of the layout
    clip_ids: tuple[str, ...]

    @abstractmethod
    def clip(self, clip_id: str) -> Clip:
        """One clip. Raises FileNotFoundError or ValueError naming the clip and the file that is missing or wrong."""

    def __len__(self) -> int:
        return len(self.clip_ids)

    def __iter__(self) -> Iterator[Clip]:
        return (self.clip(clip_id) for clip_id in self.clip_ids)

    def checked_id(self, clip_id: str) -> str:
        """The id itself, if there is such a clip; KeyError naming some that there are."""
        if clip_id not in self.clip_ids:
            raise KeyError(f"{self.name} has no clip {clip_id!r}; it has {some_of(self.clip_ids)}")
        return clip_id


def read_clips(path: Path | str, split: str | None = None, fps: float | None = None) -> ClipSource:
    """The clips under a path, read as the layout its content shows.

    VIPSeg (raw or 720P), DAVIS 2017, YouTube-VOS and Ref-YouTube-VOS; otherwise plain folders of frames or videos
    (see :mod:`.folders`). split: "train", "val", ... as the dataset names it; without one, every clip there is.
    fps: instead of the layout's own rate. Raises FileNotFoundError if the path is missing, ValueError if it holds no
    clips or has no such split.
    """
    # Here and not above: the readers are built on this module.
    from .davis import Davis, is_davis
    from .folders import Folders
    from .vipseg import VipSeg, is_vipseg
    from .youtube_vos import YouTubeVos, is_youtube_vos

    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such folder or video; give the root folder of a dataset")
    if is_vipseg(path):
        return VipSeg(path, split, fps)
    if is_davis(path):
        return Davis(path, split, fps)
    if is_youtube_vos(path):
        return YouTubeVos(path, split, fps)
    return Folders(path, split, fps)


def first_frame_entities(clip: Clip, min_area: int = MIN_AREA, size: Size | None = None) -> Entities:
    """The entities of the clip's first frame, by ascending id, with the dataset's ids.

    Void ids and entities of fewer than min_area pixels are left out; none may be left. size: brings the mask there
    first, so that areas are counted in its pixels. For an object that enters later, give the clip's window from its
    first appearance on. Raises what :meth:`Clip.frame_ids` raises.
    """
    if min_area < 1:
        raise ValueError(f"min_area must be >= 1 pixel, got {min_area}")
    ids = clip.frame_ids(0, size)
    masks = {entity_id: ids == entity_id for entity_id in clip.entity_ids(ids)}
    items = tuple(
        Entity(entity_id, clip.labels(entity_id).name, mask)
        for entity_id, mask in masks.items()
        if int(mask.sum()) >= min_area
    )
    return Entities(items, Size.of(ids))


def first_appearances(clip: Clip) -> dict[int, int]:
    """For every entity id of the clip, ascending, the first frame whose mask shows it. Reads every mask there is."""
    first: dict[int, int] = {}
    for index, has_mask in enumerate(clip.masked):
        if has_mask:
            for entity_id in clip.entity_ids(clip.frame_ids(index)):
                first.setdefault(entity_id, index)
    return dict(sorted(first.items()))


def resize_ids(ids: Tensor, size: Size) -> Tensor:
    """Ids (...,H,W) int32 at another size by nearest neighbour: the same pixels ``masks.resize_mask`` takes.

    No id is made up; one that covers less than a pixel of the new size may vanish.
    """
    if ids.dtype != torch.int32 or ids.ndim < 2:
        raise ValueError(f"ids must be int32 of shape (..., H, W), got {ids.dtype} of shape {tuple(ids.shape)}")
    if Size.of(ids) == size:
        return ids
    resized = [
        cv2.resize(mask, (size.width, size.height), interpolation=cv2.INTER_NEAREST_EXACT)
        for mask in ids.reshape(-1, *ids.shape[-2:]).cpu().numpy()
    ]
    shape = (*ids.shape[:-2], size.height, size.width)
    return torch.from_numpy(np.stack(resized)).reshape(shape).to(ids.device)


def some_of(names: tuple[str, ...] | list[str]) -> str:
    """The first few names, for a message."""
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _read_ids(file: Path) -> Tensor:
    """(H,W) int32: the numbers stored in a PNG of one channel, 1 to 16 bits, palette indices for a palette picture."""
    if not file.is_file():
        raise FileNotFoundError(f"{file}: no such id mask; give it the name of its frame")
    with reading(file), Image.open(file) as picture:
        if picture.mode not in ("1", "L", "P") and not picture.mode.startswith("I"):
            raise ValueError(
                f"a colour picture ({picture.mode}); an id mask has one channel of 8 or 16 bits, or a palette"
            )
        # The palette is never looked up: in a palette picture the index is the id.
        return torch.from_numpy(np.asarray(picture).astype(np.int32))


@contextmanager
def reading(file: Path) -> Iterator[None]:
    """Turns what Pillow says about a broken picture, an OSError or SyntaxError without a name, into one ValueError."""
    try:
        yield
    except (OSError, SyntaxError, ValueError) as error:
        raise ValueError(f"{file} cannot be read: {error}") from error


@contextmanager
def _naming(clip_id: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise FileNotFoundError(f"clip {clip_id}: {error}") from error
    except ValueError as error:
        raise ValueError(f"clip {clip_id}: {error}") from error
