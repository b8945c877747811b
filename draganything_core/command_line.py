"""What the command lines share: how a size is written, which device and number type are used."""

from __future__ import annotations

import argparse

import torch

from .types import Size

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def size_argument(text: str) -> Size:
    """Size of an argument like 320x576 (height x width)."""
    height, separator, width = text.lower().partition("x")
    if not (separator and height.isdigit() and width.isdigit() and int(height) and int(width)):
        raise argparse.ArgumentTypeError(f"expected HEIGHTxWIDTH in pixels, such as 320x576, got {text!r}")
    return Size(int(height), int(width))


def positive_int(text: str) -> int:
    """A whole number of 1 or more."""
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of 1 or more, got {text!r}")
    return int(text)


def add_weights_options(parser: argparse.ArgumentParser, *, required: bool) -> argparse._ArgumentGroup:
    group = parser.add_argument_group("weights (local files; nothing is ever downloaded)")
    group.add_argument("--svd", required=required, metavar="DIR", help="diffusers folder of Stable Video Diffusion")
    group.add_argument("--controlnet", required=required, metavar="DIR", help="DragAnything ControlNet, folder or file")
    group.add_argument("--features", metavar="DIR", help="Stable Diffusion 1.5 family folder or checkpoint, if needed")
    group.add_argument(
        "--preset",
        choices=["trained", "published"],
        help="how the authors' weights are used: as they were trained (default) or as the demo did",
    )
    group.add_argument("--sam", metavar="FILE", help="Segment Anything checkpoint for clicks (default: GrabCut)")
    return group


def add_machine_options(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    group = parser.add_argument_group("machine")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    group.add_argument("--device", default=device, help=f"cpu, cuda, cuda:1, ... ({device} here)")
    group.add_argument("--dtype", choices=sorted(DTYPES), help="default: fp16 on a GPU, fp32 on the CPU")
    group.add_argument("--offload", action="store_true", help="keep each network on the GPU only while it works")
    return group


def chosen_dtype(options: argparse.Namespace) -> torch.dtype:
    """The number type that was asked for, or the one that suits the device."""
    return DTYPES[options.dtype or ("fp32" if torch.device(options.device).type == "cpu" else "fp16")]


def check_machine_options(options: argparse.Namespace) -> None:
    """Raises ValueError for a device that is not there, or an option that needs another one."""
    device = available_device(options.device)
    if options.offload and device.type == "cpu":
        raise ValueError("--offload moves networks to a GPU while they work; it needs --device cuda")


def available_device(name: str) -> torch.device:
    """The device that --device names; ValueError for one that is not there."""
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ValueError(f"--device {name}: not a device; give cpu, cuda or cuda:N") from error
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not available.get(device.type, False):
        there = ", ".join(kind for kind, is_there in available.items() if is_there)
        raise ValueError(f"--device {name}: this machine has none; there is {there}")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ValueError(f"--device {name}: this machine has {torch.cuda.device_count()} GPUs; the first one is cuda:0")
    return device
