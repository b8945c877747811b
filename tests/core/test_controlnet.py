"""The ControlNet, its condition encoder and the way its residuals reach a stock UNet."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from accelerate import cpu_offload
from einops import rearrange, repeat
from hypothesis import given, settings
from hypothesis import strategies as st
from small_networks import ARCHITECTURE, ENCODER, SKIPS, random_maps, small_controlnet, small_inputs, small_unet
from torch.testing import assert_close

from draganything_core.condition_encoder import ConditionEncoder, convolve_indexed
from draganything_core.controlnet import CHOICES, COPIED_FROM_UNET, SvdControlNet
from draganything_core.residual_injection import injected_residuals
from draganything_core.types import ControlResiduals, FeatureSource

KEYS = Path(__file__).parent / "controlnet_keys.txt"


@pytest.fixture(scope="module")
def unet():
    return small_unet()


@pytest.fixture(scope="module")
def controlnet():
    return small_controlnet(gaussian_scale=3.0)


def run(network, inputs, **arguments):
    with torch.no_grad():
        return network(**inputs, **arguments)


def features_of(controlnet, batch=1, **maps):
    with torch.no_grad():
        return repeat(controlnet.encode_conditions(random_maps(**maps)), "t c h w -> (b t) c h w", b=batch)


def residuals_of(controlnet, inputs, **arguments):
    batch = len(inputs["sample"])
    return run(controlnet, inputs, condition_features=features_of(controlnet, batch), **arguments)


def tensors(residuals):
    return [*residuals.down, residuals.mid]


# The condition encoder


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 999),
    entities=st.integers(0, 9),
    height=st.integers(1, 3).map(lambda n: 8 * n),
    width=st.integers(1, 4).map(lambda n: 8 * n),
)
def test_index_map_with_table_equals_the_dense_map(seed, entities, height, width):
    controlnet = small_controlnet()
    maps = random_maps(2, entities, height, width, seed=seed)
    encoder = controlnet.controlnet_cond_embedding
    with torch.no_grad():
        dense = encoder.encode_entity_map(maps.entity_map())
        assert_close(encoder.encode_entities(maps.entity_index, maps.embeddings), dense, rtol=0, atol=1e-5)
        first = encoder.blocks_feature[0]
        assert_close(
            convolve_indexed(first, maps.entity_index, maps.embeddings), first(maps.entity_map()), rtol=0, atol=1e-5
        )


def test_features_are_the_sum_of_both_branches(controlnet):
    maps = random_maps()
    encoder = controlnet.controlnet_cond_embedding
    with torch.no_grad():
        gaussian = repeat(maps.gaussian * 3.0, "t 1 h w -> t c h w", c=3)
        expected = encoder.encode_gaussian(gaussian) + encoder.encode_entity_map(maps.entity_map())
    features = features_of(controlnet)
    assert features.shape == (3, 32, 5, 7)
    assert_close(features, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("chunk", [1, 2, 4, 7, 100])
def test_chunks_change_nothing(controlnet, chunk):
    maps = random_maps(frames=7)
    with torch.no_grad():
        whole = controlnet.encode_conditions(maps)
        assert_close(controlnet.encode_conditions(maps, chunk_frames=chunk), whole, rtol=0, atol=1e-5)


def test_chunks_keep_memory_bounded(monkeypatch):
    seen = []
    controlnet = small_controlnet()
    controlnet.controlnet_cond_embedding.conv_in.register_forward_pre_hook(lambda _, args: seen.append(len(args[0])))
    frame_bytes = 10 * 40 * 56 * 4  # the entity branch is the wider one at full resolution
    monkeypatch.setattr("draganything_core.condition_encoder.CHUNK_BYTES", 2 * frame_bytes)
    controlnet.encode_conditions(random_maps(frames=5))
    assert seen == [2, 2, 1]


def test_encoder_accepts_maps_without_entities(controlnet):
    maps = random_maps(entities=0)
    with torch.no_grad():
        empty = controlnet.controlnet_cond_embedding.encode_entity_map(torch.zeros(3, 6, 40, 56))
        assert_close(
            controlnet.controlnet_cond_embedding.encode_entities(maps.entity_index, maps.embeddings),
            empty,
            rtol=0,
            atol=1e-5,
        )


def test_entities_stay_apart_through_an_untrained_encoder():
    torch.manual_seed(5)
    encoder = ConditionEncoder(8, 3, (16, 32, 96, 256), 160, (160, 160, 256, 256))
    encoder.conv_out_feature = torch.nn.Identity()
    index = torch.zeros(1, 32, 32, dtype=torch.int16)
    with torch.no_grad():
        seen = torch.stack([encoder.encode_entities(index, torch.randn(1, 160))[0, :, 2, 2] for _ in range(6)])
    assert seen.std(dim=0).mean() > 0.3 * seen.square().mean().sqrt()


def test_encoder_gradients_equal_those_of_the_dense_map():
    maps = random_maps()
    gradients = []
    for dense in (False, True):
        controlnet = small_controlnet()
        encoder = controlnet.controlnet_cond_embedding
        table = maps.embeddings.clone().requires_grad_()
        own = replace(maps, embeddings=table)
        features = (
            encoder.encode_entity_map(own.entity_map()) if dense else encoder.encode_entities(own.entity_index, table)
        )
        features.square().sum().backward()
        first = encoder.blocks_feature[0]
        gradients.append((table.grad, first.weight.grad, first.bias.grad))
    for indexed, dense in zip(*gradients, strict=True):
        assert_close(indexed, dense, rtol=1e-4, atol=1e-4)


def test_encoder_refuses_other_channels_and_sizes(controlnet):
    with pytest.raises(ValueError, match=r"have 5 channels, these weights expect 6"):
        controlnet.encode_conditions(random_maps(channels=5))
    with pytest.raises(ValueError, match=r"multiples of 8, got 44x56"):
        controlnet.encode_conditions(random_maps(height=44))
    with pytest.raises(ValueError, match="chunk_frames must be >= 1"):
        controlnet.encode_conditions(random_maps(), chunk_frames=0)


# The network


def test_full_size_has_the_published_tensors():
    expected = {}
    for line in KEYS.read_text().splitlines():
        if not line.startswith("#"):
            name, shape = line.split("\t")
            expected[name] = tuple(int(number) for number in shape.strip("[]").split(",") if number)
    with torch.device("meta"):
        controlnet = SvdControlNet()
    assert {name: tuple(value.shape) for name, value in controlnet.state_dict().items()} == expected
    assert len(expected) == 685
    assert controlnet.num_parameters() == 684_999_873
    assert controlnet.config.num_attention_heads == (5, 10, 20, 20)
    assert len(controlnet.residual_multiplicity[0]) == 12


def test_head_counts_change_no_shape_but_the_result(controlnet):
    other = small_controlnet(num_attention_heads=(4, 2))
    other.load_state_dict(controlnet.state_dict())
    inputs = small_inputs()
    features = features_of(controlnet)
    assert not torch.allclose(
        run(controlnet, inputs, condition_features=features).mid, run(other, inputs, condition_features=features).mid
    )


def test_from_unet_copies_and_adds_exactly_nothing(unet):
    controlnet = SvdControlNet.from_unet(unet, **ENCODER, painting="channel_0").eval()
    copied = controlnet.state_dict()
    for name, value in unet.state_dict().items():
        if name.split(".")[0] in COPIED_FROM_UNET:
            assert torch.equal(copied.pop(name), value), name
    assert {name.split(".")[0] for name in copied} == {
        "controlnet_cond_embedding",
        "controlnet_down_blocks",
        "controlnet_mid_block",
    }
    assert controlnet.config.frames == ARCHITECTURE["num_frames"]
    assert controlnet.config.painting == "channel_0"
    assert features_of(controlnet).count_nonzero() == 0
    residuals = residuals_of(controlnet, small_inputs())
    assert all(tensor.count_nonzero() == 0 for tensor in tensors(residuals))


def test_from_unet_copies_a_half_precision_unet_to_float32(unet):
    half = small_unet().to(torch.bfloat16)
    controlnet = SvdControlNet.from_unet(half, **ENCODER)
    assert controlnet.dtype == torch.float32
    assert torch.equal(controlnet.conv_in.weight, half.conv_in.weight.float())


DEEPER = {
    "down_block_types": ("CrossAttnDownBlockSpatioTemporal",) * 2 + ("DownBlockSpatioTemporal",),
    "up_block_types": ("UpBlockSpatioTemporal",) + ("CrossAttnUpBlockSpatioTemporal",) * 2,
    "block_out_channels": (32, 64, 64),
    "num_attention_heads": (2, 4, 8),
    "layers_per_block": (1, 2, 1),
}


@pytest.mark.parametrize("architecture", [{}, DEEPER], ids=["two levels", "three levels"])
def test_copied_part_computes_what_the_unet_computes(architecture):
    # With identity output layers the residuals are the UNet's own skip connections.
    unet = small_unet(**architecture)
    controlnet = SvdControlNet.from_unet(unet, **ENCODER).eval()
    for conv in [*controlnet.controlnet_down_blocks, controlnet.controlnet_mid_block]:
        conv.weight.data.copy_(rearrange(torch.eye(conv.out_channels), "o i -> o i 1 1"))
    skips, mids = [], []

    def keep_skips(_block, _args, kwargs):
        skips.append(kwargs["res_hidden_states_tuple"])

    for block in unet.up_blocks:
        block.register_forward_pre_hook(keep_skips, with_kwargs=True)
    unet.mid_block.register_forward_hook(lambda _block, _args, output: mids.append(output))
    inputs = small_inputs(batch=2)
    run(unet, inputs)
    expected = [skip for share in reversed(skips) for skip in share]
    for computed, skip in zip(tensors(residuals_of(controlnet, inputs)), [*expected, *mids], strict=True):
        assert_close(computed, skip, rtol=0, atol=1e-5)


def test_a_batch_gives_what_its_samples_give_alone(controlnet):
    inputs = small_inputs(batch=2)
    features = torch.cat([features_of(controlnet, seed=seed) for seed in (5, 6)])
    together = run(controlnet, inputs, condition_features=features)
    for i in range(2):
        alone = run(
            controlnet,
            {name: value[i : i + 1] for name, value in inputs.items()},
            condition_features=features[3 * i : 3 * i + 3],
        )
        for both, single in zip(tensors(together), tensors(alone), strict=True):
            assert_close(both[3 * i : 3 * i + 3], single, rtol=1e-5, atol=1e-5)


def test_one_timestep_serves_all_samples(controlnet):
    inputs = small_inputs(batch=2) | {"timestep": torch.full((2,), 1.25)}
    expected = residuals_of(controlnet, inputs)
    for timestep in (1.25, torch.tensor(1.25), torch.tensor([1.25]), torch.tensor(1.25, dtype=torch.float64)):
        residuals = residuals_of(controlnet, inputs | {"timestep": timestep})
        for computed, wanted in zip(tensors(residuals), tensors(expected), strict=True):
            assert torch.equal(computed, wanted)


def test_every_input_reaches_the_residuals(controlnet):
    inputs = small_inputs()
    before = residuals_of(controlnet, inputs)
    for name in inputs:
        after = residuals_of(controlnet, inputs | {name: inputs[name] + 0.5})
        assert not torch.allclose(before.mid, after.mid), name
    moved = run(controlnet, inputs, condition_features=features_of(controlnet, seed=9))
    assert all(not torch.allclose(a, b) for a, b in zip(tensors(before), tensors(moved), strict=True))


@pytest.mark.parametrize(("height", "width"), [(5, 7), (8, 8), (1, 2)])
def test_strength_scales_and_zero_is_exactly_zero(controlnet, height, width):
    inputs = small_inputs(batch=2, height=height, width=width)
    features = features_of(controlnet, 2, height=8 * height, width=8 * width)
    full, half, none = (
        run(controlnet, inputs, condition_features=features, strength=strength) for strength in (1.0, 0.5, 0.0)
    )
    for whole, scaled, zero in zip(*map(tensors, (full, half, none)), strict=True):
        assert torch.equal(scaled, whole * 0.5)
        assert zero.shape == whole.shape
        assert zero.dtype == whole.dtype
        assert zero.count_nonzero() == 0


def test_strength_zero_stays_zero_where_the_network_overflows(controlnet):
    inputs = small_inputs()
    inputs["sample"] = inputs["sample"] * math.inf
    assert all(tensor.count_nonzero() == 0 for tensor in tensors(residuals_of(controlnet, inputs, strength=0.0)))


def test_half_precision_agrees_within_its_own(controlnet):
    inputs = small_inputs()
    exact = residuals_of(controlnet, inputs)
    half = small_controlnet(gaussian_scale=3.0).to(torch.bfloat16)
    with torch.no_grad():
        features = half.encode_conditions(random_maps())
        # The other inputs may stay in float32; the sample decides.
        residuals = half(**inputs | {"sample": inputs["sample"].bfloat16()}, condition_features=features)
    for computed, wanted in zip(tensors(residuals), tensors(exact), strict=True):
        assert computed.dtype == torch.bfloat16
        assert (computed.float() - wanted).norm() / wanted.norm() < 0.05


def test_gradient_checkpointing_recomputes_and_changes_no_gradient():
    gradients, calls = [], []
    for checkpointing in (False, True):
        controlnet = small_controlnet().train()
        if checkpointing:
            controlnet.enable_gradient_checkpointing()
        seen = []
        for module in (controlnet.controlnet_cond_embedding.conv_in, controlnet.down_blocks[0].resnets[0]):
            module.register_forward_pre_hook(lambda module, _args, seen=seen: seen.append(type(module).__name__))
        features = controlnet.encode_conditions(random_maps(), chunk_frames=2)
        residuals = controlnet(**small_inputs(), condition_features=features)
        sum(tensor.square().mean() for tensor in tensors(residuals)).backward()
        gradients.append({name: value.grad for name, value in controlnet.named_parameters()})
        calls.append({name: seen.count(name) for name in seen})
    assert calls == [{"Conv2d": 2, "SpatioTemporalResBlock": 1}, {"Conv2d": 4, "SpatioTemporalResBlock": 2}]
    for name, plain in gradients[0].items():
        assert_close(gradients[1][name], plain, rtol=1e-4, atol=1e-6)


def test_wrong_shapes_are_named(controlnet):
    inputs = small_inputs(batch=2)
    features = features_of(controlnet, 2)
    wrong = {
        "sample": (inputs["sample"][:, :, :4], r"sample must be \(B, T, 8, h, w\)"),
        "timestep": (torch.ones(3), "one for each of 2 samples, got 3"),
        "encoder_hidden_states": (inputs["encoder_hidden_states"][:1], r"encoder_hidden_states must be \(2, 1, D\)"),
        "added_time_ids": (torch.ones(2, 2), r"added_time_ids must be \(2, 3\)"),
        "condition_features": (features[:3], r"condition_features must be \(6, 32, 5, 7\)"),
    }
    for name, (value, message) in wrong.items():
        with pytest.raises(ValueError, match=message):
            run(controlnet, inputs | {"condition_features": features, name: value})


def test_offloaded_layer_by_layer_it_computes_the_same(controlnet):
    inputs = small_inputs()
    expected = residuals_of(controlnet, inputs)
    offloaded = small_controlnet(gaussian_scale=3.0)
    cpu_offload(offloaded, execution_device=torch.device("cpu"))
    assert offloaded.conv_in.weight.device.type == "meta"
    for computed, wanted in zip(tensors(residuals_of(offloaded, inputs)), tensors(expected), strict=True):
        assert torch.equal(computed, wanted)


# Its configuration


def test_saving_keeps_every_choice_and_tensor(tmp_path):
    choices = {
        "entity_source": {"model_kind": "sd15", "timestep": 7, "block": 2, "ensemble": 3, "model": "m", "seed": 4},
        "entity_channels": 6,
        "geometry": "reference",
        "max_radius": 12.5,
        "max_radius_size": [40, 56],
        "gaussian_scale": 255.0,
        "residual_multiplicity": [4.0, 3.0, 2.0, 1.5],
        "mid_multiplicity": 0.5,
        "painting": "channel_0",
        "anchor": "grabbed_point",
        "clip_preprocessing": "reference",
        "fps_id": 7,
        "motion_bucket_id": 180,
        "motion_buckets_per_percent": 110.0,
        "noise_aug_strength": 0.1,
        "sigma_min": 0.01,
        "sigma_max": 80.0,
        "num_inference_steps": 9,
        "max_guidance_scale": 2.5,
        "size": [40, 56],
        "frames": 3,
    }
    assert set(choices) == set(CHOICES)
    controlnet = small_controlnet(**choices)
    controlnet.save_pretrained(tmp_path)
    loaded = SvdControlNet.from_pretrained(tmp_path)
    assert {name: loaded.config[name] for name in CHOICES} == choices
    assert loaded.residual_multiplicity == ((4.0, 3.0, 2.0, 1.5), 0.5)
    assert loaded.feature_source == FeatureSource("sd15", 7, 2, 3, "m", 4)
    for name, value in controlnet.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value)


def test_defaults_are_those_of_weights_trained_here(controlnet):
    assert controlnet.residual_multiplicity == ((1.0,) * SKIPS, 1.0)
    assert controlnet.feature_source == FeatureSource()
    assert (controlnet.config.geometry, controlnet.config.painting) == ("exact", "vector")


@pytest.mark.parametrize(
    ("choice", "value", "message"),
    [
        ("geometry", "round", "geometry must be one of exact, reference, point, trajectory, box, got 'round'"),
        ("painting", None, "painting must be one of"),
        ("anchor", "centre", "anchor must be one of"),
        ("clip_preprocessing", "none", "clip_preprocessing must be one of"),
        ("residual_multiplicity", [1, 2, 3], "3 factors, the network has 4 down residuals"),
        ("entity_source", {"modelkind": "svd"}, r"entity_source: unknown \['modelkind'\]"),
        ("entity_source", {"model_kind": "sdxl"}, 'must be "sd15" or "svd"'),
        ("sigma_min", 900.0, "0 < min < max"),
        ("max_radius", 0, "max_radius must be > 0"),
        ("max_speed", -1.0, "max_speed must be > 0 px, or None for not measured"),
        ("motion_buckets_per_percent", 0, "motion_buckets_per_percent must be > 0, or None for motion_bucket_id"),
        ("num_attention_heads", (2, 4, 4), "num_attention_heads has 3 values, there are 2 down blocks"),
    ],
)
def test_bad_choices_are_refused(choice, value, message):
    with pytest.raises(ValueError, match=message):
        small_controlnet(**{choice: value})


# Residuals into a stock UNet


def by_hand(unet, residuals, sample, timestep, encoder_hidden_states, added_time_ids):
    """The UNet's own parts, one after the other, with the residuals added where the paper adds them."""
    batch, frames = sample.shape[:2]
    ids = unet.add_time_proj(added_time_ids.flatten()).reshape(batch, -1)
    time = unet.time_embedding(unet.time_proj(timestep)) + unet.add_embedding(ids)
    shared = {"temb": time.repeat_interleave(frames, 0), "image_only_indicator": torch.zeros(batch, frames)}
    context = {"encoder_hidden_states": encoder_hidden_states.repeat_interleave(frames, 0)}
    hidden = unet.conv_in(sample.flatten(0, 1))
    skips = [hidden]
    for block in unet.down_blocks:
        hidden, outputs = block(hidden, **shared, **(context if hasattr(block, "attentions") else {}))
        skips += outputs
    hidden = unet.mid_block(hidden, **shared, **context) + residuals.mid
    skips = [skip + residual for skip, residual in zip(skips, residuals.down, strict=True)]
    for block in unet.up_blocks:
        share, skips = tuple(skips[-len(block.resnets) :]), skips[: -len(block.resnets)]
        size = skips[-1].shape[-2:] if skips else None
        hidden = block(hidden, share, upsample_size=size, **shared, **(context if hasattr(block, "attentions") else {}))
    output = unet.conv_out(unet.conv_act(unet.conv_norm_out(hidden)))
    return output.reshape(batch, frames, *output.shape[1:])


