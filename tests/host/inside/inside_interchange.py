"""Import and Export Tracks: what comes in, what goes out, and what each says is lost."""

from __future__ import annotations

import inspect
import json
import logging
from dataclasses import replace
from typing import Any

import pytest
import torch
from small_model import FRAMES, SIZE, core, pack, small_motion
from torch import Tensor

LINES = [[(12, 10), (20, 12), (28, 14)], [(60, 40), (56, 38), (50, 36)]]


def coord_str(lines: Any = LINES) -> str:
    return json.dumps([[{"x": x, "y": y} for x, y in line] for line in lines])


@pytest.fixture(scope="module")
def nodes() -> Any:
    return pack("nodes.interchange")


@pytest.fixture
def image() -> Tensor:
    return torch.rand(2, *SIZE, 3, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    ("name", "node_id"), [("ImportTracks", "DragAnythingImportTracks"), ("ExportTracks", "DragAnythingExportTracks")]
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


def imported(nodes: Any, text: str = "", file: str = "", **given: Any) -> Any:
    usual = {"frames": 0, "width": 0, "height": 0, "unequal_lines": "refuse"}
    return nodes.ImportTracks.execute(text, file, **{**usual, **given})


def exported(nodes: Any, motion: Any, **given: Any) -> Any:
    usual = {"frames": 0, "width": 0, "height": 0, "coordinates_as": "coord_str", "save_demo": False,
             "demo_folder": "draganything/demo"}  # fmt: skip
    return nodes.ExportTracks.execute(motion, **{**usual, **given})


class TestImport:
    def test_coordinates_on_a_picture_are_a_motion(self, nodes, image, motion):
        text, found = imported(nodes, coord_str(), image=image, entities=motion.entities).result
        assert core("document").document_from_json(text) == found.document
        assert found.document.size == core("types").Size(*SIZE)
        assert torch.equal(found.entities.masks, motion.entities.masks)
        _, tracks = found.resolved("grabbed_point")
        assert tracks.paths[:, 1].tolist() == [[60, 40], [56, 38], [50, 36]]

    def test_without_a_picture_only_the_motion_is_blocked(self, nodes):
        from comfy_execution.graph_utils import ExecutionBlocker

        text, blocked = imported(nodes, coord_str(), width=96, height=64).result
        assert core("document").document_from_json(text).size == core("types").Size(64, 96)
        assert isinstance(blocked, ExecutionBlocker)
        assert "Link image" in blocked.message

    def test_things_under_bare_lines_are_found(self, nodes):
        picture = torch.zeros(1, *SIZE, 3)
        picture[0, 4:30, 4:36] = torch.tensor([0.9, 0.2, 0.2])
        found = imported(nodes, coord_str(LINES[:1]), image=picture).result[1]
        assert found.entities[0].mask[16, 20]
        assert not found.entities[0].mask[50, 80]

    def test_hosts_own_tracks(self, nodes, image, motion):
        from comfy_extras.nodes_wanmove import WanMoveTracksFromCoords

        tracks = WanMoveTracksFromCoords.execute(coord_str()).result[0]
        found = imported(nodes, tracks=tracks, image=image, entities=motion.entities, frames=5).result[1]
        assert found.document.frames == 5
        assert found.resolved("center")[1].paths[-1].tolist() == [[28, 14], [50, 36]]

    def test_what_is_lost_is_said(self, nodes, image, motion, caplog):
        caplog.set_level(logging.WARNING)
        text = json.dumps([{"points": [{"x": 12, "y": 10}, {"x": 60, "y": 40}], "name": "a", "zoom": 2}])
        entities = core("types").Entities(motion.entities.items[:1], motion.entities.size)
        output = imported(nodes, text, image=image, frames=4, entities=entities)
        said = output.ui["text"][0]
        assert said.startswith("1 line, 4 frames, canvas 64x96\n")
        assert "keys that are not kept: spline 1 (zoom)" in said
        assert "Import Tracks: points_store holds keys that are not kept" in caplog.text

    def test_a_demo_folder_of_the_input_folder(self, nodes, base, motion):
        folder = base / "input" / "bird"
        with pytest.warns(core("interchange").InterchangeWarning):
            core("interchange").write_demo_folder(motion.document, motion.entities, motion.picture, folder)
        for name in ("bird", "bird/demo.json", " bird "):
            found = imported(nodes, file=name).result[1]
            assert torch.equal(found.entities.masks, motion.entities.masks)
            assert (found.picture - motion.picture).abs().mean() < 0.05
            assert nodes.ImportTracks.validate_inputs(name) is True
        before = nodes.ImportTracks.fingerprint_inputs(file="bird")
        assert before == nodes.ImportTracks.fingerprint_inputs(file="bird/demo.json", text="")
        (folder / "demo.json").write_text((folder / "demo.json").read_text() + " ")
        assert nodes.ImportTracks.fingerprint_inputs(file="bird") != before
        assert nodes.ImportTracks.fingerprint_inputs() == []

    def test_refusals_name_the_input(self, nodes, image, base):
        def refused(match: str, *given: Any, kind: Any = ValueError, **named: Any) -> None:
            with pytest.raises(kind, match=match):
                imported(nodes, *given, **named)

        refused("one of text, file and tracks is read, and nothing is given", image=image)
        refused("and text and file is given", coord_str(), "bird")
        refused(r"Import Tracks, text: the text \(kj-coords\) does not say its canvas", coord_str())
        refused("Import Tracks, width and height: 96 x 0 px", coord_str(), width=96)
        refused(
            "Import Tracks, text: line 1 has 3 points and line 2 has 1", coord_str([LINES[0], [(1, 2)]]), image=image
        )
        refused("Import Tracks, text: .*neither JSON", "hello", image=image)
        wrong = {"track_path": torch.zeros(3, 2), "track_visibility": torch.ones(3, 1)}
        refused(r"Import Tracks, tracks: TRACKS: track_path must be \(T, N, 2\)", tracks=wrong, image=image)
        refused("file: there is no 'nothing.json'", file="nothing.json", kind=FileNotFoundError)
        refused("is not in ComfyUI's input folder", file="../output/x.json")
        assert "there is no 'nothing.json'" in nodes.ImportTracks.validate_inputs("nothing.json")
        assert "input folder" in nodes.ImportTracks.validate_inputs("/etc/passwd")
        assert nodes.ImportTracks.validate_inputs("") is True
        assert nodes.ImportTracks.validate_inputs(None) is True


class TestExport:
    def test_tracks_are_where_the_discs_are(self, nodes, motion):
        tracks, coordinates, text = exported(nodes, motion).result
        _, asked = motion.resolved("grabbed_point")
        assert tracks["track_path"].shape == (FRAMES, 2, 2)
        assert torch.allclose(tracks["track_path"], asked.paths)
        assert tracks["track_visibility"].tolist() == [[True, frame >= 2] for frame in range(FRAMES)]
        points = torch.tensor([[[p["x"], p["y"]] for p in line] for line in json.loads(coordinates)])
        assert torch.allclose(points.transpose(0, 1), asked.paths, atol=1e-3)
        document = core("document").document_from_json(text)
        assert document.paths == motion.document.paths
        assert all(entity.mask.rle for entity in document.entities)

    def test_another_video_size_and_length(self, nodes, motion):
        tracks, coordinates, text = exported(nodes, motion, frames=9, width=2 * SIZE[1], height=4 * SIZE[0]).result
        _, asked = replace(motion, document=replace(motion.document, frames=9)).resolved("grabbed_point")
        expected = asked.resized(core("types").Size(4 * SIZE[0], 2 * SIZE[1])).paths
        assert torch.allclose(tracks["track_path"], expected, atol=1e-4)
        points = torch.tensor([[[p["x"], p["y"]] for p in line] for line in json.loads(coordinates)])
        assert torch.allclose(points.transpose(0, 1), expected, atol=1e-3)
        assert core("document").document_from_json(text).size == core("types").Size(*SIZE)
        said = exported(nodes, motion, width=100, height=200).ui["text"][0]
        assert "TRACKS does not hold the canvas size: read it back with size 200x100" in said

    def test_splines_for_the_editor(self, nodes, motion):
        splines = json.loads(exported(nodes, motion, coordinates_as="points_store").result[1])
        assert [spline["name"] for spline in splines] == ["box", "bar"]
        assert len(splines[0]["points"]) == 3

    def test_what_is_lost_is_said(self, nodes, motion, caplog):
        caplog.set_level(logging.WARNING)
        said = exported(nodes, motion).ui["text"][0]
        assert said.startswith("2 tracks, 5 frames, for a video of 64x96\n")
        assert "TRACKS does not hold masks" in said or "TRACKS does not hold the names of entities" in said
        assert "coord_str does not hold when a disc is visible: path 2 of entity 2 (bar)" in said
        assert "Export Tracks: coord_str does not hold when a disc is visible" in caplog.text
        assert len(said.splitlines()) == len(set(said.splitlines()))

    def test_what_goes_out_comes_in_again(self, nodes, motion):
        tracks, _, text = exported(nodes, motion).result
        image = pack("nodes.types").pixels_from_picture(motion.picture)
        again = imported(nodes, tracks=tracks, image=image, entities=motion.entities).result[1]
        assert torch.allclose(again.resolved("center")[1].paths, tracks["track_path"])
        assert torch.equal(again.resolved("center")[1].visibility, tracks["track_visibility"])
        whole = imported(nodes, text, image=image).result[1]
        assert torch.equal(whole.resolved("center")[1].paths, motion.resolved("center")[1].paths)
        assert torch.equal(whole.entities.masks, motion.entities.masks)

    def test_a_demo_folder_is_written_where_it_was_asked_for(self, nodes, motion, base):
        assert not (base / "output" / "mine").exists()
        said = [exported(nodes, motion, save_demo=True, demo_folder="mine/bird").ui["text"][0] for _ in range(2)]
        for number, text in enumerate(said, start=1):
            folder = base / "output" / "mine" / f"bird_{number:05}"
            assert str(folder) in text
            assert core("interchange").read_demo_folder(folder).frames == FRAMES
        assert "JPEG" in said[0]
        exported(nodes, motion)
        assert len(list((base / "output" / "mine").iterdir())) == 2

    def test_refusals_name_the_input(self, nodes, motion):
        still = small_motion()
        still = replace(still, document=replace(still.document, paths=()))
        with pytest.raises(ValueError, match="Export Tracks, motion: nothing moves"):
            exported(nodes, still)
        with pytest.raises(ValueError, match="Export Tracks, width and height: 0 x 9 px"):
            exported(nodes, motion, height=9)
        for name in ("../elsewhere", "/tmp/x", "."):
            assert "inside the output folder" in nodes.ExportTracks.validate_inputs(name)
            with pytest.raises(ValueError, match="inside the output folder"):
                exported(nodes, motion, save_demo=True, demo_folder=name)
        assert nodes.ExportTracks.validate_inputs("draganything/demo") is True

    def test_a_camera_becomes_tracks_of_the_whole_picture(self, nodes, motion):
        document = core("document")
        panned = replace(motion, document=replace(motion.document, camera=document.CameraMove(pan=(8.0, 0.0))))
        output = exported(nodes, panned)
        path = output.result[0]["track_path"]
        assert path.shape == (FRAMES, 3, 2)
        assert (path[-1, 0] - path[0, 0]).tolist() == [8, 0]
        assert "camera move as points of the whole picture" in output.ui["text"][0]


def test_the_report_reaches_a_listening_frontend(nodes, motion, monkeypatch):
    import server

    sent = []

    class Listening:
        def send_progress_text(self, text: str, node_id: str) -> None:
            sent.append((text, node_id))

    monkeypatch.setattr(server.PromptServer, "instance", Listening(), raising=False)

    class Hidden:
        unique_id = "7"

    monkeypatch.setattr(nodes.ExportTracks, "hidden", Hidden())
    output = exported(nodes, motion)
    assert sent == [(output.ui["text"][0], "7")]
