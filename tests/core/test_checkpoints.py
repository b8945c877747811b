import hashlib
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
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import SafetensorError

from draganything_core.training import checkpoints
from draganything_core.training.checkpoints import (
    Checkpoint,
    CheckpointError,
    load_latest,
    load_optimizer_tensors,
    optimizer_tensors,
    save_checkpoint,
)

FACTS = {"stage": "control", "seed": 3, "bucket_sizes": (5, 7), "optimizer": {"lr": 1e-4}}
FORK = multiprocessing.get_context("fork")


def constant_checkpoint(step, value=None, facts=FACTS):
    """A checkpoint that shows by itself whether it is of one piece: all its tensors hold one value."""
    value = step if value is None else value
    return Checkpoint(
        step,
        {
            "network": {"a": torch.full((3, 40), float(value)), "b": torch.full((56,), value)},
            "optimizer": {"0.step": torch.tensor(float(value)), "0.exp_avg": torch.full((3, 40), float(value))},
        },
        facts,
    )


def only_value(checkpoint):
    values = {value for part in checkpoint.tensors.values() for t in part.values() for value in t.flatten().tolist()}
    assert len(values) == 1, f"a mixed checkpoint: {values}"
    return values.pop()


def save_steps(folder, *steps, keep=None):
    return [save_checkpoint(folder, constant_checkpoint(step), keep) for step in steps]


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def bits(tensor):
    return tensor.contiguous().flatten().view(torch.uint8).tolist()


# --- what goes in comes out


def test_tensors_of_every_kind_come_back_bit_for_bit(tmp_path):
    generator = torch.Generator().manual_seed(0)
    matrix = torch.randn((5, 7), generator=generator)
    tensors = {
        "float32": matrix,
        "bfloat16": matrix.bfloat16(),
        "float64": matrix.double() / 3,
        "int64": torch.tensor([2**62 + 1, -(2**63)]),
        "bool": matrix > 0,
        "0-dim": torch.tensor(120.0),
        "0-dim int64": torch.tensor(2**53 + 1),
        "empty": torch.zeros(0, 3),
        "special": torch.tensor([float("nan"), float("inf"), -0.0, 1e-42]),
        "transposed": matrix.T,
        "strided": matrix[:, ::2],
        "same memory": matrix,
        "part of the same memory": matrix[1:3],
        "parameter": torch.nn.Parameter(matrix),
        "channels last": torch.randn((2, 3, 4, 5), generator=generator).to(memory_format=torch.channels_last),
    }
    save_checkpoint(tmp_path, Checkpoint(120, {"network": tensors, "ema": {}}, FACTS), keep=None)
    loaded = load_latest(tmp_path, FACTS)
    assert loaded.step == 120
    assert loaded.facts == json.loads(json.dumps(FACTS))
    assert list(loaded.tensors) == ["network", "ema"]
    assert loaded.tensors["ema"] == {}
    assert loaded.tensors["network"].keys() == tensors.keys()
    for name, tensor in tensors.items():
        found = loaded.tensors["network"][name]
        assert (found.dtype, found.shape) == (tensor.dtype, tensor.shape), name
        assert bits(found) == bits(tensor), name


def test_loaded_tensors_lie_where_fresh_tensors_lie_and_not_in_the_file(tmp_path):
    # Odd lengths push tensors in the file off every alignment that a fresh one has.
    tensors = {f"{index}": torch.ones(3 + 2 * index) for index in range(9)}
    folder = save_checkpoint(tmp_path, Checkpoint(0, {"network": tensors}, {}), keep=None)
    loaded = load_latest(tmp_path, {}).tensors["network"]
    assert {tensor.data_ptr() % 64 for tensor in loaded.values()} == {0}
    with (folder / "network.safetensors").open("r+b") as file:  # over what a mapping would show
        file.seek(-8, os.SEEK_END)
        file.write(b"\xff" * 8)
    assert all(bool((tensor == 1).all()) for tensor in loaded.values())


def test_saving_leaves_the_tensors_and_their_gradients_alone(tmp_path):
    parameter = torch.nn.Parameter(torch.ones(3))
    save_checkpoint(tmp_path, Checkpoint(0, {"network": {"p": parameter, "again": parameter}}, {}), keep=None)
    assert parameter.requires_grad
    assert parameter.grad is None
    assert parameter.tolist() == [1, 1, 1]


