"""The user study: who sees what, that the page tells nobody which is which, and what is made of the votes."""

from __future__ import annotations

import json
import math
import re
import shutil
from collections import Counter
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from draganything_core.pictures import save_png
from draganything_core.tiny import WEIGHTS
from draganything_core.user_study.__main__ import main
from draganything_core.user_study.statistics import agreement, exact_interval, krippendorff_alpha
from draganything_core.user_study.study import QUESTIONS, planned
from draganything_core.user_study.votes import Vote, tallied, tally_markdown
from draganything_core.video import write_video

# --- plans ------------------------------------------------------------------------------------------------------------


@given(clips=st.integers(1, 9), methods=st.integers(2, 4), raters=st.integers(1, 3), seed=st.integers(0, 99))
def test_everyone_sees_every_pair_once_and_each_method_on_both_sides(clips, methods, raters, seed):
    names = [f"method {number}" for number in range(methods)]
    study = planned(names, [str(clip) for clip in range(clips)], raters, seed)
    assert len(study.cases) == clips * methods * (methods - 1) // 2
    assert study == planned(names, [str(clip) for clip in range(clips)], raters, seed)
    for order in study.orders:
        assert sorted(showing.case for showing in order) == list(range(len(study.cases)))
        lefts = Counter()
        for showing in order:
            case = study.cases[showing.case]
            lefts[tuple(sorted(case.methods)), case.methods[showing.left]] += 1
        for first, second in {pair for pair, _ in lefts}:
            assert abs(lefts[(first, second), first] - lefts[(first, second), second]) <= 1


def test_orders_sides_and_numbers_tell_nothing():
    study = planned(["ours", "theirs"], [str(clip) for clip in range(40)], 3, seed=1)
    cases = [[showing.case for showing in order] for order in study.orders]
    assert cases[0] != cases[1] != cases[2]
    assert cases[0] != sorted(cases[0])
    firsts = Counter(case.methods[0] for case in study.cases)
    assert min(firsts[method] for method in study.methods) > 8, "which of the two is called 0 must be by lot"
    ours = [study.cases[showing.case].methods[showing.left] == "ours" for showing in study.orders[0]]
    assert sum(a == b for a, b in pairwise(ours)) > 8, "sides must not simply take turns"
    assert (
        planned(["ours", "theirs"], ["a", "b"], 3, seed=2).orders != planned(["ours", "theirs"], ["a", "b"], 3).orders
    )


@pytest.mark.parametrize(
    ("methods", "clips", "raters", "message"),
    [
        (["a"], ["1"], 3, "two or more methods"),
        (["a", "a"], ["1"], 3, "two or more methods"),
        (["a", "b"], [], 3, "0 clips"),
        (["a", "b"], ["1"], 0, "0 raters"),
    ],
)
def test_what_is_no_study_is_refused(methods, clips, raters, message):
    with pytest.raises(ValueError, match=message):
        planned(methods, clips, raters)


# --- shares and agreement ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(  # R's binom.test
    ("wins", "count", "low", "high"),
    [(0, 10, 0.0, 0.3084971), (10, 10, 0.6915029, 1.0), (5, 10, 0.1870860, 0.8129140), (18, 30, 0.4060349, 0.7734424),
     (1, 1, 0.025, 1.0)],
)  # fmt: skip
def test_intervals_are_those_of_clopper_and_pearson(wins, count, low, high):
    assert exact_interval(wins, count) == pytest.approx((low, high), abs=1e-6)


def test_of_nothing_there_is_no_interval():
    assert all(map(math.isnan, exact_interval(0, 0)))
    with pytest.raises(ValueError, match="expected 0 <= wins <= count"):
        exact_interval(3, 2)


@given(wins=st.integers(0, 60), more=st.integers(0, 60))
def test_an_interval_holds_its_share_and_mirrors(wins, more):
    if wins + more == 0:
        return
    low, high = exact_interval(wins, wins + more)
    assert 0 <= low <= wins / (wins + more) <= high <= 1
    assert exact_interval(more, wins + more) == pytest.approx((1 - high, 1 - low), abs=1e-9)


