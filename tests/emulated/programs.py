"""Programs that the tests of the device share: gradients whose tapes hold every kind of step, and their arguments."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

import autograd_jit.numpy as anp
import autograd_jit.scipy.special as special


class Program(NamedTuple):
    function: Callable
    shapes: tuple[tuple[int, ...], ...]

    def arguments(self, seed: int, dtype: type = np.float64) -> tuple[np.ndarray, ...]:
        r = np.random.default_rng(seed)
        return tuple([r.uniform(0.1, 1.0, shape).astype(dtype) for shape in self.shapes])


def _chain(x):
    return anp.sum(anp.tanh(x) * anp.exp(-x * x) + anp.sqrt(1 + x))


def _softmax(x, w):
    y = anp.exp(x) * w
    return anp.sum(y / anp.sum(y, axis=1, keepdims=True) * anp.tanh(x))


def _logistic(w, x):
    p = 1 / (1 + anp.exp(-anp.dot(x, w)))
    return -anp.mean(anp.log(p) + 0.5 * anp.log(1 - p))


def _rosenbrock(x):
    return anp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def _branches(x):
    total = anp.sum(x)
    return anp.sum(x**2) if total > 3 else anp.sum(anp.sin(x))


def _gather(x):
    return anp.sum(x[np.array([1, 1, 2, 0])] ** 2 * np.arange(4))


def _gather_backwards(x):
    return anp.sum(x[np.array([1, 0, 1]), ::-1] ** 2 * np.arange(1.0, 5.0))


def _columns(x):
    return anp.sum(anp.mean(x, axis=0) ** 2) + anp.max(x)


def _special(x):
    return anp.sum(special.gammaln(x) + special.erf(x) + special.logsumexp(x))


def _network(x, a, b):
    return anp.mean((anp.tanh(0.1 * anp.dot(x, a)) @ b - 1) ** 2)


def _loop(x):
    y = x
    for _ in range(5):
        y = y + 0.1 * anp.sin(y) * x
    return anp.sum(y**2)


def _boxes(x):
    """Differences of neighbours in a plane: their gradients add what lies in boxes of it."""
    edges = (x[1:, 1:] - x[:-1, :-1]) * x[1:, :-1]
    return anp.sum(edges**2) + anp.sum(anp.pad(x, 1)[:-2, 2:] * x) + anp.sum(anp.roll(x, 1, axis=1) * x)


def _pairs(x, y):
    """Complex numbers, which kernels compute with as pairs of real ones; sums of rows of them."""
    z = anp.exp(-x) * (x + 1j * y)
    return anp.sum(anp.abs(z * z + anp.conj(z) / (z + 2)) ** 2) + anp.real(anp.sum(anp.sum(z, axis=1) ** 2))


PROGRAMS: dict[str, Program] = {
    "chain": Program(_chain, ((1000,),)),
    "chain of one": Program(_chain, ((1,),)),
    "chain of none": Program(_chain, ((0,),)),
    "long chain": Program(_chain, ((70_001,),)),
    "short rows": Program(_softmax, ((6, 7), (7,))),
    "long rows": Program(_softmax, ((5, 300), (300,))),
    "logistic": Program(_logistic, ((3,), (40, 3))),
    "rosenbrock": Program(_rosenbrock, ((50,),)),
    "branches": Program(_branches, ((6,),)),
    "gather": Program(_gather, ((5,),)),
    "gather backwards": Program(_gather_backwards, ((3, 4),)),
    "columns": Program(_columns, ((700, 6),)),
    "special": Program(_special, ((9,),)),
    "network": Program(_network, ((20, 17), (17, 5), (5, 3))),
    "loop": Program(_loop, ((12,),)),
    "boxes": Program(_boxes, ((9, 11),)),
    "pairs": Program(_pairs, ((6, 70), (6, 70))),
}
