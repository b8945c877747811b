import numpy as np
import pytest
import torch
from PIL import Image

from draganything_core.images import read_picture, resized_picture
from draganything_core.types import Size


def test_a_file_becomes_channels_first_values_in_0_to_1(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    picture = read_picture(tmp_path / "a.png")
    assert picture.shape == (3, 5, 7)
    assert torch.equal((picture * 255).byte().permute(1, 2, 0), torch.from_numpy(pixels))


def test_transparency_is_laid_over_white(tmp_path):
    Image.new("RGBA", (2, 1), (255, 0, 0, 0)).save(tmp_path / "clear.png")
    assert torch.equal(read_picture(tmp_path / "clear.png"), torch.ones(3, 1, 2))


def test_sixteen_bits_are_scaled_not_clipped(tmp_path):
    Image.fromarray(np.full((2, 3), 32768, dtype=np.uint16)).save(tmp_path / "deep.png")
    torch.testing.assert_close(read_picture(tmp_path / "deep.png"), torch.full((3, 2, 3), 128 / 255))


def test_pictures_are_upright_as_their_exif_says(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held upright: rotate by a quarter to show
    Image.new("RGB", (8, 4)).save(tmp_path / "phone.jpg", exif=exif)
    assert read_picture(tmp_path / "phone.jpg").shape == (3, 8, 4)


def test_gray_pictures_have_three_equal_channels(tmp_path):
    Image.new("L", (2, 1), 51).save(tmp_path / "gray.png")
    torch.testing.assert_close(read_picture(tmp_path / "gray.png"), torch.full((3, 1, 2), 0.2))


def test_a_missing_file_and_one_that_is_no_picture_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"a\.png: no such picture"):
        read_picture(tmp_path / "a.png")
    (tmp_path / "a.png").write_text("text")
    with pytest.raises(ValueError, match=r"a\.png: not a picture"):
        read_picture(tmp_path / "a.png")


def test_resizing_gives_the_size_and_stays_in_range():
    picture = torch.rand(3, 40, 56, generator=torch.Generator().manual_seed(0)).round()
    resized = resized_picture(picture, Size(64, 48))
    assert resized.shape == (3, 64, 48)
    assert 0 <= float(resized.min()) <= float(resized.max()) <= 1
    assert torch.equal(resized_picture(picture, Size(40, 56)), picture)


@pytest.mark.parametrize("picture", [torch.zeros(1, 4, 4), torch.full((3, 4, 4), 2.0), torch.zeros(2, 3, 4, 4)])
def test_what_is_no_picture_is_refused(picture):
    with pytest.raises(ValueError, match=r"image must be"):
        resized_picture(picture, Size(8, 8))
