"""Judges a model on held-out synthetic clips, whose truth is exact: did what was dragged go there?

    python -m draganything_core.evaluate --model tiny --out output/heldout
    torchrun --standalone --nproc-per-node 2 -m draganything_core.evaluate --model tiny --out output/heldout

Clips, steps, guidance and seeds come from the protocol, which is a file; --clips takes only the first so many of its
clips, for a trial. What is scored already is left as it is. OUT/report.json and OUT/report.md hold the figures beside
those of the same video model without control, of the autoencoder alone, and of the true frames.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from dataclasses import asdict, replace
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from .annotation import process_share
from .atomic import write_text
from .command_line import add_machine_options, add_weights_options, check_machine_options, chosen_dtype, positive_int
from .data.synthetic import SyntheticClip
from .evaluation.heldout import ROWS, HeldoutProtocol, Row, heldout_scores, load_protocol, summaries
from .evaluation.sprite_scores import ScoreSummary
from .models import Models, load_models, tiny_models
from .pictures import contact_sheet, save_png

FIGURES = {
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


def main(argv: list[str] | None = None) -> int:
    options = parse_arguments(argv)
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    try:
        return run(options)
    except (ValueError, OSError, ImportError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def run(options: argparse.Namespace) -> int:
    check_machine_options(options)
    protocol = load_protocol(options.protocol)
    if options.clips is not None:
        protocol = replace(protocol, count=min(options.clips, protocol.count))
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    out, share, models = Path(options.out), process_share(), _models(options)
    models.pipeline.set_progress_bar_config(disable=True)
    for row in options.rows:
        own = len(range(share.rank, protocol.count, share.count))
        with tqdm(desc=row, total=own, unit="clip", disable=not share.is_main) as progress:

            def done(clip: SyntheticClip, video: Tensor, row: str = row, progress: tqdm = progress) -> None:
                progress.update()
                if clip.index - protocol.first < options.sheets:
                    sheet = contact_sheet([("real", clip.frames), (row, video)])
                    save_png(sheet, out / row / f"{clip.index - protocol.first:05d}.png")

            heldout_scores(row, models, protocol, out, share.rank, share.count, done)
    share.wait()
    if share.is_main:
        _report(out, options.rows, protocol, models)
    return 0


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m draganything_core.evaluate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--protocol", default="synthetic_heldout", help="name or file (default: synthetic_heldout)")
    parser.add_argument("--model", choices=["tiny"], help="the built-in model, instead of --svd and --controlnet")
    parser.add_argument("--out", required=True, metavar="DIR", help="folder for scores and report")
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS), help="default: all")
    parser.add_argument("--clips", type=positive_int, metavar="N", help="only the protocol's first N clips")
    parser.add_argument(
        "--sheets", type=int, default=16, metavar="N", help="contact sheets of the first N (default: 16)"
    )
    parser.add_argument("--threads", type=positive_int, metavar="N", help="CPU threads of each process")
    add_weights_options(parser, required=False)
    add_machine_options(parser)
    return parser.parse_args(argv)


def _models(options: argparse.Namespace) -> Models:
    dtype = chosen_dtype(options)
    if options.model == "tiny":
        return tiny_models(dtype=dtype, device=options.device)
    if options.svd is None or options.controlnet is None:
        raise ValueError("give --model tiny, or --svd and --controlnet")
    return load_models(
        options.svd,
        options.controlnet,
        features=options.features,
        preset=options.preset,
        dtype=dtype,
        device=options.device,
        offload=options.offload,
    )


def _report(out: Path, rows: list[Row], protocol: HeldoutProtocol, models: Models) -> None:
    found = summaries(out, rows, protocol)
    report = {
        "protocol": asdict(protocol),
        "model": models.name,
        "rows": {name: asdict(summary) for name, summary in found.items()},
    }
    write_text(out / "report.json", json.dumps(report, indent=2) + "\n")
    write_text(out / "report.md", _markdown(found, protocol, models))
    for name, summary in found.items():
        print(f"{name}: {summary}")
    print(f"{out / 'report.json'}, {out / 'report.md'}")


def _markdown(found: dict[str, ScoreSummary], protocol: HeldoutProtocol, models: Models) -> str:
    kinds = sorted({kind for summary in found.values() for kind in summary.kind_ratios})
    lines = [
        f"# {models.name} on {protocol.name}, version {protocol.version}",
        "",
        f"{protocol.count} clips of {protocol.frames} frames at {protocol.size}, seed {protocol.clip_seed}; "
        f"{protocol.num_inference_steps} steps, guidance {protocol.guidance:g}, sampling seeds from "
        f"{protocol.sampling_seed}. Sprites are found by their own pictures.",
        "",
        "| | " + " | ".join(found) + " |",
        "|---" * (len(found) + 1) + "|",
    ]
    for name, title in FIGURES.items():
        lines.append(f"| {title} | " + " | ".join(f"{getattr(s, name):.3g}" for s in found.values()) + " |")
    for kind in kinds:
        values = (s.kind_ratios.get(kind) for s in found.values())
        lines.append(f"| ratio, {kind} | " + " | ".join("" if v is None else f"{v:.3g}" for v in values) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
