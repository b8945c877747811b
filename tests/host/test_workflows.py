"""Every workflow that ships, in a real ComfyUI server, and what the server makes of the pack's other files."""

from __future__ import annotations

import copy
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
from found_host import host_or_skip
from graph_files import upstream
from make_files import ROOT, SNAPSHOT, generated_files, own_nodes
from server import RefusedError, Server
from workflow_graphs import WITH_DOWNLOADS, WITHOUT_DOWNLOADS, waving_arm
from workflow_parts import HOST_PICTURE, MODELS, SAMPLE

from draganything_core.curves import document_tracks
from draganything_core.document import document_from_json
from draganything_core.evaluation.located_paths import located_error
from draganything_core.motion_input import read_motion
from draganything_core.segment import GrabCutSegmenter, resolve_entities
from draganything_core.tiny.figures import FIGURES
from draganything_core.types import Entities, Size
from draganything_core.video import read_video

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("workflows")]  # one server for all

PACK_NAME = "Some.other+name_(2)"  # the folder may have any that the host's own web server can serve
TINY_SIZE = (128, 128)  # px, height and width of the tiny model's videos
# Those in which things are dragged that are small enough to be searched for; the card bounds no ground's error.
DRAGGED_THINGS = ("first_drag", "foreground", "both_at_once", "background_pinned", "clicks_without_weights")
STANDING_STILL = 0.75  # of its error; the card's bound alone lets a video pass in which little was to move
IMPORT_SECONDS = 0.5
NOT_APPLIED = "control could not be applied"  # all that the host says of residuals of another shape


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    host = host_or_skip("NO WORKFLOW WAS TESTED IN COMFYUI")
    base = tmp_path_factory.mktemp("comfyui")
    for model in MODELS:
        for path in model.files(base / "models"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()  # enough to be chosen; nothing that loads it is run to its end
    (base / "input").mkdir()
    shutil.copy(host.folder / "input" / HOST_PICTURE, base / "input")
    with Server(host, base, pack_name=PACK_NAME) as server:
        yield server


@pytest.fixture(scope="module")
def info(server):
    return server.get("/object_info")


def prompt_of(name):
    return json.loads((ROOT / "workflows" / "api" / f"{name}.json").read_text())


def frames_of(prompt):
    """How many frames the documents of a prompt ask for."""
    texts = [node["inputs"].get("document") for node in prompt.values()]
    (frames,) = {json.loads(text)["frames"] for text in texts if isinstance(text, str)}
    return frames


def changed(prompt, **inputs):
    """The prompt with these inputs wherever a node has them."""
    prompt = copy.deepcopy(prompt)
    for node in prompt.values():
        node["inputs"].update({name: value for name, value in inputs.items() if name in node["inputs"]})
    return prompt


def check_videos(server, outputs, frames):
    saved = [file for results in outputs.values() for file in results.get("images", [])]
    videos = [server.file(file) for file in saved if file["filename"].endswith(".mp4")]
    for video in videos:
        assert tuple(read_video(video)[0].shape) == (frames, 3, *TINY_SIZE)
    return len(videos)


def test_generated_files_are_up_to_date(info):
    expected = generated_files(info)
    stale = [
        str(path) for path, text in expected.items() if not (ROOT / path).is_file() or (ROOT / path).read_text() != text
    ]
    assert not stale, "run .venv/bin/python tests/host/make_files.py"
    found = {path.relative_to(ROOT) for path in (ROOT / "workflows").rglob("*.json")}
    assert found == {path for path in expected if path.parts[0] == "workflows"}


@pytest.mark.parametrize("name", [make.__name__ for make in WITHOUT_DOWNLOADS])
def test_a_workflow_without_downloads_runs_twice(server, name):
    prompt = changed(prompt_of(name), steps=4)  # enough for all but the picture's quality
    frames = frames_of(prompt)
    videos = check_videos(server, server.run(prompt), frames)
    assert videos == sum(node["class_type"] == "SaveVideo" for node in prompt.values())
    again = changed(prompt, seed=2, steps=2, lines=False)
    assert check_videos(server, server.run(again), frames) == videos
    assert NOT_APPLIED not in server.log


@pytest.mark.parametrize("name", DRAGGED_THINGS)
def test_things_go_where_they_are_dragged_as_the_models_card_says(server, name):
    bound = json.loads(FIGURES.read_text())["rows"]["control"]["nine_of_ten_px"]
    prompt = prompt_of(name)
    outputs = server.run(prompt)
    (video,) = (
        server.file(file)
        for results in outputs.values()
        for file in results.get("images", [])
        if file["filename"].endswith(".mp4")
    )
    (text,) = (node["inputs"]["document"] for node in prompt.values() if "document" in node["inputs"])
    document, picture = document_from_json(text), read_motion(SAMPLE).image
    entities = resolve_entities(document, picture, GrabCutSegmenter(), SAMPLE.parent)
    error = located_error(read_video(video)[0], picture, *document_tracks(document, entities))
    assert error.is_measured, str(error)
    assert error.mean_px <= bound, str(error)
    assert error.mean_px <= STANDING_STILL * error.static_px, str(error)


@pytest.mark.parametrize("name", [make.__name__ for make in WITH_DOWNLOADS])
def test_a_workflow_with_downloads_is_accepted(server, name):
    assert server.accept(prompt_of(name))
    server.drop_all()


def test_the_tracks_that_wan_move_is_given(server):
    workflow = prompt_of("wan_move_through_tracks")
    (target,) = (node["inputs"] for node in workflow.values() if node["class_type"] == "WanMoveTrackToVideo")
    prompt = upstream(workflow, target["tracks"][0])
    prompt["told"] = {"class_type": "PreviewAny", "inputs": {"source": target["tracks"]}}
    (text,) = server.run(prompt)["told"]["text"]
    path, visibility = text.split("'track_visibility'")
    found = torch.tensor([float(number) for number in re.findall(r"-?\d+\.\d*", path)]).view(target["length"], -1, 2)
    document = waving_arm(target["length"], Size(target["height"], target["width"]))
    mask = torch.zeros(target["height"], target["width"], dtype=torch.bool)
    mask[300:320, 400:480] = True  # any: the line's own length and turns are compared, not where it starts
    _, tracks = document_tracks(document, Entities.from_masks(mask[None], ["arm"]))
    assert found.shape == tracks.paths.shape
    assert torch.allclose(found - found[0], tracks.paths - tracks.paths[0], atol=2e-3)
    assert "True" in visibility
    assert "False" not in visibility


def test_missing_weights_are_refused_with_where_they_go(server):
    prompt = changed(prompt_of("full_svd"), name="draganything/nothing")
    with pytest.raises(RefusedError, match="models/draganything"):
        server.accept(prompt)


def test_memory_stays_the_same(server):
    prompt = changed(prompt_of("first_drag"), steps=1, frames=2)
    used = []
    for seed in range(23):
        server.run(changed(prompt, seed=100 + seed))
        used.append(server.memory())
    # The first runs fill caches; of the twenty that follow, none holds on to what it used.
    assert max(used[-3:]) < 1.05 * max(used[:3]), used


def test_the_pack_imports_quickly(server, tmp_path):
    script = Path(__file__).parent / "import_cost.py"
    command = [server.host.python, script, server.host.folder, server.pack, tmp_path]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    cost = json.loads(run.stdout.splitlines()[-1])
    assert cost["seconds"] <= IMPORT_SECONDS
    assert "diffusers" not in cost["packages"]


def test_the_host_serves_what_lies_beside_the_nodes(server, info):
    folder = quote(PACK_NAME)
    assert set(server.get("/workflow_templates")[PACK_NAME]) == {path.stem for path in ROOT.glob("workflows/*.json")}
    assert server.get(f"/api/workflow_templates/{folder}/first_drag.json")["nodes"]
    words = server.get("/i18n")["en"]
    for kind in own_nodes(info):
        assert words["nodeDefs"][kind]["display_name"] == info[kind]["display_name"]
        page = server.fetch(f"/extensions/{folder}/docs/{kind}.md").decode()
        assert page.startswith(f"# {info[kind]['display_name']}\n")


def test_the_log_is_clean(server):
    assert "Cannot import" not in server.log
    assert "Error while calling comfy_entrypoint" not in server.log
    assert json.loads((ROOT / SNAPSHOT).read_text()).keys() == own_nodes(server.get("/object_info")).keys()
