"""Motions from elsewhere become whole documents: canvas, frames, masks inside, owners of bare lines."""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from draganything_core.curves import document_tracks
from draganything_core.document import (
    ControlPoint,
    DocumentEntity,
    MaskSource,
    MotionDocument,
    MotionPath,
    document_from_json,
    dumps,
)
from draganything_core.interchange import InterchangeWarning, write_demo_folder, write_tracks
from draganything_core.masks import decode_rle
from draganything_core.motion_import import (
    given_owners,
    motion_from_bytes,
    motion_from_path,
    motion_from_tracks,
    with_unequal_lines,
)
from draganything_core.types import Entities, Entity, Size

SIZE = Size(40, 56)


def masks() -> Tensor:
    both = torch.zeros(2, SIZE.height, SIZE.width, dtype=torch.bool)
    both[0, 4:16, 6:20] = True
    both[1, 22:36, 30:50] = True
    return both


def entities() -> Entities:
    return Entities((Entity(5, "cup", masks()[0]), Entity(9, "dog", masks()[1], radius_px=3.0)), SIZE)


def document() -> MotionDocument:
    lines = ((12, 10), (20, 12), (28, 14)), ((40, 28), (36, 26), (30, 24))
    paths = tuple(
        MotionPath(
            number, tuple(ControlPoint(*point) for point in line), "polyline", "per_point", anchor="grabbed_point"
        )
        for number, line in zip((5, 9), lines, strict=True)
    )
    return MotionDocument(SIZE, 3, (DocumentEntity(5, "cup"), DocumentEntity(9, "dog")), paths)


def coords(*lines: list[tuple[float, float]]) -> str:
    return json.dumps([[{"x": x, "y": y} for x, y in line] for line in lines])


LINES = coords([(12, 10), (20, 12), (28, 14)], [(40, 28), (36, 26), (30, 24)])


class TestTexts:
    def test_coordinates_get_the_canvas_they_are_given(self):
        found = motion_from_bytes(LINES.encode(), "the text", SIZE)
        assert found.bare
        assert found.picture is None
        assert (found.document.size, found.document.frames) == (SIZE, 3)
        assert len(found.document.paths) == 2

    def test_frames_can_be_others(self):
        found = motion_from_bytes(LINES.encode(), "the text", SIZE, frames=7)
        tracks = document_tracks(found.document, given(found.document), "grabbed_point")[1]
        assert tracks.frames == 7
        assert tracks.paths[-1].tolist() == [[28, 14], [30, 24]]

    def test_without_a_canvas_or_frames_it_is_said_who_must_give_them(self):
        with pytest.raises(ValueError, match=r"the text \(kj-coords\) does not say its canvas\. Link the picture"):
            motion_from_bytes(LINES.encode(), "the text")
        spline = json.dumps([{"points": [{"x": 1, "y": 2}, {"x": 9, "y": 9}], "name": "a"}])
        with pytest.raises(ValueError, match=r"\(kj-points-store\) does not say how many frames"):
            motion_from_bytes(spline.encode(), "the text", SIZE)
        assert motion_from_bytes(spline.encode(), "the text", SIZE, 5).document.frames == 5

    def test_a_document_says_all_of_it(self):
        found = motion_from_bytes(dumps(document()).encode(), "the text", Size(10, 10))
        assert found.document == document()
        assert not found.bare

    def test_a_demo_json_alone_is_bare_and_says_what_is_missing(self):
        text = json.dumps({"1": {"comment": "cup", "mask_name": "cup.png", "trajectory": [[12, 10], [20, 12]]}})
        with pytest.warns(InterchangeWarning, match=r"has no masks.*cup\.png"):
            found = motion_from_bytes(text.encode(), "the text", SIZE)
        assert found.bare
        assert found.document.entities[0].name == "cup"
        with (
            pytest.warns(InterchangeWarning, match="has no masks"),
            pytest.raises(ValueError, match=r"\(demo\) does not say its canvas"),
        ):
            motion_from_bytes(text.encode(), "the text")

    def test_nonsense_is_refused(self):
        with pytest.raises(ValueError, match="the text"):
            motion_from_bytes(b"hello", "the text", SIZE)


