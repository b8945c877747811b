"""The search for a thing's own picture, where a tracker of points gives up."""

import pytest
import torch

from draganything_core.evaluation.located_paths import SEARCH, located_error
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
    error = located_error(frames, frames[0], square(), asked())
    assert error.is_measured
    assert error.mean_px < 0.5
    assert error.tracker == SEARCH


def test_standing_still_is_the_error_of_standing_still():
    frames = clip(step=0)
    error = located_error(frames, frames[0], square(), asked())
    assert error.mean_px == pytest.approx(error.static_px, abs=0.5)


def test_what_is_gone_is_lost():
    frames = clip()
    frames[1:] = torch.tensor([0.0, 0.4, 0.9]).view(3, 1, 1)
    assert not located_error(frames, clip()[0], square(), asked()).is_measured


def test_the_ground_is_left_out():
    ground = Entity(2, "ground", torch.ones(SIZE.height, SIZE.width, dtype=torch.bool))
    entities = Entities((*square(), ground), SIZE)
    frames = clip()
    assert located_error(frames, frames[0], entities, asked(entities=2)).points == FRAMES - 1


def test_another_number_of_frames_is_refused():
    frames = clip()
    with pytest.raises(ValueError, match="5 frames, the video has 3"):
        located_error(frames[:3], frames[0], square(), asked())
