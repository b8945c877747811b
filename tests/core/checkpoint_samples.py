"""Checkpoints of a constant, which tests write, read and damage."""

import torch

from draganything_core.training.checkpoints import (
    Checkpoint,
    save_checkpoint,
)

FACTS = {"stage": "control", "seed": 3, "bucket_sizes": (5, 7), "optimizer": {"lr": 1e-4}}


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