def test_the_layout_on_disk_is_the_documented_one(tmp_path):
    folder = save_checkpoint(tmp_path, constant_checkpoint(120), keep=None)
    assert folder == tmp_path / "step-00000120"
    assert names(tmp_path) == ["latest", "step-00000120"]
    assert names(folder) == ["checkpoint.json", "network.safetensors", "optimizer.safetensors"]
    assert (tmp_path / "latest").read_text() == "step-00000120\n"
    record = json.loads((folder / "checkpoint.json").read_text())
    data = (folder / "network.safetensors").read_bytes()
    assert record["step"] == 120
    assert record["version"] == 1
    assert record["files"]["network.safetensors"] == {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def test_others_may_read_what_they_could_read_of_any_new_file(tmp_path):
    folder = save_checkpoint(tmp_path, constant_checkpoint(1), keep=None)
    (tmp_path / "plain").write_bytes(b"")
    (tmp_path / "plain folder").mkdir()
    assert folder.stat().st_mode == (tmp_path / "plain folder").stat().st_mode
    assert {path.stat().st_mode for path in folder.iterdir()} == {(tmp_path / "plain").stat().st_mode}


# --- which one is loaded, which remain


@pytest.mark.parametrize("folder", ["missing", "empty"])
def test_there_is_nothing_to_load_before_the_first_save(tmp_path, folder):
    (tmp_path / "empty").mkdir()
    assert load_latest(tmp_path / folder, FACTS) is None


@pytest.mark.parametrize(("keep", "left"), [(1, [40]), (2, [30, 40]), (None, [10, 20, 30, 40])])
def test_the_newest_are_kept_and_the_last_is_loaded(tmp_path, keep, left):
    save_steps(tmp_path, 10, 20, 30, 40, keep=keep)
    assert names(tmp_path) == ["latest", *(f"step-{step:08d}" for step in left)]
    assert load_latest(tmp_path, FACTS).step == 40


def test_steps_are_ordered_as_numbers_even_where_they_outgrow_their_zeros(tmp_path):
    save_steps(tmp_path, 99_999_999, 100_000_000, keep=1)
    assert names(tmp_path) == ["latest", "step-100000000"]


def test_a_step_that_is_saved_again_is_replaced(tmp_path):
    save_checkpoint(tmp_path, constant_checkpoint(5, value=1), keep=1)
    save_checkpoint(tmp_path, constant_checkpoint(5, value=2), keep=1)
    assert names(tmp_path) == ["latest", "step-00000005"]
    assert only_value(load_latest(tmp_path, FACTS)) == 2


def test_going_back_past_a_damaged_checkpoint_prunes_none_that_could_still_be_needed(tmp_path):
    *_, damaged = save_steps(tmp_path, 10, 20, 30)
    (damaged / "checkpoint.json").unlink()
    assert load_latest(tmp_path, FACTS).step == 20
    save_steps(tmp_path, 25, keep=2)
    assert names(tmp_path) == ["latest", "step-00000020", "step-00000025", "step-00000030"]
    assert load_latest(tmp_path, FACTS).step == 25
    save_steps(tmp_path, 30, keep=2)
    assert names(tmp_path) == ["latest", "step-00000025", "step-00000030"]
    assert load_latest(tmp_path, FACTS).step == 30


def test_latest_decides_and_without_it_the_newest_does(tmp_path, caplog):
    save_steps(tmp_path, 10, 20)
    (tmp_path / "latest").write_text("step-00000010\n")
    assert load_latest(tmp_path, FACTS).step == 10
    (tmp_path / "latest").unlink()
    assert load_latest(tmp_path, FACTS).step == 20
    assert not caplog.records


@pytest.mark.parametrize("text", ["step-00000099", "", "../elsewhere", "\udcff"])
def test_latest_that_names_nothing_is_reported_and_the_newest_is_loaded(tmp_path, caplog, text):
    save_steps(tmp_path, 10, 20)
    (tmp_path / "latest").write_text(text, errors="surrogateescape")
    assert load_latest(tmp_path, FACTS).step == 20
    assert "latest" in caplog.text
    assert "which is not there" in caplog.text


def test_latest_without_any_checkpoint_is_no_fresh_start(tmp_path):
    (tmp_path / "latest").write_text("step-00000010\n")
    with pytest.raises(CheckpointError, match=r"step-00000010.*not there"):
        load_latest(tmp_path, FACTS)


def test_other_files_and_folders_are_left_alone(tmp_path):
    (tmp_path / "step-notes").mkdir()
    (tmp_path / "metrics.jsonl").write_text("")
    save_steps(tmp_path, 10, 20, keep=1)
    assert names(tmp_path) == ["latest", "metrics.jsonl", "step-00000020", "step-notes"]


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


# --- another run's checkpoints


def test_another_runs_checkpoint_is_refused_with_every_fact_that_differs(tmp_path):
    (folder,) = save_steps(tmp_path, 10)
    ours = {"stage": "control", "seed": 4, "bucket_sizes": [5, 7], "optimizer": {"lr": 2e-4}, "global_batch": 8}
    with pytest.raises(CheckpointError) as caught:
        load_latest(tmp_path, ours)
    message = str(caught.value)
    assert str(folder) in message
    assert "seed is 3 in the checkpoint and 4 now" in message
    assert "optimizer.lr is 0.0001 in the checkpoint and 0.0002 now" in message
    assert "global_batch is not in the checkpoint and 8 now" in message
    assert "stage" not in message
    assert "bucket_sizes" not in message
    assert "another output folder" in message
    assert "the same settings" in message


def test_a_fact_that_is_gone_makes_another_run_too(tmp_path):
    save_steps(tmp_path, 10)
    with pytest.raises(CheckpointError, match="seed is 3 in the checkpoint and not set now"):
        load_latest(tmp_path, {key: value for key, value in FACTS.items() if key != "seed"})


def test_an_older_checkpoint_of_this_run_is_not_used_in_place_of_another_runs_newer_one(tmp_path):
    save_steps(tmp_path, 10)
    save_checkpoint(tmp_path, constant_checkpoint(20, facts=FACTS | {"seed": 9}), keep=None)
    with pytest.raises(CheckpointError, match=r"step-00000020.*seed is 9"):
        load_latest(tmp_path, FACTS)


def test_another_version_of_the_format_is_refused_by_its_number(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "SCHEMA_VERSION", 2)
    save_steps(tmp_path, 10)
    monkeypatch.undo()
    with pytest.raises(CheckpointError, match="version 2, this program reads version 1"):
        load_latest(tmp_path, FACTS)


# --- bad input


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((-1, {}, {}), "step must be a whole number >= 0, got -1"),
        ((True, {}, {}), "step must be a whole number >= 0, got True"),
        ((0, {"../network": {}}, {}), "'../network' names a file"),
        ((0, {"network": {"a": 1.0}}, {}), "network holds tensors only, got 1.0 as 'a'"),
        ((0, {}, {"folder": Path("a")}), "facts must be plain JSON"),
        ((0, {}, {"lr": float("nan")}), "facts must be plain JSON"),
    ],
)
def test_a_checkpoint_that_could_not_be_read_again_is_not_made(arguments, message):
    with pytest.raises(ValueError, match=message):
        Checkpoint(*arguments)


