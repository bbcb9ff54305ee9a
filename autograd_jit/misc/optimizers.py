"""Gradient descent in three flavours, for parameters in any container of arrays.

``grad(x, i)`` gives the gradient at ``x`` in iteration ``i``; ``callback(x, i, g)``, when given, is called
before each step.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as _np

from .flatten import flatten

__all__ = ["adam", "rmsprop", "sgd", "unflatten_optimizer"]


def unflatten_optimizer(optimize: Callable) -> Callable:
    """An optimizer of flat vectors as one of parameters in any container: for writing one's own.

    ``optimize(grad, x0, callback=None, *args, **kwargs)`` is called with a flat ``x0``, and with functions that take
    flat vectors; what it returns is put back into the container of the parameters.

    >>> @unflatten_optimizer
    ... def halve(grad, x0, callback=None, num_iters=100):
    ...     for i in range(num_iters):
    ...         x0 = x0 - 0.5 * grad(x0, i)
    ...     return x0
    >>> halve(lambda p, i: {"a": p["a"] - 3.0, "b": p["b"]}, {"a": np.zeros(2), "b": 1.0})["a"]
    array([3., 3.])
    """

    @functools.wraps(optimize)
    def optimized(grad: Callable, x0: Any, callback: Callable | None = None, *args: Any, **kwargs: Any) -> Any:
        flat, unflatten = flatten(x0)

        def flat_grad(x: Any, i: int) -> Any:
            return flatten(grad(unflatten(x), i))[0]

        def flat_callback(x: Any, i: int, g: Any) -> Any:
            return callback(unflatten(x), i, unflatten(g))  # type: ignore[misc]

        return unflatten(optimize(flat_grad, flat, flat_callback if callback else None, *args, **kwargs))

    return optimized


def _iterate(grad: Callable, x0: Any, callback: Callable | None, num_iters: int, stepper: Callable) -> Any:
    """Run ``num_iters`` steps; ``stepper(x, g, i)`` maps flat vectors to the next one."""
    x, unflatten = flatten(x0)
    for i in range(num_iters):
        point = unflatten(x)
        gradient = grad(point, i)
        if callback:
            callback(point, i, gradient)
        x = stepper(x, flatten(gradient)[0], i)
    return unflatten(x)


def sgd(
    grad: Callable,
    x0: Any,
    callback: Callable | None = None,
    num_iters: int = 200,
    step_size: float = 0.1,
    mass: float = 0.9,
) -> Any:
    """Stochastic gradient descent with momentum. ``step_size`` is also scaled by ``1 - mass``.

    >>> slope = lambda x, step: 2.0 * (x - 3.0)
    >>> bool(abs(sgd(slope, np.array([0.0]), num_iters=300, step_size=0.05)[0] - 3.0) < 0.1)
    True
    """
    velocity: Any = 0.0

    def step(x: Any, g: Any, i: int) -> Any:
        nonlocal velocity
        velocity = mass * velocity - (1.0 - mass) * g
        return x + step_size * velocity

    return _iterate(grad, x0, callback, num_iters, step)


def rmsprop(
    grad: Callable,
    x0: Any,
    callback: Callable | None = None,
    num_iters: int = 100,
    step_size: float = 0.1,
    gamma: float = 0.9,
    eps: float = 1e-8,
) -> Any:
    """Root mean square propagation: steps scaled by a running root mean square of the gradients.

    >>> slope = lambda x, step: 2.0 * (x - 3.0)
    >>> bool(abs(rmsprop(slope, np.array([0.0]), num_iters=300, step_size=0.05)[0] - 3.0) < 0.1)
    True
    """
    mean_square: Any = 1.0

    def step(x: Any, g: Any, i: int) -> Any:
        nonlocal mean_square
        mean_square = gamma * mean_square + (1.0 - gamma) * g**2
        return x - step_size * g / (_np.sqrt(mean_square) + eps)

    return _iterate(grad, x0, callback, num_iters, step)


def adam(
    grad: Callable,
    x0: Any,
    callback: Callable | None = None,
    num_iters: int = 100,
    step_size: float = 0.001,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-8,
) -> Any:
    """Adam (Kingma and Ba, arXiv:1412.6980): momentum and scaling, both corrected for their start at zero.

    >>> adam(lambda x, i: 2 * (x - 3.0), 0.0, num_iters=2000, step_size=0.1).round(3)
    np.float64(3.0)
    """
    first: Any = 0.0
    second: Any = 0.0

    def step(x: Any, g: Any, i: int) -> Any:
        nonlocal first, second
        first = b1 * first + (1.0 - b1) * g
        second = b2 * second + (1.0 - b2) * g**2
        first_unbiased = first / (1.0 - b1 ** (i + 1))
        second_unbiased = second / (1.0 - b2 ** (i + 1))
        return x - step_size * first_unbiased / (_np.sqrt(second_unbiased) + eps)

    return _iterate(grad, x0, callback, num_iters, step)
