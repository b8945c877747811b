"""The small model's networks, untrained: SVD's classes with few and narrow layers, in shapes that ComfyUI's SVD takes.

GroupNorm divides channels into 32 groups in these classes. A group of one channel would wash out what the time
embedding adds to it, so every level is at least 64 wide; attention heads are 32 wide at all levels, as the large
network's are 64 wide at all of its. The autoencoder is TAESD's layout, of which ComfyUI knows the one width.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from diffusers import AutoencoderTiny, EulerDiscreteScheduler, UNetSpatioTemporalConditionModel
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from ..controlnet import SvdControlNet
from ..svd import set_norm_eps, svd_scheduler
from ..types import Size

FRAMES = 8
SIZE = Size(128, 128)  # 16 x 16 latent cells
BLOCK_WIDTHS = (64, 64, 64)  # ComfyUI takes whole multiples of the first one
LAYERS = (1, 2, 1)
HEAD_WIDTH = 32
EMBEDDING_WIDTH = 64  # of the image embedding
TIME_ID_WIDTH = 256  # of each of the three time ids, as SVD's
NORM_EPS = 1e-5  # ComfyUI's, in all of the video UNet; diffusers has 1e-6 in some blocks
MAX_RADIUS = 16.0  # px: four discs of a zoom stay apart
FPS_ID = 6
MOTION_BUCKET_ID = 30  # of a clip in which sprites move over a resting ground
IMAGE_NOISE = 0.02
STEPS = 12
SIGMA_MIN, SIGMA_MAX = 0.02, 20.0  # its latents' deviation is about 0.4: at 20 next to nothing of them is left


def tiny_unet() -> UNetSpatioTemporalConditionModel:
    """The video UNet, 4.1 million parameters drawn from torch's current random state."""
    # Attention stands at the second level and in the middle: at the first it would cost more than all the rest.
    unet = UNetSpatioTemporalConditionModel(
        in_channels=8,
        out_channels=4,
        down_block_types=("DownBlockSpatioTemporal", "CrossAttnDownBlockSpatioTemporal", "DownBlockSpatioTemporal"),
        up_block_types=("UpBlockSpatioTemporal", "CrossAttnUpBlockSpatioTemporal", "UpBlockSpatioTemporal"),
        block_out_channels=BLOCK_WIDTHS,
        num_attention_heads=tuple(width // HEAD_WIDTH for width in BLOCK_WIDTHS),
        layers_per_block=LAYERS,
        cross_attention_dim=EMBEDDING_WIDTH,
        addition_time_embed_dim=TIME_ID_WIDTH,
        projection_class_embeddings_input_dim=3 * TIME_ID_WIDTH,
        num_frames=FRAMES,
    )
    return set_norm_eps(unet, NORM_EPS)


def tiny_controlnet(unet: UNetSpatioTemporalConditionModel, **choices: Any) -> SvdControlNet:
    """An untrained ControlNet for it, which adds exactly nothing. ``choices`` win over those made here."""
    # The UNet's last up block is as wide as its first level: those features are painted as they are, none averaged.
    return SvdControlNet.from_unet(
        unet,
        **{
            "conditioning_embedding_out_channels": (8, 16, 32, 64),
            "entity_embedding_out_channels": (32, 32, 32, 64),
            "entity_source": {"model_kind": "svd"},
            "entity_channels": BLOCK_WIDTHS[0],
            "geometry": "exact",
            "max_radius": MAX_RADIUS,
            "max_radius_size": (SIZE.height, SIZE.width),
            "gaussian_scale": 1.0,
            "fps_id": FPS_ID,
            "motion_bucket_id": MOTION_BUCKET_ID,
            "noise_aug_strength": IMAGE_NOISE,
            "sigma_min": SIGMA_MIN,
            "sigma_max": SIGMA_MAX,
            "num_inference_steps": STEPS,
            "max_guidance_scale": 1.0,  # trained without guidance, which washes its colours out
            "size": (SIZE.height, SIZE.width),
            "frames": FRAMES,
            **choices,
        },
    )


def tiny_autoencoder() -> AutoencoderTiny:
    """TAESD's layout, 2.4 million parameters; its latents are used as they come, the scaling factor is 1."""
    return AutoencoderTiny(scaling_factor=1.0, force_upcast=False)


def tiny_image_encoder() -> CLIPVisionModelWithProjection:
    """CLIP's vision tower with two layers: the host reads embeddings before the last one.

    It is never trained, so its random weights are rounded to half precision at once: ComfyUI keeps them so.
    """
    config = CLIPVisionConfig(
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=224,
        patch_size=32,
        projection_dim=EMBEDDING_WIDTH,
        hidden_act="gelu",
    )
    return CLIPVisionModelWithProjection(config).half().float()


def tiny_scheduler() -> EulerDiscreteScheduler:
    """SVD's sampling schedule over the small model's noise levels."""
    return svd_scheduler(SIGMA_MIN, SIGMA_MAX)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Networks made in this block draw their weights from ``seed``; torch's own random state is left as it was."""
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed the GPUs too
        yield
