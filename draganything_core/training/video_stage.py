"""The stages "base" and "controlnet": a video UNet trained by itself, or a ControlNet on a frozen one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..atomic import replacing_folder
from ..conditions import Geometry
from ..controlnet import SvdControlNet
from ..evaluation.sprite_scores import pooled, score_clip
from ..evaluation.track_error import track_error
from ..pictures import contact_sheet, save_png
from ..pipeline import DragAnythingPipeline
from ..svd import SvdParts, save_networks
from ..types import Size
from ..video import write_video
from .batches import BatchMaker, LoadedBatch
from .cache import CachedClip, ClipCache
from .clips import ClipSource, MotionClip, SyntheticClips
from .config import TrainingConfig
from .objective import BaseObjective, ControlNetObjective, sigma_quantiles
from .order import DataOrder, noise_generator
from .stage import StepInputs

VALIDATION_SEED = 2**31 - 1  # of the draws of validation, which no step shares


@dataclass(frozen=True, eq=False)
class VideoNetworks:
    """Stable Video Diffusion's networks, and the ControlNet in the stage that trains one."""

    svd: SvdParts
    controlnet: SvdControlNet | None


@dataclass(frozen=True, eq=False)
class ValidationClips:
    """Clips of one bucket that are not trained on, decoded and cached."""

    source: ClipSource
    cache: ClipCache

    def __len__(self) -> int:
        return len(self.source)

    def cached(self, number: int) -> CachedClip:
        return self.cache.clip(self.source.clip_buckets[number], self.cache.place(number))


