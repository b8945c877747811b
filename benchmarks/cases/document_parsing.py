"""Reading a motion document from its text, every check included, against a plain reader that checks the schema too."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema

import draganything_core
from benchmarks.measuring import Case, Way
from draganything_core.document import (
    Click,
    ControlPoint,
    DocumentEntity,
    MotionDocument,
    MotionPath,
    Prompts,
    document_from_json,
    dumps,
)
from draganything_core.types import Size

ENTITIES, POINTS = 12, 25


def case(full: bool) -> Case:  # noqa: ARG001 (there is one size)
    text = dumps(large_document())
    schema_text = (Path(draganything_core.__file__).parent / "document.schema.json").read_text(encoding="utf-8")

    def plain() -> Any:
        tree = json.loads(text)
        jsonschema.validate(tree, json.loads(schema_text))
        return tree

    return Case(
        "document parsing",
        f"{ENTITIES} entities with lines of {POINTS} points, {len(text) / 1024:.0f} KiB",
        [
            Way("ours", lambda: document_from_json(text)),
            Way("schema read and checked each time", plain),
            Way("JSON alone, nothing checked", lambda: json.loads(text)),
        ],
    )


def large_document() -> MotionDocument:
    entities = tuple(
        DocumentEntity(id=index, name=f"thing {index}", prompts=Prompts(points=(Click(10.0 + index, 20.0),)))
        for index in range(1, ENTITIES + 1)
    )
    paths = tuple(
        MotionPath(
            entity=entity.id,
            points=tuple(ControlPoint(10.0 + 3 * point, 20.0 + entity.id + point) for point in range(POINTS)),
        )
        for entity in entities
    )
    return MotionDocument(size=Size(320, 576), frames=POINTS, entities=entities, paths=paths)
