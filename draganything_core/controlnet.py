"""The ControlNet of Stable Video Diffusion: a trainable copy of the UNet's encoder that reads condition maps.

Its configuration also carries every choice that its numbers depend on (how conditions are drawn, how entities are
embedded, time ids, multiplicities), so that weights and their meaning travel in one folder.
"""

# ruff: noqa: ARG002 (most constructor arguments are read back from self.config)

from __future__ import annotations

import inspect
from dataclasses import asdict, replace
from typing import Any, cast

import torch
from diffusers import ModelMixin
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.embeddings import TimestepEmbedding, Timesteps
from diffusers.models.unets.unet_3d_blocks import UNetMidBlockSpatioTemporal, get_down_block
from diffusers.utils.accelerate_utils import apply_forward_hook
from einops import rearrange, repeat
from torch import Tensor, nn

from .condition_encoder import ConditionEncoder, zero_conv
from .contiguous_context import lay_out_contexts
from .types import LATENT_SCALE, ConditionMaps, ControlResiduals, FeatureSource

# Configuration keys that are no part of the architecture: what a preset sets, and what makes a config one of ours.
CHOICES = (
    "entity_source",
    "entity_channels",
    "geometry",
    "max_radius",
    "max_radius_size",
    "gaussian_scale",
    "residual_multiplicity",
    "mid_multiplicity",
    "painting",
    "anchor",
    "clip_preprocessing",
    "fps_id",
    "motion_bucket_id",
    "motion_buckets_per_percent",
    "noise_aug_strength",
    "sigma_min",
    "sigma_max",
    "num_inference_steps",
    "max_guidance_scale",
    "size",
    "frames",
)
MEASURED = ("max_speed",)  # configuration keys that say what was found out about weights; they change no result
ALLOWED_VALUES = {
    "conditions": ("both", "entity", "gaussian", "none"),
    "geometry": ("exact", "reference", "point", "trajectory", "box"),
    "painting": ("vector", "channel_0"),
    "anchor": ("center", "grabbed_point"),
    "clip_preprocessing": ("svd", "reference"),
}
COPIED_FROM_UNET = ("conv_in", "time_embedding", "add_embedding", "down_blocks", "mid_block")
VIDEO_UNET_FEATURES = asdict(FeatureSource())


