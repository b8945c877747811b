"""Whether JSON is a motion document, and if not, where and why: text, then shape, then meaning.

The shape is document.schema.json's alone; what a schema cannot say (names that must exist, times in order) stands
here. The first thing that is wrong is refused, with its JSON path.
"""

from __future__ import annotations

import difflib
import json
import math
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, NoReturn

from jsonschema import Draft202012Validator, ValidationError

MAX_DEPTH = 100  # levels of nesting; a document needs eight, the rest is for tools' own data in "extra"

_TYPE_NAMES = {
    "object": "an object",
    "array": "a list",
    "string": "text",
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
}


class DocumentError(ValueError):
    """A motion document that is refused: ``json_path`` says where, ``reason`` what was found and what was expected."""

    def __init__(self, json_path: str, reason: str) -> None:
        super().__init__(f"{json_path}: {reason}")
        self.json_path = json_path
        self.reason = reason


class _RepeatedKey(dict[str, Any]):
    """Stands in the parsed tree for an object that has a key twice, until its place is known."""

    def __init__(self, key: str) -> None:
        super().__init__()
        self.key = key


def parse_text(text: str) -> Any:
    """The JSON value of a text, still to go through ``check_json``. Raises DocumentError where it is not JSON."""
    try:
        return json.loads(text, object_pairs_hook=_object_of)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise DocumentError("$", f"found text that is not JSON ({error.msg} at {place}), expected JSON") from None
    except RecursionError:
        raise DocumentError("$", f"found nesting deeper than {MAX_DEPTH} levels. Flatten it.") from None
    except ValueError as error:  # a whole number with thousands of digits
        raise DocumentError("$", f"found a number that cannot be read ({error}). Write a shorter one.") from None


def check_json(value: Any, path: str = "$", depth: int = 0) -> None:
    """Refuses what JSON cannot hold: NaN, infinities, repeated keys, half surrogate pairs, Python's own types."""
    if depth > MAX_DEPTH:
        raise DocumentError(path, f"found nesting deeper than {MAX_DEPTH} levels. Flatten it.")
    if isinstance(value, _RepeatedKey):
        raise DocumentError(member(path, value.key), "found this key twice, expected it once. Remove one of the two.")
    if isinstance(value, float):
        if not math.isfinite(value):
            raise DocumentError(path, f"found {value}, expected a finite number. Write one.")
    elif isinstance(value, str):
        _check_unicode(value, path)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            check_json(item, f"{path}[{index}]", depth + 1)
    elif isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise DocumentError(path, f"found the key {key!r}, expected keys to be text. Write it as text.")
            _check_unicode(key, path)
            check_json(item, member(path, key), depth + 1)
    elif value is not None and not isinstance(value, bool | int):
        kind = type(value).__name__
        raise DocumentError(path, f"found a {kind}, expected what JSON holds: object, list, text, number, true, null.")


def check_shape(data: Any, version: int) -> None:
    """Refuses what the schema of that version of the format refuses."""
    error = next(_validator(version).iter_errors(data), None)
    if error is not None:
        _refuse(error)


def check_meaning(data: dict[str, Any]) -> None:
    """Refuses what has the current version's shape and still makes no sense."""
    entities, paths = data.get("entities", []), data.get("paths", [])
    _check_ids(entities)
    known = [entity["id"] for entity in entities]
    for index, path in enumerate(paths):
        place = f"$.paths[{index}]"
        if path["entity"] not in known:
            raise DocumentError(
                f"{place}.entity",
                f"found {path['entity']}, expected the id of an entity of this document ({known}). "
                "Add the entity or remove the path.",
            )
        _check_interval(path, place)
        _check_spans(path.get("visible", []), f"{place}.visible")
        _check_radius_keys(path.get("radius_keys", []), f"{place}.radius_keys")
    camera = data.get("camera")
    if camera is not None:
        if "pan" not in camera and "zoom" not in camera:
            raise DocumentError("$.camera", "found neither pan nor zoom, expected one or both. Add one or drop camera.")
        _check_interval(camera, "$.camera")


def member(path: str, key: str) -> str:
    """The JSON path of an object's member: ``$.paths``, or ``$["two words"]`` where the key is not a plain name."""
    return f"{path}.{key}" if key.isidentifier() and key.isascii() else f"{path}[{json.dumps(key)}]"


