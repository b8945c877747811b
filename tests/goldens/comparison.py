"""One comparison of a computed value with a stored one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Comparison:
    """name: what was compared; error: its largest error; tolerance: the largest error allowed (0 = equal)."""

    name: str
    error: float
    tolerance: float

    @property
    def passed(self) -> bool:
        # Written so that an error that is not a number fails.
        return self.error <= self.tolerance

    def __str__(self) -> str:
        verdict = "ok  " if self.passed else "FAIL"
        return f"{verdict} {self.name}: largest error {self.error:.3g}, allowed {self.tolerance:.3g}"


def relative_to_max(name: str, computed: np.ndarray, golden: np.ndarray, tolerance: float) -> Comparison:
    """Largest absolute difference as a share of the golden's largest absolute value; infinite if shapes differ."""
    if computed.shape != golden.shape:
        return Comparison(f"{name} (shape {computed.shape}, expected {golden.shape})", float("inf"), tolerance)
    scale = float(np.abs(golden).max()) or 1.0
    error = float(np.abs(computed.astype(np.float64) - golden.astype(np.float64)).max())
    return Comparison(name, error / scale, tolerance)
