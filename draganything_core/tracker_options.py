"""The tracker that a command line asks for: Lucas-Kanade, which needs no weights, or CoTracker, from local files."""

from __future__ import annotations

import argparse
import os

import torch

from . import cotracker
from .annotation_config import NamedTracker, lucas_kanade
from .command_line import available_device


def add_tracker_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--tracker", choices=["lucas_kanade", "cotracker"], default="lucas_kanade", help="default: lucas_kanade"
    )
    group.add_argument(
        "--cotracker", metavar="DIR", help="clone of github.com/facebookresearch/co-tracker; the code in it is run"
    )
    group.add_argument(
        "--cotracker-weights", metavar="FILE", help="scaled_offline.pth or baseline_offline.pth (102 MB)"
    )


def chosen_tracker(options: argparse.Namespace, device: str) -> NamedTracker:
    """The tracker asked for, loaded; ``device`` is CoTracker's.

    Raises what loading it raises, ValueError for options of the one that was not asked for.
    """
    if options.tracker == "lucas_kanade":
        refuse_without_cotracker("--cotracker", options.cotracker)
        refuse_without_cotracker("--cotracker-weights", options.cotracker_weights)
        return lucas_kanade()
    if options.cotracker is None or options.cotracker_weights is None:
        raise ValueError(
            f"--tracker cotracker needs --cotracker DIR and --cotracker-weights FILE. {cotracker.HOW_TO_GET}"
        )
    return cotracker.cotracker(options.cotracker, options.cotracker_weights, available_device(own_device(device)))


def refuse_without_cotracker(name: str, value: str | None) -> None:
    """Raises ValueError for an option that was given and that Lucas-Kanade has no use for."""
    if value is not None:
        raise ValueError(f"{name} {value} is for --tracker cotracker; give that too, or leave this out")


def own_device(name: str) -> str:
    """Of several processes on a machine, each its own GPU."""
    if name != "cuda":
        return name
    return f"cuda:{int(os.environ.get('LOCAL_RANK', '0')) % max(torch.cuda.device_count(), 1)}"
