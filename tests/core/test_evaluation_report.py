"""The report: rows whose figures are known, the oracle that shows a wrong tracker, and the three files."""

import json
import math
import re
from dataclasses import replace

import pytest
import torch
from small_evaluation import astray, made_report, small_protocol, standing, write_videos

from draganything_core.annotate import main as annotate
from draganything_core.annotation_config import NamedTracker
from draganything_core.data.synthetic import SyntheticConfig, synthetic_clips
from draganything_core.data.synthetic_export import write_vipseg
from draganything_core.evaluation.bootstrap import Interval
from draganything_core.evaluation.cases import AnnotatedProtocol, open_cases, open_protocol
from draganything_core.evaluation.objmc import objmc_reference
from draganything_core.evaluation.report import cell_text, interval_text, is_lost, json_text
from draganything_core.evaluation.report_page import interval_plot
from draganything_core.evaluation.results import pictures_of, write_report
from draganything_core.types import Size


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The report over videos that obey exactly, its folder, bench and rows."""
    root = tmp_path_factory.mktemp("report")
    protocol = small_protocol(root)
    report, bench, rows = made_report(protocol, root / "out", write_videos(protocol, root / "videos"), "theirs")
    write_report(report, root / "out", pictures_of(root / "out", rows))
    return report, root / "out", bench, rows


def figure(report, row, group, name):
    (found,) = (each for each in report.rows if each.name == row)
    return found.statistics()[group][name].value


def test_videos_that_obey_are_as_good_as_the_oracle_and_standing_still_is_one(made):
    report = made[0]
    assert figure(report, "theirs", "points", "ratio") == pytest.approx(
        figure(report, "real", "points", "ratio"), abs=0.02
    )
    assert figure(report, "real", "points", "ratio") < 0.3
    assert figure(report, "static", "points", "ratio") == pytest.approx(1, abs=0.02)
    assert figure(report, "static", "points", "static_px") == figure(report, "theirs", "points", "static_px")
    assert figure(report, "static", "sprites", "ratio") == pytest.approx(1, abs=0.05)
    assert figure(report, "real", "sprites", "ratio") < 0.05
    assert figure(report, "static", "entities", "iou") < figure(report, "real", "entities", "iou")
    assert figure(report, "static", "entities", "leakage") == pytest.approx(0, abs=0.02)


def test_pictures_of_the_truth_are_at_no_distance_and_the_oracle_has_none(made):
    report = made[0]
    assert figure(report, "theirs", "pictures", "rFID") == pytest.approx(0, abs=1e-3)  # 8 bits were lost on the way
    assert not report.rows[-1].distances


def test_a_wrong_tracker_shows_in_the_oracle_row(tmp_path):
    protocol = small_protocol(tmp_path)
    videos = write_videos(protocol, tmp_path / "videos", standing)
    wrong = NamedTracker("astray", "1", {}, astray)
    report, _, _ = made_report(protocol, tmp_path / "out", videos, "theirs", wrong)
    assert figure(report, "real", "points", "mean_px") > 3
    assert figure(report, "real", "points", "mean_px") == figure(report, "theirs", "points", "mean_px")
    assert figure(report, "real", "sprites", "mean_px") < 0.5  # which asks no tracker


def test_a_row_whose_points_are_lost_is_marked(tmp_path):
    # Noise has the error of standing still, by a tracker that holds the last place: nobody shall take it for that.
    protocol = small_protocol(tmp_path)
    noise = torch.Generator().manual_seed(0)
    videos = write_videos(protocol, tmp_path / "videos", lambda frames: torch.rand(frames.shape, generator=noise))
    report, _, _ = made_report(protocol, tmp_path / "out", videos, "noise")
    found = report.intervals()
    assert is_lost(found["noise"])
    assert cell_text(found["noise"], "points", "ratio").endswith("†")
    assert not is_lost(found["real"])
    assert "†" not in cell_text(found["real"], "points", "ratio")
    assert found["noise"]["entities"]["iou"].value < 0.1


def test_objmc_is_the_original_scripts_on_the_tracks_that_are_written(made):
    report, out, _, _ = made
    for row in ("theirs", "static"):
        assert figure(report, row, "points", "ObjMC_ref") == pytest.approx(
            objmc_reference(out / "asked_tracks", out / row / "tracks"), rel=1e-9
        )


def test_json_holds_everything_and_parses_anywhere(made):
    text = (made[1] / "report.json").read_text("utf-8")
    assert "NaN" not in text
    assert "Infinity" not in text
    report = json.loads(text)
    assert report["conditions"]["protocol"] == "small, version 1"
    assert report["conditions"]["clips"] == 3
    assert report["conditions"]["size"] == "64x96"
    assert report["conditions"]["tracker"].startswith("lucas_kanade")
    assert "OpenCV" in report["conditions"]["tracker"]
    assert report["bootstrap"] == {"seed": 0, "resamples": 100, "level": 0.95}
    assert [len(report["judgements"][row]) for row in ("theirs", "static", "real")] == [3, 3, 3]
    found = report["rows"]["theirs"]["figures"]["points"]["mean_px"]
    assert found["low"] <= found["value"] <= found["high"]
    assert found["clips"] == 3


def test_markdown_has_tables_conditions_and_what_is_missing(made):
    text = (made[1] / "report.md").read_text("utf-8")
    assert "| error / error of standing still |" in text
    assert "ratio to standing still" in text
    assert "frames: 4" in text
    assert re.search(r"FID: FID needs Inception weights.*--inception FILE", text)
    assert "row no_control: give --model tiny" in text
    assert "nan" not in text


def test_the_page_needs_nothing_else_and_shows_pictures(made):
    text = (made[1] / "report.html").read_text("utf-8")
    assert text.count("<svg") >= 4
    assert text.count('src="data:image/jpeg;base64,') == 1
    assert not re.search(r'(src|href)="(?!data:)', text)
    assert "<script" not in text
    assert "nan" not in re.sub(r"base64,[^\"]*", "", text)


def test_names_that_hold_markup_are_only_text():
    plot = interval_plot({"<b>": Interval(1.0, 0.5, 2.0, 3)}, {"<b>": "#000"})
    assert "<b>" not in plot
    assert "&lt;b&gt;" in plot


def test_an_interval_is_written_with_three_digits_or_not_at_all():
    assert interval_text(Interval(1.23456, 0.5, 2.0, 3)) == "1.23 [0.5, 2]"
    assert interval_text(Interval(1.23456)) == "1.23"
    assert interval_text(Interval(math.nan)) == ""
    assert json.loads(json_text({"a": [math.nan, math.inf, 1.5]})) == {"a": [None, None, 1.5]}


# --- protocols of datasets --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "size", "source"),
    [
        ("vipseg_val_256x14", Size(256, 256), "VIPSeg"),
        ("vipseg_val_320x576", Size(320, 576), "VIPSeg"),
        ("davis", Size(320, 576), "DAVIS 2017"),
    ],
)
def test_shipped_protocols_say_what_they_need(name, size, source):
    protocol = open_protocol(name)
    assert isinstance(protocol, AnnotatedProtocol)
    assert (protocol.size, protocol.frames, protocol.source, protocol.split) == (size, 14, source, "val")
    assert protocol.published
    with pytest.raises(ValueError, match=rf"clips of {source}.*draganything_core.annotate.*--size {size} --frames 14"):
        open_cases(protocol)


def test_the_papers_figures_are_in_its_protocol():
    ours = next(entry for entry in open_protocol("vipseg_val_256x14").published if entry.method == "DragAnything")
    assert ours.figures == {"FID": 33.5, "FVD": 494.8, "ObjMC_ref": 305.7}


def test_an_annotated_dataset_is_judged_by_its_own_tracks(tmp_path):
    write_vipseg(
        synthetic_clips(3, range(3), SyntheticConfig(size=Size(72, 104), frames=5)), tmp_path / "vipseg", "val"
    )
    annotation = tmp_path / "annotation"
    assert (
        annotate([str(tmp_path / "vipseg"), str(annotation), "--split", "val", "--size", "72x104", "--worst", "0"]) == 0
    )
    (tmp_path / "mine.yaml").write_text(
        "name: mine\nversion: 1\ndataset: {source: VIPSeg, split: val}\nsize: [72, 104]\nframes: 4\n"
        "tracker: lucas_kanade\n"
        "sampling: {size: [64, 64], num_inference_steps: 1, min_guidance: 1.0, max_guidance: 1.0, seed: 0}\n",
        "utf-8",
    )
    protocol = open_protocol(tmp_path / "mine.yaml")
    case = open_cases(protocol, annotation).case(1)
    assert case.frames.shape == (4, 3, 72, 104)
    assert torch.equal(case.index[0] == 1, case.entities[0].mask)
    assert case.tracks.frames == 4
    assert case.source_size == Size(72, 104)
    other = replace(protocol, size=Size(64, 64))
    with pytest.raises(ValueError, match=r"size 72x104 instead of 64x64.*--size 64x64"):
        open_cases(other, annotation)


def test_a_protocol_that_lacks_something_is_refused_by_name(tmp_path):
    (tmp_path / "mine.yaml").write_text("name: mine\ndataset: {source: VIPSeg, split: val}\nsize: [72, 104]\n", "utf-8")
    with pytest.raises(ValueError, match=r"mine\.yaml: not a protocol of an annotated dataset"):
        open_protocol(tmp_path / "mine.yaml")
    with pytest.raises(FileNotFoundError, match="vipseg_val_256x14"):
        open_protocol("none")
