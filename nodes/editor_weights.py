"""What the weights linked to the trajectory editor can follow, from their configuration: no tensor is read."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from typing import Any

from ..draganything_core.controlnet import ALLOWED_VALUES, SvdControlNet
from ..draganything_core.tiny import WEIGHTS
from ..draganything_core.weights import DEFAULT_PRESET, PRESETS, describe_weights, preset_choices
from .editor_requests import LONGEST_NAME, Answer, RefusedError
from .loaders import FROM_WEIGHTS, weight_names, weights_path

TINY = "tiny"  # the model that ships; the names of others begin with their folder
KEYS = ("anchor", "geometry", "max_radius", "max_radius_size", "size", "frames")


def asked_choices(query: Mapping[str, str]) -> tuple[str, str | None]:
    """The weights' name and the preset in a request's address. Raises RefusedError."""
    name, preset = query.get("name", ""), query.get("preset", FROM_WEIGHTS)
    if not 0 < len(name) <= LONGEST_NAME:
        raise RefusedError(400, f"name: expected a text of 1 to {LONGEST_NAME} characters, got {name!r:.60}")
    if preset != FROM_WEIGHTS and preset not in PRESETS:
        raise RefusedError(422, f"preset: expected one of {', '.join(sorted(PRESETS))}, got {preset!r:.60}")
    return name, None if preset == FROM_WEIGHTS else preset


def weights_choices(name: str, preset: str | None) -> Answer:
    """The anchor, the largest disc (px at max_radius_size), and the native size and frames of weights.

    name: as the loader's choice has it, or "tiny". Those that are in none of the host's model folders are refused.
    max_speed: px that a disc may go from one frame to the next at the native size; None where the weights do not say.
    """
    if name != TINY and name not in weight_names():
        raise RefusedError(422, f"name: there are no weights {name!r:.80}. Choose others, or refresh with R.")
    try:
        description = describe_weights(WEIGHTS / "controlnet" if name == TINY else weights_path(name))
    except (ValueError, OSError):  # their messages name folders of this machine
        raise RefusedError(422, f"name: {name!r:.80} cannot be read as weights; the loader says why") from None
    config = dict(description.config or {})
    if preset is not None or not description.has_choices:
        config |= preset_choices(preset or DEFAULT_PRESET)
    return checked_choices(defaults() | config, name)


def defaults() -> dict[str, Any]:
    """The choices of weights that name none."""
    arguments = inspect.signature(SvdControlNet.__init__).parameters
    return {key: arguments[key].default for key in KEYS}


def checked_choices(config: Mapping[str, Any], name: str) -> Answer:
    """The choices in a configuration, as JSON. Raises RefusedError where one is none."""
    for key in ("anchor", "geometry"):
        if config[key] not in ALLOWED_VALUES[key]:
            raise _refused(name, key, config[key])
    answer: Answer = {"anchor": config["anchor"], "geometry": config["geometry"]}
    for key in ("max_radius", "max_speed"):
        value = config.get(key)
        if value is not None and not _is_positive(value):
            raise _refused(name, key, value)
        answer[key] = value
    for key in ("max_radius_size", "size"):
        sides = config[key]
        if not isinstance(sides, (list, tuple)) or len(sides) != 2 or not all(map(_is_positive, sides)):
            raise _refused(name, key, sides)
        answer[key] = {"height": sides[0], "width": sides[1]}
    if not _is_positive(config["frames"]):
        raise _refused(name, "frames", config["frames"])
    return answer | {"frames": config["frames"]}


def _is_positive(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0 and math.isfinite(value)


def _refused(name: str, key: str, value: Any) -> RefusedError:
    return RefusedError(422, f"name: {name!r:.80} has {value!r:.60} as {key} in its configuration; copy it again")
