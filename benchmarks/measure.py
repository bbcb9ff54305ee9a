"""Fair timing: results are compared first, then the contestants take turns.

A machine's speed drifts by more than the differences of interest.  So every round times each
contestant once, one after the other, and a contestant's figure is the median over the rounds.
"""

import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

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


FULL = Effort(rounds=7, seconds=0.02, budget=4.0)
QUICK = Effort(rounds=3, seconds=0.005, budget=1.0)


#: Seconds so far: by the wall, or used by this process with all of its threads, which other work does not lengthen.
CLOCKS: dict[str, Callable[[], float]] = {"wall": time.perf_counter, "cpu": time.process_time}


def timed(call: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> tuple[object, float]:
    """The result of one call, and how many seconds it took."""
    began = clock()
    result = call()
    return result, clock() - began


class Contestant(Protocol):
    """Something that can be called many times over, here or in another process."""

    def repetitions(self, seconds: float) -> int: ...

    def time(self, count: int) -> float: ...


@dataclass(frozen=True)
class Call:
    """A contestant in this process."""

    function: Callable[[], object]

    def repetitions(self, seconds: float) -> int:
        return repetitions(self.function, seconds)

    def time(self, count: int) -> float:
        return time_loop(self.function, count)


def interleaved_samples(contestants: Mapping[str, Contestant], effort: Effort) -> dict[str, list[float]]:
    """Seconds for one call of each contestant, once a round."""
    counts = {name: contestant.repetitions(effort.seconds) for name, contestant in contestants.items()}
    times: dict[str, list[float]] = {name: [] for name in contestants}
    began = time.perf_counter()
    for round_number in range(effort.rounds):
        if round_number >= 3 and time.perf_counter() - began > effort.budget:
            break
        for name, contestant in contestants.items():
            times[name].append(contestant.time(counts[name]) / counts[name])
    return times


def interleaved_medians(contestants: Mapping[str, Contestant], effort: Effort) -> dict[str, float]:
    """Median seconds for one call of each contestant."""
    samples = interleaved_samples(contestants, effort)
    return {name: statistics.median(times) for name, times in samples.items()}


def repetitions(call: Callable[[], object], seconds: float, clock: Callable[[], float] = time.perf_counter) -> int:
    """How many calls fill that time; counted by doubling, which also warms the call up."""
    count = 1
    while (spent := time_loop(call, count, clock)) < seconds:
        # One call may be slow by accident: grow at most tenfold a try.
        count = min(10 * count, max(2 * count, int(count * seconds / max(spent, 1e-9))))
    return count


def time_loop(call: Callable[[], object], count: int, clock: Callable[[], float] = time.perf_counter) -> float:
    """Seconds for that many calls in a row."""
    began = clock()
    for _ in range(count):
        call()
    return clock() - began


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


def check(
    workload: str, results: Mapping[str, object], reference: str, tolerance: float = TOLERANCE
) -> dict[str, float]:
    """Each contestant's difference from the reference; raises if one is more than rounding."""
    differences = {
        name: difference(result, results[reference]) for name, result in results.items() if name != reference
    }
    for name, off in differences.items():
        if not off <= tolerance:
            raise ResultMismatch(
                f"{workload}: the gradient of {name!r} differs from that of {reference!r} by {off:.1e}, "
                f"relative; at most {tolerance:.0e} is rounding"
            )
    return differences


# ---------------------------------------------------------------- an independent derivative


def slope_along(loss: Callable, arguments: tuple, seed: int = 0) -> tuple[float, list[numpy.ndarray]]:
    """A loss's derivative along a random direction of its first argument, and the direction, leaf by leaf.

    Fourth-order differences: errors of 1e-9 or so, relative to the loss.
    """
    random = numpy.random.default_rng(seed)
    first, *rest = arguments
    direction = [random.normal(size=leaf.shape) for leaf in leaves(first)]

    def at(distance: float) -> float:
        steps = iter(direction)
        return float(loss(moved(first, distance, steps), *rest))

    step = 1e-4
    near, far = at(step) - at(-step), at(2 * step) - at(-2 * step)
    return (8 * near - far) / (12 * step), direction


def moved(tree, distance: float, steps: Iterator[numpy.ndarray]):
    """A nest with every leaf moved that far along the next of the steps."""
    if isinstance(tree, Mapping):
        parts = {key: moved(tree[key], distance, steps) for key in sorted(tree)}
        return {key: parts[key] for key in tree}
    if isinstance(tree, list | tuple):
        return type(tree)([moved(part, distance, steps) for part in tree])
    result = tree + distance * next(steps)
    return float(result) if isinstance(tree, float) else result


# ---------------------------------------------------------------- the machine


def copy_bytes_per_second(size: int = 1 << 26) -> float:
    """Bytes read and written in a second by NumPy's copy of a large array: what memory can do for one core."""
    source, target = numpy.ones(size // 8), numpy.empty(size // 8)
    best = min(time_loop(lambda: numpy.copyto(target, source), 1) for _ in range(7))
    return 2 * size / best
