"""Camera moves: paths of the whole picture, and what they carry along."""

from __future__ import annotations

import pytest
import torch
from curve_samples import LINE, entity, line, tracks_of

from draganything_core.camera import camera_motion
from draganything_core.document import (
    CameraMove,
    Easing,
    Zoom,
)

# Cameras

FOUR = ((20.0, 12.0), (35.0, 12.0), (20.0, 27.0), (35.0, 27.0))
ZOOM = Zoom(4.0, (27.5, 19.5), FOUR)


def test_a_pan_is_one_path_of_the_whole_picture_from_its_centre() -> None:
    entities, tracks = tracks_of(camera=CameraMove(pan=(8, -4)))
    assert (entities[0].entity_id, entities[0].name, len(entities)) == (0, "camera", 3)
    assert bool(entities[0].mask.all())
    assert tracks.path_entity.tolist() == [0]
    assert tracks.paths[:, 0].tolist() == [[27.5, 19.5], [29.5, 18.5], [31.5, 17.5], [33.5, 16.5], [35.5, 15.5]]
    assert tracks.radii[:, 0].tolist() == [20.0] * 5


def test_a_zoom_is_four_paths_that_leave_its_centre_in_place() -> None:
    _, tracks = tracks_of(camera=CameraMove(zoom=ZOOM))
    assert tracks.path_entity.tolist() == [0] * 4
    torch.testing.assert_close(tracks.paths.mean(1), torch.tensor([[27.5, 19.5]] * 5))
    spread = tracks.paths[:, 3, 0] - tracks.paths[:, 0, 0]
    torch.testing.assert_close(spread, 15 * torch.tensor([1, 2**0.5, 2, 2 * 2**0.5, 4]))  # equal ratios, not steps
    assert tracks.visibility[-1].tolist() == [False] * 4, "at fourfold size the points have left the canvas"


def test_pan_and_zoom_add_up() -> None:
    _, zoomed = tracks_of(camera=CameraMove(zoom=ZOOM))
    _, both = tracks_of(camera=CameraMove(zoom=ZOOM, pan=(8, -4)))
    torch.testing.assert_close(both.paths[-1] - zoomed.paths[-1], torch.tensor([[8.0, -4]] * 4))
    torch.testing.assert_close(both.paths[2] - zoomed.paths[2], torch.tensor([[4.0, -2]] * 4))


def test_camera_obeys_easing_start_and_end() -> None:
    move = CameraMove(pan=(8, 0), start=0.5, easing=Easing("ease_in_out"))
    assert tracks_of(camera=move)[1].paths[:, 0, 0].tolist() == [27.5, 27.5, 27.5, 31.5, 35.5]


def test_the_camera_carries_entities_their_own_lines_on_top() -> None:
    own = line((0, 0), (4, 0), curve="polyline", anchor="center")
    pin = line((27.5, 19.5), static=True, anchor="grabbed_point", entity=2)
    camera = CameraMove(pan=(8, 0), zoom=ZOOM)
    entities, tracks = tracks_of(own, pin, camera=camera, frames=3)
    assert tracks.path_entity.tolist() == [0, 0, 0, 0, 1, 2]
    assert [item.entity_id for item in entities] == [0, 1, 2]
    half_way = [27.5 + (22 - 27.5) * 2 + 4, 19.5 + (15 - 19.5) * 2]
    at_the_end = [27.5 + (24 - 27.5) * 4 + 8, 19.5 + (15 - 19.5) * 4]
    expected = [[20.0, 15.0], half_way, at_the_end]
    torch.testing.assert_close(tracks.paths[:, 4], torch.tensor(expected))
    torch.testing.assert_close(tracks.paths[:, 5], torch.tensor([[27.5, 19.5], [31.5, 19.5], [35.5, 19.5]]))
    torch.testing.assert_close(tracks.radii[:, 4], torch.tensor([4.0, 8.0, 16.0]))
    assert tracks.radii[:, 0].tolist() == [20.0] * 3, "the whole picture's own discs keep their size"


def test_entities_carried_off_the_canvas_are_invisible() -> None:
    pin = line((20, 15), static=True)
    _, tracks = tracks_of(pin, camera=CameraMove(pan=(-40, 0)))
    assert tracks.visibility[:, 1].tolist() == [True, True, True, False, False]


def test_a_camera_that_carries_nothing_leaves_the_entities_alone() -> None:
    own = line((0, 0), (4, 0))
    _, alone = tracks_of(own)
    _, beside = tracks_of(own, camera=CameraMove(pan=(8, 0), zoom=ZOOM, carries_entities=False))
    assert torch.equal(beside.paths[:, 4:], alone.paths)
    assert torch.equal(beside.radii[:, 4:], alone.radii)


def test_the_camera_is_painted_first_whatever_the_depths() -> None:
    _, tracks = tracks_of(line(*LINE, depth=9.0), camera=CameraMove(pan=(8, 0)))
    assert tracks.path_entity.tolist() == [0, 1]


def test_the_cameras_id_is_its_own() -> None:
    with pytest.raises(ValueError, match="id 0 is the camera's"):
        tracks_of(camera=CameraMove(pan=(8, 0)), entities=(entity(0, 20, 15),))
    with pytest.raises(ValueError, match="zoom factor"):
        camera_motion(CameraMove(zoom=Zoom(0.0, (1, 2), FOUR)), 5)
