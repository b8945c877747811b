"""The editor's routes on the host's own server: what they answer, and what they refuse."""

from __future__ import annotations

import asyncio
import base64
import copy
import gzip
import json
import random
import sys
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import folder_paths
import numpy as np
import pytest
import torch
from aiohttp.test_utils import TestClient, TestServer
from inside_segmentation import small_sam
from PIL import Image
from small_model import core, pack

HEIGHT, WIDTH = 40, 56
IMAGE = {"filename": "square.png", "subfolder": "pictures", "type": "input"}
SEGMENT = {
    "image": IMAGE,
    "size": {"height": HEIGHT, "width": WIDTH},
    "points": [{"x": 30, "y": 20, "label": 1}],
    "segmenter": "grabcut",
    "request": "one",
}
DOCUMENT = {
    "format": "draganything-motion",
    "version": 2,
    "size": {"height": HEIGHT, "width": WIDTH},
    "frames": 3,
    "entities": [{"id": 1, "name": "box", "mask": {"rle": "0PV2"}}],
    "paths": [{"entity": 1, "points": [{"x": 3, "y": 4}, {"x": 30, "y": 20}], "anchor": "grabbed_point"}],
}
Scenario = Callable[[TestClient], Awaitable[None]]


@pytest.fixture(scope="module", autouse=True)
def pictures() -> Path:
    """An orange square on blue in input/pictures, and things that must not be read beside the folders."""
    folder = Path(folder_paths.get_input_directory()) / "pictures"
    folder.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(7).integers(-20, 21, (HEIGHT, WIDTH, 3)) + np.array([60, 70, 220])
    pixels[10:30, 20:44] += np.array([150, 60, -180])
    picture = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
    picture.save(folder / "square.png")
    mask = Image.new("L", (WIDTH, HEIGHT))
    mask.paste(255, (20, 10, 44, 30))
    mask.save(folder.parent / "mask.png")
    for kind in ("temp", "output"):
        other = Path(folder_paths.get_directory_by_type(kind))
        other.mkdir(parents=True, exist_ok=True)
        picture.save(other / f"{kind}.png")
    outside = Path(folder_paths.base_path) / "outside"
    outside.mkdir(exist_ok=True)
    picture.save(outside / "secret.png")
    (folder / "link.png").symlink_to(outside / "secret.png")
    (folder / "linked").symlink_to(outside)
    (folder / "text.png").write_text("no picture")
    (folder / "program.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n")
    (folder / "cut.png").write_bytes((folder / "square.png").read_bytes()[:90])
    return folder


@pytest.fixture
def routes() -> Any:
    pack("nodes.segmentation").register_sam_folder()
    return pack("nodes.editor_routes")


class HostServer(TestServer):
    """As the host starts its own: whoever leaves does not end the handler."""

    async def _make_runner(self, **arguments: Any) -> Any:
        return await super()._make_runner(**arguments | {"handler_cancellation": False})


@pytest.fixture
def serve(routes: Any) -> Callable[[Scenario], Any]:
    """Runs a scenario against a new server of the host's with its own routes and middlewares, and ours."""
    import server as host

    async def served(scenario: Scenario) -> None:
        prompt_server = host.PromptServer(asyncio.get_running_loop())
        assert routes.register_routes()
        prompt_server.add_routes()
        async with TestClient(HostServer(prompt_server.app)) as client:
            await scenario(client)

    def run(scenario: Scenario) -> None:
        try:
            asyncio.run(served(scenario))
        finally:
            del host.PromptServer.instance

    return run


@pytest.fixture
def slow_sam(base: Any, routes: Any, monkeypatch: Any) -> Any:
    """A small network whose encoder waits in each block; ``begun`` is set once it runs."""
    folder = base / "models" / "sams"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "sam_vit_slow.pth"
    file.write_bytes(b"stands for weights")
    folder_paths.filename_list_cache.clear()
    sam = small_sam()
    sam.begun, sam.ended, sam.seconds = threading.Event(), [], 0.0

    def wait(*_: Any) -> None:
        sam.begun.set()
        time.sleep(sam.seconds)

    for block in sam.image_encoder.blocks:
        block.register_forward_hook(wait)
    sam.image_encoder.register_forward_hook(lambda *_: sam.ended.append(1))
    monkeypatch.setattr(core("shared_sam"), "load_sam", lambda _path: sam)
    yield sam
    file.unlink()
    folder_paths.filename_list_cache.clear()


