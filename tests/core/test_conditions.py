"""Condition maps: the original's to the bit, the exact ones against a slow loop, inputs the original fell over."""

from __future__ import annotations

import math
import zlib
from dataclasses import replace
from pathlib import Path

import check_c
import pytest
import torch
from condition_samples import EXACT, radii, some_entities, some_tracks, square_mask, table
from hypothesis import given, settings
from hypothesis import strategies as st

from draganything_core.conditions import (
    Geometry,
    build_condition_maps,
    painted_embeddings,
    reference_latent_mask,
    reference_radius,
)
from draganything_core.reference_geometry import gaussian_template, reference_centers, reference_sides
from draganything_core.types import Entities, Entity, EntityFeatures, FeatureSource, Size, Tracks

GOLDENS = Path(__file__).parents[1] / "goldens"
REFERENCE = Geometry("reference")
PUBLISHED = Geometry("reference", max_radius=50, max_radius_size=Size(320, 576))
BOTH = pytest.mark.parametrize("geometry", [EXACT, REFERENCE], ids=["exact", "reference"])


def resting_tracks(entities: Entities, points: list[tuple[float, float]], frames: int = 1) -> Tracks:
    """One path per entity that rests on a point with the entity's own radius."""
    radii = [[entity.radius for entity in entities]] * frames
    return some_tracks([points] * frames, radii, list(range(len(entities))), entities.size)


def slow_maps(tracks: Tracks, size: Size, geometry: Geometry) -> tuple[torch.Tensor, torch.Tensor]:
    """The exact geometry pixel by pixel in float64: Gaussian (T,H,W) and index (T,H,W)."""
    scale_x, scale_y = tracks.size.scale_to(size)
    gaussian = torch.zeros(tracks.frames, size.height, size.width, dtype=torch.float64)
    index = torch.full((tracks.frames, size.height, size.width), -1, dtype=torch.int16)
    for frame, path in tracks.visibility.nonzero().tolist():
        x, y = tracks.paths[frame, path].tolist()
        x, y = (x + 0.5) * scale_x - 0.5, (y + 0.5) * scale_y - 0.5
        radius = min(float(tracks.radii[frame, path]) * (scale_x + scale_y) / 2, geometry.radius_limit(size))
        corners = [(column, row) for column in (math.floor(x), math.ceil(x)) for row in (math.floor(y), math.ceil(y))]
        if min((column - x) ** 2 + (row - y) ** 2 for column, row in corners) > radius**2:
            x, y = math.floor(x + 0.5), math.floor(y + 0.5)
        for row in range(size.height):
            for column in range(size.width):
                squared = (column - x) ** 2 + (row - y) ** 2
                if squared <= radius**2:
                    gaussian[frame, row, column] = math.exp(-squared / (2 * (0.4 * radius) ** 2)) if radius else 1.0
                    index[frame, row, column] = int(tracks.path_entity[path])
    return gaussian, index


# Eighths are exact in float32, so that no rounding decides on which side of a circle a pixel lies.
eighths = st.integers(-8 * 9, 8 * 40).map(lambda n: n / 8)


@st.composite
def motions(draw) -> tuple[Entities, Tracks, Size]:
    """Entities, paths on and off the picture, overlaps, hidden frames and a target of another size."""
    source, entity_count = Size(20, 26), draw(st.integers(1, 3))
    frames, paths = draw(st.integers(1, 4)), draw(st.integers(0, 4))
    points = [[[draw(eighths), draw(eighths)] for _ in range(paths)] for _ in range(frames)]
    radius = [[draw(radii) for _ in range(paths)] for _ in range(frames)]
    visible = [[draw(st.integers(0, 4)) > 0 for _ in range(paths)] for _ in range(frames)]
    path_entity = [draw(st.integers(0, entity_count - 1)) for _ in range(paths)]
    tracks = some_tracks(points, radius, path_entity, source, visible if paths else None)
    return some_entities(entity_count, source), tracks, draw(st.sampled_from([source, Size(10, 52), Size(40, 26)]))


# ---- the original's geometry


