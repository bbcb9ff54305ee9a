"""The command ``python -m benchmarks``."""

import argparse
import dataclasses
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from . import measure, report
from .rivals import FAMILIES, OURS, TORCH_COMPILE
from .run import Row, Session, run
from .worker import Failed, TooSlow, Worker
from .workloads import BY_NAME, SUITE, Workload


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Compiled gradients against interpreted ones, gradients by hand, and other installed systems.",
    )
    add = parser.add_argument
    add("--quick", action="store_true", help="leave out the large sizes and measure briefly")
    add("--only", metavar="NAME,...", action="append", help="only workloads whose name contains one of these")
    add("--repeat", metavar="N", type=int, help="rounds in which the systems take turns")
    add("--json", metavar="FILE", type=Path, help="write everything measured to this file")
    add("--picture", metavar="FILE", type=Path, help="draw the ratios (needs matplotlib)")
    add("--rivals", metavar="NAME,...", help=f"of {', '.join(rivals())}; the default is all that are installed")
    add("--no-rivals", action="store_true", help="leave out the other systems")
    add("--patience", metavar="S", type=float, default=8.0, help="leave out a rival whose first call takes longer")
    add("--torch-python", metavar="FILE", default=sys.executable, help="the interpreter that has torch (and NumPy)")
    add("--torch-compile", action="store_true", help="torch.compile besides eager torch: many seconds a workload")
    add("--busy", action="store_true", help="for a machine with other work: one core, and CPU time, not the wall clock")
    return parser.parse_args(argv)


def rivals() -> list[str]:
    """The other families."""
    return [family for family in FAMILIES if family != OURS]


def chosen(options: argparse.Namespace) -> list[Workload]:
    """The workloads that the options ask for; one asked for by name runs even if it is large."""
    if options.only:
        texts = [text for given in options.only for text in given.split(",")]
        exact = [BY_NAME[text] for text in texts if text in BY_NAME]
        partly = [text for text in texts if text not in BY_NAME]
        return [workload for workload in SUITE if workload in exact or any(text in workload.name for text in partly)]
    return [workload for workload in SUITE if workload.quick or not options.quick]


def effort(options: argparse.Namespace) -> measure.Effort:
    """How long to measure."""
    usual = measure.QUICK if options.quick else measure.FULL
    return dataclasses.replace(usual, rounds=options.repeat) if options.repeat else usual


def session(options: argparse.Namespace) -> Session:
    """A process for each family asked for."""
    asked = options.rivals.split(",") if options.rivals else rivals()
    families = [OURS] if options.no_rivals else [OURS, *asked]
    interpreters = {"torch": options.torch_python}
    clock = "cpu" if options.busy else "wall"
    workers = {family: Worker(family, interpreters.get(family, sys.executable), clock) for family in families}
    left_out = frozenset() if options.torch_compile else frozenset({TORCH_COMPILE})
    return Session(workers, options.patience, effort(options), left_out)


def main(argv: Sequence[str] | None = None) -> list[Row]:
    """Run the suite, print the table as it grows, write the JSON and the picture."""
    options = arguments(argv)
    workloads = chosen(options)
    if not workloads:
        sys.exit(f"no workload is named so; there are: {', '.join(workload.name for workload in SUITE)}")
    if options.busy:  # thread pools whose threads wait for a busy core cost their system tenfold
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-1:])
    with tempfile.TemporaryDirectory() as folder:
        os.environ["AUTOGRAD_JIT_CACHE_DIR"] = folder  # first calls shall compile
        rows, unavailable, failed = measured(workloads, session(options))
    print(f"\n{report.closing(rows, unavailable)}")
    for name, why in failed.items():
        print(f"{name}: FAILED: {why}")
    if options.json:
        options.json.write_text(report.as_json(rows, unavailable) + "\n")
    if options.picture:
        from .picture import draw

        draw(rows, options.picture)
    if failed:
        sys.exit(f"{len(failed)} of {len(workloads)} workloads failed: {', '.join(failed)}")
    return rows


def measured(workloads: Sequence[Workload], session: Session) -> tuple[list[Row], dict[str, str], dict[str, str]]:
    """Every row, printed as it is found; the families that could not be had; the workloads that failed."""
    print(report.header(), flush=True)
    rows, failed = [], {}
    try:
        for workload in workloads:
            try:
                rows.append(run(workload, session))
            except (measure.ResultMismatch, Failed, TooSlow) as error:
                failed[workload.name] = str(error)
                print(f"{workload.name}: FAILED: {error}", flush=True)
            else:
                print(report.line(rows[-1]), flush=True)
    finally:
        session.close()
    return rows, session.unavailable, failed


if __name__ == "__main__":
    main()
