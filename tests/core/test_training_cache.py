"""Clips encoded once: what is kept equals what inference computes, and kills and torn files do no harm to it."""

import logging
import math
import multiprocessing
import os
import signal
from pathlib import Path

import pytest
import torch
from small_networks import small_controlnet, small_stable_diffusion
from small_pipeline import small_pipeline

from draganything_core.annotation import Share
from draganything_core.digests import weights_sha256
from draganything_core.features import StableDiffusionFeatures
from draganything_core.models import Models
from draganything_core.sd15 import embed_empty_prompt
from draganything_core.svd import set_norm_eps
from draganything_core.tiny.architecture import seeded, tiny_autoencoder
from draganything_core.training import shards
from draganything_core.training.cache import ClipNetworks, build_cache
from draganything_core.training.clips import MotionClip, open_clips
from draganything_core.training.config import Data, Networks, Noise, Synthetic, TrainingConfig
from draganything_core.training.encoding import encode_pictures
from draganything_core.training.order import noise_generator
from draganything_core.types import Entities, Size, Tracks

FRAMES, SIZE = 3, (32, 48)
FORK = multiprocessing.get_context("fork")


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    monkeypatch.setattr(shards, "SHARD_CLIPS", 2)


@pytest.fixture(scope="module")
def pipeline():
    """With an autoencoder that has a distribution, as Stable Video Diffusion's."""
    return small_pipeline(entity_source={"model_kind": "svd", "ensemble": 2}, fps_id=9, motion_bucket_id=44)


@pytest.fixture(scope="module")
def tiny_vae():
    with seeded(1):
        return tiny_autoencoder().eval().requires_grad_(False)


def networks(pipeline, **changes):
    parts = {"choices": pipeline.controlnet.config, "unet": pipeline.unet, **changes}
    return ClipNetworks(**{"vae": pipeline.vae, "image_encoder": pipeline.image_encoder, **parts})


def without_features(pipeline):
    """For tests of files, in less time."""
    return networks(pipeline, choices=None, unet=None)


def configured(folder, clips=5, precision="fp32", seed=0, first=0, **noise):
    data = Data(synthetic=Synthetic(3, first, clips), sizes=(SIZE,), frames=(FRAMES,), cache=str(folder))
    return TrainingConfig(
        "controlnet", "out", data, 1, Networks(svd="svd"), Noise(**noise), precision=precision, seed=seed
    )


def built(config, nets, share=None):
    return build_cache(open_clips(config.data), config, nets, share)


def contents(folder):
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def written(folder, layer="*"):
    """When each shard was written, by layer and number."""
    files = sorted(folder.glob(f"{layer}-*/0*.safetensors"))
    return {f"{file.parent.name.split('-')[0]} {file.stem}": file.stat().st_mtime_ns for file in files}


def messages(caplog):
    return [record.getMessage() for record in caplog.records if record.name == shards.__name__]


# --- what is kept -----------------------------------------------------------------------------------------------------


def test_latents_are_those_of_the_frames(pipeline, tmp_path):
    config = configured(tmp_path)
    cache, source = built(config, networks(pipeline)), open_clips(config.data)
    assert (len(cache), cache.buckets, cache.bucket_sizes) == (5, ((3, Size(32, 48)),), (5,))
    for number in (0, 4):
        clip, cached = source.clip(number), cache.clip(0, number)
        with torch.no_grad():
            distribution = pipeline.vae.encode(clip.frames * 2 - 1).latent_dist
        scale = pipeline.vae.config.scaling_factor
        assert cached.clip_id == clip.clip_id
        torch.testing.assert_close(cached.latents, distribution.mean * scale)
        torch.testing.assert_close(cached.latents_std, distribution.std * scale)
        assert torch.equal(cached.picture, (clip.frames[0] * 255).round().byte())
        assert torch.equal(cached.paths, clip.tracks.paths)
        assert torch.equal(cached.tracks.radii, clip.tracks.radii)
        assert torch.equal(cached.tracks.visibility, clip.tracks.visibility)
        assert torch.equal(cached.path_entity, clip.tracks.path_entity)
        assert torch.equal(cached.frame_radii, clip.frame_radii)


