"""Segment Anything's networks from local weight files, read without executing anything in them."""

from __future__ import annotations

import logging
import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

logger = logging.getLogger(__name__)

SAM_WIDTHS = {"vit_b": 768, "vit_l": 1024, "vit_h": 1280}  # channels of the picture encoder, which tell the three apart
_WIDTH_KEY = "image_encoder.patch_embed.proj.weight"
_RELATIVES = {
    "image_encoder.trunk.": "SAM 2",
    "image_encoder.patch_embed.seq.": "MobileSAM",
    "mask_decoder.hf_token.": "HQ-SAM",
    "vision_encoder.": "Segment Anything in the transformers layout",
}
_EXPECTED = "Segment Anything weights (sam_vit_b_*.pth, sam_vit_l_*.pth or sam_vit_h_*.pth): names and tensors only"


def load_sam(path: Path | str, model_type: str = "auto") -> Any:
    """The segment_anything ``Sam`` network in a local .pth or .safetensors file: ViT-B, ViT-L or ViT-H.

    model_type: "vit_b", "vit_l", "vit_h", or "auto", which reads it off the weights. Raises FileNotFoundError, or
    ValueError naming what was found and what was expected.
    """
    path = Path(path)
    state = _read_weights(path)
    found = _sam_type(state, path)
    if model_type not in ("auto", found):
        raise ValueError(f'model_type is {model_type!r}, but {path} holds {found!r}. Say "auto", or give another file.')
    # The package's own loading (checkpoint=...) would unpickle the file unsafely, so it only builds the network.
    build = segment_anything_package().sam_model_registry[found]
    with torch.device("meta"):
        expected = build().state_dict()
    _check_state(state, expected, path)
    model = build()
    model.load_state_dict(state)
    logger.info("Segment Anything %s from %s (weights by Meta AI, licence Apache-2.0)", found, path)
    return model


def segment_anything_package() -> Any:
    """The segment_anything module; ImportError says how to install it."""
    try:
        import segment_anything
    except ImportError as error:
        raise ImportError(
            "click-to-mask with Segment Anything needs the segment-anything package: pip install draganything[sam]"
        ) from error
    return segment_anything


def _read_weights(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise FileNotFoundError(
            f"no Segment Anything weights at {path}; expected {_EXPECTED}. Without weights, leave --sam out."
        )
    if path.suffix == ".safetensors":
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            return load_file(path)
        except SafetensorError as error:
            raise ValueError(f"{path} is not a safetensors file: {error}; copy it again") from error
    try:
        # Older files are plain pickles, which cannot be mapped into memory.
        state = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(f"{path} is not a file of weights alone ({reason}); expected {_EXPECTED}") from error
    if not isinstance(state, dict) or not all(isinstance(tensor, Tensor) for tensor in state.values()):
        found = f"a {type(state).__name__}" + (f" with {_some(list(state))}" if isinstance(state, dict) else "")
        raise ValueError(f"{path} holds {found}; expected {_EXPECTED}")
    return state


def _sam_type(state: dict[str, Tensor], path: Path) -> str:
    relative = next((name for start, name in _RELATIVES.items() if any(key.startswith(start) for key in state)), None)
    if _WIDTH_KEY not in state or relative is not None:
        found = f"weights of {relative}" if relative else f"{len(state)} tensors: {_some(list(state))}"
        raise ValueError(f"{path} holds {found}; expected {_EXPECTED}")
    width = state[_WIDTH_KEY].shape[0]
    for model_type, expected in SAM_WIDTHS.items():
        if width == expected:
            return model_type
    widths = ", ".join(f"{expected} ({model_type})" for model_type, expected in SAM_WIDTHS.items())
    raise ValueError(f"{path} holds a Segment Anything encoder of {width} channels; expected one of {widths}")


def _check_state(state: dict[str, Tensor], expected: dict[str, Tensor], path: Path) -> None:
    missing = [key for key in expected if key not in state]
    unknown = [key for key in state if key not in expected]
    misshapen = [key for key in expected if key in state and state[key].shape != expected[key].shape]
    problems = [
        f"{len(keys)} {what}: {_some(keys)}"
        for keys, what in ((missing, "missing"), (unknown, "unknown"), (misshapen, "of another shape"))
        if keys
    ]
    if problems:
        raise ValueError(f"{path} does not fit Segment Anything's network. Tensors {'; '.join(problems)}")


def _some(keys: list[str]) -> str:
    if not keys:
        return "nothing"
    return ", ".join(str(key) for key in keys[:3]) + (", ..." if len(keys) > 3 else "")
