"""Prints what importing the pack costs beyond the host's own modules: ``python import_cost.py COMFYUI PACK BASE``.

A line of JSON: seconds of processor time, which other programs do not add to, and the packages that came with it.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import json
import sys
import time
from typing import Any

host, folder, base = sys.argv[1:]
sys.path.insert(0, host)
sys.argv = ["main.py", "--cpu", "--base-directory", base]
importlib.import_module("comfy.options").enable_args_parsing()
for name in ("comfy.sd", "comfy_api.v0_0_2", "latent_preview", "nodes", "server"):
    importlib.import_module(name)


async def node_schemas(pack: Any) -> list[Any]:
    extension = await pack.comfy_entrypoint()
    await extension.on_load()
    return [node.GET_SCHEMA() for node in await extension.get_node_list()]


before = set(sys.modules)
start = time.process_time()
specification = importlib.util.spec_from_file_location("pack", f"{folder}/__init__.py")
pack = importlib.util.module_from_spec(specification)
sys.modules["pack"] = pack
specification.loader.exec_module(pack)
asyncio.run(node_schemas(pack))
seconds = time.process_time() - start
print(json.dumps({"seconds": seconds, "packages": sorted({name.split(".")[0] for name in set(sys.modules) - before})}))
