import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from PIL import Image

from draganything_core.annotate import main
from draganything_core.annotation import quality_flags
from draganything_core.annotation_config import AnnotationConfig, Limits
from draganything_core.annotation_format import FLAGS, load_annotation
from draganything_core.data import first_frame_entities, read_clips
from draganything_core.data.synthetic import SyntheticConfig, synthetic_clips
from draganything_core.data.synthetic_export import write_vipseg
from draganything_core.types import Size

ACCURACY_SEED, ACCURACY_CLIPS = 11, 24
SMALL = SyntheticConfig(size=Size(72, 104), frames=5)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Four small clips in VIPSeg's layout and their annotation; tests that change anything take a copy."""
    root = tmp_path_factory.mktemp("annotate")
    write_vipseg(synthetic_clips(3, range(4), SMALL), root / "vipseg")
    assert run(root / "vipseg", root / "out", worst="3") == 0
    return root


@pytest.fixture
def copy(made, tmp_path):
    shutil.copytree(made / "vipseg", tmp_path / "vipseg")
    shutil.copytree(made / "out", tmp_path / "out")
    return tmp_path


def run(dataset, out, *arguments, size="72x104", worst="0"):
    return main([str(dataset), str(out), "--size", size, "--worst", worst, *arguments])


def contents(folder):
    """Every file of an annotation by its path, as bytes."""
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def written(folder):
    return {str(file.relative_to(folder)): file.stat().st_mtime_ns for file in folder.rglob("*.npz")}


# --- what is found ----------------------------------------------------------------------------------------------------


def test_tracks_of_known_clips_are_within_a_pixel_and_visibility_agrees(tmp_path):
    write_vipseg(synthetic_clips(ACCURACY_SEED, range(ACCURACY_CLIPS)), tmp_path / "vipseg")
    assert run(tmp_path / "vipseg", tmp_path / "out", size="128x128") == 0
    errors, agrees = [], []
    for clip in load_annotation(tmp_path / "out"):
        truth = np.load(tmp_path / "vipseg" / "truth" / f"{clip.record.id}.npz")
        for k, entity_id in enumerate(clip.arrays.entity_id):
            (path,) = np.flatnonzero(truth["path_id"] == entity_id)
            visible = truth["visibility"][:, path]
            distance = np.linalg.norm(clip.arrays.track[k] - truth["paths"][:, path], axis=-1)
            errors.append(distance[visible])
            agrees.append(clip.arrays.visible[k] == visible)
    assert len(errors) > 60
    assert np.median(np.concatenate(errors)) <= 1
    assert np.concatenate(agrees).mean() >= 0.9


def test_entities_circles_and_masks_are_those_of_the_dataset(made):
    source = read_clips(made / "vipseg")
    for annotated in load_annotation(made / "out"):
        clip, arrays = source.clip(annotated.record.id), annotated.arrays
        ids, entities = clip.ids(), first_frame_entities(clip)
        assert [e.entity_id for e in annotated.entities] == arrays.entity_id.tolist() == [e.entity_id for e in entities]
        assert torch.equal(annotated.entities.masks, entities.masks)
        assert arrays.centre0.tolist() == [list(e.center) for e in entities]
        index, masked = annotated.index_masks()
        assert masked.all()
        for k, entity_id in enumerate(arrays.entity_id.tolist()):
            assert torch.equal(index == k + 1, ids == entity_id)
            shown = (ids == entity_id).flatten(1).any(1).numpy()
            assert (np.isnan(arrays.radius[k]) == ~shown).all()
            assert arrays.area0[k] == (ids[0] == entity_id).sum()
            label = clip.labels(entity_id)
            assert (arrays.category[k], arrays.is_thing[k]) == (label.category, label.is_thing)
        assert arrays.radius[:, 0].tolist() == arrays.radius0.tolist() == [pytest.approx(e.radius) for e in entities]


def test_the_clip_read_back_has_one_path_for_each_entity(made):
    annotated = next(iter(load_annotation(made / "out")))
    arrays, tracks = annotated.arrays, annotated.tracks
    assert tracks.path_entity.tolist() == list(range(len(annotated.entities)))
    assert (tracks.frames, tracks.size) == (5, Size(72, 104))
    assert np.array_equal(tracks.paths[:, 1].numpy(), arrays.track[1])
    assert np.array_equal(tracks.visibility[:, 1].numpy(), arrays.visible[1])
    assert (tracks.radii == torch.from_numpy(arrays.radius0)).all()
    assert torch.equal(annotated.frames(), read_clips(made / "vipseg").clip(annotated.record.id).frames())


