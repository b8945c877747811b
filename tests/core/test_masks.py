"""Masks against oracles: pycocotools for the run-length code, plain numpy for distances and areas."""

import contextlib
import logging

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image
from pycocotools import mask as coco

from draganything_core.masks import (
    decode_rle,
    encode_rle,
    inscribed_circle,
    largest_component,
    latent_mask,
    load_mask,
    resize_mask,
)

small_masks = arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=23))
blocky_masks = st.builds(
    lambda cells, h, w: np.kron(cells, np.ones((h, w), bool)),
    arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=5)), st.integers(1, 40), st.integers(1, 40),
)  # fmt: skip


def coco_string(mask: np.ndarray) -> str:
    return coco.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"].decode()


def tensor_mask(height: int, width: int, *boxes: tuple[slice, slice]) -> torch.Tensor:
    mask = torch.zeros(height, width, dtype=torch.bool)
    for box in boxes:
        mask[box] = True
    return mask


def distance_to_background(mask: torch.Tensor) -> np.ndarray:
    """(H,W) distance from each pixel to the nearest background pixel, where all outside the picture is background."""
    inside = np.pad(mask.numpy(), 1)
    background = np.argwhere(~inside)
    distance = np.zeros(inside.shape)
    for y, x in np.argwhere(inside):
        distance[y, x] = np.sqrt(((background - (y, x)) ** 2).sum(1).min())
    return distance[1:-1, 1:-1]


class TestRunLengthCode:
    @given(st.one_of(small_masks, blocky_masks))
    @settings(max_examples=300, deadline=None)
    def test_same_string_as_pycocotools_both_ways(self, mask):
        rle = encode_rle(torch.from_numpy(mask))
        assert rle == coco_string(mask)
        assert torch.equal(decode_rle(rle, *mask.shape), torch.from_numpy(mask))

    def test_large_runs_and_a_large_picture(self):
        mask = tensor_mask(1080, 1921, (slice(3, 900), slice(7, 1900)))
        rle = encode_rle(mask)
        assert rle == coco_string(mask.numpy())
        assert torch.equal(decode_rle(rle, 1080, 1921), mask)

    def test_a_mask_without_background_starts_with_an_empty_run(self):
        assert encode_rle(torch.ones(2, 3, dtype=torch.bool)) == "06"

    def test_runs_go_down_the_columns(self):
        top_row = tensor_mask(2, 3, (0, slice(None)))  # runs 0 1 1 1 1 1 1; from the fourth on as differences
        assert encode_rle(top_row) == "0110000"
        assert torch.equal(decode_rle("0110000", 2, 3), top_row)

    @pytest.mark.parametrize(
        ("rle", "problem"),
        [
            ("", "cover 0 pixels, a 5x7 mask has 35"),
            ("55", "cover 10 pixels"),
            ("P2", "run 0 .* is 64 pixels long, the whole mask has 35"),
            ("P", "ends inside a number, after 1 characters"),
            ("5~", "'~' at position 1 is outside the code"),
            ("5é", "'é' at position 1"),
            ("5 5", "' ' at position 1"),
            ("585E", "run 3 .* is -3 pixels long"),
            ("O", "run 0 .* is -1 pixels long"),
            ("P" * 40, "longer than 64 bits"),
            ("o" * 100_000, "longer than 64 bits"),
        ],
    )
    def test_malformed_strings_are_refused_by_what_is_wrong(self, rle, problem):
        with pytest.raises(ValueError, match=problem):
            decode_rle(rle, 5, 7)

    def test_a_mask_of_another_size_is_refused(self):
        rle = encode_rle(tensor_mask(40, 56, (slice(3, 9), slice(5, 50))))
        with pytest.raises(ValueError, match="cover 2240 pixels, a 40x57 mask has 2280"):
            decode_rle(rle, 40, 57)
        with pytest.raises(ValueError, match="the whole mask has 200"):
            decode_rle(rle, 10, 20)

    @given(st.text(alphabet=st.characters(min_codepoint=40, max_codepoint=120), max_size=12))
    @settings(max_examples=300, deadline=None)
    def test_any_string_is_a_mask_or_a_value_error(self, rle):
        with contextlib.suppress(ValueError):
            assert decode_rle(rle, 4, 6).shape == (4, 6)

    def test_only_bool_masks_are_encoded(self):
        with pytest.raises(ValueError, match=r"\(H, W\) bool, got torch.float32"):
            encode_rle(torch.ones(3, 4))


