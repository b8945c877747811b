"""CoTracker as the annotator's tracker.

Its code may not be copied, so a small folder stands for the user's clone: the same files and entry point, the same
interface (checked by hand against version 3.0.0), and a predictor that moves points by a rule known here.
"""

import hashlib
import logging
import shutil
import sys
import types

import numpy as np
import pytest
import torch

from draganything_core.annotate import main, parse_arguments
from draganything_core.annotation import Share
from draganything_core.annotation_format import load_annotation
from draganything_core.cotracker import LICENCE, NOTICE, OVERLAP, POINTS, WINDOW, CoTracker, cotracker
from draganything_core.data.synthetic import SyntheticConfig, synthetic_clips
from draganything_core.data.synthetic_export import write_vipseg
from draganything_core.point_tracker import Tracker
from draganything_core.types import Size

HEIGHT, WIDTH, FRAMES = 60, 84, 5
VELOCITY = (2.5, -1.25)

HUBCONF = """
import torch


def cotracker3_offline(*, pretrained=True, **kwargs):
    if pretrained:
        raise OSError("this would download weights")
    from cotracker.predictor import CoTrackerPredictor

    return CoTrackerPredictor()
"""

# Queries are (t, x, y), pixels have their centres at whole numbers, colours are 0..255, visibility is bool; at its own
# frame a query is where it was put, and visible. The rule: points move by the weights' velocity, those that start on
# blue the other way, and are visible where the pixel nearest to them is redder than the weights' threshold.
PREDICTOR = """
import torch

torch.manual_seed(0)


class Network(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.velocity = torch.nn.Parameter(torch.zeros(2))
        self.threshold = torch.nn.Parameter(torch.zeros(()))


class CoTrackerPredictor(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.model = Network()
        self.calls = []

    @torch.no_grad()
    def forward(self, video, queries=None):
        batch, frames, channels, height, width = video.shape
        assert (batch, channels) == (1, 3) and video.dtype == queries.dtype == torch.float32
        assert frames <= 60, "more frames than the network learned"
        self.calls.append((frames, queries[0].clone()))
        time, start = queries[0, :, 0].long(), queries[0, :, 1:]
        way = torch.where(self._pixels(video, time, start)[:, 2:] > 128, -1.0, 1.0)
        elapsed = torch.arange(frames)[:, None, None] - time[:, None]
        tracks = start + elapsed * way * self.model.velocity
        visible = torch.stack([
            self._pixels(video, torch.full_like(time, frame), tracks[frame])[:, 0] > self.model.threshold
            for frame in range(frames)
        ])
        visible[time, torch.arange(len(time))] = True
        return tracks[None], visible[None]

    def _pixels(self, video, time, places):
        column, row = (places + 0.5).floor().long().unbind(-1)
        return video[0, time, :, row.clamp(0, video.shape[-2] - 1), column.clamp(0, video.shape[-1] - 1)]
"""


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """The folder that stands for the user's clone."""
    folder = tmp_path_factory.mktemp("user") / "co-tracker"
    (folder / "cotracker").mkdir(parents=True)
    (folder / "hubconf.py").write_text(HUBCONF)
    (folder / "cotracker" / "__init__.py").write_text("")
    (folder / "cotracker" / "version.py").write_text('__version__ = "3.0.0"\n')
    (folder / "cotracker" / "predictor.py").write_text(PREDICTOR)
    yield folder
    for name in [name for name in sys.modules if name.split(".")[0] == "cotracker"]:
        del sys.modules[name]


def weights_file(folder, velocity=VELOCITY, threshold=128.0):
    file = folder / "scaled_offline.pth"
    torch.save({"velocity": torch.tensor(velocity), "threshold": torch.tensor(threshold)}, file)
    return file


@pytest.fixture
def weights(tmp_path):
    return weights_file(tmp_path)


def tracker(clone, folder, **values) -> CoTracker:
    track = cotracker(clone, weights_file(folder, **values)).track
    assert isinstance(track, CoTracker)
    return track


def disc(x, y, radius):
    ys, xs = torch.meshgrid(torch.arange(HEIGHT), torch.arange(WIDTH), indexing="ij")
    return (xs - x) ** 2 + (ys - y) ** 2 < radius**2


