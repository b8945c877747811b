"""Pictures: what is drawn stands where and in the colour it should, and the rest is left alone."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageColor
from torch import Tensor

from draganything_core.pictures import (
    ENTITY_COLORS,
    GAP,
    MARGIN,
    PAPER,
    condition_picture,
    contact_sheet,
    cutout_preview,
    entity_color,
    overlay_frames,
    save_png,
)
from draganything_core.types import ConditionMaps, Entities, Entity, Size, Tracks

SIZE = Size(120, 168)
GRAY = 128 / 255


def rgb(color: str) -> Tensor:
    return torch.tensor(ImageColor.getrgb(color)) / 255


def gray_frames(count: int = 3, size: Size = SIZE, level: float = GRAY) -> Tensor:
    return torch.full((count, 3, size.height, size.width), level)


def two_paths(size: Size = SIZE) -> Tracks:
    """Three frames: entity 0 goes right along y = 30, entity 1 rests at (110, 85); radii 10 and 20."""
    paths = torch.tensor([[[30.0, 30.0], [110, 85]], [[70, 30], [110, 85]], [[110, 30], [110, 85]]])
    return Tracks(
        paths, torch.tensor([0, 1]), torch.ones(3, 2, dtype=torch.bool), torch.tensor([[10.0, 20.0]]).expand(3, 2), size
    )


def is_color(image: Tensor, x: float, y: float, color: str, tolerance: float = 0.12) -> bool:
    return bool((image[:, round(y), round(x)] - rgb(color)).abs().max() < tolerance)


# --- colours ----------------------------------------------------------------------------------------------------------

# Viénot, Brettel and Mollon (1999), linear RGB: what someone sees who lacks one of two cone types.
PROTANOPE = np.array([[0.1124, 0.8876, 0], [0.1124, 0.8876, 0], [0.0040, -0.0040, 1]])
DEUTERANOPE = np.array([[0.2927, 0.7073, 0], [0.2927, 0.7073, 0], [-0.0223, 0.0223, 1]])


@pytest.mark.parametrize("seen_by", [np.eye(3), PROTANOPE, DEUTERANOPE], ids=["all cones", "protanope", "deuteranope"])
def test_entity_colours_stay_apart_for_the_colour_blind(seen_by):
    linear = (np.array([ImageColor.getrgb(color) for color in ENTITY_COLORS]) / 255) ** 2.2
    seen = (linear @ seen_by.T).clip(0, 1) ** (1 / 2.2)
    closest = min(np.abs(a - b).max() for a, b in combinations(seen, 2))
    assert closest > 0.09  # Matplotlib's default table has 0.04 here


def test_the_colour_table_starts_again():
    assert [entity_color(index) for index in range(len(ENTITY_COLORS) + 1)] == [*ENTITY_COLORS, ENTITY_COLORS[0]]


# --- contact sheet ----------------------------------------------------------------------------------------------------


def numbered_clip(count: int, height: int, width: int) -> Tensor:
    """Frame i is gray i / count: a cell's level tells which frame it shows."""
    return (torch.arange(count) / count).view(-1, 1, 1, 1).expand(count, 3, height, width)


