"""The ComfyUI that tests run in. Without one they are skipped, loudly; where one was promised they fail."""

from __future__ import annotations

import os

import pytest
from server import Host, HostMissingError


def host_or_skip(untested: str, *also_needed: str) -> Host:
    """The host. untested: what is not tested without one, said in capitals; also_needed: modules its Python must have.

    A host that COMFYUI_PATH names is promised: the test fails if it cannot be used.
    """
    try:
        return Host.find(*also_needed)
    except HostMissingError as error:
        if "COMFYUI_PATH" in os.environ:
            pytest.fail(str(error))
        pytest.skip(f"{untested}: {error}")