def test_reference_maps_equal_the_original_bit_by_bit():
    comparisons = check_c.check_c(GOLDENS / "C")
    names = {comparison.name.split(".")[1] for comparison in comparisons}
    assert names >= {"gaussian", "labels", "radius", "side", "centres", "latent_masks", "embeddings320"}
    assert [str(comparison) for comparison in comparisons if not comparison.passed] == []


def test_a_folder_without_condition_maps_gives_no_check(tmp_path):
    assert check_c.check_c(tmp_path) == []


def test_float32_tracks_fall_on_the_same_pixels_as_the_originals_doubles():
    _, tracks, size, stored = check_c.load_case(GOLDENS / "C" / "synthetic.npz")
    centers = reference_centers(replace(tracks, paths=tracks.paths.float()), size).movedim(0, 1)
    assert (centers.numpy() == stored["centres"]).all()


def test_the_template_is_the_gaussian_of_the_formula():
    template = gaussian_template()
    assert template[100, 100] == 255
    assert template[100, 0] == template[0, 100] == 11  # on the rim
    assert template[0, 0] == template[199, 199] == 0
    assert zlib.crc32(template.tobytes()) == 4085802838


def test_gaussian_times_255_gives_back_every_byte():
    values = torch.arange(256, dtype=torch.uint8)
    assert torch.equal(values.float().div_(255) * 255, values.float())


def test_reference_position_is_truncated_toward_zero():
    tracks = some_tracks([[[-0.9, 7.99]]], [[5]], [0], Size(40, 56))
    assert reference_centers(tracks, Size(40, 56)).tolist() == [[[0, 7]]]
    beyond_integers = some_tracks([[[3e38, -3e38]]], [[5]], [0], Size(40, 56))
    assert reference_centers(beyond_integers, Size(40, 56)).sign().tolist() == [[[1, -1]]]


def test_reference_gaussian_is_squashed_at_the_border_and_never_reaches_the_last_row_and_column():
    entities = Entities.from_masks(square_mask(Size(64, 96), 30, 20, 21)[None])
    maps = build_condition_maps(
        entities, resting_tracks(entities, [(95, 63)]), table(entities), Size(64, 96), REFERENCE
    )
    side = reference_radius(entities[0].mask, Size(64, 96))
    frame = maps.gaussian[0, 0]
    peak_row, peak_column = divmod(int(frame.argmax()), 96)
    assert (frame[-1] == 0).all()
    assert (frame[:, -1] == 0).all()
    assert abs(peak_row - (63 - side / 2)) <= 1  # the middle of what is left of the square, not the disc's centre
    assert abs(peak_column - (95 - side / 2)) <= 1
    assert maps.entity_index[0, 63, 95] == 0  # the disc is cropped and does reach the corner


def test_reference_square_erases_the_gaussian_beneath_but_its_disc_leaves_the_index():
    entities = Entities.from_masks(
        torch.stack([square_mask(Size(64, 96), 10, 10, 41), square_mask(Size(64, 96), 30, 20, 21)])
    )
    maps = build_condition_maps(
        entities, resting_tracks(entities, [(40, 30), (48, 30)]), table(entities), Size(64, 96), REFERENCE
    )
    inner = reference_radius(entities[1].mask, Size(64, 96))
    corner = (30 - inner, 48 - inner)  # inside the second square and the first disc, outside the second disc
    assert maps.gaussian[0, 0][corner] == 0
    assert maps.entity_index[0][corner] == 0


def test_reference_square_below_four_pixels_has_a_disc_but_no_gaussian():
    entities = Entities.from_masks(square_mask(Size(40, 56), 20, 20, 1)[None])
    maps = build_condition_maps(
        entities, resting_tracks(entities, [(20, 20)]), table(entities), Size(40, 56), REFERENCE
    )
    assert reference_radius(entities[0].mask, Size(40, 56)) == 1
    assert (maps.entity_index == 0).sum() == 5  # a cross
    assert maps.gaussian.abs().sum() == 0


def test_reference_radius_factor_multiplies_before_truncation_and_limit():
    entities = Entities.from_masks(square_mask(Size(320, 576), 30, 20, 61)[None])
    measured = reference_radius(entities[0].mask, Size(320, 576))
    radius = entities[0].inscribed_circle.radius
    tracks = some_tracks([[[300, 160]]] * 4, [[radius], [0.5 * radius], [3 * radius], [0]], [0], Size(320, 576))
    sides = reference_sides(entities, tracks, Size(320, 576), PUBLISHED.radius_limit(Size(320, 576)))
    assert sides.flatten().tolist() == [measured, int(0.5 * measured), 50, 0]


