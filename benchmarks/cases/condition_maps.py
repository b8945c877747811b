"""Drawing condition maps against a plain loop that paints them the way the original's own code goes about it."""

from __future__ import annotations

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from benchmarks.conditions import RADIUS_LIMIT, own_case
from benchmarks.measuring import Case, Way
from draganything_core.conditions import Geometry, build_condition_maps, painted_embeddings
from draganything_core.reference_geometry import reference_centers, reference_sides
from draganything_core.types import ConditionMaps, EntityFeatures, FeatureSource

FEATURE_CHANNELS, PAINTED_CHANNELS = 320, 160
TEMPLATE = 200  # px
SMALLEST = 4  # px


def case(full: bool) -> Case:  # noqa: ARG001 (there is one size)
    entities, tracks, size = own_case()
    geometry = Geometry("reference", RADIUS_LIMIT, size)
    vectors = torch.randn(len(entities), FEATURE_CHANNELS, generator=torch.Generator().manual_seed(0))
    features = EntityFeatures(vectors, FeatureSource("sd15"))
    centers, sides = (
        values.tolist()
        for values in (reference_centers(tracks, size), reference_sides(entities, tracks, size, RADIUS_LIMIT))
    )

    def ours(kind: Geometry) -> ConditionMaps:
        return build_condition_maps(entities, tracks, painted_embeddings(features, PAINTED_CHANNELS), size, kind)

    def plain() -> tuple[Tensor, Tensor]:
        return plain_maps(centers, sides, vectors, (size.height, size.width))

    return Case(
        "condition maps",
        f"{tracks.frames} frames of {size}, {len(entities)} entities, as the published weights want them",
        [
            Way("ours", lambda: ours(geometry)),
            Way("ours, exact geometry", lambda: ours(Geometry("exact", RADIUS_LIMIT, size))),
            Way("a loop over pixels", plain),
        ],
        largest_difference,
        ("a loop over pixels",),
        ["The loop writes a vector a pixel and stacks dense fp32 maps; places and radii are given to it ready made."],
    )


def plain_maps(
    centers: list[list[list[int]]], sides: list[list[int]], vectors: Tensor, shape: tuple[int, int]
) -> tuple[Tensor, Tensor]:
    """Gaussian (T,1,H,W) 0..1 and entity map (T,160,H,W), both float32, of discs given frame by frame.

    Each pixel of a disc gets its entity's vector of 320 numbers, one pixel after the other; then neighbouring channels
    are averaged and the frames stacked. The Gaussian is a picture pasted as a square.
    """
    height, width = shape
    template = plain_template()
    gaussians, entity_maps = [], []
    for places, radii in zip(centers, sides, strict=True):
        gaussian = np.zeros(shape, np.float32)
        painted = torch.zeros(height, width, vectors.shape[1])
        for (x, y), side, vector in zip(places, radii, vectors, strict=True):
            top, bottom = max(y - side, 0), min(y + side, height - 1)
            left, right = max(x - side, 0), min(x + side, width - 1)
            if bottom - top >= SMALLEST and right - left >= SMALLEST:
                gaussian[top:bottom, left:right] = cv2.resize(template, (right - left, bottom - top))
            for row in range(max(y - side, 0), min(y + side + 1, height)):
                for column in range(max(x - side, 0), min(x + side + 1, width)):
                    if (column - x) ** 2 + (row - y) ** 2 <= side**2:
                        painted[row, column] = vector
        gaussians.append(torch.from_numpy(gaussian / 255))
        halved = F.avg_pool1d(rearrange(painted, "h w c -> 1 (h w) c"), kernel_size=2, stride=2)
        entity_maps.append(rearrange(halved, "1 (h w) c -> h w c", h=height))
    stacked = rearrange(torch.stack(entity_maps), "t h w c -> t c h w").contiguous()
    return rearrange(torch.stack(gaussians), "t h w -> t 1 h w"), stacked


def plain_template() -> np.ndarray:
    """(200,200) uint8 Gaussian in a disc, number by number."""
    radius = TEMPLATE // 2
    template = np.zeros((TEMPLATE, TEMPLATE))
    for row in range(TEMPLATE):
        for column in range(TEMPLATE):
            squared = (row - radius) ** 2 + (column - radius) ** 2
            if squared <= radius**2:
                template[row, column] = np.exp(-squared / (2 * 40.0**2))
    return (template / template.max() * 255).astype(np.uint8)


def largest_difference(ours: ConditionMaps, plain: tuple[Tensor, Tensor]) -> float:
    """Of both maps, frame by frame: the dense ones together would take gigabytes twice."""
    gaussian, entity_map = plain
    difference = float((ours.gaussian - gaussian).abs().max())
    for frame in range(ours.frames):
        dense = ours.entity_map(slice(frame, frame + 1))
        difference = max(difference, float((dense - entity_map[frame]).abs().max()))
    return difference
