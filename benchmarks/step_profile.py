"""Where the seconds of a denoising step go, with control and without: python -m benchmarks.step_profile [--full-width]

Each step runs once cold and once under torch's profiler. Its operations are put together by what they do; FLOPs are
counted by the same rules as everywhere in these benchmarks, so that operations without any, such as norms, show by what
share of the time control costs more, or less, than its FLOPs say. At full width some minutes and 8 GB.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks.cases import denoising_step
from benchmarks.measuring import environment, flops_counted

REST = "everything else"
# By the beginning of an operation's name in torch, without its name space; the first that fits.
KINDS = {
    "convolutions": ("mkldnn_convolution", "thnn_conv", "slow_conv", "cudnn_convolution", "_slow_conv", "convolution"),
    "matrix products": ("mm", "addmm", "bmm", "baddbmm", "mkldnn_linear", "linear", "_addmm_activation"),
    "attention": ("_scaled_dot_product", "scaled_dot_product", "_flash_attention", "_efficient_attention"),
    "norms": ("native_group_norm", "native_layer_norm", "_fused_rms_norm"),
    "activations": ("silu", "gelu", "sigmoid"),
    "adding, multiplying": ("add", "sub", "mul", "div"),
    "copying, joining": ("copy_", "cat", "clone", "_to_copy", "contiguous", "_reshape", "repeat", "upsample"),
}


class Cost(NamedTuple):
    """Of one kind of operation in one step."""

    seconds: float
    flops: int


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.step_profile",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--full-width", action="store_true", help="the full-size networks, random weights in bf16")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="torch's threads (its own choice)")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    case = denoising_step.case(arguments.full_width)
    ours, without = case.ways[:2]
    machine = environment()
    print(
        f"`{shlex.join(['python', '-m', 'benchmarks.step_profile', *sys.argv[1:]])}`, {machine['date']}: "
        f"{machine['processor']}, {machine['threads']} threads, torch {machine['torch']}; {case.what}.\n"
    )
    print(table(costs(without.call), costs(ours.call)))


def costs(step: Callable[[], Any]) -> dict[str, Cost]:
    """What each kind of operation takes in a step that has run before."""
    with flops_counted() as counter:
        step()
    flops: Counter[str] = Counter()
    for operation, count in counter.get_flop_counts()["Global"].items():
        flops[kind_of(str(operation))] += count
    with profile(activities=[ProfilerActivity.CPU]) as profiled:
        step()
    seconds: Counter[str] = Counter()
    for event in profiled.key_averages():
        seconds[kind_of(event.key)] += event.self_cpu_time_total / 1e6
    return {kind: Cost(seconds[kind], flops[kind]) for kind in (*KINDS, REST)}


def kind_of(operation: str) -> str:
    """The kind of an operation by its name, as "aten::addmm", "aten.addmm.default" or "aten.addmm"."""
    name = operation.replace("::", ".").removeprefix("aten.")
    return next((kind for kind, beginnings in KINDS.items() if _begins(name, beginnings)), REST)


def _begins(name: str, beginnings: Iterable[str]) -> bool:
    # "add" is neither "addmm" nor "address": what follows is an overload, an in-place mark or a longer known name.
    plain = name.split(".")[0]
    return any(plain in (known, f"{known}_") or (len(known) > 3 and plain.startswith(known)) for known in beginnings)


def table(without: dict[str, Cost], with_control: dict[str, Cost]) -> str:
    """Markdown: seconds and FLOPs of each kind without control, and what control adds to them."""
    total = {name: _sum(step) for name, step in (("without", without), ("with", with_control))}
    lines = [
        "| operations | s without control | share | TFLOP | control adds s | TFLOP | times the s | times the TFLOP |",
        "|---|---|---|---|---|---|---|---|",
    ]
    rows = [(kind, without[kind], with_control[kind]) for kind in without]
    for kind, plain, controlled in [*rows, ("**all**", total["without"], total["with"])]:
        lines.append(
            f"| {kind} | {plain.seconds:.3g} | {plain.seconds / total['without'].seconds:.0%} "
            f"| {_tera(plain.flops)} | {controlled.seconds - plain.seconds:.3g} "
            f"| {_tera(controlled.flops - plain.flops)} | {_times(controlled.seconds, plain.seconds)} "
            f"| {_times(controlled.flops, plain.flops)} |"
        )
    return "\n".join(lines)


def _sum(step: dict[str, Cost]) -> Cost:
    return Cost(sum(cost.seconds for cost in step.values()), sum(cost.flops for cost in step.values()))


def _tera(flops: int) -> str:
    return f"{flops / 1e12:.3g}" if flops else ""


def _times(whole: float, part: float) -> str:
    return f"{whole / part:.2f}" if part else ""


if __name__ == "__main__":
    main()
