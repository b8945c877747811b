"""Data order and noise as functions of seed, step and position, whatever the number of processes."""

import subprocess
import sys
from collections import Counter
from hashlib import shake_128
from itertools import chain, combinations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from draganything_core.training.order import (
    ClipChoice,
    DataOrder,
    noise_generator,
    noise_generators,
    rank_positions,
)


def bits(generator: torch.Generator, count: int = 64) -> tuple[int, ...]:
    return tuple(torch.randint(2**24, (count,), generator=generator).tolist())


def clips_in_order(order: DataOrder, steps: range) -> list[ClipChoice]:
    return list(chain.from_iterable(order.clips(step) for step in steps))


class TestOrder:
    @settings(max_examples=40, deadline=None)
    @given(seed=st.integers(0, 2**40), clips=st.integers(1, 23), global_batch=st.integers(1, 9))
    def test_every_epoch_is_a_permutation(self, seed, clips, global_batch):
        order = DataOrder(seed, global_batch, (clips,))
        run = clips_in_order(order, range(-(-3 * clips // global_batch)))
        for epoch in range(3):
            assert sorted(choice.clip for choice in run[epoch * clips : (epoch + 1) * clips]) == list(range(clips))

    def test_epochs_and_seeds_differ(self):
        run = clips_in_order(DataOrder(1, 10, (50,)), range(10))
        assert run[:50] != run[50:]
        assert run[:50] != clips_in_order(DataOrder(2, 10, (50,)), range(5))

    def test_epoch_counts_whole_passes(self):
        order = DataOrder(0, 4, (6,))
        assert [order.epoch(1, position) for position in range(4)] == [0, 0, 1, 1]

    @settings(max_examples=40, deadline=None)
    @given(
        seed=st.integers(0, 99),
        sizes=st.lists(st.integers(1, 11), min_size=1, max_size=4).map(tuple),
        global_batch=st.integers(1, 6),
        rounds=st.integers(1, 3),
    )
    def test_buckets_stay_apart_and_each_comes_in_permutations(self, seed, sizes, global_batch, rounds):
        order = DataOrder(seed, global_batch, sizes)
        steps = [order.clips(step) for step in range(rounds * order.steps_per_round)]
        for step, clips in enumerate(steps):
            assert {choice.bucket for choice in clips} == {order.bucket(step)}
        for bucket, size in enumerate(sizes):
            run = [choice.clip for choice in chain.from_iterable(steps) if choice.bucket == bucket]
            assert len(run) >= rounds * size
            for start in range(0, len(run) - size + 1, size):
                assert sorted(run[start : start + size]) == list(range(size))

    def test_a_round_gives_each_bucket_the_steps_its_clips_fill(self):
        order = DataOrder(0, 4, (9, 4, 1))
        rounds = [[order.bucket(r * 5 + place) for place in range(5)] for r in range(6)]
        assert all(Counter(buckets) == {0: 3, 1: 1, 2: 1} for buckets in rounds)
        assert len({tuple(buckets) for buckets in rounds}) > 1

    @settings(max_examples=30, deadline=None)
    @given(step=st.integers(0, 10**6))
    def test_a_step_needs_no_step_before_it(self, step):
        order, resumed = DataOrder(5, 6, (35, 8)), DataOrder(5, 6, (35, 8))
        expected = [order.clip(step, position) for position in reversed(range(6))][::-1]
        assert resumed.clips(step) == expected

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ((0, 4, ()), "bucket_sizes is empty"),
            ((0, 4, (3, 0)), r"bucket_sizes\[1\] must be a whole number >= 1, got 0"),
            ((0, 0, (3,)), "global_batch must be a whole number >= 1"),
            ((-1, 4, (3,)), "seed must be a whole number >= 0"),
        ],
    )
    def test_an_order_of_nothing_is_refused(self, arguments, message):
        with pytest.raises(ValueError, match=message):
            DataOrder(*arguments)

    def test_a_position_outside_of_the_batch_is_refused(self):
        with pytest.raises(ValueError, match=r"position must be in 0..3, the global batch, got 4"):
            DataOrder(0, 4, (9,)).clip(0, 4)


class TestRanks:
    @settings(max_examples=60, deadline=None)
    @given(
        world_size=st.integers(1, 8),
        micro_batches=st.integers(1, 4),
        micro_batch=st.integers(1, 4),
        step=st.integers(0, 999),
    )
    def test_any_number_of_processes_makes_the_same_global_batch(self, world_size, micro_batches, micro_batch, step):
        global_batch = world_size * micro_batches * micro_batch
        order = DataOrder(7, global_batch, (31, 5))
        shares = [rank_positions(global_batch, rank, world_size, micro_batch) for rank in range(world_size)]
        assert all([len(part) for part in parts] == [micro_batch] * micro_batches for parts in shares)
        together = [order.clips(step, part) for parts in shares for part in parts]
        assert list(chain.from_iterable(together)) == order.clips(step)

    def test_without_a_micro_batch_a_process_takes_its_share_at_once(self):
        assert rank_positions(6, 1, 2) == [range(3, 6)]

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ((14, 0, 4), "global_batch 14 cannot be shared equally by 4 processes"),
            ((14, 0, 2, 3), "micro_batch 3 does not divide the 7 samples"),
            ((14, 2, 2), r"rank must be in 0..1 for 2 processes, got 2"),
        ],
    )
    def test_unequal_shares_are_refused(self, arguments, message):
        with pytest.raises(ValueError, match=message):
            rank_positions(*arguments)


