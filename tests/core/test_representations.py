"""The paper's other representations: point, trajectory, box and gaussian maps."""

from __future__ import annotations

import pytest
import torch
from condition_samples import EXACT, some_entities, some_tracks, square_mask, table

from draganything_core.conditions import (
    build_condition_maps,
)
from draganything_core.representations import box_map, gaussian_map, point_map, trajectory_map
from draganything_core.types import ConditionMaps, Entities, Entity, Size, Tracks

# ---- the paper's other representations


def a_crossing() -> tuple[Entities, Tracks]:
    """Two entities, one going right and one hidden in the middle frame."""
    entities = some_entities(2, Size(40, 56))
    points = [[[10, 20], [30, 5]], [[20, 20], [30, 15]], [[30, 20], [30, 25]]]
    visible = [[True, True], [True, False], [True, True]]
    return entities, some_tracks(points, [[e.radius for e in entities]] * 3, [0, 1], Size(40, 56), visible)


def painted_pixels(maps: ConditionMaps, frame: int, entity: int) -> list[list[int]]:
    """(row, column) of the entity's pixels in a frame."""
    return (maps.entity_index[frame] == entity).nonzero().tolist()


def test_point_map_holds_one_pixel_per_visible_path():
    entities, tracks = a_crossing()
    maps = point_map(entities, tracks, table(entities), Size(80, 112))
    assert painted_pixels(maps, 0, 0) == [[41, 21]]
    assert painted_pixels(maps, 1, 1) == []
    assert maps.gaussian.sum() == 5
    assert torch.equal(maps.gaussian[:, 0] > 0, maps.entity_index >= 0)


def test_trajectory_map_shows_the_past_bright_and_the_future_dim():
    entities, tracks = a_crossing()
    maps = trajectory_map(entities, tracks, table(entities), Size(40, 56), thickness_px=1)
    row = maps.gaussian[1, 0, 20]
    assert (row[10:21] == 1.0).all()
    assert (row[21:30] == 0.5).all()
    assert (row[:10] == 0).all()
    assert (maps.entity_index[1, 20, 10:30] == 0).all()
    assert maps.entity_index[0, 10, 30] == -1  # no line through the frame in which it is hidden
    assert maps.entity_index[0, 25, 30] == 1


def test_gaussian_map_carries_no_vector():
    entities, tracks = a_crossing()
    maps = gaussian_map(entities, tracks, table(entities), Size(40, 56), EXACT)
    assert (maps.entity_index == -1).all()
    assert torch.equal(
        maps.gaussian, build_condition_maps(entities, tracks, table(entities), Size(40, 56), EXACT).gaussian
    )


def test_box_map_moves_and_grows_the_mask_s_box():
    size = Size(40, 56)
    mask = torch.zeros(40, 56, dtype=torch.bool)
    mask[10:15, 20:31] = True
    entities = Entities((Entity(1, "bar", mask),), size)
    x, y = entities[0].center
    radius = entities[0].radius
    tracks = some_tracks([[[x, y]], [[x + 3, y - 2]], [[x, y]]], [[radius], [radius], [2 * radius]], [0], size)
    maps = box_map(entities, tracks, table(entities), size)
    assert torch.equal(maps.entity_index[0] == 0, mask)
    assert torch.equal(maps.entity_index[1] == 0, mask.roll((-2, 3), (0, 1)))
    assert (maps.entity_index[2] == 0).sum() == 4 * mask.sum()
    assert torch.equal(maps.gaussian[:, 0] > 0, maps.entity_index >= 0)


def test_box_map_is_scaled_cropped_hidden_and_never_less_than_a_pixel():
    size = Size(40, 56)
    entities = Entities.from_masks(square_mask(size, 10, 20, 5)[None])
    x, y = entities[0].center
    radius = entities[0].radius
    points = [[[x, y]], [[x, y]], [[x, y]], [[1, y]], [[-30, y]]]
    sizes = [[radius], [radius], [0.01 * radius], [radius], [radius]]
    tracks = some_tracks(points, sizes, [0], size, [[True], [False], [True], [True], [True]])
    doubled = square_mask(Size(80, 112), 20, 40, 10)
    maps = box_map(entities, tracks, table(entities), Size(80, 112))
    assert torch.equal(maps.entity_index[0] == 0, doubled)
    assert [int((frame == 0).sum()) for frame in maps.entity_index] == [100, 0, 1, 80, 0]


def test_line_from_far_off_the_picture_comes_in_from_its_own_side():
    entities = some_entities(1, Size(40, 56))
    tracks = some_tracks([[[3e38, 20]], [[30, 20]]], [[3], [3]], [0], Size(40, 56))
    maps = trajectory_map(entities, tracks, table(entities), Size(40, 56), thickness_px=1)
    assert painted_pixels(maps, 1, 0) == [[20, column] for column in range(30, 56)]


@pytest.mark.parametrize("representation", [point_map, trajectory_map, box_map])
def test_other_representations_survive_points_off_the_picture(representation):
    entities = some_entities(1, Size(40, 56))
    far = some_tracks([[[-3e38, 3e38]], [[1e7, 20]]], [[3], [3]], [0], Size(40, 56))
    assert (representation(entities, far, table(entities), Size(40, 56)).gaussian[0] == 0).all()
    none = some_tracks([[]] * 2, [[]] * 2, [], Size(40, 56))
    assert (representation(entities, none, table(entities), Size(24, 32)).entity_index == -1).all()
