"""Stable Video Diffusion's networks from a local diffusers folder."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKLTemporalDecoder,
    AutoencoderTiny,
    EulerDiscreteScheduler,
    UNetSpatioTemporalConditionModel,
)
from diffusers.models.resnet import ResnetBlock2D, TemporalResnetBlock
from safetensors import SafetensorError
from torch import nn
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from .atomic import write_text
from .weight_kinds import LICENCES
from .weights import WeightsError, describe_weights

logger = logging.getLogger(__name__)

NETWORKS = {
    "unet": UNetSpatioTemporalConditionModel,
    "vae": AutoencoderKLTemporalDecoder,
    "image_encoder": CLIPVisionModelWithProjection,
}
NORM_EPS_KEY = "_norm_eps"  # diffusers passes over private entries of a config
LAYOUT = "unet/, vae/, image_encoder/ (each config.json and weights) and scheduler/scheduler_config.json"


@dataclass(frozen=True, eq=False)
class SvdParts:
    """The frozen networks and the scheduler of Stable Video Diffusion."""

    unet: UNetSpatioTemporalConditionModel
    vae: AutoencoderKLTemporalDecoder
    image_encoder: CLIPVisionModelWithProjection
    scheduler: EulerDiscreteScheduler


def load_svd_parts(folder: Path | str, dtype: torch.dtype = torch.float32) -> SvdParts:
    """Networks of a diffusers folder of Stable Video Diffusion, in ``dtype``, on the CPU; nothing is downloaded.

    The autoencoder stays in float32 where fp16 is asked for: it overflows in it. Raises FileNotFoundError for a folder
    that is not there and WeightsError naming what a folder lacks or what a file is instead.
    """
    folder = Path(folder)
    check_svd_folder(folder)
    if _class_named(folder / "vae") != AutoencoderTiny.__name__:  # the small model is nobody's but this package's
        logger.info("Video model in %s. Stability AI's own weights are under the %s", folder, LICENCES["svd_unet"])
    networks = load_networks(folder, tuple(NETWORKS), dtype)
    return SvdParts(scheduler=EulerDiscreteScheduler.from_pretrained(folder / "scheduler"), **networks)


def load_networks(folder: Path, names: tuple[str, ...], dtype: torch.dtype) -> dict[str, Any]:
    """Some of the networks of such a folder by their names, frozen, in ``dtype``; raises WeightsError as above.

    The autoencoder may also be one in TAESD's layout (AutoencoderTiny); the UNet has the group norms' eps that its
    config remembers (see ``set_norm_eps``).
    """
    networks = {}
    for name in names:
        network_class, own_dtype = _class_and_type(folder, name, dtype)
        network = _load_network(folder / name, network_class, own_dtype)
        if name == "unet" and network.config.get(NORM_EPS_KEY) is not None:
            set_norm_eps(network, network.config[NORM_EPS_KEY])
        networks[name] = network.eval().requires_grad_(False)
    return networks


def empty_svd_networks(folder: Path, dtype: torch.dtype) -> dict[str, Any]:
    """What ``load_svd_parts`` would load, by the configurations alone: the networks are on the device "meta"."""
    check_svd_folder(folder)
    networks = {}
    for name in NETWORKS:
        network_class, own_dtype = _class_and_type(folder, name, dtype)
        with torch.device("meta"):
            if network_class is CLIPVisionModelWithProjection:  # of transformers, the others are of diffusers
                network = network_class(CLIPVisionConfig.from_pretrained(folder / name))
            else:
                network = network_class.from_config(network_class.load_config(folder / name))
        # torch's own .to: the one of diffusers warns of modules to keep in fp32 even where it has none.
        networks[name] = nn.Module.to(network, "meta", own_dtype).eval().requires_grad_(False)
    return networks


def save_networks(folder: Path, networks: Mapping[str, Any]) -> None:
    """Writes each network into the subfolder of its name, as ``load_networks`` reads them."""
    for name, network in networks.items():
        network.save_pretrained(folder / name)
        if isinstance(network, AutoencoderTiny):
            # diffusers derives this entry itself, and warns of it wherever it reads one.
            config = folder / name / "config.json"
            entries = json.loads(config.read_text("utf-8"))
            entries.pop("block_out_channels", None)
            write_text(config, json.dumps(entries, indent=2) + "\n")


def svd_scheduler(sigma_min: float = 0.002, sigma_max: float = 700.0) -> EulerDiscreteScheduler:
    """SVD's sampling schedule (Karras et al. 2022): v-prediction, network time 0.25 ln(sigma); sigmas 700 .. 0.002."""
    return EulerDiscreteScheduler(
        num_train_timesteps=1000,
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        interpolation_type="linear",
        prediction_type="v_prediction",
        use_karras_sigmas=True,
        sigma_min=sigma_min,
        sigma_max=sigma_max,
        timestep_type="continuous",
        timestep_spacing="leading",
        steps_offset=1,
    )


