"""Each weights file right, wrong or missing: against its own config.json and against what was published."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKLTemporalDecoder, UNetSpatioTemporalConditionModel
from torch import nn
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from .svd import LAYOUT as SVD_LAYOUT
from .weights import WeightsError, describe_weights, empty_controlnet

# What Stable Video Diffusion publishes. Another value is no fault (a smaller network may be meant) but worth knowing.
PUBLISHED: dict[str, dict[str, Any]] = {
    "unet": {
        "block_out_channels": [320, 640, 1280, 1280],
        "num_attention_heads": [5, 10, 20, 20],
        "cross_attention_dim": 1024,
        "layers_per_block": 2,
        "addition_time_embed_dim": 256,
        "projection_class_embeddings_input_dim": 768,
        "in_channels": 8,
        "out_channels": 4,
    },
    "vae": {
        "block_out_channels": [128, 256, 512, 512],
        "latent_channels": 4,
        "scaling_factor": 0.18215,
        "force_upcast": True,
    },
    "image_encoder": {
        "hidden_size": 1280,
        "num_hidden_layers": 32,
        "num_attention_heads": 16,
        "projection_dim": 1024,
        "patch_size": 14,
    },
    "scheduler": {
        "prediction_type": "v_prediction",
        "use_karras_sigmas": True,
        "sigma_min": 0.002,
        "sigma_max": 700.0,
        "timestep_type": "continuous",
        "timestep_spacing": "leading",
        "steps_offset": 1,
    },
}


@dataclass(frozen=True)
class Verdict:
    """One part: verdict "right", "wrong" or "missing"; what was found; remarks on what a user should know."""

    part: str
    verdict: str
    found: str
    remarks: tuple[str, ...] = ()

    @property
    def right(self) -> bool:
        return self.verdict == "right"

    def __str__(self) -> str:
        remarks = "".join(f"\n           {remark}" for remark in self.remarks)
        return f"{self.verdict:>7}  {self.part}: {self.found}{remarks}"


def check_files(svd: Path, controlnet: Path, features: Path | None, preset: str | None = None) -> list[Verdict]:
    """A verdict on every part that a generation needs; no tensor is read, only headers and configurations."""
    if svd.is_file():
        return [Verdict(f"SVD folder ({svd})", "wrong", _single_file(svd)), *_check_given(features)]
    verdicts = [_check_network(svd, part) for part in ("unet", "vae", "image_encoder")]
    verdicts.append(_check_scheduler(svd))
    verdicts += _check_controlnet(controlnet, preset, features, svd / "unet" / "config.json")
    return verdicts


def _single_file(file: Path) -> str:
    try:
        found = str(describe_weights(file))
    except WeightsError as error:
        found = str(error)
    return f"{found}; expected a diffusers folder with {SVD_LAYOUT}"


def _check_network(svd: Path, part: str) -> Verdict:
    folder = svd / part
    name = f"SVD {part} ({folder})"
    config, trouble = _config(folder / "config.json", name)
    if trouble is not None:
        return trouble
    try:
        description = describe_weights(folder)
    except FileNotFoundError as error:
        return Verdict(name, "missing", str(error))
    except WeightsError as error:
        return Verdict(name, "wrong", str(error))
    try:
        expected = _expected_shapes(part, config)
    except (ValueError, TypeError, KeyError) as error:
        return Verdict(name, "wrong", f"its config.json describes no {part}: {error}")
    differences = shape_differences(expected, description.shapes)
    remarks = (*differences, *_unlike_published(part, config))
    return Verdict(name, "wrong" if differences else "right", str(description), remarks)


def _check_scheduler(svd: Path) -> Verdict:
    file = svd / "scheduler" / "scheduler_config.json"
    name = f"SVD scheduler ({file})"
    config, trouble = _config(file, name)
    if trouble is not None:
        return trouble
    kind = str(config.get("_class_name", "of no class"))
    differences = tuple(
        f"{key} is {config.get(key, 'not said')}, SVD as published has {value}"
        for key, value in PUBLISHED["scheduler"].items()
        if config.get(key) != value
    )
    # Unlike a network's width, none of these can be another number in weights that mean the same.
    wrong = kind != "EulerDiscreteScheduler" or bool(differences)
    return Verdict(name, "wrong" if wrong else "right", kind, differences)


def _check_controlnet(path: Path, preset: str | None, features: Path | None, unet_config_file: Path) -> list[Verdict]:
    name = f"ControlNet ({path})"
    try:
        description, network = empty_controlnet(path, preset)
    except FileNotFoundError as error:
        return [Verdict(name, "missing", str(error)), *_check_given(features)]
    except WeightsError as error:
        return [Verdict(name, "wrong", str(error)), *_check_given(features)]
    remarks = []
    unet_config, trouble = _config(unet_config_file, "")
    for key in ("num_attention_heads", "block_out_channels", "layers_per_block", "cross_attention_dim"):
        own, theirs = _plain(network.config[key]), _plain(unet_config.get(key))
        if trouble is None and own != theirs:
            remarks.append(f"{key} is {own}, the UNet's is {theirs}: it was not made for this UNet")
    verdicts = [Verdict(name, "wrong" if remarks else "right", str(description), tuple(remarks))]
    if network.feature_source.model_kind == "sd15" and features is None:
        remedy = "these weights need a Stable Diffusion 1.5 model: --features DIR"
        return [*verdicts, Verdict("feature model", "missing", remedy)]
    return [*verdicts, *_check_given(features)]


def _check_given(features: Path | None) -> list[Verdict]:
    return [] if features is None else [_check_features(features)]


def _check_features(path: Path) -> Verdict:
    name = f"feature model ({path})"
    if path.is_dir():
        lacks = [part for part in ("vae", "text_encoder") if not (path / part / "config.json").is_file()]
        if lacks:
            return Verdict(name, "wrong", f"the folder has no {' and no '.join(lacks)}; expected a diffusers folder")
    try:
        description = describe_weights(path / "unet" if path.is_dir() else path)
    except FileNotFoundError as error:
        return Verdict(name, "missing", str(error))
    except WeightsError as error:
        return Verdict(name, "wrong", str(error))
    if description.kind not in ("sd15_unet", "sd15_checkpoint"):
        return Verdict(name, "wrong", f"{description}; expected a Stable Diffusion 1.5 family model")
    return Verdict(name, "right", str(description))


def shape_differences(expected: dict[str, tuple[int, ...]], found: dict[str, tuple[int, ...]]) -> tuple[str, ...]:
    """Up to three sentences: tensors missing, unknown, and of another shape, each with an example."""
    missing = sorted(expected.keys() - found.keys())
    unknown = sorted(found.keys() - expected.keys())
    other = sorted(name for name in expected.keys() & found.keys() if expected[name] != found[name])
    differences = []
    if missing:
        differences.append(f"{len(missing)} tensors are missing, such as {missing[0]}")
    if unknown:
        differences.append(f"{len(unknown)} tensors are not in this network, such as {unknown[0]}")
    if other:
        name = other[0]
        differences.append(
            f"{len(other)} tensors have another shape, such as {name}: {found[name]} instead of {expected[name]}"
        )
    return tuple(differences)


def _expected_shapes(part: str, config: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    with torch.device("meta"):
        network: nn.Module
        if part == "image_encoder":
            network = CLIPVisionModelWithProjection(CLIPVisionConfig.from_dict(config))
        else:
            kind = {"unet": UNetSpatioTemporalConditionModel, "vae": AutoencoderKLTemporalDecoder}[part]
            network = kind.from_config(config)
    return {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}


def _config(file: Path, name: str) -> tuple[dict[str, Any], Verdict | None]:
    try:
        config = json.loads(file.read_text("utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}, Verdict(name, "missing", f"there is no {file}")
    except ValueError as error:
        return {}, Verdict(name, "wrong", f"{file} is not JSON ({error})")
    if not isinstance(config, dict):
        return {}, Verdict(name, "wrong", f"{file} holds no configuration")
    return config, None


def _unlike_published(part: str, config: dict[str, Any]) -> tuple[str, ...]:
    return tuple(
        f"{key} is {config[key]}, SVD as published has {value}"
        for key, value in PUBLISHED[part].items()
        if key in config and config[key] != value
    )


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
