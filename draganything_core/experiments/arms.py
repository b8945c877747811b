"""One arm with one seed: trained, judged clip by clip, and its row written once all of it is there.

OUT/ARM/seed-S/settings.json    what the row is of, noted before anything is made
OUT/ARM/seed-S/training/        the training's own folder: checkpoints, metrics, weights
OUT/ARM/seed-S/clips/00000.json a ClipResult
OUT/ARM/seed-S/pixel_motion.png where the pixels of one clip go, if the experiment asks for it
OUT/ARM/seed-S/row.json         settings and all results
OUT/pixel_motion.png            where they go in the real video: what the tracker finds there is its own error
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from .. import train
from ..annotation_config import lucas_kanade
from ..atomic import write_text
from ..camera import CAMERA_ENTITY_ID
from ..data.synthetic import SyntheticClip
from ..digests import weights_sha256
from ..evaluation.bench import sheet
from ..evaluation.cases import drawn_case
from ..evaluation.judging import VERSION, Judge
from ..evaluation.sprite_scores import score_clip
from ..models import Models, load_models
from ..pictures import save_png
from ..training.config import TrainingConfig
from ..training.config_file import config_to_yaml
from ..training.order import noise_generator
from ..types import Entities, Size, Tracks
from .definition import Arm, Clips, Experiment, Inference
from .figures import ClipResult, clip_result, result_from_json, result_to_json
from .limits import controlnet_sha256
from .pixel_motion import drags_a_thing, motion_picture, pixel_motion

SETTINGS, ROW, CLIPS, TRAINING = "settings.json", "row.json", "clips", "training"
PIXEL_MOTION = "pixel_motion.png"
FORMAT = 2  # of a row
SHEETS = 4  # pictures of the first so many clips
# Of a training's config, what makes no difference to its weights, and what the settings hold in another form.
NOT_SETTINGS = (
    "output", "micro_batch", "threads", "checkpoint_every", "keep", "log_every", "tensorboard", "validation",
    "networks.svd", "data.cache",
)  # fmt: skip


class ArmStoppedError(RuntimeError):
    """A training that was interrupted (status 75) or failed; status: its exit status."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Place:
    """Where an experiment is run. svd: the frozen base; controlnet: for experiments that train nothing.

    out: the experiment's own folder; cache: of encoded clips, which experiments share. processes: of a training; more:
    overrides of its config that change no weights, such as --threads=2.
    """

    svd: Path
    controlnet: Path
    out: Path
    cache: Path
    processes: int = 1
    more: tuple[str, ...] = ()

    def folder(self, arm: Arm, seed: int) -> Path:
        return self.out / arm.name / f"seed-{seed}"

    def config(self, experiment: Experiment, arm: Arm, seed: int) -> TrainingConfig:
        """Of an arm's training."""
        output = self.folder(arm, seed) / TRAINING
        return experiment.training_config(arm, seed, self.svd, output, self.cache, *self.more)


def settings(experiment: Experiment, arm: Arm, seed: int, place: Place) -> dict[str, Any]:
    """All that a row depends on, as JSON."""
    judge = {"judging": VERSION, "tracker": lucas_kanade().as_json()}
    found: dict[str, Any] = {
        "format": FORMAT,
        "experiment": experiment.name,
        "arm": arm.name,
        "seed": seed,
        "base": {part: weights_sha256(place.svd / part) for part in ("unet", "vae", "image_encoder")},
        "inference": asdict(experiment.inference_of(arm, seed)),
        "clips": asdict(experiment.clips_of(arm)),
        "drawing": experiment.clips_of(arm).drawing,
        **judge,
    }
    if experiment.steps is None:
        found["controlnet"] = controlnet_sha256(place.controlnet)
    else:
        config = _flat(asdict(place.config(experiment, arm, seed)))
        found["training"] = {
            name: value
            for name, value in config.items()
            if not any(name == left or name.startswith(f"{left}.") for left in NOT_SETTINGS)
        }
    stored: dict[str, Any] = json.loads(json.dumps(found))
    return stored


