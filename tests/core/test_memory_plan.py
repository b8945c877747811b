"""The plan of a training step's memory and arithmetic, against real steps and against what is known by hand."""

from dataclasses import replace
from functools import cache

import pytest
import torch
from diffusers import UNetSpatioTemporalConditionModel
from small_networks import small_controlnet, small_unet
from small_training import loss_of, saved_bytes, some_batch, stage
from torch.utils.flop_counter import FlopCounterMode

from draganything_core.controlnet import SvdControlNet
from draganything_core.counting import FLOP_FORMULAS
from draganything_core.training.activation_checkpointing import checkpoint_blocks
from draganything_core.training.memory_plan import ENTITIES, MemoryPlan, plan_memory
from draganything_core.types import Size

GIB = 2**30
STEP = {  # small_training's
    "frames": 3,
    "size": Size(40, 56),
    "micro_batch": 2,
    "precision": "fp32",
    "optimizer_bytes_per_parameter": 8,
    "checkpointing": False,
}


def plan_of(unet, controlnet, **changes) -> MemoryPlan:
    return plan_memory(unet, controlnet, **{**STEP, **changes})


def small_plan(name="controlnet", **changes) -> MemoryPlan:
    return made_once(name, **{**STEP, **changes})


@cache
def made_once(name, **arguments) -> MemoryPlan:
    _, unet, controlnet = stage(name)
    return plan_memory(unet, controlnet, **arguments)


