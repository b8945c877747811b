"""From cached clips to a training batch: what is drawn for each sample, and what is computed on the device.

Each draw has a purpose and a generator of its own, keyed by (seed, step, position in the global batch).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from einops import rearrange
from torch import Tensor

from ..autoencoder import encoded_distribution
from ..conditions import Geometry, Painting, painted_embeddings
from ..representations import represented_tracks
from ..types import LATENT_SCALE, ConditionMaps, EntityFeatures, FeatureSource, Size, Tracks
from .cache import CachedClip
from .config import Control, Noise
from .objective import (
    TrainingBatch,
    added_time_ids,
    condition_dropout,
    noised_pictures,
    sample_image_noise_levels,
    sample_sigmas,
)
from .order import noise_generator, noise_generators

# Of 255, as coverage is kept: 33 of a cell's 64 pixels are more than half, 32 are not. Halfway between the two, since
# each entity's part is rounded by itself before they are added.
SEEN = 255 * 32.5 / 64


@dataclass(frozen=True, eq=False)
class Controlled:
    """What one sample is asked to do: the paths of the chosen entities, their vectors (E,C), and where they are seen.

    seen (T,h,w) bool: latent cells of which the chosen entities cover more than half (paper equation 3's M).
    boxes (E,2,2): their bounding boxes in radii, None where the cache has none.
    """

    tracks: Tracks
    embeddings: Tensor
    seen: Tensor
    boxes: Tensor | None = None


@dataclass(frozen=True, eq=False)
class LoadedBatch:
    """A batch on the CPU, all its draws made.

    latents, noise (B,T,4,h,w); sigmas (B,). Either image_latents (B,4,h,w), or pictures and pictures_noise (B,3,H,W),
    pictures in -1..1, of which the latents are still to be made. controlled: None where no ControlNet is trained.
    seen (B,T,h,w) bool: cells of the controlled entities, or without control of all that move or are held.
    """

    names: tuple[str, ...]
    latents: Tensor
    noise: Tensor
    sigmas: Tensor
    image_embeds: Tensor
    time_ids: Tensor
    dropout_uniforms: Tensor
    image_latents: Tensor | None
    pictures: Tensor | None
    controlled: list[Controlled] | None
    seen: Tensor


@dataclass(frozen=True, eq=False)
class BatchMaker:
    """Makes batches of cached clips of one bucket.

    geometry, entity_channels, painting: the ControlNet's; grabs: whether discs sit on a grabbed point of the entity
    instead of its centre. vae: for first frames that are noised and encoded in the step.
    """

    seed: int
    noise: Noise
    control: Control | None
    geometry: Geometry
    entity_channels: int
    grabs: bool
    vae: Any
    painting: Painting = "vector"

    def load(self, step: int, positions: range, clips: list[CachedClip]) -> LoadedBatch:
        """The batch of these clips at these positions of a step's global batch."""

        def generators(purpose: str) -> list[torch.Generator]:
            return noise_generators(self.seed, step, positions, purpose)

        latents = torch.stack([_drawn(clip, draw) for clip, draw in zip(clips, generators("latents"), strict=True)])
        image_latents, pictures, levels = self._first_frames(clips, generators("image"))
        fps = torch.tensor([self.noise.fps or clip.fps for clip in clips])
        fixed = self.noise.motion_bucket_id
        controlled = self._controlled(step, positions, clips)
        buckets = torch.tensor([float(clip.motion_bucket_id if fixed is None else fixed) for clip in clips])
        return LoadedBatch(
            names=tuple(clip.clip_id for clip in clips),
            latents=latents,
            noise=torch.stack([torch.randn(latents.shape[1:], generator=draw) for draw in generators("noise")]),
            sigmas=sample_sigmas(generators("sigma"), self.noise.sigma_mean, self.noise.sigma_std),
            image_embeds=torch.stack([rearrange(clip.image_embeds, "d -> 1 d") for clip in clips]),
            time_ids=added_time_ids(fps, buckets, levels),
            dropout_uniforms=torch.stack([torch.rand((), generator=draw) for draw in generators("dropout")]),
            image_latents=image_latents,
            pictures=pictures,
            controlled=controlled,
            seen=torch.stack(
                [_seen(clip.coverage) for clip in clips] if controlled is None else [each.seen for each in controlled]
            ),
        )

    def batch(self, loaded: LoadedBatch, device: torch.device) -> tuple[TrainingBatch, Tensor, Tensor]:
        """(batch, noise, sigmas) on the device: first frames encoded and condition maps drawn there."""
        if loaded.image_latents is not None:
            image_latents = loaded.image_latents.to(device)
        else:
            assert loaded.pictures is not None
            with torch.no_grad():
                image_latents, _ = encoded_distribution(self.vae, loaded.pictures.to(device, self.vae.dtype))
        size = _pixel_size(loaded.latents)
        maps = None
        if loaded.controlled is not None:
            maps = [self.maps(each, size, device) for each in loaded.controlled]
        batch = TrainingBatch(
            loaded.latents, image_latents, loaded.image_embeds, loaded.time_ids, maps=maps, loss_mask=loaded.seen
        ).to(device)
        dropout = condition_dropout(loaded.dropout_uniforms, self.noise.condition_dropout, self.noise.dropout_scheme)
        return batch.without(dropout), loaded.noise.to(device), loaded.sigmas.to(device)

    def maps(self, controlled: Controlled, size: Size, device: torch.device) -> ConditionMaps:
        """Condition maps of one sample, drawn on the device."""
        features = EntityFeatures(controlled.embeddings, FeatureSource())
        embeddings = painted_embeddings(features, self.entity_channels, self.painting)
        return represented_tracks(controlled.tracks, embeddings, size, self.geometry, controlled.boxes, device=device)

    def all_controlled(self, clip: CachedClip) -> Controlled:
        """Everything that a clip has to be asked for: what a validation video is made with."""
        return self._chosen(clip, list(range(len(clip.coverage))), grabbed=None)

    def _first_frames(
        self, clips: list[CachedClip], draws: list[torch.Generator]
    ) -> tuple[Tensor | None, Tensor | None, Tensor]:
        """(image latents, None, levels), or (None, noised pictures, levels) where they are encoded in the step."""
        if self.noise.image_noise_draws:
            picked = [
                int(torch.randint(len(clip.picture_levels), (), generator=draw))
                for clip, draw in zip(clips, draws, strict=True)
            ]
            latents = [clip.picture_latents[k] for clip, k in zip(clips, picked, strict=True)]
            drawn_levels = [clip.picture_levels[k] for clip, k in zip(clips, picked, strict=True)]
            return torch.stack(latents), None, torch.stack(drawn_levels)
        levels = sample_image_noise_levels(draws, self.noise.image_noise_mean, self.noise.image_noise_std)
        pictures = torch.stack([clip.picture for clip in clips]).float() / 127.5 - 1
        noise = torch.stack([torch.randn(pictures.shape[1:], generator=draw) for draw in draws])
        return None, noised_pictures(pictures, levels, noise), levels

    def _controlled(self, step: int, positions: range, clips: list[CachedClip]) -> list[Controlled] | None:
        if self.control is None:
            return None
        chosen = []
        for clip, position in zip(clips, positions, strict=True):
            draw = noise_generator(self.seed, step, position, "entities")
            grabbed = torch.randint(clip.grabs.shape[1], (), generator=draw) if self.grabs else None
            chosen.append(self._chosen(clip, self._subset(len(clip.coverage), draw), grabbed))
        return chosen

    def _subset(self, count: int, draw: torch.Generator) -> list[int]:
        """Which of a clip's entities are controlled, in their own order."""
        assert self.control is not None
        if bool(torch.rand((), generator=draw) < self.control.drop):
            return []
        most = count if self.control.max_entities is None else min(count, self.control.max_entities)
        least = most if self.control.min_entities is None else min(most, self.control.min_entities)
        wanted = least + int(torch.randint(most - least + 1, (), generator=draw))
        return sorted(torch.randperm(count, generator=draw)[:wanted].tolist())

    def _chosen(self, clip: CachedClip, entities: list[int], grabbed: Tensor | None) -> Controlled:
        paths = [path for path, owner in enumerate(clip.path_entity.tolist()) if owner in entities]
        owners = torch.tensor([entities.index(int(clip.path_entity[path])) for path in paths]).long()
        lines = clip.paths[:, paths]
        if grabbed is not None:
            lines = lines + _grab_offsets(clip, paths, int(grabbed))
        per_frame = self.control is not None and self.control.radius == "per_frame"
        tracks = Tracks(
            paths=lines,
            path_entity=owners,
            visibility=clip.visibility[:, paths],
            radii=(clip.frame_radii if per_frame else clip.radii)[:, paths],
            size=_pixel_size(clip.latents),
        )
        if clip.embeddings is None:
            raise ValueError(f"clip {clip.clip_id}: its cache has no entity embeddings, which a ControlNet needs")
        boxes = None if clip.boxes is None else clip.boxes[entities]
        return Controlled(tracks, clip.embeddings[entities], _seen(clip.coverage[entities]), boxes)


def _seen(coverage: Tensor) -> Tensor:
    """(T,h,w) bool: cells of which entities of that coverage (E,T,h,w) cover more than half together."""
    return coverage.float().sum(dim=0) > SEEN


def _drawn(clip: CachedClip, draw: torch.Generator) -> Tensor:
    if clip.latents_std is None:
        return clip.latents
    return clip.latents + clip.latents_std * torch.randn(clip.latents.shape, generator=draw)


def _grab_offsets(clip: CachedClip, paths: list[int], grabbed: int) -> Tensor:
    """(P,2) from each path's start to the point where its entity is grabbed; a zoom's four points stay."""
    owners = clip.path_entity.tolist()
    offsets = [
        clip.grabs[owners[path], grabbed] - clip.paths[0, path] if owners.count(owners[path]) == 1 else torch.zeros(2)
        for path in paths
    ]
    return torch.stack(offsets) if offsets else torch.zeros(0, 2)


def _pixel_size(latents: Tensor) -> Size:
    return Size(latents.shape[-2] * LATENT_SCALE, latents.shape[-1] * LATENT_SCALE)
