"""What the README shows must work: its document is valid, its links lead somewhere, its Python runs."""

import re
from pathlib import Path

import pytest

from draganything_core.document import document_from_json

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_the_document_is_valid():
    (example,) = blocks("json")
    document = document_from_json(example)
    assert [entity.name for entity in document.entities] == ["kite", "tree"]
    assert document.camera is not None


def test_local_links_lead_somewhere():
    targets = [target for target in re.findall(r"\]\(([^)]+)\)", README) if not target.startswith("http")]
    assert targets
    assert [target for target in targets if not (ROOT / target).exists()] == []


def test_the_two_commands_come_first():
    assert README.index("make demo") < README.index("make test") < README.index("Take a picture")


@pytest.mark.slow
def test_the_python_runs(monkeypatch):
    monkeypatch.chdir(ROOT)
    (example,) = blocks("python")
    # Fewer steps than a user takes: the same calls.
    shortened = example.replace("Size(192, 320))", "Size(64, 96), Sampling(num_inference_steps=1))")
    assert shortened != example
    names = {}
    exec("from draganything_core.generation import Sampling\n" + shortened, names)
    assert names["frames"].shape == (14, 3, 64, 96)
