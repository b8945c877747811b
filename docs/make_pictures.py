"""Makes the pictures of the documentation with the built-in model: ``python docs/make_pictures.py``."""

from __future__ import annotations

import io
from pathlib import Path

import torch
import torch.nn.functional as F
from einops import rearrange
from PIL import Image
from torch import Tensor

from draganything_core.atomic import write_bytes
from draganything_core.generation import Motion, Sampling, generate_video, resolve_motion
from draganything_core.models import tiny_models
from draganything_core.motion_input import read_motion
from draganything_core.pictures import overlay_frames
from draganything_core.segment import GrabCutSegmenter

ROOT = Path(__file__).parents[1]
SAMPLE = ROOT / "draganything_core" / "tiny" / "sample" / "motion.json"
PICTURES = Path(__file__).parent / "pictures"
SCALE = 3
GAP = 6  # px
FRAME_MS, PAUSE_MS = 180, 900


def main() -> None:
    models = tiny_models()
    motion = resolve_motion(read_motion(SAMPLE), GrabCutSegmenter())
    sampling = Sampling(num_inference_steps=12, max_guidance_scale=1.0)
    video = generate_video(models, motion, models.native_size, sampling).frames
    write_animation(beside(asked(motion, len(video)), enlarged(video)), PICTURES / "first_drag.webp")
    print(f"wrote {PICTURES / 'first_drag.webp'}")


def asked(motion: Motion, frames: int) -> Tensor:
    """(T,3,H,W): the picture that stands still, with what was drawn on it."""
    still = motion.image.expand(frames, -1, -1, -1)
    return overlay_frames(still, motion.tracks, [entity.name for entity in motion.entities], scale=SCALE)


def enlarged(frames: Tensor) -> Tensor:
    """The same frames, SCALE times as large, pixels left as they are."""
    return F.interpolate(frames, scale_factor=SCALE, mode="nearest")


def beside(left: Tensor, right: Tensor) -> Tensor:
    """Two videos side by side, with a gap."""
    gap = torch.ones(*left.shape[:3], GAP)
    return torch.cat([left, gap, right], dim=-1)


def write_animation(frames: Tensor, path: Path) -> None:
    """A WebP that plays frames (T,3,H,W) again and again, with a pause at the end."""
    pixels = rearrange((frames.clamp(0, 1) * 255).round().to(torch.uint8), "t c h w -> t h w c").numpy()
    first, *others = [Image.fromarray(frame) for frame in pixels]
    durations = [FRAME_MS] * (len(pixels) - 1) + [PAUSE_MS]
    stored = io.BytesIO()
    first.save(stored, "WEBP", save_all=True, append_images=others, duration=durations, loop=0, quality=85, method=6)
    write_bytes(path, stored.getvalue())


if __name__ == "__main__":
    main()
