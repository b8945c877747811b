"""A chain of 3x3 convolutions over maps that are mostly empty, computed once for each different surroundings.

Layer by layer the pixels with the same 3x3 surroundings have the same answer (see ``surroundings``), so each of these
is computed once: nothing with nothing around it, the picture's borders, the inside of a disc, and then what is really
new, the discs' edges as far as the layers carry them. A disc that rests costs one frame. The sums are the dense
convolution's, in another order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from .surroundings import NumberedMap, Surroundings, surroundings

GATHERED_BYTES = 32 * 2**20  # of surroundings laid side by side for one matrix product
TABLE_BYTES = 128 * 2**20  # of one layer's answers; two are there at a time
WORTH = 0.5  # share of the dense cost from which on gathering no longer pays


def convolve_sparsely(
    pixels: NumberedMap, table: Tensor, layers: Sequence[nn.Module], worth: float = WORTH
) -> Tensor | None:
    """(T, out, h, w) answers of the convolutions, with SiLU between them; None where the dense way is the better one.

    pixels: the map (T,H,W) that they read, whose numbers stand for the rows of ``table`` (m, in), the latter where and
    in what to compute; worth: see ``plan_convolutions``. Not differentiable. Raises TypeError for a layer that is of
    torch's class and does not convolve by torch.conv2d.
    """
    if not can_be_sparse(layers):
        return None
    convolutions = cast("Sequence[nn.Conv2d]", layers)
    plan = plan_convolutions(pixels, convolutions, table.element_size(), worth)
    if plan is None:
        return None
    for layer, found in zip(convolutions[:-1], plan[:-1], strict=True):
        table = F.silu(_answers(layer, table, found.members), inplace=True)
    return _placed(_answers(convolutions[-1], table, plan[-1].members), plan[-1].places)


def can_be_sparse(layers: Sequence[nn.Module]) -> bool:
    """Whether these are the convolutions that this module stands in for: 3x3, padded by one zero, undivided."""
    return all(
        isinstance(layer, nn.Conv2d)
        and (layer.kernel_size, layer.padding, layer.dilation) == ((3, 3), (1, 1), (1, 1))
        and (layer.groups, layer.padding_mode) == (1, "zeros")
        and layer.stride[0] == layer.stride[1]
        for layer in layers
    )


def plan_convolutions(
    pixels: NumberedMap, layers: Sequence[nn.Conv2d], number_bytes: int, worth: float = WORTH
) -> list[Surroundings] | None:
    """The different surroundings that each layer has to answer; None where the dense way counts for less.

    That is, where they need more than ``worth`` times the dense way's multiplications; what has been counted so far
    tells early, for the share of a map that is different only grows from layer to layer. None, too, where a layer's
    answers, of number_bytes a number, would outgrow TABLE_BYTES.
    """
    plan: list[Surroundings] = []
    dense = _dense_multiplications(pixels.numbers.shape, layers)
    spent = 0
    for index, layer in enumerate(layers):
        different = pixels.count / pixels.numbers.numel()
        if spent + different * sum(dense[index:]) > worth * sum(dense):
            return None
        found = surroundings(pixels, layer.stride[0])
        if found is None or found.places.count * layer.out_channels * number_bytes > TABLE_BYTES:
            return None
        plan.append(found)
        pixels = found.places
        spent += pixels.count * _multiplications(layer)
    return plan if spent <= worth * sum(dense) else None


def _dense_multiplications(shape: torch.Size, layers: Sequence[nn.Conv2d]) -> list[int]:
    frames, height, width = shape
    counted = []
    for layer in layers:
        height, width = -(-height // layer.stride[0]), -(-width // layer.stride[1])
        counted.append(frames * height * width * _multiplications(layer))
    return counted


def _multiplications(layer: nn.Conv2d) -> int:
    return 9 * layer.in_channels * layer.out_channels


def _placed(table: Tensor, places: NumberedMap) -> Tensor:
    """(T, C, h, w) map of the rows (n, C) that the numbers stand for."""
    frames, height, width = places.numbers.shape
    pixels = table.new_empty(frames, table.shape[1], height, width)
    for frame, numbers in zip(pixels, places.numbers, strict=True):
        rows = table.index_select(0, numbers.flatten().to(table.device))
        frame.copy_(rearrange(rows, "(h w) c -> c h w", h=height))
    return pixels


def _answers(layer: nn.Module, table: Tensor, members: Tensor) -> Tensor:
    # The layer is called as ever, because only in its call are its weights where and what they have to be: they may be
    # streamed in, cast, and gone again afterwards. What it then does with them is replaced.
    with _ConvolutionReplaced(lambda weight, bias: _multiply(table, members, weight, bias)) as replaced:
        answers: Tensor = layer(rearrange(table, "n c -> 1 c 1 n"))
    if not replaced.happened:
        raise TypeError(f"{type(layer).__name__} called no torch.conv2d, so its weights cannot be asked for sparsely")
    return answers


def _multiply(table: Tensor, members: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """(n, out): the kernels times the table's rows that members (n,9) name, the row after the last being zeros."""
    table = F.pad(table, (0, 0, 0, 1))
    kernels = rearrange(weight, "o c y x -> (y x c) o").contiguous()
    answers = table.new_empty(len(members), kernels.shape[1])
    chunk = max(1, GATHERED_BYTES // (len(kernels) * table.element_size()))
    for some, answer in zip(members.split(chunk), answers.split(chunk), strict=True):
        gathered = rearrange(table.index_select(0, some.flatten().to(table.device)), "(n k) c -> n (k c)", k=9)
        if bias is None:
            torch.mm(gathered, kernels, out=answer)
        else:
            torch.addmm(bias, gathered, kernels, out=answer)
    return answers


class _ConvolutionReplaced(TorchFunctionMode):
    """While it is active, torch.conv2d(input, weight, bias, ...) gives what a function of weight and bias gives."""

    def __init__(self, answer: Callable[[Tensor, Tensor | None], Tensor]) -> None:
        super().__init__()
        self.answer = answer
        self.happened = False

    def __torch_function__(self, function: Any, _types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if function is not torch.conv2d:
            return function(*args, **(kwargs or {}))
        self.happened = True
        _, weight, bias = args[:3]
        return self.answer(weight, bias)
