"""Says loudly, at the end of a run, that nothing was tested inside ComfyUI."""

from __future__ import annotations

from typing import Any

collect_ignore = ["inside"]  # run by test_in_comfyui.py, in a process of its own


def pytest_terminal_summary(terminalreporter: Any) -> None:
    skipped = [report for report in terminalreporter.stats.get("skipped", []) if "tests/host/" in report.nodeid]
    for report in skipped:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        terminalreporter.section("ComfyUI", sep="!", red=True)
        terminalreporter.write_line(reason, red=True)
