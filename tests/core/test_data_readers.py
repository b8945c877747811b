"""Dataset readers: each true layout is written here, read back, and told from the others by its content alone."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from draganything_core.data import (
    Clip,
    IdLabel,
    first_appearances,
    first_frame_entities,
    read_clips,
    resize_ids,
)
from draganything_core.masks import resize_mask
from draganything_core.motion_input import resized_picture
from draganything_core.types import Size
from draganything_core.video import write_video

SIZE = Size(40, 56)
SMALL = Size(20, 28)
FRAMES = 3


def picture(frame: int, shade: int = 0) -> np.ndarray:
    """(H,W,3) uint8: gradients that tell rows, columns and frames apart."""
    y, x = np.mgrid[0 : SIZE.height, 0 : SIZE.width]
    return np.stack([x * 4, y * 6, np.full_like(x, frame * 60 + shade)], axis=-1).astype(np.uint8)


def boxes(**corners: tuple[int, int]) -> np.ndarray:
    """(H,W) int: 10x12 boxes by id (``i6100=(x, y)``) on background 0, painted in the order given."""
    ids = np.zeros((SIZE.height, SIZE.width), np.int64)
    for name, (x, y) in corners.items():
        ids[y : y + 10, x : x + 12] = int(name[1:])
    return ids


def write_picture(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **({"quality": 95} if path.suffix == ".jpg" else {}))


def write_palette(path: Path, ids: np.ndarray) -> None:
    """An id mask as DAVIS and YouTube-VOS store it: palette indices, and colours that say nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    mask = Image.fromarray(ids.astype(np.uint8))
    mask.putpalette([(37 * i + 11) % 256 for i in range(768)])
    mask.save(path)


def write_16_bit(path: Path, ids: np.ndarray) -> None:
    write_picture(path, ids.astype(np.uint16))


def write_8_bit(path: Path, ids: np.ndarray) -> None:
    write_picture(path, ids.astype(np.uint8))


