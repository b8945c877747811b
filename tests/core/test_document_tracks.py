"""Tracks of a document: anchors, visibility, radii, order and other frame counts."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from curve_samples import LINE, SIZE, entity, line, tracks_of

from draganything_core.curves import curve_points, document_tracks
from draganything_core.document import (
    DocumentEntity,
    Easing,
    MotionDocument,
    MotionPath,
    RadiusKey,
)
from draganything_core.types import Entities, Size

# Discs


def test_anchor_center_moves_the_inscribed_centre_by_the_lines_displacement() -> None:
    _, tracks = tracks_of(line((0, 0), (4, 8), curve="polyline", anchor="center"))
    assert tracks.paths[:, 0].tolist() == [[20, 15], [21, 17], [22, 19], [23, 21], [24, 23]]


def test_anchor_grabbed_point_puts_the_disc_on_the_line() -> None:
    _, tracks = tracks_of(line((0, 0), (4, 8), curve="polyline", anchor="grabbed_point"))
    assert tracks.paths[:, 0].tolist() == [[0, 0], [1, 2], [2, 4], [3, 6], [4, 8]]


def test_an_anchor_left_open_is_the_weights_choice() -> None:
    path = line((0, 0), (4, 8))
    assert tracks_of(path)[1].paths[0, 0].tolist() == [20, 15]
    assert tracks_of(path, default_anchor="grabbed_point")[1].paths[0, 0].tolist() == [0, 0]
    with pytest.raises(ValueError, match="default_anchor"):
        tracks_of(path, default_anchor="corner")


def test_a_pin_rests() -> None:
    pin = line((3, 4), (30, 30), static=True)
    _, tracks = tracks_of(dataclasses.replace(pin, anchor="center"), dataclasses.replace(pin, anchor="grabbed_point"))
    assert tracks.paths[:, 0].tolist() == [[20, 15]] * 5
    assert tracks.paths[:, 1].tolist() == [[3, 4]] * 5


def test_visible_spans_include_both_ends() -> None:
    path = line(*LINE, visible=((0.0, 0.2), (0.6, 0.6)))
    assert tracks_of(path, frames=6)[1].visibility[:, 0].tolist() == [True, True, False, True, False, False]
    assert not tracks_of(line(*LINE, visible=()))[1].visibility.any()
    assert tracks_of(line(*LINE, visible=((0.0, 0.0),)), frames=1)[1].visibility.all()


def test_a_disc_whose_centre_leaves_the_canvas_is_invisible() -> None:
    def seen(*points: tuple[float, float]) -> list[bool]:
        path = line(*points, curve="polyline", timing="per_point", anchor="grabbed_point")
        visible: list[bool] = tracks_of(path, frames=len(points))[1].visibility[:, 0].tolist()
        return visible

    assert seen((-0.5, 5), (-0.51, 5), (55.5, 5), (55.51, 5)) == [True, False, True, False]
    assert seen((5, -0.5), (5, -0.51), (5, 39.5), (5, 39.51)) == [True, False, True, False]


def test_radius_keys_scale_the_entitys_radius() -> None:
    keys = (RadiusKey(0.25, 1.0), RadiusKey(0.75, 2.0))
    _, tracks = tracks_of(line(*LINE, radius_keys=keys))
    assert tracks.radii[:, 0].tolist() == [4.0, 4.0, 6.0, 8.0, 8.0]
    wide = dataclasses.replace(entity(1, 20, 15), radius_px=10.0)
    _, tracks = tracks_of(line(*LINE, radius_keys=keys), entities=(wide,))
    assert tracks.radii[:, 0].tolist() == [10.0, 10.0, 15.0, 20.0, 20.0]


# Documents


def test_tracks_have_the_documents_frames_and_size() -> None:
    _, tracks = tracks_of(line(*LINE), line(*LINE, entity=2), frames=3)
    assert tracks.paths.shape == (3, 2, 2)
    assert tracks.paths.dtype == torch.float32
    assert tracks.size == SIZE
    assert tracks.path_entity.tolist() == [0, 1]


def test_paint_order_is_entity_order_then_path_order() -> None:
    paths = [line((x, 9), entity=number, anchor="grabbed_point") for x, number in ((1, 2), (2, 1), (3, 2), (4, 1))]
    _, tracks = tracks_of(*paths)
    assert tracks.paths[0, :, 0].tolist() == [2, 4, 1, 3]
    assert tracks.path_entity.tolist() == [0, 0, 1, 1]


def test_depth_paints_far_before_near_and_keeps_the_order_of_equals() -> None:
    depths = [(1, 2, 5.0), (2, 1, None), (3, 2, 0.5), (4, 1, 5.0), (5, 2, None)]
    paths = [line((x, 9), entity=number, anchor="grabbed_point", depth=depth) for x, number, depth in depths]
    _, tracks = tracks_of(*paths)
    assert tracks.paths[0, :, 0].tolist() == [4, 1, 2, 5, 3]


def test_entities_keep_their_order_and_those_without_a_path_have_no_track() -> None:
    entities, tracks = tracks_of(line(*LINE, entity=2))
    assert [item.entity_id for item in entities] == [1, 2]
    assert tracks.path_entity.tolist() == [1]


def test_hidden_in_the_editor_still_moves() -> None:
    paths = (line(*LINE),)
    document = MotionDocument(SIZE, 5, (DocumentEntity(1, "ball", hidden=True),), paths)
    _, tracks = document_tracks(document, Entities((entity(1, 20, 15),), SIZE))
    assert tracks.visibility.all()


def test_nothing_drawn_is_no_tracks() -> None:
    entities, tracks = tracks_of(frames=3)
    assert tracks.paths.shape == (3, 0, 2)
    assert tracks.radii.shape == (3, 0)
    assert len(entities) == 2
    assert tracks_of(frames=3, entities=())[1].visibility.shape == (3, 0)


def test_another_frame_count_is_the_same_motion() -> None:
    path = line((0, 0), (8, 4), curve="polyline", start=0.25, end=0.75)
    document = MotionDocument(SIZE, 5, (DocumentEntity(1, "ball"),), (path,))
    entities = Entities((entity(1, 20, 15),), SIZE)
    _, few = document_tracks(document, entities)
    _, many = document_tracks(dataclasses.replace(document, frames=9), entities)
    torch.testing.assert_close(many.paths[::2], few.paths)


def test_bad_input_is_refused_with_its_name() -> None:
    with pytest.raises(ValueError, match=r"entity 3.*Add its mask"):
        tracks_of(line(*LINE, entity=3))
    with pytest.raises(ValueError, match="no points"):
        curve_points(MotionPath(1, ()), 5)
    with pytest.raises(ValueError, match="frames"):
        curve_points(line(*LINE), 0)
    with pytest.raises(ValueError, match="start before"):
        curve_points(line(*LINE, start=0.5, end=0.5), 5)
    with pytest.raises(ValueError, match="spline"):
        curve_points(line(*LINE, curve="spline"), 5)
    with pytest.raises(ValueError, match="by_hand"):
        curve_points(line(*LINE, timing="by_hand"), 5)
    with pytest.raises(ValueError, match="loop"):
        curve_points(line(*LINE, timing="per_point", fit="loop"), 5)
    with pytest.raises(ValueError, match="bounce"):
        curve_points(line(*LINE, easing=Easing("bounce")), 5)
    with pytest.raises(ValueError, match="backwards"):
        curve_points(line(*LINE, easing=Easing("cubic_bezier", (0.0, 0.0, 1.5, 1.0))), 5)
    with pytest.raises(ValueError, match="entities are 40x56, the document's canvas is 20x28"):
        document_tracks(MotionDocument(Size(20, 28), 5), Entities((entity(1, 20, 15),), SIZE))
