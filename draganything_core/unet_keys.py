"""Stable Video Diffusion's UNet under the names of its first release, by which ComfyUI builds and loads it.

diffusers groups the network by levels of resolution (``down_blocks``, ``mid_block``, ``up_blocks``), each with a list
of residual blocks, one of transformers and one of samplers. The first release has a flat list of ``input_blocks``, the
first of which is the input convolution, a ``middle_block`` and a flat list of ``output_blocks``. A block holds its
residual block, its transformer and its upsampler side by side; a downsampler is a block of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from diffusers import UNetSpatioTemporalConditionModel

# Whether a level of this kind has transformers.
DOWN_BLOCKS = {"DownBlockSpatioTemporal": False, "CrossAttnDownBlockSpatioTemporal": True}
UP_BLOCKS = {"UpBlockSpatioTemporal": False, "CrossAttnUpBlockSpatioTemporal": True}

TIME_ID_WIDTH, TIME_IDS = 256, 3  # ComfyUI embeds fps, motion bucket and image noise, each in this width

OUTER_NAMES = {
    "conv_in": "input_blocks.0.0",
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
}
RESIDUAL_NAMES = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
TRANSFORMER_NAMES = {
    "norm": "norm",
    "proj_in": "proj_in",
    "transformer_blocks": "transformer_blocks",
    "temporal_transformer_blocks": "time_stack",
    "time_pos_embed.linear_1": "time_pos_embed.0",
    "time_pos_embed.linear_2": "time_pos_embed.2",
    "time_mixer": "time_mixer",
    "proj_out": "proj_out",
}


def sgm_keys(unet_config: Mapping[str, Any]) -> dict[str, str]:
    """The first release's key of every tensor of the UNet that diffusers builds from this config, by diffusers' key.

    The tensors are the same in number, shape and meaning: renaming is all that weights need. Raises ValueError for a
    kind of block that the first release does not have.
    """
    names = dict(_module_names(unet_config))
    with torch.device("meta"):
        unet = UNetSpatioTemporalConditionModel.from_config(dict(unet_config))
    return {key: _renamed(key, names) for key in unet.state_dict()}


def sgm_unet_config(unet_config: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments with which ComfyUI's ``UNetModel`` builds the UNet of a diffusers config, all but data types.

    Depths count transformer layers per residual block: of ``input_blocks`` in their order, of ``output_blocks`` from
    last to first, as ComfyUI takes them. Raises ValueError for a UNet that ComfyUI cannot build.
    """
    down, up = _levels(unet_config)
    widths = list(unet_config["block_out_channels"])
    residual_blocks = _per_level(unet_config["layers_per_block"], len(widths))
    depths = _per_level(unet_config["transformer_layers_per_block"], len(widths))
    return {
        "image_size": 32,  # ComfyUI asks for it and does not use it
        "in_channels": unet_config["in_channels"],
        "out_channels": unet_config["out_channels"],
        "model_channels": widths[0],
        "channel_mult": _width_multiples(widths),
        "num_res_blocks": residual_blocks,
        "transformer_depth": [
            depth * attends
            for depth, attends, count in zip(depths, down, residual_blocks, strict=True)
            for _ in range(count)
        ],
        "transformer_depth_middle": depths[-1],
        "transformer_depth_output": [
            depth * attends
            for depth, attends, count in zip(depths, reversed(up), residual_blocks, strict=True)
            for _ in range(count + 1)
        ],
        "num_heads": -1,  # counted from the head width
        "num_head_channels": _head_width(unet_config, down, up),
        "context_dim": _context_width(unet_config),
        "num_classes": "sequential",  # a vector stands for the class: the time ids
        "adm_in_channels": _time_ids_width(unet_config),
        "use_checkpoint": False,
        "legacy": False,
        "use_spatial_transformer": True,
        "use_linear_in_transformer": True,
        "use_temporal_resblock": True,
        "use_temporal_attention": True,
        "disable_temporal_crossattention": False,
        "use_spatial_context": True,
        "extra_ff_mix_layer": True,
        "merge_strategy": "learned_with_images",
        "merge_factor": 0.0,
        "video_kernel_size": [3, 1, 1],
    }


