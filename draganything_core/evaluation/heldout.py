"""Judging a model on synthetic clips that it was not trained on: videos are made, sprites are found, truth is exact.

Rows: "control" is the model as it is used; "no_control" the same video model at control strength 0; "autoencoder" the
true frames encoded and decoded, the best that any video of these latents can look like; "real" the true frames, which
tells how exact the search for sprites is.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

import torch
import yaml
from torch import Tensor

from ..atomic import write_text
from ..autoencoder import decoded_frames, encoded_distribution
from ..data.synthetic import SyntheticClip, SyntheticConfig, synthetic_clip
from ..digests import weights_sha256
from ..models import Models
from ..types import Size
from .sprite_scores import ClipScore, PathScore, ScoreSummary, pooled, score_clip

Row = Literal["control", "no_control", "autoencoder", "real"]
ROWS: tuple[Row, ...] = get_args(Row)
PROTOCOLS = Path(__file__).parent / "protocols"
HEAD = "protocol.json"


@dataclass(frozen=True)
class HeldoutProtocol:
    """Which clips, and how their videos are sampled. version: raised when figures are no longer comparable."""

    name: str
    version: int
    clip_seed: int
    first: int
    count: int
    size: Size
    frames: int
    num_inference_steps: int
    guidance: float
    sampling_seed: int

    def clip(self, number: int) -> SyntheticClip:
        """The clip of that number, 0 .. count - 1."""
        return synthetic_clip(self.clip_seed, self.first + number, SyntheticConfig(size=self.size, frames=self.frames))


def load_protocol(file: Path | str) -> HeldoutProtocol:
    """The protocol in a YAML file, or the package's own of that name.

    Raises FileNotFoundError if there is none, ValueError naming what it lacks.
    """
    path = Path(file)
    if not path.is_file():
        path = PROTOCOLS / f"{path.name.removesuffix('.yaml')}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(each.stem for each in PROTOCOLS.glob("*.yaml")))
        raise FileNotFoundError(f"{file}: no such protocol file, nor one of the package's, which are {known}")
    stored = yaml.safe_load(path.read_text("utf-8"))
    try:
        clips = stored.pop("clips")
        protocol = HeldoutProtocol(
            size=Size(*stored.pop("size")),
            clip_seed=clips["seed"],
            first=clips["first"],
            count=clips["count"],
            **stored,
        )
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: not a protocol of synthetic clips ({error})") from error
    return protocol


def heldout_scores(
    row: Row,
    models: Models,
    protocol: HeldoutProtocol,
    folder: Path,
    rank: int = 0,
    processes: int = 1,
    done: Callable[[SyntheticClip, Tensor], None] | None = None,
) -> None:
    """Makes and scores this process's share of a row's videos; scores that are there already are left as they are.

    folder/ROW/00000.json ...: one score a clip. done: called with each clip and its new video.
    Raises ValueError where the folder holds scores of other settings or another model.
    """
    own = folder / row
    _claim(own, models, protocol)
    for number in range(rank, protocol.count, processes):
        file = own / f"{number:05d}.json"
        if file.is_file():
            continue
        clip = protocol.clip(number)
        video = row_video(row, models, protocol, clip, number)
        write_text(file, json.dumps(asdict(score_clip(video, clip))) + "\n")
        if done is not None:
            done(clip, video)


def read_scores(row: Row, folder: Path, protocol: HeldoutProtocol) -> list[ClipScore]:
    """The scores of a row, in order. Raises ValueError unless all clips are there."""
    files = [folder / row / f"{number:05d}.json" for number in range(protocol.count)]
    missing = [file.name for file in files if not file.is_file()]
    if missing:
        raise ValueError(f"{folder / row}: {len(missing)} of {protocol.count} clips have no score yet; run it again")
    return [_score(json.loads(file.read_text("utf-8"))) for file in files]


@torch.no_grad()
def row_video(row: Row, models: Models, protocol: HeldoutProtocol, clip: SyntheticClip, number: int) -> Tensor:
    """(T,3,H,W) in 0..1 on the CPU: what a row has to show for a clip."""
    if row == "real":
        return clip.frames
    pipeline = models.pipeline
    if row == "autoencoder":
        vae = pipeline.vae
        latents, _ = encoded_distribution(vae, (clip.frames * 2 - 1).to(vae.device, vae.dtype))
        return (decoded_frames(vae, latents) / 2 + 0.5).clamp(0, 1).float().cpu()

    picture = (clip.frames[0] * 255).round() / 255  # as a file would hold it
    seed = protocol.sampling_seed + number
    entities, tracks = clip.requested
    maps = None
    if row == "control" and len(entities):
        # A line that somebody draws has one radius, that of the first frame.
        tracks = replace(tracks, radii=tracks.radii[:1].expand_as(tracks.radii).clone())
        features = models.entity_features(picture, entities, protocol.size, seed=0)
        maps = models.condition_maps(features, entities, tracks, protocol.size)
    frames: Tensor = pipeline(
        picture,
        maps,
        num_frames=protocol.frames,
        num_inference_steps=protocol.num_inference_steps,
        min_guidance_scale=protocol.guidance,
        max_guidance_scale=protocol.guidance,
        generator=torch.Generator().manual_seed(seed),
    ).frames[0]
    return frames.float().cpu()


def summaries(folder: Path, rows: Sequence[Row], protocol: HeldoutProtocol) -> dict[str, ScoreSummary]:
    """The figures of each row over all clips, and "no_control, ground at rest": of the clips in which it is.

    Nobody tells a video model without control that the ground is to move, so it is judged on its picture where it
    does not.
    """
    found: dict[str, ScoreSummary] = {}
    for row in rows:
        scores = read_scores(row, folder, protocol)
        found[row] = pooled(scores)
        if row in ("no_control", "autoencoder"):
            found[f"{row}, ground at rest"] = pooled([score for score in scores if score.kind == "foreground"])
    return found


def _claim(folder: Path, models: Models, protocol: HeldoutProtocol) -> None:
    """Notes in the folder what its scores are of, or checks that it is this."""
    head = json.loads(json.dumps({**asdict(protocol), "model": models.name, "weights": models_sha256(models)}))
    file = folder / HEAD
    if file.is_file():
        before: dict[str, Any] = json.loads(file.read_text("utf-8"))
        # A protocol with fewer clips is a part of the same.
        changed = [name for name in head if name != "count" and before.get(name) != head[name]]
        if changed:
            raise ValueError(
                f"{folder} holds scores with another {', '.join(changed)}; give another folder, or delete it"
            )
    write_text(file, json.dumps(head, indent=2) + "\n")


def models_sha256(models: Models) -> str:
    """A name for the weights of all networks that make a video."""
    pipeline = models.pipeline
    networks = (pipeline.unet, pipeline.vae, pipeline.image_encoder, pipeline.controlnet)
    return hashlib.sha256("\n".join(map(weights_sha256, networks)).encode()).hexdigest()


def _score(stored: dict[str, Any]) -> ClipScore:
    paths = tuple(PathScore(**_with_tuples(path)) for path in stored["paths"])
    return ClipScore(**{**_with_tuples(stored), "paths": paths})


def _with_tuples(stored: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in stored.items()}