def set_norm_eps(unet: UNetSpatioTemporalConditionModel, eps: float) -> UNetSpatioTemporalConditionModel:
    """The same UNet with this eps in the group norms of all residual blocks, which its saved config remembers.

    diffusers has 1e-6 in some blocks and 1e-5 in others, ComfyUI 1e-5 in all; weights trained with one give slightly
    other numbers with the other.
    """
    for module in unet.modules():
        if isinstance(module, (ResnetBlock2D, TemporalResnetBlock)):
            module.norm1.eps = module.norm2.eps = eps
    unet.register_to_config(**{NORM_EPS_KEY: eps})
    return unet


def check_svd_folder(folder: Path) -> None:
    """Raises an error that says what is there, what was expected and what to do, unless the layout is right."""
    if folder.is_file():
        raise WeightsError(
            f"{folder} is {describe_weights(folder)}, a single file. Expected the diffusers folder of Stable Video "
            f"Diffusion: {LAYOUT}."
        )
    if not folder.is_dir():
        raise FileNotFoundError(
            f"{folder}: no such folder. Expected the diffusers folder of Stable Video Diffusion: {LAYOUT}."
        )
    needed = [f"{name}/config.json" for name in NETWORKS] + ["scheduler/scheduler_config.json"]
    missing = [name for name in needed if not (folder / name).is_file()]
    missing += [
        f"{name}/*.safetensors" for name in NETWORKS if (folder / name).is_dir() and not _weights(folder / name)
    ]
    if missing:
        found = ", ".join(sorted(path.name for path in folder.iterdir())) or "nothing"
        raise WeightsError(
            f"{folder} is not a complete folder of Stable Video Diffusion: it lacks {', '.join(missing)}. "
            f"It holds {found}. Expected {LAYOUT}."
        )


def _class_and_type(folder: Path, name: str, dtype: torch.dtype) -> tuple[Any, torch.dtype]:
    """A network's class, and the type to load it in: SVD's autoencoder overflows in fp16 and stays in fp32."""
    network_class: Any = NETWORKS[name]
    if name == "vae" and _class_named(folder / name) == AutoencoderTiny.__name__:
        network_class = AutoencoderTiny
    in_fp32 = network_class is AutoencoderKLTemporalDecoder and dtype == torch.float16
    return network_class, torch.float32 if in_fp32 else dtype


def _class_named(folder: Path) -> str | None:
    """The class that a folder's config.json names."""
    file = folder / "config.json"
    if not file.is_file():
        return None
    try:
        name = json.loads(file.read_text("utf-8")).get("_class_name")
    except (ValueError, AttributeError) as error:
        raise WeightsError(f"{file} is damaged: {error}. Copy the folder again from where it was published.") from error
    return name if isinstance(name, str) else None


def _load_network(folder: Path, network_class: Any, dtype: torch.dtype) -> Any:
    # A folder may hold only the half precision files, which carry "fp16" in their names.
    only_fp16 = all(".fp16" in path.name for path in _weights(folder))
    try:
        network, report = network_class.from_pretrained(
            folder,
            local_files_only=True,
            variant="fp16" if only_fp16 else None,
            torch_dtype=dtype,
            output_loading_info=True,
        )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise WeightsError(f"{folder}: its weights do not load as {network_class.__name__}: {error}") from error
    # Both libraries fill what a file lacks with random numbers and only warn.
    if report["missing_keys"]:
        missing = sorted(report["missing_keys"])
        raise WeightsError(
            f"{folder}: {len(missing)} of the tensors that its config.json asks for are missing, such as {missing[0]}. "
            f"Its weights are {describe_weights(folder)}. Copy the folder again from where it was published."
        )
    return network


def _weights(folder: Path) -> list[Path]:
    return sorted([*folder.glob("*.safetensors"), *folder.glob("*.bin")])
