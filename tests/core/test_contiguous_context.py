"""Contexts that are views of one row are laid out, so that no weights are copied for each pixel."""

from __future__ import annotations

import pytest
import torch
from small_networks import small_controlnet, small_inputs, small_unet
from small_pipeline import small_maps, small_picture, small_pipeline
from torch.utils._python_dispatch import TorchDispatchMode

from draganything_core.contiguous_context import contiguous_contexts

PIXELS, FRAMES = 5 * 7, 3  # of small_inputs; a copy for each frame is made elsewhere, too, and is little


class LargestWeights(TorchDispatchMode):
    """How many copies of a weight matrix a batched product was given, at most."""

    def __init__(self):
        super().__init__()
        self.copies = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func is torch.ops.aten.bmm.default:
            self.copies = max(self.copies, len(args[1]))
        return func(*args, **(kwargs or {}))


@torch.no_grad()
def called(network, inputs, **more):
    with LargestWeights() as seen:
        output = network(*inputs.values(), **more)
    return output, seen.copies


def test_a_unet_multiplies_once_and_gives_the_same():
    unet, inputs = small_unet().requires_grad_(False), small_inputs()
    plain, copies = called(unet, inputs)
    assert copies == PIXELS  # what diffusers does by itself; when it no longer does, this module can go
    with contiguous_contexts(unet):
        ours, copies = called(unet, inputs)
    assert copies <= FRAMES
    torch.testing.assert_close(ours.sample, plain.sample, rtol=1e-5, atol=1e-5)


def test_the_unet_is_left_as_it_was():
    unet = small_unet()
    with pytest.raises(RuntimeError, match="stop"), contiguous_contexts(unet):
        raise RuntimeError("stop")
    assert not any(module._forward_pre_hooks for module in unet.modules())


def test_the_controlnet_needs_no_asking():
    features = torch.randn(3, 32, 5, 7, generator=torch.Generator().manual_seed(0))
    _, copies = called(small_controlnet().requires_grad_(False), small_inputs(), condition_features=features)
    assert copies <= FRAMES


def test_the_pipeline_multiplies_once():
    pipeline = small_pipeline()
    pipeline.unet.requires_grad_(False)
    with LargestWeights() as seen:
        pipeline(small_picture(), small_maps(), num_inference_steps=1, max_guidance_scale=1.0, output_type="latent")
    assert seen.copies <= FRAMES
