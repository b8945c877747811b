"""Trains on annotated or synthetic clips: the ControlNet on a frozen video model, or a small video model to put it on.

    python -m draganything_core.train paper.yaml --networks.svd SVD --data.annotation ANNOTATION
    torchrun --standalone --nproc-per-node 8 -m draganything_core.train a100_40gb.yaml --global_batch 16
    python -m draganything_core.train paper.yaml --dry-run

CONFIG.yaml is a path, or the name of one that comes with the package. Every value in it can be overridden by its dotted
name: --optimizer.lr 2e-5, --data.frames "[25, 20, 14]". Checkpoints, metrics.jsonl, videos made on the way and the
weights for inference go into the config's output folder. The same command goes on where a run stopped, on any number
of processes that divides global_batch, and ends with the same weights. SIGTERM, SIGUSR1 and Ctrl-C write a checkpoint
first.

Several machines: torchrun --nnodes 2 --node-rank 0 or 1 --nproc-per-node 8 --master-addr FIRST -m ... on each, with
output and cache on a disk that all of them see.

Exit status: 0 trained to the end; 75 interrupted, start the same command again; 1 training failed; 2 wrong arguments.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from datetime import timedelta
from pathlib import Path

import torch

from .training.config_file import config_to_yaml, describe_keys, load_config, shipped_configs

logger = logging.getLogger(__name__)

EXIT_FAILED, EXIT_ARGUMENTS = 1, 2
EXIT_INTERRUPTED = 75  # "try again later", as schedulers know it
WAIT = timedelta(hours=24)  # for the other processes while one validates or fills its part of the cache


def main(argv: list[str] | None = None) -> int:
    options, overrides = parse_arguments(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        return run(options, overrides)
    except (ValueError, OSError, ImportError) as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_ARGUMENTS


def run(options: argparse.Namespace, overrides: list[str]) -> int:
    config = load_config(options.config, overrides)
    if options.print_config:
        print(config_to_yaml(config), end="")
        return 0
    try:
        from accelerate import Accelerator
        from accelerate.utils import InitProcessGroupKwargs
    except ImportError as error:
        raise ImportError("training needs accelerate: pip install draganything[train]") from error
    from .training.loop import Trainer, TrainingError
    from .training.plan import describe_run
    from .training.stages import build_stage

    if options.dry_run:
        print(describe_run(config, options.processes or int(os.environ.get("WORLD_SIZE", "1"))))
        return 0
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    # Without a device, accelerate joins processes only when told that the CPU is meant.
    has_device = torch.cuda.is_available() or torch.backends.mps.is_available()
    accelerator = Accelerator(cpu=not has_device, kwargs_handlers=[InitProcessGroupKwargs(timeout=WAIT)])
    if not accelerator.is_main_process:
        logging.getLogger().setLevel(logging.WARNING)
    try:
        outcome = Trainer(config, build_stage(config, accelerator), accelerator).run()
    except TrainingError as error:
        print(f"training stopped: {error}", file=sys.stderr)
        return EXIT_FAILED
    if outcome != "finished":
        logger.info(f"{config.output}: interrupted; the same command goes on")
        return EXIT_INTERRUPTED
    logger.info(f"{config.output}: trained to the end; the weights are in {Path(config.output) / 'weights'}")
    return 0


def parse_arguments(argv: list[str] | None = None) -> tuple[argparse.Namespace, list[str]]:
    """The options, and the overrides of the config as they stand."""
    parser = argparse.ArgumentParser(
        prog="python -m draganything_core.train",
        usage="%(prog)s CONFIG.yaml [options] [--dotted.name value ...]",
        description=__doc__,
        epilog=describe_keys(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    names = ", ".join(shipped_configs())
    parser.add_argument("config", metavar="CONFIG.yaml", help=f"a file, or one of the package's: {names}")
    parser.add_argument(
        "--dry-run", action="store_true", help="print clips, parameters, memory, steps and time; no more"
    )
    parser.add_argument("--processes", type=int, metavar="N", help="of the run that --dry-run describes")
    parser.add_argument("--print-config", action="store_true", help="print the config with all its values; no more")
    return parser.parse_known_args(argv)


if __name__ == "__main__":
    sys.exit(main())
