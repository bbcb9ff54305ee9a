"""Helpers that programs written for Autograd import when they define forward rules."""

from __future__ import annotations

from typing import Any

from ..trace.cotangent import abstract, fit_tangent
from ..trace.rules import def_linear, defjvp, defjvp_argnum
from .array_box import ArrayBox
from .numpy_vjps import balanced_eq, match_complex, replace_zero

__all__ = [
    "ArrayBox",
    "balanced_eq",
    "broadcast",
    "def_linear",
    "defjvp",
    "defjvp_argnum",
    "match_complex",
    "replace_zero",
]


def broadcast(x: Any, target: Any) -> Any:
    """The tangent ``x`` broadcast to the shape and kind of ``target``."""
    return fit_tangent(x, *abstract(target))
