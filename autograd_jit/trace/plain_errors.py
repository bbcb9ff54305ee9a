"""Errors of traced calls: those that the plain call raises.

A function made of others meets a wrong shape or axis in the middle of its own steps, and says so in other words, or by
another class of exception, than NumPy does. A program may catch that class. So where a traced call fails, the plain
function is asked: if it refuses these arguments as well, its error is the one to raise.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from ..errors import ArgumentError
from . import tree
from .tracer import concrete, hidden_boxes

__all__ = ["plain_errors"]

F = TypeVar("F", bound=Callable)


def plain_errors(function: F) -> F:
    """Decorator for a public function that, given no boxes, calls the plain library.

    >>> import autograd_jit.numpy as np, autograd_jit
    >>> autograd_jit.grad(lambda x: np.fliplr(x)[0])(1.0)
    Traceback (most recent call last):
    ...
    ValueError: Input must be >= 2-d.
    """

    @functools.wraps(function)
    def checked(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except ArgumentError:  # a refusal, which names what to do
            raise
        except Exception:
            error = _plain_error(function, args, kwargs)
            if error is None:
                raise
        try:
            raise error
        finally:
            del error  # the traceback holds this frame: the two would keep the arguments until a collection

    return checked  # type: ignore[return-value]


def _plain_error(function: Callable, args: tuple, kwargs: dict) -> Exception | None:
    """What the call raises without boxes; None where it succeeds, or may do more than compute."""
    if not hidden_boxes((*args, *kwargs.values())) or _has_effects(function, args, kwargs):
        return None
    plain_args, plain_kwargs = tree.map_leaves(concrete, (args, kwargs))
    try:
        function(*plain_args, **plain_kwargs)
    except Exception as error:
        return error.with_traceback(None)
    return None


def _has_effects(function: Callable, args: tuple, kwargs: dict) -> bool:
    """Whether the call would write into ``out``, or run a function of the user's."""
    try:
        given = inspect.signature(function).bind(*args, **kwargs).arguments
    except TypeError:
        return False
    if given.get("out") is not None:
        return True
    return any(callable(leaf) and not isinstance(leaf, type) for leaf in tree.flatten((args, kwargs))[0])