async def posted(client: TestClient, route: str, data: Any) -> tuple[int, dict[str, Any]]:
    response = await client.post(f"/draganything/{route}", json=data)
    return response.status, await response.json()


async def begun(sam: Any) -> None:
    while not sam.begun.is_set():
        await asyncio.sleep(0.01)


def best_mask(answer: dict[str, Any]) -> torch.Tensor:
    found = max(answer["masks"], key=lambda mask: mask["score"])
    return core("masks").decode_rle(found["rle"], answer["size"]["height"], answer["size"]["width"])


def overlap(mask: torch.Tensor, rows: slice, columns: slice) -> float:
    """Intersection over union with a rectangle."""
    expected = torch.zeros_like(mask)
    expected[rows, columns] = True
    return float((mask & expected).sum() / (mask | expected).sum())


def in_base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def test_routes_are_added_once_and_only_to_a_server(routes, serve):
    assert routes.register_routes() is False

    async def scenario(client: TestClient) -> None:
        import server as host

        before = len(host.PromptServer.instance.routes)
        assert routes.register_routes()
        assert len(host.PromptServer.instance.routes) == before
        for prefix in ("", "/api"):
            assert (await client.get(f"{prefix}/draganything/formats")).status == 200

    serve(scenario)


def test_the_sample_picture_can_be_shown_and_clicked_before_any_run(routes, serve):
    async def scenario(client: TestClient) -> None:
        reference = await (await client.get("/draganything/sample")).json()
        shown = Path(folder_paths.get_directory_by_type(reference["type"])) / reference["filename"]
        sample = pack("nodes.sample").SAMPLE.parent / "picture.png"
        assert shown.read_bytes() == sample.read_bytes()
        with Image.open(sample) as picture:
            size = {"height": picture.height, "width": picture.width}
        answer = await client.post("/draganything/segment", json={**SEGMENT, "image": reference, "size": size})
        assert answer.status == 200

    serve(scenario)


def test_schema_formats_and_segmenters(routes, serve, slow_sam):
    async def scenario(client: TestClient) -> None:
        response = await client.get("/draganything/schema")
        assert response.content_type == "application/json"
        assert await response.json() == json.loads(routes.SCHEMA.read_text())
        formats = (await (await client.get("/draganything/formats")).json())["formats"]
        assert [each["name"] for each in formats] == ["document", "kj-points-store", "kj-coords", "tracks", "demo"]
        assert all(set(each) == {"name", "label", "extension", "reads", "writes"} for each in formats)
        found = await (await client.get("/draganything/segmenters")).json()
        assert found == {
            "segmenters": [
                {"name": "grabcut", "label": "GrabCut (no weights)"},
                {"name": "sam_vit_slow.pth", "label": "sam_vit_slow"},
            ],
            "default": "sam_vit_slow.pth",
        }

    serve(scenario)


def test_without_the_package_grabcut_is_the_default(serve, slow_sam, monkeypatch):
    monkeypatch.setitem(sys.modules, "segment_anything", None)

    async def scenario(client: TestClient) -> None:
        found = await (await client.get("/draganything/segmenters")).json()
        assert found["default"] == "grabcut"
        assert "needs the segment-anything package" in found["segmenters"][1]["label"]
        status, answer = await posted(client, "segment", SEGMENT | {"segmenter": "sam_vit_slow.pth"})
        assert status == 422
        assert "pip install segment-anything" in answer["error"]

    serve(scenario)


