"""Writes curves.json: drawn lines, and where their discs are in every frame.

The Python core and the JavaScript editor are both tested against that file. It was computed by draganything_core, so
it pins the agreement of the two; what is right is settled by the hand-made cases of tests/core/test_curves.py. Run it
(`python tests/goldens/make_curves.py`) when a case is added or the definition of a curve is changed on purpose, never
to make a test pass.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from draganything_core.camera import camera_motion
from draganything_core.curves import PathTrack, camera_tracks, path_track
from draganything_core.document import MotionDocument, document_from_json
from draganything_core.types import Size

TARGET = Path(__file__).with_name("curves.json")
SIZE = {"height": 40, "width": 56}
CENTER, RADIUS = (21.0, 17.0), 6.5
DIGITS = 9

ZIGZAG = [(8, 30), (20, 10), (32, 30), (48, 12)]
UNEVEN = [(5, 5), (7, 6), (40, 8), (41, 30)]
EASINGS: dict[str, Any] = {
    "linear": "linear",
    "ease_in": "ease_in",
    "ease_out": "ease_out",
    "ease_in_out": "ease_in_out",
    "steep": {"cubic_bezier": [0.9, 0.05, 0.1, 0.95]},
    "overshoot": {"cubic_bezier": [0.3, -0.6, 0.5, 1.6]},
}
WAVE = [{"x": 8 + 1.25 * i, "y": round(20 + 8 * math.sin(i / 3), 2)} for i in range(31)]
S_CURVE = [
    {"x": 8, "y": 20, "handle_out": [0, -10.5]},
    {"x": 28, "y": 20, "handle_in": [-6, 8], "handle_out": [6, -8]},
    {"x": 48, "y": 20, "handle_in": [0, 10]},
]
CAMERAS: dict[str, Any] = {
    "pan": {"pan": [12, -4.5], "easing": "ease_in_out"},
    "pan off the canvas": {"pan": [-40, 0], "start": 0.25},
    "zoom in": {"zoom": {"factor": 2, "center": [27.5, 19.5], "points": [[20, 12], [35, 12], [20, 27], [35, 27]]}},
    "zoom out": {"zoom": {"factor": 0.5, "center": [10, 30], "points": [[2, 2], [53, 2], [2, 37], [53, 37]]}},
    "pan and zoom": {
        "pan": [-6, 3],
        "zoom": {"factor": 1.5, "center": [30, 15], "points": [[20, 12], [35, 12], [20, 27], [35, 27]]},
        "end": 0.75,
    },
}


@dataclass(frozen=True)
class Case:
    """A line of an entity at CENTER with RADIUS; ``camera`` is a move that carries it."""

    name: str
    path: dict[str, Any]
    frames: int = 7
    camera: dict[str, Any] | None = None


def cases() -> list[Case]:
    return [*every_kind_of_motion(), *timing(), *awkward_lines(), *discs(), *carried()]


def every_kind_of_motion() -> list[Case]:
    """Each curve kind with each pace, and each way to take points as samples in time."""
    drawn = {
        "polyline": points(ZIGZAG),
        "catmull_rom": points(ZIGZAG),
        "bezier": S_CURVE,
        "freehand": WAVE,
    }
    result = []
    for curve, line in drawn.items():
        path = {"points": line, "curve": curve, "anchor": "grabbed_point"}
        result += [Case(f"{curve}, {name}", {**path, "easing": easing}) for name, easing in EASINGS.items()]
        for fit in ("stretch", "hold", "cut"):
            result.append(Case(f"{curve}, per point, {fit}", {**path, "timing": "per_point", "fit": fit}))
    return result


def timing() -> list[Case]:
    path = {"points": points(ZIGZAG), "anchor": "grabbed_point"}
    per_point = {**path, "timing": "per_point"}
    return [
        Case("start and end", {**path, "start": 0.25, "end": 0.75}, frames=9),
        Case("start and end, eased", {**path, "start": 0.1, "end": 0.6, "easing": "ease_in_out"}, frames=9),
        Case("one frame", path, frames=1),
        Case("two frames", path, frames=2),
        Case("25 frames", path, frames=25),
        Case("as many frames as points", per_point, frames=4),
        Case("fewer frames than points", per_point, frames=3),
        Case("fewer frames than points, hold", {**per_point, "fit": "hold"}, frames=3),
        Case("per point, eased from start to end", {**per_point, "start": 0.2, "end": 0.9, "easing": "ease_out"}),
    ]


def awkward_lines() -> list[Case]:
    path = {"anchor": "grabbed_point"}
    bent = [{"x": 8, "y": 20}, {"x": 28, "y": 20, "handle_in": [0, 15]}, {"x": 48, "y": 20}]
    return [
        Case("one point rests", {**path, "points": points([(12, 9)])}),
        Case("one point, per point, cut", {**path, "points": points([(12, 9)]), "timing": "per_point", "fit": "cut"}),
        Case("points that coincide rest", {**path, "points": points([(12, 9)] * 3)}),
        Case("uneven points, catmull_rom", {**path, "points": points(UNEVEN)}, frames=11),
        Case("uneven points, catmull_rom, stretched", {**path, "points": points(UNEVEN), "timing": "per_point"}, 11),
        Case("a point twice makes a corner", {**path, "points": points([*ZIGZAG[:2], *ZIGZAG[1:]])}, frames=11),
        Case("first and last twice", {**path, "points": points([ZIGZAG[0], *ZIGZAG, ZIGZAG[-1]])}),
        Case("there and back", {**path, "points": points([(8, 9), (40, 9), (8, 9)]), "curve": "polyline"}, frames=5),
        Case("closed", {**path, "points": points([(8, 9), (40, 9), (40, 30), (8, 9)])}),
        Case("one handle in all", {**path, "points": bent, "curve": "bezier"}),
    ]


def discs() -> list[Case]:
    """What is not the line: anchor, pins, visibility, radius."""
    path = {"points": points(ZIGZAG)}
    keys = [{"time": 0.25, "scale": 1}, {"time": 0.5, "scale": 0.5}, {"time": 1, "scale": 2}]
    return [
        Case("anchor left to the weights", path),
        Case("anchor center", {**path, "anchor": "center"}),
        Case("pin, center", {**path, "anchor": "center", "static": True}),
        Case("pin, grabbed point", {**path, "anchor": "grabbed_point", "static": True}),
        Case("visible at both ends", {**path, "visible": [[0, 0.2], [0.8, 1]]}, frames=6),
        Case("visible in one frame", {**path, "visible": [[0.5, 0.5]]}),
        Case("never visible", {**path, "visible": []}),
        Case("off the canvas and back", {"points": points([(20, 20), (-20, 20), (20, -30), (90, 20)])}, frames=13),
        Case(
            "on the canvas's edge", {**path, "points": points([(-0.5, 39.5), (55.5, -0.5)]), "anchor": "grabbed_point"}
        ),
        Case("radius keys", {**path, "radius_keys": keys}, frames=9),
    ]


def carried() -> list[Case]:
    """An entity's own line with the camera's move on top."""
    path = {"points": points(ZIGZAG), "radius_keys": [{"time": 0, "scale": 1}, {"time": 1, "scale": 0.5}]}
    pin = {"points": points(ZIGZAG[:1]), "static": True}
    return [
        *(Case(f"carried by camera: {name}", path, camera=camera) for name, camera in CAMERAS.items()),
        Case("a pin carried by camera", pin, camera=CAMERAS["pan and zoom"]),
    ]


def points(line: list[tuple[float, float]]) -> list[dict[str, Any]]:
    return [{"x": x, "y": y} for x, y in line]


def document(frames: int, path: dict[str, Any] | None = None, camera: dict[str, Any] | None = None) -> MotionDocument:
    """A document with that line of entity 1, or that camera, or both."""
    data: dict[str, Any] = {"format": "draganything-motion", "version": 2, "size": SIZE, "frames": frames}
    if path is not None:
        data |= {"entities": [{"id": 1, "name": "ball"}], "paths": [{"entity": 1, **path}]}
    return document_from_json(data if camera is None else {**data, "camera": camera})


def track_of(case: Case) -> PathTrack:
    drawn = document(case.frames, case.path, case.camera)
    motion = None if drawn.camera is None else camera_motion(drawn.camera, case.frames)
    return path_track(drawn.paths[0], case.frames, drawn.size, CENTER, RADIUS, "center", motion)


def camera_tracks_of(camera: dict[str, Any], frames: int = 7) -> list[PathTrack]:
    drawn = document(frames, camera=camera)
    assert drawn.camera is not None
    return camera_tracks(drawn.camera, frames, Size(**SIZE), RADIUS)


def track_to_json(track: PathTrack) -> dict[str, Any]:
    return {
        "points": [[round(float(value), DIGITS) + 0.0 for value in point] for point in track.points],
        "visible": [bool(value) for value in track.visible],
        "radii": [round(float(value), DIGITS) for value in track.radii],
    }


def golden() -> dict[str, Any]:
    about = (
        "Where a path's disc is in every frame, for an entity with that inscribed centre and radius on a canvas of "
        "that size; default anchor: center. Rounded to 1e-9. Written by make_curves.py."
    )
    entity = {"center": list(CENTER), "radius": RADIUS}
    lines = []
    for case in cases():
        camera = {} if case.camera is None else {"camera": case.camera}
        drawn = {"name": case.name, "path": case.path, **camera, "size": SIZE, "entity": entity, "frames": case.frames}
        lines.append({**drawn, **track_to_json(track_of(case))})
    cameras = [
        {
            "name": name,
            "camera": camera,
            "size": SIZE,
            "radius": RADIUS,
            "frames": 7,
            "tracks": [track_to_json(track) for track in camera_tracks_of(camera)],
        }
        for name, camera in CAMERAS.items()
    ]
    return {"about": about, "lines": lines, "cameras": cameras}


def text_of(data: dict[str, Any]) -> str:
    """JSON with one member of a case on each line, and one frame's point on each line."""
    groups = [f'  "{group}": [\n' + ",\n".join(_case_text(case) for case in data[group]) + "\n  ]" for group in GROUPS]
    return "{\n  " + f'"about": {json.dumps(data["about"])},\n' + ",\n".join(groups) + "\n}\n"


GROUPS = ("lines", "cameras")


def _case_text(case: dict[str, Any]) -> str:
    members = []
    for key, value in case.items():
        rows = value if key in ("points", "tracks") else None
        inside = (
            json.dumps(value)
            if rows is None
            else "[\n" + ",\n".join(f"        {json.dumps(r)}" for r in rows) + "\n      ]"
        )
        members.append(f'      "{key}": {inside}')
    return "    {\n" + ",\n".join(members) + "\n    }"


if __name__ == "__main__":
    TARGET.write_text(text_of(golden()), encoding="utf-8")
    print(f"{TARGET}: {len(cases())} lines, {len(CAMERAS)} cameras")
