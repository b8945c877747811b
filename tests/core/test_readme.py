"""What the README shows must work: its document is valid, its links lead somewhere, its Python runs."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from draganything_core.document import document_from_json

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.skipif(sys.version_info < (3, 11), reason="reads TOML")
def test_comfyuis_list_of_requirements_is_the_packages_own_without_torch():
    import tomllib

    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    listed = [line for line in (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines() if line[:1] != "#"]
    assert listed == [name for name in wanted if not name.startswith("torch")]


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_the_document_is_valid():
    (example,) = blocks("json")
    document = document_from_json(example)
    assert [entity.name for entity in document.entities] == ["kite", "tree"]
    assert document.camera is not None


def test_local_links_lead_somewhere():
    targets = [target for target in re.findall(r"\]\(([^)]+)\)", README) if target[:4] != "http" and target[0] != "#"]
    assert targets
    assert [target for target in targets if not (ROOT / target.partition("#")[0]).exists()] == []


def test_the_two_commands_come_first():
    assert README.index("make demo") < README.index("make test") < README.index("Take a picture")


@pytest.mark.slow
def test_the_python_runs():
    (example,) = blocks("python")
    # Fewer steps than a user takes: the same calls.
    shortened = example.replace("Size(128, 128))", "Size(64, 96), Sampling(num_inference_steps=1))")
    assert shortened != example
    script = f"from draganything_core.generation import Sampling\n{shortened}\nprint(tuple(frames.shape))"
    ran = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.strip() == "(8, 3, 64, 96)"
