"""Diffusion features and entity embeddings, on small random networks of the real classes."""

import json
import logging
import re

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from diffusers import (
    AutoencoderKL,
    AutoencoderKLTemporalDecoder,
    AutoencoderTiny,
    DDPMScheduler,
    UNet2DConditionModel,
    UNetSpatioTemporalConditionModel,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import load_file, save_file
from small_networks import small_stable_diffusion
from transformers import CLIPTextConfig, CLIPTextModel

from draganything_core import sd15
from draganything_core.features import (
    StableDiffusionFeatures,
    SvdFeatures,
    draws_at_once,
    encode_latents,
    entity_features,
    extract_entity_features,
    noise_schedule,
)
from draganything_core.images import resized_picture
from draganything_core.types import Entities, FeatureSource, Size

SIZE = Size(40, 56)
SD15 = FeatureSource("sd15", timestep=261, block=-1, ensemble=3)
SVD = FeatureSource("svd", timestep=0.25, block=-1, ensemble=2)


@pytest.fixture(scope="module")
def parts():
    return small_stable_diffusion()


@pytest.fixture
def folder(parts, tmp_path):
    for name, module in parts.items():
        module.save_pretrained(tmp_path / "sd15" / name)
    return tmp_path / "sd15"


@pytest.fixture(scope="module")
def features(parts):
    return StableDiffusionFeatures(parts["unet"], parts["vae"], sd15.embed_empty_prompt(parts["text_encoder"]))


@pytest.fixture(scope="module")
def svd():
    torch.manual_seed(4)
    unet = UNetSpatioTemporalConditionModel(
        block_out_channels=(32, 64),
        down_block_types=("CrossAttnDownBlockSpatioTemporal", "DownBlockSpatioTemporal"),
        up_block_types=("UpBlockSpatioTemporal", "CrossAttnUpBlockSpatioTemporal"),
        layers_per_block=1,
        num_attention_heads=(2, 4),
        cross_attention_dim=12,
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=24,
    )
    vae = AutoencoderKLTemporalDecoder(
        block_out_channels=(32, 32, 32, 32), layers_per_block=1, down_block_types=("DownEncoderBlock2D",) * 4
    )
    return SvdFeatures(unet.eval(), vae.eval(), model="svd-test")


@pytest.fixture(scope="module")
def conditioning():
    torch.manual_seed(5)
    return {"image_embeds": torch.randn(1, 1, 12), "added_time_ids": torch.tensor([[6.0, 128.0, 0.02]])}


@pytest.fixture(scope="module")
def image():
    torch.manual_seed(6)
    coarse = torch.rand(1, 3, 5, 7)
    return F.interpolate(coarse, (SIZE.height, SIZE.width), mode="bicubic").clamp(0, 1)[0]


# Feature maps of Stable Diffusion


@torch.no_grad()
def unet_by_hand(unet, noisy, timestep, prompt):
    """Outputs of all up blocks, block by block, with nothing hooked."""
    embedding = unet.time_embedding(unet.time_proj(torch.full((len(noisy),), timestep)))
    hidden = unet.conv_in(noisy)
    skips = [hidden]
    for block in unet.down_blocks:
        attends = {"encoder_hidden_states": prompt} if hasattr(block, "attentions") else {}
        hidden, made = block(hidden_states=hidden, temb=embedding, **attends)
        skips += made
    hidden = unet.mid_block(hidden, embedding, encoder_hidden_states=prompt)
    outputs = []
    for block in unet.up_blocks:
        taken, skips = tuple(skips[-len(block.resnets) :]), skips[: -len(block.resnets)]
        attends = {"encoder_hidden_states": prompt} if hasattr(block, "attentions") else {}
        next_size = skips[-1].shape[2:] if skips else None
        hidden = block(hidden, res_hidden_states_tuple=taken, temb=embedding, upsample_size=next_size, **attends)
        outputs.append(hidden)
    return outputs


@pytest.mark.parametrize("block", [-1, 0, 1, 3])
def test_feature_map_is_the_mean_up_block_output_over_draws_computed_by_hand(features, image, block):
    generator = torch.Generator().manual_seed(17)
    scheduler = DDPMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")
    posterior = features.vae.encode(image[None] * 2 - 1).latent_dist
    maps = []
    for _ in range(3):
        latents = posterior.sample(generator=generator) * features.vae.config.scaling_factor
        noise = torch.randn(latents.shape, generator=generator)
        noisy = scheduler.add_noise(latents, noise, torch.tensor([261]))
        maps.append(unet_by_hand(features.unet, noisy, 261, features.empty_prompt)[block])

    source = FeatureSource("sd15", timestep=261, block=block, ensemble=3)
    got = features.feature_map(image, SIZE, source, seed=17)
    torch.testing.assert_close(got, torch.cat(maps).mean(dim=0), rtol=1e-4, atol=1e-5)
    assert got.dtype == torch.float32
    if block in (-1, 3):
        assert got.shape == (8, 5, 7)


def test_noise_schedule_is_the_scaled_linear_one(features):
    scheduler = DDPMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")
    torch.testing.assert_close(noise_schedule(), scheduler.alphas_cumprod, rtol=2e-5, atol=0)


def test_equal_seeds_give_equal_maps_and_other_seeds_others(features, image):
    first = features.feature_map(image, SIZE, SD15, seed=1)
    assert torch.equal(first, features.feature_map(image, SIZE, SD15, seed=1))
    assert not torch.allclose(first, features.feature_map(image, SIZE, SD15, seed=2), atol=1e-3)


def test_a_seed_ignores_the_global_random_state(features, image):
    torch.manual_seed(0)
    first = features.feature_map(image, SIZE, SD15, seed=1)
    torch.manual_seed(99)
    assert torch.equal(first, features.feature_map(image, SIZE, SD15, seed=1))


@pytest.mark.parametrize("max_batch", [1, 2, 5])
def test_batching_of_the_draws_changes_nothing_but_the_number_of_passes(features, image, max_batch):
    source = FeatureSource("sd15", timestep=261, ensemble=5)
    whole = features.feature_map(image, SIZE, source, seed=8)
    passes = []
    handle = features.unet.register_forward_pre_hook(lambda _unet, args: passes.append(len(args[0])))
    batched = features.feature_map(image, SIZE, source, seed=8, max_batch=max_batch)
    handle.remove()
    torch.testing.assert_close(batched, whole, rtol=1e-5, atol=1e-5)
    assert max(passes) == max_batch
    assert sum(passes) == 5


def test_the_memory_limit_bounds_the_draws_at_once_and_one_always_runs(parts):
    unet, latents = parts["unet"], Size(64, 64)
    assert draws_at_once(unet, latents, 1e-9) == 1
    per_draw = 64 * latents.height * latents.width * 8 * 4 / 2**30
    assert draws_at_once(unet, latents, 7.5 * per_draw) == 7


def test_bf16_stays_near_fp32(folder, image):
    exact = StableDiffusionFeatures.from_pretrained(folder).feature_map(image, SIZE, SD15, seed=3)
    rounded = StableDiffusionFeatures.from_pretrained(folder, dtype=torch.bfloat16)
    assert rounded.unet.dtype == rounded.vae.dtype == torch.bfloat16
    got = rounded.feature_map(image, SIZE, SD15, seed=3)
    assert got.dtype == torch.float32
    assert (got - exact).abs().max() < 0.05 * exact.abs().max()


def test_the_autoencoder_never_runs_in_fp16_where_it_overflows(folder, parts, image):
    loaded = StableDiffusionFeatures.from_pretrained(folder, dtype=torch.float16)
    assert loaded.unet.dtype == loaded.empty_prompt.dtype == torch.float16
    assert loaded.vae.dtype == torch.float32
    halved = AutoencoderKL.from_pretrained(folder / "vae", torch_dtype=torch.float16)
    mean, _ = encode_latents(halved, image, SIZE, "cpu")
    assert halved.dtype == torch.float32
    torch.testing.assert_close(mean, encode_latents(parts["vae"], image, SIZE, "cpu")[0], rtol=0.05, atol=0.01)


def test_the_picture_is_squashed_to_the_size_as_pil_does_it(features):
    picture = torch.randint(0, 256, (3, 90, 61), generator=torch.Generator().manual_seed(2), dtype=torch.uint8)
    pil = Image.fromarray(picture.permute(1, 2, 0).numpy()).resize((112, 40), Image.Resampling.BICUBIC)
    expected = torch.from_numpy(np.array(pil)).permute(2, 0, 1) / 255
    resized = resized_picture(picture / 255, Size(40, 112))
    assert (resized - expected).abs().max() < 3 / 255  # PIL rounds and clips to bytes after each direction
    assert 0 <= resized.min() <= resized.max() <= 1
    assert features.feature_map(picture / 255, SIZE, SD15, seed=0).shape == (8, 5, 7)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (FeatureSource("sd15", timestep=261, block=4), r"block must be in -4\.\.3 for this U-Net, got 4"),
        (FeatureSource("sd15", timestep=0.25), r"whole number in 0\.\.999, got 0\.25"),
        (FeatureSource("sd15", timestep=1000), r"whole number in 0\.\.999, got 1000"),
        (FeatureSource("svd"), 'of the kind "sd15", not "svd"'),
    ],
)
def test_a_source_the_model_cannot_serve_is_refused(features, image, source, message):
    with pytest.raises(ValueError, match=message):
        features.feature_map(image, SIZE, source, seed=0)


