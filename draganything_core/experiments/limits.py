"""How fast things may go: where a figure passes a bound that was stated before it was run, for the weights' config."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..atomic import write_text
from ..controlnet import MEASURED
from ..evaluation.report import number_text
from .definition import Limit

CONFIG = "config.json"
DECIMALS = 1  # of a limit in px: more is not known


@dataclass(frozen=True)
class FoundLimit:
    """value: None where the figure is beyond its bound in every arm. text: how it was found."""

    value: float | None
    text: str


def found_limit(limit: Limit, measured: Sequence[tuple[float, float]]) -> FoundLimit:
    """The limit in arms of which each has (what is varied, the figure), in any order.

    Between two arms the figure is taken for a straight line; the first crossing counts, whatever comes after it. If the
    figure never passes the bound, the limit is the largest value that was tried. Raises ValueError for an arm without
    a figure.
    """
    if not measured or not all(math.isfinite(number) for pair in measured for number in pair):
        raise ValueError(
            f"{limit.entry}: an arm has no {limit.over} or no {limit.figure}, so there is no limit to find"
        )
    arms = sorted(measured)
    stated = f"{limit.figure} <= {limit.bound:g}"
    beyond = next((number for number, (_, figure) in enumerate(arms) if figure > limit.bound), None)
    if beyond is None:
        value = round(arms[-1][0], DECIMALS)
        return FoundLimit(value, f"{stated} held up to {number_text(value)}, the largest {limit.over} that was tried")
    if beyond == 0:
        return FoundLimit(None, f"{stated} held nowhere, not even at {limit.over} {number_text(arms[0][0])}")
    (below, low), (above, high) = arms[beyond - 1], arms[beyond]
    crossing = below + (limit.bound - low) / (high - low) * (above - below)
    between = f"{number_text(below)} ({number_text(low)}) and {number_text(above)} ({number_text(high)})"
    return FoundLimit(round(crossing, DECIMALS), f"{stated} ends between {limit.over} {between}, by a straight line")


def write_limit(folder: Path, entry: str, value: float) -> None:
    """Writes an entry into the configuration of a ControlNet's folder, whole or not at all; all else stays as it was.

    Raises FileNotFoundError for a folder without configuration, ValueError for an entry that is not of MEASURED.
    """
    if entry not in MEASURED:
        raise ValueError(f"{entry} is nothing that is measured of weights; there is {', '.join(MEASURED)}")
    file = folder / CONFIG
    if not file.is_file():
        raise FileNotFoundError(f"{file}: no such file; give the folder of a ControlNet with its config.json")
    config = json.loads(file.read_text("utf-8"))
    write_text(file, json.dumps({**config, entry: value}, indent=2, sort_keys=True) + "\n")  # as diffusers writes it


def controlnet_sha256(folder: Path) -> str:
    """A name for a ControlNet's folder that stays the same when a limit is written into it.

    Raises FileNotFoundError for a folder without configuration or weights.
    """
    files = sorted(path for kind in ("*.safetensors", "*.bin") for path in folder.glob(kind))
    if not files or not (folder / CONFIG).is_file():
        raise FileNotFoundError(f"{folder}: no folder of a ControlNet with config.json and weights")
    config = json.loads((folder / CONFIG).read_text("utf-8"))
    fixed = {name: value for name, value in config.items() if name not in MEASURED}
    digest = hashlib.sha256(json.dumps(fixed, sort_keys=True).encode("utf-8"))
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()
