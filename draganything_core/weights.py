"""ControlNet weights from disk, safely, and what any weights file is by its tensors' names and shapes."""

from __future__ import annotations

import inspect
import json
import logging
import pickle
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from .atomic import replacing
from .controlnet import CHOICES, SvdControlNet
from .weight_kinds import KINDS, LICENCES, recognise

logger = logging.getLogger(__name__)

Shapes = dict[str, tuple[int, ...]]

PRESETS: dict[str, dict[str, Any]] = {
    file.stem: json.loads(file.read_text("utf-8")) for file in (Path(__file__).parent / "presets").glob("*.json")
}
DEFAULT_PRESET = "trained"

WEIGHT_FILES = (
    "diffusion_pytorch_model.safetensors",
    "diffusion_pytorch_model.fp16.safetensors",
    "diffusion_pytorch_model.bin",
    "diffusion_pytorch_model.fp16.bin",
    "model.safetensors",
    "model.fp16.safetensors",
    "pytorch_model.bin",
)
EXPECTED = (
    "Expected a DragAnything ControlNet: a folder with config.json and diffusion_pytorch_model.safetensors (or .bin), "
    "or one such file that carries its configuration (685 tensors at full size)."
)
SHIPPED = Path(__file__).parent / "tiny" / "weights"
LICENCE_OF_SHIPPED = "licence: Apache-2.0, as all of this package"
LICENCE_OF_OWN = "licence: see where they come from; that of the video model they were trained on applies as well"
MOST_NAMED = 4  # differences named in an error


class WeightsError(ValueError):
    """A weights file that is damaged, of another kind than asked for, or without what is needed to load it."""


@dataclass(frozen=True)
class WeightsDescription:
    """What a weights file is, from its header alone.

    kind: a key of weight_kinds.KINDS, "unknown" included; dtypes: names such as "float16"; config: the configuration
    in a safetensors file's metadata, else the one beside the file, None where there is neither.
    """

    file: Path
    kind: str
    shapes: Shapes = field(repr=False)
    dtypes: tuple[str, ...]
    config: dict[str, Any] | None = field(default=None, repr=False)

    @property
    def parameters(self) -> int:
        return sum(torch.Size(shape).numel() for shape in self.shapes.values())

    @property
    def has_choices(self) -> bool:
        """Whether the configuration is of this library: the authors' own holds none of our choices."""
        return not set(CHOICES).isdisjoint(self.config or {})

    @property
    def licence(self) -> str | None:
        """The licence these weights are published under, as far as their kind tells."""
        if self.file.is_relative_to(SHIPPED):
            return LICENCE_OF_SHIPPED
        return LICENCE_OF_OWN if self.has_choices else LICENCES.get(self.kind)

    def __str__(self) -> str:
        return (
            f"{KINDS[self.kind].title}: {len(self.shapes)} tensors, {self.parameters:,} parameters, "
            f"{' and '.join(self.dtypes)}"
        )


def load_controlnet(
    path: Path | str, preset: str | None = None, torch_dtype: torch.dtype | None = None
) -> SvdControlNet:
    """The ControlNet of a folder or a file, ready for inference, on the CPU.

    path: a diffusers folder, or one .safetensors (with its configuration as JSON under "config" in the metadata, or
    in a .json of the same name beside it), .bin or .pth (with that .json). Pickled files are read as tensors only.
    preset: a key of PRESETS. A configuration with none of our choices is taken for the authors' own layout and gets
    the preset's, "trained" unless named; on weights with choices of their own a named preset replaces them.
    torch_dtype: what to load as; None: float32, whatever the file holds.
    Logs the weights' licence. Raises FileNotFoundError for a missing path; WeightsError for damaged files, for files
    of another kind (saying which and where they belong) and where configuration and tensors do not fit each other.
    """
    description, controlnet = empty_controlnet(path, preset)
    tensors = _read_tensors(description.file, torch_dtype or torch.float32)
    controlnet.load_state_dict(tensors, assign=True)
    log_licence(description)
    return controlnet.eval()


def empty_controlnet(path: Path | str, preset: str | None = None) -> tuple[WeightsDescription, SvdControlNet]:
    """What ``load_controlnet`` would load, found right but with no tensor read: the network is on the device "meta"."""
    if preset is not None and preset not in PRESETS:
        raise ValueError(f"preset: there is no {preset!r}; there are {', '.join(sorted(PRESETS))}")
    description = describe_weights(path)
    _require_controlnet(description)
    config = _require_heads(description)
    if preset is not None or not description.has_choices:
        config |= preset_choices(preset or DEFAULT_PRESET)
    controlnet = _build_empty(config, description.file, preset)
    _require_same_tensors(controlnet, description)
    return description, controlnet


