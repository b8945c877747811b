"""Lucas-Kanade tracks against the exact paths of drawn sprites."""

import cv2
import numpy as np
import pytest
import torch

from draganything_core.point_tracker import Tracker, track_points

HEIGHT, WIDTH, FRAMES = 120, 168, 9


def texture(height: int, width: int, color: tuple[int, int, int], seed: int) -> np.ndarray:
    """(H,W,3) in 0..1: a colour with noise of two sizes."""
    noise = np.random.default_rng(seed).normal(0, 1, (height, width, 3)).astype(np.float32)
    noise = cv2.GaussianBlur(noise, (0, 0), 1.5) + 3 * cv2.GaussianBlur(noise, (0, 0), 5)
    return np.clip(noise / noise.std() * 0.14 + np.array(color) / 255, 0, 1).astype(np.float32)


CLEAR = ((225, 190, 90), (90, 50, 70))
CAMOUFLAGED = ((200, 110, 60),)  # as bright as the ground


def sprite_video(
    paths: np.ndarray,
    radius: int = 18,
    turn: float = 0.0,
    pan: float = 0.0,
    bar: tuple[int, int] | None = None,
    colors: tuple[tuple[int, int, int], ...] = CLEAR,
) -> tuple[torch.Tensor, torch.Tensor]:
    """(T,3,H,W) video and (N,H,W) first masks of round sprites on exact paths (T,N,2).

    turn: degrees a frame; pan: px a frame of the ground to the right; bar: an upright thing from x to x that hides.
    """
    side = 2 * radius + 9
    disc = np.zeros((side, side), np.float32)
    cv2.circle(disc, (side // 2, side // 2), radius, 1, -1, cv2.LINE_AA)
    ground = texture(HEIGHT, WIDTH + 100, (110, 120, 130), seed=0)
    frames, masks = [], []
    for t, centers in enumerate(paths):
        shift = np.float32([[1, 0, pan * t - 50], [0, 1, 0]])
        frame = cv2.warpAffine(ground, shift, (WIDTH, HEIGHT))
        for index, center in enumerate(centers):
            move = cv2.getRotationMatrix2D((side // 2, side // 2), turn * t, 1)
            move[:, 2] += center - side // 2
            cover = cv2.warpAffine(disc, move, (WIDTH, HEIGHT))[..., None]
            sprite = texture(side, side, colors[index], seed=index + 1)
            frame = frame * (1 - cover) + cv2.warpAffine(sprite, move, (WIDTH, HEIGHT)) * cover
            if t == 0:
                masks.append(cover[..., 0] > 0.5)
        if bar is not None:
            frame[:, bar[0] : bar[1]] = texture(HEIGHT, bar[1] - bar[0], (60, 160, 90), seed=99)
        frames.append(frame)
    video = torch.from_numpy(np.stack(frames)).movedim(-1, 1).float()
    return video, torch.from_numpy(np.array(masks))


def straight(start: tuple[float, float], velocity: tuple[float, float], frames: int = FRAMES) -> np.ndarray:
    """(T,1,2)"""
    return (np.array(start) + np.arange(frames)[:, None] * np.array(velocity))[:, None]


def errors(tracks: torch.Tensor, paths: np.ndarray) -> np.ndarray:
    return np.linalg.norm(tracks.numpy() - paths, axis=-1)


class TestMovingSprites:
    paths = np.concatenate([straight((40, 40), (6.3, 2.2)), straight((120, 82), (-4.6, 1.9))], axis=1)

    @pytest.mark.parametrize("turn", [0.0, 2.5])
    @pytest.mark.parametrize("with_masks", [True, False])
    def test_tracks_follow_the_exact_paths(self, turn, with_masks):
        video, masks = sprite_video(self.paths, turn=turn, pan=1.3)
        tracks, visibility = track_points(video, torch.from_numpy(self.paths[0]), masks if with_masks else None)
        assert tracks.shape == (FRAMES, 2, 2)
        assert tracks.dtype == torch.float32
        assert np.median(errors(tracks, self.paths)) < 0.5
        assert errors(tracks, self.paths).max() < 1.5
        assert visibility.all()

    @pytest.mark.parametrize(("speed", "frames"), [(14.5, 8), (-27.3, 5)])
    def test_fast_motion_is_followed(self, speed, frames):
        paths = straight((30 if speed > 0 else 140, 50), (speed, 1.5), frames)
        video, masks = sprite_video(paths)
        tracks, visibility = track_points(video, torch.from_numpy(paths[0]), masks)
        assert errors(tracks, paths).max() < 1
        assert visibility.all()

    @pytest.mark.parametrize("radius", [8, 10])
    def test_a_small_fast_sprite_is_not_lost_on_a_moving_ground(self, radius):
        paths = straight((30, 50), (22.0, 1.5), frames=6)
        video, masks = sprite_video(paths, radius, pan=0.7)
        tracks, visibility = track_points(video, torch.from_numpy(paths[0]), masks)
        assert errors(tracks, paths).max() < 1
        assert visibility.all()

    @pytest.mark.parametrize(("radius", "speed"), [(24, 8.0), (24, 14.5), (24, 20.0)])
    def test_a_camouflaged_sprite_is_not_left_behind(self, radius, speed):
        paths = straight((30, 50), (speed, 1.5), frames=6)
        video, masks = sprite_video(paths, radius, colors=CAMOUFLAGED)
        tracks, visibility = track_points(video, torch.from_numpy(paths[0]), masks)
        assert errors(tracks, paths).max() < 1
        assert visibility.all()

    def test_a_point_off_its_sprites_middle_moves_along(self):
        video, masks = sprite_video(self.paths)
        offset = np.array([9.0, -7.0])
        tracks, _ = track_points(video, torch.from_numpy(self.paths[0] + offset), masks)
        assert errors(tracks, self.paths + offset).max() < 1

    def test_on_a_turning_sprite_what_is_near_counts_most(self):
        path, offset = straight((80, 60), (1.0, 0.5)), np.array([10.0, 0.0])
        video, masks = sprite_video(path, turn=2.0)
        angle = -np.radians(2.0) * np.arange(FRAMES)
        exact = path[:, 0] + np.stack([np.cos(angle), np.sin(angle)], axis=1) * offset[0]
        tracks, _ = track_points(video, torch.from_numpy(exact[:1]), masks)
        assert errors(tracks, exact[:, None]).max() < 1.5

    def test_queries_do_not_influence_each_other(self):
        video, masks = sprite_video(self.paths, pan=1.3)
        queries = torch.from_numpy(self.paths[0])
        both = track_points(video, queries, masks)
        for index in (0, 1):
            alone = track_points(video, queries[index : index + 1], masks[index : index + 1])
            assert torch.equal(alone[0][:, 0], both[0][:, index])
            assert torch.equal(alone[1][:, 0], both[1][:, index])

    def test_a_region_too_small_for_corners_is_tracked_by_its_point(self):
        video, _ = sprite_video(self.paths)
        masks = torch.zeros(2, HEIGHT, WIDTH, dtype=torch.bool)
        masks[0, 40, 40] = masks[1, 82, 120] = True
        tracks, visibility = track_points(video, torch.from_numpy(self.paths[0]), masks)
        assert errors(tracks, self.paths).max() < 1
        assert visibility.all()

    def test_the_ground_in_the_mask_does_not_drag_the_sprite(self):
        path = straight((60, 60), (5.0, 0.0))
        video, masks = sprite_video(path)
        loose = torch.from_numpy(cv2.dilate(masks[0].numpy().astype(np.uint8), np.ones((9, 9), np.uint8)) > 0)
        tracks, _ = track_points(video, torch.from_numpy(path[0]), loose[None])
        assert errors(tracks, path).max() < 1


class TestVisibility:
    def test_behind_a_bar_it_is_hidden(self):
        path = straight((30, 60), (6.0, 0.0), frames=14)
        video, masks = sprite_video(path, bar=(70, 115))
        tracks, visibility = track_points(video, torch.from_numpy(path[0]), masks)
        hidden = (path[:, 0, 0] > 75) & (path[:, 0, 0] < 110)
        clear = path[:, 0, 0] < 45
        assert visibility[clear].all()
        assert not visibility[hidden].any()
        assert errors(tracks, path)[clear].max() < 1

    def test_once_lost_it_rests(self):
        path = straight((30, 60), (6.0, 0.0), frames=14)
        video, masks = sprite_video(path, bar=(70, 115))
        tracks, visibility = track_points(video, torch.from_numpy(path[0]), masks)
        last = tracks[-1, 0]
        assert not visibility[-1]
        assert torch.equal(tracks[-3:, 0], last.expand(3, 2))
        assert 50 < last[0] < 115

    def test_a_cut_to_another_picture_loses_all(self):
        path = straight((60, 60), (2.0, 0.0))
        video, masks = sprite_video(path)
        video[5:] = torch.from_numpy(texture(HEIGHT, WIDTH, (90, 90, 90), seed=7)).movedim(-1, 0)
        tracks, visibility = track_points(video, torch.from_numpy(path[0]), masks)
        assert visibility[:5].all()
        assert not visibility[5:].any()
        assert torch.equal(tracks[5:], tracks[4:5].expand(4, 1, 2))

    def test_off_the_picture_it_is_not_visible(self):
        path = straight((150, 60), (4.0, 0.0))
        video, masks = sprite_video(path)
        tracks, visibility = track_points(video, torch.from_numpy(path[0]), masks)
        assert visibility[:3].all()
        assert not visibility[tracks[:, 0, 0] > WIDTH - 0.5].any()
        assert not visibility[-1]

    def test_a_query_off_the_picture_holds_unseen(self):
        path = straight((60, 60), (2.0, 0.0))
        video, _ = sprite_video(path)
        away = torch.tensor([[-30.0, 60.0], [60.0, HEIGHT + 40.0], [1e12, -1e12]])
        tracks, visibility = track_points(video, torch.cat([away, torch.tensor([[60.0, 60.0]])]))
        assert not visibility[:, :3].any()
        assert torch.equal(tracks[:, :3], away.expand(FRAMES, 3, 2))
        assert visibility[:, 3].all()
        assert errors(tracks[:, 3:], path).max() < 1

    @pytest.mark.parametrize("noise", [0.0, 0.01])
    def test_without_texture_it_holds_unseen(self, noise):
        generator = torch.Generator().manual_seed(0)
        video = 0.5 + noise * torch.randn(FRAMES, 3, HEIGHT, WIDTH, generator=generator)
        queries = torch.tensor([[40.0, 50.0], [90.25, 60.5]])
        tracks, visibility = track_points(video, queries)
        assert visibility[0].all()
        assert not visibility[1:].any()
        assert (tracks - queries).abs().max() < 1


class TestStillAndEdgeCases:
    def test_identical_frames_give_zero_motion(self):
        frame, _ = sprite_video(straight((60, 60), (0.0, 0.0), frames=1))
        queries = torch.tensor([[60.0, 60.0], [20.5, 100.25]])
        tracks, visibility = track_points(frame.expand(FRAMES, -1, -1, -1), queries)
        assert torch.equal(tracks, queries.expand(FRAMES, 2, 2))
        assert visibility.all()

    def test_along_an_edge_it_hardly_slides(self):
        generator = torch.Generator().manual_seed(0)
        stripes = 0.5 + 0.3 * torch.sin(torch.arange(HEIGHT) / 4)[:, None].expand(3, HEIGHT, WIDTH)
        video = stripes + 0.02 * torch.randn(FRAMES, 3, HEIGHT, WIDTH, generator=generator)
        queries = torch.tensor([[60.0, 60.0], [20.5, 100.25]])
        tracks, _ = track_points(video, queries)
        assert (tracks - queries).abs().max() < 5  # the patch search, left to itself, would go up to 32 px a frame

    def test_one_frame_and_no_query(self):
        video, _ = sprite_video(straight((60, 60), (2.0, 0.0)))
        tracks, visibility = track_points(video[:1], torch.tensor([[60.0, 60.0]]))
        assert tracks.tolist() == [[[60.0, 60.0]]]
        assert visibility.all()
        for masks in (None, torch.zeros(0, HEIGHT, WIDTH, dtype=torch.bool)):
            tracks, visibility = track_points(video, torch.zeros(0, 2), masks)
            assert tracks.shape == (FRAMES, 0, 2)
            assert visibility.shape == (FRAMES, 0)

    def test_the_disc_must_have_a_size(self):
        with pytest.raises(ValueError, match="disc_radius must be > 0 px, got 0"):
            track_points(torch.zeros(2, 3, 40, 56), torch.zeros(1, 2), disc_radius=0)

    def test_an_empty_mask_leaves_the_point_alone(self):
        path = straight((60, 60), (2.0, 0.0))
        video, masks = sprite_video(path)
        tracks, _ = track_points(video, torch.from_numpy(path[0]), torch.zeros_like(masks))
        assert errors(tracks, path).max() < 1

    def test_it_is_a_tracker(self):
        tracker: Tracker = track_points
        assert callable(tracker)

    @pytest.mark.parametrize(
        ("video", "queries", "masks", "problem"),
        [
            (torch.zeros(4, 40, 56, 3), torch.zeros(2, 2), None, r"\(T, 3, H, W\) float in 0..1, got torch.float32"),
            (torch.zeros(4, 3, 40, 56, dtype=torch.uint8), torch.zeros(2, 2), None, "got torch.uint8"),
            (torch.zeros(0, 3, 40, 56), torch.zeros(2, 2), None, r"\(T, 3, H, W\)"),
            (torch.zeros(4, 3, 40, 56), torch.zeros(2, 3), None, r"queries must be \(N, 2\).*\(2, 3\)"),
            (torch.zeros(4, 3, 40, 56), torch.full((2, 2), torch.nan), None, "not a finite number"),
            (torch.zeros(4, 3, 40, 56), torch.zeros(2, 2), torch.zeros(1, 40, 56) > 0, r"masks must be \(2, 40, 56\)"),
            (torch.zeros(4, 3, 40, 56), torch.zeros(1, 2), torch.zeros(1, 40, 56), "one per query, got torch.float32"),
        ],
    )
    def test_shapes_that_do_not_fit_are_named(self, video, queries, masks, problem):
        with pytest.raises(ValueError, match=problem):
            track_points(video, queries, masks)
