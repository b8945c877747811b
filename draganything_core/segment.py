"""Clicks to masks: Segment Anything where its weights are at hand, GrabCut with no weights at all, one protocol."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, get_args

import cv2
import numpy as np
import torch
from einops import rearrange
from torch import Tensor

from .document import Box, DocumentEntity, DocumentError, MaskScale, MotionDocument, Prompts
from .grabcut import grabcut_masks
from .images import resized_picture
from .masks import decode_rle, load_mask, resize_mask
from .sam_weights import load_sam, segment_anything_package
from .types import Entities, Entity, Size

logger = logging.getLogger(__name__)

SUSPICIOUS_SHARE = 0.5  # of the picture: a mask from clicks that is larger is remarked on
SCALES: tuple[MaskScale, ...] = get_args(MaskScale)  # part, object, whole


@dataclass(frozen=True, eq=False)
class Candidates:
    """A segmenter's three answers from small to large: part, object, whole.

    masks (3,H,W) bool, any of them may be empty; scores (3,) float, higher is better.
    """

    masks: Tensor
    scores: Tensor

    def __post_init__(self) -> None:
        if self.masks.ndim != 3 or len(self.masks) != len(SCALES) or self.masks.dtype != torch.bool:
            raise ValueError(
                f"candidates: masks must be (3, H, W) bool, got {self.masks.dtype} of shape {tuple(self.masks.shape)}"
            )
        if self.scores.shape != (len(SCALES),):
            raise ValueError(f"candidates: three masks need three scores, got shape {tuple(self.scores.shape)}")

    @classmethod
    def by_area(cls, masks: Tensor, scores: Tensor) -> Candidates:
        """Three masks in any order, sorted from small to large with their scores."""
        order = torch.argsort(masks.sum(dim=(-2, -1)), stable=True)
        return cls(masks[order], scores[order])

    def chosen(self, scale: MaskScale | None = None) -> Tensor:
        """(H,W) bool: the mask of one scale, or the best rated of those that are not empty."""
        if scale is not None:
            return self.masks[SCALES.index(scale)]
        rated = self.scores.masked_fill(~self.masks.any(dim=-1).any(dim=-1), float("-inf"))
        return self.masks[int(rated.argmax())]


class Segmenter(Protocol):
    """Finds the region that clicks or a box mean, in the picture that was set last."""

    def set_image(self, image: Tensor) -> None:
        """Takes the picture, (3,H,W) float in 0..1; what is costly about a picture is done here, once."""

    def segment(self, prompts: Prompts) -> Candidates:
        """Three masks of the picture's size for clicks and/or a box in its pixels.

        Raises ValueError where nothing is selected (no box and no click on the entity) or a prompt is off the picture.
        """


def resolve_entities(
    document: MotionDocument, image: Tensor, segmenter: Segmenter | None, base_dir: Path | str
) -> Entities:
    """The document's entities with their masks on its canvas, in paint order.

    A mask wins over prompts: inline, or a file relative to ``base_dir``, brought to the canvas by nearest neighbour
    if it has another size. Prompts go to the segmenter, which sees the image (3,H,W), 0..1, resized to the canvas.

    Raises DocumentError (a ValueError) with the entity's JSON path, FileNotFoundError for a mask file that is missing.
    """
    size = document.size
    if segmenter is not None and any(entity.mask is None for entity in document.entities):
        segmenter.set_image(resized_picture(image, size))
    items = []
    for index, entity in enumerate(document.entities):
        path = f"$.entities[{index}]"
        mask = _document_mask(entity, path, size, segmenter, Path(base_dir))
        if not bool(mask.any()):
            raise DocumentError(path, f'the mask of entity {entity.id} "{entity.name}" is empty. {_why_empty(entity)}')
        items.append(Entity(entity.id, entity.name, mask, radius_px=entity.radius))
    return Entities(tuple(items), size)


def _document_mask(
    entity: DocumentEntity, path: str, size: Size, segmenter: Segmenter | None, base_dir: Path
) -> Tensor:
    """(H,W) bool on the canvas, from whichever of the three sources the entity has."""
    if entity.mask is not None and entity.mask.rle is not None:
        with _refused_at(f"{path}.mask.rle", entity):
            return decode_rle(entity.mask.rle, size.height, size.width)
    if entity.mask is not None and entity.mask.file is not None:
        with _refused_at(f"{path}.mask.file", entity):
            return _file_mask(base_dir / entity.mask.file, size)
    if entity.prompts is None:
        raise DocumentError(
            path,
            f'entity {entity.id} "{entity.name}" has neither a mask nor prompts. '
            "Give it a mask (a file or inline), or click on it so that a segmenter can find it.",
        )
    if segmenter is None:
        raise DocumentError(
            f"{path}.prompts",
            f'entity {entity.id} "{entity.name}" has clicks but no mask, and no segmenter was given. '
            "Give one (Segment Anything's weights, or GrabCut, which needs none) or a mask.",
        )
    with _refused_at(f"{path}.prompts", entity):
        mask = segmenter.segment(entity.prompts).chosen(entity.prompts.scale).cpu()
    share = float(mask.float().mean())
    if share > SUSPICIOUS_SHARE:
        logger.warning(
            'the prompts of entity %s "%s" found %.0f %% of the picture; look whether that is meant, and add clicks '
            "that say what it is not",
            entity.id,
            entity.name,
            share * 100,
        )
    return mask


@contextmanager
def _refused_at(path: str, entity: DocumentEntity) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise DocumentError(path, f'{error} (entity {entity.id} "{entity.name}")') from error


def _file_mask(file: Path, size: Size) -> Tensor:
    mask = load_mask(file)
    if Size.of(mask) != size:
        logger.warning("the mask %s is %s, the canvas %s: it is resized to the canvas", file, Size.of(mask), size)
    return resize_mask(mask, size.height, size.width)


def _why_empty(entity: DocumentEntity) -> str:
    if entity.mask is None:
        return "The segmenter found nothing at its prompts: click elsewhere, or choose another scale."
    if entity.mask.file is not None:
        return f"No pixel of {entity.mask.file} is brighter than 127 of 255: paint the entity white."
    return "Select at least one pixel."


def _check_image(image: Tensor) -> None:
    if image.ndim != 3 or image.shape[0] != 3 or not image.is_floating_point():
        raise ValueError(
            f"a picture to segment must be (3, H, W) float in 0..1, got {image.dtype} {tuple(image.shape)}"
        )


def _check_prompts(prompts: Prompts, size: Size) -> None:
    if not prompts.points and prompts.box is None:
        raise ValueError("there is neither a click nor a box. Click on the entity or draw a box around it.")
    if prompts.box is None and all(click.label == 0 for click in prompts.points):
        raise ValueError(
            f"all {len(prompts.points)} clicks say what is not the entity (label 0). "
            "Click at least once on the entity, or draw a box around it."
        )
    for click in prompts.points:
        if not (-0.5 <= click.x <= size.width - 0.5 and -0.5 <= click.y <= size.height - 0.5):
            raise ValueError(f"the click at x {click.x:g}, y {click.y:g} is off the {size} picture. Move it inside.")
    if prompts.box is not None:
        left, top, right, bottom = _corners(prompts.box, size)
        if right <= left or bottom <= top:
            raise ValueError(f"the box {prompts.box} is off the {size} picture. Move it inside.")


def _corners(box: Box, size: Size) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of the part of a box that is on the picture, px."""
    left, top = max(box.x, -0.5), max(box.y, -0.5)
    return left, top, min(box.x + box.width, size.width - 0.5), min(box.y + box.height, size.height - 0.5)


