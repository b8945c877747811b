"""Condition maps: Gaussian frames and an entity index per pixel, from entities and their tracks.

Paper section 3.4. In every frame each path writes its entity's vector inside a disc (the entity map) and a 2D Gaussian
in the same place (the Gaussian map); later paths overwrite earlier ones. The entity map is kept as an index into a
table of vectors, which equals it exactly at a hundredth of its size.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil
from typing import Literal, NamedTuple, get_args

import numpy as np
import torch
from einops import reduce, repeat
from torch import Tensor

from .reference_geometry import paint_reference, reference_latent_mask, reference_radius
from .types import ConditionMaps, Entities, EntityFeatures, Size, Tracks

__all__ = [
    "Geometry",
    "Painting",
    "build_condition_maps",
    "check_condition_inputs",
    "exact_condition_maps",
    "painted_embeddings",
    "reference_latent_mask",
    "reference_radius",
]

Painting = Literal["vector", "channel_0"]
GeometryKind = Literal["exact", "reference", "point", "trajectory", "box"]

NATIVE_SIZE = Size(320, 576)  # of SVD's small model and of the published weights
TORCH_GRAIN = 2**15  # elements from which on torch spreads an operation on the CPU over threads
SIGMA_RATIO = 0.4  # standard deviation of the Gaussian over the disc's radius


@dataclass(frozen=True)
class Geometry:
    """How discs and Gaussians are drawn: part of a model's config, for a model must see the maps it was trained on.

    kind: "exact" draws at float positions and crops at borders; "reference" draws the original's integers, squares and
    squashed borders (reference_geometry.py); "point", "trajectory" and "box" are what the paper's figure 2 sets against
    them, drawn by ``representations.represented_maps``. max_radius: largest disc in px of ``max_radius_size``, None for
    no limit; at other sizes it grows with the mean of the two scales, as radii do.

    Both honour the tracks' visibility. The original had none and drew whatever part of a disc was left of a centre off
    the picture; tracks that are visible there draw it here too.
    """

    kind: GeometryKind = "exact"
    max_radius: float | None = None
    max_radius_size: Size = NATIVE_SIZE

    def __post_init__(self) -> None:
        if self.kind not in get_args(GeometryKind):
            raise ValueError(f"geometry: kind must be one of {', '.join(get_args(GeometryKind))}, got {self.kind!r}")
        if self.max_radius is not None and not self.max_radius > 0:
            raise ValueError(f"geometry: max_radius must be > 0 px or None for no limit, got {self.max_radius!r}")

    def radius_limit(self, size: Size) -> float:
        """Largest radius in px of ``size``; infinity where there is no limit."""
        if self.max_radius is None:
            return float("inf")
        return self.max_radius * sum(self.max_radius_size.scale_to(size)) / 2


def build_condition_maps(
    entities: Entities,
    tracks: Tracks,
    embeddings: Tensor,
    size: Size,
    geometry: Geometry,
    *,
    device: torch.device | str = "cpu",
    chunk_frames: int = 8,
) -> ConditionMaps:
    """Condition maps of all frames at ``size``, on ``device``.

    entities and tracks lie on the picture's own canvas and are mapped to ``size`` here: positions by (x + 0.5) s - 0.5
    and radii by the mean scale in the exact geometry, by the original's truncation in the reference one. embeddings
    (E,C): one row per entity in paint order (see ``painted_embeddings``). The last path wins where discs overlap.

    chunk_frames bounds the working memory beside the maps and never changes them, bit by bit. The reference geometry
    is drawn by OpenCV on the CPU and then moved. Raises ValueError where the inputs do not belong together.
    Source: DragAnything (arXiv 2403.07420), section 3.4.
    """
    check_condition_inputs(entities, tracks, embeddings)
    if geometry.kind == "exact":
        return exact_condition_maps(tracks, embeddings, size, geometry, device=device, chunk_frames=chunk_frames)
    if geometry.kind != "reference":
        raise ValueError(
            f'geometry: "{geometry.kind}" is no kind of disc. Draw it with representations.represented_maps.'
        )
    gaussian, entity_index = _reference_maps(entities, tracks, size, geometry, device)
    return ConditionMaps(gaussian, entity_index, embeddings.to(device, torch.float32), size)


def exact_condition_maps(
    tracks: Tracks,
    embeddings: Tensor,
    size: Size,
    geometry: Geometry,
    *,
    device: torch.device | str = "cpu",
    chunk_frames: int = 8,
) -> ConditionMaps:
    """``build_condition_maps`` of the exact geometry, which draws radii from the tracks and needs no masks.

    Raises ValueError for a geometry of another kind.
    """
    if geometry.kind != "exact":
        raise ValueError(f'geometry: these maps are of the kind "exact", not "{geometry.kind}"')
    if chunk_frames < 1:
        raise ValueError(f"chunk_frames must be >= 1, got {chunk_frames}")
    gaussian, entity_index = _exact_maps(tracks, size, geometry, device, chunk_frames)
    return ConditionMaps(gaussian, entity_index, embeddings.to(device, torch.float32), size)


def painted_embeddings(features: EntityFeatures, entity_channels: int, painting: Painting = "vector") -> Tensor:
    """(E, entity_channels) vectors that are written into the entity map.

    "vector": the whole feature vector; where it is longer, adjacent channels are averaged in groups (320 -> 160 takes
    the mean of channels 2k and 2k+1). "channel_0": the first channel alone in every channel, a slip of the authors'
    demo, for showing the published weights what that demo showed them.
    """
    channels = features.embeddings.shape[1]
    if entity_channels < 1:
        raise ValueError(f"entity_channels must be >= 1, got {entity_channels}")
    if painting == "channel_0":
        return repeat(features.embeddings[:, 0], "e -> e c", c=entity_channels).contiguous()
    if painting != "vector":
        raise ValueError(f'painting must be "vector" or "channel_0", got {painting!r}')
    if channels % entity_channels:
        raise ValueError(
            f"entity features have {channels} channels, which do not divide into {entity_channels} painted ones. "
            "Take the features from the network and block that the weights' entity_source names."
        )
    return reduce(features.embeddings, "e (c group) -> e c", "mean", c=entity_channels)


def check_condition_inputs(entities: Entities, tracks: Tracks, embeddings: Tensor) -> None:
    """Raises ValueError, with what to do, where entities, tracks and embeddings do not belong together."""
    if tracks.size != entities.size:
        raise ValueError(
            f"the tracks are on a {tracks.size} canvas, the entities on {entities.size}. "
            "Bring both to the picture's size with .resized(size)."
        )
    if embeddings.ndim != 2 or len(embeddings) != len(entities):
        raise ValueError(
            f"embeddings must be ({len(entities)}, C), one row per entity, got shape {tuple(embeddings.shape)}"
        )
    strangers = tracks.path_entity[(tracks.path_entity < 0) | (tracks.path_entity >= len(entities))]
    if len(strangers):
        raise ValueError(
            f"tracks: path_entity names entity {int(strangers[0])}, there are {len(entities)} (numbered from 0). "
            "Every path needs its entity."
        )
    if not bool((torch.isfinite(tracks.radii) & (tracks.radii >= 0)).all()):
        raise ValueError("tracks: radii must be finite and >= 0 px")


def _reference_maps(
    entities: Entities, tracks: Tracks, size: Size, geometry: Geometry, device: torch.device | str
) -> tuple[Tensor, Tensor]:
    pixels, entity_index = paint_reference(entities, tracks, size, geometry.radius_limit(size))
    # Divided on the CPU: a GPU multiplies by 1/255 instead, and x255 would no longer give the same bytes.
    gaussian = torch.from_numpy(np.divide(pixels, 255, dtype=np.float32)).unsqueeze(1)
    return gaussian.to(device), torch.from_numpy(entity_index).to(device)


def _exact_maps(
    tracks: Tracks, size: Size, geometry: Geometry, device: torch.device | str, chunk_frames: int
) -> tuple[Tensor, Tensor]:
    shape = (tracks.frames, size.height, size.width)
    # Here and below numpy does what torch would spread over threads: at these sizes threads gain nothing, and on busy
    # cores every operation would wait for the slower one.
    gaussian = torch.from_numpy(np.zeros(shape, np.float32)).to(device)
    entity_index = torch.from_numpy(np.full(shape, -1, np.int16)).to(device)
    tracks = replace(tracks.to("cpu"), paths=tracks.paths.cpu().double(), radii=tracks.radii.cpu().double())
    tracks = tracks.resized(size)
    limit = geometry.radius_limit(size)
    for path, entity in enumerate(tracks.path_entity.tolist()):
        discs = _discs(tracks.paths[:, path], tracks.radii[:, path].clamp(max=limit), tracks.visibility[:, path], size)
        batch = min(chunk_frames, _frames_of_one_thread(discs)) if gaussian.is_cpu else chunk_frames
        for start in range(0, len(discs.frames), batch):
            _paint(gaussian, entity_index, discs, slice(start, start + batch), entity)
    return gaussian.unsqueeze(1), entity_index


class _Span(NamedTuple):
    """Discs along one axis: first pixel (n,), squared distances from the centre (n,K), Gaussian profile (n,K)."""

    first: Tensor
    squared: Tensor
    profile: Tensor


class _Discs(NamedTuple):
    """One path's discs in the n frames in which they are to be seen."""

    frames: Tensor
    rows: _Span
    columns: _Span
    squared_radius: Tensor