def given(found: MotionDocument) -> Entities:
    """Some masks for whatever entities a document has."""
    items = tuple(Entity(entity.id, entity.name, masks()[0]) for entity in found.entities)
    return Entities(items, found.size)


class TestFiles:
    @pytest.fixture
    def demo(self, tmp_path: Path) -> Path:
        picture = torch.rand(3, SIZE.height, SIZE.width, generator=torch.Generator().manual_seed(1))
        with pytest.warns(InterchangeWarning):
            write_demo_folder(document(), entities(), picture, tmp_path / "demo")
        return tmp_path / "demo"

    @pytest.mark.parametrize("name", ["", "demo.json"])
    def test_a_demo_folder_brings_its_masks_and_its_picture(self, demo, name):
        found = motion_from_path(demo / name)
        assert not found.bare
        assert found.picture is not None
        assert found.picture.shape == (3, SIZE.height, SIZE.width)
        assert document_from_json(dumps(found.document)) == found.document
        for entity, mask in zip(found.document.entities, masks(), strict=True):
            assert entity.mask is not None
            assert torch.equal(decode_rle(str(entity.mask.rle), SIZE.height, SIZE.width), mask)

    def test_a_zipped_one_too(self, demo, tmp_path):
        with zipfile.ZipFile(tmp_path / "demo.zip", "w") as archive:
            for file in demo.iterdir():
                archive.write(file, f"bird/{file.name}")
        with pytest.warns(InterchangeWarning, match="picture"):
            found = motion_from_path(tmp_path / "demo.zip", frames=6)
        assert found.document.frames == 6
        assert not found.bare
        assert found.document.size == SIZE

    @pytest.mark.parametrize("name", ["tracks.npz", "tracks.npy"])
    def test_tracks_on_disk(self, tmp_path, name):
        host = {"track_path": torch.rand(4, 3, 2) * 30, "track_visibility": torch.ones(4, 3, dtype=torch.bool)}
        host["track_visibility"][2:, 1] = False
        write_tracks(host, tmp_path / name)
        found = motion_from_path(tmp_path / name, SIZE)
        assert found.bare
        assert [path.visible for path in found.document.paths] == [((0, 1),), ((0, 1 / 3),), ((0, 1),)]
        with pytest.raises(ValueError, match="does not say its canvas"):
            motion_from_path(tmp_path / name)

    def test_a_documents_masks_come_inside_from_its_own_folder(self, demo, tmp_path):
        mask_file = next(file.name for file in demo.iterdir() if file.suffix == ".png")
        drawn = replace(document(), image="demo.jpg")
        named = (replace(drawn.entities[0], mask=MaskSource(file=mask_file)), drawn.entities[1])
        (demo / "motion.json").write_text(dumps(replace(drawn, entities=named)))
        found = motion_from_path(demo / "motion.json")
        assert found.picture is not None
        assert found.document.entities[0].mask is not None
        assert found.document.entities[0].mask.file is None
        assert found.document.entities[1].mask is None
        assert found.document.paths == document().paths

    def test_what_is_not_there_or_too_large(self, tmp_path):
        with pytest.raises(FileNotFoundError, match=r"nothing\.json"):
            motion_from_path(tmp_path / "nothing.json")
        (tmp_path / "large.txt").write_bytes(b"[" * (17 * 2**20))
        with pytest.raises(ValueError, match=r"17\.0 MiB; expected at most 16 MiB"):
            motion_from_path(tmp_path / "large.txt", SIZE)


