"""The motion document: what is read, what is refused and how, and that nothing is lost on the way."""

from __future__ import annotations

import copy
import dataclasses
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from strategies_document import motion_documents

from draganything_core import document as document_module
from draganything_core.document import (
    CURRENT_VERSION,
    CameraMove,
    ControlPoint,
    DocumentEntity,
    Easing,
    MaskSource,
    MotionDocument,
    MotionPath,
    document_from_json,
    document_to_json,
    dumps,
    load_document,
    save_document,
)
from draganything_core.document_migrations import MIGRATIONS
from draganything_core.document_validation import DocumentError
from draganything_core.masks import decode_rle
from draganything_core.types import Size

DOCUMENTS = Path(__file__).parents[1] / "goldens" / "documents"
SCHEMA = json.loads((Path(document_module.__file__).parent / "document.schema.json").read_text(encoding="utf-8"))
GOOD = sorted(DOCUMENTS.glob("*.json"))
CURRENT = [path for path in GOOD if json.loads(path.read_text())["version"] == CURRENT_VERSION]
REFUSED = sorted((DOCUMENTS / "refused").glob("*.json"))
MINIMAL: dict[str, Any] = {
    "format": "draganything-motion",
    "version": 2,
    "size": {"height": 40, "width": 56},
    "frames": 5,
}
BALL = {"entities": [{"id": 1, "name": "ball"}], "paths": [{"entity": 1, "points": [{"x": 8, "y": 30}]}]}


def stem(path: Path) -> str:
    return path.stem


def refusal(data: dict[str, Any] | str) -> DocumentError:
    with pytest.raises(DocumentError) as caught:
        document_from_json(data)
    return caught.value


# What is read


def test_minimal_document_has_the_defaults() -> None:
    assert document_from_json(MINIMAL) == MotionDocument(Size(40, 56), frames=5)


@pytest.mark.parametrize("path", GOOD, ids=stem)
def test_every_golden_document_is_read_and_survives_the_way_through_json(path: Path) -> None:
    document = load_document(path)
    assert document_from_json(document_to_json(document)) == document
    assert document_from_json(dumps(document)) == document


@pytest.mark.parametrize("path", CURRENT, ids=stem)
def test_current_golden_documents_are_written_as_they_stand(path: Path) -> None:
    assert dumps(load_document(path)) == path.read_text(encoding="utf-8")


def test_goldens_use_every_key_of_the_format() -> None:
    used: set[str] = set()
    for path in CURRENT:
        used |= keys_in({key: value for key, value in json.loads(path.read_text()).items() if key != "extra"})
    current = {name: part for name, part in SCHEMA["$defs"].items() if name != "version_1"}
    assert used == properties_in({**SCHEMA, "$defs": current}) - {"extra"}


def test_golden_values_arrive_where_they_belong() -> None:
    bezier = load_document(DOCUMENTS / "bezier.json").paths[0]
    assert bezier.points[0] == ControlPoint(8.0, 20.0, handle_in=None, handle_out=(0.0, -10.5))
    assert load_document(DOCUMENTS / "visibility.json").paths[0].visible == ((0.0, 0.25), (0.75, 1.0))
    assert load_document(DOCUMENTS / "visibility.json").paths[1].visible == ()
    assert load_document(DOCUMENTS / "easing_cubic.json").paths[0].easing == Easing(
        "cubic_bezier", (0.17, 0.67, 0.83, 0.67)
    )
    assert load_document(DOCUMENTS / "extra.json").extra["editor"] == {"zoom": 1.5, "selected": [1, 2], "note": None}
    assert [path.entity for path in load_document(DOCUMENTS / "several_paths.json").paths] == [1, 2, 1]


def test_golden_run_length_mask_fits_its_canvas() -> None:
    document = load_document(DOCUMENTS / "mask_rle.json")
    source = document.entities[0].mask
    assert source is not None
    assert source.rle is not None
    mask = decode_rle(source.rle, document.size.height, document.size.width)
    assert mask.shape == (40, 56)
    assert bool(mask[18, 20])
    assert not bool(mask[20, 36])


def test_numbers_are_floats_and_integers_whatever_json_wrote() -> None:
    document = document_from_json({**MINIMAL, **BALL, "frames": 5.0, "fps": 12})
    assert isinstance(document.frames, int)
    assert isinstance(document.fps, float)
    assert isinstance(document.paths[0].points[0].x, float)


