"""From what was judged to a report: rows read back, conditions stated, and what is missing said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..atomic import write_text
from ..types import Size
from .bench import Bench
from .bootstrap import Interval
from .cases import AnnotatedCases, AnyProtocol
from .frechet import HOW_TO_GET_I3D, HOW_TO_GET_INCEPTION, Features, FrechetDistance
from .heldout import HeldoutProtocol, read_scores
from .judging import FOLDER, is_judged, read_features, read_judgements
from .point_metrics import PCK_SHORT_SIDE, ClipPoints, PathPoints
from .report import JSON_FILE, MARKDOWN_FILE, PAGE_FILE, Report, RowResult, json_text, markdown, report_json
from .report_page import page
from .rows import ALL_ROWS, HOW_TO_GET_MODEL, MODEL_ROWS, Absent, RowSource, protocol_settings
from .sprite_scores import ClipScore, ScoreSummary, pooled

SPRITE_FIGURES = {
    "ratio": "ratio to standing still",
    "mean_px": "px, mean",
    "median_px": "px, median",
    "close": "within 8 px of 128",
    "iou": "IoU",
    "pixel_iou": "IoU by pixels",
    "leakage": "leakage",
    "static_drift_px": "drift of resting sprites, px",
    "psnr_inside": "dB inside",
    "psnr_outside": "dB outside",
    "gradient_energy": "gradient energy",
}
ASKED_ROLES = ("moved", "held")
PICTURES_OF_A_ROW = 4


def read_report(bench: Bench, rows: Sequence[RowSource], model: str | None, subject: str) -> Report:
    """The report over what the bench has judged. Raises ValueError unless every clip of every row is judged."""
    clips, protocol = bench.cases.clips, bench.protocol
    has_real = all(is_judged(bench.out / "real" / FOLDER, clip, None, bench.judge.features) for clip in clips)
    found = [_row_result(bench, row, has_real and row.name != "real") for row in rows]
    summaries: dict[str, Mapping[str, Any]] = {}
    if isinstance(protocol, HeldoutProtocol):
        for row in found:
            if row.name in ("no_control", "autoencoder"):
                # Nobody tells a video model without control that the ground is to move: where it rests, it is judged.
                scores = [score for score in _sprite_scores(bench, row.name) if score.kind == "foreground"]
                summaries[f"{row.name}, ground at rest"] = sprite_summary(pooled(scores))
    first = next((row for row in found if row.distances), None)
    kinds = sorted({kind for row in found for kind in row.summary.get("kind_ratios", {})})
    return Report(
        subject=subject,
        protocol={**protocol_settings(protocol), "count": len(clips)},
        model=model,
        conditions=conditions(bench, model),
        rows=found,
        absent=absent_rows([row.name for row in rows]) + absent_features(bench.judge.features),
        published=[asdict(each) for each in getattr(protocol, "published", ())],
        summary_titles={**SPRITE_FIGURES, **{f"ratio, {kind}": f"ratio, {kind}" for kind in kinds}},
        summaries=summaries,
        floors={name: statistic.floor() for name, statistic in first.distances.items()} if first else {},
        notes=_notes(bench),
    )


def write_report(
    report: Report,
    folder: Path,
    pictures: Sequence[tuple[str, Path]] = (),
    intervals: Mapping[str, Mapping[str, Mapping[str, Interval]]] | None = None,
) -> list[Path]:
    """The files written. pictures: (caption, PNG) to show in the page; intervals: the report's, if they are known."""
    found = report.intervals() if intervals is None else intervals
    texts = {
        JSON_FILE: json_text(report_json(report, found)),
        MARKDOWN_FILE: markdown(report, found),
        PAGE_FILE: page(report, found, pictures),
    }
    for name, text in texts.items():
        write_text(folder / name, text)
    return [folder / name for name in texts]


def conditions(bench: Bench, model: str | None) -> dict[str, Any]:
    """All that figures depend on, beside the clips themselves."""
    protocol, tracker = bench.protocol, bench.judge.tracker
    return {
        "protocol": f"{protocol.name}, version {protocol.version}",
        "clips": len(bench.cases.clips),
        "size": str(protocol.size),
        "frames": protocol.frames,
        "tracker": f"{tracker.name} {tracker.version}",
        "truth": bench.cases.truth,
        "void": "left out",
        "pck_short_side": PCK_SHORT_SIDE,
        **({} if model is None else {"model": model, "sampling": sampling(protocol)}),
        **{features.figure: features.description for features in bench.judge.features},
    }


