"""A graph described once, as the two files that ComfyUI knows: the one its canvas opens and the one its API runs.

What a node takes and gives is asked of the running host (its /object_info), so that neither file repeats it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

ObjectInfo = dict[str, Any]
Json = dict[str, Any]

WIDGETS = ("INT", "FLOAT", "STRING", "BOOLEAN", "COMBO", "COMFY_DYNAMICCOMBO_V3")
GAP, BELOW = 40, 84  # px on the canvas between nodes, aside and below: a node's title and badge stand above its place
NODE_WIDTH, NOTE_WIDTH = 310, 400  # px
EDITOR_WIDTH, EDITOR_HEIGHT = 860, 680  # px, as the Trajectory Editor opens
PICTURE_HEIGHT = 300  # px below the inputs of a node that shows one
SHEET_WIDTH = 600  # px, of a node that shows the condition maps of a whole clip
SEEDS = ("seed", "noise_seed")  # the frontend adds a choice to these, asked for or not
NOTE_COLORS = {"color": "#432", "bgcolor": "#653"}


@dataclass(frozen=True)
class Link:
    """One of a node's outputs, by name."""

    node: Node
    output: str


@dataclass(eq=False)
class Node:
    """A node of a graph; ``node["image"]`` is its output of that name. ``column`` is where it stands, from the left."""

    number: int
    kind: str
    column: int
    inputs: dict[str, Any]
    title: str | None = None

    def __getitem__(self, output: str) -> Link:
        return Link(self, output)


@dataclass(eq=False)
class Graph:
    """Nodes and their links, with a note that says what to do."""

    note: str
    nodes: list[Node] = field(default_factory=list)

    def add(self, kind: str, column: int, title: str | None = None, **inputs: Any) -> Node:
        """A new node. Inputs that are not given keep the host's default."""
        node = Node(len(self.nodes) + 1, kind, column, inputs, title)
        self.nodes.append(node)
        return node


@dataclass(frozen=True)
class Input:
    """What the host says of one of a node's inputs; ``default`` is None for one that needs a link."""

    name: str
    kind: str
    is_widget: bool
    is_required: bool
    default: Any
    options: Json


def api_prompt(graph: Graph, info: ObjectInfo) -> Json:
    """What POST /prompt takes: nodes by number, every input with its value or its link."""
    prompt = {}
    for node in graph.nodes:
        inputs = {}
        for each in node_inputs(node, info):
            value = node.inputs.get(each.name, each.default)
            if isinstance(value, Link):
                inputs[each.name] = [str(value.node.number), output_slot(value, info)]
            elif each.is_widget:
                inputs[each.name] = value
            elif each.is_required:
                raise ValueError(f"{node.kind} has no {each.name}")
        prompt[str(node.number)] = {
            "class_type": node.kind,
            "inputs": inputs,
            "_meta": {"title": node_title(node, info)},
        }
    return prompt


def upstream(prompt: Json, number: str) -> Json:
    """Of a prompt, the node of that number and all that it needs."""
    needed = {number: prompt[number]}
    for value in prompt[number]["inputs"].values():
        if isinstance(value, list):
            needed |= upstream(prompt, value[0])
    return needed


def canvas_graph(name: str, graph: Graph, info: ObjectInfo) -> Json:
    """What the canvas opens, in version 0.4 of its format; the note stands at the left."""
    links = canvas_links(graph, info)
    places = canvas_places(graph, info)
    nodes = [canvas_node(node, order, links, places[node.number], info) for order, node in enumerate(graph.nodes)]
    nodes.append(canvas_note(graph.note, len(nodes) + 1))
    return {
        "id": name,
        "revision": 0,
        "last_node_id": len(nodes),
        "last_link_id": len(links),
        "nodes": nodes,
        "links": links,
        "groups": [],
        "config": {},
        "extra": {},
        "version": 0.4,
    }


def node_inputs(node: Node, info: ObjectInfo) -> list[Input]:
    """A node's inputs in the host's order. Raises ValueError where the node is given one that it does not have."""
    if node.kind not in info:
        raise ValueError(f"the host has no node {node.kind}")
    found = list(_inputs(info[node.kind]["input"], node, ""))
    unknown = node.inputs.keys() - {each.name for each in found}
    if unknown:
        raise ValueError(f"{node.kind} has no input {', '.join(sorted(unknown))}")
    return found


def _inputs(groups: Json, node: Node, prefix: str) -> Iterator[Input]:
    for group in ("required", "optional"):
        for name, specification in groups.get(group, {}).items():
            kind, options = specification[0], specification[1] if len(specification) > 1 else {}
            if isinstance(kind, list):  # the older way to say COMBO
                kind, options = "COMBO", {**options, "options": kind}
            is_widget = kind in WIDGETS and not options.get("forceInput")
            default = _default(kind, options) if is_widget else None
            yield Input(prefix + name, kind, is_widget, group == "required", default, options)
            if kind == "COMFY_DYNAMICCOMBO_V3":
                chosen = node.inputs.get(prefix + name, default)
                entry = next(entry for entry in options["options"] if entry["key"] == chosen)
                yield from _inputs(entry["inputs"], node, f"{prefix}{name}.")


