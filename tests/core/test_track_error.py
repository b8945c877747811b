"""Track error against videos whose motion is known: a textured square that moves 2 px a frame over a still ground."""

import math

import pytest
import torch

from draganything_core.evaluation.track_error import TrackError, track_error
from draganything_core.types import Entities, Entity, Size, Tracks

SIZE, FRAMES, STEP, SIDE = Size(72, 120), 6, 2, 24
TOP, LEFT = 24, 20
CENTER = (LEFT + SIDE / 2, TOP + SIDE / 2)


def noise(height, width, seed):
    coarse = torch.rand(1, 3, height // 3, width // 3, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(coarse, (height, width), mode="bicubic").clamp(0, 1)[0]


def moving_square(step=STEP):
    ground, square = noise(SIZE.height, SIZE.width, 1) * 0.2, noise(SIDE, SIDE, 2)
    video = ground.repeat(FRAMES, 1, 1, 1)
    for frame in range(FRAMES):
        video[frame, :, TOP : TOP + SIDE, LEFT + frame * step : LEFT + frame * step + SIDE] = square
    return video


def square_entity():
    mask = torch.zeros(SIZE.height, SIZE.width, dtype=torch.bool)
    mask[TOP : TOP + SIDE, LEFT : LEFT + SIDE] = True
    return Entities((Entity(1, "square", mask),), SIZE)


def asked(step=STEP, visible=None, size=SIZE):
    x = CENTER[0] + step * torch.arange(FRAMES)
    paths = torch.stack([x, torch.full((FRAMES,), CENTER[1])], dim=-1)[:, None]
    visibility = torch.ones(FRAMES, 1, dtype=torch.bool) if visible is None else visible
    return Tracks(paths, torch.zeros(1, dtype=torch.long), visibility, torch.full((FRAMES, 1), 10.0), size)


def test_a_video_that_obeys_has_next_to_no_error():
    error = track_error(moving_square(), square_entity(), asked())
    assert error.mean_px < 0.3
    assert error.lost == 0
    assert error.points == FRAMES - 1
    assert error.static_px == pytest.approx(STEP * (1 + 2 + 3 + 4 + 5) / 5)


def test_a_video_that_stands_still_has_the_error_of_standing_still():
    error = track_error(moving_square(step=0), square_entity(), asked())
    assert error.mean_px == pytest.approx(error.static_px, abs=0.1)
    assert error.median_px == pytest.approx(STEP * 3, abs=0.1)


def test_only_visible_frames_count():
    visible = torch.tensor([[True], [True], [True], [False], [False], [False]])
    error = track_error(moving_square(step=0), square_entity(), asked(visible=visible))
    assert error.points == 2
    assert error.static_px == pytest.approx(STEP * 1.5)


def test_paths_not_visible_at_first_cannot_be_followed():
    visible = torch.tensor([[False]] + [[True]] * (FRAMES - 1))
    error = track_error(moving_square(), square_entity(), asked(visible=visible))
    assert error.points == 0
    assert math.isnan(error.mean_px)
    assert str(error) == "no visible point to measure"


def test_tracks_of_another_canvas_are_measured_in_pixels_of_the_video():
    twice = Size(SIZE.height * 2, SIZE.width * 2)
    error = track_error(moving_square(), square_entity().resized(twice), asked().resized(twice))
    assert error.mean_px < 0.5
    assert error.static_px == pytest.approx(STEP * 3)


def test_a_whole_picture_is_followed_where_each_point_is():
    # The ground shifts as one; a zoom or another thing elsewhere must not decide about this point.
    ground = noise(SIZE.height, SIZE.width + FRAMES * STEP, 3)
    video = torch.stack([ground[:, :, frame * STEP : frame * STEP + SIZE.width] for frame in range(FRAMES)])
    video[:, :, :20] = 0.5
    picture = Entities((Entity(1, "camera", torch.ones(SIZE.height, SIZE.width, dtype=torch.bool)),), SIZE)
    tracks = asked(step=-STEP)
    error = track_error(
        video,
        picture,
        Tracks(tracks.paths + 20, *(getattr(tracks, n) for n in ("path_entity", "visibility", "radii", "size"))),
    )
    assert error.mean_px < 0.3


def test_another_number_of_frames_is_refused():
    with pytest.raises(ValueError, match="the tracks have 6 frames, the video has 5"):
        track_error(moving_square()[:5], square_entity(), asked())


def test_an_error_of_lost_points_is_not_given_as_measured():
    assert (
        str(TrackError(36.5, 31.7, 36.5, lost=0.6, points=10)) == "not measurable: the tracker lost 60% of the points"
    )
    assert "36.5 px mean" in str(TrackError(36.5, 31.7, 36.5, lost=0.2, points=10))
