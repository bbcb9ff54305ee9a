"""Native routines for the executor's table that are no loop nests: by name, with their words.

Each is ``i64 routine(slots, words)`` like a kernel, written in :mod:`autograd_jit.kernels.subset`. Its words:

    0 to 7    numbers (sizes, flags; the first is the number of matrices or rows)
    8 to 11   addresses of library functions
    12 ...    each operand: slot, byte offset, strides of its three axes (batch, rows, columns) in elements
    then      each result: slot, byte offset

A routine returns 0, or another number where NumPy raises: the call is then made interpreted.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from .numpy_fourier import LOOPS, loop
from .numpy_functions import PLACES, function_address

if TYPE_CHECKING:
    from .subset import Real

__all__ = ["ADDRESSES", "NUMBERS", "ROUTINES", "Routine", "addresses", "routine"]

NUMBERS: Final = 8
ADDRESSES: Final = 4


class Routine(NamedTuple):
    """A routine and the functions that it calls by address: LAPACK's, without their letter of precision, or NumPy's.

    ``module`` and ``name`` say where it is written; that module is imported when a program first has the routine.
    """

    module: str
    name: str
    lapack: tuple[str, ...] = ()
    numpy: str = ""
    fourier: str = ""


ROUTINES: Final[dict[str, Routine]] = {
    "matrix_product": Routine("matrix_product", "matrix_product"),
    "matrix_vector": Routine("lapack", "matrix_vector", ("gemv",)),
    "lu": Routine("lapack", "lu", ("getrf",)),
    "determinant": Routine("lapack", "determinant"),
    "solve": Routine("lapack", "solve", ("gesv", "gemm", "trsv")),
    "triangular": Routine("lapack", "triangular", ("gemm", "trsv")),
    "cholesky": Routine("lapack", "cholesky", ("potrf",)),
    "eigh": Routine("lapack", "eigh", ("syevd",)),
    "svd": Routine("lapack", "svd", ("gesdd",)),
    "qr": Routine("lapack", "qr", ("geqrf", "orgqr")),
    "cumulative_sum": Routine("sequences", "cumulative_sum"),
    "cumulative_product": Routine("sequences", "cumulative_product"),
    "recurrence": Routine("sequences", "recurrence"),
    "searchsorted": Routine("sequences", "searchsorted"),
    "convolve": Routine("sequences", "convolve"),
    "flatnonzero": Routine("sequences", "flatnonzero"),
    "groups": Routine("sequences", "groups"),
    **{name: Routine("sequences", "argsort", numpy=name) for name in PLACES if name.startswith("argsort")},
    **{f"fourier {name}": Routine("fourier", "fourier", fourier=name) for name in LOOPS},
    **{f"fourier {name} of rows": Routine("fourier", "fourier_of_rows", fourier=name) for name in LOOPS},
    **{name: Routine("sequences", "extremum", numpy=name) for name in ("argmax", "argmin")},
}


def routine(name: str, dtype: np.dtype) -> tuple[Callable, Real]:
    """The function that a routine is written as, and its precision for a dtype."""
    return _function(name), "float" if dtype == np.float32 else "double"


@functools.cache
def _function(name: str) -> Callable:
    """What a routine is written as; always the same object, which is what its machine code is known by."""
    routine = ROUTINES[name]
    found: Callable = getattr(importlib.import_module(f".{routine.module}", __package__), routine.name)
    return found


def addresses(name: str, dtype: np.dtype) -> list[int]:
    """The functions for a routine's words."""
    routine = ROUTINES[name]
    letter = "s" if dtype == np.float32 else "d"
    found = []
    if routine.lapack:
        from .blas import routine_address

        found = [routine_address(letter + part).address for part in routine.lapack]
    if routine.numpy:
        found = [function_address(routine.numpy, dtype)]
    if routine.fourier:
        found = list(loop(routine.fourier, dtype))
    return found + [0] * (ADDRESSES - len(found))