@pytest.mark.parametrize(
    ("bad", "size", "message"),
    [
        (torch.zeros(1, 3, 8, 8), SIZE, r"image must be \(3, H, W\)"),
        (torch.full((3, 8, 8), 255.0), SIZE, "Divide 8-bit"),
        (torch.zeros(3, 8, 8), Size(44, 56), "multiples of 8, got 44x56"),
    ],
)
def test_a_picture_or_size_that_does_not_fit_is_refused(features, bad, size, message):
    with pytest.raises(ValueError, match=message):
        features.feature_map(bad, size, SD15, seed=0)


def hooks(unet):
    return sum(len(module._forward_hooks) for module in unet.modules())


def test_no_hook_stays_behind_even_when_the_network_fails(features, image):
    features.feature_map(image, SIZE, SD15, seed=0)
    assert hooks(features.unet) == 0
    broken = StableDiffusionFeatures(features.unet, features.vae, torch.zeros(1, 77, 5))
    with pytest.raises(RuntimeError):
        broken.feature_map(image, SIZE, SD15, seed=0)
    assert hooks(features.unet) == 0


# Feature maps of Stable Video Diffusion


@torch.no_grad()
def svd_by_hand(unet, model_input, timestep, image_embeds, added_time_ids):
    """Output of the last up block for a batch of one-frame videos (B,8,h,w), block by block."""
    batch = len(model_input)
    time_ids = unet.add_time_proj(added_time_ids.flatten()).reshape(1, -1).expand(batch, -1)
    embedding = unet.time_embedding(unet.time_proj(torch.full((batch,), timestep))) + unet.add_embedding(time_ids)
    common = {"temb": embedding, "image_only_indicator": torch.zeros(batch, 1)}
    context = {"encoder_hidden_states": image_embeds.expand(batch, -1, -1)}
    hidden = unet.conv_in(model_input)
    skips = [hidden]
    for block, attends in zip(unet.down_blocks, (True, False), strict=True):
        hidden, made = block(hidden, **common, **(context if attends else {}))
        skips += made
    hidden = unet.mid_block(hidden, **common, **context)
    for block, attends in zip(unet.up_blocks, (False, True), strict=True):
        taken, skips = tuple(skips[-len(block.resnets) :]), skips[: -len(block.resnets)]
        hidden = block(hidden, res_hidden_states_tuple=taken, **common, **(context if attends else {}))
    return hidden


