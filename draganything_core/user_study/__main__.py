"""Which of two videos do people prefer? Makes a page with blind pairs, and counts the votes that come back.

    python -m draganything_core.user_study --videos ours=DIR --videos theirs=DIR --asked DIR --out study
    python -m draganything_core.user_study --key study/key.json --votes votes-*.json

study/page.html is one file that needs nothing else: give it to the raters. study/key.json says which method made which
video: keep it. Raters answer two questions a pair by keyboard; the page keeps their progress in the browser, and gives
them a file with their votes in the end. Nothing is sent anywhere. results.md and results.json come beside the key.

--videos: a name, and a folder with DIR/CLIP.mp4, or a folder DIR/CLIP of pictures, for every clip; give two or more.
--asked: a folder with CLIP.json, a motion document, or CLIP.png, a first frame with its lines, for every clip. Instead,
--protocol takes first frames and lines from an evaluation's protocol (see draganything_core.evaluate).
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from ..atomic import write_text
from ..command_line import positive_int
from ..data.folders import DEFAULT_FPS
from ..evaluation.cases import open_cases, open_protocol
from ..evaluation.report import json_text
from ..evaluation.videos import VideoFolder
from .page import page
from .shown import Asked, AskedByProtocol, AskedFolder, drawn_pictures, shown_case
from .study import CASES, RATERS, planned
from .votes import read_key, read_votes, tallied, tally_json, tally_markdown

PAGE, KEY, RESULTS_JSON, RESULTS_MARKDOWN = "page.html", "key.json", "results.json", "results.md"


def main(argv: list[str] | None = None) -> int:
    options = parse_arguments(argv)
    try:
        check_options(options)
        if options.key:
            count(options)
        else:
            make(options)
    except (ValueError, OSError, ImportError) as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return 2
    return 0


def make(options: argparse.Namespace) -> None:
    """Writes the page and the key."""
    places = named_folders(options.videos)
    pictures = drawn_pictures(chosen_asked(options), places, options.cases, options.seed)
    plan = planned(list(places), list(pictures), options.raters, options.seed)
    folders = {name: VideoFolder(place, list(pictures)) for name, place in places.items()}
    shown = [
        shown_case(case.clip, pictures[case.clip], [folders[method] for method in case.methods])
        for case in tqdm(plan.cases, unit="pair")
    ]
    study = replace(plan, marks=tuple(case.mark for case in shown))
    out = Path(options.out)
    write_text(out / KEY, json_text(study.key_json()))
    write_text(out / PAGE, page(study, shown, options.fps))
    size = f"{(out / PAGE).stat().st_size / 1e6:.1f} MB"
    print(f"{out / PAGE}, {size}: {len(shown)} pairs, to be seen by {options.raters} raters")  # noqa: T201
    print(f"{out / KEY}: which method made which video; not for them")  # noqa: T201


def count(options: argparse.Namespace) -> None:
    """Writes and prints what came of the votes."""
    key = read_key(options.key)
    tally = tallied(key, read_votes(key, options.votes))
    out = Path(options.out) if options.out else Path(options.key).parent
    write_text(out / RESULTS_JSON, json_text(tally_json(key, tally)))
    write_text(out / RESULTS_MARKDOWN, tally_markdown(key, tally))
    print(tally_markdown(key, tally))  # noqa: T201


def chosen_asked(options: argparse.Namespace) -> Asked:
    """Where first frames and lines come from."""
    if options.asked:
        return AskedFolder(options.asked)
    return AskedByProtocol(open_cases(open_protocol(options.protocol), options.annotation, options.dataset))


def named_folders(given: list[str]) -> dict[str, Path]:
    """The folders by their methods' names. Raises ValueError for what is not NAME=DIR, or a name given twice."""
    found: dict[str, Path] = {}
    for text in given:
        name, separator, folder = text.partition("=")
        if not (name and separator and folder) or name in found:
            raise ValueError(f"--videos {text}: expected NAME=DIR, each name once")
        found[name] = Path(folder)
    return found


def check_options(options: argparse.Namespace) -> None:
    """Raises ValueError for options that do not go together."""
    if bool(options.key) != bool(options.votes):
        raise ValueError("--key FILE and --votes FILE ... go together")
    if options.key:
        return
    if not options.videos or not options.out:
        raise ValueError("give --videos NAME=DIR twice or more and --out DIR to make a study, or --key and --votes")
    if bool(options.asked) == bool(options.protocol):
        raise ValueError("give --asked DIR or --protocol NAME, for first frames and lines, and not both")
    if not options.fps > 0:
        raise ValueError(f"--fps must be > 0, got {options.fps}")


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m draganything_core.user_study",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    making = parser.add_argument_group("make a study")
    making.add_argument("--videos", action="append", metavar="NAME=DIR", help="a method's videos; two or more")
    making.add_argument("--asked", metavar="DIR", help="motion documents, or first frames with lines")
    making.add_argument("--protocol", metavar="NAME", help="instead: an evaluation's protocol, name or file")
    making.add_argument("--annotation", metavar="DIR", help="of the protocol's dataset, by draganything_core.annotate")
    making.add_argument("--dataset", metavar="DIR", help="its root, if it is no longer where it was annotated")
    making.add_argument("--cases", type=positive_int, metavar="N", help=f"clips, drawn by lot (default: up to {CASES})")
    making.add_argument("--raters", type=positive_int, default=RATERS, metavar="N", help="default: %(default)s")
    making.add_argument("--fps", type=float, default=DEFAULT_FPS, help="that all videos are shown at (default: 7)")
    making.add_argument("--seed", type=int, default=0, help="of clips, orders and sides (default: 0)")
    making.add_argument("--out", metavar="DIR", help="folder for page and key, or for results (default: the key's)")
    counting = parser.add_argument_group("count votes")
    counting.add_argument("--key", metavar="FILE", help="key.json of the study")
    counting.add_argument("--votes", nargs="+", metavar="FILE", help="files that the page saved")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
