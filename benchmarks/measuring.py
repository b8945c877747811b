"""Measuring several ways to the same result side by side: interleaved repeats, medians, peak memory, counted FLOPs."""

from __future__ import annotations

import gc
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from math import prod
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Way:
    """One way to do a case's work. call: does it once and returns the result."""

    name: str
    call: Callable[[], Any]


@dataclass(frozen=True)
class Case:
    """ways: ours first, then what it is compared to. difference: of two ways' results, ours first; None where there is
    nothing to compare. compared: the names of the ways whose results must be ours; all others differ by design.
    """

    name: str
    what: str
    ways: list[Way]
    difference: Callable[[Any, Any], float] | None = None
    compared: tuple[str, ...] = ()
    remarks: list[str] = field(default_factory=list)


def measured(case: Case, repeats: int) -> dict[str, Any]:
    """Every way once cold (peak memory, FLOPs, its result against ours), then ``repeats`` times by turns.

    Seconds are of the wall clock and of all threads' work (cpu); peak_mib above what the process held before the call.
    """
    found: dict[str, dict[str, Any]] = {}
    ours = None
    for index, way in enumerate(case.ways):
        gc.collect()
        before = start_peak()
        with flops_counted() as counter:
            first, _, result = timed(way.call)
        peak = None if before is None else memory_mib("VmHWM") - before
        found[way.name] = {"flops": counter.get_total_flops(), "peak_mib": peak, "first_seconds": first}
        if index == 0:
            ours = result
        elif case.difference is not None and way.name in case.compared:
            found[way.name]["difference"] = case.difference(ours, result)
        del result
    del ours

    runs: dict[str, list[tuple[float, float]]] = {way.name: [] for way in case.ways}
    for repeat in range(repeats):
        turn = repeat % len(case.ways)
        for way in case.ways[turn:] + case.ways[:turn]:
            gc.collect()
            runs[way.name].append(timed(way.call)[:2])
    for name, seconds in runs.items():
        walls, cpus = [wall for wall, _ in seconds], [cpu for _, cpu in seconds]
        found[name] |= {
            "seconds": statistics.median(walls),
            "cpu_seconds": statistics.median(cpus),
            "all_seconds": walls,
            "all_cpu_seconds": cpus,
        }
    return {"what": case.what, "repeats": repeats, "remarks": case.remarks, "ways": found}


@contextmanager
def flops_counted() -> Iterator[FlopCounterMode]:
    """torch's own counter (a multiplication and an addition are two), which knows no attention on the CPU by itself."""
    attention = getattr(torch.ops.aten, "_scaled_dot_product_flash_attention_for_cpu", None)
    with FlopCounterMode(display=False, custom_mapping={attention: _attention_flops} if attention else None) as counter:
        yield counter


def environment() -> dict[str, Any]:
    """What the figures hold for."""
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True)
    return {
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "torch": torch.__version__,
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "commit": commit.stdout.strip() or None,
    }


def relative_difference(ours: torch.Tensor, other: torch.Tensor) -> float:
    """The largest difference in units of the other's largest value."""
    return float((ours - other).abs().max() / other.abs().max().clamp(min=1e-30))


def _attention_flops(query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
    # Two matrix products, queries by keys and their shares by values.
    *batch, queries, width = query
    return 2 * prod(batch) * queries * key[-2] * (width + value[-1])


def timed(call: Callable[[], Any]) -> tuple[float, float, Any]:
    """(wall seconds, CPU seconds of all threads, result)."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = call()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - wall, time.process_time() - cpu, result


def start_peak() -> float | None:
    """Resident MiB now, with the kernel's peak set back to it; None where there is no such kernel."""
    reset = Path("/proc/self/clear_refs")
    if not reset.exists():
        return None
    reset.write_text("5")
    return memory_mib("VmRSS")


def memory_mib(name: str) -> float:
    """A figure of this process, as Linux names it: VmRSS is what it holds, VmHWM the most that it held."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name + ":")) / 1024


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or "unknown"