def test_svd_feature_map_is_the_last_up_block_of_one_noised_frame(svd, image, conditioning):
    size = Size(48, 64)
    image = F.interpolate(image[None], (48, 64))[0]
    latents = svd.vae.encode(image[None] * 2 - 1).latent_dist.mode()
    generator = torch.Generator().manual_seed(23)
    sigma = torch.e ** (4 * 0.25)
    inputs = []
    for _ in range(2):
        noised = latents * 0.18215 + sigma * torch.randn(latents.shape, generator=generator)
        inputs.append(torch.cat([noised / (sigma**2 + 1) ** 0.5, latents], dim=1))
    expected = svd_by_hand(svd.unet, torch.cat(inputs), 0.25, **conditioning).mean(dim=0)

    got = svd.feature_map(image, size, SVD, seed=23, **conditioning)
    assert got.shape == (32, 6, 8)
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5)


def test_svd_draws_are_seeded_and_independent_of_their_batching(svd, image, conditioning):
    source = FeatureSource("svd", ensemble=3)
    size = Size(48, 64)
    whole = svd.feature_map(image, size, source, seed=1, **conditioning)
    assert torch.equal(whole, svd.feature_map(image, size, source, seed=1, **conditioning))
    single = svd.feature_map(image, size, source, seed=1, max_batch=1, **conditioning)
    torch.testing.assert_close(single, whole, rtol=1e-5, atol=1e-5)
    assert not torch.allclose(whole, svd.feature_map(image, size, source, seed=2, **conditioning), atol=1e-3)
    assert hooks(svd.unet) == 0


