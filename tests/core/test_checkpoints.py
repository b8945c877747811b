"""Checkpoints of a run: what goes in comes out, and which one is loaded."""

import hashlib
import json
import os
from pathlib import Path

import pytest
import torch
from checkpoint_samples import FACTS, constant_checkpoint, names, only_value, save_steps

from draganything_core.training import checkpoints
from draganything_core.training.checkpoints import (
    Checkpoint,
    CheckpointError,
    load_latest,
    load_optimizer_tensors,
    optimizer_tensors,
    save_checkpoint,
)


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