def test_a_click_is_answered_by_masks_on_the_canvas(serve):
    async def scenario(client: TestClient) -> None:
        status, answer = await posted(client, "segment", SEGMENT)
        assert status == 200
        assert [mask["scale"] for mask in answer["masks"]] == ["part", "object", "whole"]
        assert all(0 <= mask["score"] <= 1 for mask in answer["masks"])
        assert (answer["size"], answer["segmenter"]) == (SEGMENT["size"], "grabcut")
        assert overlap(best_mask(answer), slice(10, 30), slice(20, 44)) > 0.95

        larger = {"size": {"height": 80, "width": 112}, "points": [{"x": 60, "y": 40}, {"x": 4, "y": 4, "label": 0}]}
        status, answer = await posted(client, "segment", SEGMENT | larger)
        assert status == 200
        assert overlap(best_mask(answer), slice(20, 60), slice(40, 88)) > 0.9

        boxed = {"points": [], "box": {"x": 17, "y": 7, "width": 30, "height": 26}}
        status, answer = await posted(client, "segment", SEGMENT | boxed)
        assert overlap(best_mask(answer), slice(10, 30), slice(20, 44)) > 0.9

    serve(scenario)


def test_a_canvas_of_a_photograph_is_segmented_small_and_answered_large(serve, routes, monkeypatch):
    large = {"size": {"height": 400, "width": 560}, "points": [{"x": 304, "y": 204}]}
    box = {"box": {"x": 175, "y": 75, "width": 290, "height": 250}}

    async def scenario(client: TestClient) -> None:
        found = []
        for side in (1536, 112):
            monkeypatch.setattr(routes, "WORKING_SIDE", side)
            for more in ({}, box):
                status, answer = await posted(client, "segment", SEGMENT | large | more)
                assert status == 200
                assert answer["size"] == large["size"]
                assert overlap(best_mask(answer), slice(100, 300), slice(200, 440)) > 0.9
                found.append(answer["masks"])
        assert found[:2] != found[2:]

    serve(scenario)


@pytest.mark.parametrize(
    "image",
    [
        {"filename": "temp.png", "type": "temp"},
        {"filename": "output.png", "type": "output", "subfolder": ""},
        {"filename": "output.png [output]", "type": "input"},
        {"filename": "pictures/square.png"},
    ],
)
def test_pictures_are_named_as_the_host_names_them(serve, image):
    async def scenario(client: TestClient) -> None:
        status, answer = await posted(client, "segment", SEGMENT | {"image": image})
        assert status == 200, answer

    serve(scenario)


@pytest.mark.parametrize(
    "image",
    [
        None, [], "square.png", {}, {"filename": ""}, {"filename": 3}, {"filename": "a\0b"}, {"filename": "x" * 2000},
        {"filename": "x" * 400}, {"filename": "\ud800.png"}, {"filename": "square.png"}, {"filename": "pictures"},
        {"filename": "../outside/secret.png"}, {"filename": "/etc/passwd"}, {"filename": "..", "subfolder": ".."},
        {"filename": "secret.png", "subfolder": "../outside"}, {"filename": "secret.png", "subfolder": "/outside"},
        {"filename": "link.png", "subfolder": "pictures"}, {"filename": "secret.png", "subfolder": "pictures/linked"},
        {"filename": "../outside/secret.png [output]"}, {"filename": "[output]"},
        {"filename": "..\\outside\\secret.png"},
        IMAGE | {"type": "user"}, IMAGE | {"type": "models"}, IMAGE | {"type": ["input"]}, IMAGE | {"subfolder": None},
        IMAGE | {"filename": "text.png"}, IMAGE | {"filename": "program.png"}, IMAGE | {"filename": "cut.png"},
    ],
)  # fmt: skip
def test_nothing_else_is_opened(serve, image):
    async def scenario(client: TestClient) -> None:
        status, answer = await posted(client, "segment", SEGMENT | {"image": image})
        assert status == 422
        assert answer["error"].startswith("image")
        assert folder_paths.base_path not in answer["error"]

    serve(scenario)


def test_a_picture_that_is_too_large_is_refused(serve, pictures, monkeypatch):
    Image.new("1", (8192, 4097)).save(pictures / "large.png")

    async def scenario(client: TestClient) -> None:
        status, answer = await posted(client, "segment", SEGMENT | {"image": IMAGE | {"filename": "large.png"}})
        assert (status, "Scale it down" in answer["error"]) == (422, True)
        module = pack("nodes.editor_pictures")
        monkeypatch.setattr(module, "LARGEST_FILE", 10)
        status, answer = await posted(client, "segment", SEGMENT)
        assert (status, "Scale it down" in answer["error"]) == (422, True)

    serve(scenario)