def test_an_autoencoder_without_a_distribution_has_no_deviation(pipeline, tiny_vae, tmp_path):
    config = configured(tmp_path, clips=1)
    cached = built(config, networks(pipeline, vae=tiny_vae)).clip(0, 0)
    with torch.no_grad():
        latents = tiny_vae.encode(open_clips(config.data).clip(0).frames * 2 - 1).latents
    torch.testing.assert_close(cached.latents, latents)
    assert cached.latents_std is None


def test_noised_first_frames_are_what_inference_conditions_on(pipeline, tmp_path):
    config = configured(tmp_path, clips=2, seed=7, image_noise_draws=3, image_noise_mean=-1.0, image_noise_std=0.5)
    cached = built(config, networks(pipeline)).clip(0, 1)
    assert cached.picture_latents.shape == (3, 4, 4, 6)
    for draw in range(3):
        generator = noise_generator(7, 1, draw, "picture")
        level = math.exp(-1.0 + 0.5 * torch.randn((), generator=generator).item())
        assert cached.picture_levels[draw].item() == pytest.approx(level)
        conditioning = pipeline.condition_on(
            cached.picture[None] / 255,
            fps_id=6,
            motion_bucket_id=127,
            noise_aug_strength=level,
            clip_preprocessing="svd",
            image_noise=torch.randn(1, 3, *SIZE, generator=generator),
        )
        torch.testing.assert_close(cached.picture_latents[draw], conditioning.image_latents[0])
        torch.testing.assert_close(cached.image_embeds, conditioning.image_embeds[0, 0])


@pytest.mark.parametrize("autoencoder", ["with distribution", "without"])
@pytest.mark.parametrize("geometry", ["exact", "reference"])
def test_embeddings_are_those_of_inference(pipeline, tiny_vae, tmp_path, autoencoder, geometry):
    clip_preprocessing = "svd" if geometry == "exact" else "reference"
    other = small_pipeline(
        entity_source={"model_kind": "svd", "ensemble": 2}, fps_id=9, motion_bucket_id=44, geometry=geometry,
        clip_preprocessing=clip_preprocessing,
    )  # fmt: skip
    if autoencoder == "without":
        other.register_modules(vae=tiny_vae)
    config = configured(tmp_path, clips=2)
    cache, source = built(config, networks(other)), open_clips(config.data)
    for number in range(2):
        cached, entities = cache.clip(0, number), source.clip(number).entities
        features = Models(other, None, "").entity_features(cached.picture / 255, entities, Size(*SIZE), seed=0)
        assert torch.equal(cached.embeddings, features.embeddings)


def test_embeddings_of_a_stable_diffusion_model_are_those_of_inference(tmp_path):
    parts = small_stable_diffusion()
    sd15 = StableDiffusionFeatures(parts["unet"], parts["vae"], embed_empty_prompt(parts["text_encoder"]))
    source = {"model_kind": "sd15", "timestep": 261, "ensemble": 2}
    other = small_pipeline(entity_channels=4, entity_source=source)
    config = configured(tmp_path, clips=1)
    cached = built(config, networks(other, sd15=sd15)).clip(0, 0)
    entities = open_clips(config.data).clip(0).entities
    features = Models(other, sd15, "").entity_features(cached.picture / 255, entities, Size(*SIZE), seed=0)
    assert torch.equal(cached.embeddings, features.embeddings)


def test_without_a_controlnet_there_are_no_embeddings(pipeline, tmp_path):
    cached = built(configured(tmp_path, clips=1), networks(pipeline, choices=None, unet=None)).clip(0, 0)
    assert cached.embeddings is None
    assert len(cached.coverage) > 0


@pytest.mark.parametrize("kind", ["svd", "sd15"])
def test_a_missing_feature_model_is_named(pipeline, kind):
    choices = small_controlnet(entity_source={"model_kind": kind, "timestep": 0}).config
    with pytest.raises(ValueError, match=f'entity_source: features of the kind "{kind}" come from .* none was given'):
        networks(pipeline, choices=choices, unet=None)


