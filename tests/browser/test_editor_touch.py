"""Fingers and pens on the canvas: one finger draws, two move the view, a pen draws whatever the palm does."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import pytest
from editor_page import BALL, Editor, Place

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("browser")]


COUNT_LIFTED = """() => {
  window.draganythingLifted = 0;
  for (const name of ["pointerup", "pointercancel"]) {
    window.addEventListener(name, ({ pointerType }) => {
      window.draganythingLifted += pointerType === "touch" ? 1 : 0;
    }, true);
  }
}"""


class Hand:
    """Touches and a pen, through the browser's own protocol. Places are pixels of the picture.

    The browser answers before the page has heard of a touch: lifting a finger waits until it has.
    """

    def __init__(self, editor: Editor) -> None:
        self.editor = editor
        self.protocol = editor.page.context.new_cdp_session(editor.page)
        self.down: set[int] = set()
        if not editor.page.evaluate("'draganythingLifted' in window"):
            editor.page.evaluate(COUNT_LIFTED)

    def touch(self, kind: str, *places: Place) -> None:
        """Fingers that are put down or moved ("touchStart", "touchMove"), or lifted ("touchEnd": all, without any)."""
        self.touch_page(kind, *map(self.editor.place, places))

    def touch_page(self, kind: str, *places: Place, first: int = 1) -> None:
        """The same with places that are pixels of the page; first: number of the first finger."""
        points = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(places, start=first)]
        named = {point["id"] for point in points}
        before = self.editor.page.evaluate("window.draganythingLifted")
        self.protocol.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
        if kind != "touchEnd":
            self.down |= named
            return
        lifted = named or self.down
        self.down = self.down - lifted
        self.editor.page.wait_for_function(f"window.draganythingLifted >= {before + len(lifted)}")

    def draw(self, points: Sequence[Place]) -> None:
        self.touch("touchStart", points[0])
        for before, after in pairwise(points):
            for part in (0.25, 0.5, 0.75, 1):
                self.touch("touchMove", tuple(a + (b - a) * part for a, b in zip(before, after, strict=True)))
        self.touch("touchEnd")

    def pen(self, kind: str, place: Place, **more: Any) -> None:
        x, y = self.editor.place(place)
        event = {"type": kind, "x": x, "y": y, "pointerType": "pen", "button": "left", "buttons": 1, "clickCount": 1}
        self.protocol.send("Input.dispatchMouseEvent", event | more)


@pytest.fixture
def hand(editor: Editor) -> Iterator[Hand]:
    made = Hand(editor)
    yield made
    made.protocol.detach()


def lines(editor: Editor) -> list[dict[str, Any]]:
    return json.loads(editor.saved()).get("paths", []) if editor.saved() else []


def test_one_finger_draws_and_taps(editor, hand):
    editor.segment(BALL)
    hand.draw([BALL, (140, 200), (190, 260)])
    editor.wait("e.state.document.paths.length === 1")
    [line] = lines(editor)
    start = line["points"][0]
    assert abs(start["x"] - BALL[0]) < 2
    assert abs(start["y"] - BALL[1]) < 2
    assert editor.steps() == 2
    editor.tool("pin")
    hand.touch("touchStart", (300, 350))
    hand.touch("touchEnd")
    assert [path.get("static", False) for path in lines(editor)] == [False, True]


def test_two_fingers_zoom_and_pan_and_draw_nothing(editor, hand):
    editor.segment(BALL)
    saved, before = editor.saved(), editor.ask("e.scene.viewport")
    graph = editor.page.evaluate("[app.canvas.ds.scale, ...app.canvas.ds.offset]")
    x, y = editor.place((200, 200))
    hand.touch_page("touchStart", (x - 30, y))
    hand.touch_page("touchStart", (x - 30, y), (x + 30, y))
    for spread in (40, 50, 60):
        hand.touch_page("touchMove", (x - spread, y + 20), (x + spread, y + 20))
    hand.touch_page("touchEnd", (x + 60, y + 20), first=2)
    hand.touch_page("touchMove", (x - 20, y - 20))  # the finger that stays draws nothing either
    hand.touch_page("touchEnd")
    editor.wait(f"Math.abs(e.scene.viewport.scale / {2 * before['scale']} - 1) < 0.02")
    assert editor.place((200, 200)) == pytest.approx((x, y + 20), abs=2), "what was between the fingers stays there"
    assert editor.saved() == saved
    assert editor.page.evaluate("[app.canvas.ds.scale, ...app.canvas.ds.offset]") == graph
    hand.draw([BALL, (120, 240), (140, 250)])
    assert len(lines(editor)) == 1, "one finger draws again"


def test_a_second_finger_drops_what_the_first_began(editor, hand):
    editor.segment(BALL)
    saved = editor.saved()
    hand.touch("touchStart", BALL)
    hand.touch("touchMove", (120, 240))
    hand.touch("touchMove", (150, 220))
    editor.wait("e.scene.drafts.length === 1")
    hand.touch("touchStart", (150, 220), (250, 220))
    editor.wait("e.scene.drafts.length === 0")
    hand.touch("touchEnd", (150, 220))
    hand.touch("touchEnd")
    assert editor.saved() == saved


def test_a_pen_draws_whatever_the_palm_does(editor, hand):
    editor.segment(BALL)
    hand.pen("mousePressed", BALL)
    hand.pen("mouseMoved", (120, 240))
    hand.touch("touchStart", (250, 330))
    hand.touch("touchStart", (250, 330), (280, 340))
    hand.pen("mouseMoved", (160, 220))
    hand.pen("mouseMoved", (190, 260))
    hand.touch("touchEnd", (250, 330))
    hand.touch("touchEnd")
    hand.pen("mouseReleased", (190, 260), buttons=0)
    editor.wait("e.state.document.paths.length === 1")
    [line] = lines(editor)
    assert line["points"][-1] == pytest.approx({"x": 190, "y": 260}, abs=1.5)
