"""Judges videos: did what was dragged go there, was it the thing and nothing else, and is the picture kept?

    python -m draganything_core.evaluate --model tiny --out output/heldout
    torchrun --standalone --nproc-per-node 2 -m draganything_core.evaluate --model tiny --out output/heldout

    python -m draganything_core.evaluate --protocol vipseg_val_256x14 --annotation ANNOTATION \\
        --svd DIR --controlnet DIR --inception FILE --i3d FILE --out output/vipseg
    python -m draganything_core.evaluate --videos DIR --name theirs --out output/theirs      no model is loaded
    python -m draganything_core.evaluate --compare A/report.json B/report.json               the paper's table 1

Clips, steps, guidance and seeds come from the protocol, which is a file; --clips takes only the first so many of its
clips, for a trial. What is judged already is left as it is. Beside the row in question stand a video that stands still,
the same video model without control, the autoencoder alone, and the real video, whose error is the measure's own.
OUT/report.html is the report to look at, report.md its tables, report.json everything, also for --compare.

--videos: DIR/CLIP.mp4, or a folder DIR/CLIP of pictures, for every clip of the protocol; synthetic_heldout calls its
clips 00000, 00001, ... and an annotated dataset's have their own names. Nothing is ever downloaded.
"""

from __future__ import annotations

import argparse
import logging
import sys
from dataclasses import replace
from pathlib import Path

import torch

from .annotation import process_share
from .command_line import add_machine_options, add_weights_options, check_machine_options, chosen_dtype, positive_int
from .evaluation.bench import Bench
from .evaluation.cases import AnyProtocol, open_cases, open_protocol
from .evaluation.compare import compare, read_json
from .evaluation.frechet import Features, i3d_features, inception_features, random_features
from .evaluation.judging import Judge, RowSource
from .evaluation.report import markdown
from .evaluation.results import pictures_of, read_report, write_report
from .evaluation.rows import ALL_ROWS, MODEL_ROWS, model_rows, real_row, static_row, video_row
from .evaluation.videos import VideoFolder
from .models import Models, load_models, tiny_models
from .tracker_options import add_tracker_options, chosen_tracker, own_device


