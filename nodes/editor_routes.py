"""What the trajectory editor asks the server: masks for clicks, and files of other formats in and out.

All is JSON under /draganything; web/api.js is the other side. What is refused is answered with a status of 400 to 499
and {"error": a sentence that says what to do}. Costly work runs in threads (editor_jobs), never in the event loop.
"""

from __future__ import annotations

import asyncio
import base64
import importlib
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path, PurePosixPath

import torch.nn.functional as F
from aiohttp import web
from torch import Tensor

from ..draganything_core.document import (
    Box,
    MaskSource,
    MotionDocument,
    Prompts,
    document_from_json,
    document_to_json,
)
from ..draganything_core.interchange.formats import (
    FILE_FORMATS,
    LARGEST_FILE,
    LARGEST_TEXT,
    check_text,
    file_format,
    read,
    write,
)
from ..draganything_core.masks import encode_rle
from ..draganything_core.segment import SCALES, GrabCutSegmenter, Segmenter
from ..draganything_core.shared_sam import SharedSam
from ..draganything_core.types import Size
from .editor_jobs import Job, Jobs
from .editor_pictures import PictureReference, Pictures, check_canvas
from .editor_requests import (
    Answer,
    RefusedError,
    answering,
    asked_canvas,
    asked_prompts,
    asked_text,
    decoded_content,
    described_motion,
    has_left,
    json_body,
    parsed,
    read_body,
    request_name,
    shown_name,
)
from .sample import sample_reference
from .segmentation import encoding_device, has_package, sam_names, shared_sam

PREFIX = "/draganything"
SCHEMA = Path(__file__).parents[1] / "draganything_core" / "document.schema.json"
GRABCUT = "grabcut"
PREFERRED = "sam_vit_"  # the names that Segment Anything's weights are published under
SMALL_BODY = 256 * 2**10  # bytes
IMPORT_BODY = LARGEST_FILE * 4 // 3 + SMALL_BODY
EXPORT_BODY = LARGEST_TEXT
WORKING_SIDE = 1536  # px; the longer side of what is segmented, half as much again as Segment Anything sees


def register_routes() -> bool:
    """Adds the routes to the running server, once; False where there is none (tests, other tools).

    To be called while the host imports its custom nodes: later its table of routes is closed.
    """
    module = sys.modules.get("server")  # where there is a server, the host has imported it
    server = getattr(getattr(module, "PromptServer", None), "instance", None)
    if server is None:
        return False
    if not any(getattr(route, "path", "").startswith(f"{PREFIX}/") for route in server.routes):
        EditorRoutes().add_to(server.routes)
    return True


