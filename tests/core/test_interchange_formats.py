"""Formats as files in memory: what goes out comes back, and no file that means harm gets further than a refusal."""

from __future__ import annotations

import io
import json
import random
import threading
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from strategies_document import motion_documents

from draganything_core.document import (
    CameraMove,
    ControlPoint,
    DocumentEntity,
    MaskSource,
    MotionDocument,
    MotionPath,
    document_from_json,
    document_to_json,
    dumps,
)
from draganything_core.interchange import FORMATS, read_demo_folder
from draganything_core.interchange.archives import MOST_MEMBERS
from draganything_core.interchange.formats import (
    FILE_FORMATS,
    LARGEST_FILE,
    LARGEST_TEXT,
    MOST_VALUES,
    read,
    write,
)
from draganything_core.masks import decode_rle, encode_rle, load_mask
from draganything_core.types import Size

GOLDENS = Path(__file__).parents[1] / "goldens" / "interchange"
SIZE = Size(40, 56)


def rectangle(top: int, left: int, height: int, width: int) -> MaskSource:
    mask = torch.zeros(SIZE.height, SIZE.width, dtype=torch.bool)
    mask[top : top + height, left : left + width] = True
    return MaskSource(rle=encode_rle(mask))


def drawn() -> MotionDocument:
    """Two things with masks; the second's line is a list of samples, three in three frames."""
    samples = (ControlPoint(30, 20), ControlPoint(33.5, 21), ControlPoint(37, 22))
    return MotionDocument(
        SIZE,
        3,
        (DocumentEntity(1, "bird", rectangle(2, 3, 9, 11)), DocumentEntity(2, "cat", rectangle(15, 22, 13, 17))),
        (
            MotionPath(1, (ControlPoint(8, 6), ControlPoint(40, 6)), anchor="grabbed_point"),
            MotionPath(2, samples, curve="polyline", timing="per_point", anchor="grabbed_point"),
        ),
    )


def places(document: MotionDocument) -> list[list[tuple[float, float]]]:
    return [[(point.x, point.y) for point in path.points] for path in document.paths]


def zip_of(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def picture(height: int = 40, width: int = 56) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), (90, 120, 40)).save(buffer, "PNG")
    return buffer.getvalue()


def demo_files(**more: bytes) -> dict[str, bytes]:
    """A small demo folder whose mask is white throughout."""
    white = io.BytesIO()
    Image.new("L", (56, 40), 255).save(white, "PNG")
    entries = {"1": {"comment": "car", "mask_name": "car.png", "trajectory": [[3, 4], [5, 6]]}}
    files = {"demo.json": json.dumps(entries).encode(), "demo.jpg": picture(), "car.png": white.getvalue()}
    return files | more


def test_the_table_has_every_format_once():
    assert [known.name for known in FILE_FORMATS] == ["document", "kj-points-store", "kj-coords", "tracks", "demo"]
    assert {known.name for known in FILE_FORMATS} == set(FORMATS)
    assert [known.extension for known in FILE_FORMATS] == [".json", ".json", ".txt", ".npz", ".zip"]


@pytest.mark.parametrize("known", FILE_FORMATS, ids=lambda known: known.name)
def test_what_is_written_is_read_again_as_that_format(known):
    exported = write(drawn(), known.name, torch.rand(3, 80, 112))
    assert (exported.name, exported.media_type) == (known.file_name, known.media_type)
    imported = read(exported.content, "any name", SIZE, 3)
    assert imported.format == known.name
    assert imported.document.size == SIZE
    assert imported.document.frames == 3
    assert places(imported.document)[1] == places(drawn())[1]
    assert document_from_json(document_to_json(imported.document)) == imported.document


def test_a_document_is_kept_whole():
    exported = write(drawn(), "document")
    assert read(exported.content, "motion.json", Size(7, 9), 99).document == drawn()
    assert exported.warnings == ()


def test_losses_are_said_in_both_directions():
    [path, other] = drawn().paths
    eased = replace(drawn(), paths=(replace(path, start=0.25), other))
    assert any("the canvas size" in said for said in write(eased, "kj-points-store").warnings)
    assert any("sampled instead of the drawing" in said for said in write(eased, "tracks").warnings)
    unknown_key = b'[{"points": [{"x": 1, "y": 2}], "weight": 3}]'
    assert "weight" in " ".join(read(unknown_key, "splines.json", SIZE, 3).warnings)


