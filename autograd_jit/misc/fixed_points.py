"""Fixed points, differentiated by the implicit function theorem: nothing of the iteration is kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as _np

from ..extend import defjvp, defvjp, primitive, vspace
from ..trace.derivatives import make_jvp, make_vjp
from ..trace.step_functions import compiled, compiled_curried

__all__ = ["fixed_point"]


@primitive
def fixed_point(f: Callable, a: Any, x0: Any, distance: Callable, tol: float) -> Any:
    """The ``x`` with ``f(a)(x) == x``, by iterating from ``x0`` until ``distance(x, previous) <= tol``.

    Differentiable, to any order, in the parameters ``a`` (an array or a container); ``x0`` does not matter.

    >>> def newton(a):
    ...     return lambda x: 0.5 * (x + a / x)
    >>> def distance(x, y):
    ...     return abs(x - y)
    >>> root = lambda a: fixed_point(newton, a, 1.0, distance, 1e-12)
    >>> grad(root)(4.0).round(6)
    np.float64(0.25)
    """
    step = f(a)
    x, previous = step(x0), x0
    while distance(x, previous) > tol:
        x, previous = step(x), x
    return x


def _replayed(f: Callable, a: Any, x0: Any, distance: Callable, tol: float) -> Any:
    """In a compiled program: the loop is Python's, what it calls is compiled.

    Not where the user's own step is of a single number: Python takes 1 us for that, a compiled call 2. Nor is the first
    of the user's steps: ``x0`` may be of another type than the iterates, and a compiled function is quickest for one.
    """
    is_users = f.__module__ != __name__
    x0 = x0[()] if isinstance(x0, _np.ndarray) else x0  # a number, as the iterates are, in place of an array of rank 0
    if is_users and not isinstance(x0, _np.ndarray):
        return fixed_point.primitive.fun(f, a, x0, distance, tol)  # type: ignore[attr-defined]
    step, apart = compiled_curried(f), compiled(distance)
    x, previous = f(a)(x0) if is_users else step(a, x0), x0
    if is_users and not distance(x, previous) > tol:
        return x
    while apart(x, previous) > tol:
        x, previous = step(a, x), x
    return x


def _vjp(ans: Any, f: Callable, a: Any, x0: Any, distance: Callable, tol: float) -> Callable:
    """``u = g + u @ df/dx`` is a fixed point itself; then ``u @ df/da``."""

    def pull(g: Any) -> Any:
        def adjoint(parameters: Any) -> Callable:
            a, x, g = parameters
            pull_x, _ = make_vjp(f(a), x)
            add = vspace(g).add
            return lambda u: add(g, pull_x(u))

        u = fixed_point(adjoint, (a, ans, g), vspace(ans).zeros(), distance, tol)
        return make_vjp(lambda a: f(a)(ans), a)[0](u)

    return pull


def _jvp(t: Any, ans: Any, f: Callable, a: Any, x0: Any, distance: Callable, tol: float) -> Any:
    """``v = df/dx @ v + df/da @ t`` is a fixed point itself."""
    _, start = make_jvp(lambda a: f(a)(ans), a)(t)

    def tangent(parameters: Any) -> Callable:
        a, x, start = parameters
        push_x = make_jvp(f(a), x)
        add = vspace(start).add
        return lambda v: add(start, push_x(v)[1])

    return fixed_point(tangent, (a, ans, start), vspace(ans).zeros(), distance, tol)


fixed_point.primitive.replayed = _replayed  # type: ignore[attr-defined]
defvjp(fixed_point, None, _vjp, None)
defjvp(fixed_point, None, _jvp, None)
