"""The shipped sample: a picture with two things in it that move."""

from __future__ import annotations

from pathlib import Path

from draganything_core import tiny
from draganything_core.generation import Motion, resolve_motion
from draganything_core.motion_input import read_motion
from draganything_core.segment import GrabCutSegmenter

SAMPLE = Path(tiny.__file__).parent / "sample" / "motion.json"


def sample_motion() -> Motion:
    return resolve_motion(read_motion(SAMPLE), GrabCutSegmenter())
