"""What the README shows must work: its document is valid, its links lead somewhere, its Python runs."""

import re
import subprocess
import sys
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
def test_the_python_runs():
    (example,) = blocks("python")
    # Fewer steps than a user takes: the same calls.
    shortened = example.replace("Size(192, 320))", "Size(64, 96), Sampling(num_inference_steps=1))")
    assert shortened != example
    script = f"from draganything_core.generation import Sampling\n{shortened}\nprint(tuple(frames.shape))"
    ran = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.strip() == "(14, 3, 64, 96)"