def test_radius_override_scales_the_reference_disc():
    mask = square_mask(Size(320, 576), 30, 20, 41)
    plain = Entity(1, "plain", mask)
    wide = Entity(2, "wide", mask, radius_px=1.5 * plain.radius)
    entities = Entities((plain, wide), Size(320, 576))
    sides = reference_sides(entities, resting_tracks(entities, [(90, 90), (90, 90)]), entities.size, 50)
    measured = reference_radius(mask, entities.size)
    assert sides.tolist() == [[measured, int(1.5 * measured)]]


def test_radius_limit_is_exact_at_its_own_size_and_scales_with_the_mean_of_both_axes():
    assert PUBLISHED.radius_limit(Size(320, 576)) == 50.0
    assert PUBLISHED.radius_limit(Size(640, 1152)) == 100.0
    assert PUBLISHED.radius_limit(Size(640, 576)) == 75.0
    assert EXACT.radius_limit(Size(320, 576)) == math.inf


def test_reference_paints_a_centre_off_the_picture_where_the_track_is_visible_and_nothing_where_not():
    entities = Entities.from_masks(square_mask(Size(40, 56), 10, 10, 21)[None])
    tracks = resting_tracks(entities, [(-3, 20)], frames=2)
    tracks.visibility[1] = False
    maps = build_condition_maps(entities, tracks, table(entities), Size(40, 56), REFERENCE)
    assert (maps.entity_index[0] == 0).any()
    assert (maps.gaussian[0] > 0).any()
    assert (maps.entity_index[1] == -1).all()
    assert (maps.gaussian[1] == 0).all()


# ---- the exact geometry


@settings(max_examples=40, deadline=None)
@given(motions(), st.sampled_from([None, 3.5]))
def test_exact_maps_equal_a_slow_loop(motion, max_radius):
    entities, tracks, size = motion
    geometry = Geometry("exact", max_radius, Size(20, 26))
    maps = build_condition_maps(entities, tracks, table(entities), size, geometry)
    gaussian, index = slow_maps(tracks, size, geometry)
    assert torch.equal(maps.entity_index, index)
    torch.testing.assert_close(maps.gaussian[:, 0].double(), gaussian, atol=1e-6, rtol=0)


@settings(max_examples=30, deadline=None)
@given(motions())
@BOTH
def test_index_and_table_equal_the_dense_map(geometry, motion):
    entities, tracks, size = motion
    vectors = table(entities)
    maps = build_condition_maps(entities, tracks, vectors, size, geometry)
    dense = torch.zeros(tracks.frames, vectors.shape[1], size.height, size.width)
    for frame, path in tracks.visibility.nonzero().tolist():  # one path after the other, in paint order
        alone = Tracks(
            tracks.paths[frame : frame + 1, path : path + 1],
            tracks.path_entity[path : path + 1],
            torch.ones(1, 1, dtype=torch.bool),
            tracks.radii[frame : frame + 1, path : path + 1],
            tracks.size,
        )
        disc = build_condition_maps(entities, alone, vectors, size, geometry).entity_index[0] >= 0
        dense[frame][:, disc] = vectors[tracks.path_entity[path]][:, None]
    assert torch.equal(maps.entity_map(), dense)


@settings(max_examples=30, deadline=None)
@given(motions(), st.integers(1, 5))
@BOTH
def test_chunking_never_changes_a_bit(geometry, motion, chunk_frames):
    entities, tracks, size = motion
    whole = build_condition_maps(entities, tracks, table(entities), size, geometry, chunk_frames=100)
    chunked = build_condition_maps(entities, tracks, table(entities), size, geometry, chunk_frames=chunk_frames)
    assert torch.equal(whole.gaussian, chunked.gaussian)
    assert torch.equal(whole.entity_index, chunked.entity_index)


