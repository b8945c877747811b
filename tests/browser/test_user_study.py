"""The user study's page in a real browser: votes by keyboard, kept over a reload, saved and counted. No server."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from draganything_core.pictures import save_png
from draganything_core.user_study.__main__ import main

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("browser")]

CLIPS, FRAMES = 3, 3
WITHIN = 60  # seconds; an idle machine takes a tenth of one
GREEN, RED = (0.1, 0.7, 0.2), (0.8, 0.1, 0.1)  # what "ours" and "theirs" show, so that a vote can be seen to be right


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("study")
    for clip in range(CLIPS):
        save_png(torch.full((3, 96, 128), 0.2 + 0.2 * clip), root / "lines" / f"{clip}.png")
        for method, color in (("ours", GREEN), ("theirs", RED)):
            for frame in range(FRAMES):
                picture = torch.tensor(color)[:, None, None].expand(3, 96, 128) * (1 + 0.1 * frame)
                save_png(picture, root / method / str(clip) / f"{frame}.png")
    given = [f"--videos={method}={root / method}" for method in ("ours", "theirs")]
    assert main([*given, "--asked", str(root / "lines"), "--out", str(root), "--fps", "30"]) == 0
    return root


@pytest.fixture
def page(study: Path, browser: Any) -> Iterator[Any]:
    """The page as the first rater opens it, in a browser that has never seen it."""
    context = browser.new_context(viewport={"width": 1200, "height": 700}, accept_downloads=True)
    opened = context.new_page()
    errors: list[str] = []
    asked: list[str] = []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
    opened.on("request", lambda request: asked.append(request.url))
    opened.goto((study / "page.html").as_uri())
    yield opened
    context.close()
    assert not errors
    assert {url.partition(":")[0] for url in asked} <= {"file", "data", "blob"}


def place(page: Any) -> str:
    return str(page.locator("#place").text_content())


def is_green(page: Any, side: str) -> bool:
    pixel = f"[...document.getElementById('{side}').getContext('2d').getImageData(9, 9, 1, 1).data]"
    red, green, *_ = page.evaluate(pixel)
    return green > red


def wait(page: Any, expression: str) -> None:
    """Until it holds. The page's policy forbids the browser driver's own way of waiting, which is to evaluate text."""
    until = time.monotonic() + WITHIN
    while not page.evaluate(expression):
        assert time.monotonic() < until, expression
        time.sleep(0.02)


def vote(page: Any, key: str) -> None:
    """A key, once both videos have been seen to their end."""
    wait(page, "mayVote()")
    page.keyboard.press(key)


def vote_green(page: Any) -> None:
    """For the video that is green, wherever it is, on both questions."""
    wait(page, "mayVote() && !document.querySelector('#answers button').disabled")
    key = "ArrowLeft" if is_green(page, "left") else "ArrowRight"
    assert is_green(page, "left") != is_green(page, "right")
    before = place(page)
    vote(page, key)
    assert place(page) == before, "the second question is on the same pair"
    vote(page, key)


def saved(page: Any, folder: Path) -> Path:
    with page.expect_download() as download:
        page.keyboard.press("Enter")
    file = folder / download.value.suggested_filename
    download.value.save_as(file)
    return file


def test_votes_by_keyboard_are_kept_saved_and_counted(
    study: Path, page: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page.keyboard.press("2")  # the second rater
    assert place(page) == f"pair 1 of {CLIPS}"
    vote_green(page)
    assert place(page) == f"pair 2 of {CLIPS}"

    # A reload goes on at the same pair; another rater has votes of their own.
    page.reload()
    assert page.locator("#raters button").all_text_contents() == ["rater 1", "rater 2 (1 pairs done)", "rater 3"]
    page.keyboard.press("2")
    assert place(page) == f"pair 2 of {CLIPS}"

    # A vote taken back is asked again.
    vote(page, "ArrowDown")
    question = page.locator("#question").text_content()
    page.keyboard.press("Backspace")
    assert page.locator("#question").text_content() != question
    vote_green(page)
    assert place(page) == f"pair 3 of {CLIPS}"
    vote(page, "ArrowDown")
    vote(page, "ArrowDown")
    page.locator("#end").wait_for()

    file = saved(page, tmp_path)
    assert file.name.endswith("-rater-2.json")
    assert main(["--key", str(study / "key.json"), "--out", str(tmp_path), "--votes", str(file)]) == 0
    printed = capsys.readouterr().out
    assert printed.count("| ours over theirs | 100% [16%, 100%] | 2 : 0 : 1 |") == 2
    assert f"- rater 2: {CLIPS} of {CLIPS} pairs" in printed
    times = [each["seconds"] for each in json.loads(file.read_text("utf-8"))["votes"]]
    assert min(times) >= FRAMES / 30


def test_nobody_votes_before_the_videos_have_ended(page: Any) -> None:
    page.evaluate("study.fps = 0.001")  # three frames take the better part of an hour
    page.keyboard.press("1")
    wait(page, "shown !== null")
    page.keyboard.press("ArrowLeft")
    assert page.locator("#answers button").first.is_disabled()
    assert page.evaluate("votes.length") == 0
    page.evaluate("shown.length = 0.001")
    vote(page, "ArrowLeft")
    assert page.evaluate("votes.length") == 1


def test_videos_halt_and_go_on(page: Any) -> None:
    page.keyboard.press("1")
    wait(page, "shown !== null")
    page.keyboard.press("Space")
    before = page.evaluate("seconds()")
    page.wait_for_timeout(100)
    assert page.evaluate("seconds()") == before
    page.keyboard.press("Space")
    wait(page, f"seconds() > {before}")
    halted = "halt(); const at = seconds(); shown.since -= 5000; halted -= 5000; halt(); return seconds() - at;"
    assert abs(page.evaluate(f"(() => {{ {halted} }})()")) < 0.05, "the time of a halt does not count"


def test_a_page_that_may_keep_nothing_says_so_and_still_works(browser: Any, study: Path) -> None:
    context = browser.new_context()
    context.add_init_script(
        "Object.defineProperty(window, 'localStorage', { get() { throw new DOMException('refused'); } })"
    )
    opened = context.new_page()
    opened.goto((study / "page.html").as_uri())
    assert opened.locator("#storage").is_visible()
    opened.locator("#raters button").first.click()
    vote(opened, "ArrowLeft")
    assert opened.evaluate("votes.length") == 1
    context.close()