def cell_levels(sheet: Tensor, top: int, columns: int, cell_width: int) -> list[float]:
    lefts = [MARGIN + column * (cell_width + GAP) for column in range(columns)]
    return [float(sheet[0, top, left + cell_width // 2]) for left in lefts]


def test_a_sheet_shows_first_and_last_and_even_steps_between():
    sheet = contact_sheet([("clip", numbered_clip(14, 40, 56))], columns=5, cell_width=56)
    assert sheet.shape == (3, MARGIN + 24 + 40 + 18 + MARGIN, 2 * MARGIN + 5 * 56 + 4 * GAP)
    shown = [round(level * 14) for level in cell_levels(sheet, MARGIN + 24 + 20, 5, 56)]
    assert shown == [0, 3, 6, 10, 13]


@given(count=st.integers(1, 40), columns=st.integers(1, 12))
@settings(max_examples=25, deadline=None)
def test_every_sheet_has_at_most_its_columns_in_order(count, columns):
    sheet = contact_sheet([("clip", numbered_clip(count, 8, 32))], columns, cell_width=32)
    cells = min(count, columns)
    assert sheet.shape[2] == 2 * MARGIN + cells * 32 + (cells - 1) * GAP
    shown = [round(level * count) for level in cell_levels(sheet, MARGIN + 24 + 4, cells, 32)]
    assert shown[0] == 0
    assert shown == sorted(set(shown))
    if columns > 1:
        assert shown[-1] == count - 1


def test_rows_of_different_shapes_keep_theirs():
    sheet = contact_sheet([("picture", gray_frames(1, Size(40, 80))), ("clip", gray_frames(3, Size(60, 60)))], 8, 80)
    # The picture's row has no frame numbers under it.
    assert sheet.shape == (3, MARGIN + (24 + 40) + MARGIN + (24 + 80 + 18) + MARGIN, 2 * MARGIN + 3 * 80 + 2 * GAP)
    assert float(sheet[0, MARGIN + 24 + 20, MARGIN + 40]) == pytest.approx(0.5, abs=0.01)
    assert float(sheet[0, MARGIN + 24 + 20, MARGIN + 80 + GAP + 40]) == pytest.approx(PAPER[0] / 255)


def test_labels_and_numbers_are_written():
    sheet = contact_sheet([("a label", gray_frames(2, Size(40, 80), 0.0))], cell_width=80)
    assert sheet[:, MARGIN : MARGIN + 24].max() > 0.8
    assert sheet[:, MARGIN + 24 + 40 :].max() > 0.8
    other = contact_sheet([("another label", gray_frames(2, Size(40, 80), 0.0))], cell_width=80)
    assert not torch.equal(sheet, other)


@pytest.mark.parametrize(
    ("rows", "columns", "message"),
    [
        ([], 8, "at least one row"),
        ([("clip", torch.zeros(3, 40, 56))], 8, r"'clip'.*\(3, 40, 56\)"),
        ([("clip", torch.zeros(2, 3, 40, 56, dtype=torch.uint8))], 8, "'clip'.*uint8"),
        ([("clip", torch.zeros(0, 3, 40, 56))], 8, "'clip'"),
        ([("clip", torch.zeros(2, 3, 40, 56))], 0, "columns"),
    ],
)
def test_rows_that_are_no_clips_are_refused(rows, columns, message):
    with pytest.raises(ValueError, match=message):
        contact_sheet(rows, columns)


# --- lines over frames ------------------------------------------------------------------------------------------------


def test_the_circle_has_the_discs_radius_and_the_entitys_colour():
    drawn = overlay_frames(gray_frames(), two_paths(), ["a", "b"])
    for frame, x in enumerate((30, 70, 110)):
        assert is_color(drawn[frame], x, 40, ENTITY_COLORS[0])
        assert is_color(drawn[frame], x, 30, ENTITY_COLORS[0])  # the dot at the centre
        for place in ((130, 85), (90, 85), (110, 105)):
            assert is_color(drawn[frame], *place, ENTITY_COLORS[1])


def test_the_past_is_thick_and_the_future_thin():
    drawn = overlay_frames(gray_frames(), two_paths(), ["a", "b"])

    def thickness(frame: int, x: int) -> float:
        """How many rows the line through (x, 30) changes, a half-covered one for half."""
        return float((drawn[frame, :, 20:41, x] - GRAY).abs().amax(0).sum() / GRAY)

    assert thickness(0, 50) == thickness(0, 90)
    assert thickness(2, 50) > thickness(0, 50) + 1 > 1
    assert thickness(1, 50) == thickness(2, 50)  # frame 1 has passed the first step only
    assert thickness(1, 90) == thickness(0, 90)


def test_what_no_line_touches_is_left_alone_and_the_input_too():
    frames = (torch.rand(3, 3, 120, 168) * 255).round() / 255
    before = frames.clone()
    drawn = overlay_frames(frames, two_paths(), ["a", "b"])
    assert torch.equal(frames, before)
    assert drawn.shape == frames.shape
    assert drawn.dtype == torch.float32
    assert torch.equal(drawn[:, :, 45:60, :60], frames[:, :, 45:60, :60])


def test_what_is_not_visible_is_not_drawn():
    tracks = two_paths()
    visibility = torch.tensor([[True, False], [False, False], [True, False]])
    drawn = overlay_frames(
        gray_frames(), Tracks(tracks.paths, tracks.path_entity, visibility, tracks.radii, SIZE), ["a", "b"]
    )
    number = gray_frames()
    number[:, :, :20, :40] = drawn[:, :, :20, :40]  # frame numbers in the corner
    assert torch.equal(drawn[1], number[1])
    assert torch.equal(drawn[0, :, 60:], number[0, :, 60:])
    assert is_color(drawn[0], 30, 40, ENTITY_COLORS[0])
    assert torch.equal(drawn[0, :, 20:45, 50:90], number[0, :, 20:45, 50:90])  # no line through a hidden frame


def test_a_name_stands_at_the_entitys_first_disc_inside_the_picture():
    tracks = two_paths()
    paths = torch.tensor([[[2.0, 3.0], [110, 85]]] * 3)  # a disc in the corner
    drawn = overlay_frames(
        gray_frames(), Tracks(paths, tracks.path_entity, tracks.visibility, tracks.radii, SIZE), ["a long name", "b"]
    )
    plate = (drawn[0] - rgb(ENTITY_COLORS[0]).view(3, 1, 1)).abs().amax(0) < 0.02
    _, columns = torch.nonzero(plate[16:], as_tuple=True)
    assert columns.max() > 60  # below the disc, as there is no room above, and whole
    both = overlay_frames(
        gray_frames(), Tracks(paths, torch.tensor([0, 0]), tracks.visibility, tracks.radii, SIZE), ["n"]
    )
    assert torch.equal(both[0, :, 40:60, 100:120], gray_frames()[0, :, 40:60, 100:120])  # the second path has no name


def test_tracks_of_another_canvas_are_mapped():
    drawn = overlay_frames(gray_frames(), two_paths(), ["a", "b"])
    other = overlay_frames(gray_frames(), two_paths().resized(Size(240, 336)), ["a", "b"])
    torch.testing.assert_close(drawn, other, atol=0.05, rtol=0)


def test_scale_enlarges_the_frames_first():
    drawn = overlay_frames(gray_frames(), two_paths(), ["a", "b"], scale=3)
    assert drawn.shape == (3, 3, 360, 504)
    assert is_color(drawn[0], 30.5 * 3 - 0.5, 40.5 * 3 - 0.5, ENTITY_COLORS[0])


def test_own_colours_win_and_none_takes_the_table():
    drawn = overlay_frames(gray_frames(), two_paths(), ["a", "b"], ["#ff00ff", None])
    assert is_color(drawn[0], 30, 40, "#ff00ff")
    assert is_color(drawn[0], 130, 85, ENTITY_COLORS[1])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"frames": gray_frames(5)}, "3 frames, the video has 5"),
        ({"frames": gray_frames()[0]}, "overlay"),
        ({"names": ["a"]}, "entity 1, there are 1 names"),
        ({"colors": ["#ff0000"]}, "2 entities need as many colours"),
        ({"colors": ["#ff0000", "reddish"]}, "reddish"),
        ({"scale": 0}, "scale"),
    ],
)
def test_an_overlay_that_does_not_fit_is_refused(change, message):
    arguments = {"frames": gray_frames(), "tracks": two_paths(), "names": ["a", "b"], **change}
    with pytest.raises(ValueError, match=message):
        overlay_frames(**arguments)


