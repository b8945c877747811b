"""Judging all rows of a protocol: each process its share of the clips, each clip once."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from torch import Tensor
from tqdm import tqdm

from ..annotation import Share
from ..atomic import write_text
from ..data.synthetic import SyntheticClip
from ..models import Models
from ..pictures import contact_sheet, overlay_frames, save_png
from .cases import AnyProtocol, Case, Cases
from .heldout import ROWS, HeldoutProtocol, heldout_scores
from .judging import Judge, RowSource, claim, judge_row, judge_video
from .rows import protocol_settings
from .sprite_scores import score_clip

SHEET_CELL = 240  # px: frames smaller than this are enlarged, so that lines over them stay fine


@dataclass(frozen=True, eq=False)
class Bench:
    """A protocol's clips, who judges, and where it is written. sheets: pictures of the first so many clips."""

    protocol: AnyProtocol
    cases: Cases
    judge: Judge
    out: Path
    share: Share
    sheets: int = 0

    @property
    def numbers(self) -> range:
        """The clips that are this process's."""
        return range(self.share.rank, len(self.cases.clips), self.share.count)

    def judge_rows(self, rows: Sequence[RowSource], models: Models | None) -> None:
        """Judges every row. models: those that make some of the rows' videos, for drawn clips' exact scores."""
        for row in rows:
            claim(row, protocol_settings(self.protocol), self.judge, self.out)
        for row in rows:
            with tqdm(desc=row.name, total=len(self.numbers), unit="clip", disable=not self.share.is_main) as progress:
                self._judge_row(row, models, progress)
        self.share.wait()

    def _judge_row(self, row: RowSource, models: Models | None, progress: tqdm) -> None:
        protocol = self.protocol

        def also(case: Case, video: Tensor) -> None:
            progress.update()
            if case.number < self.sheets:
                save_png(sheet(row.name, case, video), self.out / row.name / f"{case.number:05d}.png")
            scores = self.out / row.name / f"{case.clip}.json"
            if isinstance(protocol, HeldoutProtocol) and not scores.is_file():
                write_text(scores, json.dumps(asdict(score_clip(video, protocol.clip(case.number)))) + "\n")

        if isinstance(protocol, HeldoutProtocol) and models is not None and row.name in ROWS:

            def done(clip: SyntheticClip, video: Tensor) -> None:
                judge_video(row, self.cases.case(clip.index - protocol.first), video, self.judge, self.out, also)

            name = next(each for each in ROWS if each == row.name)
            heldout_scores(name, models, protocol, self.out, self.share.rank, self.share.count, done)
        judge_row(row, self.cases, self.judge, self.out, self.numbers, also)


def sheet(name: str, case: Case, video: Tensor) -> Tensor:
    """(3,H,W): the real video above the row's, what was asked drawn over both."""
    scale = max(1, SHEET_CELL // case.size.width)
    names = [entity.name for entity in case.entities]
    real, made = (
        overlay_frames(frames, case.tracks, names, scale=scale) if names else frames for frames in (case.frames, video)
    )
    return contact_sheet([("real", real), (name, made)])
