"""Track Points and Did It Obey?, on a clip that moves exactly as a motion asks."""

from __future__ import annotations

import inspect
import json
import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from small_model import FRAMES, SIZE, core, pack, small_motion
from torch import Tensor

COTRACKER = """
import torch


def cotracker3_offline(*, pretrained=True):
    from cotracker.predictor import Predictor

    return Predictor()
"""

PREDICTOR = """
import torch


class Predictor(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.model = torch.nn.Linear(2, 1, bias=False)

    def forward(self, video, queries=None):
        elapsed = torch.arange(video.shape[1])[:, None, None]
        tracks = queries[0, :, 1:] + elapsed * self.model.weight[0]
        return tracks[None].detach(), torch.ones(tracks.shape[:2], dtype=torch.bool)[None]
"""


@pytest.fixture(scope="module")
def nodes() -> Any:
    return pack("nodes.tracking")


@pytest.fixture(scope="module")
def textured() -> Any:
    """The small motion on a picture with corners to follow, both things visible from the first frame."""
    motion = small_motion()
    coarse = torch.rand(1, 3, SIZE[0] // 3, SIZE[1] // 3, generator=torch.Generator().manual_seed(1))
    picture = torch.nn.functional.interpolate(coarse, SIZE, mode="bicubic").clamp(0, 1)[0]
    masks = motion.entities.masks.any(dim=0)
    document = core("document")
    ends = ((18, 20), (34, 22)), ((66, 40), (58, 34))
    lines = (tuple(document.ControlPoint(*point) for point in each) for each in ends)
    paths = tuple(document.MotionPath(number, points) for number, points in enumerate(lines, start=1))
    colored = (replace(motion.document.entities[0], color="#ff0000"), motion.document.entities[1])
    drawn = replace(motion.document, paths=paths, entities=colored)
    return replace(motion, picture=torch.where(masks, picture, picture * 0.2), document=drawn)


@pytest.fixture(scope="module")
def clip(textured) -> Tensor:
    frames = core("motion_preview").moving_cutouts(textured.picture, *textured.resolved("center"))
    return frames.movedim(1, -1).contiguous()


@pytest.mark.parametrize(
    ("name", "node_id"), [("TrackPoints", "DragAnythingTrackPoints"), ("DidItObey", "DragAnythingScore")]
)
def test_schemas_are_executes(nodes, name, node_id):
    node = getattr(nodes, name)
    schema = node.GET_SCHEMA()
    assert schema.node_id == node_id
    parameters = inspect.signature(node.execute).parameters
    assert [each.id for each in schema.inputs] == list(parameters)
    optional = [key for key, parameter in parameters.items() if parameter.default is not inspect.Parameter.empty]
    assert [each.id for each in schema.inputs if each.optional] == optional
    assert all(each.tooltip for each in [*schema.inputs, *schema.outputs])


class TestTrackPoints:
    def test_a_motion_comes_back_out_of_its_own_clip(self, nodes, textured, clip):
        output = nodes.TrackPoints.execute(clip, 1, "Lucas-Kanade", motion=textured)
        tracks, text, found = output.result
        assert tracks["track_path"].shape == (FRAMES, 2, 2)
        assert tracks["track_visibility"].dtype == torch.bool
        _, asked = textured.resolved("center")
        assert (tracks["track_path"] - asked.paths).abs().max() < 1.5
        assert core("document").document_from_json(text) == found.document
        assert found.document.entities[0].color == "#ff0000"
        assert torch.allclose(found.picture, clip[0].movedim(-1, 0))
        assert "2 points of 2 entities in 5 frames" in output.ui["text"][0]
        assert "lucas-kanade" in output.ui["text"][0]

    def test_the_document_drives_another_video(self, nodes, textured, clip):
        text, found = nodes.TrackPoints.execute(clip, 1, "Lucas-Kanade", entities=textured.entities).result[1:]
        editor = pack("nodes.trajectories").TrajectoryEditor
        motion = editor.execute(clip, text, 0).result[0]
        assert torch.equal(motion.resolved("center")[1].paths, found.resolved("center")[1].paths)
        assert torch.equal(motion.entities.masks, textured.entities.masks)

    def test_masks_of_another_size_and_several_points(self, nodes, textured, clip):
        masks = textured.entities.resized(core("types").Size(128, 192)).masks.float()
        tracks, _, found = nodes.TrackPoints.execute(clip, 3, "Lucas-Kanade", masks=masks).result
        assert tracks["track_path"].shape == (FRAMES, 6, 2)
        assert found.document.size == core("types").Size(*SIZE)

    def test_hosts_own_nodes_take_the_tracks(self, nodes, textured, clip):
        from comfy_extras.nodes_wanmove import WanMoveConcatTrack, WanMoveVisualizeTracks

        tracks = nodes.TrackPoints.execute(clip, 1, "Lucas-Kanade", motion=textured).result[0]
        (both,) = WanMoveConcatTrack.execute(tracks, tracks).result
        assert both["track_path"].shape == (FRAMES, 4, 2)
        (drawn,) = WanMoveVisualizeTracks.execute(clip, 24, 12, 0.75, 16, tracks=tracks).result
        assert drawn.shape == clip.shape

    def test_refusals_name_the_input(self, nodes, textured, clip):
        def refused(match: str, video: Tensor = clip, **given: Any) -> None:
            with pytest.raises(ValueError, match=match):
                nodes.TrackPoints.execute(video, 1, "Lucas-Kanade", **given)

        refused("Track Points, video: 1 frame", clip[:1], motion=textured)
        refused("none of them linked. Link exactly one")
        refused("entities and motion linked", entities=textured.entities, motion=textured)
        refused("Track Points, masks: mask 2 of 2 is empty", masks=torch.stack([torch.ones(SIZE), torch.zeros(SIZE)]))
        refused("Track Points, motion: there is no entity", motion=replace(
            textured, entities=core("types").Entities((), textured.entities.size)))  # fmt: skip

    def test_cotracker_comes_from_the_models_folder_only(self, nodes, textured, clip, base, tmp_path):
        track = nodes.TrackPoints.execute
        with pytest.raises(FileNotFoundError, match=r"cotracker_code: there is no .*models/cotracker/co-tracker"):
            track(clip, 1, "CoTracker", motion=textured, cotracker_code="co-tracker", cotracker_weights="w.pth")
        (tmp_path / "elsewhere").mkdir()
        for code in (str(tmp_path / "elsewhere"), "../elsewhere", ""):
            with pytest.raises(ValueError, match=r"cotracker_code: .* is not in"):
                track(clip, 1, "CoTracker", motion=textured, cotracker_code=code, cotracker_weights="w.pth")

        folder = base / "models" / "cotracker"
        (folder / "mine" / "cotracker").mkdir(parents=True)
        (folder / "mine" / "hubconf.py").write_text(COTRACKER)
        (folder / "mine" / "cotracker" / "__init__.py").touch()
        (folder / "mine" / "cotracker" / "version.py").write_text('__version__ = "3.0.0"\n')
        (folder / "mine" / "cotracker" / "predictor.py").write_text(PREDICTOR)
        torch.save({"weight": torch.tensor([[2.0, -1.0]])}, folder / "w.pth")
        output = track(clip, 1, "CoTracker", motion=textured, cotracker_code="mine", cotracker_weights="w.pth")
        tracks = output.result[0]["track_path"]
        assert torch.allclose(tracks[-1] - tracks[0], torch.tensor([8.0, -4.0]), atol=1e-3)
        assert "CC-BY-NC-4.0" in output.ui["text"][0]


class TestDidItObey:
    def test_a_clip_that_obeys(self, nodes, textured, clip):
        output = nodes.DidItObey.execute(clip, textured)
        overlay, mean, ratio, report = output.result
        assert overlay.shape == (FRAMES, 2 * SIZE[0], 2 * SIZE[1], 3)
        assert mean < 1
        assert ratio < 0.1
        assert "in-mask Lucas-Kanade" in report
        assert "box: " in report
        assert output.ui["text"] == (report,)
        json.dumps(output.ui)

    def test_a_clip_that_stands_still(self, nodes, textured, clip):
        mean, ratio = nodes.DidItObey.execute(clip[:1].expand(FRAMES, -1, -1, -1), textured).result[1:3]
        assert ratio == pytest.approx(1, abs=0.02)
        assert mean > 5

    def test_pixels_are_the_videos(self, nodes, textured, clip):
        large = torch.nn.functional.interpolate(clip.movedim(-1, 1), scale_factor=4, mode="bicubic").clamp(0, 1)
        overlay, mean, ratio, report = nodes.DidItObey.execute(large.movedim(1, -1), textured).result
        still = nodes.DidItObey.execute(clip[:1].expand(FRAMES, -1, -1, -1), textured).result[1]
        assert overlay.shape == (FRAMES, 4 * SIZE[0], 4 * SIZE[1], 3)
        assert ratio < 0.1
        assert mean / ratio == pytest.approx(4 * still, rel=0.05)
        assert "(256x384)" in report

    def test_what_cannot_be_measured_is_no_number(self, nodes, textured, clip):
        hidden = tuple(replace(path, visible=((0.5, 1.0),)) for path in textured.document.paths)
        late = replace(textured, document=replace(textured.document, paths=hidden))
        _, mean, ratio, report = nodes.DidItObey.execute(clip, late).result
        assert math.isnan(mean)
        assert math.isnan(ratio)
        assert report.startswith("no visible point to measure")

    def test_refusals_name_the_input(self, nodes, textured, clip):
        with pytest.raises(ValueError, match=r"Did It Obey\?, video: it has 3 frames, the motion 5"):
            nodes.DidItObey.execute(clip[:3], textured)
        still = replace(textured, document=replace(textured.document, paths=()))
        with pytest.raises(ValueError, match=r"Did It Obey\?, motion: nothing was to move"):
            nodes.DidItObey.execute(clip, still)
