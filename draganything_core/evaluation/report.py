"""What came of an evaluation: report.json with everything, report.md with the tables, report.html to look at."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from .. import __version__
from .bootstrap import Bootstrap, Interval, Statistic, interval
from .entity_metrics import ENTITY_FIGURES
from .frechet import HALVES, FrechetDistance
from .judging import Judgement, judged_statistics
from .point_metrics import MOVING, PCK_SHORT_SIDE, POINT_FIGURES, ClipPoints, point_statistics
from .rows import Absent

FORMAT = 1  # of report.json
JSON_FILE, MARKDOWN_FILE, PAGE_FILE = "report.json", "report.md", "report.html"
MOST_LOST = 0.5  # share of a row's points that the tracker may lose before its figures say little
LOST_MARK = " †"

SUMMARY_TITLE = "The drawn things in more detail, all counted frames together"
OBJMC = {"ObjMC_ref": "ObjMC as the original's script, px of the source video"}
FRECHET = {
    "FID": "FID",
    "FVD": "FVD",
    "rFID": "rFID: random features, no FID",
}


@dataclass(frozen=True)
class Group:
    """Figures that belong in one table, by name with their titles."""

    title: str
    figures: Mapping[str, str]


GROUPS = {
    "points": Group("Where dragged points went, by the tracker", {**POINT_FIGURES, **OBJMC}),
    "sprites": Group(
        "The same by the drawn things' own pictures, which needs no tracker",
        {name: title for name, title in POINT_FIGURES.items() if name != "lost"},
    ),
    "entities": Group("Is it the thing, in one piece, and nothing else?", ENTITY_FIGURES),
    "pictures": Group("Do the pictures look like the real ones?", FRECHET),
}


@dataclass(frozen=True, eq=False)
class RowResult:
    """Everything that is known of one row.

    judgements: one a clip. sprites: the same clips' distances by the drawn things' own pictures, for drawn clips.
    summary: further figures under their own names. distances: Fréchet distances by figure.
    """

    name: str
    title: str
    judgements: Sequence[Judgement]
    sprites: Sequence[ClipPoints] = ()
    summary: Mapping[str, Any] = field(default_factory=dict)
    distances: Mapping[str, FrechetDistance] = field(default_factory=dict)

    def statistics(self) -> dict[str, dict[str, Statistic]]:
        """By group and figure, in the tables' order."""
        judged = judged_statistics(self.judgements)
        found: dict[str, dict[str, Statistic]] = {
            "points": {name: judged[name] for name in GROUPS["points"].figures},
            "entities": {name: judged[name] for name in GROUPS["entities"].figures},
        }
        if self.sprites:
            found["sprites"] = point_statistics(self.sprites)
        if self.distances:
            found["pictures"] = dict(self.distances)
        return {group: found[group] for group in GROUPS if group in found}


@dataclass(frozen=True, eq=False)
class Report:
    """An evaluation as it is written. subject: the row that it is about; conditions: all that figures depend on.

    summary_titles: names and titles of the figures in the rows' summaries, a table of its own; summaries: further rows
    of that table. floors: by figure, the distance of two halves of the truth.
    """

    subject: str
    protocol: Mapping[str, Any]
    model: str | None
    conditions: Mapping[str, Any]
    rows: Sequence[RowResult]
    absent: Sequence[Absent]
    published: Sequence[Mapping[str, Any]] = ()
    summary_titles: Mapping[str, str] = field(default_factory=dict)
    summaries: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    floors: Mapping[str, float] = field(default_factory=dict)
    notes: Sequence[str] = ()
    bootstrap: Bootstrap = field(default_factory=Bootstrap)

    def __post_init__(self) -> None:
        if self.subject not in {row.name for row in self.rows}:
            raise ValueError(f"report: it is about the row {self.subject!r}, which is not among its rows")

    @property
    def title(self) -> str:
        return f"{self.model or self.subject} on {self.protocol['name']}, version {self.protocol['version']}"

    def summary_rows(self) -> dict[str, Mapping[str, Any]]:
        """The rows of the further table, by name."""
        rows = {row.name: row.summary for row in self.rows if row.summary}
        return {**rows, **self.summaries} if rows else {}

    def intervals(self) -> dict[str, dict[str, dict[str, Interval]]]:
        """By row, group and figure."""
        return {
            row.name: {
                group: {name: self._interval(statistic) for name, statistic in figures.items()}
                for group, figures in row.statistics().items()
            }
            for row in self.rows
        }

    def _interval(self, statistic: Statistic) -> Interval:
        if isinstance(statistic, FrechetDistance):
            return statistic.interval(self.bootstrap)
        return interval(statistic, self.bootstrap)


def report_json(report: Report, found: Mapping[str, Mapping[str, Mapping[str, Interval]]]) -> dict[str, Any]:
    """All of a report, also each clip's distances: what a comparison with another report needs."""
    rows: dict[str, Any] = {name: dict(summary) for name, summary in report.summaries.items()}
    for row in report.rows:
        figures = {group: {name: asdict(one) for name, one in own.items()} for group, own in found[row.name].items()}
        rows[row.name] = {**row.summary, "title": row.title, "figures": figures}
    return {
        "format": FORMAT,
        "draganything": __version__,
        "title": report.title,
        "subject": report.subject,
        "protocol": dict(report.protocol),
        "model": report.model,
        "conditions": dict(report.conditions),
        "bootstrap": asdict(report.bootstrap),
        "rows": rows,
        "floors": dict(report.floors),
        "absent": [asdict(each) for each in report.absent],
        "notes": list(report.notes),
        "published": [dict(each) for each in report.published],
        "judgements": {row.name: [asdict(each) for each in row.judgements] for row in report.rows},
        "sprites": {row.name: [asdict(each) for each in row.sprites] for row in report.rows if row.sprites},
    }


