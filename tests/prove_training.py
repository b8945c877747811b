"""Proof that a training run which is killed again and again ends with the very weights of one that never was.

    python tests/prove_training.py [--kills 50] [--stage controlnet]

A run of 20 steps on small random networks writes a checkpoint in every step. It is killed with SIGKILL at a random
moment, while it builds, computes or writes, and started again, until it has got to its end. At the end every tensor of
its last checkpoint (network, optimizer, averages), the exported weights and the losses in metrics.jsonl are compared
bit by bit with those of a run that nothing interrupted. A run that ends before all kills are done is compared, and the
next one takes the rest. Exit status: 0 if all are equal, 1 if not.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "core"))

from training_run import different, last_state, save_small_svd, small_config, small_trainer  # noqa: E402

STEPS = 20
LONGEST_LIFE = 0.3  # of the time that the whole run takes


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--stage", choices=["controlnet", "base"], default="controlnet")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        return prove(Path(folder), options.stage, options.kills, random.Random(options.seed))


def prove(folder: Path, stage: str, kills: int, moments: random.Random) -> int:
    """The exit status."""
    svd, whole = folder / "svd", folder / "whole"
    assert wait(started(lambda: save_small_svd(svd), folder)) == 0
    assert wait(started(lambda: train(svd, whole, stage), folder)) == 0  # encodes the clips, too
    shutil.rmtree(whole)
    began = time.perf_counter()
    assert wait(started(lambda: train(svd, whole, stage), folder)) == 0
    duration = time.perf_counter() - began
    print(f"{STEPS} steps of the stage {stage}, uninterrupted, in {duration:.1f} s", flush=True)

    done = runs = 0
    while done < kills:
        runs += 1
        output = folder / f"run-{runs}"
        while True:
            life = moments.uniform(0, LONGEST_LIFE * duration) if done < kills else None
            process = started(lambda output=output: train(svd, output, stage), folder)
            status = wait(process, life)
            if status == 0:
                break
            if status != -signal.SIGKILL:
                print(f"run {runs} ended with status {status}:\n{(folder / 'log').read_text()[-4000:]}")
                return 1
            done += 1
            print(f"kill {done:2d} after {life:.2f} s, run {runs}: {remains(output)}", flush=True)
        differences = compared(whole, output)
        if differences:
            print(f"run {runs} is another: {len(differences)} differences, such as {', '.join(differences[:5])}")
            return 1
        print(f"run {runs} is the uninterrupted one: {len(last_state(whole))} tensors equal bit by bit", flush=True)
    print(f"proven: {done} kills in {runs} runs of {STEPS} steps left no trace in weights, optimizer and averages")
    return 0


def train(svd: Path, output: Path, stage: str) -> None:
    assert small_trainer(small_config(svd, output, stage, STEPS, checkpoint_every=1, log_every=1)).run() == "finished"


def started(task: Callable[[], Any], folder: Path) -> int:
    """The id of a process that does the task; forked, so that it need not import everything anew.

    This process itself never computes, for a process that has threads must not be forked.
    """
    process = os.fork()
    if process:
        return process
    status = 1
    try:
        log = os.open(folder / "log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(log, 1)
        os.dup2(log, 2)
        task()
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def wait(process: int, life: float | None = None) -> int:
    """The status of a process, -9 if it was killed; killed after ``life`` seconds unless it is done before."""
    if life is not None:
        end = time.perf_counter() + life
        while time.perf_counter() < end:
            ended, status = os.waitpid(process, os.WNOHANG)
            if ended:
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.001)
        os.kill(process, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def remains(output: Path) -> str:
    """What a killed run left."""
    checkpoints = sorted((output / "checkpoints").glob("step-*"))
    kept = (
        f"{int(checkpoints[-1].name.split('-')[1].split('.')[0])} of {STEPS} steps kept" if checkpoints else "nothing"
    )
    writing = [*output.glob("checkpoints/.step-*"), *output.glob(".weights-*")]
    return kept + (f", {writing[0].name} half written" if writing else "")


def compared(whole: Path, other: Path) -> list[str]:
    """What is not the same in two runs."""
    differences = different(last_state(whole), last_state(other))
    files = [file.relative_to(whole) for file in (whole / "weights").rglob("*") if file.is_file()]
    differences += [str(file) for file in files if (whole / file).read_bytes() != (other / file).read_bytes()]
    if losses(whole) != losses(other):
        differences.append("metrics.jsonl")
    return differences


def losses(output: Path) -> list[tuple[int, float]]:
    lines = [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]
    return [(line["step"], line["loss"]) for line in lines]


if __name__ == "__main__":
    sys.exit(main())