def test_json_from_outside_is_neither_kept_nor_changed() -> None:
    data = {**copy.deepcopy(MINIMAL), "extra": {"view": [1]}}
    before = copy.deepcopy(data)
    document = document_from_json(data)
    data["extra"]["view"].append(2)
    assert document.extra == before["extra"]
    document_to_json(document)["extra"]["view"].append(3)
    assert document.extra == before["extra"]


# What is refused


@pytest.mark.parametrize("path", REFUSED, ids=stem)
def test_bad_documents_are_refused_at_their_place(path: Path) -> None:
    case = json.loads(path.read_text(encoding="utf-8"))
    error = refusal(case["document"])
    assert isinstance(error, ValueError)
    assert error.json_path == case["path"]
    assert str(error).startswith(f"{case['path']}: found ")
    assert "expected" in str(error)
    assert str(error).endswith("."), "the last sentence says what to do"


def test_messages_say_what_was_found_what_was_expected_and_what_to_do() -> None:
    def message(**changes: Any) -> str:
        return str(refusal({**MINIMAL, **BALL, **changes}))

    assert message(frames="20") == '$.frames: found "20", expected a whole number (frames in the clip). Change it.'
    assert message(frame=5).endswith("Remove it or write frames.")
    assert "made by a newer version. Update" in message(version=3)
    assert message(entities=[{"id": 2, "name": "sky"}]) == (
        "$.paths[0].entity: found 1, expected the id of an entity of this document ([2]). "
        "Add the entity or remove the path."
    )
    assert message(entities=[{"id": 1, "name": "ball", "color": "red"}]) == (
        '$.entities[0].color: found "red", expected a colour as #rrggbb. Change it.'
    )


def test_files_of_other_programs_are_sent_to_the_converter() -> None:
    assert "draganything_core.convert" in str(refusal('[{"x": 1, "y": 2}]'))
    assert "draganything_core.convert" in str(refusal({"splines": []}))


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ('{"frames": 5,', "$"),
        ("", "$"),
        ('{"frames": 5, "frames": 6}', "$.frames"),
        ('{"paths": [{"points": []}, {"start": 0, "start": 1}]}', "$.paths[1].start"),
        ('{"size": {"height": NaN}}', "$.size.height"),
        ('{"paths": [{"points": [{"x": 1, "y": -Infinity}]}]}', "$.paths[0].points[0].y"),
        ('{"fps": 1e999}', "$.fps"),
        ('{"extra": {"a b": NaN}}', '$.extra["a b"]'),
        ('{"image": "\\ud800.png"}', "$.image"),
        ('{"extra": {"\\udc00": 1}}', "$.extra"),
        ("[" * 100_000, "$"),
        ("[" * 200 + "]" * 200, "$" + "[0]" * 101),
        ('{"frames": ' + "1" * 5000 + "}", "$"),
    ],
    ids=lambda value: value[:30],
)
def test_text_that_json_should_not_hold_is_refused(text: str, path: str) -> None:
    assert refusal(text).json_path == path


@pytest.mark.parametrize(
    ("extra", "path"),
    [({"a": float("nan")}, "$.extra.a"), ({"a": (1, 2)}, "$.extra.a"), ({"a": {1: 2}}, "$.extra.a")],
)
def test_python_values_that_json_cannot_hold_are_refused(extra: dict[str, Any], path: str) -> None:
    assert refusal({**MINIMAL, "extra": extra}).json_path == path


@pytest.mark.parametrize("value", ["#ff8800\n", "linear\n", "ball.png\n"])
def test_a_trailing_line_break_does_not_slip_through_a_pattern(value: str) -> None:
    refusal({**MINIMAL, "entities": [{"id": 1, "name": "a", "color": value}]})
    refusal({**MINIMAL, **BALL, "paths": [{"entity": 1, "points": [{"x": 1, "y": 2}], "easing": value}]})
    refusal({**MINIMAL, "image": value})


@pytest.mark.parametrize("name", ["a..b.png", "masks/.hidden/ball 1.png", "...png", "浮标.png"])
def test_ordinary_file_names_are_accepted(name: str) -> None:
    assert document_from_json({**MINIMAL, "image": name}).image == name


