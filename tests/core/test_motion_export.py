"""Lines for a video of another size: where the discs are, in its pixels, under the names they were drawn with."""

from __future__ import annotations

import json

import pytest
import torch

from draganything_core.curves import document_tracks
from draganything_core.document import CameraMove, ControlPoint, DocumentEntity, MotionDocument, MotionPath
from draganything_core.interchange import InterchangeWarning, collected_losses
from draganything_core.motion_export import lines_for_video
from draganything_core.types import Entities, Size

SIZE = Size(40, 56)


def drawn(**changes: object) -> tuple[MotionDocument, Entities]:
    masks = torch.zeros(2, SIZE.height, SIZE.width, dtype=torch.bool)
    masks[0, 4:16, 6:20] = True
    masks[1, 22:36, 30:50] = True
    paths = (
        MotionPath(1, (ControlPoint(12, 10), ControlPoint(28, 14), ControlPoint(30, 30)), anchor="center"),
        MotionPath(2, (ControlPoint(40, 28), ControlPoint(30, 24)), visible=((0.0, 0.5),), anchor="grabbed_point"),
    )
    named = (DocumentEntity(1, "cup"), DocumentEntity(2, "dog"))
    return MotionDocument(SIZE, 5, named, paths, **changes), Entities.from_masks(masks, ["cup", "dog"])


def points_of(text: str) -> torch.Tensor:
    return torch.tensor([[[point["x"], point["y"]] for point in line] for line in json.loads(text)]).transpose(0, 1)


@pytest.mark.parametrize("size", [SIZE, Size(480, 832), Size(23, 112)])
def test_they_are_where_the_discs_are(size):
    document, entities = drawn()
    with collected_losses():
        tracks, text = lines_for_video(document, entities, size)
    _, asked = document_tracks(document, entities)
    assert torch.allclose(tracks["track_path"], asked.resized(size).paths, atol=1e-4)
    assert torch.equal(tracks["track_visibility"], asked.visibility)
    assert torch.allclose(points_of(text), tracks["track_path"], atol=6e-4)
    assert all(len(str(number).partition(".")[2]) <= 3 for number in points_of_text(text))


def points_of_text(text: str) -> list[float]:
    return [value for line in json.loads(text) for point in line for value in point.values()]


def test_losses_name_what_was_drawn_and_the_size_to_read_back_with():
    with pytest.warns(InterchangeWarning) as said:
        lines_for_video(*drawn(), Size(480, 832))
    texts = [str(each.message) for each in said]
    assert "coord_str does not hold when a disc is visible: path 2 of entity 2 (dog)" in texts
    assert "TRACKS does not hold the canvas size: read it back with size 480x832" in texts
    assert not [text for text in texts if "line 1" in text or "size 40x56" in text]


def test_a_camera_comes_along():
    document, entities = drawn(camera=CameraMove(pan=(6.0, 0.0)))
    with collected_losses():
        tracks, text = lines_for_video(document, entities, Size(80, 112))
    assert tracks["track_path"].shape == (5, 3, 2)
    assert (tracks["track_path"][-1, 0] - tracks["track_path"][0, 0]).tolist() == [12, 0]
    assert points_of(text).shape == (5, 3, 2)


def test_nothing_to_write_is_refused():
    with pytest.raises(ValueError, match="at least one path"):
        lines_for_video(MotionDocument(SIZE, 5), Entities((), SIZE), SIZE)