# --- condition maps ---------------------------------------------------------------------------------------------------


def two_discs() -> ConditionMaps:
    """The two paths' discs, painted plainly."""
    tracks = two_paths()
    y, x = torch.meshgrid(torch.arange(120), torch.arange(168), indexing="ij")
    gaussian, index = torch.zeros(3, 1, 120, 168), torch.full((3, 120, 168), -1, dtype=torch.int16)
    for frame in range(3):
        for path in range(2):
            squared = (x - tracks.paths[frame, path, 0]) ** 2 + (y - tracks.paths[frame, path, 1]) ** 2
            radius = tracks.radii[frame, path]
            inside = squared <= radius**2
            gaussian[frame, 0][inside] = torch.exp(-squared / (2 * (0.4 * radius) ** 2))[inside]
            index[frame][inside] = path
    return ConditionMaps(gaussian, index, torch.rand(2, 5), SIZE)


def test_a_condition_picture_shows_heat_colours_and_lines():
    image = torch.full((3, 120, 168), 0.4)
    sheet = condition_picture(image, two_discs(), two_paths())
    rows = [MARGIN + 24 + row * (24 + 171 + 18 + MARGIN) for row in range(3)]
    assert sheet.shape == (3, rows[2] + 171 + 18 + MARGIN, 2 * MARGIN + 3 * 240 + 2 * GAP)

    def at(row: int, x: float, y: float) -> Tensor:
        scale = 240 / 168
        return sheet[:, rows[row] + round((y + 0.5) * scale - 0.5), MARGIN + round((x + 0.5) * scale - 0.5)]

    assert at(0, 110, 85).mean() > at(0, 118, 85).mean() > at(0, 128, 85).mean()  # hotter towards the centre
    assert at(0, 110, 85).min() > 0.5
    torch.testing.assert_close(at(0, 60, 100), torch.full((3,), 0.4 * 0.6), atol=0.02, rtol=0)
    for entity, (x, y) in enumerate([(30, 30), (110, 85)]):
        assert (at(1, x, y) - rgb(ENTITY_COLORS[entity])).abs().max() < 0.12
    torch.testing.assert_close(at(2, 60, 100), torch.full((3,), 0.4), atol=0.02, rtol=0)
    assert (at(2, 130, 85) - rgb(ENTITY_COLORS[1])).abs().max() < 0.3