def save_controlnet(controlnet: SvdControlNet, file: Path | str) -> None:
    """Writes one .safetensors with the configuration in its metadata, whole or not at all."""
    if Path(file).suffix != ".safetensors":
        raise ValueError(f"{file}: the name of single-file weights must end in .safetensors")
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in controlnet.state_dict().items()}
    config = json.dumps(json.loads(controlnet.to_json_string()))
    with replacing(file) as temporary:
        save_file(state, temporary, metadata={"format": "pt", "config": config})


def preset_choices(name: str) -> dict[str, Any]:
    """The choices a preset makes: a value for each of controlnet.CHOICES."""
    return {key: value for key, value in PRESETS[name].items() if key in CHOICES}


def log_licence(description: WeightsDescription) -> None:
    """Logs the licence of weights that were loaded, once a load; says nothing of kinds whose licence is unknown."""
    if description.licence:
        logger.info("%s, %s: %s", description.file, KINDS[description.kind].title, description.licence)


def describe_weights(path: Path | str) -> WeightsDescription:
    """What a weights file, or the one in a diffusers folder, is; only its header is read.

    Raises FileNotFoundError where nothing is there, WeightsError where the file is damaged or no weights file.
    """
    file = _weights_file(Path(path))
    if file.suffix == ".safetensors":
        shapes, dtypes, config = _safetensors_header(file)
    else:
        # On the device "meta" no data is read.
        tensors = _load_pickled(file, "meta")
        shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
        dtypes = {str(tensor.dtype).removeprefix("torch.") for tensor in tensors.values()}
        config = None
    return WeightsDescription(
        file, recognise(shapes), shapes, tuple(sorted(dtypes)), config or _configuration_beside(file)
    )


def _weights_file(path: Path) -> Path:
    if not path.exists():
        raise FileNotFoundError(f"weights {path}: there is no such file or folder. {EXPECTED}")
    if path.is_file():
        return path
    for name in WEIGHT_FILES:
        if (path / name).is_file():
            return path / name
    found = sorted(entry.name + "/" * entry.is_dir() for entry in path.iterdir())
    hint = f" Its controlnet/ may be meant: {path / 'controlnet'}." if "controlnet/" in found else ""
    raise FileNotFoundError(
        f"weights folder {path}: none of {', '.join(WEIGHT_FILES[:3])} in it; it holds "
        f"{', '.join(found[:8]) or 'nothing'}.{hint} {EXPECTED}"
    )


def _safetensors_header(file: Path) -> tuple[Shapes, set[str], dict[str, Any] | None]:
    names = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}
    try:
        with safe_open(file, "pt") as stored:
            slices = {name: stored.get_slice(name) for name in stored.keys()}  # noqa: SIM118 (no mapping)
            shapes = {name: tuple(part.get_shape()) for name, part in slices.items()}
            dtypes = {names.get(part.get_dtype(), part.get_dtype()) for part in slices.values()}
            config = (stored.metadata() or {}).get("config")
    except SafetensorError as error:
        raise _damaged(file, error) from error
    try:
        return shapes, dtypes, json.loads(config) if config else None
    except json.JSONDecodeError as error:
        raise WeightsError(f'{file}: the "config" in its metadata is not JSON ({error}).') from error


def _load_pickled(file: Path, device: str) -> dict[str, Tensor]:
    try:
        # Only zip archives, which torch has written since 1.6, can be mapped instead of read whole.
        mapped = device != "meta" and zipfile.is_zipfile(file)
        content = torch.load(file, map_location=device, weights_only=True, mmap=mapped)
    except (RuntimeError, pickle.UnpicklingError, EOFError, UnicodeDecodeError) as error:
        raise _damaged(file, error) from error
    content = content.get("state_dict", content) if isinstance(content, dict) else {}
    tensors = {name: value for name, value in content.items() if isinstance(value, Tensor)}
    if not tensors:
        raise WeightsError(f"{file} holds no named tensors, so it is no weights file. {EXPECTED}")
    return tensors


