"""Clips for training: synthetic ones with their truth, annotated ones at their bucket's size."""

import json
import logging
import math
import shutil
from dataclasses import replace

import pytest
import torch

from draganything_core.annotate import main as annotate
from draganything_core.annotation_format import load_annotation
from draganything_core.data.synthetic import GROUND_ID, SyntheticConfig, synthetic_clip, synthetic_clips
from draganything_core.data.synthetic_export import write_vipseg
from draganything_core.training.clips import discs, motion_clip, open_clips
from draganything_core.training.config import Data, Synthetic
from draganything_core.types import Size, Tracks


def drawn(clips=8, first=0, **variations):
    return open_clips(Data(synthetic=Synthetic(3, first, clips, variations), sizes=((40, 56),), frames=(5,)))


# --- synthetic clips --------------------------------------------------------------------------------------------------


def test_a_synthetic_clip_has_what_its_maker_controls():
    source = drawn(first=20)
    assert (len(source), source.buckets, source.clip_buckets) == (8, ((5, Size(40, 56)),), (0,) * 8)
    for number in range(8):
        clip, truth = source.clip(number), synthetic_clip(3, 20 + number, SyntheticConfig(Size(40, 56), 5))
        entities, tracks = truth.requested
        assert clip.clip_id == source.name(number) == f"synthetic_3_{20 + number:06d}"
        assert torch.equal(clip.frames, truth.frames)
        assert [e.entity_id for e in clip.entities] == [e.entity_id for e in entities]
        assert torch.equal(clip.tracks.paths, tracks.paths)
        assert torch.equal(clip.tracks.visibility, tracks.visibility)
        assert torch.equal(clip.frame_radii, tracks.radii)


def test_masks_are_what_is_seen_of_each_entity():
    for number in range(12):
        clip = drawn(12, camera=0.3, void_strip=5).clip(number)
        truth = synthetic_clip(3, number, SyntheticConfig(Size(40, 56), 5, camera=0.3, void_strip=5))
        for entity, mask in zip(clip.entities, clip.masks, strict=True):
            if entity.name == "camera":
                assert mask[:, :, 5:].all()
                assert not mask[:, :, :5].any()
            else:
                assert torch.equal(mask, truth.ids == entity.entity_id)
                assert torch.equal(mask[0], entity.mask)


def test_radii_are_those_of_the_first_frame_and_frame_radii_a_zoomed_grounds():
    zooms = drawn(background=0.0, both=1.0, camera=0.0, zoom=1.0, held=1.0)
    kinds = set()
    for number in range(8):
        clip = zooms.clip(number)
        assert torch.equal(clip.tracks.radii, clip.frame_radii[:1].expand_as(clip.frame_radii))
        for path, owner in enumerate(clip.tracks.path_entity.tolist()):
            is_ground = clip.entities[owner].entity_id == GROUND_ID
            kinds.add(is_ground)
            assert is_ground == bool(clip.frame_radii[-1, path] != clip.frame_radii[0, path])
    assert kinds == {True, False}


def test_frame_radii_follow_a_zooming_camera():
    source = drawn(12, camera=1.0, background=0.0, both=0.0, zoom=1.0)
    clip = next(c for c in map(source.clip, range(12)) if len(c.entities) > 1)
    sprite = clip.tracks.path_entity.tolist().index(1)
    assert clip.tracks.radii[:, sprite].unique().numel() == 1
    assert clip.frame_radii[-1, sprite] != clip.frame_radii[0, sprite]
    assert clip.frame_radii[0, sprite] == clip.tracks.radii[0, sprite]


def test_motion_is_the_mean_flow_in_percent_of_the_short_side():
    config = SyntheticConfig(Size(40, 56), 5, camera=1.0, background=0.0, both=0.0, zoom=0.0)
    clips = synthetic_clips(3, range(20), config)
    pan = next(clip for clip in clips if not any(sprite.moves for sprite in clip.sprites))  # everything goes as one
    steps = torch.from_numpy(pan.camera.shift).diff(dim=0).norm(dim=-1)
    assert motion_clip(pan, "pan").motion == pytest.approx(100 * steps.mean().item() / 40, rel=1e-5)


