"""Checkpoints of a run: whole or not there at all, whatever moment the process dies at.

A folder holds ``step-00000120/`` with one safetensors file for each part and a ``checkpoint.json`` that tells every
file's length and SHA-256, and a text file ``latest`` that names the one to resume from. A checkpoint is written under
a hidden name, flushed to the disk and renamed into place; ``latest`` changes last.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from ..atomic import UMASK, write_text

logger = logging.getLogger(__name__)

SCHEMA_VERSION = 1
RECORD = "checkpoint.json"
LATEST = "latest"
PART_NAME = re.compile(r"[A-Za-z0-9_-]+")
# A save of a step that is there already must take the old folder out of the way for an instant. In that instant, and
# for ever if the process dies in it, the old folder is a checkpoint under the longer of these names.
REPLACED = ".replaced"
STEP_FOLDER = re.compile(rf"step-(\d{{8,}})({re.escape(REPLACED)})?")
LEFTOVERS = (".step-*.tmp", f".{LATEST}-*")  # what a killed save leaves: its own folders and atomic's temporary file

ADAM_STATE = ("step", "exp_avg", "exp_avg_sq")


class CheckpointError(ValueError):
    """There are checkpoints, and none that this run may go on from."""


class _DamagedError(Exception):
    """What is wrong with one checkpoint folder."""


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """Everything that a run needs to go on as if it had never stopped.

    step: number of the next step. tensors: parts by name ("network", "optimizer", "ema"), each a flat dict of tensors;
    loaded ones lie on the CPU in memory of their own. facts: what the run is, as JSON; another run's facts differ.
    Raises ValueError for a negative step, a part name that is no file name, and facts that JSON cannot hold.
    """

    step: int
    tensors: dict[str, dict[str, Tensor]]
    facts: dict[str, Any]

    def __post_init__(self) -> None:
        if isinstance(self.step, bool) or not isinstance(self.step, int) or self.step < 0:
            raise ValueError(f"step must be a whole number >= 0, got {self.step!r}")
        for part, tensors in self.tensors.items():
            if not PART_NAME.fullmatch(part):
                raise ValueError(f"part {part!r} names a file: use letters, digits, '_' and '-' only")
            for name, value in tensors.items():
                if not isinstance(value, Tensor):
                    raise ValueError(f"{part} holds tensors only, got {value!r} as {name!r}")
        _as_json(self.facts)


def save_checkpoint(folder: Path, checkpoint: Checkpoint, keep: int | None) -> Path:
    """The folder of the checkpoint, complete and flushed to the disk; ``latest`` in ``folder`` names it.

    keep: how many checkpoints remain, this one and those of the steps before it; None keeps all. Later steps' are left
    alone: after going back past a damaged checkpoint, the run reaches that step again and replaces it. The same step
    may be saved again. What a killed save left behind is cleared first. Only one process of a run may call this.
    Raises ValueError if keep is less than 1. An error of the disk (OSError, SafetensorError; it may be full) leaves the
    older checkpoints as they were.
    """
    if keep is not None and keep < 1:
        raise ValueError(f"keep must be at least 1, or None to keep all checkpoints, got {keep}")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    _clear_leftovers(folder)
    target = folder / f"step-{checkpoint.step:08d}"
    with _temporary_folder(target) as temporary:
        _write(checkpoint, temporary)
        _put_in_place(temporary, target)
    write_text(folder / LATEST, f"{target.name}\n")
    _flush(folder)
    _clear_leftovers(folder)
    if keep is not None:
        earlier = [path for step, path in _step_folders(folder) if step < checkpoint.step]
        for path in earlier[keep - 1 :]:
            _remove(path)
    return target


def load_latest(folder: Path, facts: dict[str, Any]) -> Checkpoint | None:
    """The checkpoint to go on from; None if the folder holds none.

    That is the one that ``latest`` names if it is whole, else the newest whole one; a warning names every checkpoint
    that was refused, with the reason. facts: what the run is, compared with what the checkpoint says.
    Raises CheckpointError if the checkpoint is another run's, with each fact that differs, and if there are checkpoints
    but none is whole: a run that exists never starts over silently.
    """
    folder = Path(folder)
    if not folder.exists():
        return None
    refused: list[tuple[Path, str]] = []
    for path in _candidates(folder, refused):
        try:
            checkpoint = _read(path)
        except _DamagedError as problem:
            refused.append((path, str(problem)))
            continue
        _check_same_run(path, checkpoint.facts, facts)
        for other, reason in refused:
            logger.warning("Refused %s: %s. Using %s instead.", other, reason, path)
        return checkpoint
    if refused:
        listed = "; ".join(f"{path}: {reason}" for path, reason in refused)
        raise CheckpointError(
            f"{folder} holds checkpoints of a run but none is whole: {listed}. Restore one from a copy, or choose "
            "another output folder to start from the beginning."
        )
    return None


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The state of Adam or AdamW as a flat dict: "12.exp_avg" is parameter 12's, counted through all groups.

    The tensors are the optimizer's own, not copies. A parameter that never had a gradient has none. Hyperparameters
    are left out: they come from the config. Raises ValueError for state of another kind.
    """
    tensors = {
        f"{index}.{name}": value
        for index, (parameter, _) in enumerate(_parameters(optimizer))
        for name, value in optimizer.state.get(parameter, {}).items()
    }
    _check_optimizer_tensors(optimizer, tensors)
    return tensors