def test_agreement_is_of_pairs_of_raters():
    assert agreement(["aab", "bb", "c"]) == pytest.approx((1 + 1) / (3 + 1))
    assert math.isnan(agreement(["a", "b"]))


def test_alpha_is_krippendorffs():
    # His own example of nominal data with gaps (Computing Krippendorff's Alpha-Reliability, 2011, section C).
    columns = ["111", "2232", "3333", "3333", "2222", "1234", "4444", "1121", "2222", "555", "11", "3"]
    assert krippendorff_alpha(columns) == pytest.approx(0.743, abs=5e-4)
    assert krippendorff_alpha(["aa", "bb", "ab"] * 20) == pytest.approx(1 - (40 * 119 / (2 * 60 * 60)), abs=1e-9)
    assert math.isnan(krippendorff_alpha(["aa", "aa"]))
    assert krippendorff_alpha(["aa", "bb", "cc"]) == 1


# --- votes ------------------------------------------------------------------------------------------------------------

KEY = {
    "format": 1, "study": "abc", "methods": ["ours", "theirs"], "raters": 3, "questions": QUESTIONS,
    "cases": [{"clip": str(case), "methods": ["ours", "theirs"]} for case in range(4)],
}  # fmt: skip


def motion_votes(cases):
    """cases: for each, what raters 1, 2, ... said: o, t or s."""
    names = {"o": "ours", "t": "theirs", "s": "same"}
    return [
        Vote(rater + 1, case, "motion", names[said]) for case, own in enumerate(cases) for rater, said in enumerate(own)
    ]


def test_votes_are_counted_each_and_by_majority():
    tally = tallied(KEY, motion_votes(["ooo", "oot", "tso", "ttt"]))
    motion, quality = tally.answers
    assert (motion.votes.wins, motion.votes.losses, motion.votes.undecided) == (6, 5, 1)
    assert (motion.cases.wins, motion.cases.losses, motion.cases.undecided) == (2, 1, 1)
    assert motion.cases.rate == pytest.approx(2 / 3)
    assert (motion.cases.low, motion.cases.high) == pytest.approx(exact_interval(2, 3))
    assert motion.agreement == pytest.approx((3 + 1 + 0 + 3) / 12)
    assert quality.votes.wins == 0
    assert math.isnan(quality.votes.rate)
    assert tally.voted == {1: 0, 2: 0, 3: 0}, "both questions belong to a pair"
    text = tally_markdown(KEY, tally)
    assert "| ours over theirs | 67% [9%, 99%] | 2 : 1 : 1 | 55% [23%, 83%] | 6 : 5 : 1 | 58% |" in text
    assert "nan" not in text


def test_of_three_methods_every_pair_has_its_own_answers():
    pairs = [["ours", "theirs"], ["old", "ours"], ["theirs", "old"]]
    key = {**KEY, "methods": ["ours", "theirs", "old"], "cases": [{"clip": "1", "methods": pair} for pair in pairs]}
    votes = [Vote(1, 0, "motion", "ours"), Vote(1, 1, "motion", "old"), Vote(1, 2, "motion", "same")]
    found = {(a.method, a.other): (a.votes.wins, a.votes.losses, a.votes.undecided) for a in tallied(key, votes).answers
             if a.question == "motion"}  # fmt: skip
    assert found == {("ours", "theirs"): (1, 0, 0), ("ours", "old"): (0, 1, 0), ("theirs", "old"): (0, 0, 1)}


# --- the command ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """The folder of a study of five clips: pictures with lines, one method's videos as files, one's as pictures."""
    root = tmp_path_factory.mktemp("study")
    for clip in range(5):
        generator = torch.Generator().manual_seed(clip)
        save_png(torch.rand(3, 40, 56, generator=generator), root / "lines" / f"clip{clip}.png")
        write_video(torch.rand(4, 3, 40, 56, generator=generator), root / "secretly_ours" / f"clip{clip}.mp4", 7)
        for frame in range(3):
            save_png(torch.rand(3, 20, 28, generator=generator), root / "theirs" / f"clip{clip}" / f"{frame}.png")
    assert main(make_arguments(root, root / "out")) == 0
    return root


