"""Autograd's name for the module that wraps NumPy's namespace."""

from __future__ import annotations

import types
from typing import Any

import numpy as _np

from ..trace.cotangent import abstract
from ..trace.tracer import isbox, notrace_primitive, primitive
from .joining import array_from_args, concatenate
from .shaping import astype

__all__ = ["array_from_args", "concatenate_args", "metadata", "wrap_intdtype", "wrap_namespace"]

#: a function without gradient, by its name in the wrapped namespace
_WITHOUT_GRADIENT = frozenset(
    "floor ceil round rint around fix trunc all any argmax argmin argpartition argsort argwhere "
    "nonzero flatnonzero count_nonzero searchsorted sign ndim shape floor_divide logical_and "
    "logical_or logical_not logical_xor isfinite isinf isnan isneginf isposinf allclose isclose "
    "array_equal array_equiv greater greater_equal less less_equal equal not_equal iscomplexobj "
    "iscomplex size isscalar isreal zeros_like ones_like result_type".split()
)
_FUNCTION_TYPES = (
    _np.ufunc,
    types.FunctionType,
    types.BuiltinFunctionType,
    type(_np.sum),  # NumPy's functions that dispatch on __array_function__
)


def _astype(
    A: Any, dtype: Any, order: str = "K", casting: str = "unsafe", subok: bool = True, copy: bool = True
) -> Any:
    """``A.astype(dtype)``, differentiable."""
    return astype(A, dtype)


def concatenate_args(axis: int, *args: Any) -> Any:
    """``concatenate(args, axis)``."""
    return concatenate(args, axis)


def metadata(A: Any) -> tuple[tuple, int, Any, bool]:
    """``(shape, ndim, dtype, iscomplex)`` of an array, scalar or box."""
    shape, dtype = abstract(A)
    if shape is None:
        value = _np.asarray(A)
        shape, dtype = value.shape, value.dtype
    return shape, len(shape), dtype, dtype.kind == "c"


def wrap_intdtype(cls: type) -> type:
    """A class like ``cls`` that takes boxes too: integers have no derivative."""

    class wrapped(cls):  # type: ignore[misc, valid-type]
        def __new__(klass, *args: Any, **kwargs: Any) -> Any:
            from ..trace.tracer import getval

            return cls(*[getval(arg) for arg in args], **kwargs)

    wrapped.__name__ = wrapped.__qualname__ = cls.__name__
    return wrapped


def wrap_namespace(old: dict[str, Any], new: dict[str, Any]) -> None:
    """Put into ``new`` every public function of ``old`` as a primitive, and every constant and type as it is.

    Functions that have no gradient (``floor``, ``argmax`` and the like, by name) become
    ``notrace_primitive``; the rest need ``defvjp``.
    """
    for name, value in old.items():
        if name.startswith("__") or isbox(value):
            continue
        if name in _WITHOUT_GRADIENT and callable(value):
            new[name] = notrace_primitive(value)
        elif isinstance(value, _FUNCTION_TYPES):
            new[name] = primitive(value)
        elif isinstance(value, type) and issubclass(value, _np.integer):
            new[name] = wrap_intdtype(value)
        elif isinstance(value, (type, int, float, complex, type(None))):
            new[name] = value


def __getattr__(name: str) -> Any:
    """Every other name is that of ``autograd_jit.numpy``."""
    from .. import numpy

    return getattr(numpy, name)
