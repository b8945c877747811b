"""Confidence intervals by resampling clips: how far a figure would wander had other clips of the kind been drawn.

Clips are drawn, not points: points of one clip share its picture and its motion and are no independent evidence. Two
rows are compared on the very same resamples, so that what makes a clip hard for both cancels out.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.float64]  # (R,N): how often each of N clips is in each of R resamples
Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

LARGEST_TABLE = 4_000_000  # numbers held at once where a median is resampled


@dataclass(frozen=True)
class Bootstrap:
    """How intervals are made: percentile bootstrap over clips (Efron 1979). The same seed gives the same interval."""

    seed: int = 0
    resamples: int = 2000
    level: float = 0.95

    def __post_init__(self) -> None:
        if self.seed < 0 or self.resamples < 1 or not 0 < self.level < 1:
            raise ValueError(
                "bootstrap: expected seed >= 0, resamples >= 1 and a level between 0 and 1, "
                f"got {self.seed}, {self.resamples} and {self.level}"
            )

    def counts(self, clips: int) -> Counts:
        """(R, clips) how often each clip is drawn, with replacement."""
        drawn = np.random.default_rng(self.seed).multinomial(clips, np.full(clips, 1 / clips), size=self.resamples)
        return drawn.astype(np.float64)


@dataclass(frozen=True)
class Interval:
    """A figure and its interval; clips: how many had something to measure. nan: nothing, or too few for an interval."""

    value: float
    low: float = math.nan
    high: float = math.nan
    clips: int = 0

    @property
    def excludes_zero(self) -> bool:
        """Whether a difference with this interval is told apart from none."""
        return self.low > 0 or self.high < 0


class Statistic(ABC):
    """A figure of N clips that can be taken of any resample of them."""

    measured: Flags  # (N,) which clips have something to measure

    @abstractmethod
    def __call__(self, counts: Counts) -> Array:
        """(R,) the figure of each resample."""

    @property
    def value(self) -> float:
        """The figure of the clips themselves."""
        return float(self(np.ones((1, len(self.measured))))[0])


class Mean(Statistic):
    """The mean over clips of one number each; a clip with nan is left out."""

    def __init__(self, values: Sequence[float] | Array) -> None:
        self.values = np.asarray(values, dtype=np.float64)
        self.measured = np.isfinite(self.values)

    def __call__(self, counts: Counts) -> Array:
        return _divided(counts @ np.where(self.measured, self.values, 0.0), counts @ self.measured.astype(np.float64))


class Ratio(Statistic):
    """Sum over sum, of two numbers a clip; a clip in which one of them is nan is left out."""

    def __init__(self, above: Sequence[float] | Array, below: Sequence[float] | Array) -> None:
        over, under = np.asarray(above, dtype=np.float64), np.asarray(below, dtype=np.float64)
        if over.shape != under.shape:
            raise ValueError(f"ratio: {len(over)} clips above, {len(under)} below; both must be of the same clips")
        self.measured = np.isfinite(over) & np.isfinite(under)
        self.above, self.below = np.where(self.measured, over, 0.0), np.where(self.measured, under, 0.0)

    def __call__(self, counts: Counts) -> Array:
        return _divided(counts @ self.above, counts @ self.below)


class Median(Statistic):
    """The median of all numbers of all clips together, as many of each clip as it has."""

    def __init__(self, groups: Sequence[Sequence[float] | Array]) -> None:
        sizes = [len(group) for group in groups]
        values = np.concatenate([np.asarray(group, dtype=np.float64) for group in groups] or [np.zeros(0)])
        order = np.argsort(values, kind="stable")
        self.measured = np.array(sizes, dtype=np.int64) > 0
        self.values, self.owner = values[order], np.repeat(np.arange(len(sizes)), sizes)[order]

    def __call__(self, counts: Counts) -> Array:
        if not len(self.values):
            return np.full(len(counts), math.nan)
        step = max(1, LARGEST_TABLE // len(self.values))
        return np.concatenate([self._medians(counts[start : start + step]) for start in range(0, len(counts), step)])

    def _medians(self, counts: Counts) -> Array:
        reached = np.cumsum(counts[:, self.owner], axis=1)
        total = reached[:, -1:]
        # Of an even number, the mean of the two in the middle.
        lower, upper = (2 * reached >= total).argmax(axis=1), (2 * reached > total).argmax(axis=1)
        return np.where(total[:, 0] > 0, (self.values[lower] + self.values[upper]) / 2, math.nan)


def interval(statistic: Statistic, bootstrap: Bootstrap | None = None) -> Interval:
    """The figure with its interval. Of fewer than two measured clips there is none: low and high are nan."""
    bootstrap = bootstrap or Bootstrap()
    measured = int(statistic.measured.sum())
    if measured < 2:
        return Interval(statistic.value if measured else math.nan, clips=measured)
    low, high = _ends(statistic(bootstrap.counts(len(statistic.measured))), bootstrap.level)
    return Interval(statistic.value, low, high, measured)


def paired_interval(first: Statistic, second: Statistic, bootstrap: Bootstrap | None = None) -> Interval:
    """second - first with its interval, over the clips that both measured, in the same order.

    Raises ValueError if the two are of another number of clips.
    """
    bootstrap = bootstrap or Bootstrap()
    if len(first.measured) != len(second.measured):
        raise ValueError(
            f"paired interval: {len(first.measured)} clips against {len(second.measured)}; "
            "give both figures of the same clips in the same order"
        )
    both = first.measured & second.measured
    measured = int(both.sum())
    if not measured:
        return Interval(math.nan)
    shared = both.astype(np.float64)[None]
    value = float(second(shared)[0] - first(shared)[0])
    if measured < 2:
        return Interval(value, clips=measured)
    counts = np.zeros((bootstrap.resamples, len(both)))
    counts[:, both] = bootstrap.counts(measured)
    low, high = _ends(second(counts) - first(counts), bootstrap.level)
    return Interval(value, low, high, measured)


def _ends(values: Array, level: float) -> tuple[float, float]:
    finite = values[np.isfinite(values)]
    if not len(finite):
        return math.nan, math.nan
    low, high = np.quantile(finite, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _divided(above: Array, below: Array) -> Array:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(below != 0, above / below, math.nan)