def test_injected_residuals_equal_the_sum_by_hand(unet, controlnet):
    inputs = small_inputs(batch=2)
    residuals = residuals_of(controlnet, inputs).multiplied((4.0, 3.0, 2.0, 1.0), 0.5)
    with torch.no_grad(), injected_residuals(unet, residuals):
        injected = unet(**inputs).sample
    with torch.no_grad():
        expected = by_hand(unet, residuals, **inputs)
    assert_close(injected, expected, rtol=0, atol=1e-5)
    assert not torch.allclose(injected, run(unet, inputs).sample, atol=1e-2)


def test_injection_leaves_the_unet_as_it_was(unet, controlnet):
    inputs = small_inputs()
    residuals = residuals_of(controlnet, inputs)
    before = run(unet, inputs).sample
    with injected_residuals(unet, residuals):
        first = run(unet, inputs).sample
        assert torch.equal(run(unet, inputs).sample, first)
    assert torch.equal(run(unet, inputs).sample, before)
    with pytest.raises(RuntimeError, match="stop"), injected_residuals(unet, residuals):
        raise RuntimeError("stop")
    assert torch.equal(run(unet, inputs).sample, before)
    with injected_residuals(unet, None):
        assert torch.equal(run(unet, inputs).sample, before)


def test_zero_residuals_change_nothing(unet, controlnet):
    inputs = small_inputs()
    with injected_residuals(unet, residuals_of(controlnet, inputs, strength=0.0)):
        controlled = run(unet, inputs).sample
    assert torch.equal(controlled, run(unet, inputs).sample)


