"""Intervals over clips: the figures, coverage on known distributions, pairs, and clips without a figure."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from draganything_core.evaluation.bootstrap import (
    Bootstrap,
    Interval,
    Mean,
    Median,
    Ratio,
    interval,
    paired_interval,
)

QUICK = Bootstrap(resamples=400)


def test_figures_are_those_of_numpy():
    values = np.random.default_rng(0).normal(size=21)
    assert interval(Mean(values), QUICK).value == pytest.approx(values.mean())
    assert interval(Ratio(values, np.full(21, 2.0)), QUICK).value == pytest.approx(values.mean() / 2)


@given(st.lists(st.lists(st.floats(-99, 99), max_size=6), min_size=1, max_size=6))
def test_a_median_of_groups_is_that_of_all_their_numbers(groups):
    numbers = [number for group in groups for number in group]
    if numbers:
        assert Median(groups).value == pytest.approx(np.median(numbers))
    else:
        assert math.isnan(Median(groups).value)


def test_a_median_of_a_resample_takes_clips_as_often_as_they_are_drawn():
    counts = np.array([[2.0, 0.0, 1.0], [0.0, 0.0, 2.0]])
    medians = Median([[1.0, 2.0], [50.0], [9.0]])(counts)
    assert medians.tolist() == [np.median([1, 2, 1, 2, 9]), 9]


def test_the_interval_is_the_same_every_time_and_another_for_another_seed():
    values = np.random.default_rng(1).normal(size=30)
    first, again = interval(Mean(values), QUICK), interval(Mean(values), QUICK)
    assert first == again
    assert interval(Mean(values), Bootstrap(seed=1, resamples=400)) != first


def test_the_interval_covers_the_true_mean_about_as_often_as_it_says():
    rng, covered = np.random.default_rng(2), 0
    for _ in range(200):
        found = interval(Mean(rng.exponential(size=60)), QUICK)
        covered += found.low <= 1 <= found.high
    assert 0.87 < covered / 200 < 0.99


def test_its_width_is_that_of_the_normal_approximation():
    values = np.random.default_rng(3).normal(size=400)
    found = interval(Mean(values), Bootstrap(resamples=2000))
    assert found.high - found.low == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.1)


def test_clips_without_a_figure_take_no_part():
    with_gaps = Mean([1.0, math.nan, 3.0, math.nan])
    assert interval(with_gaps, QUICK) == Interval(2.0, 1.0, 3.0, 2)
    assert interval(Ratio([1.0, 9.0], [2.0, math.nan])).value == 0.5


def test_one_clip_has_a_figure_but_no_interval_and_none_has_neither():
    one = interval(Mean([math.nan, 4.0]))
    assert (one.value, one.clips) == (4.0, 1)
    assert math.isnan(one.low)
    none = interval(Mean([math.nan]))
    assert none.clips == 0
    assert math.isnan(none.value)
    assert math.isnan(interval(Mean([])).value)


def test_pairing_takes_out_what_is_hard_for_both():
    rng = np.random.default_rng(4)
    hard = rng.exponential(scale=50, size=80)
    first, second = Mean(hard + rng.normal(size=80)), Mean(hard + 1 + rng.normal(size=80))
    paired = paired_interval(first, second, QUICK)
    assert paired.value == pytest.approx(1, abs=0.5)
    assert paired.excludes_zero
    alone = interval(first, QUICK)
    assert alone.high - alone.low > 10 * (paired.high - paired.low)


def test_no_difference_is_not_told_apart_from_none():
    rng = np.random.default_rng(5)
    values = rng.normal(size=60)
    assert not paired_interval(Mean(values), Mean(rng.permutation(values)), QUICK).excludes_zero
    same = paired_interval(Mean(values), Mean(values), QUICK)
    assert (same.value, same.low, same.high) == (0, 0, 0)


def test_a_pair_is_of_the_clips_that_both_have():
    paired = paired_interval(Mean([1.0, 2.0, math.nan]), Mean([2.0, math.nan, 7.0]), QUICK)
    assert (paired.value, paired.clips) == (1.0, 1)
    assert math.isnan(paired_interval(Mean([1.0, math.nan]), Mean([math.nan, 1.0])).value)
    with pytest.raises(ValueError, match="2 clips against 3"):
        paired_interval(Mean([1.0, 2.0]), Mean([1.0, 2.0, 3.0]))


@pytest.mark.parametrize("wrong", [{"seed": -1}, {"resamples": 0}, {"level": 1.0}])
def test_settings_that_make_no_interval_are_refused(wrong):
    with pytest.raises(ValueError, match="bootstrap: expected"):
        Bootstrap(**wrong)
