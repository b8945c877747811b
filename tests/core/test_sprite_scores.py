"""Scores of videos whose faults are known: a clip itself, one that stands still, lags, fades, slides or is another."""

import dataclasses
import math
from functools import cache

import numpy as np
import pytest
import torch

from draganything_core.data.synthetic import SyntheticConfig, synthetic_clips
from draganything_core.evaluation.sprite_scores import pooled, score_clip
from draganything_core.evaluation.sprite_search import found_places, things_of
from draganything_core.types import Size

ODD = Size(72, 104)
KINDS = {
    "foreground": SyntheticConfig(ODD, 6, background=0, both=0, camera=0, neighbours=1, look_alikes=0),
    "background": SyntheticConfig(ODD, 6, background=1, both=0, camera=0, look_alikes=0),
    "both": SyntheticConfig(ODD, 6, background=0, both=1, camera=0, look_alikes=0),
    "camera": SyntheticConfig(ODD, 6, background=0, both=0, camera=1, look_alikes=0),
}
TWINS = SyntheticConfig(ODD, 6, (0, 0.5, 0.5), background=0, both=0, camera=0, occlusion=1, entries=0.5, look_alikes=1)
OPEN = SyntheticConfig(
    ODD, 6, (1,), background=0, both=0, camera=0, occlusion=0, exits=0, entries=0, look_alikes=0, neighbours=1, held=0
)
ROLES = ("moved", "held", "static", "carried")


@cache
def clips(config, count=3, seed=11):
    return tuple(synthetic_clips(seed, range(count), config))


@cache
def summary(make, config, count=3):
    return pooled([score_clip(make(clip), clip) for clip in clips(config, count)])


def itself(clip):
    return clip.frames


def frozen(clip):
    return clip.frames[:1].expand_as(clip.frames)


def lagging(clip):
    return torch.cat([clip.frames[:1], clip.frames[:-1]])


@pytest.mark.parametrize("kind", KINDS)
def test_clip_itself_is_where_it_should_be(kind):
    found = summary(itself, KINDS[kind])
    assert set(found.kind_ratios) == {kind}
    assert found.kind_ratios[kind] < 0.05
    assert found.psnr_outside == math.inf
    assert found.gradient_energy == 1
    if kind != "background":
        assert found.points > 5
        assert found.ratio < 0.05
        assert found.close == 1
        assert found.iou > 0.9
        assert found.pixel_iou > 0.9
        assert found.psnr_inside > 28


@pytest.mark.parametrize("kind", KINDS)
def test_video_that_stands_still_has_ratio_one(kind):
    found = summary(frozen, KINDS[kind])
    assert found.kind_ratios[kind] == pytest.approx(1, abs=0.05)
    if kind != "background":
        assert found.ratio == pytest.approx(1, abs=0.05)
        assert found.mean_px == pytest.approx(found.standing_px, rel=0.05)
    if kind == "foreground":
        assert found.static_drift_px < 0.3
        assert found.leakage == 0


def test_video_of_another_clip_is_clearly_bad():
    made = clips(KINDS["foreground"], 4)
    found = pooled([score_clip(made[place - 1].frames, clip) for place, clip in enumerate(made)])
    assert found.ratio > 1.2
    assert found.close < 0.3
    assert found.iou < 0.3
    assert found.psnr_outside < 20


def test_errors_are_the_true_distances():
    for clip in clips(OPEN, 4):
        score = score_clip(lagging(clip), clip)
        (path,) = [path for path in score.paths if path.role == "moved"]
        (sprite,) = [sprite for sprite in clip.sprites if sprite.moves]
        steps = (sprite.origins[1:] - sprite.origins[:-1]).norm(dim=1).tolist()
        gone = (sprite.origins[1:] - sprite.origins[0]).norm(dim=1).tolist()
        assert path.errors == pytest.approx(steps, abs=0.4)
        assert path.standing == pytest.approx(gone, abs=1e-4)


def test_hidden_frames_do_not_count_whatever_the_video_shows():
    config = dataclasses.replace(KINDS["foreground"], sprites=(0, 0, 1), occlusion=1, exits=1)
    hidden = 0
    for clip in clips(config, 4):
        sprites = {sprite.sprite_id: layer for layer, sprite in enumerate(clip.sprites, start=1)}
        owners = [clip.entities[owner].entity_id for owner in clip.tracks.path_entity.tolist()]
        truly = score_clip(clip.frames, clip)
        blank = score_clip(torch.full_like(clip.frames, 0.5), clip)
        for path, other in zip(truly.paths, blank.paths, strict=True):
            assert path.entity_id in sprites
            visible = clip.tracks.visibility[1:, owners.index(path.entity_id)]
            assert len(path.errors) == len(other.errors) <= int(visible.sum())
            assert path.standing == other.standing
            hidden += int((~visible).sum())
    assert hidden > 0


