import pytest
import torch

from draganything_core.types import (
    ConditionMaps,
    ControlResiduals,
    Entities,
    Entity,
    EntityFeatures,
    FeatureSource,
    PointPrompts,
    Size,
    Tracks,
)

SIZE = Size(40, 56)


def mask(top=5, bottom=20, left=7, right=30, size=SIZE):
    result = torch.zeros(size.height, size.width, dtype=torch.bool)
    result[top:bottom, left:right] = True
    return result


def tracks(**changes):
    values = {
        "paths": torch.arange(12, dtype=torch.float32).view(3, 2, 2),
        "path_entity": torch.zeros(2, dtype=torch.long),
        "visibility": torch.ones(3, 2, dtype=torch.bool),
        "radii": torch.full((3, 2), 4.0),
        "size": SIZE,
    }
    return Tracks(**{**values, **changes})


@pytest.mark.parametrize("height", [0, -8, 3.5, True])
def test_size_refuses_what_is_not_a_number_of_pixels(height):
    with pytest.raises(ValueError, match="height must be a whole number of pixels"):
        Size(height, 8)


def test_latent_size_is_an_eighth():
    assert Size(320, 576).latent == Size(40, 72)


def test_an_entity_needs_at_least_one_pixel():
    with pytest.raises(ValueError, match=r"entity 3 \(ball\): the mask is empty"):
        Entity(3, "ball", torch.zeros(40, 56, dtype=torch.bool))


def test_an_entitys_radius_is_the_inscribed_circles_unless_given():
    entity = Entity(1, "box", mask())
    assert entity.radius == entity.inscribed_circle.radius == 8
    assert Entity(1, "box", mask(), radius_px=3.5).radius == 3.5


def test_resizing_an_entity_scales_an_overridden_radius():
    resized = Entity(1, "box", mask(), radius_px=4.0).resized(Size(80, 112))
    assert resized.size == Size(80, 112)
    assert resized.radius == 8.0
    assert int(resized.mask.sum()) == 4 * int(mask().sum())


def test_entities_refuse_a_mask_of_another_size_and_name_it():
    with pytest.raises(ValueError, match=r"entity 2 \(sky\): its mask is 40x56, the picture 41x56"):
        Entities((Entity(2, "sky", mask()),), Size(41, 56))


def test_entities_refuse_equal_ids():
    with pytest.raises(ValueError, match="ids must differ"):
        Entities((Entity(1, "a", mask()), Entity(1, "b", mask())), SIZE)


def test_entities_from_masks_are_numbered_from_one_in_order():
    batch = torch.stack([mask().float() * 0.9, mask(0, 4, 0, 4).float()])
    entities = Entities.from_masks(batch, ["first", "second"])
    assert [(e.entity_id, e.name) for e in entities] == [(1, "first"), (2, "second")]
    assert torch.equal(entities.masks, batch > 0.5)
    assert entities.index_of(2) == 1
    with pytest.raises(KeyError, match=r"no entity 7; there are \[1, 2\]"):
        entities.index_of(7)


def test_resizing_tracks_keeps_pixel_edges_and_goes_back():
    original = tracks()
    doubled = original.resized(Size(80, 168))
    assert doubled.paths[0, 0].tolist() == [1.0, 2.5]  # x scale 3, y scale 2: (0, 1) -> (0.5*3-0.5, 1.5*2-0.5)
    assert float(doubled.radii[0, 0]) == 10.0
    torch.testing.assert_close(doubled.resized(SIZE).paths, original.paths)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("visibility", torch.ones(3, 1, dtype=torch.bool), r"visibility must be \(3, 2\)"),
        ("visibility", torch.ones(3, 2), "visibility must be bool"),
        ("radii", torch.ones(2, 3), r"radii must be \(3, 2\)"),
        ("path_entity", torch.zeros(3), r"path_entity must be \(2,\)"),
        ("paths", torch.zeros(3, 2, 3), r"paths must be \(T, P, 2\)"),
        ("paths", torch.full((3, 2, 2), float("nan")), "not a finite number"),
    ],
)
def test_tracks_name_the_part_that_does_not_fit(name, value, message):
    with pytest.raises(ValueError, match=message):
        tracks(**{name: value})


def test_point_prompts_refuse_other_labels():
    with pytest.raises(ValueError, match="labels must be 1"):
        PointPrompts(torch.zeros(2, 2), torch.tensor([1, 2]), SIZE)
    with pytest.raises(ValueError, match="2 coords need as many labels"):
        PointPrompts(torch.zeros(2, 2), torch.tensor([1]), SIZE)


def test_feature_source_and_features_refuse_bad_values():
    with pytest.raises(ValueError, match='must be "sd15" or "svd"'):
        FeatureSource(model_kind="sdxl")
    with pytest.raises(ValueError, match="ensemble must be >= 1"):
        FeatureSource(ensemble=0)
    with pytest.raises(ValueError, match="not a finite number"):
        EntityFeatures(torch.tensor([[1.0, float("inf")]]), FeatureSource())


def test_the_dense_entity_map_shows_each_entitys_vector_in_its_place():
    index = torch.full((2, 4, 5), -1, dtype=torch.int16)
    index[0, 1, 2], index[1, 3, 4] = 0, 1
    embeddings = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    maps = ConditionMaps(torch.zeros(2, 1, 4, 5), index, embeddings, Size(4, 5))
    dense = maps.entity_map()
    assert dense.shape == (2, 3, 4, 5)
    assert dense[0, :, 1, 2].tolist() == [1, 2, 3]
    assert dense[1, :, 3, 4].tolist() == [4, 5, 6]
    assert int((dense != 0).sum()) == 6
    assert torch.equal(maps.entity_map(slice(1, 2)), dense[1:])
    assert torch.equal(maps.sliced([1]).entity_map(), dense[1:])


def test_condition_maps_refuse_shapes_that_disagree():
    index = torch.full((2, 4, 5), -1, dtype=torch.int16)
    with pytest.raises(ValueError, match="gaussian must be"):
        ConditionMaps(torch.zeros(2, 3, 4, 5), index, torch.zeros(1, 3), Size(4, 5))
    with pytest.raises(ValueError, match="entity_index must be int16"):
        ConditionMaps(torch.zeros(2, 1, 4, 5), index.long(), torch.zeros(1, 3), Size(4, 5))


def test_residuals_are_scaled_and_multiplied_one_by_one():
    residuals = ControlResiduals((torch.ones(1, 2), torch.ones(1, 3)), torch.ones(1, 4))
    halved = residuals.scaled(0.5)
    assert [float(d.max()) for d in (*halved.down, halved.mid)] == [0.5, 0.5, 0.5]
    multiplied = residuals.multiplied((4, 3), 2)
    assert [float(d.max()) for d in (*multiplied.down, multiplied.mid)] == [4, 3, 2]
    assert residuals.scaled(1.0).mid is residuals.mid  # nothing is copied to be the same
    with pytest.raises(ValueError, match="2 skip residuals need as many factors, got 1"):
        residuals.multiplied((4,), 1)
