"""Training configs as YAML files: read with overrides from a command line, checked key by key, and written back.

Files and overrides are plain data, held against the dataclasses of ``config``: nothing in them is run, imported or
looked up in the environment, and no other class can be named.
"""

from __future__ import annotations

import inspect
import re
import shlex
import sys
from collections.abc import Iterator, Sequence
from dataclasses import MISSING, asdict, fields, is_dataclass
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from .config import TrainingConfig
from .plain_yaml import read_yaml, write_yaml

SHIPPED = Path(__file__).parent / "configs"


def load_config(file: Path | str, overrides: Sequence[str] = ()) -> TrainingConfig:
    """The config in a YAML file, with some of its values overridden.

    file: a path, or a name such as "paper.yaml": see ``find_config``.
    overrides: in the form of a command line, ["--optimizer.lr", "2e-5"] or ["--optimizer.lr=2e-5"], the last one wins.
    Names are the dotted keys of the file, dashes count as underscores. A value is text where the key is text, else
    YAML: 25, null, "[25, 20]"; a switch without a value is true. A section's parts are overridden one by one, also
    where the file has none of them; a section given as a whole, "{seed: 4}" or null, replaces the file's.
    Lists become tuples, inside free sections such as control.choices too.

    Raises FileNotFoundError if there is no such file, and ValueError naming the file, the dotted key, what was given
    and what is expected: for a key that does not exist or stands there twice, a value of another kind, a value that is
    missing, or values that the dataclasses refuse.
    """
    path = find_config(file)
    where = f"{path} with {shlex.join(overrides)}" if overrides else str(path)
    try:
        tree = _read_tree(path)
        for name, text in _named_values(overrides):
            _override(tree, name, text)
        config = _section(tree, TrainingConfig, "")
    except RecursionError as error:
        raise ValueError(f"{where}: nested too deeply, or a part that contains itself") from error
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error
    assert isinstance(config, TrainingConfig)
    return config


def config_to_yaml(config: TrainingConfig) -> str:
    """The config as YAML with every value written out; ``load_config`` reads an equal config from it.

    Lists inside free sections come back as tuples.
    """
    return write_yaml(asdict(config))


def find_config(file: Path | str) -> Path:
    """The file of that name: first as a path from the working directory, then, for a bare name, the package's own.

    Raises FileNotFoundError if it is neither.
    """
    path = Path(file)
    if path.is_file():
        return path
    if path.name == str(file) and (SHIPPED / path.name).is_file():
        return SHIPPED / path.name
    raise FileNotFoundError(
        f"{path}: no such file here, nor a config that comes with the package; those are {', '.join(shipped_configs())}"
    )


def shipped_configs() -> tuple[str, ...]:
    """Names of the configs that come with the package."""
    return tuple(sorted(file.name for file in SHIPPED.glob("*.yaml")))


def describe_keys() -> str:
    """All keys for a help text: each section's meaning, then its keys, what each holds and its default."""
    sections = dict(_sections(TrainingConfig, ""))
    described = [f"Configs that come with the package: {', '.join(shipped_configs())}. A file of that name wins."]
    for prefix, section in sections.items():
        described += ["", f"{prefix or 'top level'}: {inspect.getdoc(section)}", ""]
        for entry in fields(section):
            key, kind = _dotted(prefix, entry.name), _kinds(section)[entry.name]
            if key not in sections or _without_null(kind)[1]:  # a section that there may be none of is a value, too
                described.append(f"  --{key}: {_expectation(kind)}{_default(entry)}")
    return "\n".join(described)


def _read_tree(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"expected YAML in UTF-8, which this file is not ({error})") from error
    tree = read_yaml(text)
    if not isinstance(tree, dict):
        raise ValueError(f"expected keys with values, such as stage: controlnet, got {_shown(tree)}")
    return tree


def _named_values(arguments: Sequence[str]) -> Iterator[tuple[str, str | None]]:
    # (dotted key, text), the text None for a switch.
    rest = list(arguments)
    while rest:
        option = rest.pop(0)
        if not re.match(r"--[^-=]", option):
            raise ValueError(f"expected --dotted.key value, such as --optimizer.lr 2e-5, got {option!r}")
        name, equals, text = option[2:].partition("=")
        has_value = bool(equals) or (bool(rest) and not rest[0].startswith("--"))
        yield name.replace("-", "_"), text if equals else rest.pop(0) if has_value else None


def _override(tree: dict[str, Any], name: str, text: str | None) -> None:
    section, kind, key = tree, TrainingConfig, ""
    *outer, last = name.split(".")
    for part in outer:
        key = _dotted(key, part)
        kind = _kind_of_part(kind, part, key)
        if section.get(part) is None:
            section[part] = {}
        section = section[part]
        if not isinstance(section, dict):
            raise ValueError(f"{name}: cannot be set, because {key} is {_shown(section)}")
    section[last] = _override_value(text, _kind_of_part(kind, last, name), name)


def _kind_of_part(owner: Any, part: str, key: str) -> Any:
    # What a section's part holds, free sections holding anything.
    owner, _ = _without_null(owner)
    if owner is Any or get_origin(owner) is dict:
        return Any
    if not _is_section(owner):
        raise ValueError(f"{key}: there is no such key; {key.rpartition('.')[0]} holds {_expectation(owner)}")
    kinds = _kinds(owner)
    if part not in kinds:
        raise ValueError(f"{key}: there is no such key; {_advice(owner, key)}")
    return kinds[part]