def test_a_point_outside_its_mask_is_not_visible(made):
    for annotated in load_annotation(made / "out"):
        arrays = annotated.arrays
        assert not (arrays.visible & ~arrays.inside_mask).any()
        assert (arrays.visible == (arrays.confidence.astype(bool) & arrays.inside_mask)).all()


def test_everything_is_at_the_size_asked_for(made, tmp_path):
    assert run(made / "vipseg", tmp_path / "out", "--frames", "3", size="144x156") == 0
    source = read_clips(made / "vipseg")
    for annotated in load_annotation(tmp_path / "out"):
        clip = source.clip(annotated.record.id).window(count=3)
        size = Size(144, 156)
        entities = first_frame_entities(clip, size=size)
        assert torch.equal(annotated.frames(), clip.frames(size))
        assert torch.equal(annotated.entities.masks, entities.masks)
        assert annotated.tracks.paths[0].tolist() == [list(entity.center) for entity in entities]
        index, _ = annotated.index_masks()
        assert torch.equal(index == 1, clip.ids(size) == entities[0].entity_id)


# --- clips of other shapes --------------------------------------------------------------------------------------------


def test_an_annotation_begins_where_the_first_entity_enters(copy):
    name = read_clips(copy / "vipseg").clip_ids[0]
    for number in (0, 1):
        Image.new("L", (104, 72), 0).save(copy / "vipseg" / "panomasks" / name / f"{number:08d}.png")
    assert run(copy / "vipseg", copy / "out") == 0
    annotated = load_annotation(copy / "out").clip(name)
    assert (annotated.record.first_frame, annotated.record.n_frames) == (2, 3)
    assert annotated.record.frames[0].endswith(f"imgs/{name}/00000002.jpg")
    assert torch.equal(annotated.frames(), read_clips(copy / "vipseg").clip(name).frames()[2:])


def test_a_mask_of_the_first_frame_is_enough(copy):
    name = read_clips(copy / "vipseg").clip_ids[0]
    shutil.copytree(copy / "vipseg" / "imgs" / name, copy / "plain" / "clip")
    (copy / "plain" / "clip_masks").mkdir()
    shutil.copy(copy / "vipseg" / "panomasks" / name / "00000000.png", copy / "plain" / "clip_masks")
    assert run(copy / "plain", copy / "other") == 0
    plain, full = load_annotation(copy / "other").clip("clip"), load_annotation(copy / "out").clip(name)
    assert plain.index_masks()[1].tolist() == [True, False, False, False, False]
    assert np.array_equal(plain.arrays.track, full.arrays.track)
    assert np.array_equal(plain.arrays.visible, plain.arrays.confidence.astype(bool))
    assert np.isnan(plain.arrays.radius[:, 1:]).all()
    assert torch.equal(plain.tracks_with_frame_radii.radii, plain.tracks.radii)


# --- flags ------------------------------------------------------------------------------------------------------------


def flagged(track, radius=10.0, visible=None, outside=None):
    track = np.array([track], np.float32)
    visible = np.ones(track.shape[:2], bool) if visible is None else np.array([visible], bool)
    outside = np.zeros(track.shape[:2], bool) if outside is None else np.array([outside], bool)
    (row,) = quality_flags(track, np.array([radius], np.float32), visible, outside, Limits())
    return {name for name, flag in zip(FLAGS, row, strict=True) if flag}


def test_flags_say_what_is_wrong_with_a_track():
    walk = [(5 * step, 0) for step in range(6)]
    assert flagged(walk) == set()
    assert flagged(walk, radius=3.9) == {"small_radius", "jumps"}
    assert flagged(walk, visible=[1, 1, 0, 0, 0, 0]) == {"mostly_hidden"}
    assert flagged(walk, visible=[1, 1, 1, 0, 0, 0]) == set()
    assert flagged([(0, 0), (0, 10.1), (0, 10.1)]) == {"jumps"}
    assert flagged([(0, 0), (0, 10.1), (0, 10.1)], visible=[1, 0, 1]) == set()
    assert flagged(walk, outside=[0, 1, 1, 0, 0, 0]) == set()
    assert flagged(walk, outside=[0, 1, 1, 0, 1, 0]) == {"leaves_mask"}
    assert flagged([(0, 0), (1.9, 0), (1, 0)]) == {"static"}
    assert flagged([(0, 0), (1, 0), (8, 0)], visible=[1, 1, 0]) == {"static"}


