"""What a move of the pointer costs in the trajectory editor, in Chromium; absent where there is none."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.measuring import ROOT

MEASURE = ROOT / "tests" / "browser" / "measure_editor.py"
PATIENCE = 300  # seconds


def editor_frames() -> dict[str, Any]:
    """Milliseconds of the page's main thread and bytes, as ``make measure-editor`` gives them, or {"absent": why}."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "figures.json"
        command = [sys.executable, str(MEASURE), "--json", str(file)]
        try:
            run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            return {"absent": f"the browser was not done after {PATIENCE} s"}
        if not file.is_file():
            return {"absent": (run.stderr.strip().splitlines() or ["the browser said nothing"])[-1]}
        figures: dict[str, Any] = json.loads(file.read_text("utf-8"))
    return figures
