"""The trajectory editor as a user has it: in ComfyUI's page, by mouse and keyboard, in both renderings."""

from __future__ import annotations

import json

import pytest
from editor_page import BALL, BALLOON, GROUND, SHOWN, WIDGET

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("browser")]  # one server for all


def test_the_drawing_stays_where_it_is_whatever_the_settings_show(page, editor):
    editor.segment(BALL)
    before = editor.place(BALLOON)
    editor.drag([BALL, (140, 200), (190, 260)])  # selects the line: its settings are the longest
    page.get_by_text("Select a line to change how it moves.").wait_for(state="hidden")
    editor.settle()
    assert editor.place(BALLOON) == before


def test_from_clicks_to_a_prompt(page, editor):
    editor.segment(BALL)
    editor.segment(BALLOON)
    editor.drag([BALL, (140, 200), (190, 260), (210, 240)])  # well away from the balloon
    editor.drag([BALLOON, (210, 50), (146, 36)])
    editor.tool("pin")
    editor.click(GROUND)
    document = json.loads(editor.saved())
    assert [len(path["points"]) for path in document["paths"]] == [4, 3, 1]
    assert document["size"] == {"height": 384, "width": 384}
    assert document["paths"][2]["static"]

    page.locator('[data-command="play"]').first.click()
    editor.wait("e.scene.playing && e.scene.frame > 3")
    editor.press(" ")
    editor.wait("!e.scene.playing")

    saved, steps = editor.saved(), editor.steps()
    for _ in range(steps):
        editor.press("Control+z")
    assert editor.saved() == ""
    for _ in range(steps):
        editor.press("Control+Shift+z")
    assert editor.saved() == saved

    prompt = page.evaluate("app.graphToPrompt().then((prompt) => prompt.output)")
    assert saved in [node["inputs"].get("document") for node in prompt.values()]
    graph = page.evaluate("JSON.stringify(app.graph.serialize())")
    page.evaluate("(graph) => app.loadGraphData(JSON.parse(graph))", graph)
    page.wait_for_function(SHOWN)
    assert editor.saved() == saved
    assert editor.ask("e.state.document.paths.length") == 3


def test_what_is_pressed_in_the_editor_stays_there(page, editor):
    editor.segment(BALL)
    editor.drag([BALL, (140, 100), (256, 124)])
    state = "[app.graph._nodes.length, app.canvas.ds.scale, ...app.canvas.ds.offset]"
    before, node = page.evaluate(state), page.evaluate("app.graph._nodes.map((node) => [...node.pos])")
    editor.press("Delete")
    assert editor.ask("e.state.document.paths.length") == 0
    editor.press("Control+z")
    page.wait_for_timeout(500)  # the host's undo would come a frame later
    assert editor.ask("e.state.document.paths.length") == 1
    assert editor.steps() == 2
    scale = editor.ask("e.scene.viewport.scale")
    page.mouse.wheel(0, -240)
    editor.wait(f"e.scene.viewport.scale > {scale}")
    editor.drag([(150, 60), (180, 80)], button="middle")
    editor.click((200, 40), button="right")
    page.wait_for_timeout(300)
    assert page.locator(".litecontextmenu, .p-contextmenu").count() == 0
    side = page.locator(".da-side").bounding_box()
    page.mouse.move(side["x"] + side["width"] / 2, side["y"] + side["height"] - 12)
    page.mouse.down()
    page.mouse.move(side["x"] + side["width"] / 2 + 60, side["y"] + side["height"] - 60, steps=4)
    page.mouse.up()
    assert page.evaluate(state) == before
    assert page.evaluate("app.graph._nodes.map((node) => [...node.pos])") == node


def test_the_hosts_undo_takes_one_step_a_gesture(page, editor):
    editor.segment(BALL)
    one = editor.saved()
    editor.drag([BALL, (140, 100), (256, 124)])
    two = editor.saved()
    assert one != two
    tracker = "app.extensionManager.workflow.activeWorkflow.changeTracker"
    page.evaluate(f"{tracker}.undo()")
    page.wait_for_function(SHOWN)
    assert editor.saved() == one
    page.evaluate(f"{tracker}.undo()")
    page.wait_for_function(SHOWN)
    assert editor.saved() == ""
    page.evaluate(f"{tracker}.redo()")
    page.wait_for_function(SHOWN)
    assert editor.saved() == one


def test_a_lost_server_loses_nothing(page, editor):
    editor.segment(BALL)
    page.route("**/draganything/segment", lambda route: route.abort())
    editor.tool("segment")
    editor.click(BALLOON)
    page.locator(".da-message.da-error").wait_for()
    editor.tool("select")
    editor.drag([BALL, (140, 100), (256, 124)])
    assert len(json.loads(editor.saved())["paths"]) == 1
    page.unroute("**/draganything/segment")
    editor.segment(BALLOON)
    assert editor.ask("e.isOnline")


def test_the_nodes_frames_are_shown(page, editor):
    editor.segment(BALL)
    page.evaluate(
        """() => {
          const node = app.graph._nodes.find((node) => node.type === "DragAnythingTrajectoryEditor");
          node.widgets.find((widget) => widget.name === "frames").value = 25;
        }"""
    )
    editor.wait("e.scene.document.frames === 25")
    assert json.loads(editor.saved())["frames"] == 14, "the document keeps its own number"


def test_an_unreadable_document_is_kept(page, editor):
    page.evaluate(f"""(widget => {{ widget.value = '{{"version": 9}}'; }})({WIDGET})""")
    page.locator(".da-message.da-error").wait_for()
    assert editor.saved() == '{"version": 9}'
    editor.tool("pin")
    editor.click((190, 60))
    assert json.loads(editor.saved())["paths"][0]["static"]


def test_the_rendering_is_switched_while_editing(page, editor):
    editor.segment(BALL)
    saved = editor.saved()
    setting = "app.extensionManager.setting"
    was = page.evaluate(f"{setting}.get('Comfy.VueNodes.Enabled')")
    for wanted in (not was, was):
        page.evaluate(f"{setting}.set('Comfy.VueNodes.Enabled', {str(wanted).lower()})")
        page.wait_for_timeout(1500)
        page.wait_for_function(SHOWN)
        assert editor.saved() == saved
        editor.drag([BALL, (140, 100), (200, 124)])
        assert len(json.loads(editor.saved())["paths"]) == 1
        editor.press("Control+z")
        assert editor.saved() == saved
