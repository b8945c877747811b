"""What is said where a package that the pack needs is missing: in the log, under the node, or by a node of its own."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
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
PACKAGES_OF_OTHERS = {"yaml": "pyyaml"}  # where the name to install is another one


def how_to_install(error: ImportError) -> str | None:
    """What to do about an import that failed; None if no package that could be installed is missing."""
    module = (error.name or "").partition(".")[0]
    package = PACKAGES.get(module)
    if package is not None:
        remedy = f"{sys.executable} -m pip install -r {REQUIREMENTS}"
    elif is_missing(module):  # one of ComfyUI's own, or one that a package above asks for
        package = PACKAGES_OF_OTHERS.get(module, module.replace("_", "-"))
        remedy = f"{sys.executable} -m pip install {package}"
    else:
        return None
    return (
        f"DragAnything needs the package {package}, which ComfyUI's Python cannot import ({error}). "
        f"Run `{remedy}` and restart ComfyUI."
    )


def is_missing(module: str) -> bool:
    """Whether Python finds nothing of that name; a package that is there, but lacks a part, is not missing."""
    if not module or sys.modules.get(module) is not None:
        return False
    try:
        return find_spec(module) is None
    except ModuleNotFoundError:
        return True


@contextmanager
def packages_for(node_name: str) -> Iterator[None]:
    """Around what a node imports and loads when it runs: ImportError names the node, the package and what to do.

    A missing package is also found where another one, such as diffusers, tells of it by an error of its own.
    """
    try:
        yield
    except (ImportError, RuntimeError) as error:
        for cause in causes(error):
            remedy = how_to_install(cause) if isinstance(cause, ImportError) else None
            if remedy is not None:
                raise ImportError(f"{node_name}: {remedy}", name=cause.name) from error
        raise


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error and, one after the other, those that it was raised from."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


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
