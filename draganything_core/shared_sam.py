"""One Segment Anything network for many pictures, users and threads; what was encoded once is kept while it fits.

shared = SharedSam.from_checkpoint("sam_vit_b_01ec64.pth")
segmenter = shared.segmenter()              # a user's own view of it: a picture and the prompts on it
segmenter.set_image(picture)                # seconds, or nothing where any user has set the same picture before
segmenter.segment(prompts)
"""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .bounded_cache import BoundedCache
from .document import Prompts
from .sam_weights import load_sam
from .segment import Candidates, SamSegmenter

logger = logging.getLogger(__name__)

ENCODINGS_MEMORY = 256 * 2**20  # bytes; an encoding takes 4 MiB and its picture's pixels 3 bytes each


@dataclass(frozen=True, eq=False)
class Encoding:
    """What the network keeps of a picture: features (1,256,64,64), the sizes to map prompts with, the pixels."""

    features: Tensor
    original_size: tuple[int, int]
    input_size: tuple[int, int]
    picture: np.ndarray

    @property
    def bytes(self) -> int:
        return self.features.nbytes + self.picture.nbytes


class SharedSam:
    """A ``Sam`` network at rest on the CPU, where prompts are answered; a picture is encoded where its user says."""

    def __init__(self, model: Any, memory: int = ENCODINGS_MEMORY) -> None:
        self.model = model.to("cpu").eval()
        self.bytes = sum(each.nbytes for each in (*model.parameters(), *model.buffers()))
        self.encodings: BoundedCache[str, Encoding] = BoundedCache(memory)
        # A picture is encoded on another device at times, and then the network is nowhere else.
        self.lock = threading.RLock()

    @classmethod
    def from_checkpoint(cls, path: Path | str, memory: int = ENCODINGS_MEMORY) -> SharedSam:
        """From a local weights file; what it may hold and what is refused stands at ``load_sam``."""
        return cls(load_sam(path), memory)

    def segmenter(
        self,
        device: Callable[[], torch.device | str] = lambda: "cpu",
        check: Callable[[], None] = lambda: None,
    ) -> SharedSamSegmenter:
        """A view for one user.

        device: asked each time a picture is to be encoded; where its memory does not suffice, the CPU encodes.
        check: called between the encoder's blocks; what it raises ends the encoding.
        """
        return SharedSamSegmenter(self, device, check)


class SharedSamSegmenter(SamSegmenter):
    """A ``Segmenter`` of its own picture on a network that others use too."""

    def __init__(self, shared: SharedSam, device: Callable[[], torch.device | str], check: Callable[[], None]) -> None:
        with shared.lock:
            super().__init__(shared.model)
        self.shared = shared
        self._device = device
        self._check = check

    def set_image(self, image: Tensor) -> None:
        """Takes the picture, (3,H,W) float in 0..1; it is encoded unless that of an equal one is kept."""
        key = _digest(image)
        encoding = self.shared.encodings.get(key)
        if encoding is None:
            with self.shared.lock:
                encoding = self.shared.encodings.get(key)  # another user may have waited for the same
                if encoding is None:
                    encoding = self._encoded(image)
                    self.shared.encodings.put(key, encoding, encoding.bytes)
        self._take(encoding)

    def segment(self, prompts: Prompts) -> Candidates:
        """Three masks from small to large, rated by the IoU that the network itself predicts."""
        with self.shared.lock:
            return super().segment(prompts)

    def _encoded(self, image: Tensor) -> Encoding:
        device = torch.device(self._device())
        try:
            self._encode_on(device, image)
        except torch.cuda.OutOfMemoryError:
            if device.type == "cpu":
                raise
            logger.warning(
                "the memory of %s does not suffice for Segment Anything; the CPU encodes the picture", device
            )
            self._encode_on(torch.device("cpu"), image)
        predictor = self._predictor
        assert self._picture is not None  # set beside the features
        return Encoding(predictor.features.cpu(), predictor.original_size, predictor.input_size, self._picture)

    def _encode_on(self, device: torch.device, image: Tensor) -> None:
        self._picture = None  # so that an equal picture is encoded and not taken for the one that is set
        try:
            self.shared.model.to(device)
            with self._checked_between_blocks():
                super().set_image(image)
        finally:
            self.shared.model.to("cpu")

    @contextmanager
    def _checked_between_blocks(self) -> Iterator[None]:
        def check(*_: Any) -> None:
            self._check()

        hooks = [block.register_forward_pre_hook(check) for block in self.shared.model.image_encoder.blocks]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def _take(self, encoding: Encoding) -> None:
        predictor = self._predictor
        predictor.features = encoding.features
        predictor.original_size, predictor.input_size = encoding.original_size, encoding.input_size
        predictor.is_image_set = True
        self._picture = encoding.picture


def _digest(image: Tensor) -> str:
    pixels = image.detach().cpu().contiguous()
    digest = hashlib.blake2b(f"{tuple(pixels.shape)} {pixels.dtype}".encode(), digest_size=16)
    digest.update(pixels.flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()
