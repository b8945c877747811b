"""From cached clips to batches: draws that know nothing of processes, and what is asked for and left out."""

from collections import Counter
from dataclasses import fields, replace

import pytest
import torch
from training_run import CLIPS, FRAMES, SIZE, save_small_svd, small_config, small_trainer

from draganything_core.training.batches import Controlled, LoadedBatch
from draganything_core.training.clips import open_clips
from draganything_core.training.objective import latent_mask
from draganything_core.training.order import rank_positions
from draganything_core.types import Size

CPU = torch.device("cpu")
MANY = range(60)  # positions, for what is drawn


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    folder = tmp_path_factory.mktemp("batches")
    return small_config(save_small_svd(folder / "svd"), folder / "run", global_batch=4)


@pytest.fixture(scope="module")
def stage(config):
    return small_trainer(config).stage


@pytest.fixture(scope="module")
def clips(stage):
    return [stage.cache.clip(0, number) for number in range(CLIPS)]


def most_entities(clips):
    return max(clips, key=lambda clip: len(clip.coverage))


def maker(stage, control=None, **changes):
    return replace(stage.maker, control=replace(stage.maker.control, **(control or {})), **changes)


def loaded(maker, clip, step=0, positions=MANY):
    """The batch that has one clip at all these positions."""
    return maker.load(step, positions, [clip] * len(positions))


def values(item):
    """All tensors and names in a batch as plain data, for comparing bit by bit."""
    if isinstance(item, torch.Tensor):
        return (item.dtype, tuple(item.shape), item.tolist())
    if isinstance(item, (list, tuple)):
        return [values(part) for part in item]
    if isinstance(item, (Controlled, LoadedBatch)) or hasattr(item, "__dataclass_fields__"):
        return {entry.name: values(getattr(item, entry.name)) for entry in fields(item)}
    return item


def joined(parts):
    """Micro-batches as the one batch that they are parts of."""
    whole = {}
    for entry in fields(LoadedBatch):
        own = [getattr(part, entry.name) for part in parts]
        if own[0] is None:
            whole[entry.name] = None
        elif isinstance(own[0], torch.Tensor):
            whole[entry.name] = torch.cat(own)
        else:
            whole[entry.name] = type(own[0])(item for part in own for item in part)
    return LoadedBatch(**whole)


# --- which draws ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("draws", [2, 0], ids=["first frames encoded before", "first frames encoded in the step"])
@pytest.mark.parametrize(("processes", "micro_batch"), [(1, 1), (2, None), (2, 1), (4, None)])
def test_a_sample_does_not_depend_on_processes_and_micro_batches(stage, draws, processes, micro_batch):
    stage.maker, own = maker(stage, noise=replace(stage.config.noise, image_noise_draws=draws)), stage.maker
    whole = stage.load(5, range(4))
    parts = [
        stage.load(5, positions)
        for rank in range(processes)
        for positions in rank_positions(4, rank, processes, micro_batch)
    ]
    stage.maker = own
    assert len(parts) == processes if micro_batch is None else len(parts) == 4 // micro_batch
    assert values(joined(parts)) == values(whole)


def test_steps_positions_and_seeds_draw_differently(stage, clips):
    def noise(maker, step, position):
        return loaded(maker, clips[0], step, range(position, position + 1)).noise

    own = noise(stage.maker, 3, 1)
    assert torch.equal(own, noise(stage.maker, 3, 1))
    others = [noise(stage.maker, 3, 2), noise(stage.maker, 4, 1), noise(maker(stage, seed=8), 3, 1)]
    assert all(abs(torch.corrcoef(torch.stack([own.flatten(), other.flatten()]))[0, 1]) < 0.5 for other in others)


def test_clips_of_an_autoencoder_with_a_distribution_are_drawn_from_it(stage, clips):
    spread = replace(clips[0], latents_std=torch.full_like(clips[0].latents, 0.25))
    drawn = loaded(stage.maker, spread, positions=range(200)).latents - spread.latents
    assert drawn.mean().item() == pytest.approx(0, abs=0.01)
    assert drawn.std().item() == pytest.approx(0.25, rel=0.05)
    assert torch.equal(loaded(stage.maker, clips[0]).latents[7], clips[0].latents)


def test_time_ids_are_rate_bucket_and_the_level_of_the_noise_on_the_picture(stage, clips):
    batch = loaded(stage.maker, clips[0])
    rates, buckets, levels = batch.time_ids.T
    assert set(rates.tolist()) == {clips[0].fps - 1}
    assert set(buckets.tolist()) == {30.0}
    picks = [clips[0].picture_levels.tolist().index(level) for level in levels.tolist()]
    assert set(picks) == {0, 1}
    assert torch.equal(batch.image_latents, clips[0].picture_latents[picks])