class EditorRoutes:
    """The routes and what they keep between requests: pictures, the network that was used last, work in progress."""

    def __init__(self) -> None:
        self.pictures = Pictures()
        self.segmenting = Jobs("segment")
        self.converting = Jobs("convert", most=4)
        self._sam: SharedSam | None = None

    def add_to(self, routes: web.RouteTableDef) -> None:
        routes.get(f"{PREFIX}/schema")(self.schema)
        routes.get(f"{PREFIX}/sample")(answering(self.sample))
        routes.get(f"{PREFIX}/segmenters")(answering(self.segmenters))
        routes.get(f"{PREFIX}/formats")(answering(self.formats))
        routes.get(f"{PREFIX}/weights")(answering(self.weights))
        routes.post(f"{PREFIX}/mask")(answering(self.mask))
        routes.post(f"{PREFIX}/segment")(answering(self.segment))
        routes.post(f"{PREFIX}/cancel")(answering(self.cancel))
        routes.post(f"{PREFIX}/import")(answering(self.import_file))
        routes.post(f"{PREFIX}/export")(answering(self.export_file))

    async def schema(self, _request: web.Request) -> web.StreamResponse:
        return web.FileResponse(SCHEMA)

    async def formats(self, _request: web.Request) -> Answer:
        return {
            "formats": [
                {
                    "name": known.name,
                    "label": known.label,
                    "extension": known.extension,
                    "reads": known.reads,
                    "writes": known.writes,
                }
                for known in FILE_FORMATS
            ]
        }

    async def sample(self, _request: web.Request) -> Answer:
        return await asyncio.to_thread(sample_reference)

    async def segmenters(self, _request: web.Request) -> Answer:
        return await asyncio.to_thread(_segmenters)

    async def weights(self, request: web.Request) -> Answer:
        # Imported with the first question: reading weights needs diffusers, which takes a second of ComfyUI's start.
        choices = await asyncio.to_thread(importlib.import_module, ".editor_weights", __package__)
        name, preset = choices.asked_choices(request.query)
        return await self._converted(request, lambda _job: choices.weights_choices(name, preset))

    async def mask(self, request: web.Request) -> Answer:
        data = await json_body(request, SMALL_BODY)
        size = asked_canvas(data)
        reference = PictureReference(asked_text(data, "file"))
        return await self._converted(
            request, lambda _job: {"rle": encode_rle(self.pictures.mask(reference, size)), "size": data["size"]}
        )

    async def segment(self, request: web.Request) -> Answer:
        data = await json_body(request, SMALL_BODY)
        size = asked_canvas(data)
        prompts = asked_prompts(data, size)
        reference = PictureReference.parse(data.get("image"))
        name = asked_text(data, "segmenter", GRABCUT)
        hover = data.get("hover", False)
        if not isinstance(hover, bool):
            raise RefusedError(400, f"hover: expected true or false, got {hover!r:.60}")

        def work(job: Job) -> Answer:
            return self._segment(job, reference, size, prompts, name)

        return await self.segmenting.run(
            request_name(data), work, hover=reference if hover else None, gone=lambda: has_left(request)
        )

    async def cancel(self, request: web.Request) -> Answer:
        name = asked_text(await json_body(request, SMALL_BODY), "request")
        return {"cancelled": self.segmenting.cancel(name)}

    async def import_file(self, request: web.Request) -> Answer:
        body = await read_body(request, IMPORT_BODY)
        return await self._converted(request, lambda job: self._import(job, parsed(body)))

    async def export_file(self, request: web.Request) -> Answer:
        body = await read_body(request, EXPORT_BODY)
        return await self._converted(request, lambda job: self._export(job, body))

    async def _converted(self, request: web.Request, work: Callable[[Job], Answer]) -> Answer:
        return await self.converting.run(object(), work, gone=lambda: has_left(request))

    # In threads

    def _segment(self, job: Job, reference: PictureReference, size: Size, prompts: Prompts, name: str) -> Answer:
        segmenter = self._segmenter(name, job)
        working = working_size(size)
        picture = self.pictures.on_canvas(reference, working)
        job.check()
        segmenter.set_image(picture)
        job.check()
        found = segmenter.segment(scaled_prompts(prompts, size, working))
        masks = [
            {"scale": scale, "rle": encode_rle(enlarged(mask.cpu(), size)), "score": round(float(score), 4)}
            for scale, mask, score in zip(SCALES, found.masks, found.scores, strict=True)
        ]
        return {"masks": masks, "size": {"height": size.height, "width": size.width}, "segmenter": name}

    def _segmenter(self, name: str, job: Job) -> Segmenter:
        if name == GRABCUT:
            return GrabCutSegmenter()
        sam = shared_sam(name)
        self._sam = sam  # held, so that it stays loaded until another one is used
        job.check()
        return sam.segmenter(device=lambda: encoding_device(sam, may_evict=False), check=job.check)

    def _import(self, job: Job, data: Answer) -> Answer:
        name = shown_name(asked_text(data, "name", "the file"))
        content = decoded_content(data)
        canvas = described_motion({"size": data.get("size"), "frames": data.get("frames")})
        check_canvas(canvas.size)
        job.check()
        imported = read(content, name, canvas.size, canvas.frames)
        job.check()
        document, warnings = self._with_masks_inside(imported.document)
        return {
            "document": document_to_json(document),
            "format": imported.format,
            "warnings": [*imported.warnings, *warnings],
        }

    def _export(self, job: Job, body: bytes) -> Answer:
        check_text(body, "the document")
        data = parsed(body)
        known = file_format(asked_text(data, "format"))
        if not isinstance(data.get("document"), dict):
            raise RefusedError(400, "document: expected a motion document, which is an object")
        document = document_from_json(data["document"])
        job.check()
        document, warnings = self._with_masks_inside(document)
        exported = write(document, known.name, self._picture_for(data, document))
        return {
            "name": exported.name,
            "content": base64.b64encode(exported.content).decode(),
            "media_type": exported.media_type,
            "warnings": [*warnings, *exported.warnings],
        }

    def _picture_for(self, data: Answer, document: MotionDocument) -> Tensor | None:
        if data.get("image") is None:
            return None
        check_canvas(document.size)
        return self.pictures.on_canvas(PictureReference.parse(data["image"]), document.size)

    def _with_masks_inside(self, document: MotionDocument) -> tuple[MotionDocument, list[str]]:
        """The document with its mask files, which lie in the host's input folder, inside; and what was not found."""
        entities, warnings = [], []
        for entity in document.entities:
            if entity.mask is not None and entity.mask.file is not None:
                try:
                    check_canvas(document.size)
                    mask = self.pictures.mask(PictureReference(entity.mask.file), document.size)
                    entity = replace(entity, mask=MaskSource(rle=encode_rle(mask)))
                except ValueError as error:
                    warnings.append(f"the mask of entity {entity.id} stays a file: {error}")
            entities.append(entity)
        return replace(document, entities=tuple(entities)), warnings


def working_size(size: Size) -> Size:
    """The size that a canvas is segmented at: both segmenters look at fewer pixels than a photograph has."""
    scale = min(1.0, WORKING_SIDE / max(size.height, size.width))
    return Size(max(1, round(size.height * scale)), max(1, round(size.width * scale)))


def scaled_prompts(prompts: Prompts, source: Size, target: Size) -> Prompts:
    """The same clicks and box on a picture of another size."""
    scale_x, scale_y = source.scale_to(target)

    def place(x: float, y: float) -> dict[str, float]:
        return {"x": (x + 0.5) * scale_x - 0.5, "y": (y + 0.5) * scale_y - 0.5}

    points = tuple(replace(click, **place(click.x, click.y)) for click in prompts.points)
    box = prompts.box
    if box is not None:
        box = Box(**place(box.x, box.y), width=box.width * scale_x, height=box.height * scale_y)
    return replace(prompts, points=points, box=box)


def enlarged(mask: Tensor, size: Size) -> Tensor:
    """A (H,W) bool mask at a larger size, its outline smooth."""
    if Size.of(mask) == size:
        return mask
    return F.interpolate(mask[None, None].float(), (size.height, size.width), mode="bilinear")[0, 0] > 0.5


def _segmenters() -> Answer:
    names = sam_names()
    note = "" if has_package() else " (needs the segment-anything package)"
    published = sorted(name for name in names if PurePosixPath(name).name.startswith(PREFERRED))
    return {
        "segmenters": [
            {"name": GRABCUT, "label": "GrabCut (no weights)"},
            *({"name": name, "label": f"{PurePosixPath(name).stem}{note}"} for name in names),
        ],
        "default": published[0] if published and not note else GRABCUT,
    }