def _default(kind: str, options: Json) -> Any:
    if "default" in options:
        return options["default"]
    if kind == "COMFY_DYNAMICCOMBO_V3":
        return options["options"][0]["key"]
    if kind == "COMBO":
        return (options["options"] or [None])[0]
    return {"STRING": "", "BOOLEAN": False}.get(kind, 0)


def output_slot(link: Link, info: ObjectInfo) -> int:
    names = info[link.node.kind]["output_name"]
    if link.output not in names:
        raise ValueError(f"{link.node.kind} has no output {link.output}; it has {', '.join(names)}")
    return int(names.index(link.output))


def node_title(node: Node, info: ObjectInfo) -> str:
    return str(node.title or info[node.kind]["display_name"] or node.kind)


def canvas_links(graph: Graph, info: ObjectInfo) -> list[list[Any]]:
    """[number, from node, its slot, to node, its slot, type] of every link."""
    links: list[list[Any]] = []
    for node in graph.nodes:
        for slot, each in enumerate(_sockets(node, info)):
            value = node.inputs.get(each.name)
            if isinstance(value, Link):
                output = output_slot(value, info)
                kind = info[value.node.kind]["output"][output]
                links.append([len(links) + 1, value.node.number, output, node.number, slot, kind])
    return links


def canvas_node(node: Node, order: int, links: list[list[Any]], place: list[int], info: ObjectInfo) -> Json:
    inputs = []
    for slot, each in enumerate(_sockets(node, info)):
        arriving = [link[0] for link in links if link[3:5] == [node.number, slot]]
        socket = {"name": each.name, "type": each.kind, "link": arriving[0] if arriving else None}
        inputs.append({**socket, "widget": {"name": each.name}} if each.is_widget else socket)
    outputs = [
        {"name": name, "type": kind, "links": [link[0] for link in links if link[1:3] == [node.number, slot]]}
        for slot, (name, kind) in enumerate(zip(info[node.kind]["output_name"], info[node.kind]["output"], strict=True))
    ]
    return {
        "id": node.number,
        "type": node.kind,
        "pos": place,
        "size": [_width(node, info), _height(node, info)],
        "flags": {},
        "order": order,
        "mode": 0,
        "inputs": inputs,
        "outputs": outputs,
        **({"title": node.title} if node.title else {}),
        "properties": {"Node name for S&R": node.kind},
        "widgets_values": widget_values(node, info),
    }


def widget_values(node: Node, info: ObjectInfo) -> list[Any]:
    """The values of a node's widgets in order, with what the frontend adds after some of them."""
    values = []
    for each in node_inputs(node, info):
        if each.is_widget:
            given = node.inputs.get(each.name, each.default)
            values.append(each.default if isinstance(given, Link) else given)
            if each.options.get("control_after_generate") or each.name in SEEDS:
                values.append("fixed")
            if each.options.get("image_upload"):
                values.append("image")
    return values


def canvas_note(text: str, number: int) -> Json:
    lines = sum(1 + len(line) // 52 for line in text.splitlines())
    return {
        "id": number,
        "type": "MarkdownNote",
        "pos": [-NOTE_WIDTH - GAP, 0],
        "size": [NOTE_WIDTH, 60 + 16 * lines],
        "flags": {},
        "order": 0,
        "mode": 0,
        "inputs": [],
        "outputs": [],
        "title": "What to do",
        "properties": {},
        "widgets_values": [text],
        **NOTE_COLORS,
    }


def canvas_places(graph: Graph, info: ObjectInfo) -> dict[int, list[int]]:
    """[x, y] of every node: columns from the left, in each of them from the top."""
    widths: dict[int, int] = {}
    for node in graph.nodes:
        widths[node.column] = max(widths.get(node.column, 0), _width(node, info))
    left = {column: sum(widths[before] + GAP for before in widths if before < column) for column in widths}
    below = dict.fromkeys(widths, 0)
    places = {}
    for node in graph.nodes:
        places[node.number] = [left[node.column], below[node.column]]
        below[node.column] += _height(node, info) + BELOW
    return places


def _sockets(node: Node, info: ObjectInfo) -> list[Input]:
    """What has a socket in the file: links, and the widgets that a link stands in for."""
    return [
        each for each in node_inputs(node, info) if not each.is_widget or isinstance(node.inputs.get(each.name), Link)
    ]


def _width(node: Node, info: ObjectInfo) -> int:
    if _has_editor(node, info):
        return EDITOR_WIDTH
    return SHEET_WIDTH if _shows_sheet(node) else NODE_WIDTH


def _height(node: Node, info: ObjectInfo) -> int:
    if _has_editor(node, info):
        return EDITOR_HEIGHT
    height = 40 + 20 * max(len(_sockets(node, info)), len(info[node.kind]["output"]))
    for each in node_inputs(node, info):
        if each.is_widget:
            height += 120 if each.options.get("multiline") else 26
    return height + (PICTURE_HEIGHT if info[node.kind]["output_node"] or node.kind == "LoadImage" else 0)


def _shows_sheet(node: Node) -> bool:
    shown = node.inputs.get("images") if node.kind == "PreviewImage" else None
    return isinstance(shown, Link) and shown.node.kind == "DragAnythingGaussianMap"


def _has_editor(node: Node, info: ObjectInfo) -> bool:
    return any(each.options.get("widgetType") for each in node_inputs(node, info))