def test_pictures_are_kept_until_their_file_changes_and_within_memory(routes, pictures, monkeypatch):
    module, size = pack("nodes.editor_pictures"), core("types").Size(HEIGHT, WIDTH)
    decoded, read_picture = [], module.read_picture
    monkeypatch.setattr(module, "read_picture", lambda path: decoded.append(path) or read_picture(path))
    reference = module.PictureReference("changing.png", "pictures")
    kept = module.Pictures(memory=2 * 3 * HEIGHT * WIDTH)
    Image.new("RGB", (9, 7), (255, 0, 0)).save(pictures / "changing.png")
    first = kept.on_canvas(reference, size)
    assert torch.equal(first, kept.on_canvas(reference, size))
    assert first[:, 5, 5].tolist() == [1, 0, 0]
    assert len(decoded) == 1
    Image.new("RGB", (9, 9), (0, 255, 0)).save(pictures / "changing.png")
    assert kept.on_canvas(reference, size)[:, 5, 5].tolist() == [0, 1, 0]
    for width in range(10, 30):
        kept.on_canvas(reference, core("types").Size(HEIGHT, width))
    assert len(kept.cache) == 4  # of 29, 28, 27 and 26 columns


def test_a_network_encodes_a_picture_once(serve, slow_sam):
    async def scenario(client: TestClient) -> None:
        for x in (30, 12, 3):
            status, answer = await posted(
                client, "segment", SEGMENT | {"segmenter": "sam_vit_slow.pth", "points": [{"x": x, "y": 20}]}
            )
            assert status == 200, answer
        assert len(slow_sam.ended) == 1

    serve(scenario)


def test_cancelling_answers_at_once_and_stops_the_encoder(serve, slow_sam):
    slow_sam.seconds = 4.0

    async def scenario(client: TestClient) -> None:
        sent = asyncio.create_task(posted(client, "segment", SEGMENT | {"segmenter": "sam_vit_slow.pth"}))
        await begun(slow_sam)
        started = time.monotonic()
        assert (await client.get("/draganything/formats")).status == 200  # the event loop is free
        assert await posted(client, "cancel", {"request": "one"}) == (200, {"cancelled": True})
        status, answer = await sent
        assert time.monotonic() - started < 3.5
        assert (status, answer) == (409, {"error": "the request was cancelled"})
        assert await posted(client, "cancel", {"request": "one"}) == (200, {"cancelled": False})
        slow_sam.seconds = 0.0
        assert (await posted(client, "segment", SEGMENT))[0] == 200  # waits for the thread, which the check ends
        assert slow_sam.ended == []

    serve(scenario)


def test_newer_requests_take_the_place_of_older_ones(serve, slow_sam):
    slow_sam.seconds = 1.5
    sam = SEGMENT | {"segmenter": "sam_vit_slow.pth"}

    async def scenario(client: TestClient) -> None:
        async def send(**more: Any) -> asyncio.Task[Any]:
            task = asyncio.create_task(posted(client, "segment", sam | more))
            await asyncio.sleep(0.15)
            return task

        running = await send(request="click")
        same = [await send(request="same"), await send(request="same")]
        hovers = [await send(request=f"hover {i}", hover=True) for i in range(3)]
        elsewhere = await send(request="d", hover=True, image={"filename": "temp.png", "type": "temp"})
        assert [(await task)[0] for task in same] == [409, 200]
        assert "superseded" in (await same[0])[1]["error"]
        assert [(await task)[0] for task in hovers] == [409, 409, 200]
        assert (await running)[0] == (await elsewhere)[0] == 200

    serve(scenario)


def test_a_flood_is_refused_beyond_what_may_wait(serve, slow_sam):
    slow_sam.seconds = 1.5

    async def scenario(client: TestClient) -> None:
        sam = SEGMENT | {"segmenter": "sam_vit_slow.pth"}
        sent = [posted(client, "segment", sam | {"request": f"r{i}"}) for i in range(60)]
        answers = await asyncio.gather(*sent)
        statuses = [status for status, _ in answers]
        assert statuses.count(200) == 16
        assert statuses.count(429) == 44
        assert all("wait" in answer["error"] for status, answer in answers if status == 429)

    serve(scenario)


