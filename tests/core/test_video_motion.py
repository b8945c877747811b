"""A motion taken from a video whose motion is known: a square that moves and one that turns, over a still ground."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from draganything_core.annotation_config import NamedTracker
from draganything_core.curves import document_tracks
from draganything_core.document import document_from_json, dumps
from draganything_core.masks import decode_rle
from draganything_core.motion_preview import moving_cutouts
from draganything_core.types import Entities, Entity, Size, Tracks
from draganything_core.video_motion import MOST_POINTS, start_points, video_motion

SIZE, FRAMES, STEP = Size(100, 150), 6, 4


def texture(height: int, width: int, seed: int) -> Tensor:
    coarse = torch.rand(1, 3, height // 3 + 1, width // 3 + 1, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(coarse, (height, width), mode="bicubic").clamp(0, 1)[0]


def two_squares() -> Entities:
    masks = torch.zeros(2, SIZE.height, SIZE.width, dtype=torch.bool)
    masks[0, 10:34, 10:34] = True
    masks[1, 56:90, 90:124] = True
    return Entities.from_masks(masks, ["mover", "turner"])


def video() -> Tensor:
    """The first square goes right and down, the second turns by 8 degrees a frame."""
    picture = torch.where(two_squares().masks.any(dim=0), texture(*SIZE_HW, 2), texture(*SIZE_HW, 1) * 0.2)
    frame = torch.arange(FRAMES)
    mover = torch.stack([22.0 + STEP * frame, 22.0 + 1 * frame], dim=-1)
    angle = torch.deg2rad(8.0 * frame)
    arm = 12 * torch.stack([angle.cos(), angle.sin()], dim=-1)
    center = torch.tensor([107.0, 73.0])
    paths = torch.stack([mover, center + arm, center - arm], dim=1)
    tracks = Tracks(
        paths, torch.tensor([0, 1, 1]), torch.ones(FRAMES, 3, dtype=torch.bool), torch.full((FRAMES, 3), 12.0), SIZE
    )
    return moving_cutouts(picture, two_squares(), tracks)


SIZE_HW = (SIZE.height, SIZE.width)


def test_the_document_moves_as_the_video_does():
    found = video_motion(video(), two_squares())
    assert found.document.frames == FRAMES
    assert found.document.size == SIZE
    assert [entity.name for entity in found.document.entities] == ["mover", "turner"]
    _, tracks = document_tracks(found.document, found.entities)
    moved = tracks.paths - tracks.paths[:1]
    assert moved[-1, 0].tolist() == pytest.approx([STEP * (FRAMES - 1), FRAMES - 1], abs=0.5)
    assert moved[-1, 1].tolist() == pytest.approx([0, 0], abs=2)
    assert tracks.visibility.all()
    assert found.seen == 1
    assert torch.equal(found.tracks["track_path"], tracks.paths)


def test_masks_are_kept_inside_the_document():
    found = video_motion(video(), two_squares())
    again = document_from_json(dumps(found.document))
    assert again == found.document
    for entity, mask in zip(again.entities, two_squares().masks, strict=True):
        assert entity.mask is not None
        assert torch.equal(decode_rle(str(entity.mask.rle), *SIZE_HW), mask)


def test_several_points_of_an_entity_are_paths_of_their_own():
    found = video_motion(video(), two_squares(), points=4)
    assert [path.entity for path in found.document.paths] == [1, 1, 1, 1, 2, 2, 2, 2]
    _, tracks = document_tracks(found.document, found.entities)
    first, last = tracks.paths[0, 4:], tracks.paths[-1, 4:]
    angle = torch.deg2rad(torch.tensor(8.0 * (FRAMES - 1)))
    turn = torch.stack([torch.stack([angle.cos(), -angle.sin()]), torch.stack([angle.sin(), angle.cos()])])
    center = torch.tensor([107.0, 73.0])
    assert torch.linalg.vector_norm(last - ((first - center) @ turn.T + center), dim=-1).mean() < 2.5
    for path, (x, y), radius in zip(found.document.paths, tracks.paths[0].tolist(), tracks.radii[0], strict=True):
        mask = found.entities[path.entity - 1].mask
        rows, columns = torch.nonzero(~mask, as_tuple=True)
        assert radius == pytest.approx(float(torch.hypot(columns - x, rows - y).min()), rel=1e-4)


def test_masks_of_another_canvas_are_brought_to_the_videos():
    found = video_motion(video(), two_squares().resized(Size(200, 300)))
    assert found.entities.size == SIZE
    assert found.tracks["track_path"][0, 0].tolist() == pytest.approx([22, 22], abs=1.5)


def test_where_the_tracker_is_not_sure_the_disc_is_hidden():
    def track(frames: Tensor, queries: Tensor, masks: Tensor | None = None) -> tuple[Tensor, Tensor]:
        assert masks is not None
        assert masks.shape == (2, *SIZE_HW)
        seen = torch.ones(len(frames), len(queries), dtype=torch.bool)
        seen[2:4, 1] = False
        return queries.expand(len(frames), -1, -1).clone(), seen

    found = video_motion(video(), two_squares(), tracker=NamedTracker("still", "1", {}, track))
    _, tracks = document_tracks(found.document, found.entities)
    assert tracks.visibility[:, 1].tolist() == [True, True, False, False, True, True]
    assert tracks.visibility[:, 0].all()
    assert found.seen == pytest.approx(10 / 12)
    assert found.tracker.name == "still"


@given(seed=st.integers(0, 200), count=st.integers(1, MOST_POINTS))
@settings(max_examples=25, deadline=None)
def test_points_are_apart_and_inside(seed, count):
    generator = torch.Generator().manual_seed(seed)
    mask = torch.nn.functional.interpolate(torch.rand(1, 1, 6, 9, generator=generator), (40, 56))[0, 0] > 0.5
    mask[20, 30] = True
    points, radii = start_points(Entity(1, "shape", mask), count)
    assert 1 <= len(points) <= count
    assert len(torch.unique(points, dim=0)) == len(points)
    assert all(bool(mask[int(y), int(x)]) for x, y in points.tolist())
    assert (radii >= 1).all()


def test_a_pixel_has_one_point():
    mask = torch.zeros(20, 30, dtype=torch.bool)
    mask[7, 11] = True
    points, radii = start_points(Entity(1, "pixel", mask), 5)
    assert points.tolist() == [[11, 7]]
    assert radii.tolist() == [1]


@pytest.mark.parametrize(
    ("frames", "points", "message"),
    [(1, 1, "the video has 1 frame"), (FRAMES, 0, "from 1 to 16"), (FRAMES, 17, "from 1 to 16")],
)
def test_refusals(frames, points, message):
    with pytest.raises(ValueError, match=message):
        video_motion(video()[:frames], two_squares(), points=points)
    with pytest.raises(ValueError, match="there is no entity to follow"):
        video_motion(video(), Entities((), SIZE))