def test_svd_features_work_with_an_autoencoder_without_distribution(svd, image, conditioning):
    torch.manual_seed(7)
    tiny = AutoencoderTiny(encoder_block_out_channels=(4,) * 4, decoder_block_out_channels=(4,) * 4)
    got = SvdFeatures(svd.unet, tiny.eval()).feature_map(image, Size(48, 64), SVD, seed=0, **conditioning)
    assert got.shape == (32, 6, 8)
    mean, std = encode_latents(tiny, image, Size(48, 64), "cpu")
    assert torch.equal(mean, tiny.encode(resized_picture(image, Size(48, 64))[None] * 2 - 1).latents)
    assert not std.any()


def test_svd_refuses_a_stable_diffusion_timestep_and_a_batch_of_conditions(svd, image, conditioning):
    with pytest.raises(ValueError, match=r"0\.25 \* ln\(sigma\).*got 261"):
        svd.feature_map(image, SIZE, FeatureSource("svd", timestep=261), seed=0, **conditioning)
    with pytest.raises(ValueError, match=r"image_embeds must be \(1, 1, D\)"):
        svd.feature_map(image, SIZE, SVD, 0, image_embeds=torch.zeros(2, 1, 12), added_time_ids=torch.zeros(2, 3))


# One vector per entity


def rectangle(size, top, left, height, width):
    mask = torch.zeros(size.height, size.width, dtype=torch.bool)
    mask[top : top + height, left : left + width] = True
    return mask


@pytest.mark.parametrize("latent_masks", ["exact", "reference"])
def test_a_vector_is_the_mean_over_the_masks_cells(latent_masks):
    features = torch.randn(6, 5, 7, generator=torch.Generator().manual_seed(1))
    source_canvas = Size(80, 112)  # twice the size the features were taken at
    masks = torch.stack([rectangle(source_canvas, 16, 32, 32, 48), rectangle(source_canvas, 0, 0, 80, 16)])
    got = entity_features(features, Entities.from_masks(masks), SD15, latent_masks=latent_masks)
    expected = torch.stack([features[:, 1:3, 2:5].mean(dim=(1, 2)), features[:, :, :1].mean(dim=(1, 2))])
    torch.testing.assert_close(got.embeddings, expected)
    assert got.source == SD15


def test_a_map_of_another_scale_is_averaged_on_its_own_grid():
    features = torch.randn(6, 10, 14, generator=torch.Generator().manual_seed(1))
    got = entity_features(features, Entities.from_masks(rectangle(SIZE, 4, 8, 8, 12)[None]), SVD)
    torch.testing.assert_close(got.embeddings[0], features[:, 1:3, 2:5].mean(dim=(1, 2)))


