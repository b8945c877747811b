"""Synthetic clips: their truth agrees with their pictures, and with itself."""

import hashlib
import subprocess
import sys

import cv2
import numpy as np
import pytest
import torch
from einops import rearrange
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from draganything_core.camera import CAMERA_ENTITY_ID
from draganything_core.data.synthetic import GROUND_ID, VOID_ID, SyntheticConfig, synthetic_clip, synthetic_clips
from draganything_core.data.synthetic_export import write_vipseg
from draganything_core.data.synthetic_sprites import SHAPES, SOFTNESS, draw_ground, draw_sprite
from draganything_core.data.vipseg import VipSeg
from draganything_core.masks import inscribed_circle
from draganything_core.point_tracker import track_points
from draganything_core.types import Size

ODD = Size(72, 104)
EVERYTHING = {
    "foreground": SyntheticConfig(ODD, 6, background=0, both=0, camera=0),
    "background": SyntheticConfig(ODD, 6, background=1, both=0, camera=0, zoom=0),
    "both": SyntheticConfig(ODD, 6, background=0, both=1, camera=0, zoom=0.5),
    "camera pan": SyntheticConfig(ODD, 6, background=0, both=0, camera=1, zoom=0),
    "camera zoom": SyntheticConfig(ODD, 6, background=0, both=0, camera=1, zoom=1, pan=0),
    "camera zoom and pan": SyntheticConfig(ODD, 6, background=0, both=0, camera=1, zoom=1, pan=1),
    "busy": SyntheticConfig(
        ODD, 6, (0, 0.5, 0.5), camera=0, occlusion=1, exits=0.5, entries=1, neighbours=1, look_alikes=1, void_strip=5
    ),
}
kinds = pytest.mark.parametrize("config", EVERYTHING.values(), ids=EVERYTHING.keys())


def some_clips(config, count=4):
    return synthetic_clips(7, range(count), config)


def place_of(size):
    """(1,H,W,2) x, y of every pixel."""
    columns, rows = np.meshgrid(np.arange(size.width), np.arange(size.height))
    return np.stack([columns, rows], axis=-1)[None]


@kinds
def test_clip_has_the_promised_shapes_and_ranges(config):
    for clip in some_clips(config):
        frames, height, width = config.frames, ODD.height, ODD.width
        assert clip.frames.shape == (frames, 3, height, width)
        assert clip.frames.dtype == torch.float32
        assert clip.frames.is_contiguous()
        assert float(clip.frames.min()) >= 0
        assert float(clip.frames.max()) <= 1 + 1e-6
        assert clip.ids.shape == clip.layers.shape == (frames, height, width)
        assert clip.ids.dtype == torch.int32
        assert clip.amodal.shape == (frames, len(clip.sprites), height, width)
        assert clip.flow.shape == (frames - 1, 2, height, width)
        assert clip.tracks.frames == frames
        assert clip.controlled.shape == (len(clip.entities),)
        assert bool(clip.controlled.any())


@kinds
def test_frames_warped_back_by_the_flow_are_the_frames_before(config):
    errors, still_errors = [], []
    for clip in some_clips(config):
        after_place = place_of(ODD) + rearrange(clip.flow, "t c h w -> t h w c").numpy()
        for t in range(config.frames - 1):
            before, after = (rearrange(clip.frames[i], "c h w -> h w c").numpy() for i in (t, t + 1))
            target = after_place[t].astype(np.float32)
            fetched = cv2.remap(after, target[..., 0], target[..., 1], cv2.INTER_LINEAR)
            # Pixels whose layer is the same all around, here and there: the rest mix two things.
            seen_there = cv2.remap(clip.layers[t + 1].numpy(), target[..., 0], target[..., 1], cv2.INTER_NEAREST)
            kept = pure(clip.layers[t]) & (seen_there == clip.layers[t].numpy())
            kept &= fetch_pure(pure(clip.layers[t + 1]), target) & inside(target)
            assert kept.mean() > 0.25
            errors.append(np.abs(fetched - before)[kept])
            still_errors.append(np.abs(after - before)[kept])
    error, still = np.concatenate(errors), np.concatenate(still_errors)
    # What is left is the blur of reading between pixels.
    assert np.median(error) < 0.003
    assert np.quantile(error, 0.99) < 0.04
    assert error.mean() < 0.15 * still.mean()


