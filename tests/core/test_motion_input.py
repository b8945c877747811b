import json

import numpy as np
import pytest
import torch
from PIL import Image

from draganything_core.motion_input import read_motion
from draganything_core.types import Size

DOCUMENT = {
    "format": "draganything-motion",
    "version": 2,
    "size": {"height": 40, "width": 56},
    "frames": 3,
    "entities": [{"id": 1, "name": "thing", "prompts": {"points": [{"x": 5, "y": 5, "label": 1}]}}],
    "paths": [{"entity": 1, "points": [{"x": 5, "y": 5}, {"x": 9, "y": 5}]}],
}


def save_picture(path, size=(56, 40), value=100):
    Image.fromarray(np.full((size[1], size[0], 3), value, dtype=np.uint8)).save(path)


@pytest.fixture
def demo(tmp_path):
    folder = tmp_path / "my demo"
    folder.mkdir()
    save_picture(folder / "demo.jpg")
    save_picture(folder / "thing.png", value=255)
    entry = {"comment": "thing", "mask_name": "thing.png", "trajectory": [[5, 5], [9, 5]]}
    (folder / "demo.json").write_text(json.dumps({"1": entry}))
    return folder


def test_a_document_is_known_by_what_is_in_it_and_brings_its_picture(tmp_path):
    save_picture(tmp_path / "picture.png")
    (tmp_path / "demo.json").write_text(json.dumps({**DOCUMENT, "image": "picture.png"}))
    motion = read_motion(tmp_path / "demo.json")
    assert (motion.name, motion.folder) == ("demo", tmp_path)
    assert Size.of(motion.image) == motion.document.size == Size(40, 56)


@pytest.mark.parametrize("part", ["", "demo.json"])
def test_a_demo_folder_or_its_file(demo, part):
    motion = read_motion(demo / part)
    assert (motion.name, motion.folder) == ("my demo", demo)
    assert motion.document.paths[0].anchor == "grabbed_point"


def test_another_picture_takes_the_place_of_the_documents_own_and_its_size(demo, tmp_path, caplog):
    save_picture(tmp_path / "other.png", size=(112, 20), value=255)
    motion = read_motion(demo, tmp_path / "other.png")
    # The lines were drawn on the folder's picture; the other one is brought to its size.
    assert motion.document.size == Size(40, 56)
    torch.testing.assert_close(motion.image, torch.ones(3, 40, 56))
    assert "resized to the canvas" in caplog.text


def test_a_demo_folder_without_a_picture_takes_the_one_given(demo, tmp_path):
    (demo / "demo.jpg").rename(tmp_path / "elsewhere.jpg")
    assert read_motion(demo, tmp_path / "elsewhere.jpg").document.size == Size(40, 56)


def test_what_is_missing_is_said(tmp_path):
    with pytest.raises(FileNotFoundError, match="give a motion document"):
        read_motion(tmp_path / "nowhere.json")
    (tmp_path / "motion.json").write_text(json.dumps(DOCUMENT))
    with pytest.raises(ValueError, match="names no picture; give the first frame with --image FILE"):
        read_motion(tmp_path / "motion.json")


def test_formats_without_a_picture_are_sent_to_convert(tmp_path):
    (tmp_path / "coords.json").write_text('[{"x": 1, "y": 2}, {"x": 3, "y": 4}]')
    with pytest.raises(ValueError, match=r"draganything_core\.convert"):
        read_motion(tmp_path / "coords.json")
