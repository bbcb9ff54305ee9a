"""Functions that look at shape and dtype only, or print: nothing is recorded, and the result is plain."""

from __future__ import annotations

import numpy as _np

from ..trace.tracer import BOX_TYPES
from .arguments import as_array, is_traced, plain_value, without_boxes
from .joining import array
from .shaping import astype, broadcast_to

__all__ = [
    "array2string",
    "array_repr",
    "array_str",
    "common_type",
    "diag_indices_from",
    "empty_like",
    "full_like",
    "iscomplexobj",
    "isrealobj",
    "isscalar",
    "iterable",
    "ndim",
    "ones_like",
    "result_type",
    "shape",
    "size",
    "tril_indices_from",
    "triu_indices_from",
    "zeros_like",
]


def shape(a):
    """As ``numpy.shape``."""
    return a.shape if type(a) in BOX_TYPES else _np.shape(without_boxes(a))


def ndim(a):
    """As ``numpy.ndim``."""
    return a.ndim if type(a) in BOX_TYPES else _np.ndim(without_boxes(a))


def size(a, axis=None):
    """As ``numpy.size``."""
    return _np.size(without_boxes(a), axis)


def result_type(*arrays_and_dtypes):
    """As ``numpy.result_type``; traced Python scalars are weak, as Python scalars are."""
    return _np.result_type(*map(without_boxes, arrays_and_dtypes))


def common_type(*arrays):
    """As ``numpy.common_type``."""
    return _np.common_type(*[_np.asarray(without_boxes(a)) for a in arrays])


def iscomplexobj(x):
    """As ``numpy.iscomplexobj``."""
    return _np.iscomplexobj(without_boxes(x))


def isrealobj(x):
    """As ``numpy.isrealobj``."""
    return not iscomplexobj(x)


def isscalar(element):
    """As ``numpy.isscalar``: a traced scalar counts as the scalar that it stands for."""
    return _np.isscalar(without_boxes(element))


def iterable(y):
    """As ``numpy.iterable``."""
    return _np.iterable(without_boxes(y))


def diag_indices_from(arr):
    """As ``numpy.diag_indices_from``."""
    return _np.diag_indices_from(without_boxes(arr))


def tril_indices_from(arr, k=0):
    """As ``numpy.tril_indices_from``."""
    return _np.tril_indices_from(without_boxes(arr), k)


def triu_indices_from(arr, k=0):
    """As ``numpy.triu_indices_from``."""
    return _np.triu_indices_from(without_boxes(arr), k)


def array_repr(arr, *args, **kwargs):
    """As ``numpy.array_repr`` of the plain value."""
    return _np.array_repr(plain_value(arr), *args, **kwargs)


def array_str(a, *args, **kwargs):
    """As ``numpy.array_str`` of the plain value."""
    return _np.array_str(plain_value(a), *args, **kwargs)


def array2string(a, *args, **kwargs):
    """As ``numpy.array2string`` of the plain value."""
    return _np.array2string(plain_value(a), *args, **kwargs)


def zeros_like(a, dtype=None, order="K", subok=True, shape=None, *, device=None):
    """As ``numpy.zeros_like``: a plain array."""
    return _np.zeros_like(without_boxes(a), dtype, order, subok, shape, device=device)


def ones_like(a, dtype=None, order="K", subok=True, shape=None, *, device=None):
    """As ``numpy.ones_like``: a plain array."""
    return _np.ones_like(without_boxes(a), dtype, order, subok, shape, device=device)


def empty_like(prototype, dtype=None, order="K", subok=True, shape=None, *, device=None):
    """As ``numpy.empty_like``: a plain array."""
    return _np.empty_like(without_boxes(prototype), dtype, order, subok, shape, device=device)


def full_like(a, fill_value, dtype=None, order="K", subok=True, shape=None, *, device=None):
    """As ``numpy.full_like``; a traced fill value keeps its derivative."""
    plain = without_boxes(a)
    if not is_traced(fill_value):
        return _np.full_like(plain, fill_value, dtype, order, subok, shape, device=device)
    target = _np.empty_like(plain, dtype, order, subok, shape)
    fill = as_array(fill_value)
    filled = broadcast_to(astype(fill, target.dtype, copy=False), target.shape)
    return array(filled) if filled.shape == fill.shape else filled