@pytest.mark.parametrize("latent_masks", ["exact", "reference"])
def test_an_entity_smaller_than_a_cell_takes_the_cell_it_lies_in(latent_masks, caplog):
    features = torch.randn(6, 5, 7, generator=torch.Generator().manual_seed(1))
    entities = Entities.from_masks(rectangle(SIZE, 17, 33, 2, 2)[None], ["ladybird"])
    with caplog.at_level(logging.WARNING):
        got = entity_features(features, entities, SD15, latent_masks=latent_masks)
    assert torch.equal(got.embeddings[0], features[:, 2, 4])
    assert caplog.records
    if latent_masks == "reference":
        assert "ladybird" in caplog.text


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 39),
    st.integers(0, 55),
    st.integers(1, 40),
    st.integers(1, 56),
    st.sampled_from(["exact", "reference"]),
)
def test_any_mask_gives_a_vector_within_the_maps_range(top, left, height, width, latent_masks):
    features = torch.randn(3, 5, 7, generator=torch.Generator().manual_seed(2))
    entities = Entities.from_masks(rectangle(SIZE, top, left, height, width)[None])
    vector = entity_features(features, entities, SD15, latent_masks=latent_masks).embeddings[0]
    assert bool((vector >= features.amin(dim=(1, 2)) - 1e-6).all())
    assert bool((vector <= features.amax(dim=(1, 2)) + 1e-6).all())


def test_no_entities_give_an_empty_table_and_bad_input_an_error():
    features = torch.zeros(6, 5, 7)
    assert entity_features(features, Entities((), SIZE), SD15).embeddings.shape == (0, 6)
    entities = Entities.from_masks(rectangle(SIZE, 0, 0, 9, 9)[None])
    with pytest.raises(ValueError, match=r"must be \(C, h, w\)"):
        entity_features(features[None], entities, SD15)
    with pytest.raises(ValueError, match='"exact" or "reference"'):
        entity_features(features, entities, SD15, latent_masks="nearest")
    with pytest.raises(ValueError, match="not a finite number"):
        entity_features(features / 0, entities, SD15)


def test_extraction_takes_the_model_that_the_source_names_and_records_it(features, svd, image, conditioning):
    entities = Entities.from_masks(rectangle(SIZE, 8, 8, 16, 24)[None])
    from_sd15 = extract_entity_features(image, entities, SIZE, SD15, 5, sd15=features, svd=svd, **conditioning)
    assert from_sd15.embeddings.shape == (1, 8)
    assert from_sd15.source.seed == 5
    from_svd = extract_entity_features(image, entities, Size(48, 64), SVD, 5, sd15=features, svd=svd, **conditioning)
    assert from_svd.embeddings.shape == (1, 32)
    assert (from_svd.source.model, from_svd.source.timestep) == ("svd-test", 0.25)


def test_extraction_says_which_model_is_missing(svd, features, image):
    entities = Entities.from_masks(rectangle(SIZE, 8, 8, 16, 24)[None])
    with pytest.raises(ValueError, match=r"from a Stable Diffusion 1\.5 model at step 261"):
        extract_entity_features(image, entities, SIZE, SD15, 0, svd=svd)
    with pytest.raises(ValueError, match="from the video U-Net itself"):
        extract_entity_features(image, entities, SIZE, SVD, 0, sd15=features, svd=svd)


# Loading


def test_a_folder_gives_the_modules_and_the_empty_prompt(folder, parts, features, image, caplog):
    with caplog.at_level(logging.INFO, "draganything_core"):
        loaded = StableDiffusionFeatures.from_pretrained(folder)
    assert "CreativeML OpenRAIL-M" in caplog.text
    assert not any(parameter.requires_grad for parameter in loaded.unet.parameters())
    tokens = torch.tensor([[49406] + [49407] * 76])
    torch.testing.assert_close(loaded.empty_prompt, parts["text_encoder"](tokens).last_hidden_state.detach())
    torch.testing.assert_close(
        loaded.feature_map(image, SIZE, SD15, 1), features.feature_map(image, SIZE, SD15, 1), rtol=1e-5, atol=1e-6
    )


