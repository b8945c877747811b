"""Tries the pack without each of its packages in turn: ``python missing_packages.py COMFYUI PACK BASE``.

Prints a line of JSON: by the name that Python imports, the ids of the nodes that registered, what was logged as an
error, and what nodes said that were run. Each try is a process of its own, forked from one that has imported the host
and nothing of the pack, so that a package which the host needs too is missing for the pack alone.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

host, folder, base = sys.argv[1:]
sys.path.insert(0, host)
sys.argv = ["main.py", "--cpu", "--base-directory", base]
importlib.import_module("comfy.options").enable_args_parsing()
for name in ("comfy.sd", "comfy_api.v0_0_2", "latent_preview", "server"):
    importlib.import_module(name)
nodes = importlib.import_module("nodes")

MODULES = (
    "accelerate", "av", "cv2", "diffusers", "einops", "jsonschema", "numpy", "PIL", "safetensors", "segment_anything",
    "torchvision", "tqdm", "transformers", "yaml",
)  # fmt: skip
SAM_WEIGHTS = Path(base) / "models" / "sams" / "sam_vit_b_01ec64.pth"
INPUTS: dict[str, dict[str, Any]] = {
    "DragAnythingPackagesMissing": {},
    "DragAnythingLoadTiny": {},
    "DragAnythingLoadSAM": {"name": SAM_WEIGHTS.name},
}


class Missing:
    """Stands before Python's own finders: there is no such module."""

    def __init__(self, module: str) -> None:
        self.module = module

    def find_spec(self, name: str, *_: object) -> None:
        if name.partition(".")[0] == self.module:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


class Errors(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())


def without(module: str) -> dict[str, Any]:
    """What becomes of the pack in this process, which has no such module from now on."""
    for name in [name for name in sys.modules if name.partition(".")[0] == module]:
        del sys.modules[name]
    sys.meta_path.insert(0, Missing(module))
    errors = Errors()
    logging.getLogger().addHandler(errors)
    before = set(nodes.NODE_CLASS_MAPPINGS)
    loaded = asyncio.run(nodes.load_custom_node(folder))
    found = sorted(set(nodes.NODE_CLASS_MAPPINGS) - before)
    said = {kind: what_it_says(nodes.NODE_CLASS_MAPPINGS[kind], INPUTS[kind]) for kind in found if kind in INPUTS}
    return {"loaded": loaded, "nodes": found, "logged": errors.texts, "said": said}


def what_it_says(node: Any, inputs: dict[str, Any]) -> str | None:
    """The message of the error with which a node fails; None if it runs."""
    try:
        node.execute(**inputs)
    except Exception as error:  # whatever a user would be shown
        return f"{type(error).__name__}: {error}"
    return None


def in_a_process_of_its_own(work: Callable[[str], dict[str, Any]], module: str) -> dict[str, Any]:
    reader, writer = os.pipe()
    process = os.fork()
    if process == 0:
        os.close(reader)
        status = 1
        try:
            with os.fdopen(writer, "w") as answer:
                json.dump(work(module), answer)
            status = 0
        finally:
            os._exit(status)
    os.close(writer)
    with os.fdopen(reader) as answer:
        text = answer.read()
    os.waitpid(process, 0)
    return dict(json.loads(text)) if text else {"loaded": False, "nodes": [], "logged": ["it crashed"], "said": {}}


SAM_WEIGHTS.parent.mkdir(parents=True)
SAM_WEIGHTS.touch()
print(json.dumps({module: in_a_process_of_its_own(without, module) for module in MODULES}))
