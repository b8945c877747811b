"""Which operations a step's seconds and FLOPs are put down to."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from torch.nn import functional

sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks.step_profile import KINDS, REST, Cost, costs, kind_of, table


@pytest.mark.parametrize(
    ("operation", "kind"),
    [
        ("aten::mkldnn_convolution", "convolutions"),
        ("aten.convolution", "convolutions"),
        ("aten::addmm", "matrix products"),
        ("aten.bmm", "matrix products"),
        ("aten::_scaled_dot_product_flash_attention_for_cpu", "attention"),
        ("aten::native_group_norm", "norms"),
        ("aten::silu", "activations"),
        ("aten::add_", "adding, multiplying"),
        ("aten::add", "adding, multiplying"),
        ("aten::cat", "copying, joining"),
        ("aten::address", REST),
        ("aten::empty_strided", REST),
    ],
)
def test_operations_by_what_they_do(operation, kind):
    assert kind_of(operation) == kind


def test_a_steps_seconds_and_flops_are_counted_by_kind():
    picture, weight, square = torch.rand(1, 2, 8, 8), torch.rand(3, 2, 3, 3), torch.rand(16, 16)

    def step():
        functional.conv2d(picture, weight)
        functional.group_norm(picture, 2)
        return square @ square

    found = costs(step)
    assert list(found) == [*KINDS, REST]
    assert found["convolutions"].flops == 2 * 6 * 6 * 3 * 2 * 9
    assert found["matrix products"].flops == 2 * 16**3
    assert sum(cost.flops for cost in found.values()) == found["convolutions"].flops + found["matrix products"].flops
    assert min(found[kind].seconds for kind in ("convolutions", "matrix products", "norms")) > 0
    assert found["attention"] == Cost(0, 0)


def test_the_table_says_what_control_adds():
    nothing = dict.fromkeys((*KINDS, REST), Cost(0.0, 0))
    without = {**nothing, "convolutions": Cost(3.0, 10**12), "norms": Cost(1.0, 0)}
    with_control = {**nothing, "convolutions": Cost(4.5, 2 * 10**12), "norms": Cost(1.5, 0)}
    lines = {line.split(" | ")[0]: line for line in table(without, with_control).splitlines()}
    assert lines["| convolutions"] == "| convolutions | 3 | 75% | 1 | 1.5 | 1 | 1.50 | 2.00 |"
    assert lines["| norms"] == "| norms | 1 | 25% |  | 0.5 |  | 1.50 |  |"
    assert lines["| **all**"] == "| **all** | 4 | 100% | 1 | 2 | 1 | 1.50 | 2.00 |"