def _override_value(text: str | None, kind: Any, key: str) -> Any:
    inner, may_be_null = _without_null(kind)
    if text is None and inner is bool:
        return True
    if text is None or not (text.strip() or inner is str):
        raise ValueError(f"{key}: needs a value, {_expectation(kind)}")
    if inner is str:  # as it stands: a path may well look like a number or hold a colon
        return None if text == "null" and may_be_null else text
    try:
        return read_yaml(text)
    except ValueError as error:
        raise ValueError(f"{key}: expected {_expectation(kind)}, got {text!r} ({error})") from error


def _section(values: Any, section: Any, key: str) -> Any:
    # The dataclass made of a mapping; an empty section has the defaults.
    values = {} if values is None else values
    if not isinstance(values, dict):
        raise ValueError(f"{key}: expected {_expectation(section)}, got {_shown(values)}")
    kinds = _kinds(section)
    for name in values:
        _kind_of_part(section, name, _dotted(key, name))
    missing = [entry.name for entry in fields(section) if _is_required(entry) and entry.name not in values]
    if missing:
        first = missing[0]
        raise ValueError(
            f"{', '.join(_dotted(key, name) for name in missing)} missing; {first}: {_expectation(kinds[first])}"
        )
    arguments = {name: _converted(value, kinds[name], _dotted(key, name)) for name, value in values.items()}
    try:
        return section(**arguments)
    except ValueError as error:
        if not key or str(error).startswith((f"{key}.", f"{key}:")):
            raise
        raise ValueError(f"{key}: {error}") from error


def _converted(value: Any, kind: Any, key: str) -> Any:
    # The value as the kind has it; ValueError if it is of another.
    inner, may_be_null = _without_null(kind)
    origin, parts = get_origin(inner), get_args(inner)
    if value is None and may_be_null:
        return None
    if _is_section(inner):
        return _section(value, inner, key)
    if origin is tuple and isinstance(value, list):
        kinds = parts[:1] * len(value) if parts[-1] is Ellipsis else parts
        if len(kinds) == len(value):
            return tuple(_converted(*pair, f"{key}[{n}]") for n, pair in enumerate(zip(value, kinds, strict=True)))
    if (origin is dict and isinstance(value, dict)) or inner is Any:
        return _free(value, key)
    if origin is Literal and isinstance(value, str) and value in parts:
        return value
    if inner is float and type(value) in (int, float) and abs(value) <= sys.float_info.max:
        return float(value)
    if inner in (int, bool, str) and type(value) is inner:
        return value
    raise ValueError(f"{key}: expected {_expectation(kind)}, got {_shown(value)}")


def _free(value: Any, key: str) -> Any:
    # Plain data of any form, lists as tuples.
    if isinstance(value, dict):
        return {name: _free(part, _dotted(key, name)) for name, part in value.items()}
    if isinstance(value, list):
        return tuple(_free(part, f"{key}[{n}]") for n, part in enumerate(value))
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise ValueError(f"{key}: expected numbers, text, true, false, null, or lists and sections of them, got {value!r}")


def _is_section(kind: Any) -> bool:
    return isinstance(kind, type) and is_dataclass(kind)


@cache
def _kinds(section: Any) -> dict[str, Any]:
    return get_type_hints(section)


def _without_null(kind: Any) -> tuple[Any, bool]:
    # (the kind of values other than null, whether null is one)
    if get_origin(kind) not in (Union, UnionType):
        return kind, False
    (inner,) = (part for part in get_args(kind) if part is not NoneType)
    return inner, True


def _sections(section: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    # (dotted key, dataclass) of a section and those inside it.
    yield prefix, section
    for name, kind in _kinds(section).items():
        inner, _ = _without_null(kind)
        if _is_section(inner):
            yield from _sections(inner, _dotted(prefix, name))


def _advice(section: Any, key: str) -> str:
    # What a key that does not exist may have been meant to be: one like it in its section, or of its name in another.
    prefix, _, name = key.rpartition(".")
    near = [_dotted(prefix, close) for close in get_close_matches(name, _kinds(section), n=1)]
    near = near or [_dotted(other, name) for other, part in _sections(TrainingConfig, "") if name in _kinds(part)]
    return f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(_kinds(section))}"


def _expectation(kind: Any) -> str:
    inner, may_be_null = _without_null(kind)
    origin, parts = get_origin(inner), get_args(inner)
    words = {int: "a whole number", float: "a finite number", bool: "true or false", str: "text", Any: "a value"}
    if origin is Literal:
        text = "one of " + ", ".join(parts) if len(parts) > 1 else parts[0]
    elif origin is tuple and parts[-1] is Ellipsis:
        text = f"a list [...], each {_expectation(parts[0])}"
    elif origin is tuple:
        text = f"[{', '.join(map(_expectation, parts))}]"
    elif _is_section(inner):
        text = f"a section with some of {', '.join(_kinds(inner))}"
    else:
        text = words.get(inner, "a section")
    return f"{text}, or null" if may_be_null else text


def _default(entry: Any) -> str:
    if _is_required(entry):
        return " (required)"
    default = entry.default if entry.default is not MISSING else entry.default_factory()
    written = write_yaml(default).removesuffix("...\n")  # which ends a lone word
    return f" ({written.strip()})"


def _is_required(entry: Any) -> bool:
    return entry.default is MISSING and entry.default_factory is MISSING


def _dotted(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if prefix else name


def _shown(value: Any) -> str:
    # A value as YAML has it, cut short.
    names = {None: "null", True: "true", False: "false"}
    text = names[value] if value is None or isinstance(value, bool) else repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
