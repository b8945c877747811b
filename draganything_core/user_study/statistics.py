"""Exact intervals for shares, and how far raters agree beyond chance."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from itertools import combinations

STEPS = 60  # halvings of 0..1: beyond what a float tells apart


def exact_interval(wins: int, count: int, level: float = 0.95) -> tuple[float, float]:
    """The interval of a share of ``wins`` in ``count`` (Clopper and Pearson, Biometrika 1934); nan, nan of none.

    Its ends are the shares under which so many wins or more, or so many or fewer, have a chance of (1 - level) / 2.
    Raises ValueError unless 0 <= wins <= count and 0 < level < 1.
    """
    if not 0 <= wins <= count or not 0 < level < 1:
        raise ValueError(
            f"exact interval: expected 0 <= wins <= count and a level in 0..1, got {wins}, {count}, {level}"
        )
    if count == 0:
        return math.nan, math.nan
    chance = (1 - level) / 2
    low = 0.0 if wins == 0 else _share(lambda share: _at_least(wins, count, share) < chance)
    high = 1.0 if wins == count else _share(lambda share: 1 - _at_least(wins + 1, count, share) > chance)
    return low, high


def agreement(votes: Sequence[Sequence[Hashable]]) -> float:
    """Share of pairs of votes on the same thing that are equal; nan where nothing has two. votes: of each thing."""
    pairs = [first == second for own in votes for first, second in combinations(own, 2)]
    return sum(pairs) / len(pairs) if pairs else math.nan


def krippendorff_alpha(votes: Sequence[Sequence[Hashable]]) -> float:
    """Agreement beyond chance: 1 is perfect, 0 what chance gives (Krippendorff 2004, chapter 11, nominal data).

    votes: of each thing; what has fewer than two is left out. nan where all votes are equal: chance would agree, too.
    """
    rated = [own for own in votes if len(own) > 1]
    totals = Counter(vote for own in rated for vote in own)
    count = sum(totals.values())
    expected = sum(totals[a] * totals[b] for a, b in combinations(totals, 2)) * 2 / (count - 1) if count > 1 else 0.0
    if not expected:
        return math.nan
    observed = sum(_unequal(Counter(own)) / (len(own) - 1) for own in rated)
    return 1 - observed / expected


def _unequal(counts: Mapping[Hashable, int]) -> int:
    """Ordered pairs of unequal votes."""
    total = sum(counts.values())
    return total**2 - sum(count**2 for count in counts.values())


def _at_least(wins: int, count: int, share: float) -> float:
    """The chance of so many wins or more."""
    return math.fsum(math.comb(count, k) * share**k * (1 - share) ** (count - k) for k in range(wins, count + 1))


def _share(is_below: Callable[[float], bool]) -> float:
    """The share in 0..1 up to which ``is_below`` holds."""
    low, high = 0.0, 1.0
    for _ in range(STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if is_below(middle) else (low, middle)
    return low
