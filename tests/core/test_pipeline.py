from dataclasses import replace

import pytest
import torch
from PIL import Image
from small_networks import SKIPS
from small_pipeline import FRAMES, HEIGHT, WIDTH, small_maps, small_picture, small_pipeline

from draganything_core.types import Size


@pytest.fixture(scope="module")
def pipeline():
    return small_pipeline()


def sample(pipeline, image=None, maps="default", **changes):
    arguments = {
        "num_inference_steps": 2,
        "generator": torch.Generator().manual_seed(0),
        "output_type": "latent",
        **changes,
    }
    maps = small_maps() if isinstance(maps, str) else maps
    return pipeline(small_picture() if image is None else image, maps, **arguments).frames


def largest_difference(a, b):
    return float((a - b).abs().max())


def test_frames_are_pictures_of_the_size_asked_for(pipeline):
    frames = sample(pipeline, output_type="pt")
    assert frames.shape == (1, FRAMES, 3, HEIGHT, WIDTH)
    assert 0 <= float(frames.min()) < float(frames.max()) <= 1
    arrays = sample(pipeline, output_type="np")
    assert arrays.shape == (1, FRAMES, HEIGHT, WIDTH, 3)
    pictures = sample(pipeline, output_type="pil")
    assert [len(video) for video in pictures] == [FRAMES]
    assert pictures[0][0].size == (WIDTH, HEIGHT)


def test_strength_zero_equals_no_control(pipeline):
    assert torch.equal(sample(pipeline, control_strength=0.0), sample(pipeline, maps=None, num_frames=FRAMES))


def test_zero_convolutions_equal_no_control():
    fresh = small_pipeline()
    for conv in (*fresh.controlnet.controlnet_down_blocks, fresh.controlnet.controlnet_mid_block):
        torch.nn.init.zeros_(conv.weight)
        torch.nn.init.zeros_(conv.bias)
    assert torch.equal(sample(fresh), sample(fresh, maps=None, num_frames=FRAMES))


def test_control_acts_and_only_in_its_part_of_the_steps(pipeline):
    free = sample(pipeline, maps=None, num_frames=FRAMES)
    assert largest_difference(sample(pipeline), free) > 1e-3
    assert torch.equal(sample(pipeline, control_start=0.5, control_end=0.5), free)
    first_step_only = sample(pipeline, control_end=0.5)
    assert largest_difference(first_step_only, free) > 1e-3
    assert largest_difference(first_step_only, sample(pipeline)) > 1e-3


def test_the_conditions_are_encoded_once_a_video(pipeline):
    calls = []
    handle = pipeline.controlnet.controlnet_cond_embedding.register_forward_hook(lambda *_: calls.append(1))
    sample(pipeline, num_inference_steps=3)
    assert len(calls) == 1
    sample(pipeline, control_strength=0.0)
    handle.remove()
    assert len(calls) == 1  # without control there is nothing to encode


def test_the_first_step_is_not_looked_for_on_the_device(pipeline, monkeypatch):
    # On a GPU each such look waits for everything before it.
    monkeypatch.setattr(type(pipeline.scheduler), "index_for_timestep", lambda *_: pytest.fail("searched"))
    sample(pipeline)


def test_residual_multiplicity_is_read_from_the_config():
    once = small_pipeline()
    doubled = small_pipeline(residual_multiplicity=[2.0] * SKIPS, mid_multiplicity=2.0)
    torch.testing.assert_close(sample(doubled), sample(once, control_strength=2.0), rtol=1e-4, atol=1e-4)
    assert largest_difference(sample(doubled), sample(once)) > 1e-3


def test_steps_and_guidance_are_the_weights_own_where_nobody_says_otherwise():
    own = small_pipeline(num_inference_steps=3, max_guidance_scale=2.5)
    unsaid = {"num_inference_steps": None, "max_guidance_scale": None}
    said = {"num_inference_steps": 3, "max_guidance_scale": 2.5}
    torch.testing.assert_close(sample(own, **unsaid), sample(small_pipeline(), **said), rtol=0, atol=0)
    for name, other in (("num_inference_steps", 2), ("max_guidance_scale", 1.0)):
        assert largest_difference(sample(own, **{**unsaid, name: other}), sample(own, **unsaid)) > 1e-4


@pytest.mark.parametrize("wrong", [{"num_inference_steps": 0}, {"max_guidance_scale": -1.0}])
def test_steps_and_guidance_of_weights_must_make_sense(wrong):
    with pytest.raises(ValueError, match="num_inference_steps must be at least 1 and max_guidance_scale at least 0"):
        small_pipeline(**wrong)


