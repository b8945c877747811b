"""What was measured, as Markdown; and its place in a page that holds more than that."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from draganything_core.atomic import write_text

BEGIN, END = "<!-- benchmarks: begin -->", "<!-- benchmarks: end -->"


def markdown(record: dict[str, Any]) -> str:
    """A table of all cases. Ratios are of the other way's median to ours: above 1, ours is faster."""
    lines = ["| what | way | seconds | CPU s | ours is faster by | peak MiB | GFLOP | off by |", "|" + "---|" * 8]
    for name, case in record["cases"].items():
        (_, ours), *_ = case["ways"].items()
        for index, (way, found) in enumerate(case["ways"].items()):
            cells = [
                f"**{name}**: {case['what']}" if index == 0 else "",
                way,
                _short(found["seconds"]),
                _short(found["cpu_seconds"]),
                "" if index == 0 else f"{found['seconds'] / ours['seconds']:.2f}x",
                "" if found["peak_mib"] is None else f"{found['peak_mib']:.0f}",
                f"{found['flops'] / 1e9:.1f}" if found["flops"] else "",
                f"{found['difference']:.1e}" if "difference" in found else "",
            ]
            lines.append("| " + " | ".join(cells) + " |")
    remarks = [f"{name}: {remark}" for name, case in record["cases"].items() for remark in case["remarks"]]
    table = ["\n".join(lines)] if record["cases"] else []
    return "\n\n".join([_setting(record), *table, *remarks, *_full_width(record), *_editor(record)])


def put_into_page(text: str, page: Path) -> None:
    """Replaces what stands between the page's two marks; ValueError where they are missing."""
    whole = page.read_text(encoding="utf-8")
    if BEGIN not in whole or END not in whole:
        raise ValueError(f"{page}: no place for the table. Put the lines {BEGIN} and {END} where it shall stand.")
    before, after = whole.split(BEGIN)[0], whole.split(END)[1]
    write_text(page, f"{before}{BEGIN}\n\n{text}\n\n{END}{after}")


def _setting(record: dict[str, Any]) -> str:
    where = record["environment"]
    load = "" if where["load"] is None else f", load {where['load']:.1f} at the start"
    repeats = max((case["repeats"] for case in record["cases"].values()), default=0)
    return (
        f"`{record['command']}`, {where['date']}, commit {where['commit']}: {where['processor']}, {where['cores']} "
        f"cores, {where['threads']} threads{load}, {where['gpu'] or 'no GPU'}, {where['system']}, Python "
        f"{where['python']}, torch {where['torch']}. Medians of up to {repeats} interleaved repeats after one cold "
        "call, which gave the peak memory above what the process held before, and the FLOPs."
    )


def _full_width(record: dict[str, Any]) -> list[str]:
    counted = record.get("full_width")
    if not counted:
        return []
    ratio = (counted["unet"] + counted["controlnet"]) / counted["unet"]
    return [
        f"Counted at full width, one half of guidance, {counted['frames']} frames of {counted['height']}x"
        f"{counted['width']}: the UNet {counted['unet'] / 1e12:.1f} TFLOP a step, the ControlNet "
        f"{counted['controlnet'] / 1e12:.1f}, so a step with control counts for {ratio:.2f} times one without. The "
        f"condition encoder, densely, {counted['dense_encoder'] / 1e12:.2f}."
    ]


def _editor(record: dict[str, Any]) -> list[str]:
    found = record.get("editor")
    if not found:
        return []
    if "absent" in found:
        return [f"Editor frames were not measured: {found['absent']}"]
    limits = found["limits"]
    costs = ", ".join(
        f"{what} {found[name]:.1f} ms (wanted: {limits[name]:g})"
        for what, name in (("a move that hovers", "hover"), ("a move that drags", "drag"), ("opening", "open"))
    )
    return [
        "Editor frames, 20 lines of 200 points and five masks on 1024x576, medians of what the page's main thread "
        f"works in Chromium: {costs}; the document is {found['document'] / 1000:.0f} kB."
    ]


def _short(seconds: float) -> str:
    return f"{seconds:.4f}" if seconds < 1 else f"{seconds:.2f}"