def test_work_nobody_waits_for_is_not_begun(serve, slow_sam):
    slow_sam.seconds = 1.0

    async def scenario(client: TestClient) -> None:
        other = {"filename": "temp.png", "type": "temp"}
        sam = SEGMENT | {"segmenter": "sam_vit_slow.pth"}
        first = asyncio.create_task(posted(client, "segment", sam))
        await begun(slow_sam)
        left = asyncio.create_task(
            posted(
                client,
                "segment",
                sam
                | {"request": "two", "size": {"height": 9, "width": 9}, "points": [{"x": 3, "y": 3}], "image": other},
            )
        )
        await asyncio.sleep(0.5)
        left.cancel()
        assert (await first)[0] == 200
        assert (await posted(client, "segment", SEGMENT))[0] == 200
        assert len(slow_sam.ended) == 1

    serve(scenario)


def test_every_format_goes_out_and_comes_in(serve):
    async def scenario(client: TestClient) -> None:
        formats = (await (await client.get("/draganything/formats")).json())["formats"]
        for known in formats:
            sent = {"document": DOCUMENT, "format": known["name"], "image": IMAGE}
            status, file = await posted(client, "export", sent)
            assert status == 200, file
            assert file["name"].endswith(known["extension"])
            assert set(file) == {"name", "content", "media_type", "warnings"}
            sent = {"name": file["name"], "content": file["content"], "size": DOCUMENT["size"], "frames": 3}
            status, found = await posted(client, "import", sent)
            assert status == 200, found
            assert set(found) == {"document", "format", "warnings"}
            assert found["format"] in (known["name"], "kj-coords")
            assert found["document"]["version"] == core("document").CURRENT_VERSION
            last = found["document"]["paths"][0]["points"][-1]
            assert (last["x"], last["y"]) == (30, 20)

    serve(scenario)


def test_mask_files_of_the_input_folder_come_inside(serve):
    async def scenario(client: TestClient) -> None:
        def sent(file: str) -> dict[str, Any]:
            document = DOCUMENT | {"entities": [{"id": 1, "name": "box", "mask": {"file": file}}]}
            return {"name": "m.json", "content": in_base64(json.dumps(document).encode()), "size": {"height": 1,
                    "width": 1}, "frames": 1}  # fmt: skip

        status, found = await posted(client, "import", sent("mask.png"))
        assert status == 200
        mask = core("masks").decode_rle(found["document"]["entities"][0]["mask"]["rle"], HEIGHT, WIDTH)
        assert mask.sum() == 20 * 24
        assert found["warnings"] == []
        status, found = await posted(client, "import", sent("pictures/linked/secret.png"))
        assert found["document"]["entities"][0]["mask"] == {"file": "pictures/linked/secret.png"}
        assert "stays a file" in found["warnings"][0]

    serve(scenario)


def test_a_mask_file_is_shown_and_nothing_else(serve):
    async def scenario(client: TestClient) -> None:
        asked = {"file": "mask.png", "size": SEGMENT["size"]}
        status, found = await posted(client, "mask", asked)
        assert (status, found["size"]) == (200, SEGMENT["size"])
        assert overlap(core("masks").decode_rle(found["rle"], HEIGHT, WIDTH), slice(10, 30), slice(20, 44)) == 1
        for file in (*TRAVERSALS, "pictures/text.png", "gone.png"):
            status, found = await posted(client, "mask", asked | {"file": file})
            assert status in (400, 422), file
            assert folder_paths.base_path not in found["error"]

    serve(scenario)