def red(frames=FRAMES):
    """A video on which every point is visible."""
    video = torch.zeros(frames, 3, HEIGHT, WIDTH)
    video[:, 0] = 0.8
    return video


def straight(start, frames=FRAMES, velocity=VELOCITY):
    return torch.tensor(start)[None] + torch.arange(frames)[:, None, None] * torch.tensor(velocity)


START = [[20.0, 40.0], [50.0, 30.0]]
MASKS = torch.stack([disc(20, 40, 11), disc(50, 30, 9)])


class TestTracks:
    def test_points_move_as_the_predictor_says(self, clone, tmp_path):
        track: Tracker = tracker(clone, tmp_path)
        tracks, visibility = track(red(), torch.tensor(START), MASKS)
        assert (tracks.shape, tracks.dtype) == ((FRAMES, 2, 2), torch.float32)
        torch.testing.assert_close(tracks, straight(START))
        assert torch.equal(tracks[0], torch.tensor(START))
        assert (visibility.shape, visibility.dtype) == ((FRAMES, 2), torch.bool)
        assert visibility.all()

    def test_the_centre_and_16_points_in_each_circle_are_asked_for(self, clone, tmp_path):
        track = tracker(clone, tmp_path)
        track(red(), torch.tensor(START), MASKS)
        ((frames, queries),) = track.predictor.calls
        assert (frames, queries.shape) == (FRAMES, (2 * POINTS, 3))
        assert (queries[:, 0] == 0).all()
        for points, center, mask in zip(queries[:, 1:].split(POINTS), torch.tensor(START), MASKS, strict=True):
            assert torch.equal(points[0], center)
            columns, rows = (points + 0.5).floor().long().unbind(-1)
            assert mask[rows, columns].all()
            distance = (points - center).norm(dim=1)
            radius = int(mask[int(center[1])].sum()) / 2
            assert 0.6 * radius < distance.max() < 0.8 * radius
            assert (points - center).mean(dim=0).abs().max() < 0.1 * radius
            assert torch.pdist(points).min() > 0.15 * radius

    def test_pixel_centres_are_at_whole_numbers(self, clone, tmp_path):
        """One pixel is red in each frame, where the query will be; half a pixel off, or x for y, and it is unseen."""
        track = tracker(clone, tmp_path, velocity=(3.0, -2.0))
        start = torch.tensor([[WIDTH - 20.49, 30.49]])
        video = torch.zeros(FRAMES, 3, HEIGHT, WIDTH)
        for frame, (x, y) in enumerate(straight(start.tolist(), velocity=(3.0, -2.0))[:, 0].round().long()):
            video[frame, 0, y, x] = 1
        nothing = torch.zeros(1, HEIGHT, WIDTH, dtype=torch.bool)  # so all of its points lie on the query
        tracks, visibility = track(video, start, nothing)
        assert visibility.all()
        torch.testing.assert_close(tracks, straight(start.tolist(), velocity=(3.0, -2.0)))

    def test_colours_are_red_green_blue_in_0_to_255(self, clone, tmp_path):
        for red_level, seen in ((129 / 255, True), (127 / 255, False)):
            video = torch.zeros(2, 3, HEIGHT, WIDTH)
            video[:, 0] = red_level
            video[:, 1] = 1
            _, visibility = tracker(clone, tmp_path)(video, torch.tensor(START), MASKS)
            assert visibility[1].tolist() == [seen, seen]

    def test_a_minority_that_goes_astray_does_not_matter(self, clone, tmp_path):
        video = red()
        video[:, 2, :, :18] = 1  # blue: a third of the first disc; points there move the other way
        track = tracker(clone, tmp_path)
        tracks, _ = track(video, torch.tensor(START), MASKS)
        astray = (track.predictor.calls[0][1][:POINTS, 1] < 17.5).sum()
        assert 3 <= astray < POINTS / 2
        torch.testing.assert_close(tracks, straight(START))

    def test_hidden_points_have_no_say(self, clone, tmp_path):
        video = red()
        video[0, 2, :, :23] = 1  # most points of the first disc go astray, out to the left ...
        video[1:, 0, :, :18] = 0  # ... and are hidden there
        track = tracker(clone, tmp_path, velocity=(6.0, 0.0))
        tracks, visibility = track(video, torch.tensor(START), MASKS)
        assert (track.predictor.calls[0][1][:POINTS, 1] < 22.5).sum() > POINTS / 2
        torch.testing.assert_close(tracks[2:], straight(START, velocity=(6.0, 0.0))[2:])
        assert not visibility[2:, 0].any()  # too few are left to call it visible
        assert visibility[:, 1].all()

    def test_where_none_is_visible_it_holds_and_comes_back(self, clone, tmp_path):
        video = red()
        video[2:4, 0] = 0
        tracks, visibility = tracker(clone, tmp_path)(video, torch.tensor(START), MASKS)
        expected = straight(START)
        expected[2:4] = expected[1]
        torch.testing.assert_close(tracks, expected)
        assert visibility[:, 0].tolist() == [True, True, False, False, True]

    def test_off_the_picture_it_is_not_visible(self, clone, tmp_path):
        track = tracker(clone, tmp_path, velocity=(12.0, 0.0))
        tracks, visibility = track(red(), torch.tensor([[50.0, 30.0], [-9.0, 200.0]]), MASKS)
        assert tracks[:, 0, 0].tolist() == [50, 62, 74, 86, 98]
        assert visibility[:, 0].tolist() == [True, True, True, False, False]
        assert not visibility[:, 1].any()

    def test_without_masks_a_disc_is_taken_that_stays_on_the_picture(self, clone, tmp_path):
        track = tracker(clone, tmp_path)
        track(red(), torch.tensor([[40.0, 30.0], [80.0, 30.0]]))
        points = track.predictor.calls[0][1][:, 1:].split(POINTS)
        reach = [float((own - own[0]).norm(dim=1).max()) for own in points]
        assert reach == [pytest.approx(0.7 * 16), pytest.approx(0.7 * 4)]

    def test_one_frame_and_no_query_ask_nothing(self, clone, tmp_path):
        track = tracker(clone, tmp_path)
        tracks, visibility = track(red(1), torch.tensor(START), MASKS)
        assert tracks.tolist() == [START]
        assert visibility.all()
        for masks in (None, MASKS[:0]):
            tracks, visibility = track(red(), torch.zeros(0, 2), masks)
            assert (tracks.shape, visibility.shape) == ((FRAMES, 0, 2), (FRAMES, 0))
        assert track.predictor.calls == []

    def test_many_points_are_asked_for_in_parts(self, clone, tmp_path):
        track = tracker(clone, tmp_path)
        start = torch.rand(70, 2, generator=torch.Generator().manual_seed(0)) * 20 + 20
        tracks, _ = track(red(), start)
        assert [len(queries) for _, queries in track.predictor.calls] == [510, 510, 170]
        torch.testing.assert_close(tracks, straight(start.tolist()))

    @pytest.mark.parametrize(
        ("video", "queries", "problem"),
        [
            (torch.zeros(2, 1, 40, 56), torch.zeros(1, 2), r"\(T, 3, H, W\)"),
            (torch.zeros(2, 3, 40, 56), torch.full((1, 2), torch.nan), "not a finite number"),
            (torch.zeros(2, 3, 1, 56), torch.zeros(1, 2), "at least 2x2 pixels, got 1x56"),
        ],
    )
    def test_what_does_not_fit_is_named(self, clone, tmp_path, video, queries, problem):
        with pytest.raises(ValueError, match=problem):
            tracker(clone, tmp_path)(video, queries)

    def test_other_results_than_expected_are_named(self):
        def four_dimensional(video, queries):  # visibility as a readme says it is
            return torch.zeros(1, video.shape[1], queries.shape[1], 2), torch.ones(1, video.shape[1], 34, 1) > 0

        def infinite(video, queries):
            shape = (1, video.shape[1], queries.shape[1])
            return torch.full((*shape, 2), torch.inf), torch.ones(shape) > 0

        for predictor, problem in ((four_dimensional, r"\(1, 5, 34, 1\).*3\.0\.0"), (infinite, "not finite")):
            with pytest.raises(ValueError, match=problem):
                CoTracker(predictor, torch.device("cpu"))(red(), torch.tensor(START), MASKS)


