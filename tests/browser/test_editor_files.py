"""Files of other programs through the editor's own import and export, and files that are none, in the real page."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from editor_page import BALL, BALLOON, Editor

from draganything_core.document import (
    ControlPoint,
    DocumentEntity,
    MaskSource,
    MotionDocument,
    MotionPath,
    dumps,
)
from draganything_core.interchange.formats import FILE_FORMATS, write
from draganything_core.masks import encode_rle
from draganything_core.types import Size

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("browser"),
    # Files are the editor's own affair, whichever way the host draws its node.
    pytest.mark.parametrize("page", ["classic"], indirect=True, scope="session"),
]

SIZE = Size(384, 384)  # the picture's


def disc(x: int, y: int, radius: int) -> torch.Tensor:
    rows, columns = torch.meshgrid(torch.arange(SIZE.height), torch.arange(SIZE.width), indexing="ij")
    return (rows - y) ** 2 + (columns - x) ** 2 <= radius**2


def sample() -> MotionDocument:
    """A ball and a balloon as discs, a line each, one point a frame, so that every format can hold it."""
    things = tuple(
        DocumentEntity(number, name, MaskSource(rle=encode_rle(disc(*place, 40))))
        for number, name, place in ((1, "ball", BALL), (2, "balloon", BALLOON))
    )
    lines = tuple(
        MotionPath(
            number,
            tuple(ControlPoint(x + dx * frame, y - 5 * frame) for frame in range(8)),
            curve="polyline",
            timing="per_point",
            anchor="grabbed_point",
        )
        for number, (x, y), dx in ((1, BALL, 14), (2, BALLOON, -14))
    )
    return MotionDocument(SIZE, 8, entities=things, paths=lines)


def contents() -> dict[str, bytes]:
    """A file of each format by its name, and a demo.json without its folder."""
    picture = torch.full((3, SIZE.height, SIZE.width), 0.5)
    files = {known.file_name: write(sample(), known.name, picture).content for known in FILE_FORMATS}
    trajectory = [[point.x, point.y] for point in sample().paths[0].points]
    entry = {"comment": "a ball", "mask_name": "1_ball.jpg", "trajectory": trajectory}
    return files | {"demo.json": json.dumps({"1": entry}).encode()}


def import_file(editor: Editor, name: str, content: bytes) -> None:
    """As a user does it: unfolds the clip's settings, presses Import and chooses the file."""
    editor.open_settings("Clip")
    with editor.page.expect_file_chooser() as chooser:
        editor.page.locator(".da-side button", has_text="Import").click()
    chooser.value.set_files([{"name": name, "mimeType": "", "buffer": content}])


def test_each_format_is_imported(editor):
    editor.segment(BALLOON)
    for name, content in contents().items():
        before, steps = editor.saved(), editor.steps()
        import_file(editor, name, content)
        editor.wait(f"e.state.past.length === {steps + 1}")
        document = json.loads(editor.saved())
        x, y = (document["paths"][0]["points"][0][axis] for axis in "xy")
        assert (round(x), round(y)) == BALL, name
        assert len(document["paths"]) == (1 if name == "demo.json" else 2), name
        assert document["size"] == {"height": 384, "width": 384}, name
        if name in ("motion.json", "demo.zip"):
            assert all("rle" in entity["mask"] for entity in document["entities"]), name
        assert "Imported" in editor.page.locator(".da-message-text").text_content(), name
        editor.press("Control+z")
        assert editor.saved() == before, f"{name}: one undo takes the import back"


def test_each_format_is_exported_and_comes_back(editor, tmp_path):
    import_file(editor, "motion.json", dumps(sample()).encode())
    editor.wait("e.state.document.paths.length === 2")
    editor.open_settings("Clip")
    choice = editor.page.locator(".da-side label", has_text="Format").locator("select")
    choice.hover()
    for known in FILE_FORMATS:
        choice.select_option(known.name)
        if known.name == "demo":  # these two things have no masks, without which there is no such folder
            editor.page.locator(".da-side button", has_text="Export").click()
            editor.page.locator(".da-message.da-error", has_text="a demo folder needs a mask").wait_for()
            continue
        with editor.page.expect_download() as download:
            editor.page.locator(".da-side button", has_text="Export").click()
        path = Path(tmp_path / download.value.suggested_filename)
        download.value.save_as(path)
        assert path.name == known.file_name
        steps = editor.steps()
        import_file(editor, path.name, path.read_bytes())
        editor.wait(f"e.state.past.length >= {steps} && e.state.document.paths.length === 2")
        end = json.loads(editor.saved())["paths"][1]["points"][-1]
        assert abs(end["x"] - (BALLOON[0] - 98)) <= 1, known.name
        assert abs(end["y"] - (BALLOON[1] - 35)) <= 1, known.name


BAD = {
    "empty.json": (b"", "empty"),
    "noise.bin": (bytes(range(256)) * 9, "neither text"),
    "broken.json": (b'{"version": 2, "size": {"height": 3', "broken.json"),
    "shopping.json": (b'{"milk": 2}', "not in a format known here"),
    "future.json": (dumps(sample()).replace('"version": 2', '"version": 99').encode(), "version"),
    "nan.txt": (b'[{"x": NaN, "y": 3}, {"x": 5, "y": 5}]', "expected a finite number"),
    "cut.zip": (b"PK\x03\x04" + b"\0" * 40, "cut.zip"),
    "huge.txt": (b" " * (5 * 2**20) + b"[]", "MiB"),
}


def test_bad_files_say_what_is_wrong_and_lose_nothing(editor):
    editor.segment(BALL)
    editor.drag([BALL, (140, 200), (190, 260)])
    saved, steps = editor.saved(), editor.steps()
    for name, (content, reason) in BAD.items():
        import_file(editor, name, content)
        editor.page.locator(".da-message.da-error", has_text=reason).wait_for()
        assert (editor.saved(), editor.steps()) == (saved, steps), name
        editor.page.locator(".da-message-close").click()
    editor.drag([(190, 260), (240, 240)])
    assert editor.steps() == steps + 1, "the editor goes on"


def test_files_are_dropped_and_coordinates_pasted(editor):
    editor.page.evaluate(
        """([text]) => {
          const transfer = new DataTransfer();
          transfer.items.add(new File([text], "motion.json", { type: "application/json" }));
          const canvas = document.querySelector("[data-testid=draganything-canvas]");
          canvas.dispatchEvent(new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true }));
        }""",
        [dumps(sample())],
    )
    editor.wait("e.state.document.paths.length === 2")
    saved = editor.saved()
    editor.page.evaluate(
        """() => {
          const transfer = new DataTransfer();
          transfer.setData("text/plain", "milk, bread");
          const canvas = document.querySelector("[data-testid=draganything-canvas]");
          canvas.dispatchEvent(new ClipboardEvent("paste", { clipboardData: transfer, bubbles: true }));
        }"""
    )
    editor.page.locator(".da-message:not([hidden])").wait_for()
    assert editor.saved() == saved, "a text that is no motion is refused"
