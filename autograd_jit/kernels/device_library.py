"""Products, factorizations, Fourier transforms and sorting on the device, by a library of array functions: CuPy there.

The counterparts of :mod:`.lapack`, :mod:`.fourier` and of sorting in :mod:`.sequences`, with the same operands,
numbers and results (factors column-major, pivots with a word that says whether a matrix is near to singular), since
later steps read them. They are written once, over a :class:`Library`: an array module like NumPy and a module like
``scipy.linalg``.

A library for devices answers in its own roundings, and not all of it reports failure as LAPACK does. So what is a
matter of single roundings (whether a matrix is singular, whether it is positive) or of a certain algorithm (the order
of equals in a sort that is not stable) is decided on the host, by NumPy: only values in doubt go there.

Where NumPy raises LinAlgError, these routines do.
"""

from __future__ import annotations

import functools
import importlib.util
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

import numpy as np

from ..errors import AutogradJitWarning
from .numpy_fourier import LOOPS

if TYPE_CHECKING:
    from .cuda_device import CudaDevice, DeviceMemory

__all__ = ["PRODUCT", "ROUTINES", "Library", "current", "install", "offers"]

#: the name of products of matrices, which are no routine on the CPU
PRODUCT: Final = "product"


class Library(Protocol):
    """Array functions on the device's memory."""

    xp: Any  #: like ``numpy``: arrays, ``linalg``, ``fft``, ``lib.stride_tricks``, ``argsort``
    linalg: Any  #: like ``scipy.linalg``: ``lu_factor``, ``lu_solve``, ``solve_triangular``

    def view(
        self,
        device: CudaDevice,
        memory: DeviceMemory,
        offset: int,
        shape: tuple[int, ...],
        dtype: np.dtype,
        strides: tuple[int, ...],
    ) -> Any:
        """An array of ``xp`` over memory of the device; offset and strides in bytes."""

    def running(self, device: CudaDevice) -> AbstractContextManager:
        """Where work goes to the device's stream, after what is there, and what fails raises LinAlgError."""

    def host(self, array: Any) -> np.ndarray:
        """A copy on the host."""


# ---------------------------------------------------------------- which one


class CupyLibrary:
    """CuPy, which calls cuSOLVER, cuBLAS and Thrust."""

    def __init__(self) -> None:
        import cupy
        import cupyx
        import cupyx.scipy.linalg

        self.xp = cupy
        self.linalg = cupyx.scipy.linalg
        self._errstate = cupyx.errstate

    def view(
        self,
        device: CudaDevice,
        memory: DeviceMemory,
        offset: int,
        shape: tuple[int, ...],
        dtype: np.dtype,
        strides: tuple[int, ...],
    ) -> Any:
        cuda = self.xp.cuda
        block = cuda.UnownedMemory(memory.address, memory.nbytes, memory, device.ordinal)
        return self.xp.ndarray(shape, dtype, cuda.MemoryPointer(block, offset), strides)

    @contextmanager
    def running(self, device: CudaDevice) -> Iterator[None]:
        cuda = self.xp.cuda
        stream = cuda.ExternalStream(int(device.stream.handle), device.ordinal)
        with cuda.Device(device.ordinal), stream, self._errstate(linalg="raise"):
            yield

    def host(self, array: Any) -> np.ndarray:
        return array.get()


_installed: Library | None = None


def install(library: Library | None) -> None:
    """Let programs that are made from now on use ``library``; None: CuPy, if it is installed."""
    global _installed
    _installed = library


def current() -> Library | None:
    """The library of new programs; None where there is none: its routines then run on the host."""
    return _installed or _cupy()


@functools.cache
def _cupy() -> Library | None:
    if importlib.util.find_spec("cupy") is None:
        return None
    try:
        return CupyLibrary()
    except Exception as error:  # an installation that lacks CUDA's libraries, or was made for others
        warnings.warn(
            f"CuPy is installed but cannot be loaded, so linear algebra and sorting run on the host: {error}; "
            f"pip install 'autograd_jit[cupy]' brings what it needs",
            AutogradJitWarning,
            stacklevel=2,
        )
        return None


