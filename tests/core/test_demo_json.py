"""The demo's JSON and folders: what comes in goes out again, byte for byte, and wrong ones are refused by name."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from interchange_samples import (
    GOLDENS,
    SIZE,
    document_of,
    names,
    pixels,
    quietly,
    samples,
    saved_and_loaded,
    text_of,
    two_entities,
    warnings_of,
)
from PIL import Image

from draganything_core.curves import document_tracks
from draganything_core.document import (
    CameraMove,
    ControlPoint,
    DocumentEntity,
    Easing,
    MaskSource,
    MotionDocument,
    MotionPath,
    Zoom,
)
from draganything_core.interchange import (
    read_demo_folder,
    write_demo_folder,
)
from draganything_core.masks import load_mask
from draganything_core.types import Entities, Entity, Size


def demo_entities(folder: Path, document: MotionDocument) -> Entities:
    size = (document.size.height, document.size.width)
    masks = (Entity(e.id, e.name, load_mask(folder / e.mask.file, size)) for e in document.entities)
    return Entities(tuple(masks), document.size)


def demo_copy(folder: Path, entries: object) -> Path:
    """A demo folder in ``folder`` with the golden pictures and these entries."""
    shutil.copytree(GOLDENS / "demo", folder, dirs_exist_ok=True)
    (folder / "demo.json").write_text(json.dumps(entries))
    return folder


def entry(*trajectory: list[float], **more: object) -> dict[str, object]:
    return {"comment": "a", "mask_name": "2_kite.png", "trajectory": list(trajectory)} | more


few = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])  # disk


# The authors' demo


def test_demo_folder_becomes_a_document():
    document = read_demo_folder(GOLDENS / "demo")
    assert (document.size, document.frames, document.image) == (SIZE, 4, "demo.jpg")
    assert [(e.id, e.name, e.mask.file) for e in document.entities] == [
        (1, "the kite", "2_kite.png"),
        (3, "fix ground", "1_ground.jpg"),
        (2, "fix ground", "1_ground.jpg"),
    ]
    assert [path.entity for path in document.paths] == [1, 3, 2]  # the file's order, not the numbers'
    assert [len(path.points) for path in document.paths] == [4, 2, 5]
    assert document.paths[0] == samples(1, (30, 20), (32, 18.5), (34, 17), (36.25, 16), fit="stretch")
    assert saved_and_loaded(document) == document


def test_a_demo_json_file_can_be_named_itself(tmp_path):
    folder = demo_copy(tmp_path, {"1": entry([1, 2])})
    (folder / "demo.json").rename(folder / "demo7.json")
    assert read_demo_folder(folder / "demo7.json").frames == 1
    with pytest.raises(FileNotFoundError, match=r"no demo\.json in .*demo7\.json"):
        read_demo_folder(folder)


def test_demo_folder_comes_back_byte_for_byte(tmp_path):
    document = read_demo_folder(GOLDENS / "demo")
    entities = demo_entities(GOLDENS / "demo", document)
    said = warnings_of(
        write_demo_folder, document, entities, GOLDENS / "demo" / "demo.jpg", tmp_path / "out", GOLDENS / "demo"
    )
    assert said == []
    assert json.loads((tmp_path / "out/demo.json").read_text()) == json.loads(text_of("demo/demo.json"))
    assert list(json.loads((tmp_path / "out/demo.json").read_text())) == ["1", "3", "2"]
    for name in ("demo.jpg", "2_kite.png", "1_ground.jpg"):
        assert (tmp_path / "out" / name).read_bytes() == (GOLDENS / "demo" / name).read_bytes()
    assert not (tmp_path / "out/0_kite.png").exists()
    assert read_demo_folder(tmp_path / "out") == document


@few
@given(
    lists=st.lists(st.lists(st.tuples(pixels, pixels), min_size=1, max_size=6), min_size=1, max_size=4),
    comments=st.lists(names, min_size=4, max_size=4),
    first=st.integers(1, 99),
)
def test_any_demo_json_round_trips(tmp_path_factory, lists, comments, first):
    keys = [str(number) for number in reversed(range(first, first + len(lists)))]
    entries = {
        key: entry(*map(list, points), comment=comment)
        for key, points, comment in zip(keys, lists, comments, strict=False)
    }
    folder = demo_copy(tmp_path_factory.mktemp("demo"), entries)
    document = read_demo_folder(folder)
    again = saved_and_loaded(document)
    assert again == document
    write_demo_folder(again, demo_entities(folder, document), folder / "demo.jpg", folder / "out", folder)
    written = json.loads((folder / "out/demo.json").read_text())
    assert (written, list(written)) == (entries, keys)
    assert read_demo_folder(folder / "out") == document


def test_whole_numbers_are_written_without_a_fraction(tmp_path):
    document = document_of(samples(4, (1.0, 2.5), (3.0, 4.0), (5.0, 6.0)))
    quietly(write_demo_folder, document, two_entities(), torch.rand(3, 40, 56), tmp_path)
    assert '"trajectory": [[1, 2.5], [3, 4], [5, 6]]' in (tmp_path / "demo.json").read_text()


def test_drawn_paths_are_sampled_where_their_discs_sit(tmp_path):
    eased = MotionPath(
        4, (ControlPoint(10, 10), ControlPoint(20, 30), ControlPoint(50, 5)), anchor="center", easing=Easing("ease_in")
    )
    document = document_of(samples(2, (1, 2), (3, 4)), eased, frames=7)
    entities = two_entities()
    said = warnings_of(write_demo_folder, document, entities, torch.rand(3, 40, 56), tmp_path)
    assert any("sampled" in line and "path 2 of entity 4 (car)" in line for line in said)
    written = json.loads((tmp_path / "demo.json").read_text())
    _, tracks = document_tracks(document, entities)
    assert list(written) == ["4", "2"]  # paint order is the entities' order
    assert np.array(written["4"]["trajectory"]) == pytest.approx(tracks.paths[:, 0].numpy(), abs=6e-4)
    assert written["4"]["trajectory"][0] == [*entities[0].center]
    assert written["2"]["trajectory"] == [[1, 2], [3, 4]]  # a list of samples stays as it is


def test_all_lists_are_sampled_when_the_first_does_not_tell_the_length(tmp_path):
    document = document_of(samples(4, (0, 0), (8, 4)), samples(2, (1, 1), (1, 1)), frames=5)
    quietly(write_demo_folder, document, two_entities(), torch.rand(3, 40, 56), tmp_path)
    again = read_demo_folder(tmp_path)
    assert again.frames == 5
    assert [(p.x, p.y) for p in again.paths[0].points] == [(0, 0), (2, 1), (4, 2), (6, 3), (8, 4)]


def test_the_same_mask_file_keeps_its_own_picture(tmp_path):
    entities = two_entities()
    shared = tuple(DocumentEntity(e.entity_id, e.name, MaskSource(file="demo.png")) for e in entities)
    document = document_of(samples(4, (1, 1)), samples(2, (2, 2)), frames=1, entities=shared)
    quietly(write_demo_folder, document, entities, torch.rand(3, 40, 56), tmp_path)
    written = json.loads((tmp_path / "demo.json").read_text())
    assert written["4"]["mask_name"] != written["2"]["mask_name"]
    for entity in entities:
        file = tmp_path / written[str(entity.entity_id)]["mask_name"]
        assert set(np.unique(np.asarray(Image.open(file)))) == {0, 255}
        assert torch.equal(load_mask(file), entity.mask)


def test_nothing_is_written_outside_the_folder(tmp_path):
    entities = two_entities()
    escaping = tuple(DocumentEntity(e.entity_id, e.name, MaskSource(file=f"../{e.name}.png")) for e in entities)
    document = document_of(samples(4, (1, 1)), samples(2, (2, 2)), frames=1, entities=escaping)
    quietly(write_demo_folder, document, entities, torch.rand(3, 40, 56), tmp_path / "out", tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "2_sky.png",
        "4_car.png",
        "demo.jpg",
        "demo.json",
    ]


def test_a_mask_file_that_changed_is_not_copied(tmp_path):
    document = read_demo_folder(GOLDENS / "demo")
    kite, *grounds = demo_entities(GOLDENS / "demo", document)
    entities = Entities((replace(kite, mask=~kite.mask), *grounds), SIZE)
    write_demo_folder(document, entities, GOLDENS / "demo/demo.jpg", tmp_path, GOLDENS / "demo")
    assert torch.equal(load_mask(tmp_path / "2_kite.png"), ~kite.mask)


def test_camera_moves_become_entries_of_the_whole_picture(tmp_path):
    zoom = Zoom(1.5, (28.0, 20.0), ((5.0, 5.0), (50.0, 5.0), (5.0, 35.0), (50.0, 35.0)))
    document = document_of(samples(4, (10, 10), (10, 10), (10, 10)), camera=CameraMove(zoom=zoom))
    said = warnings_of(write_demo_folder, document, two_entities(), torch.rand(3, 40, 56), tmp_path)
    assert any("camera" in line for line in said)
    written = json.loads((tmp_path / "demo.json").read_text())
    assert [(key, value["comment"]) for key, value in written.items()] == [
        *((str(number), "camera") for number in range(1, 5)),
        ("5", "car"),
    ]
    assert bool(load_mask(tmp_path / written["1"]["mask_name"]).all())
    assert written["5"]["trajectory"][-1] == [1, 5]  # carried by the zoom: 28 + 1.5 * (10 - 28), 20 + 1.5 * (10 - 20)


@pytest.mark.parametrize(
    ("entries", "problem"),
    [
        ({}, "no entries"),
        ([], "expected an object of entries"),
        ({"1": entry()}, 'entry "1": trajectory must be a list'),
        ({"1": entry([1, 2]), "2": entry([1, 2, 3])}, r'entry "2": point 0 must be \[x, y\]'),
        ({"1": entry([1, "2"])}, "entry \"1\": point 0: expected a number, got '2'"),
        ({"1": entry([1, True])}, "expected a number, got True"),
        ({"1": entry([1, 2e6])}, "between -1000000 and 1000000"),
        ({"1": {"trajectory": [[1, 2]]}}, "mask_name is missing"),
        ({"1": entry([1, 2], mask_name="../2_kite.png")}, "inside the folder"),
        ({"1": entry([1, 2], mask_name="/etc/x.png")}, "inside the folder"),
        ({"1": entry([1, 2], comment=3)}, "comment must be text"),
        ({"1": 5}, "expected an object with mask_name"),
    ],
)
def test_a_wrong_demo_json_is_refused(tmp_path, entries, problem):
    with pytest.raises(ValueError, match=problem):
        read_demo_folder(demo_copy(tmp_path, entries))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"1": NaN}', "expected an object"),
        ('{"1": {"mask_name": "2_kite.png", "trajectory": [[NaN, 1]]}}', "finite number"),
        ('{"1": {}, "1": {}}', "occurs twice"),
        ('{"1": ', "neither JSON nor a Python list.*line 1"),
    ],
)
def test_a_wrong_demo_text_is_refused(tmp_path, text, problem):
    folder = demo_copy(tmp_path, {})
    (folder / "demo.json").write_text(text)
    with pytest.raises(ValueError, match=problem):
        read_demo_folder(folder)


def test_a_missing_mask_says_which_there_are(tmp_path):
    folder = demo_copy(tmp_path, {"1": entry([1, 2]), "2": entry([1, 2], mask_name="2_cat.png")})
    with pytest.raises(
        FileNotFoundError, match=r'entry "2" names the mask 2_cat.png.*0_kite.png, 1_ground.jpg, 2_kite'
    ):
        read_demo_folder(folder)


def test_another_picture_is_found_or_asked_for(tmp_path):
    folder = demo_copy(tmp_path, {"1": entry([1, 2])})
    (folder / "1_ground.jpg").unlink()
    (folder / "demo.jpg").rename(folder / "street.jpg")
    assert read_demo_folder(folder).image == "street.jpg"
    shutil.copy(folder / "street.jpg", folder / "other.jpg")
    with pytest.raises(FileNotFoundError, match=r"it could be other.jpg, street.jpg.*--image"):
        read_demo_folder(folder)
    assert read_demo_folder(folder, image=folder / "other.jpg").image == "other.jpg"
    Image.new("RGB", (30, 20)).save(tmp_path.parent / "elsewhere.png")
    elsewhere = read_demo_folder(folder, image=tmp_path.parent / "elsewhere.png")
    assert (elsewhere.image, elsewhere.size) == (None, Size(20, 30))


def test_what_a_demo_json_holds_beyond_the_format_is_said(tmp_path):
    folder = demo_copy(tmp_path, {"bird": entry([1, 2], speed=3), "2": entry([1, 2])})
    said = warnings_of(read_demo_folder, folder)
    assert said == [
        "demo.json holds keys that are not kept: entry bird (speed)",
        "demo.json: the entries are numbered from 1, other keys are not kept: bird, 2",
    ]


def test_a_picture_of_another_size_is_refused(tmp_path):
    document = document_of(samples(4, (1, 1)), frames=1)
    with pytest.raises(ValueError, match="the picture is 56x40, the document's canvas is 40x56"):
        quietly(write_demo_folder, document, two_entities(), torch.rand(3, 56, 40), tmp_path)
    with pytest.raises(ValueError, match=r"entities \[7\], which have no mask"):
        write_demo_folder(
            replace(document, paths=(samples(7, (1, 1)),)), two_entities(), torch.rand(3, 40, 56), tmp_path
        )
    with pytest.raises(ValueError, match="at least one path"):
        write_demo_folder(replace(document, paths=()), two_entities(), torch.rand(3, 40, 56), tmp_path)
    assert list(tmp_path.iterdir()) == []