def test_a_clip_in_which_nothing_is_controlled_has_no_entities():
    truth = synthetic_clip(3, 0, SyntheticConfig(Size(40, 56), 5))
    clip = motion_clip(replace(truth, controlled=torch.zeros_like(truth.controlled)), "nothing")
    assert (len(clip.entities), clip.masks.shape, clip.frame_radii.shape) == (0, (0, 5, 40, 56), (5, 0))


@pytest.mark.parametrize(
    ("variations", "message"),
    [
        ({"zooom": 0.5}, r"data\.synthetic\.variations: unknown zooom; there are sprites, radius"),
        ({"frames": 3}, r"data\.synthetic\.variations: unknown frames"),
        ({"zoom": 2.0}, r"data\.synthetic\.variations: .*zoom is a chance"),
        ({"zoom": "often"}, r"data\.synthetic\.variations: "),
    ],
)
def test_wrong_variations_are_named(variations, message):
    data = Data(synthetic=Synthetic(variations=variations), sizes=((40, 56),), frames=(5,))
    with pytest.raises(ValueError, match=message):
        open_clips(data)


def test_variations_may_come_as_lists():
    assert torch.equal(drawn(sprites=[0.0, 1.0]).clip(2).frames, drawn(sprites=(0.0, 1.0)).clip(2).frames)


def test_a_part_of_the_clips_can_be_taken():
    data = Data(synthetic=Synthetic(seed=3, first=10, clips=6), sizes=((40, 56),), frames=(5,), max_clips=4)

    def names(**part):
        source = open_clips(data, **part)
        return [source.name(number) for number in range(len(source))]

    numbered = [f"synthetic_3_{number:06d}" for number in range(10, 16)]
    assert names() == numbered[:4]
    assert names(first=2) == numbered[2:]
    assert names(count=2) == numbered[:2]
    assert names(first=5, count=4) == numbered[5:]
    with pytest.raises(ValueError, match="there are 6 clips, and none of them is left from number 6 on"):
        names(first=6)


def test_the_fingerprint_tells_other_clips():
    prints = [json.dumps(source.fingerprint) for source in (drawn(), drawn(first=1), drawn(clips=7), drawn(zoom=0.1))]
    assert len(set(prints)) == 4
    assert json.dumps(drawn().fingerprint) == prints[0]


# --- annotated clips --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def annotated(tmp_path_factory):
    """Clips of 5, 4 and 2 frames of 72x104 and one of 5 frames of 104x72, annotated at 72x104."""
    root = tmp_path_factory.mktemp("clips")
    for seed, size, frames in ((1, (72, 104), 5), (2, (72, 104), 4), (3, (72, 104), 2), (4, (104, 72), 5)):
        config = SyntheticConfig(size=Size(*size), frames=frames)
        write_vipseg(synthetic_clips(seed, range(1), config), root / "vipseg", split=f"part{seed}")
    assert annotate([str(root / "vipseg"), str(root / "out"), "--size", "72x104", "--worst", "0"]) == 0
    return root


@pytest.fixture
def copy(annotated, tmp_path):
    shutil.copytree(annotated, tmp_path, dirs_exist_ok=True)
    return tmp_path


def opened(root, first=0, count=None, **choices):
    settings = {"sizes": ((40, 56),), "frames": (5,), "exclude_flags": (), **choices}
    return open_clips(
        Data(annotation=str(root / "out"), dataset=str(root / "vipseg"), **settings), first=first, count=count
    )


def flagged(root, clip_id, flags):
    """The annotation with these flags on the clip's entities."""
    manifest = root / "out" / "manifest.jsonl"
    records = [json.loads(line) for line in manifest.read_text().splitlines()]
    (record,) = (record for record in records if record["id"] == clip_id)
    for entity, own in zip(record["entities"], flags, strict=True):
        entity["flags"] = own
    manifest.write_text("".join(json.dumps(record) + "\n" for record in records))


