"""A picture and what was drawn on it -> a video in which the things move as drawn.

    python -m draganything_core.generate motion.json --svd DIR --controlnet DIR
    python -m draganything_core.generate motion.json --model tiny
    python -m draganything_core.generate demo_folder --preview
    python -m draganything_core.generate motion.json --svd DIR --controlnet DIR --offload --dry-run

The input is a motion document (.json) or a folder in the layout of the authors' demo (demo.json, picture, masks).
Beside OUT.mp4 come OUT.sheet.png (contact sheet), OUT.overlay.mp4 (lines and circles on the result), OUT.conditions.png
(what the network is told) and OUT.settings.json (everything that was resolved, versions and seed).
"""

from __future__ import annotations

import argparse
import json
import logging
import platform
import sys
import tempfile
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import cv2
import torch

from . import __version__
from .atomic import write_text
from .command_line import (
    DTYPES,
    add_machine_options,
    add_weights_options,
    check_machine_options,
    chosen_dtype,
    positive_int,
    size_argument,
)
from .conditions import Geometry
from .document import document_to_json
from .evaluation.located_paths import found_paths
from .generation import Generation, Motion, Sampling, generate_video, preview_maps, resolve_motion
from .generation_memory import described_networks, plan_generation
from .images import resized_picture
from .models import Models, load_models, tiny_models
from .motion_input import read_motion
from .pictures import condition_picture, contact_sheet, overlay_frames, save_png
from .segment import GrabCutSegmenter, SamSegmenter
from .tiny import WEIGHTS
from .types import ConditionMaps, Size
from .video import write_video
from .weights import preset_choices

logger = logging.getLogger(__name__)

DISTORTION = 0.03  # share by which width and height may be scaled differently before it is said
OVERLAY_SIDE = 256  # px; the short side below which the overlay video is enlarged


