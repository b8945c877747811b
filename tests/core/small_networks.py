"""Random networks of the real classes, small enough to run in a blink. Widths are multiples of 32 (group norms)."""

from __future__ import annotations

from typing import Any

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel, UNetSpatioTemporalConditionModel
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel

from draganything_core.controlnet import SvdControlNet
from draganything_core.types import ConditionMaps, Size

ARCHITECTURE: dict[str, Any] = {
    "down_block_types": ("CrossAttnDownBlockSpatioTemporal", "DownBlockSpatioTemporal"),
    "up_block_types": ("UpBlockSpatioTemporal", "CrossAttnUpBlockSpatioTemporal"),
    "block_out_channels": (32, 64),
    "num_attention_heads": (2, 4),
    "layers_per_block": 1,
    "cross_attention_dim": 24,
    "addition_time_embed_dim": 32,
    "projection_class_embeddings_input_dim": 96,
    "num_frames": 3,
}
ENCODER: dict[str, Any] = {
    "conditioning_embedding_out_channels": (8, 12, 16, 20),
    "entity_embedding_out_channels": (10, 14, 18, 22),
    "entity_channels": 6,
}
SKIPS = 4  # conv_in, one layer and a downsampler, one layer


def fill_randomly(network: nn.Module, seed: int = 0) -> None:
    """Random values everywhere, zero-initialised layers included."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in network.named_parameters():
        values = torch.randn(parameter.shape, generator=generator)
        fan_in = parameter[0].numel() if parameter.ndim > 1 else 16
        is_gain = parameter.ndim == 1 and name.endswith("weight")
        parameter.data.copy_(values / fan_in**0.5 + is_gain)


def small_unet(seed: int = 0, **arguments: Any) -> UNetSpatioTemporalConditionModel:
    unet = UNetSpatioTemporalConditionModel(**{**ARCHITECTURE, **arguments})
    fill_randomly(unet, seed)
    return unet.eval()


def small_controlnet(seed: int = 1, **arguments: Any) -> SvdControlNet:
    controlnet = SvdControlNet(**{**ARCHITECTURE, **ENCODER, **arguments})
    fill_randomly(controlnet, seed)
    return controlnet.eval()


def small_inputs(batch: int = 1, frames: int = 3, height: int = 5, width: int = 7, seed: int = 2) -> dict[str, Tensor]:
    """What both networks take: sample (B,T,8,h,w), timestep (B,), encoder_hidden_states and added_time_ids."""
    generator = torch.Generator().manual_seed(seed)
    return {
        "sample": torch.randn(batch, frames, 8, height, width, generator=generator),
        "timestep": torch.randn(batch, generator=generator),
        "encoder_hidden_states": torch.randn(batch, 1, ARCHITECTURE["cross_attention_dim"], generator=generator),
        "added_time_ids": torch.tensor([[6.0, 127.0, 0.02]]) + torch.arange(batch)[:, None],
    }


def random_maps(
    frames: int = 3, entities: int = 2, height: int = 40, width: int = 56, channels: int = 6, seed: int = 3
) -> ConditionMaps:
    """Maps with every entity and the empty one in random rectangles."""
    generator = torch.Generator().manual_seed(seed)
    cells = torch.randint(-1, entities, (frames, height // 4, width // 4), generator=generator)
    return ConditionMaps(
        gaussian=torch.rand(frames, 1, height, width, generator=generator),
        entity_index=cells.repeat_interleave(4, -1).repeat_interleave(4, -2).to(torch.int16),
        embeddings=torch.randn(entities, channels, generator=generator),
        size=Size(height, width),
    )


def small_stable_diffusion() -> dict[str, nn.Module]:
    """A Stable Diffusion with the real block structure and few channels: unet, vae, text_encoder."""
    torch.manual_seed(3)
    unet = UNet2DConditionModel(
        block_out_channels=(8, 16, 16, 24), norm_num_groups=4, attention_head_dim=2, cross_attention_dim=16
    )
    vae = AutoencoderKL(
        block_out_channels=(4, 8, 8, 12),
        norm_num_groups=4,
        layers_per_block=2,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
    )
    text_encoder = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=49408, hidden_size=16, intermediate_size=24, num_attention_heads=2, num_hidden_layers=2
        )
    )
    return {"unet": unet.eval(), "vae": vae.eval(), "text_encoder": text_encoder.eval()}
