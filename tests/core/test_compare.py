"""Two reports side by side: paired differences, published figures and when they may be compared, what is refused."""

import copy
import json

import pytest
from small_evaluation import made_report, small_protocol, standing, write_videos

from draganything_core.evaluate import main
from draganything_core.evaluation.compare import compare, differences, read_json
from draganything_core.evaluation.results import write_report


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """report.json of videos that obey, and of videos that stand still, on the same clips."""
    root = tmp_path_factory.mktemp("compare")
    protocol = small_protocol(root)
    for name, change in (("obeys", lambda frames: frames), ("stands", standing)):
        report, _, _ = made_report(protocol, root / name, write_videos(protocol, root / f"{name}_videos", change), name)
        write_report(report, root / name)
    return root / "obeys" / "report.json", root / "stands" / "report.json"


@pytest.fixture
def reports(files):
    return [read_json(file) for file in files]


def cells(table, title):
    line = next(line for line in table.splitlines() if line.startswith(f"| {title}"))
    return [cell.strip() for cell in line.strip("|").split("|")][1:]


def test_the_difference_is_that_of_the_two_figures(reports):
    table = compare(*reports)
    obeys, stands, apart = cells(table, "end-point error, px")
    figures = [report["rows"][report["subject"]]["figures"]["points"]["mean_px"]["value"] for report in reports]
    assert [float(obeys), float(stands)] == pytest.approx(figures, rel=0.01)
    assert float(apart.split()[0]) == pytest.approx(figures[1] - figures[0], rel=0.01)
    assert "[" in apart
    assert apart.endswith("*") or "not told apart" in apart
    assert "A: obeys" in table


def test_a_report_beside_itself_has_no_difference(reports):
    difference = cells(compare(reports[0], reports[0]), "end-point error, px")[2]
    assert difference == "0 [0, 0] (not told apart)"


def test_other_rows_may_be_compared(reports):
    table = compare(reports[0], reports[0], ["static", "real"])
    static, real, _ = cells(table, "error / error of standing still")
    assert float(static) == pytest.approx(1, abs=0.02)
    assert float(real) < 0.3
    with pytest.raises(ValueError, match="no row 'control'; it has obeys, static, real"):
        compare(reports[0], reports[1], ["control", "real"])
    with pytest.raises(ValueError, match="two rows"):
        compare(reports[0], reports[1], ["real"])


@pytest.mark.parametrize(("name", "other"), [("size", "128x128"), ("tracker", "cotracker 3"), ("frames", 14)])
def test_settings_are_never_mixed(reports, name, other):
    changed = copy.deepcopy(reports[1])
    changed["conditions"][name] = other
    with pytest.raises(ValueError, match=f"cannot be compared: {name}.*{other}"):
        compare(reports[0], changed)


def test_only_clips_of_both_are_compared(reports):
    fewer = copy.deepcopy(reports[1])
    fewer["judgements"]["stands"] = fewer["judgements"]["stands"][1:]
    assert "2 clips of both" in compare(reports[0], fewer)
    fewer["judgements"]["stands"] = []
    with pytest.raises(ValueError, match="no clip in common"):
        compare(reports[0], fewer)


def test_distances_by_another_network_have_no_difference(reports):
    assert float(cells(compare(*reports), "rFID")[2]) > 0
    changed = copy.deepcopy(reports[1])
    changed["conditions"]["rFID"] = "another"
    assert cells(compare(reports[0], changed), "rFID")[2] == "another network"


PAPER = {
    "method": "Theirs",
    "source": "table 1",
    "figures": {"FID": 33.5, "ObjMC_ref": 305.7},
    "conditions": {"size": "64x96", "frames": 4, "clips": 3, "void": "left out", "FID": "inception", "tracker": "x"},
}


def test_a_published_figure_is_comparable_only_if_all_that_it_depends_on_is_the_same(reports):
    conditions = {**PAPER["conditions"], "rFID": "random"}
    assert differences("FID", PAPER, conditions) == []
    assert differences("ObjMC_ref", PAPER, conditions) == []
    assert differences("FID", PAPER, {**conditions, "clips": 343}) == ["clips: 3 there, 343 here"]
    assert differences("ObjMC_ref", PAPER, {**conditions, "tracker": "lk"}) == ["tracker: x there, lk here"]
    assert differences("FID", PAPER, {**conditions, "tracker": "lk"}) == []


def test_published_figures_stand_in_their_own_column_with_their_mark(reports):
    first = {**reports[0], "published": [PAPER]}
    table = compare(first, reports[1])
    assert "Theirs (table 1)" in table
    assert cells(table, "FID")[3] == "33.5 (not comparable)"
    assert "- Theirs (table 1), FID: FID: inception there, none here" in table
    fitting = {**first["conditions"], **PAPER["conditions"]}
    both = [{**report, "conditions": {**report["conditions"], **fitting}} for report in (first, reports[1])]
    assert cells(compare(*both), "FID")[3] == "33.5"


def test_files_that_are_no_reports_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such report"):
        read_json(tmp_path / "none.json")
    (tmp_path / "report.json").write_text("[]", "utf-8")
    with pytest.raises(ValueError, match="no report of format 1"):
        read_json(tmp_path)
    (tmp_path / "report.json").write_text("{", "utf-8")
    with pytest.raises(ValueError, match="is no JSON"):
        read_json(tmp_path / "report.json")


def test_the_command_prints_the_table(files, capsys):
    assert main(["--compare", *map(str, files)]) == 0
    printed = capsys.readouterr().out
    assert "B - A" in printed
    assert json.loads(files[0].read_text("utf-8"))["title"] in "obeys on small, version 1"
    assert main(["--compare", str(files[0]), "none.json"]) == 2
    assert "no such report" in capsys.readouterr().err
