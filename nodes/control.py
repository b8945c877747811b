"""The core's ControlNet as one of the host's controls: its memory, its types, its attention, its sampling calls.

The network is the core's own, built once. Its layers change their class in place to the host's, which bring weights to
where and in what they are needed, so that it streams and casts as the host's own networks do.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import comfy.ldm.modules.attention
import comfy.model_management as memory
import comfy.model_patcher
import comfy.ops
import torch
from comfy.controlnet import ControlBase
from diffusers.models.attention_processor import Attention
from diffusers.models.resnet import AlphaBlender
from einops import rearrange, repeat
from torch import Tensor, nn

from ..draganything_core.condition_encoder import CHUNK_BYTES
from ..draganything_core.controlnet import CHOICES, SvdControlNet
from ..draganything_core.types import ControlResiduals, Size
from ..draganything_core.weights import describe_weights, load_controlnet
from .types import MotionConditions, frames_size

DTYPES = [torch.float16, torch.bfloat16, torch.float32]  # in the host's order of preference
HOST_LAYERS = ("Linear", "Conv2d", "Conv3d", "GroupNorm", "LayerNorm")


def load_control(path: Path | str, preset: str | None = None) -> DragAnythingControl:
    """The control of a DragAnything ControlNet's folder or file; raises what ``weights.load_controlnet`` raises."""
    description = describe_weights(path)
    stored = getattr(torch, description.dtypes[0], None) if len(description.dtypes) == 1 else None
    dtype = memory.unet_dtype(
        device=memory.get_torch_device(),
        model_params=description.parameters,
        supported_dtypes=DTYPES,
        weight_dtype=stored if stored in DTYPES else None,
    )
    if dtype not in DTYPES:  # the user asked for 8 bits, which these layers have no scales for
        dtype = torch.float16
    return host_control(load_controlnet(path, preset, torch_dtype=dtype))


def host_control(network: SvdControlNet) -> DragAnythingControl:
    """A network of the core under the host's memory management, in the type it has; the network is taken over."""
    device = memory.get_torch_device()
    compute_dtype = memory.unet_manual_cast(network.dtype, device, DTYPES) or network.dtype
    hosted = HostedControlNet(network.requires_grad_(False).eval(), compute_dtype)
    patcher = comfy.model_patcher.CoreModelPatcher(
        hosted, load_device=device, offload_device=memory.unet_offload_device()
    )
    return DragAnythingControl(hosted, patcher)


class HostAttention:
    """A diffusers attention processor that computes attention the way the user told the host to."""

    def __init__(self) -> None:
        self.transformer_options: dict[str, Any] = {}

    def __call__(
        self,
        attention: Attention,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        **_unused: Any,
    ) -> Tensor:
        if attention_mask is not None:
            raise ValueError("attention in this network is never masked")
        context = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        # Looked up at each call: the host, or a patch of it, may exchange the function.
        attended = comfy.ldm.modules.attention.optimized_attention(
            attention.to_q(hidden_states),
            attention.to_k(context),
            attention.to_v(context),
            heads=attention.heads,
            attn_precision=torch.float32,  # as the host has it for this family
            transformer_options=self.transformer_options,
        )
        projection, dropout = attention.to_out
        result: Tensor = dropout(projection(attended))
        return result


class HostedControlNet(nn.Module):
    """What the host's patcher holds: it sets ``device`` on its model, which a diffusers model refuses."""

    def __init__(self, network: SvdControlNet, compute_dtype: torch.dtype) -> None:
        super().__init__()
        self.network = network
        self.compute_dtype = compute_dtype
        self.attention = HostAttention()
        for module in network.modules():
            if isinstance(module, Attention):
                module.set_processor(self.attention)
            elif isinstance(module, AlphaBlender):
                module.float()  # a single number, no layer that casts
            elif type(module).__name__ in HOST_LAYERS and type(module).__module__.startswith("torch.nn"):
                module.__class__ = getattr(comfy.ops.manual_cast, type(module).__name__)
        memory.archive_model_dtypes(self)

    def encode_conditions(self, conditions: MotionConditions, device: torch.device) -> Tensor:
        """(T,C0,h,w) features of the condition maps."""
        features: Tensor = self.network.encode_conditions(
            conditions.maps, None, device=device, dtype=self.compute_dtype
        )
        return features

    def forward(
        self,
        sample: Tensor,
        timestep: Tensor,
        context: Tensor,
        projected_time_ids: Tensor,
        condition_features: Tensor,
        transformer_options: dict[str, Any],
    ) -> ControlResiduals:
        """The network's residuals in its own multiplicity; see SvdControlNet.forward for the shapes."""
        dtype = self.compute_dtype
        self.attention.transformer_options = transformer_options
        try:
            residuals: ControlResiduals = self.network(
                sample.to(dtype), timestep, context.to(dtype), projected_time_ids, condition_features
            )
        finally:
            self.attention.transformer_options = {}
        return residuals.multiplied(*self.network.residual_multiplicity)


