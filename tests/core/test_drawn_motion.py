"""How much is drawn to move, against the true flow of drawn clips, and the motion bucket that weights want for it."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from condition_samples import some_tracks, square_mask, table
from hypothesis import given
from hypothesis import strategies as st

from draganything_core.conditions import Geometry
from draganything_core.data.synthetic import SyntheticConfig, synthetic_clip
from draganything_core.drawn_motion import drawn_motion, motion_bucket, wanted_motion_bucket
from draganything_core.representations import represented_maps
from draganything_core.training.clips import motion_clip
from draganything_core.types import Entities, Entity, Size

SIZE = Size(40, 100)
# Everything that moves is asked for, and nothing leaves the picture or is hidden.
STEADY = SyntheticConfig(
    sprites=(1.0,), exits=0.0, entries=0.0, look_alikes=0.0, occlusion=0.0, zoom=0.0, pan_distance=(0.05, 0.1)
)


def squares(*places: tuple[int, int, int]) -> Entities:
    """Of (left, top, side)."""
    return Entities(tuple(Entity(i, f"square {i}", square_mask(SIZE, *place)) for i, place in enumerate(places)), SIZE)


def test_a_mask_moves_as_far_as_its_points_and_the_rest_of_the_picture_rests():
    # A tenth of the picture goes 2 px a frame, which is 5 % of the short side.
    tracks = some_tracks([[(10, 20)], [(12, 20)], [(12, 22)]], [[4]] * 3, [0], SIZE)
    assert drawn_motion(squares((0, 10, 20)), tracks) == pytest.approx(0.5)


def test_points_of_one_entity_are_averaged():
    tracks = some_tracks([[(10, 20), (14, 20)], [(12, 20), (20, 20)]], [[4, 4]] * 2, [0, 0], SIZE)
    assert drawn_motion(squares((0, 10, 20)), tracks) == pytest.approx(1.0)


def test_while_a_point_is_hidden_it_is_taken_to_go_straight_on():
    # 12 px in the three frames between which it is seen; where it is not, its places are anybody's guess.
    lines = [[(10, 20)], [(90, 1)], [(10, 32)], [(10, 32)], [(80, 39)]]
    tracks = some_tracks(lines, [[4]] * 5, [0], SIZE, [[True], [False], [True], [True], [False]])
    assert drawn_motion(squares((0, 10, 20)), tracks) == pytest.approx(1.0)


def test_of_masks_that_overlap_the_smaller_one_counts():
    everything = Entity(7, "everything", torch.ones(SIZE.height, SIZE.width, dtype=torch.bool))
    small = squares((0, 10, 20))
    tracks = some_tracks([[(10, 20), (50, 20)], [(10, 20), (54, 20)]], [[4, 4]] * 2, [0, 1], SIZE)
    both = Entities((*small, everything), SIZE)
    assert drawn_motion(both, tracks) == pytest.approx(9.0)  # nine tenths go 4 px, 10 %


@pytest.mark.parametrize("paths", [0, 1])
def test_nothing_moves_where_there_is_no_line_or_one_frame(paths):
    tracks = some_tracks([[(10, 20)][:paths]], [[4][:paths]], [0][:paths], SIZE)
    assert drawn_motion(squares((0, 10, 20)), tracks) == 0.0


def test_what_is_drawn_is_what_really_moves_in_clips_of_all_kinds():
    kinds = {"foreground": {}, "background": {"background": 1.0}, "both": {"both": 1.0}, "camera": {"camera": 1.0}}
    for chances in kinds.values():
        config = replace(STEADY, **{"background": 0.0, "both": 0.0, "camera": 0.0, **chances})
        for index in range(6):
            clip = synthetic_clip(5, index, config)
            entities, tracks = clip.requested
            assert drawn_motion(entities, tracks) == pytest.approx(motion_clip(clip, "a clip").motion, rel=0.12)


def test_a_zoom_is_nearly_what_really_moves():
    config = replace(STEADY, camera=1.0, background=0.0, both=0.0, zoom=1.0, pan=0.0)
    clips = [synthetic_clip(6, index, config) for index in range(8)]
    shares = [drawn_motion(*clip.requested) / motion_clip(clip, "a zoom").motion for clip in clips]
    assert np.abs(np.log(shares)).max() < 0.25


def test_condition_maps_know_how_much_moves():
    entities = squares((0, 10, 20))
    tracks = some_tracks([[(10, 20)], [(12, 20)]], [[4]] * 2, [0], SIZE)
    for kind in ("exact", "reference", "point", "trajectory", "box"):
        maps = represented_maps(entities, tracks, table(entities), SIZE, Geometry(kind))
        assert maps.motion == pytest.approx(0.5)
        assert maps.sliced([1]).to("cpu").motion == maps.motion


def test_the_motion_bucket_is_in_svds_range():
    assert [motion_bucket(motion) for motion in (0.0, 0.27, 1.0, 2.4, 50.0)] == [0, 30, 110, 255, 255]
    with pytest.raises(ValueError, match="must be known"):
        motion_bucket(math.nan)


@given(st.floats(0, 1e6), st.floats(0, 1e6))
def test_more_motion_is_never_a_lower_bucket(one, other):
    low, high = sorted((one, other))
    assert 0 <= motion_bucket(low) <= motion_bucket(high) <= 255


@pytest.mark.parametrize(("per_percent", "motion", "bucket"), [(None, 2.0, 30), (50.0, None, 30), (50.0, 2.0, 100)])
def test_weights_say_whether_they_want_their_own_bucket_or_that_of_the_motion(per_percent, motion, bucket):
    choices = {"motion_bucket_id": 30, "motion_buckets_per_percent": per_percent}
    assert wanted_motion_bucket(choices, motion) == bucket
