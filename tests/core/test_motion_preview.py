"""Cut-outs where their tracks take them, over a ground that is filled, dimmed or moved; condition maps as pictures."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ImageColor
from torch import Tensor

from draganything_core.conditions import Geometry, build_condition_maps
from draganything_core.curves import document_tracks
from draganything_core.document import (
    CameraMove,
    ControlPoint,
    DocumentEntity,
    MotionDocument,
    MotionPath,
    RadiusKey,
    Zoom,
)
from draganything_core.motion_preview import DIM, UNGUIDED, condition_frames, moving_cutouts, placements
from draganything_core.pictures import entity_color
from draganything_core.types import Entities, Entity, Size, Tracks

SIZE, FRAMES = Size(60, 90), 5
RED = torch.tensor([0.9, 0.1, 0.1])
GRAY = 0.5


def box_mask(top: int = 20, left: int = 10, side: int = 16) -> Tensor:
    mask = torch.zeros(SIZE.height, SIZE.width, dtype=torch.bool)
    mask[top : top + side, left : left + side] = True
    return mask


def picture_with_box() -> Tensor:
    picture = torch.full((3, SIZE.height, SIZE.width), GRAY)
    return torch.where(box_mask(), RED[:, None, None], picture)


def one_entity(mask: Tensor | None = None) -> Entities:
    return Entities((Entity(1, "box", box_mask() if mask is None else mask),), SIZE)


def line(*points: tuple[float, float], **changes: object) -> MotionPath:
    return MotionPath(1, tuple(ControlPoint(x, y) for x, y in points), **changes)  # type: ignore[arg-type]


def tracks_of(*paths: MotionPath, camera: CameraMove | None = None) -> tuple[Entities, Tracks]:
    document = MotionDocument(SIZE, FRAMES, (DocumentEntity(1, "box"),), paths, camera)
    return document_tracks(document, one_entity())


def reddest(frame: Tensor) -> tuple[float, float]:
    """(x, y) of the middle of what is red."""
    rows, columns = torch.nonzero(frame[0] - frame[1] > 0.4, as_tuple=True)
    return float(columns.double().mean()), float(rows.double().mean())


def red_area(frame: Tensor) -> int:
    return int((frame[0] - frame[1] > 0.4).sum())


def test_the_cut_out_is_moved_by_its_line_and_its_place_filled():
    frames = moving_cutouts(picture_with_box(), *tracks_of(line((18, 28), (58, 36))))
    assert frames.shape == (FRAMES, 3, SIZE.height, SIZE.width)
    assert torch.allclose(frames[0], picture_with_box(), atol=0.01)
    start = reddest(frames[0])
    for frame in range(FRAMES):
        x, y = reddest(frames[frame])
        assert x - start[0] == pytest.approx(10 * frame, abs=0.3)
        assert y - start[1] == pytest.approx(2 * frame, abs=0.3)
    assert torch.allclose(frames[-1][:, 20:36, 10:26], torch.tensor(GRAY), atol=0.02)


def test_it_grows_with_its_disc_about_the_discs_centre():
    keys = (RadiusKey(0.0, 1.0), RadiusKey(1.0, 2.0))
    frames = moving_cutouts(picture_with_box(), *tracks_of(line((18, 28), (18, 28), radius_keys=keys)))
    assert red_area(frames[-1]) == pytest.approx(4 * red_area(frames[0]), rel=0.1)
    start, end = reddest(frames[0]), reddest(frames[-1])
    assert abs(end[0] - start[0]) < 1
    assert abs(end[1] - start[1]) < 1


def test_several_paths_turn_it():
    # The two ends of a rod change sides: a half turn about its middle.
    ends = torch.tensor([[[20.0, 30.0], [40.0, 30.0]], [[30.0, 20.0], [30.0, 40.0]], [[40.0, 30.0], [20.0, 30.0]]])
    tracks = Tracks(ends, torch.tensor([0, 0]), torch.ones(3, 2, dtype=torch.bool), torch.full((3, 2), 5.0), SIZE)
    placed = placements(tracks, 0)
    point = np.array([32.0, 30.0, 1.0])
    assert placed[0] @ point == pytest.approx((32, 30))
    assert placed[1] @ point == pytest.approx((30, 32))
    assert placed[2] @ point == pytest.approx((28, 30))


@given(
    angle=st.floats(-3, 3), scale=st.floats(0.2, 4), shift=st.tuples(st.floats(-50, 50), st.floats(-50, 50)),
    seed=st.integers(0, 99), count=st.integers(2, 5),
)  # fmt: skip
@settings(max_examples=30, deadline=None)
def test_any_turn_scale_and_shift_is_found_from_points(angle, scale, shift, seed, count):
    start = torch.rand(count, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 50
    turn = scale * torch.tensor([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    end = start @ turn.T + torch.tensor(shift, dtype=torch.float64)
    tracks = Tracks(
        torch.stack([start, end]), torch.zeros(count, dtype=torch.long), torch.ones(2, count, dtype=torch.bool),
        torch.ones(2, count), SIZE,
    )  # fmt: skip
    placed = placements(tracks, 0)[1]
    assert placed[:, :2] == pytest.approx(turn.numpy(), abs=1e-6)
    assert placed[:, 2] == pytest.approx(np.array(shift), abs=1e-4)


def test_an_entity_without_a_path_stays_part_of_the_ground():
    document = MotionDocument(SIZE, FRAMES, (DocumentEntity(1, "box"), DocumentEntity(2, "dot")), (
        MotionPath(2, (ControlPoint(70, 50), ControlPoint(60, 50))),
    ))  # fmt: skip
    entities = Entities((*one_entity(), Entity(2, "dot", box_mask(46, 66, 8))), SIZE)
    frames = moving_cutouts(picture_with_box(), *document_tracks(document, entities))
    assert reddest(frames[-1]) == reddest(frames[0])
    with pytest.raises(ValueError, match="entity index 0 has no path"):
        placements(document_tracks(document, entities)[1], 0)


def test_a_pinned_ground_is_in_nobodys_way():
    ground = Entity(2, "ground", ~box_mask())
    named = (DocumentEntity(1, "box"), DocumentEntity(2, "ground"))
    pin = MotionPath(2, (ControlPoint(60, 10), ControlPoint(60.2, 10)))
    document = MotionDocument(SIZE, FRAMES, named, (line((18, 28), (58, 28)), pin))
    frames = moving_cutouts(picture_with_box(), *document_tracks(document, Entities((*one_entity(), ground), SIZE)))
    assert red_area(frames[-1]) == red_area(frames[0])
    assert reddest(frames[-1])[0] - reddest(frames[0])[0] == pytest.approx(40, abs=0.3)


def test_the_camera_moves_the_ground_and_what_it_carries():
    picture = picture_with_box()
    picture[2, :, 60] = 1.0  # a line of the ground
    entities, tracks = tracks_of(line((18, 28), (18, 28)), camera=CameraMove(pan=(8.0, 0.0)))
    frames = moving_cutouts(picture, entities, tracks)
    assert frames[-1][2, 50, 68] == pytest.approx(1.0, abs=0.02)
    assert reddest(frames[-1])[0] - reddest(frames[0])[0] == pytest.approx(8, abs=0.3)
    assert frames[-1][:, :, 3].max() < 0.2  # nobody knows what comes into view


def test_a_zoom_of_the_camera_scales_the_ground():
    points = ((22.0, 15.0), (66.0, 15.0), (22.0, 45.0), (66.0, 45.0))
    zoom = CameraMove(zoom=Zoom(2.0, (18.0, 28.0), points))
    entities, tracks = tracks_of(camera=zoom)
    frames = moving_cutouts(picture_with_box(), entities, tracks)
    assert red_area(frames[-1]) == pytest.approx(4 * red_area(frames[0]), rel=0.1)


def test_a_whole_picture_entity_moves_the_ground_as_the_camera_does():
    whole = one_entity(torch.ones(SIZE.height, SIZE.width, dtype=torch.bool))
    document = MotionDocument(SIZE, FRAMES, (DocumentEntity(1, "all"),), (line((40, 30), (50, 30)),))
    frames = moving_cutouts(picture_with_box(), *document_tracks(document, whole))
    assert reddest(frames[-1])[0] - reddest(frames[0])[0] == pytest.approx(10, abs=0.3)


def test_what_the_network_is_not_told_is_faint():
    entities, tracks = tracks_of(line((18, 28), (48, 28), visible=((0.0, 0.5),)))
    frames = moving_cutouts(picture_with_box(), entities, tracks)
    x = round(float(tracks.paths[-1, 0, 0]))
    expected = RED * UNGUIDED + GRAY * (1 - UNGUIDED)
    assert torch.allclose(frames[-1][:, 28, x], expected, atol=0.02)
    x = round(float(tracks.paths[1, 0, 0]))
    assert torch.allclose(frames[1][:, 28, x], RED, atol=0.02)


def test_a_cut_out_that_leaves_the_canvas_is_cut_off_and_not_faint():
    entities, tracks = tracks_of(line((18, 28), (-8, 28)))
    assert not tracks.visibility[-1, 0]
    frames = moving_cutouts(picture_with_box(), entities, tracks)
    assert 0 < red_area(frames[3]) < red_area(frames[0])


def test_a_dimmed_ground_keeps_the_picture():
    frames = moving_cutouts(picture_with_box(), *tracks_of(line((18, 28), (58, 28))), background="dimmed")
    assert torch.allclose(frames[-1][:, 28, 18], RED * DIM, atol=0.01)
    assert torch.allclose(frames[-1][:, 28, 58], RED, atol=0.01)


def test_the_last_entity_wins_where_two_meet():
    masks = torch.stack([box_mask(), box_mask(20, 60)])
    picture = torch.where(masks[1], torch.tensor([0.1, 0.1, 0.9])[:, None, None], picture_with_box())
    entities = Entities.from_masks(masks, ["red", "blue"])
    named = (DocumentEntity(1, "red"), DocumentEntity(2, "blue"))
    meet = line((18, 28), (43, 28)), MotionPath(2, (ControlPoint(68, 28), ControlPoint(43, 28)))
    document = MotionDocument(SIZE, FRAMES, named, meet)
    assert moving_cutouts(picture, *document_tracks(document, entities))[-1][2, 28, 43] > 0.8
    far_blue = replace(document, paths=(meet[0], replace(meet[1], depth=2.0)))
    assert moving_cutouts(picture, *document_tracks(far_blue, entities))[-1][0, 28, 43] > 0.8


def test_a_large_picture_is_filled_at_a_smaller_size_without_the_entitys_colour():
    size = Size(1400, 2100)
    mask = torch.zeros(1400, 2100, dtype=torch.bool)
    mask[401:700, 201:520] = True
    picture = torch.where(mask, RED[:, None, None], torch.tensor(GRAY))
    document = MotionDocument(size, 2, (DocumentEntity(1, "box"),), (line((360, 550), (1600, 550)),))
    frames = moving_cutouts(picture, *document_tracks(document, Entities((Entity(1, "box", mask),), size)))
    uncovered = frames[-1][:, 380:720, 180:540]
    assert torch.allclose(uncovered, torch.tensor(GRAY), atol=0.05)
    assert (uncovered[0] - uncovered[1]).abs().max() < 0.01


def test_refusals_name_what_does_not_fit():
    entities, tracks = tracks_of(line((18, 28), (58, 28)))
    with pytest.raises(ValueError, match="the entities are on 60x90, the picture is 60x80"):
        moving_cutouts(torch.rand(3, 60, 80), entities, tracks)
    with pytest.raises(ValueError, match="background must be one of filled, dimmed, got 'blurred'"):
        moving_cutouts(picture_with_box(), entities, tracks, "blurred")  # type: ignore[arg-type]


class TestConditionFrames:
    def maps(self) -> tuple[object, Tracks]:
        entities, tracks = tracks_of(line((18, 28), (58, 28)))
        return build_condition_maps(entities, tracks, torch.eye(1), Size(30, 45), Geometry("exact")), tracks

    def test_discs_are_bright_where_the_gaussian_is(self):
        maps, tracks = self.maps()
        frames = condition_frames(picture_with_box(), maps)
        assert frames.shape == (FRAMES, 3, 30, 45)
        color = torch.tensor(ImageColor.getrgb(entity_color(0))) / 255
        for frame in range(FRAMES):
            x, y = (tracks.resized(Size(30, 45)).paths[frame, 0]).tolist()
            assert torch.allclose(frames[frame][:, round(y), round(x)], color, atol=0.15)
        assert frames[0][:, 14, 40].tolist() == pytest.approx([GRAY * DIM] * 3, abs=0.01)

    def test_colours_are_the_documents(self):
        maps, _ = self.maps()
        blue = condition_frames(picture_with_box(), maps, ["#0000ff"])
        inside = maps.entity_index[0] >= 0
        assert blue[0][2][inside].min() >= 0.2
        assert blue[0][0][inside].max() == 0
        with pytest.raises(ValueError, match="1 entities need as many colours"):
            condition_frames(picture_with_box(), maps, [])