def test_a_condition_picture_takes_an_image_of_any_size_and_no_entities():
    maps = ConditionMaps(
        torch.zeros(2, 1, 120, 168), torch.full((2, 120, 168), -1, dtype=torch.int16), torch.zeros(0, 4), SIZE
    )
    empty = Tracks(
        torch.zeros(2, 0, 2),
        torch.zeros(0, dtype=torch.long),
        torch.zeros(2, 0, dtype=torch.bool),
        torch.zeros(2, 0),
        SIZE,
    )
    sheet = condition_picture(torch.rand(3, 77, 91), maps, empty)
    assert sheet.shape[0] == 3
    with pytest.raises(ValueError, match=r"\(3, H, W\)"):
        condition_picture(torch.rand(77, 91, 3), maps, empty)


# --- masks and files --------------------------------------------------------------------------------------------------


def test_a_cutout_preview_tints_the_mask_only():
    mask = torch.zeros(1, 120, 168, dtype=torch.bool)
    mask[0, 40:90, 60:130] = True
    drawn = cutout_preview(gray_frames()[0], Entities.from_masks(mask, ["box"]))
    assert torch.equal(drawn[:, 100:], gray_frames()[0, :, 100:])
    tinted = 0.6 * GRAY + 0.4 * rgb(ENTITY_COLORS[0])
    torch.testing.assert_close(drawn[:, 45, 120], tinted, atol=0.02, rtol=0)


def test_a_png_holds_the_picture(tmp_path):
    image = (torch.rand(3, 40, 56) * 255).round() / 255
    save_png(image, tmp_path / "new" / "picture.png")
    read = torch.from_numpy(np.array(Image.open(tmp_path / "new" / "picture.png"))).permute(2, 0, 1) / 255
    assert torch.equal(read, image)


@pytest.mark.parametrize(("shape", "name"), [((1, 3, 4, 4), "a.png"), ((4, 4, 3), "a.png"), ((3, 4, 4), "a.jpg")])
def test_a_png_of_no_picture_is_refused(tmp_path, shape, name):
    with pytest.raises(ValueError, match="save_png"):
        save_png(torch.zeros(shape), tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_the_masks_are_shown_first_where_the_entities_are_given():
    image, maps, tracks = torch.full((3, SIZE.height, SIZE.width), GRAY), two_discs(), two_paths()
    mask = torch.zeros(SIZE.height, SIZE.width, dtype=torch.bool)
    mask[2:9, 3:12] = True
    masked = Entities((Entity(1, "a", mask), Entity(2, "b", mask.flip(0))), SIZE)
    without = condition_picture(image, maps, tracks)
    sheet = condition_picture(image, maps, tracks, entities=masked)
    assert sheet.shape[1] > without.shape[1]
    torch.testing.assert_close(sheet[:, -100:], without[:, -100:])