def test_an_annotated_clip_is_at_its_buckets_size(annotated):
    source = opened(annotated, frames=(3,))
    clip = source.clip(0)
    truth = load_annotation(annotated / "out", annotated / "vipseg").clip(clip.clip_id)
    assert clip.frames.shape == (3, 3, 40, 56)
    assert clip.fps == truth.record.fps
    assert math.isnan(clip.motion)
    scale = torch.tensor([56 / 104, 40 / 72])
    torch.testing.assert_close(clip.tracks.paths, (truth.tracks.paths[:3] + 0.5) * scale - 0.5)
    assert torch.equal(clip.tracks.visibility, truth.tracks.visibility[:3])
    torch.testing.assert_close(clip.tracks.radii, truth.tracks.radii[:1].expand(3, -1) * scale.mean())
    torch.testing.assert_close(clip.frame_radii, truth.tracks_with_frame_radii.radii[:3] * scale.mean())
    for entity, whole, mask in zip(clip.entities, truth.entities, clip.masks, strict=True):
        assert (entity.entity_id, entity.name) == (whole.entity_id, whole.name)
        assert torch.equal(entity.mask, whole.resized(Size(40, 56)).mask)
        assert torch.equal(entity.mask, mask[0])


def test_masks_of_later_frames_are_the_datasets(annotated):
    clip = opened(annotated, sizes=((72, 104),)).clip(0)
    index, masked = load_annotation(annotated / "out").clip(clip.clip_id).index_masks()
    assert masked.all()
    assert torch.equal(clip.masks, torch.stack([index == k + 1 for k in range(len(clip.entities))]))


def test_in_frames_without_a_mask_discs_stand_in(annotated, tmp_path):
    shutil.copytree(annotated / "vipseg" / "imgs" / "synthetic_1_000000", tmp_path / "vipseg" / "clip")
    (tmp_path / "vipseg" / "clip_masks").mkdir()
    first = annotated / "vipseg" / "panomasks" / "synthetic_1_000000" / "00000000.png"
    shutil.copy(first, tmp_path / "vipseg" / "clip_masks")
    assert annotate([str(tmp_path / "vipseg"), str(tmp_path / "out"), "--size", "72x104", "--worst", "0"]) == 0
    clip = opened(tmp_path).clip(0)
    assert torch.equal(clip.masks[:, 0], clip.entities.masks)
    assert torch.equal(clip.masks[:, 1:], discs(clip.tracks)[:, 1:])
    assert not torch.equal(clip.masks[:, 0], discs(clip.tracks)[:, 0])
    assert torch.equal(clip.frame_radii, clip.tracks.radii)


def test_discs_are_round_and_only_where_their_path_is_visible():
    tracks = Tracks(
        paths=torch.tensor([[[2.0, 1.0], [5.0, 3.0]], [[2.5, 1.0], [5.0, 3.0]]]),
        path_entity=torch.tensor([0, 1]),
        visibility=torch.tensor([[True, False], [True, True]]),
        radii=torch.tensor([[1.0, 9.0], [1.0, 0.5]]),
        size=Size(4, 6),
    )
    assert discs(tracks).shape == (2, 2, 4, 6)
    (first_0, first_1), (second_0, second_1) = discs(tracks)
    assert first_0.nonzero().tolist() == [[0, 2], [1, 1], [1, 2], [1, 3], [2, 2]]
    assert first_1.nonzero().tolist() == [[1, 2], [1, 3]]
    assert not second_0.any()
    assert second_1.nonzero().tolist() == [[3, 5]]


