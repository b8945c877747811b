"""Video files: what is written comes back, plays everywhere, and what is no video is refused."""

from __future__ import annotations

import ctypes
import logging
import sys

import av
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from draganything_core import video
from draganything_core.video import read_video, write_video


def smooth_clip(frames: int = 9, height: int = 48, width: int = 70) -> Tensor:
    """(T,3,H,W): three different gradients that move, so that axis, channel and frame order all show."""
    t = torch.arange(frames)[:, None, None] / frames
    y = torch.linspace(0, 1, height)[:, None]
    x = torch.linspace(0, 1, width)[None]
    return torch.stack([(x + t + 0 * y) / 2, y + 0 * x + 0 * t, (x * y + t) / 2], dim=1)


def psnr(a: Tensor, b: Tensor) -> float:
    return float(-10 * torch.log10(((a - b) ** 2).mean()))


def test_a_smooth_clip_survives_the_round_trip(tmp_path):
    clip = smooth_clip()
    write_video(clip, tmp_path / "clip.mp4", 7)
    frames, fps, _ = read_video(tmp_path / "clip.mp4")
    assert frames.shape == clip.shape
    assert frames.dtype == torch.float32
    assert fps == 7
    assert psnr(frames, clip) > 35
    for index in range(len(clip)):
        errors = [psnr(frames[index], other) for other in clip]
        assert max(range(len(clip)), key=errors.__getitem__) == index  # in order, none twice


@pytest.mark.parametrize("fps", [0.5, 1, 7, 12.5, 23.976, 24000 / 1001, 30000 / 1001, 60, 1000 / 3])
@pytest.mark.parametrize("count", [1, 2, 5])
def test_frame_count_and_rate_are_exact(tmp_path, fps, count):
    write_video(smooth_clip(count, 16, 24), tmp_path / "clip.mp4", fps)
    frames, read_fps, _ = read_video(tmp_path / "clip.mp4")
    assert len(frames) == count
    assert read_fps == pytest.approx(fps, rel=1e-12)


def test_the_file_is_what_players_expect(tmp_path):
    write_video(smooth_clip(), tmp_path / "clip.mp4", 7)
    with av.open(str(tmp_path / "clip.mp4")) as container:
        context = container.streams.video[0].codec_context
        assert (context.name, context.pix_fmt) == ("h264", "yuv420p")
        assert (context.colorspace, context.color_primaries, context.color_trc, context.color_range) == (1, 1, 1, 1)
    data = (tmp_path / "clip.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")  # the index comes first: it plays while it loads


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only glibc fills what it allocates")
def test_equal_frames_are_equal_files_whatever_the_memory_held_before(tmp_path, seed):
    """Shows only where libx264 would read memory nobody wrote: on processors with AVX-512."""
    generator = torch.Generator().manual_seed(seed)
    clip = functional.interpolate(torch.rand(8, 3, 4, 6, generator=generator), size=(64, 96), mode="bilinear")
    allocator, fill = ctypes.CDLL(None), -6  # M_PERTURB
    try:
        for byte in (0, 1, 85, 170):
            allocator.mallopt(fill, byte)
            write_video(clip, tmp_path / f"{byte}.mp4", 7)
    finally:
        allocator.mallopt(fill, 0)
    assert len({(tmp_path / f"{byte}.mp4").read_bytes() for byte in (0, 1, 85, 170)}) == 1


def test_saturated_colours_keep_their_hue(tmp_path):
    bars = torch.eye(3)[:, :, None, None].expand(3, 3, 32, 48)  # a red, a green and a blue frame
    write_video(bars, tmp_path / "bars.mp4", 7)
    frames, _, _ = read_video(tmp_path / "bars.mp4")
    torch.testing.assert_close(frames, bars.contiguous(), atol=0.03, rtol=0)


def test_tags_of_any_name_come_back(tmp_path):
    tags = {"title": "Bird", "comment": "two\nlines", "draganything.seed": "7", "with space": "ünï", "empty": ""}
    write_video(smooth_clip(2), tmp_path / "clip.mp4", 7, tags)
    assert read_video(tmp_path / "clip.mp4")[2] == tags
    write_video(smooth_clip(2), tmp_path / "clip.mp4", 7)
    assert read_video(tmp_path / "clip.mp4")[2] == {}


def test_an_odd_size_gets_its_last_row_and_column_twice(tmp_path, caplog):
    clip = smooth_clip(3, 41, 57)
    with caplog.at_level(logging.INFO, logger=video.__name__):
        write_video(clip, tmp_path / "odd.mp4", 7)
    assert "41x57 is odd" in caplog.text
    frames, _, _ = read_video(tmp_path / "odd.mp4")
    assert frames.shape == (3, 3, 42, 58)
    assert psnr(frames[..., :41, :57], clip) > 35
    assert psnr(frames[..., 41, :57], clip[..., 40, :]) > 30
    assert psnr(frames[..., :41, 57], clip[..., :, 56]) > 30


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_any_float_type_is_taken(tmp_path, dtype):
    write_video(smooth_clip(2).to(dtype), tmp_path / "clip.mp4", 7)
    assert psnr(read_video(tmp_path / "clip.mp4")[0], smooth_clip(2)) > 35


