"""What bounds the ground in generated videos, tried on videos whose ground is known to go somewhere or to rest."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from ground_error import ground_error
from workflow_parts import BACKGROUND, SAMPLE, Sample

from draganything_core.curves import document_tracks
from draganything_core.document import CameraMove, Easing, Zoom, document_from_json
from draganything_core.motion_input import read_motion
from draganything_core.motion_preview import moving_cutouts
from draganything_core.segment import resolve_entities

CENTER = (89.0, 44.0)  # px; what the zoom nears
AROUND = ((32.0, 32.0), (96.0, 32.0), (32.0, 96.0), (96.0, 96.0))
MOVES = {
    "pan": CameraMove(pan=(-13.0, 5.0)),
    "zoom": CameraMove(zoom=Zoom(1.4, CENTER, AROUND), easing=Easing("ease_in_out")),
    "ground": None,
}


@pytest.fixture(params=MOVES)
def asked(request):
    sample, picture = Sample(), read_motion(SAMPLE).image
    if request.param == "ground":
        text = sample.drawn((sample.background,), sample.path(BACKGROUND, ((0.6, 0.5), (0.46, 0.53))))
    else:
        text = sample.drawn(())
    document = replace(document_from_json(text), camera=MOVES[request.param])
    entities, tracks = document_tracks(document, resolve_entities(document, picture, None, SAMPLE.parent))
    return picture, document, entities, tracks


def test_a_ground_that_goes_where_it_should_has_a_small_error(asked):
    picture, _, entities, tracks = asked
    error = ground_error(moving_cutouts(picture, entities, tracks), *asked)
    assert error.is_measured
    assert error.ratio < 0.15


def test_a_ground_that_rests_has_the_error_of_standing_still(asked):
    picture, _, _, tracks = asked
    error = ground_error(picture.expand(tracks.frames, -1, -1, -1), *asked)
    assert error.is_measured
    assert error.ratio == pytest.approx(1, abs=0.1)
