"""What is shown to whom: pairs of videos of the same clip, blind, in another order for each rater.

The page holds pictures and numbers only. Which method made which video stands in the key, which raters do not get.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

FORMAT = 1  # of page, key and votes
QUESTIONS = {
    "motion": "In which video do the marked things go more as the lines say?",
    "quality": "Which video looks better?",
}
CASES, RATERS = 30, 3


@dataclass(frozen=True)
class StudyCase:
    """A clip and the two methods whose videos of it are shown, in the order in which the page numbers them: 0 and 1."""

    clip: str
    methods: tuple[str, str]


@dataclass(frozen=True)
class Showing:
    """A case as one rater sees it. left: the number, 0 or 1, of the video on the left."""

    case: int
    left: int


@dataclass(frozen=True)
class Study:
    """Everything but the pictures. orders: for each rater, all cases in an order of their own.

    marks: sha256 of each case's pictures, so that votes on one study fit no other; empty until they are known.
    """

    methods: tuple[str, ...]
    cases: tuple[StudyCase, ...]
    orders: tuple[tuple[Showing, ...], ...]
    seed: int
    marks: tuple[str, ...] = ()

    @property
    def identity(self) -> str:
        """Twelve digits that tell this study from every other."""
        return hashlib.sha256(json.dumps(asdict(self)).encode("utf-8")).hexdigest()[:12]

    def key_json(self) -> dict[str, Any]:
        """What the page does not tell, and all that is needed to read votes."""
        return {
            "format": FORMAT,
            "study": self.identity,
            "methods": list(self.methods),
            "raters": len(self.orders),
            "seed": self.seed,
            "questions": dict(QUESTIONS),
            "cases": [{"clip": case.clip, "methods": list(case.methods)} for case in self.cases],
        }


def planned(methods: Sequence[str], clips: Sequence[str], raters: int = RATERS, seed: int = 0) -> Study:
    """The study in which every pair of methods is shown with each of these clips.

    Each method of a pair is on the left in half of a rater's cases, or in one more. The same seed makes the same study.
    Raises ValueError for fewer than two methods or a name that is there twice, for no clip and for no rater.
    """
    if len(methods) < 2 or len(set(methods)) < len(methods):
        raise ValueError(f"a study compares two or more methods, each by a name of its own, got {list(methods)}")
    if not clips or raters < 1:
        raise ValueError(f"a study needs clips and raters, got {len(clips)} clips and {raters} raters")
    chance = random.Random(seed)
    cases = []
    for clip in clips:
        for pair in combinations(methods, 2):
            first, second = chance.sample(pair, 2)
            cases.append(StudyCase(clip, (first, second)))
    orders = tuple(_order(cases, chance) for _ in range(raters))
    return Study(tuple(methods), tuple(cases), orders, seed)


def _order(cases: Sequence[StudyCase], chance: random.Random) -> tuple[Showing, ...]:
    """All cases shuffled; of a pair's cases, one half has the one method on the left, one half the other."""
    order = []
    turns: dict[tuple[str, ...], int] = {}
    for number in chance.sample(range(len(cases)), len(cases)):
        methods = cases[number].methods
        pair = tuple(sorted(methods))
        turns[pair] = 1 - turns[pair] if pair in turns else chance.randrange(2)
        order.append(Showing(number, methods.index(pair[turns[pair]])))
    # Sides take turns until here, which a rater could notice.
    return tuple(chance.sample(order, len(order)))