def test_a_batch_equals_its_samples_alone(pipeline):
    pictures = small_picture(batch=2)
    maps = [small_maps(seed=3), small_maps(seed=4)]
    noise = torch.randn(2, FRAMES, 4, HEIGHT // 8, WIDTH // 8, generator=torch.Generator().manual_seed(1))
    image_noise = torch.randn(2, 3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(2))
    together = sample(pipeline, pictures, maps, latents=noise, image_noise=image_noise)
    for i in range(2):
        one = slice(i, i + 1)
        alone = sample(pipeline, pictures[one], maps[i], latents=noise[one], image_noise=image_noise[one])
        torch.testing.assert_close(together[one], alone, rtol=1e-4, atol=1e-4)


def test_a_list_of_pictures_with_a_generator_each(pipeline):
    picture = Image.fromarray((small_picture()[0] * 255).byte().permute(1, 2, 0).numpy())
    seeds = [torch.Generator().manual_seed(seed) for seed in (8, 9)]
    videos = sample(pipeline, [picture, picture], [small_maps()] * 2, generator=seeds)
    alone = sample(pipeline, picture, generator=torch.Generator().manual_seed(9))
    torch.testing.assert_close(videos[1:], alone, rtol=1e-4, atol=1e-4)
    assert largest_difference(videos[:1], videos[1:]) > 1e-3


def test_both_halves_of_guidance_apart_equal_both_in_one_batch(pipeline):
    torch.testing.assert_close(sample(pipeline, split_guidance=True), sample(pipeline), rtol=1e-4, atol=1e-4)


def test_without_guidance_the_networks_run_once_a_step(pipeline):
    batches = []
    handle = pipeline.unet.register_forward_pre_hook(lambda _, inputs: batches.append(len(inputs[0])))
    sample(pipeline, max_guidance_scale=1.0)
    sample(pipeline, max_guidance_scale=3.0)
    handle.remove()
    assert batches == [1, 1, 2, 2]


def test_guidance_rises_over_the_frames(pipeline):
    free, guided = sample(pipeline, max_guidance_scale=1.0), sample(pipeline, max_guidance_scale=3.0)
    per_frame = (free - guided).abs().amax(dim=(0, 2, 3, 4))
    # Guidance 1 on the first frame is no guidance there, up to what the other frames tell it through time.
    assert per_frame[0] < per_frame[1] < per_frame[2]


def test_equal_seeds_give_equal_videos_and_others_do_not(pipeline):
    assert torch.equal(sample(pipeline), sample(pipeline))
    other = sample(pipeline, generator=torch.Generator().manual_seed(1))
    assert largest_difference(other, sample(pipeline)) > 1e-2


@pytest.mark.parametrize("name", ["motion_bucket_id", "fps_id", "noise_aug_strength"])
def test_time_ids_reach_both_networks(pipeline, name):
    seen = []
    networks = (pipeline.unet, pipeline.controlnet)
    handles = [
        network.register_forward_pre_hook(lambda _m, _a, kw: seen.append(kw["added_time_ids"]), with_kwargs=True)
        for network in networks
    ]
    sample(pipeline, **{name: 0.5}, num_inference_steps=1)
    for handle in handles:
        handle.remove()
    column = ["fps_id", "motion_bucket_id", "noise_aug_strength"].index(name)
    assert len(seen) == 2
    for ids in seen:
        assert ids.shape == (2, 3)
        assert ids[:, column].tolist() == [0.5, 0.5]


def test_each_picture_has_the_motion_bucket_of_its_own_conditions():
    pipeline = small_pipeline(motion_bucket_id=30, motion_buckets_per_percent=100)
    seen = []
    handle = pipeline.unet.register_forward_pre_hook(
        lambda _m, _a, kw: seen.append(kw["added_time_ids"][:, 1].tolist()), with_kwargs=True
    )
    maps = small_maps()
    pictures, moving = small_picture().expand(2, -1, -1, -1), [replace(maps, motion=0.5), replace(maps, motion=None)]
    one_step = {"num_inference_steps": 1, "max_guidance_scale": 1.0}
    sample(pipeline, pictures, moving, **one_step)
    sample(pipeline, pictures, moving, motion_bucket_id=7, **one_step)
    sample(pipeline, pictures, moving, control_strength=0.0, **one_step)
    sample(pipeline, maps=None, num_frames=FRAMES, **one_step)
    handle.remove()
    assert seen == [[50, 30], [7, 7], [30, 30], [30]]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_agrees_with_full_and_keeps_the_autoencoder_out_of_fp16(dtype):
    half = small_pipeline().to(dtype=dtype)
    reference = sample(small_pipeline(), output_type="pt")
    frames = sample(half, output_type="pt")
    assert half.vae.dtype == (torch.float32 if dtype == torch.float16 else dtype)
    assert bool(torch.isfinite(frames).all())
    assert largest_difference(frames, reference) < 0.1


@pytest.mark.parametrize("chunk", [1, 2])
def test_encoding_conditions_in_chunks_changes_nothing(pipeline, chunk):
    latents = sample(pipeline)
    # The first latents are 700 times unit noise: their rounding is what is left.
    assert largest_difference(sample(pipeline, encode_chunk_size=chunk), latents) <= 1e-4 * float(latents.abs().max())


def test_decoding_in_chunks_covers_every_frame(pipeline):
    latents = sample(pipeline)
    assert pipeline.decode(latents, chunk_size=2).shape == (1, FRAMES, 3, HEIGHT, WIDTH)


def test_a_callback_sees_every_step_and_may_replace_the_latents(pipeline):
    steps = []

    def keep_zero(_pipeline, step, _timestep, tensors):
        steps.append((step, sorted(tensors)))
        return {"latents": torch.zeros_like(tensors["latents"])}

    latents = sample(
        pipeline,
        callback_on_step_end=keep_zero,
        callback_on_step_end_tensor_inputs=["latents", "model_output", "network_input"],
    )
    assert steps == [(i, ["latents", "model_output", "network_input"]) for i in (0, 1)]
    assert float(latents.abs().max()) == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image": torch.zeros(1, 3, 40, 48)}, r"multiples of 16, got 40x48\. The nearest is 32x48"),
        ({"image": torch.zeros(1, 1, HEIGHT, WIDTH)}, r"image must be \(B, 3, H, W\)"),
        ({"image": torch.full((1, 3, HEIGHT, WIDTH), 255.0)}, "Divide 8-bit pictures by 255"),
        ({"maps": small_maps(height=64)}, "the maps are 64x48, the picture is 32x48"),
        ({"maps": [small_maps(), small_maps()]}, "1 pictures need as many condition maps, got 2"),
        ({"num_frames": 5}, "maps of 3 frames where 5 were expected"),
        ({"control_start": 0.8, "control_end": 0.2}, "0 <= start <= end <= 1, got 0.8 and 0.2"),
        ({"num_inference_steps": 0}, "num_inference_steps must be >= 1, got 0"),
        ({"num_frames": 0}, "num_frames must be >= 1"),
        ({"control_strength": float("nan")}, "control_strength must be a finite number"),
        ({"generator": [torch.Generator()] * 2}, "1 pictures need as many generators, or one, got 2"),
        ({"image_noise": torch.zeros(1, 1, 1, 1)}, r"image_noise must be \(1, 3, 32, 48\)"),
        ({"image": torch.full((1, 3, HEIGHT, WIDTH), float("nan"))}, r"image must be in 0\.\.1"),
        ({"image": []}, "a list must hold one or more PIL pictures"),
        ({"output_type": "gif"}, "output_type must be"),
        ({"latents": torch.zeros(1, 2, 4, 4, 6)}, r"latents must be unit noise of shape \(1, 3, 4, 4, 6\)"),
    ],
)
def test_inputs_that_do_not_fit_are_named(pipeline, changes, message):
    with pytest.raises(ValueError, match=message):
        sample(pipeline, **changes)


def test_offloaded_networks_give_the_same_frames():
    pytest.importorskip("accelerate")
    plain, offloaded = small_pipeline(), small_pipeline()
    # On a machine without a GPU the hooks move between CPU and CPU; they must still meet every call, twice.
    offloaded.enable_model_cpu_offload(device="cpu")
    expected = sample(plain, output_type="pt")
    assert torch.equal(sample(offloaded, output_type="pt"), expected)
    assert torch.equal(sample(offloaded, output_type="pt"), expected)


def test_nothing_that_is_computed_asks_for_gradients(pipeline):
    conditioning = pipeline.condition_on(
        small_picture(), fps_id=6, motion_bucket_id=127, noise_aug_strength=0.02, clip_preprocessing="svd"
    )
    assert not conditioning.image_latents.requires_grad
    assert not pipeline.decode(torch.zeros(1, FRAMES, 4, HEIGHT // 8, WIDTH // 8)).requires_grad


def test_size_of_the_pipelines_multiples(pipeline):
    pipeline.check_size(Size(16, 160))
    with pytest.raises(ValueError, match="multiples of 16"):
        pipeline.check_size(Size(24, 160))
