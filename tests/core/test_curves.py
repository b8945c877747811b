"""Curves, timing, anchors, cameras: hand-made cases first, then what must hold for any line, then the shared golden."""

from __future__ import annotations

import dataclasses
import json
import math
from itertools import pairwise
from typing import Any

import make_curves
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies_document import camera_moves, easings, motion_paths

from draganything_core.camera import camera_motion
from draganything_core.curves import CHORDS, curve_points, document_tracks, path_track
from draganything_core.document import (
    CameraMove,
    ControlPoint,
    CurveKind,
    DocumentEntity,
    Easing,
    MotionDocument,
    MotionPath,
    RadiusKey,
    Zoom,
)
from draganything_core.easing import eased, frame_times, progress
from draganything_core.types import Entities, Entity, Size, Tracks

SIZE = Size(40, 56)
CURVES: list[CurveKind] = ["polyline", "catmull_rom", "bezier", "freehand"]
LINE = ((0.0, 10.0), (4.0, 10.0))
GOLDEN = json.loads(make_curves.TARGET.read_text(encoding="utf-8"))


def line(*points: tuple[float, float], **options: Any) -> MotionPath:
    return MotionPath(options.pop("entity", 1), tuple(ControlPoint(x, y) for x, y in points), **options)


def at(path: MotionPath, frames: int) -> list[list[float]]:
    return curve_points(path, frames).tolist()


def entity(entity_id: int, x: int, y: int, half: int = 3) -> Entity:
    """A square of odd side around (x, y): its inscribed centre is that pixel, its radius half + 1."""
    mask = torch.zeros(SIZE.height, SIZE.width, dtype=torch.bool)
    mask[y - half : y + half + 1, x - half : x + half + 1] = True
    return Entity(entity_id, f"square {entity_id}", mask)


def tracks_of(
    *paths: MotionPath,
    frames: int = 5,
    camera: CameraMove | None = None,
    entities: tuple[Entity, ...] | None = None,
    **options: Any,
) -> tuple[Entities, Tracks]:
    entities = (entity(1, 20, 15), entity(2, 40, 25)) if entities is None else entities
    drawn = tuple(DocumentEntity(item.entity_id, item.name) for item in entities)
    document = MotionDocument(SIZE, frames, drawn, paths, camera)
    return document_tracks(document, Entities(entities, SIZE), **options)


# Straight lines by hand


@pytest.mark.parametrize("curve", CURVES)
def test_a_straight_line_is_walked_at_even_steps(curve: CurveKind) -> None:
    torch.testing.assert_close(
        curve_points(line(*LINE, curve="polyline" if curve == "bezier" else curve), 5),
        torch.tensor([[0.0, 10], [1, 10], [2, 10], [3, 10], [4, 10]], dtype=torch.float64),
        rtol=0,
        atol=1e-12,
    )


def test_equal_lengths_not_equal_point_numbers() -> None:
    assert at(line((0, 0), (3, 0), (4, 0), curve="polyline"), 5) == [[0, 0], [1, 0], [2, 0], [3, 0], [4, 0]]
    assert at(line((0, 0), (2, 0), (2, 2), curve="freehand"), 5) == [[0, 0], [1, 0], [2, 0], [2, 1], [2, 2]]


def test_start_and_end_leave_rest_before_and_after() -> None:
    moving = line(*LINE, curve="polyline", start=0.25, end=0.75)
    assert at(moving, 9) == [[0, 10], [0, 10], [0, 10], [1, 10], [2, 10], [3, 10], [4, 10], [4, 10], [4, 10]]


def test_one_frame_shows_the_start() -> None:
    assert at(line(*LINE), 1) == [[0, 10]]


def test_one_point_rests() -> None:
    for timing in ("arc_length", "per_point"):
        assert at(line((7, 3), timing=timing), 3) == [[7, 3]] * 3


