"""Helpers for writing operators: names, docstrings, and choosing the argument."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .trace.arguments import name_of, nary

__all__ = ["get_doc", "get_name", "unary_to_nary", "wrap_nary_f", "wraps"]


def get_name(f: Any) -> str:
    """A function's name, or a placeholder."""
    return name_of(f)


def get_doc(f: Any) -> str:
    """A function's docstring, or the empty string."""
    return getattr(f, "__doc__", "") or ""


def wraps(fun: Callable, namestr: str = "{fun}", docstr: str = "{doc}", **kwargs: Any) -> Callable:
    """Decorator that names a function after ``fun``: templates with ``{fun}``, ``{doc}`` and the keywords
    given."""

    def decorate(f: Any) -> Any:
        f.__name__ = namestr.format(fun=get_name(fun), **kwargs)
        f.__doc__ = docstr.format(fun=get_name(fun), doc=get_doc(fun), **kwargs)
        return f

    return decorate


def wrap_nary_f(fun: Callable, op: Callable, argnum: Any) -> Callable:
    """Decorator that names a function as the operator ``op``'s result for ``fun``."""
    return wraps(
        fun,
        "{op}_of_{fun}_wrt_argnum_{argnum}",
        "    {op} of function {fun} with respect to argument number {argnum}. Takes the\n"
        "    same arguments as {fun} but returns the {op}.\n    ",
        op=get_name(op),
        argnum=argnum,
    )


def unary_to_nary(unary_operator: Callable) -> Callable:
    """An operator ``op(fun, argnum=0, ...)(*args)`` out of ``unary_operator(fun, x, ...)``.

    >>> @unary_to_nary
    ... def twice_value(fun, x):
    ...     return 2 * fun(x)
    >>> twice_value(lambda a, b: a - b, argnum=1)(3.0, 1.0)
    4.0
    """
    name = get_name(unary_operator)

    @wraps(unary_operator)
    def nary_operator(fun: Callable, argnum: Any = 0, *nary_op_args: Any, **nary_op_kwargs: Any) -> Callable:
        def unary(f: Callable, x: Any) -> Any:
            return unary_operator(f, x, *nary_op_args, **nary_op_kwargs)

        return nary(unary, name, fun, argnum)

    return nary_operator
