"""Throughput of one compiled gradient, called from one thread and from several at once.

    python -m benchmarks.threads

The gradient takes about a millisecond and works in kernels alone: replays release the interpreter lock, so that
threads should add up as far as there are cores. Rounds of one thread and of several take turns; medians.
"""

from __future__ import annotations

import argparse
import os
import statistics
import threading
import time
from collections.abc import Callable

import numpy as np

import autograd_jit.numpy as anp
from autograd_jit import grad

SIZE, ROUNDS = 40_000, 8
CALLS = 100


def energy(x: np.ndarray) -> np.ndarray:
    """A sum of elementwise functions: no product, so that no other library brings threads of its own."""
    for _ in range(ROUNDS):
        x = anp.tanh(x) * anp.exp(-(x**2)) + anp.sin(x)
    return anp.sum(x)


def seconds(gradient: Callable, points: list[np.ndarray]) -> float:
    """Wall-clock time in which each of ``len(points)`` threads makes `CALLS` calls."""
    ready = threading.Barrier(len(points) + 1)

    def work(x: np.ndarray) -> None:
        ready.wait()
        for _ in range(CALLS):
            gradient(x)

    threads = [threading.Thread(target=work, args=(x,)) for x in points]
    for thread in threads:
        thread.start()
    ready.wait()
    started = time.perf_counter()
    for thread in threads:
        thread.join()
    return time.perf_counter() - started


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Throughput of a compiled gradient by threads.")
    parser.add_argument("--threads", type=int, default=min(os.cpu_count() or 1, 4))
    parser.add_argument("--rounds", type=int, default=11)
    options = parser.parse_args()
    points = [np.random.default_rng(number).normal(size=SIZE) for number in range(options.threads)]
    gradient = grad(energy, jit=True)
    for x in points * 3:
        assert np.allclose(gradient(x), grad(energy)(x), rtol=1e-12, atol=1e-12)
    seconds(gradient, points)
    alone, together = [], []
    for _ in range(options.rounds):
        alone.append(seconds(gradient, points[:1]))
        together.append(seconds(gradient, points))
    one, several = statistics.median(alone), statistics.median(together)
    print(f"{1e6 * one / CALLS:.0f} us a gradient in one thread")
    print(f"{options.threads} threads: {options.threads * one / several:.2f} times the throughput of one")
    assert gradient.stats.fallbacks == 0, gradient.explain()


if __name__ == "__main__":
    main()