def test_without_libx264_the_next_encoder_is_taken_and_said(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(video, "ENCODERS", ("no_such_encoder", "mpeg4"))
    write_video(smooth_clip(), tmp_path / "clip.mp4", 7)
    assert "built without no_such_encoder, taking mpeg4" in caplog.text
    frames, fps, _ = read_video(tmp_path / "clip.mp4")
    assert (frames.shape, fps) == (smooth_clip().shape, 7)
    assert psnr(frames, smooth_clip()) > 35


def test_a_build_without_any_encoder_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(video, "ENCODERS", ("no_such_encoder",))
    with pytest.raises(ValueError, match=r"none of the encoders no_such_encoder.*Install"):
        write_video(smooth_clip(2), tmp_path / "clip.mp4", 7)


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        (torch.zeros(3, 8, 8), r"\(T, 3, H, W\).*\(3, 8, 8\)"),
        (torch.zeros(2, 8, 8, 3), r"\(T, 3, H, W\).*\(2, 8, 8, 3\)"),
        (torch.zeros(0, 3, 8, 8), "at least one frame"),
        (torch.zeros(2, 3, 8, 8, dtype=torch.uint8), "uint8.*Divide"),
        (torch.full((2, 3, 8, 8), -1.0), r"-1\.\.-1"),
        (torch.full((2, 3, 8, 8), 255.0), r"255\.\.255"),
        (torch.full((2, 3, 8, 8), float("nan")), "NaN"),
    ],
)
def test_frames_that_are_no_frames_are_refused(tmp_path, frames, message):
    with pytest.raises(ValueError, match=message):
        write_video(frames, tmp_path / "clip.mp4", 7)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("fps", [0, -7, float("nan"), float("inf"), 1e-9])
def test_a_rate_that_is_none_is_refused(tmp_path, fps):
    with pytest.raises(ValueError, match="fps must be"):
        write_video(smooth_clip(2), tmp_path / "clip.mp4", fps)


@pytest.mark.parametrize("name", ["clip", "clip.gif", "clip.webm"])
def test_another_suffix_is_refused(tmp_path, name):
    with pytest.raises(ValueError, match=r"ends in \.mp4"):
        write_video(smooth_clip(2), tmp_path / name, 7)


@pytest.mark.parametrize(("tags", "message"), [({"encoder": "me"}, "'encoder'"), ({"": "x"}, "''"), ({"a": 1}, "int")])
def test_tags_that_would_be_lost_are_refused(tmp_path, tags, message):
    with pytest.raises(ValueError, match=message):
        write_video(smooth_clip(2), tmp_path / "clip.mp4", 7, tags)


def test_a_failed_write_leaves_the_old_file(tmp_path):
    resource = pytest.importorskip("resource")
    write_video(smooth_clip(2), tmp_path / "clip.mp4", 7)
    before = (tmp_path / "clip.mp4").read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))  # as if the disk were full after that
    try:
        with pytest.raises(OSError, match="too large"):
            write_video(torch.rand(30, 3, 64, 64), tmp_path / "clip.mp4", 7)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (tmp_path / "clip.mp4").read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["clip.mp4"]


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        read_video(tmp_path / "nowhere.mp4")


def test_what_is_no_video_is_refused(tmp_path):
    text = tmp_path / "notes.mp4"
    text.write_text("not a video\n" * 100)
    with pytest.raises(ValueError, match=r"notes\.mp4.*cannot be read as a video"):
        read_video(text)


@pytest.mark.parametrize("share", [0.01, 0.5, 0.9])  # cut within the index, and within the pictures
def test_a_cut_off_file_is_refused(tmp_path, share):
    write_video(torch.rand(12, 3, 48, 70), tmp_path / "clip.mp4", 7)
    data = (tmp_path / "clip.mp4").read_bytes()
    (tmp_path / "half.mp4").write_bytes(data[: int(len(data) * share)])
    with pytest.raises(ValueError, match=r"half\.mp4"):
        read_video(tmp_path / "half.mp4")


def test_a_sound_file_is_refused(tmp_path):
    with av.open(str(tmp_path / "sound.wav"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        stream.layout = "mono"
        frame = av.AudioFrame(format="s16", layout="mono", samples=800)
        frame.sample_rate, frame.pts = 8000, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(ValueError, match="no video stream"):
        read_video(tmp_path / "sound.wav")
