"""Tables of experiments: paired differences, verdicts, what is missing, figures of pictures."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from experiment_samples import hand_made, path_score, result, rows_with, some_motion

from draganything_core.evaluation.bootstrap import Bootstrap, Mean
from draganything_core.evaluation.sprite_scores import ClipScore
from draganything_core.experiments.figures import (
    FIGURES,
    OverSeeds,
    clip_result,
    result_from_json,
    result_to_json,
)
from draganything_core.experiments.table import made_table, table_json, table_markdown
from draganything_core.types import Size


def test_a_difference_is_paired_by_clip_and_averaged_over_seeds():
    table = made_table(hand_made(), rows_with(lambda n, seed: 1.0 + 0.5 * seed + 0.1 * (n % 2)))
    cell = table.cells["new"]["sprites.mean_px"]
    assert cell.difference.value == pytest.approx(-1.3)
    assert cell.differences == pytest.approx((-1.05, -1.55))
    assert cell.difference.high < -1.2, "what makes clips hard for both must cancel out"
    assert cell.value.value == pytest.approx(sum(cell.seeds) / 2)
    (said,) = table.verdicts
    assert "new against old: better" in said
    assert "excludes 0" in said


def test_a_null_result_is_reported_as_null():
    table = made_table(hand_made(), rows_with(lambda n, seed: (-1.0) ** n * 2 + 0.1 * seed))
    (said,) = table.verdicts
    assert "no difference was found" in said
    assert "includes 0). This is a null result." in said
    assert said in table_markdown(table)
    assert "better (" not in said


def test_which_way_is_better_is_the_experiments_word():
    rows = rows_with(lambda n, seed: 1.0 + 0.1 * (n % 2))
    assert "old: worse" in made_table(hand_made(better="higher"), rows).verdicts[0]


def test_seeds_that_disagree_are_named():
    table = made_table(hand_made(), rows_with(lambda n, seed: -1.0 if seed else 4.0))
    assert "The seeds disagree on the sign: -4, 1." in table.verdicts[0]


def test_missing_rows_are_named_and_nothing_is_said_of_them():
    table = made_table(hand_made(), rows_with(lambda n, seed: 1.0 + 0.1 * (n % 2), seeds=(1,)))
    assert table.missing == ("new, seed 0",)
    assert "Only 1 of 2 seeds" in table.verdicts[0]
    assert "**Not complete.** Missing: new, seed 0." in table_markdown(table)
    alone = {row: results for row, results in rows_with(lambda n, seed: 1.0).items() if row != ("old", 0)}
    cell = made_table(hand_made(), alone).cells["new"]["sprites.mean_px"]
    assert len(cell.seeds) == 2
    assert cell.differences == pytest.approx((-1.0,)), "of the seed that both have"
    empty = made_table(hand_made(), {})
    assert empty.verdicts == ("new against old: not measured yet.",)
    assert len(empty.missing) == 4
    assert "| arm |" not in table_markdown(empty)


def test_a_table_states_what_was_stated_before_and_every_figure_has_a_title():
    table = made_table(hand_made(), rows_with(lambda n, seed: 1.0), Bootstrap(resamples=50))
    text, stored = table_markdown(table), table_json(table)
    assert "Is it better?" in text
    assert FIGURES["pictures.iou"] in text
    assert stored["experiment"]["seeds"] == (0, 1)
    assert stored["arms"]["new"]["sprites.mean_px"]["difference"]["clips"] == 20
    assert "nan" not in text


def test_of_one_clip_nothing_is_said():
    alone = {row: results[:1] for row, results in rows_with(lambda n, seed: 1.0).items()}
    assert made_table(hand_made(), alone).verdicts[0].endswith("too few clips for an interval, so nothing is said.")


def test_a_difference_that_is_not_0_has_a_star():
    lines = table_markdown(made_table(hand_made(), rows_with(lambda n, seed: 1.0 + 0.1 * (n % 2)))).splitlines()
    (difference,) = (line for line in lines if line.startswith("| new - old |"))
    nearer, overlap, slope = difference.split("|")[2:5]
    assert nearer.endswith("] * ")
    assert "*" not in overlap + slope


def test_a_figure_over_seeds_is_of_the_clips_that_all_measured():
    first, second = Mean([1.0, 3.0, math.nan]), Mean([5.0, 7.0, 9.0])
    both = OverSeeds([first, second])
    assert both.measured.tolist() == [True, True, False]
    assert both(np.array([[1.0, 1.0, 0.0]]))[0] == pytest.approx((2 + 6) / 2)


def test_pictures_are_judged_where_sprites_were_moved():
    paths = (
        path_score(1, ious=(0.5, 0.7), pixel_ious=(0.2, 0.4)),
        path_score(2, error=0.0, values=200, ious=(0.9,), pixel_ious=(0.6,)),
        path_score(3, role="held", error=99.0, ious=(0.0,), pixel_ious=(0.0,)),
        path_score(4, is_sprite=False, error=99.0, ious=(0.0,), pixel_ious=(0.0,)),
    )
    score = ClipScore(9, 0, "foreground", 8.0, paths, (), 3.0, 300, 1.0, 1.0)
    judgement = result("00000", 3.0).judgement
    found = clip_result("00000", Size(40, 56), some_motion()[1], score, judgement, 1.25).pictures
    assert found["iou"] == pytest.approx(0.7)
    assert found["pixel_iou"] == pytest.approx(0.4)
    assert found["psnr_inside"] == pytest.approx(-10 * math.log10(2 / 400))
    assert found["psnr_outside"] == pytest.approx(20)
    assert found["speed"] == pytest.approx(math.hypot(3, 1))
    assert found["seconds"] == 1.25
    nothing = replace(score, paths=paths[2:], outside_error=0.0)
    found = clip_result("00000", Size(40, 56), some_motion()[1], nothing, judgement, 1.0).pictures
    assert all(math.isnan(found[name]) for name in ("iou", "pixel_iou", "psnr_inside", "psnr_outside"))


def test_a_result_survives_json():
    stored = json.loads(json.dumps(result_to_json(result("00000", 3.0))))
    assert json.dumps(result_to_json(result_from_json(stored))) == json.dumps(stored)
