"""Runs one of the paper's experiments on the small model, arm by arm, and writes its table.

    python -m draganything_core.experiments table2 --dry-run
    python -m draganything_core.experiments table2 --out output/experiments
    python -m draganything_core.experiments table2 --table
    python -m draganything_core.experiments large_motion --write-limit

NAME is one of the package's experiments, or a YAML file. Every arm starts from the same frozen base, trains only its
ControlNet for equally many steps, and is judged on the same clips. The same command goes on where it stopped: finished
rows are left as they are, a training goes on from its checkpoint. A row of other settings is refused by name.

Exit status: 0 all rows are there; 75 interrupted, start the same command again; 1 a training failed; 2 wrong arguments.
"""

from __future__ import annotations

import argparse
import logging
import sys
from dataclasses import replace
from pathlib import Path

from ..atomic import write_text
from ..command_line import positive_int
from ..evaluation.report import json_text
from ..tiny import WEIGHTS
from .arms import PIXEL_MOTION, ArmStoppedError, Judges, Place, read_row, run_arm, settings
from .definition import Experiment, load_experiment, shipped_experiments
from .limits import CONFIG, write_limit
from .table import Table, made_table, stated, table_json, table_markdown
from .timing import found_pace, plan_text

EXIT_ARGUMENTS = 2
TABLE_JSON, TABLE_MARKDOWN = "table.json", "table.md"


def main(argv: list[str] | None = None) -> int:
    options = parse_arguments(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        return run(options)
    except ArmStoppedError as stopped:
        print(stopped, file=sys.stderr)
        return stopped.status
    except (ValueError, OSError, ImportError) as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_ARGUMENTS


def run(options: argparse.Namespace) -> int:
    experiment = load_experiment(options.name, options.steps, tuple(options.seeds) if options.seeds else None)
    if options.write_limit and (options.clips or options.seeds):
        raise ValueError(
            "--write-limit: a limit is written of the clips and seeds that were stated; leave out the others"
        )
    if options.clips:
        experiment = replace(experiment, clips=replace(experiment.clips, count=options.clips))
    out = Path(options.out)
    more = () if options.threads is None else (f"--threads={options.threads}",)
    place = Place(
        Path(options.svd),
        Path(options.controlnet),
        out / experiment.name,
        out / "cache",
        options.processes,
        more,
    )
    print("\n".join([f"{experiment.name}: {experiment.question}", *stated(experiment)]))
    if options.dry_run:
        pace = found_pace(experiment, place, options.seconds_per_step, options.seconds_per_clip)
        print(plan_text(experiment, place, pace))
        return 0
    if not options.table:
        judges = Judges()
        for seed in experiment.seeds:  # a whole table of one seed first
            for arm in experiment.arms:
                run_arm(experiment, arm, seed, place, judges)
                write_table(experiment, place)
    table = write_table(experiment, place)
    print(table_markdown(table))
    if options.write_limit:
        print(written_limit(experiment, table, place))
    return 0


def written_limit(experiment: Experiment, table: Table, place: Place) -> str:
    """What was written where: the limit that a whole table tells, into the config of the weights that it is of."""
    if experiment.limit is None:
        raise ValueError(f"--write-limit: {experiment.name} looks for no limit of weights")
    if table.limit is None or table.limit.value is None:
        why = f"rows are missing: {'; '.join(table.missing)}" if table.limit is None else table.limit.text
        raise ValueError(f"--write-limit: there is none to write; {why}")
    write_limit(place.controlnet, experiment.limit.entry, table.limit.value)
    return f"{place.controlnet / CONFIG}: {experiment.limit.entry} {table.limit.value:g}"


def write_table(experiment: Experiment, place: Place) -> Table:
    """The table of the rows that are there, written as table.json and table.md."""
    rows = {}
    for arm in experiment.arms:
        for seed in experiment.seeds:
            found = read_row(place.folder(arm, seed), settings(experiment, arm, seed, place))
            if found is not None:
                rows[arm.name, seed] = found
    table = made_table(experiment, rows)
    write_text(place.out / TABLE_JSON, json_text(table_json(table)))
    write_text(place.out / TABLE_MARKDOWN, table_markdown(table, pictures(experiment, place)))
    return table


def pictures(experiment: Experiment, place: Place) -> dict[str, str]:
    """Where pixels go: the real video's picture and each arm's of its first seed, as seen from the table's folder."""
    arms = {arm.name: place.folder(arm, experiment.seeds[0]) / PIXEL_MOTION for arm in experiment.arms}
    files = {"the real video": place.out / PIXEL_MOTION, **arms}
    return {arm: file.relative_to(place.out).as_posix() for arm, file in files.items() if file.is_file()}


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    names = ", ".join(shipped_experiments())
    parser = argparse.ArgumentParser(
        prog="python -m draganything_core.experiments",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", metavar="NAME", help=f"a YAML file, or one of the package's: {names}")
    parser.add_argument("--dry-run", action="store_true", help="print arms, steps and time; no more")
    parser.add_argument("--table", action="store_true", help="only write the table of the rows that are there")
    parser.add_argument(
        "--write-limit",
        action="store_true",
        help="in the end, write the limit that was found into --controlnet's config",
    )
    parser.add_argument("--steps", type=positive_int, metavar="N", help="of each training, instead of the stated ones")
    parser.add_argument("--seeds", type=int, nargs="+", metavar="S", help="instead of the stated ones")
    parser.add_argument("--clips", type=positive_int, metavar="N", help="to judge, instead of the stated number")
    parser.add_argument("--out", default="output/experiments", metavar="DIR", help="default: %(default)s")
    parser.add_argument("--processes", type=positive_int, default=1, metavar="N", help="of each training (default: 1)")
    parser.add_argument("--threads", type=positive_int, metavar="N", help="of each process")
    parser.add_argument("--seconds-per-step", type=float, metavar="S", help="for --dry-run, instead of measuring it")
    parser.add_argument("--seconds-per-clip", type=float, metavar="S", help="for --dry-run, instead of measuring it")
    group = parser.add_argument_group("networks (local; the package's small model by default)")
    group.add_argument("--svd", default=str(WEIGHTS), metavar="DIR", help="the frozen base")
    group.add_argument(
        "--controlnet", default=str(WEIGHTS / "controlnet"), metavar="DIR", help="for experiments that train nothing"
    )
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
