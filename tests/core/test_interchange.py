"""What the interchange formats lose in a round trip is said, and the content of a file tells its format."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pytest
import torch
from interchange_samples import (
    GOLDENS,
    SIZE,
    THREE_FRAMES,
    document_of,
    host,
    samples,
    text_of,
    two_entities,
    warnings_of,
)

from draganything_core.curves import document_tracks
from draganything_core.document import (
    CameraMove,
    Click,
    ControlPoint,
    DocumentEntity,
    Easing,
    MaskSource,
    MotionDocument,
    MotionPath,
    Prompts,
    RadiusKey,
    document_to_json,
)
from draganything_core.interchange import (
    detect_format,
    document_from_host,
    document_to_host,
    read_coords,
    read_points_store,
    tracks_to_host,
    write_coords,
    write_demo_folder,
    write_points_store,
    write_tracks,
)

ALWAYS = ((0.0, 1.0),)

# What a format cannot hold

RICH = MotionDocument(
    SIZE,
    3,
    (
        DocumentEntity(4, "car", MaskSource(file="car.png"), Prompts((Click(3, 1),)), 5.0, "#112233", True),
        DocumentEntity(2, "sky", MaskSource(rle="0")),
    ),
    (
        MotionPath(4, (ControlPoint(1, 1), ControlPoint(9, 9)), "polyline", visible=((0.0, 0.5),), name="wheel"),
        MotionPath(4, (ControlPoint(1, 1), ControlPoint(9, 9)), radius_keys=(RadiusKey(0.0, 2.0),), depth=2.0),
        MotionPath(4, (ControlPoint(1, 1), ControlPoint(9, 9)), anchor="center", easing=Easing("ease_in"), start=0.2),
        MotionPath(4, (ControlPoint(1, 1), ControlPoint(9, 9), ControlPoint(2, 2)), timing="per_point", static=True),
    ),
    camera=CameraMove(pan=(1.0, 2.0)),
    image="a.jpg",
    fps=12.0,
    extra={"view": 1},
)
WHEEL, DEEP, SLOW, PIN = 'path 1 "wheel" of entity 4 (car)', *(f"path {i} of entity 4 (car)" for i in (2, 3, 4))


@pytest.mark.parametrize(
    ("write", "expected"),
    [
        (
            write_points_store,
            {
                "the canvas size: read it back with size 40x56",
                "the number of frames: read it back with 3 frames",
                "masks: entity 4 (car), entity 2 (sky)",
                "prompts: entity 4 (car)",
                "radii: entity 4 (car)",
                "locked and hidden: entity 4 (car)",
                "entities without a path: entity 2 (sky)",
                "that paths belong to one entity; they read back as one entity each: entity 4 (car)",
                f"which curve joins the points (set the node's interpolation): {WHEEL}",
                f"that points are samples in time (set sampling_method to controlpoints): {PIN}",
                f"the anchor: {SLOW}",
                f"easing, start and end: {SLOW}",
                f"when a disc is visible: {WHEEL}",
                f"radius keys: {DEEP}",
                f"depth (the paint order is kept): {DEEP}",
                f"the names of paths: {WHEEL}",
                "camera moves: the camera",
                "the picture: a.jpg",
                "the frame rate: 12 fps",
                "what tools stored in the document: view",
            },
        ),
        (
            write_coords,
            {
                "the canvas size: read it back with size 40x56",
                "masks: entity 4 (car), entity 2 (sky)",
                "prompts: entity 4 (car)",
                "radii: entity 4 (car)",
                "colours: entity 4 (car)",
                "locked and hidden: entity 4 (car)",
                "the names of entities: entity 4 (car), entity 2 (sky)",
                "entities without a path: entity 2 (sky)",
                "that paths belong to one entity; they read back as one entity each: entity 4 (car)",
                f"the anchor: {SLOW}",
                f"when a disc is visible: {WHEEL}",
                f"radius keys: {DEEP}",
                f"depth (the paint order is kept): {DEEP}",
                f"the names of paths: {WHEEL}",
                "the picture: a.jpg",
                "the frame rate: 12 fps",
                "what tools stored in the document: view",
            },
        ),
    ],
)
def test_every_kind_of_loss_is_one_warning(write, expected):
    said = warnings_of(write, RICH)
    held = {line.split(" does not hold ", 1)[1] for line in said if " does not hold " in line}
    assert held == expected
    assert len(said) == len(set(said))


def test_tracks_and_demos_say_their_losses(tmp_path):
    said = warnings_of(document_to_host, RICH)
    assert "TRACKS does not hold the canvas size: read it back with size 40x56" in said
    assert not any("visible" in line for line in said)  # TRACKS hold that
    said = warnings_of(write_demo_folder, RICH, two_entities(), torch.rand(3, 40, 56), tmp_path)
    assert f"demo.json does not hold when a disc is visible: {WHEEL}" in said
    assert (
        f"demo.json does not hold that the anchor is left to the weights (discs sit on the line): {WHEEL}, {DEEP}"
        in said
    )
    assert not any("masks" in line or "names of entities" in line for line in said)  # a demo holds those
    radii = document_tracks(replace(RICH, camera=None), two_entities())[1]
    keyed = replace(radii, radii=radii.radii * torch.tensor([[1.0], [1.5], [2.0]]))
    assert len(warnings_of(tracks_to_host, keyed)) == 1


def test_digits_kept_for_points_store_are_no_loss_elsewhere():
    document = read_points_store(text_of("points_store.json"), SIZE, 3)
    assert document.extra
    assert not any("tools stored" in line for line in warnings_of(write_coords, document))


def test_a_warning_names_the_first_of_many():
    crowd = {"track_path": torch.ones(2, 30, 2), "track_visibility": torch.zeros(2, 30, dtype=torch.bool)}
    said = warnings_of(write_coords, document_from_host(crowd, SIZE))
    assert said[-1].startswith("coord_str does not hold when a disc is visible: path 1 of entity 1 (line 1), ")
    assert said[-1].endswith("path 12 of entity 12 (line 12) and 18 more")


def test_a_line_cut_short_loses_its_end():
    short, long = samples(4, (1, 1), (2, 2), fit="cut"), samples(4, (1, 1), (2, 2), (3, 3), fit="cut")
    assert any("when a disc is visible" in line for line in warnings_of(write_coords, document_of(short)))
    assert not any("when a disc is visible" in line for line in warnings_of(write_coords, document_of(long)))


def test_a_line_that_came_without_an_entity_loses_nothing_but_its_canvas():
    document = read_coords(text_of("coords_flat.txt"), SIZE)
    assert warnings_of(write_coords, document) == [
        "coord_str does not hold the canvas size: read it back with size 40x56"
    ]


# Which format is it


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("demo", "demo"),
        ("demo/demo.json", "demo"),
        ("points_store.json", "kj-points-store"),
        ("points_store_oldest.json", "kj-points-store"),
        ("coords_flat.txt", "kj-coords"),
        ("coords_quoted.txt", "kj-coords"),
        ("coords_strings.json", "kj-coords"),
    ],
)
def test_the_content_tells_the_format(tmp_path, name, found):
    assert detect_format(GOLDENS / name) == found
    if "/" not in name and found != "demo":
        disguised = tmp_path / "misleading.npz"
        shutil.copy(GOLDENS / name, disguised)
        assert detect_format(disguised) == found


def test_documents_and_tracks_are_told_by_content(tmp_path):
    (tmp_path / "a.txt").write_text(json.dumps(document_to_json(document_of(samples(4, (1, 2)), frames=1))))
    assert detect_format(tmp_path / "a.txt") == "document"
    write_tracks(host(THREE_FRAMES), tmp_path / "b.json")
    assert detect_format(tmp_path / "b.json") == "tracks"
    write_tracks(host(THREE_FRAMES), tmp_path / "pair" / "tracks.npy")
    assert detect_format(tmp_path / "pair") == detect_format(tmp_path / "pair" / "tracks.npy") == "tracks"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b'{"a": 1}', "not in a format known here"),
        (b"[]", "not in a format known here"),
        (b"[[1, 2]]", "not in a format known here"),
        (b"\xff\xfe\x00", "neither text nor"),
        (b"hello", "neither JSON nor"),
    ],
)
def test_what_is_none_of_the_formats_is_refused(tmp_path, content, problem):
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(ValueError, match=problem):
        detect_format(tmp_path / "a.json")


def test_an_absent_or_empty_place_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such file or folder"):
        detect_format(tmp_path / "absent")
    with pytest.raises(FileNotFoundError, match=r"no demo\.json in .* holds no \.json file"):
        detect_format(tmp_path)
