"""Other tools' formats, in and out: what they hold comes back unchanged, what they cannot hold is said."""

from __future__ import annotations

import json
import shutil
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

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
    Zoom,
    document_from_json,
    document_to_json,
)
from draganything_core.interchange import (
    InterchangeWarning,
    detect_format,
    document_from_host,
    document_to_host,
    read_coords,
    read_demo_folder,
    read_points_store,
    read_tracks,
    tracks_from_host,
    tracks_to_host,
    write_coords,
    write_demo_folder,
    write_points_store,
    write_tracks,
)
from draganything_core.masks import load_mask
from draganything_core.types import Entities, Entity, Size

GOLDENS = Path(__file__).parents[1] / "goldens" / "interchange"
SIZE = Size(40, 56)
ALWAYS = ((0.0, 1.0),)


def text_of(name: str) -> str:
    return (GOLDENS / name).read_text()


def rectangle(top: int, left: int, height: int, width: int) -> torch.Tensor:
    mask = torch.zeros(SIZE.height, SIZE.width, dtype=torch.bool)
    mask[top : top + height, left : left + width] = True
    return mask


def two_entities() -> Entities:
    """Two rectangles of 40x56 whose inscribed centres are far from each other."""
    masks = (Entity(4, "car", rectangle(20, 30, 9, 21)), Entity(2, "sky", rectangle(2, 3, 11, 15)))
    return Entities(masks, SIZE)


def document_of(*paths: MotionPath, frames: int = 3, **more: object) -> MotionDocument:
    entities = (
        DocumentEntity(4, "car", MaskSource(file="car.png")),
        DocumentEntity(2, "sky", MaskSource(file="s.png")),
    )
    return MotionDocument(SIZE, frames, **({"entities": entities, "paths": paths} | more))


def samples(entity: int, *points: tuple[float, float], **more: object) -> MotionPath:
    chosen = {"curve": "polyline", "timing": "per_point", "anchor": "grabbed_point"} | more
    return MotionPath(entity, tuple(ControlPoint(x, y) for x, y in points), **chosen)


def warnings_of(call, *arguments, **more) -> list[str]:
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", InterchangeWarning)
        call(*arguments, **more)
    return [str(warning.message) for warning in said if issubclass(warning.category, InterchangeWarning)]


def quietly(call, *arguments, **more):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InterchangeWarning)
        return call(*arguments, **more)


def saved_and_loaded(document: MotionDocument) -> MotionDocument:
    return document_from_json(json.loads(json.dumps(document_to_json(document))))


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


pixels = st.floats(-1e5, 1e5, allow_nan=False) | st.integers(-3000, 3000)
names = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
colors = st.from_regex("#[0-9a-fA-F]{6}", fullmatch=True)
exact_pixels = st.floats(-1e5, 1e5, width=32)
some = settings(max_examples=50, deadline=None)
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


# TRACKS


def host(paths: list, visible: list | None = None) -> dict[str, torch.Tensor]:
    track_path = torch.tensor(paths, dtype=torch.float32)
    seen = torch.ones(track_path.shape[:2], dtype=torch.bool) if visible is None else torch.tensor(visible)
    return {"track_path": track_path, "track_visibility": seen}


THREE_FRAMES = [[[35, 25], [8, 6]], [[36, 26], [9.5, 7]], [[37, 27], [11, 8]]]  # (T=3, N=2), each on its entity


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
