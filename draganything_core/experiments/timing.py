"""How long an experiment is going to take: measured by doing a little of it, or worked out from what one is told."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

from ..models import load_models
from ..training.checkpoints import STEP_FOLDER
from ..training.clips import open_clips
from ..training.config import TrainingConfig
from ..training.encoding import ClipNetworks, entity_tensors, video_tensors
from ..training.stages import load_video_networks
from .arms import CLIPS, TRAINING, Judges, Place, judged_clip, native_shape, read_row, settings, trained
from .definition import Arm, Experiment

STEPS = 4  # of which the first, slower than the others, does not count


@dataclass(frozen=True)
class Pace:
    """Seconds for a training step, for a judged clip and for a training clip to be encoded, and how each is known.

    encoding: None where it was not measured.
    """

    step: float
    clip: float
    how: str
    encoding: float | None = None


def plan_text(experiment: Experiment, place: Place, pace: Pace) -> str:
    """Arms, what is done of them, steps and the time for the rest. Raises ValueError for a row of other settings."""
    lines, steps, clips = [], 0, 0
    for arm in experiment.arms:
        for seed in experiment.seeds:
            left = left_of(experiment, arm, seed, place)
            training = f"{left.steps} steps, " if experiment.steps else ""
            work = "done" if left == DONE else f"{training}{left.clips} clips"
            lines.append(f"{arm.name}, seed {seed} ({arm.title}): {work}")
            steps += left.steps
            clips += left.clips
    training_hours, judging_hours = steps * pace.step / 3600, clips * pace.clip / 3600
    lines.append(f"to do: {steps} steps, {clips} judged clips")
    lines.append(
        f"time: {training_hours:.2f} h of training + {judging_hours:.2f} h of judging = "
        f"{training_hours + judging_hours:.2f} h ({pace.how})"
    )
    if steps:
        lines.append(f"{encoding_text(experiment, place, pace)}; starting and checkpoints come on top")
    return "\n".join(lines)


@dataclass(frozen=True)
class Left:
    """What is to be done of an arm with one seed: steps of training, clips to judge."""

    steps: int
    clips: int


DONE = Left(0, 0)


def left_of(experiment: Experiment, arm: Arm, seed: int, place: Place) -> Left:
    """What is left: nothing of a finished row, else the steps after its checkpoint and the clips without a result."""
    folder = place.folder(arm, seed)
    if read_row(folder, settings(experiment, arm, seed, place)) is not None:
        return DONE
    found = map(STEP_FOLDER.fullmatch, (each.name for each in (folder / TRAINING / "checkpoints").glob("*")))
    trained_steps = max((int(name[1]) for name in found if name), default=0)
    judged = sum(1 for _ in (folder / CLIPS).glob("*.json"))
    return Left(max((experiment.steps or 0) - trained_steps, 0), experiment.clips_of(arm).count - judged)


def encoding_text(experiment: Experiment, place: Place, pace: Pace) -> str:
    """What encoding the training clips takes, which all arms and seeds share."""
    config = place.config(experiment, experiment.arms[0], experiment.seeds[0])
    assert config.data.synthetic is not None
    count = config.data.synthetic.clips
    taken = "" if pace.encoding is None else f", {count * pace.encoding / 3600:.2f} h at {pace.encoding:.3g} s a clip"
    return f"once before, {count} training clips are encoded{taken}, unless {place.cache} holds them"


def found_pace(experiment: Experiment, place: Place, step: float | None, clip: float | None) -> Pace:
    """What is told (seconds), and what is not told measured on this machine, in a folder of its own."""
    needs_step = experiment.steps is not None and step is None
    measured_step, measured_clip, encoding = 0.0, 0.0, None
    if needs_step or clip is None:
        measured_step, measured_clip, encoding = _measured(experiment, place, needs_step, clip is None)
    how = []
    if needs_step:
        how.append(f"{measured_step:.3g} s a step measured over {STEPS - 1} steps")
    elif experiment.steps is not None:
        how.append(f"{step:g} s a step as told")
    how.append(f"{measured_clip:.3g} s a clip measured on one clip" if clip is None else f"{clip:g} s a clip as told")
    pace = (measured_step if step is None else step, measured_clip if clip is None else clip)
    return Pace(*pace, ", ".join(how), encoding)


def _measured(
    experiment: Experiment, place: Place, with_step: bool, with_clip: bool
) -> tuple[float, float, float | None]:
    """Seconds a step, a judged clip and an encoded one; 0, 0 and None of what was not measured."""
    folder = Path(tempfile.mkdtemp(prefix="draganything-pace-"))
    try:
        step, clip_seconds, encoding = 0.0, 0.0, None
        weights, (size, frames) = place.controlnet, native_shape(place)
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
                encoding = _encoding_seconds(config)
                weights = trained(short, place.processes)
                lines = (folder / "run" / "metrics.jsonl").read_text("utf-8").splitlines()
                paces = [json.loads(line)["seconds_per_step"] for line in lines[1:]]
                step = sum(paces) / len(paces)
        if with_clip:
            models = load_models(place.svd, weights)
            models.pipeline.set_progress_bar_config(disable=True)
            clips, inference = experiment.clips_of(arm), experiment.inference_of(arm, seed)
            judge = Judges().of(clips, size, frames)
            for _ in range(2):  # the first warms up, and follows the real video, which is done once
                began = time.perf_counter()
                judged_clip(models, judge, clips, 0, size, frames, inference)
                clip_seconds = time.perf_counter() - began
        return step, clip_seconds, encoding
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _encoding_seconds(config: TrainingConfig) -> float:
    """What one training clip takes to be drawn and encoded."""
    source = open_clips(config.data)
    loaded = load_video_networks(config, source)
    assert loaded.controlnet is not None
    svd = loaded.svd
    networks = ClipNetworks(svd.vae, svd.image_encoder, loaded.controlnet.config, svd.unet)
    for number in range(2):  # the first warms up
        began = time.perf_counter()
        clip = source.clip(number)
        video_tensors(clip, number, config, networks)
        entity_tensors(clip, number, networks)
    return time.perf_counter() - began