def test_chunking_never_changes_a_bit_at_full_size():
    entities, tracks, size, _ = check_c.load_case(GOLDENS / "C" / "synthetic.npz")
    tracks = replace(tracks, paths=tracks.paths + 0.37, radii=tracks.radii * 1.013)
    first, *others = (
        build_condition_maps(entities, tracks, table(entities), size, EXACT, chunk_frames=chunk) for chunk in (1, 7, 20)
    )
    for other in others:
        assert torch.equal(first.gaussian, other.gaussian)
        assert torch.equal(first.entity_index, other.entity_index)


def test_later_path_overwrites_only_inside_its_own_disc():
    entities = some_entities(2, Size(40, 56))
    tracks = some_tracks([[[20, 20], [26, 20]]], [[9, 5]], [0, 1], Size(40, 56))
    maps = build_condition_maps(entities, tracks, table(entities), Size(40, 56), EXACT)
    below = build_condition_maps(
        entities, some_tracks([[[20, 20]]], [[9]], [0], Size(40, 56)), table(entities), Size(40, 56), EXACT
    )
    upper = maps.entity_index == 1
    assert upper.sum() == 81  # every pixel of a radius 5 disc
    assert torch.equal(maps.gaussian[:, 0][~upper], below.gaussian[:, 0][~upper])
    assert maps.gaussian[0, 0, 20, 26] == 1.0


def test_exact_disc_is_cropped_at_the_border_and_keeps_its_peak():
    entities = some_entities(1, Size(40, 56))
    tracks = some_tracks([[[0, 39]]], [[8]], [0], Size(40, 56))
    maps = build_condition_maps(entities, tracks, table(entities), Size(40, 56), EXACT)
    assert maps.gaussian[0, 0, 39, 0] == 1.0
    assert maps.gaussian[0, 0, 39, 8] == pytest.approx(math.exp(-1 / (2 * 0.4**2)), abs=1e-7)  # on the rim
    assert maps.gaussian[0, 0, 39, 9] == 0.0


def test_disc_between_pixel_centres_is_moved_onto_its_nearest_pixel():
    entities = some_entities(1, Size(40, 56))
    tracks = some_tracks([[[30.4, 11.6]]], [[0.25]], [0], Size(40, 56))
    maps = build_condition_maps(entities, tracks, table(entities), Size(40, 56), EXACT)
    assert (maps.entity_index[0] == 0).nonzero().tolist() == [[12, 30]]
    assert maps.gaussian[0, 0, 12, 30] == 1.0
    assert maps.gaussian.sum() == 1.0


def test_disc_that_covers_the_whole_picture_paints_every_pixel():
    entities = some_entities(1, Size(40, 56))
    tracks = some_tracks([[[13.5, 20.25]]] * 3, [[1e4], [70], [1e30]], [0], Size(40, 56))
    maps = build_condition_maps(entities, tracks, table(entities), Size(40, 56), EXACT)
    assert (maps.entity_index == 0).all()


def test_exact_maps_follow_the_resizing_rule_of_pixel_centres():
    entities = some_entities(1, Size(40, 56))
    tracks = some_tracks([[[10, 12]]], [[0.5]], [0], Size(40, 56))
    maps = build_condition_maps(entities, tracks, table(entities), Size(120, 168), EXACT)
    assert divmod(int(maps.gaussian.argmax()), 168) == (37, 31)  # 3 (x + 0.5) - 0.5


# ---- both geometries


@BOTH
def test_no_path_gives_empty_maps(geometry):
    entities = some_entities(2, Size(40, 56))
    tracks = some_tracks([[]] * 3, [[]] * 3, [], Size(40, 56))
    maps = build_condition_maps(entities, tracks, table(entities), Size(24, 32), geometry)
    assert maps.gaussian.shape == (3, 1, 24, 32)
    assert (maps.gaussian == 0).all()
    assert (maps.entity_index == -1).all()


@BOTH
def test_no_entity_gives_empty_maps(geometry):
    entities = Entities((), Size(40, 56))
    tracks = some_tracks([[]] * 3, [[]] * 3, [], Size(40, 56))
    maps = build_condition_maps(entities, tracks, torch.zeros(0, 160), Size(24, 32), geometry)
    assert (maps.entity_map() == 0).all()
    assert maps.entity_map().shape == (3, 160, 24, 32)


