"""Which arguments of a user's function an operator differentiates, and how errors name them.

An operator such as ``grad`` is written for a function of one argument; :func:`nary` makes it work on any
argument, several arguments, or a named one. What the unary operator cannot work with it raises as a
:class:`Refusal`, a message without names; here it becomes a public error that names the operator, the
function with its file and line, and the argument.
"""

from __future__ import annotations

import functools
import inspect
import numbers
from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import ArgumentError, AutogradJitError, NonDifferentiableError
from . import tree
from .tracer import concrete
from .vspace import is_differentiable

__all__ = ["Refusal", "describe", "innermost", "name_of", "nary", "require_differentiable"]


class Refusal(Exception):
    """An operator cannot do what was asked. ``about_argument``: the message goes on about the argument."""

    def __init__(self, kind: type[AutogradJitError], message: str, about_argument: bool = False) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.about_argument = about_argument
        self.selected: int | None = None  # which of several selected arguments


# ---------------------------------------------------------------- names


def name_of(fun: Any) -> str:
    """The function's name, as operators put it into theirs."""
    return getattr(fun, "__name__", "[unknown name]")


def innermost(fun: Any) -> Any:
    """The Python function inside partials, bound methods, wrappers and callable objects."""
    for _ in range(50):
        if isinstance(fun, functools.partial):
            fun = fun.func
        elif hasattr(fun, "__wrapped__"):
            fun = fun.__wrapped__
        elif inspect.ismethod(fun):
            fun = fun.__func__
        elif not hasattr(fun, "__code__") and hasattr(type(fun).__call__, "__code__"):
            fun = type(fun).__call__
        else:
            break
    return fun


def describe(fun: Any) -> str:
    """``loss (model.py:12)``: a function's name and where it was defined."""
    inner = innermost(fun)
    name = getattr(fun, "__name__", None) or getattr(inner, "__name__", None) or type(fun).__name__
    code = getattr(inner, "__code__", None)
    return f"{name} ({code.co_filename}:{code.co_firstlineno})" if code is not None else name


def _signature(fun: Any) -> inspect.Signature | None:
    try:
        return inspect.signature(fun)
    except (TypeError, ValueError):
        return None


def _positional(fun: Any) -> tuple[list[inspect.Parameter], bool]:
    """The positional parameters of ``fun``, and whether it takes ``*args`` too (or cannot be inspected)."""
    signature = _signature(fun)
    if signature is None:
        return [], True
    parameters = signature.parameters.values()
    kinds = inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD
    takes_any = any(parameter.kind is inspect.Parameter.VAR_POSITIONAL for parameter in parameters)
    return [parameter for parameter in parameters if parameter.kind in kinds], takes_any


def _argument_phrase(fun: Any, argnum: Any) -> str:
    """``argument 1 ('y')``."""
    if isinstance(argnum, str):
        return f"argument {argnum!r}"
    parameters, _ = _positional(fun)
    if 0 <= argnum < len(parameters):
        return f"argument {argnum} ({parameters[argnum].name!r})"
    return f"argument {argnum}"


def _public_error(refusal: Refusal, operator: str, fun: Any, argnum: Any) -> AutogradJitError:
    where = f"{operator} of {describe(fun)}"
    if not refusal.about_argument:
        return refusal.kind(f"{where}: {refusal.message}")
    if refusal.selected is not None:
        argnum = argnum[refusal.selected]
    if isinstance(argnum, (tuple, list)):
        return refusal.kind(f"{where}: arguments {argnum}: {refusal.message}")
    return refusal.kind(f"{where}: {_argument_phrase(fun, argnum)} {refusal.message}")


# ---------------------------------------------------------------- what can be differentiated


def require_differentiable(leaves: list, positions: list[int]) -> None:
    """Refuse a value without a differentiable leaf, or with a leaf that looks like a number and is none of
    ours."""
    known = set(positions)
    for position, leaf in enumerate(leaves):
        if position not in known and _looks_numeric(leaf):
            raise Refusal(ArgumentError, _foreign(leaf), about_argument=True)
    if leaves and not positions:  # an empty container has an empty gradient
        raise Refusal(*_no_derivative(leaves), about_argument=True)