def _uint8_picture(image: Tensor) -> np.ndarray:
    pixels = (image.detach().float().cpu().clamp(0, 1) * 255).round().to(torch.uint8)
    return rearrange(pixels, "c h w -> h w c").contiguous().numpy()


class SamSegmenter:
    """Segment Anything (Kirillov et al. 2023) through its own predictor; three masks for clicks, a box or both.

    model: a segment_anything ``Sam``; ``from_checkpoint`` builds one from a weights file. The picture is encoded in
    ``set_image`` and the encoding serves every prompt, and the same picture set again.
    """

    def __init__(self, model: Any, device: torch.device | str = "cpu") -> None:
        self._predictor = segment_anything_package().SamPredictor(model.to(device).eval())
        self._picture: np.ndarray | None = None

    @classmethod
    def from_checkpoint(
        cls, path: Path | str, model_type: str = "auto", device: torch.device | str = "cpu"
    ) -> SamSegmenter:
        """A segmenter from a local weights file; what it may hold and what is refused stands at ``load_sam``."""
        return cls(load_sam(path, model_type), device)

    def set_image(self, image: Tensor) -> None:
        """Encodes the picture, (3,H,W) float in 0..1, unless it is the one encoded last."""
        _check_image(image)
        picture = _uint8_picture(image)
        if self._picture is not None and np.array_equal(picture, self._picture):
            return
        self._picture = None  # stays so if the encoder fails
        self._predictor.set_image(picture)
        self._picture = picture

    def segment(self, prompts: Prompts) -> Candidates:
        """Three masks from small to large, rated by the IoU that the network itself predicts."""
        if self._picture is None:
            raise RuntimeError("SamSegmenter.segment needs a picture: call set_image first")
        size = Size(self._picture.shape[0], self._picture.shape[1])
        _check_prompts(prompts, size)
        clicks = {}
        if prompts.points:
            clicks["point_coords"] = np.array([(click.x, click.y) for click in prompts.points])
            clicks["point_labels"] = np.array([click.label for click in prompts.points])
        box = None if prompts.box is None else np.array(_corners(prompts.box, size))
        masks, scores, _ = self._predictor.predict(**clicks, box=box, multimask_output=True)
        return Candidates.by_area(torch.from_numpy(masks), torch.from_numpy(scores).float())


