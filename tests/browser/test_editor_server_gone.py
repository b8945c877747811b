"""The server goes while the user draws, and comes back: the real one, killed and started again."""

from __future__ import annotations

import json
import os

import pytest
from editor_page import BALL, BALLOON

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("browser"),
    pytest.mark.parametrize("page", ["classic"], indirect=True, scope="session"),
    pytest.mark.skipif("DRAGANYTHING_SERVER" in os.environ, reason="THE SERVER WAS NOT STOPPED: it is not ours"),
]


def test_the_server_goes_and_comes_back(page, editor, running_host):
    editor.segment(BALL)
    editor.drag([BALL, (140, 200), (190, 260)])
    saved = editor.saved()

    running_host.stop()
    try:
        editor.tool("segment")
        editor.click(BALLOON)
        assert "ComfyUI does not answer" in editor.error()
        assert editor.saved() == saved, "a click that fails changes nothing"
        # Whatever needs no server goes on: bending, undoing, pinning, playing.
        editor.tool("select")
        editor.drag([(190, 260), (230, 230)])
        editor.press("Control+z")
        assert editor.saved() == saved
        editor.press("Control+Shift+z")
        editor.tool("pin")
        editor.click((300, 350))
        assert len(json.loads(editor.saved())["paths"]) == 2
        editor.command("play")
        editor.wait("e.scene.playing && e.scene.frame > 1")
        editor.command("play")
    finally:
        running_host.start()

    editor.segment(BALLOON)
    assert editor.ask("e.isOnline")
    page.locator(".da-message.da-error").wait_for(state="hidden")
    editor.drag([BALLOON, (210, 50), (146, 36)])
    document = json.loads(editor.saved())
    assert [len(path["points"]) for path in document["paths"]] == [3, 1, 3]
