import pytest
import torch
from diffusers.pipelines.stable_video_diffusion import pipeline_stable_video_diffusion as stock

from draganything_core.clip_input import CLIP_MEAN, CLIP_STD, clip_input


@pytest.mark.parametrize("shape", [(320, 576), (40, 56), (224, 700)])
def test_resizing_is_the_one_stable_video_diffusion_was_trained_with(shape):
    image = torch.rand(2, 3, *shape, generator=torch.Generator().manual_seed(0))
    expected = stock._resize_with_antialiasing(image, (224, 224))
    torch.testing.assert_close(clip_input(image, "reference"), expected, atol=1e-5, rtol=0)


def test_svd_preprocessing_applies_clips_mean_and_deviation():
    image = torch.full((1, 3, 64, 128), 0.5)
    values = clip_input(image)[0, :, 100, 100]
    expected = [(0.5 - mean) / std for mean, std in zip(CLIP_MEAN, CLIP_STD, strict=True)]
    torch.testing.assert_close(values, torch.tensor(expected))


def test_an_unknown_preprocessing_is_refused():
    with pytest.raises(ValueError, match='must be "svd" or "reference"'):
        clip_input(torch.zeros(1, 3, 64, 64), "clip")