@BOTH
def test_entity_without_a_path_is_not_painted(geometry):
    entities = some_entities(3, Size(40, 56))
    tracks = some_tracks([[[20, 20]]], [[entities[2].radius]], [2], Size(40, 56))
    maps = build_condition_maps(entities, tracks, table(entities), Size(40, 56), geometry)
    assert set(maps.entity_index.unique().tolist()) == {-1, 2}


@BOTH
def test_start_off_the_picture_then_visible_is_painted_from_then_on(geometry):
    entities = some_entities(1, Size(40, 56))
    tracks = some_tracks([[[70, 52]], [[30, 20]]], [[3], [3]], [0], Size(40, 56), [[False], [True]])
    maps = build_condition_maps(entities, tracks, table(entities), Size(40, 56), geometry)
    assert (maps.entity_index[0] == -1).all()
    assert maps.entity_index[1, 20, 30] == 0


@BOTH
@pytest.mark.parametrize("far", [(-28573.0, 20.0), (1e7, 1e7), (3e38, -3e38)])
def test_points_far_off_the_picture_paint_nothing(geometry, far):
    entities = some_entities(1, Size(40, 56))
    maps = build_condition_maps(entities, resting_tracks(entities, [far]), table(entities), Size(40, 56), geometry)
    assert (maps.entity_index == -1).all()
    assert (maps.gaussian == 0).all()


@BOTH
def test_mask_of_the_whole_picture_is_painted_within_the_limit(geometry):
    entities = Entities.from_masks(torch.ones(1, 320, 576, dtype=torch.bool))
    limited = replace(geometry, max_radius=50)
    maps = build_condition_maps(
        entities, resting_tracks(entities, [(288, 160)]), table(entities), entities.size, limited
    )
    assert reference_radius(entities[0].mask, entities.size) > 1e38
    assert (maps.entity_index == 0).sum() == 7845  # the pixels of a radius 50 disc
    unlimited = replace(geometry, max_radius=None)
    maps = build_condition_maps(
        entities, resting_tracks(entities, [(288, 160)]), table(entities), entities.size, unlimited
    )
    assert (maps.entity_index[0, 160, 130:447] == 0).all()


@BOTH
def test_mask_of_one_pixel_is_painted(geometry):
    entities = Entities.from_masks(square_mask(Size(481, 643), 320, 240, 1)[None])
    maps = build_condition_maps(
        entities, resting_tracks(entities, [(320, 240)]), table(entities), Size(320, 576), geometry
    )
    assert 1 <= (maps.entity_index == 0).sum() <= 5
    assert (maps.entity_index[0, 158:162, 285:289] == 0).sum() == (maps.entity_index == 0).sum()


def test_mask_that_vanishes_on_the_latent_grid_is_empty_there_and_painted_all_the_same():
    entities = Entities.from_masks(square_mask(Size(480, 640), 33, 47, 2)[None])
    assert reference_latent_mask(entities[0].mask, Size(320, 576)).shape == (40, 72)
    assert not reference_latent_mask(entities[0].mask, Size(320, 576)).any()
    maps = build_condition_maps(
        entities, resting_tracks(entities, [(33, 47)]), table(entities), Size(320, 576), REFERENCE
    )
    assert (maps.entity_index == 0).any()


@BOTH
def test_dtypes_of_the_inputs_do_not_matter(geometry):
    entities = some_entities(2, Size(40, 56))
    tracks = some_tracks([[[20.5, 20], [26, 9]]] * 3, [[9, 5]] * 3, [0, 1], Size(40, 56))
    double = replace(
        tracks, paths=tracks.paths.double(), radii=tracks.radii.double(), path_entity=tracks.path_entity.int()
    )
    maps = build_condition_maps(entities, tracks, table(entities), Size(24, 32), geometry)
    same = build_condition_maps(entities, double, table(entities).half(), Size(24, 32), geometry)
    for value, other in ((maps.gaussian, same.gaussian), (maps.entity_index, same.entity_index)):
        assert torch.equal(value, other)
    assert (same.gaussian.dtype, same.entity_index.dtype, same.embeddings.dtype) == (
        torch.float32,
        torch.int16,
        torch.float32,
    )


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@BOTH
def test_a_gpu_paints_the_same_bits(geometry):
    entities = some_entities(3, Size(40, 56))
    tracks = some_tracks([[[20.3, 20.1], [26.7, 9.2], [3.3, 33.9]]] * 3, [[9.7, 5.1, 7.7]] * 3, [0, 1, 2], Size(40, 56))
    maps = build_condition_maps(entities, tracks, table(entities), Size(96, 104), geometry)
    on_gpu = build_condition_maps(entities, tracks.to("cuda"), table(entities), Size(96, 104), geometry, device="cuda")
    assert on_gpu.gaussian.is_cuda
    assert torch.equal(maps.gaussian, on_gpu.gaussian.cpu())
    assert torch.equal(maps.entity_index, on_gpu.entity_index.cpu())


