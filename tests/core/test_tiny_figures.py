"""The small model's card, and the figures that tests take their bounds from: of the weights that ship."""

from __future__ import annotations

import json

import pytest

from draganything_core.tiny.figures import CARD, FIGURES, clip_errors, figures_of, weights_hash, with_table


def test_the_card_shows_the_figures_of_the_weights_that_ship():
    figures = json.loads(FIGURES.read_text())
    again = "python -m draganything_core.tiny.figures output/heldout/report.json, after evaluating the new weights"
    assert figures["weights"] == weights_hash(), again
    assert with_table(CARD.read_text(), figures) == CARD.read_text(), again


def test_a_clips_error_is_the_mean_of_its_paths():
    paths = [{"errors": [1.0, 2.0, 3.0]}, {"errors": [6.0]}, {"errors": []}]
    assert clip_errors([{"paths": paths}, {"paths": []}]) == [4.0]


def test_a_report_of_something_else_is_refused():
    with pytest.raises(ValueError, match="expected one of --model tiny"):
        figures_of({"model": "large", "protocol": {"name": "vipseg"}, "sprites": {"control": []}})


def test_a_card_without_a_place_for_the_table_is_refused():
    with pytest.raises(ValueError, match="no place for the table"):
        with_table("# A card\n", {"rows": {}})
