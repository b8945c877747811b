"""Random weights that anyone can make again, bit by bit, from a seed and the tensors' names and shapes.

Every value is a multiple of a power of two that float16 holds exactly. For each tensor, with n elements in C order,
``RandomState(crc32(name) ^ seed)`` draws whole numbers:

| tensor | values |
|---|---|
| name ends in ``mix_factor`` | -256..256, over 256 |
| one axis, name ends in ``weight`` (gains of norms) | 1 + (-64..64) / 256 |
| other tensors of at most one axis (biases) | (-1024..1024) / 1024 / 16 |
| all others | (-1024..1024) / 1024 * a, where a = 2 ** round(log2(sqrt(3 / fan_in))) |
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn


def recipe_tensor(name: str, shape: tuple[int, ...], seed: int) -> Tensor:
    """The float32 tensor that the recipe gives a name, a shape and a seed."""
    draw = np.random.RandomState(zlib.crc32(name.encode()) ^ seed)
    count = math.prod(shape)
    if name.endswith("mix_factor"):
        values = draw.randint(-256, 257, count) / 256
    elif len(shape) == 1 and name.endswith(".weight"):
        values = 1 + draw.randint(-64, 65, count) / 256
    elif len(shape) <= 1:
        values = draw.randint(-1024, 1025, count) / 1024 / 16
    else:
        scale = 2.0 ** round(math.log2(math.sqrt(3 / math.prod(shape[1:]))))
        values = draw.randint(-1024, 1025, count) / 1024 * scale
    return torch.from_numpy(values.astype(np.float32).reshape(shape))


def recipe_weights(shapes: Mapping[str, tuple[int, ...]], seed: int) -> dict[str, Tensor]:
    """A float32 tensor for each name and shape."""
    return {name: recipe_tensor(name, tuple(shape), seed) for name, shape in shapes.items()}


def weights_of(network: nn.Module, stored: Path, seed: int) -> dict[str, Tensor]:
    """A network's state: from the stored file where there is one, else from the recipe; its own integer buffers."""
    state = network.state_dict()
    shapes = {name: tuple(value.shape) for name, value in state.items() if value.is_floating_point()}
    floating = load_file(stored) if stored.is_file() else recipe_weights(shapes, seed)
    return {**state, **{name: value.float() for name, value in floating.items()}}
