"""Did it obey? What was asked for and what was found in a video, as a picture a frame and as a report."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from einops import rearrange
from torch import Tensor

from ..pictures import overlay_frames
from ..types import Size, Tracks
from .track_error import FollowedPaths, TrackError

ON_THE_LINE, BESIDE_IT, LOST = (255, 255, 255), (230, 20, 20), (128, 128, 128)
OUTLINE = (0, 0, 0)
LEAST_REACH = 4.0  # px of the video; what a disc smaller than this counts as
SUBPIXEL_BITS = 5  # OpenCV draws at fractions of a pixel when coordinates are whole numbers of 1/32 px

Color = tuple[int, int, int]


def obedience_overlay(
    frames: Tensor,
    tracks: Tracks,
    followed: FollowedPaths,
    names: Sequence[str],
    colors: Sequence[str | None] | None = None,
    scale: int = 1,
) -> Tensor:
    """The frames (T,3,scale*H,scale*W) with what was asked for in the entities' colours, and what was found on top.

    Asked: lines, discs and names as overlay_frames draws them. Found: a dot where the thing is, small ones where it
    was, and a straight line to where it should be; white on its line, red from one disc's radius beside it on, grey
    where the tracker had lost it. Where a path is not visible nothing found is shown. Raises ValueError as
    overlay_frames.
    """
    asked = overlay_frames(frames, tracks, names, colors, scale)
    size = Size(frames.shape[-2] * scale, frames.shape[-1] * scale)
    radii = tracks.resized(Size.of(frames)).radii[:, followed.paths].cpu().clamp(min=LEAST_REACH)
    beside = (followed.distances / radii).clamp(max=1.0).numpy()
    found, wanted = (((each + 0.5) * scale - 0.5).numpy() for each in (followed.found, followed.asked))
    width = max(1, round(min(size.height, size.width) / 320))
    pictures = [_drawn(picture, followed, beside, found, wanted, frame, width) for frame, picture in enumerate(asked)]
    return torch.stack(pictures)


def obedience_report(tracks: Tracks, followed: FollowedPaths, names: Sequence[str], size: Size) -> str:
    """A few lines for a person: the whole clip, each entity where there are several, what was not measured, by what.

    names: of the entities, in paint order; size: the video's, whose pixels the figures are in.
    """
    measured = list(dict.fromkeys(followed.entity.tolist()))
    lines = [_sentence(followed.error)]
    left_out = [index for index in dict.fromkeys(tracks.path_entity.tolist()) if index not in measured]
    if len(measured) + len(left_out) > 1:
        lines += [f"{names[index]}: {_sentence(followed.of_entity(index).error)}" for index in measured]
        lines += [f"{names[index]}: not measured" for index in left_out]
    error = followed.error
    lost = f"; {error.lost:.0%} lost" if error.lost else ""
    lines.append(f"in pixels of the video ({size}), found by {error.tracker}{lost}")
    return "\n".join(f"{line}." for line in lines)  # some viewers run lines together


def _sentence(error: TrackError) -> str:
    if not error.is_measured or not error.static_px > 0:
        return str(error)
    return f"{error}, {error.ratio:.2f} of standing still"


def _drawn(
    picture: Tensor,
    followed: FollowedPaths,
    beside: np.ndarray,
    found: np.ndarray,
    asked: np.ndarray,
    frame: int,
    width: int,
) -> Tensor:
    pixels = (rearrange(picture, "c h w -> h w c") * 255).round().to(torch.uint8)
    drawing = np.ascontiguousarray(pixels.numpy())
    counted, seen = followed.counted.numpy(), followed.seen.numpy()
    for path in range(found.shape[1]):
        if frame and not counted[frame, path]:
            continue
        for step in range(frame):
            if step == 0 or counted[step, path]:
                color = _color(beside[step, path], step == 0 or seen[step, path])
                _dot(drawing, found[step, path], color, 1.4 * width)
        color = _color(beside[frame, path], frame == 0 or seen[frame, path])
        _line(drawing, asked[frame, path], found[frame, path], color, width + 1)
        _dot(drawing, found[frame, path], color, 3 * width)
    return rearrange(torch.from_numpy(drawing).float() / 255, "h w c -> c h w")


def _color(beside: float, seen: bool) -> Color:
    """White on the line, red beside it, grey for what is not known."""
    if not seen:
        return LOST
    red, green, blue = (round(a + (b - a) * float(beside)) for a, b in zip(ON_THE_LINE, BESIDE_IT, strict=True))
    return red, green, blue


def _line(drawing: np.ndarray, start: np.ndarray, end: np.ndarray, color: Color, width: int) -> None:
    for ink, wide in ((OUTLINE, width + 2), (color, width)):
        cv2.line(drawing, _place(start), _place(end), ink, wide, cv2.LINE_AA, SUBPIXEL_BITS)


def _dot(drawing: np.ndarray, center: np.ndarray, color: Color, radius: float) -> None:
    for ink, wide in ((OUTLINE, radius + 1), (color, radius)):
        reach = round(wide * 2**SUBPIXEL_BITS)
        cv2.circle(drawing, _place(center), reach, ink, cv2.FILLED, cv2.LINE_AA, SUBPIXEL_BITS)


def _place(point: np.ndarray) -> tuple[int, int]:
    x, y = (round(float(value) * 2**SUBPIXEL_BITS) for value in point)
    return x, y
