"""End-point errors of hand-made tracks: perfect is 0, shifted by d is d, standing still is known."""

import math

import pytest
import torch

from draganything_core.evaluation.point_metrics import (
    POINT_FIGURES,
    ClipPoints,
    PathPoints,
    path_points,
    point_statistics,
)
from draganything_core.evaluation.regions import tracking_regions
from draganything_core.types import Entities, Entity, Size, Tracks

FRAMES, SIZE = 5, Size(40, 56)


def line(step, start=(10.0, 20.0), paths=1):
    """(T,paths,2): every path goes ``step`` px to the right a frame."""
    x = start[0] + step * torch.arange(FRAMES)
    return torch.stack([x, torch.full((FRAMES,), start[1])], dim=-1)[:, None].repeat(1, paths, 1)


def shown(*frames, paths=1):
    visible = torch.zeros(FRAMES, paths, dtype=torch.bool)
    visible[list(frames or range(FRAMES))] = True
    return visible


def figures(*clips, size=SIZE):
    named = [ClipPoints(str(number), size, tuple(paths)) for number, paths in enumerate(clips)]
    return {name: statistic.value for name, statistic in point_statistics(named).items()}


def points(asked, found, visible=None, seen=None):
    everywhere = torch.ones(asked.shape[:2], dtype=torch.bool)
    names = [f"path {number}" for number in range(asked.shape[1])]
    visible, seen = (everywhere if flags is None else flags for flags in (visible, seen))
    return path_points(names, asked, visible, found, seen)


def test_a_perfect_video_has_no_error():
    found = figures(points(line(3), line(3)))
    assert (found["mean_px"], found["median_px"], found["ratio"]) == (0, 0, 0)
    assert (found["pck_4"], found["pck_8"], found["pck_16"]) == (1, 1, 1)


def test_a_video_shifted_by_d_has_error_d():
    asked = line(3)
    found = asked + torch.tensor([3.0, 4.0])
    found[0] = asked[0]
    got = figures(points(asked, found))
    assert got["mean_px"] == pytest.approx(5)
    assert got["median_px"] == pytest.approx(5)
    assert got["diagonal_percent"] == pytest.approx(100 * 5 / math.hypot(40, 56))


def test_standing_still_is_known():
    asked = line(2)
    got = figures(points(asked, asked[:1].expand_as(asked)))
    assert got["mean_px"] == got["static_px"] == pytest.approx(2 * (1 + 2 + 3 + 4) / 4)
    assert got["ratio"] == 1
    assert got["median_px"] == pytest.approx(5)


def test_the_first_frame_does_not_count():
    asked = line(0)
    found = asked.clone()
    found[0] += 99
    (path,) = points(asked, found)
    assert len(path.errors) == FRAMES - 1
    assert max(path.errors) == 0


def test_only_frames_that_the_truth_sees_count_whatever_the_tracker_says():
    asked = line(2)
    still = asked[:1].expand_as(asked)
    (path,) = points(asked, still, visible=shown(0, 1, 3), seen=shown(0, 1))
    assert path.errors == pytest.approx((2, 6))
    assert path.lost == 1
    assert figures([path])["lost"] == 0.5


def test_a_path_that_is_never_seen_again_takes_no_part():
    hidden = points(line(2), line(2) + 50, visible=shown(0))
    assert hidden[0].errors == ()
    got = figures(hidden, points(line(2), line(2)))
    assert got["mean_px"] == 0
    assert all(math.isnan(value) for value in figures(hidden).values())


def test_thresholds_are_of_a_short_side_of_256():
    # 40 px of short side: 4 px of 256 are 0.625 px here, 8 px 1.25 px, 16 px 2.5 px.
    asked = line(0)
    found = asked + torch.tensor([1.0, 0.0])
    got = figures(points(asked, found))
    assert (got["pck_4"], got["pck_8"], got["pck_16"]) == (0, 1, 1)
    twice = figures(points(asked, found), size=Size(20, 28))
    assert (twice["pck_8"], twice["pck_16"]) == (0, 1)


def test_every_clip_weighs_the_same_and_in_it_every_path():
    near, far = PathPoints("near", (1.0,), (2.0,)), PathPoints("far", (5.0, 5.0, 5.0), (4.0, 4.0, 4.0))
    got = figures([near, far], [near])
    assert got["mean_px"] == pytest.approx(((1 + 5) / 2 + 1) / 2)
    assert got["ratio"] == pytest.approx((3 + 1) / (3 + 2))
    assert got["median_px"] == 5  # of 1, 5, 5, 5, 1


def test_one_tracker_gone_astray_does_not_decide_the_capped_error():
    astray = PathPoints("astray", (36341.0, 1.0), (0.0, 0.0))
    assert figures([astray])["capped_px"] == pytest.approx((math.hypot(40, 56) + 1) / 2)


def test_moving_paths_are_those_that_go_five_percent_of_the_diagonal():
    diagonal = math.hypot(40, 56)
    slow = PathPoints("slow", (1.0,), (0.049 * diagonal,))
    fast = PathPoints("fast", (3.0,), (0.051 * diagonal,))
    got = figures([slow, fast])
    assert got["moving_px"] == 3
    assert got["moving_ratio"] == pytest.approx(3 / (0.051 * diagonal))
    assert math.isnan(figures([slow])["moving_px"])


def test_every_figure_has_a_title():
    assert set(figures(points(line(1), line(1)))) == set(POINT_FIGURES)


def test_shapes_that_disagree_are_named():
    with pytest.raises(ValueError, match=r"found must be \(5, 2, 2\)"):
        path_points(["a", "b"], line(1, paths=2), shown(paths=2), line(1), shown(paths=2))
    with pytest.raises(ValueError, match="1 names need"):
        path_points(["a"], line(1, paths=2), shown(paths=2), line(1, paths=2), shown(paths=2))


def test_a_whole_picture_is_followed_by_a_patch_about_its_point():
    whole, part = torch.ones(40, 56, dtype=torch.bool), torch.zeros(40, 56, dtype=torch.bool)
    part[4:9, 6:15] = True
    entities = Entities((Entity(1, "camera", whole), Entity(2, "thing", part)), SIZE)
    paths = torch.cat([line(1), line(1, (9.0, 6.0))], dim=1)
    tracks = Tracks(paths, torch.tensor([0, 1]), shown(paths=2), torch.ones(FRAMES, 2), SIZE)
    camera, thing = tracking_regions(entities, tracks, [0, 1])
    assert torch.equal(thing, part)
    assert int(camera.sum()) == 81  # pixels within 5 px
    assert bool(camera[20, 10])
    assert tracking_regions(entities, tracks, []).shape == (0, 40, 56)