class Judges:
    """Who judges which clips. Arms with the same clips share a judge, which follows points in each real video once."""

    def __init__(self) -> None:
        self._judges: dict[str, Judge] = {}

    def of(self, clips: Clips, size: Size, frames: int) -> Judge:
        return self._judges.setdefault(repr((clips, size, frames)), Judge(lucas_kanade()))


def run_arm(experiment: Experiment, arm: Arm, seed: int, place: Place, judges: Judges) -> None:
    """Trains and judges an arm as far as that is not done yet, and writes its row.

    Raises ValueError where the folder holds something that was made under other settings, naming them, and
    ArmStoppedError where the training did not come to its end.
    """
    folder = place.folder(arm, seed)
    wanted = settings(experiment, arm, seed, place)
    if read_row(folder, wanted) is not None:
        return
    _claim(folder, wanted)
    weights, size, frames = place.controlnet, *native_shape(place)
    if experiment.steps is not None:
        config = place.config(experiment, arm, seed)
        weights, size, frames = trained(config, place.processes), config.data.bucket_sizes[0], config.data.frames[0]
    models = load_models(place.svd, weights)
    models.pipeline.set_progress_bar_config(disable=True)
    clips, inference = experiment.clips_of(arm), experiment.inference_of(arm, seed)
    judge = judges.of(clips, size, frames)
    results = []
    for number in tqdm(range(clips.count), desc=f"{arm.name}, seed {seed}", unit="clip"):
        file = folder / CLIPS / f"{number:05d}.json"
        if not file.is_file():
            picture = folder / f"{number:05d}.png" if number < SHEETS else None
            result = judged_clip(models, judge, clips, number, size, frames, inference, picture)
            write_text(file, json.dumps(result_to_json(result)) + "\n")
        results.append(json.loads(file.read_text("utf-8")))
    if experiment.pixel_motion and not (folder / PIXEL_MOTION).is_file():
        save_pixel_motion(
            models, judge, clips, size, frames, inference, folder / PIXEL_MOTION, place.out / PIXEL_MOTION
        )
    write_text(folder / ROW, json.dumps({"settings": wanted, "results": results}) + "\n")


def read_row(folder: Path, wanted: Mapping[str, Any]) -> list[ClipResult] | None:
    """The results of a finished row, None where there is none. Raises ValueError for a row of other settings."""
    file = folder / ROW
    if not file.is_file():
        return None
    stored = json.loads(file.read_text("utf-8"))
    _check_same(file, stored["settings"], wanted)
    return [result_from_json(result) for result in stored["results"]]


def trained(config: TrainingConfig, processes: int = 1) -> Path:
    """The weights of a training, which is run or gone on with unless it is done. Raises ArmStoppedError if it stops."""
    output = Path(config.output)
    if (output / "checkpoints" / f"step-{config.steps:08d}").is_dir():
        return output / "weights"
    file = output.with_suffix(".yaml")
    write_text(file, config_to_yaml(config))
    if processes == 1:
        status = train.main([str(file)])
    else:
        launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
        status = subprocess.run([sys.executable, *launcher, "-m", train.__name__, str(file)], check=False).returncode
    if status:
        how = "was interrupted" if status == train.EXIT_INTERRUPTED else f"ended with status {status}"
        raise ArmStoppedError(f"{output}: the training {how}; the same command goes on where it stopped", status)
    return output / "weights"


def judged_clip(
    models: Models,
    judge: Judge,
    clips: Clips,
    number: int,
    size: Size,
    frames: int,
    inference: Inference,
    picture: Path | None = None,
) -> ClipResult:
    """Makes and judges the video of one clip. picture: a file for the real video above the made one."""
    clip = clips.clip(number, size, frames)
    began = time.perf_counter()
    video = made_video(models, clip, number, inference)
    seconds = time.perf_counter() - began
    case = drawn_case(clip, number)
    judgement, _ = judge.judgement(video, case)
    if picture is not None:
        save_png(sheet("made", case, video), picture)
    return clip_result(case.clip, size, case.tracks, score_clip(video, clip), judgement, seconds)


