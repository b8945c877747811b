"""VIPSeg: 3,536 videos with panoptic ids, as distributed (``imgs``) or scaled by its own script (``images``, 720P).

    ROOT/imgs/VIDEO/00000123.jpg   or  ROOT/images/VIDEO/00000123.jpg
    ROOT/panomasks/VIDEO/00000123.png          8 or 16 bits, one channel
    ROOT/train.txt val.txt test.txt            one video a line; beside the 720P folder as well as inside it
    ROOT/panoVIPSeg_categories.json            optional: names, numbered from 0

The masks of the test videos were never published. Source: Miao et al., CVPR 2022, and the dataset's own scripts.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .clips import Clip, ClipSource, IdLabel
from .folders import folders_in, frames_of, listed_ids, masks_of

ANNOTATED_FPS = 5.0  # the dataset annotates every third frame of 15 a second
# 0 is unlabelled. 200 is a mistake in the masks: "ceiling" (2) written as if it had instances, which stuff has not.
VOID_IDS = frozenset({0, 200})
LAST_STUFF_ID = 124  # up to here an id is a category; above, category * 100 + instance
CATEGORIES_FILE = "panoVIPSeg_categories.json"


@dataclass(frozen=True)
class VipSegLabels:
    """The meaning of VIPSeg's ids. names: by category as the masks number them, from 1."""

    names: Mapping[int, str] = field(default_factory=dict)

    def __call__(self, entity_id: int) -> IdLabel:
        is_thing = entity_id > LAST_STUFF_ID
        category, instance = divmod(entity_id, 100) if is_thing else (entity_id, 0)
        name = self.names.get(category, f"category {category}")
        return IdLabel(category, f"{name} {instance}" if is_thing else name, is_thing)


def is_vipseg(path: Path) -> bool:
    """Whether a folder is laid out as VIPSeg."""
    return (path / "panomasks").is_dir() and ((path / "imgs").is_dir() or (path / "images").is_dir())


class VipSeg(ClipSource):
    """VIPSeg's clips, raw or 720P. Videos without a folder of masks (the test split) have none."""

    name = "VIPSeg"

    def __init__(self, root: Path | str, split: str | None = None, fps: float | None = None) -> None:
        self.root = Path(root)
        self.fps = ANNOTATED_FPS if fps is None else fps
        self.images = self.root / ("imgs" if (self.root / "imgs").is_dir() else "images")
        if split is None:
            self.clip_ids = folders_in(self.images)
        else:
            self.clip_ids = listed_ids(self._split_file(split), self.images)
        self.labels = VipSegLabels(_category_names(self.root))

    def clip(self, clip_id: str) -> Clip:
        frames = frames_of(clip_id, self.images / self.checked_id(clip_id))
        mask_folder = self.root / "panomasks" / clip_id
        masks = masks_of(clip_id, frames, mask_folder) if mask_folder.is_dir() else None
        return Clip(clip_id, frames, masks, self.fps, self.labels, VOID_IDS)

    def _split_file(self, split: str) -> Path:
        places = [self.root / f"{split}.txt", self.root.resolve().parent / f"{split}.txt"]
        for place in places:
            if place.is_file():
                return place
        raise FileNotFoundError(
            f"VIPSeg at {self.root} has no split {split!r}: neither {places[0]} nor {places[1]} is there"
        )


def _category_names(root: Path) -> dict[int, str]:
    for file in (root / CATEGORIES_FILE, root / "VIPSeg_720P" / CATEGORIES_FILE):
        if file.is_file():
            try:
                return {int(entry["id"]) + 1: str(entry["name"]) for entry in json.loads(file.read_text("utf-8"))}
            except (ValueError, KeyError, TypeError) as error:
                raise ValueError(f"{file}: expected a list of categories with id and name ({error!r})") from error
    return {}