def count(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize(
    ("name", "checkpointing"),
    [
        ("base", False),
        ("controlnet", False),
        pytest.param("base", True, marks=pytest.mark.slow),
        ("controlnet", True),
    ],
)
def test_saved_activations_are_those_of_a_real_step(name, checkpointing):
    objective, unet, controlnet = stage(name)
    plan = small_plan(name, checkpointing=checkpointing)
    checkpoint_blocks(unet, controlnet, checkpointing)
    batch = some_batch(ENTITIES)
    maps = [tensor for maps in batch.maps for tensor in (maps.gaussian, maps.entity_index)]
    known = [*unet.parameters(), *objective.parameters(), *maps]
    real = saved_bytes(lambda: loss_of(objective, batch), known)
    assert plan.saved_activations == pytest.approx(real, rel=0.03)


@pytest.mark.parametrize("name", ["base", "controlnet"])
def test_operations_are_those_that_torch_counts_in_a_real_step(name):
    objective, *_ = stage(name)
    plan = small_plan(name)
    with FlopCounterMode(display=False) as forward:
        forward.flop_registry.update(FLOP_FORMULAS)
        loss = loss_of(objective, some_batch(ENTITIES))
    with FlopCounterMode(display=False) as backward:
        backward.flop_registry.update(FLOP_FORMULAS)
        loss.backward()
    attention = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
    assert forward.get_flop_counts()["Global"][attention] > 0
    assert plan.controlnet_flops + plan.unet_flops == forward.get_total_flops()
    assert plan.step_flops == forward.get_total_flops() + backward.get_total_flops()
    assert plan.recomputed_flops == 0


def test_weights_gradients_optimizer_and_average_by_hand():
    unet, controlnet = small_unet(), small_controlnet()
    plan = small_plan()
    trained = count(controlnet)
    assert (plan.frozen_parameters, plan.trained_parameters) == (count(unet), trained)
    assert (plan.frozen_weights, plan.trained_weights) == (4 * count(unet), 4 * trained)
    assert (plan.gradients, plan.optimizer_state, plan.ema) == (4 * trained, 8 * trained, 4 * trained)
    assert plan.condition_maps == 2 * (3 * 40 * 56 * (4 + 2) + ENTITIES * 6 * 4)
    parts = [plan.frozen_weights, 5 * plan.trained_weights, plan.condition_maps]
    assert plan.total == sum(parts) + plan.saved_activations + plan.working_memory


def test_without_a_controlnet_the_unet_is_trained():
    unet = small_unet()
    plan = small_plan("base")
    assert (plan.frozen_parameters, plan.frozen_weights, plan.condition_maps, plan.controlnet_flops) == (0, 0, 0, 0)
    assert plan.trained_parameters == count(unet)
    # The backward pass multiplies for the inputs and for the weights.
    assert plan.step_flops == pytest.approx(3 * plan.unet_flops, rel=0.02)


def test_checkpointing_saves_memory_for_at_most_one_more_forward_pass():
    plain, checkpointed = (small_plan(checkpointing=choice) for choice in (False, True))
    assert checkpointed.saved_activations * 5 < plain.saved_activations
    in_step = [plan.saved_activations + plan.working_memory for plan in (plain, checkpointed)]
    assert in_step[1] < 0.5 * in_step[0]
    assert checkpointed.step_flops == plain.step_flops
    assert plain.controlnet_flops < checkpointed.recomputed_flops < plain.controlnet_flops + plain.unet_flops


def test_a_step_holds_what_its_largest_recomputed_part_needs():
    plan = small_plan(checkpointing=True)
    objective, *_ = stage("controlnet")
    encoder = objective.controlnet.controlnet_cond_embedding
    one_clip = saved_bytes(lambda: encoder(some_batch(ENTITIES).maps[0]), list(encoder.parameters()))
    assert one_clip < plan.saved_activations + plan.working_memory < 1.5 * one_clip


@pytest.mark.slow
def test_memory_grows_with_the_micro_batch_and_the_frames():
    less, more = small_plan(), small_plan(micro_batch=4, frames=6)
    assert more.condition_maps > 3.9 * less.condition_maps
    assert more.saved_activations == pytest.approx(4 * less.saved_activations, rel=0.05)


def test_bf16_halves_frozen_weights_and_most_activations_but_leaves_norms_in_float32():
    objective, unet, controlnet = stage("controlnet", autocast=torch.bfloat16)
    unet.to(torch.bfloat16)
    plan, in_fp32 = (
        plan_of(unet, controlnet, precision="bf16", optimizer_bytes_per_parameter=2, ema=False),
        small_plan(),
    )
    assert 2 * plan.frozen_weights == in_fp32.frozen_weights
    assert (plan.trained_weights, plan.gradients) == (in_fp32.trained_weights, in_fp32.gradients)
    assert (4 * plan.optimizer_state, plan.ema) == (in_fp32.optimizer_state, 0)
    on_the_cpu = saved_bytes(lambda: loss_of(objective, some_batch(ENTITIES)), [*unet.parameters()])
    assert 0.5 < plan.saved_activations / in_fp32.saved_activations < 0.9
    assert plan.saved_activations > 1.05 * on_the_cpu


def test_networks_stay_as_they_are_and_it_matters_not_how_they_are_set_up():
    _, unet, controlnet = stage("controlnet")
    checkpoint_blocks(unet, controlnet)
    weights = {name: tensor.clone() for name, tensor in controlnet.state_dict().items()}
    assert plan_of(unet, controlnet) == small_plan()
    assert all(torch.equal(tensor, weights[name]) for name, tensor in controlnet.state_dict().items())
    assert all(parameter.grad is None and parameter.requires_grad for parameter in controlnet.parameters())
    assert "forward" in vars(unet.mid_block.resnets[0])
    assert not unet.mid_block.resnets[0].spatial_res_block.norm1._forward_pre_hooks


def test_the_table_names_every_part_in_gib():
    parts = {
        "frozen_weights": 2 * GIB,
        "trained_weights": 1 * GIB,
        "gradients": 1 * GIB,
        "optimizer_state": 2 * GIB,
        "ema": 0,
        "condition_maps": GIB // 4,
        "saved_activations": GIB // 2,
        "working_memory": 3 * GIB,
    }
    flops = {"controlnet_flops": 10**13, "unet_flops": 2 * 10**13, "step_flops": 65 * 10**12, "recomputed_flops": 0}
    plan = MemoryPlan(frozen_parameters=1_524_623_082, trained_parameters=684_999_873, **parts, **flops)
    assert str(plan).splitlines() == [
        "frozen weights, 1524.6 M parameters       2.00 GiB",
        "trained weights, 685.0 M parameters       1.00 GiB",
        "gradients                                 1.00 GiB",
        "optimizer state                           2.00 GiB",
        "condition maps                            0.25 GiB",
        "saved activations                         0.50 GiB",
        "working memory                            3.00 GiB",
        "total                                     9.75 GiB",
        "forward pass of the ControlNet              10 TFLOP",
        "forward pass of the UNet                    20 TFLOP",
        "step, forward and backward                  65 TFLOP",
    ]
    assert "moving average of the weights             0.50 GiB" in str(replace(plan, ema=GIB // 2))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"precision": "fp16"}, 'precision must be "fp32" or "bf16", got \'fp16\''),
        ({"frames": 0}, "must be at least 1, got 0 and 2"),
        ({"micro_batch": 0}, "must be at least 1, got 3 and 0"),
        ({"size": Size(40, 57)}, "multiples of 8, got"),
    ],
)
def test_what_cannot_be_planned_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        plan_of(small_unet(), None, **change)


@pytest.mark.slow
def test_full_size_without_the_memory_for_it():
    with torch.device("meta"):
        unet = UNetSpatioTemporalConditionModel(num_attention_heads=(5, 10, 20, 20)).to(torch.bfloat16)
        controlnet = SvdControlNet()
    plain, checkpointed = (
        plan_of(unet, controlnet, frames=25, size=Size(320, 576), micro_batch=1, precision="bf16", checkpointing=choice)
        for choice in (False, True)
    )
    assert (plain.frozen_parameters, plain.trained_parameters) == (1_524_623_082, 684_999_873)
    assert plain.frozen_weights / GIB == pytest.approx(2.84, abs=0.005)
    assert plain.trained_weights / GIB == pytest.approx(2.55, abs=0.005)
    assert plain.saved_activations / GIB == pytest.approx(46, abs=2)
    assert checkpointed.saved_activations / GIB < 2
    assert checkpointed.working_memory / GIB < 4
    assert checkpointed.total / GIB == pytest.approx(20.4, abs=0.5)
    assert plain.step_flops / 1e12 == pytest.approx(67, abs=2)
