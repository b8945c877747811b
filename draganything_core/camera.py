"""Camera moves: the whole picture is the entity, one path pans it and four paths zoom it (paper figure 9d)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from .document import CameraMove
from .easing import Array, progress
from .types import Entity, Size

CAMERA_ENTITY_ID = 0


@dataclass(frozen=True, eq=False)
class CameraMotion:
    """Where the camera takes the picture: in frame t, point p goes to center + (p - center) * scale[t] + shift[t].

    center (2,) and shift (T,2) in canvas px, (x, y); scale (T,) factor.
    """

    center: Array
    scale: Array
    shift: Array

    def moved(self, points: Array) -> Array:
        """(T,2) where the camera takes points: (T,2) one for each frame, or (2,) one that rests in the picture."""
        return self.center + (points - self.center) * self.scale[:, None] + self.shift


def camera_motion(camera: CameraMove, frames: int) -> CameraMotion:
    """The move in each frame. The zoom's factor grows by the same ratio for equal progress, as a steady zoom does."""
    eased = progress(camera.easing, camera.start, camera.end, frames)
    zoom = camera.zoom
    if zoom is not None and not zoom.factor > 0:
        raise ValueError(f"camera: the zoom factor must be > 0, got {zoom.factor}")
    return CameraMotion(
        center=np.array(zoom.center if zoom else (0.0, 0.0), dtype=np.float64),
        scale=np.power(zoom.factor if zoom else 1.0, eased),
        shift=eased[:, None] * np.array(camera.pan or (0.0, 0.0), dtype=np.float64),
    )


def camera_starts(camera: CameraMove, size: Size) -> list[Array]:
    """Where the camera's paths start: the zoom's four points, or for a pan the picture's centre."""
    centre = ((size.width - 1) / 2, (size.height - 1) / 2)
    return [np.array(point, dtype=np.float64) for point in (camera.zoom.points if camera.zoom else [centre])]


def camera_entity(size: Size) -> Entity:
    """The whole picture as an entity."""
    return Entity(CAMERA_ENTITY_ID, "camera", torch.ones(size.height, size.width, dtype=torch.bool))
