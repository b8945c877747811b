"""The convert command line: every pair of formats, what it says, and what it refuses."""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from draganything_core.convert import convert, main
from draganything_core.document import (
    CameraMove,
    Click,
    ControlPoint,
    DocumentEntity,
    MaskSource,
    MotionDocument,
    MotionPath,
    Prompts,
    load_document,
    save_document,
)
from draganything_core.interchange import FORMATS, detect_format, read_tracks
from draganything_core.masks import decode_rle, load_mask
from draganything_core.types import Size

GOLDENS = Path(__file__).parents[1] / "goldens" / "interchange"
DEMO = GOLDENS / "demo"
SIZE = Size(40, 56)


@pytest.fixture
def run(capsys):
    """Runs the command line; returns (exit code, lines on stdout, lines on stderr)."""

    def run_main(*arguments: object) -> tuple[int, list[str], list[str]]:
        code = main([str(argument) for argument in arguments])
        said = capsys.readouterr()
        return code, said.out.splitlines(), said.err.splitlines()

    return run_main


@pytest.fixture
def document_file(tmp_path):
    """A document in a folder of its own, made from the demo: masks and picture beside it."""
    home = tmp_path / "home"
    shutil.copytree(DEMO, home / "demo")
    convert(home / "demo", home / "motion.json")
    return home / "motion.json"


