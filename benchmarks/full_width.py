"""FLOPs of the full-width networks, counted without computing anything: tensors that have a shape and no values."""

from __future__ import annotations

from functools import cache

import torch
from diffusers import UNetSpatioTemporalConditionModel

from benchmarks.measuring import flops_counted
from draganything_core.controlnet import SvdControlNet
from draganything_core.types import Size


def counted_step(frames: int = 14, size: Size = Size(320, 576)) -> dict[str, int]:  # noqa: B008 (frozen)
    """FLOPs of one half of guidance: the UNet's, the ControlNet's and the dense condition encoder's."""
    latent = size.latent
    unet, controlnet = networks_without_values()
    with torch.device("meta"), torch.no_grad():
        sample = torch.empty(1, frames, 8, latent.height, latent.width)
        known = {"encoder_hidden_states": torch.empty(1, 1, 1024), "added_time_ids": torch.empty(1, 3)}
        time = torch.empty(())
        encoder = controlnet.controlnet_cond_embedding
        with flops_counted() as of_unet:
            unet(sample, time, **known)
        with flops_counted() as of_control:
            features = torch.empty(frames, 320, latent.height, latent.width)
            controlnet(sample, time, condition_features=features, **known)
        with flops_counted() as of_encoder:
            encoder.encode_gaussian(torch.empty(frames, 3, size.height, size.width))
            encoder.encode_entity_map(torch.empty(frames, 160, size.height, size.width))
    return {
        "frames": frames,
        "height": size.height,
        "width": size.width,
        "unet": of_unet.get_total_flops(),
        "controlnet": of_control.get_total_flops(),
        "dense_encoder": of_encoder.get_total_flops(),
    }


@cache
def networks_without_values() -> tuple[UNetSpatioTemporalConditionModel, SvdControlNet]:
    with torch.device("meta"):
        unet, controlnet = UNetSpatioTemporalConditionModel(num_attention_heads=(5, 10, 20, 20)), SvdControlNet()
    # Some parameters are made on the CPU whatever the default is.
    return unet.to("meta").eval(), controlnet.to("meta").eval()