def _discs(center: Tensor, radius: Tensor, visible: Tensor, size: Size) -> _Discs:
    """A path's discs from its centres (T,2) and radii (T,) in px of ``size``, float64."""
    # A disc between pixel centres would cover none: it is moved onto its nearest pixel.
    nearest = (center + 0.5).floor()
    covers_a_pixel = (nearest - center).square().sum(-1) <= radius.square()
    center = torch.where(covers_a_pixel.unsqueeze(-1), center, nearest)

    reach = radius.unsqueeze(-1) + 1
    extent = torch.tensor([size.width, size.height])
    on_canvas = ((center + reach >= 0) & (center - reach <= extent - 1)).all(-1)
    frames = (visible & on_canvas).nonzero().squeeze(-1)
    center, radius = center[frames], radius[frames]
    return _Discs(
        frames,
        _span(center[:, 1], radius, size.height),
        _span(center[:, 0], radius, size.width),
        radius.square().float(),
    )


def _span(center: Tensor, radius: Tensor, length: int) -> _Span:
    """The window of pixels that holds each disc along one axis, all of one width so that frames form a batch.

    The Gaussian is the product of two such profiles. They are computed in float64 for all frames at once and rounded:
    what is left to do per pixel are single sums and products, the same bits in any chunking and on any device.
    """
    width = min(2 * ceil(radius.max()) + 3, length) if len(radius) else 0
    first = ((center - radius).ceil() - 1).clamp(0, length - width)
    squared = (first.unsqueeze(-1) + torch.arange(width) - center.unsqueeze(-1)).square()
    variance = (SIGMA_RATIO * radius).square().clamp(min=1e-12).unsqueeze(-1)
    profile = torch.from_numpy(np.exp((-squared / (2 * variance)).numpy()))
    return _Span(first.long(), squared.float(), profile.float())