def test_a_demo_folder_becomes_a_document_beside_it(run, tmp_path):
    shutil.copytree(DEMO, tmp_path / "demo")
    code, out, err = run(tmp_path / "demo", tmp_path / "motion.json")
    assert (code, err) == (0, [])
    assert out == [f"{tmp_path / 'motion.json'}: document, 3 paths, 4 frames, canvas 40x56"]
    document = load_document(tmp_path / "motion.json")
    assert document.image == "demo/demo.jpg"
    assert [entity.mask.file for entity in document.entities] == [
        "demo/2_kite.png",
        "demo/1_ground.jpg",
        "demo/1_ground.jpg",
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["demo", "motion.json"]


def test_a_document_elsewhere_takes_masks_and_picture_along(run, tmp_path):
    assert run(DEMO, tmp_path / "far" / "motion.json")[0] == 0
    document = load_document(tmp_path / "far" / "motion.json")
    assert document.image == "motion.jpg"
    assert (tmp_path / "far/motion.jpg").read_bytes() == (DEMO / "demo.jpg").read_bytes()
    kite = document.entities[0].mask
    assert kite.file is None
    assert torch.equal(decode_rle(kite.rle, 40, 56), load_mask(DEMO / "2_kite.png"))


def test_a_demo_goes_through_a_document_and_comes_back(run, document_file, tmp_path):
    code, _, err = run(document_file, tmp_path / "back")
    assert (code, err) == (0, [])
    assert json.loads((tmp_path / "back/demo.json").read_text()) == {
        key: entry | {"mask_name": f"demo/{entry['mask_name']}"}
        for key, entry in json.loads((DEMO / "demo.json").read_text()).items()
    }
    for name in ("2_kite.png", "1_ground.jpg"):
        assert (tmp_path / "back/demo" / name).read_bytes() == (DEMO / name).read_bytes()
    assert (tmp_path / "back/demo.jpg").read_bytes() == (DEMO / "demo.jpg").read_bytes()


@pytest.mark.parametrize("name", ["points_store.json", "coords_flat.txt", "coords_quoted.txt"])
def test_kj_text_goes_through_a_document_and_comes_back(run, tmp_path, name):
    source, kind = GOLDENS / name, detect_format(GOLDENS / name)
    assert run(source, tmp_path / "motion.json", "--size", "40x56", "--frames", "3")[0] == 0
    code, _, err = run(tmp_path / "motion.json", tmp_path / "back.txt", "--to", kind)
    assert code == 0
    assert f"warning: {'points_store' if 'store' in name else 'coord_str'} does not hold the canvas size" in err[0]
    before = source.read_text() if "quoted" not in name else json.dumps(ast.literal_eval(source.read_text())[:2])
    assert json.loads((tmp_path / "back.txt").read_text()) == json.loads(before)


def test_tracks_go_through_a_document_and_come_back(run, tmp_path):
    visible = np.array([[True, False], [True, True], [False, True]])
    points = np.arange(12, dtype=np.float32).reshape(3, 2, 2) / 3
    np.savez(tmp_path / "a.npz", track_path=points, track_visibility=visible)
    assert run(tmp_path / "a.npz", tmp_path / "motion.json", "--size", "40x56")[0] == 0
    assert run(tmp_path / "motion.json", tmp_path / "pair" / "tracks.npy")[0] == 0
    assert run(tmp_path / "pair", tmp_path / "b.npz", "--size", "40x56")[0] == 0
    back = read_tracks(tmp_path / "b.npz")
    assert np.array_equal(back["track_path"].numpy(), points)
    assert np.array_equal(back["track_visibility"].numpy(), visible)


@pytest.mark.parametrize("to", FORMATS)
@pytest.mark.parametrize("name", ["demo", "points_store.json", "coords_quoted.txt", "tracks.npz", "motion.json"])
def test_every_format_converts_to_every_other(run, tmp_path, document_file, name, to):
    source = GOLDENS / name
    if name == "tracks.npz":
        source = tmp_path / name
        np.savez(source, track_path=np.ones((3, 2, 2), np.float32), track_visibility=np.ones((3, 2), bool))
    elif name == "motion.json":
        source = document_file
    more = [] if name in ("demo", "motion.json") else ["--image", DEMO / "demo.jpg", "--frames", 3]
    target = tmp_path / "out" / {"demo": "folder", "tracks": "t.npz"}.get(to, "file.json")
    code, out, err = run(source, target, "--to", to, *more)
    assert code == 0, err
    assert detect_format(target) == to
    assert out[0].startswith(f"{target}: {to}, ")
    assert all(line.startswith("warning: ") for line in err)


def test_the_camera_of_a_document_with_masks_reaches_tracks_and_coords(run, tmp_path):
    entity = DocumentEntity(1, "car", MaskSource(file="car.png"))
    path = MotionPath(1, (ControlPoint(30, 20), ControlPoint(34, 20)))
    document = MotionDocument(SIZE, 3, (entity,), (path,), CameraMove(pan=(6.0, 0.0)))
    save_document(document, tmp_path / "motion.json")
    shutil.copy(DEMO / "2_kite.png", tmp_path / "car.png")
    moved = [[[27.5, 19.5], [30, 20]], [[30.5, 19.5], [35, 20]], [[33.5, 19.5], [40, 20]]]
    code, _, err = run(tmp_path / "motion.json", tmp_path / "t.npz")
    assert code == 0
    assert any("camera move as points of the whole picture" in line for line in err)
    assert read_tracks(tmp_path / "t.npz")["track_path"].tolist() == moved
    assert run(tmp_path / "motion.json", tmp_path / "c.txt")[0] == 0
    written = json.loads((tmp_path / "c.txt").read_text())
    assert [[[point["x"], point["y"]] for point in points] for points in zip(*written, strict=True)] == moved


def test_another_clip_length_samples_the_lists_anew(run, tmp_path):
    code, out, err = run(DEMO, tmp_path / "short", "--frames", "2")
    assert code == 0
    assert "2 frames" in out[0]
    assert any("2 are sampled" in line for line in err)
    written = json.loads((tmp_path / "short/demo.json").read_text())
    assert written["1"]["trajectory"] == [[30, 20], [36.25, 16]]


def test_an_old_document_is_brought_up_to_date(run, tmp_path):
    point = {"x": 1, "y": 2}
    entity = {"id": 1, "name": "a", "control_points": [point], "interpolation": "linear"}
    old = {"version": 1, "size": {"height": 40, "width": 56}, "frames": 3, "entities": [entity]}
    (tmp_path / "old.json").write_text(json.dumps(old))
    assert run(tmp_path / "old.json", tmp_path / "new.json")[0] == 0
    assert json.loads((tmp_path / "new.json").read_text())["version"] == 2


def test_what_is_there_is_not_overwritten_without_force(run, tmp_path):
    target = tmp_path / "motion.json"
    target.write_text("mine")
    code, out, err = run(DEMO, target)
    assert (code, out, err) == (2, [], [f"error: {target} exists; give --force to overwrite it"])
    assert [path.name for path in tmp_path.iterdir()] == ["motion.json"]
    assert target.read_text() == "mine"
    assert run(DEMO, target, "--force")[0] == 0
    assert load_document(target).frames == 4
    code, _, err = run(target, tmp_path)
    assert (code, "exists and is not empty" in err[-1]) == (2, True)


@pytest.mark.parametrize(("target", "beside"), [("motion.json", "motion.jpg"), ("tracks.npy", "visibility.npy")])
def test_nor_is_the_second_file_that_would_be_written(run, tmp_path, target, beside):
    (tmp_path / beside).write_text("mine")
    code, _, err = run(DEMO, tmp_path / target)
    assert code == 2
    assert err[-1] == f"error: {tmp_path / beside} exists; give --force to overwrite it"
    assert [path.name for path in tmp_path.iterdir()] == [beside]
    assert run(DEMO, tmp_path / target, "--force")[0] == 0


def test_force_writes_a_demo_onto_itself(run, tmp_path):
    shutil.copytree(DEMO, tmp_path / "demo")
    assert run(tmp_path / "demo", tmp_path / "demo", "--force")[0] == 0
    assert json.loads((tmp_path / "demo/demo.json").read_text()) == json.loads((DEMO / "demo.json").read_text())
    assert (tmp_path / "demo/2_kite.png").read_bytes() == (DEMO / "2_kite.png").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["absent", "a.json"], "no such file or folder: absent"),
        ([GOLDENS / "points_store.json", "a.json", "--frames", 3], "does not say its canvas; give --size HxW"),
        ([GOLDENS / "points_store.json", "a.json", "--size", "4x5"], "does not say how many frames.*--frames N"),
        ([GOLDENS / "README.md", "a.json"], "neither JSON nor a Python list"),
        ([DEMO, "a.json", "--size", "41x56"], "has a canvas of 40x56; --size 41x56 is for formats without one"),
        ([DEMO, "a.json", "--image", "absent.png"], "no picture absent.png"),
        ([DEMO, "a.weird"], "does not say a format; give --to with one of document, demo"),
        ([DEMO, "a.json", "--from", "document"], "demo: Is a directory|no motion document"),
        ([GOLDENS / "coords_flat.txt", "a", "--size", "40x56"], "needs the picture.*--image FILE"),
    ],
)
def test_a_problem_is_one_line_and_exit_code_2(run, tmp_path, monkeypatch, arguments, problem):
    monkeypatch.chdir(tmp_path)
    code, out, err = run(*arguments)
    assert (code, out) == (2, [])
    assert len(err) == 1
    assert re.search(f"^error: .*({problem})", err[0]), err[0]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments",
    [["--size", "40"], ["--size", "0x5"], ["--size", "4x5x6"], ["--frames", "0"], ["--frames", "2.5"], ["--to", "x"]],
)
def test_a_wrong_option_is_refused(run, capsys, arguments):
    with pytest.raises(SystemExit) as stopped:
        run(DEMO, "out.json", *arguments)
    assert stopped.value.code == 2
    assert arguments[0] in capsys.readouterr().err