def main(argv: list[str] | None = None) -> int:
    options = parse_arguments(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        if not options.dry_run:  # which may plan for another machine
            check_machine_options(options)
        run(options)
    except (ValueError, OSError, ImportError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def run(options: argparse.Namespace) -> None:
    given = read_motion(options.input, options.image)
    if options.dry_run:
        print(_plan(options, options.frames or given.document.frames))
        return
    out = Path(options.out or Path("output") / f"{given.name}.mp4")
    if out.suffix.lower() != ".mp4":
        raise ValueError(f"--out {out}: the video is written as .mp4; give a file name that ends in .mp4")
    _check_place(out)
    models = None if options.preview else _models(options)
    geometry, size, default_anchor = _choices(options, models)
    segmenter = SamSegmenter.from_checkpoint(options.sam, device=options.device) if options.sam else GrabCutSegmenter()
    motion = resolve_motion(
        given,
        segmenter,
        frames=options.frames,
        fit=options.fit,
        anchor=options.anchor,
        default_anchor=default_anchor,
    )
    if models is None:
        _save_conditions(out, motion, preview_maps(motion, size, geometry))
        return
    _warn_of_distortion(motion, size)
    sampling = _sampling(options)
    generation = generate_video(models, motion, size, sampling)
    _save(out, options, motion, models, sampling, generation)


def parse_arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m draganything_core.generate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("input", help="motion document (.json) or demo folder")
    parser.add_argument("--out", metavar="FILE.mp4", help="video to write (default: output/NAME.mp4)")
    parser.add_argument("--image", metavar="FILE", help="first frame, if not the one the input names")
    parser.add_argument("--preview", action="store_true", help="draw the conditions only; no model is loaded")
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="say how much memory each stage takes; no weights are read, and --device need not be there",
    )
    parser.add_argument(
        "--no-metadata", action="store_true", help="leave 'generated', model and settings out of the mp4"
    )

    weights = add_weights_options(parser, required=False)
    weights.add_argument("--model", choices=["tiny"], help="the small built-in model instead of SVD")

    motion = parser.add_argument_group("motion")
    motion.add_argument("--frames", type=positive_int, help="number of frames (default: the document's)")
    motion.add_argument(
        "--size", type=size_argument, metavar="HxW", help="size to generate at (default: the weights' own)"
    )
    motion.add_argument(
        "--fit",
        choices=["stretch", "hold", "cut"],
        help="lines with another number of points than frames: resample, hold the last point, or end there",
    )
    motion.add_argument(
        "--anchor", choices=["center", "grabbed_point"], help="for all paths: discs move by the line, or sit on it"
    )

    sampling = parser.add_argument_group("sampling")
    sampling.add_argument("--seed", type=int, default=0, help="of all randomness (0)")
    sampling.add_argument("--steps", type=positive_int, help="denoising steps (the weights' own; SVD: 25)")
    sampling.add_argument("--min-guidance", type=float, default=1.0, help="guidance of the first frame (1)")
    sampling.add_argument(
        "--max-guidance", type=float, help="guidance of the last frame (the weights' own; SVD: 3); <= 1: none"
    )
    sampling.add_argument("--strength", type=float, default=1.0, help="factor on the control (1); 0 is SVD alone")
    sampling.add_argument(
        "--control-start", type=float, default=0.0, help="control acts from this part of the steps on (0)"
    )
    sampling.add_argument("--control-end", type=float, default=1.0, help="and up to this one (1)")
    sampling.add_argument(
        "--motion-bucket-id",
        type=float,
        help="time id, how much moves (default: the weights' own, or as much as is drawn)",
    )
    sampling.add_argument("--fps-id", type=float, help="time id, frames per second minus one")
    sampling.add_argument("--noise-aug-strength", type=float, help="noise on the picture, and its time id")
    sampling.add_argument(
        "--clip-preprocessing", choices=["svd", "reference"], help="the picture's way into CLIP: SVD's or the authors'"
    )
    sampling.add_argument(
        "--painting",
        choices=["vector", "channel_0"],
        help="the whole entity vector, or the authors' demo's one channel",
    )

    machine = add_machine_options(parser)
    machine.add_argument("--split-guidance", action="store_true", help="half the memory, a little slower")
    machine.add_argument("--decode-chunk-size", type=positive_int, default=8, help="frames decoded at once (8)")
    return parser.parse_args(argv)


def _plan(options: argparse.Namespace, frames: int) -> str:
    """The memory of each stage, for the options that decide it."""
    dtype = DTYPES[options.dtype] if options.dtype else torch.float16
    svd, controlnet = (WEIGHTS, WEIGHTS / "controlnet") if _is_tiny(options) else (options.svd, options.controlnet)
    networks = described_networks(svd, controlnet, preset=options.preset, dtype=dtype)
    config = networks.controlnet.config
    size = options.size or Size(*config.size)
    most = config.max_guidance_scale if options.max_guidance is None else options.max_guidance
    plan = plan_generation(
        networks,
        frames,
        size,
        guided=max(most, options.min_guidance) > 1,
        split_guidance=options.split_guidance,
        offload=options.offload,
        decode_chunk_size=options.decode_chunk_size,
    )
    name = next(name for name, each in DTYPES.items() if each is dtype)
    return f"{frames} frames of {size} in {name}, GiB on the device:\n{plan}"


def _is_tiny(options: argparse.Namespace) -> bool:
    """Whether the small built-in model was asked for; ValueError unless that or all folders were named."""
    if options.model == "tiny":
        given = [f"--{name}" for name in ("svd", "controlnet", "features", "preset") if getattr(options, name)]
        if given:
            raise ValueError(f"--model tiny brings its own weights; leave out {' and '.join(given)}, or --model tiny")
        return True
    missing = [f"--{name}" for name in ("svd", "controlnet") if getattr(options, name) is None]
    if missing:
        raise ValueError(
            f"{' and '.join(missing)} missing. Give --svd DIR and --controlnet DIR, or --model tiny for the small "
            "built-in model, or --preview to draw the conditions with no model."
        )
    return False


def _models(options: argparse.Namespace) -> Models:
    if _is_tiny(options):
        return tiny_models(dtype=chosen_dtype(options), device=options.device)
    return load_models(
        options.svd,
        options.controlnet,
        features=options.features,
        preset=options.preset,
        dtype=chosen_dtype(options),
        device=options.device,
        offload=options.offload,
    )


def _choices(options: argparse.Namespace, models: Models | None) -> tuple[Geometry, Size, Any]:
    """Geometry, size and default anchor: the weights' own, or without a model those of the preset."""
    if models is not None:
        config = models.pipeline.controlnet.config
        return models.geometry, options.size or models.native_size, config.anchor
    if options.preset is None:
        return Geometry("exact"), options.size or Size(320, 576), "center"
    choices = preset_choices(options.preset)
    geometry = Geometry(choices["geometry"], choices["max_radius"], Size(*choices["max_radius_size"]))
    return geometry, options.size or Size(*choices["size"]), choices["anchor"]


def _sampling(options: argparse.Namespace) -> Sampling:
    return Sampling(
        seed=options.seed,
        num_inference_steps=options.steps,
        min_guidance_scale=options.min_guidance,
        max_guidance_scale=options.max_guidance,
        control_strength=options.strength,
        control_start=options.control_start,
        control_end=options.control_end,
        fps_id=options.fps_id,
        motion_bucket_id=options.motion_bucket_id,
        noise_aug_strength=options.noise_aug_strength,
        clip_preprocessing=options.clip_preprocessing,
        painting=options.painting,
        split_guidance=options.split_guidance,
        decode_chunk_size=options.decode_chunk_size,
    )


def _save(
    out: Path, options: argparse.Namespace, motion: Motion, models: Models, sampling: Sampling, generation: Generation
) -> None:
    settings = _settings(options, motion, models, sampling, generation)
    metadata = None if options.no_metadata else _metadata(settings)
    fps = motion.document.fps
    write_video(generation.frames, out, fps, metadata)
    # Lines and names need room: a small video is shown at twice its size.
    scale = 1 if min(generation.frames.shape[-2:]) >= OVERLAY_SIDE else 2
    overlay = overlay_frames(generation.frames, motion.tracks, motion.names, motion.colors, scale)
    write_video(overlay, out.with_suffix(".overlay.mp4"), fps, metadata)
    picture = resized_picture(motion.image, Size.of(generation.frames))
    rows = [("picture", picture[None]), ("generated", generation.frames), ("lines on the result", overlay)]
    save_png(contact_sheet(rows), out.with_suffix(".sheet.png"))
    write_text(out.with_suffix(".settings.json"), json.dumps(settings, indent=1, ensure_ascii=False) + "\n")
    print(f"video:    {out}  ({len(generation.frames)} frames of {Size.of(generation.frames)}, seed {sampling.seed})")
    for name in ("sheet.png", "overlay.mp4", "settings.json"):
        print(f"beside:   {out.with_suffix('.' + name)}")
    _save_conditions(out, motion, generation.maps)
    error = found_paths(generation.frames, motion.image, motion.entities, motion.tracks).error
    print(f"obeyed:   {error}; found by {error.tracker}")
    if models.remark:
        print(f"remark:   {models.remark}")


def _check_place(out: Path) -> None:
    """Raises an error while nothing is lost, if the files could not be written in the end."""
    if out.is_dir():
        raise IsADirectoryError(f"--out {out} is a folder; give the name of the video in it")
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=out.parent):
        pass


