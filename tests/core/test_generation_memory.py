"""The plan of a generation's memory, against real generations and against what is known by hand."""

from functools import cache

import pytest
import torch
from diffusers import AutoencoderKLTemporalDecoder, UNetSpatioTemporalConditionModel
from small_pipeline import FRAMES, HEIGHT, WIDTH, small_maps, small_picture, small_pipeline
from torch import nn
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from draganything_core.controlnet import SvdControlNet
from draganything_core.counting import GIB, Meter, byte_count
from draganything_core.generation_memory import GenerationNetworks, described_networks, plan_generation
from draganything_core.types import Size

SIZE = Size(HEIGHT, WIDTH)


def networks_of(pipeline) -> GenerationNetworks:
    return GenerationNetworks(pipeline.unet, pipeline.controlnet, pipeline.vae, pipeline.image_encoder)


def stages(plan) -> dict[str, tuple[int, int]]:
    return {stage.name: (stage.weights, stage.working) for stage in plan.stages}


def tensors(*networks):
    return [tensor for network in networks for tensor in (*network.parameters(), *network.buffers())]


@cache
def full_size() -> GenerationNetworks:
    with torch.device("meta"):
        unet = UNetSpatioTemporalConditionModel(num_attention_heads=(5, 10, 20, 20))
        controlnet = SvdControlNet()
        vae = AutoencoderKLTemporalDecoder(
            down_block_types=("DownEncoderBlock2D",) * 4, block_out_channels=(128, 256, 512, 512), layers_per_block=2
        )
        encoder = CLIPVisionModelWithProjection(
            CLIPVisionConfig(
                hidden_size=1280,
                intermediate_size=5120,
                num_hidden_layers=32,
                num_attention_heads=16,
                patch_size=14,
                projection_dim=1024,
            )
        )
    half = [nn.Module.to(network, torch.float16) for network in (unet, controlnet, encoder)]
    return GenerationNetworks(half[0], half[1], vae, half[2])


@pytest.mark.parametrize("guidance", [1.0, 3.0])
@pytest.mark.parametrize("split", [False, True])
def test_a_step_holds_what_a_real_one_holds(guidance, split):
    pipeline = small_pipeline()
    picture = small_picture()
    known = [*tensors(pipeline.unet, pipeline.controlnet, pipeline.vae, pipeline.image_encoder), picture]
    peaks = []

    def restart(_pipeline, step, _timestep, _tensors):
        if step == 0:
            meter.peak = meter.alive
        else:
            peaks.append(meter.peak)
        return {}

    with Meter(known) as meter:
        pipeline(
            picture,
            small_maps(),
            num_inference_steps=2,
            max_guidance_scale=guidance,
            split_guidance=split,
            output_type="latent",
            generator=torch.Generator().manual_seed(0),
            callback_on_step_end=restart,
        )
    plan = plan_generation(networks_of(pipeline), FRAMES, SIZE, guided=guidance > 1, split_guidance=split)
    assert stages(plan)["denoising step"][1] == pytest.approx(peaks[0], rel=0.1)


