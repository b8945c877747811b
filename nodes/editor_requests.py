"""Requests of the trajectory editor: their bodies within bounds, what is in them found right, and answers as JSON."""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import re
from collections.abc import Awaitable, Callable, Hashable
from typing import Any

from aiohttp import ClientPayloadError, web

from ..draganything_core.document import MotionDocument, Prompts, document_from_json
from ..draganything_core.document_validation import DocumentError
from ..draganything_core.types import Size
from .editor_jobs import BusyError, StoppedError
from .editor_pictures import check_canvas

BODY_SECONDS = 60
MOST_CLICKS = 500
LONGEST_NAME = 300  # characters of a request's id or a file's name

Answer = dict[str, Any]


class RefusedError(Exception):
    """A request that is answered with a status of 400 to 499 and this sentence."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def answering(handler: Callable[[web.Request], Awaitable[Answer]]) -> Callable[..., Awaitable[web.Response]]:
    """A handler whose answers and refusals are sent as JSON."""

    async def answered(request: web.Request) -> web.Response:
        try:
            return web.json_response(await handler(request))
        except RefusedError as error:
            status, message = error.status, str(error)
        except StoppedError as error:
            status, message = 409, f"the request was {error}"
        except BusyError as error:
            status, message = 429, str(error)
        except DocumentError as error:
            status, message = 400, str(error)
        except (ValueError, FileNotFoundError, ImportError) as error:
            status, message = 422, str(error)
        except RecursionError:
            status, message = 400, "the request is nested too deeply; send what the editor sends"
        except MemoryError:
            status, message = 413, "the server's memory does not suffice for this; send something smaller"
        return web.json_response({"error": message}, status=status)

    return answered


async def read_body(request: web.Request, limit: int) -> bytes:
    """The request's bytes, at most ``limit``. Raises RefusedError for more, and for what does not arrive."""
    too_large = RefusedError(413, f"the request is larger than {limit // 2**10} KiB; send something smaller")
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise RefusedError(415, "the request is compressed; send it as it is")
    if request.content_length is not None and request.content_length > limit:
        raise too_large

    async def received() -> bytes:
        body = bytearray()
        async for chunk in request.content.iter_chunked(2**16):
            body += chunk
            if len(body) > limit:
                raise too_large
        return bytes(body)

    try:
        return await asyncio.wait_for(received(), BODY_SECONDS)
    except asyncio.TimeoutError:
        raise RefusedError(408, f"the request did not arrive within {BODY_SECONDS} s; send it again") from None
    except (ClientPayloadError, web.RequestPayloadError, ConnectionError) as error:
        raise RefusedError(400, "the request did not arrive whole; send it again") from error


async def json_body(request: web.Request, limit: int) -> Answer:
    return parsed(await read_body(request, limit))


def parsed(body: bytes) -> Answer:
    """The JSON object in a request. Raises RefusedError."""
    try:
        data = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise RefusedError(400, f"the request is not JSON ({error!s:.100}); send an object") from None
    if not isinstance(data, dict):
        raise RefusedError(400, f"expected a JSON object, got {data!r:.60}")
    return data


def described_motion(members: Answer) -> MotionDocument:
    """A document of these members and nothing else: what it refuses of them is refused here."""
    try:
        given = {key: value for key, value in members.items() if value is not None}
        return document_from_json({"format": "draganything-motion", "version": 2, "frames": 1, **given})
    except DocumentError as error:
        path = re.sub(r"^\$(\.entities\[0\]\.prompts)?\.?", "", error.json_path) or "the request"
        raise RefusedError(400, f"{path}: {error.reason}") from None


def asked_canvas(data: Answer) -> Size:
    """The canvas that a request's coordinates are on. Raises RefusedError, and ValueError for one too large."""
    size = described_motion({"size": data.get("size")}).size
    check_canvas(size)
    return size


def asked_prompts(data: Answer, size: Size) -> Prompts:
    """The clicks and the box of a request, all of them on the canvas. Raises RefusedError."""
    points, box = data.get("points", []), data.get("box")
    if isinstance(points, list) and len(points) > MOST_CLICKS:
        raise RefusedError(400, f"points: {len(points)} clicks; expected at most {MOST_CLICKS}")
    prompts = {"points": points} if box is None else {"points": points, "box": box}
    entity = {"id": 1, "name": "", "prompts": prompts}
    document = described_motion({"size": {"height": size.height, "width": size.width}, "entities": [entity]})
    found = document.entities[0].prompts or Prompts()
    for number, click in enumerate(found.points):
        if not (-0.5 <= click.x <= size.width - 0.5 and -0.5 <= click.y <= size.height - 0.5):
            raise RefusedError(400, f"points[{number}]: x {click.x:g}, y {click.y:g} is off the canvas {size}")
    return found


def asked_text(data: Answer, key: str, default: str | None = None) -> str:
    """A text that a request must hold unless there is a default. Raises RefusedError."""
    value = data.get(key, default)
    if not isinstance(value, str) or not value or (value is not default and len(value) > LONGEST_NAME):
        expected = f"a text of 1 to {LONGEST_NAME} characters"
        raise RefusedError(400, f"{key}: expected {expected}, got {value!r:.60}")
    return value


def request_name(data: Answer) -> Hashable:
    """The id that a request can be cancelled by; one of its own where it names none."""
    return object() if data.get("request") is None else asked_text(data, "request")


def shown_name(name: str) -> str:
    """A file's name as messages show it: without folders and what cannot be printed."""
    return "".join(c for c in re.split(r"[/\\]", name)[-1] if c.isprintable())[:80] or "the file"


def decoded_content(data: Answer) -> bytes:
    """The bytes of the file in a request. Raises RefusedError."""
    content = data.get("content")
    if not isinstance(content, str):
        raise RefusedError(400, f"content: expected the file's bytes in base64, got {content!r:.60}")
    try:
        return base64.b64decode(content, validate=True)
    except (binascii.Error, ValueError):
        raise RefusedError(400, "content: it is not base64") from None


def has_left(request: web.Request) -> bool:
    """Whether the one who asked has closed the connection."""
    return request.transport is None or request.transport.is_closing()