def test_threads_do_not_get_each_others_warnings():
    with_key = json.dumps([{"points": [{"x": 1, "y": 2}] * 400, "weight": 3}]).encode()
    without = json.dumps([{"points": [{"x": 1, "y": 2}] * 400}]).encode()
    found: dict[bool, set[int]] = {True: set(), False: set()}

    def read_often(says: bool) -> None:
        for _ in range(20):
            found[says].add(len(read(with_key if says else without, "splines.json", SIZE, 3).warnings))

    threads = [threading.Thread(target=read_often, args=(says,)) for says in (True, False)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {True: {1}, False: {0}}


def test_splines_take_canvas_and_frames_from_the_caller():
    text = (GOLDENS / "points_store.json").read_bytes()
    document = read(text, "points_store.json", Size(320, 576), 25).document
    assert (document.size, document.frames) == (Size(320, 576), 25)


def test_coordinates_say_their_own_frames():
    document = read(b'[{"x": 1, "y": 2}, {"x": 3, "y": 4}]', "coords.txt", SIZE, 25).document
    assert (document.size, document.frames) == (SIZE, 2)


def test_a_zipped_demo_folder_is_the_folder_with_its_masks_inside():
    folder = GOLDENS / "demo"
    files = {f"some/where/{file.name}": file.read_bytes() for file in folder.iterdir()}
    imported = read(zip_of(files), "bird.zip", Size(7, 9), 99)
    expected = read_demo_folder(folder)
    assert imported.format == "demo"
    assert imported.document.paths == expected.paths
    assert imported.document.size == expected.size
    for entity, before in zip(imported.document.entities, expected.entities, strict=True):
        mask = decode_rle(entity.mask.rle, expected.size.height, expected.size.width)
        size = (expected.size.height, expected.size.width)
        assert torch.equal(mask, load_mask(folder / before.mask.file, size))
    assert "demo.jpg" in " ".join(imported.warnings)


def test_a_demo_json_alone_has_a_click_for_every_mask():
    imported = read(demo_files()["demo.json"], "demo.json", SIZE, 99)
    [entity] = imported.document.entities
    assert (entity.mask, entity.prompts.points[0].x, entity.prompts.points[0].y) == (None, 3, 4)
    assert imported.document.frames == 2
    assert "car.png" in imported.warnings[0]


def test_a_demo_needs_the_picture_and_masks():
    with pytest.raises(ValueError, match="needs the picture"):
        write(drawn(), "demo")
    bird, cat = drawn().entities
    for mask in (None, MaskSource(file="cat.png")):
        unmasked = replace(drawn(), entities=(bird, replace(cat, mask=mask)))
        with pytest.raises(ValueError, match=r"entities \[2\] have none"):
            write(unmasked, "demo", torch.rand(3, 40, 56))


def test_masks_put_discs_in_their_place_and_their_lack_is_said():
    [path, _] = drawn().paths
    centred = replace(drawn(), paths=(replace(path, anchor="center"),))
    with_masks = read(write(centred, "tracks").content, "t.npz", SIZE, 3).document
    assert places(with_masks)[0][0] == (pytest.approx(8, abs=1), pytest.approx(6, abs=1))
    assert not any("without masks" in said for said in write(centred, "tracks").warnings)
    bare = replace(centred, entities=tuple(replace(entity, mask=None) for entity in centred.entities))
    assert any("without masks" in said for said in write(bare, "tracks").warnings)
    moved = replace(bare, camera=CameraMove(pan=(3, 4)))
    assert any("camera move is left out" in said for said in write(moved, "kj-coords").warnings)


def test_points_in_an_npy_alone_all_count_as_visible():
    imported = read(npy(np.zeros((1, 5, 2, 2), np.float32)), "tracks.npy", SIZE, 3)
    assert (imported.format, imported.document.frames, len(imported.document.paths)) == ("tracks", 5, 2)
    assert "every point counts as visible" in imported.warnings[0]


@pytest.mark.parametrize("dtype", [">f4", ">f8", "<i4", "f2", "g"])
def test_numbers_of_any_kind_are_points(dtype):
    points = np.arange(12).reshape(3, 2, 2).astype(dtype)
    document = read(npy(points), "tracks.npy", SIZE, 3).document
    assert places(document) == [[(0, 1), (4, 5), (8, 9)], [(2, 3), (6, 7), (10, 11)]]


def claims(shape: str) -> bytes:
    """An .npy whose header claims more numbers than there are."""
    header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + b"\0" * 64


def bomb() -> bytes:
    return zip_of({"track_path.npy": bytes(80 * 2**20), "track_visibility.npy": b""})


LONG_LINE = json.dumps([{"x": 1, "y": 2}] * (MOST_VALUES + 1)).encode()
MANY_SPANS = json.dumps(
    {**document_to_json(drawn()), "extra": {"a": [[]] * MOST_VALUES}}  # lists count as much as points
).encode()
CROWDED = replace(drawn(), frames=10_000, paths=drawn().paths * 51)

REFUSED = {
    "empty": (b"", "empty"),
    "noise": (bytes(range(128, 256)), "neither text nor"),
    "no format": (b'{"hello": 1}', "not in a format known"),
    "not JSON": (b"[{'x': 1", "neither JSON nor"),
    "long and not JSON": (b"[" + b"1," * 400_000 + b"'a']", "too long for a Python list"),
    "too many bytes": (b"PK\x03\x04" + bytes(LARGEST_FILE), "at most 16 MiB"),
    "too much text": (b" " * (LARGEST_TEXT + 1), "at most 4 MiB"),
    "too many points": (LONG_LINE, "expected at most 60000"),
    "too many lists": (MANY_SPANS, "expected at most 60000"),
    "points inside texts": (json.dumps([LONG_LINE.decode()]).encode(), "60001 points"),
    "too many samples": (dumps(CROWDED).encode(), "102 paths over 10000 frames"),
    "nested": (b"[" * 50_000, "nested too deeply"),
    "wrong document": (dumps(drawn()).replace('"frames": 3', '"frames": -3').encode(), r"\$.frames"),
    "too many numbers": (npy(np.zeros((3, MOST_VALUES, 2), np.float32)), "180000 points"),
    "claims a terabyte": (claims("(1000000000, 100, 2)"), "cannot be read as an .npy"),
    "claims a negative size": (claims("(-1, 2, 2)"), "cannot be read as an .npy|must be"),
    "pickle": (npy(np.array([print], dtype=object)), "cannot be read as an .npy"),
    "pickle inside": (zip_of({"track_path.npy": npy(np.array([1, "a"], dtype=object)), "track_visibility.npy": b""}),
                      "track_path: it cannot be read"),
    "text for numbers": (npy(np.array(["a"])), "expected numbers"),
    "zip cut short": (zip_of(demo_files())[:-40], "cannot be unpacked"),
    "zip bomb": (bomb(), "80 MiB when unpacked"),
    "many members": (zip_of({f"{i}.txt": b"" for i in range(MOST_MEMBERS + 1)}), "more than 300 files"),
    "zip of something": (zip_of({"readme.txt": b"hello"}), "neither TRACKS nor a demo folder.*readme.txt"),
    "mask missing": (zip_of({k: v for k, v in demo_files().items() if k != "car.png"}), "mask car.png is not in it"),
    "mask is no picture": (zip_of(demo_files(**{"car.png": b"%!PS-Adobe-3.0 EPSF-3.0"})), "cannot be read as a pict"),
    "no picture": (zip_of({k: v for k, v in demo_files().items() if k != "demo.jpg"}), "no demo.jpg"),
    "picture too large": (zip_of(demo_files(**{"demo.jpg": picture(8192, 8192)})), "too large"),
    "mask outside": (zip_of({**demo_files(), "demo.json": demo_files()["demo.json"].replace(b"car", b"../car")}),
                     "mask_name must name a file inside"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_files_that_mean_harm_are_refused(case):
    content, problem = REFUSED[case]
    with pytest.raises(ValueError, match=problem):
        read(content, "sent", SIZE, 3)


def test_a_format_that_is_unknown_names_those_there_are():
    with pytest.raises(ValueError, match="tracks, demo"):
        write(drawn(), "gif")


@pytest.mark.parametrize("name", ["tracks", "kj-coords"])
def test_what_would_fill_the_memory_is_not_written(name):
    with pytest.raises(ValueError, match="102 paths over 10000 frames"):
        write(CROWDED, name)
    vast = replace(drawn(), size=Size(16384, 16384))
    with pytest.raises(ValueError, match="2 masks of 16384x16384"):
        write(vast, name)


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(document=motion_documents(), name=st.sampled_from([known.name for known in FILE_FORMATS]))
def test_any_document_is_written_or_refused(document, name):
    try:
        exported = write(document, name, torch.rand(3, 20, 28))
    except ValueError:
        return
    imported = read(exported.content, exported.name, document.size, document.frames)
    assert imported.format in (name, "kj-coords")  # one line without handles may be either of KJ's
    document_to_json(imported.document)


def test_damaged_files_are_read_or_refused():
    source = random.Random(5)
    files = [write(drawn(), known.name, torch.rand(3, 40, 56)).content for known in FILE_FORMATS]
    refused = 0
    for _ in range(300):
        damaged = bytearray(source.choice(files))
        for _ in range(source.randint(1, 8)):
            start = source.randrange(len(damaged))
            length = source.choice([0, 1, 1, 2, 9])
            damaged[start : start + length] = source.randbytes(source.choice([0, 1, 1, 3]))
        try:
            imported = read(bytes(damaged), "damaged", SIZE, 3)
        except ValueError:
            refused += 1
        else:
            document_to_json(imported.document)
    assert 100 < refused < 300