# --- what is asked for ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("least", "most", "counts"),
    [(1, None, {1, 2, 3}), (None, None, {3}), (2, None, {2, 3}), (1, 2, {1, 2}), (None, 2, {2}), (2, 2, {2})],
)
def test_so_many_entities_are_controlled(stage, clips, least, most, counts):
    clip = most_entities(clips)
    assert len(clip.coverage) == 3
    chosen = loaded(maker(stage, {"min_entities": least, "max_entities": most}), clip).controlled
    drawn = Counter(len(each.embeddings) for each in chosen)
    assert drawn.keys() == counts
    assert min(drawn.values()) > len(MANY) / len(counts) / 3  # drawn evenly
    for each in chosen:
        rows = [(clip.embeddings == row).all(dim=1).nonzero().item() for row in each.embeddings]
        assert rows == sorted(rows)
        assert [clip.path_entity[path] for path in paths_of(clip, each.tracks)] == [
            rows[owner] for owner in each.tracks.path_entity
        ]


def paths_of(clip, tracks):
    """The number in the clip of each path."""
    return [
        next(p for p in range(clip.paths.shape[1]) if torch.equal(clip.paths[:, p], path))
        for path in tracks.paths.unbind(dim=1)
    ]


def test_a_clip_with_fewer_entities_than_the_least_has_all_of_its_own(stage, clips):
    chosen = loaded(maker(stage, {"min_entities": 5, "max_entities": 9}), most_entities(clips)).controlled
    assert {len(each.embeddings) for each in chosen} == {3}


def test_control_is_dropped_as_often_as_asked(stage, clips):
    chosen = loaded(maker(stage, {"drop": 0.3}), most_entities(clips), positions=range(300)).controlled
    empty = [each for each in chosen if len(each.embeddings) == 0]
    assert len(empty) / len(chosen) == pytest.approx(0.3, abs=0.08)
    assert empty[0].tracks.paths.shape == (FRAMES, 0, 2)
    assert not empty[0].seen.any()


def test_a_batch_without_any_control_trains_like_one_with(stage, clips):
    drops = maker(stage, {"drop": 1 - 1e-9})
    batch, noise, sigmas = drops.batch(loaded(drops, clips[0], positions=range(2)), CPU)
    assert [len(maps.embeddings) for maps in batch.maps] == [0, 0]
    output = stage.objective(batch, noise, sigmas)
    assert torch.isfinite(output.loss)
    assert (output.per_sample > 0).all()  # the plain mean, for there are no masks


def test_the_mask_has_the_cells_that_the_chosen_entities_fill_by_more_than_half(config, stage, clips):
    source = open_clips(config.data)
    everything = maker(stage, {"min_entities": None})
    for number in range(CLIPS):
        masks = source.clip(number).masks.any(dim=0)
        (each,) = loaded(everything, clips[number], positions=range(1)).controlled
        assert torch.equal(each.seen, latent_mask(masks) > 0)


@pytest.mark.parametrize("parts", [(32,), (16, 16), (5, 11, 16)])
def test_half_a_cell_is_not_more_than_half(stage, clips, parts):
    def seen(parts):
        masks = torch.zeros(len(parts), 1, 8, 8, dtype=torch.bool)
        starts = [sum(parts[:place]) for place in range(len(parts))]
        for mask, start, count in zip(masks, starts, parts, strict=True):
            mask.view(-1)[start : start + count] = True
        coverage = (latent_mask(masks, threshold=None) * 255).round().byte()
        clip = replace(
            clips[0],
            coverage=coverage,
            embeddings=torch.zeros(len(parts), 8),
            boxes=None,
            path_entity=torch.zeros(0, dtype=torch.long),
            paths=torch.zeros(FRAMES, 0, 2),
            visibility=torch.zeros(FRAMES, 0, dtype=torch.bool),
            radii=torch.zeros(FRAMES, 0),
        )
        (each,) = loaded(maker(stage, {"min_entities": None}), clip, positions=range(1)).controlled
        return bool(each.seen)

    assert not seen(parts)
    assert seen((*parts, 1))


def test_radii_are_those_of_the_first_frame_or_of_each(stage, clips):
    clip = replace(clips[0], frame_radii=clips[0].radii + torch.arange(FRAMES)[:, None])
    for kind, radii in (("first_frame", clip.radii), ("per_frame", clip.frame_radii)):
        (each,) = loaded(maker(stage, {"radius": kind, "min_entities": None}), clip, positions=range(1)).controlled
        assert torch.equal(each.tracks.radii, radii)


def test_grabbed_discs_stay_on_the_point_of_the_entity_that_they_start_on(stage, clips):
    clip = most_entities(clips)
    several = loaded(maker(stage, {"min_entities": None}, grabs=True), clip).controlled
    starts = set()
    for each in several:
        offsets = each.tracks.paths - clip.paths
        assert torch.allclose(offsets, offsets[:1], atol=1e-5)  # the same in every frame
        for path, owner in enumerate(each.tracks.path_entity.tolist()):
            start = each.tracks.paths[0, path]
            assert torch.isclose(clip.grabs[owner], start).all(dim=1).any()
            starts.add(tuple(start.tolist()))
    assert len(starts) > 3 * len(clip.coverage)  # another one from sample to sample
    plain = loaded(maker(stage, {"min_entities": None}), clip).controlled
    assert all(torch.equal(each.tracks.paths, clip.paths) for each in plain)