def test_look_alikes_get_a_place_each():
    twins = 0
    for clip in clips(TWINS, 6):
        score = score_clip(clip.frames, clip)
        *others, largest = sorted(error for path in score.paths for error in path.errors)
        assert others[-1] < 2
        assert largest < 5  # of a striped bar that its twin covers but for an end: it may as well lie further along
        things = things_of(clip)
        places = found_places(frozen(clip), things)
        for one, other in ((a, b) for a in range(len(things)) for b in range(a) if things[a].looks == things[b].looks):
            for frame in places[one].keys() & places[other].keys():
                assert np.hypot(*np.subtract(places[one][frame].middle, places[other][frame].middle)) > 3
                twins += 1
    assert twins > 5


def test_look_alikes_do_not_excuse_standing_still():
    assert summary(frozen, TWINS, 6).ratio > 0.85


def test_brightness_shows_in_psnr_and_contrast_in_gradient_energy():
    brighter = summary(lambda clip: clip.frames + 0.1, OPEN)
    assert brighter.psnr_outside == pytest.approx(20, abs=1e-3)
    assert brighter.psnr_inside == pytest.approx(20, abs=1.5)
    assert brighter.gradient_energy == pytest.approx(1, abs=1e-4)
    assert summary(lambda clip: 0.5 * clip.frames, OPEN).gradient_energy == pytest.approx(0.25, abs=1e-4)


def test_psnr_inside_forgives_the_wrong_place_but_not_the_wrong_looks():
    assert summary(lagging, OPEN).psnr_inside > 25
    assert summary(lambda clip: faded(clip, 0.8), OPEN).psnr_inside < 20


def test_sprite_in_the_wrong_place_does_not_count_as_wrong_ground():
    assert summary(lagging, OPEN).psnr_outside > 45


def test_sprite_that_dissolves_loses_its_pixels_but_not_its_place():
    whole, gone = summary(itself, OPEN), summary(lambda clip: faded(clip, 1.0, striped=True), OPEN)
    assert whole.pixel_iou > 0.9
    assert gone.pixel_iou < 0.75
    assert gone.ratio < 0.3
    assert gone.difference > whole.difference


def faded(clip, amount, striped=False):
    """The clip with its moving sprites, or every third pixel row of them, turned to a grey."""
    layers = [layer for layer, sprite in enumerate(clip.sprites, start=1) if sprite.moves]
    where = torch.isin(clip.layers, torch.tensor(layers, dtype=torch.uint8))
    if striped:
        where &= torch.arange(clip.size.height)[:, None] % 3 == 0
    where[0] = False
    return torch.where(where[:, None], (1 - amount) * clip.frames + amount * 0.5, clip.frames)


def test_whatever_drags_resting_content_along_leaks():
    def sliding(clip):
        return torch.stack([clip.frames[0].roll((t, 2 * t), (1, 2)) for t in range(len(clip.frames))])

    for clip in clips(OPEN, 3):
        score = score_clip(sliding(clip), clip)
        static = [path for path in score.paths if path.role == "static"]
        assert all(path.errors == pytest.approx([5**0.5 * t for t in range(1, 6)], abs=0.4) for path in static)
        assert np.mean(score.leaks) == pytest.approx(5**0.5 * 3, rel=0.35)  # the least textured blocks cannot tell
    found = summary(sliding, OPEN)
    assert found.static_drift_px == pytest.approx(5**0.5 * 3, abs=0.4)
    assert 0.1 < found.leakage < 1
    assert summary(itself, OPEN).leakage < 0.01


def test_pool_of_nothing_has_no_figures():
    nothing = pooled([])
    assert nothing.clips == nothing.points == 0
    assert math.isnan(nothing.ratio)
    assert math.isnan(nothing.psnr_inside)
    assert "0 clips" in str(nothing)


def test_paths_have_their_roles_and_can_be_written_down():
    scores = [score_clip(clip.frames, clip) for config in KINDS.values() for clip in clips(config)]
    assert {path.role for score in scores for path in score.paths} == set(ROLES)
    assert {path.is_sprite for score in scores for path in score.paths} == {False, True}
    for score in scores:
        for path in score.paths:
            counts = {len(path.errors), len(path.standing), len(path.differences)}
            assert len(counts) == 1
            assert len(path.ious) == len(path.pixel_ious) == (len(path.errors) if path.is_sprite else 0)
    assert "ratio" in str(pooled(scores))


def test_scores_are_the_same_again():
    clip = clips(TWINS, 6)[0]
    assert score_clip(clip.frames, clip) == score_clip(clip.frames.clone(), clip)


def test_video_of_another_shape_is_refused():
    clip = clips(OPEN)[0]
    with pytest.raises(ValueError, match="scored at its clip's own size"):
        score_clip(clip.frames[:, :, :-1], clip)