class TestLongClips:
    @pytest.mark.parametrize(("frames", "windows"), [(60, [60]), (61, [60, 21]), (100, [60, 60]), (101, [60, 60, 21])])
    def test_windows_go_on_from_each_other(self, clone, tmp_path, frames, windows):
        assert (WINDOW, OVERLAP) == (60, 20)
        track = tracker(clone, tmp_path, velocity=(0.25, 0.125))
        tracks, visibility = track(red(frames), torch.tensor(START), MASKS)
        assert [called for called, _ in track.predictor.calls] == windows
        torch.testing.assert_close(tracks, straight(START, frames, (0.25, 0.125)))
        assert visibility.all()

    def test_a_window_begins_where_each_point_was_last_seen(self, clone, tmp_path):
        video = red(80)
        video[55:70, 0] = 0
        track = tracker(clone, tmp_path, velocity=(0.25, 0.125))
        tracks, visibility = track(video, torch.tensor(START), MASKS)
        assert (track.predictor.calls[1][1][:, 0] == 14).all()  # of the second window's frames: the clip's 54
        expected = straight(START, 80, (0.25, 0.125))
        expected[55:70] = expected[54]
        torch.testing.assert_close(tracks, expected)
        assert visibility[:55].all()
        assert not visibility[55:70].any()
        assert visibility[70:].all()

    def test_hidden_for_all_of_the_overlap_is_lost(self, clone, tmp_path):
        video = red(120)
        video[38:62, 0, :, :40] = 0
        track = tracker(clone, tmp_path, velocity=(0.0, 0.0))
        tracks, visibility = track(video, torch.tensor(START), MASKS)
        assert [len(queries) for _, queries in track.predictor.calls] == [2 * POINTS, POINTS, POINTS]
        assert visibility[:38].all()
        assert not visibility[38:, 0].any()
        assert visibility[:, 1].all()
        torch.testing.assert_close(tracks, torch.tensor(START).expand(120, 2, 2))