class HandMade:
    """Clips of two buckets in turn: a square that covers cells by known parts, and a clip with nothing to control."""

    buckets = ((2, Size(32, 48)), (3, Size(32, 32)))
    clip_buckets = (0, 1, 0)
    fingerprint = {"videos": {"source": "hand"}, "entities": {}}  # noqa: RUF012

    def __init__(self, motion=1.0):
        self.motion = motion

    def __len__(self):
        return 3

    def name(self, index):
        return f"hand {index}"

    def clip(self, index):
        frames, size = self.buckets[self.clip_buckets[index]]
        count = 0 if index == 1 else 2
        masks = torch.zeros(count, frames, size.height, size.width, dtype=torch.bool)
        if count:
            masks[0, :, 8:16, 8:16] = True  # one whole cell
            masks[0, 1, 16:20, 8:16] = True  # and half of the one below it, in the second frame
            masks[1, :, 0:3, 40:45] = True  # 15 of 64 px of the last cell
        entities = Entities.from_masks(masks[:, 0]) if count else Entities((), size)
        centers = torch.tensor([entity.center for entity in entities]).reshape(count, 2)
        tracks = Tracks(
            centers.expand(frames, count, 2).clone(), torch.arange(count),
            torch.ones(frames, count, dtype=torch.bool), torch.full((frames, count), 2.0), size,
        )  # fmt: skip
        pictures = torch.rand(frames, 3, size.height, size.width, generator=torch.Generator().manual_seed(index))
        return MotionClip(f"hand {index}", pictures, 12.5, entities, tracks, tracks.radii + 1, masks, self.motion)


def test_coverage_is_the_part_of_each_cell_that_is_seen(pipeline, tmp_path):
    cached = build_cache(HandMade(), configured(tmp_path), networks(pipeline)).clip(0, 0)
    expected = torch.zeros(2, 2, 4, 6)
    expected[0, :, 1, 1] = 255
    expected[0, 1, 2, 1] = 127.5
    expected[1, :, 0, 5] = 15 / 64 * 255
    assert cached.coverage.dtype == torch.uint8
    assert (cached.coverage - expected).abs().max() <= 0.5


def test_grabbed_points_are_on_the_first_mask(pipeline, tmp_path):
    cached = build_cache(HandMade(), configured(tmp_path), networks(pipeline)).clip(0, 1)
    (x, y), (far_x, far_y) = cached.grabs.movedim(-1, 1)
    assert cached.grabs.shape == (2, 8, 2)
    assert ((x >= 8) & (x < 16) & (y >= 8) & (y < 16)).all()
    assert ((far_x >= 40) & (far_x < 45) & (far_y >= 0) & (far_y < 3)).all()
    assert len({tuple(point) for point in cached.grabs[0].tolist()}) > 1


def test_clips_are_found_by_bucket_and_number(pipeline, tmp_path):
    cache = build_cache(HandMade(), configured(tmp_path), networks(pipeline))
    assert (cache.bucket_sizes, len(cache)) == ((2, 1), 3)
    names = {(bucket, number): cache.clip(bucket, number).clip_id for bucket, number in ((0, 0), (0, 1), (1, 0))}
    assert names == {(0, 0): "hand 0", (0, 1): "hand 2", (1, 0): "hand 1"}
    assert [cache.place(index) for index in range(3)] == [0, 0, 1]
    assert cache.clip(1, 0).latents.shape == (3, 4, 4, 4)


def test_a_clip_with_nothing_to_control_is_kept(pipeline, tmp_path):
    cached = build_cache(HandMade(), configured(tmp_path), networks(pipeline)).clip(1, 0)
    assert cached.embeddings.shape == (0, 32)
    assert (cached.coverage.shape, cached.grabs.shape) == ((0, 3, 4, 4), (0, 8, 2))
    assert (cached.paths.shape, cached.path_entity.shape, cached.radii.shape) == ((3, 0, 2), (0,), (3, 0))


