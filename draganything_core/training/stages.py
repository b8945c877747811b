"""From a config to the stage that it names, its networks loaded and its clips cached."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from accelerate import Accelerator

from ..annotation import Share
from ..controlnet import SvdControlNet
from ..drawn_motion import MOTION_BUCKETS_PER_PERCENT
from ..features import StableDiffusionFeatures
from ..svd import SvdParts, load_networks, load_svd_parts
from ..tiny.architecture import seeded, tiny_controlnet, tiny_scheduler, tiny_unet
from ..weights import load_controlnet
from .activation_checkpointing import checkpoint_blocks
from .autoencoder_stage import AutoencoderStage
from .cache import build_cache
from .clips import ClipSource, open_clips
from .config import TrainingConfig
from .encoding import ClipNetworks
from .stage import Stage
from .video_stage import ValidationClips, VideoNetworks, VideoStage


def build_stage(config: TrainingConfig, accelerator: Accelerator) -> Stage:
    """The stage, ready to train. Raises what opening clips and networks raises."""
    source, validation = open_training_clips(config)
    if config.stage == "autoencoder":
        return AutoencoderStage(config, source, validation)

    device = accelerator.device
    networks = load_video_networks(config, source)
    svd, controlnet = networks.svd, networks.controlnet
    for network in (svd.vae, svd.image_encoder, svd.unet):
        network.to(device)
    if controlnet is not None and config.precision == "bf16" and device.type == "cuda":
        svd.unet.to(torch.bfloat16)  # it is frozen: half the memory, and autocast need not cast it in every step
    sd15 = None
    if controlnet is not None and controlnet.feature_source.model_kind == "sd15":
        if config.networks.features is None:
            raise ValueError("networks.features: entity_source is sd15, so give a Stable Diffusion 1.5 family model")
        sd15 = StableDiffusionFeatures.from_pretrained(config.networks.features, device=device)
    encoders = ClipNetworks(
        svd.vae, svd.image_encoder, None if controlnet is None else controlnet.config, svd.unet, sd15
    )
    share = Share(accelerator.process_index, accelerator.num_processes, accelerator.wait_for_everyone)
    cache = build_cache(source, config, encoders, share)
    held_out = None
    if validation is not None:
        held_out = ValidationClips(validation, build_cache(validation, config, encoders, share))
    stage = VideoStage(config, networks, cache, held_out)
    if config.activation_checkpointing:
        checkpoint_blocks(svd.unet, controlnet)
    return stage


def load_video_networks(config: TrainingConfig, source: ClipSource) -> VideoNetworks:
    """The networks that a stage "base" or "controlnet" starts from, on the CPU in fp32."""
    assert config.networks.svd is not None
    folder = Path(config.networks.svd)
    if config.stage == "base" and config.networks.architecture == "tiny":
        frozen = load_networks(folder, ("vae", "image_encoder"), torch.float32)
        with seeded(config.seed):
            unet = tiny_unet()
        return VideoNetworks(SvdParts(unet=unet, scheduler=tiny_scheduler(), **frozen), None)
    svd = load_svd_parts(folder)
    return VideoNetworks(svd, None if config.stage == "base" else _controlnet(config, svd, source))


def _controlnet(config: TrainingConfig, svd: SvdParts, source: ClipSource) -> SvdControlNet:
    """Loaded weights, or a copy of the UNet's encoder; in both cases with the choices of the config."""
    choices = dict(config.control.choices)
    # For inference to ask for the same.
    fixed = config.noise.motion_bucket_id
    if fixed is not None:
        choices.setdefault("motion_bucket_id", fixed)
    choices.setdefault("motion_buckets_per_percent", MOTION_BUCKETS_PER_PERCENT if fixed is None else None)
    choices.setdefault("fps_id", round((config.noise.fps or source.clip(0).fps) - 1))
    if config.networks.controlnet is not None:
        controlnet = load_controlnet(config.networks.controlnet, preset=config.networks.preset)
        choices.setdefault("max_speed", None)  # what was measured of these weights need not hold of those to come
        controlnet.register_to_config(**choices)
        return controlnet
    with seeded(config.seed):
        if config.networks.architecture == "tiny":
            return tiny_controlnet(svd.unet, **choices)
        return SvdControlNet.from_unet(svd.unet, **choices)


def open_training_clips(config: TrainingConfig) -> tuple[ClipSource, ClipSource | None]:
    """The clips that are trained on, and those that progress is measured on, if it is."""
    settings = config.validation
    if settings.every is None:
        return open_clips(config.data), None
    if settings.synthetic is not None:
        drawn = replace(config.data, annotation=None, synthetic=settings.synthetic, max_clips=None)
        return open_clips(config.data), open_clips(drawn, count=settings.clips)
    held_out = replace(config.data, max_clips=None)
    return open_clips(config.data, first=settings.clips), open_clips(held_out, count=settings.clips)