def test_two_controls_add_up(unet, controlnet):
    inputs = small_inputs()
    one, two = residuals_of(controlnet, inputs), residuals_of(small_controlnet(seed=8), inputs)
    both = ControlResiduals(tuple(a + b for a, b in zip(one.down, two.down, strict=True)), one.mid + two.mid)
    with injected_residuals(unet, one), injected_residuals(unet, two):
        nested = run(unet, inputs).sample
    with injected_residuals(unet, both):
        assert_close(run(unet, inputs).sample, nested, rtol=0, atol=1e-5)


def test_injection_names_what_does_not_fit(unet, controlnet):
    inputs = small_inputs()
    residuals = residuals_of(controlnet, inputs)
    fewer = replace(residuals, down=residuals.down[1:])
    with (
        pytest.raises(ValueError, match="3 down residuals do not fit a UNet with 4 skip"),
        injected_residuals(unet, fewer),
    ):
        pass
    narrow = replace(residuals, down=(*residuals.down[:2], residuals.down[2][:, :, :1], residuals.down[3]))
    with (
        injected_residuals(unet, narrow),
        pytest.raises(ValueError, match=r"down residual 2 has shape \(3, 32, 1, 4\)"),
    ):
        run(unet, inputs)
    short = replace(residuals, mid=residuals.mid[:1])
    with injected_residuals(unet, short), pytest.raises(ValueError, match="the mid residual has shape"):
        run(unet, inputs)
    assert not any(block._forward_pre_hooks for block in unet.up_blocks)
    assert not unet.mid_block._forward_hooks


