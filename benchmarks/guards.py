"""What soundness costs: guards and captured state, branches in turn, many shapes, many fits.

    python -m benchmarks.guards
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np

import autograd_jit.numpy as anp
from autograd_jit import grad, jit, known_programs

X = np.array([1.0, 2.0, 3.0])


def microseconds(calls: list[Callable[[], object]], rounds: int = 31, number: int = 2000) -> list[float]:
    """The median time of each call, measured in turns."""
    samples: list[list[float]] = [[] for _ in calls]
    for _ in range(rounds):
        for call, found in zip(calls, samples, strict=True):
            started = time.perf_counter()
            for _ in range(number):
                call()
            found.append(time.perf_counter() - started)
    return [1e6 * statistics.median(found) / number for found in samples]


def plain(x: np.ndarray) -> np.ndarray:
    """The same arithmetic without guards and captures."""
    total = anp.sum(x)
    for _ in range(10):
        total = total + x[0] * 0.5
    return total


def with_guards_and_captures() -> Callable:
    """Ten branches on values, ten captured variables: an array, numbers, text, a function, a list."""
    data, a, b, c, d = np.ones(3), 0.5, 0.25, 0.125, 1.5
    name, count, flag, halve, parts = "rate", 3, True, lambda y: y * 0.5, [1, 2]

    def fun(x: np.ndarray) -> np.ndarray:
        total = anp.sum(x * data)
        for bound in range(10):
            if x[0] > bound + 2:
                total = total * a + b + c + d
            else:
                total = total + halve(x[0])
        return total if name == "rate" and count == 3 and flag and len(parts) == 2 else x[0]

    return fun


def guards_and_captures() -> str:
    """What ten of each add to a call."""
    bare, guarded = jit(plain), jit(with_guards_and_captures())
    for call in (bare, guarded):
        call(X)
    assert len(guarded.tape(X).guards) >= 10
    first, second = microseconds([lambda: bare(X), lambda: guarded(X)])
    return f"ten guards and ten captures add {second - first:.2f} us to a call of {first:.2f}"


def alternating_branches() -> str:
    """Two paths, taken in turn."""
    gradient = grad(lambda x: anp.sum(x**2) if x[0] > 0 else anp.sum(x**3), jit=True)
    started = time.perf_counter()
    for number in range(10_000):
        gradient(X if number % 2 else -X)
    each = 1e6 * (time.perf_counter() - started) / 10_000
    return f"10,000 alternating branches: {gradient.stats.traces} traces, {each:.1f} us a call"


def many_shapes() -> str:
    """One function, a hundred shapes."""
    gradient = grad(lambda x: anp.sum(anp.tanh(x) * x), jit=True)
    gradient(np.ones(2))
    first = gradient.stats.kernels_compiled + gradient.stats.kernels_loaded
    for size in range(3, 103):
        gradient(np.ones(size))
    after = gradient.stats.kernels_compiled + gradient.stats.kernels_loaded
    return f"100 more shapes: {gradient.stats.traces - 1} plans, {after - first} kernels more than for one"


def many_fits() -> str:
    """A fresh closure over fresh data for every fit."""
    traces, started = 0, time.perf_counter()
    rng = np.random.default_rng(0)
    for _ in range(1000):
        inputs, targets = rng.normal(size=(20, 3)), rng.normal(size=20)
        gradient = grad(lambda w, a=inputs, b=targets: anp.sum((a @ w - b) ** 2), jit=True)
        for _ in range(5):
            gradient(X)
        traces += gradient.stats.traces
    each = 1e6 * (time.perf_counter() - started) / 1000
    return f"1,000 fits of fresh closures: {traces} trace, {each:.0f} us a fit of five gradients"


def main() -> None:
    """Measure and print."""
    for figure in (guards_and_captures, alternating_branches, many_shapes, many_fits):
        known_programs.registry.clear()
        print(figure())


if __name__ == "__main__":
    main()