def write_json(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


PERSON, SECOND_PERSON, WALL, MISTAKE = 6100, 6101, 1, 200


def vipseg_ids(frame: int) -> np.ndarray:
    """Two persons, the first one moving, a wall, unlabelled ground and a patch of the wrong id 200."""
    ids = boxes(i6100=(4 + 3 * frame, 5), i6101=(30, 20), i200=(40, 2))
    ids[36:] = WALL
    return ids


def write_vipseg(root: Path, images: str = "imgs") -> Path:
    for clip in ("1_second", "0_first"):
        for frame in range(FRAMES):
            stem = f"{300 + 3 * frame:08d}"
            write_picture(root / images / clip / f"{stem}.jpg", picture(frame))
            write_16_bit(root / "panomasks" / clip / f"{stem}.png", vipseg_ids(frame))
    stuff = np.full((SIZE.height, SIZE.width), WALL)
    stuff[:5] = 0
    write_picture(root / images / "2_stuff_only" / "00000001.jpg", picture(0))
    write_8_bit(root / "panomasks" / "2_stuff_only" / "00000001.png", stuff)
    write_picture(root / images / "3_of_test" / "00000001.jpg", picture(0))
    (root / "train.txt").write_text("1_second\n0_first\n\n")
    (root / "val.txt").write_text("2_stuff_only\n")
    (root / "test.txt").write_text("3_of_test\n")
    return root


def write_youtube_vos(root: Path, expressions: bool = False) -> Path:
    """One video of four frames: object 1 from the start, object 3 from frame 00010 on; one more of a single object."""
    train = root / "train"
    for frame in range(4):
        stem = f"{5 * frame:05d}"
        write_picture(train / "JPEGImages" / "vid_b" / f"{stem}.jpg", picture(frame))
        ids = boxes(i1=(3, 4 + frame), i3=(30, 20)) if frame >= 2 else boxes(i1=(3, 4 + frame))
        write_palette(train / "Annotations" / "vid_b" / f"{stem}.png", ids)
        write_picture(train / "JPEGImages" / "vid_a" / f"{stem}.jpg", picture(frame))
        write_palette(train / "Annotations" / "vid_a" / f"{stem}.png", boxes(i1=(10, 10)))
    stems = [f"{5 * frame:05d}" for frame in range(4)]
    first = {"category": "duck", "frames": stems}
    late = {"category": "person", "frames": stems[2:]}
    write_json(
        train / "meta.json",
        {"videos": {"vid_b": {"objects": {"1": first, "3": late}}, "vid_a": {"objects": {"1": first}}}},
    )
    if expressions:
        said = {
            "0": {"exp": "the duck on the left", "obj_id": "1"},
            "1": {"exp": "a swimming duck", "obj_id": "1"},
            "2": {"exp": "the person who comes in", "obj_id": "3"},
        }
        write_json(
            root / "meta_expressions" / "train" / "meta_expressions.json",
            {"videos": {"vid_b": {"expressions": said, "frames": stems}}},
        )
    return root


def write_davis(root: Path) -> Path:
    for clip in ("bear", "aerobatics"):
        for frame in range(FRAMES):
            write_picture(root / "JPEGImages" / "480p" / clip / f"{frame:05d}.jpg", picture(frame))
            ids = boxes(i2=(20, 10), i1=(4, 4 + frame), i255=(40, 25))
            write_palette(root / "Annotations" / "480p" / clip / f"{frame:05d}.png", ids)
    for split, clips in (("train", "bear\n"), ("val", "aerobatics\n")):
        file = root / "ImageSets" / "2017" / f"{split}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(clips)
    return root


def ids_in(clip: Clip, frame: int = 0) -> list[int]:
    return torch.unique(clip.frame_ids(frame)).tolist()


# VIPSeg


@pytest.mark.parametrize("images", ["imgs", "images"])
def test_vipseg_is_read_raw_and_at_720p(tmp_path, images):
    source = read_clips(write_vipseg(tmp_path, images))
    assert source.name == "VIPSeg"
    assert source.clip_ids == ("0_first", "1_second", "2_stuff_only", "3_of_test")
    clip = source.clip("1_second")
    assert (len(clip), clip.size, clip.fps) == (FRAMES, SIZE, 5.0)
    assert [file.name for file in clip.frame_files] == ["00000300.jpg", "00000303.jpg", "00000306.jpg"]
    ids = clip.ids()
    assert ids.dtype == torch.int32
    assert np.array_equal(ids.numpy(), np.stack([vipseg_ids(frame) for frame in range(FRAMES)]))
    frames = clip.frames()
    assert frames.shape == (FRAMES, 3, *ids.shape[1:])
    expected = np.stack([picture(frame) for frame in range(FRAMES)]).transpose(0, 3, 1, 2) / 255
    assert np.abs(frames.numpy() - expected).max() < 0.1  # what JPEG loses


def test_vipseg_ids_tell_things_from_stuff(tmp_path):
    root = write_vipseg(tmp_path)
    clip = read_clips(root).clip("0_first")
    assert clip.labels(SECOND_PERSON) == IdLabel(61, "category 61 1", is_thing=True)
    assert clip.labels(124) == IdLabel(124, "category 124", is_thing=False)
    write_json(root / "panoVIPSeg_categories.json", [{"id": 60, "name": "person"}, {"id": 0, "name": "wall"}])
    labels = read_clips(root).clip("0_first").labels
    assert labels(SECOND_PERSON) == IdLabel(61, "person 1", is_thing=True)
    assert labels(WALL) == IdLabel(1, "wall", is_thing=False)


def test_vipseg_void_ids_are_no_entities(tmp_path):
    clip = read_clips(write_vipseg(tmp_path)).clip("0_first")
    assert ids_in(clip) == [0, WALL, MISTAKE, PERSON, SECOND_PERSON]
    entities = first_frame_entities(clip)
    assert [entity.entity_id for entity in entities] == [WALL, PERSON, SECOND_PERSON]
    assert entities.size == SIZE
    assert int(entities[1].mask.sum()) == 10 * 12
    assert first_appearances(clip) == {WALL: 0, PERSON: 0, SECOND_PERSON: 0}


def test_vipseg_masks_of_8_bits_are_the_same_ids(tmp_path):
    clip = read_clips(write_vipseg(tmp_path)).clip("2_stuff_only")
    assert ids_in(clip) == [0, WALL]
    assert clip.frame_ids(0).dtype == torch.int32


def test_vipseg_splits_are_sorted_and_checked(tmp_path):
    root = write_vipseg(tmp_path / "VIPSeg_720P", "images")
    assert read_clips(root, "train").clip_ids == ("0_first", "1_second")
    (root / "val.txt").rename(tmp_path / "val.txt")  # the lists are distributed beside the scaled copy
    assert read_clips(root, "val").clip_ids == ("2_stuff_only",)
    with pytest.raises(FileNotFoundError, match=r"no split 'vall'.*vall\.txt"):
        read_clips(root, "vall")
    (root / "train.txt").write_text("0_first\n9_gone\n")
    with pytest.raises(FileNotFoundError, match=r"train\.txt lists 1 clips .*: 9_gone"):
        read_clips(root, "train")


def test_vipseg_test_videos_have_no_masks(tmp_path):
    clip = read_clips(write_vipseg(tmp_path), "test").clip("3_of_test")
    assert clip.masked == (False,)
    assert clip.frames().shape[0] == 1
    with pytest.raises(ValueError, match="clip 3_of_test: it has no id masks"):
        first_frame_entities(clip)


# YouTube-VOS and Ref-YouTube-VOS


def test_youtube_vos_reads_palette_indices_and_categories(tmp_path):
    source = read_clips(write_youtube_vos(tmp_path))
    assert source.name == "YouTube-VOS"
    assert source.clip_ids == ("vid_a", "vid_b")
    clip = source.clip("vid_b")
    assert (len(clip), clip.fps, clip.size) == (4, 6.0, SIZE)
    assert [ids_in(clip, frame) for frame in range(4)] == [[0, 1], [0, 1], [0, 1, 3], [0, 1, 3]]
    assert clip.labels(1) == IdLabel(0, "duck 1", is_thing=True)
    assert clip.labels(7).name == "object 7"
    assert dict(clip.expressions) == {}


def test_an_object_that_enters_late_starts_a_window(tmp_path):
    clip = read_clips(write_youtube_vos(tmp_path)).clip("vid_b")
    assert [entity.entity_id for entity in first_frame_entities(clip)] == [1]
    assert first_appearances(clip) == {1: 0, 3: 2}
    window = clip.window(2)
    assert len(window) == 2
    assert [entity.name for entity in first_frame_entities(window)] == ["duck 1", "person 3"]


def test_youtube_vos_split_may_be_given_itself_or_by_name(tmp_path):
    root = write_youtube_vos(tmp_path)
    assert len(read_clips(root / "train")) == len(read_clips(root, "train")) == 2
    write_json(root / "valid" / "meta.json", {"videos": {"vid_v": {"objects": {"1": {"frames": ["00000", "00005"]}}}}})
    for stem in ("00000", "00005"):
        write_picture(root / "valid" / "JPEGImages" / "vid_v" / f"{stem}.jpg", picture(0))
    write_palette(root / "valid" / "Annotations" / "vid_v" / "00000.png", boxes(i1=(3, 4)))
    with pytest.raises(ValueError, match="the splits train, valid; name one of them, got None"):
        read_clips(root)
    clip = read_clips(root, "valid").clip("vid_v")
    assert clip.masked == (True, False)  # later frames are for the contestants to fill in
    with pytest.raises(ValueError, match=r"clip vid_v: frame 1 \(.*00005\.jpg\) has no id mask; 1 of 2 frames"):
        clip.ids()


def test_youtube_vos_with_all_frames_has_masks_on_every_fifth(tmp_path):
    root = write_youtube_vos(tmp_path)
    for number in range(16):
        write_picture(root / "train" / "JPEGImages" / "vid_a" / f"{number:05d}.jpg", picture(0))
    clip = read_clips(root).clip("vid_a")
    assert clip.fps == 30.0
    assert [frame for frame, has_mask in enumerate(clip.masked) if has_mask] == [0, 5, 10, 15]
    assert clip.window(0, 5).ids().shape == (4, SIZE.height, SIZE.width)
    assert clip.window(0, 5).fps == 6.0


def test_a_missing_youtube_vos_mask_is_told_from_one_that_never_was(tmp_path):
    root = write_youtube_vos(tmp_path)
    (root / "train" / "Annotations" / "vid_b" / "00010.png").unlink()
    clip = read_clips(root).clip("vid_b")
    with pytest.raises(FileNotFoundError, match=r"clip vid_b: .*Annotations.vid_b.00010\.png: no such id mask"):
        clip.ids()
    (root / "train" / "JPEGImages" / "vid_a" / "00015.jpg").unlink()
    with pytest.raises(FileNotFoundError, match=r"clip vid_a: .*no .*JPEGImages.vid_a.00015\.jpg"):
        read_clips(root).clip("vid_a")


def test_ref_youtube_vos_sentences_go_with_their_object(tmp_path):
    source = read_clips(write_youtube_vos(tmp_path, expressions=True))
    assert source.clip("vid_b").expressions == {
        1: ("the duck on the left", "a swimming duck"),
        3: ("the person who comes in",),
    }
    assert dict(source.clip("vid_a").expressions) == {}


# DAVIS


def test_davis_reads_its_480p_sequences_and_leaves_out_255(tmp_path):
    root = write_davis(tmp_path)
    source = read_clips(root)
    assert source.name == "DAVIS 2017"
    assert source.clip_ids == ("aerobatics", "bear")
    assert read_clips(root, "train").clip_ids == ("bear",)
    clip = source.clip("bear")
    assert (clip.fps, len(clip)) == (24.0, FRAMES)
    assert ids_in(clip) == [0, 1, 2, 255]
    assert [entity.entity_id for entity in first_frame_entities(clip)] == [1, 2]
    with pytest.raises(FileNotFoundError, match="no split 'test'"):
        read_clips(root, "test")


# Plain folders


def test_folders_of_pictures_find_their_masks_beside_them(tmp_path):
    for number in (1, 2, 10):
        write_picture(tmp_path / "walk" / f"{number}.png", picture(number % 4))
        write_8_bit(tmp_path / "walk_masks" / f"{number}.png", boxes(i5=(number, 4)))
    write_picture(tmp_path / "bare" / "a.jpg", picture(0))
    source = read_clips(tmp_path, fps=12)
    assert source.clip_ids == ("bare", "walk")
    clip = source.clip("walk")
    assert [file.name for file in clip.frame_files] == ["1.png", "2.png", "10.png"]  # as numbers, not as text
    assert clip.fps == 12
    assert torch.equal(clip.frames()[2], torch.from_numpy(picture(2)).movedim(-1, 0) / 255)
    assert [int((clip.frame_ids(frame) == 5).any(dim=0).nonzero()[0]) for frame in range(3)] == [1, 2, 10]
    assert source.clip("bare").mask_files is None
    assert read_clips(tmp_path / "walk").clip_ids == ("walk",)
    assert read_clips(tmp_path / "walk").clip("walk").masked == (True, True, True)


def test_folders_may_be_two_trees_with_a_mask_of_the_first_frame_only(tmp_path):
    for number in range(FRAMES):
        write_picture(tmp_path / "frames" / "walk" / f"{number}.jpg", picture(number))
    write_16_bit(tmp_path / "masks" / "walk" / "0.png", boxes(i9000=(5, 4)))
    clip = read_clips(tmp_path).clip("walk")
    assert clip.masked == (True, False, False)
    assert [entity.entity_id for entity in first_frame_entities(clip)] == [9000]
    assert clip.fps == 7.0


def test_videos_are_decoded_lazily_with_masks_by_frame_number(tmp_path):
    frames = torch.stack([torch.from_numpy(picture(frame)).movedim(-1, 0) / 255 for frame in range(4)])
    write_video(frames, tmp_path / "drive.mp4", 10)
    for number in range(4):
        write_8_bit(tmp_path / "drive_masks" / f"{number:05d}.png", boxes(i3=(number, 4)))
    for path in (tmp_path, tmp_path / "drive.mp4"):
        clip = read_clips(path).clip("drive")
        assert (len(clip), clip.fps, clip.size) == (4, 10.0, SIZE)
        assert (clip.frames() - frames).abs().mean() < 0.02  # what the codec loses
        assert clip.masked == (True,) * 4
    window = clip.window(1, 2)
    assert len(window) == 2
    assert torch.equal(window.frames(), clip.frames()[1::2])
    assert torch.equal(window.ids(), clip.ids()[1::2])
    assert clip.frame_files == (tmp_path / "drive.mp4",)


def test_a_video_whose_length_is_not_written_is_counted(tmp_path):
    with av.open(str(tmp_path / "drive.mkv"), "w") as container:
        stream = container.add_stream("mpeg4", rate=5)
        stream.width, stream.height, stream.pix_fmt = SIZE.width, SIZE.height, "yuv420p"
        for frame in range(6):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture(frame % 4), format="rgb24")))
        container.mux(stream.encode(None))
    clip = read_clips(tmp_path).clip("drive")
    assert len(clip) == 6
    assert clip.frames().shape == (6, 3, SIZE.height, SIZE.width)


