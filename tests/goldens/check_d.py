"""Golden D: ObjMC of the published evaluation script, to the last digit, with its error cases."""

from __future__ import annotations

import json
import math
from pathlib import Path

from comparison import Comparison

from draganything_core.evaluation.objmc import objmc_reference


def is_objmc_golden(folder: Path) -> bool:
    return (folder / "expected.json").is_file() and any(_sets(folder))


def check_d(folder: Path) -> list[Comparison]:
    """One comparison a set named in expected.json: its printed value, or the error it ended with."""
    expected = json.loads((folder / "expected.json").read_text())
    return [_check_set(folder / name, outcome) for name, outcome in expected.items()]


def _check_set(folder: Path, outcome: str) -> Comparison:
    try:
        value = objmc_reference(folder / "gt", folder / "pred")
    except KeyError as error:
        matches = "KeyError" in outcome
        return Comparison(f"{folder.name}: {type(error).__name__}, expected {outcome!r}", 0 if matches else math.inf, 0)
    if "KeyError" in outcome:
        return Comparison(f"{folder.name}: {value!r}, expected {outcome!r}", math.inf, 0)
    expected = float(outcome.split()[-1])
    same = repr(value) == repr(expected)
    return Comparison(f"{folder.name}: {value!r}", 0 if same else abs(value - expected), 0)


def _sets(folder: Path) -> list[Path]:
    return [path.parent for path in folder.glob("*/gt") if (path.parent / "pred").is_dir()]
