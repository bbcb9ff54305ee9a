"""Measure one workload under every system: compare, profile, then time in turns."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from . import measure
from .rivals import COMPILED, INTERPRETED, OURS, PRIMAL
from .worker import Failed, TooSlow, Worker
from .workloads import Workload

#: differences of a program's values are this accurate, relative to the size of its slope along a direction
NUMERICAL_TOLERANCE = 1e-4
SMALL = 10_000


@dataclass
class Row:
    """What was found out about one workload. ``skipped`` has the reason for each contestant that is missing."""

    workload: str
    loops: bool
    complete: bool
    microseconds: dict[str, float] = field(default_factory=dict)
    samples: dict[str, list[float]] = field(default_factory=dict)
    first_call_seconds: dict[str, float] = field(default_factory=dict)
    differences: dict[str, float] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    profile: dict[str, Any] = field(default_factory=dict)
    peak_bytes: dict[str, int] = field(default_factory=dict)
    compiled_at_other_shape: int | None = None
    bandwidth_share: float | None = None

    @property
    def small(self) -> bool:
        """Whether no array of the program has more than 1e4 elements."""
        return self.profile.get("largest_array", SMALL + 1) <= SMALL

    def ratio(self, *names: str) -> float | None:
        """How many times longer the fastest of these takes than our compiled gradient; None if all are missing."""
        times = [self.microseconds[name] for name in names if name in self.microseconds]
        return min(times) / self.microseconds[COMPILED] if times else None

    @property
    def cheap_gradient(self) -> float | None:
        """Our compiled gradient over our compiled loss."""
        primal = self.microseconds.get(PRIMAL)
        return self.microseconds[COMPILED] / primal if primal else None

    @property
    def notes(self) -> list[str]:
        """Where the compiled gradient was not all native, and what was left out."""
        found = [f"no {name}: {why}" for name, why in self.skipped.items()]
        if steps := self.profile.get("python_steps"):
            found.append(f"{COMPILED}: {steps} Python steps")
        if self.profile.get("fallbacks"):
            found.append(f"{COMPILED}: runs interpreted")
        return found


@dataclass(frozen=True)
class Remote:
    """A contestant in a worker's process."""

    worker: Worker
    name: str

    def repetitions(self, seconds: float) -> int:
        return self.worker.ask("repetitions", self.name, seconds)

    def time(self, count: int) -> float:
        return self.worker.ask("time", self.name, count)


@dataclass
class Session:
    """The workers, how long a rival's first call may take, how long to measure, and whom not to ask."""

    workers: Mapping[str, Worker]
    patience: float
    effort: measure.Effort
    left_out: frozenset[str] = frozenset()
    unavailable: dict[str, str] = field(default_factory=dict)

    @cached_property
    def copy_speed(self) -> float:
        return measure.copy_bytes_per_second()

    @cached_property
    def contestants(self) -> dict[str, str]:
        """Name -> family, of those that can be imported; the reasons for the others go into ``unavailable``."""
        found = {}
        for family, worker in self.workers.items():
            try:
                found |= {name: family for name in worker.ask("names") if name not in self.left_out}
            except (Failed, TooSlow) as error:
                self.unavailable[family] = str(error)
        return found

    def close(self) -> None:
        for worker in self.workers.values():
            worker.stop()


def run(workload: Workload, session: Session) -> Row:
    """Compare the systems' results, then time them."""
    row = Row(workload.name, workload.loops, workload.drive is not None)
    ready = first_calls(workload, session, row)
    ours = session.workers[OURS]
    compare(workload, row, ready, ours)
    row.profile = ours.ask("profile", COMPILED)
    at_other_shape(workload, row, ours)
    if not row.complete:
        row.peak_bytes = {name: ours.ask("peak_bytes", name) for name in (INTERPRETED, COMPILED)}
        row.peak_bytes[COMPILED] += row.profile.get("arena_bytes", 0)
    samples = measure.interleaved_samples(ready, session.effort)
    row.samples = {name: [1e6 * seconds for seconds in times] for name, times in samples.items()}
    row.microseconds = {name: statistics.median(times) for name, times in row.samples.items()}
    if workload.memory_bound:
        row.bandwidth_share = bandwidth(workload, row) / session.copy_speed
    return row


def first_calls(workload: Workload, session: Session, row: Row) -> dict[str, Remote]:
    """Load the workload everywhere and make the first calls; those that answer in time are ready."""
    ready: dict[str, Remote] = {}
    loaded: set[str] = set()
    for name, family in session.contestants.items():
        if name in workload.cannot_run:
            row.skipped[name] = workload.cannot_run[name]
            continue
        worker = session.workers[family]
        try:
            if family not in loaded:
                worker.ask("load", workload.name)
                loaded.add(family)
            if not worker.ask("prepare", name):
                continue
            patience = 600.0 if family == OURS else session.patience
            row.first_call_seconds[name] = worker.ask("first", name, patience=patience)
            ready[name] = Remote(worker, name)
        except Failed as error:
            row.skipped[name] = str(error)
        except TooSlow as error:
            row.skipped[name] = f"its first call {error}"
            restore(workload, worker, [other for other in ready.values() if other.worker is worker])
    if COMPILED not in ready or INTERPRETED not in ready:
        raise Failed(f"{workload.name}: {row.skipped}")
    return ready


def restore(workload: Workload, worker: Worker, remotes: Sequence[Remote]) -> None:
    """Bring a worker that was ended back to where it was."""
    worker.ask("load", workload.name)
    for remote in remotes:
        worker.ask("prepare", remote.name)
        worker.ask("first", remote.name)


def compare(workload: Workload, row: Row, ready: Mapping[str, Remote], ours: Worker) -> None:
    """Check every result against the interpreted one, and that against differences of the plain NumPy program."""
    results = {name: remote.worker.ask("result", name) for name, remote in ready.items() if name != PRIMAL}
    row.differences = measure.check(workload.name, results, INTERPRETED, workload.tolerance)
    if workload.drive:
        return
    slope, direction = ours.ask("numerical_slope")
    check_slope(workload.name, results[INTERPRETED], slope, direction)


def check_slope(name: str, gradient: Any, slope: float, direction: Sequence) -> None:
    """Raises where a gradient does not have that slope along that direction."""
    terms = [float((leaf * step).sum()) for leaf, step in zip(measure.leaves(gradient), direction, strict=True)]
    size = sum(float(abs(leaf * step).sum()) for leaf, step in zip(measure.leaves(gradient), direction))
    if not abs(sum(terms) - slope) <= NUMERICAL_TOLERANCE * size:
        raise measure.ResultMismatch(
            f"{name}: the gradient's slope along a random direction is {sum(terms):.10g}, differences give {slope:.10g}"
        )


def at_other_shape(workload: Workload, row: Row, ours: Worker) -> None:
    """A second trace of the same structure: the same answer, and, it is hoped, nothing to compile."""
    if workload.other is None:
        return
    found = {name: ours.ask("at_other_shape", name) for name in (INTERPRETED, COMPILED)}
    results = {name: answer["result"] for name, answer in found.items()}
    measure.check(f"{workload.name} at another shape", results, INTERPRETED, workload.tolerance)
    row.compiled_at_other_shape = found[COMPILED]["compiled"]


def bandwidth(workload: Workload, row: Row) -> float:
    """Bytes a second of a gradient that reads each argument once and writes its result once."""
    arguments = workload.arguments()
    read = sum(leaf.nbytes for leaf in measure.leaves(arguments))
    written = sum(leaf.nbytes for leaf in measure.leaves(arguments[0]))
    return 1e6 * (read + written) / row.microseconds[COMPILED]