def test_a_document_that_would_not_be_read_again_is_not_written(tmp_path: Path) -> None:
    ball = DocumentEntity(1, "ball", MaskSource(rle="0", file="ball.png"))
    with pytest.raises(DocumentError, match=r"^\$\.entities\[0\]\.mask: "):
        save_document(MotionDocument(Size(40, 56), 5, (ball,)), tmp_path / "motion.json")
    with pytest.raises(DocumentError, match=r"^\$\.paths\[0\]\.entity: "):
        dumps(MotionDocument(Size(40, 56), 5, (), (MotionPath(1, (ControlPoint(1, 2),)),)))
    with pytest.raises(DocumentError, match=r"^\$\.camera: "):
        dumps(MotionDocument(Size(40, 56), 5, camera=CameraMove()))
    with pytest.raises(DocumentError, match=r"^\$\.fps: "):
        dumps(MotionDocument(Size(40, 56), 5, fps=float("inf")))
    with pytest.raises(DocumentError, match=r"^\$\.extra\.zoom: "):
        dumps(MotionDocument(Size(40, 56), 5, extra={"zoom": float("nan")}))
    assert list(tmp_path.iterdir()) == []


def test_easing_numbers_belong_to_cubic_bezier_alone() -> None:
    with pytest.raises(ValueError, match="cubic_bezier has four"):
        Easing("linear", (0.0, 0.0, 1.0, 1.0))
    with pytest.raises(ValueError, match="cubic_bezier has four"):
        Easing("cubic_bezier")


# Old versions


def test_version_1_is_brought_up_to_date_without_loss() -> None:
    document = load_document(DOCUMENTS / "version_1.json")
    assert document == load_document(DOCUMENTS / "version_1_brought_up_to_date.json")
    first = json.loads((DOCUMENTS / "version_1.json").read_text())
    assert document.version == CURRENT_VERSION
    assert [(entity.id, entity.name, entity.color) for entity in document.entities] == [
        (entity["id"], entity["name"], entity.get("color")) for entity in first["entities"]
    ]
    drawn = [entity for entity in first["entities"] if entity["control_points"]]
    assert [[{"x": p.x, "y": p.y} for p in path.points] for path in document.paths] == [
        entity["control_points"] for entity in drawn
    ]
    assert [path.curve for path in document.paths] == ["polyline", "catmull_rom"]


def test_there_is_a_step_from_every_older_version() -> None:
    assert list(MIGRATIONS) == list(range(1, CURRENT_VERSION))
    assert SCHEMA["properties"]["version"]["const"] == CURRENT_VERSION
    assert {f"version_{version}" for version in MIGRATIONS} == {
        name for name in SCHEMA["$defs"] if name.startswith("version_")
    }


# Round trips


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(motion_documents())
def test_any_document_survives_the_way_through_json(document: MotionDocument) -> None:
    data = document_to_json(document)
    assert document_from_json(data) == document
    text = dumps(document)
    assert document_from_json(text) == document
    assert json.loads(text) == data
    assert dumps(document_from_json(text)) == text


def test_saved_documents_are_loaded_again(tmp_path: Path) -> None:
    document = load_document(DOCUMENTS / "entity_look.json")
    save_document(document, tmp_path / "new folder" / "motion.json")
    assert load_document(tmp_path / "new folder" / "motion.json") == document
    assert [path.name for path in (tmp_path / "new folder").iterdir()] == ["motion.json"]


def test_loading_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nowhere\.json"):
        load_document(tmp_path / "nowhere.json")
    bad = tmp_path / "bad.json"
    bad.write_text('{"version": 7}')
    with pytest.raises(DocumentError, match=r"^\$\.version: .*bad\.json"):
        load_document(bad)
    bad.write_bytes(b'{"image": "\xff"}')
    with pytest.raises(DocumentError, match=r"^\$: .*UTF-8.*bad\.json"):
        load_document(bad)


def test_a_byte_order_mark_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "motion.json").write_bytes(b"\xef\xbb\xbf" + json.dumps(MINIMAL).encode())
    assert load_document(tmp_path / "motion.json").frames == 5


def test_entities_and_paths_take_one_line_each() -> None:
    document = load_document(DOCUMENTS / "several_paths.json")
    lines = dumps(document).splitlines()
    assert sum(line.startswith('    {"entity":') for line in lines) == len(document.paths)
    assert sum(line.startswith('    {"id":') for line in lines) == len(document.entities)


# The schema


def test_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_schema_refuses_unknown_keys_everywhere_but_in_extra() -> None:
    for place, part in objects_in(SCHEMA):
        if place != "$.extra":
            assert part.get("additionalProperties") is False, place


