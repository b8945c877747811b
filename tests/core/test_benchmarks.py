"""What the benchmarks compare with does the same work, and what they write can be read."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks import editor_frames
from benchmarks.cases.condition_maps import largest_difference, plain_maps
from benchmarks.line_charts import HEIGHT, WIDTH, Chart, drawn
from benchmarks.measuring import Case, Way, environment, flops_counted, measured
from benchmarks.table import BEGIN, END, markdown, put_into_page
from draganything_core.conditions import Geometry, build_condition_maps, painted_embeddings
from draganything_core.reference_geometry import reference_centers, reference_sides
from draganything_core.types import Entities, EntityFeatures, FeatureSource, Size, Tracks

SIZE, LIMIT = Size(40, 56), 9.0


def test_the_loop_over_pixels_draws_the_reference_geometry_exactly():
    y, x = torch.meshgrid(torch.arange(61), torch.arange(83), indexing="ij")
    masks = torch.stack(
        [(x - cx) ** 2 + (y - cy) ** 2 <= r**2 for cx, cy, r in ((30, 28, 7), (44, 30, 19), (70, 50, 4))]
    )
    entities = Entities.from_masks(masks)
    # Over each other, cut by borders, and away from the picture.
    paths = torch.tensor([[[30.0, 28.0], [44.0, 30.0], [70.0, 50.0]], [[2.0, 28.0], [82.0, 60.0], [90.0, -30.0]]])
    radii = torch.tensor([entity.radius for entity in entities]).expand(2, 3)
    tracks = Tracks(paths, torch.arange(3), torch.ones(2, 3, dtype=torch.bool), radii, entities.size)
    vectors = torch.randn(3, 320, generator=torch.Generator().manual_seed(0))
    painted = painted_embeddings(EntityFeatures(vectors, FeatureSource("sd15")), 160)
    maps = build_condition_maps(entities, tracks, painted, SIZE, Geometry("reference", LIMIT, SIZE))
    centers = reference_centers(tracks, SIZE).tolist()
    sides = reference_sides(entities, tracks, SIZE, LIMIT).tolist()
    plain = plain_maps(centers, sides, vectors, (SIZE.height, SIZE.width))
    assert plain[1].shape == (2, 160, 40, 56)
    assert (maps.entity_index >= 0).sum() > 300
    assert largest_difference(maps, plain) == 0


def test_ways_are_measured_by_turns_and_compared_with_ours(tmp_path):
    calls = []
    numbers = torch.ones(3, 5)

    def way(name, offset):
        return Way(name, lambda: calls.append(name) or numbers @ numbers.T + offset)

    case = Case(
        "products",
        "of 3x5",
        [way("ours", 0.0), way("plain", 0.25), way("other", 9.0)],
        lambda ours, other: float((ours - other).abs().max()),
        ("plain",),
        ["A remark."],
    )
    found = measured(case, repeats=2)
    assert calls == ["ours", "plain", "other", "ours", "plain", "other", "plain", "other", "ours"]
    assert {name: result["flops"] for name, result in found["ways"].items()} == dict.fromkeys(
        ("ours", "plain", "other"), 2 * 3 * 5 * 3
    )
    assert found["ways"]["plain"]["difference"] == 0.25
    assert "difference" not in found["ways"]["other"]

    environment = {
        "date": "today", "commit": "abc", "processor": "some", "cores": 2, "threads": 1, "load": 0.5, "gpu": None,
        "system": "Linux", "python": "3", "torch": "2",
    }  # fmt: skip
    text = markdown({"command": "python", "environment": environment, "cases": {"products": found}})
    assert "| **products**: of 3x5 | ours |" in text
    assert text.endswith("products: A remark.")
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    put_into_page(text, page)
    assert page.read_text() == f"before\n{BEGIN}\n\n{text}\n\n{END}\nafter\n"
    page.write_text("no marks")
    with pytest.raises(ValueError, match="no place for the table"):
        put_into_page(text, page)


def test_attention_on_the_cpu_is_counted():
    query, key = torch.randn(2, 3, 5, 8), torch.randn(2, 3, 7, 8)
    with torch.no_grad(), flops_counted() as counter:
        torch.nn.functional.scaled_dot_product_attention(query, key, key)
    assert counter.get_total_flops() == 2 * (2 * 3) * 5 * 7 * (8 + 8)


def test_charts_have_their_place():
    chart = Chart("cost", "TFLOP", [("1", 1.0), ("4", 4.0)], {"ours": [0.0, 3.2], "plain": [1.0, 40.0]})
    picture = drawn([chart, chart, chart])
    assert picture.size == (2 * WIDTH, 2 * HEIGHT)
    assert picture.crop((0, 0, WIDTH, HEIGHT)).tobytes() == picture.crop((0, HEIGHT, WIDTH, 2 * HEIGHT)).tobytes()
    assert len(picture.crop((WIDTH, HEIGHT, 2 * WIDTH, 2 * HEIGHT)).getcolors()) == 1


def page_of(editor):
    return markdown({"command": "", "environment": environment(), "cases": {}, "full_width": None, "editor": editor})


def test_the_editor_has_its_line(tmp_path, monkeypatch):
    measured = tmp_path / "measured.py"
    measured.write_text(
        "import json, pathlib, sys\n"
        "limits = {'hover': 8.0, 'drag': 8.0, 'open': 200.0}\n"
        "figures = {'hover': 2.1, 'drag': 4.25, 'open': 140.0, 'document': 114000, 'limits': limits}\n"
        "pathlib.Path(sys.argv[sys.argv.index('--json') + 1]).write_text(json.dumps(figures))\n"
    )
    monkeypatch.setattr(editor_frames, "MEASURE", measured)
    line = page_of(editor_frames.editor_frames())
    assert "hovers 2.1 ms (wanted: 8), a move that drags 4.2 ms" in line
    assert "opening 140.0 ms (wanted: 200); the document is 114 kB" in line


def test_without_a_browser_the_editor_is_said_to_be_absent(tmp_path, monkeypatch):
    failing = tmp_path / "failing.py"
    failing.write_text("import sys\nsys.exit('no Chromium here')\n")
    monkeypatch.setattr(editor_frames, "MEASURE", failing)
    assert page_of(editor_frames.editor_frames()).endswith("Editor frames were not measured: no Chromium here")
    assert "Editor" not in page_of(None)