def test_flags_are_in_the_record_and_in_the_report(made):
    annotation = load_annotation(made / "out")
    for annotated in annotation:
        for entity, row in zip(annotated.record.entities, annotated.arrays.flags, strict=True):
            assert entity.flags == tuple(annotated.arrays.flag_names[row].tolist())
    counted = sum("static" in entity.flags for record in annotation.records for entity in record.entities)
    assert counted > 0
    assert f"| static | {counted} |" in (made / "out" / "report.md").read_text()
    with Image.open(made / "out" / "report.png") as sheet:
        assert sheet.height > 3 * 100  # three rows


# --- what is done stays done ------------------------------------------------------------------------------------------


def test_a_second_run_writes_nothing_anew(copy):
    before, times = contents(copy / "out"), written(copy / "out")
    assert run(copy / "vipseg", copy / "out") == 0
    assert written(copy / "out") == times
    del before["annotation.json"], before["report.md"], before["report.png"]  # the first two name the dataset's folder
    assert before.items() <= contents(copy / "out").items()


def test_only_what_changed_is_done_again(copy):
    first, second, *_ = read_clips(copy / "vipseg").clip_ids
    with Image.open(copy / "vipseg" / "imgs" / first / "00000003.jpg") as picture:
        changed = picture.rotate(180)
    changed.save(copy / "vipseg" / "imgs" / first / "00000003.jpg")
    (copy / "out" / "masks" / f"{second}.npz").write_bytes(b"torn")
    times = written(copy / "out")
    assert run(copy / "vipseg", copy / "out") == 0
    redone = {file for file, when in written(copy / "out").items() if when != times[file]}
    assert redone == {f"{kind}/{name}.npz" for kind in ("tracks", "masks") for name in (first, second)}
    load_annotation(copy / "out").clip(second).index_masks()


def test_another_configuration_does_everything_again(copy):
    times = written(copy / "out")
    assert run(copy / "vipseg", copy / "out", "--min-area", "65") == 0
    assert all(when != times[file] for file, when in written(copy / "out").items())
    assert AnnotationConfig(min_area=65).sha256 != AnnotationConfig().sha256


def test_another_split_does_not_overwrite(copy, capsys):
    before = contents(copy / "out")
    assert run(copy / "vipseg", copy / "out", "--split", "train") == 2
    assert "holds the annotation of split None" in capsys.readouterr().err
    assert contents(copy / "out") == before


# --- what goes wrong --------------------------------------------------------------------------------------------------


def test_a_bad_clip_is_recorded_and_the_others_are_done(copy, capsys):
    broken, missing, *fine = read_clips(copy / "vipseg").clip_ids
    picture = copy / "vipseg" / "imgs" / broken / "00000002.jpg"
    whole = picture.read_bytes()
    picture.write_bytes(whole[:200])
    mask = copy / "vipseg" / "panomasks" / missing / "00000001.png"
    mask.rename(copy / "kept.png")
    assert run(copy / "vipseg", copy / "fresh") == 1
    annotation = load_annotation(copy / "fresh")
    assert annotation.clip_ids == tuple(fine)
    assert [record.id for record in annotation.failed] == [broken, missing]
    assert "00000002.jpg" in annotation.failed[0].reason
    assert "00000001.png" in annotation.failed[1].reason
    assert missing in capsys.readouterr().err
    assert missing in (copy / "fresh" / "report.md").read_text()
    with pytest.raises(KeyError, match="could not be annotated"):
        annotation.clip(broken)
    picture.write_bytes(whole)
    (copy / "kept.png").rename(mask)
    assert run(copy / "vipseg", copy / "fresh") == 0
    assert load_annotation(copy / "fresh").clip_ids == (broken, missing, *fine)