def test_schema_describes_every_field() -> None:
    for place, part in objects_in(SCHEMA):
        for name, field in part.get("properties", {}).items():
            assert "description" in field or "$ref" in field, f"{place}.{name}"
    for name, part in SCHEMA["$defs"].items():
        assert part.get("description"), name


def test_schema_stays_flat() -> None:
    """A plain interpreter of these few keywords must be able to read it, and each has its words in messages."""
    allowed = {
        *("$schema", "$id", "$comment", "$defs", "$ref", "title", "description", "default"),
        *("type", "const", "enum", "pattern", "minimum", "maximum", "exclusiveMinimum"),
        *("properties", "required", "additionalProperties", "minProperties", "maxProperties"),
        *("items", "prefixItems", "minItems", "maxItems"),
    }
    assert {keyword for _, part in schemas_in(SCHEMA) for keyword in part} <= allowed


@pytest.mark.parametrize(
    ("kind", "place"),
    [
        (MotionDocument, SCHEMA),
        (DocumentEntity, SCHEMA["$defs"]["entity"]),
        (MotionPath, SCHEMA["$defs"]["path"]),
        (ControlPoint, SCHEMA["$defs"]["point"]),
        (CameraMove, SCHEMA["$defs"]["camera"]),
    ],
)
def test_schema_and_dataclasses_have_the_same_fields_and_defaults(kind: Any, place: dict[str, Any]) -> None:
    fields = {field.name: field for field in dataclasses.fields(kind)}
    assert set(fields) == set(place["properties"]) - {"format"}
    for name, field in fields.items():
        without = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        assert (name in place["required"] if "required" in place else False) == (without or name == "version"), name
        described = place["properties"][name]
        default = described.get("default", SCHEMA["$defs"].get(described.get("$ref", "")[8:], {}).get("default"))
        if default is not None:
            held = field.default_factory() if field.default is dataclasses.MISSING else field.default
            assert held == decoded_default(name, default), name
        elif not without and name != "version":
            assert field.default is None, name


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node")
def test_patterns_mean_the_same_in_javascript() -> None:
    words = [
        "red",
        "#ff8800",
        "#ff8800\n",
        "linear",
        "linear\n",
        "ease",
        "a/b.png",
        "../a",
        "a/../b",
        "..",
        "a..b",
        "/a",
    ]
    words += ["C:\\a", "a\\b", "0o`", "0 o", "a\n/../b", "浮标.png", "a/", ""]
    patterns = sorted({part["pattern"] for _, part in schemas_in(SCHEMA) if "pattern" in part})
    program = (
        "const [patterns, words] = JSON.parse(process.argv[1]);"
        "const answers = patterns.map(p => words.map(w => new RegExp(p, 'u').test(w)));"
        "console.log(JSON.stringify(answers));"
    )
    asked = json.dumps([patterns, words])
    answer = subprocess.run(["node", "-e", program, asked], capture_output=True, text=True, check=True, timeout=60)
    here = [[accepts(pattern, word) for word in words] for pattern in patterns]
    assert json.loads(answer.stdout) == here


def accepts(pattern: str, word: str) -> bool:
    return jsonschema.Draft202012Validator({"pattern": pattern}).is_valid(word)


def decoded_default(name: str, default: Any) -> Any:
    if name == "easing":
        return Easing(default)
    if name == "visible":
        return tuple(tuple(span) for span in default)
    return tuple(default) if isinstance(default, list) else default


def schemas_in(part: Any, place: str = "$") -> list[tuple[str, dict[str, Any]]]:
    """Every schema inside a schema, with a name for its place."""
    if not isinstance(part, dict):
        return []
    found = [(place, part)]
    for group in ("properties", "$defs"):
        for name, inside in part.get(group, {}).items():
            found += schemas_in(inside, f"{place}.{name}")
    found += schemas_in(part.get("items"), f"{place}[]")
    for index, inside in enumerate(part.get("prefixItems", [])):
        found += schemas_in(inside, f"{place}[{index}]")
    return found


def objects_in(schema: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [(place, part) for place, part in schemas_in(schema) if "object" in str(part.get("type"))]


def properties_in(schema: dict[str, Any]) -> set[str]:
    return {name for _, part in schemas_in(schema) for name in part.get("properties", {})}


def keys_in(value: Any) -> set[str]:
    if isinstance(value, dict):
        return set(value) | {key for inside in value.values() for key in keys_in(inside)}
    return {key for inside in value for key in keys_in(inside)} if isinstance(value, list) else set()
