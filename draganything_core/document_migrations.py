"""Older versions of the motion document, brought up to date one version at a time. JSON in, JSON out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

_CURVES = {"linear": "polyline", "catmull_rom": "catmull_rom"}


def migrated(data: dict[str, Any], version: int, target: int) -> dict[str, Any]:
    """The same document in the target version's form; data has the shape of ``version`` and is left as it was."""
    for step in range(version, target):
        data = MIGRATIONS[step](data)
    return data


def from_version_1(data: dict[str, Any]) -> dict[str, Any]:
    """Version 1 kept one line inside each entity; version 2 keeps lines in a list of their own."""
    entities = data["entities"]
    return {
        "format": "draganything-motion",
        "version": 2,
        "size": data["size"],
        "frames": data["frames"],
        "entities": [
            {key: value for key, value in entity.items() if key not in ("control_points", "interpolation")}
            for entity in entities
        ],
        "paths": [
            {
                "entity": entity["id"],
                "points": entity["control_points"],
                "curve": _CURVES[entity["interpolation"]],
            }
            for entity in entities
            if entity["control_points"]
        ],
    }


# version -> what makes the next version of it
MIGRATIONS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {1: from_version_1}