def test_a_path_that_holds_no_clips_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"holds no clips. Expected .*VIPSeg.*DAVIS.*YouTube-VOS"):
        read_clips(tmp_path)
    with pytest.raises(FileNotFoundError, match="no such folder or video"):
        read_clips(tmp_path / "gone")
    write_picture(tmp_path / "walk" / "0.png", picture(0))
    with pytest.raises(ValueError, match="plain folders have no splits, got split 'train'"):
        read_clips(tmp_path, "train")
    with pytest.raises(KeyError, match="no clip 'walkk'; it has walk"):
        read_clips(tmp_path).clip("walkk")
    write_picture(tmp_path / "walk" / "0.jpg", picture(0))
    with pytest.raises(ValueError, match=r"clip walk: .*0\.png.* would be one frame"):
        read_clips(tmp_path).clip("walk")
    (tmp_path / "walk" / "0.jpg").unlink()
    with pytest.raises(ValueError, match="clip walk: fps must be a finite number > 0, got 0"):
        read_clips(tmp_path, fps=0).clip("walk")


# What is broken is named


@pytest.mark.parametrize("layout", ["imgs", "panomasks"])
@pytest.mark.parametrize("damage", ["cut", "garbage", "gone", "other size"])
def test_a_broken_file_is_named_with_its_clip(tmp_path, layout, damage):
    clip = read_clips(write_vipseg(tmp_path)).clip("0_first")
    file = tmp_path / layout / "0_first" / ("00000303.jpg" if layout == "imgs" else "00000303.png")
    if damage == "cut":
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    elif damage == "garbage":
        file.write_bytes(b"no picture at all")
    elif damage == "gone":
        file.unlink()
    else:
        Image.open(file).crop((0, 0, 20, 10)).save(file)
    read = clip.frames if layout == "imgs" else clip.ids
    with pytest.raises((ValueError, FileNotFoundError), match=rf"clip 0_first: .*{file.name}") as caught:
        read()
    assert isinstance(caught.value, FileNotFoundError) == (damage == "gone")
    assert clip.window(0, 2).frames().shape[0] == 2  # the other files still read
    assert clip.window(0, 2).ids().shape[0] == 2


