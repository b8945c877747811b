"""What a node has to say beside its outputs: in the log, under the node, and in the run's history."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from comfy_api.v0_0_2 import io

from ..draganything_core.interchange import collected_losses

logger = logging.getLogger(__name__)


@contextmanager
def losses_noted(node_name: str) -> Iterator[list[str]]:
    """What the core's converters say is lost inside the block, each thing once; in the log under the node's name."""
    noted: list[str] = []
    with collected_losses() as said:
        try:
            yield noted
        finally:
            noted += dict.fromkeys(said)
            for text in noted:
                logger.warning("%s: %s", node_name, text)


def shown(node: type[io.ComfyNode], text: str) -> dict[str, Any]:
    """The ui entry of a text, which is also put under the node where a frontend listens.

    The node's schema must list Hidden.unique_id.
    """
    from server import PromptServer

    server, node_id = getattr(PromptServer, "instance", None), getattr(node.hidden, "unique_id", None)
    if server is not None and node_id is not None:
        server.send_progress_text(text, node_id)
    return {"text": (text,)}