class TestOwners:
    def lines(self) -> MotionDocument:
        return motion_from_bytes(LINES.encode(), "the text", SIZE).document

    def test_line_by_line_where_there_are_as_many(self):
        found = given_owners(self.lines(), entities())
        assert [path.entity for path in found.paths] == [5, 9]
        assert [(entity.id, entity.name, entity.radius) for entity in found.entities] == [
            (5, "cup", None),
            (9, "dog", 3.0),
        ]
        assert found.entities[1].mask is not None
        assert torch.equal(decode_rle(str(found.entities[1].mask.rle), SIZE.height, SIZE.width), masks()[1])

    def test_else_by_where_each_starts(self):
        three = coords([(40, 28), (41, 28)], [(12, 10), (13, 10)], [(45, 30), (46, 30)])
        found = given_owners(motion_from_bytes(three.encode(), "the text", SIZE).document, entities())
        assert [path.entity for path in found.paths] == [9, 5, 9]

    def test_entities_of_another_canvas(self):
        found = given_owners(self.lines(), entities().resized(Size(80, 112)))
        assert found.entities[1].radius == 3.0
        assert found.size == SIZE

    def test_a_track_starts_where_it_is_first_seen(self):
        paths = torch.tensor([[0.0, 0.0], [40.0, 28.0], [41.0, 28.0]])[:, None].expand(3, 3, 2)
        seen = torch.tensor([False, True, True])[:, None].expand(3, 3)
        found = motion_from_tracks({"track_path": paths, "track_visibility": seen}, SIZE).document
        assert [path.entity for path in given_owners(found, entities()).paths] == [9, 9, 9]

    def test_a_line_on_no_entity_is_refused(self):
        one = coords([(1, 1), (2, 2)])
        with pytest.raises(ValueError, match=r"track 1 starts at \(1, 1\), where no entity's mask is"):
            given_owners(motion_from_bytes(one.encode(), "the text", SIZE).document, entities())


class TestTracks:
    @pytest.mark.parametrize(
        ("path", "visibility", "message"),
        [
            (torch.zeros(4, 2), torch.ones(4, 1), r"track_path must be \(T, N, 2\).*\(4, 2\)"),
            (torch.zeros(4, 3, 2), torch.ones(5, 3), r"track_visibility must be \(4, 3\) or \(4, 1\)"),
            (torch.full((4, 3, 2), np.nan), torch.ones(4, 3), "not a number"),
        ],
    )
    def test_wrong_shapes_are_refused(self, path, visibility, message):
        with pytest.raises(ValueError, match=message):
            motion_from_tracks({"track_path": path, "track_visibility": visibility}, SIZE)

    def test_the_canvas_must_be_known(self):
        with pytest.raises(ValueError, match="TRACKS does not say its canvas"):
            motion_from_tracks({"track_path": torch.zeros(4, 3, 2), "track_visibility": torch.ones(4, 3)}, None)


class TestUnequalLines:
    ragged = coords([(12, 10), (20, 12), (28, 14)], [(40, 28), (36, 26)])

    def document(self) -> MotionDocument:
        return motion_from_bytes(self.ragged.encode(), "the text", SIZE).document

    def test_they_are_refused_with_their_numbers(self):
        with pytest.raises(ValueError, match="line 1 has 3 points and line 2 has 2"):
            with_unequal_lines(self.document(), "refuse")

    @pytest.mark.parametrize(
        ("choice", "last", "visible"),
        [("stretch", [36, 26], True), ("hold", [36, 26], True), ("cut", [36, 26], False)],
    )
    def test_or_what_was_chosen_happens(self, choice, last, visible):
        chosen = with_unequal_lines(self.document(), choice)
        _, tracks = document_tracks(chosen, given(chosen), "grabbed_point")
        assert tracks.paths[-1, 1].tolist() == last
        assert bool(tracks.visibility[-1, 1]) is visible
        assert (tracks.paths[1, 1].tolist() == [38, 27]) is (choice == "stretch")

    def test_equal_lines_and_curves_are_left_alone(self):
        assert with_unequal_lines(document(), "refuse") == document()
        curve = replace(document().paths[0], timing="arc_length", points=document().paths[0].points[:2])
        mixed = replace(document(), paths=(curve, document().paths[1]))
        assert with_unequal_lines(mixed, "cut") == mixed

    def test_another_choice_is_refused(self):
        with pytest.raises(ValueError, match="one of refuse, stretch, hold, cut, got 'repeat'"):
            with_unequal_lines(document(), "repeat")  # type: ignore[arg-type]
