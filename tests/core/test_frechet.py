"""Fréchet distances against known ones and against torchmetrics; networks from files; what is said without them."""

import math

import numpy as np
import pytest
import torch

from draganything_core.evaluation.bootstrap import Bootstrap
from draganything_core.evaluation.frechet import (
    FeatureStatistics,
    FrechetDistance,
    feature_statistics,
    frechet_distance,
    i3d_features,
    inception_features,
    random_features,
)

WIDTH = 7


def drawn(seed, count=40, shift=0.0, scale=1.0):
    generator = torch.Generator().manual_seed(seed)
    mixed = torch.randn(WIDTH, WIDTH, generator=torch.Generator().manual_seed(99))
    return torch.randn(count, WIDTH, generator=generator, dtype=torch.float64) * scale @ mixed.double() + shift


def distance(first, second):
    return frechet_distance(feature_statistics(first), feature_statistics(second))


def test_the_same_features_are_at_distance_zero():
    assert distance(drawn(0), drawn(0)) == pytest.approx(0, abs=1e-8)


def test_a_shift_by_d_is_d_squared_for_each_feature():
    assert distance(drawn(0), drawn(0) + 3) == pytest.approx(9 * WIDTH)


def test_of_separate_features_it_is_the_sum_of_the_squared_differences_of_deviations():
    first = FeatureStatistics(torch.zeros(3).double(), torch.diag(torch.tensor([1.0, 4.0, 9.0])).double(), 9)
    second = FeatureStatistics(torch.zeros(3).double(), torch.diag(torch.tensor([4.0, 4.0, 1.0])).double(), 9)
    assert frechet_distance(first, second) == pytest.approx(1 + 0 + 4)


@pytest.mark.parametrize("count", [40, 5])  # fewer pictures than features: the covariance is singular
def test_it_is_that_of_torchmetrics(count):
    fid = pytest.importorskip("torchmetrics.image.fid")

    class Given(torch.nn.Module):
        num_features = WIDTH

        def forward(self, features):
            return features

    metric = fid.FrechetInceptionDistance(feature=Given()).set_dtype(torch.float64)
    real, made = drawn(1, count), drawn(2, count, shift=0.4, scale=1.3)
    metric.update(real, real=True)
    metric.update(made, real=False)
    assert distance(real, made) == pytest.approx(float(metric.compute()), rel=1e-6)


def test_by_clips_it_is_that_of_all_features_together_and_resampled_that_of_the_clips_drawn():
    real = [drawn(seed, count=3 + seed) for seed in range(4)]
    made = [drawn(10 + seed, count=3 + seed, shift=0.5) for seed in range(4)]
    statistic = FrechetDistance(real, made)
    assert statistic.value == pytest.approx(distance(torch.cat(real), torch.cat(made)))
    twice = statistic(np.array([[2.0, 0.0, 1.0, 0.0]]))[0]
    assert twice == pytest.approx(distance(torch.cat([real[0]] * 2 + [real[2]]), torch.cat([made[0]] * 2 + [made[2]])))
    with pytest.raises(ValueError, match="4 real clips, 3 made"):
        FrechetDistance(real, made[:3])


@pytest.mark.parametrize("width", [3, 11, 40])  # fewer and more features than pictures
def test_in_rows_or_in_features_it_is_the_same_distance(width):
    def features(seed, clips=5):
        generator = torch.Generator().manual_seed(seed)
        return [
            torch.randn(3, width, generator=generator, dtype=torch.float64) * (1 + 0.1 * seed) for _ in range(clips)
        ]

    real, made = features(1), features(2)
    statistic = FrechetDistance(real, made)
    assert statistic.value == pytest.approx(distance(torch.cat(real), torch.cat(made)), rel=1e-6)
    counts = np.array([[0.0, 3.0, 1.0, 1.0, 0.0]])
    real_drawn, made_drawn = (torch.cat([side[1]] * 3 + [side[2], side[3]]) for side in (real, made))
    assert statistic(counts)[0] == pytest.approx(distance(real_drawn, made_drawn), rel=1e-6)
    assert FrechetDistance(real, real).value == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("width", [4, 60])  # fewer and more features than pictures
