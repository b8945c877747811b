"""Locating a known sprite in pictures: sub-pixel, at any size, partly hidden, beyond the border, and among twins."""

import numpy as np
import pytest
import torch
from einops import rearrange
from hypothesis import given, settings
from hypothesis import strategies as st

from draganything_core.data.synthetic import SyntheticConfig, synthetic_clips
from draganything_core.data.synthetic_sprites import draw_ground, draw_sprite
from draganything_core.evaluation.locate import locate_sprite, sprite_places

HEIGHT, WIDTH = 56, 72


def art(seed=3, radius=9.0):
    return draw_sprite(np.random.default_rng(seed), radius, [], 3)


def picture(*placed, seed=5):
    """(3,H,W) a ground with sprites: (art, (x, y), scale) each."""
    shown = draw_ground(np.random.default_rng(seed), (0, 0), (HEIGHT, WIDTH), 1, 14).samples[:HEIGHT, :WIDTH].copy()
    for sprite, middle, scale in placed:
        laid = sprite.laid(np.array(middle), scale, (0, 0), (HEIGHT, WIDTH))
        shown = shown * (1 - laid[..., 3:]) + laid[..., :3]
    return torch.from_numpy(rearrange(shown, "h w c -> c h w")).float()


def paste(shown, colour, coverage, corner):
    """Lays colours (3,h,w) onto a picture, from its corner (x, y) on."""
    (x, y), (height, width) = corner, coverage.shape
    window = shown[:, y : y + height, x : x + width]
    window += (colour - window) * coverage


def cutout(sprite):
    return torch.from_numpy(sprite.cutout())


def distance(found, middle):
    return float(np.hypot(*np.subtract(found, middle)))


@settings(max_examples=20)
@given(st.integers(0, 10_000), st.floats(12, WIDTH - 13), st.floats(12, HEIGHT - 13))
def test_sprite_is_found_wherever_it_is(seed, x, y):
    sprite = art(seed)
    found = locate_sprite(picture((sprite, (x, y), 1.0), seed=seed)[None], cutout(sprite))
    assert found.middles.shape == (1, 2)
    assert found.middles.dtype == torch.float64
    assert distance(found.middles[0].tolist(), (x, y)) < 1.5  # a soft bar of one colour can lie a little along itself
    assert float(found.differences[0]) < 0.25


def test_fraction_of_a_pixel_is_read_on_both_axes():
    sprite, places = art(), [(30 + x / 4, 25 + y / 4) for x in range(4) for y in range(4)]
    video = torch.stack([picture((sprite, place, 1.0)) for place in places])
    errors = (locate_sprite(video, cutout(sprite)).middles - torch.tensor(places)).abs()
    assert float(errors.mean()) < 0.12  # whole pixels would give 0.25


def test_match_is_perfect_where_the_sprite_is_the_cutout_itself():
    sprite = art()
    found = locate_sprite(picture((sprite, (40.0, 21.0), 1.0))[None], cutout(sprite))
    inside = cutout(sprite)
    inside[3] = (inside[3] > 0.999).float()
    core = locate_sprite(picture((sprite, (40.0, 21.0), 1.0))[None], inside)
    assert float(core.differences[0]) < 2e-3
    assert float(core.differences[0]) < float(found.differences[0])


def test_each_frame_has_its_own_scale_and_the_better_of_several_is_taken():
    sprite, truth = art(seed=8, radius=8), [0.75, 1.0, 1.4]  # a striped ring: no smaller one fits into it
    places = [(20.0, 30.0), (33.0, 25.5), (44.5, 28.0)]
    video = torch.stack([picture((sprite, place, scale)) for place, scale in zip(places, truth, strict=True)])
    told = locate_sprite(video, cutout(sprite), torch.tensor(truth))
    chosen = locate_sprite(video, cutout(sprite), torch.tensor([[1.0, scale] for scale in truth]))
    for found in (told, chosen):
        assert found.scales.tolist() == pytest.approx(truth)
        assert all(distance(m, place) < 0.5 for m, place in zip(found.middles.tolist(), places, strict=True))