class TestLoading:
    def test_the_record_says_what_it_was_and_under_which_licence(self, clone, weights):
        named = cotracker(clone, weights)
        assert named.name == "cotracker"
        assert named.version == "1 (CoTracker 3.0.0)"
        settings = named.as_json()["settings"]
        assert settings["licence"] == LICENCE == "CC-BY-NC-4.0 (not for commercial use)"
        assert settings["weights_sha256"] == hashlib.sha256(weights.read_bytes()).hexdigest()
        assert (settings["entry"], settings["points"]) == ("cotracker3_offline", 17)
        assert cotracker(clone, weights) == named
        assert cotracker(clone, weights_file(weights.parent, velocity=(1.0, 0.0))) != named

    def test_changed_code_is_another_tracker(self, clone, weights):
        before = cotracker(clone, weights)
        extra = clone / "cotracker" / "models.py"
        extra.write_text("SCALE = 2\n")
        try:
            assert cotracker(clone, weights).settings["code_sha256"] != before.settings["code_sha256"]
        finally:
            extra.unlink()

    def test_the_licence_is_said_when_it_is_loaded(self, clone, weights, caplog):
        cotracker(clone, weights)
        (record,) = caplog.records
        assert record.levelno == logging.WARNING
        assert record.getMessage() == NOTICE
        assert "CC-BY-NC 4.0" in NOTICE
        assert "not for commercial use" in NOTICE

    def test_loading_leaves_path_and_random_numbers_alone(self, clone, weights):
        sys.modules.pop("cotracker.predictor", None)  # its first import seeds the global random numbers
        torch.rand(1)
        path, state = list(sys.path), torch.random.get_rng_state()
        cotracker(clone, weights)
        assert sys.path == path
        assert torch.equal(torch.random.get_rng_state(), state)

    def test_weights_as_training_writes_them(self, clone, tmp_path):
        file = weights_file(tmp_path)
        torch.save({"model": torch.load(file), "step": 3}, file)
        tracks, _ = cotracker(clone, file).track(red(), torch.tensor(START), MASKS)
        torch.testing.assert_close(tracks, straight(START))

    @pytest.mark.parametrize("missing", ["folder", "weights", "hubconf.py", "cotracker/version.py"])
    def test_what_is_missing_is_said_with_where_to_get_it(self, clone, weights, tmp_path, missing):
        folder = shutil.copytree(clone, tmp_path / "copy")
        file = weights
        if missing == "folder":
            folder = tmp_path / "nowhere"
        elif missing == "weights":
            file = tmp_path / "nothing.pth"
        else:
            (folder / missing).unlink()
        with pytest.raises(FileNotFoundError) as raised:
            cotracker(folder, file)
        message = str(raised.value)
        assert str(file if missing == "weights" else folder) in message
        for said in (
            "CC-BY-NC 4.0: not for commercial use",
            "git clone https://github.com/facebookresearch/co-tracker",
            "https://huggingface.co/facebook/cotracker3",
            "102 MB",
            "nothing is downloaded",
            "--cotracker-weights scaled_offline.pth",
        ):
            assert said in message

    def test_an_older_version_is_refused_unrun(self, clone, weights, tmp_path):
        folder = shutil.copytree(clone, tmp_path / "copy")
        (folder / "hubconf.py").write_text("raise SystemExit('run')\n\ndef cotracker2(*, pretrained=True):\n    pass\n")
        with pytest.raises(ValueError, match="older than version 3"):
            cotracker(folder, weights)

    def test_bad_weights_are_refused_before_any_code_is_run(self, clone, tmp_path):
        folder = shutil.copytree(clone, tmp_path / "copy")
        (folder / "hubconf.py").write_text("raise SystemExit('run')\n\ndef cotracker3_offline(): ...\n")
        file = tmp_path / "weights.pth"
        file.write_bytes(b"version https://git-lfs")
        with pytest.raises(ValueError, match="not a file of weights alone"):
            cotracker(folder, file)
        torch.save({"velocity": print}, file)  # a pickle that names a function: loading it safely must fail
        with pytest.raises(ValueError, match="not a file of weights alone"):
            cotracker(folder, file)
        torch.save([1, 2], file)
        with pytest.raises(ValueError, match="holds no weights by name"):
            cotracker(folder, file)

    def test_weights_of_another_network_are_named(self, clone, tmp_path):
        file = tmp_path / "scaled_online.pth"
        torch.save({"velocity": torch.zeros(3), "threshold": torch.zeros(())}, file)
        with pytest.raises(ValueError, match=r"scaled_online\.pth does not fit.*not the online weights.*velocity"):
            cotracker(clone, file)

    def test_code_that_needs_another_package_says_so(self, clone, weights, tmp_path, monkeypatch):
        folder = shutil.copytree(clone, tmp_path / "copy")
        (folder / "hubconf.py").write_text(f"import no_such_package\n{HUBCONF}")
        monkeypatch.delitem(sys.modules, "cotracker", raising=False)
        with pytest.raises(ImportError, match=r"copy cannot be imported: No module named 'no_such_package'"):
            cotracker(folder, weights)

    def test_another_package_of_that_name_is_not_used_instead(self, clone, weights, monkeypatch, tmp_path):
        other = types.ModuleType("cotracker")
        other.__file__ = str(tmp_path / "elsewhere" / "cotracker" / "__init__.py")
        monkeypatch.setitem(sys.modules, "cotracker", other)
        with pytest.raises(ValueError, match=r"imported from .*elsewhere"):
            cotracker(clone, weights)