def main(argv: list[str] | None = None) -> int:
    options = parse_arguments(argv)
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    try:
        return run(options)
    except (ValueError, OSError, ImportError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def run(options: argparse.Namespace) -> int:
    if options.compare:
        first, second = map(read_json, options.compare)
        print(compare(first, second, options.rows))
        return 0
    check_options(options)
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    protocol = open_protocol(options.protocol)
    if options.clips is not None:
        protocol = replace(protocol, count=min(options.clips, protocol.count or options.clips))
    cases = open_cases(protocol, options.annotation, options.dataset)
    judge = Judge(chosen_tracker(options, options.device), chosen_features(options))
    models = chosen_models(options)
    rows = chosen_rows(options, protocol, cases.clips, models)
    bench = Bench(protocol, cases, judge, Path(options.out), process_share(), options.sheets)
    bench.judge_rows(rows, models)
    if bench.share.is_main:
        subject = options.name if options.videos else rows[0].name
        report = read_report(bench, rows, models.name if models else None, subject)
        intervals = report.intervals()
        files = write_report(report, bench.out, pictures_of(bench.out, rows), intervals)
        for row in report.rows:
            print(f"{row.name}: {len(row.judgements)} clips; {row.title}")
        print(markdown(report, intervals))
        print(", ".join(map(str, files)))
    return 0


def check_options(options: argparse.Namespace) -> None:
    """Raises ValueError for options that do not go together."""
    check_machine_options(options)
    if options.out is None:
        raise ValueError("give --out DIR, the folder for judgements and report")
    if bool(options.videos) != bool(options.name):
        raise ValueError("--videos DIR and --name X go together: X is what the row of these videos is called")
    has_model = options.model is not None or options.svd is not None or options.controlnet is not None
    if not has_model and not options.videos:
        raise ValueError("give --model tiny, or --svd and --controlnet, or --videos DIR --name X of videos that exist")
    wrong = [row for row in options.rows or () if row not in ALL_ROWS]
    if wrong:
        raise ValueError(f"--rows {' '.join(wrong)}: expected some of {', '.join(ALL_ROWS)}")
    lacking = [row for row in options.rows or () if row in MODEL_ROWS and not has_model]
    if lacking:
        raise ValueError(f"--rows {' '.join(lacking)}: needs a model; give --model tiny, or --svd and --controlnet")


def chosen_models(options: argparse.Namespace) -> Models | None:
    """The networks asked for; None if only videos are judged."""
    dtype = chosen_dtype(options)
    if options.model == "tiny":
        models = tiny_models(dtype=dtype, device=options.device)
    elif options.svd is None and options.controlnet is None:
        return None
    elif options.svd is None or options.controlnet is None:
        raise ValueError("give --svd and --controlnet together, or --model tiny")
    else:
        models = load_models(
            options.svd,
            options.controlnet,
            features=options.features,
            preset=options.preset,
            dtype=dtype,
            device=options.device,
            offload=options.offload,
        )
    models.pipeline.set_progress_bar_config(disable=True)
    return models


def chosen_rows(
    options: argparse.Namespace, protocol: AnyProtocol, clips: tuple[str, ...], models: Models | None
) -> list[RowSource]:
    """The rows asked for, or all that can be made, in the report's order."""
    asked = options.rows or [row for row in ALL_ROWS if models is not None or row not in MODEL_ROWS]
    rows = [] if not options.videos else [video_row(options.name, VideoFolder(options.videos, clips), protocol)]
    if models is not None:
        rows += model_rows([row for row in MODEL_ROWS if row in asked], models, protocol)
    if "static" in asked:
        rows.append(static_row())
    if "real" in asked:
        rows.append(real_row())
    return rows


def chosen_features(options: argparse.Namespace) -> list[Features]:
    """The networks of FID and FVD where their files are given; rFID's always."""
    device = own_device(options.device)
    found = [] if options.inception is None else [inception_features(options.inception, device)]
    found += [] if options.i3d is None else [i3d_features(options.i3d, device)]
    return [*found, random_features()]


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m draganything_core.evaluate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--protocol", default="synthetic_heldout", help="name or file (default: synthetic_heldout)")
    parser.add_argument("--annotation", metavar="DIR", help="of the protocol's dataset, by draganything_core.annotate")
    parser.add_argument("--dataset", metavar="DIR", help="its root, if it is no longer where it was annotated")
    parser.add_argument("--out", metavar="DIR", help="folder for judgements and report")
    parser.add_argument("--rows", nargs="+", metavar="ROW", help=f"default: all of {', '.join(ALL_ROWS)}")
    parser.add_argument("--clips", type=positive_int, metavar="N", help="only the protocol's first N clips")
    parser.add_argument(
        "--sheets", type=int, default=16, metavar="N", help="contact sheets of the first N (default: 16)"
    )
    parser.add_argument("--threads", type=positive_int, metavar="N", help="CPU threads of each process")
    parser.add_argument("--model", choices=["tiny"], help="the built-in model, instead of --svd and --controlnet")
    videos = parser.add_argument_group("videos that exist")
    videos.add_argument("--videos", metavar="DIR", help="folder of videos named as the protocol's clips")
    videos.add_argument("--name", metavar="X", help="what their row is called")
    reports = parser.add_argument_group("reports that exist")
    reports.add_argument(
        "--compare", nargs=2, metavar="REPORT.json", help="the paper's table 1 of two; --rows A B for other rows"
    )
    judges = parser.add_argument_group("judges (local files; nothing is ever downloaded)")
    judges.add_argument("--inception", metavar="FILE", help="Inception weights in torch-fidelity's form, for FID")
    judges.add_argument("--i3d", metavar="FILE", help="i3d_torchscript.pt, for FVD; the program in it is run")
    add_tracker_options(judges)
    add_weights_options(parser, required=False)
    add_machine_options(parser)
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