CIRCLE_MASKS = {
    "touches the border": tensor_mask(40, 56, (slice(0, 21), slice(0, 30))),
    "whole picture": tensor_mask(40, 56, (slice(None), slice(None))),
    "one pixel": tensor_mask(40, 56, (17, 23)),
    "one pixel in the corner": tensor_mask(40, 56, (39, 55)),
    "thin line": tensor_mask(40, 56, (12, slice(4, 50))),
    "with a hole": tensor_mask(40, 56, (slice(5, 36), slice(5, 36))) & ~tensor_mask(40, 56, (20, 18)),
}


class TestInscribedCircle:
    @pytest.mark.parametrize("mask", CIRCLE_MASKS.values(), ids=CIRCLE_MASKS.keys())
    def test_center_is_the_pixel_farthest_from_background(self, mask):
        distance = distance_to_background(mask)
        (x, y), radius = inscribed_circle(mask)
        assert radius == pytest.approx(distance.max(), rel=1e-5)
        assert distance[int(y), int(x)] == pytest.approx(distance.max(), rel=1e-5)

    @given(arrays(bool, st.tuples(st.integers(1, 13), st.integers(1, 17)), elements=st.booleans()))
    @settings(max_examples=100, deadline=None)
    def test_any_mask_against_brute_force(self, array):
        mask = torch.from_numpy(array)
        if not array.any():
            with pytest.raises(ValueError, match="empty mask has no inscribed circle"):
                inscribed_circle(mask)
            return
        distance = distance_to_background(largest_component(mask))
        (x, y), radius = inscribed_circle(mask)
        assert radius == pytest.approx(distance.max(), rel=1e-5)
        assert distance[int(y), int(x)] == pytest.approx(distance.max(), rel=1e-5)

    def test_the_larger_of_two_components_has_the_circle(self):
        thin_but_large = (slice(2, 6), slice(2, 50))
        fat_but_small = (slice(20, 30), slice(20, 30))
        (_, y), radius = inscribed_circle(tensor_mask(40, 56, thin_but_large, fat_but_small))
        assert y < 6
        assert radius == 2


class TestComponents:
    def test_diagonal_neighbours_are_one_component(self):
        mask = torch.eye(5, dtype=torch.bool)
        mask[0, 4] = True
        expected = torch.eye(5, dtype=torch.bool)
        assert torch.equal(largest_component(mask), expected)

    def test_the_largest_is_kept_wherever_it_lies(self):
        large, small = (slice(3, 9), slice(4, 20)), (slice(30, 34), slice(40, 44))
        mask, expected = tensor_mask(40, 56, large, small), tensor_mask(40, 56, large)
        assert torch.equal(largest_component(mask), expected)
        assert torch.equal(largest_component(mask.flip(0)), expected.flip(0))

    def test_an_empty_mask_stays_empty(self):
        assert not largest_component(torch.zeros(3, 5, dtype=torch.bool)).any()