def test_keeping_none_at_all_is_refused(tmp_path):
    with pytest.raises(ValueError, match="keep must be at least 1"):
        save_checkpoint(tmp_path / "new", constant_checkpoint(1), keep=0)
    assert not (tmp_path / "new").exists()


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


# --- the optimizer's state


def small_run(amsgrad=False):
    torch.manual_seed(0)
    network = torch.nn.ModuleDict({"conv": torch.nn.Conv2d(3, 4, 3), "linear": torch.nn.Linear(5, 2)})
    network["conv"].to(memory_format=torch.channels_last)
    unused = torch.nn.Parameter(torch.zeros(7))  # never has a gradient, so never has state
    groups = [{"params": [unused, *network["conv"].parameters()]}, {"params": network["linear"].parameters(), "lr": 1}]
    return network, torch.optim.AdamW(groups, lr=1e-2, amsgrad=amsgrad)


def train(network, optimizer, steps):
    for step in steps:
        generator = torch.Generator().manual_seed(step)
        optimizer.zero_grad()
        picture, vector = torch.randn(2, 3, 5, 6, generator=generator), torch.randn(2, 5, generator=generator)
        (network["conv"](picture).square().mean() + network["linear"](vector).square().mean()).backward()
        optimizer.step()


@pytest.mark.parametrize("amsgrad", [False, True])
def test_a_run_that_is_resumed_ends_with_the_very_bits_of_one_that_was_not(tmp_path, amsgrad):
    network, optimizer = small_run(amsgrad)
    train(network, optimizer, range(6))

    first_network, first_optimizer = small_run(amsgrad)
    train(first_network, first_optimizer, range(3))
    parts = {"network": first_network.state_dict(), "optimizer": optimizer_tensors(first_optimizer)}
    save_checkpoint(tmp_path, Checkpoint(3, parts, {}), keep=1)

    loaded = load_latest(tmp_path, {})
    second_network, second_optimizer = small_run(amsgrad)
    train(second_network, second_optimizer, [99])  # state to be forgotten
    second_network.load_state_dict(loaded.tensors["network"])
    load_optimizer_tensors(second_optimizer, loaded.tensors["optimizer"])
    train(second_network, second_optimizer, range(loaded.step, 6))

    for name, tensor in network.state_dict().items():
        assert bits(second_network.state_dict()[name]) == bits(tensor), name
    expected, found = optimizer_tensors(optimizer), optimizer_tensors(second_optimizer)
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert (found[name].dtype, found[name].stride()) == (tensor.dtype, tensor.stride()), name
        assert bits(found[name]) == bits(tensor), name


