"""The rows of a report: where each one's videos come from, and why a row that one would expect is not there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ..autoencoder import decoded_frames, encoded_distribution
from ..images import resized_picture
from ..models import Models
from ..types import Size
from .cases import AnnotatedProtocol, AnyProtocol, Case
from .heldout import HeldoutProtocol, models_sha256, row_video
from .heldout import Row as ModelRow
from .judging import RowSource
from .videos import VideoFolder

MODEL_ROWS: tuple[ModelRow, ...] = ("control", "no_control", "autoencoder")
ALL_ROWS = ("control", "no_control", "autoencoder", "static", "real")  # in the order of a report

TITLES = {
    "control": "control: the model as it is used",
    "no_control": "no control: the same video model at strength 0",
    "autoencoder": "autoencoder: the real video encoded and decoded",
    "static": "static: the first frame throughout",
    "real": "oracle: the real video",
}

HOW_TO_GET_MODEL = "give --model tiny, or --svd DIR and --controlnet DIR"


@dataclass(frozen=True)
class Absent:
    """A row or figure that is not in the report, why, and what would bring it."""

    name: str
    how_to_get: str


def real_row() -> RowSource:
    """The oracle: with it, all error is the tracker's own."""
    return RowSource("real", TITLES["real"], lambda case: case.frames)


def static_row() -> RowSource:
    """The figure to beat."""
    return RowSource("static", TITLES["static"], lambda case: case.frames[:1].repeat(len(case.frames), 1, 1, 1))


def video_row(name: str, folder: VideoFolder, protocol: AnyProtocol) -> RowSource:
    """Videos from files, whoever made them. Raises ValueError for a name that is another row's or no folder's."""
    if name in ALL_ROWS or not name or set(name) & set("/\\") or name.startswith("."):
        raise ValueError(f"--name {name!r}: give a name for the videos' row other than {', '.join(ALL_ROWS)}")

    def video(case: Case) -> Tensor:
        return folder.video(case.clip, protocol.frames, protocol.size)

    return RowSource(name, f"{name}: videos of {folder.folder.name}", video, {"videos": name}, folder.sha256)


def model_rows(names: Sequence[ModelRow], models: Models, protocol: AnyProtocol) -> list[RowSource]:
    """Rows whose videos the model makes when they are asked for."""
    if not names:
        return []
    settings = {"model": models.name, "weights": models_sha256(models)}

    def source(name: ModelRow) -> RowSource:
        if isinstance(protocol, HeldoutProtocol):
            return RowSource(
                name,
                TITLES[name],
                lambda case: row_video(name, models, protocol, protocol.clip(case.number), case.number),
                settings,
            )
        return RowSource(name, TITLES[name], lambda case: model_video(name, models, protocol, case), settings)

    return [source(name) for name in names]


@torch.no_grad()
def model_video(name: ModelRow, models: Models, protocol: AnnotatedProtocol, case: Case) -> Tensor:
    """(T,3,H,W) in 0..1 at the protocol's size: the model's video of a case, made at the protocol's sampling size."""
    pipeline, size = models.pipeline, protocol.sampling_size
    if name == "autoencoder":
        vae = pipeline.vae
        frames = torch.stack([resized_picture(frame, size) for frame in case.frames])
        latents, _ = encoded_distribution(vae, (frames * 2 - 1).to(vae.device, vae.dtype))
        return _at_size((decoded_frames(vae, latents) / 2 + 0.5).clamp(0, 1).float().cpu(), protocol.size)
    pipeline.check_size(size)
    seed = protocol.sampling_seed + case.number
    picture = (resized_picture(case.frames[0], size) * 255).round() / 255
    maps = None
    if name == "control" and len(case.entities):
        features = models.entity_features(picture, case.entities, size, seed=0)
        maps = models.condition_maps(features, case.entities, case.tracks, size)
    made: Tensor = pipeline(
        picture,
        maps,
        num_frames=protocol.frames,
        num_inference_steps=protocol.num_inference_steps,
        min_guidance_scale=protocol.min_guidance,
        max_guidance_scale=protocol.max_guidance,
        generator=torch.Generator().manual_seed(seed),
    ).frames[0]
    return _at_size(made.float().cpu(), protocol.size)


def protocol_settings(protocol: AnyProtocol) -> dict[str, Any]:
    """What a row's judgements are of: the protocol without how many of its clips, and without others' figures."""
    if isinstance(protocol, HeldoutProtocol):
        settings = asdict(protocol)
    else:
        settings = asdict(replace(protocol, published=()))
        settings.pop("published")
    settings.pop("count")
    return settings


def _at_size(video: Tensor, size: Size) -> Tensor:
    return torch.stack([resized_picture(frame, size) for frame in video])
