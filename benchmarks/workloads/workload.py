"""What a workload is, and the numbers that their arguments are made of."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy


@dataclass(frozen=True)
class Workload:
    """A scalar loss as ordinary NumPy code, and its arguments at several sizes.

    ``make_loss(np)`` is a function of a NumPy-like namespace: the same text runs under ``autograd_jit.numpy``,
    ``autograd.numpy`` and ``jax.numpy``, and under torch through :mod:`benchmarks.torch_names`.  The gradient is taken
    with respect to the loss's first argument.

    ``tiny`` makes the arguments of the tests; ``other`` those of the same structure at another shape, where our
    compiler is expected to compile nothing.  ``loops`` says that Python loops unroll onto the tape, ``memory_bound``
    that a good gradient is limited by memory, ``second_order`` that what is wanted is the Hessian times the last
    argument, which the loss does not see.  ``drive(value_and_gradient, arguments)`` makes a complete job of many
    evaluations, timed as one; its result is compared with that of the others to within ``tolerance``.  ``cannot_run``
    gives reasons by system.
    """

    name: str
    make_loss: Callable
    arguments: Callable[[], tuple]
    tiny: Callable[[], tuple]
    other: Callable[[], tuple] | None = None
    quick: bool = True
    loops: bool = False
    memory_bound: bool = False
    second_order: bool = False
    drive: Callable | None = None
    tolerance: float = 1e-8
    cannot_run: Mapping[str, str] = field(default_factory=dict)


def draws(*shape: int, seed: int = 0) -> numpy.ndarray:
    """Normally distributed numbers, the same at every call."""
    return numpy.random.default_rng(seed).normal(size=shape)


def uniform(low: float, high: float, *shape: int, seed: int = 0) -> numpy.ndarray:
    """Uniformly distributed numbers, the same at every call."""
    return numpy.random.default_rng(seed).uniform(low, high, size=shape)


def indices(limit: int, *shape: int, seed: int = 0) -> numpy.ndarray:
    """Integers below ``limit``, the same at every call."""
    return numpy.random.default_rng(seed).integers(limit, size=shape)
