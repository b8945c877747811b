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
from curve_samples import LINE, SIZE, line, tracks_of
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies_document import camera_moves, easings, motion_paths

from draganything_core.camera import camera_motion
from draganything_core.curves import CHORDS, curve_points, path_track
from draganything_core.document import (
    CameraMove,
    ControlPoint,
    CurveKind,
    Easing,
    MotionPath,
)
from draganything_core.easing import eased, frame_times, progress
from draganything_core.types import Size

CURVES: list[CurveKind] = ["polyline", "catmull_rom", "bezier", "freehand"]
GOLDEN = json.loads(make_curves.TARGET.read_text(encoding="utf-8"))


def at(path: MotionPath, frames: int) -> list[list[float]]:
    return curve_points(path, frames).tolist()


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
