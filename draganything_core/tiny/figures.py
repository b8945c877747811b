"""Writes how well the small model obeys, from an evaluation of it: ``python -m draganything_core.tiny.figures REPORT``.

    python -m draganything_core.evaluate --model tiny --out output/heldout
    python -m draganything_core.tiny.figures output/heldout/report.json

Into figures.json beside this file, which tests take their bounds from, and into the table of the card, README.md.
The figures name the weights that they are of by a hash; a test says where they are of others.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from statistics import quantiles
from typing import Any

from ..atomic import write_text
from . import WEIGHTS

FIGURES = Path(__file__).parent / "figures.json"
CARD = Path(__file__).parent / "README.md"
BEGIN, END = "<!-- from figures.json -->", "<!-- end -->"
ROWS = {"control": "with control", "no_control": "strength 0", "autoencoder": "autoencoder alone"}
TABLE = {  # figure: its title, and what a finished model should have
    "ratio": ("error / error of standing still", "0.15"),
    "median_px": ("error, px, median", ""),
    "mean_px": ("error, px, mean", ""),
    "close": ("within 8 px of 128, share", "0.95"),
    "iou": ("IoU of the sprite", "0.70"),
    "leakage": ("motion of what should rest / motion asked for", "0.10"),
    "static_drift_px": ("drift of resting sprites, px, median", "3"),
    "psnr_inside": ("inside sprites, dB", "5 below the autoencoder's"),
    "psnr_outside": ("ground, dB", "5 below the autoencoder's"),
    "gradient_energy": ("sharpness (gradient energy, real clips 1)", "0.7 to 1.3"),
    "ratio, foreground": ("ratio, foreground", "0.25"),
    "ratio, both": ("ratio, both", "0.25"),
    "ratio, background": ("ratio, background", "0.25"),
    "ratio, camera": ("ratio, camera", "0.25"),
}


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m draganything_core.tiny.figures",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("report", type=Path, help="report.json of draganything_core.evaluate --model tiny")
    options = parser.parse_args(argv)
    figures = figures_of(json.loads(options.report.read_text(encoding="utf-8")))
    card = with_table(CARD.read_text(encoding="utf-8"), figures)
    write_text(FIGURES, json.dumps(figures, indent=1) + "\n")
    write_text(CARD, card)
    print(f"{FIGURES}\n{CARD}")  # noqa: T201


def figures_of(report: Mapping[str, Any]) -> dict[str, Any]:
    """What is kept of an evaluation's report, with the hash of the weights that ship.

    nine_of_ten_px: the mean error of a clip's drawn things, which nine of ten clips stay below.
    Raises ValueError for a report of another model, or of other clips than drawn ones.
    """
    if report.get("model") != "tiny" or not report.get("sprites"):
        raise ValueError(
            f"the report is of {report.get('model')!r} on {report.get('protocol', {}).get('name')!r}; expected one of "
            "--model tiny with the protocol synthetic_heldout"
        )
    rows = {row: {name: report["rows"][row].get(name) for name in TABLE} for row in ROWS}
    errors = clip_errors(report["sprites"]["control"])
    rows["control"]["nine_of_ten_px"] = round(quantiles(errors, n=10, method="inclusive")[-1], 6)
    return {"weights": weights_hash(), "conditions": dict(report["conditions"]), "rows": rows}


def clip_errors(clips: list[Mapping[str, Any]]) -> list[float]:
    """Mean error of each clip in px: a path's mean stands for it, the mean of its paths for the clip."""
    of_paths = [
        [sum(path["errors"]) / len(path["errors"]) for path in clip["paths"] if path["errors"]] for clip in clips
    ]
    return [sum(errors) / len(errors) for errors in of_paths if errors]


def weights_hash(folder: Path = WEIGHTS) -> str:
    """SHA-256 of all weight files of a folder, with their places in it."""
    digest = hashlib.sha256()
    for file in sorted(folder.rglob("*.safetensors")):
        digest.update(file.relative_to(folder).as_posix().encode("utf-8"))
        digest.update(file.read_bytes())
    return digest.hexdigest()


def with_table(card: str, figures: Mapping[str, Any]) -> str:
    """The card's text with these figures between its two marks. Raises ValueError where a mark is missing."""
    before, begin, rest = card.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the card has no place for the table; put {BEGIN} and {END} on lines of their own")
    rows = [figures["rows"][row] for row in ROWS]
    lines = [f"| | {' | '.join(ROWS.values())} | what a finished model should have |", "|---" * (len(ROWS) + 2) + "|"]
    for name, (title, wanted) in TABLE.items():
        cells = " | ".join("" if row.get(name) is None else f"{row[name]:.3g}" for row in rows)
        lines.append(f"| {title} | {cells} | {wanted} |")
    return "\n".join([before + BEGIN, *lines, END + after])


if __name__ == "__main__":
    main()
