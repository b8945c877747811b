"""Sampling through the host's own sampler gives what the core's networks give alone."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from small_model import FRAMES, SEED, SIZE, STEPS, core, core_sample, error, host_sample, pack, unit_noise

TOLERANCE = 1e-4


def always(_sigma: float) -> bool:
    return True


def apply(conditioning: Any, control: Any, conditions: Any, strength=1.0, start=0.0, end=1.0) -> tuple[Any, Any]:
    node = pack("nodes.sampling").ApplyDragAnything
    return node.execute(*conditioning, control, conditions, strength, start, end).result


def guided(model: Any, cfg: float) -> Any:
    from comfy_extras.nodes_video_model import VideoLinearCFGGuidance

    return VideoLinearCFGGuidance().patch(model, 1.0)[0]


def some_conditioning(x: torch.Tensor) -> dict[str, torch.Tensor]:
    """What a model gets beside its latents, of no meaning."""
    frames = len(x)
    return {
        "c_concat": torch.zeros_like(x),
        "c_crossattn": torch.ones(frames, 1, 64),
        "y": torch.zeros(frames, 768),
    }


@pytest.fixture
def calls(tiny: Any, monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """Which halves of guidance each call of a control has."""
    control = pack("nodes.control").DragAnythingControl
    original, seen = control.get_control, []

    def watched(self: Any, x: Any, t: Any, cond: Any, batched: int, options: Any) -> Any:
        seen.append(list(options["cond_or_uncond"]))
        return original(self, x, t, cond, batched, options)

    monkeypatch.setattr(control, "get_control", watched)
    return seen


def test_without_guidance(tiny, headless, conditions, conditioning, calls):
    noise = unit_noise()
    positive, negative = apply(conditioning, tiny.control, conditions, 0.8)
    found = host_sample(tiny.model, positive, negative, noise, 1.0)
    expected = core_sample(headless, positive, noise, None, [(conditions.maps, 0.8, always)])
    assert error(found, expected) < TOLERANCE
    assert error(expected, core_sample(headless, positive, noise, None, [])) > 0.05
    assert calls == [[0]] * STEPS


def test_both_halves_of_guidance_in_one_call(tiny, headless, conditions, conditioning, calls):
    noise = unit_noise()
    positive, negative = apply(conditioning, tiny.control, conditions)
    found = host_sample(guided(tiny.model, 2.5), positive, negative, noise, 2.5)
    guidance = torch.linspace(1.0, 2.5, FRAMES)
    expected = core_sample(headless, positive, noise, guidance, [(conditions.maps, 1.0, always)])
    assert error(found, expected) < TOLERANCE
    assert all(len(halves) == 2 for halves in calls)


def test_each_half_of_guidance_in_a_call_of_its_own(tiny, headless, conditions, conditioning, calls):
    noise = unit_noise()
    positive, _ = apply(conditioning, tiny.control, conditions)
    _, negative = apply(conditioning, tiny.control, conditions)
    found = host_sample(guided(tiny.model, 2.5), positive, negative, noise, 2.5)
    guidance = torch.linspace(1.0, 2.5, FRAMES)
    expected = core_sample(headless, positive, noise, guidance, [(conditions.maps, 1.0, always)])
    assert error(found, expected) < TOLERANCE
    assert sorted(calls) == [[0]] * STEPS + [[1]] * STEPS


def test_two_controls_add_up(tiny, headless, motion, features, conditions, conditioning):
    noise = unit_noise()
    reversed_maps = conditions.maps.sliced(list(range(FRAMES))[::-1])
    others = pack("nodes.types").MotionConditions(reversed_maps, conditions.choices)
    first = apply(conditioning, tiny.control, conditions, 0.7)
    positive, negative = apply(first, tiny.control, others, 0.4)
    found = host_sample(guided(tiny.model, 2.5), positive, negative, noise, 2.5)
    controls = [(conditions.maps, 0.7, always), (reversed_maps, 0.4, always)]
    expected = core_sample(headless, positive, noise, torch.linspace(1.0, 2.5, FRAMES), controls)
    assert error(found, expected) < TOLERANCE
    same_maps = [(conditions.maps, 0.7, always), (conditions.maps, 0.4, always)]
    same = core_sample(headless, positive, noise, torch.linspace(1.0, 2.5, FRAMES), same_maps)
    assert error(same, expected) > 0.005  # what is drawn matters, and when
    alone = core_sample(headless, positive, noise, torch.linspace(1.0, 2.5, FRAMES), controls[:1])
    assert error(alone, expected) > 0.01


@pytest.mark.parametrize(("start", "end", "acting"), [(0.0, 0.3, [0]), (0.3, 0.6, [1]), (0.9, 1.0, [2])])
def test_it_acts_in_its_part_of_the_schedule_only(tiny, headless, conditions, conditioning, start, end, acting):
    sampling = tiny.model.model.model_sampling
    first, last = sampling.percent_to_sigma(start), sampling.percent_to_sigma(end)
    sigmas = headless.pipeline.scheduler
    sigmas.set_timesteps(STEPS)
    inside = [index for index, sigma in enumerate(sigmas.sigmas.tolist()[:STEPS]) if last <= sigma <= first]
    assert inside == acting
    noise = unit_noise()
    positive, negative = apply(conditioning, tiny.control, conditions, 1.0, start, end)
    found = host_sample(tiny.model, positive, negative, noise, 1.0)
    expected = core_sample(
        headless, positive, noise, None, [(conditions.maps, 1.0, lambda sigma: last <= sigma <= first)]
    )
    assert error(found, expected) < TOLERANCE


def test_strength_0_is_no_control_bit_for_bit(tiny, conditions, conditioning):
    positive, negative = apply(conditioning, tiny.control, conditions, 0.0)
    assert positive is conditioning[0]
    assert negative is conditioning[1]


def test_a_control_outside_its_range_is_no_control_bit_for_bit(tiny, conditions, conditioning):
    noise = unit_noise()
    # No step's noise lies between these two points.
    positive, negative = apply(conditioning, tiny.control, conditions, 1.0, 0.45, 0.47)
    found = host_sample(tiny.model, positive, negative, noise, 1.0)
    assert torch.equal(found, host_sample(tiny.model, *conditioning, noise, 1.0))


def test_runs_leave_nothing_behind(tiny, conditions, conditioning):
    noise = unit_noise()
    positive, negative = apply(conditioning, tiny.control, conditions, 0.6)
    first = host_sample(tiny.model, positive, negative, noise, 1.0)
    control = positive[0][1]["control"]
    assert control.condition_features is None
    assert control.model_sampling is None
    assert torch.equal(host_sample(tiny.model, positive, negative, noise, 1.0), first)
    plain = host_sample(tiny.model, *conditioning, noise, 1.0)
    assert error(plain, first) > 0.01
    assert "control" not in conditioning[0][0][1]


def test_conditions_are_encoded_once_a_run(tiny, conditions, conditioning, monkeypatch):
    hosted, runs = type(tiny.control.hosted), []
    original = hosted.encode_conditions
    monkeypatch.setattr(
        hosted, "encode_conditions", lambda self, *arguments: runs.append(1) or original(self, *arguments)
    )
    positive, negative = apply(conditioning, tiny.control, conditions)
    host_sample(guided(tiny.model, 2.5), positive, negative, unit_noise(), 2.5)
    assert len(runs) == 1


def test_context_windows_see_their_frames_of_the_conditions(tiny, conditions, conditioning, monkeypatch):
    from comfy_extras.nodes_context_windows import ContextWindowsManualNode

    control, shown = pack("nodes.control").DragAnythingControl, []
    original = control._features_of

    def watched(self: Any, x: Any, frames: int, options: Any) -> Any:
        features = original(self, x, frames, options)
        window = options["context_window"].index_list
        shown.append(list(window))
        assert torch.equal(features, self.condition_features[list(window)])
        return features

    monkeypatch.setattr(control, "_features_of", watched)
    windowed = ContextWindowsManualNode.execute(
        tiny.model, 3, 1, "standard_static", 1, False, "pyramid", 0, False, causal_window_fix=False
    ).result[0]
    positive, negative = apply(conditioning, tiny.control, conditions)
    host_sample(windowed, positive, negative, unit_noise(), 1.0)
    assert {tuple(frames) for frames in shown} == {(0, 1, 2), (2, 3, 4)}


def test_a_window_with_a_frame_in_front(tiny, conditions):
    class Window:
        index_list = (2, 3, 4)
        causal_anchor_index = 1

    control = tiny.control.applied(conditions, 1.0, 0.0, 1.0)
    features = control._features_of(unit_noise(4), 4, {"context_window": Window})
    assert torch.equal(features, control.condition_features[[1, 2, 3, 4]])


def test_the_users_attention_is_used(tiny, conditions, conditioning, monkeypatch):
    import comfy.ldm.modules.attention as attention

    used = []

    def override(function: Any, *arguments: Any, **options: Any) -> Any:
        used.append(arguments[0].shape)
        return function(*arguments, **options)

    model = tiny.model.clone()
    model.model_options["transformer_options"]["optimized_attention_override"] = override
    without = host_sample(model, *conditioning, unit_noise(), 1.0)
    count = len(used)
    positive, negative = apply(conditioning, tiny.control, conditions)
    steered = host_sample(model, positive, negative, unit_noise(), 1.0)
    assert len(used) > 2 * count
    exchanged = []
    original = attention.optimized_attention
    monkeypatch.setattr(attention, "optimized_attention", lambda *a, **k: exchanged.append(1) or original(*a, **k))
    assert error(host_sample(tiny.model, positive, negative, unit_noise(), 1.0), steered) < 1e-5
    assert exchanged
    assert not torch.equal(without, steered)


def test_a_clone_for_another_device_gives_the_same(tiny, conditions):
    control = tiny.control.applied(conditions, 0.5, 0.0, 1.0)
    clone = control.deepclone_multigpu(torch.device("cpu"), autoregister=True)
    assert control.multigpu_clones == {torch.device("cpu"): clone}
    assert clone.hosted is not control.hosted
    assert clone.conditions is conditions
    for each in (control, clone):
        each.model_sampling = tiny.model.model.model_sampling
    x, sigma = unit_noise(), torch.full((FRAMES,), 2.0)
    cond = some_conditioning(x)
    with torch.no_grad():
        first, second = (each.get_control(x, sigma, cond, 1, {}) for each in (control, clone))
    assert all(torch.equal(a, b) for a, b in zip(first["output"], second["output"], strict=True))
    assert torch.equal(first["middle"][0], second["middle"][0])
    assert clone.hosted.attention is not control.hosted.attention


def test_the_weights_own_multiplicity(tiny, weights, conditions):
    network = core("weights").load_controlnet(weights / "controlnet")
    factors = [4.0, 3.0, 3.0, 2.0, 1.0, 1.0, 0.5]
    network.register_to_config(residual_multiplicity=factors, mid_multiplicity=0.25)
    x, sigma = unit_noise(), torch.full((FRAMES,), 2.0)
    found = []
    for loaded in (tiny.control, pack("nodes.control").host_control(network)):
        control = loaded.applied(conditions, 1.0, 0.0, 1.0)
        control.model_sampling = tiny.model.model.model_sampling
        with torch.no_grad():
            found.append(control.get_control(x, sigma, some_conditioning(x), 1, {}))
    plain, multiplied = found
    assert len(plain["output"]) == len(factors)
    for factor, before, after in zip(factors, plain["output"], multiplied["output"], strict=True):
        assert torch.allclose(after, before * factor)
    assert torch.allclose(multiplied["middle"][0], plain["middle"][0] * 0.25)


def test_half_precision_weights_compute_in_the_hosts_type(tiny, weights, conditions, conditioning):
    network = core("weights").load_controlnet(weights / "controlnet", torch_dtype=torch.float16)
    control = pack("nodes.control").host_control(network)
    assert control.network.conv_in.weight.dtype == torch.float16
    assert control.hosted.compute_dtype == torch.float32
    noise = unit_noise()
    expected = host_sample(tiny.model, *apply(conditioning, tiny.control, conditions), noise, 1.0)
    found = host_sample(tiny.model, *apply(conditioning, control, conditions), noise, 1.0)
    assert torch.equal(found, expected)  # the shipped weights are of half precision themselves


def test_the_sampler_node_gives_the_video_of_the_command_line(tiny, headless, motion):
    generation = core("generation")
    entities, tracks = motion.resolved("center")
    resolved = generation.Motion(motion.document, motion.picture, entities, tracks)
    sampling = generation.Sampling(
        seed=SEED, num_inference_steps=STEPS, max_guidance_scale=2.5, control_strength=0.9, noise_aug_strength=0.3
    )
    expected = generation.generate_video(headless, resolved, core("types").Size(*SIZE), sampling).frames
    node = pack("nodes.sampling").SvdControlNetSampler
    height, width = SIZE
    images, latent = node.execute(
        tiny.model, tiny.clip_vision, tiny.vae, tiny.control, motion, width, height, SEED, STEPS, 1.0, 2.5,
        "euler", "karras", 0.9, 0.0, 1.0, -1, 0, 0.3,
    ).result  # fmt: skip
    assert latent["samples"].shape == (FRAMES, 4, height // 8, width // 8)
    assert images.shape == (FRAMES, height, width, 3)
    assert (images.movedim(-1, 1) - expected).abs().max() < 1e-4
    assert expected.std() > 0.05


def test_the_sampler_node_takes_steps_and_guidance_from_the_weights(tiny, motion):
    node = pack("nodes.sampling").SvdControlNetSampler
    height, width = SIZE
    own = tiny.control.network.config
    assert (own.num_inference_steps, own.max_guidance_scale) == (12, 1.0)

    def video(steps, cfg):
        return node.execute(
            tiny.model, tiny.clip_vision, tiny.vae, tiny.control, motion, width, height, SEED, steps, 1.0, cfg,
            "euler", "karras", 1.0, 0.0, 1.0, -1, 0, -1.0,
        ).result[0]  # fmt: skip

    unsaid = video(0, -1.0)
    assert torch.equal(unsaid, video(12, 1.0))
    assert not torch.equal(unsaid, video(11, 1.0))
    assert not torch.equal(unsaid, video(12, 3.0))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"frames": 4}, "the conditions have 5 frames, 4 are sampled"),
        ({"size": (64, 64)}, "the conditions are 64x96, the video is 64x64"),
    ],
)
def test_conditions_of_another_clip_are_refused(tiny, conditions, conditioning, change, message):
    height, width = change.get("size", SIZE)
    noise = torch.randn(change.get("frames", FRAMES), 4, height // 8, width // 8)
    positive, negative = apply(conditioning, tiny.control, conditions)
    with pytest.raises(ValueError, match=message):
        host_sample(tiny.model, positive, negative, noise, 1.0)
    assert positive[0][1]["control"].condition_features is None


def test_weights_for_another_video_model_are_refused(tiny, conditions, conditioning):
    config = {**tiny.control.network.config, "cross_attention_dim": 1024}
    with pytest.raises(ValueError, match="made for another video model"):
        pack("nodes.control").require_fitting_model(tiny.model.model, config)


def test_conditions_for_other_weights_are_refused(tiny, conditions, conditioning):
    others = pack("nodes.types").MotionConditions(conditions.maps, {**conditions.choices, "gaussian_scale": 255.0})
    with pytest.raises(ValueError, match="made for other weights"):
        apply(conditioning, tiny.control, others)


@pytest.mark.parametrize("sample", [0, 1])
def test_the_originals_residuals_through_the_hosts_call(tiny, sample):
    """The golden's inputs as the host would give them: raw latents, sigmas, time ids already embedded."""
    from check_a import SHIPPED, condition_features, load_controlnet_golden
    from safetensors.torch import load_file

    network = load_controlnet_golden(SHIPPED, json.loads((SHIPPED / "recipe.json").read_text())["seed"])
    inputs, golden = (load_file(SHIPPED / f"{name}.safetensors") for name in ("inputs", "outputs"))
    frames, _, height, width = inputs["sample"].shape[1:]
    size = core("types").Size(8 * height, 8 * width)
    unused = core("types").ConditionMaps(
        torch.zeros(frames, 1, size.height, size.width),
        torch.full((frames, size.height, size.width), -1, dtype=torch.int16),
        torch.zeros(1, 1),
        size,
    )
    control = pack("nodes.control").host_control(network)
    control = control.applied(pack("nodes.types").MotionConditions(unused, control.choices), 1.0, 0.0, 1.0)
    control.model_sampling = tiny.model.model.model_sampling
    with torch.no_grad():
        features = condition_features(network, inputs)
    control.condition_features = features[sample * frames : (sample + 1) * frames]

    sigma = torch.exp(4 * inputs["timestep"].double()).reshape(-1)[:1]
    scaled, picture = inputs["sample"][sample].split(4, dim=1)
    cond = {
        "c_concat": picture,
        "c_crossattn": inputs["encoder_hidden_states"][sample].expand(frames, 1, -1),
        "y": network.add_time_proj(inputs["added_time_ids"][sample]).reshape(1, -1).expand(frames, -1),
    }
    x = (scaled.double() * (sigma**2 + 1).sqrt()).float()
    with torch.no_grad():
        found = control.get_control(x, sigma.float().expand(frames), cond, 1, {})
    computed = {f"down_{index:02}": down for index, down in enumerate(found["output"])} | {"mid": found["middle"][0]}
    for name, residual in computed.items():
        assert error(residual, golden[f"b1_{sample}.{name}"]) < 2e-5, name