def make_arguments(root, out, *more):
    folders = [f"--videos=our method={root / 'secretly_ours'}", f"--videos=baseline={root / 'theirs'}"]
    return [*folders, "--asked", str(root / "lines"), "--out", str(out), *more]


def content_of(root):
    text = (root / "out" / "page.html").read_text("utf-8")
    return text, json.loads(re.search(r'id="study">(.*?)</script>', text, re.DOTALL)[1])


def test_the_page_holds_all_pictures_and_tells_nobody_which_is_which(study):
    text, content = content_of(study)
    key = json.loads((study / "out" / "key.json").read_text("utf-8"))
    assert (len(content["cases"]), len(content["orders"])) == (5, 3)
    assert content["id"] == key["study"]
    sizes = {len(video) for case in content["cases"] for video in case["videos"]}
    assert sizes == {3}, "both videos are as long as the shorter one"
    bare = re.sub(r"base64,[\w+/=]*", "", text)
    for told in ("our method", "baseline", "secretly_ours", "theirs", "clip0", str(study)):
        assert told not in bare
        assert told in json.dumps(key) or told not in ("our method", "baseline", "clip0")


def test_nothing_leaves_the_page(study):
    text, _ = content_of(study)
    bare = re.sub(r"base64,[\w+/=]*", "", text)
    assert not re.search(r"https?:|//\w|src=|href=\"", bare.replace("<!doctype html>", ""))
    assert not re.search(r"\b(fetch|XMLHttpRequest|WebSocket|sendBeacon|EventSource|import)\b", bare)
    policy = re.search(r'Content-Security-Policy"\s*content="([^"]*)"', bare)[1]
    assert "default-src 'none'" in policy
    assert "connect-src" not in policy


def test_the_same_seed_makes_the_same_page(study, tmp_path):
    assert main(make_arguments(study, tmp_path)) == 0
    assert (tmp_path / "page.html").read_bytes() == (study / "out" / "page.html").read_bytes()
    assert main(make_arguments(study, tmp_path, "--seed", "1")) == 0
    assert (tmp_path / "page.html").read_bytes() != (study / "out" / "page.html").read_bytes()


def test_clips_without_a_video_of_each_take_no_part(study, tmp_path, capsys):
    shutil.copytree(study / "lines", tmp_path / "lines")
    shutil.copytree(study / "theirs", tmp_path / "theirs")
    (tmp_path / "secretly_ours").mkdir()
    for clip in (1, 3):
        shutil.copy(study / "secretly_ours" / f"clip{clip}.mp4", tmp_path / "secretly_ours")
    assert main(make_arguments(tmp_path, tmp_path / "out")) == 0
    key = json.loads((tmp_path / "out" / "key.json").read_text("utf-8"))
    assert [case["clip"] for case in key["cases"]] == ["clip1", "clip3"]
    assert main(make_arguments(tmp_path, tmp_path / "out", "--cases", "3")) == 2
    assert "only 2 clips" in capsys.readouterr().err


def test_motion_documents_are_drawn(tmp_path):
    (tmp_path / "lines").mkdir()
    for file in (WEIGHTS.parent / "sample").iterdir():
        shutil.copy(file, tmp_path / "lines")
    for method in ("secretly_ours", "theirs"):
        save_png(torch.zeros(3, 32, 32), tmp_path / method / "motion" / "0.png")
    assert main(make_arguments(tmp_path, tmp_path / "out")) == 0
    _, content = content_of(tmp_path)
    assert len(content["cases"]) == 1


def test_lines_may_come_from_an_evaluations_protocol(tmp_path):
    (tmp_path / "small.yaml").write_text(
        "name: small\nversion: 1\nclips: {seed: 7, first: 0, count: 3}\nsize: [64, 96]\nframes: 4\n"
        "num_inference_steps: 1\nguidance: 1.0\nsampling_seed: 0\n", "utf-8",
    )  # fmt: skip
    for method in ("a", "b"):
        for frame in range(2):
            save_png(torch.rand(3, 64, 96), tmp_path / method / "00001" / f"{frame}.png")
    given = [f"--videos=a={tmp_path / 'a'}", f"--videos=b={tmp_path / 'b'}", "--protocol", str(tmp_path / "small.yaml")]
    assert main([*given, "--out", str(tmp_path / "out")]) == 0
    assert json.loads((tmp_path / "out" / "key.json").read_text("utf-8"))["cases"][0]["clip"] == "00001"


