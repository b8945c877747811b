"""Are these the right weights, and which way of feeding them obeys best? For whoever owns them.

    python -m draganything_core.check_weights --svd DIR --controlnet DIR --features DIR --input demo_folder

First each file is named right, wrong or missing: tensors, shapes, number type, attention heads, and where it differs
from what Stable Video Diffusion publishes. Then each input is rendered in eight ways: {whole entity vector, channel 0}
x {SVD's CLIP input, the authors'} x {motion bucket 128, 180}, with one seed. All go into OUT/sheet.png with their track
error, and everything into one report, OUT/report.md.
"""

from __future__ import annotations

import argparse
import itertools
import logging
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import torch
from torch import Tensor

from . import __version__
from .atomic import write_text
from .clip_input import ClipPreprocessing
from .command_line import (
    add_machine_options,
    add_weights_options,
    check_machine_options,
    chosen_dtype,
    positive_int,
    size_argument,
)
from .conditions import Painting
from .evaluation.track_error import TRACKER, TrackError, track_error
from .generation import Sampling, generate_video, resolve_motion
from .images import resized_picture
from .models import load_models
from .motion_input import MotionInput, read_motion
from .pictures import contact_sheet, overlay_frames, save_png
from .segment import GrabCutSegmenter, SamSegmenter
from .weight_check import Verdict, check_files

SAMPLE = Path(__file__).parent / "tiny" / "sample" / "motion.json"
PAINTINGS: tuple[Painting, ...] = get_args(Painting)
CLIP_INPUTS: tuple[ClipPreprocessing, ...] = get_args(ClipPreprocessing)
MOTION_BUCKETS = (128, 180)


@dataclass(frozen=True, eq=False)
class Rendering:
    """One of the eight ways: what was chosen, and how far the things are from where they were dragged."""

    name: str
    painting: Painting
    clip_input: ClipPreprocessing
    motion_bucket: int
    error: TrackError

    @property
    def label(self) -> str:
        return f"{self.painting}, CLIP input {self.clip_input}, motion bucket {self.motion_bucket}"


def main(argv: list[str] | None = None) -> int:
    options = parse_arguments(argv)
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    try:
        check_machine_options(options)
        return run(options)
    except (ValueError, OSError, ImportError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def run(options: argparse.Namespace) -> int:
    """0 if every file is right and all was rendered, 1 if a file is wrong or missing (nothing is rendered then)."""
    out = Path(options.out)
    inputs = [read_motion(path) for path in options.input or [SAMPLE]]
    verdicts = check_files(
        Path(options.svd),
        Path(options.controlnet),
        Path(options.features) if options.features else None,
        options.preset,
    )
    for verdict in verdicts:
        print(verdict)
    if not all(verdict.right for verdict in verdicts):
        write_text(out / "report.md", report(options, verdicts, []))
        print(f"\nNothing was rendered: put the files right first. Report: {out / 'report.md'}")
        return 1
    renderings: list[Rendering] = []
    try:
        sheet = _render(options, inputs, renderings)
    finally:
        # What was found out is kept, also where the rest fails.
        write_text(out / "report.md", report(options, verdicts, renderings))
    save_png(sheet, out / "sheet.png")
    print(f"\nsheet:  {out / 'sheet.png'}\nreport: {out / 'report.md'}")
    return 0


def _render(options: argparse.Namespace, inputs: list[MotionInput], renderings: list[Rendering]) -> Tensor:
    """The contact sheet of every input rendered in each of the eight ways; their errors go into ``renderings``."""
    models = load_models(
        options.svd,
        options.controlnet,
        features=options.features,
        preset=options.preset,
        dtype=chosen_dtype(options),
        device=options.device,
        offload=options.offload,
    )
    size = options.size or models.native_size
    models.pipeline.check_size(size)
    segmenter = SamSegmenter.from_checkpoint(options.sam, device=options.device) if options.sam else GrabCutSegmenter()
    anchor = models.pipeline.controlnet.config.anchor
    rows = []
    for given in inputs:
        motion = resolve_motion(given, segmenter, frames=options.frames, default_anchor=anchor)
        rows.append((given.name, resized_picture(motion.image, size)[None]))
        for painting, clip_input, bucket in itertools.product(PAINTINGS, CLIP_INPUTS, MOTION_BUCKETS):
            sampling = Sampling(
                seed=options.seed,
                num_inference_steps=options.steps,
                painting=painting,
                clip_preprocessing=clip_input,
                motion_bucket_id=bucket,
            )
            frames = generate_video(models, motion, size, sampling).frames
            error = track_error(frames, motion.entities, motion.tracks)
            rendering = Rendering(given.name, painting, clip_input, bucket, error)
            renderings.append(rendering)
            print(f"{rendering.name}: {rendering.label}: {error}", flush=True)
            overlay = overlay_frames(frames, motion.tracks, motion.names, motion.colors)
            rows.append((f"{rendering.label}: {error}", overlay))
    return contact_sheet(rows)


def report(options: argparse.Namespace, verdicts: list[Verdict], renderings: list[Rendering]) -> str:
    """The report as Markdown."""
    lines = [
        "# Weights check",
        "",
        f"DragAnything {__version__}, torch {torch.__version__}, device {options.device}, seed {options.seed}, "
        f"{options.steps} steps, preset {options.preset or 'as the weights say'}.",
        "",
        "## Files",
        "",
        "| part | verdict | what it is | remarks |",
        "|---|---|---|---|",
    ]
    lines += [f"| {v.part} | {v.verdict} | {v.found} | {'; '.join(v.remarks) or '-'} |" for v in verdicts]
    if not renderings:
        return "\n".join([*lines, "", "Nothing was rendered, because not every file is right.", ""])
    lines += [
        "",
        "## Track error",
        "",
        f"Pixels of the generated video, visible frames after the first. Tracker: {TRACKER}. The column *still* is the "
        "error of a video in which nothing moves; *lost* is the share of points that the tracker did not find again. "
        "One seed: a difference of a few pixels between two rows decides nothing. Look at sheet.png.",
        "",
        "| picture | painted | CLIP input | motion bucket | mean | median | still | lost | points |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for r in renderings:
        e = r.error
        lines.append(
            f"| {r.name} | {r.painting} | {r.clip_input} | {r.motion_bucket} | {e.mean_px:.2f} | {e.median_px:.2f} "
            f"| {e.static_px:.2f} | {e.lost:.0%} | {e.points} |"
        )
    return "\n".join([*lines, ""])


def parse_arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m draganything_core.check_weights",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--input", type=Path, nargs="+", help="motion documents or demo folders (default: our sample)")
    parser.add_argument("--out", default="output/weights", metavar="DIR", help="folder for sheet.png and report.md")
    parser.add_argument("--frames", type=positive_int, help="number of frames (default: each document's)")
    parser.add_argument(
        "--size", type=size_argument, metavar="HxW", help="size to render at (default: the weights' own)"
    )
    parser.add_argument("--steps", type=positive_int, default=25, help="denoising steps (25)")
    parser.add_argument("--seed", type=int, default=0, help="the same for all eight (0)")
    add_weights_options(parser, required=True)
    add_machine_options(parser)
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