def test_a_folder_with_only_half_precision_files_loads(folder, features, image):
    for part in ("unet", "vae", "text_encoder"):
        for file in (folder / part).glob("*.safetensors"):
            file.rename(file.with_name(file.name.replace(".safetensors", ".fp16.safetensors")))
    got = StableDiffusionFeatures.from_pretrained(folder).feature_map(image, SIZE, SD15, 1)
    torch.testing.assert_close(got, features.feature_map(image, SIZE, SD15, 1), rtol=1e-5, atol=1e-6)


RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}


def original_unet_name(name):
    """A U-Net tensor's name in the original layout: blocks numbered through, three a level."""
    outer = {
        "time_embedding.linear_1": "time_embed.0",
        "time_embedding.linear_2": "time_embed.2",
        "conv_in": "input_blocks.0.0",
        "conv_norm_out": "out.0",
        "conv_out": "out.2",
        "mid_block.resnets.0": "middle_block.0",
        "mid_block.attentions.0": "middle_block.1",
        "mid_block.resnets.1": "middle_block.2",
    }
    for level in range(4):
        for layer in range(3):
            outer[f"down_blocks.{level}.resnets.{layer}"] = f"input_blocks.{3 * level + layer + 1}.0"
            outer[f"down_blocks.{level}.attentions.{layer}"] = f"input_blocks.{3 * level + layer + 1}.1"
            outer[f"up_blocks.{level}.resnets.{layer}"] = f"output_blocks.{3 * level + layer}.0"
            outer[f"up_blocks.{level}.attentions.{layer}"] = f"output_blocks.{3 * level + layer}.1"
        outer[f"down_blocks.{level}.downsamplers.0.conv"] = f"input_blocks.{3 * level + 3}.0.op"
        outer[f"up_blocks.{level}.upsamplers.0.conv"] = f"output_blocks.{3 * level + 2}.{2 if level else 1}.conv"
    prefix = next(known for known in outer if name.startswith(known + "."))
    rest = name.removeprefix(prefix)
    if ".resnets." in prefix:
        rest = re.sub(r"^\.(\w+)", lambda found: "." + RESNET[found[1]], rest)
    return "model.diffusion_model." + outer[prefix] + rest


def original_vae_name(name):
    name = re.sub(r"encoder\.down_blocks\.(\d)\.resnets", r"encoder.down.\1.block", name)
    name = re.sub(r"encoder\.down_blocks\.(\d)\.downsamplers\.0", r"encoder.down.\1.downsample", name)
    name = re.sub(r"up_blocks\.(\d)\.resnets", lambda found: f"up.{3 - int(found[1])}.block", name)
    name = re.sub(r"up_blocks\.(\d)\.upsamplers\.0", lambda found: f"up.{3 - int(found[1])}.upsample", name)
    name = re.sub(r"mid_block\.resnets\.(\d)", lambda found: f"mid.block_{int(found[1]) + 1}", name)
    for ours, original in (
        ("mid_block.attentions.0", "mid.attn_1"),
        ("group_norm", "norm"),
        ("to_q", "q"),
        ("to_k", "k"),
        ("to_v", "v"),
        ("to_out.0", "proj_out"),
        ("conv_norm_out", "norm_out"),
        ("conv_shortcut", "nin_shortcut"),
    ):
        name = name.replace(ours, original)
    return "first_stage_model." + name


