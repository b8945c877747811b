"""Pictures for people: contact sheets, lines over a video, condition maps over the first frame. Drawing only.

Images are (3,H,W) and frames (T,3,H,W), float in 0..1; what comes in is never changed, what goes out is float32.
Names and colours are given per entity, in paint order; a colour is "#rrggbb", None takes the table's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import torch
from einops import rearrange
from PIL import Image, ImageColor, ImageDraw, ImageFont
from torch import Tensor

from .atomic import replacing
from .types import ConditionMaps, Entities, Size, Tracks

# Okabe and Ito's colours (Color Universal Design, 2008), which stay apart for the common kinds of colour blindness.
# Their black is left out: it does not show on a dark picture.
ENTITY_COLORS = ("#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7")

PAPER = (24, 24, 27)  # a sheet's background
INK = (235, 235, 235)  # text on it
OUTLINE = (0, 0, 0)  # around lines and text on a picture, so that they show on any ground
GAP = 4  # px between cells
MARGIN = 10  # px around a sheet and between its rows
SUBPIXEL_BITS = 5  # OpenCV draws at fractions of a pixel when coordinates are whole numbers of 1/32 px
FINENESS = 3  # lines are drawn this much larger and scaled down, so that thin ones stay clear on small pictures

# Widths on a picture whose short side is 320 px or less; they grow in proportion on larger ones.
PAST_WIDTH, FUTURE_WIDTH, RING_WIDTH, DOT_RADIUS, EDGE_WIDTH = 3.0, 1.5, 2.0, 2.5, 0.8

Color = tuple[int, int, int]


def entity_color(index: int) -> str:
    """Colour of the entity at this place in paint order; after the last colour the table starts again."""
    return ENTITY_COLORS[index % len(ENTITY_COLORS)]


def contact_sheet(rows: Sequence[tuple[str, Tensor]], columns: int = 8, cell_width: int = 240) -> Tensor:
    """One picture (3,H,W) of several clips, one labelled row each.

    rows: (label, frames (T,3,H,W)). A clip longer than ``columns`` shows that many of its frames, evenly spaced from
    the first to the last; the number under a cell counts from 1. All cells are ``cell_width`` px wide and as high as
    their clip's shape makes them. Raises ValueError without rows or on frames of another shape.
    """
    if not rows:
        raise ValueError("contact sheet: there must be at least one row of frames")
    if columns < 1 or cell_width < 32:
        raise ValueError(f"contact sheet: columns must be >= 1 and cell_width >= 32, got {columns} and {cell_width}")
    strips = [_strip(label, _checked_frames(frames, f"row {label!r}"), columns, cell_width) for label, frames in rows]
    width = max(strip.width for strip in strips) + 2 * MARGIN
    sheet = Image.new("RGB", (width, sum(strip.height + MARGIN for strip in strips) + MARGIN), PAPER)
    top = MARGIN
    for strip in strips:
        sheet.paste(strip, (MARGIN, top))
        top += strip.height + MARGIN
    return _tensor(np.asarray(sheet))


def overlay_frames(
    frames: Tensor,
    tracks: Tracks,
    names: Sequence[str],
    colors: Sequence[str | None] | None = None,
    scale: int = 1,
) -> Tensor:
    """The frames (T,3,scale*H,scale*W) with every path drawn on them.

    A path's past is a thick line, its future a thin one; the disc is a circle of its own radius with a dot at its
    centre and, on the entity's first path, the name. The frame's number stands in the corner. What is not visible is
    not drawn. Tracks on another canvas are mapped to the frames'. scale enlarges small frames so that lines and names
    stay fine. Raises ValueError if the tracks have other frames than the video, or an entity has no name.
    """
    _checked_frames(frames, "overlay")
    if tracks.frames != len(frames):
        raise ValueError(f"overlay: the tracks have {tracks.frames} frames, the video has {len(frames)}")
    if scale < 1:
        raise ValueError(f"overlay: scale must be >= 1, got {scale}")
    palette = _palette(len(names), colors)
    if tracks.path_entity.numel() and int(tracks.path_entity.max()) >= len(names):
        raise ValueError(
            f"overlay: the tracks use entity {int(tracks.path_entity.max())}, there are {len(names)} names"
        )
    size = Size(frames.shape[-2] * scale, frames.shape[-1] * scale)
    placed = tracks.to("cpu").resized(size)
    return torch.stack(
        [
            _tensor(_with_tracks(_resized(_pixels(frame), size), placed, index, names, palette))
            for index, frame in enumerate(frames)
        ]
    )


def condition_picture(
    image: Tensor,
    maps: ConditionMaps,
    tracks: Tracks,
    names: Sequence[str] | None = None,
    colors: Sequence[str | None] | None = None,
    columns: int = 8,
    entities: Entities | None = None,
) -> Tensor:
    """Contact sheet (3,H,W) of what the network is told, over the picture: Gaussian map, entity map, lines.

    image (3,H,W): the first frame at any size. The Gaussian map is heat (dark = 0, white = 1), the entity map shows
    each entity in its colour; the picture under them is grey so that no colour is its own. With entities, the first
    row shows their masks.
    """
    if image.ndim != 3 or image.shape[0] != 3:
        raise ValueError(f"condition picture: the image must be (3, H, W), got shape {tuple(image.shape)}")
    count = max(len(maps.embeddings), int(tracks.path_entity.max()) + 1 if tracks.path_entity.numel() else 0)
    names = [f"entity {index + 1}" for index in range(count)] if names is None else names
    palette = _palette(max(len(names), count), colors)
    picture = _resized(_pixels(image), maps.size)
    gray = np.repeat(picture.mean(-1, keepdims=True), 3, axis=-1)
    heat = [_tensor(_heat_over(gray, gaussian)) for gaussian in maps.gaussian[:, 0].float().cpu().numpy()]
    index = [_tensor(_index_over(gray, index, palette)) for index in maps.entity_index.cpu().numpy()]
    lines = overlay_frames(_tensor(picture).expand(maps.frames, -1, -1, -1), tracks, names, colors)
    rows = [("Gaussian map", torch.stack(heat)), ("entity map", torch.stack(index)), ("lines and discs", lines)]
    if entities is not None:
        masks = cutout_preview(_tensor(picture), entities.resized(maps.size), colors)
        rows.insert(0, ("masks", masks[None]))
    return contact_sheet(rows, columns)


def cutout_preview(image: Tensor, entities: Entities, colors: Sequence[str | None] | None = None) -> Tensor:
    """The picture (3,H,W) with each mask tinted and outlined, its disc's circle and its name."""
    palette = _palette(len(entities), colors)
    picture = _resized(_pixels(image), entities.size)
    for entity, color in zip(entities, palette, strict=True):
        mask = entity.mask.cpu().numpy()
        picture[mask] = (picture[mask] * 0.6 + np.array(color) * 0.4).astype(np.uint8)
    fine = picture.repeat(FINENESS, axis=0).repeat(FINENESS, axis=1)
    for entity, color in zip(entities, palette, strict=True):
        mask = entity.mask.cpu().numpy().astype(np.uint8).repeat(FINENESS, axis=0).repeat(FINENESS, axis=1)
        outlines, _ = cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(fine, outlines, -1, color, _fine_width(fine, FUTURE_WIDTH), cv2.LINE_AA)
        _draw_disc(fine, entity.center, entity.radius, color)
    drawing = Image.fromarray(cv2.resize(fine, picture.shape[1::-1], interpolation=cv2.INTER_AREA))
    for entity, color in zip(entities, palette, strict=True):
        _draw_name(drawing, entity.center, entity.radius, entity.name, color)
    return _tensor(np.asarray(drawing))


