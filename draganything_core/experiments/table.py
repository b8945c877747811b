"""From rows to a table: means over seeds, differences to the reference arm with paired intervals, and what they say."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from .. import __version__
from ..evaluation.bootstrap import Bootstrap, Interval, interval, paired_interval
from ..evaluation.report import interval_text, number_text
from .definition import Experiment, Limit
from .figures import FIGURES, ClipResult, OverSeeds, statistics
from .limits import FoundLimit, found_limit

PIXEL_MOTION = (
    "The same clip for every arm: what is asked, the last frame, and how far pixels of the first frame went, by the "
    "tracker. Dark is nowhere, bright as far as the farthest line, grey was lost; arrows lead to where they are. What "
    "the ground does in the real video is the tracker's own error."
)
Rows = Mapping[tuple[str, int], Sequence[ClipResult]]  # (arm, seed) to the results of its clips, in order


@dataclass(frozen=True)
class Cell:
    """One arm's figure. value: mean over its seeds; seeds: each one's own; difference: to the reference arm, over the
    seeds and clips that both have; differences: each of these seeds' own."""

    value: Interval
    seeds: tuple[float, ...]
    difference: Interval | None = None
    differences: tuple[float, ...] = ()


@dataclass(frozen=True)
class Table:
    """cells: by arm and figure, of arms with a row. missing: rows that are not there yet. verdicts: one for each arm
    beside the reference. limit: the one that the experiment looks for, once no row is missing."""

    experiment: Experiment
    cells: Mapping[str, Mapping[str, Cell]]
    missing: tuple[str, ...]
    verdicts: tuple[str, ...]
    bootstrap: Bootstrap
    limit: FoundLimit | None = None


def made_table(experiment: Experiment, rows: Rows, bootstrap: Bootstrap | None = None) -> Table:
    """The table of the rows that there are."""
    bootstrap = bootstrap or Bootstrap()
    wanted = (experiment.metric, *experiment.also)
    measured = {row: statistics(results) for row, results in rows.items()}
    cells: dict[str, dict[str, Cell]] = {}
    for arm in experiment.arms:
        own = [seed for seed in experiment.seeds if (arm.name, seed) in measured]
        shared = [seed for seed in own if (experiment.reference, seed) in measured]
        if not own:
            continue
        cells[arm.name] = {}
        for figure in wanted:
            mine = [measured[arm.name, seed][figure] for seed in own]
            value = interval(OverSeeds(mine), bootstrap)
            seeds = tuple(statistic.value for statistic in mine)
            if arm.name == experiment.reference or not shared:
                cells[arm.name][figure] = Cell(value, seeds)
                continue
            pairs = [(measured[experiment.reference, s][figure], measured[arm.name, s][figure]) for s in shared]
            difference = paired_interval(OverSeeds([p[0] for p in pairs]), OverSeeds([p[1] for p in pairs]), bootstrap)
            apart = tuple(paired_interval(first, second, bootstrap).value for first, second in pairs)
            cells[arm.name][figure] = Cell(value, seeds, difference, apart)
    missing = tuple(
        f"{arm.name}, seed {seed}"
        for arm in experiment.arms
        for seed in experiment.seeds
        if (arm.name, seed) not in measured
    )
    verdicts = tuple(
        verdict(experiment, arm.name, cells.get(arm.name, {}).get(experiment.metric))
        for arm in experiment.arms
        if arm.name != experiment.reference
    )
    limit = None
    if experiment.limit is not None and not missing:
        pair = (experiment.limit.over, experiment.limit.figure)
        points = [
            [OverSeeds([measured[arm.name, seed][name] for seed in experiment.seeds]).value for name in pair]
            for arm in experiment.arms
        ]
        limit = found_limit(experiment.limit, [(over, figure) for over, figure in points])
    return Table(experiment, cells, missing, verdicts, bootstrap, limit)


def verdict(experiment: Experiment, arm: str, cell: Cell | None) -> str:
    """What the metric says of an arm against the reference; of an interval that includes 0, that it says nothing."""
    reference, title = experiment.reference, FIGURES[experiment.metric]
    if cell is None or cell.difference is None:
        return f"{arm} against {reference}: not measured yet."
    difference, text = cell.difference, interval_text(cell.difference)
    if not math.isfinite(difference.low):
        return f"{arm} against {reference}: too few clips for an interval, so nothing is said."
    if not difference.excludes_zero:
        said = f"no difference was found ({title}: {text}; the interval includes 0). This is a null result."
    else:
        is_better = (difference.value < 0) == (experiment.better == "lower")
        said = f"{'better' if is_better else 'worse'} ({title}: {text}; the interval excludes 0)."
    if len({value > 0 for value in cell.differences}) > 1:
        said += f" The seeds disagree on the sign: {', '.join(map(number_text, cell.differences))}."
    if len(cell.differences) < len(experiment.seeds):
        said += f" Only {len(cell.differences)} of {len(experiment.seeds)} seeds are in it."
    return f"{arm} against {reference}: {said}"


