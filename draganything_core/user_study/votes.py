"""Votes read and counted: who wins how often, how sure that is, and whether raters see the same."""

from __future__ import annotations

import json
import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .statistics import agreement, exact_interval, krippendorff_alpha
from .study import FORMAT

LEVEL = 0.95
SAME = "same"
VOTE_KEYS = ("case", "question", "choice")
READING = (
    f"Win rates are wins / (wins + losses), with exact {LEVEL:.0%} intervals (Clopper-Pearson): one that holds 50 % "
    "names no winner. By case, a pair of videos counts once, as more than half of its raters saw it; else it is "
    "undecided. By vote, every vote counts: those on the same pair are not independent, and the interval is narrower "
    "than it should be. Agreement is the share of pairs of raters who gave the same of the three answers; alpha "
    "(Krippendorff, nominal) is 0 where it is what chance gives, and 1 where they always agree."
)


@dataclass(frozen=True)
class Vote:
    """One answer. winner: a method, or SAME."""

    rater: int
    case: int
    question: str
    winner: str


@dataclass(frozen=True)
class WinRate:
    """How often one method beat another. rate: wins / (wins + losses), undecided ones left out; low, high: exact."""

    wins: int
    losses: int
    undecided: int
    rate: float
    low: float
    high: float

    @classmethod
    def of(cls, winners: Sequence[str], method: str, other: str) -> WinRate:
        counts = Counter(winners)
        wins, losses = counts[method], counts[other]
        decided = wins + losses
        low, high = exact_interval(wins, decided, LEVEL)
        return cls(wins, losses, len(winners) - decided, wins / decided if decided else math.nan, low, high)


@dataclass(frozen=True)
class Answer:
    """What came of one question for one pair of methods.

    votes: every vote by itself; cases: one vote a case, the majority's. agreement: share of pairs of raters who said
    the same of a case; alpha: how much of that is beyond chance.
    """

    question: str
    method: str
    other: str
    votes: WinRate
    cases: WinRate
    agreement: float
    alpha: float


@dataclass(frozen=True)
class Tally:
    """All answers. voted: how many cases each rater has answered in full; expected: how many there are."""

    study: str
    answers: tuple[Answer, ...]
    voted: Mapping[int, int]
    expected: int


def read_key(file: Path | str) -> dict[str, Any]:
    """The key of a study. Raises FileNotFoundError, or ValueError for a file that is none."""
    key = _read_object(Path(file), "key")
    lacking = [name for name in ("study", "methods", "raters", "questions", "cases") if name not in key]
    if key.get("format") != FORMAT or lacking:
        raise ValueError(f"{file} is no key of format {FORMAT}; give the key.json that was written with the page")
    return key


def read_votes(key: Mapping[str, Any], files: Sequence[Path | str]) -> list[Vote]:
    """The votes in these files. Raises ValueError for a file of another study, a rater twice, and what is no vote."""
    found: list[Vote] = []
    owners: dict[int, Path] = {}
    for file in map(Path, files):
        stored = _read_object(file, "file of votes")
        if stored.get("format") != FORMAT or stored.get("study") != key["study"]:
            raise ValueError(f"{file} holds no votes on study {key['study']}; give files that its page saved")
        rater = stored.get("rater")
        if type(rater) is not int or not 1 <= rater <= key["raters"]:
            raise ValueError(f"{file}: rater {rater!r}, there are 1 to {key['raters']}")
        if rater in owners:
            raise ValueError(f"{file} and {owners[rater]} are both of rater {rater}; give one of them")
        owners[rater] = file
        found += _votes(key, rater, stored.get("votes"), file)
    return found


def tallied(key: Mapping[str, Any], votes: Sequence[Vote]) -> Tally:
    """The answers to every question for every pair of methods, in the key's order."""
    cases, questions = key["cases"], key["questions"]
    pairs = sorted(
        {tuple(sorted(case["methods"], key=key["methods"].index)) for case in cases},
        key=lambda pair: [key["methods"].index(method) for method in pair],
    )
    answers = [_answer(votes, cases, question, *pair) for question in questions for pair in pairs]
    complete = Counter((vote.rater, vote.case) for vote in votes)
    voted = {
        rater: sum(1 for (one, _), count in complete.items() if one == rater and count == len(questions))
        for rater in range(1, key["raters"] + 1)
    }
    return Tally(key["study"], tuple(answers), voted, len(cases))