class TestNoise:
    def test_no_two_streams_are_equal(self):
        keys = [
            (seed, step, position, purpose)
            for seed in (0, 1, 10, 2**32, 2**32 + 1)
            for step in (0, 1, 10, 100_000)
            for position in (0, 1, 13)
            for purpose in ("noise", "sigma", "noise1")
        ]
        assert len({bits(noise_generator(*key), 4) for key in keys}) == len(keys)

    def test_streams_are_uncorrelated_normals(self):
        count = 20_000
        keys = [
            (0, 0, 0, "noise"),
            (1, 0, 0, "noise"),
            (0, 1, 0, "noise"),
            (0, 0, 1, "noise"),
            (0, 0, 0, "image noise"),
        ]
        draws = torch.stack([torch.randn(count, generator=noise_generator(*key), dtype=torch.float64) for key in keys])
        assert (draws.mean(1).abs() < 4.5 / count**0.5).all()
        assert ((draws.std(1) - 1).abs() < 4.5 / (2 * count) ** 0.5).all()
        for one, other in combinations(draws, 2):
            assert abs(float((one * other).mean())) < 4.5 / count**0.5

    def test_a_stream_is_the_mersenne_twister_filled_with_the_hash_of_its_key(self):
        words = np.frombuffer(shake_128(b"3\n'noise'\n5\n2").digest(624 * 4), dtype="<u4")
        twister = np.random.MT19937()
        twister.state = {"bit_generator": "MT19937", "state": {"key": words, "pos": 624}}
        expected = tuple((twister.random_raw(2000) % 2**24).tolist())
        assert bits(noise_generator(3, 5, 2, "noise"), 2000) == expected

    @pytest.mark.slow
    def test_another_process_draws_the_same(self):
        script = (
            "import torch; from draganything_core.training.order import noise_generator;"
            "print(torch.randn(5, generator=noise_generator(3, 5, 2, 'noise'), dtype=torch.float64).tolist())"
        )
        there = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
        here = torch.randn(5, generator=noise_generator(3, 5, 2, "noise"), dtype=torch.float64).tolist()
        assert there.strip() == str(here)

    def test_a_draw_before_leaves_no_trace(self):
        used = noise_generator(0, 0, 0, "noise")
        torch.randn(3, generator=used)
        assert bits(noise_generator(0, 0, 0, "noise")) != bits(used)
        assert bits(noise_generator(0, 0, 0, "noise")) == bits(noise_generator(0, 0, 0, "noise"))

    def test_the_global_generator_is_left_alone(self):
        before = torch.get_rng_state()
        noise_generator(0, 0, 0, "noise")
        DataOrder(123, 2, (7,)).clips(4)
        assert torch.equal(torch.get_rng_state(), before)

    @settings(max_examples=20, deadline=None)
    @given(world_size=st.sampled_from([1, 2, 3, 4, 6, 12]), step=st.integers(0, 10**6))
    def test_any_number_of_processes_draws_the_same_noise(self, world_size, step):
        parts = [part for rank in range(world_size) for part in rank_positions(12, rank, world_size)]
        drawn = [bits(each, 3) for part in parts for each in noise_generators(1, step, part, "noise")]
        assert drawn == [bits(noise_generator(1, step, position, "noise"), 3) for position in range(12)]

    @pytest.mark.parametrize(
        ("key", "message"),
        [
            ((-1, 0, 0, "noise"), "seed must be a whole number >= 0, got -1"),
            ((0, 1.5, 0, "noise"), "step must be a whole number >= 0, got 1.5"),
            ((0, 0, 0, ""), "purpose is empty"),
        ],
    )
    def test_a_key_that_is_none_is_refused(self, key, message):
        with pytest.raises(ValueError, match=message):
            noise_generator(*key)