def test_optimizer_tensors_are_named_by_the_parameters_place_among_all_groups():
    network, optimizer = small_run()
    assert optimizer_tensors(optimizer) == {}
    train(network, optimizer, [0])
    tensors = optimizer_tensors(optimizer)
    expected = [f"{index}.{name}" for index in (1, 2, 3, 4) for name in ("step", "exp_avg", "exp_avg_sq")]
    assert sorted(tensors) == sorted(expected)  # 0 never had a gradient
    assert (tensors["1.step"].dtype, tensors["1.step"].shape) == (torch.float32, ())
    state = optimizer.state_dict()["state"]
    assert tensors["3.exp_avg"] is state[3]["exp_avg"]


def test_loading_copies_and_forgets_the_state_there_was():
    network, optimizer = small_run()
    train(network, optimizer, [0])
    tensors = {name: tensor.clone() for name, tensor in optimizer_tensors(optimizer).items()}
    load_optimizer_tensors(optimizer, tensors)
    train(network, optimizer, [1])
    assert tensors["1.step"] == 1
    load_optimizer_tensors(optimizer, {})
    assert optimizer_tensors(optimizer) == {}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("2.exp_avg"), r"missing 2\.exp_avg; unknown none"),
        (lambda t: t.update({"9.step": torch.tensor(1.0)}), r"missing none; unknown 9\.step"),
        (lambda t: t.update({"1.momentum_buffer": torch.ones(3)}), r"unknown 1\.momentum_buffer"),
        (lambda t: t.update({"4.exp_avg": torch.ones(3)}), r"4\.exp_avg \(\(3,\) instead of \(2,\)\)"),
        (lambda t: t.update({"4.step": torch.ones(1)}), r"4\.step \(\(1,\) instead of \(\)\)"),
        (lambda t: t.update({f"{n}.x": torch.ones(1) for n in range(8)}), r"4\.x and 3 more"),
    ],
)
def test_tensors_that_do_not_fit_are_named_and_the_optimizer_stays_as_it_was(change, message):
    network, optimizer = small_run()
    train(network, optimizer, [0])
    tensors = dict(optimizer_tensors(optimizer))
    before = {name: tensor.clone() for name, tensor in tensors.items()}
    change(tensors)
    with pytest.raises(ValueError, match=message):
        load_optimizer_tensors(optimizer, tensors)
    after = optimizer_tensors(optimizer)
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())


def test_state_of_another_kind_of_optimizer_is_refused_when_it_is_saved():
    parameter = torch.nn.Parameter(torch.ones(3))
    optimizer = torch.optim.SGD([parameter], lr=0.1, momentum=0.9)
    parameter.sum().backward()
    optimizer.step()
    with pytest.raises(ValueError, match=r"unknown 0\.momentum_buffer"):
        optimizer_tensors(optimizer)