def save_pixel_motion(
    models: Models,
    judge: Judge,
    clips: Clips,
    size: Size,
    frames: int,
    inference: Inference,
    file: Path,
    real_file: Path,
) -> None:
    """Writes where pixels go in the video of the first clip in which a thing is dragged; nothing if there is none.

    real_file: the same of the real video, unless it is there.
    """
    for number in range(clips.count):
        clip = clips.clip(number, size, frames)
        case = drawn_case(clip, number)
        if drags_a_thing(case):
            video = made_video(models, clip, number, inference)
            save_png(motion_picture(video, case, pixel_motion(video, case, judge.tracker)), file)
            if not real_file.is_file():
                save_png(motion_picture(case.frames, case, pixel_motion(case.frames, case, judge.tracker)), real_file)
            return


@torch.no_grad()
def made_video(models: Models, clip: SyntheticClip, number: int, inference: Inference) -> Tensor:
    """(T,3,H,W) in 0..1 on the CPU: the clip's first frame, moved as the clip's maker moves it."""
    picture = (clip.frames[0] * 255).round() / 255  # as a file would hold it
    entities, tracks = clip.requested
    maps = None
    if len(entities):
        asked = asked_tracks(entities, tracks, number, inference)
        features = models.entity_features(picture, entities, clip.size, seed=0)
        maps = models.condition_maps(features, entities, asked, clip.size)
    made: Tensor = models.pipeline(
        picture,
        maps,
        num_frames=len(clip.frames),
        num_inference_steps=inference.num_inference_steps,
        min_guidance_scale=inference.guidance,
        max_guidance_scale=inference.guidance,
        control_start=inference.control_start,
        control_end=inference.control_end,
        generator=noise_generator(inference.seed, number, 0, "sampling"),
    ).frames[0]
    return made.float().cpu()


def asked_tracks(entities: Entities, tracks: Tracks, number: int, inference: Inference) -> Tracks:
    """The tracks as this way of asking has them: with radii that grow or do not, on the centre or a grabbed point."""
    if inference.radius == "first_frame":
        tracks = replace(tracks, radii=tracks.radii[:1].expand_as(tracks.radii).clone())
    if inference.anchor == "center":
        return tracks
    paths = tracks.paths.clone()
    for place, entity in enumerate(entities):
        own = torch.nonzero(tracks.path_entity == place).flatten().tolist()
        if len(own) != 1 or entity.entity_id == CAMERA_ENTITY_ID:
            continue  # a zoom's four discs are where they are
        pixels = entity.mask.nonzero().flip(-1)
        drawn = torch.randint(len(pixels), (), generator=noise_generator(0, number, place, "grabbed point"))
        paths[:, own[0]] += pixels[drawn].to(paths.dtype) - paths[0, own[0]]
    return replace(tracks, paths=paths)


def native_shape(place: Place) -> tuple[Size, int]:
    config = json.loads((place.controlnet / "config.json").read_text("utf-8"))
    return Size(*config["size"]), config["frames"]


def _claim(folder: Path, wanted: Mapping[str, Any]) -> None:
    """Notes what the folder is of, or checks that it is this."""
    file = folder / SETTINGS
    if file.is_file():
        _check_same(file, json.loads(file.read_text("utf-8")), wanted)
    else:
        write_text(file, json.dumps(wanted, indent=2) + "\n")


def _check_same(file: Path, before: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    old, new = _flat(before), _flat(wanted)
    changed = [name for name in sorted({*old, *new}) if old.get(name) != new.get(name)]
    if changed:
        raise ValueError(
            f"{file} was made with another {', '.join(changed)}; give another --out, or delete {file.parent}"
        )


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The values by dotted names."""
    found: dict[str, Any] = {}
    for name, value in tree.items():
        inner = isinstance(value, Mapping)
        found |= _flat(value, f"{prefix}{name}.") if inner else {f"{prefix}{name}": value}
    return found
