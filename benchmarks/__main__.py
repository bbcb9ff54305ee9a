"""The command ``python -m benchmarks``."""

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path

from . import measure, report, rivals
from .run import Row, run
from .workloads import SUITE, Workload


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Compiled gradients against interpreted ones, HIPS autograd and jax (where installed).",
    )
    add = parser.add_argument
    add("--quick", action="store_true", help="leave out the large sizes and measure briefly")
    add("--only", metavar="TEXT", action="append", help="only workloads whose name contains this; repeatable")
    add("--repeat", metavar="N", type=int, help="rounds in which the systems take turns")
    add("--json", metavar="FILE", type=Path, help="write everything measured to this file")
    add("--no-rivals", action="store_true", help="leave out the other systems")
    return parser.parse_args(argv)


def chosen(options: argparse.Namespace) -> list[Workload]:
    """The workloads that the options ask for; one asked for by name runs even if it is large."""
    if options.only:
        return [workload for workload in SUITE if any(text in workload.name for text in options.only)]
    return [workload for workload in SUITE if workload.quick or not options.quick]


def effort(options: argparse.Namespace) -> measure.Effort:
    """How long to measure."""
    usual = measure.QUICK if options.quick else measure.FULL
    return dataclasses.replace(usual, rounds=options.repeat) if options.repeat else usual


def main(argv: Sequence[str] | None = None) -> list[Row]:
    """Run the suite, print the table as it grows, write the JSON."""
    options = arguments(argv)
    workloads = chosen(options)
    if not workloads:
        sys.exit(f"no workload is named so; there are: {', '.join(workload.name for workload in SUITE)}")
    others = [] if options.no_rivals else rivals.installed()
    names = [system.name for system in others]
    print(report.header(names), flush=True)
    rows = []
    for workload in workloads:
        rows.append(run(workload, [*rivals.ours(), *others], effort(options)))
        print(report.line(rows[-1], names), flush=True)
    print(f"\n{report.closing(rows, names)}")
    if options.json:
        options.json.write_text(report.as_json(rows) + "\n")
    return rows


if __name__ == "__main__":
    main()
