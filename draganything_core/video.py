"""Video files in and out, through PyAV: no ffmpeg program is needed."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import torch
from einops import rearrange
from torch import Tensor
from torch.nn import functional

from .atomic import replacing

logger = logging.getLogger(__name__)

# Best first. PyAV's own wheels hold libx264; builds without GPL parts have one of the others.
ENCODERS = ("libx264", "libopenh264", "mpeg4")
CRF = 17  # libx264's constant quality, 0 lossless .. 51 worst; at 17 the loss is hard to see
# libx264 on AVX-512 reads memory that nobody wrote where it propagates through its macroblock tree, and equal frames
# become another file with every write. Without the tree files are larger and no less like the frames.
X264_PARAMETERS = "mbtree=0"
BITS_PER_PIXEL = 2.0  # for the encoders that want a bit rate instead: generous, these clips are short
BT709 = 1  # the same number names the colour primaries, the transfer curve and the matrix
LIMITED_RANGE = 1

# What the mp4 muxer writes about itself: not the caller's to set, and no part of what is read back.
CONTAINER_TAGS = frozenset({"major_brand", "minor_version", "compatible_brands", "encoder"})


def write_video(frames: Tensor, path: Path | str, fps: float, metadata: Mapping[str, str] | None = None) -> None:
    """Writes an H.264 mp4, whole or not at all.

    frames (T,3,H,W) float in 0..1, on any device. metadata: container tags, any names ("title" and "comment" are what
    players show), read back by :func:`read_video`. Pixels are yuv420p, BT.709, limited range, which every player and
    browser shows; that format has even sizes only: of an odd height or width the last row or column is written twice
    (logged). Without libx264 in the PyAV build the next best encoder is taken, which is logged too.
    Raises ValueError on anything else than such frames, a rate that is not > 0, or a path that does not end in .mp4.
    """
    target = Path(path)
    if target.suffix.lower() != ".mp4":
        raise ValueError(f"a video is written as .mp4, got {str(target)!r}. Give a file name that ends in .mp4.")
    rate = _frame_rate(fps)
    tags = _checked_tags(metadata or {})
    pixels = _even_pixels(_checked_frames(frames))
    with replacing(target) as temporary:
        _encode(pixels, temporary, rate, tags)


def read_video(path: Path | str) -> tuple[Tensor, float, dict[str, str]]:
    """Frames (T,3,H,W) float32 in 0..1, frames per second, and the container's tags.

    fps is the stream's average rate. Any container and codec PyAV decodes will do; a clip is held in memory whole
    (12 bytes a pixel and frame). Raises FileNotFoundError if there is no such file, ValueError if it is not a video.
    """
    source = Path(path)
    if not source.is_file():
        raise FileNotFoundError(f"no video file at {str(source)!r}; check its name and folder")
    try:
        with av.open(str(source)) as container:
            if not container.streams.video:
                raise ValueError(f"{str(source)!r} holds no video stream. Give a video file such as an .mp4.")
            stream = container.streams.video[0]
            images = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
            rate = stream.average_rate
            tags = {name: value for name, value in container.metadata.items() if name not in CONTAINER_TAGS}
    except av.error.FFmpegError as error:
        raise ValueError(
            f"{str(source)!r} cannot be read as a video ({error}). Give a whole video file such as an .mp4."
        ) from error
    if not images or rate is None:
        raise ValueError(f"{str(source)!r} holds no frame with a time. Give a video file such as an .mp4.")
    frames = rearrange(torch.from_numpy(np.stack(images)), "t h w c -> t c h w")
    return frames.float() / 255, float(rate), tags


def _checked_frames(frames: Tensor) -> Tensor:
    if frames.ndim != 4 or frames.shape[1] != 3 or 0 in frames.shape:
        raise ValueError(f"video frames must be (T, 3, H, W) with at least one frame, got {tuple(frames.shape)}")
    if not frames.is_floating_point():
        raise ValueError(f"video frames must be float in 0..1, got {frames.dtype}. Divide 8 bit frames by 255.")
    lowest, highest = float(frames.min()), float(frames.max())
    # A NaN fails the comparison too. The margin is half an 8 bit step: no visible difference, so no reason to refuse.
    if not (lowest >= -0.5 / 255 and highest <= 1 + 0.5 / 255):
        raise ValueError(
            f"video frames must lie in 0..1, got {lowest:g}..{highest:g}. "
            "Map -1..1 by (x + 1) / 2, or clamp; a NaN comes from a decoder run in half precision."
        )
    return frames


def _frame_rate(fps: float) -> Fraction:
    if not (math.isfinite(fps) and fps > 0):
        raise ValueError(f"fps must be a finite number > 0, got {fps}")
    rate = Fraction(fps).limit_denominator(1001)  # 1001 because NTSC rates are 24000 / 1001 and its like
    if not rate:
        raise ValueError(f"fps must be at least 0.001, got {fps}")
    return rate


def _checked_tags(metadata: Mapping[str, str]) -> dict[str, str]:
    for name, value in metadata.items():
        if not name or name in CONTAINER_TAGS:
            raise ValueError(f"metadata: the name {name!r} is the container's own. Choose another name.")
        if not isinstance(value, str):
            raise ValueError(f"metadata: {name!r} must be text, got {type(value).__name__}. Convert it with str().")
    return dict(metadata)


def _even_pixels(frames: Tensor) -> np.ndarray:
    """(T,H,W,3) uint8, height and width even."""
    height, width = frames.shape[-2:]
    if height % 2 or width % 2:
        logger.info("video: %dx%d is odd, its last row or column is written twice", height, width)
        frames = functional.pad(frames, (0, width % 2, 0, height % 2), mode="replicate")
    levels = (frames.detach().float().clamp(0, 1) * 255).round().to(torch.uint8)
    return np.ascontiguousarray(rearrange(levels.cpu(), "t c h w -> t h w c").numpy())


def _encode(pixels: np.ndarray, path: Path, rate: Fraction, tags: dict[str, str]) -> None:
    height, width = pixels.shape[1:3]
    # use_metadata_tags keeps names the mp4 muxer does not know; faststart lets a browser play while it loads.
    with av.open(str(path), "w", format="mp4", options={"movflags": "use_metadata_tags+faststart"}) as container:
        container.metadata.update(tags)
        encoder = _best_encoder()
        stream = container.add_stream(encoder, rate=rate)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        if encoder == "libx264":
            stream.options = {"crf": str(CRF), "x264-params": X264_PARAMETERS}
        else:
            stream.bit_rate = int(max(height * width * float(rate) * BITS_PER_PIXEL, 1_000_000))
        # Without these tags players guess the matrix from the size, and colours shift.
        context = stream.codec_context
        context.color_primaries = context.color_trc = context.colorspace = BT709
        context.color_range = LIMITED_RANGE
        for index, image in enumerate(pixels):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(
                format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG"
            )
            frame.pts, frame.time_base = index, 1 / rate
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _best_encoder() -> str:
    available = [name for name in ENCODERS if name in av.codecs_available]
    if not available:
        raise ValueError(f"this PyAV build has none of the encoders {', '.join(ENCODERS)}. Install `av` from PyPI.")
    if available[0] != ENCODERS[0]:
        logger.warning("video: PyAV was built without %s, taking %s", ENCODERS[0], available[0])
    return available[0]
