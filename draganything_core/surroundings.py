"""Which pixels of a stack of maps have the same surroundings: what a small convolution answers differently.

A 3x3 convolution gives equal answers wherever the nine values under it are equal. Maps here say so with numbers: equal
numbers stand for equal values (vectors of any length, kept in a table elsewhere). Of a map that is empty but for a few
discs there are few different surroundings: those of nothing, of the picture's borders, of the inside of a disc, and of
the discs' edges. Whatever rests or repeats, in one frame or in another, is the same surroundings again.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from einops import rearrange, repeat
from torch import Tensor

MAX_COUNT = 2**21  # three numbers have to fit the 63 bits of one key


@dataclass(frozen=True, eq=False)
class NumberedMap:
    """numbers (T,h,w) int32, each 0 .. count - 1: pixels with equal numbers have equal values."""

    numbers: Tensor
    count: int


@dataclass(frozen=True, eq=False)
class Surroundings:
    """The different surroundings of a NumberedMap's pixels, and where they are.

    members (n,9) int32: the nine numbers of each, row by row; the map's ``count`` stands for "outside the picture".
    places: which of the n is at each pixel that a convolution answers.
    """

    members: Tensor
    places: NumberedMap


def numbered_values(values: Tensor) -> tuple[NumberedMap, Tensor]:
    """A number for each different one of the values (T,h,w), and these different values (n,), the first of them 0."""
    flat = values.flatten()
    found = flat.nonzero().squeeze(-1)
    distinct, inverse = torch.unique(flat[found], return_inverse=True)
    numbers = torch.zeros(flat.shape, dtype=torch.int32, device=values.device)
    numbers[found] = inverse.int() + 1
    return NumberedMap(numbers.view(values.shape), len(distinct) + 1), F.pad(distinct, (1, 0))


def surroundings(pixels: NumberedMap, stride: int) -> Surroundings | None:
    """The different 3x3 surroundings that a convolution of this stride, padded by one pixel, sees.

    None where there are more different values than can be compared (two million).
    """
    outside = pixels.count
    padded = NumberedMap(F.pad(pixels.numbers, (1, 1, 1, 1), value=outside), outside + 1)
    rows = _combined(padded, 2, stride)
    blocks = _combined(rows.places, 1, stride) if rows else None
    if rows is None or blocks is None:
        return None

    # Numbers from before that no pixel has any more, most of them inside a row or block that is mixed, are left out.
    numbers = blocks.places.numbers.flatten().long()
    in_use = torch.zeros(blocks.places.count, dtype=torch.bool, device=numbers.device)
    in_use[numbers] = True
    used = in_use.nonzero().squeeze(-1)
    places = (torch.cumsum(in_use, 0, dtype=torch.int32) - 1)[numbers].view(blocks.places.numbers.shape)
    members = rearrange(rows.members[blocks.members[used].long()], "n y x -> n (y x)")
    return Surroundings(members.int(), NumberedMap(places, len(used)))


def _combined(pixels: NumberedMap, axis: int, stride: int) -> Surroundings | None:
    """The same along one axis, without padding: members (n,3). Three of one number keep it, others get a new one."""
    if pixels.count > MAX_COUNT:
        return None
    length = pixels.numbers.shape[axis]
    before, center, after = (
        pixels.numbers.movedim(axis, -1)[..., start : length - 2 + start : stride].movedim(-1, axis)
        for start in range(3)
    )
    mixed = ((before != center) | (after != center)).nonzero(as_tuple=True)
    keys = (before[mixed].long() * pixels.count + center[mixed]) * pixels.count + after[mixed]
    distinct, inverse = torch.unique(keys, return_inverse=True)
    combined = center.clone(memory_format=torch.contiguous_format)
    combined[mixed] = inverse.int() + pixels.count

    alike = repeat(torch.arange(pixels.count, device=keys.device), "n -> n 3")
    triples = torch.stack(
        [distinct // pixels.count**2, distinct // pixels.count % pixels.count, distinct % pixels.count], dim=-1
    )
    return Surroundings(torch.cat([alike, triples]), NumberedMap(combined, pixels.count + len(distinct)))