def test_a_clip_without_masks_says_so(copy):
    shutil.rmtree(copy / "vipseg" / "panomasks" / read_clips(copy / "vipseg").clip_ids[0])
    assert run(copy / "vipseg", copy / "fresh", "--min-area", "6000") == 1
    reasons = [record.reason for record in load_annotation(copy / "fresh").failed]
    assert "no id masks" in reasons[0]
    assert all("6000 px or more" in reason for reason in reasons[1:])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "no such folder"),
        (["vipseg", "--split", "night"], "no split 'night'"),
        (["vipseg", "--frames", "0"], "frames must be >= 1"),
        (["vipseg", "--worst", "-1"], "worst must be >= 0"),
        (["vipseg", "--min-area", "0"], "min_area must be >= 1"),
    ],
)
def test_wrong_arguments_are_named(made, tmp_path, capsys, arguments, message):
    dataset, *rest = arguments
    assert run(made / dataset, tmp_path / "out", *rest) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_reader_names_what_is_wrong(copy):
    out = copy / "out"
    with pytest.raises(FileNotFoundError, match="it is no annotation"):
        load_annotation(copy / "vipseg")
    name = load_annotation(out).clip_ids[0]
    (out / "tracks" / f"{name}.npz").write_bytes((out / "masks" / f"{name}.npz").read_bytes())
    with pytest.raises(ValueError, match="not what the manifest says"):
        load_annotation(out).clip(name)
    with pytest.raises(KeyError, match="no clip 'other'"):
        load_annotation(out).clip("other")
    lines = (out / "manifest.jsonl").read_text().splitlines()
    newer = json.dumps({**json.loads(lines[1]), "schema_version": 2})
    (out / "manifest.jsonl").write_text(f"{lines[0]}\n{newer}\n")
    with pytest.raises(ValueError, match=r"line 2: schema version 2, this program reads 1"):
        load_annotation(out)
    (out / "manifest.jsonl").write_text(lines[0][:50])
    with pytest.raises(ValueError, match=r"line 1 is damaged"):
        load_annotation(out)
    (out / "manifest.jsonl").unlink()
    with pytest.raises(FileNotFoundError, match="was not finished"):
        load_annotation(out)


def test_a_dataset_may_have_moved(copy):
    name = load_annotation(copy / "out").clip_ids[0]
    (copy / "vipseg").rename(copy / "elsewhere")
    moved = load_annotation(copy / "out", dataset=copy / "elsewhere").clip(name)
    assert moved.frames().shape == (5, 3, 72, 104)


# --- killed, and in several processes ---------------------------------------------------------------------------------


def many(made, folder, count):
    """A data set of ``count`` clips: the small ones again and again."""
    names = read_clips(made / "vipseg").clip_ids
    for number in range(count):
        for kind in ("imgs", "panomasks"):
            shutil.copytree(made / "vipseg" / kind / names[number % 4], folder / kind / f"clip_{number:03d}")
    return folder


def command(dataset, out, worst="0"):
    return ["-m", "draganything_core.annotate", str(dataset), str(out), "--size", "72x104", "--worst", worst]


def environment():
    return {**os.environ, "OMP_NUM_THREADS": "1"}


@pytest.mark.slow
def test_a_killed_run_goes_on_to_the_same_files(made, tmp_path):
    dataset = many(made, tmp_path / "vipseg", 40)
    process = subprocess.Popen(
        [sys.executable, *command(dataset, tmp_path / "killed")], stderr=subprocess.DEVNULL, env=environment()
    )
    records = tmp_path / "killed" / "clips"
    deadline = time.monotonic() + 60
    while len(list(records.glob("*.json"))) < 5 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert 5 <= len(list(records.glob("*.json"))) < 40
    with pytest.raises(FileNotFoundError, match="was not finished"):
        load_annotation(tmp_path / "killed")
    (tmp_path / "killed" / "tracks" / ".clip_030-left.npz").write_bytes(b"half")  # as a kill within a write leaves it
    done = {file.stem: (tmp_path / "killed" / "tracks" / f"{file.stem}.npz").stat().st_mtime_ns
            for file in records.glob("clip_*.json")}  # fmt: skip
    assert run(dataset, tmp_path / "killed") == 0
    assert run(dataset, tmp_path / "whole") == 0
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")
    for name, when in done.items():
        assert (tmp_path / "killed" / "tracks" / f"{name}.npz").stat().st_mtime_ns == when


@pytest.mark.slow
def test_two_processes_write_what_one_writes(made, tmp_path):
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    finished = subprocess.run(
        [*launch, *command(made / "vipseg", tmp_path / "two", worst="3")],
        capture_output=True,
        text=True,
        env=environment(),
    )
    assert finished.returncode == 0, finished.stderr
    assert "process 1 of 2" in finished.stdout
    assert "process 2 of 2" in finished.stdout
    assert contents(tmp_path / "two") == contents(made / "out")