def _damaged(file: Path, error: Exception) -> WeightsError:
    with file.open("rb") as opened:
        is_pointer = opened.read(23) == b"version https://git-lfs"
    if is_pointer:
        return WeightsError(f"{file} is a Git LFS pointer, not the weights. Fetch them with `git lfs pull`.")
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    more = "" if file.suffix == ".safetensors" else " or holds more than tensors, which could run code and is refused"
    return WeightsError(
        f"{file} ({file.stat().st_size:,} bytes) cannot be read as weights: it is damaged or incomplete{more} "
        f"({reason}). Copy or download it again, best as .safetensors."
    )


def _read_tensors(file: Path, dtype: torch.dtype) -> dict[str, Tensor]:
    # Copied out of the mapped file: its tensors are not aligned as torch aligns its own, which changes the last bits
    # of results, and the file could change under them.
    if file.suffix != ".safetensors":
        return {name: tensor.to(dtype, copy=True) for name, tensor in _load_pickled(file, "cpu").items()}
    with safe_open(file, "pt") as stored:
        return {name: stored.get_tensor(name).to(dtype, copy=True) for name in stored.keys()}  # noqa: SIM118 (as above)


def _configuration_files(file: Path) -> list[Path]:
    # A folder of many weights files may hold a config.json of any of them.
    named = [file.with_suffix(".json")]
    return [file.with_name("config.json"), *named] if file.name in WEIGHT_FILES else named


def _configuration_beside(file: Path) -> dict[str, Any] | None:
    source = next((candidate for candidate in _configuration_files(file) if candidate.is_file()), None)
    if source is None:
        return None
    try:
        config = json.loads(source.read_text("utf-8"))
    except ValueError as error:
        raise WeightsError(f"{source} is not JSON ({error}). Copy it again from where the weights are.") from error
    if not isinstance(config, dict):
        raise WeightsError(f"{source} holds no JSON object. Copy it again from where the weights are.")
    return config


def _require_heads(description: WeightsDescription) -> dict[str, Any]:
    """A copy of the configuration, which must be there and say how many attention heads there are."""
    if description.config is None or "num_attention_heads" not in description.config:
        lacks = "no configuration" if description.config is None else "no num_attention_heads in its configuration"
        raise WeightsError(
            f"{description.file} has {lacks}. The number of attention heads changes no tensor's shape, so it cannot be "
            "told from the weights, and a wrong one would load without complaint and give wrong pictures. Put the "
            f"config.json that was published with these weights at {_configuration_files(description.file)[0]}; for "
            'a ControlNet of Stable Video Diffusion it holds "num_attention_heads": [5, 10, 20, 20].'
        )
    return dict(description.config)


def _build_empty(config: dict[str, Any], file: Path, preset: str | None) -> SvdControlNet:
    known = inspect.signature(SvdControlNet.__init__).parameters
    ignored = sorted(key for key in config if key not in known and not key.startswith("_"))
    if ignored:
        logger.info("%s: nothing here reads %s in its configuration", file, ", ".join(ignored))
    try:
        with torch.device("meta"):
            controlnet = SvdControlNet(**{key: value for key, value in config.items() if key in known})
    except (ValueError, TypeError) as error:
        cause = f"the preset {preset} does not fit it" if preset else "its configuration is not valid"
        raise WeightsError(f"{file}: {cause}: {error}") from error
    return controlnet.to("meta")  # the blocks' mixing factors ignore the default device


def _require_controlnet(description: WeightsDescription) -> None:
    if description.kind != "draganything_controlnet":
        kind = KINDS[description.kind]
        raise WeightsError(f"{description.file} is {description}. {kind.belongs} {EXPECTED}")


def _require_same_tensors(controlnet: SvdControlNet, description: WeightsDescription) -> None:
    wanted = {name: tuple(tensor.shape) for name, tensor in controlnet.state_dict().items()}
    found = description.shapes
    differences = [f"{name} is missing" for name in wanted if name not in found]
    differences += [f"{name} is not in the network" for name in found if name not in wanted]
    differences += [
        f"{name} has shape {found[name]}, the network {shape}"
        for name, shape in wanted.items()
        if name in found and found[name] != shape
    ]
    if differences:
        rest = len(differences) - MOST_NAMED
        named = "; ".join(differences[:MOST_NAMED]) + (f"; and {rest} more" if rest > 0 else "")
        raise WeightsError(
            f"{description.file} does not fit its configuration ({len(found)} tensors, the network has {len(wanted)}): "
            f"{named}. Use the config.json and the weights of one and the same training, and a preset made for them."
        )
