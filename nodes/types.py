"""What links between nodes carry, and the only conversions between the host's tensors and the core's.

The host's IMAGE is (B,H,W,C) in 0..1 and its MASK (B,H,W) in 0..1; the core's pictures are (3,H,W) and its masks bool.
The pack's own links:

- DRAGANYTHING_CONTROLNET: control.DragAnythingControl, loaded and not yet applied
- DRAGANYTHING_ENTITIES: the core's Entities
- DRAGANYTHING_MOTION: DrawnMotion, the picture and all that is drawn on it
- DRAGANYTHING_FEATURES: EncodedEntities, each entity's vector, for which weights and size
- DRAGANYTHING_CONDITIONS: MotionConditions, the condition maps of every frame
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import comfy.model_management
import torch
from comfy_api.v0_0_2 import io
from einops import rearrange
from torch import Tensor

from ..draganything_core.conditions import Geometry
from ..draganything_core.curves import document_tracks
from ..draganything_core.document import Anchor, MotionDocument
from ..draganything_core.types import LATENT_SCALE, ConditionMaps, Entities, EntityFeatures, Size, Tracks

ControlNetType = io.Custom("DRAGANYTHING_CONTROLNET")
EntitiesType = io.Custom("DRAGANYTHING_ENTITIES")
MotionType = io.Custom("DRAGANYTHING_MOTION")
FeaturesType = io.Custom("DRAGANYTHING_FEATURES")
ConditionsType = io.Custom("DRAGANYTHING_CONDITIONS")


@dataclass(frozen=True, eq=False)
class DrawnMotion:
    """A picture (3,H,W) on the document's canvas, the document, and its entities with their masks found."""

    picture: Tensor
    document: MotionDocument
    entities: Entities

    def resolved(self, default_anchor: Anchor) -> tuple[Entities, Tracks]:
        """Entities, the camera's among them, and where their discs are in every frame.

        default_anchor: the weights' own, for lines that name none.
        """
        return document_tracks(self.document, self.entities, default_anchor)

    def colors(self, entities: Entities) -> list[str | None]:
        """The document's colour for each of some entities."""
        by_id = {entity.id: entity.color for entity in self.document.entities}
        return [by_id.get(entity.entity_id) for entity in entities]


@dataclass(frozen=True, eq=False)
class EncodedEntities:
    """One vector per entity, the size they were taken at, and the choices of the weights they were taken for."""

    features: EntityFeatures
    entities: Entities
    size: Size
    choices: Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class MotionConditions:
    """The condition maps of a clip and the choices of the weights they were drawn for."""

    maps: ConditionMaps
    choices: Mapping[str, Any]


def geometry_of(choices: Mapping[str, Any]) -> Geometry:
    """How the weights want discs and Gaussians painted."""
    return Geometry(choices["geometry"], choices["max_radius"], Size(*choices["max_radius_size"]))


def picture_from_image(image: Tensor) -> Tensor:
    """(3,H,W) float32 in 0..1 of the first picture of an IMAGE; transparency is left out, grey made colour."""
    picture = rearrange(image[0].cpu().float(), "h w c -> c h w")
    picture = picture.expand(3, -1, -1) if len(picture) == 1 else picture[:3]
    return picture.clamp(0, 1)


def image_from_frames(frames: Tensor) -> Tensor:
    """IMAGE of frames (T,3,H,W) in 0..1, where the host keeps what goes from node to node."""
    image = rearrange(frames, "t c h w -> t h w c").contiguous()
    return image.to(comfy.model_management.intermediate_device(), comfy.model_management.intermediate_dtype())


def pixels_from_picture(picture: Tensor) -> Tensor:
    """(1,H,W,3), what the host's autoencoders encode, of a picture (3,H,W)."""
    return rearrange(picture, "c h w -> 1 h w c").contiguous()


def masks_from_host(mask: Tensor) -> Tensor:
    """(E,H,W) bool of a MASK, one entity for each of its batch; above 0.5 is inside."""
    return (mask.cpu() if mask.ndim == 3 else mask.cpu().unsqueeze(0)) > 0.5


def frames_size(latents: Tensor) -> Size:
    """Size in pixels of what latents (B,4,h,w) decode to."""
    return Size(latents.shape[-2] * LATENT_SCALE, latents.shape[-1] * LATENT_SCALE)


def empty_latents(frames: int, size: Size) -> Tensor:
    """Latents (T,4,h,w) of zeros, which the host's samplers take for no picture to start from."""
    latent = size.latent
    return torch.zeros(frames, 4, latent.height, latent.width, device=comfy.model_management.intermediate_device())