class DragAnythingControl(ControlBase):
    """A loaded ControlNet, and once applied the conditions that it steers by.

    Links carry it unapplied; ``applied`` gives a copy with conditions, strength and range. The conditions' features
    are computed at the first call of a run and dropped when it ends.
    """

    def __init__(self, hosted: HostedControlNet, patcher: Any) -> None:
        super().__init__()
        self.hosted = hosted
        self.patcher = patcher
        self.conditions: MotionConditions | None = None
        self.model_sampling: Any = None
        self.condition_features: Tensor | None = None

    @property
    def network(self) -> SvdControlNet:
        return self.hosted.network

    @property
    def choices(self) -> dict[str, Any]:
        """How conditions are made for these weights."""
        return {name: self.network.config[name] for name in CHOICES}

    @property
    def native_size(self) -> Size:
        return Size(*self.network.config.size)

    def applied(
        self, conditions: MotionConditions, strength: float, start_percent: float, end_percent: float
    ) -> DragAnythingControl:
        """A copy that steers by these conditions, between two points of the schedule (0 its start, 1 its end)."""
        control = self.copy()
        control.conditions = conditions
        control.strength = strength
        control.timestep_percent_range = (start_percent, end_percent)
        return control

    def copy(self) -> DragAnythingControl:
        control = DragAnythingControl(self.hosted, self.patcher)
        self.copy_to(control)
        control.conditions = self.conditions
        return control

    def deepclone_multigpu(self, load_device: torch.device, autoregister: bool = False) -> DragAnythingControl:
        control = self.copy()
        control.hosted = copy.deepcopy(self.hosted)
        control.patcher = comfy.model_patcher.ModelPatcher(
            control.hosted, load_device=load_device, offload_device=memory.unet_offload_device()
        )
        if autoregister:
            self.multigpu_clones[load_device] = control
        return control

    def get_models(self) -> list[Any]:
        return [*super().get_models(), self.patcher]

    def inference_memory_requirements(self, dtype: torch.dtype) -> int:
        """Bytes beside the weights: one chunk of the condition encoder and the features that it leaves."""
        features = 0
        if self.conditions is not None:
            maps = self.conditions.maps
            latent = maps.size.latent
            channels = self.network.config.block_out_channels[0]
            features = maps.frames * channels * latent.height * latent.width * self.hosted.compute_dtype.itemsize
        return CHUNK_BYTES + features + int(super().inference_memory_requirements(dtype))

    def pre_run(self, model: Any, percent_to_timestep_function: Callable[[float], float]) -> None:
        super().pre_run(model, percent_to_timestep_function)
        require_fitting_model(model, self.network.config)
        self.model_sampling = model.model_sampling
        self.condition_features = None

    def cleanup(self) -> None:
        self.model_sampling = None
        self.condition_features = None
        super().cleanup()

    def get_control(
        self, x_noisy: Tensor, t: Tensor, cond: dict[str, Any], batched_number: int, transformer_options: dict[str, Any]
    ) -> dict[str, list[Tensor | None]] | None:
        """The host's dictionary of residuals, the previous control's included; None where neither acts.

        x_noisy (B,4,h,w): noisy latents as they are, one after the other the frames of each half of guidance that is
        in this call; t (B,): their sigma; cond: what the model gets beside them, in the same order.
        """
        previous = None
        if self.previous_controlnet is not None:
            previous = self.previous_controlnet.get_control(x_noisy, t, cond, batched_number, transformer_options)
        if self.timestep_range is not None and (t[0] > self.timestep_range[0] or t[0] < self.timestep_range[1]):
            return previous
        residuals = self._residuals(x_noisy, t, cond, batched_number, transformer_options)
        # The strength is applied in place there: to tensors that were made in this call.
        control = {"middle": [residuals.mid], "output": list(residuals.down)}
        merged: dict[str, list[Tensor | None]] = self.control_merge(control, previous, output_dtype=None)
        return merged

    def _residuals(
        self, x_noisy: Tensor, t: Tensor, cond: dict[str, Any], halves: int, transformer_options: dict[str, Any]
    ) -> ControlResiduals:
        frames = len(x_noisy) // halves
        features = self._features_of(x_noisy, frames, transformer_options)
        # What the model itself will see, by the same steps.
        scaled = self.model_sampling.calculate_input(t, x_noisy)
        network_input = torch.cat([scaled, cond["c_concat"].to(scaled)], dim=1)
        # Image embedding and time ids are repeated for each frame, and the same in all of them.
        context, time_ids = (cond[name].to(x_noisy.device)[::frames] for name in ("c_crossattn", "y"))
        residuals: ControlResiduals = self.hosted(
            rearrange(network_input, "(b t) c h w -> b t c h w", t=frames),
            self.model_sampling.timestep(t)[::frames],
            context,
            time_ids,
            repeat(features, "t c h w -> (b t) c h w", b=halves),
            transformer_options,
        )
        return residuals

    def _features_of(self, x_noisy: Tensor, frames: int, transformer_options: dict[str, Any]) -> Tensor:
        """(T,C0,h,w) condition features of the frames in this call, which are some of the clip's in context windows."""
        if self.conditions is None:
            raise ValueError("DragAnything: this control has no conditions. Link it to Apply DragAnything first.")
        maps = self.conditions.maps
        window = transformer_options.get("context_window")
        shown = list(range(maps.frames)) if window is None else _window_frames(window)
        if frames != len(shown) or max(shown) >= maps.frames:
            sampled = frames if window is None else max(shown) + 1
            raise ValueError(
                f"Apply DragAnything: the conditions have {maps.frames} frames, {sampled} are sampled. Set the number "
                "of frames to the motion's, where the latents are made or in the Trajectory Editor."
            )
        size = frames_size(x_noisy)
        if size != maps.size:
            raise ValueError(
                f"Apply DragAnything: the conditions are {maps.size}, the video is {size} (height x width). "
                "Set the Entity Encoder's width and height to the video's."
            )
        if self.condition_features is None:
            self.condition_features = self.hosted.encode_conditions(self.conditions, x_noisy.device)
        return self.condition_features if window is None else self.condition_features[shown]