def load_optimizer_tensors(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Makes copies of ``optimizer_tensors`` the whole state of an optimizer over the same parameters.

    No value changes its dtype. Raises ValueError that names the missing, unknown and wrongly shaped tensors, with the
    optimizer as it was.
    """
    _check_optimizer_tensors(optimizer, tensors)
    optimizer.state.clear()
    for index, (parameter, group) in enumerate(_parameters(optimizer)):
        for name in _state_names(group):
            value = tensors.get(f"{index}.{name}")
            if value is not None:
                optimizer.state[parameter][name] = _like_fresh_state(name, value, parameter, group)


def _write(checkpoint: Checkpoint, folder: Path) -> None:
    files = {}
    for part, tensors in checkpoint.tensors.items():
        path = folder / f"{part}.safetensors"
        # A copy of each tensor: the format takes neither strides nor memory that two tensors share.
        copies = {
            name: tensor.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)
            for name, tensor in tensors.items()
        }
        save_file(copies, path)
        path.chmod(0o666 & ~UMASK)
        _flush(path)
        files[path.name] = {"bytes": path.stat().st_size, "sha256": _file_digest(path)}
    record = {
        "version": SCHEMA_VERSION,
        "step": checkpoint.step,
        "facts": _as_json(checkpoint.facts),
        "files": files,
    }
    record["sha256"] = _record_digest(record)
    write_text(folder / RECORD, json.dumps(record, indent=2) + "\n")
    _flush(folder)


def _read(folder: Path) -> Checkpoint:
    record = _read_record(folder)
    for name, expected in record["files"].items():
        _check_file(folder / name, expected)
    # load_file maps the file into memory, where tensors lie at any address; vector code sums them in another order
    # there, and the run would go on with other last bits. A copy lies where a fresh tensor would.
    tensors = {
        Path(name).stem: {key: tensor.clone() for key, tensor in load_file(folder / name).items()}
        for name in record["files"]
    }
    return Checkpoint(record["step"], tensors, record["facts"])


def _read_record(folder: Path) -> dict[str, Any]:
    path = folder / RECORD
    try:
        record = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise _DamagedError(f"{RECORD} is missing") from None
    except (OSError, ValueError) as error:
        raise _DamagedError(f"{RECORD} cannot be read ({error})") from error
    own_digest = record.pop("sha256", None) if isinstance(record, dict) else None
    if own_digest != _record_digest(record):
        raise _DamagedError(f"{RECORD} is damaged: it is not what its own sha256 says")
    if record["version"] != SCHEMA_VERSION:
        raise CheckpointError(
            f"{path} has version {record['version']}, this program reads version {SCHEMA_VERSION}. Resume with the "
            "program that wrote it, or choose another output folder."
        )
    if record["step"] != _step_of(folder):
        raise _DamagedError(f"{RECORD} is of step {record['step']}: the folder was renamed")
    return record


def _check_file(path: Path, expected: dict[str, Any]) -> None:
    try:
        length = path.stat().st_size
        if length != expected["bytes"]:
            raise _DamagedError(f"{path.name} has {length} bytes instead of {expected['bytes']}")
        if _file_digest(path) != expected["sha256"]:
            raise _DamagedError(f"{path.name} is damaged: its sha256 is not the one in {RECORD}")
    except FileNotFoundError:
        raise _DamagedError(f"{path.name} is missing") from None
    except OSError as error:
        raise _DamagedError(f"{path.name} cannot be read ({error})") from error


def _candidates(folder: Path, refused: list[tuple[Path, str]]) -> list[Path]:
    # All checkpoints in the order in which they are to be tried.
    paths = [path for _, path in _step_folders(folder)]
    latest = folder / LATEST
    if not latest.exists():
        return paths
    name = latest.read_text("utf-8", errors="replace").strip()
    if name not in [path.name for path in paths]:
        refused.append((latest, f"it names {name!r}, which is not there"))
    return sorted(paths, key=lambda path: path.name != name)


def _check_same_run(path: Path, theirs: dict[str, Any], ours: dict[str, Any]) -> None:
    differences = list(_differences(theirs, _as_json(ours)))
    if differences:
        raise CheckpointError(
            f"{path} is a checkpoint of another run: {'; '.join(differences)}. Choose another output folder, or the "
            "same settings to go on with that run."
        )


def _differences(theirs: Any, ours: Any, name: str = "") -> Iterator[str]:
    if isinstance(theirs, dict) and isinstance(ours, dict):
        for key in sorted(theirs.keys() | ours.keys()):
            inner = f"{name}.{key}" if name else key
            if key not in theirs:
                yield f"{inner} is not in the checkpoint and {ours[key]!r} now"
            elif key not in ours:
                yield f"{inner} is {theirs[key]!r} in the checkpoint and not set now"
            else:
                yield from _differences(theirs[key], ours[key], inner)
    elif theirs != ours:
        yield f"{name} is {theirs!r} in the checkpoint and {ours!r} now"


def _as_json(facts: dict[str, Any]) -> dict[str, Any]:
    # As they come back from a file (tuples as lists), so that facts compare equal before and after.
    try:
        return json.loads(json.dumps(facts, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"facts must be plain JSON (text, finite numbers, lists, dicts), got {facts!r}: {error}"
        ) from error


@contextmanager
def _temporary_folder(target: Path) -> Iterator[Path]:
    temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}-", suffix=".tmp", dir=target.parent))
    try:
        temporary.chmod(0o777 & ~UMASK)  # mkdtemp's own permissions are the owner's alone
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)  # gone already if it was put in place


def _put_in_place(temporary: Path, target: Path) -> None:
    if target.exists():
        aside = target.with_name(target.name + REPLACED)
        _remove(aside)
        target.rename(aside)
    temporary.rename(target)
    _flush(target.parent)


def _clear_leftovers(folder: Path) -> None:
    for pattern in LEFTOVERS:
        for path in folder.glob(pattern):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
    for aside in folder.glob(f"step-*{REPLACED}"):
        if aside.with_name(aside.name.removesuffix(REPLACED)).exists():
            _remove(aside)


def _remove(path: Path) -> None:
    # Hidden first: a process that dies while it deletes must not leave half a checkpoint under a checkpoint's name.
    if path.exists():
        hidden = path.with_name(f".{path.name}.tmp")
        path.rename(hidden)
        shutil.rmtree(hidden)


def _step_folders(folder: Path) -> list[tuple[int, Path]]:
    # Newest first; of one step the folder in its place before the one that it replaced.
    paths = [path for path in folder.iterdir() if path.is_dir() and STEP_FOLDER.fullmatch(path.name)]
    return sorted(
        ((_step_of(path), path) for path in paths),
        key=lambda entry: (-entry[0], entry[1].name),
    )


def _step_of(path: Path) -> int:
    match = STEP_FOLDER.fullmatch(path.name)
    if match is None:
        raise ValueError(f"{path} is no checkpoint folder: expected a name such as step-00000120")
    return int(match[1])


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _file_digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _record_digest(record: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()


def _parameters(optimizer: torch.optim.Optimizer) -> list[tuple[Tensor, dict[str, Any]]]:
    return [(parameter, group) for group in optimizer.param_groups for parameter in group["params"]]


def _state_names(group: dict[str, Any]) -> tuple[str, ...]:
    return (*ADAM_STATE, "max_exp_avg_sq") if group.get("amsgrad") else ADAM_STATE


def _check_optimizer_tensors(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    missing: list[str] = []
    misshapen: list[str] = []
    unknown = set(tensors)
    for index, (parameter, group) in enumerate(_parameters(optimizer)):
        names = {f"{index}.{name}": name for name in _state_names(group)}
        present = names.keys() & tensors.keys()
        unknown -= present
        if present:  # a parameter that never had a gradient has no state at all
            missing += [key for key in names if key not in present]
        for key in sorted(present):
            shape = () if names[key] == "step" else tuple(parameter.shape)
            if not isinstance(tensors[key], Tensor):
                misshapen.append(f"{key} (no tensor: {tensors[key]!r})")
            elif tuple(tensors[key].shape) != shape:
                misshapen.append(f"{key} ({tuple(tensors[key].shape)} instead of {shape})")
    if missing or unknown or misshapen:
        raise ValueError(
            "The optimizer's tensors do not fit its parameters as Adam's or AdamW's state: "
            f"missing {_listed(missing)}; unknown {_listed(sorted(unknown))}; wrong shape {_listed(misshapen)}. "
            "Use the network and the optimizer that the checkpoint was made with."
        )


def _listed(names: Iterable[str], limit: int = 5) -> str:
    names = list(names)
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return (", ".join(names[:limit]) or "none") + more


def _like_fresh_state(name: str, value: Tensor, parameter: Tensor, group: dict[str, Any]) -> Tensor:
    if name == "step":  # Adam counts on the CPU, except where the count must not leave the device
        on_device = group.get("capturable") or group.get("fused")
        return value.detach().to(parameter.device if on_device else "cpu", copy=True)
    return torch.empty_like(parameter, dtype=value.dtype).copy_(value)  # in the parameter's layout
