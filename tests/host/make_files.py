"""Writes what ComfyUI reads beside the nodes: ``.venv/bin/python tests/host/make_files.py``.

Workflows for the canvas and for the API, the English texts that translations start from, and the record of what the
nodes look like to graphs that were saved. All of it follows from workflow_graphs.py and from the nodes as a real host
describes them; it starts one to ask, or asks the one at --address. The tests say when the files are out of date.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
from pathlib import Path
from typing import Any
from urllib.request import urlopen

sys.path.insert(0, str(Path(__file__).parent))
from graph_files import ObjectInfo, api_prompt, canvas_graph
from server import Host, Server
from workflow_graphs import all_graphs

from draganything_core.atomic import write_text

ROOT = Path(__file__).parents[2]
SNAPSHOT = Path("tests/host/object_info.json")
CATEGORY = "DragAnything"
OF_THE_HOST = ("name", "sampler_name", "scheduler")  # choices that its version or its files decide


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--address", help="of a running ComfyUI with the pack, such as http://127.0.0.1:8188")
    address = parser.parse_args().address
    info = json.loads(urlopen(f"{address}/object_info").read()) if address else started_hosts_info()
    for path, text in generated_files(info).items():
        (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
        write_text(ROOT / path, text)
        print(path)


def started_hosts_info() -> ObjectInfo:
    with tempfile.TemporaryDirectory() as folder, Server(Host.find(), Path(folder)) as server:
        return dict(server.get("/object_info"))


def generated_files(info: ObjectInfo) -> dict[Path, str]:
    """The text of every generated file by its path in the repository."""
    files: dict[Path, Any] = {}
    for name, graph in all_graphs().items():
        files[Path(f"workflows/{name}.json")] = canvas_graph(name, graph, info)
        files[Path(f"workflows/api/{name}.json")] = api_prompt(graph, info)
    nodes = own_nodes(info)
    files[SNAPSHOT] = {kind: snapshot(node) for kind, node in nodes.items()}
    files[Path("locales/en/nodeDefs.json")] = {kind: texts(node) for kind, node in nodes.items()}
    files[Path("locales/en/main.json")] = {
        "nodeCategories": {CATEGORY: CATEGORY},
        "dataTypes": link_names(nodes),
        "draganything": {"editor": editors_words()},
    }
    return {path: json.dumps(data, indent=1, ensure_ascii=False) + "\n" for path, data in files.items()}


def own_nodes(info: ObjectInfo) -> ObjectInfo:
    return {kind: info[kind] for kind in sorted(info) if info[kind]["category"].split("/")[0] == CATEGORY}


def snapshot(node: dict[str, Any]) -> dict[str, Any]:
    """What a saved graph depends on: inputs with their types, defaults and limits, and outputs. No wording."""
    inputs = {
        group: {name: [entry[0], *map(_without_words, entry[1:])] for name, entry in members.items()}
        for group, members in node["input"].items()
    }
    for members in inputs.values():
        for name in members.keys() & set(OF_THE_HOST):
            if len(members[name]) > 1:
                members[name][1].pop("options", None)
                members[name][1].pop("default", None)
    return {
        "input": inputs,
        "output": node["output"],
        "output_name": node["output_name"],
        "output_is_list": node["output_is_list"],
        "output_node": node["output_node"],
    }


def _without_words(options: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in options.items() if key not in ("tooltip", "placeholder")}


def texts(node: dict[str, Any]) -> dict[str, Any]:
    """A node's words in the form that the host's translations have."""
    inputs = {
        name: {"name": name, "tooltip": entry[1].get("tooltip", "")}
        for group in ("required", "optional")
        for name, entry in node["input"].get(group, {}).items()
    }
    outputs = {
        str(index): {"name": name, "tooltip": tooltip or ""}
        for index, (name, tooltip) in enumerate(zip(node["output_name"], node["output_tooltips"], strict=True))
    }
    return {
        "display_name": node["display_name"],
        "description": node["description"],
        "inputs": inputs,
        "outputs": outputs,
    }


def link_names(nodes: ObjectInfo) -> dict[str, str]:
    """A word for each kind of link of the pack's own."""
    kinds = {kind for node in nodes.values() for kind in node["output"] if kind.startswith("DRAGANYTHING_")}
    return {kind: kind.removeprefix("DRAGANYTHING_").lower().replace("_", " ") for kind in sorted(kinds)}


def editors_words() -> dict[str, str]:
    """What the trajectory editor says, by key."""
    table = (ROOT / "web" / "strings.js").read_text("utf-8").split("Object.freeze({")[1].split("\n});")[0]
    return {key: json.loads(text) for key, text in re.findall(r'^  (\w+):\s+(".*"),$', table, re.MULTILINE)}


if __name__ == "__main__":
    main()
