"""Proof that a ControlNet learns from its conditions alone, on the shipped video UNet, which stays as it is.

    python tests/prove_overfit.py [--svd FOLDER] [--steps 500]

An untrained ControlNet is given one clip under 8 noises, at levels spread evenly from 0.3 to 10 on a logarithmic scale,
and trained on nothing else. Its loss inside the masks must fall below a tenth of what it was (there the video UNet
alone answers), and the conditions of another clip must then make it at least three times as large. Exit status: 0 if
both hold, 1 if not.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import torch
from accelerate import Accelerator

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "core"))

from training_run import fixed_pairs, overfit  # noqa: E402

from draganything_core.tiny import WEIGHTS  # noqa: E402
from draganything_core.tiny.architecture import seeded  # noqa: E402
from draganything_core.training.config_file import load_config  # noqa: E402
from draganything_core.training.stages import build_stage  # noqa: E402

PAIRS, LEVELS = 8, (0.3, 10.0)
LEARNT, MIXED_UP = 0.1, 3.0  # the bounds: of the loss at the start, of the loss at the end


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--svd", type=Path, default=WEIGHTS, help="folder of the video UNet; default: the shipped one")
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument(
        "--clips", type=int, nargs=2, default=(0, 1), help="the one learnt, the one whose conditions mix up"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, seeded(0):
        return prove(Path(folder), options)


def prove(folder: Path, options: argparse.Namespace) -> int:
    """The exit status."""
    own, other = options.clips
    config = load_config(
        "tiny.yaml",
        [
            f"--networks.svd={options.svd}",
            f"--output={folder / 'run'}",
            f"--data.cache={folder / 'cache'}",
            f"--data.synthetic.clips={max(own, other) + 1}",
            "--validation.every=null",
            "--precision=fp32",
        ],
    )
    stage = build_stage(config, Accelerator(cpu=True))
    clip, mixed = (
        stage.maker.batch(stage.maker.load(0, range(1), [stage.cache.clip(0, number)]), torch.device("cpu"))[0]
        for number in (own, other)
    )
    began = time.perf_counter()
    networks = stage.networks
    pairs = fixed_pairs(clip, PAIRS, LEVELS)
    result = overfit(
        networks.svd.unet,
        networks.controlnet,
        pairs,
        list(mixed.maps or []) * PAIRS,
        steps=options.steps,
        lr=options.lr,
    )
    learnt, mixed_up = result.after / result.before, result.with_other_conditions / result.after
    print(f"{options.steps} steps on clip {own} in {time.perf_counter() - began:.0f} s; loss inside the masks:")
    print(f"{result.before:.4f} before, {result.after:.4f} after, {learnt:.1%} of it (bound {LEARNT:.0%})")
    print(
        f"{result.with_other_conditions:.4f} with conditions of clip {other}, {mixed_up:.1f} times (bound {MIXED_UP})"
    )
    return 0 if learnt < LEARNT and mixed_up >= MIXED_UP else 1


if __name__ == "__main__":
    sys.exit(main())
