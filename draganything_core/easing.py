"""When things happen: the clip time of each frame, and how far along its line a disc is at that time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .document import Easing

Array = NDArray[np.float64]

# CSS Easing Functions, section "cubic Bezier easing": handles (x1, y1, x2, y2).
CUBIC_BEZIERS: dict[str, tuple[float, float, float, float]] = {
    "ease_in": (0.42, 0.0, 1.0, 1.0),
    "ease_out": (0.0, 0.0, 0.58, 1.0),
    "ease_in_out": (0.42, 0.0, 0.58, 1.0),
}
HALVINGS = 60  # of the interval 0..1: past the last bit of a float64, and well past the 1e-12 that is promised


def frame_times(frames: int) -> Array:
    """(T,) clip time of each frame: i / (T - 1), so 0 is the first frame and 1 the last; a lone frame is at 0."""
    if isinstance(frames, bool) or not isinstance(frames, int) or frames < 1:
        raise ValueError(f"frames must be a whole number >= 1, got {frames!r}")
    return np.arange(frames, dtype=np.float64) / max(frames - 1, 1)


def progress(easing: Easing, start: float, end: float, frames: int) -> Array:
    """(T,) progress 0..1 along the line in each frame: at rest before ``start`` and after ``end`` (clip times).

    A curve that overshoots is held at 0 or 1: a disc never leaves its line.
    """
    if not start < end:
        raise ValueError(f"a motion must start before it ends, got start {start} and end {end} (clip times 0..1)")
    return np.clip(eased(easing, np.clip((frame_times(frames) - start) / (end - start), 0.0, 1.0)), 0.0, 1.0)


def eased(easing: Easing, time: Array) -> Array:
    """The easing's value at each time 0..1: 0 at 0 and 1 at 1, exactly."""
    if easing.kind == "linear":
        return time
    x1, y1, x2, y2 = _handles(easing)
    value = _bezier(_parameter_at(time, x1, x2), y1, y2)
    return np.where(time <= 0.0, 0.0, np.where(time >= 1.0, 1.0, value))


def _handles(easing: Easing) -> tuple[float, float, float, float]:
    handles = easing.bezier if easing.kind == "cubic_bezier" else CUBIC_BEZIERS.get(easing.kind)
    if handles is None:
        raise ValueError(
            f"easing {easing.kind!r} is unknown; choose linear, {', '.join(CUBIC_BEZIERS)} or cubic_bezier"
        )
    if not (0.0 <= handles[0] <= 1.0 and 0.0 <= handles[2] <= 1.0):
        raise ValueError(f"easing {handles}: x1 and x2 must lie within 0..1, or time would run backwards")
    return handles


def _parameter_at(time: Array, x1: float, x2: float) -> Array:
    # Bisection alone, without Newton's steps: x never falls with the parameter, so this cannot fail where the slope
    # is zero, and any language that halves the same way finds the same bits.
    low, high = np.zeros_like(time), np.ones_like(time)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        below = _bezier(middle, x1, x2) < time
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return (low + high) / 2


def _bezier(parameter: Array, first: float, second: float) -> Array:
    """Cubic Bezier from 0 to 1 with the handles' values ``first`` and ``second``."""
    rest = 1.0 - parameter
    return 3.0 * rest * rest * parameter * first + 3.0 * rest * parameter * parameter * second + parameter**3
