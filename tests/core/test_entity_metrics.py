"""Mask IoU, rigidity, leakage: of motions made by hand, and of small videos whose motion is known."""

import math

import numpy as np
import pytest
import torch

from draganything_core.evaluation.entity_metrics import (
    ENTITY_FIGURES,
    ENTITY_POINTS,
    GROUND_POINTS,
    REACH,
    ClipEntities,
    EntityMotion,
    Followed,
    carried_mask,
    clip_entities,
    entity_statistics,
    mask_iou,
    rigidity,
    spread_points,
)
from draganything_core.point_tracker import track_points
from draganything_core.types import Entities, Entity, Size, Tracks

SIZE, FRAMES, STEP, SIDE, TOP, LEFT = Size(72, 120), 4, 4, 26, 20, 24


def box(top, left, height, width):
    mask = torch.zeros(SIZE.height, SIZE.width, dtype=torch.bool)
    mask[top : top + height, left : left + width] = True
    return mask


def noise(height, width, seed):
    coarse = torch.rand(1, 3, height // 3, width // 3, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(coarse, (height, width), mode="bicubic").clamp(0, 1)[0]


def square_video(step=STEP, ground_step=0, trailing=False):
    """A textured square goes right, the ground left; trailing: only the square's upper half goes."""
    ground, square = noise(SIZE.height, SIZE.width + 30, 1), noise(SIDE, SIDE, 2)
    frames = []
    for frame in range(FRAMES):
        shown = ground[:, :, frame * ground_step : frame * ground_step + SIZE.width].clone()
        if trailing:
            shown[:, TOP : TOP + SIDE, LEFT : LEFT + SIDE] = square
            square_part = square[:, : SIDE // 2]
        else:
            square_part = square
        left = LEFT + frame * step
        shown[:, TOP : TOP + square_part.shape[1], left : left + SIDE] = square_part
        frames.append(shown)
    return torch.stack(frames)


def asked():
    """The square, the path of a point of its upper half, and its true masks."""
    entities = Entities((Entity(1, "square", box(TOP, LEFT, SIDE, SIDE)),), SIZE)
    x = LEFT + SIDE / 2 + STEP * torch.arange(FRAMES)
    paths = torch.stack([x, torch.full((FRAMES,), TOP + SIDE / 4)], dim=-1)[:, None]
    visible = torch.ones(FRAMES, 1, dtype=torch.bool)
    tracks = Tracks(paths, torch.zeros(1, dtype=torch.long), visible, torch.full((FRAMES, 1), 9.0), SIZE)
    index = torch.stack([box(TOP, LEFT + frame * STEP, SIDE, SIDE) for frame in range(FRAMES)]).to(torch.int16)
    return entities, tracks, index, torch.ones(FRAMES, dtype=torch.bool)


def measured(video):
    entities, tracks, index, masked = asked()
    points = spread_points(entities, index[0])
    followed, real = (Followed(*track_points(v, points.places, points.regions)) for v in (video, square_video()))
    return clip_entities("clip", points, followed, real, entities, tracks, index, masked)


# --- made by hand -----------------------------------------------------------------------------------------------------


def test_iou_of_known_boxes():
    assert mask_iou(box(0, 0, 4, 4), box(0, 0, 4, 4)) == 1
    assert mask_iou(box(0, 0, 4, 4), box(0, 2, 4, 4)) == pytest.approx(8 / 24)
    assert mask_iou(box(0, 0, 4, 4), box(30, 30, 4, 4)) == 0
    assert math.isnan(mask_iou(box(0, 0, 0, 0), box(0, 0, 0, 0)))


def test_points_spread_over_every_mask_and_the_ground():
    entities, _, index, _ = asked()
    points = spread_points(entities, index[0])
    assert (points.owner == 0).sum() == ENTITY_POINTS
    assert (points.owner == -1).sum() == GROUND_POINTS
    x, y = points.places.long().unbind(-1)
    assert torch.equal(entities[0].mask[y, x], points.owner == 0)
    for place, region, owner in zip(points.places, points.regions, points.owner.tolist(), strict=True):
        rows, columns = torch.nonzero(region, as_tuple=True)
        assert torch.hypot(columns - place[0], rows - place[1]).max() <= REACH
        assert not (region & (entities[0].mask if owner == -1 else ~entities[0].mask)).any()
    inner = points.places[points.owner == 0]
    assert torch.pdist(inner).min() >= 5  # twelve points of a square of 26 px need not crowd


def test_a_tiny_mask_has_a_point_and_a_whole_picture_none():
    tiny = Entities((Entity(1, "dot", box(5, 7, 1, 2)),), SIZE)
    assert (spread_points(tiny, tiny[0].mask.to(torch.int16)).owner == 0).sum() == 1
    whole = Entities((Entity(1, "camera", box(0, 0, SIZE.height, SIZE.width)),), SIZE)
    assert spread_points(whole, torch.zeros(SIZE.height, SIZE.width, dtype=torch.int16)).places.shape == (0, 2)


def test_a_mask_goes_where_its_points_go():
    before = torch.tensor([[26.0, 22.0], [34.0, 22.0], [30.0, 28.0]])
    seen = torch.ones(3, dtype=torch.bool)
    mask = box(TOP, LEFT, 10, 13)
    moved = carried_mask(mask, before, before + torch.tensor([5.0, -3.0]), seen)
    assert torch.equal(moved, box(TOP - 3, LEFT + 5, 10, 13))
    left = carried_mask(mask, before, before - torch.tensor([28.0, 0.0]), seen)
    assert torch.equal(left, box(TOP, 0, 10, 9))
    assert not carried_mask(mask, before, before, torch.tensor([True, True, False])).any()


def test_a_mask_goes_to_pieces_where_its_points_part():
    before = torch.tensor([[26.0, 22.0], [26.0, 27.0], [34.0, 22.0], [34.0, 27.0]])
    after = before + torch.tensor([[0.0, 0.0], [0.0, 0.0], [20.0, 0.0], [20.0, 0.0]])
    carried = carried_mask(box(TOP, 24, 10, 13), before, after, torch.ones(4, dtype=torch.bool))
    assert torch.equal(carried, box(TOP, 24, 10, 7) | box(TOP, 51, 10, 6))


def test_what_moves_as_one_has_no_slope_and_what_trails_behind_its_own():
    places, seen = torch.rand(9, 2, generator=torch.Generator().manual_seed(0)) * 20, torch.ones(9, dtype=torch.bool)
    point = torch.tensor([3.0, 4.0])
    assert rigidity(torch.full((9,), 8.0), places, point, seen) == pytest.approx(0, abs=1e-9)
    trailing = 12 - 0.4 * torch.linalg.vector_norm(places - point, dim=-1)
    assert rigidity(trailing, places, point, seen) == pytest.approx(-0.4, abs=1e-5)
    trailing[4] = 99
    seen[4] = False
    assert rigidity(trailing, places, point, seen) == pytest.approx(-0.4, abs=1e-5)
    assert math.isnan(rigidity(trailing, places, point, torch.zeros(9, dtype=torch.bool)))


def hand_moved(points, steps):
    """Every point at rest plus (T,N,2) steps."""
    return Followed(points.places + steps, torch.ones(steps.shape[:2], dtype=torch.bool))


def test_leakage_is_of_the_ground_that_rests_in_the_real_video():
    entities, tracks, index, masked = asked()
    points = spread_points(entities, index[0])
    still = torch.zeros(FRAMES, len(points.places), 2)
    moved, real = still.clone(), still.clone()
    ground = torch.nonzero(points.owner == -1).flatten()
    moved[1, ground] = torch.tensor([0.0, 6.0])
    moved[:, ground[0]] = 50.0  # it moves in the real video, too: not asked to rest
    real[1:, ground[0]] = 3.0
    found = clip_entities(
        "a", points, hand_moved(points, moved), hand_moved(points, real), entities, tracks, index, masked
    )
    assert found.leak_px == pytest.approx(2)  # 6 px in one of three frames
    assert found.asked_px == pytest.approx(2 * STEP)


def test_without_ground_at_rest_there_is_no_leakage():
    entities, tracks, index, masked = asked()
    points = spread_points(entities, index[0])
    all_move = hand_moved(points, torch.arange(FRAMES)[:, None, None] * torch.ones(FRAMES, len(points.places), 2))
    found = clip_entities("a", points, all_move, all_move, entities, tracks, index, masked)
    assert math.isnan(found.leak_px)


def test_entities_weigh_the_same_and_leakage_is_sum_over_sum():
    clips = [
        ClipEntities("a", (EntityMotion("x", (1.0, 0.0), (-0.2, -0.2, 9.0)), EntityMotion("y", (1.0,), ())), 1.0, 10.0),
        ClipEntities("b", (EntityMotion("x", (), ()),), 2.0, 20.0),
        ClipEntities("c", (), math.nan, 20.0),
    ]
    found = {name: statistic.value for name, statistic in entity_statistics(clips).items()}
    assert found == {"iou": pytest.approx(0.75), "rigidity": pytest.approx(-0.2), "leakage": pytest.approx(3 / 30)}
    assert set(found) == set(ENTITY_FIGURES)


# --- small videos -----------------------------------------------------------------------------------------------------


def test_a_video_that_obeys_keeps_thing_and_ground():
    found = measured(square_video())
    assert np.mean(found.entities[0].ious) > 0.93
    assert np.median(found.entities[0].slopes) == pytest.approx(0, abs=0.05)
    assert found.leak_px < 0.1


def test_a_video_that_stands_still_has_the_iou_of_standing_still_and_no_leak():
    found = measured(square_video(step=0))
    expected = [(SIDE - STEP * frame) / (SIDE + STEP * frame) for frame in range(1, FRAMES)]
    assert found.entities[0].ious == pytest.approx(expected, abs=0.02)
    assert found.leak_px == pytest.approx(0, abs=0.05)


def test_a_thing_torn_in_half_shows_as_a_slope():
    torn = measured(square_video(trailing=True)).entities[0]
    assert np.median(torn.slopes) < -0.12
    assert np.mean(torn.ious) < 0.9


def test_a_ground_that_goes_along_leaks():
    found = measured(square_video(step=0, ground_step=STEP))
    assert found.leak_px / found.asked_px == pytest.approx(1, abs=0.1)