def test_a_frame_that_is_missing_from_between_others_is_found_by_its_mask(tmp_path):
    root = write_vipseg(tmp_path)
    (root / "imgs" / "0_first" / "00000303.jpg").unlink()
    with pytest.raises(
        FileNotFoundError, match=r"clip 0_first: .*masks of 00000303, .*no .*imgs.0_first.00000303\.jpg"
    ):
        read_clips(root).clip("0_first")


def test_a_colour_picture_is_no_id_mask(tmp_path):
    write_picture(tmp_path / "walk" / "0.jpg", picture(0))
    write_picture(tmp_path / "walk_masks" / "0.png", picture(0))
    with pytest.raises(ValueError, match=r"clip walk: .*walk_masks.0\.png cannot be read: a colour picture \(RGB\)"):
        read_clips(tmp_path).clip("walk").ids()


def test_a_broken_video_is_named(tmp_path):
    frames = torch.rand(12, 3, 48, 64, generator=torch.Generator().manual_seed(0))
    write_video(frames, tmp_path / "drive.mp4", 10)
    whole = (tmp_path / "drive.mp4").read_bytes()
    (tmp_path / "drive.mp4").write_bytes(whole[: len(whole) // 2])
    clip = read_clips(tmp_path).clip("drive")
    with pytest.raises(ValueError, match=r"clip drive: .*drive\.mp4 (ends after|cannot be read after)"):
        clip.frames()
    (tmp_path / "drive.mp4").write_bytes(b"no video at all")
    with pytest.raises(ValueError, match=r"clip drive: .*drive\.mp4 cannot be read as a video"):
        read_clips(tmp_path).clip("drive")


def test_a_video_mask_must_belong_to_a_frame(tmp_path):
    write_video(torch.zeros(2, 3, SIZE.height, SIZE.width), tmp_path / "drive.mp4", 10)
    write_8_bit(tmp_path / "drive_masks" / "00002.png", boxes())
    with pytest.raises(ValueError, match=r"00002\.png is the mask of a frame the video of 2 frames has not"):
        read_clips(tmp_path).clip("drive")
    (tmp_path / "drive_masks" / "00002.png").rename(tmp_path / "drive_masks" / "last.png")
    with pytest.raises(ValueError, match=r"last\.png must be named by the number of its frame"):
        read_clips(tmp_path).clip("drive")


# Clips


def test_a_clip_reads_only_what_its_window_holds(tmp_path):
    root = write_vipseg(tmp_path)
    for folder in ("imgs", "panomasks"):
        for file in (root / folder / "0_first").iterdir():
            if "00000303" not in file.name:
                file.write_bytes(b"")  # any attempt to read it fails
    window = read_clips(root).clip("0_first").window(1, 1, 1)
    assert window.frames().shape == (1, 3, SIZE.height, SIZE.width)
    assert np.array_equal(window.ids()[0].numpy(), vipseg_ids(1))


def test_a_window_has_the_frames_it_says_or_is_refused(tmp_path):
    clip = read_clips(write_youtube_vos(tmp_path)).clip("vid_b")
    assert [file.stem for file in clip.window(1, 2).frame_files] == ["00005", "00015"]
    assert [file.stem for file in clip.window(1, 1, 2).frame_files] == ["00005", "00010"]
    assert clip.window(0, 2).fps == 3.0
    assert [file.stem for file in clip.window(1).window(1, 1, 1).frame_files] == ["00010"]
    for start, stride, count in ((0, 1, 5), (0, 2, 3), (4, 1, None)):
        with pytest.raises(ValueError, match=r"clip vid_b: .* the clip has 4 frames"):
            clip.window(start, stride, count)
    for start, stride, count in ((-1, 1, 1), (0, 0, 1), (0, 1, 0)):
        with pytest.raises(ValueError, match="start >= 0, stride >= 1 and count >= 1"):
            clip.window(start, stride, count)


def test_frames_and_ids_are_resized_each_in_its_way(tmp_path):
    clip = read_clips(write_vipseg(tmp_path)).clip("0_first")
    frames, ids = clip.frames(SMALL), clip.ids(SMALL)
    assert frames.shape == (FRAMES, 3, SMALL.height, SMALL.width)
    assert torch.equal(frames[1], resized_picture(clip.frames()[1], SMALL))
    assert torch.equal(ids, resize_ids(clip.ids(), SMALL))
    assert set(torch.unique(ids).tolist()) <= set(torch.unique(clip.ids()).tolist())


def test_small_entities_are_left_out_at_the_size_they_are_counted(tmp_path):
    clip = read_clips(write_vipseg(tmp_path)).clip("0_first")
    assert [entity.entity_id for entity in first_frame_entities(clip, min_area=121)] == [WALL]
    assert [entity.entity_id for entity in first_frame_entities(clip, min_area=120)] == [WALL, PERSON, SECOND_PERSON]
    entities = first_frame_entities(clip, min_area=30, size=SMALL)
    assert entities.size == SMALL
    assert [int(entity.mask.sum()) for entity in entities] == [2 * 28, 30, 30]
    assert len(first_frame_entities(clip, min_area=5000)) == 0
    with pytest.raises(ValueError, match="min_area must be >= 1"):
        first_frame_entities(clip, min_area=0)


def test_a_clip_can_be_sent_to_another_process(tmp_path):
    for source in (
        read_clips(write_vipseg(tmp_path / "v")),
        read_clips(write_youtube_vos(tmp_path / "y", expressions=True)),
        read_clips(write_davis(tmp_path / "d")),
    ):
        clip = next(iter(source))
        copy = pickle.loads(pickle.dumps(clip))
        assert torch.equal(copy.ids(), clip.ids())
        assert copy.labels(1) == clip.labels(1)


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**31 - 1))
def test_resized_ids_are_the_pixels_a_resized_mask_takes(height, width, new_height, new_width, seed):
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(0, 3, (2, height, width), generator=generator, dtype=torch.int32) * 6100
    resized = resize_ids(ids, Size(new_height, new_width))
    assert resized.shape == (2, new_height, new_width)
    assert resized.dtype == torch.int32
    for before, after in zip(ids, resized, strict=True):
        for entity_id in torch.unique(after).tolist():
            assert torch.equal(after == entity_id, resize_mask(before == entity_id, new_height, new_width))


def test_ids_of_another_type_are_refused():
    with pytest.raises(ValueError, match="ids must be int32"):
        resize_ids(torch.zeros(4, 4), SMALL)
