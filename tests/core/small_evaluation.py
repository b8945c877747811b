"""A protocol of three small drawn clips, videos of them on disk, and reports over these: no model is loaded."""

from __future__ import annotations

from dataclasses import replace

import torch

from draganything_core.annotation import Share
from draganything_core.annotation_config import lucas_kanade
from draganything_core.evaluation.bench import Bench
from draganything_core.evaluation.bootstrap import Bootstrap
from draganything_core.evaluation.cases import open_cases, open_protocol
from draganything_core.evaluation.frechet import random_features
from draganything_core.evaluation.judging import Judge
from draganything_core.evaluation.results import read_report
from draganything_core.evaluation.rows import real_row, static_row, video_row
from draganything_core.evaluation.videos import VideoFolder
from draganything_core.pictures import save_png
from draganything_core.types import Size

PROTOCOL = (
    "name: small\nversion: 1\nclips: {seed: 9, first: 0, count: 3}\nsize: [64, 96]\nframes: 4\n"
    "num_inference_steps: 1\nguidance: 1.0\nsampling_seed: 0\n"
)


def small_protocol(folder):
    file = folder / "small.yaml"
    file.write_text(PROTOCOL, "utf-8")
    return open_protocol(file)


def write_pictures(video, folder):
    for number, frame in enumerate(video):
        save_png(frame, folder / f"{number:05d}.png")


def write_videos(protocol, folder, change=lambda frames: frames):
    """Each clip's real frames, changed, as a folder of pictures."""
    cases = open_cases(protocol)
    for number, clip in enumerate(cases.clips):
        write_pictures(change(cases.case(number).frames), folder / clip)
    return folder


def standing(frames):
    return frames[:1].expand_as(frames)


def made_report(protocol, out, videos, name, tracker=None):
    """The report over rows NAME, static and real, with a quick bootstrap."""
    cases = open_cases(protocol)
    bench = Bench(protocol, cases, Judge(tracker or lucas_kanade(), [random_features()]), out, Share(), sheets=1)
    rows = [video_row(name, VideoFolder(videos, cases.clips), protocol), static_row(), real_row()]
    bench.judge_rows(rows, None)
    return replace(read_report(bench, rows, None, name), bootstrap=Bootstrap(resamples=100)), bench, rows


def astray(video, queries, masks=None):
    """A tracker that takes every point 3 px further down a frame, whatever the video shows."""
    steps = torch.arange(len(video))[:, None, None] * torch.tensor([0.0, 3.0])
    return queries + steps, torch.ones(len(video), len(queries), dtype=torch.bool)


SIZE = Size(64, 96)
