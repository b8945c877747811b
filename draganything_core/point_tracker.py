"""Where points of the first frame go in a video: template matching and Lucas-Kanade, which need no weights."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import cv2
import numpy as np
import torch
from einops import rearrange
from numpy.typing import NDArray
from torch import Tensor

FEATURES = 150  # corners followed for one query, at most
FEATURE_DISTANCE = 3  # px between two corners
ROUND_TRIP = 1.0  # px; a corner followed forward and back again must end this close to where it was
AGREEMENT = 2.0  # px a frame; a corner that moves otherwise than most of its query's corners is dropped
NEARNESS = 8.0  # px; a corner this far from its query counts half of one beside it
VISIBLE = 0.25  # share of its corners that must still be followed for a query to count as visible
PATCH = 20  # px on each side of a query: what is looked for in the next frame, to begin with
SEARCH = 32  # px on each side: how far
CLEARLY_BETTER = 0.5  # of the difference of colours at rest: what the place found must stay below to be believed

# The pyramid is kept low: at its upper levels the surroundings outweigh a small thing, which would be left behind.
# Reach comes from the patch search instead. The least texture is ten times OpenCV's own: noise of 1 % of the range
# stays below it, corners of photographs lie 6 to 400 times above.
LUCAS_KANADE: dict[str, Any] = {
    "winSize": (21, 21),
    "maxLevel": 1,
    "criteria": (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 30, 0.01),
    "flags": cv2.OPTFLOW_USE_INITIAL_FLOW,
    "minEigThreshold": 1e-3,
}


class Tracker(Protocol):
    """Anything that follows points through a video as ``track_points`` does."""

    def __call__(self, video: Tensor, queries: Tensor, masks: Tensor | None = None) -> tuple[Tensor, Tensor]: ...


def track_points(
    video: Tensor, queries: Tensor, masks: Tensor | None = None, *, disc_radius: float = 16.0
) -> tuple[Tensor, Tensor]:
    """Tracks (T,N,2) float32 and visibility (T,N) bool of N points of the first frame, in pixels of the video.

    video (T,3,H,W) in 0..1; queries (N,2) x, y px; masks (N,H,W) bool, the region of the first frame that moves with
    each query; without masks it is a disc about the query.

    A query moves by the weighted median step of the corners in its region: corners that come back to where they were
    when followed in reverse, and agree with each other. A corner once lost stays lost, so a point that was hidden for
    long stays invisible. A query whose region has too little texture, or too few corners left, holds its last
    position and counts as invisible, as does one that is off the picture. In frame 0 every query on the picture is
    visible. Steps up to about 30 px a frame are followed. Queries are independent of each other.

    Raises ValueError on shapes that do not fit.
    """
    check_tracking_input(video, queries, masks)
    if not disc_radius > 0:
        raise ValueError(f"disc_radius must be > 0 px, got {disc_radius}")
    start = queries.detach().cpu().numpy().astype(np.float64)
    regions = _discs(video, start, disc_radius) if masks is None else masks.cpu().numpy()
    before = _Picture.of(video[0])
    corners, patches = _corners(before, start, regions), _patches(regions, start)
    tracks, visibility = [start], [on_picture(start, before.gray.shape)]
    for frame in video[1:]:
        after = _Picture.of(frame)
        corners, steps, shares = _followed(before, after, corners, tracks[-1], patches)
        tracks.append(tracks[-1] + steps)
        visibility.append((shares >= VISIBLE) & on_picture(tracks[-1], after.gray.shape))
        before = after
    return torch.from_numpy(np.stack(tracks)).float(), torch.from_numpy(np.stack(visibility))


class _Picture(NamedTuple):
    color: NDArray[np.uint8]  # (H,W,3)
    gray: NDArray[np.uint8]  # (H,W)

    @classmethod
    def of(cls, frame: Tensor) -> _Picture:
        pixels = (frame.detach().float().cpu().clamp(0, 1) * 255).round().to(torch.uint8)
        color = rearrange(pixels, "c h w -> h w c").contiguous().numpy()
        return cls(color, cv2.cvtColor(color, cv2.COLOR_RGB2GRAY))


class _Corners(NamedTuple):
    """The corners still followed, of all queries together."""

    points: NDArray[np.float32]  # (F,2) x, y px
    query: NDArray[np.int64]  # (F,)
    weight: NDArray[np.float64]  # (F,) by the distance to the query in the first frame
    found: NDArray[np.int64]  # (N,) how many each query had in the first frame


def _corners(picture: _Picture, queries: NDArray, regions: NDArray[np.bool_]) -> _Corners:
    found = [_corners_of(picture, query, region) for query, region in zip(queries, regions, strict=True)]
    counts = np.array([len(points) for points in found], dtype=np.int64)
    points = np.concatenate([*found, np.zeros((0, 2), np.float32)])
    query = np.repeat(np.arange(len(queries)), counts)
    distance = np.linalg.norm(points - queries[query], axis=1)
    return _Corners(points, query, 1 / (1 + (distance / NEARNESS) ** 2), counts)


def _corners_of(picture: _Picture, query: NDArray, region: NDArray[np.bool_]) -> NDArray[np.float32]:
    corners = cv2.goodFeaturesToTrack(picture.gray, FEATURES, 0.01, FEATURE_DISTANCE, mask=region.astype(np.uint8))
    # The query itself is one of them: in a region too small for corners it is all there is.
    return np.array([query, *([] if corners is None else corners[:, 0])], np.float32)


def _patches(regions: NDArray[np.bool_], queries: NDArray) -> list[NDArray[np.uint8]]:
    """Each query's region within PATCH px about it, as the weights of its patch."""
    patches = []
    for region, query in zip(regions, queries, strict=True):
        x, y = np.round(query).astype(int)
        patch = np.zeros((2 * PATCH + 1, 2 * PATCH + 1), np.uint8)
        inside = _window(x, y, PATCH, region.shape)
        patch[_shifted(inside, PATCH - y, PATCH - x)] = region[inside]
        patches.append(patch)
    return patches


