"""GrabCut (Rother et al. 2004) for clicks and boxes: three cuts of a small picture, from a narrow to a wide guess."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from .document import Box, Click, Prompts
from .masks import distance_to_background

Picture = NDArray[np.uint8]  # (h,w,3) RGB
Mask = NDArray[np.bool_]  # (h,w)
Labels = NDArray[np.uint8]  # (h,w) of cv2's GC_BGD, GC_FGD, GC_PR_BGD, GC_PR_FGD; the odd ones are the entity

# Chosen by trial on 23 entities of seven photographs.
REACHES = (0.07, 0.2, 0.5)  # of the long side: how far from the clicks the entity may go
CORE = 1 / 3  # of a reach: taken for the entity at first
CLICK_DISC = 10 / 384  # of the long side: surely as the click says
BOX_CORES = (1 / 3, 2 / 3, 1.0)  # of a box, about its middle: taken for the entity at first
BOX_HEART = 0.4  # of a box, the ellipse about its middle: surely the entity, where no click says more
ITERATIONS = 3
CONTRAST_WINDOW = 11  # px; colours on the two sides of the outline are compared within it
CONTRAST_HALF = 20.0  # difference in CIE Lab that rates 0.5


def grabcut_masks(picture: Picture, prompts: Prompts) -> list[tuple[Mask, float]]:
    """Three masks of the picture's size, each with its rating in 0..1, for prompts in the picture's pixels.

    Narrow to wide: by the reach of the clicks, or by the part of the box that is the first guess. Of each cut the
    regions under the clicks stay (without clicks the largest), holes filled unless a negative click is in them.
    The rating is the contrast of colours across the outline. The same input always gives the same masks.
    """
    guesses = _click_guesses(picture, prompts) if prompts.box is None else _box_guesses(picture, prompts, prompts.box)
    cuts = [_clicked_region(_cut(picture, labels), prompts) for labels in guesses]
    return [(cut, _outline_contrast(picture, cut)) for cut in cuts]


def _click_guesses(picture: Picture, prompts: Prompts) -> Iterator[Labels]:
    # Several clicks on one entity span a region (their hull), so that its middle counts as near.
    clicked = np.array([_pixel(picture, click) for click in prompts.points if click.label == 1])
    span = np.ones(picture.shape[:2], np.uint8)
    cv2.fillConvexPoly(span, cv2.convexHull(clicked), color=0)
    distance = distance_to_background(span)
    for reach in REACHES:
        limit = reach * max(picture.shape[:2])
        labels = np.full(picture.shape[:2], cv2.GC_BGD, np.uint8)
        labels[distance <= limit] = cv2.GC_PR_BGD
        labels[distance <= CORE * limit] = cv2.GC_PR_FGD
        yield _with_clicks(labels, picture, prompts)


def _box_guesses(picture: Picture, prompts: Prompts, box: Box) -> Iterator[Labels]:
    ys, xs = np.mgrid[: picture.shape[0], : picture.shape[1]]
    # 0 in the middle of the box, 1 on its outline; a box thinner than a pixel still holds the pixel it lies in.
    across = np.abs(xs - (box.x + box.width / 2)) / max(box.width / 2, 0.5)
    down = np.abs(ys - (box.y + box.height / 2)) / max(box.height / 2, 0.5)
    distance, from_middle = np.maximum(across, down), np.hypot(across, down)
    clicked = any(click.label == 1 for click in prompts.points)
    for core in BOX_CORES:
        labels = np.full(picture.shape[:2], cv2.GC_BGD, np.uint8)
        labels[distance <= 1] = cv2.GC_PR_BGD
        labels[distance <= core] = cv2.GC_PR_FGD
        if not clicked:
            labels[from_middle <= max(BOX_HEART, from_middle.min())] = cv2.GC_FGD
        yield _with_clicks(labels, picture, prompts)


def _with_clicks(labels: Labels, picture: Picture, prompts: Prompts) -> Labels:
    for click in sorted(prompts.points, key=lambda click: click.label):  # where two meet, the positive one stays
        x, y = _pixel(picture, click)
        opposite = [_pixel(picture, other) for other in prompts.points if other.label != click.label]
        nearest = min((float(np.hypot(x - u, y - v)) for u, v in opposite), default=float("inf"))
        radius = min(max(CLICK_DISC * max(picture.shape[:2]), 1), nearest / 2)
        cv2.circle(labels, (x, y), int(radius), cv2.GC_FGD if click.label else cv2.GC_BGD, thickness=-1)
    return labels


def _cut(picture: Picture, labels: Labels) -> Mask:
    if not (labels % 2 == 0).any():
        return np.ones(labels.shape, bool)  # nothing is left for the background to be learned from
    cv2.setRNGSeed(0)  # its colour clusters start at random
    models = np.zeros((2, 1, 65))
    cv2.grabCut(picture, labels, None, models[0], models[1], ITERATIONS, cv2.GC_INIT_WITH_MASK)
    return labels % 2 == 1


def _clicked_region(mask: Mask, prompts: Prompts) -> Mask:
    _, components, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    clicked = {int(components[_at(mask, click)]) for click in prompts.points if click.label == 1}
    if not clicked and len(stats) > 1:
        clicked = {1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))}
    return _without_holes(np.isin(components, list(clicked)), prompts)


def _without_holes(mask: Mask, prompts: Prompts) -> Mask:
    outside = np.pad(~mask, 1, constant_values=True).astype(np.uint8)  # the padding joins all that reaches the border
    _, components = cv2.connectedComponents(outside, connectivity=4)
    background = components[1:-1, 1:-1]
    kept = {int(components[0, 0])} | {int(background[_at(mask, click)]) for click in prompts.points if click.label == 0}
    return ~np.isin(background, list(kept - {0}))


def _outline_contrast(picture: Picture, mask: Mask) -> float:
    """0..1: how far the colours on the two sides of the mask's outline differ, on average along it."""
    inside = mask.astype(np.float32)
    eroded = cv2.erode(inside, np.ones((3, 3), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=1)
    outline = mask & (eroded == 0)
    if not outline.any():
        return 0.0
    colours = cv2.cvtColor(picture.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    difference = _local_mean(colours, inside)[outline] - _local_mean(colours, 1 - inside)[outline]
    distance = np.linalg.norm(difference, axis=-1)
    return float((distance / (distance + CONTRAST_HALF)).mean())


def _local_mean(colours: NDArray[np.float32], weight: NDArray[np.float32]) -> NDArray[np.float32]:
    # (h,w,3): the mean colour about each pixel of those pixels that have weight 1.
    window = (CONTRAST_WINDOW, CONTRAST_WINDOW)
    total = cv2.boxFilter(colours * weight[..., None], -1, window, normalize=False, borderType=cv2.BORDER_CONSTANT)
    count = cv2.boxFilter(weight, -1, window, normalize=False, borderType=cv2.BORDER_CONSTANT)
    return total / np.maximum(count, 1)[..., None]


def _pixel(picture: Picture, click: Click) -> tuple[int, int]:
    """(x, y) of the pixel a click falls on."""
    y, x = _at(picture, click)
    return x, y


def _at(array: NDArray, click: Click) -> tuple[int, int]:
    # Row and column. A click on the last half pixel of the border belongs to the pixel it borders.
    height, width = array.shape[:2]
    return min(max(round(click.y), 0), height - 1), min(max(round(click.x), 0), width - 1)