class TestResize:
    @pytest.mark.parametrize(("height", "width"), [(20, 28), (80, 168), (40, 56)])
    def test_whole_factors_pick_the_nearest_pixel(self, height, width):
        mask = tensor_mask(40, 56, (slice(4, 18), slice(10, 32)))
        expected = tensor_mask(
            height, width, (slice(4 * height // 40, 18 * height // 40), slice(10 * width // 56, 32 * width // 56))
        )
        assert torch.equal(resize_mask(mask, height, width), expected)

    def test_any_ratio_picks_the_pixel_under_the_center(self):
        mask = torch.rand(40, 56, generator=torch.Generator().manual_seed(0)) > 0.5
        rows = ((torch.arange(16) + 0.5) * 40 / 16).long()  # sizes at which no centre falls between two pixels
        columns = ((torch.arange(32) + 0.5) * 56 / 32).long()
        assert torch.equal(resize_mask(mask, 16, 32), mask[rows][:, columns])

    @given(st.integers(0, 39), st.integers(0, 55))
    def test_one_pixel_survives_where_it_was(self, y, x):
        resized = resize_mask(tensor_mask(40, 56, (y, x)), 5, 7)
        assert torch.equal(resized, tensor_mask(5, 7, (y // 8, x // 8)))

    def test_an_empty_mask_stays_empty(self):
        assert not resize_mask(torch.zeros(40, 56, dtype=torch.bool), 5, 7).any()


class TestLatentMask:
    def test_cells_covered_by_more_than_half(self):
        mask = tensor_mask(40, 56, (slice(0, 13), slice(0, 20)), (slice(24, 40), slice(32, 56)))
        # Rows 8..12 fill 5 of 8; columns 16..19 exactly half of their cell, which is not enough.
        expected = tensor_mask(5, 7, (slice(0, 2), slice(0, 2)), (slice(3, 5), slice(4, 7)))
        assert torch.equal(latent_mask(mask, 5, 7), expected)

    @given(arrays(bool, st.tuples(st.integers(1, 11), st.integers(1, 13))), st.integers(1, 9), st.integers(1, 7))
    @settings(max_examples=100, deadline=None)
    def test_coverage_is_the_exact_area_at_any_ratio(self, array, height, width):
        if not array.any():
            return
        # Repeating every pixel to a common multiple of both sizes makes each cell a whole number of pixels.
        fine = array.repeat(height, axis=0).repeat(width, axis=1)
        coverage = fine.reshape(height, array.shape[0], width, array.shape[1]).mean(axis=(1, 3))
        clear = np.abs(coverage - 0.5) > 1e-9
        cells = latent_mask(torch.from_numpy(array), height, width).numpy()
        assert cells.any()
        if (coverage[clear] > 0.5).any():
            assert np.array_equal(cells[clear], coverage[clear] > 0.5)

    def test_a_mask_smaller_than_a_cell_keeps_the_nearest_and_says_so(self, caplog):
        with caplog.at_level(logging.WARNING):
            cells = latent_mask(tensor_mask(40, 56, (slice(12, 17), slice(25, 28))), 5, 7)
        assert torch.equal(cells, tensor_mask(5, 7, (1, 3)))
        assert "15 pixels fills no cell of the 5x7 latent grid" in caplog.text

    def test_a_mask_on_a_corner_of_cells_keeps_all_of_them(self):
        cells = latent_mask(tensor_mask(40, 56, (slice(15, 17), slice(23, 25))), 5, 7)
        assert torch.equal(cells, tensor_mask(5, 7, (slice(1, 3), slice(2, 4))))

    def test_of_small_shares_only_the_largest_stays(self):
        cells = latent_mask(tensor_mask(40, 56, (12, slice(11, 20)), (13, slice(11, 21))), 5, 7)
        assert torch.equal(cells, tensor_mask(5, 7, (1, 1)))

    def test_an_empty_mask_is_refused(self):
        with pytest.raises(ValueError, match="empty mask has no latent cells"):
            latent_mask(torch.zeros(40, 56, dtype=torch.bool), 5, 7)


class TestLoadMask:
    expected = tensor_mask(40, 56, (slice(5, 20), slice(30, 56)))

    def saved(self, folder, array, name="mask.png"):
        Image.fromarray(array).save(folder / name)
        return folder / name

    @pytest.mark.parametrize(("low", "high"), [(0, 255), (127, 128), (0, 200)])
    def test_gray_above_127_counts(self, tmp_path, low, high):
        path = self.saved(tmp_path, np.where(self.expected, high, low).astype(np.uint8))
        assert torch.equal(load_mask(path), self.expected)

    def test_a_jpeg_with_its_ringing(self, tmp_path):
        path = self.saved(tmp_path, self.expected.numpy().astype(np.uint8) * 255, "mask.jpg")
        assert torch.equal(load_mask(path), self.expected)

    def test_one_bit_and_colour_pictures(self, tmp_path):
        Image.fromarray(self.expected.numpy()).save(tmp_path / "bits.png")
        colours = np.where(self.expected[..., None], [250, 240, 230], [90, 10, 20]).astype(np.uint8)
        assert torch.equal(load_mask(tmp_path / "bits.png"), self.expected)
        assert torch.equal(load_mask(self.saved(tmp_path, colours)), self.expected)

    def test_sixteen_bits_are_halved_at_their_own_middle(self, tmp_path):
        Image.fromarray(np.where(self.expected, 32768, 32767).astype(np.uint16)).save(tmp_path / "deep.png")
        assert torch.equal(load_mask(tmp_path / "deep.png"), self.expected)

    @pytest.mark.parametrize("brush", [0, 255])
    def test_a_mask_drawn_in_alpha_alone(self, tmp_path, brush):
        rgba = np.full((40, 56, 4), brush, np.uint8)
        rgba[..., 3] = np.where(self.expected, 255, 0)
        assert torch.equal(load_mask(self.saved(tmp_path, rgba)), self.expected)

    def test_alpha_is_ignored_where_the_colours_differ(self, tmp_path):
        rgba = np.zeros((40, 56, 4), np.uint8)
        rgba[..., :3] = np.where(self.expected[..., None], 255, 0)
        rgba[:20, :, 3] = 255
        assert torch.equal(load_mask(self.saved(tmp_path, rgba)), self.expected)

    def test_an_opaque_white_picture_is_all_mask(self, tmp_path):
        assert load_mask(self.saved(tmp_path, np.full((4, 6, 4), 255, np.uint8))).all()

    def test_an_opaque_black_picture_is_empty(self, tmp_path):
        black = np.zeros((4, 6, 4), np.uint8)
        black[..., 3] = 255
        assert not load_mask(self.saved(tmp_path, black)).any()

    def test_resized_only_where_asked(self, tmp_path):
        path = self.saved(tmp_path, self.expected.numpy().astype(np.uint8) * 255)
        assert load_mask(path).shape == (40, 56)
        assert torch.equal(load_mask(path, (80, 112)), resize_mask(self.expected, 80, 112))

    def test_a_missing_file_names_what_is_beside_it(self, tmp_path):
        (tmp_path / "0_bird.jpg").touch()
        (tmp_path / "notes.txt").touch()
        with pytest.raises(FileNotFoundError, match=r"2_bird\.jpg; .* holds 0_bird\.jpg$"):
            load_mask(tmp_path / "2_bird.jpg")
        with pytest.raises(FileNotFoundError, match="there is no folder"):
            load_mask(tmp_path / "nowhere" / "2_bird.jpg")

    def test_a_file_that_is_no_picture_is_named(self, tmp_path):
        (tmp_path / "mask.png").write_text("not a picture")
        with pytest.raises(ValueError, match=r"mask\.png cannot be read as a picture"):
            load_mask(tmp_path / "mask.png")

    def test_a_truncated_picture_is_named(self, tmp_path):
        noise = np.random.default_rng(0).integers(0, 255, (64, 64), dtype=np.uint8)
        path = self.saved(tmp_path, noise)
        path.write_bytes(path.read_bytes()[:1000])
        with pytest.raises(ValueError, match=r"mask\.png cannot be read as a picture"):
            load_mask(path)


def test_radii_are_exact_wherever_the_pixels_lie_in_memory():
    draw = np.random.default_rng(0)
    for side in range(30, 90):
        y, x = np.mgrid[:side, :side] - side / 2
        angle = np.arctan2(y, x)
        edge = 0.4 * side * (1 + 0.1 * sum(np.sin(k * angle + draw.uniform(0, 6)) / k for k in range(2, 9)))
        radius = inscribed_circle(torch.from_numpy(np.hypot(y, x) < edge)).radius
        assert radius == np.float32(np.sqrt(np.round(radius**2)))
