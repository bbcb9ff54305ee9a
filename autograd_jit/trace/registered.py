"""Primitives on values of registered types, under a recorder.

A tape holds arrays and numbers. A value of a type that a user has registered is on it as its attributes, and what a
primitive does with it is recorded by following the primitive's function, operation by operation, as if it were part of
the program. The interpreter does the same with traces that lie inside such a value. What the function reads
besides its arguments is guarded, as everything that the program captures is.

A function that cannot be followed (it calls foreign code, changes state, catches errors) is a Python step from the
attributes of what it is given to the attributes of what it gives.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any

import numpy as np

from . import tree
from .tape import Guard, tensor_type
from .tracer import BOX_TYPES, REGISTERED, Primitive

if TYPE_CHECKING:
    from .recorder import Recorder

__all__ = ["apply_recorded", "meet_types"]

_FAILED = object()


def apply_recorded(recorder: Recorder, prim: Primitive, args: tuple, kwargs: dict) -> Any:
    """The result of ``prim``, with boxes inside wherever it depends on recorded values."""
    leaves, structure = tree.flatten((args, kwargs), opened=True)
    if recorder.is_closed:
        plain_args, plain_kwargs = tree.unflatten(structure, [recorder._strip(leaf) for leaf in leaves])
        return prim.fun(*plain_args, **plain_kwargs)
    meet_types(recorder, structure)
    if recorder.companions.meet(prim.fun) is None:
        answer = _followed(recorder, prim, args, kwargs)
        if answer is not _FAILED:
            return answer
    return _as_step(recorder, prim, leaves, structure)


def meet_types(recorder: Recorder, structure: Any) -> None:
    """Watch the code of all registered types in a structure, which may run whenever one of their values is used."""
    for kind in tree.kinds_of(structure) & REGISTERED:
        reason = recorder.companions.meet_type(kind)
        if reason is not None:
            recorder.spoil(f"it computes with a {kind.__name__}: {reason}")


def _followed(recorder: Recorder, prim: Primitive, args: tuple, kwargs: dict) -> Any:
    """The result of the primitive's function, which computes with the boxes; nothing is left of it where it fails."""
    mark, state, draws = len(recorder.ops), (recorder.invalid, recorder.left, recorder.handled_error), recorder.draws
    drawn = len(draws)
    try:
        answer = prim.fun(*args, **kwargs)
    except Exception:
        answer = _FAILED
    is_clean = state == (recorder.invalid, recorder.left, recorder.handled_error)
    # A value that left the tape went into foreign code: a step hands it over without tying the program to it.
    is_whole = not any([isinstance(op, Guard) and op.kind == "value" for op in recorder.ops[mark:]])
    if answer is not _FAILED and is_clean and is_whole:
        return answer
    if len(draws) == drawn:  # samples that have been drawn cannot be taken back
        del recorder.ops[mark:]
        recorder.invalid, recorder.left, recorder.handled_error = state
    return _FAILED


def _as_step(recorder: Recorder, prim: Primitive, leaves: list, structure: Any) -> Any:
    """The call as an operation of the leaves of its arguments."""
    altered = False

    def replayed(*leaves: Any) -> Any:
        args, kwargs = tree.unflatten(structure, list(leaves))
        return prim.fun(*args, **kwargs)

    def fun(*leaves: Any) -> Any:
        nonlocal altered
        args, kwargs = tree.unflatten(structure, list(leaves))
        answer = prim.fun(*args, **kwargs)
        after, structure_after = tree.flatten((args, kwargs), opened=True)
        altered = structure_after != structure or any([a is not b for a, b in zip(after, leaves)])
        return answer

    fun.__module__ = prim.fun.__module__
    unknown = [type(leaf).__name__ for leaf in leaves if type(leaf) not in BOX_TYPES and not _is_constant(leaf)]
    if unknown:
        recorder.spoil(f"{prim.name} is given an object of type {unknown[0]} together with one of a registered type")
    step = Primitive(fun, prim.name, differentiable=False)
    step.replayed = replayed
    answer = recorder.record(step, recorder.level, list(leaves), list(leaves), {})
    if altered:
        recorder.leave(f"{prim.name} changes a value that it is given")
    return answer


def _is_constant(leaf: Any) -> bool:
    """Whether a leaf is what it is: a number, an array (of which the tape keeps a copy), text, a flag."""
    return tensor_type(leaf) is not None or isinstance(leaf, (str, bytes, int, enum.Enum, np.dtype, type(None)))
