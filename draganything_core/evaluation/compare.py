"""Two reports side by side: the paper's table 1, with paired intervals, and what others published beside it.

Both reports must be of one protocol, size, length and tracker: settings are never mixed. A published figure is marked
as not comparable, with the reasons, unless all that it depends on is what the reports have.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .bootstrap import Bootstrap, Interval, Statistic, paired_interval
from .judging import judgement_from_json, points_from_json
from .report import FORMAT, GROUPS, JSON_FILE, LOST_MARK, MOST_LOST, RowResult, interval_text, number_text

# The paper's columns first, then what tells more.
TABLE = (
    ("pictures", "FID"),
    ("pictures", "FVD"),
    ("points", "ObjMC_ref"),
    ("pictures", "rFID"),
    ("points", "ratio"),
    ("points", "mean_px"),
    ("points", "median_px"),
    ("points", "pck_8"),
    ("sprites", "ratio"),
    ("sprites", "mean_px"),
    ("entities", "iou"),
    ("entities", "rigidity"),
    ("entities", "leakage"),
)
SAME = ("protocol", "size", "frames", "tracker", "truth", "void", "pck_short_side")  # of both reports

# What a published figure depends on, beside size, frames and clips.
DEPENDS_ON = {"FID": ("FID",), "FVD": ("FVD",), "ObjMC_ref": ("tracker", "void")}
ALWAYS = ("size", "frames", "clips")


def read_json(file: Path | str) -> dict[str, Any]:
    """A report.json. Raises FileNotFoundError, or ValueError for a file that is none."""
    path = Path(file)
    path = path / JSON_FILE if path.is_dir() else path
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such report; python -m draganything_core.evaluate --out DIR makes one")
    try:
        report = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is no JSON ({error}); expected a report.json of this program") from error
    if not isinstance(report, dict) or report.get("format") != FORMAT:
        raise ValueError(f"{path} is no report of format {FORMAT}; evaluate again with this program")
    return {**report, "file": str(path)}


def compare(first: Mapping[str, Any], second: Mapping[str, Any], rows: Sequence[str] | None = None) -> str:
    """The table as Markdown. rows: which of each report's rows, two names; by default what each is about.

    Raises ValueError if the reports are of different settings, share no clip, or lack a row.
    """
    check_same_settings(first, second)
    if rows is not None and len(rows) != 2:
        raise ValueError(f"--compare takes two rows, one of each report, got --rows {' '.join(rows)}")
    names = list(rows) if rows else [first["subject"], second["subject"]]
    clips = shared_clips(first, names[0], second, names[1])
    measured = [_statistics(report, name, clips) for report, name in ((first, names[0]), (second, names[1]))]
    settings = first["bootstrap"]
    bootstrap = Bootstrap(settings["seed"], settings["resamples"], settings["level"])
    published = first["published"]
    heads = [*_headings(first, second, names), "B - A", *(f"{p['method']} ({p['source']})" for p in published)]
    lines = [
        f"# {first['conditions']['protocol']}: {heads[0]} and {heads[1]}",
        "",
        f"{len(clips)} clips of both; differences with {bootstrap.level:.0%} intervals, paired by clip; * not 0. "
        "Fréchet distances are those of the reports, over all their clips.",
        "",
        "| | " + " | ".join(heads) + " |",
        "|---" * (len(heads) + 1) + "|",
    ]
    marks = [LOST_MARK if row["points"]["lost"].value > MOST_LOST else "" for row in measured]
    for group, figure in TABLE:
        if group == "pictures":
            cells = _frechet_cells(figure, first, second, names)
        else:
            ours, theirs = (row.get(group, {}).get(figure) for row in measured)
            cells = _paired_cells(ours, theirs, bootstrap)
            if group == "points":
                cells = [cell + mark for cell, mark in zip(cells, [*marks, ""], strict=True)]
        cells += [_published_cell(figure, entry, first["conditions"]) for entry in published]
        if any(cells):
            source = ", by pictures" if group == "sprites" else ""
            lines.append(f"| {GROUPS[group].figures[figure]}{source} | " + " | ".join(cells) + " |")
    if any(marks):
        lines += [
            "",
            f"{LOST_MARK.strip()} the tracker lost more than {MOST_LOST:.0%} of these points: the error says little.",
        ]
    return "\n".join([*lines, "", *_reasons(published, first["conditions"])])


def check_same_settings(first: Mapping[str, Any], second: Mapping[str, Any]) -> None:
    """Raises ValueError naming what differs in two reports that are to be compared."""
    ours, theirs = first["conditions"], second["conditions"]
    differ = [
        f"{name} {ours.get(name)!r} and {theirs.get(name)!r}" for name in SAME if ours.get(name) != theirs.get(name)
    ]
    if differ:
        raise ValueError(f"{first['file']} and {second['file']} cannot be compared: {'; '.join(differ)}")


def shared_clips(first: Mapping[str, Any], first_row: str, second: Mapping[str, Any], second_row: str) -> list[str]:
    """The clips that both rows have, in order. Raises ValueError if there are none, or no such row."""
    found = []
    for report, row in ((first, first_row), (second, second_row)):
        if row not in report["judgements"]:
            raise ValueError(f"{report['file']} has no row {row!r}; it has {', '.join(report['judgements'])}")
        found.append([judgement["clip"] for judgement in report["judgements"][row]])
    clips = [clip for clip in found[0] if clip in set(found[1])]
    if not clips:
        raise ValueError(f"{first['file']} and {second['file']} have no clip in common")
    return clips


def differences(figure: str, published: Mapping[str, Any], conditions: Mapping[str, Any]) -> list[str]:
    """In what a published figure was taken otherwise than a report's; empty if it may be compared."""
    stated = published["conditions"]
    return [
        f"{name}: {stated.get(name, 'not stated')} there, {conditions.get(name, 'none')} here"
        for name in (*ALWAYS, *DEPENDS_ON.get(figure, ()))
        if str(stated.get(name)) != str(conditions.get(name))
    ]


