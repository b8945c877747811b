"""Time and memory of the full-size ControlNet with random weights: the condition encoder once, then single steps.

    python -m benchmarks.full_size_controlnet --dtype bf16

No weights are needed: 684,999,873 random ones are drawn in the type to compute in. A step is one forward pass of one
sample, what each half of guidance costs at each step. Memory is the process's largest resident size so far, the
network included.
"""

from __future__ import annotations

import argparse
import os
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import nn

from draganything_core.controlnet import SvdControlNet
from draganything_core.types import ConditionMaps, Size

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
ENTITIES = 3
Network = TypeVar("Network", bound=nn.Module)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dtype", choices=DTYPES, default="fp32")
    parser.add_argument("--frames", type=int, default=14)
    parser.add_argument("--height", type=int, default=320, help="pixels (320)")
    parser.add_argument("--width", type=int, default=576, help="pixels (576)")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=1, help="forward passes to time (1)")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    dtype, size = DTYPES[arguments.dtype], Size(arguments.height, arguments.width)
    machine = f"{arguments.threads} threads, torch {torch.__version__}, load {os.getloadavg()[0]:.1f}"
    print(f"{arguments.frames} frames of {size}, {arguments.dtype}, {machine}")

    with timed("network drawn"):
        controlnet = random_controlnet(dtype)
    maps = random_maps(arguments.frames, size, controlnet.config.entity_channels)
    with torch.inference_mode():
        with timed("condition encoder"):
            features = controlnet.encode_conditions(maps)
        for _ in range(arguments.steps):
            with timed("forward pass"):
                residuals = controlnet(
                    torch.randn(1, arguments.frames, 8, size.latent.height, size.latent.width, dtype=dtype),
                    timestep=1.6,
                    encoder_hidden_states=torch.randn(1, 1, controlnet.config.cross_attention_dim, dtype=dtype),
                    added_time_ids=torch.tensor([[6.0, 128.0, 0.02]]),
                    condition_features=features,
                )
    if not all(torch.isfinite(tensor).all() for tensor in (*residuals.down, residuals.mid)):
        raise SystemExit("a residual is not finite")


def random_controlnet(dtype: torch.dtype) -> SvdControlNet:
    """The full-size network in its type from the start, so that no second copy is ever held."""
    with torch.device("meta"):
        controlnet = SvdControlNet()
    return random_weights(controlnet, dtype)


def random_weights(network: Network, dtype: torch.dtype) -> Network:
    """A network made on the "meta" device, with random weights of a type on the CPU."""
    network.to(dtype).to_empty(device="cpu")
    for name, parameter in network.named_parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=parameter[0].numel() ** -0.5)
        else:
            torch.nn.init.constant_(parameter, float(name.endswith("weight")))  # gains 1, biases 0
    return network.requires_grad_(False).eval()


def random_maps(frames: int, size: Size, channels: int) -> ConditionMaps:
    """Three entities in vertical bands that move one pixel to the right a frame."""
    columns = torch.arange(size.width) - torch.arange(frames)[:, None]
    index = torch.where(columns >= 0, columns * (2 * ENTITIES) // size.width, 0)
    bands = torch.where(index % 2 == 1, index // 2, -1).to(torch.int16)
    return ConditionMaps(
        gaussian=torch.rand(frames, 1, size.height, size.width),
        entity_index=bands[:, None].expand(-1, size.height, -1).contiguous(),
        embeddings=torch.randn(ENTITIES, channels),
        size=size,
    )


@contextmanager
def timed(what: str) -> Iterator[None]:
    wall, cpu = time.perf_counter(), time.process_time()
    yield
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{what:18} {wall:7.1f} s wall {cpu:7.1f} s CPU   peak {peak:.2f} GiB", flush=True)


if __name__ == "__main__":
    main()
