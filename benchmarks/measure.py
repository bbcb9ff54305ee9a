"""Fair timing: results are compared first, then the contestants take turns.

A machine's speed drifts by more than the differences of interest.  So every round times each
contestant once, one after the other, and a contestant's figure is the median over the rounds.
"""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy

TOLERANCE = 1e-8


class ResultMismatch(AssertionError):
    """Two systems computed different gradients; timing them would be pointless."""


@dataclass(frozen=True)
class Effort:
    """How long to measure.

    A round gives each contestant ``seconds`` at the least.  Slow workloads end after three rounds,
    once ``budget`` seconds are spent.
    """

    rounds: int
    seconds: float
    budget: float


FULL = Effort(rounds=9, seconds=0.05, budget=20.0)
QUICK = Effort(rounds=3, seconds=0.005, budget=2.0)


def timed(call: Callable[[], object]) -> tuple[object, float]:
    """The result of one call, and how many seconds it took."""
    began = time.perf_counter()
    result = call()
    return result, time.perf_counter() - began


def interleaved_medians(calls: Mapping[str, Callable[[], object]], effort: Effort) -> dict[str, float]:
    """Median seconds for one call of each contestant."""
    counts = {name: repetitions(call, effort.seconds) for name, call in calls.items()}
    times: dict[str, list[float]] = {name: [] for name in calls}
    began = time.perf_counter()
    for round_number in range(effort.rounds):
        if round_number >= 3 and time.perf_counter() - began > effort.budget:
            break
        for name, call in calls.items():
            times[name].append(time_loop(call, counts[name]) / counts[name])
    return {name: statistics.median(samples) for name, samples in times.items()}


def repetitions(call: Callable[[], object], seconds: float) -> int:
    """How many calls fill that time; counted by doubling, which also warms the call up."""
    count = 1
    while (spent := time_loop(call, count)) < seconds:
        # One call may be slow by accident: grow at most tenfold a try.
        count = min(10 * count, max(2 * count, int(count * seconds / max(spent, 1e-9))))
    return count


def time_loop(call: Callable[[], object], count: int) -> float:
    """Seconds for that many calls in a row."""
    began = time.perf_counter()
    for _ in range(count):
        call()
    return time.perf_counter() - began


# ---------------------------------------------------------------- comparing results


def leaves(tree) -> list[numpy.ndarray]:
    """The arrays of a nest of dicts, lists and tuples, in a fixed order."""
    if isinstance(tree, Mapping):
        return [leaf for key in sorted(tree) for leaf in leaves(tree[key])]
    if isinstance(tree, list | tuple):
        return [leaf for part in tree for leaf in leaves(part)]
    return [numpy.asarray(tree)]


def difference(result, expected) -> float:
    """Largest difference over the leaves, each relative to the largest entry expected in it."""
    ours, theirs = leaves(result), leaves(expected)
    if [leaf.shape for leaf in ours] != [leaf.shape for leaf in theirs]:
        return float("inf")
    return max((leaf_difference(a, b) for a, b in zip(ours, theirs)), default=0.0)


def leaf_difference(a: numpy.ndarray, b: numpy.ndarray) -> float:
    """Largest absolute difference over largest magnitude expected; infinite where one is not a number."""
    if a.size == 0:
        return 0.0
    scale = float(numpy.max(abs(b)))
    off = float(numpy.max(abs(a - b)))
    relative = off / scale if scale else off
    return relative if relative == relative else float("inf")


def check(workload: str, results: Mapping[str, object], reference: str) -> dict[str, float]:
    """Each contestant's difference from the reference; raises if one is more than rounding."""
    differences = {
        name: difference(result, results[reference]) for name, result in results.items() if name != reference
    }
    for name, off in differences.items():
        if not off <= TOLERANCE:
            raise ResultMismatch(
                f"{workload}: the gradient of {name!r} differs from that of {reference!r} by {off:.1e}, "
                f"relative; at most {TOLERANCE:.0e} is rounding"
            )
    return differences