def offers(routine: str) -> bool:
    """Whether there is a library that has a routine."""
    return routine in ROUTINES and current() is not None


# ---------------------------------------------------------------- shared

Arrays: TypeAlias = Sequence[Any]
Routine: TypeAlias = Callable[[Library, Sequence[int], Arrays, Arrays], None]


def _turned(stack: Any) -> Any:
    """Column-major memory as the matrices in it, or back."""
    return stack.swapaxes(-1, -2)


def _tolerance(array: Any) -> float:
    """As :func:`.lapack.tolerance`: pivots that are smaller, relative to their matrix, are in doubt."""
    return 6e-6 if array.dtype.itemsize == 8 else 5e-3


def _of_stack(function: Callable[..., Any], a: Any, *others: Any, **options: Any) -> Any:
    """``function`` of stacks. A stack of one is given as a matrix: for stacks cuSOLVER has routines that are made for
    many small matrices, and by other algorithms than LAPACK's (Jacobi's for eigenvalues)."""
    if len(a) > 1:
        return function(a, *others, **options)
    found = function(a[0], *[other[0] for other in others], **options)
    return [part[None] for part in found] if isinstance(found, tuple) else found[None]


def _decomposed(library: Library, name: str, a: Any, **options: Any) -> list[Any]:
    """What ``linalg``'s function of that name gives; of infinities and NaN, what NumPy gives (or raises)."""
    xp = library.xp
    if bool(xp.isfinite(a).all()):
        return list(_of_stack(getattr(xp.linalg, name), a, **options))
    found = getattr(np.linalg, name)(library.host(a), **options)
    return [xp.asarray(part) for part in found]


# ---------------------------------------------------------------- products


def product(library: Library, numbers: Sequence[int], args: Arrays, results: Arrays) -> None:
    """``out[b] = left[b] @ right[b]``, of matrices that may be transposed and batches that may be one matrix."""
    library.xp.matmul(args[0], args[1], out=results[0])


# ---------------------------------------------------------------- systems


def lu(library: Library, numbers: Sequence[int], args: Arrays, results: Arrays) -> None:
    """``factors, pivots = lu(a)``. Numbers: count, n, and one of LAPACK's. Near to singular: as LAPACK has it."""
    xp, n = library.xp, numbers[1]
    (a,), (factors, pivots) = args, results
    matrices = _turned(factors)
    with _quiet():
        for matrix, found, order in zip(a, matrices, pivots, strict=True):
            found[...], order[:n] = library.linalg.lu_factor(matrix, check_finite=False)
    diagonal = abs(xp.diagonal(matrices, axis1=1, axis2=2))
    sure = (diagonal > _tolerance(a) * diagonal.max(axis=1, keepdims=True)).all(axis=1)  # not where it is NaN
    pivots[:, n] = ~sure
    for number in np.flatnonzero(~library.host(sure)):
        found, order = _host_lu(library.host(a[number]))
        matrices[number] = xp.asarray(found)
        pivots[number, :n] = xp.asarray(order)