def _warn_of_distortion(motion: Motion, size: Size) -> None:
    scale_x, scale_y = motion.document.size.scale_to(size)
    if abs(scale_x / scale_y - 1) > DISTORTION:
        logger.warning(
            "The %s picture is generated at %s and so stretched by %.0f %% in width; a --size of its own shape avoids "
            "that.",
            motion.document.size,
            size,
            (scale_x / scale_y - 1) * 100,
        )


def _save_conditions(out: Path, motion: Motion, maps: ConditionMaps) -> None:
    picture = condition_picture(
        motion.image, maps, motion.tracks, motion.names, motion.colors, entities=motion.entities
    )
    target = out.with_suffix(".conditions.png")
    save_png(picture, target)
    print(f"beside:   {target}")


def _settings(
    options: argparse.Namespace, motion: Motion, models: Models, sampling: Sampling, generation: Generation
) -> dict[str, Any]:
    """Everything that decided the result, with None resolved to what was used."""
    config = models.pipeline.controlnet.config
    resolved = {name: config[name] if value is None else value for name, value in asdict(sampling).items()}
    packages = ("diffusers", "transformers", "numpy", "av")
    return {
        "generated_by": f"DragAnything {__version__}",
        "input": str(options.input),
        "image": options.image,
        "segmenter": f"Segment Anything, {options.sam}" if options.sam else "GrabCut",
        "preset": options.preset,
        "offload": options.offload,
        "model": models.name,
        "remark": models.remark,
        "size": str(Size.of(generation.frames)),
        "sampling": resolved,
        "weights_config": {name: value for name, value in config.items() if not name.startswith("_")},
        "dtype": str(models.pipeline.unet.dtype),
        "device": options.device,
        "document": document_to_json(motion.document),
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "opencv": cv2.__version__,
            **{name: version(name) for name in packages},
        },
    }


def _metadata(settings: dict[str, Any]) -> dict[str, str]:
    short = {name: settings[name] for name in ("model", "size", "sampling", "versions")}
    return {
        "title": settings["document"].get("image") or "video",
        "comment": f"Generated by a machine-learning model ({settings['generated_by']}, {settings['model']}).",
        "generated": "true",
        "generator": settings["generated_by"],
        "settings": json.dumps(short),
    }


if __name__ == "__main__":
    sys.exit(main())