def original_layout(parts):
    """The tensors of all parts as a whole checkpoint file has them, with leftovers of training beside them."""
    tensors = {original_unet_name(name): tensor for name, tensor in parts["unet"].state_dict().items()}
    for name, tensor in parts["vae"].state_dict().items():
        is_attention = ".attentions." in name and tensor.ndim == 2
        tensors[original_vae_name(name)] = tensor[:, :, None, None] if is_attention else tensor
    for name, tensor in parts["text_encoder"].state_dict().items():
        tensors["cond_stage_model.transformer.text_model." + name.removeprefix("text_model.")] = tensor
    tensors["cond_stage_model.transformer.text_model.embeddings.position_ids"] = torch.arange(77)[None]
    tensors |= {"betas": torch.zeros(1000), "model_ema.decay": torch.zeros(1)}
    return {name: tensor.detach().clone().contiguous() for name, tensor in tensors.items()}


@pytest.mark.parametrize("suffix", [".safetensors", ".ckpt"])
def test_a_checkpoint_file_gives_the_same_features_as_the_folder(folder, parts, tmp_path, image, features, suffix):
    file = tmp_path / f"model{suffix}"
    if suffix == ".safetensors":
        save_file(original_layout(parts), file)
    else:
        torch.save({"state_dict": original_layout(parts), "global_step": 3}, file)
    loaded = StableDiffusionFeatures.from_pretrained(file, config=folder)
    torch.testing.assert_close(loaded.empty_prompt, features.empty_prompt)
    got = loaded.feature_map(image, SIZE, SD15, seed=1)
    torch.testing.assert_close(got, features.feature_map(image, SIZE, SD15, seed=1), rtol=1e-5, atol=1e-6)


def test_the_shipped_configs_are_those_of_stable_diffusion_1_5():
    """Tensor and parameter counts that the published model is known by, and names from its checkpoint file."""
    configs = str(sd15.SINGLE_FILE_CONFIGS)
    with torch.device("meta"):
        parts = {
            "unet": UNet2DConditionModel.from_config(UNet2DConditionModel.load_config(configs, subfolder="unet")),
            "vae": AutoencoderKL.from_config(AutoencoderKL.load_config(configs, subfolder="vae")),
            "text_encoder": CLIPTextModel(CLIPTextConfig.from_pretrained(configs, subfolder="text_encoder")),
        }
    counts = {name: sum(p.numel() for p in module.parameters()) for name, module in parts.items()}
    assert counts == {"unet": 859_520_964, "vae": 83_653_863, "text_encoder": 123_060_480}
    assert len(parts["unet"].state_dict()) == 686
    assert len(parts["vae"].state_dict()) == 248
    with torch.device("meta"):
        tensors = original_layout(parts)
    for name, shape in {
        "model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight": (320, 768),
        "model.diffusion_model.output_blocks.2.1.conv.weight": (1280, 1280, 3, 3),
        "model.diffusion_model.output_blocks.8.2.conv.bias": (640,),
        "model.diffusion_model.output_blocks.11.0.skip_connection.weight": (320, 640, 1, 1),
        "first_stage_model.encoder.down.2.block.0.nin_shortcut.weight": (512, 256, 1, 1),
        "first_stage_model.decoder.mid.attn_1.q.weight": (512, 512, 1, 1),
        "first_stage_model.decoder.up.0.block.0.nin_shortcut.weight": (128, 256, 1, 1),
        "cond_stage_model.transformer.text_model.embeddings.token_embedding.weight": (49408, 768),
    }.items():
        assert tuple(tensors[name].shape) == shape, name


def damaged(folder, part, **changes):
    config = folder / part / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | changes))


def test_folders_of_another_kind_are_named_for_what_they_are(folder, tmp_path):
    def refused(path, message):
        with pytest.raises(ValueError, match=message):
            StableDiffusionFeatures.from_pretrained(path)

    refused(folder / "unet", r"no unet and no vae.*one part of a model itself.*Expected a Stable Diffusion 1\.5")
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", "It is empty")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.png").touch()
    refused(tmp_path / "photos", r"It holds cat\.png")
    (tmp_path / "photos" / "model_index.json").write_text('{"_class_name": "KandinskyPipeline"}')
    refused(tmp_path / "photos", "names a KandinskyPipeline")
    damaged(folder, "unet", use_linear_projection=True)
    refused(folder, "its U-Net is Stable Diffusion 2's")
    damaged(folder, "unet", _class_name="UNetSpatioTemporalConditionModel")
    refused(folder, "the video model's folder")
    damaged(folder, "unet", _class_name="UNet2DConditionModel", use_linear_projection=False, in_channels=9)
    refused(folder, "9 input channels")
    with pytest.raises(FileNotFoundError, match="nowhere does not exist"):
        StableDiffusionFeatures.from_pretrained(tmp_path / "nowhere")


