"""Binary masks: reading, inscribed circle, components, resizing, run-length coding. Tensors in, tensors out."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

logger = logging.getLogger(__name__)

PICTURE_SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})


class Circle(NamedTuple):
    """center (x, y) and radius, in pixels."""

    center: tuple[float, float]
    radius: float


def largest_component(mask: Tensor) -> Tensor:
    """The largest 8-connected component of a (H,W) bool mask, as a mask. An empty mask stays empty."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(_uint8(mask), connectivity=8)
    if count <= 2:
        return mask
    largest = 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
    return torch.from_numpy(labels == largest).to(mask.device)


def inscribed_circle(mask: Tensor) -> Circle:
    """Largest circle inside the largest component of a (H,W) bool mask (paper section 3.3).

    The picture's border bounds the mask as background does: without that, a mask that touches the border would get
    a centre on the border and a radius that leaves the picture. Raises ValueError on an empty mask.
    """
    component = _uint8(largest_component(mask))
    if not component.any():
        raise ValueError("an empty mask has no inscribed circle; select at least one pixel")
    padded = cv2.copyMakeBorder(component, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    distance = distance_to_background(padded)[1:-1, 1:-1]
    y, x = np.unravel_index(int(np.argmax(distance)), distance.shape)
    return Circle((float(x), float(y)), float(distance[y, x]))


def distance_to_background(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(H,W) px from each pixel to the nearest that is 0.

    OpenCV's last bit depends on where in memory the pixels lie, and with it which of several largest circles is taken.
    Squares of these distances are whole numbers, so they are rounded to them.
    """
    distance = cv2.distanceTransform(pixels, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.sqrt(np.rint(np.square(distance, dtype=np.float64))).astype(np.float32)


def resize_mask(mask: Tensor, height: int, width: int) -> Tensor:
    """A (H,W) bool mask at another size by nearest neighbour; a mask that would vanish keeps its nearest cell."""
    resized = cv2.resize(_uint8(mask), (width, height), interpolation=cv2.INTER_NEAREST_EXACT).astype(bool)
    if mask.any() and not resized.any():
        (center_x, center_y), _ = inscribed_circle(mask)
        row = min(int((center_y + 0.5) * height / mask.shape[0]), height - 1)
        column = min(int((center_x + 0.5) * width / mask.shape[1]), width - 1)
        resized[row, column] = True
    return torch.from_numpy(resized).to(mask.device)


def latent_mask(mask: Tensor, height: int, width: int, name: str = "a mask") -> Tensor:
    """A (H,W) bool mask on the (height, width) latent grid: the cells it covers by more than half. Never empty.

    A mask that covers no cell by half keeps the cells it covers most, with a logged warning: an entity smaller than
    a cell still needs a place on the grid. ``name`` is the mask's in that warning. Raises ValueError on an empty mask.
    """
    if not bool(mask.any()):
        raise ValueError("an empty mask has no latent cells; select at least one pixel")
    rows, columns = _cell_shares(mask.shape[0], height), _cell_shares(mask.shape[1], width)
    coverage = (rows @ mask.double().cpu() @ columns.T).to(mask.device)
    cells = coverage > 0.5
    if not bool(cells.any()):
        cells = coverage >= coverage.max() * (1 - 1e-9)
        pixels, kept = int(mask.sum()), int(cells.sum())
        logger.warning(
            f"{name} of {pixels} pixels fills no cell of the {height}x{width} latent grid by half; "
            f"the {kept} cell{'s' if kept > 1 else ''} nearest to it stand for it"
        )
    return cells


def load_mask(path: Path | str, size: tuple[int, int] | None = None) -> Tensor:
    """The (H,W) bool mask in a picture file: pixels brighter than 127 of 255 (half of the range at 16 bits).

    Colours count by their luma and transparency is ignored, except where the picture has one colour throughout:
    then the mask was drawn in the alpha channel, and alpha above 127 counts. ``size`` (height, width) resizes the
    mask by nearest neighbour; without it the mask keeps the file's size.

    Raises FileNotFoundError naming the pictures beside a missing file, ValueError when the file is no picture.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no mask file {path}; {_pictures_beside(path)}")
    try:
        with Image.open(path) as picture:
            mask = torch.from_numpy(_bright_pixels(picture))
    except OSError as error:
        raise ValueError(f"mask file {path} cannot be read as a picture: {error}; save it as PNG") from error
    return mask if size is None else resize_mask(mask, *size)


def _bright_pixels(picture: Image.Image) -> np.ndarray:
    if picture.mode.startswith("I"):  # one channel of 16 bits
        return np.asarray(picture).astype(np.int64) > 32767
    rgba = picture.convert("RGBA")
    luma, alpha = np.asarray(rgba.convert("L")), np.asarray(rgba.getchannel("A"))
    drawn_in_alpha = luma.min() == luma.max() and alpha.min() != alpha.max()
    return (alpha if drawn_in_alpha else luma) > 127


def _pictures_beside(path: Path) -> str:
    folder = path.parent
    if not folder.is_dir():
        return f"there is no folder {folder} either"
    names = sorted(entry.name for entry in folder.iterdir() if entry.suffix.lower() in PICTURE_SUFFIXES)
    if not names:
        return f"{folder} holds no pictures"
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return f"{folder} holds {', '.join(names[:8])}{more}"


def _cell_shares(pixels: int, cells: int) -> Tensor:
    # (cells, pixels): which share of a cell each pixel fills along one axis; exact for any ratio of the two sizes.
    edges = torch.arange(cells + 1, dtype=torch.float64) * (pixels / cells)
    start = torch.arange(pixels, dtype=torch.float64)
    overlap = torch.minimum(edges[1:, None], start + 1) - torch.maximum(edges[:-1, None], start)
    return overlap.clamp(min=0) * (cells / pixels)


def encode_rle(mask: Tensor) -> str:
    """The COCO compressed run-length string of a (H,W) bool mask: the same characters pycocotools writes.

    Pixels are read down the columns; the runs alternate, the first one counts background (0 when pixel (0, 0) is set).
    """
    if mask.ndim != 2 or mask.dtype != torch.bool:
        raise ValueError(f"a mask to encode must be (H, W) bool, got {mask.dtype} of shape {tuple(mask.shape)}")
    pixels = np.concatenate([[False], mask.cpu().numpy().ravel(order="F")])
    changes = np.flatnonzero(pixels[1:] != pixels[:-1])
    runs = np.diff(np.concatenate([[0], changes, [mask.numel()]])).tolist()
    return "".join(_rle_characters(run - (runs[i - 2] if i > 2 else 0)) for i, run in enumerate(runs))


def decode_rle(rle: str, height: int, width: int) -> Tensor:
    """The (H,W) bool mask of a COCO compressed run-length string.

    Raises ValueError when the string holds a character outside the code, ends inside a number, or its runs do not
    add up to height x width pixels.
    """
    runs = _rle_runs(rle, limit=height * width)
    if sum(runs) != height * width:
        raise ValueError(
            f"run-length mask: the runs cover {sum(runs)} pixels, a {height}x{width} mask has {height * width}. "
            "The mask belongs to a picture of another size, or the string was cut off."
        )
    pixels = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    return torch.from_numpy(pixels.reshape((height, width), order="F").copy())


def _rle_characters(number: int) -> str:
    # Five bits a character, lowest first; bit 5 says that more follow, bit 4 of the last one is the sign.
    characters = []
    while True:
        bits, number = number & 31, number >> 5
        last = number == (-1 if bits & 16 else 0)
        characters.append(chr(48 + (bits if last else bits | 32)))
        if last:
            return "".join(characters)


def _rle_runs(rle: str, limit: int) -> list[int]:
    # From the fourth on, a run is written as the difference from the run two before it.
    runs: list[int] = []
    number = shift = 0
    for position, character in enumerate(rle):
        code = ord(character) - 48
        if not 0 <= code < 64:
            raise ValueError(
                f"run-length mask: character {character!r} at position {position} is outside the code ('0' to 'o')"
            )
        number |= (code & 31) << shift
        shift += 5
        if code & 32:
            if shift > 60:
                raise ValueError(f"run-length mask: the number around position {position} is longer than 64 bits")
            continue
        if code & 16:
            number -= 1 << shift
        run = number + (runs[-2] if len(runs) > 2 else 0)
        if not 0 <= run <= limit:
            raise ValueError(
                f"run-length mask: run {len(runs)} (up to position {position}) is {run} pixels long, "
                f"the whole mask has {limit}"
            )
        runs.append(run)
        number = shift = 0
    if shift:
        raise ValueError(f"run-length mask: the string ends inside a number, after {len(rle)} characters")
    return runs


def _uint8(mask: Tensor) -> np.ndarray:
    return mask.cpu().numpy().astype(np.uint8)
