"""Proves that runs leave nothing behind: ``python tests/host/prove_memory.py [--repeats 20] [--steps N] [--frames N]``.

The first-drag workflow, as it ships, runs over the API in one server, each time with another seed. After each run it
prints what the server's process holds in memory and what the host says of the machine's. The median of the last
quarter must be at most 5 % above that of the first quarter; the runs before these fill caches and
are not counted. Minutes to half an hour; the exit status is 1 where memory grew.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from server import PACK, Host, Server

MOST_GROWTH = 1.05
MIB = 2**20


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--workflow", default="first_drag", help="default: first_drag")
    parser.add_argument("--repeats", type=int, default=20, help="runs that count (default: 20)")
    parser.add_argument("--warm-up", type=int, default=2, help="runs before these (default: 2)")
    parser.add_argument("--steps", type=int, help="default: the workflow's own")
    parser.add_argument("--frames", type=int, help="default: the document's own")
    options = parser.parse_args()
    if options.repeats < 2:
        parser.error("--repeats: expected at least 2, so that there is a first and a last")
    prompt = json.loads((PACK / "workflows" / "api" / f"{options.workflow}.json").read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as folder, Server(Host.find(), Path(folder) / "comfyui") as server:
        counted = [used for run, used in measured_runs(server, prompt, options) if run > 0]
    quarter = max(1, len(counted) // 4)
    first, last = median(counted[:quarter]), median(counted[-quarter:])
    print("MiB after each run:", " ".join(f"{used / MIB:.1f}" for used in counted))
    print(
        f"last {quarter} to first {quarter}: {last / first:.4f}; largest to smallest: {max(counted) / min(counted):.4f}"
    )
    within = last <= MOST_GROWTH * first
    print("within 5 %" if within else "GREW BY MORE THAN 5 %")
    return 0 if within else 1


def measured_runs(server: Server, prompt: dict[str, Any], options: argparse.Namespace) -> list[tuple[int, int]]:
    """The number of each run, from 1 for the first that counts, and the bytes that the process holds after it."""
    found = []
    for run in range(1 - options.warm_up, options.repeats + 1):
        start = time.monotonic()
        server.run(with_inputs(prompt, seed=1000 + run, steps=options.steps, frames=options.frames))
        used = server.memory()
        machine = server.get("/system_stats")["system"]
        print(
            f"{f'run {run}' if run > 0 else 'warming up':>10}: process {used / MIB:.1f} MiB, machine "
            f"{(machine['ram_total'] - machine['ram_free']) / MIB:.0f} of {machine['ram_total'] / MIB:.0f} MiB, "
            f"{time.monotonic() - start:.1f} s",
            flush=True,
        )
        found.append((run, used))
    return found


def with_inputs(prompt: dict[str, Any], **inputs: int | None) -> dict[str, Any]:
    """The prompt with these inputs wherever a node has them; those that are None stay as they are."""
    given = {name: value for name, value in inputs.items() if value is not None}
    return {
        number: {**node, "inputs": {**node["inputs"], **{key: given[key] for key in given if key in node["inputs"]}}}
        for number, node in prompt.items()
    }


if __name__ == "__main__":
    sys.exit(main())
