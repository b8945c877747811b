"""Videos that somebody made elsewhere, by whatever means: a folder of them is judged without any model.

    DIR/CLIP.mp4          any file that PyAV decodes, or
    DIR/CLIP/00000.png    a folder of pictures, in the order of their names

CLIP is the protocol's own name of the clip. Each video starts with the clip's first frame. Of a longer one the first
frames count; of another size, it is resized as the real video is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from ..data.clips import FrameSource, some_of
from ..data.folders import VIDEO_SUFFIXES, frames_of, open_video
from ..images import resized_picture
from ..types import Size


class VideoFolder:
    """A folder of videos named as clips are. Raises FileNotFoundError naming the clips that have none."""

    def __init__(self, folder: Path | str, clips: Sequence[str]) -> None:
        self.folder = Path(folder)
        if not self.folder.is_dir():
            raise FileNotFoundError(f"--videos {self.folder}: no such folder")
        self._places = {clip: place for clip in clips if (place := video_place(self.folder, clip)) is not None}
        missing = [clip for clip in clips if clip not in self._places]
        if missing:
            raise FileNotFoundError(
                f"--videos {self.folder}: {len(missing)} of {len(clips)} clips have no video: {some_of(missing)}. A "
                "video is named as its clip, CLIP.mp4, or is a folder CLIP of pictures; --clips N judges the first N"
            )

    def video(self, clip: str, frames: int, size: Size) -> Tensor:
        """(T,3,H,W) float32 in 0..1, the first frames at that size. Raises ValueError for a video that is shorter."""
        source = self._frames(clip)
        if len(source) < frames:
            raise ValueError(
                f"{self._places[clip]} has {len(source)} frames, its clip is judged by {frames}. Make it that long, or "
                "take a protocol with fewer frames"
            )
        return torch.stack([resized_picture(frame, size) for frame in source.sliced(slice(0, frames)).read()])

    def length(self, clip: str) -> int:
        """How many frames the clip's video has."""
        return len(self._frames(clip))

    def sha256(self, clip: str) -> str:
        """Of what the clip's files hold."""
        digest = hashlib.sha256()
        for file in self._frames(clip).files:
            digest.update(file.read_bytes())
        return digest.hexdigest()

    def _frames(self, clip: str) -> FrameSource:
        place = self._places[clip]
        return frames_of(clip, place) if place.is_dir() else open_video(place)[0]


def video_place(folder: Path, clip: str) -> Path | None:
    """The file or folder of pictures that is a clip's video; None where there is none."""
    if (folder / clip).is_dir():
        return folder / clip
    named = (folder / f"{clip}{suffix}" for suffix in sorted(VIDEO_SUFFIXES))
    return next((file for file in named if file.is_file()), None)
