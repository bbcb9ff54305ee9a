"""Numerical checks of derivatives, for tests of users' own rules.

>>> check_grads(lambda x: np.sum(np.sin(x)))(np.array([0.1, 0.2]))
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

from .core import make_jvp, make_vjp, vspace
from .wrap_util import get_name, unary_to_nary

__all__ = [
    "EPS",
    "RTOL",
    "TOL",
    "check_equivalent",
    "check_grads",
    "check_jvp",
    "check_vjp",
    "combo_check",
    "make_numerical_jvp",
    "scalar_close",
]

TOL = 1e-6
RTOL = 1e-6
EPS = 1e-6


def scalar_close(a: Any, b: Any) -> bool:
    """Whether two scalars agree, absolutely within TOL or relatively within RTOL.

    >>> scalar_close(1.0, 1.0 + 1e-9), scalar_close(1.0, 1.1)
    (True, False)
    """
    return bool(abs(a - b) < TOL or abs(a - b) / abs(a + b) < RTOL)


def make_numerical_jvp(f: Callable, x: Any) -> Callable:
    """``jvp``; ``jvp(v)`` is the central difference of ``f`` at ``x`` along ``v``.

    >>> round(float(make_numerical_jvp(np.sin, 0.0)(1.0)), 6)
    1.0
    """
    x_space, y_space = vspace(x), vspace(f(x))

    def jvp(v: Any) -> Any:
        ahead = f(x_space.add(x, x_space.scalar_mul(v, EPS / 2)))
        behind = f(x_space.add(x, x_space.scalar_mul(v, -EPS / 2)))
        return y_space.scalar_mul(y_space.add(ahead, y_space.scalar_mul(behind, -1.0)), 1.0 / EPS)

    return jvp


def check_vjp(f: Callable, x: Any) -> None:
    """Compare reverse mode with a central difference, along one random direction. Raises AssertionError.

    >>> check_vjp(np.sin, np.array([0.1, 0.2]))
    """
    vjp, y = make_vjp(f, x)
    numerical_jvp = make_numerical_jvp(f, x)
    x_space, y_space = vspace(x), vspace(y)
    x_v, y_v = x_space.randn(), y_space.randn()
    pulled = x_space.covector(vjp(y_space.covector(y_v)))
    assert vspace(pulled) == x_space, f"vjp of {get_name(f)}: {vspace(pulled)} for an argument in {x_space}"
    by_vjp = x_space.inner_prod(x_v, pulled)
    by_difference = y_space.inner_prod(numerical_jvp(x_v), y_v)
    assert scalar_close(by_vjp, by_difference), (
        f"Derivative (VJP) check of {get_name(f)} failed with arg {x}:\nanalytic: {by_vjp}\nnumeric:  {by_difference}"
    )


def check_jvp(f: Callable, x: Any) -> None:
    """Compare forward mode with a central difference, along one random direction. Raises AssertionError.

    >>> check_jvp(np.sin, np.array([0.1, 0.2]))
    """
    numerical_jvp = make_numerical_jvp(f, x)
    x_v = vspace(x).randn()
    check_equivalent(make_jvp(f, x)(x_v)[1], numerical_jvp(x_v))


def check_equivalent(x: Any, y: Any) -> None:
    """That two values are in one space and close along a random direction. Raises AssertionError.

    >>> check_equivalent({"a": 1.0}, {"a": 1.0})
    """
    x_space, y_space = vspace(x), vspace(y)
    assert x_space == y_space, f"VSpace mismatch:\nx: {x_space}\ny: {y_space}"
    v = x_space.randn()
    along_x, along_y = x_space.inner_prod(x, v), x_space.inner_prod(y, v)
    assert scalar_close(along_x, along_y), f"Value mismatch:\nx: {x}\ny: {y}"


@unary_to_nary
def check_grads(f: Callable, x: Any, modes: Any = ("fwd", "rev"), order: int = 2) -> None:
    """``check_grads(f, argnum=0, modes=["fwd", "rev"], order=2)(*args)``: derivatives of every order up to
    ``order``, in every mixture of the modes, against central differences. Raises AssertionError.

    >>> check_grads(np.sin, modes=["rev"], order=1)(np.array([0.1, 0.2]))
    """
    assert all(mode in ("fwd", "rev") for mode in modes), f"modes are 'fwd' and 'rev', not {modes}"
    if "fwd" in modes:
        check_jvp(f, x)
        if order > 1:
            push = lambda x, v: make_jvp(f, x)(v)[1]
            push.__name__ = f"jvp_{get_name(f)}"
            check_grads(push, (0, 1), modes, order=order - 1)(x, vspace(x).randn())
    if "rev" in modes:
        check_vjp(f, x)
        if order > 1:
            pull = lambda x, v: make_vjp(f, x)[0](v)
            pull.__name__ = f"vjp_{get_name(f)}"
            check_grads(pull, (0, 1), modes, order=order - 1)(x, vspace(f(x)).randn())


def combo_check(fun: Callable, *args: Any, **kwargs: Any) -> Callable:
    """``combo_check(fun, *options)(*choices, **keyword_choices)``: :func:`check_grads` with the options, for
    every combination of one element of each of the choices.

    >>> combo_check(lambda x, axis: np.sum(x**3, axis=axis), [0])([np.ones((2, 3))], [0, 1])
    """

    def check(*choices: Any, **keyword_choices: Any) -> None:
        keywords = [[(key, value) for value in values] for key, values in keyword_choices.items()]
        for chosen in product(*choices):
            for pairs in product(*keywords):
                check_grads(fun, *args, **kwargs)(*chosen, **dict(pairs))

    return check
