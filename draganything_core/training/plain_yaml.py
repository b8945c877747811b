"""YAML as plain data, by YAML 1.2's few rules for what a bare word is.

YAML 1.1, which PyYAML follows by itself, reads 1e-5 as text, no as false, 010 as 8, 1:30 as 90, 2024-01-01 as a date.
"""

from __future__ import annotations

import re
from typing import Any

import yaml


def read_yaml(text: str) -> Any:
    """The data in a YAML text: null, bool, int, float, str, list, dict with text for keys; no classes, ever.

    Raises ValueError saying what is wrong and in which line, also for a key that stands there twice.
    """
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        place = "" if error.problem_mark is None else f", line {error.problem_mark.line + 1}"
        raise ValueError(f"{error.problem or error.context}{place}") from error
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from error


def write_yaml(data: Any) -> str:
    """The data as YAML, mappings in lines of their own, lists and tuples in one line; ``read_yaml`` reads it back.

    Tuples come back as lists.
    """
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


class _PlainWords:
    # Which words are what, for reading and for writing, which quotes text that looks like something else.
    yaml_implicit_resolvers: dict[str, list[Any]] = {}  # noqa: RUF012 (PyYAML's own form)


class _Loader(_PlainWords, yaml.SafeLoader):
    """SafeLoader with those rules, which refuses keys that stand there twice or are not text."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if key.tag != "tag:yaml.org,2002:str":
                raise yaml.constructor.ConstructorError(None, None, "a key must be text; quote it", key.start_mark)
            if key.value in seen:
                problem = f"the key {key.value} stands there twice"
                raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)

    def construct_decimal(self, node: yaml.ScalarNode) -> int:
        return int(node.value.replace("_", ""))


class _Dumper(_PlainWords, yaml.SafeDumper):
    """SafeDumper that writes lists in one line, and what occurs twice twice."""

    def ignore_aliases(self, _data: Any) -> bool:
        return True

    def represent_in_line(self, data: Any) -> yaml.SequenceNode:
        return self.represent_sequence("tag:yaml.org,2002:seq", data, flow_style=True)

    def represent_text(self, data: str) -> yaml.ScalarNode:
        # PyYAML writes these line breaks of Unicode as they are and reads them back as others, unless escaped.
        style = '"' if set(data) & set("\x85\u2028\u2029") else None
        return self.represent_scalar("tag:yaml.org,2002:str", data, style)


for _tag, _pattern, _first_characters in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9][0-9_]*", list("-+0123456789")),
    ("float", r"[-+]?(?:\.[0-9]+|[0-9][0-9_]*(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", list("-+.0123456789")),
):
    for _side in (_Loader, _Dumper):
        _side.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"(?:{_pattern})\Z"), _first_characters)
_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_decimal)
for _sequence in (list, tuple):
    _Dumper.add_representer(_sequence, _Dumper.represent_in_line)
_Dumper.add_representer(str, _Dumper.represent_text)