def _statistics(report: Mapping[str, Any], row: str, clips: Sequence[str]) -> dict[str, dict[str, Statistic]]:
    """By group and figure."""
    judged = {stored["clip"]: judgement_from_json(stored) for stored in report["judgements"][row]}
    sprites = {stored["clip"]: points_from_json(stored) for stored in report["sprites"].get(row, [])}
    statistics = RowResult(
        row, row, [judged[clip] for clip in clips], [sprites[clip] for clip in clips if clip in sprites]
    )
    return statistics.statistics()


def _headings(first: Mapping[str, Any], second: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    return [
        f"{letter}: {report['model'] or ''} {name}".replace(":  ", ": ")
        for letter, report, name in (("A", first, names[0]), ("B", second, names[1]))
    ]


def _paired_cells(first: Statistic | None, second: Statistic | None, bootstrap: Bootstrap) -> list[str]:
    """Both figures and their difference."""
    if first is None or second is None:
        return [interval_text(None if each is None else Interval(each.value)) for each in (first, second)] + [""]
    pair = paired_interval(first, second, bootstrap)
    told = "" if not math.isfinite(pair.low) else " *" if pair.excludes_zero else " (not told apart)"
    return [number_text(first.value), number_text(second.value), interval_text(pair) + told]


def _frechet_cells(figure: str, first: Mapping[str, Any], second: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    """A distance is of all clips together and of one network: of another, there is no difference to give."""
    found = []
    for report, name in ((first, names[0]), (second, names[1])):
        stored = report["rows"][name]["figures"].get("pictures", {}).get(figure) or {}
        value, low, high = (_number(stored.get(end)) for end in ("value", "low", "high"))
        found.append(Interval(value, low, high))
    values = [each.value for each in found]
    same = first["conditions"].get(figure) == second["conditions"].get(figure)
    apart = values[1] - values[0] if same else math.nan
    difference = interval_text(Interval(apart)) or ("another network" if all(map(math.isfinite, values)) else "")
    return [*map(interval_text, found), difference]


def _number(stored: float | None) -> float:
    return math.nan if stored is None else float(stored)


def _published_cell(figure: str, published: Mapping[str, Any], conditions: Mapping[str, Any]) -> str:
    if figure not in published["figures"]:
        return ""
    mark = " (not comparable)" if differences(figure, published, conditions) else ""
    return f"{published['figures'][figure]:g}{mark}"


def _reasons(published: Sequence[Mapping[str, Any]], conditions: Mapping[str, Any]) -> list[str]:
    lines = []
    for entry in published:
        for figure in entry["figures"]:
            reasons = differences(figure, entry, conditions)
            if reasons:
                lines.append(f"- {entry['method']} ({entry['source']}), {figure}: {'; '.join(reasons)}")
    return ["Published figures that are not comparable, and why:", "", *lines, ""] if lines else []