def pure(layers):
    """(H,W) bool: all pixels within 2 px show the same."""
    values, window = layers.numpy(), np.ones((5, 5), np.uint8)
    return cv2.erode(values, window) == cv2.dilate(values, window)


def fetch_pure(pure_there, target):
    return cv2.remap(pure_there.astype(np.uint8), target[..., 0], target[..., 1], cv2.INTER_NEAREST) > 0


def inside(target):
    height, width = target.shape[:2]
    x, y = target[..., 0], target[..., 1]
    return (x >= 1) & (x <= width - 2) & (y >= 1) & (y <= height - 2)


@kinds
def test_track_points_move_as_the_flow_says(config):
    checked = 0
    for clip in some_clips(config):
        paths, visible = clip.tracks.paths.double().numpy(), clip.tracks.visibility.numpy()
        for path, owner in enumerate(clip.tracks.path_entity.tolist()):
            entity_id = clip.entities[owner].entity_id
            if entity_id == CAMERA_ENTITY_ID:
                continue  # the camera's spots may have a sprite before them
            for t in np.flatnonzero(visible[:-1, path]):
                x, y = np.floor(paths[t, path] + 0.5).astype(int)
                flow = clip.flow[t, :, y, x].double().numpy()
                # Under a zoom the flow differs from pixel to pixel; the point is within 0.71 px of its pixel.
                np.testing.assert_allclose(paths[t, path] + flow, paths[t + 1, path], atol=0.1)
                checked += 1
    assert checked > 20


@kinds
def test_tracks_start_at_the_inscribed_circles_of_the_first_frame(config):
    for clip in some_clips(config):
        for path, owner in enumerate(clip.tracks.path_entity.tolist()):
            entity = clip.entities[owner]
            if entity.entity_id == CAMERA_ENTITY_ID:
                assert bool(entity.mask.all())
                continue
            torch.testing.assert_close(entity.mask, clip.ids[0] == entity.entity_id)
            circle = inscribed_circle(clip.ids[0] == entity.entity_id)
            np.testing.assert_allclose(clip.tracks.paths[0, path].numpy(), circle.center, atol=1e-4)
            assert float(clip.tracks.radii[0, path]) == pytest.approx(circle.radius, abs=1e-4)


@kinds
def test_visibility_follows_from_whole_shapes_and_z_order(config):
    for clip in some_clips(config, 6):
        numbers = {sprite.sprite_id: place for place, sprite in enumerate(clip.sprites)}
        for path, owner in enumerate(clip.tracks.path_entity.tolist()):
            entity_id = clip.entities[owner].entity_id
            if entity_id == CAMERA_ENTITY_ID:
                continue
            place = numbers.get(entity_id, -1)
            for t, point in enumerate(clip.tracks.paths[:, path].double().numpy()):
                x, y = np.floor(point + 0.5).astype(int)
                expected = 0 <= x < ODD.width and 0 <= y < ODD.height and not bool(clip.void[y, x])
                if expected:
                    nearer = clip.amodal[t, place + 1 :, y, x]
                    expected = not bool(nearer.any()) and (place < 0 or bool(clip.amodal[t, place, y, x]))
                assert bool(clip.tracks.visibility[t, path]) == expected


@kinds
def test_ids_are_the_nearest_whole_shape_and_void_in_the_strip(config):
    for clip in some_clips(config):
        expected = torch.full_like(clip.ids, GROUND_ID)
        for place, sprite in enumerate(clip.sprites):
            expected[clip.amodal[:, place]] = sprite.sprite_id
        expected[:, :, : config.void_strip] = VOID_ID
        torch.testing.assert_close(clip.ids, expected)
        assert int(clip.void.sum()) == config.void_strip * ODD.height


def test_zoom_scales_sprites_radii_and_the_ground_alike():
    (clip,) = synthetic_clips(7, range(1), EVERYTHING["camera zoom"])
    factor = clip.camera.scale[-1]
    assert abs(np.log(factor)) > 0.1
    for sprite in clip.sprites:
        assert float(sprite.scales[-1]) == pytest.approx(factor)
    for path, owner in enumerate(clip.tracks.path_entity.tolist()):
        if clip.entities[owner].entity_id != CAMERA_ENTITY_ID:
            growth = clip.tracks.radii[-1, path] / clip.tracks.radii[0, path]
            assert float(growth) == pytest.approx(factor, rel=1e-4)
    assert clip.tracks.path_entity.tolist().count(0) == 4