def _looks_numeric(leaf: Any) -> bool:
    """A foreign array or number, which passing through unnoticed would leave without its gradient."""
    if isinstance(leaf, (bool, int, np.integer, np.bool_)):
        return False
    if isinstance(leaf, (dict, list, tuple)):
        return True  # of a class of its own, such as a user's subclass of dict: what it holds would get no gradient
    if isinstance(leaf, np.ndarray):
        return leaf.dtype.kind == "O" or (type(leaf) is not np.ndarray and leaf.dtype.kind in "fc")
    return isinstance(leaf, numbers.Number) or (hasattr(type(leaf), "__array__") and not np.isscalar(leaf))


def _foreign(leaf: Any) -> str:
    kind = type(leaf)
    if isinstance(leaf, (dict, list, tuple)):
        base = next(base.__name__ for base in (dict, list, tuple) if isinstance(leaf, base))
        return f"holds a {kind.__module__}.{kind.__qualname__}, which cannot be rebuilt: make it a plain {base}"
    advice = "Pass a NumPy array or a float"
    if isinstance(leaf, np.ndarray) and kind is not np.ndarray:
        advice = "Pass np.asarray(x), or register the type with ArrayBox.register and ArrayVSpace.register"
    elif isinstance(leaf, np.ndarray):
        return "holds an array of Python objects (dtype=object), which cannot be differentiated. " + advice
    return f"has the type {kind.__module__}.{kind.__qualname__}, which cannot be differentiated. {advice}"


def _no_derivative(leaves: list) -> tuple[type[AutogradJitError], str]:
    if len(leaves) != 1:
        return NonDifferentiableError, "holds no float or complex value to differentiate by"
    leaf = concrete(leaves[0])
    if isinstance(leaf, (bool, np.bool_)):
        return NonDifferentiableError, f"is the boolean {leaf}, which has no derivative"
    if isinstance(leaf, (int, np.integer)):
        return (
            NonDifferentiableError,
            f"is the integer {leaf}, which has no derivative. Pass {leaf}.0 instead",
        )
    if isinstance(leaf, np.ndarray):
        advice = " Pass x.astype(float) instead" if leaf.dtype.kind in "iub" else ""
        return NonDifferentiableError, f"is an array of dtype {leaf.dtype}, which has no derivative.{advice}"
    kind = type(leaf)
    return (
        NonDifferentiableError,
        f"has the type {kind.__module__}.{kind.__qualname__}, which cannot be differentiated. "
        f"Differentiable are floats, complex numbers, NumPy arrays of them, and containers of those",
    )


# ---------------------------------------------------------------- selecting arguments


def nary(unary: Callable, operator: str, fun: Callable, argnum: Any) -> Callable:
    """The operator's result for ``fun``: a function of ``fun``'s own arguments.

    ``unary(f, x)`` does the work for a function of one argument. Raises ArgumentError for a ``fun`` that is
    not callable and an ``argnum`` that ``fun`` cannot have.
    """
    if not callable(fun):
        raise ArgumentError(
            f"{operator} takes a function, not a value of type {type(fun).__name__}: "
            f"write {operator}(f)(x), not {operator}(f(x))"
        )
    if type(argnum) is int and argnum >= 0:
        call = _by_number(unary, operator, fun, argnum)
    else:
        call = _by_selection(unary, operator, fun, _checked_selection(operator, fun, argnum))
    return _named(call, operator, fun, argnum)


def _named(call: Any, operator: str, fun: Any, argnum: Any) -> Callable:
    name = name_of(fun)
    call.__name__ = call.__qualname__ = f"{operator}_of_{name}_wrt_argnum_{argnum}"
    call.__doc__ = (
        f"    {operator} of function {name} with respect to argument number {argnum}. Takes the\n"
        f"    same arguments as {name} but returns the {operator}.\n    "
    )
    call.__wrapped__ = fun
    return call


def _by_number(unary: Callable, operator: str, fun: Callable, argnum: int) -> Callable:
    """The common case: one argument by its position."""
    following = argnum + 1

    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            count = len(args)
            if argnum < count:
                if count == 1 and not kwargs:
                    return unary(fun, args[0])  # no closure around ``fun``: saves 0.3 us
                before, after = args[:argnum], args[following:]
                return unary(lambda x: fun(*before, x, *after, **kwargs), args[argnum])
            slot, x = _find(operator, fun, argnum, args, kwargs)
            return unary(lambda x: fun(*args, **{**kwargs, slot: x}), x)
        except Refusal as refusal:
            error = _public_error(refusal, operator, fun, argnum)
        raise error

    return call


