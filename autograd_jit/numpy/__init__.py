"""NumPy, with derivatives: ``import autograd_jit.numpy as np``.

Functions with derivatives are defined in the modules of this package; every other name is NumPy's own.
"""

from __future__ import annotations

from typing import Any

import numpy as _np

from . import array_box as numpy_boxes
from .array_box import ArrayBox
from .elementwise import *
from .elementwise import abs, pow, round
from .indexing import compress, extract, getitem, take, take_along_axis
from .joining import (
    append,
    array,
    array_from_args,
    array_split,
    asarray,
    column_stack,
    concat,
    concatenate,
    dsplit,
    dstack,
    full,
    hsplit,
    hstack,
    meshgrid,
    row_stack,
    split,
    stack,
    unstack,
    vsplit,
    vstack,
)
from .products import cross, dot, einsum, inner, kron, matmul, outer, tensordot, vdot
from .reductions import (
    all,
    amax,
    amin,
    any,
    argmax,
    argmin,
    clip,
    count_nonzero,
    cumprod,
    cumsum,
    max,
    mean,
    min,
    prod,
    ptp,
    std,
    sum,
    var,
)
from .shaping import (
    astype,
    atleast_1d,
    atleast_2d,
    atleast_3d,
    broadcast_arrays,
    broadcast_to,
    diag,
    diagonal,
    expand_dims,
    flip,
    fliplr,
    flipud,
    matrix_transpose,
    moveaxis,
    pad,
    permute_dims,
    ravel,
    repeat,
    reshape,
    roll,
    rollaxis,
    rot90,
    squeeze,
    swapaxes,
    tile,
    trace,
    transpose,
    tril,
    triu,
)
from .sorting import argpartition, argsort, argwhere, flatnonzero, nonzero, partition, searchsorted, sort


def __getattr__(name: str) -> Any:
    """Names without a derivative are NumPy's."""
    try:
        return getattr(_np, name)
    except AttributeError:
        raise AttributeError(f"module 'autograd_jit.numpy' (like numpy) has no attribute {name!r}") from None


def shape(a: Any) -> tuple:
    """As ``numpy.shape``."""
    return a.shape if isinstance(a, ArrayBox) else _np.shape(a)


def ndim(a: Any) -> int:
    """As ``numpy.ndim``."""
    return a.ndim if isinstance(a, ArrayBox) else _np.ndim(a)


def size(a: Any, axis: Any = None) -> int:
    """As ``numpy.size``."""
    if isinstance(a, ArrayBox):
        return a.size if axis is None else a.shape[axis]
    return _np.size(a, axis)
