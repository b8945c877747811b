"""Loads a Stable Diffusion 1.5 family model for its features: U-Net, autoencoder, embedding of the empty prompt.

No tokenizer is needed, because the empty prompt's tokens are always the same, and nothing is ever downloaded.
"""

from __future__ import annotations

import json
import logging
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint, convert_ldm_vae_checkpoint
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel

logger = logging.getLogger(__name__)

EMPTY_PROMPT_TOKENS = (49406, *(49407,) * 76)  # start of text, then end of text as padding
SINGLE_FILE_CONFIGS = Path(__file__).parent / "presets" / "sd15"

# The parts in the diffusers layout (folders) and in a single checkpoint file (prefixes of the keys).
_PREFIXES = {
    "unet": "model.diffusion_model.",
    "vae": "first_stage_model.",
    "text_encoder": "cond_stage_model.transformer.",
}
_EXPECTED = (
    "Expected a Stable Diffusion 1.5 family model: the diffusers folder that holds unet/, vae/ and text_encoder/, "
    "or one whole checkpoint file (.safetensors or .ckpt)."
)
# What the keys of other files look like, the more telling ones first.
_OTHER_FILES = (
    ("lora_", "a LoRA"),
    ("control_model.", "a ControlNet"),
    ("controlnet_", "a ControlNet"),
    ("time_stack.", "a Stable Video Diffusion checkpoint: it is the video model, not the model for features"),
    ("temporal_transformer_blocks.", "a Stable Video Diffusion U-Net: it belongs in the video model's folder"),
    ("conditioner.embedders.", "a Stable Diffusion XL checkpoint"),
    ("cond_stage_model.model.", "a Stable Diffusion 2 checkpoint"),
    ("down_blocks.", "one part in the diffusers layout: give the folder that holds all parts"),
)


@dataclass(frozen=True, eq=False)
class StableDiffusionModules:
    """unet: UNet2DConditionModel; vae: AutoencoderKL; empty_prompt (1,77,D) as the text encoder embeds it."""

    unet: Any
    vae: Any
    empty_prompt: Tensor


