"""The one place that brings a cotangent to its operand's shape, dtype and real or complex kind.

Derivative rules never unbroadcast, cast or drop an imaginary part themselves: a rule for ``x + y``
returns ``g`` for both operands, and :func:`fit` sums over the axes that broadcasting added. The same
holds forward: :func:`fit_tangent` broadcasts a tangent to the shape of the result.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import AutogradJitError
from .tracer import BOX_TYPES, concrete

__all__ = ["Sparse", "abstract", "fit", "fit_tangent"]

_FLOAT64 = np.dtype(np.float64)
_COMPLEX128 = np.dtype(np.complex128)


class CotangentShapeError(AutogradJitError, ValueError):
    """A derivative rule returned a cotangent that cannot belong to its operand."""


class Sparse:
    """The cotangent ``g`` of ``x[index]``: zero everywhere but there. Summed lazily by the backward pass."""

    __slots__ = ("g", "index")

    def __init__(self, index: Any, g: Any) -> None:
        self.index = index
        self.g = g


def abstract(value: Any) -> tuple[Any, Any]:
    """``(shape, dtype)`` of an array or scalar; ``(None, value)``'s space for anything else."""
    kind = type(value)
    if kind in BOX_TYPES:
        value = concrete(value)
        kind = type(value)
    if kind is np.ndarray or isinstance(value, (np.generic, np.ndarray)):
        return value.shape, value.dtype
    if kind is float:
        return (), _FLOAT64
    if kind is complex:
        return (), _COMPLEX128
    if kind is int or kind is bool:
        return (), np.dtype(kind)
    return None, value


def fit(g: Any, shape: tuple, dtype: Any, rule: Any = "") -> Any:
    """``g`` as a cotangent of an operand of this ``shape`` and ``dtype``.

    Raises CotangentShapeError, naming ``rule``, where no summing or broadcasting leads there.
    """
    kind = type(g)
    if kind is np.ndarray or kind is np.float64:
        if g.dtype is dtype and g.shape == shape:
            return g
    elif kind is Sparse:
        return g
    g_shape, g_dtype = abstract(g)
    if g_shape == shape and g_dtype == dtype:
        return g
    return _fit(g, g_shape, g_dtype, shape, dtype, rule)


def _fit(g: Any, g_shape: Any, g_dtype: Any, shape: tuple, dtype: Any, rule: Any) -> Any:
    from .. import numpy as anp
    from .sparse_objects import SparseObject, densify

    if g_shape is None and isinstance(g_dtype, SparseObject):
        g = densify(g)
        g_shape, g_dtype = abstract(g)
    if g_shape is None:
        raise CotangentShapeError(f"the derivative rule of {rule} returned a {type(g).__name__}, not an array")
    if g_dtype.kind == "c" and dtype.kind != "c":
        g = anp.real(g)
        g_dtype = abstract(g)[1]
    if g_shape != shape:
        g = _to_shape(g, g_shape, shape, rule)
    if g_dtype != dtype:
        g = anp.astype(anp.asarray(g), dtype)
    return g


def _to_shape(g: Any, g_shape: tuple, shape: tuple, rule: Any) -> Any:
    """Sum over the axes along which ``shape`` was broadcast to ``g_shape``, or broadcast a smaller ``g``."""
    from .. import numpy as anp

    extra = len(g_shape) - len(shape)
    if extra >= 0:
        axes = tuple(
            axis
            for axis, size in enumerate(g_shape)
            if axis < extra or (shape[axis - extra] == 1 and size != 1)
        )
        if all(axis in axes or g_shape[axis] == shape[axis - extra] for axis in range(extra, len(g_shape))):
            g = anp.sum(g, axis=axes, keepdims=True)
            return anp.reshape(g, shape)
    try:
        np.broadcast_shapes(g_shape, shape)
        return anp.broadcast_to(g, shape)
    except ValueError:
        raise CotangentShapeError(
            f"the derivative rule of {rule} returned a cotangent of shape {g_shape} "
            f"for an operand of shape {shape}"
        ) from None


def fit_tangent(tangent: Any, shape: tuple, dtype: Any, rule: Any = "") -> Any:
    """``tangent`` as a tangent of a result of this ``shape`` and ``dtype``."""
    t_shape, t_dtype = abstract(tangent)
    if t_shape == shape and t_dtype == dtype:
        return tangent
    from .. import numpy as anp

    if t_shape is None:
        raise CotangentShapeError(f"the forward rule of {rule} returned a {type(tangent).__name__}, not an array")
    if t_dtype.kind == "c" and dtype.kind != "c":
        tangent = anp.real(tangent)
    if t_shape != shape:
        try:
            tangent = anp.broadcast_to(tangent, shape)
        except ValueError:
            raise CotangentShapeError(
                f"the forward rule of {rule} returned a tangent of shape {t_shape} for a result of shape {shape}"
            ) from None
    if abstract(tangent)[1] != dtype:
        tangent = anp.astype(anp.asarray(tangent), dtype)
    return tangent
