"""What a new shape and a new path cost: ``python -m benchmarks.changes``.

A new shape is traced, a new path up to where it ends; if they come again often enough they are planned and linked, and
compile next to nothing. The call that traces is told beside an interpreted one, as medians of the processor time of
its thread; lowering, everything between tape and table, is for another thread and a later time.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

import autograd_jit.numpy as anp
from autograd_jit import grad
from autograd_jit.lower.program import lower

from .measure import timed

__all__ = ["Change", "main", "new_paths", "new_shapes"]

#: lines of the loss, which give a tape of about 100 operations
STEPS = 16
SHAPES, PATHS = range(40, 80), range(40)


class Change(NamedTuple):
    """Medians, in milliseconds; ``operations`` of the tape; ``compiled`` kernels in all calls but the first."""

    operations: int
    first_ms: float
    lowering_ms: float
    interpreted_ms: float
    compiled: int

    @property
    def ratio(self) -> float:
        """A call that traces, in interpreted calls."""
        return self.first_ms / self.interpreted_ms

    def __str__(self) -> str:
        return (
            f"{self.operations} operations, first call {self.first_ms:.2f} ms ({self.ratio:.1f} interpreted calls of "
            f"{self.interpreted_ms:.2f} ms); lowering, when that is worth while, {self.lowering_ms:.2f} ms; "
            f"{self.compiled} kernels compiled"
        )


def _chain(x: np.ndarray) -> np.ndarray:
    y = x
    for _ in range(STEPS):
        y = anp.sin(y) * x + 0.5
    return y


def new_shapes() -> Change:
    """One function, a new length at each call."""
    return _measured(lambda x: anp.sum(_chain(x)), [np.full(size, 0.1) for size in SHAPES])


def new_paths() -> Change:
    """One function and shape; each call stops a loop one turn later."""

    def loss(x: np.ndarray) -> np.ndarray:
        y, turns = _chain(x), 0
        while turns < x[0]:
            turns += 1
        return anp.sum(y)

    return _measured(loss, [np.full(50, float(turns)) for turns in PATHS])


def _measured(loss: Callable, points: list[np.ndarray]) -> Change:
    """The first point pays for imports and compiling, and is not counted."""
    function = grad(loss, jit=True, max_paths=2 * len(points), compile="background")
    plain = grad(loss)
    function(points[0]), function(points[0])
    compiled = function.stats.kernels_compiled
    calls, lowering, interpreted = [], [], []
    for point in points[1:]:
        traces = function.stats.traces
        calls.append(timed(lambda: function(point), time.thread_time)[1])  # noqa: B023 - called at once
        assert function.stats.traces == traces + 1, function.explain()
        interpreted.append(statistics.median([timed(lambda: plain(point), time.thread_time)[1] for _ in range(3)]))  # noqa: B023
        function(point)  # replayed between two traces, as in a program that is worth compiling
        tape = function.tape(point)
        lowering.append(timed(lambda: lower(tape, "never"), time.thread_time)[1])  # noqa: B023
    milliseconds = [1e3 * statistics.median(times) for times in (calls, lowering, interpreted)]
    operations = len(function.tape(points[-1]).ops)
    return Change(operations, *milliseconds, function.stats.kernels_compiled - compiled)


def main() -> int:
    print("new shape:", new_shapes())
    print("new path:", new_paths())
    return 0


if __name__ == "__main__":
    sys.exit(main())