def test_what_is_controlled_depends_on_the_kind():
    seen = set()
    for clip in synthetic_clips(0, range(60), SyntheticConfig(ODD, 3, background=0.25, both=0.25, camera=0.25)):
        seen.add(clip.kind)
        by_id = dict(zip([entity.entity_id for entity in clip.entities], clip.controlled.tolist(), strict=True))
        assert by_id[GROUND_ID] == (clip.kind in ("background", "both"))
        assert (CAMERA_ENTITY_ID in by_id) == (clip.kind == "camera")
        for sprite in clip.sprites:
            assert sprite.controlled or not sprite.moves
            assert not (sprite.moves and clip.kind == "background")
            assert by_id.get(sprite.sprite_id, sprite.controlled) == sprite.controlled
        entities, tracks = clip.requested
        assert [entity.entity_id for entity in entities] == [key for key, asked in by_id.items() if asked]
        assert sorted(set(tracks.path_entity.tolist())) == list(range(len(entities)))
    assert seen == {"foreground", "background", "both", "camera"}


def test_look_alikes_share_every_sample_and_only_they_do():
    config = SyntheticConfig(ODD, 3, look_alikes=1)
    twins = 0
    for clip in synthetic_clips(1, range(12), config):
        by_id = {sprite.sprite_id: sprite for sprite in clip.sprites}
        for sprite in clip.sprites:
            alike = [
                other for other in clip.sprites if torch.equal(other.cutout, sprite.cutout) and other is not sprite
            ]
            if sprite.look_alike_of is not None:
                twins += 1
                original = by_id[sprite.look_alike_of]
                assert (sprite.shape, sprite.texture) == (original.shape, original.texture)
                assert alike == [original]
            elif alike:
                assert alike[0].look_alike_of == sprite.sprite_id
    assert twins >= 8


def test_cutout_laid_on_the_ground_gives_the_frame():
    clip = synthetic_clip(2, 0, SyntheticConfig(ODD, 5, background=0, both=0, camera=0, neighbours=0, occlusion=0))
    sprite = clip.sprites[-1]
    colour, cover = sprite.cutout[:3], sprite.cutout[3]
    reach = cover.shape[0] // 2
    for frame, origin in zip(clip.frames, sprite.origins, strict=True):
        middle = origin.round().long()
        shift = (origin - middle).tolist()
        move = np.array([[1, 0, shift[0]], [0, 1, shift[1]]])
        moved = cv2.warpAffine(rearrange(colour, "c h w -> h w c").numpy(), move, cover.shape[::-1])
        x, y = middle.tolist()
        rows, columns = slice(y - reach + 5, y + reach - 4), slice(x - reach + 5, x + reach - 4)
        core = cv2.erode((cover > 0.99).numpy().astype(np.uint8), np.ones((3, 3)))[5:-5, 5:-5] > 0
        error = np.abs(rearrange(frame[:, rows, columns], "c h w -> h w c").numpy() - moved[5:-5, 5:-5])[core]
        assert np.median(error) < 0.02


@given(x=st.floats(30, 40), y=st.floats(30, 40), scale=st.floats(0.7, 1.4))
@settings(max_examples=25, deadline=None)
def test_sprites_are_laid_where_they_are_said_to_be(x, y, scale):
    art = draw_sprite(np.random.default_rng(5), 15.0, [], 3)
    reference = centre_of_mass(art.laid(np.array([35.0, 35.0]), 1.0, (0, 0), (71, 75))[..., 3]) - 35
    found = centre_of_mass(art.laid(np.array([x, y]), scale, (0, 0), (71, 75))[..., 3])
    # A twentieth of a pixel: the cut-out is sampled three times a pixel, and stretched here by up to 1.4.
    np.testing.assert_allclose(found, np.array([x, y]) + reference * scale, atol=0.05)


def centre_of_mass(cover):
    rows, columns = np.indices(cover.shape)
    return np.array([(columns * cover).sum(), (rows * cover).sum()]) / cover.sum()


