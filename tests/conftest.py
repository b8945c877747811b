"""Lets tests import the modules they share: golden checks, strategies and small networks."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from hypothesis import settings

HERE = Path(__file__).parent
for folder in ("core", "goldens"):
    sys.path.insert(0, str(HERE / folder))

# New examples at every desk; the same ones in CI, where a failure must be of the change and not of the dice. Shared
# machines are slow at times, so no example has a deadline.
settings.register_profile("desk", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "desk")
