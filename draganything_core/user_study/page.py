"""The page that raters open: one HTML file with all pictures in it, which asks nobody for anything."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from .shown import ShownCase
from .study import FORMAT, QUESTIONS, Study

TEMPLATE = Path(__file__).with_name("page.html")
PLACE = "__STUDY__"


def page(study: Study, shown: Sequence[ShownCase], fps: float) -> str:
    """The page's text; shown: each case's pictures, the two videos in the order of the case's methods."""
    content = {
        "format": FORMAT,
        "id": study.identity,
        "fps": fps,
        "questions": QUESTIONS,
        "orders": [[{"case": each.case, "left": each.left} for each in order] for order in study.orders],
        "cases": [{"asked": each.asked, "videos": each.videos} for each in shown],
    }
    # What is in a script ends at the first "</".
    text = json.dumps(content).replace("<", "\\u003c")
    return TEMPLATE.read_text("utf-8").replace(PLACE, text)
