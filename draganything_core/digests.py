"""Names for networks' weights: digests that are equal where the weights are."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .controlnet import MEASURED
from .svd import NORM_EPS_KEY


def weights_sha256(weights: nn.Module | Path | str) -> str:
    """A name for a network's weights: of a module, its tensors and configuration; of a folder, its files.

    Of equal networks in the same precision the modules' are equal; a folder's is another than that of the module
    loaded from it. Raises FileNotFoundError for a folder without weights.
    """
    digest = hashlib.sha256()
    if isinstance(weights, nn.Module):
        digest.update(json.dumps(_numeric_config(weights), sort_keys=True).encode())
        add_tensors(digest, weights.state_dict())
        return digest.hexdigest()
    files = sorted(path for kind in ("*.safetensors", "*.bin") for path in Path(weights).glob(kind))
    if not files:
        raise FileNotFoundError(f"{weights}: no folder with weights (*.safetensors or *.bin)")
    for file in [path for path in [Path(weights) / "config.json"] if path.is_file()] + files:
        digest.update(f"{file.name}\n".encode())
        with file.open("rb") as opened:
            while block := opened.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def add_tensors(digest: hashlib._Hash, tensors: Mapping[str, Tensor]) -> None:
    """Takes tensors into a digest: names, number types, shapes and values, whatever their order."""
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor_bytes(tensor))


def tensor_bytes(tensor: Tensor) -> memoryview:
    """A tensor's values as they lie in memory."""
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy().data


def _numeric_config(network: nn.Module) -> dict[str, Any]:
    """A network's configuration without what says where it is from and what was measured of it, which change no number.

    It is needed because the weights alone do not tell head counts.
    """
    config: Any = getattr(network, "config", {})
    entries = config.to_dict() if hasattr(config, "to_dict") else dict(config)
    passing = ("transformers_version", "dtype", "torch_dtype", "architectures", *MEASURED)
    return {
        name: value
        for name, value in entries.items()
        if name not in passing and (not name.startswith("_") or name == NORM_EPS_KEY)
    }
