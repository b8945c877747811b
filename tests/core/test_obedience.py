"""What is said and drawn about a video of known motion: one square that obeys, one that does not."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from draganything_core.evaluation.obedience import BESIDE_IT, LOST, ON_THE_LINE, obedience_overlay, obedience_report
from draganything_core.evaluation.track_error import FollowedPaths, TrackError, followed_paths
from draganything_core.pictures import overlay_frames
from draganything_core.types import Entities, Size, Tracks

SIZE, FRAMES, SIDE, STEP = Size(96, 140), 6, 22, 5
TOPS, LEFT = (10, 56), 16
NAMES = ["good", "lazy"]


def texture(height: int, width: int, seed: int) -> Tensor:
    coarse = torch.rand(1, 3, height // 3 + 1, width // 3 + 1, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(coarse, (height, width), mode="bicubic").clamp(0, 1)[0]


def video() -> Tensor:
    """Two squares, asked to go right: the upper one goes, the lower one stays."""
    ground = texture(SIZE.height, SIZE.width, 1) * 0.2
    frames = ground.repeat(FRAMES, 1, 1, 1)
    for frame in range(FRAMES):
        for square, top in enumerate(TOPS):
            left = LEFT + (STEP * frame if square == 0 else 0)
            frames[frame, :, top : top + SIDE, left : left + SIDE] = texture(SIDE, SIDE, square + 2)
    return frames


def entities() -> Entities:
    masks = torch.zeros(2, SIZE.height, SIZE.width, dtype=torch.bool)
    for square, top in enumerate(TOPS):
        masks[square, top : top + SIDE, LEFT : LEFT + SIDE] = True
    return Entities.from_masks(masks, NAMES)


def asked(visible: Tensor | None = None) -> Tracks:
    x = LEFT + SIDE / 2 + STEP * torch.arange(FRAMES)
    paths = torch.stack([torch.stack([x, torch.full((FRAMES,), top + SIDE / 2)], -1) for top in TOPS], dim=1)
    visible = torch.ones(FRAMES, 2, dtype=torch.bool) if visible is None else visible
    return Tracks(paths, torch.tensor([0, 1]), visible, torch.full((FRAMES, 2), 11.0), SIZE)


def followed(tracks: Tracks | None = None) -> FollowedPaths:
    return followed_paths(video(), entities(), tracks or asked())


def color_at(image: Tensor, point: Tensor) -> list[float]:
    x, y = point.tolist()
    return (image[:, round(y), round(x)] * 255).tolist()


def test_each_entity_is_measured_by_itself():
    found = followed()
    good, lazy = (found.of_entity(index).error for index in (0, 1))
    assert good.ratio < 0.05
    assert lazy.ratio == pytest.approx(1, abs=0.05)
    assert found.error.mean_px == pytest.approx((good.mean_px + lazy.mean_px) / 2)


def test_the_report_names_what_obeyed_and_what_found_it():
    first, good, lazy, how = obedience_report(asked(), followed(), NAMES, SIZE).splitlines()
    assert "standing still: 15.0 px" in first
    assert good.startswith("good: 0.")
    assert lazy.startswith("lazy: 15.")
    assert "of standing still" in lazy
    assert how == "in pixels of the video (96x140), found by in-mask Lucas-Kanade, forward-backward checked."


def test_the_report_names_what_was_not_measured():
    visible = torch.ones(FRAMES, 2, dtype=torch.bool)
    visible[0, 1] = False  # cannot be followed
    tracks = asked(visible)
    lines = obedience_report(tracks, followed(tracks), NAMES, SIZE).splitlines()
    assert lines[1].startswith("good: 0.")
    assert lines[2] == "lazy: not measured."


def test_one_entity_needs_no_line_of_its_own():
    both = asked()
    good = Tracks(both.paths[:, :1], both.path_entity[:1], both.visibility[:, :1], both.radii[:, :1], SIZE)
    lines = obedience_report(good, followed(good), NAMES, SIZE).splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("0.")


def test_nothing_to_move_has_no_ratio():
    assert math.isnan(TrackError(0.0, 0.0, 0.0, 0.0, 5).ratio)
    assert not TrackError(1.0, 1.0, 1.0, 0.6, 5).is_measured
    assert not TrackError(math.nan, math.nan, math.nan, 0.0, 0).is_measured


@pytest.mark.parametrize("scale", [1, 2])
def test_dots_are_white_on_the_line_and_red_beside_it(scale):
    found = followed()
    overlay = obedience_overlay(video(), asked(), found, NAMES, scale=scale)
    assert overlay.shape == (FRAMES, 3, SIZE.height * scale, SIZE.width * scale)
    places = (found.found[-1] + 0.5) * scale - 0.5
    assert color_at(overlay[-1], places[0]) == pytest.approx(ON_THE_LINE, abs=12)
    assert color_at(overlay[-1], places[1]) == pytest.approx(BESIDE_IT, abs=12)
    midway = (found.found[-1, 1] + found.asked[-1, 1]) / 2
    assert color_at(overlay[-1], (midway + 0.5) * scale - 0.5) == pytest.approx(BESIDE_IT, abs=60)


def test_what_was_lost_is_grey():
    found = followed()
    found.seen[-1] = False
    overlay = obedience_overlay(video(), asked(), found, NAMES)
    assert color_at(overlay[-1], found.found[-1, 0]) == pytest.approx(LOST, abs=12)


def test_hidden_frames_show_nothing_found():
    visible = torch.ones(FRAMES, 2, dtype=torch.bool)
    visible[3:] = False
    tracks = asked(visible)
    found = followed(tracks)
    overlay, without = obedience_overlay(video(), tracks, found, NAMES), overlay_frames(video(), tracks, NAMES)
    assert torch.equal(overlay[3:], without[3:])
    assert not torch.equal(overlay[2], without[2])