def test_flagged_entities_are_not_controlled(copy):
    source = opened(copy)
    whole = source.clip(0)
    assert len(whole.entities) >= 2
    flags = [["jumps", "static"] if k == 0 else ["static"] if k == 1 else [] for k in range(len(whole.entities))]
    flagged(copy, whole.clip_id, flags)
    clip = opened(copy, exclude_flags=("jumps",)).clip(0)
    assert [e.entity_id for e in clip.entities] == [e.entity_id for e in whole.entities][1:]
    assert torch.equal(clip.tracks.paths, whole.tracks.paths[:, 1:])
    assert clip.tracks.path_entity.tolist() == list(range(len(clip.entities)))
    assert torch.equal(clip.masks, whole.masks[1:])


def test_a_clip_whose_entities_are_all_flagged_stays_and_is_counted(copy, caplog):
    source = opened(copy)
    whole = source.clip(0)
    flagged(copy, whole.clip_id, [["jumps"]] * len(whole.entities))
    with caplog.at_level(logging.INFO, "draganything_core.training.clips"):
        clip = opened(copy, exclude_flags=("jumps",)).clip(0)
    assert "1 of 2 clips have only entities that are flagged" in caplog.text
    assert (len(clip.entities), clip.masks.shape) == (0, (0, 5, 40, 56))


def test_a_clip_goes_to_the_longest_bucket_that_it_fills(annotated, caplog):
    with caplog.at_level(logging.INFO, "draganything_core.training.clips"):
        source = opened(annotated, frames=(3, 5))
    buckets = {source.name(n): source.buckets[source.clip_buckets[n]][0] for n in range(len(source))}
    assert buckets == {"synthetic_1_000000": 5, "synthetic_2_000000": 3, "synthetic_4_000000": 5}
    assert "1 of 4 clips are shorter than 3 frames and are left out" in caplog.text
    assert all(len(source.clip(n).frames) == buckets[source.name(n)] for n in range(3))


def test_a_clip_goes_to_the_size_of_the_nearest_shape(annotated):
    # Annotated all at 72x104: what counts is the shape of the dataset's own pictures.
    source = opened(annotated, sizes=((40, 56), (56, 40), (48, 48)))
    sizes = {source.name(n): str(source.buckets[source.clip_buckets[n]][1]) for n in range(len(source))}
    assert sizes == {"synthetic_1_000000": "40x56", "synthetic_4_000000": "56x40"}
    assert source.buckets == ((5, Size(40, 56)), (5, Size(56, 40)))
    assert source.clip(1).masks.shape[-2:] == (56, 40)


def test_clips_that_are_all_too_short_are_an_error(annotated):
    with pytest.raises(ValueError, match=r"none of its clips has the 9 frames .* lengths: 1 of 2, 1 of 4, 2 of 5"):
        opened(annotated, frames=(9, 12))


def test_another_tracker_is_refused_unless_allowed(annotated):
    with pytest.raises(ValueError, match=r'"lucas_kanade".*"cotracker3".*--data\.allow_tracker true'):
        opened(annotated, tracker="cotracker3")
    assert len(opened(annotated, tracker="cotracker3", allow_tracker=True)) == 2
    assert len(opened(annotated, tracker="lucas_kanade")) == 2


def test_held_out_clips_are_not_among_the_others(annotated):
    held, others = opened(annotated, count=1, frames=(4,)), opened(annotated, first=1, frames=(4,))
    assert [held.name(0)] == ["synthetic_1_000000"]
    assert [others.name(n) for n in range(len(others))] == ["synthetic_2_000000", "synthetic_4_000000"]


def test_the_fingerprint_is_of_what_is_used(copy):
    source = opened(copy)
    stored = json.loads(json.dumps(source.fingerprint))
    assert stored == source.fingerprint == opened(copy).fingerprint
    (copy / "vipseg").rename(copy / "moved")
    data = Data(
        annotation=str(copy / "out"), dataset=str(copy / "moved"), sizes=((40, 56),), frames=(5,), exclude_flags=()
    )
    assert open_clips(data).fingerprint == stored
    fewer = open_clips(replace(data, exclude_flags=("static",))).fingerprint
    assert fewer["videos"] == stored["videos"]
    assert fewer["entities"] != stored["entities"]
    assert open_clips(replace(data, frames=(3,))).fingerprint["videos"] != stored["videos"]
