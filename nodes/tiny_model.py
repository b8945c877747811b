"""The small model that ships with the pack, as the host's own MODEL, CLIP_VISION and VAE, and its control.

The host recognises video models by full-size widths, so nothing of it could load these files; its classes, though,
take any width.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import comfy.clip_vision
import comfy.latent_formats
import comfy.model_management as memory
import comfy.model_patcher
import comfy.sd
import comfy.supported_models
import torch
from diffusers import AutoencoderTiny, UNetSpatioTemporalConditionModel
from transformers import CLIPVisionModelWithProjection

from ..draganything_core.svd import load_networks
from ..draganything_core.tiny import WEIGHTS
from ..draganything_core.tiny.latents import preview_factors
from ..draganything_core.unet_keys import sgm_keys, sgm_unet_config
from .control import DragAnythingControl, load_control

CLIP_SETTINGS = (
    "num_hidden_layers",
    "hidden_size",
    "num_attention_heads",
    "intermediate_size",
    "hidden_act",
    "num_channels",
    "patch_size",
    "image_size",
    "projection_dim",
)


@dataclass(frozen=True, eq=False)
class TinyModel:
    """The four objects that the host's nodes and this pack's take."""

    model: Any
    clip_vision: Any
    vae: Any
    control: DragAnythingControl


class UnscaledLatents(comfy.latent_formats.LatentFormat):
    """Latents as the autoencoder gives them, with colours for previews while sampling."""

    latent_rgb_factors = preview_factors()


def load_tiny(folder: Path | str | None = None) -> TinyModel:
    """The small model of a folder with unet/, vae/, image_encoder/ and controlnet/ in diffusers' layout.

    folder: None for the one that ships.
    Raises FileNotFoundError, or the errors of ``svd.load_networks``, where the folder is not complete.
    """
    folder = Path(folder or WEIGHTS)
    if not folder.is_dir():
        raise FileNotFoundError(
            f"the tiny demo model's weights are missing: there is no folder {folder}. They come with the pack; "
            "install it again, or train them as the README describes."
        )
    networks = load_networks(folder, ("unet", "vae", "image_encoder"), torch.float32)
    control = load_control(folder / "controlnet")
    config = control.network.config
    return TinyModel(
        video_model(networks["unet"], config.sigma_min, config.sigma_max),
        image_encoder(networks["image_encoder"]),
        autoencoder(networks["vae"]),
        control,
    )


def video_model(unet: UNetSpatioTemporalConditionModel, sigma_min: float, sigma_max: float) -> Any:
    """The host's MODEL of a video UNet of any width whose latents are not scaled."""
    arguments = sgm_unet_config(unet.config)

    class TinySvd(comfy.supported_models.SVD_img2vid):  # type: ignore[misc]
        unet_config: dict[str, Any] = {}  # noqa: RUF012 (as the host's classes have it)
        unet_extra_config = {  # noqa: RUF012
            "num_heads": -1,
            "num_head_channels": arguments["num_head_channels"],
            "attn_precision": torch.float32,
        }
        latent_format = UnscaledLatents
        sampling_settings = {"sigma_min": sigma_min, "sigma_max": sigma_max}  # noqa: RUF012

    keys = sgm_keys(unet.config)
    weights = {keys[key]: tensor.detach().clone() for key, tensor in unet.state_dict().items()}
    model_config = TinySvd(arguments)
    device = memory.get_torch_device()
    dtype = memory.unet_dtype(
        model_params=sum(tensor.numel() for tensor in weights.values()),
        supported_dtypes=model_config.supported_inference_dtypes,
        weight_dtype=unet.dtype,
    )
    cast_dtype = memory.unet_manual_cast(dtype, device, model_config.supported_inference_dtypes)
    model_config.set_inference_dtype(dtype, cast_dtype)
    model = model_config.get_model(weights, device=memory.unet_offload_device())
    _require_same_keys(set(model.diffusion_model.state_dict()), set(weights))
    patcher = comfy.model_patcher.CoreModelPatcher(
        model, load_device=device, offload_device=memory.unet_offload_device()
    )
    model.load_model_weights(weights, "", assign=patcher.is_dynamic())
    return patcher


def autoencoder(vae: AutoencoderTiny) -> Any:
    """The host's VAE of an autoencoder in TAESD's layout, with the latents' scale left as it is."""
    weights = {_taesd_key(key): tensor.detach().clone() for key, tensor in vae.state_dict().items()}
    hosted = comfy.sd.VAE(sd={**weights, "vae_scale": torch.tensor(1.0), "vae_shift": torch.tensor(0.0)})
    hosted.throw_exception_if_invalid()
    return hosted


def image_encoder(encoder: CLIPVisionModelWithProjection) -> Any:
    """The host's CLIP_VISION of a CLIP vision tower of any width."""
    settings = {name: getattr(encoder.config, name) for name in CLIP_SETTINGS}
    hosted = comfy.clip_vision.ClipVisionModel({"model_type": "clip_vision_model", **settings})
    missing, unexpected = hosted.load_sd(encoder.state_dict())
    _require_same_keys(set(missing), set(unexpected))
    return hosted


def _taesd_key(key: str) -> str:
    # The host counts the decoder's clamp as its layer 0.
    half, _, index, rest = key.split(".", 3)
    return f"taesd_{half}.{int(index) + (half == 'decoder')}.{rest}"


def _require_same_keys(wanted: set[str], given: set[str]) -> None:
    # The host's own loading only logs what is missing or left over.
    if wanted != given:
        raise RuntimeError(
            f"this ComfyUI builds another network than the tiny demo model's: {len(wanted - given)} tensors have no "
            f"weights, {len(given - wanted)} weights no tensor, such as {sorted(wanted ^ given)[0]}. "
            "Use the version of ComfyUI that the pack's pyproject.toml names."
        )
