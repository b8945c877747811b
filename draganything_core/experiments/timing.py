"""How long an experiment is going to take: measured by doing a little of it, or worked out from what one is told."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

from ..models import load_models
from .arms import Place, judged_clip, native_shape, read_row, settings, trained
from .definition import Experiment

STEPS = 4  # of which the first, slower than the others, does not count


@dataclass(frozen=True)
class Pace:
    """Seconds for a training step and for a judged clip, and how each is known."""

    step: float
    clip: float
    how: str


def plan_text(experiment: Experiment, place: Place, pace: Pace) -> str:
    """Arms, what is done of them, steps and the time for the rest. Raises ValueError for a row of other settings."""
    lines, steps, clips = [], 0, 0
    for arm in experiment.arms:
        for seed in experiment.seeds:
            folder = place.folder(arm, seed)
            is_done = read_row(folder, settings(experiment, arm, seed, place)) is not None
            training = f"{experiment.steps} steps, " if experiment.steps else ""
            work = "done" if is_done else f"{training}{experiment.clips_of(arm).count} clips"
            lines.append(f"{arm.name}, seed {seed} ({arm.title}): {work}")
            if not is_done:
                steps += experiment.steps or 0
                clips += experiment.clips_of(arm).count
    training_hours, judging_hours = steps * pace.step / 3600, clips * pace.clip / 3600
    lines.append(f"to do: {steps} steps, {clips} judged clips")
    lines.append(
        f"time: {training_hours:.2f} h of training + {judging_hours:.2f} h of judging = "
        f"{training_hours + judging_hours:.2f} h ({pace.how})"
    )
    if steps:
        lines.append("the training clips are encoded once before; that, starting and checkpoints come on top")
    return "\n".join(lines)


def found_pace(experiment: Experiment, place: Place, step: float | None, clip: float | None) -> Pace:
    """What is told (seconds), and what is not told measured on this machine, in a folder of its own."""
    needs_step = experiment.steps is not None and step is None
    measured_step, measured_clip = 0.0, 0.0
    if needs_step or clip is None:
        measured_step, measured_clip = _measured(experiment, place, needs_step, clip is None)
    how = []
    if needs_step:
        how.append(f"{measured_step:.3g} s a step measured over {STEPS - 1} steps")
    elif experiment.steps is not None:
        how.append(f"{step:g} s a step as told")
    how.append(f"{measured_clip:.3g} s a clip measured on one clip" if clip is None else f"{clip:g} s a clip as told")
    return Pace(measured_step if step is None else step, measured_clip if clip is None else clip, ", ".join(how))


def _measured(experiment: Experiment, place: Place, with_step: bool, with_clip: bool) -> tuple[float, float]:
    folder = Path(tempfile.mkdtemp(prefix="draganything-pace-"))
    try:
        step, clip_seconds, weights, (size, frames) = 0.0, 0.0, place.controlnet, native_shape(place)
        arm, seed = experiment.arms[-1], experiment.seeds[0]
        if experiment.steps is not None:
            config = place.config(experiment, arm, seed)
            size, frames = config.data.bucket_sizes[0], config.data.frames[0]
            assert config.data.synthetic is not None
            short = replace(
                config,
                steps=STEPS,
                output=str(folder / "run"),
                data=replace(
                    config.data,
                    cache=str(folder / "cache"),
                    synthetic=replace(config.data.synthetic, clips=config.global_batch),
                ),
                checkpoint_every=STEPS,
                log_every=1,
            )
            if with_step:
                weights = trained(short, place.processes)
                lines = (folder / "run" / "metrics.jsonl").read_text("utf-8").splitlines()
                paces = [json.loads(line)["seconds_per_step"] for line in lines[1:]]
                step = sum(paces) / len(paces)
        if with_clip:
            models = load_models(place.svd, weights)
            models.pipeline.set_progress_bar_config(disable=True)
            clips, inference = experiment.clips_of(arm), experiment.inference_of(arm, seed)
            for _ in range(2):  # the first warms up
                began = time.perf_counter()
                judged_clip(models, clips, 0, size, frames, inference)
                clip_seconds = time.perf_counter() - began
        return step, clip_seconds
    finally:
        shutil.rmtree(folder, ignore_errors=True)
