"""``scipy.sparse``: products of plain sparse matrices with traced arrays. Every other name is SciPy's own.

SciPy's ``A @ x`` turns ``x`` into a plain array first, which raises TracedValueError for a traced one: write
``matmul(A, x)``, which is the same for plain values.
"""

from __future__ import annotations

from typing import Any

import scipy.sparse as _ss

from ...errors import ArgumentError
from ...numpy.arguments import is_traced
from ...numpy.solving import inexact
from ...trace.rules import linear
from . import linalg as linalg

_product = linear(lambda x, a: a @ x, lambda g, shape, a: _product(g, a.T), name="sparse_matmul")


def __getattr__(name: str) -> Any:
    """Names without a derivative are SciPy's."""
    try:
        return getattr(_ss, name)
    except AttributeError:
        raise AttributeError(
            f"module 'autograd_jit.scipy.sparse' (like scipy.sparse) has no attribute {name!r}"
        ) from None


def matmul(A, x):
    """``A @ x`` or ``x @ A`` for a sparse matrix, plain, and an array of one or two dimensions, traced or plain."""
    if not is_traced(A, x):
        return A @ x
    if _ss.issparse(A):
        return _product(inexact(x), A)
    if _ss.issparse(x):
        return _product(inexact(A).T, x.T).T
    raise ArgumentError("sparse.matmul: one of the operands must be a sparse matrix")