def test_decoding_holds_what_a_real_one_holds():
    pipeline = small_pipeline()
    latents = torch.zeros(1, 5, 4, HEIGHT // 8, WIDTH // 8)
    with Meter([*tensors(pipeline.vae), latents]) as meter:
        pipeline.decode(latents, chunk_size=2)
    plan = plan_generation(networks_of(pipeline), 5, SIZE, decode_chunk_size=2)
    assert stages(plan)["decoding"][1] == pytest.approx(meter.peak, rel=0.1)


def test_all_weights_are_there_at_all_stages_unless_they_are_moved():
    pipeline = small_pipeline()
    plan = plan_generation(networks_of(pipeline), FRAMES, SIZE)
    everything = byte_count(tensors(pipeline.unet, pipeline.controlnet, pipeline.vae, pipeline.image_encoder))
    assert {stage.weights for stage in plan.stages} == {everything}
    moved = stages(plan_generation(networks_of(pipeline), FRAMES, SIZE, offload=True))
    assert moved["denoising step"][0] == byte_count(tensors(pipeline.unet, pipeline.controlnet))
    assert moved["decoding"][0] == byte_count(tensors(pipeline.vae))
    assert [stage.working for stage in plan.stages] == [working for _, working in moved.values()]


def test_less_at_once_takes_less():
    networks = networks_of(small_pipeline())
    whole = stages(plan_generation(networks, 6, SIZE))
    split = stages(plan_generation(networks, 6, SIZE, split_guidance=True))
    unguided = stages(plan_generation(networks, 6, SIZE, guided=False))
    assert 0.45 < split["denoising step"][1] / whole["denoising step"][1] < 0.6
    assert unguided["denoising step"][1] <= split["denoising step"][1]
    chunks = [plan_generation(networks, 6, SIZE, decode_chunk_size=size) for size in (1, 6, 60)]
    decoding = [stages(plan)["decoding"][1] for plan in chunks]
    assert decoding[0] < decoding[1] == decoding[2]


def test_the_largest_stage_is_the_peak_and_all_are_shown():
    plan = plan_generation(networks_of(small_pipeline()), FRAMES, SIZE)
    assert plan.peak == max(stage.weights + stage.working for stage in plan.stages)
    text = str(plan)
    assert all(stage.name in text for stage in plan.stages)
    assert text.splitlines()[-1].split()[-2] == f"{plan.peak / GIB:.2f}"


@pytest.mark.parametrize(
    ("frames", "size", "chunk", "message"),
    [
        (0, SIZE, 8, "must be at least 1, got 0 and 8"),
        (3, SIZE, 0, "must be at least 1, got 3 and 0"),
        (3, Size(32, 40), 8, "multiples of 16, got 32x40"),
    ],
)
def test_bad_input_is_named(frames, size, chunk, message):
    with pytest.raises(ValueError, match=message):
        plan_generation(networks_of(small_pipeline()), frames, size, decode_chunk_size=chunk)


def test_folders_are_described_without_reading_weights(tmp_path):
    pipeline = small_pipeline(entity_channels=4, entity_source={"model_kind": "sd15", "timestep": 261, "ensemble": 2})
    for name in ("unet", "vae", "image_encoder", "scheduler"):
        getattr(pipeline, name).save_pretrained(tmp_path / "svd" / name)
    pipeline.controlnet.save_pretrained(tmp_path / "controlnet")
    for file in (tmp_path / "svd").rglob("*.safetensors"):
        file.write_bytes(b"")
    networks = described_networks(tmp_path / "svd", tmp_path / "controlnet")
    for name in ("unet", "vae", "image_encoder", "controlnet"):
        described, real = getattr(networks, name), getattr(pipeline, name)
        shapes = {key: value.shape for key, value in described.state_dict().items()}
        assert shapes == {key: value.shape for key, value in real.state_dict().items()}
        assert {tensor.device.type for tensor in described.parameters()} == {"meta"}
        assert {tensor.dtype for tensor in described.parameters()} == {
            torch.float32 if name == "vae" else torch.float16  # SVD's autoencoder overflows in fp16
        }
    assert networks.sd15 is not None
    # 859.5 and 83.7 million parameters, in fp16 and fp32.
    assert byte_count(tensors(*networks.sd15)) == pytest.approx(859.5e6 * 2 + 83.65e6 * 4, rel=1e-3)
    plan = plan_generation(networks, 1, SIZE)
    assert plan.stages[0].name == "entity features"


@pytest.mark.slow
def test_the_full_size_fits_a_card_of_8_gb():
    networks = full_size()
    whole = plan_generation(networks, 25, Size(320, 576))
    small = plan_generation(networks, 25, Size(320, 576), offload=True, split_guidance=True)
    assert whole.stages[-1].weights / GIB == pytest.approx((1524.6 + 685.0 + 632.1 + 2 * 97.7) * 2e6 / GIB, rel=0.01)
    assert small.peak < 7 * GIB < 8 * GIB < whole.peak


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_a_gpu_takes_what_was_planned():
    pipeline = small_pipeline().to("cuda")
    size, frames = Size(256, 256), 8
    plan = plan_generation(networks_of(pipeline), frames, size, decode_chunk_size=8)
    torch.cuda.reset_peak_memory_stats()
    maps = small_maps(frames=frames, height=size.height, width=size.width)
    pipeline(torch.rand(3, *size), maps, num_inference_steps=2, max_guidance_scale=3.0)
    assert torch.cuda.max_memory_allocated() == pytest.approx(plan.peak, rel=0.25)