class SvdControlNet(ModelMixin, ConfigMixin):
    """ControlNet for diffusers' UNetSpatioTemporalConditionModel (arXiv 2403.07420, section 3.4).

    Architecture arguments have the names and defaults of that UNet; at the defaults there are 685 tensors with
    684,999,873 parameters. ``sample_size``, ``out_channels``, ``up_block_types`` and ``num_frames`` shape nothing and
    are kept because published configurations hold them. Head counts change no tensor's shape: read them from the
    weights' own configuration, never guess them. Weights published without the choices below are loaded by
    ``weights.load_controlnet``, which fills them in; ``from_pretrained`` would leave them at the defaults.

    Choices (see CHOICES), the defaults being those of weights trained with this library:
    - entity_source: fields of FeatureSource; entity_channels: width of the entity map.
    - conditions: which maps the network sees, "both", or "entity", "gaussian" or "none" of them (table 2); the others
      are blank to it, in training and after it.
    - geometry "exact" or "reference", or "point", "trajectory", "box" in their place (figure 2).
    - max_radius: px at max_radius_size (height, width), None = no clamp.
    - gaussian_scale: what the 0..1 Gaussian maps are multiplied by (the authors' weights: 255).
    - residual_multiplicity: a factor per down residual, None = ones; mid_multiplicity: the middle block's.
    - painting "vector" (the whole embedding) or "channel_0" (its first channel everywhere, as the authors' demo).
    - anchor: the default of lines that name none. clip_preprocessing: "svd" or "reference" (the authors' demo).
    - fps_id, motion_bucket_id, noise_aug_strength: the time ids as the network gets them (fps_id is fps - 1).
      motion_buckets_per_percent: the motion bucket id after how much is drawn to move instead (``drawn_motion``), so
      many for each percent; None = always motion_bucket_id.
    - sigma_min, sigma_max: noise range of sampling. num_inference_steps and max_guidance_scale (of the last frame; the
      first one's is 1): how a video is sampled where nobody says otherwise.
    - size (height, width) and frames: the native clip.

    Measured of the weights, and no choice: max_speed, px that a disc may go from one frame to the next at ``size``
    before it is followed badly; None where nobody has tried.
    """

    _supports_gradient_checkpointing = True

    @register_to_config
    def __init__(
        self,
        sample_size: int | None = None,
        in_channels: int = 8,
        out_channels: int = 4,
        down_block_types: tuple[str, ...] = (
            "CrossAttnDownBlockSpatioTemporal",
            "CrossAttnDownBlockSpatioTemporal",
            "CrossAttnDownBlockSpatioTemporal",
            "DownBlockSpatioTemporal",
        ),
        up_block_types: tuple[str, ...] = (
            "UpBlockSpatioTemporal",
            "CrossAttnUpBlockSpatioTemporal",
            "CrossAttnUpBlockSpatioTemporal",
            "CrossAttnUpBlockSpatioTemporal",
        ),
        block_out_channels: tuple[int, ...] = (320, 640, 1280, 1280),
        addition_time_embed_dim: int = 256,
        projection_class_embeddings_input_dim: int = 768,
        layers_per_block: int | tuple[int, ...] = 2,
        cross_attention_dim: int | tuple[int, ...] = 1024,
        transformer_layers_per_block: int | tuple[int, ...] = 1,
        num_attention_heads: int | tuple[int, ...] = (5, 10, 20, 20),
        num_frames: int = 25,
        conditioning_channels: int = 3,
        conditioning_embedding_out_channels: tuple[int, ...] = (16, 32, 96, 256),
        entity_embedding_out_channels: tuple[int, ...] = (160, 160, 256, 256),
        entity_source: dict[str, Any] = VIDEO_UNET_FEATURES,
        entity_channels: int = 160,
        conditions: str = "both",
        geometry: str = "exact",
        max_radius: float | None = None,
        max_radius_size: tuple[int, int] = (320, 576),
        gaussian_scale: float = 1.0,
        residual_multiplicity: tuple[float, ...] | None = None,
        mid_multiplicity: float = 1.0,
        painting: str = "vector",
        anchor: str = "center",
        clip_preprocessing: str = "svd",
        fps_id: int = 6,
        motion_bucket_id: int = 128,
        motion_buckets_per_percent: float | None = None,
        noise_aug_strength: float = 0.02,
        sigma_min: float = 0.002,
        sigma_max: float = 700.0,
        num_inference_steps: int = 25,
        max_guidance_scale: float = 3.0,
        size: tuple[int, int] = (320, 576),
        frames: int = 14,
        max_speed: float | None = None,
    ) -> None:
        super().__init__()
        _check_choices(self.config)
        levels = len(down_block_types)
        layers = _per_level("layers_per_block", layers_per_block, levels)
        heads = _per_level("num_attention_heads", num_attention_heads, levels)
        context = _per_level("cross_attention_dim", cross_attention_dim, levels)
        transformers = _per_level("transformer_layers_per_block", transformer_layers_per_block, levels)
        widths = _per_level("block_out_channels", block_out_channels, levels)
        time_embed_dim = widths[0] * 4

        self.conv_in = nn.Conv2d(in_channels, widths[0], kernel_size=3, padding=1)
        self.time_proj = Timesteps(widths[0], True, downscale_freq_shift=0)
        self.time_embedding = TimestepEmbedding(widths[0], time_embed_dim)
        self.add_time_proj = Timesteps(addition_time_embed_dim, True, downscale_freq_shift=0)
        self.add_embedding = TimestepEmbedding(projection_class_embeddings_input_dim, time_embed_dim)
        self.controlnet_cond_embedding = ConditionEncoder(
            widths[0],
            conditioning_channels,
            tuple(conditioning_embedding_out_channels),
            entity_channels,
            tuple(entity_embedding_out_channels),
        )

        self.down_blocks = nn.ModuleList()
        skips = [(widths[0], 0)]  # (channels, times halved) of each skip connection
        for level, kind in enumerate(down_block_types):
            is_last = level == levels - 1
            block = get_down_block(
                kind,
                num_layers=layers[level],
                transformer_layers_per_block=transformers[level],
                in_channels=widths[max(level - 1, 0)],
                out_channels=widths[level],
                temb_channels=time_embed_dim,
                add_downsample=not is_last,
                resnet_eps=1e-5,
                cross_attention_dim=context[level],
                num_attention_heads=heads[level],
                resnet_act_fn="silu",
            )
            self.down_blocks.append(block)
            skips += [(widths[level], level)] * layers[level]
            skips += [] if is_last else [(widths[level], level + 1)]
        self.mid_block = UNetMidBlockSpatioTemporal(
            widths[-1],
            temb_channels=time_embed_dim,
            transformer_layers_per_block=transformers[-1],
            cross_attention_dim=context[-1],
            num_attention_heads=heads[-1],
        )
        self.controlnet_down_blocks = nn.ModuleList(zero_conv(width, width, kernel_size=1) for width, _ in skips)
        self.controlnet_mid_block = zero_conv(widths[-1], widths[-1], kernel_size=1)
        self._halvings = tuple(halvings for _, halvings in skips)
        lay_out_contexts(self)

        if residual_multiplicity is not None and len(residual_multiplicity) != len(skips):
            raise ValueError(
                f"residual_multiplicity has {len(residual_multiplicity)} factors, the network has {len(skips)} down "
                "residuals. Give one factor each, or None for ones."
            )

    @classmethod
    def from_unet(cls, unet: Any, **choices: Any) -> SvdControlNet:
        """An untrained ControlNet that starts as a copy of ``unet`` and adds exactly nothing to it.

        Copied in float32: conv_in, time embedding, the embedding of the time ids (a random one would shift every
        feature), down blocks and middle block. ``choices`` are constructor arguments and win over the UNet's
        configuration; ``frames`` is the UNet's num_frames unless given.
        """
        known = inspect.signature(cls.__init__).parameters
        architecture = {name: value for name, value in unet.config.items() if name in known}
        arguments = {"frames": unet.config.num_frames, **architecture, **choices}
        controlnet = cls(**arguments)
        for name in COPIED_FROM_UNET:
            getattr(controlnet, name).load_state_dict(getattr(unet, name).state_dict())
        return controlnet

    @property
    def feature_source(self) -> FeatureSource:
        """How the entity embeddings for these weights are to be taken."""
        return FeatureSource(**self.config.entity_source)

    @property
    def residual_multiplicity(self) -> tuple[tuple[float, ...], float]:
        """(a factor per down residual, the mid residual's factor), for ``ControlResiduals.multiplied``."""
        down = self.config.residual_multiplicity
        return tuple(down) if down is not None else (1.0,) * len(self._halvings), self.config.mid_multiplicity

    @apply_forward_hook
    def encode_conditions(
        self,
        maps: ConditionMaps,
        chunk_frames: int | None = None,
        device: torch.device | None = None,
        dtype: torch.dtype | None = None,
    ) -> Tensor:
        """(T, C0, H/8, W/8) features of the condition maps: noise plays no part in them, once a video is enough.

        Without gradients it is computed once for what is different in the maps (see ``sparse_encoder``), unless most
        is. chunk_frames: frames encoded at a time otherwise, which bounds memory and changes no result; None: as many
        as take about 256 MiB. device, dtype: where and in what to compute; None: as the weights are. Differentiable.
        Raises ValueError for maps of another channel count or of a size that is no multiple of 8.
        """
        if maps.size.height % LATENT_SCALE or maps.size.width % LATENT_SCALE:
            raise ValueError(f"condition maps: height and width must be multiples of {LATENT_SCALE}, got {maps.size}")
        if chunk_frames is not None and chunk_frames < 1:
            raise ValueError(f"chunk_frames must be >= 1, or None for a fitting number, got {chunk_frames}")
        maps = _seen_maps(maps, self.config.conditions)
        scale = self.config.gaussian_scale
        return cast(Tensor, self.controlnet_cond_embedding(maps, scale, chunk_frames, device=device, dtype=dtype))

    def forward(
        self,
        sample: Tensor,
        timestep: Tensor | float,
        encoder_hidden_states: Tensor,
        added_time_ids: Tensor,
        condition_features: Tensor,
        strength: float = 1.0,
    ) -> ControlResiduals:
        """Residuals times ``strength``, before multiplicity; every sample of a batch as if it were alone.

        sample (B,T,8,h,w): scaled noisy latents and image latents, in the type to compute in;
        timestep: 0.25 * ln(sigma), one or (B,); encoder_hidden_states (B,1,D): image embeddings;
        added_time_ids (B,3): fps - 1, motion bucket, noise, or what ``add_time_proj`` makes of them, side by side;
        condition_features (B*T,C0,h,w): what ``encode_conditions`` gave, sample by sample. Strength 0 gives exact
        zeros.
        Raises ValueError where these shapes disagree.
        """
        batch, frames = sample.shape[:2]
        self._check_inputs(sample, encoder_hidden_states, added_time_ids, condition_features)
        if strength == 0:
            return self._zero_residuals(sample)

        embedding = self._embed_time(timestep, added_time_ids, batch, sample.device, sample.dtype)
        embedding = repeat(embedding, "b c -> (b t) c", t=frames)
        context = repeat(encoder_hidden_states.to(sample.dtype), "b n c -> (b t) n c", t=frames)
        is_still_image = torch.zeros(batch, frames, dtype=sample.dtype, device=sample.device)

        hidden = self.conv_in(rearrange(sample, "b t c h w -> (b t) c h w"))
        hidden = hidden + condition_features.to(device=hidden.device, dtype=hidden.dtype)
        skips = [hidden]
        for block in self.down_blocks:
            attention = {"encoder_hidden_states": context} if getattr(block, "has_cross_attention", False) else {}
            hidden, outputs = block(
                hidden_states=hidden, temb=embedding, image_only_indicator=is_still_image, **attention
            )
            skips.extend(outputs)
        hidden = self.mid_block(
            hidden_states=hidden,
            temb=embedding,
            encoder_hidden_states=context,
            image_only_indicator=is_still_image,
        )

        down = tuple(conv(skip) for conv, skip in zip(self.controlnet_down_blocks, skips, strict=True))
        return ControlResiduals(down, self.controlnet_mid_block(hidden)).scaled(strength)

    def _embed_time(
        self, timestep: Tensor | float, added_time_ids: Tensor, batch: int, device: torch.device, dtype: torch.dtype
    ) -> Tensor:
        # (B, 4 * C0): noise level and time ids. The sinusoids are always float32; the layers after them need not be.
        timesteps = torch.as_tensor(timestep, dtype=torch.float32, device=device).reshape(-1)
        if len(timesteps) not in (1, batch):
            raise ValueError(f"timestep: one value or one for each of {batch} samples, got {len(timesteps)}")
        noise_level = self.time_proj(timesteps.expand(batch)).to(dtype)
        ids = added_time_ids.to(device, torch.float32)
        if ids.shape[1] != self.config.projection_class_embeddings_input_dim:
            ids = rearrange(self.add_time_proj(ids.flatten()), "(b n) c -> b (n c)", b=batch)
        return cast(Tensor, self.time_embedding(noise_level) + self.add_embedding(ids.to(dtype)))

    def _check_inputs(self, sample: Tensor, context: Tensor, added_time_ids: Tensor, features: Tensor) -> None:
        channels = self.config.in_channels
        if sample.ndim != 5 or sample.shape[2] != channels:
            raise ValueError(f"sample must be (B, T, {channels}, h, w), got shape {tuple(sample.shape)}")
        batch, frames, _, height, width = sample.shape
        if context.ndim != 3 or len(context) != batch:
            raise ValueError(f"encoder_hidden_states must be ({batch}, 1, D), got shape {tuple(context.shape)}")
        projected = self.config.projection_class_embeddings_input_dim
        ids = projected // self.config.addition_time_embed_dim
        if tuple(added_time_ids.shape) not in ((batch, ids), (batch, projected)):
            raise ValueError(
                f"added_time_ids must be ({batch}, {ids}), or ({batch}, {projected}) once projected, "
                f"got shape {tuple(added_time_ids.shape)}"
            )
        expected = (batch * frames, self.conv_in.out_channels, height, width)
        if tuple(features.shape) != expected:
            raise ValueError(
                f"condition_features must be {expected} for this sample, got {tuple(features.shape)}. Build the maps "
                "for the sample's frames and 8 times its size, and repeat them for each sample of the batch."
            )

    def _zero_residuals(self, sample: Tensor) -> ControlResiduals:
        batch, frames, _, height, width = sample.shape

        def zeros(conv: nn.Conv2d, halvings: int) -> Tensor:
            # Each halving rounds up, as a convolution of stride 2 does.
            h, w = -(-height // 2**halvings), -(-width // 2**halvings)
            return sample.new_zeros(batch * frames, conv.out_channels, h, w)

        convs = cast("list[nn.Conv2d]", list(self.controlnet_down_blocks))
        down = tuple(zeros(conv, halvings) for conv, halvings in zip(convs, self._halvings, strict=True))
        return ControlResiduals(down, zeros(self.controlnet_mid_block, self._halvings[-1]))


def _per_level(name: str, value: int | tuple[int, ...], levels: int) -> tuple[int, ...]:
    values = (value,) * levels if isinstance(value, int) else tuple(value)
    if len(values) != levels:
        raise ValueError(f"{name} has {len(values)} values, there are {levels} down blocks: {values}")
    return values


def _seen_maps(maps: ConditionMaps, conditions: str) -> ConditionMaps:
    """The maps as a network sees them that was made for some of them: the others are blank."""
    if conditions in ("entity", "none"):
        maps = replace(maps, gaussian=torch.zeros_like(maps.gaussian))
    if conditions in ("gaussian", "none"):
        maps = replace(maps, entity_index=torch.full_like(maps.entity_index, -1))
    return maps


def _check_choices(config: dict[str, Any]) -> None:
    for name, allowed in ALLOWED_VALUES.items():
        if config[name] not in allowed:
            raise ValueError(f"{name} must be one of {', '.join(allowed)}, got {config[name]!r}")
    unknown = set(config["entity_source"]) - set(VIDEO_UNET_FEATURES)
    if unknown:
        raise ValueError(f"entity_source: unknown {sorted(unknown)}; it holds {', '.join(VIDEO_UNET_FEATURES)}")
    FeatureSource(**config["entity_source"])
    if not 0 < config["sigma_min"] < config["sigma_max"]:
        raise ValueError(f"sigma_min and sigma_max: 0 < min < max, got {config['sigma_min']}, {config['sigma_max']}")
    if config["num_inference_steps"] < 1 or not config["max_guidance_scale"] >= 0:
        raise ValueError(
            f"num_inference_steps must be at least 1 and max_guidance_scale at least 0, got "
            f"{config['num_inference_steps']} and {config['max_guidance_scale']}"
        )
    for name, least, meaning in (
        ("max_radius", "0 px", "no clamp"),
        ("max_speed", "0 px", "not measured"),
        ("motion_buckets_per_percent", "0", "motion_bucket_id"),
    ):
        if config[name] is not None and not config[name] > 0:
            raise ValueError(f"{name} must be > {least}, or None for {meaning}, got {config[name]}")