def json_text(content: Any) -> str:
    """JSON that every parser reads: what is no finite number becomes null."""
    return json.dumps(_finite(content), indent=1, allow_nan=False, ensure_ascii=False) + "\n"


def cell_text(found: Mapping[str, Mapping[str, Interval]], group: str, name: str) -> str:
    """A row's figure as it stands in a table, marked if the tracker lost most of the row's points."""
    text = interval_text(found[group].get(name))
    by_tracker = group == "points" and name not in ("lost", "static_px")
    return text + LOST_MARK if text and by_tracker and is_lost(found) else text


def is_lost(found: Mapping[str, Mapping[str, Interval]]) -> bool:
    """Whether the tracker lost most of a row's points: they count where they were last seen."""
    return found["points"]["lost"].value > MOST_LOST


def markdown(report: Report, found: Mapping[str, Mapping[str, Mapping[str, Interval]]]) -> str:
    """The tables, what they were taken under, and what is missing."""
    lines = [f"# {report.title}", "", *(f"- {line}" for line in conditions_lines(report)), ""]
    for key, group in GROUPS.items():
        rows = [row.name for row in report.rows if key in found[row.name]]
        if not rows:
            continue
        lines += [f"## {group.title}", "", "| | " + " | ".join(rows) + " |", "|---" * (len(rows) + 1) + "|"]
        for name, title in group.figures.items():
            if any(name in found[row][key] for row in rows):
                cells = (cell_text(found[row], key, name) for row in rows)
                lines.append(f"| {title} | " + " | ".join(cells) + " |")
        lines.append("")
    lines += _summary_lines(report)
    lines += [f"{title}: {text}" for title, text in reading(report)] + [""]
    if report.absent:
        lines += ["## Not in this report", "", *(f"- {each.name}: {each.how_to_get}" for each in report.absent), ""]
    return "\n".join(lines)


def _summary_lines(report: Report) -> list[str]:
    rows = report.summary_rows()
    if not rows:
        return []
    lines = [f"## {SUMMARY_TITLE}", "", "| | " + " | ".join(rows) + " |", "|---" * (len(rows) + 1) + "|"]
    for name, title in report.summary_titles.items():
        lines.append(f"| {title} | " + " | ".join(number_text(row.get(name)) for row in rows.values()) + " |")
    return [*lines, ""]


def number_text(value: Any) -> str:
    """Three digits; nothing for nan, and for what is no number."""
    return f"{value:.3g}" if isinstance(value, int | float) and not math.isnan(value) else ""


def conditions_lines(report: Report) -> list[str]:
    """What figures depend on, one line each."""
    stated = [f"{name.replace('_', ' ')}: {value}" for name, value in report.conditions.items()]
    settings = report.bootstrap
    return [
        *stated,
        f"intervals: {settings.level:.0%}, percentile bootstrap over clips, {settings.resamples} resamples, "
        f"seed {settings.seed}",
        f"intervals of Fréchet distances: the figure, its standard error times the normal quantile to both sides; the "
        f"error is the deviation over {min(settings.resamples, HALVES)} random halves of the clips, real and made ones "
        "alike, each with all its frames (delete-half jackknife); too wide where features outnumber pictures",
        f"draganything {__version__}",
        *report.notes,
    ]


def reading(report: Report) -> list[tuple[str, str]]:
    """How figures are meant, for the foot of a table."""
    lines = [
        ("Rows", "; ".join(row.title for row in report.rows) + "."),
        (
            "Counted",
            "frames after the first in which the truth sees the point; void is asked of nobody. A path's mean stands "
            "for it, the mean of its paths for a clip, the mean of clips for a row; the median is of all points.",
        ),
        (
            "Moving",
            f"paths that go farther than {MOVING:.0%} of the diagonal. PCK: px of a picture whose short side is "
            f"{PCK_SHORT_SIDE}.",
        ),
        ("Oracle", "the real video judged in the same way: what is left there is the measure's own error."),
        (
            LOST_MARK.strip(),
            f"the tracker lost more than {MOST_LOST:.0%} of the row's points. They count where they were last seen, "
            "so a video that shows nothing at all has the error of standing still.",
        ),
        (
            "ObjMC_ref",
            "counts the first frame, hidden points and outliers, as the original does: compare nothing by it.",
        ),
    ]
    floors = [f"{name} {value:.3g}" for name, value in report.floors.items() if math.isfinite(value)]
    if floors:
        lines.append(("Two halves of the truth", f"{', '.join(floors)}; a distance below this says nothing."))
    return lines


def interval_text(found: Interval | None) -> str:
    """Three digits, and the interval in brackets where there is one."""
    if found is None or not math.isfinite(found.value):
        return ""
    if not math.isfinite(found.low):
        return f"{found.value:.3g}"
    return f"{found.value:.3g} [{found.low:.3g}, {found.high:.3g}]"


def _finite(content: Any) -> Any:
    if isinstance(content, Mapping):
        return {name: _finite(value) for name, value in content.items()}
    if isinstance(content, list | tuple):
        return [_finite(value) for value in content]
    if isinstance(content, float):
        return round(content, 6) if math.isfinite(content) else None
    return content