def test_weights_say_what_they_can_follow(serve, weights):
    pack("nodes.loaders").register_model_folder()
    models = Path(folder_paths.get_folder_paths("draganything")[0])
    models.mkdir(parents=True, exist_ok=True)
    (models / "small").symlink_to(weights / "controlnet")
    (models / "broken.safetensors").write_bytes(b"no weights")
    folder_paths.filename_list_cache.clear()

    async def scenario(client: TestClient) -> None:
        async def asked(**query: str) -> tuple[int, dict[str, Any]]:
            response = await client.get("/draganything/weights", params=query)
            return response.status, await response.json()

        status, tiny = await asked(name="tiny")
        assert status == 200, tiny
        assert (tiny["anchor"], tiny["max_radius"], tiny["frames"], tiny["max_speed"]) == ("center", 16, 8, None)
        assert tiny["max_radius_size"] == tiny["size"] == {"height": 128, "width": 128}
        status, small = await asked(name="draganything/small")
        assert (status, small["geometry"]) == (200, "exact"), small
        status, published = await asked(name="draganything/small", preset="published")
        assert (status, published["anchor"], published["max_radius"]) == (200, "grabbed_point", 50)
        for query in ({}, {"name": "draganything/broken.safetensors"}, {"name": "tiny", "preset": "../x"},
                      *({"name": name.encode("utf-8", "replace").decode()} for name in TRAVERSALS)):  # fmt: skip
            status, answer = await asked(**query)
            assert status in (400, 422), query
            assert folder_paths.base_path not in answer["error"]

    try:
        serve(scenario)
    finally:
        (models / "small").unlink()
        (models / "broken.safetensors").unlink()
        folder_paths.filename_list_cache.clear()


CUT_MASK = DOCUMENT | {"entities": [{"id": 1, "name": "box", "mask": {"rle": "0`e0"}}]}
REFUSED = [
    ("segment", [1], 400, "expected a JSON object"),
    ("segment", SEGMENT | {"size": None}, 400, "^size: found nothing"),
    ("segment", SEGMENT | {"size": {"height": 1e9, "width": 3}}, 400, "^size.height: found 1000000000.0"),
    ("segment", SEGMENT | {"size": {"height": 16384, "width": 16384}}, 422, "^size: the canvas"),
    ("segment", SEGMENT | {"points": [{"x": "a", "y": 2}]}, 400, r"^points\[0\].x: found \"a\""),
    ("segment", SEGMENT | {"points": [{"x": 1, "y": 2, "label": 7}]}, 400, r"^points\[0\].label: found 7"),
    ("segment", SEGMENT | {"points": {}}, 400, "^points: found"),
    ("segment", SEGMENT | {"points": [{"x": 1, "y": 2}] * 501}, 400, "^points: 501 clicks"),
    ("segment", SEGMENT | {"points": []}, 422, "neither a click nor a box"),
    ("segment", SEGMENT | {"points": [{"x": 99, "y": 2}]}, 400, r"^points\[0\]: x 99, y 2 is off the canvas 40x56"),
    ("segment", SEGMENT | {"box": {"x": 1, "y": 2, "width": -3, "height": 4}}, 400, "^box.width: found -3"),
    ("segment", SEGMENT | {"segmenter": "../evil.pth"}, 422, "there are no weights"),
    ("segment", SEGMENT | {"segmenter": 3}, 400, "^segmenter: expected a text"),
    ("segment", SEGMENT | {"hover": "yes"}, 400, "^hover: expected true or false"),
    ("segment", SEGMENT | {"request": "r" * 301}, 400, "^request: expected a text"),
    ("cancel", {}, 400, "^request: expected a text"),
    ("import", {}, 400, "^content: expected"),
    ("import", {"content": "!!!!", "size": SEGMENT["size"], "frames": 3}, 400, "not base64"),
    ("import", {"content": "aGVsbG8=", "frames": 3}, 400, "^size: found nothing"),
    ("import", {"content": "aGVsbG8=", "size": SEGMENT["size"], "frames": -1}, 400, "^frames: found -1"),
    ("import", {"content": "aGVsbG8=", "size": SEGMENT["size"], "name": "a/../b\n.txt"}, 422, r"^b\.txt: neither JSON"),
    ("export", {"document": DOCUMENT}, 400, "^format: expected a text"),
    ("export", {"document": DOCUMENT, "format": "gif"}, 422, "^format: there is none called 'gif'"),
    ("export", {"document": [], "format": "tracks"}, 400, "^document: expected a motion document"),
    ("export", {"document": DOCUMENT | {"frames": "x"}, "format": "tracks"}, 400, r"^\$.frames: found"),
    ("export", {"document": DOCUMENT, "format": "demo"}, 422, "needs the picture"),
    ("export", {"document": DOCUMENT, "format": "demo", "image": {"filename": "x"}}, 422, "^image: there is no 'x'"),
    ("export", {"document": CUT_MASK, "format": "tracks"}, 422, "run-length mask"),
]


