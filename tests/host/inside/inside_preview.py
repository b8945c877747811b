"""Preview Motion: cut-outs that move, and the maps that the ControlNet would be told."""

from __future__ import annotations

import inspect
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from small_model import FRAMES, SIZE, core, pack, small_motion


@pytest.fixture(scope="module")
def node() -> Any:
    return pack("nodes.preview").PreviewMotion


def test_the_schema_is_executes(node):
    schema = node.GET_SCHEMA()
    assert schema.node_id == "DragAnythingPreviewMotion"
    assert schema.is_output_node
    parameters = inspect.signature(node.execute).parameters
    assert [each.id for each in schema.inputs] == list(parameters)
    assert [each.id for each in schema.inputs if each.optional] == ["conditions"]
    assert all(each.tooltip for each in [*schema.inputs, *schema.outputs])


def test_cut_outs_move_and_a_clip_plays_on_the_node(node, motion):
    import folder_paths

    output = node.execute(motion, "filled", False)
    cutouts, maps = output.result
    assert cutouts.shape == maps.shape == (FRAMES, *SIZE, 3)
    core_frames = core("motion_preview").moving_cutouts(motion.picture, *motion.resolved("center"))
    assert torch.allclose(cutouts.movedim(-1, 1), core_frames)
    assert not torch.equal(cutouts[0], cutouts[-1])
    (saved,) = output.ui["images"]
    assert output.ui["animated"] == (True,)
    assert saved["type"] == "temp"
    with Image.open(Path(folder_paths.get_temp_directory()) / saved["subfolder"] / saved["filename"]) as clip:
        assert clip.n_frames == FRAMES
        assert clip.size == (SIZE[1], SIZE[0])


def test_lines_are_drawn_where_they_are_wanted(node, motion):
    plain, drawn = (node.execute(motion, "dimmed", lines).result[0] for lines in (False, True))
    assert not torch.equal(plain, drawn)
    assert plain.shape == drawn.shape


def test_given_conditions_are_shown(node, motion, conditions):
    expected = core("motion_preview").condition_frames(motion.picture, conditions.maps, motion.colors(motion.entities))
    shown = node.execute(motion, "filled", True, conditions).result[1]
    assert torch.allclose(shown.movedim(-1, 1), expected)
    shorter = replace(conditions, maps=conditions.maps.sliced(slice(3)))
    with pytest.raises(ValueError, match="Preview Motion, conditions: they are of 3 frames and 2 entities"):
        node.execute(motion, "filled", True, shorter)


def test_a_camera_and_colours_of_the_document(node, motion):
    document = core("document")
    panned = replace(motion.document, camera=document.CameraMove(pan=(10.0, 0.0)), paths=())
    cutouts, maps = node.execute(replace(motion, document=panned), "filled", False).result
    assert torch.allclose(cutouts[-1][:, 10:], cutouts[0][:, :-10], atol=1e-3)
    assert maps.shape == (FRAMES, *SIZE, 3)


def test_a_motion_in_which_nothing_moves_is_refused(node):
    motion = small_motion()
    with pytest.raises(ValueError, match="Preview Motion, motion: nothing moves"):
        node.execute(replace(motion, document=replace(motion.document, paths=())), "filled", True)