def _by_selection(unary: Callable, operator: str, fun: Callable, selection: Any) -> Callable:
    """Several arguments, a negative number, or a name."""
    several = type(selection) is tuple
    argnums = selection if several else (selection,)

    def call(*args: Any, **kwargs: Any) -> Any:
        found = [_find(operator, fun, argnum, args, kwargs) for argnum in argnums]
        slots = [slot for slot, _ in found]
        if len(set(slots)) < len(slots):
            raise ArgumentError(f"{operator} of {describe(fun)}: argnum {selection} names an argument twice")
        values = tuple([value for _, value in found])

        def on_selected(x: Any) -> Any:
            positional, keywords = list(args), dict(kwargs)
            for slot, value in zip(slots, x if several else (x,)):
                if type(slot) is int:
                    positional[slot] = value
                else:
                    keywords[slot] = value
            return fun(*positional, **keywords)

        on_selected.__name__ = name_of(fun)  # for messages about what is differentiated
        try:
            if several:
                _require_each(values)
            return unary(on_selected, values if several else values[0])
        except Refusal as refusal:
            error = _public_error(refusal, operator, fun, selection)
        raise error

    return call


def _require_each(values: tuple) -> None:
    """Each selected argument must have something to differentiate by."""
    for number, value in enumerate(values):
        leaves = tree.flatten(value)[0]
        try:
            require_differentiable(leaves, [i for i, leaf in enumerate(leaves) if is_differentiable(leaf)])
        except Refusal as refusal:
            refusal.selected = number
            raise


def _checked_selection(operator: str, fun: Any, argnum: Any) -> Any:
    """``argnum`` as an int, a name, or a tuple of those; an error for anything else."""
    if isinstance(argnum, (tuple, list)):
        return tuple([_checked_selection(operator, fun, single) for single in argnum])
    if isinstance(argnum, str):
        _require_parameter(operator, fun, argnum)
        return argnum
    if isinstance(argnum, (int, np.integer)) and not isinstance(argnum, bool):
        return int(argnum)
    raise ArgumentError(
        f"{operator} of {describe(fun)}: argnum must be an argument's number or name, or a tuple of those, "
        f"not {argnum!r}"
    )


def _require_parameter(operator: str, fun: Any, name: str) -> None:
    signature = _signature(fun)
    if signature is None:
        return
    parameters = signature.parameters.values()
    takes_any = any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters)
    unnameable = inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD
    names = [parameter.name for parameter in parameters if parameter.kind not in unnameable]
    if name not in names and not takes_any:
        raise ArgumentError(
            f"{operator} of {describe(fun)}: there is no argument {name!r}. Its arguments are {', '.join(names)}"
        )


def _find(operator: str, fun: Any, argnum: Any, args: tuple, kwargs: dict) -> tuple[Any, Any]:
    """``(slot, value)`` of one argument in a call; the slot is a position in ``args`` or a keyword."""
    if type(argnum) is str:
        return _find_named(operator, fun, argnum, args, kwargs)
    count = len(args)
    if -count <= argnum < count:
        position = argnum % count
        return position, args[position]
    parameters, takes_any = _positional(fun)
    if 0 <= argnum < len(parameters):
        return _find_named(operator, fun, parameters[argnum].name, args, kwargs)
    names = ", ".join(parameter.name for parameter in parameters)
    takes = f"its arguments are ({names})" if not takes_any else f"it was called with {count} positional arguments"
    raise ArgumentError(f"{operator} of {describe(fun)}: there is no argument number {argnum}: {takes}")


def _find_named(operator: str, fun: Any, name: str, args: tuple, kwargs: dict) -> tuple[Any, Any]:
    if name in kwargs:
        return name, kwargs[name]
    parameters, _ = _positional(fun)
    for position, parameter in enumerate(parameters[: len(args)]):
        if parameter.name == name:
            return position, args[position]
    signature = _signature(fun)
    parameter = signature.parameters.get(name) if signature is not None else None  # type: ignore[assignment]
    if parameter is not None and parameter.default is not inspect.Parameter.empty:
        return name, parameter.default
    raise ArgumentError(f"{operator} of {describe(fun)}: argument {name!r} is missing from the call")
