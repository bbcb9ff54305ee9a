"""Measure one workload under every system: compare, count kernels, then time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from . import measure
from .rivals import COMPILED, INTERPRETED, System
from .workloads import Workload


@dataclass
class Row:
    """What was found out about one workload."""

    workload: str
    microseconds: dict[str, float] = field(default_factory=dict)
    first_call_seconds: dict[str, float] = field(default_factory=dict)
    differences: dict[str, float] = field(default_factory=dict)
    kernels_compiled: int = 0
    kernels_compiled_at_other_shape: int | None = None
    python_steps: int = 0
    fallbacks: int = 0
    notes: list[str] = field(default_factory=list)

    @property
    def ratio(self) -> float:
        """How many times faster the compiled gradient is than the interpreted one."""
        return self.microseconds[INTERPRETED] / self.microseconds[COMPILED]


def run(workload: Workload, systems: Sequence[System], effort: measure.Effort) -> Row:
    """Compare the systems' gradients, then time them."""
    row = Row(workload.name)
    gradients = {system.name: system.gradient(workload.make_loss(system.namespace)) for system in systems}
    for name in workload.cannot_run:
        if gradients.pop(name, None):
            row.notes.append(f"no {name}: {workload.cannot_run[name]}")
    arguments = workload.arguments()
    compare(row, gradients, arguments)
    if workload.other_arguments:
        compare_at_other_shape(row, gradients, workload.other_arguments())
    count(row, gradients[COMPILED].stats)
    calls = {name: (lambda gradient=gradient: gradient(*arguments)) for name, gradient in gradients.items()}
    medians = measure.interleaved_medians(calls, effort)
    row.microseconds = {name: 1e6 * seconds for name, seconds in medians.items()}
    return row


def compare(row: Row, gradients: dict[str, Callable], arguments: tuple) -> None:
    """Time the first calls; then check the later ones, since a first call may be an interpreted run."""
    results = {}
    for name, gradient in gradients.items():
        _, row.first_call_seconds[name] = measure.timed(lambda gradient=gradient: gradient(*arguments))
        gradient(*arguments)
        results[name] = gradient(*arguments)
    row.differences = measure.check(row.workload, results, INTERPRETED)
    row.kernels_compiled = gradients[COMPILED].stats.kernels_compiled


def compare_at_other_shape(row: Row, gradients: dict[str, Callable], arguments: tuple) -> None:
    """A second trace of the same structure: the same answer, and, it is hoped, nothing to compile."""
    ours = {name: gradients[name] for name in (INTERPRETED, COMPILED)}
    for gradient in ours.values():
        gradient(*arguments)
    results = {name: gradient(*arguments) for name, gradient in ours.items()}
    measure.check(f"{row.workload} at another shape", results, INTERPRETED)
    compiled = gradients[COMPILED].stats.kernels_compiled
    row.kernels_compiled_at_other_shape = compiled - row.kernels_compiled


def count(row: Row, stats) -> None:
    """Note where the compiled gradient was not all native: its time would otherwise be a puzzle."""
    row.python_steps, row.fallbacks = stats.python_steps, stats.fallbacks
    if row.fallbacks:
        row.notes.append(f"{COMPILED}: fell back to interpreted {row.fallbacks} times")
    if row.python_steps:
        row.notes.append(f"{COMPILED}: {row.python_steps} Python steps")
