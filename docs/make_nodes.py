"""Writes nodes.md, the reference of all nodes: ``python docs/make_nodes.py``; with --check, says whether it is stale.

It needs no ComfyUI: what the nodes look like is recorded in tests/host/object_info.json, and what they say in
locales/en/nodeDefs.json. ``tests/host/make_files.py`` makes both from the nodes in a running host.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from draganything_core.atomic import write_text

ROOT = Path(__file__).parents[1]
PAGE = Path(__file__).parent / "nodes.md"
NODES = json.loads((ROOT / "tests" / "host" / "object_info.json").read_text(encoding="utf-8"))
WORDS = json.loads((ROOT / "locales" / "en" / "nodeDefs.json").read_text(encoding="utf-8"))

OPENING = """\
# Nodes

Made by `docs/make_nodes.py` from the nodes' schemas; do not edit it. Each name leads to the node's help page, which
ComfyUI shows too. Types with `DRAGANYTHING_` in front are this pack's own; pixels are those of the canvas unless said
otherwise.
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if nodes.md is out of date")
    if not parser.parse_args().check:
        write_text(PAGE, page())
    elif not PAGE.is_file() or PAGE.read_text(encoding="utf-8") != page():
        print("docs/nodes.md is out of date. Run: python docs/make_nodes.py", file=sys.stderr)
        return 1
    return 0


def page() -> str:
    """The whole reference, nodes in the order of their display names."""
    kinds = sorted(NODES, key=lambda kind: WORDS[kind]["display_name"])
    contents = [f"| [{WORDS[kind]['display_name']}](../web/docs/{kind}.md) | `{kind}` |" for kind in kinds]
    table = "\n".join(["| node | id in graphs |", "|---|---|", *contents])
    return "\n".join([OPENING, table, "", *map(section, kinds)])


def section(kind: str) -> str:
    """One node: what it does, its inputs and its outputs."""
    node, words = NODES[kind], WORDS[kind]
    parts = [f"## {words['display_name']}", "", words["description"], ""]
    inputs = [
        input_row(name, entry, group, words["inputs"][name]["tooltip"])
        for group in ("required", "optional")
        for name, entry in node["input"].get(group, {}).items()
    ]
    if inputs:
        parts += ["| input | type | default | allowed | meaning |", "|---|---|---|---|---|", *inputs, ""]
    outputs = [
        f"| `{name}` | {kind} | {words['outputs'][str(index)]['tooltip']} |"
        for index, (name, kind) in enumerate(zip(node["output_name"], node["output"], strict=True))
    ]
    if outputs:
        parts += ["| output | type | meaning |", "|---|---|---|", *outputs, ""]
    return "\n".join(parts)


def input_row(name: str, entry: list[Any], group: str, meaning: str) -> str:
    """One row: optional inputs say so, and a default or limits stand where the schema has them."""
    kind, options = entry[0], entry[1] if len(entry) > 1 else {}
    title = f"`{name}` (optional)" if group == "optional" else f"`{name}`"
    default = f"`{json.dumps(options['default'])}`" if options.get("default") not in (None, "") else ""
    return f"| {title} | {kind} | {default} | {allowed(options)} | {one_line(meaning)} |"


def allowed(options: dict[str, Any]) -> str:
    """The choices, or the smallest and largest number."""
    if options.get("options"):
        return ", ".join(f"`{choice}`" for choice in options["options"])
    if "min" in options and "max" in options:
        return f"{options['min']:g} to {options['max']:.16g}"
    return ""


def one_line(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    sys.exit(main())
