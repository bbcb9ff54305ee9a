"""Small helpers under the names that Autograd gives them."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as _np

__all__ = ["func", "quick_grad_check", "subval", "subvals", "toposort"]


def subvals(x: Iterable, ivs: Iterable[tuple[int, Any]]) -> tuple:
    """``x`` as a tuple, with value ``v`` at index ``i`` for each ``(i, v)``."""
    values = list(x)
    for index, value in ivs:
        values[index] = value
    return tuple(values)


def subval(x: Iterable, i: int, v: Any) -> tuple:
    """``x`` as a tuple, with ``v`` at index ``i``."""
    return subvals(x, [(i, v)])


def func(f: Any) -> Any:
    """The function of a method found on a class (in Python 3, itself)."""
    return f


def toposort(end_node: Any, parents: Callable = operator.attrgetter("parents")) -> Iterator:
    """Nodes from ``end_node`` back to the roots, each after all the nodes that use it."""
    users: dict[int, int] = {id(end_node): 0}
    stack = [end_node]
    while stack:
        for parent in parents(stack.pop()):
            if id(parent) not in users:
                users[id(parent)] = 0
                stack.append(parent)
            users[id(parent)] += 1
    ready = [end_node]
    while ready:
        node = ready.pop()
        yield node
        for parent in parents(node):
            users[id(parent)] -= 1
            if not users[id(parent)]:
                ready.append(parent)


def quick_grad_check(
    fun: Callable,
    arg0: Any,
    extra_args: tuple = (),
    kwargs: dict | None = None,
    verbose: bool = True,
    eps: float = 1e-4,
    rtol: float = 1e-4,
    atol: float = 1e-6,
    rs: Any = None,
) -> None:
    """Compare ``grad(fun)`` with a central difference along one random direction. Raises AssertionError."""
    from .differential_operators import grad
    from .misc.flatten import flatten

    kwargs = kwargs or {}
    generator = rs if rs is not None else _np.random.RandomState()
    flat, unflatten = flatten(arg0)
    direction = generator.standard_normal(flat.shape)
    direction = direction / _np.sqrt(_np.vdot(direction, direction))

    def along(step: float) -> Any:
        return fun(unflatten(flat + step * direction), *extra_args, **kwargs)

    numeric = (along(eps / 2) - along(-eps / 2)) / eps
    analytic = _np.real(_np.dot(flatten(grad(fun)(arg0, *extra_args, **kwargs))[0], direction))
    assert _np.allclose(numeric, analytic, rtol=rtol, atol=atol), (
        f"gradient of {getattr(fun, '__name__', fun)}: {analytic} along a random direction, "
        f"but {numeric} by central differences"
    )
    if verbose:
        print(f"Gradient projection OK (numeric grad: {numeric}, analytic grad: {analytic})")