def _followed(
    before: _Picture, after: _Picture, corners: _Corners, positions: NDArray, patches: list[NDArray[np.uint8]]
) -> tuple[_Corners, NDArray, NDArray]:
    """The corners that could be followed, each query's step (N,2), and the share of its corners that is left (N,)."""
    count = len(positions)
    steps, shares = np.zeros((count, 2)), np.zeros(count)
    if len(corners.points) == 0:
        return corners, steps, shares
    guesses = np.stack([_patch_step(before, after, *pair) for pair in zip(positions, patches, strict=True)])
    moved, reliable = _round_trip(before.gray, after.gray, corners.points, guesses[corners.query])
    kept = np.zeros(len(moved), bool)
    for query in range(count):
        own = np.flatnonzero((corners.query == query) & reliable)
        own = own[_agreeing(moved[own] - corners.points[own])]
        if len(own) == 0 or len(own) < min(3, corners.found[query]):
            continue  # too few to be believed: the query rests, and its corners are lost
        kept[own] = True
        shares[query] = len(own) / corners.found[query]
        steps[query] = _weighted_median(moved[own] - corners.points[own], corners.weight[own])
    left = _Corners(moved[kept], corners.query[kept], corners.weight[kept], corners.found)
    return left, steps, shares


def _patch_step(before: _Picture, after: _Picture, position: NDArray, patch: NDArray[np.uint8]) -> NDArray:
    """(2,) whole pixels to where the query's patch is found again, or 0 unless that place is clearly better."""
    x, y = np.round(position).astype(int)
    inside = _window(x, y, PATCH, before.gray.shape)
    searched = _window(x, y, PATCH + SEARCH, after.gray.shape)
    weight = patch[_shifted(inside, PATCH - y, PATCH - x)]
    if weight.sum() < 25:
        return np.zeros(2)
    weights = np.repeat(weight[..., None], 3, axis=2)
    cost = cv2.matchTemplate(after.color[searched], before.color[inside], cv2.TM_SQDIFF, mask=weights)
    rest_y, rest_x = inside[0].start - searched[0].start, inside[1].start - searched[1].start
    at_rest = cost[max(rest_y - 1, 0) : rest_y + 2, max(rest_x - 1, 0) : rest_x + 2].min()
    lowest, _, (best_x, best_y), _ = cv2.minMaxLoc(cost)
    if lowest >= CLEARLY_BETTER * at_rest:
        return np.zeros(2)
    return np.array([best_x - rest_x, best_y - rest_y], np.float64)