def load_stable_diffusion(
    path: Path | str,
    *,
    config: Path | str = SINGLE_FILE_CONFIGS,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> StableDiffusionModules:
    """The frozen modules of a Stable Diffusion 1.5 family model on disk.

    path: a folder in the diffusers layout, or one checkpoint file.
    config: folder with unet/, vae/ and text_encoder/config.json, read for checkpoint files only, which carry none.
    dtype: of the U-Net and the prompt; the autoencoder stays in fp32 where fp16 would overflow in it.
    Raises FileNotFoundError for a missing path, ValueError for a model of another kind or with tensors missing.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"Stable Diffusion weights: {path} does not exist. {_EXPECTED}")
    unet, vae, text_encoder = _load_folder(path) if path.is_dir() else _load_file(path, Path(config))
    logger.info("%s: Stable Diffusion 1.5 family weights, licence CreativeML OpenRAIL-M", path)
    vae_dtype = torch.float32 if dtype == torch.float16 and vae.config.force_upcast else dtype
    return StableDiffusionModules(
        _frozen(unet, device, dtype),
        _frozen(vae, device, vae_dtype),
        embed_empty_prompt(text_encoder).to(device, dtype),
    )


@torch.no_grad()
def embed_empty_prompt(text_encoder: nn.Module) -> Tensor:
    """(1,77,D) float32: the text encoder's last hidden state, after its final norm, for the empty prompt."""
    hidden: Tensor = text_encoder.eval().float()(torch.tensor([EMPTY_PROMPT_TOKENS])).last_hidden_state
    return hidden


def _frozen(model: nn.Module, device: torch.device | str, dtype: torch.dtype) -> nn.Module:
    # torch's own .to: the one of diffusers warns of modules to keep in fp32 even where it has none.
    return nn.Module.to(model.requires_grad_(False).eval(), device, dtype)


def _load_folder(folder: Path) -> tuple[Any, Any, Any]:
    missing = [part for part in _PREFIXES if not (folder / part / "config.json").is_file()]
    if missing:
        raise ValueError(f"{folder}: no {' and no '.join(missing)} with a config.json. {_found(folder)} {_EXPECTED}")
    unet_config = json.loads((folder / "unet" / "config.json").read_text("utf-8"))
    other = _other_unet(unet_config)
    if other:
        raise ValueError(f"{folder}: its U-Net is {other}. {_EXPECTED}")
    return (
        _load_part(UNet2DConditionModel, folder, "unet"),
        _load_part(AutoencoderKL, folder, "vae"),
        _load_part(CLIPTextModel, folder, "text_encoder"),
    )


def _load_part(model_class: Any, folder: Path, part: str) -> Any:
    names = [file.name for file in (folder / part).iterdir() if file.suffix in (".safetensors", ".bin")]
    if not names:
        raise ValueError(f"{folder / part}: a config.json but no weights (.safetensors or .bin). Copy them there.")
    variant = "fp16" if all(".fp16." in name for name in names) else None
    model, info = model_class.from_pretrained(
        str(folder), subfolder=part, variant=variant, local_files_only=True, output_loading_info=True
    )
    _require_complete(info["missing_keys"], folder / part)
    return model


def _load_file(file: Path, configs: Path) -> tuple[Any, Any, Any]:
    tensors = _read_parts(file)
    unet = _build(UNet2DConditionModel, convert_ldm_unet_checkpoint, tensors["unet"], configs, "unet", file)
    vae = _build(AutoencoderKL, convert_ldm_vae_checkpoint, tensors["vae"], configs, "vae", file)
    prefix = _PREFIXES["text_encoder"]
    text_encoder, info = CLIPTextModel.from_pretrained(
        None,
        config=CLIPTextConfig.from_pretrained(str(configs), subfolder="text_encoder", local_files_only=True),
        state_dict={name.removeprefix(prefix): tensor for name, tensor in tensors["text_encoder"].items()},
        output_loading_info=True,
    )
    _require_complete(info["missing_keys"], file)
    return unet, vae, text_encoder


def _build(model_class: Any, convert: Any, tensors: dict[str, Tensor], configs: Path, part: str, file: Path) -> Any:
    """One module from a checkpoint file's tensors; every tensor must find its place and fill it."""
    config = model_class.load_config(str(configs), subfolder=part, local_files_only=True)
    with torch.device("meta"):
        model = model_class.from_config(config)
    try:
        model.load_state_dict(convert(tensors, config=config), strict=True, assign=True)
    except (RuntimeError, KeyError) as error:
        detail = "\n".join(str(error).splitlines()[:4])[:600]
        raise ValueError(f"{file}: its {part} is not Stable Diffusion 1.5's. {_EXPECTED}\n{detail}") from error
    return model


def _read_parts(file: Path) -> dict[str, dict[str, Tensor]]:
    """The tensors of each part under their names in the file; whatever else is in it (EMA copies) is not read."""
    if file.suffix == ".safetensors":
        tensors = _read_safetensors(file)
    elif file.suffix == ".ckpt":
        tensors = _read_pickle(file)
    else:
        raise ValueError(f'{file}: weights end in ".safetensors" or ".ckpt", this ends in "{file.suffix}". {_EXPECTED}')
    parts = {
        part: {name: tensor for name, tensor in tensors.items() if name.startswith(prefix)}
        for part, prefix in _PREFIXES.items()
    }
    missing = [part for part, found in parts.items() if not found]
    if missing:
        raise ValueError(f"{file}: holds no {' and no '.join(missing)}. {_EXPECTED}")
    return parts


def _read_safetensors(file: Path) -> dict[str, Tensor]:
    try:
        with safe_open(file, framework="pt") as content:
            names = list(content.keys())
            _refuse_other_file(names, file)
            return {name: content.get_tensor(name) for name in names if name.startswith(tuple(_PREFIXES.values()))}
    except SafetensorError as error:
        raise ValueError(f"{file}: not a readable safetensors file ({error}). Download or copy it again.") from error


def _read_pickle(file: Path) -> dict[str, Tensor]:
    try:
        tensors = torch.load(file, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise ValueError(
            f"{file}: not a checkpoint of plain tensors, and nothing else is loaded from a .ckpt, because it could run "
            "any code. Use the .safetensors file of the same model."
        ) from error
    tensors = tensors.get("state_dict", tensors)
    _refuse_other_file(list(tensors), file)
    return dict(tensors)


def _refuse_other_file(names: list[str], file: Path) -> None:
    for mark, what in _OTHER_FILES:
        if any(mark in name for name in names):
            raise ValueError(f"{file}: this looks like {what} (it holds {mark}*). {_EXPECTED}")


def _require_complete(missing: list[str], where: Path) -> None:
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise ValueError(f"{where}: the tensor {sorted(missing)[0]}{more} is missing. {_EXPECTED}")


def _other_unet(config: dict[str, Any]) -> str:
    """What a U-Net's config says it is, if that is not Stable Diffusion 1.5's kind; else nothing."""
    if config.get("_class_name") == "UNetSpatioTemporalConditionModel":
        return "Stable Video Diffusion's: this is the video model's folder, not that of the model for features"
    if config.get("addition_embed_type"):
        return "Stable Diffusion XL's"
    if config.get("use_linear_projection"):
        return "Stable Diffusion 2's"
    if config.get("in_channels", 4) != 4:
        return f"for {config['in_channels']} input channels (inpainting or editing), not 4"
    return ""


def _found(folder: Path) -> str:
    """What a folder holds, in a sentence."""
    index = folder / "model_index.json"
    if index.is_file():
        return f"Its model_index.json names a {json.loads(index.read_text('utf-8')).get('_class_name')}."
    if (folder / "config.json").is_file():
        return f"It is one part of a model itself; the folder above it may be the right one: {folder.parent}."
    names = sorted(entry.name + "/" * entry.is_dir() for entry in folder.iterdir())
    return f"It holds {', '.join(names[:12])}." if names else "It is empty."
