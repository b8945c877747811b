"""DAVIS 2017: every frame of 24 a second with palette masks.

    ROOT/JPEGImages/480p/SEQUENCE/00000.jpg
    ROOT/Annotations/480p/SEQUENCE/00000.png   palette index = object, 0 background, 255 not to be judged
    ROOT/ImageSets/2017/train.txt val.txt      one sequence a line

"Full-Resolution" in the place of "480p" is read too. Source: Pont-Tuset et al., arXiv 1704.00675.
"""

from __future__ import annotations

from pathlib import Path

from .clips import Clip, ClipSource
from .folders import folders_in, frames_of, listed_ids, masks_of, thing_label

FPS = 24.0
VOID_IDS = frozenset({0, 255})
RESOLUTIONS = ("480p", "Full-Resolution")  # the first that is there is read


def is_davis(path: Path) -> bool:
    """Whether a folder is laid out as DAVIS."""
    return (path / "ImageSets").is_dir() and any((path / "JPEGImages" / name).is_dir() for name in RESOLUTIONS)


class Davis(ClipSource):
    """DAVIS 2017's sequences. Those without a folder of masks (the test splits) have none."""

    name = "DAVIS 2017"

    def __init__(self, root: Path | str, split: str | None = None, fps: float | None = None) -> None:
        self.root = Path(root)
        self.fps = FPS if fps is None else fps
        resolution = next(name for name in RESOLUTIONS if (self.root / "JPEGImages" / name).is_dir())
        self.images = self.root / "JPEGImages" / resolution
        self.annotations = self.root / "Annotations" / resolution
        if split is None:
            self.clip_ids = folders_in(self.images)
        else:
            self.clip_ids = listed_ids(self._split_file(split), self.images)

    def clip(self, clip_id: str) -> Clip:
        frames = frames_of(clip_id, self.images / self.checked_id(clip_id))
        mask_folder = self.annotations / clip_id
        masks = masks_of(clip_id, frames, mask_folder) if mask_folder.is_dir() else None
        return Clip(clip_id, frames, masks, self.fps, thing_label, VOID_IDS)

    def _split_file(self, split: str) -> Path:
        file = self.root / "ImageSets" / "2017" / f"{split}.txt"
        if file.is_file():
            return file
        raise FileNotFoundError(f"DAVIS at {self.root} has no split {split!r}: {file} is not there; name one that is")