def test_refusals_say_what_is_wrong(serve):
    import re

    async def scenario(client: TestClient) -> None:
        for route, data, expected, message in REFUSED:
            status, answer = await posted(client, route, data)
            assert (status, set(answer)) == (expected, {"error"}), answer
            assert re.search(message, answer["error"]), answer

    serve(scenario)


def test_bodies_are_bounded(serve):
    async def stream(mebibytes: int) -> Any:
        for _ in range(mebibytes):
            yield bytes(2**20)

    async def scenario(client: TestClient) -> None:
        for route, mebibytes in (("segment", 1), ("cancel", 1), ("export", 5), ("import", 23)):
            for body in (bytes(mebibytes * 2**20), stream(mebibytes)):  # with its length said, and without
                response = await client.post(f"/draganything/{route}", data=body)
                assert response.status == 413
                assert "send something smaller" in (await response.json())["error"]
        for body in (gzip.compress(json.dumps(SEGMENT).encode()), gzip.compress(bytes(100 * 2**20))):
            response = await client.post("/draganything/segment", data=body, headers={"Content-Encoding": "gzip"})
            assert response.status == 415
            assert "compressed" in (await response.json())["error"]

    serve(scenario)


def test_a_body_that_does_not_come_is_not_waited_for(serve, monkeypatch):
    monkeypatch.setattr(pack("nodes.editor_requests"), "BODY_SECONDS", 0.2)

    async def trickle() -> Any:
        yield b"{"
        await asyncio.sleep(1)
        yield b"}"

    async def scenario(client: TestClient) -> None:
        try:
            response = await client.post("/draganything/segment", data=trickle())
            assert response.status == 408
        except aiohttp.ClientError:
            pass  # the connection was closed on the one who trickles
        assert (await posted(client, "segment", SEGMENT))[0] == 200

    serve(scenario)