def test_time_ids_are_the_configurations_or_each_clips_own(pipeline, tmp_path):
    def ids(motion=0.5, **noise):
        cached = build_cache(HandMade(motion), configured(tmp_path, **noise), without_features(pipeline)).clip(0, 0)
        return cached.motion_bucket_id, cached.fps

    assert ids() == (127, 12.5)
    assert ids(motion_bucket_id=None) == (55, 12.5)
    assert ids(fps=7.0, motion_bucket_id=30) == (30, 7.0)
    assert len(list(tmp_path.glob("latents-*"))) == 1  # none of this is a reason to encode anew


def test_a_motion_that_is_not_known_is_named_before_anything_is_encoded(pipeline, tmp_path):
    with pytest.raises(ValueError, match=r"clip hand 0: .*--noise\.motion_bucket_id"):
        build_cache(HandMade(math.nan), configured(tmp_path, motion_bucket_id=None), without_features(pipeline))
    assert not list(tmp_path.glob("*/*.safetensors"))


def test_tensors_are_in_memory_of_their_own(pipeline, tmp_path):
    cached = built(configured(tmp_path, image_noise_draws=1), networks(pipeline)).clip(0, 3)
    tensors = {name: value for name, value in vars(cached).items() if isinstance(value, torch.Tensor)}
    assert len(tensors) == 15
    # Mapped memory begins at any multiple of 8 bytes, torch's own at one of 64.
    assert {name: tensor.data_ptr() % 64 for name, tensor in tensors.items()} == dict.fromkeys(tensors, 0)


# --- the autoencoder --------------------------------------------------------------------------------------------------


def test_pictures_are_encoded_a_few_at_a_time(tiny_vae, monkeypatch):
    pictures = torch.rand(5, 3, *SIZE, generator=torch.Generator().manual_seed(0)) * 2 - 1
    at_once, _ = encode_pictures(tiny_vae, pictures)
    batches = []
    handle = tiny_vae.encoder.register_forward_pre_hook(lambda _, inputs: batches.append(len(inputs[0])))
    monkeypatch.setattr("draganything_core.training.encoding.ENCODED_PIXELS", 2 * 32 * 48)
    by_twos, deviation = encode_pictures(tiny_vae, pictures)
    monkeypatch.setattr("draganything_core.training.encoding.ENCODED_PIXELS", 1)
    encode_pictures(tiny_vae, pictures)
    handle.remove()
    assert batches == [2, 2, 1, 1, 1, 1, 1, 1]
    assert deviation is None
    torch.testing.assert_close(by_twos, at_once)


def test_bf16_changes_the_small_autoencoders_latents_by_less_than_a_hundredth(pipeline, tiny_vae, tmp_path):
    nets = networks(pipeline, vae=tiny_vae)
    exact = built(configured(tmp_path, image_noise_draws=1), nets).clip(0, 1)
    fast = built(configured(tmp_path, image_noise_draws=1, precision="bf16"), nets).clip(0, 1)
    for name in ("latents", "picture_latents"):
        error = (getattr(fast, name) - getattr(exact, name)).square().mean().sqrt()
        assert 0 < error < 0.01 * getattr(exact, name).std()
        assert getattr(fast, name).dtype == torch.float32
    assert torch.equal(fast.embeddings, exact.embeddings)


def test_bf16_leaves_a_large_autoencoder_alone(pipeline, tmp_path):
    built(configured(tmp_path, clips=1), without_features(pipeline))
    before = written(tmp_path)
    built(configured(tmp_path, clips=1, precision="bf16"), without_features(pipeline))
    assert written(tmp_path) == before


def test_latents_that_are_not_finite_are_an_error(pipeline, tmp_path):
    with seeded(1):
        broken = tiny_autoencoder().eval()
    broken.encoder.layers[-1].bias.data[0] = float("nan")
    with pytest.raises(ValueError, match="latents are not finite"):
        built(configured(tmp_path, clips=1), networks(pipeline, vae=broken))


# --- files ------------------------------------------------------------------------------------------------------------


