"""Judging a folder of videos that somebody made: how they are found, cut and resized, and what is judged anew."""

import json

import pytest
import torch
from small_evaluation import PROTOCOL, made_report, small_protocol, standing, write_pictures, write_videos

from draganything_core.evaluate import main
from draganything_core.evaluation.rows import video_row
from draganything_core.evaluation.videos import VideoFolder
from draganything_core.types import Size
from draganything_core.video import write_video

SIZE = Size(32, 48)


def noise(frames, size=SIZE, seed=0):
    return torch.rand(frames, 3, size.height, size.width, generator=torch.Generator().manual_seed(seed))


def test_pictures_are_read_in_order_and_exactly(tmp_path):
    video = (noise(12) * 255).round() / 255
    for number, frame in enumerate(video):
        write_pictures(frame[None], tmp_path / "a" / "one")
        (tmp_path / "a" / "one" / "00000.png").rename(tmp_path / "a" / f"{number}.png")
    (tmp_path / "a" / "one").rmdir()
    assert torch.allclose(VideoFolder(tmp_path, ["a"]).video("a", 12, SIZE), video, atol=1e-6)


def test_a_video_file_will_do_longer_and_larger_than_its_clip(tmp_path):
    flat = torch.full((6, 3, 64, 96), 0.25)
    flat[4:] = 1.0
    write_video(flat, tmp_path / "a.mp4", 7)
    found = VideoFolder(tmp_path, ["a"]).video("a", 4, SIZE)
    assert found.shape == (4, 3, 32, 48)
    assert (found - 0.25).abs().max() < 0.03


def test_a_video_that_is_shorter_is_refused(tmp_path):
    write_pictures(noise(3), tmp_path / "a")
    with pytest.raises(ValueError, match=r"a has 3 frames, its clip is judged by 4"):
        VideoFolder(tmp_path, ["a"]).video("a", 4, SIZE)


def test_clips_without_a_video_are_named_with_how_videos_are_named(tmp_path):
    write_pictures(noise(2), tmp_path / "a")
    with pytest.raises(FileNotFoundError, match=r"2 of 3 clips have no video: b, c.*CLIP\.mp4.*--clips N"):
        VideoFolder(tmp_path, ["a", "b", "c"])
    with pytest.raises(FileNotFoundError, match="no such folder"):
        VideoFolder(tmp_path / "none", ["a"])


def test_a_replaced_file_is_another_video(tmp_path):
    write_pictures(noise(2), tmp_path / "a")
    folder = VideoFolder(tmp_path, ["a"])
    before = folder.sha256("a")
    assert folder.sha256("a") == before
    write_pictures(noise(2, seed=1), tmp_path / "a")
    assert folder.sha256("a") != before


@pytest.mark.parametrize("name", ["real", "control", "", "../up", ".hidden"])
def test_a_name_that_is_another_rows_or_no_folders_is_refused(tmp_path, name):
    with pytest.raises(ValueError, match="--name"):
        video_row(name, VideoFolder(tmp_path, []), small_protocol(tmp_path))


def test_only_new_and_replaced_videos_are_judged(tmp_path):
    protocol = small_protocol(tmp_path)
    videos = write_videos(protocol, tmp_path / "videos", standing)
    made_report(protocol, tmp_path / "out", videos, "theirs")
    files = sorted((tmp_path / "out" / "theirs" / "judged").glob("0*.json"))
    assert len(files) == 3
    times = [file.stat().st_mtime_ns for file in files]
    write_pictures(noise(4, Size(64, 96)), videos / "00001")
    made_report(protocol, tmp_path / "out", videos, "theirs")
    assert [file.stat().st_mtime_ns == before for file, before in zip(files, times, strict=True)] == [True, False, True]


def test_the_command_judges_a_folder_without_a_model(tmp_path, capsys):
    protocol = small_protocol(tmp_path)
    videos, out = write_videos(protocol, tmp_path / "videos", standing), tmp_path / "out"
    arguments = ["--videos", str(videos), "--protocol", str(tmp_path / "small.yaml"), "--clips", "2", "--out", str(out)]
    assert main([*arguments, "--name", "theirs", "--device", "cpu"]) == 0
    report = json.loads((out / "report.json").read_text("utf-8"))
    assert set(report["rows"]) == {"theirs", "static", "real"}
    assert report["subject"] == "theirs"
    assert report["rows"]["theirs"]["figures"]["points"]["ratio"]["value"] == pytest.approx(1, abs=0.05)
    assert {each["name"] for each in report["absent"]} >= {"row no_control", "FID", "FVD"}
    assert "theirs: 2 clips" in capsys.readouterr().out
    assert main(arguments) == 2
    assert "--videos DIR and --name X go together" in capsys.readouterr().err
    assert main([*arguments, "--name", "theirs", "--rows", "control"]) == 2
    assert "needs a model" in capsys.readouterr().err


def test_judgements_of_another_protocol_are_never_mixed(tmp_path, capsys):
    protocol = small_protocol(tmp_path)
    videos = write_videos(protocol, tmp_path / "videos")
    made_report(protocol, tmp_path / "out", videos, "theirs")
    (tmp_path / "other.yaml").write_text(PROTOCOL.replace("seed: 9", "seed: 6"), "utf-8")
    other, out = str(tmp_path / "other.yaml"), str(tmp_path / "out")
    arguments = ["--videos", str(videos), "--name", "theirs", "--device", "cpu"]
    assert main([*arguments, "--protocol", other, "--out", out]) == 2
    assert "judgements with another protocol" in capsys.readouterr().err
