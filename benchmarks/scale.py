"""How cost grows: python -m benchmarks.scale [--picture docs/pictures/cost.png]

FLOPs at full width, counted without computing anything: of the condition encoder against frames, entities and size, as
its plan says and as the dense way would need; and of whole videos against frames, size and steps. Counts do not depend
on the machine.
"""

from __future__ import annotations

import argparse
import io
import json
from collections.abc import Sequence
from pathlib import Path

from benchmarks.cases.condition_encoder import RADII, full_width_encoder, three_discs
from benchmarks.full_width import counted_step
from benchmarks.line_charts import Chart, drawn
from draganything_core.atomic import write_bytes, write_text
from draganything_core.condition_encoder import ConditionEncoder
from draganything_core.sparse_encoder import plan_convolutions
from draganything_core.surroundings import NumberedMap, numbered_values
from draganything_core.types import ConditionMaps, Size

FRAMES = (1, 4, 8, 14, 20, 25)
ENTITIES = (1, 2, 4, 8, 16)
SIZES = (Size(192, 320), Size(320, 576), Size(448, 768), Size(576, 1024))
STEPS = (5, 10, 15, 20, 25)
HALVES = 2
OURS, DENSE = "ours", "densely"
CONTROL, NONE, IN_STEPS = "with control", "without control", "encoded in each step"

Points = Sequence[tuple[str, float]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--picture", type=Path, default=Path("output/cost.png"))
    parser.add_argument("--out", type=Path, default=Path("output/cost.json"))
    arguments = parser.parse_args()
    charts = [*encoder_charts(full_width_encoder()), *video_charts()]
    buffer = io.BytesIO()
    drawn(charts).save(buffer, "PNG", optimize=True)
    for path in (arguments.picture, arguments.out):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(arguments.picture, buffer.getvalue())
    write_text(arguments.out, json.dumps([chart._asdict() for chart in charts], indent=2) + "\n")
    print(f"written: {arguments.picture}, {arguments.out}")


def encoder_charts(encoder: ConditionEncoder) -> list[Chart]:
    def chart(against: str, points: Points, clips: Sequence[ConditionMaps]) -> Chart:
        costs = [encoder_tflop(encoder, maps) for maps in clips]
        lines = {OURS: [ours for ours, _ in costs], DENSE: [dense for _, dense in costs]}
        return Chart(f"Condition encoder, by {against}", "TFLOP", points, lines)

    radii = [RADII[index % len(RADII)] for index in range(max(ENTITIES))]
    crowds = [three_discs(radii=tuple(radii[:count]), resting=count // 3) for count in ENTITIES]
    return [
        chart("frames", by_count(FRAMES), [three_discs(count) for count in FRAMES]),
        chart("entities", by_count(ENTITIES), crowds),
        chart("size", by_pixels(SIZES), [three_discs(size=size) for size in SIZES]),
    ]


def encoder_tflop(encoder: ConditionEncoder, maps: ConditionMaps) -> tuple[float, float]:
    """As planned, and densely from the dense map."""
    gaussian = [encoder.conv_in, *encoder.blocks, encoder.conv_out]
    entities = [*encoder.blocks_feature, encoder.conv_out_feature]
    painted = NumberedMap(maps.entity_index.int() + 1, len(maps.embeddings) + 1)
    ours = dense = 0
    for layers, pixels in ((gaussian, numbered_values(maps.gaussian[:, 0])[0]), (entities, painted)):
        plan = plan_convolutions(pixels, layers, number_bytes=4)
        height, width = maps.size.height, maps.size.width
        of_branch = 0
        for layer in layers:
            height, width = height // layer.stride[0], width // layer.stride[0]
            of_branch += 18 * layer.in_channels * layer.out_channels * maps.frames * height * width
        dense += of_branch
        if plan is None:
            ours += of_branch
        else:
            answered = zip(layers, plan, strict=True)
            ours += sum(18 * one.in_channels * one.out_channels * found.places.count for one, found in answered)
    return ours / 1e12, dense / 1e12


def video_charts() -> list[Chart]:
    """A guided video's steps, and the encoder once, or as the original has it: in every step, for both halves."""
    by_frames = [counted_step(frames) for frames in FRAMES]
    by_size = [counted_step(size=size) for size in SIZES]
    usual = counted_step()

    def chart(against: str, points: Points, steps: Sequence[tuple[dict[str, int], int]]) -> Chart:
        lines: dict[str, list[float]] = {CONTROL: [], NONE: [], IN_STEPS: []}
        for counted, count in steps:
            calls = HALVES * count / 1e15
            both = counted["unet"] + counted["controlnet"]
            lines[CONTROL].append(calls * both)
            lines[NONE].append(calls * counted["unet"])
            lines[IN_STEPS].append(calls * (both + counted["dense_encoder"]))
        return Chart(f"Steps of a guided video, by {against}", "PFLOP", points, lines)

    return [
        chart("frames (25 steps)", by_count(FRAMES), [(counted, 25) for counted in by_frames]),
        chart("size (25 steps)", by_pixels(SIZES), [(counted, 25) for counted in by_size]),
        chart("steps", by_count(STEPS), [(usual, count) for count in STEPS]),
    ]


def by_count(counts: Sequence[int]) -> Points:
    return [(str(count), count) for count in counts]


def by_pixels(sizes: Sequence[Size]) -> Points:
    return [(str(size), size.height * size.width) for size in sizes]


if __name__ == "__main__":
    main()
