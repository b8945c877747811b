"""Points stores and coordinate texts of the node packs: what comes in goes out again, digit for digit."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from interchange_samples import (
    SIZE,
    document_of,
    names,
    pixels,
    quietly,
    rectangle,
    samples,
    saved_and_loaded,
    some,
    text_of,
    two_entities,
    warnings_of,
)

from draganything_core.curves import document_tracks
from draganything_core.document import (
    Click,
    ControlPoint,
    DocumentEntity,
    Easing,
    MotionDocument,
    MotionPath,
    Prompts,
)
from draganything_core.interchange import (
    read_coords,
    read_points_store,
    write_coords,
    write_points_store,
)
from draganything_core.types import Entities, Entity

colors = st.from_regex("#[0-9a-fA-F]{6}", fullmatch=True)


# KJNodes' points_store


def test_points_store_becomes_a_document():
    document = read_points_store(text_of("points_store.json"), SIZE, 14)
    assert (document.size, document.frames) == (SIZE, 14)
    assert [(e.id, e.name, e.color) for e in document.entities] == [
        (1, "Spline 1", "#1f77b4"),
        (2, "the kite", "#D62728"),
        (3, "Spline 3", "#2ca02c"),
    ]
    plain, bezier, pin = document.paths
    assert (plain.curve, plain.timing, plain.anchor, plain.static) == ("catmull_rom", "arc_length", None, False)
    assert [(p.x, p.y) for p in plain.points] == [(3, 30.5), (20.25, 8), (52, 4.125)]
    assert bezier.curve == "bezier"
    assert bezier.points[0].handle_in == pytest.approx((-2.4, 0.0))  # absolute in the text, an offset here
    assert bezier.points[1].handle_out == pytest.approx((8.6, -2.9))
    assert pin.static
    assert len(pin.points) == 1
    assert document.entities[0].prompts == Prompts((Click(3.0, 30.5),))
    assert saved_and_loaded(document) == document


def test_a_click_stays_on_the_canvas():
    document = read_points_store('[{"points": [{"x": 56, "y": 40}, {"x": 0, "y": 0}]}]', SIZE, 3)
    assert document.entities[0].prompts == Prompts((Click(55.0, 39.0),))


@pytest.mark.parametrize("name", ["points_store.json"])
def test_points_store_comes_back_digit_for_digit(name):
    document = saved_and_loaded(read_points_store(text_of(name), SIZE, 14))
    assert json.loads(quietly(write_points_store, document)) == json.loads(text_of(name))


def test_the_oldest_points_store_is_one_spline():
    document = read_points_store(text_of("points_store_oldest.json"), SIZE, 3)
    assert [path.curve for path in document.paths] == ["bezier"]
    spline = json.loads(quietly(write_points_store, document))
    assert spline == [
        {"points": json.loads(text_of("points_store_oldest.json")), "color": "#1f77b4", "name": "Spline 1"}
    ]


@st.composite
def spline_points(draw):
    point = {"x": draw(pixels), "y": draw(pixels)}
    if draw(st.booleans()):
        point |= {key: draw(pixels) for key in ("h1x", "h1y", "h2x", "h2y")}
    return point


@some
@given(
    st.lists(
        st.fixed_dictionaries(
            {"points": st.lists(spline_points(), min_size=1, max_size=4), "color": colors, "name": names},
            optional={"isSinglePoint": st.just(True)},
        ),
        min_size=1,
        max_size=4,
    )
)
def test_any_points_store_round_trips(splines):
    document = saved_and_loaded(read_points_store(json.dumps(splines), SIZE, 5))
    assert json.loads(quietly(write_points_store, document)) == splines


def test_a_handle_moved_since_is_written_where_it_is_now():
    document = read_points_store(text_of("points_store.json"), SIZE, 14)
    assert "kj_points_store" in document.extra  # 0.1 - 40.7 + 40.7 is not 0.1
    point = replace(document.paths[1].points[1], handle_in=(-1.0, -2.0))
    moved = replace(document.paths[1], points=(document.paths[1].points[0], point))
    paths = (document.paths[0], moved, document.paths[2])
    written = json.loads(quietly(write_points_store, replace(document, paths=paths)))
    assert written[1]["points"][1]["h1x"] == pytest.approx(39.7)
    assert written[1]["points"][1]["h1y"] == pytest.approx(10.9)
    assert written[1]["points"][1]["h2x"] == 49.3


@pytest.mark.parametrize("extra", [{"1": 3}, {"1": [[1], [2]]}, {"1": [None, "x"]}, [], "x", {"1": [[None] * 4] * 2}])
def test_foreign_data_in_the_place_of_handles_does_no_harm(extra):
    point = ControlPoint(5, 6, handle_in=(1, 1))
    document = document_of(MotionPath(4, (point, point), curve="bezier"), extra={"kj_points_store": extra})
    document = replace(document, entities=(DocumentEntity(1, "a"),), paths=(replace(document.paths[0], entity=1),))
    written = json.loads(quietly(write_points_store, document))
    assert written[0]["points"][0] == {"x": 5, "y": 6, "h1x": 6, "h1y": 7, "h2x": 5, "h2y": 6}


def test_a_document_keeps_what_points_store_holds():
    handles = (ControlPoint(1, 2, handle_out=(3.0, 4.0)), ControlPoint(9, 9, (-1.0, 0.5), (1.0, -0.5)))
    document = MotionDocument(
        SIZE,
        6,
        (DocumentEntity(1, "a", color="#a0b0c0"), DocumentEntity(2, "", color="#000000")),
        (
            MotionPath(1, handles, curve="bezier"),
            MotionPath(2, (ControlPoint(5, 5), ControlPoint(6, 6)), curve="catmull_rom"),
        ),
    )
    again = read_points_store(quietly(write_points_store, document), SIZE, 6)
    assert [(e.id, e.name, e.color) for e in again.entities] == [(1, "a", "#a0b0c0"), (2, "", "#000000")]
    one_sided = replace(handles[0], handle_in=(0.0, 0.0))
    assert again.paths == (replace(document.paths[0], points=(one_sided, handles[1])), document.paths[1])


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "neither JSON nor"),
        ("[]", "no spline with points"),
        ('{"positive": []}', "expected a list of splines, got a dict"),
        ('[{"name": "a"}]', 'spline 1: expected an object with a list of "points"'),
        ('[{"points": [{"x": 1}]}]', "spline 1, point 0: expected"),
        ('[{"points": [{"x": 1, "y": null}]}]', "spline 1, point 0, y: expected a number, got None"),
        ('[{"points": [{"x": 1, "y": 2, "h1x": 3}]}]', "needs both h1x and h1y, got only h1x"),
        ('[{"points": [{"x": 1, "y": 1e999}]}]', "finite"),
        ('[{"points": [{"x": 1, "y": 2}], "name": 7}]', "name must be text"),
        ('[{"points": []}]', "no spline with points"),
    ],
)
def test_a_wrong_points_store_is_refused(text, problem):
    with pytest.raises(ValueError, match=problem):
        quietly(read_points_store, text, SIZE, 3)


def test_what_a_points_store_holds_beyond_the_format_is_said():
    text = '[{"points": [{"x": 1, "y": 2, "w": 3}], "color": "red", "closed": true}, {"points": []}]'
    assert warnings_of(read_points_store, text, SIZE, 3) == [
        "points_store holds keys that are not kept: spline 1 (closed, w)",
        "points_store holds colours that are not kept, only those like #1f77b4 are: spline 1 ('red')",
        "points_store: spline 2 has no points and is left out",
    ]


# coord_str


@pytest.mark.parametrize(
    ("name", "tracks"),
    [
        ("coords_flat.txt", [[(5, 6), (7.25, 8), (9, 10.5)]]),
        ("coords_quoted.txt", [[(5, 6), (7.25, 8), (9, 10.5)], [(-4.5, 60), (100, 0)]]),
        ("coords_strings.json", [[(5, 6), (7.25, 8)], [(1, 2), (3, 4)]]),
    ],
)
def test_every_spelling_of_coord_str_is_read(name, tracks):
    document = quietly(read_coords, text_of(name), SIZE)
    assert [[(p.x, p.y) for p in path.points] for path in document.paths] == tracks
    assert document.frames == len(tracks[0])
    for path in document.paths:
        assert (path.curve, path.timing, path.fit, path.anchor) == ("polyline", "per_point", "stretch", None)
    assert saved_and_loaded(document) == document
    assert document.entities[0].prompts == Prompts((Click(5.0, 6.0),))


def test_an_empty_track_is_left_out_and_said():
    assert warnings_of(read_coords, text_of("coords_quoted.txt"), SIZE) == [
        "coord_str: tracks without points are left out: track 3"
    ]


tracks_of_pixels = st.lists(st.lists(st.tuples(pixels, pixels), min_size=1, max_size=6), min_size=1, max_size=4)


@some
@given(tracks_of_pixels, st.booleans())
def test_any_coord_str_round_trips(tracks, quoted):
    value = [[{"x": x, "y": y} for x, y in track] for track in tracks]
    value = value[0] if len(value) == 1 else value
    document = saved_and_loaded(read_coords(repr(value) if quoted else json.dumps(value), SIZE))
    assert json.loads(quietly(write_coords, document)) == value


def test_coord_str_keeps_only_samples_of_a_drawn_path():
    path = MotionPath(4, (ControlPoint(0, 0), ControlPoint(30, 0), ControlPoint(30, 30)), curve="polyline")
    written = json.loads(quietly(write_coords, document_of(path, frames=4)))
    assert written == [{"x": 0, "y": 0}, {"x": 20, "y": 0}, {"x": 30, "y": 10}, {"x": 30, "y": 30}]


def test_samples_are_rounded_and_drawn_points_are_not():
    third = MotionPath(4, (ControlPoint(0, 0), ControlPoint(10, 20)), curve="polyline")
    document = document_of(third, samples(2, (1 / 3, 0), (2 / 3, 0), (0.1, 0.2), (5, 5)), frames=4)
    assert json.loads(quietly(write_coords, document)) == [
        [{"x": 0, "y": 0}, {"x": 3.333, "y": 6.667}, {"x": 6.667, "y": 13.333}, {"x": 10, "y": 20}],
        [{"x": 1 / 3, "y": 0}, {"x": 2 / 3, "y": 0}, {"x": 0.1, "y": 0.2}, {"x": 5, "y": 5}],
    ]


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"anchor": "center"}, [(44, 24), (46, 24), (54, 24)]),  # from the car's centre (44, 24) on
        ({"easing": Easing("cubic_bezier", (0.5, 0.0, 0.5, 0.0))}, None),
        ({"start": 0.5}, [(1, 1), (1, 1), (11, 1)]),
        ({"static": True}, [(1, 1), (1, 1), (1, 1)]),
        ({}, [(1, 1), (3, 1), (11, 1)]),
    ],
)
def test_a_list_of_samples_with_more_to_it_is_sampled(more, expected):
    car = Entity(4, "car", rectangle(20, 40, 9, 9))
    entities = Entities((car, two_entities()[1]), SIZE)
    document = document_of(samples(4, (1, 1), (3, 1), (11, 1), **more))
    written = json.loads(quietly(write_coords, document, entities))
    _, tracks = document_tracks(document, entities)
    assert np.array([(p["x"], p["y"]) for p in written]) == pytest.approx(tracks.paths[:, 0].numpy(), abs=6e-4)
    if expected is not None:
        assert [(p["x"], p["y"]) for p in written] == expected


def test_far_paths_come_first():
    far, near = samples(2, (1, 1), (1, 1), (1, 1), depth=3.0), samples(4, (2, 2), (2, 2), (2, 2))
    written = json.loads(quietly(write_coords, document_of(near, far)))
    assert [track[0]["x"] for track in written] == [1, 2]
    _, tracks = document_tracks(document_of(near, far), two_entities(), "grabbed_point")
    assert tracks.paths[0, :, 0].tolist() == [1, 2]  # the same order as the discs are painted in


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "coord_str: neither JSON nor a Python list"),
        ("[]", "no track with points"),
        ("[[], []]", "no track with points"),
        ("7", "expected a list of points or of tracks, got 7"),
        ("[[1, 2], [3, 4]]", "track 1, point 0: expected"),
        ("[{'x': 1, 'y': 2}, [{'x': 1, 'y': 2}]]", "track 1 must be a list of points"),
        ("[[{'x': 1, 'y': 2}], [{'x': 1, 'y': 'b'}]]", "track 2, point 0, y: expected a number, got 'b'"),
        ("__import__('os').getcwd()", "neither JSON nor"),
        ("[{'x': 1 + 2j, 'y': 2}]", "x: expected a number"),
        ("[{'x': 1, 'y': float('nan')}]", "neither JSON nor"),
        ("[" * 100_000, "nested too deeply|neither JSON nor"),
        ("[{'x': 1, 'y': " + "9" * 400 + "}]", "finite number"),
        ('["[{\\"x\\": 1]"]', "neither JSON nor"),
    ],
)
def test_a_wrong_coord_str_is_refused(text, problem):
    with pytest.raises(ValueError, match=problem):
        quietly(read_coords, text, SIZE)


def test_a_single_quote_inside_a_text_is_not_touched():
    assert read_points_store("[{'points': [{'x': 1, 'y': 2}], 'name': \"Ann's\"}]", SIZE, 3).entities[0].name == "Ann's"