def test_injection_into_a_unet_of_another_dtype_and_under_offloading(controlnet):
    inputs = small_inputs()
    residuals = residuals_of(controlnet, inputs)
    with injected_residuals(exact := small_unet(), residuals):
        expected = run(exact, inputs).sample
    offloaded = small_unet()
    cpu_offload(offloaded, execution_device=torch.device("cpu"))
    with injected_residuals(offloaded, residuals):
        assert torch.equal(run(offloaded, inputs).sample, expected)
    half = small_unet().to(torch.bfloat16)
    with injected_residuals(half, residuals):
        output = run(half, {name: value if name == "timestep" else value.bfloat16() for name, value in inputs.items()})
    assert output.sample.dtype == torch.bfloat16
    assert (output.sample.float() - expected).norm() / expected.norm() < 0.1


def test_gradients_flow_through_the_frozen_unet_into_the_control():
    unet = small_unet().requires_grad_(False)
    controlnet = small_controlnet().train()
    inputs = small_inputs()
    residuals = controlnet(**inputs, condition_features=controlnet.encode_conditions(random_maps()))
    with injected_residuals(unet, residuals):
        unet(**inputs).sample.square().mean().backward()
    assert all(parameter.grad is None for parameter in unet.parameters())
    without = [name for name, value in controlnet.named_parameters() if value.grad is None or not value.grad.any()]
    # Attention to a single image token is one whatever the query and key, so their gradient is zero.
    assert all(".attn2.to_q." in name or ".attn2.to_k." in name or ".norm2." in name for name in without)