def _module_names(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Pairs of names, diffusers' and the first release's, of modules that hold all of the UNet's tensors."""
    down, up = _levels(config)
    residual_blocks = _per_level(config["layers_per_block"], len(down))
    yield from OUTER_NAMES.items()

    block = 1
    for level, attends in enumerate(down):
        for i in range(residual_blocks[level]):
            yield from _residual_names(f"down_blocks.{level}.resnets.{i}", f"input_blocks.{block}.0")
            if attends:
                yield from _transformer_names(f"down_blocks.{level}.attentions.{i}", f"input_blocks.{block}.1")
            block += 1
        if level < len(down) - 1:
            yield f"down_blocks.{level}.downsamplers.0.conv", f"input_blocks.{block}.0.op"
            block += 1

    yield from _residual_names("mid_block.resnets.0", "middle_block.0")
    yield from _transformer_names("mid_block.attentions.0", "middle_block.1")
    yield from _residual_names("mid_block.resnets.1", "middle_block.2")

    block = 0
    for level, attends in enumerate(up):
        for i in range(residual_blocks[-1 - level] + 1):
            yield from _residual_names(f"up_blocks.{level}.resnets.{i}", f"output_blocks.{block}.0")
            if attends:
                yield from _transformer_names(f"up_blocks.{level}.attentions.{i}", f"output_blocks.{block}.1")
            block += 1
        if level < len(up) - 1:
            position = 2 if attends else 1  # behind what the level's last block holds
            yield f"up_blocks.{level}.upsamplers.0.conv", f"output_blocks.{block - 1}.{position}.conv"


def _residual_names(diffusers: str, sgm: str) -> Iterator[tuple[str, str]]:
    for name, sgm_name in RESIDUAL_NAMES.items():
        yield f"{diffusers}.spatial_res_block.{name}", f"{sgm}.{sgm_name}"
        yield f"{diffusers}.temporal_res_block.{name}", f"{sgm}.time_stack.{sgm_name}"
    yield f"{diffusers}.time_mixer", f"{sgm}.time_mixer"


def _transformer_names(diffusers: str, sgm: str) -> Iterator[tuple[str, str]]:
    for name, sgm_name in TRANSFORMER_NAMES.items():
        yield f"{diffusers}.{name}", f"{sgm}.{sgm_name}"


def _renamed(key: str, names: Mapping[str, str]) -> str:
    """The key with the part that names a known module replaced."""
    parts = key.split(".")
    for end in range(len(parts) - 1, 0, -1):
        module = ".".join(parts[:end])
        if module in names:
            return ".".join([names[module], *parts[end:]])
    raise ValueError(
        f"{key}: the first release of Stable Video Diffusion has no name for this tensor. Expected the layout of "
        "diffusers' UNetSpatioTemporalConditionModel; check the installed version of diffusers."
    )


def _levels(config: Mapping[str, Any]) -> tuple[list[bool], list[bool]]:
    """Which levels have transformers, on the way down and on the way up."""
    down = [_attends(kind, DOWN_BLOCKS, "down_block_types") for kind in config["down_block_types"]]
    up = [_attends(kind, UP_BLOCKS, "up_block_types") for kind in config["up_block_types"]]
    return down, up


def _attends(kind: str, known: Mapping[str, bool], entry: str) -> bool:
    if kind not in known:
        raise ValueError(
            f"{entry} has {kind!r}, which the first release of Stable Video Diffusion does not have. "
            f"Expected {' or '.join(known)}."
        )
    return known[kind]


def _per_level(value: Any, levels: int) -> list[Any]:
    return [value] * levels if isinstance(value, int) else list(value)


def _width_multiples(widths: list[int]) -> list[int]:
    if any(width % widths[0] for width in widths):
        raise ValueError(
            f"block_out_channels is {widths}. Expected multiples of the first, {widths[0]}: "
            "ComfyUI names the other levels' widths by whole multiples of it."
        )
    return [width // widths[0] for width in widths]


def _head_width(config: Mapping[str, Any], down: list[bool], up: list[bool]) -> int:
    widths = config["block_out_channels"]
    heads = _per_level(config["num_attention_heads"], len(widths))
    # The middle block attends at the last level's width.
    attends = [*(on_down or on_up for on_down, on_up in zip(down[:-1], reversed(up[1:]), strict=True)), True]
    head_widths = {width // count for width, count, here in zip(widths, heads, attends, strict=True) if here}
    if len(head_widths) > 1:
        raise ValueError(
            f"num_attention_heads is {heads} for block_out_channels {list(widths)}: heads are {sorted(head_widths)} "
            "channels wide. Expected one width at all levels that attend, as ComfyUI builds them."
        )
    return head_widths.pop()


def _context_width(config: Mapping[str, Any]) -> int:
    context_widths = set(_per_level(config["cross_attention_dim"], 1))
    if len(context_widths) > 1:
        raise ValueError(
            f"cross_attention_dim is {list(config['cross_attention_dim'])}. Expected one width at all levels: "
            "ComfyUI hands all of them the same image embedding."
        )
    return context_widths.pop()


def _time_ids_width(config: Mapping[str, Any]) -> int:
    width, total = config["addition_time_embed_dim"], config["projection_class_embeddings_input_dim"]
    if (width, total) != (TIME_ID_WIDTH, TIME_IDS * TIME_ID_WIDTH):
        raise ValueError(
            f"addition_time_embed_dim is {width} and projection_class_embeddings_input_dim {total}. Expected "
            f"{TIME_ID_WIDTH} and {TIME_IDS * TIME_ID_WIDTH}: ComfyUI embeds {TIME_IDS} time ids in this width."
        )
    return total
