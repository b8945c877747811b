"""Every workflow that ships, in a real ComfyUI server, and what the server makes of the pack's other files."""

from __future__ import annotations

import copy
import json
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from found_host import host_or_skip
from ground_error import ground_error
from make_files import ROOT, SNAPSHOT, generated_files, own_nodes
from server import RefusedError, Server
from told_tracks import require_told_tracks
from workflow_graphs import WITH_DOWNLOADS, WITHOUT_DOWNLOADS
from workflow_parts import HOST_PICTURE, MODELS, SAMPLE

from draganything_core.curves import document_tracks
from draganything_core.document import document_from_json
from draganything_core.evaluation.located_paths import located_paths
from draganything_core.motion_input import read_motion
from draganything_core.segment import GrabCutSegmenter, resolve_entities
from draganything_core.tiny.figures import FIGURES
from draganything_core.video import read_video

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("workflows")]  # one server for all

PACK_NAME = "Some.other+name_(2)"  # the folder may have any that the host's own web server can serve
TINY_SIZE = (128, 128)  # px, height and width of the tiny model's videos
# Those in which things are dragged that are small enough to be searched for.
DRAGGED_THINGS = ("first_drag", "foreground", "both_at_once", "background_pinned", "clicks_without_weights")
STANDING_STILL = 0.75  # of its error; the card's bound alone lets a video pass in which little was to move
# Those in which ground or camera go somewhere, with the kind of clip that the card has a figure for.
MOVED_GROUNDS = {
    "background": "background",
    "both_at_once": "both",
    "camera_zoom_and_pan": "camera",
    "tracks_from_a_video_redriven": "camera",
}
SHOWN_TO_THE_MODEL = ("DragAnythingSVDSampler", "DragAnythingGaussianMap")
NOTHING_SAVED = {
    "frames": 0, "width": 0, "height": 0, "coordinates_as": "coord_str", "save_demo": False, "demo_folder": "demo",
}  # fmt: skip
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
    error = located_paths(read_video(video)[0], picture, *document_tracks(document, entities)).error
    assert error.is_measured, str(error)
    assert error.mean_px <= bound, str(error)
    assert error.mean_px <= STANDING_STILL * error.static_px, str(error)


@pytest.mark.parametrize("name", MOVED_GROUNDS)
def test_the_ground_goes_where_it_is_moved_as_well_as_the_models_card_says(server, name):
    prompt = prompt_of(name)
    *_, asked = (node["inputs"]["motion"] for node in prompt.values() if node["class_type"] in SHOWN_TO_THE_MODEL)
    prompt["asked"] = {"class_type": "DragAnythingExportTracks", "inputs": {"motion": asked, **NOTHING_SAVED}}
    prompt["document"] = {"class_type": "PreviewAny", "inputs": {"source": ["asked", 2]}}
    outputs = server.run(prompt)
    document, picture = document_from_json(outputs["document"]["text"][0]), read_motion(SAMPLE).image
    entities = resolve_entities(document, picture, None, SAMPLE.parent)
    *_, video = (
        server.file(file)
        for number in sorted(outputs.keys() - {"asked", "document"}, key=int)
        for file in outputs[number].get("images", [])
        if file["filename"].endswith(".mp4")
    )
    error = ground_error(read_video(video)[0], picture, document, *document_tracks(document, entities))
    assert error.is_measured, str(error)
    assert error.ratio <= ground_bound(MOVED_GROUNDS[name]), str(error)


def ground_bound(kind):
    """Of a clip's error as a share of standing still: the card's mean of a kind, as far above it as nine of ten reach.

    The card has that reach for dragged things alone. A model that moves this kind by its card beats a still picture.
    """
    figures = json.loads(FIGURES.read_text())["rows"]["control"]
    ratio = figures[f"ratio, {kind}"]
    bound = ratio * figures["nine_of_ten_px"] / figures["mean_px"]
    return min(bound, 1.0) if ratio < STANDING_STILL else bound


@pytest.mark.parametrize("name", [make.__name__ for make in WITH_DOWNLOADS])
def test_a_workflow_with_downloads_is_accepted(server, name):
    assert server.accept(prompt_of(name))
    server.drop_all()


def test_the_tracks_that_wan_move_is_given(server):
    assert "1 track of 81 frames" in require_told_tracks(server, prompt_of("wan_move_through_tracks"))


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
