"""Time and memory of drawing condition maps: `python -m benchmarks.conditions [--case FILE.npz]` from the root.

Without a case it draws one of its own, as large as the original's bird2 demo: 3 entities, two of them at the radius
limit of 50 px, 334 thousand disc pixels, 20 frames of 320x576. A case is a file as tests/goldens/check_c.py reads it.
Each geometry is measured in a fresh process: first call, median of the later ones, and the peak of resident memory
during the first call above what the process held before it (Linux only).
"""

from __future__ import annotations

import argparse
import importlib
import multiprocessing
import os
import platform
import statistics
import sys
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import cv2
import numpy as np
import torch

from benchmarks.measuring import memory_mib, start_peak, timed
from draganything_core.conditions import Geometry, build_condition_maps
from draganything_core.types import ConditionMaps, Entities, Size, Tracks

TARGET = Size(320, 576)
PICTURE = Size(740, 1012)
FRAMES = 20
CHANNELS = 160
RADIUS_LIMIT = 50.0
GOLDENS = Path(__file__).parents[1] / "tests" / "goldens"


class Measurement(NamedTuple):
    """Seconds; MiB above the process before the first call, None where the system does not tell."""

    disc_pixels: int
    first: float
    median: float
    fastest: float
    slowest: float
    cpu_median: float
    circles: float
    peak_mib: float | None


def own_case() -> tuple[Entities, Tracks, Size]:
    """Three discs as masks that cross the picture without touching each other."""
    y, x = torch.meshgrid(torch.arange(PICTURE.height), torch.arange(PICTURE.width), indexing="ij")
    circles = [(120, 640, 36), (300, 180, 118), (700, 420, 150)]
    masks = torch.stack([(x - cx) ** 2 + (y - cy) ** 2 <= radius**2 for cx, cy, radius in circles])
    entities = Entities.from_masks(masks)
    centers = torch.tensor([entity.center for entity in entities])
    moves = torch.tensor([[150.0, -40.0], [80.0, 25.0], [90.0, 10.0]])
    progress = torch.linspace(0, 1, FRAMES)[:, None, None]
    paths = centers + progress * moves
    radii = torch.tensor([entity.radius for entity in entities]).expand(paths.shape[:2])
    tracks = Tracks(paths, torch.arange(3), torch.ones(paths.shape[:2], dtype=torch.bool), radii, PICTURE)
    return entities, tracks, TARGET


def stored_case(path: Path) -> tuple[Entities, Tracks, Size]:
    """Inputs of a stored condition-map case."""
    entities, tracks, size, _ = _check_c().load_case(path)
    return entities, tracks, size


def measure(kind: str, case: Path | None, repeats: int) -> Measurement:
    """Draws the case once cold and ``repeats`` times more."""
    entities, tracks, size = stored_case(case) if case else own_case()
    geometry = Geometry(kind, RADIUS_LIMIT, TARGET)
    vectors = torch.zeros(len(entities), CHANNELS)

    def draw() -> ConditionMaps:
        return build_condition_maps(entities, tracks, vectors, size, geometry)

    before = start_peak()
    first, _, maps = timed(draw)
    peak_mib = None if before is None else memory_mib("VmHWM") - before
    disc_pixels = int((maps.entity_index >= 0).sum())
    del maps
    runs = [timed(draw)[:2] for _ in range(repeats)]
    walls = [wall for wall, _ in runs]
    circles, _, _ = timed(lambda: [entity.inscribed_circle for entity in Entities.from_masks(entities.masks)])
    cpu_median = statistics.median(cpu for _, cpu in runs)
    return Measurement(
        disc_pixels, first, statistics.median(walls), min(walls), max(walls), cpu_median, circles, peak_mib
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", type=Path, metavar="FILE.npz", help="a stored case instead of the benchmark's own")
    parser.add_argument("--repeats", type=int, default=50, help="calls after the first (default 50)")
    arguments = parser.parse_args()

    load = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"
    print(f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, load {load}, "
          f"{torch.get_num_threads()} torch threads, Python {platform.python_version()}, torch {torch.__version__}, "
          f"OpenCV {cv2.__version__}, numpy {np.__version__}")  # fmt: skip
    print(f"case: {arguments.case.stem if arguments.case else 'own'}, {arguments.repeats} repeats")
    for kind in ("exact", "reference"):
        # A new interpreter each, so that neither finds memory or caches that the other has filled.
        with multiprocessing.get_context("spawn").Pool(1) as process:
            measured = process.apply(measure, (kind, arguments.case, arguments.repeats))
        print(f"{kind:9}  median {measured.median:.4f} s  (fastest {measured.fastest:.4f}, slowest "
              f"{measured.slowest:.4f}, CPU median {measured.cpu_median:.4f}, first call {measured.first:.4f})  "
              f"peak {_mib(measured.peak_mib)}  disc pixels {measured.disc_pixels}  "
              f"[inscribed circles, measured earlier: {measured.circles:.4f} s]")  # fmt: skip


def _check_c() -> ModuleType:
    # The golden checks are scripts beside each other, not a package.
    sys.path.insert(0, str(GOLDENS))
    return importlib.import_module("check_c")


def _mib(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.0f} MiB"


if __name__ == "__main__":
    main()