def shown(value: Any) -> str:
    """A value as JSON for a message, cut where it is long."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."


@cache
def _schema() -> dict[str, Any]:
    schema: dict[str, Any] = json.loads(Path(__file__).with_name("document.schema.json").read_text(encoding="utf-8"))
    return schema


@cache
def _validator(version: int) -> Draft202012Validator:
    schema = _schema()
    if version == schema["properties"]["version"]["const"]:
        return Draft202012Validator(schema)
    return Draft202012Validator({"$ref": f"#/$defs/version_{version}", "$defs": schema["$defs"]})


def _object_of(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) == len(pairs):
        return result
    keys = [key for key, _ in pairs]
    return _RepeatedKey(next(key for key in keys if keys.count(key) > 1))


def _check_unicode(text: str, path: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise DocumentError(path, "found half of a surrogate pair in a text. Remove that character.") from None


def _refuse(error: ValidationError) -> NoReturn:
    """Turns the validator's error into ours: the same facts at the member's own path, with the field's meaning."""
    path = "$" + "".join(f"[{part}]" if isinstance(part, int) else member("", part) for part in error.absolute_path)
    schema: Any = error.schema
    limit: Any = error.validator_value
    found: Any = error.instance
    if error.validator == "required":
        key = next(key for key in limit if key not in found)
        raise DocumentError(
            member(path, key), f"found nothing, expected {_meaning(schema['properties'][key])}. Add it."
        )
    if error.validator == "additionalProperties":
        known = list(schema["properties"])
        key = next(key for key in found if key not in known)
        guess = "".join(f" or write {match}" for match in difflib.get_close_matches(key, known, n=1))
        raise DocumentError(
            member(path, key), f"found an unknown key, expected one of {', '.join(known)}. Remove it{guess}."
        )
    meaning = _meaning(schema)
    if error.validator == "pattern":  # people read its description better
        raise DocumentError(path, f"found {shown(found)}, expected {meaning}. Change it.")
    expected = _expectation(str(error.validator), limit, schema)
    raise DocumentError(path, f"found {shown(found)}, expected {expected} ({meaning}). Change it.")


def _expectation(keyword: str, limit: Any, schema: dict[str, Any]) -> str:
    match keyword:
        case "type":
            return " or ".join(_TYPE_NAMES[name] for name in ([limit] if isinstance(limit, str) else limit))
        case "const":
            return shown(limit)
        case "enum":
            return "one of " + ", ".join(shown(choice) for choice in limit)
        case "minimum":
            return f"at least {limit}"
        case "maximum":
            return f"at most {limit}"
        case "exclusiveMinimum":
            return f"more than {limit}"
        case "minItems" | "maxItems":
            return f"{'exactly' if schema.get('maxItems') == schema['minItems'] else 'at least'} {limit} in the list"
        case "minProperties" | "maxProperties":
            return f"{limit} of {', '.join(schema['properties'])}"
    raise NotImplementedError(f"document.schema.json uses {keyword}, which has no words here yet")


def _meaning(schema: dict[str, Any]) -> str:
    """What a field is, from its description, to stand inside a sentence."""
    while "description" not in schema and "$ref" in schema:
        schema = _schema()["$defs"][schema["$ref"].removeprefix("#/$defs/")]
    text = str(schema.get("description", "")).removesuffix(".")
    return text[:1].lower() + text[1:]


def _check_ids(entities: list[dict[str, Any]]) -> None:
    first_with: dict[int, int] = {}
    for index, entity in enumerate(entities):
        if entity["id"] in first_with:
            raise DocumentError(
                f"$.entities[{index}].id",
                f"found {entity['id']}, which entity {first_with[entity['id']]} of the list has too, "
                "expected ids that differ. Give it a number of its own.",
            )
        first_with[entity["id"]] = index


def _check_interval(move: dict[str, Any], place: str) -> None:
    start, end = move.get("start", 0), move.get("end", 1)
    if not start < end:
        at = f"{place}.end" if "end" in move else f"{place}.start"
        raise DocumentError(at, f"found start {start} and end {end}, expected start < end. Move one of them.")


def _check_spans(spans: list[list[float]], place: str) -> None:
    for index, (start, end) in enumerate(spans):
        if start > end:
            raise DocumentError(f"{place}[{index}]", f"found [{start}, {end}], expected from <= to. Swap the two.")
        if index and start < spans[index - 1][1]:
            raise DocumentError(
                f"{place}[{index}]",
                f"found a span from {start} after one that ends at {spans[index - 1][1]}, "
                "expected spans in order that do not overlap. Sort or merge them.",
            )


def _check_radius_keys(keys: list[dict[str, float]], place: str) -> None:
    for index, (before, key) in enumerate(pairwise(keys), start=1):
        if not before["time"] < key["time"]:
            raise DocumentError(
                f"{place}[{index}].time",
                f"found {key['time']} after {before['time']}, expected times that grow. Sort or merge the keys.",
            )