def _frames_of_one_thread(discs: _Discs) -> int:
    """How many frames' windows torch works on in one go without spreading them over threads (at least 1)."""
    window = discs.rows.squared.shape[1] * discs.columns.squared.shape[1]
    return max(1, (TORCH_GRAIN - 1) // max(window, 1))


def _paint(gaussian: Tensor, entity_index: Tensor, discs: _Discs, chunk: slice, entity: int) -> None:
    """Overwrites both (T,H,W) maps inside a chunk of one path's discs, in place."""
    rows, columns = discs.rows, discs.columns
    squared_y, squared_x, squared_radius, profile_y, profile_x = (
        tensor[chunk].to(gaussian.device)
        for tensor in (rows.squared, columns.squared, discs.squared_radius, rows.profile, columns.profile)
    )
    inside = squared_y[:, :, None] + squared_x[:, None, :] <= squared_radius[:, None, None]
    bell = profile_y[:, :, None] * profile_x[:, None, :]  # (n, window height, window width), as inside
    height, width = inside.shape[1:]
    corners = torch.stack([discs.frames, rows.first, columns.first], dim=-1)[chunk]
    for (frame, top, left), disc, values in zip(corners.tolist(), inside, bell, strict=True):
        window = (frame, slice(top, top + height), slice(left, left + width))
        torch.where(disc, values, gaussian[window], out=gaussian[window])
        entity_index[window].masked_fill_(disc, entity)
