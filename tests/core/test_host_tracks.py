"""Tracks as the host holds them: to the host and back, on disk and in memory."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from interchange_samples import (
    SIZE,
    THREE_FRAMES,
    document_of,
    host,
    quietly,
    rectangle,
    samples,
    saved_and_loaded,
    some,
    two_entities,
    warnings_of,
)

from draganything_core.curves import document_tracks
from draganything_core.document import (
    CameraMove,
    Click,
    ControlPoint,
    MotionPath,
    Prompts,
)
from draganything_core.interchange import (
    document_from_host,
    document_to_host,
    read_tracks,
    tracks_from_host,
    tracks_to_host,
    write_tracks,
)
from draganything_core.types import Entities, Entity

exact_pixels = st.floats(-1e5, 1e5, width=32)


def test_tracks_go_to_the_host_and_back():
    document = document_of(samples(4, (35, 25), (36, 26), (37, 27)), samples(2, (8, 6), (9.5, 7), (99, 8)))
    entities = two_entities()
    _, tracks = document_tracks(document, entities)
    there = tracks_to_host(tracks)
    assert (there["track_path"].dtype, tuple(there["track_path"].shape)) == (torch.float32, (3, 2, 2))
    assert there["track_visibility"].tolist() == [
        [True, True],
        [True, True],
        [True, False],
    ]  # (99, 8) is off the canvas
    back = tracks_from_host(there, entities)
    for name in ("paths", "path_entity", "visibility", "radii"):
        assert torch.equal(getattr(back, name), getattr(tracks, name)), name
    assert back.size == SIZE


def test_as_many_tracks_as_entities_belong_to_them_in_order():
    crossed = host([[frame[1], frame[0]] for frame in THREE_FRAMES])
    assert tracks_from_host(crossed, two_entities()).path_entity.tolist() == [0, 1]


def test_other_tracks_belong_to_the_entity_they_start_on():
    more = host(
        [[*frame, [50, 21]] for frame in THREE_FRAMES], [[True, True, False], [True, True, True], [True, True, True]]
    )
    tracks = tracks_from_host(more, two_entities())
    assert tracks.path_entity.tolist() == [0, 1, 0]
    assert tracks.radii[0].tolist() == pytest.approx([two_entities()[i].radius for i in (0, 1, 0)])
    outside = host([[*frame, [28, 39]] for frame in THREE_FRAMES])
    with pytest.raises(ValueError, match=r"track 3 starts at \(28, 39\), where no entity's mask is"):
        tracks_from_host(outside, two_entities())


def test_where_masks_overlap_the_last_entity_has_the_track():
    masks = (Entity(1, "all", rectangle(0, 0, 40, 56)), Entity(2, "car", rectangle(20, 30, 9, 21)))
    tracks = tracks_from_host(host([[*frame, [1, 1]] for frame in THREE_FRAMES]), Entities(masks, SIZE))
    assert tracks.path_entity.tolist() == [1, 0, 0]


def test_the_first_visible_point_says_where_a_track_starts():
    paths = [[[0, 39], [8, 6], [8, 6]], [[35, 25], [8, 6], [8, 6]], [[35, 25], [8, 6], [8, 6]]]
    visible = [[False, True, True], [True, True, True], [True, True, True]]
    assert tracks_from_host(host(paths, visible), two_entities()).path_entity.tolist() == [0, 1, 1]


def test_one_visibility_for_all_tracks_is_spread():
    alike = host(THREE_FRAMES, [[True], [False], [True]])
    assert tracks_from_host(alike, two_entities()).visibility.tolist() == [[True, True], [False, False], [True, True]]
    assert document_from_host(alike, SIZE).paths[1].visible == ((0.0, 0.0), (1.0, 1.0))


def test_host_tracks_become_a_document():
    seen = [[True, False], [True, False], [False, True]]
    document = document_from_host(host(THREE_FRAMES, seen), SIZE)
    assert document.frames == 3
    assert document.paths[0] == samples(1, (35, 25), (36, 26), (37, 27), visible=((0.0, 0.5),))
    assert document.paths[1].visible == ((1.0, 1.0),)
    assert document.entities[1].prompts == Prompts((Click(8.0, 6.0),))
    assert saved_and_loaded(document) == document


@some
@given(st.data(), st.integers(1, 9), st.integers(1, 3))
def test_any_host_tracks_round_trip(data, frames, count):
    numbers = data.draw(st.lists(exact_pixels, min_size=frames * count * 2, max_size=frames * count * 2))
    flags = data.draw(st.lists(st.booleans(), min_size=frames * count, max_size=frames * count))
    given_tracks = {
        "track_path": torch.tensor(numbers, dtype=torch.float32).reshape(frames, count, 2),
        "track_visibility": torch.tensor(flags).reshape(frames, count),
    }
    document = saved_and_loaded(document_from_host(given_tracks, SIZE))
    back = quietly(document_to_host, document)
    assert torch.equal(back["track_path"], given_tracks["track_path"])
    assert torch.equal(back["track_visibility"], given_tracks["track_visibility"])
    assert quietly(document_from_host, back, SIZE) == document


def test_a_drawn_document_becomes_one_point_a_frame():
    cut = samples(4, (1, 1), (2, 2), fit="cut")
    blink = MotionPath(2, (ControlPoint(8, 6), ControlPoint(10, 6)), visible=((0.5, 1.0),))
    there = quietly(document_to_host, document_of(cut, blink))
    assert there["track_path"].tolist() == [[[1, 1], [8, 6]], [[2, 2], [9, 6]], [[2, 2], [10, 6]]]
    assert there["track_visibility"].tolist() == [[True, False], [True, True], [False, True]]


def test_masks_put_the_discs_of_centre_anchored_lines_in_their_place():
    path = MotionPath(4, (ControlPoint(0, 0), ControlPoint(4, 2)), anchor="center", curve="polyline")
    document, entities = document_of(path), two_entities()
    x, y = entities[0].center
    there = quietly(document_to_host, document, entities)
    assert there["track_path"][:, 0].tolist() == [[x, y], [x + 2, y + 1], [x + 4, y + 2]]
    assert quietly(document_to_host, document)["track_path"][:, 0].tolist() == [[0, 0], [2, 1], [4, 2]]
    left_open = document_of(replace(path, anchor=None))
    assert quietly(document_to_host, left_open, entities)["track_path"][:, 0].tolist() == [[0, 0], [2, 1], [4, 2]]
    said = warnings_of(document_to_host, document)
    assert any("without masks the line is written" in line and "path 1 of entity 4 (car)" in line for line in said)


def test_camera_moves_need_masks_to_become_tracks():
    document = document_of(samples(4, (10, 10), (10, 10), (10, 10)), camera=CameraMove(pan=(6.0, 0.0)))
    there = quietly(document_to_host, document, two_entities())
    assert there["track_path"].tolist() == [
        [[27.5, 19.5], [10, 10]],
        [[30.5, 19.5], [13, 10]],
        [[33.5, 19.5], [16, 10]],
    ]
    assert there["track_visibility"].all()
    assert any("camera move is left out" in line for line in warnings_of(document_to_host, document))


@pytest.mark.parametrize("name", ["a.npz", "tracks.npy", "no_suffix"])
def test_tracks_on_disk_come_back(tmp_path, name):
    there = host(THREE_FRAMES, [[True, False], [True, True], [False, True]])
    files = write_tracks(there, tmp_path / name)
    assert sorted(files) == sorted(tmp_path.iterdir())
    back = read_tracks(tmp_path / name)
    assert torch.equal(back["track_path"], there["track_path"])
    assert torch.equal(back["track_visibility"], there["track_visibility"])


def test_wan_moves_files_have_a_leading_batch(tmp_path):
    write_tracks(host(THREE_FRAMES), tmp_path / "tracks.npy")
    assert np.load(tmp_path / "tracks.npy").shape == (1, 3, 2, 2)
    assert np.load(tmp_path / "visibility.npy").shape == (1, 3, 2)
    (tmp_path / "visibility.npy").unlink()
    assert warnings_of(read_tracks, tmp_path / "tracks.npy") == [
        "there is no visibility.npy beside tracks.npy; every point counts as visible"
    ]
    assert quietly(read_tracks, tmp_path / "tracks.npy")["track_visibility"].all()


def test_numbers_finer_than_the_hosts_are_rounded_and_said(tmp_path):
    np.savez(tmp_path / "a.npz", track_path=np.full((2, 1, 2), 0.1), track_visibility=np.ones((2, 1), bool))
    assert warnings_of(read_tracks, tmp_path / "a.npz") == ["TRACKS are 32 bit floats; track_path is rounded to them"]
    np.savez(tmp_path / "b.npz", track_path=np.full((2, 1, 2), 0.25), track_visibility=np.ones((2, 1), np.uint8))
    assert warnings_of(read_tracks, tmp_path / "b.npz") == []
    assert read_tracks(tmp_path / "b.npz")["track_visibility"].dtype == torch.bool


@pytest.mark.parametrize(
    ("arrays", "problem"),
    [
        ({"track_path": np.zeros((2, 1, 2))}, "track_visibility missing; it holds track_path"),
        ({"a": np.zeros(3)}, "track_path and track_visibility missing; it holds a"),
        ({"track_path": np.zeros((2, 1, 3)), "track_visibility": np.ones((2, 1))}, r"must be \(T, N, 2\).*\(2, 1, 3\)"),
        ({"track_path": np.zeros((0, 1, 2)), "track_visibility": np.ones((0, 1))}, "T, N >= 1"),
        ({"track_path": np.zeros((2, 3, 2)), "track_visibility": np.ones((2, 2))}, r"\(2, 3\) or \(2, 1\).*\(2, 2\)"),
        ({"track_path": np.full((2, 1, 2), np.nan), "track_visibility": np.ones((2, 1))}, "not a number of pixels"),
        ({"track_path": np.full((2, 1, 2), 2e6), "track_visibility": np.ones((2, 1))}, "not a number of pixels"),
        ({"track_path": np.array([{}]), "track_visibility": np.ones((2, 1))}, "of plain numbers"),
        ({"track_path": np.full((2, 1, 2), "x"), "track_visibility": np.ones((2, 1))}, "array of numbers"),
    ],
)
def test_wrong_tracks_are_refused(tmp_path, arrays, problem):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(ValueError, match=problem):
        read_tracks(tmp_path / "a.npz")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut off", b"\x93NUMPY cut off", b"text"])
def test_a_broken_tracks_file_is_refused(tmp_path, content):
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.npz cannot be read"):
        read_tracks(tmp_path / "a.npz")
