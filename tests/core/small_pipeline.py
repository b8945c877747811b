"""The pipeline on random networks of the real classes, small enough for a generation in a blink."""

from __future__ import annotations

from typing import Any

import torch
from diffusers import AutoencoderKLTemporalDecoder
from small_networks import ARCHITECTURE, fill_randomly, random_maps, small_controlnet, small_unet
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from draganything_core.pipeline import DragAnythingPipeline
from draganything_core.svd import svd_scheduler
from draganything_core.types import ConditionMaps

HEIGHT, WIDTH, FRAMES = 32, 48, 3  # two levels of blocks: multiples of 16 px


def small_pipeline(**controlnet_arguments: Any) -> DragAnythingPipeline:
    torch.manual_seed(5)
    vae = AutoencoderKLTemporalDecoder(
        down_block_types=("DownEncoderBlock2D",) * 4, block_out_channels=(32,) * 4, layers_per_block=1
    )
    clip = CLIPVisionModelWithProjection(
        CLIPVisionConfig(
            hidden_size=16,
            intermediate_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            image_size=224,
            patch_size=112,
            projection_dim=ARCHITECTURE["cross_attention_dim"],
        )
    )
    fill_randomly(vae)
    fill_randomly(clip)
    pipeline = DragAnythingPipeline(
        vae.eval(),
        clip.eval(),
        small_unet(),
        small_controlnet(size=(HEIGHT, WIDTH), frames=FRAMES, **controlnet_arguments),
        svd_scheduler(),
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def small_picture(batch: int = 1, seed: int = 7) -> torch.Tensor:
    return torch.rand(batch, 3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(seed))


def small_maps(seed: int = 3, **changes: Any) -> ConditionMaps:
    return random_maps(**{"frames": FRAMES, "height": HEIGHT, "width": WIDTH, "seed": seed, **changes})
