"""Primitives of users under a recorder, and values of the types that they register.

A user's primitive is followed: what its function computes is recorded, operation by operation, as if it were part of
the program. Its rules stand; they belong to the levels above. What the function reads besides its arguments is
guarded, as everything that the program captures is. A function that cannot be followed (it calls foreign code,
changes state, goes another way for other numbers) is a Python step: replays call it.

A tape holds arrays and numbers. A value of a type that a user has registered is on it as its attributes, and a step
goes from the attributes of what it is given to the attributes of what it gives.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any

import numpy as np

from ..records import record
from . import tree
from .snapshots import plain_copies, restored
from .tape import Guard, Op, tensor_type
from .tracer import BOX_TYPES, REGISTERED, Primitive

if TYPE_CHECKING:
    from .recorder import Recorder

__all__ = ["apply_recorded", "apply_to_registered", "meet_types"]

#: operations of one primitive: a loop over the elements of an array had better stay Python than become a tape
MOST_FOLLOWED = 1_000


@record(frozen=True)
class _NotFollowed:
    """Stands for the result of a primitive that cannot be followed, and says why."""

    reason: str


def apply_recorded(recorder: Recorder, prim: Primitive, args: tuple, kwargs: dict) -> Any:
    """The result of a user's primitive that is given recorded values and no value of a registered type."""
    if recorder.is_closed:
        return recorder.record(prim, recorder.level, list(args), list(args), kwargs)
    answer = _followed(recorder, prim, args, kwargs, ("value", "truth", "int"))
    if type(answer) is not _NotFollowed:
        return answer
    stepped = recorder.record(prim, recorder.level, list(args), list(args), kwargs)
    _note(recorder, prim, answer.reason)
    return stepped


def apply_to_registered(recorder: Recorder, prim: Primitive, args: tuple, kwargs: dict) -> Any:
    """The result of ``prim``, with boxes inside wherever it depends on recorded values."""
    leaves, structure = tree.flatten((args, kwargs), opened=True)
    if recorder.is_closed:
        plain_args, plain_kwargs = tree.unflatten(structure, [recorder._strip(leaf) for leaf in leaves])
        return prim.fun(*plain_args, **plain_kwargs)
    meet_types(recorder, structure)
    answer = _followed(recorder, prim, args, kwargs, ("value",))
    if type(answer) is not _NotFollowed:
        return answer
    return _as_step(recorder, prim, leaves, structure, answer.reason)


def meet_types(recorder: Recorder, structure: Any) -> None:
    """Watch the code of all registered types in a structure, which may run whenever one of their values is used."""
    for kind in tree.kinds_of(structure) & REGISTERED:
        reason = recorder.companions.meet_type(kind)
        if reason is not None:
            recorder.spoil(f"it computes with a {kind.__name__}: {reason}")


def _followed(recorder: Recorder, prim: Primitive, args: tuple, kwargs: dict, refused: tuple[str, ...]) -> Any:
    """The result of the primitive's function, which computes with the boxes; nothing is left of it where it fails.

    ``refused``: kinds of guards that are a failure. A value that left the tape went into foreign code, and a step hands
    it over without tying the program to it.
    """
    is_users = recorder.is_users(prim)
    unfit = recorder.companions.meet(prim.fun) if is_users else "no function of NumPy works on a registered type"
    if unfit is not None:
        return _NotFollowed(unfit)
    mark, drawn, most = len(recorder.ops), len(recorder.draws), recorder.max_ops
    state = recorder.invalid, recorder.left, recorder.handled_error
    watched = plain_copies((args, kwargs))
    recorder.max_ops = min(most, mark + MOST_FOLLOWED)
    try:
        answer = prim.fun(*args, **kwargs)
    except Exception as error:
        answer = _NotFollowed(f"{type(error).__name__}: {error}")
    finally:
        recorder.max_ops = most
    if restored(watched):
        recorder.leave(f"{prim.name} writes into its argument")
    failure = _failure(answer, state, recorder, [op for op in recorder.ops[mark:] if isinstance(op, Guard)], refused)
    if failure is None:
        return answer
    if len(recorder.draws) > drawn:
        recorder.leave(f"{prim.name} draws random numbers, and does what no tape can follow")
    del recorder.ops[mark:]
    recorder.invalid, recorder.left, recorder.handled_error = state
    return failure


def _failure(
    answer: Any, before: tuple, recorder: Recorder, guards: list[Guard], refused: tuple[str, ...]
) -> _NotFollowed | None:
    """Why what was recorded of a primitive's function must not stay on the tape, or None."""
    now = recorder.invalid, recorder.left, recorder.handled_error
    if now != before:
        return _NotFollowed(next(new for new, old in zip(now, before) if new != old) or "")
    if type(answer) is _NotFollowed:
        return answer
    taken = [guard.line for guard in guards if guard.kind in refused]
    return _NotFollowed(f"it takes values out of arrays: {taken[0]}") if taken else None


def _note(recorder: Recorder, prim: Primitive, reason: str) -> None:
    """Say with the step just recorded why it is one."""
    last = recorder.ops[-1] if recorder.ops else None
    if isinstance(last, Op) and last.prim is prim:
        last.note = reason


def _as_step(recorder: Recorder, prim: Primitive, leaves: list, structure: Any, reason: str) -> Any:
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
    _note(recorder, step, reason)
    if altered:
        recorder.leave(f"{prim.name} changes a value that it is given")
    return answer


def _is_constant(leaf: Any) -> bool:
    """Whether a leaf is what it is: a number, an array (of which the tape keeps a copy), text, a flag."""
    return tensor_type(leaf) is not None or isinstance(leaf, (str, bytes, int, enum.Enum, np.dtype, type(None)))