class OpenedFiles:
    """What is opened while it watches, from Python's own audit events."""

    def __init__(self) -> None:
        self.watching = False
        self.paths: list[str] = []
        sys.addaudithook(self._heard)

    def _heard(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.watching and event in ("open", "os.exec", "os.system", "subprocess.Popen"):
            self.paths.append(f"{event} {arguments[0]!r}")


TRAVERSALS = [
    "../outside/secret.png", "../../etc/passwd", "/etc/passwd", "..", ".", "", "pictures/linked/secret.png", "link.png",
    "....//outside/secret.png", "%2e%2e/outside/secret.png", "..%2foutside%2fsecret.png", "..\\outside\\secret.png",
    "pictures/../../outside/secret.png", "~/.bashrc", "file:///etc/passwd", "a\0.png", "\ud800", "CON", "x" * 5000,
    "../outside/secret.png [output]", "/proc/self/environ", "\\\\server\\share\\x.png", "blake3:00", "a\n.png",
]  # fmt: skip
ODD = [
    None, True, False, 0, -1, 1, 7, 2**31, 2**63, 10**300, 1e308, -1e308, 0.5, "", "a", "1", "NaN", [], {}, [[]], [{}],
    [None], {"x": 1}, {"": {}}, [1] * 1000, "x" * 100_000, "0" * 50_000, "\ud83d", "../../x", float("nan"),
    float("inf"),
]  # fmt: skip


def places_in(value: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) inside a JSON value."""
    keys = list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list) else []
    return [(value, key) for key in keys] + [place for key in keys for place in places_in(value[key])]


def hostile(dice: random.Random) -> tuple[str, bytes]:
    """A route and a body that means harm, or is nonsense."""
    content = in_base64(dice.choice([b"[{'x': 1", b"PK\x03\x04", b"\x93NUMPY\x01\0", json.dumps(DOCUMENT).encode()]))
    bodies: dict[str, Any] = {
        "segment": SEGMENT | {"box": {"x": 1, "y": 2, "width": 30, "height": 30}, "hover": False},
        "cancel": {"request": "one"},
        "import": {"name": "a.json", "content": content, "size": SEGMENT["size"], "frames": 3, "image": IMAGE},
        "export": {"document": DOCUMENT, "format": dice.choice(["tracks", "demo", "kj-coords"]), "image": IMAGE},
        "mask": {"file": IMAGE["filename"], "size": SEGMENT["size"]},
    }
    route = dice.choice(["segment", "segment", "cancel", "import", "export", "mask"])
    data = json.loads(json.dumps(bodies[route]))
    kind = dice.choice(["odd", "odd", "odd", "traversal", "bytes", "nested", "noise", "sizes", "missing", "long"])
    if kind == "traversal":
        for key in ("filename", "subfolder"):
            data.setdefault("image", dict(IMAGE))[key] = dice.choice(TRAVERSALS)
        data["segmenter"] = dice.choice(["grabcut", dice.choice(TRAVERSALS)])
        data["name"] = data["file"] = dice.choice(TRAVERSALS)
    elif kind == "sizes":
        largest = {side: dice.choice([1, 16384, 16385, 10**9, -5, 0, 2**70]) for side in ("height", "width")}
        (data["document"] if route == "export" else data)["size"] = largest
    elif kind == "nested":
        depth = dice.choice([50, 200, 900, 990, 1500, 50_000])
        return route, dice.choice([b"[" * depth + b"]" * depth, b'{"image":' + b'{"a":' * depth + b"1" + b"}" * depth
                                   + b"}", b'{"points":' + b"[" * depth + b"]" * depth + b"}"])  # fmt: skip
    elif kind == "noise":
        return route, dice.randbytes(dice.choice([0, 1, 50, 5000]))
    elif kind == "long":
        data = {"points": [{"x": i, "y": i} for i in range(dice.choice([499, 5000]))]} | data
    for _ in range({"odd": dice.randint(1, 3), "missing": dice.randint(1, 3)}.get(kind, 0)):
        container, key = dice.choice(places_in(data) or [({"a": 1}, "a")])
        if kind == "odd" or isinstance(container, list):
            container[key] = copy.deepcopy(dice.choice(ODD))
        else:
            container.pop(key)
    body = bytearray(json.dumps(data).encode())
    for _ in range(dice.randint(1, 4) if kind == "bytes" else 0):
        start = dice.randrange(len(body))
        body[start : start + dice.choice([0, 1, 4])] = dice.randbytes(dice.choice([0, 1, 2]))
    return route, bytes(body)


def test_a_thousand_hostile_requests(serve, slow_sam, base):
    opened, dice = OpenedFiles(), random.Random(20)
    statuses: dict[int, int] = {}

    async def send(client: TestClient) -> None:
        if dice.random() < 0.1:
            body = json.dumps([dice.choice(TRAVERSALS), dice.choice(ODD)]).encode()  # what is shown if it fails
            name, preset = (str(text).encode("utf-8", "replace").decode()[:2000] for text in json.loads(body))
            response = await client.get("/draganything/weights", params={"name": name, "preset": preset})
        else:
            route, body = hostile(dice)
            response = await client.post(f"/draganything/{route}", data=body)
        answer = await response.json()
        assert response.status == 200 or 400 <= response.status < 500, (response.status, body[:2000])
        if response.status != 200:
            assert set(answer) == {"error"}, answer
            assert 10 < len(answer["error"]) < 1000, answer
        statuses[response.status] = statuses.get(response.status, 0) + 1

    async def scenario(client: TestClient) -> None:
        assert (await posted(client, "segment", SEGMENT))[0] == 200  # what is imported at first use is
        assert (await client.get("/draganything/weights", params={"name": "tiny"})).status == 200
        opened.watching = True
        for _ in range(125):
            await asyncio.gather(*(send(client) for _ in range(8)))
        opened.watching = False
        assert (await posted(client, "segment", SEGMENT))[0] == 200

    serve(scenario)
    assert sum(statuses.values()) == 1000
    assert sum(count for status, count in statuses.items() if status >= 400) > 700, statuses
    allowed = [*(folder_paths.get_directory_by_type(kind) for kind in ("input", "temp", "output"))]
    allowed.append(str(Path(tempfile.gettempdir()) / tempfile.gettempprefix()))  # what archives are unpacked to
    packages = [str(Path(module.__file__).parent) for module in (Image, aiohttp, torch)] + [sys.base_prefix, sys.prefix]
    strange = [
        path
        for path in opened.paths
        if "secret" in path or "passwd" in path or not any(place in path for place in [*allowed, *packages])
    ]
    assert strange == []