def test_ground_is_seen_where_it_is_said_to_be():
    ground = draw_ground(np.random.default_rng(1), (-12, -9), (80, 90), 2, 12.0)
    middle, still = np.array([28.5, 19.5]), np.zeros(2)
    seen = ground.seen(middle, 1.0, still, (40, 58))
    moved = ground.seen(middle, 1.0, np.array([7.0, -3.0]), (40, 58))
    np.testing.assert_allclose(moved[:-3, 7:], seen[3:, :-7], atol=1e-5)
    # Twice as near, pixel (2 x - 28, 2 y - 19) shows what (x, y) showed.
    near = ground.seen(middle, 2.0, still + 0.5, (40, 58))
    np.testing.assert_allclose(near[1::2, 0::2], seen[10:30, 14:43], atol=1e-5)


def test_inscribed_centre_is_not_the_centre_of_mass_of_rings_and_keys():
    for shape in ("ring", "key"):
        for seed in range(60):
            art = draw_sprite(np.random.default_rng(seed), 18.0, [], 3)
            if art.shape == shape:
                break
        mask = torch.from_numpy(art.cutout()[3] > 0.5)
        rows, columns = torch.nonzero(mask, as_tuple=True)
        mass = np.array([columns.float().mean(), rows.float().mean()])
        assert np.hypot(*(np.array(inscribed_circle(mask).center) - mass)) > 3
        if shape == "ring":
            assert not bool(mask[len(mask) // 2, len(mask) // 2])


def test_every_shape_stays_within_its_radius():
    seen = set()
    for seed in range(80):
        art = draw_sprite(np.random.default_rng(seed), 11.5, [], 3)
        seen.add(art.shape)
        cover = art.cutout()[3]
        rows, columns = np.nonzero(cover > 0.02)
        middle = len(cover) // 2
        assert 10 < np.hypot(rows - middle, columns - middle).max() < 11.5 + SOFTNESS
    assert seen == set(SHAPES)


def test_wishes_come_true_in_most_clips():
    def share(config, of):
        return np.mean([of(clip) for clip in synthetic_clips(5, range(15), config)])

    def hides(clip):
        return bool((clip.amodal.sum(dim=1) > 1).any())

    two = {"sprites": (0, 1), "neighbours": 0, "look_alikes": 0, "background": 0, "both": 0, "camera": 0, "size": ODD}
    assert share(SyntheticConfig(frames=8, occlusion=1, exits=0, entries=0, **two), hides) > 0.7
    assert share(SyntheticConfig(frames=8, occlusion=0, exits=0, entries=0, **two), hides) < 0.1
    leaves = share(SyntheticConfig(exits=1, **two), lambda clip: not clip.tracks.visibility[-1].all())
    enters = share(SyntheticConfig(entries=1, **two), lambda clip: len(clip.sprites) > len(clip.entities) - 1)
    assert leaves > 0.9
    assert enters > 0.9


def test_something_moves_even_where_sprites_at_rest_take_all_the_room():
    config = SyntheticConfig(ODD, 2, radius=(0.3, 0.3), neighbours=1, background=0, both=0, camera=0)
    for clip in synthetic_clips(0, range(20), config):
        assert bool(clip.controlled.any())


def test_a_clip_of_one_frame_has_no_flow():
    clip = synthetic_clip(0, 0, SyntheticConfig(ODD, 1))
    assert clip.frames.shape[0] == clip.tracks.frames == 1
    assert clip.flow.shape == (0, 2, ODD.height, ODD.width)


def test_travel_is_within_the_configured_range():
    config = SyntheticConfig(exits=0, entries=0, neighbours=0, background=0, both=0, camera=0)
    for clip in synthetic_clips(6, range(20), config):
        for sprite in clip.sprites:
            if sprite.moves:
                chord = float(torch.linalg.vector_norm(sprite.origins[-1] - sprite.origins[0])) / 128
                assert config.travel[0] - 1e-9 <= chord <= config.travel[1] + 1e-9


def test_the_same_clip_in_another_process_and_order():
    program = (
        "import hashlib, numpy, torch\n"
        "numpy.random.seed(99), torch.manual_seed(99)\n"
        "from draganything_core.data.synthetic import Size, SyntheticConfig, synthetic_clip\n"
        "for index in (2, 0, 1):\n"
        "    clip = synthetic_clip(11, index, SyntheticConfig(Size(72, 104), 6))\n"
        "    parts = (clip.frames, clip.ids, clip.tracks.paths, clip.flow, clip.controlled)\n"
        "    print(hashlib.sha256(b''.join(part.numpy().tobytes() for part in parts)).hexdigest())\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    here = []
    for clip in synthetic_clips(11, range(3), SyntheticConfig(ODD, 6)):
        parts = (clip.frames, clip.ids, clip.tracks.paths, clip.flow, clip.controlled)
        here.append(hashlib.sha256(b"".join(part.numpy().tobytes() for part in parts)).hexdigest())
    assert done.stdout.split() == [here[2], here[0], here[1]]
    assert len(set(here)) == 3


@given(seed=st.integers(0, 2**40), index=st.integers(0, 2**40))
@settings(max_examples=20, deadline=None)
def test_any_seed_and_index_give_a_clip_that_is_its_own(seed, index):
    config = SyntheticConfig(Size(40, 56), 3)
    clip = synthetic_clip(seed, index, config)
    assert torch.equal(clip.frames, synthetic_clip(seed, index, config).frames)
    next_index, next_seed = synthetic_clip(seed, index + 1, config), synthetic_clip(seed + 1, index, config)
    for one, other in ((clip, next_index), (clip, next_seed), (next_index, next_seed)):
        assert not torch.equal(one.frames, other.frames)
    assert len(clip.entities) >= 2


def test_a_tracker_without_weights_finds_the_tracks():
    errors = []
    for clip in synthetic_clips(4, range(6), SyntheticConfig(camera=0)):
        found, _ = track_points(clip.frames, clip.tracks.paths[0], clip.entities.masks)
        distance = torch.linalg.vector_norm(found - clip.tracks.paths, dim=-1)
        errors.append(distance[clip.tracks.visibility])
    assert float(torch.cat(errors).median()) < 1


def test_vipseg_export_is_read_back_as_it_was(tmp_path):
    clips = list(synthetic_clips(3, range(2), EVERYTHING["busy"]))
    names = write_vipseg(clips, tmp_path, split="val")
    source = VipSeg(tmp_path, "val")
    assert list(source.clip_ids) == names == ["synthetic_3_000000", "synthetic_3_000001"]
    for name, clip in zip(names, clips, strict=True):
        read = source.clip(name)
        assert len(read) == len(clip.frames)
        with Image.open(tmp_path / "panomasks" / name / "00000002.png") as mask:
            assert mask.mode == "I;16"
            np.testing.assert_array_equal(np.asarray(mask), clip.ids[2].numpy())
        frames = torch.stack(list(read.pictures.read()))
        assert float((frames - clip.frames).abs().max()) < 0.03
        for sprite in clip.sprites:
            assert read.labels(sprite.sprite_id).is_thing
        assert not read.labels(GROUND_ID).is_thing
        assert VOID_ID in read.void_ids
        assert 200 not in clip.ids
        with np.load(tmp_path / "truth" / f"{name}.npz") as truth:
            np.testing.assert_array_equal(truth["paths"], clip.tracks.paths.numpy())
            np.testing.assert_array_equal(truth["visibility"], clip.tracks.visibility.numpy())
            assert set(truth["path_id"].tolist()) <= set(np.unique(clip.ids[0]).tolist())


def test_vipseg_export_leaves_the_camera_out_of_the_truth(tmp_path):
    (clip,) = synthetic_clips(3, range(1), EVERYTHING["camera zoom"])
    (name,) = write_vipseg([clip], tmp_path)
    with np.load(tmp_path / "truth" / f"{name}.npz") as truth:
        assert CAMERA_ENTITY_ID not in truth["path_id"]
        assert truth["paths"].shape[1] == len(truth["path_id"]) == len(clip.entities) - 1


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"frames": 0}, "frames must be >= 1"),
        ({"sprites": (0.0,)}, "sprites must be chances"),
        ({"occlusion": 1.5}, "occlusion is a chance"),
        ({"background": 0.6, "both": 0.6}, "must not exceed 1 together"),
        ({"radius": (0.2, 0.1)}, "radius must be 0 < low <= high"),
        ({"radius": (0.2, 0.4)}, "leaves no room"),
        ({"size": Size(16, 128)}, "16x128 is too small"),
        ({"void_strip": 128}, "void_strip must be within"),
        ({"supersampling": 2}, "odd number"),
    ],
)
def test_a_config_that_cannot_be_drawn_says_why(values, message):
    with pytest.raises(ValueError, match=message):
        SyntheticConfig(**values)


def test_negative_seed_is_refused():
    with pytest.raises(ValueError, match="seed and index must be >= 0"):
        synthetic_clip(-1, 0)
