"""Sorting and searching: sort is a gather by the plain permutation; searches have no derivative."""

from __future__ import annotations

import numpy as _np

from ..trace.rules import nondifferentiable
from .arguments import is_traced
from .indexing import take_along_axis
from .shaping import ravel

argsort = nondifferentiable(_np.argsort)
argpartition = nondifferentiable(_np.argpartition)
argwhere = nondifferentiable(_np.argwhere)
nonzero = nondifferentiable(_np.nonzero)
flatnonzero = nondifferentiable(_np.flatnonzero)
searchsorted = nondifferentiable(_np.searchsorted)


def sort(a, axis=-1, kind=None, order=None, *, stable=None):
    """As ``numpy.sort``."""
    if not is_traced(a):
        return _np.sort(a, axis, kind, order, stable=stable)
    if axis is None:
        a, axis = ravel(a), -1
    return take_along_axis(a, argsort(a, axis, kind=kind or "stable"), axis)


def partition(a, kth, axis=-1, kind="introselect", order=None):
    """As ``numpy.partition``."""
    if not is_traced(a):
        return _np.partition(a, kth, axis, kind, order)
    if axis is None:
        a, axis = ravel(a), -1
    return take_along_axis(a, argpartition(a, kth, axis, kind), axis)


