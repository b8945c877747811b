"""The editor and the core read, refuse and animate the same documents: the core judges what the editor says."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from strategies_document import motion_documents

from draganything_core.camera import camera_motion
from draganything_core.curves import camera_tracks, path_track
from draganything_core.document import MotionDocument, document_from_json, document_to_json, dumps
from draganything_core.document_validation import DocumentError

HERE = Path(__file__).parent
DOCUMENTS = HERE.parent / "goldens" / "documents"
CENTER, RADIUS = (21.0, 17.0), 6.5  # as in random_documents.js
BAD_TEXTS = [
    '{"frames": 5, "frames": 6}',
    '{"paths": [{"points": []}, {"start": 0, "start": 1}]}',
    '{"image": "\\ud800.png"}',
    "[" * 200 + "]" * 200,
    '{"version": 1e30}',
    '{"version": 12345678901234567890}',
    '{"version": 2, "format": "draganything-motion", "size": {"height": 1, "width": 1}, "frames": 1, "frmaes": 2}',
]
NOT_FINITE = ['{"size": {"height": NaN}}', '{"extra": {"ä b": [1e999]}}', '{"fps": -Infinity}']

pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="needs node")


def node(program: str, *arguments: str, asked: str = "") -> str:
    command = ["node", str(HERE / program), *arguments]
    return subprocess.run(command, input=asked, capture_output=True, text=True, check=True, timeout=300).stdout


def answers(texts: list[str]) -> list[dict[str, Any]]:
    result: list[dict[str, Any]] = json.loads(node("round_trip.js", asked=json.dumps(texts)))
    assert len(result) == len(texts)
    return result


def core_refusal(text: str) -> DocumentError:
    with pytest.raises(DocumentError) as caught:
        document_from_json(text)
    return caught.value


@pytest.fixture(scope="module")
def random_documents(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    target = tmp_path_factory.mktemp("editor") / "documents.json"
    node("random_documents.js", str(target))
    found: list[dict[str, Any]] = json.loads(target.read_text(encoding="utf-8"))
    assert len(found) == 300
    return found


def test_random_actions_make_documents_that_the_core_reads(random_documents: list[dict[str, Any]]) -> None:
    used: set[str] = set()
    for case in random_documents:
        document = document_from_json(case["text"])
        # As text, so that the order of the members counts: what equals its default is left out by both.
        assert json.dumps(document_to_json(document)) == json.dumps(json.loads(case["text"]))
        used |= {key for path in json.loads(case["text"]).get("paths", []) for key in path}
    assert used >= {"curve", "timing", "fit", "anchor", "easing", "visible", "radius_keys", "depth", "static", "name"}


def test_the_editor_sees_every_disc_where_the_core_paints_it(random_documents: list[dict[str, Any]]) -> None:
    compared = 0
    for case in random_documents:
        document = document_from_json(case["text"])
        for expected, found in zip(core_tracks(document), case["paths"] + case["camera"], strict=True):
            np.testing.assert_allclose(found["points"], expected.points, rtol=1e-9, atol=1e-7)
            np.testing.assert_allclose(found["radii"], expected.radii, rtol=1e-9)
            assert found["visible"] == expected.visible.tolist()
            compared += 1
    assert compared > 500


def core_tracks(document: MotionDocument) -> list[Any]:
    camera, frames, size = document.camera, document.frames, document.size
    carrier = camera_motion(camera, frames) if camera is not None and camera.carries_entities else None
    lines = [path_track(path, frames, size, CENTER, RADIUS, "center", carrier) for path in document.paths]
    return lines + ([] if camera is None else camera_tracks(camera, frames, size, RADIUS))


def test_any_document_of_the_core_comes_back_equal_from_the_editor() -> None:
    documents: list[MotionDocument] = []

    # Collected first and asked all at once, as starting node for each would take minutes.
    @settings(max_examples=60, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(motion_documents())
    def collect(document: MotionDocument) -> None:
        documents.append(document)

    collect()
    for document, answer in zip(documents, answers([dumps(document) for document in documents]), strict=True):
        assert "text" in answer, answer
        assert document_from_json(answer["text"]) == document


def test_goldens_are_written_alike() -> None:
    texts = [path.read_text(encoding="utf-8") for path in sorted(DOCUMENTS.glob("*.json"))]
    for text, answer in zip(texts, answers(texts), strict=True):
        assert answer["text"] == dumps(document_from_json(text))


def test_what_is_refused_is_refused_in_the_same_words() -> None:
    cases = [json.loads(path.read_text(encoding="utf-8")) for path in sorted((DOCUMENTS / "refused").glob("*.json"))]
    texts = [json.dumps(case["document"], ensure_ascii=False) for case in cases] + BAD_TEXTS
    for text, answer in zip(texts, answers(texts), strict=True):
        error = core_refusal(text)
        assert (answer["path"], answer["reason"]) == (error.json_path, error.reason), text


def test_numbers_that_are_not_finite_are_refused_at_the_same_place() -> None:
    for text, answer in zip(NOT_FINITE, answers(NOT_FINITE), strict=True):
        assert answer["path"] == core_refusal(text).json_path
