"""Helpers that programs written for Autograd import when they define their own rules.

Rules need none of them here: shapes, dtypes and imaginary parts are brought to the argument's centrally.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as _np

from ..trace.cotangent import abstract, fit
from ..trace.rules import defvjp, defvjp_argnum
from ..trace.vspace import vspace
from .array_box import ArrayBox

__all__ = [
    "ArrayBox",
    "balanced_eq",
    "defvjp",
    "defvjp_argnum",
    "match_complex",
    "replace_zero",
    "unbroadcast",
    "unbroadcast_f",
    "vspace",
]


def unbroadcast(x: Any, target_meta: Any, broadcast_idx: int = 0) -> Any:
    """``x`` summed to the shape that ``target_meta``, as ``metadata(target)`` gives it, had before
    broadcasting."""
    shape, _, dtype, iscomplex = target_meta
    kind = abstract(x)[1]
    if kind is not None and kind.kind == "c" and not iscomplex:
        return fit(x, tuple(shape), _np.empty(0, kind).real.dtype)
    return fit(x, tuple(shape), kind if kind is not None else dtype)


def unbroadcast_f(target: Any, f: Callable) -> Callable:
    """``g -> unbroadcast(f(g))``, for the operand ``target``."""
    from .numpy_wrapper import metadata

    target_meta = metadata(target)
    return lambda g: unbroadcast(f(g), target_meta)


def match_complex(target: Any, x: Any) -> Any:
    """``x`` made real or complex as ``target`` is."""
    from .elementwise import add, real

    wants, has = (abstract(value)[1].kind == "c" for value in (target, x))
    if has and not wants:
        return real(x)
    return add(x, 0j) if wants and not has else x


def replace_zero(x: Any, val: Any) -> Any:
    """``x`` with ``val`` in place of zeros."""
    from .elementwise import where

    return where(x, x, val)


def balanced_eq(x: Any, z: Any, y: Any) -> Any:
    """``x == z``, as a half where ``y`` ties with it."""
    return (x == z) / (1.0 + (x == y))