def _window_frames(window: Any) -> list[int]:
    """Which frames of the clip a context window shows; some windows have an extra one in front."""
    anchor = getattr(window, "causal_anchor_index", None)
    return [*([] if anchor is None or anchor < 0 else [anchor]), *window.index_list]


def require_fitting_model(model: Any, config: Mapping[str, Any]) -> None:
    """Raises ValueError unless the host's model is the video UNet that the ControlNet was made for.

    The host would otherwise leave out residuals that do not fit, and say so in its log alone.
    """
    unet = model.model_config.unet_config
    if not unet.get("use_temporal_resblock"):
        raise ValueError(
            f"DragAnything steers Stable Video Diffusion, and this model is {type(model).__name__}. Load an "
            "image-to-video checkpoint of it with the Image Only Checkpoint Loader, or the tiny demo model."
        )
    widths = [unet["model_channels"] * multiple for multiple in unet["channel_mult"]]
    layers = config["layers_per_block"]
    found = (widths, list(unet["num_res_blocks"]), unet["context_dim"])
    expected = (
        list(config["block_out_channels"]),
        [layers] * len(widths) if isinstance(layers, int) else list(layers),
        config["cross_attention_dim"],
    )
    if found != expected:
        raise ValueError(
            f"These DragAnything weights were made for another video model: they expect levels {expected[0]} wide with "
            f"{expected[1]} layers and image embeddings of {expected[2]}, the model has {found[0]}, {found[1]} and "
            f"{found[2]}. Load the model and the ControlNet that belong together."
        )