_filters = threading.Lock()


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the warnings of singular matrices, which :func:`lu` looks for itself.

    Filters are the process's: two threads that put them back in the wrong order would leave all warnings off.
    """
    with _filters, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _host_lu(a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    from scipy.linalg import get_lapack_funcs

    (getrf,) = get_lapack_funcs(("getrf",), (a,))
    factors, pivots, _ = getrf(a)
    return factors, pivots


def solve(library: Library, numbers: Sequence[int], args: Arrays, results: Arrays) -> None:
    """``x, ... = solve(a, factors, pivots, b)``. Numbers: count, n, columns of ``b``, whether the factors are those of
    the transpose of ``a``. Where the factors are near to singular, NumPy solves."""
    xp, n = library.xp, numbers[1]
    a, factors, pivots, b = args
    x = results[0]
    matrices, order = _turned(factors), pivots[:, :n, 0].astype(np.int32)
    in_doubt = library.host(pivots[:, n, 0]) != 0
    for number, doubt in enumerate(in_doubt):
        if doubt:
            x[number] = xp.asarray(np.linalg.solve(library.host(a[number]), library.host(b[number])))
        else:
            factored = matrices[number], order[number]
            x[number] = library.linalg.lu_solve(factored, b[number], trans=numbers[3], check_finite=False)


def triangular(library: Library, numbers: Sequence[int], args: Arrays, results: Arrays) -> None:
    """``x = triangular(t, b)``. Numbers: count, n, columns of ``b``, lower, unit diagonal."""
    _, _, _, lower, unit = numbers
    (t, b), (x,) = args, results
    if not unit and bool((library.xp.diagonal(t, axis1=1, axis2=2) == 0).any()):
        raise np.linalg.LinAlgError("a zero on the diagonal")
    options = {"lower": bool(lower), "unit_diagonal": bool(unit), "check_finite": False}
    x[...] = _of_stack(library.linalg.solve_triangular, t, b, **options)


# ---------------------------------------------------------------- factorizations


def cholesky(library: Library, numbers: Sequence[int], args: Arrays, results: Arrays) -> None:
    """``factor = cholesky(a)``, of which the lower triangle is read. Numbers: count, n."""
    (a,), (factor,) = args, results
    found = _sure_cholesky(library, a)
    if found is None:
        found = library.xp.asarray(np.linalg.cholesky(library.host(a)))
    _turned(factor)[...] = found


def _sure_cholesky(library: Library, a: Any) -> Any:
    """The factors, or None where some pivot is not clearly positive."""
    xp = library.xp
    try:
        found = _of_stack(xp.linalg.cholesky, a)
    except np.linalg.LinAlgError:
        return None
    pivots = xp.diagonal(found, axis1=1, axis2=2) ** 2
    limit = _tolerance(a) * abs(xp.diagonal(a, axis1=1, axis2=2)).sum(axis=1, keepdims=True)
    return found if bool((pivots > limit).all()) else None


def eigh(library: Library, numbers: Sequence[int], args: Arrays, results: Arrays) -> None:
    """``w, v, ... = eigh(a)``. Numbers: count, n, character of the triangle, and LAPACK's."""
    w, v = _decomposed(library, "eigh", args[0], UPLO=chr(numbers[2]))
    results[0][...] = w
    _turned(results[1])[...] = v


def svd(library: Library, numbers: Sequence[int], args: Arrays, results: Arrays) -> None:
    """``u, s, vt, ... = svd(a)``. Numbers: count, rows, columns, job, and LAPACK's."""
    u, s, vt = _decomposed(library, "svd", args[0], full_matrices=numbers[3] == ord("A"))
    _turned(results[0])[...] = u
    results[1][...] = s
    _turned(results[2])[...] = vt


def qr(library: Library, numbers: Sequence[int], args: Arrays, results: Arrays) -> None:
    """``q, r, ... = qr(a)``, as many rows as columns or more. Numbers: count, rows, columns, and LAPACK's."""
    q, r = _decomposed(library, "qr", args[0])
    _turned(results[0])[...] = q
    _turned(results[1])[...] = r


# ---------------------------------------------------------------- sorting


def argsort_stable(library: Library, numbers: Sequence[int], args: Arrays, results: Arrays) -> None:
    """``order = argsort(x)`` of rows, equals in the order in which they come. Numbers: rows, n, bytes of an element."""
    results[0][...] = library.xp.argsort(args[0][..., 0], axis=-1, kind="stable")