def test_the_canvas_can_come_from_a_picture(run, tmp_path):
    Image.new("RGB", (33, 22)).save(tmp_path / "p.png")
    assert run(GOLDENS / "coords_flat.txt", tmp_path / "m.json", "--image", tmp_path / "p.png")[0] == 0
    document = load_document(tmp_path / "m.json")
    assert (document.size, document.image) == (Size(22, 33), "p.png")


def test_help_shows_an_example(run, capsys):
    with pytest.raises(SystemExit) as stopped:
        run("--help")
    assert stopped.value.code == 0
    assert "python -m draganything_core.convert Demo/bird motion.json" in capsys.readouterr().out


@pytest.mark.slow
def test_the_module_runs_without_a_traceback(tmp_path):
    command = [sys.executable, "-m", "draganything_core.convert", "absent", "a.json"]
    failed = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert (failed.returncode, failed.stdout) == (2, "")
    assert failed.stderr == "error: no such file or folder: absent\n"


def test_clicks_are_turned_into_masks_where_the_camera_needs_them(run, tmp_path):
    shutil.copy(DEMO / "demo.jpg", tmp_path / "picture.jpg")
    entity = DocumentEntity(1, "thing", prompts=Prompts(points=(Click(28, 20),)))
    path = MotionPath(1, (ControlPoint(28, 20), ControlPoint(34, 20)))
    document = MotionDocument(SIZE, 3, (entity,), (path,), CameraMove(pan=(6.0, 0.0)), image="picture.jpg")
    save_document(document, tmp_path / "motion.json")
    code, _, err = run(tmp_path / "motion.json", tmp_path / "t.npz")
    assert code == 0, err
    assert not any("without masks" in line for line in err)
    camera = read_tracks(tmp_path / "t.npz")["track_path"][:, 0]
    assert (camera[:, 0] - camera[0, 0]).tolist() == [0, 3, 6]
