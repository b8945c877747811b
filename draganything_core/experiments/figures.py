"""What one video of a clip is worth, and the figures of many: as the evaluation takes them, under names of one kind."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from ..evaluation.bootstrap import Counts, Flags, Mean, Statistic
from ..evaluation.entity_metrics import ENTITY_FIGURES
from ..evaluation.judging import Judgement, judged_statistics, judgement_from_json, points_from_json
from ..evaluation.point_metrics import POINT_FIGURES, ClipPoints, point_statistics
from ..evaluation.results import sprite_points
from ..evaluation.sprite_scores import ClipScore
from ..types import Size, Tracks

PICTURE_FIGURES = {
    "iou": "IoU of moved sprites",
    "pixel_iou": "IoU of moved sprites, by pixels",
    "psnr_inside": "dB inside moved sprites",
    "psnr_outside": "dB of the ground",
    "speed": "px a frame, the fastest step asked for",
    "seconds": "seconds to sample a video",
}
FIGURES = {
    **{f"sprites.{name}": f"{title}, by pictures" for name, title in POINT_FIGURES.items() if name != "lost"},
    **{f"tracker.{name}": f"{title}, by the tracker" for name, title in POINT_FIGURES.items()},
    **{f"entities.{name}": title for name, title in ENTITY_FIGURES.items()},
    **{f"pictures.{name}": title for name, title in PICTURE_FIGURES.items()},
}


@dataclass(frozen=True)
class ClipResult:
    """One video. sprites: distances by the sprites' own pictures; judgement: by the tracker; pictures: PICTURE_FIGURES,
    nan where the clip has nothing to measure."""

    sprites: ClipPoints
    judgement: Judgement
    pictures: dict[str, float]


def clip_result(
    name: str, size: Size, asked: Tracks, score: ClipScore, judgement: Judgement, seconds: float
) -> ClipResult:
    """The result of a clip that has been scored and judged. asked: its paths; seconds: that its sampling took."""
    moved = [path for path in score.paths if path.is_sprite and path.role == "moved"]
    pictures = {
        "iou": _mean([iou for path in moved for iou in path.ious]),
        "pixel_iou": _mean([iou for path in moved for iou in path.pixel_ious]),
        "psnr_inside": _psnr(sum(path.inside_error for path in moved), sum(path.inside_values for path in moved)),
        "psnr_outside": _psnr(score.outside_error, score.outside_values),
        "speed": fastest_step(asked),
        "seconds": seconds,
    }
    return ClipResult(sprite_points(name, score, size), judgement, pictures)


def fastest_step(tracks: Tracks) -> float:
    """px that a visible path goes from one frame to the next, at most; nan without a path that is visible in both."""
    steps = torch.linalg.vector_norm(tracks.paths[1:].double() - tracks.paths[:-1].double(), dim=-1)
    seen = steps[tracks.visibility[1:] & tracks.visibility[:-1]]
    return float(seen.max()) if seen.numel() else math.nan


def result_to_json(result: ClipResult) -> dict[str, Any]:
    return asdict(result)


def result_from_json(stored: dict[str, Any]) -> ClipResult:
    """What ``result_to_json`` made of a result, back again."""
    return ClipResult(
        points_from_json(stored["sprites"]), judgement_from_json(stored["judgement"]), dict(stored["pictures"])
    )


def statistics(results: Sequence[ClipResult]) -> dict[str, Statistic]:
    """Every figure of FIGURES over these clips."""
    judged = judged_statistics([result.judgement for result in results])
    sprites = point_statistics([result.sprites for result in results])
    found = {
        **{f"sprites.{name}": statistic for name, statistic in sprites.items()},
        **{f"tracker.{name}": judged[name] for name in POINT_FIGURES},
        **{f"entities.{name}": judged[name] for name in ENTITY_FIGURES},
        **{f"pictures.{name}": Mean([result.pictures[name] for result in results]) for name in PICTURE_FIGURES},
    }
    return {name: found[name] for name in FIGURES}


class OverSeeds(Statistic):
    """The mean of one figure over seeds, each measured on the very same clips.

    Clips are resampled, seeds are not: the interval tells how far other clips would move the mean of these seeds.
    """

    def __init__(self, seeds: Sequence[Statistic]) -> None:
        self.seeds = list(seeds)
        measured: Flags = np.logical_and.reduce([statistic.measured for statistic in self.seeds])
        self.measured = measured

    def __call__(self, counts: Counts) -> Counts:
        values: Counts = np.mean([statistic(counts) for statistic in self.seeds], axis=0)
        return values


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else math.nan


def _psnr(error: float, values: int) -> float:
    """dB; nan of nothing, and of no error at all, which has none."""
    return -10 * math.log10(error / values) if values and error else math.nan
