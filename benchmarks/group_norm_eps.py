"""What ComfyUI's group norms change in the video UNet at full size: one step with either's epsilon, random weights.

    python -m benchmarks.group_norm_eps

diffusers, and so training and the command line, divides by sqrt(variance + 1e-6) in the residual blocks of the levels
with transformers and of all levels on the way up, and by sqrt(variance + 1e-5) in the rest; ComfyUI takes 1e-5 in all
of them. The ControlNet is the same module in both and keeps its own. 1,524,623,082 random weights in fp32, 6 GB.
Differences are given relative to the output, beside those of an epsilon that is larger by 1e-4 of itself: what rounding
alone makes of a change too small to matter. How much an epsilon changes one norm depends on the variance that it
meets, which is therefore counted: trained weights may have other variances than random ones.
"""

from __future__ import annotations

import argparse
import os

import torch
from diffusers import UNetSpatioTemporalConditionModel
from torch import Tensor, nn

from benchmarks.full_size_controlnet import timed

HOST_EPS = 1e-5
BARELY = 1 + 1e-4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=2)
    parser.add_argument("--height", type=int, default=128, help="pixels (128)")
    parser.add_argument("--width", type=int, default=128, help="pixels (128)")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    shape = (1, arguments.frames, 8, arguments.height // 8, arguments.width // 8)
    print(f"{arguments.frames} frames of {arguments.height}x{arguments.width}, load {os.getloadavg()[0]:.1f}")

    with timed("network drawn"):
        unet = random_unet()
    norms = [norm for norm in residual_norms(unet) if norm.eps < HOST_EPS]
    print(f"{len(norms)} of {len(residual_norms(unet))} norms of residual blocks differ")
    inputs = (torch.randn(shape), 1.6, torch.randn(1, 1, 1024), torch.tensor([[6.0, 128.0, 0.02]]))
    variances = watched_variances(norms)
    with torch.inference_mode():
        with timed("one step"):
            own = unet(*inputs).sample
        seen = torch.cat(variances)
        print(f"variance in a group: median {seen.median():.3g}, smallest {seen.min():.3g}")
        with_eps(norms, norms[0].eps * BARELY)
        rounding = unet(*inputs).sample
        with_eps(norms, HOST_EPS)
        hosts = unet(*inputs).sample
    for name, found in (("ComfyUI's epsilon", hosts), ("rounding alone", rounding)):
        difference = found - own
        print(
            f"{name:18} largest difference {difference.abs().max() / own.abs().max():.2e} of the largest value, "
            f"root mean square {difference.square().mean().sqrt() / own.square().mean().sqrt():.2e}"
        )


def random_unet() -> UNetSpatioTemporalConditionModel:
    """The full-size network, with layers that keep the size of what goes through them."""
    with torch.device("meta"):
        unet = UNetSpatioTemporalConditionModel()
    unet.to_empty(device="cpu")
    for name, parameter in unet.named_parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=parameter[0].numel() ** -0.5)
        else:
            torch.nn.init.constant_(parameter, float(name.endswith("weight")))  # gains 1, biases and mixes 0
    return unet.eval()


def residual_norms(unet: nn.Module) -> list[nn.GroupNorm]:
    return [
        module for name, module in unet.named_modules() if isinstance(module, nn.GroupNorm) and "res_block." in name
    ]


def with_eps(norms: list[nn.GroupNorm], eps: float) -> None:
    for norm in norms:
        norm.eps = eps


def watched_variances(norms: list[nn.GroupNorm]) -> list[Tensor]:
    """A list that gets, at the first run of each norm, the variances of the groups that it meets."""
    found: list[Tensor] = []

    def watch(norm: nn.GroupNorm, inputs: tuple[Tensor]) -> None:
        groups = inputs[0].reshape(len(inputs[0]), norm.num_groups, -1)
        found.append(groups.var(dim=2, unbiased=False).flatten())
        handles.pop(norm).remove()

    handles = {norm: norm.register_forward_pre_hook(watch) for norm in norms}
    return found


if __name__ == "__main__":
    main()
