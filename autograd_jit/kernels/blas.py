"""BLAS and LAPACK routines by address, out of scipy's own OpenBLAS: no wrapper, no copy, no Python.

    address = blas_address("dgemm")      # also registered: IR calls @agj_dgemm

scipy publishes each routine's address in a capsule (`scipy.linalg.cython_blas.__pyx_capi__`), with Fortran's
calling convention: every argument a pointer, matrices column-major, and no hidden string lengths (Cython's
wrappers add them).  `dot` and `nrm2` return their value as C functions do, zdotc and its like a struct.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import importlib
import os
from typing import Final, NamedTuple

import numpy

from .llvm import register_symbol
from .vecmath import capsule_address

_REAL: Final = "gemm gemv symm symv syrk syr2k ger trmm trmv trsm trsv dot axpy scal nrm2"
_COMPLEX: Final = "gemm gemv symm hemm syrk herk gerc geru trmm trmv trsm trsv dotc dotu axpy scal"
_REAL_LAPACK: Final = (
    "potrf potrs potri trtrs trtri getrf getrs getri syevd gesdd gesvd geqrf orgqr gesv posv"
)
_COMPLEX_LAPACK: Final = (
    "potrf potrs potri trtrs trtri getrf getrs getri heevd gesdd gesvd geqrf ungqr gesv posv"
)


def _names(real: str, complex_: str) -> frozenset[str]:
    return frozenset(
        p + name for names, ps in ((real, "sd"), (complex_, "cz")) for name in names.split() for p in ps
    )


# Which module of scipy.linalg publishes which routines.
ROUTINES: Final[dict[str, frozenset[str]]] = {
    "cython_blas": _names(_REAL, _COMPLEX),
    "cython_lapack": _names(_REAL_LAPACK, _COMPLEX_LAPACK),
}


@functools.cache
def blas_address(name: str) -> int:
    """The address of a BLAS or LAPACK routine, which kernels may call as `@agj_<name>` from now on.

    scipy.linalg is imported on the first call.  Raises KeyError for a name that is not in ROUTINES."""
    for module, names in ROUTINES.items():
        if name in names:
            capsules = importlib.import_module(f"scipy.linalg.{module}").__pyx_capi__
            address = capsule_address(capsules[name])
            register_symbol(f"agj_{name}", address)
            return address
    raise KeyError(name)


def declaration(name: str, arguments: int, returns: str = "void") -> str:
    """The IR declaration: pointers all, as Fortran has it."""
    return f"declare {returns} @agj_{name}({', '.join(['ptr'] * arguments)})"


#: multiplications from which OpenBLAS asks its threads
THREADED: Final = 64**3


class LibraryRoutine(NamedTuple):
    """Where a routine is, and the size of its integers."""

    address: int
    integer_bytes: int


@functools.cache
def routine_address(name: str) -> LibraryRoutine:
    """A BLAS or LAPACK routine for kernels whose integers are 64-bit words: NumPy's own where it can be found.

    NumPy's and SciPy's wheels bring an OpenBLAS each, each with threads that spin for milliseconds after a product.
    A program that alternates NumPy's products with ours in SciPy's library ran them 2 to 10 times slower; in NumPy's
    library they share one pool, and give NumPy's very bits. Its routines take 64-bit integers, SciPy's 32-bit ones: a
    small positive number in a little-endian word reads the same as either. Arrays of integers do not."""
    for library in _numpy_libraries():
        for symbol in (f"scipy_{name}_64_", f"{name}_64_"):
            function = getattr(library, symbol, None)
            address = ctypes.cast(function, ctypes.c_void_p).value if function is not None else None
            if address:
                return LibraryRoutine(address, 8)
    return LibraryRoutine(blas_address(name), 4)


def product_address(name: str) -> int:
    """The address of a routine without integers in arrays (see :func:`routine_address`)."""
    return routine_address(name).address


def numpy_library() -> ctypes.CDLL | None:
    """NumPy's own OpenBLAS, where it brought one."""
    return next(iter(_numpy_libraries()), None)


def threads() -> int:
    """How many threads NumPy's own OpenBLAS uses at the moment; 1 where that is not known."""
    count = getattr(numpy_library(), "scipy_openblas_get_num_threads64_", None)
    return 1 if count is None else int(count())


@functools.cache
def _numpy_libraries() -> tuple[ctypes.CDLL, ...]:
    """The BLAS libraries that NumPy's wheel brought, which are loaded already; none with another build of NumPy."""
    package = os.path.dirname(numpy.__file__)
    libraries = []
    for folder in (os.path.join(os.path.dirname(package), "numpy.libs"), os.path.join(package, ".dylibs")):
        for name in os.listdir(folder) if os.path.isdir(folder) else ():
            if "openblas64" in name:
                with contextlib.suppress(OSError):
                    libraries.append(ctypes.CDLL(os.path.join(folder, name)))
    return tuple(libraries)
