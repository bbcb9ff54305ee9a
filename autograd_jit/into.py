"""Results written into arrays that are there: :meth:`autograd_jit.jit.Jitted.into`.

A fast path makes the arrays for its results with ``empty``. The same code with another ``empty``, which hands out the
caller's arrays, is the whole of it; where there is no fast path yet, or an array cannot serve, results are copied.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import ArgumentError
from .known_programs import MISS
from .trace import tree
from .trace.tracer import BOX_TYPES

if TYPE_CHECKING:
    from .handle import Handle

__all__ = ["call_into"]


def call_into(call: Callable, handle: Handle, out: Any, args: tuple, kwargs: dict) -> Any:
    """``call(*args, **kwargs)``, whose results end up in the arrays of ``out``."""
    targets, structure = tree.flatten(out)
    for position, target in enumerate(targets):
        if not isinstance(target, np.ndarray) or not target.flags.writeable:
            what = "a read-only array" if isinstance(target, np.ndarray) else f"of type {type(target).__name__}"
            raise ArgumentError(f"into() writes into NumPy arrays; result {position} of out is {what}")
    result = MISS if kwargs else _offered(handle, targets, args)
    if result is MISS:
        result = call(*args, **kwargs)
    leaves, found = tree.flatten(result)
    if any([type(leaf) in BOX_TYPES for leaf in leaves]):
        raise ArgumentError("into() cannot be traced: it writes into arrays. Call the function itself")
    if found != structure:
        raise ArgumentError(f"out is built like {structure}, and the result like {found}")
    for position, (target, leaf) in enumerate(zip(targets, leaves, strict=True)):
        if target is leaf:
            continue
        value = np.asarray(leaf)
        if value.shape != target.shape or value.dtype != target.dtype:
            raise ArgumentError(
                f"result {position} is {value.dtype}{list(value.shape)}, and the array given for it is "
                f"{target.dtype}{list(target.shape)}"
            )
    for target, leaf in zip(targets, _apart(leaves, targets), strict=True):
        if target is not leaf:
            np.copyto(target, leaf)
    return out


def _offered(handle: Handle, targets: list, args: tuple) -> Any:
    """The result of the fast path, given the arrays that can serve; MISS where it does not serve the call."""
    fast: Any = handle.fast
    path = next((path for path, known in list(handle.fast_of.values()) if known is fast), None)
    if path is None or not isinstance(fast, types.FunctionType) or path.program.empty is not np.empty:
        return MISS
    read = [leaf for leaf in tree.flatten(args)[0] if isinstance(leaf, np.ndarray)]
    assert handle.compiled is not None
    read += handle.compiled.captures.bind(handle.fun)
    offers = _offers(path.program, targets, read)
    empty = _Empty(offers).make
    same = types.FunctionType(fast.__code__, fast.__globals__ | {"empty": empty}, "fast", None, fast.__closure__)
    return same(args)


def _offers(program: Any, targets: list, read: list) -> Iterator[Any]:
    """For each array that the fast path makes the one to take instead, or None."""
    results = len(program.tape.outputs)
    for position, plan in enumerate(program.outputs):
        if plan.kind not in ("fresh", "hidden") or plan.type is None or program.filled_scalar(plan.type) is not None:
            continue
        target = targets[position] if plan.kind == "fresh" and position < min(results, len(targets)) else None
        others = [other for place, other in enumerate(targets) if place != position]
        yield None if target is None or _overlaps(target, [*read, *others]) else target


def _overlaps(target: np.ndarray, others: list) -> bool:
    return any([np.may_share_memory(target, other) for other in others])


class _Empty:
    """``np.empty``, but for the arrays that are offered and fit."""

    def __init__(self, offers: Iterator[Any]) -> None:
        self.offers = list(offers)
        self.next = 0

    def make(self, shape: Any, dtype: Any = np.float64) -> np.ndarray:
        offer = self.offers[self.next] if self.next < len(self.offers) else None
        self.next += 1
        if offer is None:
            return np.empty(shape, dtype)
        fits = (
            offer.shape == (shape if type(shape) is tuple else (shape,))
            and offer.dtype == dtype
            and type(offer) is np.ndarray
            and offer.flags.c_contiguous
            and offer.flags.aligned
            and offer.dtype.isnative
        )
        return offer if fits else np.empty(shape, dtype)


def _apart(leaves: list, targets: list) -> list:
    """Results that may be copied one after the other: none is a view of an array that is written."""
    return [
        leaf.copy()
        if isinstance(leaf, np.ndarray)
        and leaf is not target
        and any([np.may_share_memory(leaf, other) for other in targets])
        else leaf
        for leaf, target in zip(leaves, targets, strict=True)
    ]