def test_an_interval_is_as_wide_as_the_figure_wanders_from_one_draw_of_clips_to_the_next(width):
    mixed = torch.randn(width, width, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    def statistic(seed):
        """24 clips of two pictures each, the made ones like the real ones but shifted."""
        generator = torch.Generator().manual_seed(seed)
        kind = torch.randn(24, 1, width, generator=generator, dtype=torch.float64)  # pictures of a clip are alike
        real, made = (kind + torch.randn(24, 2, width, generator=generator, dtype=torch.float64) for _ in range(2))
        return FrechetDistance([*(real @ mixed)], [*(made @ mixed + 1.0)])

    values = [statistic(seed).value for seed in range(40)]
    intervals = [statistic(seed).interval(Bootstrap(resamples=50)) for seed in range(6)]
    errors = [(found.high - found.low) / 2 / 1.96 for found in intervals]
    assert 0.7 < np.mean(errors) / np.std(values) < 2
    assert all(found.low < found.value < found.high and found.clips == 24 for found in intervals)


def test_an_interval_holds_its_figure_where_halves_are_all_beyond_it():
    real, made = ([drawn(seed, count=1) for seed in range(start, start + 9)] for start in (0, 100))
    statistic = FrechetDistance(real, made)
    found = statistic.interval(Bootstrap(resamples=50))
    half = np.array([[1.0, 0.0] * 4 + [0.0]])
    assert statistic(half)[0] > statistic.value, "of fewer pictures the distance is larger"
    assert found.low < statistic.value < found.high
    assert found == statistic.interval(Bootstrap(resamples=50))
    wide, narrow = (statistic.interval(Bootstrap(resamples=50, level=level)) for level in (0.99, 0.5))
    assert wide.high - wide.value == pytest.approx((narrow.high - narrow.value) * 2.5758 / 0.6745, rel=1e-3)


def test_an_interval_ends_at_zero_and_one_clip_has_none():
    near = [drawn(seed) for seed in range(3)]
    assert FrechetDistance(near, near).interval(Bootstrap(resamples=20)).low == 0
    alone = FrechetDistance(near[:1], [drawn(9)]).interval()
    assert alone.value > 0
    assert math.isnan(alone.low)
    assert math.isnan(FrechetDistance([], []).interval().value)
    two = FrechetDistance([drawn(1, count=1), drawn(2, count=1)], [drawn(3, count=1), drawn(4, count=1)]).interval()
    assert two.value > 0
    assert math.isnan(two.low), "a half of one picture has no distance"


def test_the_floor_is_the_distance_of_two_halves_of_the_truth():
    real = [drawn(seed) for seed in range(6)]
    statistic = FrechetDistance(real, real)
    assert statistic.floor() == pytest.approx(distance(torch.cat(real[::2]), torch.cat(real[1::2])))
    assert math.isnan(FrechetDistance(real[:1], real[:1]).floor())


def test_one_picture_has_no_distance():
    with pytest.raises(ValueError, match="two pictures or more"):
        feature_statistics(torch.zeros(1, 5))


# --- networks ---------------------------------------------------------------------------------------------------------


def videos(seed, blur=1):
    frames = torch.rand(12, 3, 48, 40, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.avg_pool2d(frames, blur, stride=1, padding=blur // 2)


def test_random_features_are_the_same_every_time_and_are_not_called_fid():
    first, again = random_features(), random_features()
    assert first.figure == "rFID"
    assert "no FID" in first.description
    assert torch.equal(first.extract(videos(0)), again.extract(videos(0)))
    assert first.extract(videos(0)).shape == (12, 64)
    assert first.key == again.key


def test_random_features_tell_a_blurred_video_from_one_of_the_same_kind():
    extract = random_features().extract
    real, other, blurred = (extract(video) for video in (videos(0), videos(1), videos(1, blur=3)))
    assert distance(real, blurred) > 5 * distance(real, other)


def test_without_weights_it_is_said_where_they_are_published(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"toshas/torch-fidelity.*--inception"):
        inception_features(tmp_path / "none.pth")
    with pytest.raises(FileNotFoundError, match=r"i3d_torchscript\.pt.*--i3d"):
        i3d_features(tmp_path / "none.pt")


def test_files_that_hold_something_else_are_refused(tmp_path):
    wrong = tmp_path / "wrong.pt"
    torch.save({"weight": torch.zeros(2)}, wrong)
    with pytest.raises(ValueError, match="no TorchScript"):
        i3d_features(wrong)
    pytest.importorskip("torch_fidelity")
    pytest.importorskip("torchmetrics")
    with pytest.raises(ValueError, match="does not fit the Inception"):
        inception_features(wrong)


class SmallI3D(torch.nn.Module):
    """Called as the published TorchScript is; its features are the means of the video's colours and its last frame."""

    def forward(self, x: torch.Tensor, rescale: bool, resize: bool, return_features: bool):
        assert not rescale
        assert not resize
        assert return_features
        return torch.cat([x.mean(dim=(2, 3, 4)), x[:, :, -1].mean(dim=(2, 3))], dim=1)


def test_fvd_takes_a_torchscript_by_path_whole_videos_and_minus_one_to_one(tmp_path):
    file = tmp_path / "i3d.pt"
    torch.jit.save(torch.jit.script(SmallI3D()), str(file))
    features = i3d_features(file)
    assert features.figure == "FVD"
    video = torch.zeros(11, 3, 20, 30)
    video[-1, 0] = 1
    got = features.extract(video)
    assert got.shape == (1, 6)
    assert got[0].tolist() == pytest.approx([2 / 11 - 1, -1, -1, 1, -1, -1])
    with pytest.raises(ValueError, match="10 frames or more, got 9"):
        features.extract(video[:9])


@pytest.mark.slow
def test_fid_takes_inception_weights_by_path(tmp_path):
    """The network's own random weights, saved and given by path: its features, and the name."""
    fidelity = pytest.importorskip("torch_fidelity.feature_extractor_inceptionv3")
    fid = pytest.importorskip("torchmetrics.image.fid")
    torch.manual_seed(0)
    state = {}

    class Unloaded(fidelity.FeatureExtractorInceptionV3):
        def load_state_dict(self, *_args, **_kwargs):
            return None

    empty = tmp_path / "empty.pth"
    torch.save({}, empty)
    state = Unloaded("inception-v3-compat", ["2048"], str(empty)).state_dict()
    file = tmp_path / "inception.pth"
    torch.save(state, file)
    features = inception_features(file)
    metric = fid.FrechetInceptionDistance(2048, feature_extractor_weights_path=str(file), antialias=False)
    pixels = (videos(0)[:2] * 255).round().to(torch.uint8)
    assert torch.equal(features.extract(pixels / 255), metric.inception(pixels).float())
    assert features.figure == "FID"
