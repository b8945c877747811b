"""What came of an annotation, for people: report.md, and report.png with the tracks most in doubt."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from .annotation_format import FLAGS, AnnotatedClip, Annotation
from .atomic import write_text
from .pictures import contact_sheet, overlay_frames, save_png
from .types import Tracks

REPORT, SHEET = "report.md", "report.png"
HARMLESS = frozenset({"static"})  # a thing that rests is tracked well; it only teaches little

MEANING = {
    "small_radius": "radius of the first frame < {small_radius} px",
    "mostly_hidden": "visible in less than {mostly_hidden:.0%} of the frames",
    "jumps": "a step between two visible frames of more than {jumps} radii",
    "leaves_mask": "the tracker sees the point outside its mask in more than {leaves_mask} frames",
    "static": "never {static} px from its start",
}


@dataclass(frozen=True, eq=False)
class TrackSummary:
    """One track: which it is, its flags, and the share of frames it is visible in. row: its place in the arrays."""

    clip_id: str
    row: int
    name: str
    flags: tuple[str, ...]
    visible: float

    @property
    def doubt(self) -> tuple[int, float]:
        """The larger, the worse."""
        return len(set(self.flags) - HARMLESS), 1 - self.visible


def write_report(annotation: Annotation, worst: int = 12) -> list[Path]:
    """The files written: report.md and, with that many tracks most in doubt, report.png.

    Without a track to show, a picture of an earlier run is taken away. The same annotation gives the same files.
    Raises what reading those tracks' clips raises.
    """
    summaries = [summary for clip in annotation for summary in _summaries(clip)]
    shown = sorted(summaries, key=lambda one: (-one.doubt[0], -one.doubt[1], one.clip_id, one.row))[:worst]
    report, sheet = annotation.folder / REPORT, annotation.folder / SHEET
    write_text(report, _text(annotation, summaries, shown))
    if not shown:
        sheet.unlink(missing_ok=True)
        return [report]
    save_png(contact_sheet([(_label(one), _picture(annotation, one)) for one in shown]), sheet)
    return [report, sheet]


def _summaries(clip: AnnotatedClip) -> list[TrackSummary]:
    shares = clip.arrays.visible.mean(axis=1).tolist()
    return [
        TrackSummary(clip.record.id, row, f"{entity.name} (id {entity.entity_id})", entity.flags, share)
        for row, (entity, share) in enumerate(zip(clip.record.entities, shares, strict=True))
    ]


def _picture(annotation: Annotation, one: TrackSummary) -> Tensor:
    clip = annotation.clip(one.clip_id)
    tracks = clip.tracks
    own = Tracks(
        paths=tracks.paths[:, [one.row]],
        path_entity=torch.zeros(1, dtype=torch.long),
        visibility=tracks.visibility[:, [one.row]],
        radii=tracks.radii[:, [one.row]],
        size=tracks.size,
    )
    return overlay_frames(
        clip.frames(), own, [f"id {clip.record.entities[one.row].entity_id}"], scale=max(1, 240 // tracks.size.width)
    )


def _label(one: TrackSummary) -> str:
    return f"{one.clip_id}, {one.name}: {', '.join(one.flags) or 'no flags'}; visible {one.visible:.0%}"


def _text(annotation: Annotation, summaries: list[TrackSummary], shown: list[TrackSummary]) -> str:
    config = annotation.head["config"]
    height, width = config["size"]
    lines = [
        "# Annotation",
        "",
        f"- dataset: {annotation.head['dataset']} ({annotation.head['source']}, "
        f"split {annotation.head['split'] or 'none: every clip'})",
        f"- size {height}x{width}, frames {config['frames'] or 'all'}, entities of {config['min_area']} px or more",
        f"- tracker {config['tracker']['name']}, version {config['tracker']['version']}",
        f"- {len(annotation)} of {len(annotation.records)} clips annotated, {len(summaries)} tracks",
    ]
    if summaries:
        lines.append(f"- visible in {np.mean([one.visible for one in summaries]):.1%} of the frames, on average")
    lines += ["", "## Flags", "", "Flagged tracks are kept.", "", "| flag | tracks | meaning |", "|---|---|---|"]
    for flag in FLAGS:
        count = sum(flag in one.flags for one in summaries)
        lines.append(f"| {flag} | {count} | {MEANING[flag].format(**config['limits'])} |")
    lines.append(f"| none | {sum(not one.flags for one in summaries)} | |")
    if shown:
        lines += ["", f"## The {len(shown)} tracks most in doubt", "", f"Pictures, in this order: {SHEET}", ""]
        lines += [f"1. {_label(one)}" for one in shown]
    if annotation.failed:
        lines += ["", "## Clips that could not be annotated", ""]
        lines += [f"- {record.id}: {record.reason}" for record in annotation.failed]
    return "\n".join(lines) + "\n"
