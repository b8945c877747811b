"""The picture's embedding laid out in memory for attention over time, which diffusers gives as a view of one row.

For a single video every pixel's context is a view of the same row. On a CPU torch multiplies such a view by weights
that are not trained by copying the weights for each pixel: at 320x576 that is 1.9 GB a projection of the first level,
and most of a step's seconds. Rows of their own are multiplied in one go and take 6 MB.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from diffusers.models.attention import TemporalBasicTransformerBlock
from torch import nn
from torch.utils.hooks import RemovableHandle


def lay_out_contexts(network: nn.Module) -> list[RemovableHandle]:
    """From now on all attention over time in a UNet or ControlNet gets contexts that lie in memory as a whole."""
    return [
        block.register_forward_pre_hook(_laid_out, with_kwargs=True)
        for block in network.modules()
        if isinstance(block, TemporalBasicTransformerBlock)
    ]


@contextmanager
def contiguous_contexts(network: nn.Module) -> Iterator[None]:
    """``lay_out_contexts`` while the block runs; the network is left as it was."""
    handles = lay_out_contexts(network)
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _laid_out(
    _block: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    context = kwargs.get("encoder_hidden_states")
    return args, kwargs if context is None else {**kwargs, "encoder_hidden_states": context.contiguous()}
