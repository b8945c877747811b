"""Puts the small model together from the runs that trained it: ``python -m draganything_core.tiny.pack``.

    python -m draganything_core.tiny.pack --svd runs/tiny/base/weights --controlnet runs/tiny/controlnet/weights

All weights are rounded to half precision. --vae takes the autoencoder from another folder, where its decoder has been
trained on after the video model.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from ..atomic import replacing_folder
from ..svd import load_networks, load_svd_parts, save_networks
from ..weights import load_controlnet
from . import WEIGHTS


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m draganything_core.tiny.pack",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--svd", type=Path, required=True, help="weights of the stage base")
    parser.add_argument("--controlnet", type=Path, required=True, help="weights of the stage controlnet")
    parser.add_argument("--vae", type=Path, help="weights of the stage autoencoder (default: those in --svd)")
    parser.add_argument("--out", type=Path, default=WEIGHTS, help="default: the package's own folder")
    options = parser.parse_args(argv)
    pack(options.svd, options.controlnet, options.vae or options.svd, options.out)
    size = sum(file.stat().st_size for file in options.out.rglob("*") if file.is_file())
    print(f"{options.out}: {size / 1e6:.2f} MB")  # noqa: T201


def pack(svd: Path, controlnet: Path, vae: Path, out: Path) -> None:
    """Writes unet/, vae/, image_encoder/, scheduler/ and controlnet/ into ``out``, in half precision."""
    parts = load_svd_parts(svd)
    autoencoder = load_networks(vae, ("vae",), torch.float32)["vae"]
    networks = {
        "unet": parts.unet,
        "vae": autoencoder,
        "image_encoder": parts.image_encoder,
        "controlnet": load_controlnet(controlnet),
    }
    with replacing_folder(out) as temporary:
        save_networks(temporary, {name: network.half() for name, network in networks.items()})
        parts.scheduler.save_pretrained(temporary / "scheduler")


if __name__ == "__main__":
    main()