def save_png(image: Tensor, path: Path | str) -> None:
    """Writes an image (3,H,W) float in 0..1 as a PNG, whole or not at all."""
    if image.ndim != 3 or image.shape[0] != 3:
        raise ValueError(f"save_png: the image must be (3, H, W), got shape {tuple(image.shape)}")
    if Path(path).suffix.lower() != ".png":
        raise ValueError(f"save_png: the file name must end in .png, got {str(path)!r}")
    with replacing(path) as temporary:
        Image.fromarray(_pixels(image)).save(temporary, format="PNG", optimize=True)


# --- contact sheets ---------------------------------------------------------------------------------------------------


def _strip(label: str, frames: Tensor, columns: int, cell_width: int) -> Image.Image:
    """The row's label, its cells side by side, and the frame numbers under them."""
    shown = _evenly_spaced(len(frames), columns)
    cell = Size(max(1, round(frames.shape[-2] * cell_width / frames.shape[-1])), cell_width)
    head, foot = 24, 18 if len(frames) > 1 else 0
    strip = Image.new("RGB", (len(shown) * (cell_width + GAP) - GAP, head + cell.height + foot), PAPER)
    pen = ImageDraw.Draw(strip)
    pen.text((0, 2), label, fill=INK, font=_font(16))
    for column, index in enumerate(shown):
        left = column * (cell_width + GAP)
        strip.paste(Image.fromarray(_resized(_pixels(frames[index]), cell)), (left, head))
        if foot:
            center = (left + cell_width // 2, head + cell.height + 2)
            pen.text(center, f"{index + 1}/{len(frames)}", fill=INK, font=_font(12), anchor="ma")
    return strip


def _evenly_spaced(count: int, limit: int) -> list[int]:
    """Up to ``limit`` of the numbers 0 .. count - 1, the first and the last among them."""
    if count <= limit:
        return list(range(count))
    return [round(float(place)) for place in np.linspace(0, count - 1, limit)]


# --- lines and discs --------------------------------------------------------------------------------------------------


def _with_tracks(
    picture: np.ndarray, tracks: Tracks, frame: int, names: Sequence[str], palette: Sequence[Color]
) -> np.ndarray:
    with_paths = _with_paths(picture, tracks, frame, palette)
    return _with_labels(with_paths, tracks, frame, names, palette)


def _with_paths(picture: np.ndarray, tracks: Tracks, frame: int, palette: Sequence[Color]) -> np.ndarray:
    """The picture with each path's past, future and disc; what no line touches stays as it was."""
    fine = picture.repeat(FINENESS, axis=0).repeat(FINENESS, axis=1)
    for path, entity in enumerate(tracks.path_entity.tolist()):
        points = tracks.paths[:, path].double().numpy()
        visible = tracks.visibility[:, path].numpy()
        _draw_line(fine, points, visible, frame, palette[entity])
        if visible[frame]:
            _draw_disc(fine, points[frame], float(tracks.radii[frame, path]), palette[entity])
    return cv2.resize(fine, picture.shape[1::-1], interpolation=cv2.INTER_AREA)


def _draw_line(fine: np.ndarray, points: np.ndarray, visible: np.ndarray, frame: int, color: Color) -> None:
    # All outlines first, or each step's would cut the line before it.
    for ink, edge in ((OUTLINE, 2 * EDGE_WIDTH), (color, 0.0)):
        for step in range(len(points) - 1):
            if visible[step] and visible[step + 1]:
                width = _fine_width(fine, (PAST_WIDTH if step < frame else FUTURE_WIDTH) + edge)
                ends = _fine_place(points[step]), _fine_place(points[step + 1])
                cv2.line(fine, *ends, ink, width, cv2.LINE_AA, SUBPIXEL_BITS)


def _draw_disc(fine: np.ndarray, center: Sequence[float] | np.ndarray, radius: float, color: Color) -> None:
    place, ring = _fine_place(center), round(radius * FINENESS * 2**SUBPIXEL_BITS)
    for ink, edge in ((OUTLINE, EDGE_WIDTH), (color, 0.0)):
        dot = _fine_width(fine, DOT_RADIUS + edge) << SUBPIXEL_BITS
        cv2.circle(fine, place, ring, ink, _fine_width(fine, RING_WIDTH + 2 * edge), cv2.LINE_AA, SUBPIXEL_BITS)
        cv2.circle(fine, place, dot, ink, cv2.FILLED, cv2.LINE_AA, SUBPIXEL_BITS)


def _fine_width(fine: np.ndarray, width: float) -> int:
    return max(1, round(width * max(FINENESS, min(fine.shape[:2]) / 320)))


def _fine_place(point: Sequence[float] | np.ndarray) -> tuple[int, int]:
    """A place on the picture as OpenCV wants it on the larger one: pixel centres at integers on both."""
    x, y = (((float(value) + 0.5) * FINENESS - 0.5) * 2**SUBPIXEL_BITS for value in point)
    return round(x), round(y)


def _with_labels(
    picture: np.ndarray, tracks: Tracks, frame: int, names: Sequence[str], palette: Sequence[Color]
) -> np.ndarray:
    """The picture with each visible entity's name at its first path's disc, and the frame's number."""
    drawing = Image.fromarray(picture)
    owners = tracks.path_entity.tolist()
    for entity in sorted(set(owners)):
        path = owners.index(entity)
        if tracks.visibility[frame, path]:
            center, radius = tracks.paths[frame, path].tolist(), float(tracks.radii[frame, path])
            _draw_name(drawing, center, radius, names[entity], palette[entity])
    _draw_chip(drawing, (2, 2), f"{frame + 1}/{tracks.frames}", PAPER)
    return np.asarray(drawing)


def _draw_name(drawing: Image.Image, center: Sequence[float], radius: float, name: str, color: Color) -> None:
    """The name above the disc, below it where there is no room, and always inside the picture."""
    width, height = _chip_size(drawing, name)
    above, below = center[1] - radius - height - 3, center[1] + radius + 3
    top = above if above >= 0 else min(below, drawing.height - height)
    left = min(max(center[0] - width / 2, 0), drawing.width - width)
    _draw_chip(drawing, (round(left), round(top)), name, color)


def _draw_chip(drawing: Image.Image, corner: tuple[int, int], text: str, color: Color) -> None:
    """Text on a plate of its colour, which can be read on any picture."""
    left, top = corner
    width, height = _chip_size(drawing, text)
    pen = ImageDraw.Draw(drawing)
    pen.rectangle((left, top, left + width - 1, top + height - 1), fill=color, outline=OUTLINE)
    red, green, blue = color
    ink = OUTLINE if 0.299 * red + 0.587 * green + 0.114 * blue > 110 else INK
    pen.text((left + width / 2, top + height / 2), text, fill=ink, font=_font(_text_size(drawing)), anchor="mm")


def _chip_size(drawing: Image.Image, text: str) -> tuple[int, int]:
    """(width, height) of a plate for this text, px."""
    size = _text_size(drawing)
    return math.ceil(_font(size).getlength(text)) + size // 2 + 2, size + 3


def _text_size(drawing: Image.Image) -> int:
    """Font height, px: a twentieth of the short side, never below what can be read."""
    return max(11, round(min(drawing.size) / 22))


# --- condition maps ---------------------------------------------------------------------------------------------------


def _heat_over(gray: np.ndarray, gaussian: np.ndarray) -> np.ndarray:
    """The heat's colour where the map is above 0, the darkened picture elsewhere."""
    levels = (gaussian * 255).round().astype(np.uint8)
    heat = cv2.applyColorMap(levels, cv2.COLORMAP_INFERNO)[..., ::-1]
    return np.where(gaussian[..., None] > 0, heat, gray * 0.6).astype(np.uint8)


def _index_over(gray: np.ndarray, index: np.ndarray, palette: Sequence[Color]) -> np.ndarray:
    """Each entity's colour over the darkened picture; -1 is no entity."""
    table = np.array([(0, 0, 0), *palette], dtype=np.float64)
    share = np.where(index[..., None] >= 0, 0.85, 0.0)
    return (gray * 0.6 * (1 - share) + table[index.astype(np.int64) + 1] * share).astype(np.uint8)


# --- pixels, colours, fonts -------------------------------------------------------------------------------------------


def _checked_frames(frames: Tensor, what: str) -> Tensor:
    if frames.ndim != 4 or frames.shape[1] != 3 or 0 in frames.shape or not frames.is_floating_point():
        raise ValueError(
            f"{what}: frames must be (T, 3, H, W) float in 0..1, got {frames.dtype} of shape {tuple(frames.shape)}"
        )
    return frames


def _palette(count: int, colors: Sequence[str | None] | None) -> list[Color]:
    given = list(colors or [])
    if colors is not None and len(given) < count:
        raise ValueError(f"{count} entities need as many colours (None takes the table's), got {len(given)}")
    chosen = given or [None] * count
    return [ImageColor.getcolor(color or entity_color(i), "RGB") for i, color in enumerate(chosen)]  # type: ignore[misc]


def _pixels(image: Tensor) -> np.ndarray:
    """(H,W,3) uint8 that may be drawn on."""
    levels = (image.detach().float().clamp(0, 1) * 255).round().to(torch.uint8).cpu()
    return np.ascontiguousarray(rearrange(levels, "c h w -> h w c").numpy())


def _tensor(pixels: np.ndarray) -> Tensor:
    return rearrange(torch.from_numpy(pixels.astype(np.float32) / 255), "h w c -> c h w").contiguous()


def _resized(pixels: np.ndarray, size: Size) -> np.ndarray:
    if pixels.shape[:2] == (size.height, size.width):
        return pixels
    return np.array(Image.fromarray(pixels).resize((size.width, size.height), Image.Resampling.LANCZOS))


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