class VideoStage:
    """Training on latents that were made beforehand.

    With a ControlNet the video UNet is frozen and all of the ControlNet is trained, inside the controlled entities'
    masks; without one all of the UNet is trained, everywhere unless the config weighs the ground less.
    """

    def __init__(
        self, config: TrainingConfig, networks: VideoNetworks, cache: ClipCache, validation: ValidationClips | None
    ) -> None:
        self.config = config
        self.networks = networks
        self.cache = cache
        self.validation = validation
        autocast = torch.bfloat16 if config.precision == "bf16" else None
        controlnet, unet = networks.controlnet, networks.svd.unet
        if autocast is not None and unet.device.type == "cpu" and any(frames == 2 for frames, _ in cache.buckets):
            # oneDNN leaves memory as it was in the gradient of such a convolution over time; measured, torch 2.11.
            raise ValueError(
                "precision: on the CPU, bf16 gives wrong gradients for clips of 2 frames. Use --precision fp32, or "
                "another length in data.frames"
            )
        self.objective: nn.Module
        if controlnet is None:
            unet.requires_grad_(True).train()
            self.objective = BaseObjective(unet, config.loss.weighting(usual=1.0), autocast)
        else:
            controlnet.requires_grad_(True).train()
            self.objective = ControlNetObjective(unet, controlnet, config.loss.weighting(usual=0.0), autocast)
        self.maker = batch_maker(config, networks)
        self.bucket_sizes = cache.bucket_sizes
        self.order = DataOrder(config.seed, config.global_batch, self.bucket_sizes)
        self.facts: dict[str, Any] = {
            "stage": config.stage,
            "seed": config.seed,
            "global_batch": config.global_batch,
            "bucket_sizes": list(self.bucket_sizes),
            "clips": cache.identity,
            "noise": asdict(config.noise),
            "control": None if controlnet is None else asdict(config.control),
            "loss": asdict(config.loss),
        }

    def load(self, step: int, positions: range) -> LoadedBatch:
        clips = [self.cache.clip(choice.bucket, choice.clip) for choice in self.order.clips(step, positions)]
        return self.maker.load(step, positions, clips)

    def inputs(self, loaded: LoadedBatch, device: torch.device) -> StepInputs:
        batch, noise, sigmas = self.maker.batch(loaded, device)
        return StepInputs((batch, noise, sigmas), sigmas, loaded.names)

    def validate(self, folder: Path, interrupted: Callable[[], bool]) -> dict[str, float]:
        """A loss at fixed noise levels with fixed noise, and how well things in generated videos obey."""
        if self.validation is None:
            return {}
        return {**self._fixed_loss(interrupted), **self._videos(folder, interrupted)}

    def export(self, folder: Path) -> None:
        """The stage "base": a folder of Stable Video Diffusion. "controlnet": a folder of the ControlNet."""
        with replacing_folder(folder) as temporary:
            if self.networks.controlnet is not None:
                self.networks.controlnet.save_pretrained(temporary)
                return
            svd = self.networks.svd
            save_networks(temporary, {"unet": svd.unet, "vae": svd.vae, "image_encoder": svd.image_encoder})
            svd.scheduler.save_pretrained(temporary / "scheduler")

    @torch.no_grad()
    def _fixed_loss(self, interrupted: Callable[[], bool]) -> dict[str, float]:
        """Mean loss of the validation clips at quantiles of the noise levels, always under the same noise."""
        assert self.validation is not None
        settings, noise = self.config.validation, self.config.noise
        quantiles = (torch.arange(settings.sigmas) + 0.5) / settings.sigmas
        sigmas = sigma_quantiles(quantiles, noise.sigma_mean, noise.sigma_std)
        device, losses = next(self.objective.parameters()).device, []
        for number in range(len(self.validation)):
            if interrupted():
                return {}
            loaded = self.maker.load(number, range(1), [self.validation.cached(number)])
            batch, _, _ = self.maker.batch(loaded, device)
            for place, sigma in enumerate(sigmas):
                draw = noise_generator(VALIDATION_SEED, number, place, "noise")
                fixed = torch.randn(batch.latents.shape, generator=draw).to(device)
                losses.append(self.objective(batch, fixed, sigma.reshape(1).to(device)).loss)
        return {"validation_loss": float(torch.stack(losses).mean())}

    def _videos(self, folder: Path, interrupted: Callable[[], bool]) -> dict[str, float]:
        """Generates the first validation clips as inference would, writes them beside the real ones, scores them."""
        assert self.validation is not None
        scores, errors = [], []
        for number in range(min(self.config.validation.videos, len(self.validation))):
            if interrupted():
                return {}
            clip = self.validation.source.clip(number)
            video = self._generated(number, clip)
            name = self.validation.source.name(number).replace("/", "_")
            write_video(video, folder / f"{name}.mp4", fps=clip.fps)
            save_png(contact_sheet([("real", clip.frames), ("generated", video)]), folder / f"{name}.png")
            if isinstance(self.validation.source, SyntheticClips):
                scores.append(score_clip(video, self.validation.source.synthetic(number)))
            else:
                errors.append(track_error(video, clip.entities, clip.tracks))
        if scores:
            summary = pooled(scores)
            return {"track_ratio": summary.ratio, "track_px": summary.mean_px, "track_static_px": summary.standing_px}
        points = sum(error.points for error in errors)
        if not points:
            return {}
        return {
            "track_px": sum(error.mean_px * error.points for error in errors if error.points) / points,
            "track_static_px": sum(error.static_px * error.points for error in errors if error.points) / points,
        }

    def _generated(self, number: int, clip: MotionClip) -> Tensor:
        """(T,3,H,W) in 0..1, on the CPU."""
        assert self.validation is not None
        settings, svd = self.config.validation, self.networks.svd
        controlnet, maps = self.networks.controlnet, None
        device = next(self.objective.parameters()).device
        cached = self.validation.cached(number)
        if controlnet is None:
            # The pipeline reads its settings from a ControlNet's config, though it does not call it.
            controlnet = SvdControlNet.from_unet(svd.unet, **self.config.control.choices)
        else:
            controlled = self.maker.all_controlled(cached)
            maps = self.maker.maps(controlled, Size.of(clip.frames), device)
        pipeline = DragAnythingPipeline(svd.vae, svd.image_encoder, svd.unet, controlnet, svd.scheduler)
        pipeline.set_progress_bar_config(disable=True)
        video = pipeline(
            clip.frames[0],
            maps,
            num_frames=len(clip.frames),
            motion_bucket_id=cached.motion_bucket_id,
            num_inference_steps=settings.num_inference_steps,
            min_guidance_scale=settings.guidance,
            max_guidance_scale=settings.guidance,
            generator=torch.Generator().manual_seed(number),
        ).frames[0]
        return video.cpu()


def batch_maker(config: TrainingConfig, networks: VideoNetworks) -> BatchMaker:
    """Makes batches as the ControlNet's config wants its maps, or batches without control."""
    if networks.controlnet is None:
        return BatchMaker(config.seed, config.noise, None, Geometry(), 1, False, networks.svd.vae)
    choices = networks.controlnet.config
    if choices.geometry == "reference":
        raise ValueError(
            'control.choices.geometry: training draws "exact" discs, or points, lines or boxes; "reference" is for the '
            "published weights"
        )
    return BatchMaker(
        config.seed,
        config.noise,
        config.control,
        Geometry(choices.geometry, choices.max_radius, Size(*choices.max_radius_size)),
        choices.entity_channels,
        choices.anchor == "grabbed_point",
        networks.svd.vae,
        choices.painting,
    )
