"""What is said where a package that the pack needs is missing: in the log, under the node, or by a node of its own."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from comfy_api.v0_0_2 import ComfyExtension, io

logger = logging.getLogger(__name__)

REQUIREMENTS = Path(__file__).parents[1] / "requirements.txt"
# What requirements.txt lists, by the names that Python imports.
PACKAGES = {
    "av": "av",
    "cv2": "opencv-python-headless",
    "diffusers": "diffusers",
    "einops": "einops",
    "jsonschema": "jsonschema",
    "numpy": "numpy",
    "PIL": "pillow",
    "safetensors": "safetensors",
    "tqdm": "tqdm",
    "transformers": "transformers",
}


def how_to_install(error: ImportError) -> str | None:
    """What to do about an import that failed; None if it was not of a package in requirements.txt."""
    package = PACKAGES.get((error.name or "").partition(".")[0])
    if package is None:
        return None
    return (
        f"DragAnything needs the package {package}, which ComfyUI's Python cannot import ({error}). "
        f"Run `{sys.executable} -m pip install -r {REQUIREMENTS}` and restart ComfyUI."
    )


@contextmanager
def packages_for(node_name: str) -> Iterator[None]:
    """Around imports that a node makes when it runs: ImportError names the node, the package and what to do."""
    try:
        yield
    except ImportError as error:
        remedy = how_to_install(error)
        if remedy is None:
            raise
        raise ImportError(f"{node_name}: {remedy}", name=error.name) from error


class PackagesMissing(io.ComfyNode):
    """Stands for all nodes where they cannot be imported."""

    message = ""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="DragAnythingPackagesMissing",
            display_name="DragAnything: Packages Are Missing",
            category="DragAnything",
            description=cls.message,
            search_aliases=["draganything", "drag", "motion", "trajectory"],
            inputs=[],
            outputs=[],
            is_output_node=True,  # so that Run shows the message
        )

    @classmethod
    def execute(cls) -> io.NodeOutput:
        raise ImportError(cls.message)


class IncompleteExtension(ComfyExtension):
    """The pack without its nodes: one that says what to install. ``message`` is what it says."""

    message = ""

    async def on_load(self) -> None:
        logger.error("%s Until then there are none of its nodes.", self.message)
        PackagesMissing.message = self.message

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        return [PackagesMissing]
