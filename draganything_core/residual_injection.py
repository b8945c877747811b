"""Adding a ControlNet's residuals to a stock diffusers UNet, which has no argument for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from .types import ControlResiduals


@contextmanager
def injected_residuals(unet: Any, residuals: ControlResiduals | None) -> Iterator[None]:
    """While the block runs, every call of ``unet`` adds the residuals to its skip connections and middle block.

    unet: a diffusers UNetSpatioTemporalConditionModel; residuals: already at their strength and multiplicity, in any
    dtype and on any device, None for no control. Nested blocks add up. Raises ValueError where the number of
    residuals or, at the call, one's shape is not the UNet's.

        with injected_residuals(unet, residuals):
            prediction = unet(sample, timestep, image_embeds, added_time_ids).sample
    """
    if residuals is None:
        yield
        return
    skips_per_block = [len(block.resnets) for block in unet.up_blocks]
    if sum(skips_per_block) != len(residuals.down):
        raise ValueError(
            f"{len(residuals.down)} down residuals do not fit a UNet with {sum(skips_per_block)} skip connections. "
            "Use a ControlNet made for this UNet (same blocks and layers per block)."
        )
    hooks = []
    try:
        end = len(residuals.down)
        for block, count in zip(unet.up_blocks, skips_per_block, strict=True):
            # The up path takes the skips from the last to the first.
            hook = _adds_to_skips(residuals.down[end - count : end], first=end - count)
            hooks.append(block.register_forward_pre_hook(hook, with_kwargs=True))
            end -= count
        hooks.append(unet.mid_block.register_forward_hook(_adds_to_output(residuals.mid)))
        yield
    finally:
        for handle in hooks:
            handle.remove()


def _adds_to_skips(residuals: tuple[Tensor, ...], first: int) -> Callable[..., Any]:
    def before_forward(
        _block: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        skips = kwargs["res_hidden_states_tuple"]
        controlled = tuple(
            _sum(f"down residual {index}", skip, residual)
            for index, (skip, residual) in enumerate(zip(skips, residuals, strict=True), start=first)
        )
        return args, {**kwargs, "res_hidden_states_tuple": controlled}

    return before_forward


def _adds_to_output(residual: Tensor) -> Callable[..., Tensor]:
    def after_forward(_block: nn.Module, _args: tuple[Any, ...], output: Tensor) -> Tensor:
        return _sum("the mid residual", output, residual)

    return after_forward


def _sum(name: str, hidden: Tensor, residual: Tensor) -> Tensor:
    if hidden.shape != residual.shape:
        raise ValueError(
            f"{name} has shape {tuple(residual.shape)}, the UNet's features there {tuple(hidden.shape)} "
            "(batch * frames, channels, height, width). Give both networks the same batch, frames and size."
        )
    return hidden + residual.to(device=hidden.device, dtype=hidden.dtype)
