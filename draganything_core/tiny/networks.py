"""The small network: SVD's classes and its ControlNet with few and narrow layers, random until weights are loaded.

GroupNorm divides channels into 32 groups in all of these classes, so every width is a multiple of 32. Attention heads
are 32 wide everywhere, as the large network's are 64 wide everywhere.
"""

from __future__ import annotations

from typing import TypedDict

import torch
from diffusers import AutoencoderKLTemporalDecoder, EulerDiscreteScheduler, UNetSpatioTemporalConditionModel
from torch import nn
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from ..controlnet import SvdControlNet
from ..svd import svd_scheduler
from ..types import Size

FRAMES = 14
SIZE = Size(192, 320)  # the sample picture's: 24 x 40 latent cells, which three levels halve twice
EMBEDDING_WIDTH = 32  # of the image embedding and of each time id
BLOCK_WIDTHS = (64, 64, 96)

# A random ControlNet must be told to speak up: its condition encoder's last convolutions start this much stronger
# than He's start, and the convolutions that otherwise start at zero get weights of this deviation.
RANDOM_CONDITION_GAIN = 10.0
RANDOM_CONTROL = 0.02


class TinyParts(TypedDict):
    """What ``DragAnythingPipeline(**parts)`` takes."""

    vae: AutoencoderKLTemporalDecoder
    image_encoder: CLIPVisionModelWithProjection
    unet: UNetSpatioTemporalConditionModel
    controlnet: SvdControlNet
    scheduler: EulerDiscreteScheduler


def tiny_pipeline_parts(seed: int = 0) -> TinyParts:
    """The small network with random weights, on the CPU in float32, ready for inference.

    The same seed gives the same weights; PyTorch's own random state is left as it was. A ControlNet starts with
    convolutions of zeros and so adds exactly nothing; here those get small random weights, so that control visibly
    acts, mostly along the lines. What shows there is the drawing shining through noise; nothing has learned to move.
    """
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed the GPUs too
        unet = _unet()
        controlnet = _controlnet(unet)
        _randomise_control(controlnet)
        return TinyParts(
            vae=_vae().eval(),
            image_encoder=_image_encoder().eval(),
            unet=unet.eval(),
            controlnet=controlnet.eval(),
            scheduler=svd_scheduler(),
        )


def _unet() -> UNetSpatioTemporalConditionModel:
    # Attention stands at the second level and in the middle: at the first it would cost more than all the rest.
    return UNetSpatioTemporalConditionModel(
        in_channels=8,
        out_channels=4,
        down_block_types=("DownBlockSpatioTemporal", "CrossAttnDownBlockSpatioTemporal", "DownBlockSpatioTemporal"),
        up_block_types=("UpBlockSpatioTemporal", "CrossAttnUpBlockSpatioTemporal", "UpBlockSpatioTemporal"),
        block_out_channels=BLOCK_WIDTHS,
        num_attention_heads=tuple(width // 32 for width in BLOCK_WIDTHS),
        layers_per_block=1,
        cross_attention_dim=EMBEDDING_WIDTH,
        addition_time_embed_dim=EMBEDDING_WIDTH,
        projection_class_embeddings_input_dim=3 * EMBEDDING_WIDTH,
        num_frames=FRAMES,
    )


def _controlnet(unet: UNetSpatioTemporalConditionModel) -> SvdControlNet:
    # The UNet's last up block is as wide as its first level: those features are painted as they are, none averaged.
    # The authors' factor of 255 on the Gaussians belongs to weights trained with it; convolutions that start at
    # PyTorch's default scale want inputs of about 1, or the Gaussians drown the entities.
    return SvdControlNet.from_unet(
        unet,
        conditioning_embedding_out_channels=(16, 32, 64, 64),
        entity_embedding_out_channels=(32, 32, 64, 64),
        entity_source={"model_kind": "svd"},
        entity_channels=BLOCK_WIDTHS[0],
        geometry="exact",
        gaussian_scale=1.0,
        size=(SIZE.height, SIZE.width),
        frames=FRAMES,
    )


def _randomise_control(controlnet: SvdControlNet) -> None:
    # PyTorch's default start fades a signal from layer to layer until only biases are left; He's keeps its strength,
    # and without biases an empty map gives nothing: what acts is what was drawn.
    encoder = controlnet.controlnet_cond_embedding
    for layer in encoder.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    with torch.no_grad():
        encoder.conv_out.weight.mul_(RANDOM_CONDITION_GAIN)
        encoder.conv_out_feature.weight.mul_(RANDOM_CONDITION_GAIN)
    for convolution in (*controlnet.controlnet_down_blocks, controlnet.controlnet_mid_block):
        nn.init.normal_(convolution.weight, std=RANDOM_CONTROL)


def _vae() -> AutoencoderKLTemporalDecoder:
    # Four levels make the picture 8 times smaller, as the large network's do.
    return AutoencoderKLTemporalDecoder(
        down_block_types=("DownEncoderBlock2D",) * 4,
        block_out_channels=(32, 32, 32, 32),
        layers_per_block=1,
        latent_channels=4,
        scaling_factor=0.18215,
    )


def _image_encoder() -> CLIPVisionModelWithProjection:
    config = CLIPVisionConfig(
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=224,
        patch_size=32,
        projection_dim=EMBEDDING_WIDTH,
        hidden_act="gelu",
    )
    return CLIPVisionModelWithProjection(config)