def test_the_four_points_of_a_zoom_stay_where_they_are(stage, clips):
    clip = clips[0]
    corners = torch.tensor([[8.0, 8.0], [40.0, 8.0], [8.0, 24.0], [40.0, 24.0]]).expand(FRAMES, -1, -1)
    zoom = replace(
        clip,
        paths=corners,
        path_entity=torch.zeros(4, dtype=torch.long),
        visibility=torch.ones(FRAMES, 4, dtype=torch.bool),
        radii=torch.full((FRAMES, 4), 4.0),
        coverage=clip.coverage[:1],
        embeddings=clip.embeddings[:1],
        grabs=clip.grabs[:1],
    )
    for each in loaded(maker(stage, grabs=True), zoom).controlled:
        assert torch.equal(each.tracks.paths, corners)


def test_the_maps_are_those_of_the_tracks_on_the_clips_own_size(stage, clips):
    everything = maker(stage, {"min_entities": None})
    batch, _, _ = everything.batch(loaded(everything, clips[0], positions=range(2)), CPU)
    maps = batch.maps[0]
    assert maps.size == Size(*SIZE)
    assert len(maps.gaussian) == FRAMES
    x, y = clips[0].paths[0, -1].round().long().tolist()
    assert maps.entity_index[0, y, x] == len(maps.embeddings) - 1  # the last path is painted last
    asked = everything.maps(everything.all_controlled(clips[0]), Size(*SIZE), CPU)
    assert torch.equal(asked.gaussian, maps.gaussian)
    assert torch.equal(asked.entity_index, maps.entity_index)


def test_embeddings_are_painted_as_the_weights_want_them(stage, clips):
    features = clips[0].embeddings
    vector = stage.maker.maps(stage.maker.all_controlled(clips[0]), Size(*SIZE), CPU).embeddings
    scalar = maker(stage, painting="channel_0")
    painted = scalar.maps(scalar.all_controlled(clips[0]), Size(*SIZE), CPU).embeddings
    assert torch.equal(painted, features[:, :1].expand_as(painted))
    assert not torch.equal(painted, vector)


# --- what is left out, and noised first frames ------------------------------------------------------------------------


def test_dropout_leaves_out_embedding_and_picture_together_and_nothing_else(stage, clips):
    drops = maker(stage, noise=replace(stage.config.noise, condition_dropout=0.3))
    batch, noise, _ = drops.batch(loaded(drops, clips[0]), CPU)
    whole, same_noise, _ = stage.maker.batch(loaded(stage.maker, clips[0]), CPU)
    without_embeds = (batch.image_embeds == 0).all(dim=(1, 2))
    without_picture = (batch.image_latents == 0).all(dim=(1, 2, 3))
    assert torch.equal(without_embeds, without_picture)
    assert without_embeds.float().mean().item() == pytest.approx(0.3, abs=0.2)
    kept = ~without_embeds
    assert torch.equal(batch.image_embeds[kept], loaded(drops, clips[0]).image_embeds[kept])
    assert torch.equal(batch.image_latents[kept], loaded(drops, clips[0]).image_latents[kept])
    assert torch.equal(noise, same_noise)
    assert torch.equal(batch.latents, whole.latents)
    assert torch.equal(batch.maps[0].gaussian, whole.maps[0].gaussian)


def test_first_frames_encoded_in_the_step_are_those_encoded_before(config, stage, clips, tmp_path):
    # One level only, so low that which noise it is makes no difference.
    faint = {"image_noise_mean": -18.0, "image_noise_std": 0.0}
    before = small_trainer(
        small_config(tmp_path, tmp_path, networks={"svd": config.networks.svd}, noise={**faint, "image_noise_draws": 1})
    ).stage
    in_step = maker(stage, noise=replace(before.config.noise, image_noise_draws=0))
    one = loaded(before.maker, before.cache.clip(0, 1), positions=range(3))
    other = loaded(in_step, clips[1], positions=range(3))
    assert other.image_latents is None
    torch.testing.assert_close(other.time_ids, one.time_ids)
    (batch, _, _), (encoded, _, _) = before.maker.batch(one, CPU), in_step.batch(other, CPU)
    torch.testing.assert_close(encoded.image_latents, batch.image_latents, atol=1e-4, rtol=1e-4)


def test_first_frames_encoded_in_the_step_have_noise_of_their_own_level(stage, clips):
    in_step = maker(stage, noise=replace(stage.config.noise, image_noise_draws=0))
    batch = loaded(in_step, clips[0])
    picture = clips[0].picture.float() / 127.5 - 1
    levels = batch.time_ids[:, 2]
    measured = (batch.pictures - picture).std(dim=(1, 2, 3))
    torch.testing.assert_close(measured, levels, rtol=0.05, atol=0)
    assert levels.log().mean().item() == pytest.approx(-3.0, abs=0.3)
    assert len(set(levels.tolist())) == len(MANY)
    encoded, _, _ = in_step.batch(batch, CPU)
    whole = encoded.image_latents.flatten(1).abs().sum(dim=1) > 0  # but for those that are dropped
    with torch.no_grad():
        expected = stage.networks.svd.vae.encode(batch.pictures).latents
    assert torch.equal(encoded.image_latents[whole], expected[whole])
