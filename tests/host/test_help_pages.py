"""Every node has a help page, and the page tells of every input and output."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NODES = json.loads((Path(__file__).parent / "object_info.json").read_text())
PAGES = {path.stem: path.read_text() for path in (ROOT / "web" / "docs").glob("*.md")}


def test_pages_and_nodes_belong_together():
    assert PAGES.keys() == NODES.keys()


@pytest.mark.parametrize("kind", NODES)
def test_a_page_tells_of_every_input_and_output(kind):
    page, node = PAGES[kind], NODES[kind]
    inputs = {name for group in ("required", "optional") for name in node["input"].get(group, {})}
    assert described(page, "Inputs") == inputs
    assert described(page, "Outputs") == set(node["output_name"])
    assert "\n## Example\n" in page


def described(page, heading):
    """The names that the list under a heading starts its entries with."""
    section = re.search(rf"\n## {heading}\n(.*?)(?=\n## |\Z)", page, re.DOTALL)
    entries = re.findall(r"^- (.*?)(?: \(optional\))?:", section[1], re.MULTILINE) if section else []
    return {name for entry in entries for name in re.findall(r"`(\w+)`", entry)}
