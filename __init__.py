"""ComfyUI-DragAnything. The nodes are imported when the host asks for them, so that importing this is free."""

from __future__ import annotations

from importlib import import_module
from typing import Any

WEB_DIRECTORY = "./web"


async def comfy_entrypoint() -> Any:
    """The pack's extension, which the host asks for once."""
    # By name: tools that follow imports from here would want the host's modules.
    return import_module(".nodes", __name__).DragAnythingExtension()