def sampling(protocol: AnyProtocol) -> str:
    """How the model's videos were made."""
    if isinstance(protocol, HeldoutProtocol):
        guidance, size = f"{protocol.guidance:g}", protocol.size
    else:
        guidance, size = f"{protocol.min_guidance:g} to {protocol.max_guidance:g}", protocol.sampling_size
    return f"{protocol.num_inference_steps} steps at {size}, guidance {guidance}, seeds from {protocol.sampling_seed}"


def pictures_of(out: Path, rows: Sequence[RowSource]) -> list[tuple[str, Path]]:
    """The first few contact sheets of each row that has any, with captions."""
    return [
        (f"{row.title}: clip {file.stem}", file)
        for row in rows
        if row.name not in ("static", "real")
        for file in sorted((out / row.name).glob("*.png"))[:PICTURES_OF_A_ROW]
    ]


def absent_rows(names: Sequence[str]) -> list[Absent]:
    """The rows that one would expect and that are not there."""
    return [
        Absent(f"row {name}", HOW_TO_GET_MODEL if name in MODEL_ROWS else f"leave out --rows, or name {name} in it")
        for name in ALL_ROWS
        if name not in names
    ]


def absent_features(features: Sequence[Features]) -> list[Absent]:
    """The distances that there is no network for."""
    named = {each.figure for each in features}
    ways = {"FID": HOW_TO_GET_INCEPTION, "FVD": HOW_TO_GET_I3D}
    return [Absent(name, how) for name, how in ways.items() if name not in named]


def sprite_summary(summary: ScoreSummary) -> dict[str, Any]:
    """The figures by name, each kind of clip's ratio among them."""
    kinds = {f"ratio, {kind}": value for kind, value in summary.kind_ratios.items()}
    return {**asdict(summary), **kinds}


def sprite_points(clip: str, score: ClipScore, size: Size) -> ClipPoints:
    """A drawn clip's distances as found by the things' own pictures: of what was asked to move or to stay."""
    paths = tuple(
        PathPoints(str(path.entity_id), path.errors, path.standing) for path in score.paths if path.role in ASKED_ROLES
    )
    return ClipPoints(clip, size, paths)


def _row_result(bench: Bench, row: RowSource, has_distances: bool) -> RowResult:
    clips, folder = bench.cases.clips, bench.out / row.name
    sprites: list[ClipPoints] = []
    summary: Mapping[str, Any] = {}
    if isinstance(bench.protocol, HeldoutProtocol):
        scores = _sprite_scores(bench, row.name)
        size = bench.protocol.size
        sprites = [sprite_points(clip, score, size) for clip, score in zip(clips, scores, strict=True)]
        summary = sprite_summary(pooled(scores))
    return RowResult(
        row.name,
        row.title,
        read_judgements(folder, clips),
        sprites,
        summary,
        {features.figure: _distance(bench, row.name, features) for features in bench.judge.features}
        if has_distances
        else {},
    )


def _distance(bench: Bench, row: str, features: Features) -> FrechetDistance:
    clips = bench.cases.clips
    real, made = (read_features(bench.out / name, clips, features) for name in ("real", row))
    return FrechetDistance(real, made)


def _sprite_scores(bench: Bench, row: str) -> list[ClipScore]:
    # Other rows than the model's have their scores in the same place and form.
    name: Any = row
    protocol = bench.protocol
    return read_scores(name, bench.out, protocol) if isinstance(protocol, HeldoutProtocol) else []


def _notes(bench: Bench) -> list[str]:
    cases = bench.cases
    if not isinstance(cases, AnnotatedCases):
        return []
    notes = []
    if cases.short:
        notes.append(f"{len(cases.short)} clips are shorter than {cases.protocol.frames} frames and take no part")
    if cases.failed:
        notes.append(f"{len(cases.failed)} clips could not be annotated and take no part")
    if not bench.judge.tracker.name.startswith(cases.protocol.tracker):
        notes.append(f"the protocol means the tracker {cases.protocol.tracker}; this report's is another")
    return notes