def test_what_is_there_is_left_as_it_is(pipeline, tmp_path):
    first = built(configured(tmp_path), without_features(pipeline))
    before = written(tmp_path)
    again = built(configured(tmp_path), without_features(pipeline))
    assert len(before) == 6  # three in each of two folders
    assert written(tmp_path) == before
    assert again.bytes == first.bytes == sum(file.stat().st_size for file in tmp_path.glob("*/*.safetensors"))
    assert again.identity == first.identity


@pytest.mark.parametrize("damage", ["torn", "changed", "empty"])
@pytest.mark.parametrize("layer", ["latents", "entities"])
def test_a_damaged_shard_is_made_again(pipeline, tmp_path, caplog, damage, layer):
    built(configured(tmp_path), without_features(pipeline))
    before, whole = written(tmp_path), contents(tmp_path)
    (file,) = tmp_path.glob(f"{layer}-*/00001.safetensors")
    data = file.read_bytes()
    file.write_bytes({"torn": data[: len(data) // 2], "changed": data[:-9] + b"x" + data[-8:], "empty": b""}[damage])
    built(configured(tmp_path), without_features(pipeline))
    (message,) = messages(caplog)
    assert message.startswith(f"{file} is damaged")
    assert contents(tmp_path) == whole
    rewritten = [name for name, when in written(tmp_path).items() if when != before[name]]
    assert rewritten == [f"{layer} 00001"]


def test_other_features_do_not_encode_the_videos_anew(pipeline, tmp_path):
    built(configured(tmp_path, clips=1), networks(pipeline))
    before = written(tmp_path, "latents")
    other = small_pipeline(entity_source={"model_kind": "svd", "timestep": 0.5})
    built(configured(tmp_path, clips=1), networks(other, vae=pipeline.vae, image_encoder=pipeline.image_encoder))
    assert written(tmp_path, "latents") == before
    assert len(list(tmp_path.glob("entities-*"))) == 2


def test_another_seed_matters_only_to_noise_that_is_drawn_beforehand(pipeline, tmp_path):
    for seed in (1, 2):
        built(configured(tmp_path / "in the step", clips=1, seed=seed), without_features(pipeline))
        built(configured(tmp_path / "beforehand", clips=1, seed=seed, image_noise_draws=1), without_features(pipeline))
    assert len(list((tmp_path / "in the step").iterdir())) == 2
    assert sorted(path.name.split("-")[0] for path in (tmp_path / "beforehand").iterdir()) == (
        ["entities", "latents", "latents"]
    )


def test_what_was_made_otherwise_is_named(pipeline, tiny_vae, tmp_path, caplog):
    caplog.set_level(logging.INFO, shards.__name__)
    built(configured(tmp_path, clips=2), networks(pipeline))
    assert messages(caplog) == []
    (latents,), (entities,) = tmp_path.glob("latents-*"), tmp_path.glob("entities-*")
    built(configured(tmp_path, clips=2), networks(pipeline, vae=tiny_vae))
    assert messages(caplog) == [
        f"{latents}: made with another autoencoder; delete it if no longer needed",
        f"{entities}: made with another autoencoder; delete it if no longer needed",
    ]
    caplog.clear()
    built(configured(tmp_path, clips=2), networks(pipeline, vae=tiny_vae))
    assert messages(caplog) == []  # there already: nothing of it is out of date
    built(configured(tmp_path, clips=3, image_noise_draws=1), networks(pipeline))
    assert f"{latents}: made with another set of clips and another image noise; delete it if no longer needed" in (
        messages(caplog)
    )


def test_other_clips_of_the_same_making_are_not_called_out_of_date(pipeline, tmp_path, caplog):
    caplog.set_level(logging.INFO, shards.__name__)
    for clips in (2, 3):  # as training and validation have
        built(configured(tmp_path, clips=clips), networks(pipeline))
    assert len(list(tmp_path.glob("latents-*"))) == 2
    assert messages(caplog) == []


def test_two_processes_write_what_one_writes(pipeline, tmp_path):
    waits = []
    for rank in (0, 1):
        share = Share(rank, 2, lambda rank=rank: waits.append((rank, len(list(tmp_path.glob("two/*/*.safetensors"))))))
        cache = built(configured(tmp_path / "two", image_noise_draws=1), without_features(pipeline), share)
    built(configured(tmp_path / "one", image_noise_draws=1), without_features(pipeline))
    assert waits == [(0, 0), (0, 4), (1, 4), (1, 6)]  # of three shards in each layer, the first has two
    assert contents(tmp_path / "two") == contents(tmp_path / "one")
    assert cache.clip(0, 0).clip_id == "synthetic_3_000000"


@pytest.fixture
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # a fork has no threads of a pool that its parent started, and sums depend on their number
    yield
    torch.set_num_threads(threads)


def killed_within_its_fourth_file(config, nets):
    save, files = shards.save_file, []

    def save_or_die(tensors, file, metadata):
        files.append(file)
        if len(files) == 4:
            Path(file).write_bytes(b"half")
            os.kill(os.getpid(), signal.SIGKILL)
        save(tensors, file, metadata)

    shards.save_file = save_or_die
    built(config, nets)


@pytest.mark.usefixtures("one_thread")
def test_a_killed_run_goes_on_where_it_was(pipeline, tmp_path):
    config = configured(tmp_path / "killed", clips=6)
    process = FORK.Process(target=killed_within_its_fourth_file, args=(config, without_features(pipeline)))
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    before = written(tmp_path / "killed")
    assert sorted(before) == ["entities 00000", "latents 00000", "latents 00001"]
    (left,) = (tmp_path / "killed").glob("*/.*")
    os.utime(left, (0, 0))  # of a process that died long ago
    built(config, without_features(pipeline))
    assert {name: when for name, when in written(tmp_path / "killed").items() if name in before} == before
    built(configured(tmp_path / "whole", clips=6), without_features(pipeline))
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")


def test_a_file_that_another_process_is_writing_is_left_alone(pipeline, tmp_path):
    built(configured(tmp_path, clips=1), without_features(pipeline))
    (folder,) = tmp_path.glob("latents-*")
    (folder / ".00000-abc.safetensors").write_bytes(b"half")
    built(configured(tmp_path, clips=1), without_features(pipeline))
    assert (folder / ".00000-abc.safetensors").is_file()


# --- weights ----------------------------------------------------------------------------------------------------------


def test_equal_networks_have_equal_names(pipeline, tiny_vae, tmp_path):
    for number, network in enumerate((pipeline.unet, pipeline.vae, pipeline.image_encoder, tiny_vae)):
        network.save_pretrained(tmp_path / str(number))
        assert weights_sha256(type(network).from_pretrained(tmp_path / str(number))) == weights_sha256(network)
    assert len({weights_sha256(network) for network in (pipeline.unet, pipeline.vae, tiny_vae)}) == 3


def test_another_number_precision_or_configuration_is_another_network(tmp_path):
    with seeded(1):
        vae = tiny_autoencoder()
    names = [weights_sha256(vae)]
    vae.decoder.layers[-1].bias.data[0] += 1e-6
    names.append(weights_sha256(vae))
    vae.register_to_config(scaling_factor=0.5)
    names.append(weights_sha256(vae))
    names.append(weights_sha256(vae.to(torch.bfloat16)))
    assert len(set(names)) == 4
    # The same tensors, but the group norms of a UNet that remembers its eps give other numbers.
    unet = small_pipeline().unet
    before = weights_sha256(unet)
    assert weights_sha256(set_norm_eps(unet, 1e-5)) != before


def test_a_folder_is_named_by_its_files(tiny_vae, tmp_path):
    tiny_vae.save_pretrained(tmp_path / "one")
    tiny_vae.save_pretrained(tmp_path / "two")
    assert weights_sha256(tmp_path / "one") == weights_sha256(str(tmp_path / "two"))
    (tmp_path / "two" / "config.json").write_text("{}")
    assert weights_sha256(tmp_path / "one") != weights_sha256(tmp_path / "two")
    with pytest.raises(FileNotFoundError, match="no folder with weights"):
        weights_sha256(tmp_path)
