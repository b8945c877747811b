"""Text that other tools exchange: JSON, or Python's own spelling of it with single quotes. Nothing is evaluated."""

from __future__ import annotations

import ast
import json
import math
from typing import Any

FARTHEST_PIXEL = 1_000_000  # the limit of a motion document's coordinates
LARGEST_EXACT_INTEGER = 2**53  # beyond it a float no longer tells whole numbers apart
LONGEST_LITERAL = 500_000  # characters that are not JSON: reading them takes half a kilobyte of memory for each


def parse_text(text: str, what: str) -> Any:
    """The value in a text that is JSON, else a Python literal (single quotes, tuples).

    ``what`` names the text in errors. Raises ValueError when it is neither, when an object repeats a key (one of the
    two would vanish), or when it is nested deeper than any track is.
    """
    try:
        return json.loads(text, object_pairs_hook=lambda pairs: _without_repeats(pairs, what))
    except json.JSONDecodeError as error:
        not_json = error
    except RecursionError:
        raise ValueError(f"{what}: nested too deeply to be tracks") from None
    if len(text) > LONGEST_LITERAL:
        raise ValueError(
            f"{what}: not JSON ({not_json.msg} at line {not_json.lineno}, column {not_json.colno}), and with "
            f"{len(text)} characters too long for a Python list, which may have {LONGEST_LITERAL}"
        )
    try:
        return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        raise ValueError(
            f"{what}: neither JSON nor a Python list: {not_json.msg} at line {not_json.lineno}, "
            f"column {not_json.colno}, near {_near(text, not_json.pos)!r}"
        ) from None


def number(value: Any, where: str) -> float:
    """The value as a float; ValueError naming the place unless it is a finite number."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"{where}: expected a number, got {value!r}")
    try:
        as_float = float(value)
    except OverflowError:
        as_float = math.inf
    if not math.isfinite(as_float):
        raise ValueError(f"{where}: expected a finite number, got {value!r:.40}")
    return as_float


def pixel(value: Any, where: str) -> float:
    """The value as a coordinate that a document can hold; ValueError naming the place otherwise."""
    position = number(value, where)
    if abs(position) > FARTHEST_PIXEL:
        raise ValueError(f"{where}: expected pixels between -{FARTHEST_PIXEL} and {FARTHEST_PIXEL}, got {position:g}")
    return position


def plain(value: float) -> int | float:
    """The number as these files write it: whole ones without a fraction."""
    return int(value) if value.is_integer() and abs(value) <= LARGEST_EXACT_INTEGER else value


def _without_repeats(pairs: list[tuple[str, Any]], what: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"{what}: the key {key!r} occurs twice; rename one of the two")
        found[key] = value
    return found


def _near(text: str, position: int) -> str:
    return text[max(position - 10, 0) : position + 20]
