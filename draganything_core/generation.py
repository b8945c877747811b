"""The whole method in one place: motion input -> entities and tracks -> features -> condition maps -> frames."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from .clip_input import ClipPreprocessing
from .conditions import Geometry, Painting, build_condition_maps
from .curves import document_tracks
from .document import Anchor, Fit, MotionDocument
from .images import resized_picture
from .models import Models
from .motion_input import MotionInput
from .segment import Segmenter, resolve_entities
from .types import ConditionMaps, Entities, Size, Tracks


@dataclass(frozen=True, eq=False)
class Motion:
    """What shall move where, resolved: the document as used, its entities and their tracks, all on its canvas."""

    document: MotionDocument
    image: Tensor
    entities: Entities
    tracks: Tracks

    @property
    def names(self) -> list[str]:
        return [entity.name for entity in self.entities]

    @property
    def colors(self) -> list[str | None]:
        """A colour per entity, where the document gives one."""
        by_id = {entity.id: entity.color for entity in self.document.entities}
        return [by_id.get(entity.entity_id) for entity in self.entities]


@dataclass(frozen=True)
class Sampling:
    """How a video is sampled. None means what the ControlNet's config says; see DragAnythingPipeline for the rest."""

    seed: int = 0
    num_inference_steps: int | None = None
    min_guidance_scale: float = 1.0
    max_guidance_scale: float | None = None
    control_strength: float = 1.0
    control_start: float = 0.0
    control_end: float = 1.0
    fps_id: float | None = None
    motion_bucket_id: float | None = None
    noise_aug_strength: float | None = None
    clip_preprocessing: ClipPreprocessing | None = None
    painting: Painting | None = None
    split_guidance: bool = False
    decode_chunk_size: int = 8


@dataclass(frozen=True, eq=False)
class Generation:
    """frames (T,3,H,W) in 0..1 and the condition maps that led to them."""

    frames: Tensor
    maps: ConditionMaps


def resolve_motion(
    motion: MotionInput,
    segmenter: Segmenter,
    *,
    frames: int | None = None,
    fit: Fit | None = None,
    anchor: Anchor | None = None,
    default_anchor: Anchor = "center",
) -> Motion:
    """Masks found and lines resampled for a number of frames.

    frames: instead of the document's. fit: what happens to point-per-frame lines of another length, instead of what
    each says. anchor: for all paths; default_anchor: for those that leave it to the weights.
    Raises ValueError if nothing moves: no path and no camera move.
    """
    document = motion.document
    if not document.paths and document.camera is None:
        raise ValueError(
            f"{motion.name}: nothing to move. The document has no path and no camera move; draw a line for an entity."
        )
    paths = tuple(replace(path, fit=fit or path.fit, anchor=anchor or path.anchor) for path in document.paths)
    document = replace(document, frames=document.frames if frames is None else frames, paths=paths)
    entities = resolve_entities(document, motion.image, segmenter, motion.folder)
    entities, tracks = document_tracks(document, entities, default_anchor)
    return Motion(document, motion.image, entities, tracks)


def preview_maps(motion: Motion, size: Size, geometry: Geometry) -> ConditionMaps:
    """The condition maps without any model: same discs and Gaussians, one placeholder channel an entity."""
    return build_condition_maps(motion.entities, motion.tracks, torch.eye(len(motion.entities)), size, geometry)


def generate_video(models: Models, motion: Motion, size: Size, sampling: Sampling | None = None) -> Generation:
    """Frames at ``size`` in which the entities move along their tracks.

    size: height and width multiples of 64 (what the UNet can halve). All randomness comes from ``sampling.seed``,
    drawn on the CPU, so that a seed means the same on every device.
    """
    sampling = sampling or Sampling()
    picture = resized_picture(motion.image, size)
    pipeline = models.pipeline
    pipeline.check_size(size)
    features = models.entity_features(picture, motion.entities, size, sampling.seed)
    maps = models.condition_maps(features, motion.entities, motion.tracks, size, sampling.painting)
    result = pipeline(
        picture,
        maps,
        num_inference_steps=sampling.num_inference_steps,
        min_guidance_scale=sampling.min_guidance_scale,
        max_guidance_scale=sampling.max_guidance_scale,
        control_strength=sampling.control_strength,
        control_start=sampling.control_start,
        control_end=sampling.control_end,
        fps_id=sampling.fps_id,
        motion_bucket_id=sampling.motion_bucket_id,
        noise_aug_strength=sampling.noise_aug_strength,
        clip_preprocessing=sampling.clip_preprocessing,
        split_guidance=sampling.split_guidance,
        decode_chunk_size=sampling.decode_chunk_size,
        generator=torch.Generator().manual_seed(sampling.seed),
    )
    return Generation(result.frames[0].cpu(), maps.to("cpu"))
