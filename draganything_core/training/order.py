"""Which clips a step trains on, and with which noise: pure functions of (seed, step, position in the global batch).

The rank and the number of processes play no part, so any number of them that divides the global batch makes the same
run, and all there is to resume is the number of the next step.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch

# A torch CPU generator's state: a header, the 624 words of a Mersenne twister as uint64, what it keeps of normals.
GENERATOR_STATE_BYTES = 5056
TWISTER_WORDS = 624
TWISTER_OFFSET = 24


@dataclass(frozen=True)
class ClipChoice:
    """A clip by the bucket it is in and its number there."""

    bucket: int
    clip: int


@dataclass(frozen=True)
class DataOrder:
    """The clip at every position of every step's global batch.

    bucket_sizes: number of clips in each bucket. A bucket holds the clips of one shape (frames, height, width), and
    every global batch comes from one bucket, so that its clips can be stacked. One bucket is the plain case.

    Each bucket's clips come in one endless row of permutations, an epoch of that bucket each; a batch may end one epoch
    and begin the next, and no clip is ever left out. Steps go in rounds: in a round every bucket gets as many
    steps as its clips fill, rounded up, in an order that is shuffled anew for each round.
    A run is these four facts: seed, global batch, bucket sizes and step; another of the first three is another run.
    Raises ValueError for a global batch or a bucket without clips, and for a negative seed.
    """

    seed: int
    global_batch: int
    bucket_sizes: tuple[int, ...]

    def __post_init__(self) -> None:
        _check_count("seed", self.seed, at_least=0)
        _check_count("global_batch", self.global_batch, at_least=1)
        if not self.bucket_sizes:
            raise ValueError("bucket_sizes is empty: there is nothing to train on. Name at least one bucket of clips.")
        for bucket, size in enumerate(self.bucket_sizes):
            _check_count(f"bucket_sizes[{bucket}]", size, at_least=1)

    @property
    def steps_per_round(self) -> int:
        """Steps in which every clip of every bucket comes up at least once."""
        return sum(self._bucket_steps)

    def bucket(self, step: int) -> int:
        """The bucket that all clips of a step's global batch come from."""
        return self._bucket_and_turn(step)[0]

    def epoch(self, step: int, position: int = 0) -> int:
        """How many times every clip of the bucket has come up before this position."""
        return self._epoch_and_place(step, position)[1]

    def clip(self, step: int, position: int) -> ClipChoice:
        """The clip at one position of one step's global batch; ValueError for a position outside of it."""
        bucket, epoch, place = self._epoch_and_place(step, position)
        return ClipChoice(
            bucket, _permutation(self.seed, f"clips of bucket {bucket}", epoch, self.bucket_sizes[bucket])[place]
        )

    def clips(self, step: int, positions: Sequence[int] | None = None) -> list[ClipChoice]:
        """The clips at some positions of a step's global batch, all of them by default."""
        return [
            self.clip(step, position) for position in (range(self.global_batch) if positions is None else positions)
        ]

    @property
    def _bucket_steps(self) -> tuple[int, ...]:
        return tuple(-(-size // self.global_batch) for size in self.bucket_sizes)

    def _epoch_and_place(self, step: int, position: int) -> tuple[int, int, int]:
        # (bucket, epoch of that bucket, place in the epoch's permutation)
        if not 0 <= position < self.global_batch:
            raise ValueError(f"position must be in 0..{self.global_batch - 1}, the global batch, got {position}")
        bucket, turn = self._bucket_and_turn(step)
        epoch, place = divmod(turn * self.global_batch + position, self.bucket_sizes[bucket])
        return bucket, epoch, place

    def _bucket_and_turn(self, step: int) -> tuple[int, int]:
        # (bucket, how many steps that bucket has had before)
        _check_count("step", step, at_least=0)
        round_index, place = divmod(step, self.steps_per_round)
        bucket, turn = _round(self.seed, round_index, self._bucket_steps)[place]
        return bucket, round_index * self._bucket_steps[bucket] + turn


def rank_positions(global_batch: int, rank: int, world_size: int, micro_batch: int | None = None) -> list[range]:
    """The positions of the global batch that one process takes, one range for each of its micro-batches.

    Processes take neighbouring slices of equal length. micro_batch: how many samples are in memory at once; None: all
    that the process has. Raises ValueError where slices or micro-batches would be of unequal length, because a mean
    over processes and micro-batches is the mean over samples only if they are.
    """
    _check_count("global_batch", global_batch, at_least=1)
    _check_count("world_size", world_size, at_least=1)
    if not 0 <= rank < world_size:
        raise ValueError(f"rank must be in 0..{world_size - 1} for {world_size} processes, got {rank}")
    if global_batch % world_size:
        raise ValueError(
            f"global_batch {global_batch} cannot be shared equally by {world_size} processes. Make it a multiple of "
            f"{world_size}, or start another number of processes."
        )
    share = global_batch // world_size
    micro_batch = share if micro_batch is None else micro_batch
    _check_count("micro_batch", micro_batch, at_least=1)
    if share % micro_batch:
        raise ValueError(
            f"micro_batch {micro_batch} does not divide the {share} samples of each of {world_size} processes "
            f"(global_batch {global_batch}). Choose a divisor of {share}."
        )
    start = rank * share
    return [range(first, first + micro_batch) for first in range(start, start + share, micro_batch)]


def noise_generator(seed: int, step: int, position: int, purpose: str) -> torch.Generator:
    """A CPU generator for everything that is drawn for one purpose at one position of one step.

    purpose: any name ("sigma", "noise", "dropout", ...). Each name is a stream of its own, so a draw that is added for
    a new purpose changes no other. Draw on the CPU and move the result: other devices have other generators.
    Raises ValueError for a negative number or an empty purpose.
    """
    for name, value in (("seed", seed), ("step", step), ("position", position)):
        _check_count(name, value, at_least=0)
    if not purpose:
        raise ValueError('purpose is empty; name what is drawn, for example "noise"')
    return _keyed_generator(seed, purpose, step, position)


def noise_generators(seed: int, step: int, positions: Sequence[int], purpose: str) -> list[torch.Generator]:
    """One ``noise_generator`` for each position, in order."""
    return [noise_generator(seed, step, position, purpose) for position in positions]


def _keyed_generator(*key: int | str) -> torch.Generator:
    # torch seeds its twister with 32 bits of a seed, and the millions of streams of one run would collide by the
    # thousand. So the whole state is written, filled from a hash of the key that is as long as the state.
    text = "\n".join(map(repr, key))
    words = np.frombuffer(hashlib.shake_128(text.encode()).digest(TWISTER_WORDS * 4), dtype="<u4")
    generator = torch.Generator()
    state = generator.get_state()
    if len(state) != GENERATOR_STATE_BYTES:
        raise RuntimeError(
            f"torch {torch.__version__} keeps {len(state)} bytes of generator state, {GENERATOR_STATE_BYTES} were "
            "expected: its layout has changed. Install a torch release that this version was tested with."
        )
    words_as_bytes = np.frombuffer(words.astype("=u8").tobytes(), dtype=np.uint8)
    state[TWISTER_OFFSET : TWISTER_OFFSET + len(words_as_bytes)] = torch.from_numpy(words_as_bytes.copy())
    return generator.set_state(state)


@lru_cache(maxsize=8)
def _permutation(seed: int, what: str, epoch: int, count: int) -> tuple[int, ...]:
    return tuple(torch.randperm(count, generator=_keyed_generator(seed, what, epoch)).tolist())


@lru_cache(maxsize=8)
def _round(seed: int, round_index: int, bucket_steps: tuple[int, ...]) -> tuple[tuple[int, int], ...]:
    """(bucket, how many steps that bucket has had before in this round) for each step of a round."""
    steps = [bucket for bucket, count in enumerate(bucket_steps) for _ in range(count)]
    order = _permutation(seed, "buckets of a round", round_index, len(steps))
    turns: Counter[int] = Counter()
    schedule = []
    for place in order:
        bucket = steps[place]
        schedule.append((bucket, turns[bucket]))
        turns[bucket] += 1
    return tuple(schedule)


def _check_count(name: str, value: int, at_least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < at_least:
        raise ValueError(f"{name} must be a whole number >= {at_least}, got {value!r}")
