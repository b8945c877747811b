"""The command that trains: its exit status, its signals, one process or two, and kills without warning."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from training_run import different, last_state, save_small_svd, small_config, small_trainer

from draganything_core import train
from draganything_core.training.config_file import config_to_yaml
from draganything_core.weights import load_controlnet

TESTS = Path(__file__).parents[1]
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
PATIENCE = 240  # s, for what takes some on an idle machine


@pytest.fixture(autouse=True)
def on_one_thread_of_the_cpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def svd(tmp_path_factory):
    return save_small_svd(tmp_path_factory.mktemp("svd"))


@pytest.fixture(scope="module")
def config(svd):
    """A file with a config of ten steps, with a line in metrics.jsonl for each."""
    file = svd / "run.yaml"
    changes = {"log_every": 1, "checkpoint_every": 100, "threads": 1}
    file.write_text(config_to_yaml(small_config(svd, svd / "runs", steps=10, **changes)))
    return file


@pytest.fixture(scope="module")
def whole(config, svd):
    """The folder of that run, never interrupted."""
    output = svd / "whole"
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
        assert train.main([str(config), "--output", str(output)]) == 0
    return output


def lines(output):
    file = output / "metrics.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.is_file() else []


def until_it_trains(output, process=None):
    """Returns once the first step is done. Raises if that does not come."""
    end = time.monotonic() + PATIENCE
    while not lines(output):
        assert process is None or process.poll() is None, "the run ended before its first step"
        assert time.monotonic() < end, "the run does not begin"
        time.sleep(0.01)


@contextmanager
def started(*command):
    process = subprocess.Popen(
        [sys.executable, *map(str, command)],
        env=ENVIRONMENT, cwd=TESTS.parent, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def children(process):
    table = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    return sorted(int(child) for child, parent in map(str.split, table.splitlines()) if int(parent) == process.pid)


# --- exit status ------------------------------------------------------------------------------------------------------


def test_a_run_to_the_end_is_success_and_leaves_weights(whole):
    assert [line["step"] for line in lines(whole)] == list(range(10))
    assert {path.name for path in whole.iterdir()} >= {"checkpoints", "metrics.jsonl", "weights"}
    assert load_controlnet(whole / "weights").config.motion_bucket_id == 30


def test_a_signal_is_exit_status_75_and_the_same_command_goes_on_exactly(config, whole, tmp_path):
    command = [str(config), "--output", str(tmp_path / "run")]
    waits = threading.Thread(
        target=lambda: (until_it_trains(tmp_path / "run"), os.kill(os.getpid(), signal.SIGTERM)), daemon=True
    )
    waits.start()
    assert train.main(command) == train.EXIT_INTERRUPTED == 75
    waits.join()
    assert len(lines(tmp_path / "run")) < 10
    assert train.main(command) == 0
    assert different(last_state(tmp_path / "run"), last_state(whole)) == []


def test_values_that_stay_infinite_are_exit_status_1(config, tmp_path, capsys):
    output = tmp_path / "run"
    settings = ["--optimizer.lr", "1e30", "--optimizer.warmup_steps", "0", "--max_nonfinite", "2"]
    assert train.main([str(config), "--output", str(output), *settings]) == 1
    assert "2 steps in a row without a finite loss and gradient" in capsys.readouterr().err
    assert len(list((output / "nonfinite").iterdir())) == 2
    assert lines(output)[-1]["skipped_steps"] == 1


def test_another_runs_checkpoint_is_exit_status_2(config, whole, tmp_path, capsys):
    copy = shutil.copytree(whole, tmp_path / "copy")
    assert train.main([str(config), "--output", str(copy), "--seed", "8"]) == 2
    assert "seed is 7 in the checkpoint and 8 now" in capsys.readouterr().err


# --- real processes ---------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_command_itself_ends_with_75_and_goes_on_exactly(config, whole, tmp_path):
    command = ["-m", "draganything_core.train", config, "--output", tmp_path / "run"]
    with started(*command) as process:
        until_it_trains(tmp_path / "run", process)
        process.send_signal(signal.SIGUSR1)
        assert process.wait(PATIENCE) == 75
    with started(*command) as process:
        output, _ = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, output
    assert different(last_state(tmp_path / "run"), last_state(whole)) == []


@pytest.mark.slow
def test_two_processes_end_together_and_are_one_but_for_rounding(svd, config, whole, tmp_path):
    output = tmp_path / "run"
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [*launcher, "-m", "draganything_core.train", config, "--output", output]
    with started(*command) as process:
        until_it_trains(output, process)
        os.kill(children(process)[-1], signal.SIGTERM)  # one of the two alone
        log, _ = process.communicate(timeout=PATIENCE)
        assert process.returncode != 0
        assert "exitcode  : 75" in log
    steps_done = len(lines(output))
    assert 0 < steps_done < 10
    with started(*command) as process:
        log, _ = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, log
    assert f"going on at step {steps_done}" in log
    assert [line["step"] for line in lines(output)] == list(range(10))
    # Gradients are added up in another order. Of a gradient that is next to nothing Adam makes a whole step, so single
    # weights may be apart by the length of one; the two runs as a whole are not.
    losses = [[line["loss"] for line in lines(folder)] for folder in (whole, output)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    start = dict(small_trainer(small_config(svd, tmp_path)).stage.objective.named_parameters())
    weights = [
        torch.cat([state[f"step-00000010 network.{name}"].double().flatten() for name in start])
        for state in map(last_state, (whole, output))
    ]
    moved = (weights[0] - torch.cat([value.detach().double().flatten() for value in start.values()])).norm()
    apart = weights[0] - weights[1]
    print(f"apart by {apart.norm() / moved:.1e} of the way, single weights by {apart.abs().max():.1e}")
    assert apart.norm() < 1e-3 * moved
    assert apart.abs().max() < 1e-3  # the learning rate


@pytest.mark.slow
def test_three_kills_leave_no_trace():
    command = [sys.executable, TESTS / "prove_training.py", "--kills", "3"]
    proof = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=PATIENCE)
    assert proof.returncode == 0, proof.stdout + proof.stderr
    assert proof.stdout.count("kill ") == 3
    assert "proven: 3 kills" in proof.stdout