# --- the command line -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dataset") / "vipseg"
    write_vipseg(synthetic_clips(3, range(2), SyntheticConfig(size=Size(72, 104), frames=4)), folder)
    return folder


def run(dataset, out, *arguments):
    return main([str(dataset), str(out), "--size", "72x104", "--worst", "0", *map(str, arguments)])


def with_cotracker(clone, weights):
    return ["--tracker", "cotracker", "--cotracker", clone, "--cotracker-weights", weights, "--device", "cpu"]


class TestAnnotate:
    def test_tracks_and_record_are_cotrackers(self, clone, dataset, tmp_path, caplog):
        file = weights_file(tmp_path, velocity=(0.5, 0.25), threshold=-1.0)
        assert run(dataset, tmp_path / "out", *with_cotracker(clone, file)) == 0
        assert [record.getMessage() for record in caplog.records] == [NOTICE]
        annotation = load_annotation(tmp_path / "out")
        assert len(annotation) == 2
        for clip in annotation:
            start = clip.arrays.centre0[:, None]
            assert np.array_equal(clip.arrays.track[:, :1], start)
            steps = np.abs(np.diff(clip.arrays.track, axis=1))  # those of blue sprites go the other way
            np.testing.assert_allclose(steps, np.broadcast_to((0.5, 0.25), steps.shape), atol=1e-4)
            assert clip.record.tracker["name"] == "cotracker"
            assert clip.record.tracker["settings"]["licence"] == LICENCE
        assert "tracker cotracker, version 1 (CoTracker 3.0.0)" in (tmp_path / "out" / "report.md").read_text()

    def test_another_tracker_or_other_weights_annotate_anew(self, clone, dataset, tmp_path):
        out, file = tmp_path / "out", weights_file(tmp_path, threshold=-1.0)

        def written():
            return {str(npz): npz.stat().st_mtime_ns for npz in sorted(out.rglob("*.npz"))}

        def names():
            return {record.tracker["name"] for record in load_annotation(out).records}

        assert run(dataset, out) == 0
        by_lucas_kanade = written()
        assert names() == {"lucas_kanade"}
        assert run(dataset, out, *with_cotracker(clone, file)) == 0
        by_cotracker = written()
        assert names() == {"cotracker"}
        assert all(by_cotracker[name] != when for name, when in by_lucas_kanade.items())
        assert run(dataset, out, *with_cotracker(clone, file)) == 0
        assert written() == by_cotracker
        weights_file(tmp_path, velocity=(1.0, 1.0), threshold=-1.0)
        assert run(dataset, out, *with_cotracker(clone, file)) == 0
        assert all(written()[name] != when for name, when in by_cotracker.items())

    def test_of_several_processes_one_says_the_licence(self, clone, weights, dataset, tmp_path, monkeypatch, caplog):
        level = logging.getLogger("draganything_core.cotracker").level
        monkeypatch.setattr("draganything_core.annotate.process_share", lambda: Share(rank=1, count=2))
        try:
            assert run(dataset, tmp_path / "out", *with_cotracker(clone, weights)) == 0
        finally:
            logging.getLogger("draganything_core.cotracker").setLevel(level)
        assert caplog.records == []
        assert len(list((tmp_path / "out" / "clips").glob("*.json"))) == 1

    def test_an_unknown_tracker_is_refused(self, dataset, tmp_path, capsys):
        with pytest.raises(SystemExit) as ended:
            run(dataset, tmp_path / "out", "--tracker", "raft")
        assert ended.value.code == 2
        assert "'raft'" in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["--tracker", "cotracker"], "needs --cotracker DIR and --cotracker-weights FILE"),
            (["--tracker", "cotracker", "--cotracker", "CLONE"], "https://huggingface.co/facebook/cotracker3"),
            (["--tracker", "cotracker", "--cotracker", "no", "--cotracker-weights", "no"], "no folder"),
            (["--cotracker", "CLONE"], "CLONE is for --tracker cotracker"),
            (["--device", "cpu"], "--device cpu is for --tracker cotracker"),
        ],
    )
    def test_wrong_arguments_are_named(self, dataset, tmp_path, capsys, arguments, message):
        assert run(dataset, tmp_path / "out", *arguments) == 2
        assert message in capsys.readouterr().err
        assert not (tmp_path / "out").exists()

    def test_a_device_that_is_not_there_is_named(self, clone, weights, dataset, tmp_path, capsys):
        assert run(dataset, tmp_path / "out", *with_cotracker(clone, weights), "--device", "abacus") == 2
        assert "--device abacus: not a device" in capsys.readouterr().err

    def test_help_says_that_the_folders_code_is_run_and_the_licence(self, capsys):
        with pytest.raises(SystemExit):
            parse_arguments(["--help"])
        text = " ".join(capsys.readouterr().out.split())
        assert "the code in it is run" in text
        assert "CC-BY-NC 4.0: not for commercial use" in text
        assert "Nothing is downloaded" in text
