"""ComfyUI's side of DragAnything. The nodes convert, call the core, and wrap what it gives.

Where a package that all of them need is missing, one node takes their place and says what to install.
"""

from __future__ import annotations

from .packages import IncompleteExtension, how_to_install

try:
    from .extension import DragAnythingExtension
except ImportError as error:
    remedy = how_to_install(error)
    if remedy is None:
        raise

    class DragAnythingExtension(IncompleteExtension):  # type: ignore[no-redef]
        message = remedy


__all__ = ["DragAnythingExtension"]
