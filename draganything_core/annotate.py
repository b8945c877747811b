"""Annotates a dataset for training: entities, their circles, where they go, and how sure that is.

    python -m draganything_core.annotate DATASET OUT --split train --size 320x576 --frames 25
    torchrun --standalone --nproc-per-node 8 -m draganything_core.annotate DATASET OUT     8 processes share the clips

    python -m draganything_core.annotate DATASET OUT --tracker cotracker --cotracker CLONE --cotracker-weights FILE

DATASET is the root of VIPSeg, YouTube-VOS, DAVIS 2017, or of plain folders of frames or videos with id masks. What is
done already is left as it is, so a run that was stopped goes on where it was. OUT/report.md tells what came of it.

Tracks are by Lucas-Kanade, which needs no weights, or by CoTracker, as the paper's are: from CLONE, your own copy of
https://github.com/facebookresearch/co-tracker, whose Python code is run, and FILE, its offline weights published at
https://huggingface.co/facebook/cotracker3. Both are under CC-BY-NC 4.0: not for commercial use. Nothing is downloaded.
Another tracker than before annotates every clip anew.

Exit status: 0 all clips annotated; 1 some could not be, the report says why; 2 wrong arguments or no such dataset.
"""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

import torch

from . import cotracker
from .annotation import annotate_dataset, process_share
from .annotation_config import AnnotationConfig
from .annotation_format import load_annotation
from .annotation_report import write_report
from .command_line import size_argument
from .data import read_clips
from .data.clips import MIN_AREA
from .tracker_options import add_tracker_options, chosen_tracker, refuse_without_cotracker
from .types import Size


def main(argv: list[str] | None = None) -> int:
    options = parse_arguments(argv)
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    try:
        return run(options)
    except (ValueError, OSError, ImportError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def run(options: argparse.Namespace) -> int:
    """0 if every clip is annotated, 1 if some could not be."""
    dataset, out = Path(options.dataset), Path(options.out)
    source = read_clips(dataset, options.split, options.fps)
    if options.worst < 0:
        raise ValueError(f"--worst must be >= 0 tracks, got {options.worst}")
    share = process_share()
    if share.count > 1:
        print(f"process {share.rank + 1} of {share.count}", flush=True)
    if not share.is_main:
        logging.getLogger(cotracker.__name__).setLevel(logging.ERROR)  # one notice of the licence is enough
    if options.tracker == "lucas_kanade":
        refuse_without_cotracker("--device", options.device)
    tracker = chosen_tracker(options, options.device or ("cuda" if torch.cuda.is_available() else "cpu"))
    config = AnnotationConfig(options.size, options.frames, options.min_area, tracker)
    annotate_dataset(source, dataset, options.split, options.fps, out, config, share)
    if not share.is_main:
        return 0
    annotation = load_annotation(out)
    files = write_report(annotation, options.worst)
    print(f"{len(annotation)} of {len(annotation.records)} clips annotated; " + ", ".join(map(str, files)))
    for record in annotation.failed:
        print(f"not annotated: {record.id}: {record.reason}", file=sys.stderr)
    return 1 if annotation.failed else 0


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m draganything_core.annotate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("dataset", metavar="DATASET", help="the dataset's root folder, or one video")
    parser.add_argument("out", metavar="OUT", help="folder for the annotation, one for each split")
    parser.add_argument("--split", help='"train", "val", ... as the dataset names it (default: every clip)')
    parser.add_argument("--size", type=size_argument, default=Size(320, 576), metavar="HxW", help="default: 320x576")
    parser.add_argument("--frames", type=int, metavar="N", help="of each clip at most the first N (default: all)")
    parser.add_argument(
        "--min-area", type=int, default=MIN_AREA, metavar="PX", help=f"of an entity at that size (default: {MIN_AREA})"
    )
    parser.add_argument("--fps", type=float, help="frames per second, instead of the dataset's own")
    parser.add_argument(
        "--worst", type=int, default=12, metavar="N", help="tracks in the report's picture (default: 12)"
    )
    group = parser.add_argument_group("tracker")
    add_tracker_options(group)
    group.add_argument("--device", help="of CoTracker: cpu, cuda, cuda:1, ... (default: cuda if there is one)")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
