"""``scipy.sparse.linalg.spsolve`` with a derivative in the right-hand side. Every other name is SciPy's own."""

from __future__ import annotations

from typing import Any

import scipy.sparse.linalg as _sl

from ...numpy.arguments import is_traced
from ...numpy.solving import inexact
from ...trace.rules import linear

_solution = linear(
    lambda b, a, order, umfpack: _sl.spsolve(a, b, order, umfpack),
    lambda g, shape, a, order, umfpack: _solution(g, a.T.tocsc(), order, umfpack),
    name="spsolve",
)


def __getattr__(name: str) -> Any:
    """Names without a derivative are SciPy's."""
    try:
        return getattr(_sl, name)
    except AttributeError:
        raise AttributeError(
            f"module 'autograd_jit.scipy.sparse.linalg' (like scipy.sparse.linalg) has no attribute {name!r}"
        ) from None


def spsolve(A, b, permc_spec=None, use_umfpack=True):
    """As ``scipy.sparse.linalg.spsolve``, for a plain sparse matrix."""
    if not is_traced(b):
        return _sl.spsolve(A, b, permc_spec, use_umfpack)
    return _solution(inexact(b), A, permc_spec, use_umfpack)
