"""Results of hand-made clips and experiments that the tests of tables and limits begin with."""

from __future__ import annotations

import math

import torch

from draganything_core.evaluation.entity_metrics import ClipEntities, EntityMotion
from draganything_core.evaluation.judging import Judgement
from draganything_core.evaluation.point_metrics import ClipPoints, PathPoints
from draganything_core.evaluation.sprite_scores import PathScore
from draganything_core.experiments.definition import Arm, Clips, Experiment
from draganything_core.experiments.figures import ClipResult
from draganything_core.types import Entities, Entity, Size, Tracks


def result(clip, error):
    size = Size(40, 56)
    points = ClipPoints(clip, size, (PathPoints("1", (error, error + 1), (10.0, 12.0)),))
    entities = ClipEntities(clip, (EntityMotion("it", (0.5, 0.25), ()),), math.nan, 4.0)
    pictures = {"iou": 0.5, "pixel_iou": 0.4, "psnr_inside": 20.0, "psnr_outside": math.nan, "speed": 3.0,
                "seconds": 1.5}  # fmt: skip
    return ClipResult(points, Judgement(clip, None, points, entities, error, 2), pictures)


def hand_made(**changes):
    arms = (Arm("old", "as it was"), Arm("new", "another way"))
    wanted = {
        "name": "mine", "question": "Is it better?", "source": "nothing", "metric": "sprites.mean_px",
        "better": "lower", "also": ("pictures.iou", "entities.rigidity"), "reference": "old", "seeds": (0, 1),
        "steps": 600, "clips": Clips(5, 20), "arms": arms,
    }  # fmt: skip
    return Experiment(**{**wanted, **changes})


def rows_with(gain, seeds=(0, 1)):
    """Clips of very different difficulty; "new" is nearer by ``gain(clip, seed)``."""
    old = {seed: [5.0 + 3 * (number % 7) + seed for number in range(20)] for seed in (0, 1)}
    rows = {("old", seed): [result(f"{n:05d}", error) for n, error in enumerate(old[seed])] for seed in (0, 1)}
    for seed in seeds:
        rows["new", seed] = [result(f"{n:05d}", error - gain(n, seed)) for n, error in enumerate(old[seed])]
    return rows


def path_score(entity_id, role="moved", is_sprite=True, error=2.0, values=200, **figures):
    told = {"ious": (0.5,), "pixel_ious": (0.25,), **figures}
    return PathScore(entity_id, str(entity_id), is_sprite, role, (1.0,), (2.0,), (0.1,), inside_error=error,
                     inside_values=values, **told)  # fmt: skip


def some_motion():
    frames, size = 3, Size(40, 56)
    masks = torch.zeros(2, size.height, size.width, dtype=torch.bool)
    masks[0, 4:15, 6:13], masks[1, 20:30, 24:44] = True, True
    entities = Entities((Entity(3, "tall", masks[0]), Entity(5, "wide", masks[1])), size)
    start = torch.tensor([entity.center for entity in entities])
    paths = start + torch.arange(frames)[:, None, None] * torch.tensor([3.0, 1.0])
    radii = torch.tensor([entity.radius for entity in entities]) * torch.tensor([1.0, 1.2, 1.4])[:, None]
    tracks = Tracks(paths.float(), torch.arange(2), torch.ones(frames, 2, dtype=torch.bool), radii.float(), size)
    return entities, tracks
