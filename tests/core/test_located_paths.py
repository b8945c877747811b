"""The search for a thing's own picture, where a tracker of points gives up."""

import pytest
import torch
import torch.nn.functional as F

from draganything_core.evaluation.located_paths import SEARCH, found_paths, located_paths
from draganything_core.evaluation.track_error import TRACKER, followed_paths
from draganything_core.types import Entities, Entity, Size, Tracks

SIZE, FRAMES, SIDE, TOP, LEFT, STEP = Size(64, 96), 5, 15, 20, 12, 9


def clip(step=STEP):
    """A red square over green that moves; its texture is another one in every frame."""
    draw = torch.Generator().manual_seed(3)
    frames = torch.zeros(FRAMES, 3, SIZE.height, SIZE.width)
    frames[:, 1] = 0.4
    for number, frame in enumerate(frames):
        left = LEFT + step * number
        frame[:, TOP : TOP + SIDE, left : left + SIDE] = torch.tensor([0.8, 0.1, 0.1]).view(3, 1, 1)
        frame[:, TOP : TOP + SIDE, left : left + SIDE] += 0.2 * torch.rand(3, SIDE, SIDE, generator=draw)
    return frames


def restless(frames):
    """The same with other patches all over each frame, which no point survives."""
    draw = torch.Generator().manual_seed(0)
    patches = torch.rand(FRAMES, 3, SIZE.height // 4, SIZE.width // 4, generator=draw) - 0.5
    return (frames + 0.6 * F.interpolate(patches, scale_factor=4)).clamp(0, 1)


def square():
    mask = torch.zeros(SIZE.height, SIZE.width, dtype=torch.bool)
    mask[TOP : TOP + SIDE, LEFT : LEFT + SIDE] = True
    return Entities((Entity(1, "square", mask),), SIZE)


def asked(start=(LEFT + 3.0, TOP + 4.0), entities=1):
    x = start[0] + STEP * torch.arange(FRAMES)
    paths = torch.stack([x, torch.full((FRAMES,), start[1])], dim=-1)[:, None].expand(-1, entities, -1)
    shape = (FRAMES, entities)
    return Tracks(paths, torch.arange(entities), torch.ones(shape, dtype=torch.bool), torch.full(shape, 6.0), SIZE)


def test_a_thing_that_is_repainted_in_every_frame_is_found():
    frames = clip()
    error = located_paths(frames, frames[0], square(), asked()).error
    assert error.is_measured
    assert error.mean_px < 0.5
    assert error.tracker == SEARCH


def test_what_cannot_be_followed_is_searched_for_and_what_can_is_not():
    frames = clip()
    assert found_paths(frames, frames[0], square(), asked()).error.tracker == TRACKER
    error = found_paths(restless(frames), frames[0], square(), asked()).error
    assert error.tracker == SEARCH
    assert error.mean_px < 0.5
    gone = frames.clone()
    gone[1:] = torch.tensor([0.0, 0.4, 0.9]).view(3, 1, 1)
    error = found_paths(gone, frames[0], square(), asked()).error
    assert not error.is_measured
    assert error.tracker == TRACKER


def test_only_what_is_lost_is_searched_for():
    frames = clip()
    frames[:, :, 44:62, 60:90] = torch.rand(3, 18, 30, generator=torch.Generator().manual_seed(5))
    frames[:, :, :40] = restless(frames)[:, :, :40]
    mask = torch.zeros(SIZE.height, SIZE.width, dtype=torch.bool)
    mask[44:62, 60:90] = True
    entities = Entities((*square(), Entity(2, "still", mask)), SIZE)
    tracks = asked(entities=2)
    paths = tracks.paths.clone()
    paths[:, 1] = torch.tensor([75.0, 53.0])
    tracks = Tracks(paths, tracks.path_entity, tracks.visibility, tracks.radii, SIZE)
    assert not followed_paths(frames, entities, tracks).of_entity(0).error.is_measured
    found = found_paths(frames, clip()[0], entities, tracks)
    assert found.error.is_measured
    assert found.of_entity(0).error.mean_px < 0.5
    assert found.of_entity(1).error.mean_px < 0.5
    assert found.tracker == f"{TRACKER}; what it lost, by {SEARCH}"


def test_standing_still_is_the_error_of_standing_still():
    frames = clip(step=0)
    error = located_paths(frames, frames[0], square(), asked()).error
    assert error.mean_px == pytest.approx(error.static_px, abs=0.5)


def test_what_is_gone_is_lost():
    frames = clip()
    frames[1:] = torch.tensor([0.0, 0.4, 0.9]).view(3, 1, 1)
    assert not located_paths(frames, clip()[0], square(), asked()).error.is_measured


def test_the_ground_is_left_out():
    ground = Entity(2, "ground", torch.ones(SIZE.height, SIZE.width, dtype=torch.bool))
    entities = Entities((*square(), ground), SIZE)
    frames = clip()
    assert located_paths(frames, frames[0], entities, asked(entities=2)).error.points == FRAMES - 1


def test_another_number_of_frames_is_refused():
    frames = clip()
    with pytest.raises(ValueError, match="5 frames, the video has 3"):
        located_paths(frames[:3], frames[0], square(), asked())