def test_there_and_back() -> None:
    assert at(line((0, 0), (2, 0), (0, 0), curve="polyline"), 5) == [[0, 0], [1, 0], [2, 0], [1, 0], [0, 0]]


# Points as samples in time


def test_per_point_stretch_spreads_the_points_over_the_clip() -> None:
    uneven = line((0, 0), (8, 0), (10, 0), curve="polyline", timing="per_point")
    assert at(uneven, 5) == [[0, 0], [4, 0], [8, 0], [9, 0], [10, 0]]


def test_per_point_stretch_obeys_easing_start_and_end() -> None:
    late = line((0, 0), (8, 0), curve="polyline", timing="per_point", start=0.5)
    assert at(late, 5) == [[0, 0], [0, 0], [0, 0], [4, 0], [8, 0]]


@pytest.mark.parametrize("curve", CURVES)
@pytest.mark.parametrize("count", [1, 2, 7, 50, 99, 121])
def test_as_many_frames_as_points_gives_the_points_bit_for_bit(curve: CurveKind, count: int) -> None:
    drawn = [(math.sin(i) * 10 + 0.1, math.cos(i * 1.7) * 7 + 0.3) for i in range(count)]
    assert at(line(*drawn, curve=curve, timing="per_point"), count) == [list(point) for point in drawn]


def test_per_point_hold_keeps_the_last_point() -> None:
    held = line((0, 0), (5, 1), (6, 2), timing="per_point", fit="hold", easing=Easing("ease_in"), start=0.5)
    assert at(held, 5) == [[0, 0], [5, 1], [6, 2], [6, 2], [6, 2]]


def test_points_beyond_the_clip_are_cut() -> None:
    for fit in ("hold", "cut"):
        assert at(line((0, 0), (5, 1), (6, 2), timing="per_point", fit=fit), 2) == [[0, 0], [5, 1]]


def test_a_cut_line_hides_its_disc_when_it_ends() -> None:
    cut = line((9, 9), (10, 9), (11, 9), timing="per_point", fit="cut", anchor="grabbed_point")
    _, tracks = tracks_of(cut)
    assert tracks.visibility[:, 0].tolist() == [True, True, True, False, False]
    _, tracks = tracks_of(dataclasses.replace(cut, static=True))
    assert tracks.visibility[:, 0].tolist() == [True] * 5, "a pin does not end"


# Curves by hand


def test_catmull_rom_between_evenly_spaced_points_is_the_textbook_curve() -> None:
    # Neighbours 2 px apart all along: the centripetal curve is the uniform one, (-a + 9 b + 9 c - d) / 16 half way.
    a, b, c, d = np.array([[0.0, 0], [2, 0], [2, 2], [4, 2]])
    half_way = curve_points(line(a, b, c, d, timing="per_point"), 7)[3].numpy()
    np.testing.assert_allclose(half_way, (-a + 9 * b + 9 * c - d) / 16, atol=1e-12)


def test_catmull_rom_ends_continue_by_reflection() -> None:
    b, c, d = np.array([[2.0, 0], [2, 2], [4, 2]])
    half_way = curve_points(line(b, c, d, timing="per_point"), 5)[1].numpy()
    np.testing.assert_allclose(half_way, (-(2 * b - c) + 9 * b + 9 * c - d) / 16, atol=1e-12)