def table_json(table: Table) -> dict[str, Any]:
    """All of a table, the experiment as it was stated among it."""
    return {
        "draganything": __version__,
        "experiment": asdict(table.experiment),
        "bootstrap": asdict(table.bootstrap),
        "missing": list(table.missing),
        "arms": {arm: {name: asdict(cell) for name, cell in cells.items()} for arm, cells in table.cells.items()},
        "verdicts": list(table.verdicts),
        "limit": None if table.limit is None else asdict(table.limit),
    }


def table_markdown(table: Table, pictures: Mapping[str, str] | None = None) -> str:
    """The question, the table and what it says. pictures: by arm, the file that shows where its pixels go."""
    experiment, settings = table.experiment, table.bootstrap
    wanted = (experiment.metric, *experiment.also)
    lines = [f"# {experiment.name}: {experiment.question}", "", *(f"- {line}" for line in stated(experiment)), ""]
    if table.missing:
        lines += [f"**Not complete.** Missing: {'; '.join(table.missing)}.", ""]
    if table.cells:
        lines += ["| arm | " + " | ".join(FIGURES[name] for name in wanted) + " |", "|---" * (len(wanted) + 1) + "|"]
        for arm, cells in table.cells.items():
            lines.append(f"| {arm} | " + " | ".join(interval_text(cells[name].value) for name in wanted) + " |")
            if cells[experiment.metric].difference is not None:
                apart = (_difference_text(cells[name].difference) for name in wanted)
                lines.append(f"| {arm} - {experiment.reference} | " + " | ".join(apart) + " |")
        lines += [
            "",
            f"Means over seeds with {settings.level:.0%} intervals (percentile bootstrap over clips, "
            f"{settings.resamples} resamples, seed {settings.seed}); differences are paired by seed and clip; "
            "* the interval excludes 0. "
            "Intervals tell how far other clips would move a figure, not how far other seeds would:",
            "",
        ]
        for arm, cells in table.cells.items():
            values = ", ".join(map(number_text, cells[experiment.metric].seeds))
            lines.append(f"- {arm}, {FIGURES[experiment.metric]}, seed by seed: {values}")
        lines.append("")
    lines += ["## What it says", "", *(f"- {each}" for each in table.verdicts)]
    if experiment.limit is not None and table.limit is not None:
        value = "none found" if table.limit.value is None else f"{table.limit.value:g}"
        lines.append(f"- {experiment.limit.entry} of these weights: {value} ({table.limit.text})")
    lines.append("")
    if pictures:
        lines += ["## Where pixels go", "", PIXEL_MOTION, ""]
        lines += [line for arm, file in pictures.items() for line in (f"{arm}:", "", f"![{arm}]({file})", "")]
    return "\n".join(lines)


def stated(experiment: Experiment) -> list[str]:
    """What was stated before the run, one line each."""
    clips = experiment.clips
    kinds = ", ".join(f"{name} {value}" for name, value in clips.variations.items()) or "the default chances"
    training = f"{experiment.steps} steps each" if experiment.steps else "nothing is trained"
    return [
        f"after {experiment.source}",
        f"metric: {FIGURES[experiment.metric]} (`{experiment.metric}`), {experiment.better} is better",
        f"arms: {'; '.join(f'{arm.name}, {arm.title}' for arm in experiment.arms)}",
        f"reference: {experiment.reference}; seeds {', '.join(map(str, experiment.seeds))}; {training}",
        f"{clips.count} clips, seed {clips.seed}, from number {clips.first}: {kinds}",
        *_stated_limit(experiment.limit),
    ]


def _stated_limit(limit: Limit | None) -> list[str]:
    if limit is None:
        return []
    return [f"{limit.entry}: the {FIGURES[limit.over]}, at which `{limit.figure}` passes {limit.bound:g}"]


def _difference_text(difference: Interval | None) -> str:
    return "" if difference is None else interval_text(difference) + " *" * difference.excludes_zero
