"""Measures every part beside a plain way to the same result: `python -m benchmarks` from the root.

All ways of a case run in one process, by turns. The whole takes about five minutes on two quiet cores and 5 GB; with
--full-width the denoising step is that of the full-size networks (some minutes more and 5 GB). On cores that others use
CPU seconds say more than seconds.
"""

from __future__ import annotations

import argparse
import importlib
import json
import shlex
import sys
from pathlib import Path

import torch

from benchmarks.editor_frames import editor_frames
from benchmarks.full_width import counted_step
from benchmarks.measuring import environment, measured
from benchmarks.table import markdown, put_into_page
from draganything_core.atomic import write_text

CASES = {
    "maps": "condition_maps",
    "encoder": "condition_encoder",
    "features": "entity_features",
    "step": "denoising_step",
    "generation": "whole_generation",
    "training": "training_step",
    "documents": "document_parsing",
}
EDITOR = "editor"  # in a browser, where there is nothing to take turns with
NAMES = (*CASES, EDITOR)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"some of {', '.join(NAMES)} (all)")
    parser.add_argument("--repeats", type=int, default=5, help="timed calls of each way, after one cold one (5)")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="torch's threads (its own choice)")
    parser.add_argument("--full-width", action="store_true", help="the step of the full-size networks, in bf16")
    parser.add_argument("--out", type=Path, default=Path("output/benchmarks.json"), help="the record (%(default)s)")
    parser.add_argument("--page", type=Path, metavar="FILE.md", help="a page whose marked place takes the table")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.cases if name not in NAMES]
    if unknown:
        parser.error(f"unknown case {unknown[0]!r}; there are {', '.join(NAMES)}")
    if arguments.repeats < 1:
        parser.error("--repeats must be at least 1")

    torch.set_num_threads(arguments.threads)
    record = {
        "command": shlex.join(["python", "-m", "benchmarks", *sys.argv[1:]]),
        "environment": environment(),
        "cases": {},
        "full_width": None,
        "editor": None,
    }
    for name in arguments.cases or NAMES:
        if name == EDITOR:
            print("editor frames: in the browser", flush=True)
            record["editor"] = editor_frames()
        else:
            case = importlib.import_module(f"benchmarks.cases.{CASES[name]}").case(arguments.full_width)
            print(f"{case.name}: {', '.join(way.name for way in case.ways)}", flush=True)
            record["cases"][case.name] = measured(case, arguments.repeats)
        if name == "step":
            record["full_width"] = counted_step()
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        write_text(arguments.out, json.dumps(record, indent=2) + "\n")
    text = markdown(record)
    print(f"\n{text}\n\nwritten: {arguments.out}")
    if arguments.page:
        put_into_page(text, arguments.page)


if __name__ == "__main__":
    main()
