#!/usr/bin/env python
"""Compares this implementation with stored outputs of the original code, one line a comparison.

    python tests/goldens/check.py DIR...

A folder is recognised by what is in it, never by its name:
    A  ControlNet: inputs.safetensors and outputs.safetensors with the residuals of single samples
    B  pipeline: the same two files with latents and frames, and config.json with every network's configuration
    C  condition maps: *.npz with centres, labels and gaussian
    D  ObjMC: expected.json beside folders that hold gt/ and pred/
Exit 1 if any error is past its tolerance, 2 if a folder is none of these.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from check_a import check_a, is_controlnet_golden
from check_b import check_b, is_pipeline_golden
from check_c import check_c, is_conditions_golden
from check_d import check_d, is_objmc_golden
from comparison import Comparison

KINDS: tuple[tuple[str, Callable[[Path], bool], Callable[[Path], list[Comparison]]], ...] = (
    ("ControlNet", is_controlnet_golden, check_a),
    ("pipeline", is_pipeline_golden, check_b),
    ("condition maps", is_conditions_golden, check_c),
    ("ObjMC", is_objmc_golden, check_d),
)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path, metavar="DIR")
    failed = 0
    for folder in parser.parse_args(argv).folders:
        kind = next(((name, check) for name, recognises, check in KINDS if recognises(folder)), None)
        if kind is None:
            print(f"{folder}: none of the known goldens; see --help for what each is recognised by", file=sys.stderr)
            return 2
        name, check = kind
        print(f"{folder}: {name}")
        for comparison in check(folder):
            print(f"  {comparison}")
            failed += not comparison.passed
    print("all within tolerance" if not failed else f"{failed} past tolerance")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