def test_catmull_rom_is_the_centripetal_one() -> None:
    """Against the pyramid of Barry and Goldman (1988) with knots at distance ** 0.5, on uneven points."""
    drawn = [np.array(point, dtype=float) for point in ((5, 5), (7, 6), (40, 8), (41, 30))]
    ours = curve_points(line(*drawn, timing="per_point"), 13).numpy()
    for step in range(13):
        segment = min(step // 4, 2)
        padded = [2 * drawn[0] - drawn[1], *drawn, 2 * drawn[-1] - drawn[-2]]
        expected = barry_goldman(padded[segment : segment + 4], step / 4 - segment)
        np.testing.assert_allclose(ours[step], expected, atol=1e-9)


def barry_goldman(four: list[np.ndarray], parameter: float) -> np.ndarray:
    knots = [0.0]
    for first, second in pairwise(four):
        knots.append(knots[-1] + math.sqrt(math.dist(first, second)))
    time = knots[1] + parameter * (knots[2] - knots[1])

    def between(first: np.ndarray, second: np.ndarray, low: float, high: float) -> np.ndarray:
        return ((high - time) * first + (time - low) * second) / (high - low)

    lines = [between(four[i], four[i + 1], knots[i], knots[i + 1]) for i in range(3)]
    parabolas = [between(lines[i], lines[i + 1], knots[i], knots[i + 2]) for i in range(2)]
    return between(*parabolas, knots[1], knots[2])


def test_a_point_drawn_twice_makes_a_corner() -> None:
    corner = line((0, 0), (10, 0), (10, 0), (10, 10), timing="per_point")
    before, after = curve_points(corner, 31)[:10], curve_points(corner, 31)[21:]
    assert before[:, 1].abs().max() == 0, "straight towards the corner"
    assert (after[:, 0] - 10).abs().max() == 0, "straight away from it"


def test_bezier_handles_draw_a_half_circle() -> None:
    kappa = 4 / 3 * (math.sqrt(2) - 1)  # the usual handle length of a quarter circle: within 2.8e-4 of the radius
    half = MotionPath(
        1,
        (
            ControlPoint(0, 0, handle_out=(0, -10 * kappa)),
            ControlPoint(10, -10, handle_in=(-10 * kappa, 0), handle_out=(10 * kappa, 0)),
            ControlPoint(20, 0, handle_in=(0, -10 * kappa)),
        ),
        curve="bezier",
    )
    points = curve_points(half, 7)
    for frame, (x, y) in enumerate(points.tolist()):
        assert math.hypot(x - 10, y) == pytest.approx(10, rel=1e-3)
        assert x == pytest.approx(10 - 10 * math.cos(math.radians(30 * frame)), abs=0.01)


def test_bezier_without_handles_is_straight() -> None:
    bent = line((0, 0), (10, 0), (10, 10), curve="bezier")
    torch.testing.assert_close(
        curve_points(bent, 9), curve_points(dataclasses.replace(bent, curve="polyline"), 9), rtol=0, atol=1e-9
    )


def test_bezier_middle_is_that_of_bernstein() -> None:
    arch = (ControlPoint(0, 0, handle_out=(0, 8)), ControlPoint(8, 0, handle_in=(4, 8)))
    middle = curve_points(MotionPath(1, arch, curve="bezier", timing="per_point"), 3)[1].tolist()
    assert middle == [(3 * 0 + 3 * 12 + 8) / 8, (3 * 8 + 3 * 8) / 8]


# Pace


def test_easing_by_hand() -> None:
    times = np.array([0.0, 0.25, 0.5, 0.75, 1.0])
    assert eased(Easing(), times).tolist() == times.tolist()
    smooth = eased(Easing("ease_in_out"), times)
    assert smooth[2] == pytest.approx(0.5, abs=1e-12)
    assert smooth[1] + smooth[3] == pytest.approx(1, abs=1e-12)
    assert smooth[1] == pytest.approx(0.1292, abs=1e-4)  # as browsers draw it
    assert eased(Easing("ease_in"), times)[2] == pytest.approx(0.3154, abs=1e-4)
    assert eased(Easing("ease_out"), times)[2] == pytest.approx(0.6846, abs=1e-4)
    third = Easing("cubic_bezier", (1 / 3, 1 / 3, 2 / 3, 2 / 3))
    np.testing.assert_allclose(eased(third, times), times, atol=1e-12)


@given(st.floats(0, 0.9), st.floats(0.1, 1), st.floats(0, 1), st.floats(0, 1), st.integers(2, 30))
def test_easing_solves_its_curve_to_the_last_digits(x1: float, x2: float, y1: float, y2: float, frames: int) -> None:
    times = frame_times(frames)
    values = eased(Easing("cubic_bezier", (x1, x1, x2, x2)), times)
    np.testing.assert_allclose(values, times, atol=1e-12)  # handles on the diagonal: the curve is the diagonal
    values = eased(Easing("cubic_bezier", (x1, y1, x2, y2)), times)
    assert (values[0], values[-1]) == (0.0, 1.0)
    assert (np.diff(values) >= -1e-12).all()


def test_an_overshoot_rests_at_the_ends_of_the_line() -> None:
    pace = progress(Easing("cubic_bezier", (0.3, -0.6, 0.5, 1.6)), 0, 1, 50)
    assert pace.min() == 0
    assert pace.max() == 1
    assert pace[1] == 0
    assert pace[-2] == 1


# What must hold for any line

coordinates = st.floats(-1000, 1000)
places = st.tuples(coordinates, coordinates)
drawn_lines = st.lists(places, min_size=1, max_size=7)


@settings(deadline=None)
@given(drawn_lines, st.sampled_from(CURVES), easings, st.integers(2, 30))
def test_end_points_are_kept(points: list[tuple[float, float]], curve: CurveKind, easing: Easing, frames: int) -> None:
    for timing in ("arc_length", "per_point"):
        walked = at(line(*points, curve=curve, easing=easing, timing=timing), frames)
        assert walked[0] == list(points[0])
        assert walked[-1] == list(points[-1])


@settings(deadline=None)
@given(st.lists(places, min_size=2, max_size=6), st.sampled_from(CURVES), st.integers(2, 25))
def test_steps_are_of_equal_length(points: list[tuple[float, float]], curve: CurveKind, frames: int) -> None:
    path = line(*points, curve=curve)
    pieces = chords_of(path)
    total = sum(math.dist(first, second) for first, second in pieces)
    if total < 1e-3:
        return
    for frame, point in enumerate(at(path, frames)):
        # Where the walk should be by adding piece to piece in plain Python.
        assert math.dist(point, walk(pieces, total * frame / (frames - 1))) <= 1e-6 * total


def chords_of(path: MotionPath) -> list[tuple[tuple[float, float], tuple[float, float]]]:
    """The line's straight pieces: CHORDS equal parameter steps for each segment of a smooth curve."""
    count = (len(path.points) - 1) * (CHORDS if path.curve in ("catmull_rom", "bezier") else 1)
    corners = at(dataclasses.replace(path, timing="per_point"), count + 1)
    pairs = [(corner[0], corner[1]) for corner in corners]
    return list(pairwise(pairs))


def walk(pieces: list[tuple[tuple[float, float], tuple[float, float]]], distance: float) -> tuple[float, float]:
    for first, second in pieces:
        length = math.dist(first, second)
        if distance <= length and length > 0:
            share = distance / length
            return first[0] + (second[0] - first[0]) * share, first[1] + (second[1] - first[1]) * share
        distance -= length
    return pieces[-1][1]


@settings(deadline=None)
@given(
    st.lists(st.floats(-1000, 1000), min_size=2, max_size=7, unique=True),
    st.tuples(*[st.floats(0, 1)] * 4),
    st.integers(2, 30),
)
def test_a_pace_that_does_not_turn_back_walks_forwards(
    x: list[float], handles: tuple[float, float, float, float], frames: int
) -> None:
    rising = line(*[(value, 0.0) for value in sorted(x)], curve="polyline", easing=Easing("cubic_bezier", handles))
    assert (curve_points(rising, frames)[:, 0].diff() >= -1e-9).all()


@settings(deadline=None)
@given(drawn_lines, st.sampled_from(CURVES), st.integers(1, 25))
def test_a_reversed_line_is_the_film_played_backwards(
    points: list[tuple[float, float]], curve: CurveKind, frames: int
) -> None:
    if frames == 1:
        return
    for timing in ("arc_length", "per_point"):
        forwards = curve_points(line(*points, curve=curve, timing=timing), frames)
        backwards = curve_points(line(*points[::-1], curve=curve, timing=timing), frames)
        torch.testing.assert_close(forwards, backwards.flip(0), rtol=0, atol=1e-6)


tiny = st.floats(-1e-300, 1e-300) | st.sampled_from([0.0, 5e-324, 1.0])


@settings(deadline=None)
@given(st.lists(st.tuples(tiny, tiny), min_size=1, max_size=6), st.sampled_from(CURVES), st.integers(1, 9))
def test_points_that_coincide_or_nearly_give_no_nan(
    points: list[tuple[float, float]], curve: CurveKind, frames: int
) -> None:
    for timing in ("arc_length", "per_point"):
        for times in (1, 2):
            repeated = [point for point in points for _ in range(times)]
            walked = curve_points(line(*repeated, curve=curve, timing=timing), frames)
            assert walked.shape == (frames, 2)
            assert bool(torch.isfinite(walked).all())


@settings(deadline=None, max_examples=60)
@given(motion_paths(), st.integers(1, 12), st.none() | camera_moves())
def test_any_path_gives_finite_tracks(path: MotionPath, frames: int, camera: CameraMove | None) -> None:
    motion = None if camera is None else camera_motion(camera, frames)
    track = path_track(path, frames, SIZE, (20.0, 15.0), 4.0, "center", motion)
    assert np.isfinite(track.points).all()
    assert (track.radii > 0).all()
    assert (len(track.points), len(track.visible), len(track.radii)) == (frames,) * 3


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


# The golden that the editor shares


@pytest.mark.parametrize("case", GOLDEN["lines"], ids=lambda case: case["name"])
def test_golden_lines(case: dict[str, Any]) -> None:
    drawn = make_curves.document(case["frames"], case["path"], case.get("camera"))
    assert drawn.size == Size(**case["size"])
    motion = None if drawn.camera is None else camera_motion(drawn.camera, case["frames"])
    center, radius = tuple(case["entity"]["center"]), case["entity"]["radius"]
    check_track(path_track(drawn.paths[0], case["frames"], drawn.size, center, radius, "center", motion), case)


@pytest.mark.parametrize("case", GOLDEN["cameras"], ids=lambda case: case["name"])
def test_golden_cameras(case: dict[str, Any]) -> None:
    tracks = make_curves.camera_tracks_of(case["camera"], case["frames"])
    for ours, expected in zip(tracks, case["tracks"], strict=True):
        check_track(ours, expected)


def check_track(ours: Any, expected: dict[str, Any]) -> None:
    np.testing.assert_allclose(ours.points, expected["points"], rtol=0, atol=2e-9)
    np.testing.assert_allclose(ours.radii, expected["radii"], rtol=0, atol=2e-9)
    assert ours.visible.tolist() == expected["visible"]


def test_golden_is_what_its_script_writes() -> None:
    assert [case["name"] for case in GOLDEN["lines"]] == [case.name for case in make_curves.cases()]
    assert [case["path"] for case in GOLDEN["lines"]] == [case.path for case in make_curves.cases()]
    assert {case["name"]: case["camera"] for case in GOLDEN["cameras"]} == make_curves.CAMERAS


def test_golden_covers_every_kind_pace_and_fit() -> None:
    paths = [case["path"] for case in GOLDEN["lines"]]
    seen = {(path.get("curve", "catmull_rom"), str(path.get("easing", "linear"))) for path in paths}
    for curve in CURVES:
        for easing in ("linear", "ease_in", "ease_out", "ease_in_out"):
            assert (curve, easing) in seen
        assert any(path.get("curve") == curve and "cubic_bezier" in str(path.get("easing")) for path in paths)
        fits = {path["fit"] for path in paths if path.get("curve") == curve and path.get("timing") == "per_point"}
        assert fits == {"stretch", "hold", "cut"}
