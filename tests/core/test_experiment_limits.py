"""Limits of weights: where a figure passes its bound, and how the limit gets into the weights' config."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
import torch
from experiment_samples import hand_made, result, some_motion
from small_networks import small_controlnet

from draganything_core.digests import weights_sha256
from draganything_core.experiments.definition import Limit, load_experiment
from draganything_core.experiments.definition import shipped_experiments as shipped
from draganything_core.experiments.figures import fastest_step
from draganything_core.experiments.limits import controlnet_sha256, found_limit, write_limit
from draganything_core.experiments.table import made_table, table_json, table_markdown
from draganything_core.weights import load_controlnet

SPEED = Limit("max_speed", "pictures.speed", "sprites.mean_px", 8.0)


@pytest.mark.parametrize(
    ("measured", "value", "text"),
    [
        ([(2, 3.0), (4, 6.0), (6, 10.0)], 5.0, "ends between pictures.speed 4 (6) and 6 (10)"),
        ([(6, 10.0), (2, 3.0), (4, 6.0)], 5.0, "ends between"),  # in any order
        ([(2, 3.0), (4, 9.0), (6, 7.0)], 3.7, "ends between"),  # the first crossing counts
        ([(2, 3.0), (4.25, 8.0)], 4.2, "held up to 4.2, the largest"),
        ([(2, 8.1), (4, 9.0)], None, "held nowhere, not even at pictures.speed 2"),
    ],
)
def test_a_limit_is_where_the_figure_first_passes_its_bound(measured, value, text):
    found = found_limit(SPEED, measured)
    assert found.value == pytest.approx(value) if value else found.value is None
    assert text in found.text


def test_an_arm_without_a_figure_has_no_limit():
    with pytest.raises(ValueError, match=r"max_speed: an arm has no pictures\.speed or no sprites\.mean_px"):
        found_limit(SPEED, [(2, 3.0), (math.nan, 9.0)])


def test_a_table_tells_its_limit_once_it_is_whole():
    experiment = hand_made(steps=None, limit=SPEED, seeds=(0,))
    rows = {("old", 0): [result("00000", 3.0)] * 3, ("new", 0): [result("00000", 20.0)] * 3}
    for number, row in enumerate(rows.values()):
        for each in row:
            each.pictures["speed"] = 2.0 + 10 * number
    table = made_table(experiment, rows)
    # The mean of errors 3 and 4, of 20 and 21: 3.5 at 2 px a frame and 20.5 at 12.
    assert table.limit.value == pytest.approx(2 + 10 * (8 - 3.5) / 17, abs=0.05)
    assert "- max_speed of these weights: 4.6 (sprites.mean_px <= 8 ends" in table_markdown(table)
    assert (
        "max_speed: the px a frame, the fastest step asked for, at which `sprites.mean_px` passes 8"
        in table_markdown(table)
    )
    assert table_json(table)["limit"]["value"] == table.limit.value
    del rows["new", 0]
    assert made_table(experiment, rows).limit is None
    assert "max_speed of these" not in table_markdown(made_table(experiment, rows))


def test_a_limit_is_of_weights_that_are_there_and_of_figures_that_there_are():
    with pytest.raises(ValueError, match="steps must be null"):
        hand_made(limit=SPEED)
    with pytest.raises(ValueError, match="limit: unknown sprites"):
        replace(SPEED, figure="sprites")
    with pytest.raises(ValueError, match="entry must be one of max_speed"):
        replace(SPEED, entry="max_radius")


def test_the_largest_motion_is_stated_before_it_is_run():
    assert load_experiment("large_motion").limit == SPEED
    assert [name for name in shipped() if load_experiment(name).pixel_motion] == ["figure2"]


def test_the_fastest_step_is_between_two_frames_that_see_the_path():
    _, tracks = some_motion()
    assert fastest_step(tracks) == pytest.approx(math.hypot(3, 1))
    paths, visibility = tracks.paths.clone(), tracks.visibility.clone()
    paths[2, 1] += 50
    assert fastest_step(replace(tracks, paths=paths)) > 50
    visibility[2, 1] = False
    assert fastest_step(replace(tracks, paths=paths, visibility=visibility)) == pytest.approx(math.hypot(3, 1))
    assert math.isnan(fastest_step(replace(tracks, visibility=torch.zeros_like(visibility))))


def test_a_limit_goes_into_the_weights_config_and_changes_nothing_else(tmp_path):
    small_controlnet(gaussian_scale=2.0).save_pretrained(tmp_path)
    file = tmp_path / "config.json"
    before, name = json.loads(file.read_text("utf-8")), controlnet_sha256(tmp_path)
    assert before["max_speed"] is None
    write_limit(tmp_path, "max_speed", 7.5)
    assert json.loads(file.read_text("utf-8")) == {**before, "max_speed": 7.5}
    assert file.read_text("utf-8").startswith('{\n  "_class_name"')
    assert list(tmp_path.glob(".*")) == []
    loaded = load_controlnet(tmp_path)
    assert loaded.config.max_speed == 7.5
    assert controlnet_sha256(tmp_path) == name, "rows that were measured before stay those of these weights"
    assert weights_sha256(loaded) == weights_sha256(small_controlnet(gaussian_scale=2.0))
    loaded.register_to_config(gaussian_scale=3.0)
    loaded.save_pretrained(tmp_path)
    assert controlnet_sha256(tmp_path) != name
    with pytest.raises(ValueError, match="nothing that is measured"):
        write_limit(tmp_path, "max_radius", 7.5)
    with pytest.raises(FileNotFoundError, match=r"config\.json"):
        write_limit(tmp_path / "none", "max_speed", 7.5)