def test_hidden_part_is_left_out_of_the_comparison():
    sprite, middle = art(seed=8, radius=10), (38.0, 27.0)
    shown = picture((sprite, middle, 1.0))
    shown[:, :, 36:52] = torch.tensor([1.0, 0.0, 1.0])[:, None, None]  # a magenta wall over more than half of it
    side = sprite.cutout().shape[-1]
    part = torch.zeros(1, side, side, dtype=torch.bool)
    part[:, :, : side // 2 - 2] = True
    assert distance(locate_sprite(shown[None], cutout(sprite), parts=part).middles[0].tolist(), middle) < 0.5


@pytest.mark.parametrize("middle", [(1.5, 30.0), (WIDTH - 2.5, 20.0), (35.0, 1.0), (40.0, HEIGHT - 4.0)])
def test_sprite_that_is_cut_by_the_border_is_found(middle):
    sprite = art(seed=8, radius=10)
    found = locate_sprite(picture((sprite, middle, 1.0))[None], cutout(sprite))
    assert distance(found.middles[0].tolist(), middle) < 0.6


def test_what_is_outside_is_doubted_where_nothing_says_what_is_to_be_seen():
    """A sprite that has lost its details, and at the upper border something that is rather like its lower half."""
    sprite, middle = art(seed=8, radius=10), (40.0, 32.0)
    whole = cutout(sprite)
    half = whole.shape[-1] // 2
    lost = whole[:3] + 0.15 * torch.randn(whole[:3].shape, generator=torch.Generator().manual_seed(0))
    like = whole[:3] + 0.11 * torch.randn(whole[:3].shape, generator=torch.Generator().manual_seed(1))
    video = picture()[None]
    paste(video[0], lost, whole[3], (int(middle[0]) - half, int(middle[1]) - half))
    paste(video[0], like[:, half:], whole[3, half:], (2, 0))
    ignored, doubted = (locate_sprite(video, whole, doubt_outside=doubt).middles[0].tolist() for doubt in (False, True))
    assert distance(ignored, (2 + half, 0)) < 1
    assert distance(doubted, middle) < 1


@pytest.mark.parametrize("middle", [(1.5, 30.0), (WIDTH - 2.5, 20.0), (35.0, 1.0), (40.0, HEIGHT - 4.0)])
def test_sprite_that_is_cut_by_the_border_is_found_in_spite_of_the_doubt(middle):
    sprite = art(seed=8, radius=10)
    found = locate_sprite(picture((sprite, middle, 1.0))[None], cutout(sprite), doubt_outside=True)
    assert distance(found.middles[0].tolist(), middle) < 0.6


def test_middle_may_lie_beyond_the_border():
    sprite, middle = art(seed=8, radius=10), (-3.0, 30.0)
    side = sprite.cutout().shape[-1]
    part = torch.zeros(1, side, side, dtype=torch.bool)
    part[:, :, side // 2 + 4 :] = True  # what is on the picture
    found = locate_sprite(picture((sprite, middle, 1.0))[None], cutout(sprite), parts=part)
    assert distance(found.middles[0].tolist(), middle) < 0.6


def test_twins_have_a_place_each_and_one_sprite_has_no_second_place_near():
    sprite = art(seed=4)
    video = torch.stack(
        [picture((sprite, (18.0, 20.0), 1.0), (sprite, (50.0, 36.0), 1.0)), picture((sprite, (18.0, 20.0), 1.0))]
    )
    both, alone = sprite_places(video, cutout(sprite), most=2)
    assert sorted((round(x), round(y)) for (x, y), _, _ in both) == [(18, 20), (50, 36)]
    assert distance(alone[0].middle, (18.0, 20.0)) < 0.3
    assert alone[1].difference > 2 * alone[0].difference
    assert distance(alone[1].middle, alone[0].middle) > 5


def test_place_that_fits_at_two_sizes_is_one_place():
    sprite = art(seed=4)
    (places,) = sprite_places(
        picture((sprite, (30.0, 25.0), 1.0))[None], cutout(sprite), torch.tensor([[1.0, 1.05]]), most=2
    )
    assert places[0].scale == 1
    assert distance(places[1].middle, places[0].middle) > 5


def test_places_do_not_depend_on_the_other_frames():
    sprite = art()
    video = torch.stack([picture((sprite, (20.0 + 9 * t, 25.0), 1.0)) for t in range(3)])
    whole = locate_sprite(video, cutout(sprite))
    single = [locate_sprite(frame[None], cutout(sprite)) for frame in video]
    assert torch.equal(whole.middles, torch.cat([found.middles for found in single]))
    assert torch.equal(whole.differences, torch.cat([found.differences for found in single]))


def test_sprites_of_real_clips_are_found_where_the_truth_has_them():
    config = SyntheticConfig(occlusion=0, exits=0, entries=0, look_alikes=0)
    errors = [
        (locate_sprite(clip.frames, sprite.cutout, sprite.scales).middles - sprite.origins).norm(dim=1)
        for clip in synthetic_clips(31, range(6), config)
        for sprite in clip.sprites
        if bool((clip.amodal[:, clip.sprites.index(sprite)] == (clip.layers == clip.sprites.index(sprite) + 1)).all())
    ]
    assert len(errors) >= 4
    assert float(torch.cat(errors).median()) < 0.25
    assert float(torch.cat(errors).max()) < 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"video": torch.zeros(3, 8, 9)}, "must be \\(T, 3, H, W\\)"),
        ({"video": torch.full((2, 3, 40, 56), float("nan"))}, "not a finite number"),
        ({"cutout": torch.ones(4, 6, 6)}, "odd n, got shape \\(4, 6, 6\\)"),
        ({"cutout": torch.zeros(4, 7, 7)}, "nothing is left of the cutout"),
        ({"scales": torch.ones(5)}, "\\(2,\\) or \\(2, K\\)"),
        ({"scales": 0.0}, "every scale must be a finite number > 0"),
        ({"parts": torch.ones(1, 7, 7, dtype=torch.bool)}, "parts must be bool \\(2, 7, 7\\)"),
        ({"cutout": torch.ones(4, 121, 121)}, "nowhere on the 40x56 picture"),
        ({"parts": torch.zeros(2, 7, 7, dtype=torch.bool)}, "nothing is left of the cutout"),
    ],
)
def test_bad_input_is_named(change, message):
    good = {"video": torch.rand(2, 3, 40, 56), "cutout": torch.ones(4, 7, 7)}
    with pytest.raises(ValueError, match=message):
        locate_sprite(**{**good, **change})


def test_no_place_cannot_be_asked_for():
    with pytest.raises(ValueError, match="most=0"):
        sprite_places(torch.rand(2, 3, 40, 56), torch.ones(4, 7, 7), most=0)
