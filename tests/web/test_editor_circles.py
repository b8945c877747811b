"""The editor draws discs where the core will paint them: both find the same circle in a mask."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from draganything_core.masks import encode_rle, inscribed_circle

PROGRAM = Path(__file__).with_name("inscribed_circles.js")

pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="needs node")


def speckles(dice: np.random.Generator, mask: np.ndarray) -> None:
    mask |= dice.random(mask.shape) < dice.random()


def blobs(dice: np.random.Generator, mask: np.ndarray) -> None:
    rows, columns = np.mgrid[: mask.shape[0], : mask.shape[1]]
    for _ in range(dice.integers(1, 5)):
        y, x = dice.random(2) * mask.shape
        mask |= (rows - y) ** 2 + (columns - x) ** 2 * (0.3 + dice.random()) < (dice.random() * 20) ** 2


def equal_squares(dice: np.random.Generator, mask: np.ndarray) -> None:
    # Several components of one size, and several centres in each: which one wins must agree as well.
    for _ in range(4):
        y, x = dice.integers(0, mask.shape)
        mask[y : y + 4, x : x + 4] = True


def random_masks() -> list[Tensor]:
    dice = np.random.default_rng(20)
    masks = []
    for number in range(240):
        mask = np.zeros(dice.integers(1, 60, 2), bool)
        (speckles, blobs, equal_squares)[number % 3](dice, mask)
        if mask.any():
            masks.append(torch.from_numpy(mask))
    return masks


def test_circles_agree_with_the_core() -> None:
    masks = [*random_masks(), torch.ones(200, 300, dtype=torch.bool)]
    assert len(masks) > 200
    asked = [{"rle": encode_rle(mask), "height": mask.shape[0], "width": mask.shape[1]} for mask in masks]
    command = ["node", str(PROGRAM)]
    answer = subprocess.run(
        command, input=json.dumps(asked), capture_output=True, text=True, check=True, timeout=60
    ).stdout
    for mask, found in zip(masks, json.loads(answer), strict=True):
        expected = inscribed_circle(mask)
        assert tuple(found["center"]) == expected.center
        assert found["radius"] == pytest.approx(expected.radius, abs=1e-6)
