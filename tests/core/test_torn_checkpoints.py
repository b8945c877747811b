"""Torn checkpoints and killed saves: a run refuses by name what is damaged, and always finds a whole checkpoint."""

import json
import logging
import multiprocessing
import os
import random
import re
import resource
import signal
import sys
import time
from pathlib import Path

import pytest
import torch
from checkpoint_samples import FACTS, constant_checkpoint, names, only_value, save_steps
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import SafetensorError

from draganything_core.training.checkpoints import (
    Checkpoint,
    CheckpointError,
    load_latest,
    save_checkpoint,
)

FORK = multiprocessing.get_context("fork")


# --- torn checkpoints


def truncate(path):
    path.write_bytes(path.read_bytes()[:-1])


def change_one_byte(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def set_in_record(path, key, value):
    record = json.loads(path.read_text())
    record[key] = value
    path.write_text(json.dumps(record))


DAMAGES = {
    "missing part": (lambda f: (f / "optimizer.safetensors").unlink(), "optimizer.safetensors is missing"),
    "short part": (lambda f: truncate(f / "network.safetensors"), r"network.safetensors has \d+ bytes instead of \d+"),
    "changed part": (lambda f: change_one_byte(f / "network.safetensors"), "network.safetensors is damaged"),
    "missing record": (lambda f: (f / "checkpoint.json").unlink(), "checkpoint.json is missing"),
    "empty record": (lambda f: (f / "checkpoint.json").write_text(""), "checkpoint.json cannot be read"),
    "no text": (lambda f: (f / "checkpoint.json").write_bytes(b"\xff"), "checkpoint.json cannot be read"),
    "other JSON": (lambda f: (f / "checkpoint.json").write_text("[1]"), "checkpoint.json is damaged"),
    "other facts": (lambda f: set_in_record(f / "checkpoint.json", "facts", {}), "checkpoint.json is damaged"),
    "empty folder": (lambda f: [path.unlink() for path in f.iterdir()], "checkpoint.json is missing"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_torn_checkpoint_is_refused_by_name_and_the_one_before_is_used(tmp_path, caplog, damage):
    *_, used, last = save_steps(tmp_path, 10, 20, 30)
    tear, reason = DAMAGES[damage]
    tear(last)
    with caplog.at_level(logging.WARNING):
        loaded = load_latest(tmp_path, FACTS)
    assert (loaded.step, only_value(loaded)) == (20, 20)
    (record,) = caplog.records
    message = record.getMessage()
    assert message.startswith(f"Refused {last}: ")
    assert message.endswith(f"Using {used} instead.")
    assert re.search(reason, message)


def test_a_renamed_checkpoint_is_refused(tmp_path, caplog):
    _, last = save_steps(tmp_path, 10, 20)
    last.rename(tmp_path / "step-00000099")
    assert load_latest(tmp_path, FACTS).step == 10
    assert "is of step 20: the folder was renamed" in caplog.text


def test_it_goes_back_as_far_as_it_must_and_names_all_it_refused(tmp_path, caplog):
    first, *torn = save_steps(tmp_path, 10, 20, 30)
    for folder in torn:
        truncate(folder / "network.safetensors")
    assert load_latest(tmp_path, FACTS).step == 10
    assert [f"Refused {folder}" in caplog.text for folder in torn] == [True, True]
    assert caplog.text.count(f"Using {first} instead") == 2


def test_a_run_with_only_torn_checkpoints_never_starts_over(tmp_path):
    folders = save_steps(tmp_path, 10, 20)
    (folders[0] / "network.safetensors").unlink()
    truncate(folders[1] / "optimizer.safetensors")
    with pytest.raises(CheckpointError) as caught:
        load_latest(tmp_path, FACTS)
    message = str(caught.value)
    assert f"{folders[0]}: network.safetensors is missing" in message
    assert f"{folders[1]}: optimizer.safetensors has" in message
    assert "another output folder" in message


@pytest.fixture(scope="module")
def one_checkpoint(tmp_path_factory):
    folder = tmp_path_factory.mktemp("one")
    return folder, save_checkpoint(folder, constant_checkpoint(7), keep=None)


@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_no_changed_byte_goes_unnoticed(one_checkpoint, data):
    root, folder = one_checkpoint
    path = folder / data.draw(st.sampled_from(names(folder)))
    whole = path.read_bytes()
    place = data.draw(st.integers(0, len(whole) - 1))
    changed = bytearray(whole)
    changed[place] ^= data.draw(st.integers(1, 255))
    try:
        path.write_bytes(changed)
        try:
            loaded = load_latest(root, FACTS)
        except CheckpointError as error:
            assert "none is whole" in str(error)  # noqa: PT017  (a byte of white space may change nothing)
        else:
            assert path.name == "checkpoint.json"
            assert json.loads(changed) == json.loads(whole)
            assert (loaded.step, only_value(loaded)) == (7, 7)
    finally:
        path.write_bytes(whole)


# --- dying while saving


def test_a_full_disk_leaves_the_older_checkpoint_and_nothing_beside_it(tmp_path):
    save_steps(tmp_path, 10, keep=1)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    parts = {"network": {"small": torch.ones(3)}, "optimizer": {"large": torch.ones(30_000)}}
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        with pytest.raises(SafetensorError, match="File too large"):
            save_checkpoint(tmp_path, Checkpoint(20, parts, FACTS), keep=1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert names(tmp_path) == ["latest", "step-00000010"]
    assert load_latest(tmp_path, FACTS).step == 10


def test_everything_is_on_the_disk_before_a_name_points_to_it(tmp_path, monkeypatch):
    save_steps(tmp_path, 10)
    target = tmp_path / "step-00000020"
    real_fsync = os.fsync
    flushed = {"unseen": set(), "in place": set(), "named by latest": set()}

    def watched_fsync(handle):
        real_fsync(handle)
        path = Path(os.readlink(f"/proc/self/fd/{handle}"))
        if not target.exists():
            flushed["unseen"].add("folder" if path.is_dir() else path.suffix)
        elif (tmp_path / "latest").read_text().strip() != target.name:
            flushed["in place"].add("parent" if path == tmp_path else path.name.partition("-")[0])
        else:
            flushed["named by latest"].add("parent" if path == tmp_path else path.name)

    monkeypatch.setattr(os, "fsync", watched_fsync)
    save_steps(tmp_path, 20)
    assert flushed == {
        "unseen": {".safetensors", ".json", "folder"},
        "in place": {"parent", ".latest"},
        "named by latest": {"parent"},
    }


def test_every_part_is_flushed(tmp_path, monkeypatch):
    real_fsync = os.fsync
    flushed = []

    def watched_fsync(handle):
        flushed.append(Path(os.readlink(f"/proc/self/fd/{handle}")).name)
        real_fsync(handle)

    monkeypatch.setattr(os, "fsync", watched_fsync)
    save_steps(tmp_path, 20)
    assert {"network.safetensors", "optimizer.safetensors"} <= set(flushed)


def die_before_change(number, save):
    """Saves in this process and kills it before the number-th change to the disk: between changes all moments are one.

    The parts themselves are written outside Python's sight, each before a change of its permissions.
    """
    count = 0

    def watch(event, arguments):
        nonlocal count
        opens_to_write = event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        if opens_to_write or event in ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.chmod"):
            count += 1
            if count == number:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)
    save()


@pytest.mark.parametrize(("step", "value"), [(20, 20), (10, 11)], ids=["another step", "the same step"])
def test_a_save_killed_before_any_change_it_makes_leaves_a_whole_checkpoint(tmp_path, step, value):
    seen = []
    for number in range(1, 500):
        folder = tmp_path / str(number)
        save_steps(folder, 10)
        save = constant_checkpoint(step, value)
        child = FORK.Process(
            target=die_before_change, args=(number, lambda f=folder, c=save: save_checkpoint(f, c, keep=1))
        )
        child.start()
        child.join()
        seen.append(only_value(load_latest(folder, FACTS)))
        files = [names(path) for path in folder.glob("step-*")]
        assert all(found == ["checkpoint.json", "network.safetensors", "optimizer.safetensors"] for found in files)
        save_checkpoint(folder, constant_checkpoint(30), keep=1)
        assert names(folder) == ["latest", "step-00000030"]
        if child.exitcode == 0:
            break
    assert child.exitcode == 0
    assert len(seen) > 15
    assert set(seen) == {10, value}
    assert seen == sorted(seen)  # the old one up to some moment, the new one from then on


def save_without_end(folder, step, completed):
    while True:
        for _ in range(2):  # every step a second time, as a run does that was killed after its save
            save_checkpoint(folder, constant_checkpoint(step), keep=2)
            completed.value = step
        step += 1


def test_a_run_killed_at_random_moments_always_finds_a_whole_checkpoint(tmp_path):
    moments = random.Random(0)
    folder = tmp_path / "run"
    completed = FORK.Value("q", -1, lock=False)
    step = 0
    for _ in range(10):
        child = FORK.Process(target=save_without_end, args=(folder, step, completed))
        before = completed.value
        child.start()
        while completed.value == before:  # at least one save, however slow the machine
            time.sleep(0.001)
        time.sleep(moments.uniform(0, 0.1))
        child.kill()
        child.join()
        loaded = load_latest(folder, FACTS)
        assert only_value(loaded) == loaded.step
        assert loaded.step >= completed.value
        step = loaded.step + 1
    assert step > 10
