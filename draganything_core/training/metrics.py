"""Records of a run: metrics.jsonl, one line every few steps, and TensorBoard where it is asked for."""

from __future__ import annotations

import json
import math
import os
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from ..atomic import write_text
from .objective import SIGMA_BUCKETS, bucket_means, bucket_totals


class MetricsFile:
    """metrics.jsonl in a run's folder. On resuming, lines of steps that are done again are taken out first.

    A line that is still there then is not written again.
    """

    def __init__(self, file: Path, first_step: int) -> None:
        self.file = file
        self.kept: list[str] = []
        file.parent.mkdir(parents=True, exist_ok=True)
        if file.is_file():
            self.kept = [line for line in file.read_text("utf-8").splitlines() if _step_of(line) < first_step]
            write_text(file, "".join(f"{line}\n" for line in self.kept))

    def write(self, record: dict[str, Any]) -> None:
        """Appends one line, on the disk when this returns."""
        line = as_json(record)
        if line in self.kept:
            return
        with self.file.open("a", encoding="utf-8") as opened:
            opened.write(line + "\n")
            opened.flush()
            os.fsync(opened.fileno())


def as_json(record: dict[str, Any]) -> str:
    """One line, with null for figures that are not finite: JSON has no others."""
    finite = {
        name: None if isinstance(value, float) and not math.isfinite(value) else value for name, value in record.items()
    }
    return json.dumps(finite, allow_nan=False)


class TensorBoard:
    """The same figures for TensorBoard, which is not installed with this package."""

    def __init__(self, folder: Path, first_step: int) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise ImportError("tensorboard: true needs TensorBoard: pip install tensorboard") from error
        self.writer = SummaryWriter(str(folder), purge_step=first_step)

    def write(self, record: dict[str, Any]) -> None:
        for name, value in record.items():
            if isinstance(value, (int, float)) and name != "step":
                self.writer.add_scalar(name, value, record["step"])
        self.writer.flush()


class Window:
    """What happened between two lines: summed up step by step, read once, then empty again."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.clear()

    def clear(self) -> None:
        # On the CPU: not every device has float64.
        self.loss = torch.zeros(2, dtype=torch.float64)  # sum over samples, their number
        self.buckets = torch.zeros(len(SIGMA_BUCKETS) + 1, 2, dtype=torch.float64)
        self.grad_norm = 0.0
        self.steps = 0
        self.skipped = 0
        self.waited = 0.0
        self.began = time.perf_counter()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """What the block does is no part of the steps' time."""
        began = time.perf_counter()
        yield
        self.began += time.perf_counter() - began

    def add_losses(self, losses: torch.Tensor, sigmas: torch.Tensor | None) -> None:
        losses = losses.cpu().double()
        self.loss += torch.stack([losses.sum(), losses.new_tensor(len(losses))])
        if sigmas is not None:
            self.buckets += bucket_totals(sigmas.cpu(), losses)

    def record(self, losses: torch.Tensor, buckets: torch.Tensor) -> dict[str, Any]:
        """The line, from sums over all processes; skipped steps, whose loss was not finite, are in no mean."""
        seconds = time.perf_counter() - self.began
        steps = max(1, self.steps)
        total, count = losses.tolist()
        return {
            "loss": total / count if count else None,
            **{f"loss {name}": mean for name, mean in bucket_means(buckets).items()},
            "grad_norm": self.grad_norm / max(1, self.steps - self.skipped),
            "skipped_steps": self.skipped,
            "seconds_per_step": seconds / steps,
            "samples_per_second": count / seconds,
            "data_wait": self.waited / seconds,
            "memory_gib": _peak_memory(self.device) / 2**30,
        }


def _peak_memory(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _step_of(line: str) -> int:
    try:
        return int(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return sys.maxsize  # a line torn by a kill
