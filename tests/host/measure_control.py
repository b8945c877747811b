"""What control costs in ComfyUI: ``python tests/host/measure_control.py [--workflow NAME] [--repeats 7]``.

The first-drag workflow, as it ships, runs over the API in one server with control and without (strength 0), by turns
and each pair with a seed of its own. Printed are medians of the seconds and of the server's CPU seconds, and their
ratios. The server computes on one thread.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from prove_memory import with_inputs
from server import PACK, Host, Server

WITH, WITHOUT = 1.0, 0.0  # strengths


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--workflow", default="first_drag", help="default: first_drag")
    parser.add_argument("--repeats", type=int, default=7, help="pairs of runs (default: 7), after one that warms up")
    options = parser.parse_args()
    prompt = json.loads((PACK / "workflows" / "api" / f"{options.workflow}.json").read_text(encoding="utf-8"))
    runs: dict[float, list[tuple[float, float]]] = {WITH: [], WITHOUT: []}
    with tempfile.TemporaryDirectory() as folder, Server(Host.find(), Path(folder) / "comfyui") as server:
        for repeat in range(options.repeats + 1):
            for strength in (WITH, WITHOUT) if repeat % 2 else (WITHOUT, WITH):
                seconds = timed(server, with_inputs(prompt, seed=1000 + repeat, strength=strength))
                if repeat:
                    runs[strength].append(seconds)
    wall, cpu = ({strength: median(run[kind] for run in runs[strength]) for strength in runs} for kind in (0, 1))
    print(f"{options.workflow}, {options.repeats} pairs, load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    for strength, name in ((WITH, "with control"), (WITHOUT, "without control")):
        print(f"{name:16} {wall[strength]:.2f} s, {cpu[strength]:.2f} s of CPU")
    print(f"{'ratio':16} {wall[WITH] / wall[WITHOUT]:.2f}, of CPU {cpu[WITH] / cpu[WITHOUT]:.2f}")
    return 0


def timed(server: Server, prompt: dict[str, Any]) -> tuple[float, float]:
    """Seconds by the clock, and of the server's CPU, until the run is done."""
    start, worked = time.perf_counter(), cpu_seconds(server)
    server.run(prompt)
    return time.perf_counter() - start, cpu_seconds(server) - worked


def cpu_seconds(server: Server) -> float:
    fields = Path(f"/proc/{server.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    sys.exit(main())