class GrabCutSegmenter:
    """GrabCut (Rother et al. 2004): needs no weights, sees colours only.

    It works on a copy of the picture whose long side is at most ``long_side`` px, so a mask's outline is that coarse.
    The same picture and prompts always give the same masks.
    """

    def __init__(self, long_side: int = 384) -> None:
        if long_side < 16:
            raise ValueError(f"long_side must be at least 16 px, got {long_side}")
        self.long_side = long_side
        self._size: Size | None = None

    def set_image(self, image: Tensor) -> None:
        """Keeps a small copy of the picture, (3,H,W) float in 0..1."""
        _check_image(image)
        picture = _uint8_picture(image)
        scale = min(1.0, self.long_side / max(picture.shape[:2]))
        if scale < 1:
            height, width = (max(1, round(side * scale)) for side in picture.shape[:2])
            picture = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
        self._picture, self._size = picture, Size.of(image)

    def segment(self, prompts: Prompts) -> Candidates:
        """Three masks from small to large, rated by how much the colours differ across their outline (0..1)."""
        if self._size is None:
            raise RuntimeError("GrabCutSegmenter.segment needs a picture: call set_image first")
        _check_prompts(prompts, self._size)
        small = Size(*self._picture.shape[:2])
        masks, ratings = zip(*grabcut_masks(self._picture, _scaled_prompts(prompts, self._size, small)), strict=True)
        enlarged = torch.from_numpy(np.stack([_enlarged(mask, self._size) for mask in masks]))
        return Candidates.by_area(enlarged, torch.tensor(ratings))


def _scaled_prompts(prompts: Prompts, source: Size, target: Size) -> Prompts:
    scale_x, scale_y = source.scale_to(target)
    points = tuple(
        replace(click, x=(click.x + 0.5) * scale_x - 0.5, y=(click.y + 0.5) * scale_y - 0.5) for click in prompts.points
    )
    if prompts.box is None:
        return replace(prompts, points=points)
    left, top, right, bottom = _corners(prompts.box, source)
    x, y = (left + 0.5) * scale_x - 0.5, (top + 0.5) * scale_y - 0.5
    return Prompts(points, Box(x, y, (right - left) * scale_x, (bottom - top) * scale_y), prompts.scale)


def _enlarged(mask: np.ndarray, size: Size) -> np.ndarray:
    if mask.shape == (size.height, size.width):
        return mask
    return cv2.resize(mask.astype(np.float32), (size.width, size.height), interpolation=cv2.INTER_LINEAR) > 0.5
