"""How clips are annotated: size, frames, tracker, and beyond which limits a track is flagged."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import cv2

from . import point_tracker
from .annotation_format import SCHEMA_VERSION
from .data.clips import MIN_AREA
from .types import Size

LUCAS_KANADE_VERSION = 1  # to be raised when track_points gives other tracks; then everything is annotated anew


@dataclass(frozen=True)
class NamedTracker:
    """A tracker and what to call it. track: as point_tracker.Tracker. Name, version, settings are recorded."""

    name: str
    version: str
    settings: Mapping[str, Any]
    track: point_tracker.Tracker = field(compare=False)

    def as_json(self) -> dict[str, Any]:
        # Through JSON, so that it equals what is read back from a record: there, tuples are lists.
        described = {"name": self.name, "version": self.version, "settings": dict(self.settings)}
        stored: dict[str, Any] = json.loads(json.dumps(described))
        return stored


def lucas_kanade() -> NamedTracker:
    """The tracker that needs no weights: in-mask Lucas-Kanade with a forward-backward check."""
    settings = {
        name.lower(): getattr(point_tracker, name)
        for name in (
            "FEATURES", "FEATURE_DISTANCE", "ROUND_TRIP", "AGREEMENT", "NEARNESS", "VISIBLE", "PATCH", "SEARCH",
            "CLEARLY_BETTER", "LUCAS_KANADE",
        )
    }  # fmt: skip
    version = f"{LUCAS_KANADE_VERSION} (OpenCV {cv2.__version__})"
    return NamedTracker("lucas_kanade", version, settings, point_tracker.track_points)


@dataclass(frozen=True)
class Limits:
    """Beyond these a track is flagged. Pixels are those of the annotation's size.

    small_radius: below this, px. mostly_hidden: below this share of frames visible. jumps: a step between two visible
    frames of more than this many radii. leaves_mask: more than this many frames in which the tracker sees the point
    outside its mask. static: never this far from its start, px.
    """

    small_radius: float = 4.0
    mostly_hidden: float = 0.5
    jumps: float = 1.0
    leaves_mask: int = 2
    static: float = 2.0


@dataclass(frozen=True)
class AnnotationConfig:
    """How clips are annotated: all that decides what comes out, given the clips.

    size: everything is brought there first, the aspect ratio is not kept. frames: at most so many of each clip, None
    for all. min_area: px of an entity at that size, at least.
    """

    size: Size = field(default_factory=lambda: Size(320, 576))
    frames: int | None = None
    min_area: int = MIN_AREA
    tracker: NamedTracker = field(default_factory=lucas_kanade)
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        if self.frames is not None and self.frames < 1:
            raise ValueError(f"annotation: frames must be >= 1, or None for all, got {self.frames}")
        if self.min_area < 1:
            raise ValueError(f"annotation: min_area must be >= 1 pixel, got {self.min_area}")

    def as_json(self) -> dict[str, Any]:
        return {
            "size": [self.size.height, self.size.width],
            "frames": self.frames,
            "min_area": self.min_area,
            "tracker": self.tracker.as_json(),
            "limits": asdict(self.limits),
        }

    @property
    def sha256(self) -> str:
        text = json.dumps({"schema_version": SCHEMA_VERSION, **self.as_json()}, sort_keys=True)
        return hashlib.sha256(text.encode("utf-8")).hexdigest()
