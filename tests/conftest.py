"""Lets tests import the modules they share: golden checks, strategies and small networks."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
for folder in ("core", "goldens"):
    sys.path.insert(0, str(HERE / folder))