@pytest.mark.parametrize("part", ["unet", "vae", "text_encoder"])
def test_a_folder_with_a_tensor_or_the_weights_missing_is_refused(folder, part):
    file = next((folder / part).glob("*.safetensors"))
    tensors = load_file(file)
    lost = sorted(tensors)[0]
    del tensors[lost]
    save_file(tensors, file, metadata={"format": "pt"})
    with pytest.raises(ValueError, match=rf"{part}: the tensor {lost} is missing"):
        StableDiffusionFeatures.from_pretrained(folder)
    file.unlink()
    with pytest.raises(ValueError, match="but no weights"):
        StableDiffusionFeatures.from_pretrained(folder)


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("lora_unet_down_blocks_0.lora_up.weight", "a LoRA"),
        ("control_model.input_blocks.0.0.weight", "a ControlNet"),
        ("conditioner.embedders.0.transformer.x", "a Stable Diffusion XL checkpoint"),
        ("cond_stage_model.model.ln_final.weight", "a Stable Diffusion 2 checkpoint"),
        ("model.diffusion_model.input_blocks.1.0.time_stack.in_layers.0.bias", "a Stable Video Diffusion checkpoint"),
        ("down_blocks.0.resnets.0.norm1.weight", "give the folder that holds all parts"),
        ("first_stage_model.encoder.conv_in.weight", "holds no unet and no text_encoder"),
    ],
)
@pytest.mark.parametrize("suffix", [".safetensors", ".ckpt"])
def test_files_of_another_kind_are_named_for_what_they_are(tmp_path, suffix, name, what):
    file = tmp_path / f"other{suffix}"
    if suffix == ".safetensors":
        save_file({name: torch.zeros(1)}, file)
    else:
        torch.save({name: torch.zeros(1)}, file)
    with pytest.raises(ValueError, match=what):
        StableDiffusionFeatures.from_pretrained(file)


class Payload:
    def __reduce__(self):
        return print, ("this code must never run",)


def test_broken_and_unsafe_files_are_refused(tmp_path, folder, parts, capsys):
    def refused(name, message):
        with pytest.raises(ValueError, match=message):
            StableDiffusionFeatures.from_pretrained(tmp_path / name, config=folder)

    torch.save({"state_dict": Payload()}, tmp_path / "unsafe.ckpt")
    refused("unsafe.ckpt", r"Use the \.safetensors file")
    assert "never run" not in capsys.readouterr().out
    (tmp_path / "cut.safetensors").write_bytes(b"\x10\0\0\0")
    refused("cut.safetensors", "not a readable safetensors file")
    (tmp_path / "model.gguf").touch()
    refused("model.gguf", r'ends in "\.gguf"')
    tensors = original_layout(parts)
    del tensors["model.diffusion_model.out.2.bias"]
    save_file(tensors, tmp_path / "lacking.safetensors")
    refused("lacking.safetensors", r"its unet is not Stable Diffusion 1\.5's(?s:.*)conv_out\.bias")
    tensors = original_layout(parts)
    tensors["first_stage_model.quant_conv.bias"] = torch.zeros(5)
    save_file(tensors, tmp_path / "misfit.safetensors")
    refused("misfit.safetensors", r"its vae is not Stable Diffusion 1\.5's(?s:.*)quant_conv\.bias")
    tensors = original_layout(parts)
    del tensors["cond_stage_model.transformer.text_model.final_layer_norm.bias"]
    save_file(tensors, tmp_path / "mute.safetensors")
    refused("mute.safetensors", r"final_layer_norm\.bias is missing")