@BOTH
def test_inputs_stay_as_they_were(geometry):
    entities = some_entities(1, Size(40, 56))
    tracks = some_tracks([[[20, 20]]] * 2, [[9]] * 2, [0], Size(40, 56))
    before = tracks.paths.clone(), tracks.radii.clone(), entities.masks.clone()
    build_condition_maps(entities, tracks, table(entities), Size(24, 32), geometry)
    for value, old in zip((tracks.paths, tracks.radii, entities.masks), before, strict=True):
        assert torch.equal(value, old)


# ---- what cannot be drawn


def test_bad_inputs_are_named():
    size = Size(40, 56)
    entities = some_entities(2, size)
    tracks = some_tracks([[[20, 20]]], [[9]], [1], size)
    with pytest.raises(ValueError, match="tracks are on a 41x56 canvas, the entities on 40x56"):
        build_condition_maps(entities, replace(tracks, size=Size(41, 56)), table(entities), size, EXACT)
    with pytest.raises(ValueError, match=r"embeddings must be \(2, C\)"):
        build_condition_maps(entities, tracks, torch.zeros(3, 5), size, EXACT)
    with pytest.raises(ValueError, match="names entity 2, there are 2"):
        build_condition_maps(entities, replace(tracks, path_entity=torch.tensor([2])), table(entities), size, EXACT)
    with pytest.raises(ValueError, match="radii must be finite"):
        build_condition_maps(entities, replace(tracks, radii=torch.tensor([[math.nan]])), table(entities), size, EXACT)
    with pytest.raises(ValueError, match="chunk_frames must be >= 1, got 0"):
        build_condition_maps(entities, tracks, table(entities), size, EXACT, chunk_frames=0)
    with pytest.raises(ValueError, match="kind must be one of exact, reference"):
        Geometry("square")
    with pytest.raises(ValueError, match="max_radius must be > 0"):
        Geometry("exact", 0)


# ---- what is painted


def features(embeddings: torch.Tensor) -> EntityFeatures:
    return EntityFeatures(embeddings, FeatureSource("sd15", 261, -1, 8))


def test_painted_vector_is_the_mean_of_adjacent_channels():
    painted = painted_embeddings(features(torch.tensor([[1.0, 3.0, 10.0, 30.0], [0.0, 1.0, 2.0, 3.0]])), 2)
    assert painted.tolist() == [[2.0, 20.0], [0.5, 2.5]]


def test_painted_vector_of_equal_length_is_unchanged():
    embeddings = torch.randn(2, 7)
    assert torch.equal(painted_embeddings(features(embeddings), 7), embeddings)


def test_channel_0_fills_every_painted_channel():
    painted = painted_embeddings(features(torch.tensor([[1.0, 3.0, 9.0], [4.0, 5.0, 6.0]])), 5, "channel_0")
    assert painted.tolist() == [[1.0] * 5, [4.0] * 5]


def test_channels_that_do_not_divide_are_refused():
    with pytest.raises(ValueError, match="320 channels, which do not divide into 150"):
        painted_embeddings(features(torch.zeros(2, 320)), 150)
    with pytest.raises(ValueError, match="4 channels, which do not divide into 8"):
        painted_embeddings(features(torch.zeros(2, 4)), 8)
    with pytest.raises(ValueError, match='painting must be "vector" or "channel_0"'):
        painted_embeddings(features(torch.zeros(2, 4)), 2, "mean")