def argsort_quick(library: Library, numbers: Sequence[int], args: Arrays, results: Arrays) -> None:
    """As :func:`argsort_stable`, but with equals in the order that NumPy's algorithm leaves them in."""
    xp = library.xp
    rows = args[0][..., 0]
    order = xp.argsort(rows, axis=-1, kind="stable")
    line = xp.take_along_axis(rows, order, axis=-1)
    before, after = line[:, :-1], line[:, 1:]
    if bool(((before == after) | (before != before)).any()):  # NaN come last, and are equals
        order = xp.asarray(np.argsort(library.host(rows), axis=-1))
    results[0][...] = order


def groups(library: Library, numbers: Sequence[int], args: Arrays, results: Arrays) -> None:
    """``index, inverse, counts, found = groups(order, starts)``. Numbers: 1, elements, groups. See
    :func:`.sequences.groups`: where ``found`` is another number than that of groups, the others are within bounds."""
    xp, count = library.xp, numbers[2]
    order, starts = args[0].reshape(-1), args[1].reshape(-1) != 0
    index, inverse, counts, found = results
    group = xp.concatenate([xp.zeros(1, np.int64), xp.cumsum(starts, dtype=np.int64)])
    known = xp.minimum(group, count - 1)
    first = xp.searchsorted(group, xp.arange(count))  # beyond the end where there are fewer groups
    index[...] = xp.where(first < len(order), order[xp.minimum(first, len(order) - 1)], 0)
    inverse[order] = known
    counts[...] = xp.bincount(known, minlength=count)
    found[...] = group[-1] + 1


# ---------------------------------------------------------------- Fourier transforms


def _fourier(name: str) -> Routine:
    """``out, ... = fourier(x, factor, ...)`` by the function of the library that counts as NumPy's loop ``name``.

    Operands and numbers: see :func:`.fourier.fourier`. Reals of the result are multiplied by the factor, not complex
    numbers: those would turn an infinity's other half into NaN."""
    function = name.split("_")[0]
    letters = LOOPS[name][0]
    takes_complex, gives_complex = letters[0] == "D", letters[-1] == "D"

    def routine(library: Library, numbers: Sequence[int], args: Arrays, results: Arrays) -> None:
        xp, points, wide = library.xp, numbers[3], 2 if gives_complex else 1
        x = _complex(xp, args[0]) if takes_complex else args[0]
        options: dict[str, Any] = {"norm": "forward"} if function.startswith("i") else {}  # the factor comes below
        if function == "irfft":
            options["n"] = points
        out = getattr(xp.fft, function)(x, axis=1, **options)
        if not bool(xp.isfinite(out).all()):  # NumPy's loop decides where infinities and NaN lie
            with np.errstate(all="ignore"):
                out = xp.asarray(getattr(np.fft, function)(library.host(x), axis=1, **options))
        calls, inner = x.shape[0], x.shape[2]
        memory, factor = results[0].reshape(-1), args[1].reshape(-1)[0]
        if numbers[6] == wide:  # rows of points: one call
            target, out = memory.reshape(inner, points, wide), out[0].T
        else:
            target = memory.reshape(calls, points, inner, wide)
        target[..., 0] = out.real * factor
        if gives_complex:
            target[..., 1] = out.imag * factor

    return routine


def _complex(xp: Any, real: Any) -> Any:
    """The complex numbers whose real halves these are: the imaginary ones lie beside them."""
    kind = np.dtype(f"c{2 * real.dtype.itemsize}")
    pairs = xp.lib.stride_tricks.as_strided(real, (*real.shape, 2), (*real.strides, real.dtype.itemsize))
    return xp.ascontiguousarray(pairs).view(kind)[..., 0]


#: by the names of :data:`.library.ROUTINES`, and products
ROUTINES: Final[dict[str, Routine]] = {
    PRODUCT: product,
    "lu": lu,
    "solve": solve,
    "triangular": triangular,
    "cholesky": cholesky,
    "eigh": eigh,
    "svd": svd,
    "qr": qr,
    "argsort quick": argsort_quick,
    "argsort stable": argsort_stable,
    "groups": groups,
    **{f"fourier {name}{how}": _fourier(name) for name in LOOPS for how in ("", " of rows")},
}
