"""YouTube-VOS and Ref-YouTube-VOS: every fifth frame of 30 a second, palette masks, objects that enter late.

    ROOT/train/JPEGImages/VIDEO/00000.jpg 00005.jpg ...
    ROOT/train/Annotations/VIDEO/00000.png 00005.png ...      palette index = object, 0 background
    ROOT/train/meta.json                                      category of each object, and the frames it is in
    ROOT/meta_expressions/train/meta_expressions.json         Ref-YouTube-VOS: sentences, each about one object

A split's own folder may be given as well. In the download with all frames only every fifth has a mask, in the valid
and test splits only the first frame of each object. Source: Xu et al., arXiv 1809.03327; Seo et al., ECCV 2020.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from .clips import Clip, ClipSource, IdLabel, some_of
from .folders import PictureFrames, folders_in, frames_of, masks_of, thing_label

VIDEO_FPS = 30.0  # file names count the frames of the video at this rate


@dataclass(frozen=True)
class YouTubeVosLabels:
    """The meaning of one video's ids. names: by object id; the dataset names its categories and numbers none."""

    names: Mapping[int, str]

    def __call__(self, entity_id: int) -> IdLabel:
        if entity_id not in self.names:
            return thing_label(entity_id)
        return IdLabel(0, f"{self.names[entity_id]} {entity_id}", is_thing=True)


def is_youtube_vos(path: Path) -> bool:
    """Whether a folder is laid out as YouTube-VOS: as a whole or as one of its splits."""
    return path.is_dir() and (_is_split(path) or bool(_splits(path)))


class YouTubeVos(ClipSource):
    """One split of YouTube-VOS or Ref-YouTube-VOS.

    A frame has a mask if the file is there. In the train split every frame that meta.json places an object in must
    have one: there a missing file is an error when it is read.
    """

    name = "YouTube-VOS"

    def __init__(self, root: Path | str, split: str | None = None, fps: float | None = None) -> None:
        self.root = _split_folder(Path(root), split)
        self.fps = fps
        self.videos = _videos(self.root / "meta.json")
        self.expressions = _expressions(self.root)
        self.clip_ids = folders_in(self.root / "JPEGImages")

    def clip(self, clip_id: str) -> Clip:
        frames = frames_of(clip_id, self.root / "JPEGImages" / self.checked_id(clip_id))
        objects = self.videos.get(clip_id, {}).get("objects", {})
        names = {int(number): str(one["category"]) for number, one in objects.items() if "category" in one}
        return Clip(
            clip_id,
            frames,
            self._masks(clip_id, frames, objects),
            _frame_rate(clip_id, frames) if self.fps is None else self.fps,
            YouTubeVosLabels(names),
            expressions=self.expressions.get(clip_id, {}),
        )

    def _masks(self, clip_id: str, frames: PictureFrames, objects: Mapping[str, Any]) -> tuple[Path | None, ...] | None:
        folder = self.root / "Annotations" / clip_id
        # Only the train split names categories. Elsewhere "frames" are those to be predicted, which have no mask.
        placed = {frame for one in objects.values() if "category" in one for frame in one.get("frames", ())}
        missing = sorted(placed - {file.stem for file in frames.files})
        if missing:
            picture = frames.files[0].with_stem(missing[0])
            raise FileNotFoundError(
                f"clip {clip_id}: meta.json names frames {some_of(missing)}, but there is no {picture}"
            )
        if not folder.is_dir() and not placed:
            return None
        files = masks_of(clip_id, frames, folder)
        return tuple(file if file.stem in placed or file.is_file() else None for file in files)


def _is_split(path: Path) -> bool:
    return (path / "JPEGImages").is_dir() and (path / "meta.json").is_file()


def _splits(root: Path) -> tuple[str, ...]:
    return tuple(name for name in folders_in(root) if _is_split(root / name))


def _split_folder(root: Path, split: str | None) -> Path:
    if _is_split(root):
        if split not in (None, root.resolve().name):
            raise ValueError(f"{root} is the split {root.resolve().name!r} itself, got split {split!r}")
        return root
    splits = _splits(root)
    if split is None and len(splits) == 1:
        return root / splits[0]
    if split not in splits:
        raise ValueError(f"YouTube-VOS at {root} has the splits {', '.join(splits)}; name one of them, got {split!r}")
    return root / split


def _videos(file: Path) -> dict[str, Any]:
    content = _json(file)
    if not isinstance(content.get("videos"), dict):
        raise ValueError(f'{file}: expected an object with "videos"')
    return content["videos"]


def _expressions(split: Path) -> dict[str, dict[int, tuple[str, ...]]]:
    """For every video the sentences about each object, in the order of the file; none without Ref-YouTube-VOS."""
    file = split.resolve().parent / "meta_expressions" / split.resolve().name / "meta_expressions.json"
    if not file.is_file():
        return {}
    sentences: dict[str, dict[int, tuple[str, ...]]] = {}
    for clip_id, video in _videos(file).items():
        by_object: dict[int, tuple[str, ...]] = defaultdict(tuple)
        for entry in video.get("expressions", {}).values():
            if "obj_id" in entry:  # the valid split does not tell which object is meant
                by_object[int(entry["obj_id"])] += (str(entry["exp"]),)
        sentences[clip_id] = dict(by_object)
    return sentences


def _json(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{file} is not JSON: {error}") from error
    return content if isinstance(content, dict) else {}


def _frame_rate(clip_id: str, frames: PictureFrames) -> float:
    """6 for every fifth frame, 30 for all of them: by the smallest step between the numbers that are the names."""
    stems = [file.stem for file in frames.files]
    if not all(stem.isdecimal() for stem in stems):
        raise ValueError(f"clip {clip_id}: frames must be named by their number, got {some_of(stems)}")
    steps = [after - before for before, after in pairwise(sorted(int(stem) for stem in stems))]
    return VIDEO_FPS / min(steps, default=5)
