"""What the pages say must hold: links lead somewhere, commands and options exist, pictures and lists are up to date."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from PIL import Image

from draganything_core.document import CURRENT_VERSION, document_from_json, dumps

ROOT = Path(__file__).parents[2]
FOLDERS = (".", "docs", "web/docs", "draganything_core/tiny", "tests/goldens", "tests/goldens/*")
PAGES = sorted(page for folder in FOLDERS for page in ROOT.glob(f"{folder}/*.md"))
SCRIPTS = [
    *ROOT.glob("docs/make_*.py"),
    ROOT / "tests" / "host" / "make_pictures.py",
    ROOT / "benchmarks" / "scale.py",
]
SCHEMA = json.loads((ROOT / "draganything_core" / "document.schema.json").read_text(encoding="utf-8"))

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def prose(page):
    """A page's text without its fenced blocks."""
    return re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)


def links(page):
    """Where a page's links and pictures lead, but for other sites."""
    targets = re.findall(r"\]\(([^)\s]+)\)|<img[^>]* src=\"([^\"]+)\"", prose(page))
    return [target for pair in targets for target in pair if target and not re.match(r"[a-z]+:", target)]


@cache
def anchors(page):
    """The names under which a page's headings can be linked, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def leads_somewhere(page, target):
    path, _, anchor = target.partition("#")
    file = (page.parent / path).resolve() if path else page
    return file.exists() and (not anchor or anchor in anchors(file))


@every_page
def test_links_lead_somewhere(page):
    assert [target for target in links(page) if not leads_somewhere(page, target)] == []


def test_pages_with_links_were_found():
    """Keeps the test above from passing because nothing was read."""
    assert {ROOT / "README.md", ROOT / "docs" / "paper.md", ROOT / "web" / "docs" / "DragAnythingSample.md"} <= {*PAGES}
    assert len([target for page in PAGES for target in links(page)]) > 10


def code(page):
    """The lines of a page's fenced blocks and its inline code, continued lines joined, comments left out."""
    text = page.read_text(encoding="utf-8")
    blocks = re.findall(r"^```(\w*)\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    fenced = "".join(block for language, block in blocks if language in ("", "bash", "sh"))
    lines = re.sub(r"\\\n\s*", "", fenced).splitlines() + re.findall(r"`([^`]+)`", prose(page))
    return [re.sub(r"\s+# .*", "", line).strip() for line in lines]


def commands(page):
    """(module, options) of every command line of the package that a page shows."""
    found = [
        re.search(r"\bpython -m (draganything_core(?:\.\w+)+)(.*)|-m (draganything_core(?:\.\w+)+)(.*)", c)
        for c in code(page)
    ]
    pairs = [[part for part in match.groups() if part is not None] for match in found if match]
    return [(module, re.findall(r"(?<!\S)--[\w.-]+", rest)) for module, rest in pairs]


COMMANDS = sorted(
    {(module, option) for page in PAGES for module, options in commands(page) for option in ["", *options]}
)


def command_of(module):
    """What ``python -m module`` runs, of a module or a package."""
    package = importlib.util.find_spec(module).submodule_search_locations is not None
    return importlib.import_module(f"{module}.__main__" if package else module).main


@cache
def known_options(module):
    """The options that a command's --help names."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), pytest.raises(SystemExit):
        command_of(module)(["--help"])
    options = re.findall(r"--[A-Za-z][\w.-]*", printed.getvalue())
    keys = re.findall(r"^ +([a-z]\w*(?:\.\w+)*)(?=\s)", printed.getvalue(), re.MULTILINE)  # of the trainer's config
    return {*options, *(f"--{key}" for key in keys)}


@pytest.mark.slow
def test_commands_have_the_options_that_pages_show():
    """One test for all, so that torch is imported once."""
    shown = {(module, option) for module, option in COMMANDS if option}
    known = {(module, option) for module, _ in COMMANDS for option in known_options(module)}
    assert shown - known == set()


def test_commands_were_found():
    modules = {module for module, _ in COMMANDS}
    assert {f"draganything_core.{name}" for name in ("generate", "train", "evaluate", "convert")} <= modules
    assert ("draganything_core.generate", "--model") in COMMANDS


def test_make_has_the_targets_that_pages_show():
    targets = set(re.findall(r"^([a-z][\w-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    starts = [re.match(r"make ([a-z][\w-]*)", line) for page in PAGES for line in code(page)]
    shown = {match[1] for match in starts if match}
    assert {"demo", "test", "comfyui"} <= shown
    assert shown - targets == set()


def test_pictures_are_made_by_a_committed_script():
    scripts = "".join(script.read_text(encoding="utf-8") for script in SCRIPTS)
    sample = ROOT / "draganything_core" / "tiny" / "sample"
    shown = {
        (page.parent / target).resolve()
        for page in PAGES
        for target in links(page)
        if re.search(r"\.(png|webp|jpg|svg|gif)$", target)
    }
    assert ROOT / "docs" / "pictures" / "first_drag.webp" in shown
    assert [picture for picture in shown if picture.name not in scripts and picture.parent != sample] == []


def test_no_picture_is_left_over_or_large():
    scripts = "".join(script.read_text(encoding="utf-8") for script in SCRIPTS)
    pictures = list((ROOT / "docs" / "pictures").iterdir())
    assert pictures
    assert [picture.name for picture in pictures if picture.name not in scripts] == []
    assert [picture.name for picture in pictures if picture.stat().st_size > 150_000] == []


def test_each_help_page_shows_its_node_in_a_picture_that_a_script_makes():
    script = (ROOT / "docs" / "make_help_pictures.py").read_text(encoding="utf-8")
    pages = sorted((ROOT / "web" / "docs").glob("*.md"))
    assert len(pages) > 10
    without = [page.stem for page in pages if f"pictures/{page.stem}.webp" not in links(page)]
    assert without == []
    assert [page.stem for page in pages if f'"{page.stem}.webp": ' not in script] == []
    made = {picture.stem for picture in (ROOT / "web" / "docs" / "pictures").glob("*.webp")}
    assert [page.stem for page in pages if page.stem not in made] == [], "run docs/make_help_pictures.py NODE_ID"
    assert [page.stem for page in pages if Image.open(page.parent / "pictures" / f"{page.stem}.webp").width < 400] == []


def test_help_pages_are_light_and_no_picture_of_theirs_is_left_over():
    shown = {
        (page.parent / target).resolve() for page in (ROOT / "web" / "docs").glob("*.md") for target in links(page)
    }
    pictures = set((ROOT / "web" / "docs" / "pictures").iterdir())
    assert pictures - shown == set()
    assert sum(picture.stat().st_size for picture in pictures) < 1_500_000


def test_every_commands_help_shows_an_example():
    """The docstring is what --help prints; read as text, because importing the commands takes a while."""
    everything = (ROOT / "draganything_core").rglob("*.py")
    files = [file for file in everything if "argparse.ArgumentParser(" in file.read_text("utf-8")]
    assert {"generate.py", "train.py"} <= {file.name for file in files}
    without = []
    for file in files:
        parts = file.relative_to(ROOT).with_suffix("").parts
        module = ".".join(parts[:-1] if parts[-1] == "__main__" else parts)
        text = file.read_text(encoding="utf-8")
        docstring = text.split('"""')[1]
        if "description=__doc__.splitlines()[0]" in text:
            docstring = docstring.splitlines()[0]
        shown = (
            docstring if "description=__doc__" in text else "".join(re.findall(r'epilog="""(.*?)"""', text, re.DOTALL))
        )
        if f"python -m {module} " not in shown:
            without.append(module)
    assert without == []


def test_the_registrys_package_leaves_out_nothing_that_nodes_need():
    lines = (ROOT / ".comfyignore").read_text(encoding="utf-8").splitlines()
    left_out = [line for line in lines if line and not line.startswith("#")]
    assert "/tests/" in left_out
    assert [line for line in left_out if not line.startswith("/")] == [], "docs/ would take web/docs along"
    assert [line for line in left_out if not (ROOT / line.strip("/")).exists()] == []
    needed = {"__init__.py", "draganything_core", "locales", "nodes", "pyproject.toml", "requirements.txt", "web"}
    needed |= {"workflows", "LICENSE", "NOTICE", "README.md"}
    assert needed & {line.strip("/") for line in left_out} == set()
    assert [
        file
        for file in (ROOT / "nodes").glob("*.py")
        if "start_comfyui" in re.findall(r"import (\w+)", file.read_text())
    ] == []


@pytest.mark.parametrize("heading", ["Ten behaviours", "Ten more"])
def test_the_files_of_the_behaviours_exist(heading):
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    section = re.search(rf"^## {heading}.*?(?=^## )", page, re.DOTALL | re.MULTILINE)[0]
    rows = re.findall(r"^\| (?!behaviour|-)[^|]+\| ([^|]+) \|$", section, re.MULTILINE)
    assert len(rows) == 10
    named = [file for row in rows for file in re.findall(r"`([^`]+)`", row)]
    assert len(named) >= 10
    assert [file for file in named if not list(ROOT.glob(file.rstrip("/")))] == []


def test_no_module_is_longer_than_400_lines():
    modules = [path for folder in ("draganything_core", "nodes", "web") for path in (ROOT / folder).rglob("*.[pj][ys]")]
    assert len(modules) > 200
    assert [path.name for path in modules if len(path.read_text(encoding="utf-8").splitlines()) > 400] == []


def test_the_node_reference_is_up_to_date():
    ran = subprocess.run(
        [sys.executable, "docs/make_nodes.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr


def properties(schema):
    """Every property name in a schema, however deep."""
    if isinstance(schema, list):
        return {name for part in schema for name in properties(part)}
    if not isinstance(schema, dict):
        return set()
    return set(schema.get("properties", {})) | {name for part in schema.values() for name in properties(part)}


def test_the_document_page_names_every_key_and_choice():
    page = (ROOT / "docs" / "document.md").read_text(encoding="utf-8")
    assert {"carries_entities", "rle", "control_points"} <= properties(SCHEMA)
    assert [name for name in sorted(properties(SCHEMA)) if f"`{name}`" not in page] == []
    choices = {choice for found in re.findall(r'"enum": (\[.*?\])', json.dumps(SCHEMA)) for choice in json.loads(found)}
    assert [choice for choice in sorted(choices) if f"`{choice}`" not in page] == []


def test_the_examples_of_the_document_page_are_valid():
    page = (ROOT / "docs" / "document.md").read_text(encoding="utf-8")
    examples = re.findall(r"^```json\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    old, *others = sorted(examples, key=lambda text: json.loads(text)["version"])
    assert json.loads(old)["version"] == 1
    assert document_from_json(old).version == CURRENT_VERSION
    assert [dumps(document_from_json(text)) for text in others]


def test_the_document_page_states_the_schemas_defaults():
    page = (ROOT / "docs" / "document.md").read_text(encoding="utf-8")
    for holder in ("entity", "path", "camera"):
        for name, field in SCHEMA["$defs"][holder]["properties"].items():
            default = field.get("default", SCHEMA["$defs"]["easing"]["default"] if name == "easing" else None)
            row = re.search(
                rf"^### {holder}\n.*?^(\| `{name}` \|.*?)$", page, re.DOTALL | re.MULTILINE | re.IGNORECASE
            )[1]
            if default is not None:
                text = default if isinstance(default, str) and default else json.dumps(default)
                assert f"| `{text}` |" in row, f"{holder}.{name}: {row}"


def test_the_protocol_of_the_training_page_is_one(tmp_path):
    from draganything_core.evaluation.cases import AnnotatedProtocol, open_protocol

    page = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"^```yaml\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    (tmp_path / "mine.yaml").write_text(example)
    protocol = open_protocol(tmp_path / "mine.yaml")
    assert isinstance(protocol, AnnotatedProtocol)
    assert (protocol.source, protocol.tracker) == ("plain folders", "lucas_kanade")


@pytest.mark.skipif(sys.version_info < (3, 11), reason="reads TOML")
def test_the_registry_finds_what_it_asks_for():
    import tomllib

    from draganything_core import __version__

    data = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    comfy = data["tool"]["comfy"]
    assert {"PublisherId", "DisplayName", "Icon", "Banner", "requires-comfyui"} <= comfy.keys()
    assert "comfyui" not in data["project"]["name"].lower()
    assert f'__version__ = "{__version__}"' in (ROOT / comfy["version"]["path"]).read_text(encoding="utf-8")
    assert re.fullmatch(r"\d+\.\d+\.\d+", __version__)
    assert data["project"]["license"]["file"] == "LICENSE"


def test_icon_and_banner_have_the_registrys_shape():
    """A square of at most 400 px, and 21:9."""
    icon, banner = (Image.open(ROOT / "docs" / "pictures" / f"{name}.png").size for name in ("icon", "banner"))
    assert icon[0] == icon[1] <= 400
    assert banner[0] * 9 == banner[1] * 21