def saved_votes(root, rater, choose):
    """A file as the page saves it. choose: (case, question) to 0, 1 or "same"."""
    key = json.loads((root / "out" / "key.json").read_text("utf-8"))
    votes = [
        {"case": case, "question": question, "choice": choose(key["cases"][case], question), "seconds": 2.5}
        for case in range(len(key["cases"]))
        for question in key["questions"]
    ]
    return {"format": 1, "study": key["study"], "rater": rater, "votes": votes}


def write_votes(folder, *contents):
    files = [folder / f"votes{number}.json" for number in range(len(contents))]
    for file, content in zip(files, contents, strict=True):
        file.write_text(json.dumps(content), "utf-8")
    return [str(file) for file in files]


def test_votes_are_read_by_the_key(study, tmp_path, capsys):
    def ours_moves(case, question):
        return case["methods"].index("our method") if question == "motion" else "same"

    files = write_votes(tmp_path, *(saved_votes(study, rater, ours_moves) for rater in (1, 3)))
    counting = ["--key", str(study / "out" / "key.json"), "--out", str(tmp_path), "--votes"]
    assert main([*counting, *files]) == 0
    printed = capsys.readouterr().out
    assert (
        "| our method over baseline | 100% [48%, 100%] | 5 : 0 : 0 | 100% [69%, 100%] | 10 : 0 : 0 | 100% |" in printed
    )
    assert "| our method over baseline |  | 0 : 0 : 5 |  | 0 : 0 : 10 | 100% |" in printed
    assert "- rater 2: 0 of 5 pairs" in printed
    stored = json.loads((tmp_path / "results.json").read_text("utf-8"))
    assert stored["answers"][0]["cases"]["low"] == pytest.approx(0.025 ** (1 / 5), abs=1e-5)
    assert stored["answers"][1]["cases"]["rate"] is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"study": "another"}, "holds no votes on study"),
        ({"rater": 4}, "rater 4, there are 1 to 3"),
        ({"votes": [{"case": 9, "question": "motion", "choice": 0}]}, "is no vote"),
        ({"votes": [{"case": 0, "question": "motion", "choice": 2}]}, "is no vote"),
        ({"votes": [{"case": 0, "question": "motion", "choice": True}]}, "is no vote"),
        ({"votes": [{"case": 0, "question": "beauty", "choice": 0}]}, "is no vote"),
        ({"votes": [{"case": 0, "question": "motion", "choice": 0}] * 2}, "the second on the same"),
        ({"votes": None}, "null is no vote"),
    ],
)
def test_files_that_hold_other_things_are_refused(study, tmp_path, capsys, change, message):
    (file,) = write_votes(tmp_path, {**saved_votes(study, 1, lambda *_: 0), **change})
    assert main(["--key", str(study / "out" / "key.json"), "--votes", file]) == 2
    printed = capsys.readouterr().err
    assert message in printed
    assert file in printed
    assert not (study / "out" / "results.json").exists()


def test_a_rater_counts_once(study, tmp_path, capsys):
    files = write_votes(tmp_path, *(saved_votes(study, 2, lambda *_: 0) for _ in range(2)))
    assert main(["--key", str(study / "out" / "key.json"), "--votes", *files]) == 2
    assert "are both of rater 2" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--videos=a=x", "--videos=b=y", "--out", "o"], "--asked DIR or --protocol NAME"),
        (["--videos=a", "--asked", ".", "--out", "o"], "expected NAME=DIR"),
        (["--videos=a=x", "--videos=a=y", "--asked", ".", "--out", "o"], "each name once"),
        (["--key", "k"], "go together"),
        (["--asked", "x", "--out", "o"], "--videos NAME=DIR"),
        (["--videos=a=x", "--asked", "none", "--out", "o"], "no such folder"),
        (["--key", "none", "--votes", "none"], "none: no such key"),
    ],
)
def test_wrong_arguments_are_exit_status_2(arguments, message, capsys):
    assert main(arguments) == 2
    assert message in capsys.readouterr().err
