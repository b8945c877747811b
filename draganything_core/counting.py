"""What operations would hold in memory and compute, found by running them on tensors that hold no data.

Under torch's ``FakeTensorMode`` an operation gives a tensor of the right shape and type in no time, on any machine, and
a ``Meter`` around it keeps the books.
"""

from __future__ import annotations

import copy
import weakref
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

GIB = 2**30
_aten = torch.ops.aten
# Attention runs in blocks here as on a GPU, under a name of its own that torch has no formula for.
FLOP_FORMULAS: dict[Any, Any] = {
    **flop_registry,
    _aten._scaled_dot_product_flash_attention_for_cpu: flop_registry[_aten._scaled_dot_product_flash_attention],
    _aten._scaled_dot_product_flash_attention_for_cpu_backward: flop_registry[
        _aten._scaled_dot_product_flash_attention_backward
    ],
}


class Meter(TorchDispatchMode):
    """Counts bytes alive and flops of all operations under it; tensors known beforehand are not counted."""

    def __init__(self, known: list[Tensor]) -> None:
        super().__init__()
        self.alive = self.peak = self.flops = 0
        self._known = {id(tensor.untyped_storage()) for tensor in known}

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = function(*args, **(kwargs or {}))
        for tensor in tree_leaves(output):
            if isinstance(tensor, Tensor):
                self._watch(tensor.untyped_storage())
        if formula := FLOP_FORMULAS.get(function.overloadpacket):
            self.flops += formula(*args, **(kwargs or {}), out_val=output)
        return output

    def _watch(self, storage: Any) -> None:
        if id(storage) in self._known:
            return
        self._known.add(id(storage))
        self.alive += storage.nbytes()
        self.peak = max(self.peak, self.alive)
        weakref.finalize(storage, self._forget, id(storage), storage.nbytes())

    def _forget(self, key: int, size: int) -> None:
        self._known.remove(key)
        self.alive -= size


def without_data(network: Any) -> Any:
    """The same network, its tensors of the same shapes and types but without values: use under ``FakeTensorMode``."""
    # A deep copy takes from its memo what is there already: here an empty tensor for each of the network's.
    memo: dict[int, Tensor] = {id(t): torch.empty(t.shape, dtype=t.dtype) for t in network.buffers()}
    memo |= {id(t): nn.Parameter(torch.empty(t.shape, dtype=t.dtype)) for t in network.parameters()}
    return copy.deepcopy(network, memo)


def parameter_count(network: nn.Module) -> int:
    """How many numbers a network's parameters are."""
    return sum(parameter.numel() for parameter in network.parameters())


def byte_count(tensors: Iterable[Tensor]) -> int:
    """What tensors take together."""
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)