def _round_trip(
    before: NDArray[np.uint8], after: NDArray[np.uint8], points: NDArray[np.float32], guesses: NDArray
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Where points go, and which of them come back and stay on the picture. guesses (F,2): the steps to begin with."""
    there = np.ascontiguousarray(points + guesses, np.float32)
    forward, found, _ = cv2.calcOpticalFlowPyrLK(before, after, points, there, **LUCAS_KANADE)
    back_again = np.ascontiguousarray(forward - guesses, np.float32)
    back, found_back, _ = cv2.calcOpticalFlowPyrLK(after, before, forward, back_again, **LUCAS_KANADE)
    height, width = after.shape
    inside = ((forward >= 0) & (forward <= (width - 1, height - 1))).all(axis=1)
    returned = np.linalg.norm(back - points, axis=1) < ROUND_TRIP
    return forward, inside & returned & (found[:, 0] > 0) & (found_back[:, 0] > 0)


def _agreeing(steps: NDArray) -> NDArray[np.bool_]:
    if len(steps) == 0:
        return np.zeros(0, bool)
    return np.linalg.norm(steps - np.median(steps, axis=0), axis=1) < AGREEMENT


def _weighted_median(steps: NDArray, weight: NDArray) -> NDArray:
    """(2,): in x and in y, the step at which half of the weight is reached."""
    order = np.argsort(steps, axis=0, kind="stable")
    reached = np.cumsum(weight[order], axis=0)
    middle = (reached < reached[-1] / 2).sum(axis=0)
    return np.array([steps[order[middle[axis], axis], axis] for axis in (0, 1)])


def _window(x: int, y: int, reach: int, shape: tuple[int, ...]) -> tuple[slice, slice]:
    """Rows and columns within ``reach`` px of a pixel, as far as they are on the picture."""
    top, bottom = (min(max(row, 0), shape[0]) for row in (y - reach, y + reach + 1))
    left, right = (min(max(column, 0), shape[1]) for column in (x - reach, x + reach + 1))
    return slice(top, bottom), slice(left, right)


def _shifted(window: tuple[slice, slice], down: int, right: int) -> tuple[slice, slice]:
    rows, columns = window
    return slice(rows.start + down, rows.stop + down), slice(columns.start + right, columns.stop + right)


def _discs(video: Tensor, queries: NDArray, radius: float) -> NDArray[np.bool_]:
    ys, xs = np.mgrid[: video.shape[-2], : video.shape[-1]]
    return np.hypot(xs - queries[:, 0, None, None], ys - queries[:, 1, None, None]) <= radius


def on_picture(positions: NDArray, size: tuple[int, ...]) -> NDArray[np.bool_]:
    """(...) whether positions (...,2) x, y are on a picture of ``size`` (height, width)."""
    height, width = size
    return np.asarray(((positions >= -0.5) & (positions <= (width - 0.5, height - 0.5))).all(axis=-1))


def check_tracking_input(video: Tensor, queries: Tensor, masks: Tensor | None) -> None:
    """Raises ValueError, naming what does not fit, if these are not what a Tracker takes."""
    if video.ndim != 4 or video.shape[1] != 3 or not video.is_floating_point() or len(video) == 0:
        raise ValueError(f"a video to track must be (T, 3, H, W) float in 0..1, got {video.dtype} {tuple(video.shape)}")
    if queries.ndim != 2 or queries.shape[1] != 2:
        raise ValueError(f"queries must be (N, 2) x, y pixels of the first frame, got shape {tuple(queries.shape)}")
    if not bool(torch.isfinite(queries).all()):
        raise ValueError("queries hold a value that is not a finite number")
    expected = (len(queries), *video.shape[-2:])
    if masks is not None and (tuple(masks.shape) != expected or masks.dtype != torch.bool):
        raise ValueError(f"masks must be {expected} bool, one per query, got {masks.dtype} {tuple(masks.shape)}")