def tally_json(key: Mapping[str, Any], tally: Tally) -> dict[str, Any]:
    """All of it."""
    return {
        "format": FORMAT,
        "study": tally.study,
        "questions": dict(key["questions"]),
        "level": LEVEL,
        "cases": tally.expected,
        "voted": {str(rater): count for rater, count in tally.voted.items()},
        "answers": [asdict(answer) for answer in tally.answers],
    }


def tally_markdown(key: Mapping[str, Any], tally: Tally) -> str:
    """The table, and how to read it."""
    lines = [f"# User study {tally.study}", ""]
    lines += [f"- rater {rater}: {count} of {tally.expected} pairs" for rater, count in tally.voted.items()]
    for question, text in key["questions"].items():
        lines += [
            "",
            f"## {question}: {text}",
            "",
            "| | by case | won : lost : undecided | by vote | won : lost : no difference | raters agree | alpha |",
            "|---" * 7 + "|",
        ]
        for answer in tally.answers:
            if answer.question == question:
                cells = [f"{answer.method} over {answer.other}"]
                for rate in (answer.cases, answer.votes):
                    cells += [_rate_text(rate), f"{rate.wins} : {rate.losses} : {rate.undecided}"]
                cells += [_share_text(answer.agreement), "" if math.isnan(answer.alpha) else f"{answer.alpha:.2f}"]
                lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, "", READING, ""])


def _answer(votes: Sequence[Vote], cases: Sequence[Any], question: str, method: str, other: str) -> Answer:
    own: dict[int, list[str]] = defaultdict(list)
    for vote in votes:
        if vote.question == question and set(cases[vote.case]["methods"]) == {method, other}:
            own[vote.case].append(vote.winner)
    every = list(own.values())
    return Answer(
        question,
        method,
        other,
        WinRate.of([winner for winners in every for winner in winners], method, other),
        WinRate.of([_majority(winners) for winners in every], method, other),
        agreement(every),
        krippendorff_alpha(every),
    )


def _majority(winners: Sequence[str]) -> str:
    """The answer that more than half gave; SAME if there is none."""
    winner, count = Counter(winners).most_common(1)[0]
    return winner if 2 * count > len(winners) else SAME


def _votes(key: Mapping[str, Any], rater: int, stored: Any, file: Path) -> list[Vote]:
    found: dict[tuple[int, str], Vote] = {}
    for entry in stored if isinstance(stored, list) else [stored]:
        vote = _vote(key, rater, entry)
        if vote is None or (vote.case, vote.question) in found:
            raise ValueError(f"{file}: {json.dumps(entry):.120} is no vote, or the second on the same; save it again")
        found[vote.case, vote.question] = vote
    return list(found.values())


def _vote(key: Mapping[str, Any], rater: int, stored: Any) -> Vote | None:
    """None for what is no vote on this study."""
    case, question, choice = map(stored.get, VOTE_KEYS) if isinstance(stored, dict) else (None, None, None)
    if type(case) is not int or not 0 <= case < len(key["cases"]) or question not in key["questions"]:
        return None
    if choice != SAME and not (type(choice) is int and choice in (0, 1)):
        return None
    winner = SAME if choice == SAME else key["cases"][case]["methods"][choice]
    return Vote(rater, case, str(question), winner)


def _read_object(file: Path, what: str) -> dict[str, Any]:
    if not file.is_file():
        raise FileNotFoundError(f"{file}: no such {what}")
    try:
        stored = json.loads(file.read_text("utf-8"))
    except ValueError as error:
        raise ValueError(f"{file} is no JSON ({error}); expected a {what}") from error
    if not isinstance(stored, dict):
        raise ValueError(f"{file} holds no JSON object; expected a {what}")
    return stored


def _rate_text(rate: WinRate) -> str:
    return "" if math.isnan(rate.rate) else f"{rate.rate:.0%} [{rate.low:.0%}, {rate.high:.0%}]"


def _share_text(share: float) -> str:
    return "" if math.isnan(share) else f"{share:.0%}"
