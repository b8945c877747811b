"""Recomputing layers in the backward pass: less is kept, and nothing else changes."""

import copy
from collections import Counter

import pytest
import torch
from small_networks import fill_randomly, random_maps, small_controlnet, small_inputs, small_unet
from small_training import loss_of, saved_bytes, stage
from torch import Tensor, nn

from draganything_core.residual_injection import injected_residuals
from draganything_core.training.activation_checkpointing import block_layers, checkpoint_blocks
from draganything_core.training.objective import BaseObjective, ControlNetObjective
from draganything_core.types import ControlResiduals


def loss_and_gradients(objective: nn.Module) -> list[Tensor]:
    objective.zero_grad()
    loss = loss_of(objective)
    loss.backward()
    return [loss.detach(), *(parameter.grad for parameter in objective.parameters())]


def saved_by_a_step(objective: nn.Module, unet: nn.Module) -> int:
    return saved_bytes(lambda: loss_of(objective), [*unet.parameters(), *objective.parameters()])


def calls_in_a_step(objective: nn.Module, *layers: nn.Module) -> list[int]:
    """How often each layer's first convolution runs in a forward and a backward pass."""
    calls: Counter[int] = Counter()
    hooks = [
        layer.spatial_res_block.conv1.register_forward_hook(lambda *_, index=index: calls.update([index]))
        for index, layer in enumerate(layers)
    ]
    loss_of(objective).backward()
    for hook in hooks:
        hook.remove()
    return [calls[index] for index in range(len(layers))]


@pytest.mark.parametrize("autocast", [None, torch.bfloat16])
@pytest.mark.parametrize("name", ["base", "controlnet"])
def test_loss_and_gradients_stay_the_same_to_the_bit(name, autocast):
    objective, unet, controlnet = stage(name, autocast)
    expected = loss_and_gradients(objective)
    checkpoint_blocks(unet, controlnet)
    found = loss_and_gradients(objective)
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


@pytest.mark.parametrize("autocast", [None, torch.bfloat16])
@pytest.mark.parametrize("name", ["base", "controlnet"])
def test_a_fifth_of_the_activations_is_kept_at_most(name, autocast):
    objective, unet, controlnet = stage(name, autocast)
    before = saved_by_a_step(objective, unet)
    checkpoint_blocks(unet, controlnet)
    assert before > 5 * saved_by_a_step(objective, unet)


def test_diffusers_own_keeps_more():
    objective, unet, controlnet = stage("controlnet")
    unet.enable_gradient_checkpointing()
    controlnet.enable_gradient_checkpointing()
    of_diffusers = saved_by_a_step(objective, unet)
    unet.disable_gradient_checkpointing()
    controlnet.disable_gradient_checkpointing()
    checkpoint_blocks(unet, controlnet)
    assert of_diffusers > 3 * saved_by_a_step(objective, unet)


def test_gradients_reach_residuals_that_hooks_have_added_and_that_others_have_replaced_since():
    unet, controlnet, inputs = small_unet().requires_grad_(False), small_controlnet(), small_inputs()
    with torch.no_grad():
        maps = controlnet.encode_conditions(random_maps())
        made = controlnet(**inputs, condition_features=maps)

    def gradients() -> list[Tensor]:
        leaves = [residual.clone().requires_grad_() for residual in [*made.down, made.mid]]
        with injected_residuals(unet, ControlResiduals(tuple(leaves[:-1]), leaves[-1])):
            output = unet(**inputs).sample
        with injected_residuals(unet, made.scaled(7.0)):
            output.square().sum().backward()
        return [leaf.grad for leaf in leaves]

    expected = gradients()
    checkpoint_blocks(unet)
    found = gradients()
    assert all(bool(gradient.any()) for gradient in expected)
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


def test_layers_run_again_unless_no_gradient_passes_them():
    objective, unet, controlnet = stage("controlnet")
    checkpoint_blocks(unet, controlnet)
    layers = [
        controlnet.down_blocks[0].resnets[0],
        controlnet.mid_block.resnets[1],
        unet.down_blocks[0].resnets[0],
        unet.up_blocks[0].resnets[0],
    ]
    assert calls_in_a_step(objective, *layers) == [2, 2, 1, 2]


def test_a_frozen_network_keeps_nothing_unless_residuals_need_gradients():
    unet, inputs = small_unet().requires_grad_(False), small_inputs()
    checkpoint_blocks(unet)
    assert saved_bytes(lambda: unet(**inputs), list(unet.parameters())) == 0


def test_calling_it_twice_is_calling_it_once_and_it_can_be_taken_back():
    objective, unet, controlnet = stage("controlnet")
    keys = list(controlnet.state_dict())
    kinds = [type(module) for module in controlnet.modules()]
    layers = [controlnet.down_blocks[0].resnets[0], unet.up_blocks[1].resnets[1]]
    checkpoint_blocks(unet, controlnet)
    checkpoint_blocks(unet, controlnet)
    assert calls_in_a_step(objective, *layers) == [2, 2]
    assert list(controlnet.state_dict()) == keys
    assert [type(module) for module in controlnet.modules()] == kinds

    checkpoint_blocks(unet, controlnet, enabled=False)
    assert calls_in_a_step(objective, *layers) == [1, 1]
    checkpoint_blocks(unet, controlnet, enabled=False)
    assert not any("forward" in vars(layer) for layer in [*block_layers(unet), *block_layers(controlnet)])
    assert not controlnet.controlnet_cond_embedding.gradient_checkpointing


def test_a_forward_that_was_replaced_before_is_used_and_put_back():
    unet = small_unet()
    layer, calls = unet.up_blocks[0].resnets[0], []
    original = layer.forward

    def counting(*args, **kwargs):
        calls.append(1)
        return original(*args, **kwargs)

    layer.forward = counting
    checkpoint_blocks(unet)
    loss_of(BaseObjective(unet)).backward()
    assert len(calls) == 2
    checkpoint_blocks(unet, enabled=False)
    assert layer.forward is counting


def test_a_deep_copy_computes_with_its_own_weights():
    _, unet, controlnet = stage("controlnet")
    checkpoint_blocks(unet, controlnet)
    copied_unet, copied = copy.deepcopy(unet), copy.deepcopy(controlnet)
    fill_randomly(copied, seed=9)
    found = loss_and_gradients(ControlNetObjective(copied_unet, copied))
    expected = loss_and_gradients(ControlNetObjective(small_unet(), small_controlnet(seed=9)))
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))
    assert all(parameter.grad is None for parameter in controlnet.parameters())
