"""Tensors of many clips in a folder, a few clips a file, each file whole or not there; and what made them.

    NAME-<16 hex digits>/recipe.json            what made the tensors; the digits are its SHA-256's first
    NAME-<16 hex digits>/00000.safetensors ...  the tensors of SHARD_CLIPS clips each, as "PLACE IN SHARD.TENSOR"

Another recipe is another folder, so nothing is ever mistaken for what it is not.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ..atomic import replacing, write_text
from ..digests import add_tensors

logger = logging.getLogger(__name__)

SHARD_CLIPS = 64
RECIPE = "recipe.json"
WHICH_CLIPS = {"set of clips", "set of tracks"}  # of a recipe: those of others are not out of date
LEFTOVER_AGE = 3600.0  # s: a hidden file that is older is what a killed process left, not what another one is writing


@dataclass(frozen=True, eq=False)
class Shards:
    """The tensors of ``clips`` clips under a root folder, made by a recipe (JSON)."""

    root: Path
    name: str
    recipe: dict[str, Any]
    clips: int
    _opened: dict[int, Any] = field(default_factory=dict, repr=False)

    @property
    def folder(self) -> Path:
        text = json.dumps(self.recipe, sort_keys=True)
        return self.root / f"{self.name}-{hashlib.sha256(text.encode('utf-8')).hexdigest()[:16]}"

    @property
    def count(self) -> int:
        """Number of shards."""
        return -(-self.clips // SHARD_CLIPS)

    @property
    def bytes(self) -> int:
        """What the shards take on disk."""
        return sum(self.file(shard).stat().st_size for shard in range(self.count))

    def file(self, shard: int) -> Path:
        return self.folder / f"{shard:05d}.safetensors"

    def members(self, shard: int) -> range:
        """The numbers of the clips in a shard."""
        return range(shard * SHARD_CLIPS, min((shard + 1) * SHARD_CLIPS, self.clips))

    def begin(self) -> None:
        """Makes the folder. One that is new names its siblings in the log that may be out of date.

        A sibling of other clips alone is not: training and validation have one each.
        """
        if not self.folder.exists():
            for sibling, recipe in self._siblings():
                changed = [key for key in {**recipe, **self.recipe} if recipe.get(key) != self.recipe.get(key)]
                if not set(changed) <= WHICH_CLIPS:
                    logger.info(
                        f"{sibling}: made with {' and '.join(f'another {key}' for key in changed)}; "
                        "delete it if no longer needed"
                    )
        for left in self.folder.glob(".*"):
            if time.time() - left.stat().st_mtime > LEFTOVER_AGE:
                left.unlink()
        write_text(self.folder / RECIPE, json.dumps(self.recipe, indent=2) + "\n")

    def is_whole(self, shard: int) -> bool:
        """Whether a shard holds what was written to it; one that does not is named in the log."""
        file = self.file(shard)
        if not file.is_file():
            return False
        try:
            with safe_open(file, framework="pt") as opened:
                tensors = {key: opened.get_tensor(key) for key in opened.keys()}  # noqa: SIM118  (not a dict)
                written = (opened.metadata() or {}).get("sha256")
        except (SafetensorError, OSError) as error:
            logger.warning(f"{file} is damaged ({error}); it is made again")
            return False
        if written != _sha256(tensors):
            logger.warning(f"{file} is damaged (its tensors are not those that were written); it is made again")
            return False
        return True

    def write(self, shard: int, clips: list[dict[str, Tensor]]) -> None:
        """Writes a shard from the tensors of each of its clips."""
        tensors = {
            f"{place}.{key}": tensor.contiguous() for place, clip in enumerate(clips) for key, tensor in clip.items()
        }
        # One entry only: the order of several would change from file to file.
        metadata = {"sha256": _sha256(tensors)}
        with replacing(self.file(shard)) as temporary:
            save_file(tensors, temporary, metadata=metadata)

    def read(self, clip: int) -> dict[str, Tensor]:
        """The tensors of one clip, in memory of their own. Raises FileNotFoundError for a shard that is not there."""
        shard, place = divmod(clip, SHARD_CLIPS)
        if shard not in self._opened:
            self._opened[shard] = _Opened(self.file(shard))
        opened: _Opened = self._opened[shard]
        # Mapped memory is not aligned as torch's own is, and sums over it differ in their last bits.
        return {key: opened.tensors.get_tensor(f"{place}.{key}").clone() for key in opened.keys[place]}

    def _siblings(self) -> list[tuple[Path, dict[str, Any]]]:
        found = []
        for file in sorted(self.root.glob(f"{self.name}-*/{RECIPE}")):
            try:
                recipe = json.loads(file.read_text("utf-8"))
            except ValueError:
                recipe = {}
            found.append((file.parent, recipe if isinstance(recipe, dict) else {}))
        return found


class _Opened:
    """A shard's file, mapped, and the names of each clip's tensors."""

    def __init__(self, file: Path) -> None:
        self.tensors = safe_open(file, framework="pt")
        self.keys: dict[int, list[str]] = {}
        for key in self.tensors.keys():  # noqa: SIM118  (not a dict)
            place, name = key.split(".", 1)
            self.keys.setdefault(int(place), []).append(name)


def _sha256(tensors: dict[str, Tensor]) -> str:
    digest = hashlib.sha256()
    add_tensors(digest, tensors)
    return digest.hexdigest()
