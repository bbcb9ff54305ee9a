"""NumPy's Fourier transforms by address: the inner loops of the generalised ufuncs in ``numpy.fft``, of NumPy 2.

Such a loop is ``void (char **args, intp *dimensions, intp *steps, void *data)`` and handles strides itself. NumPy keeps
its plans. A ufunc object shows its loops in a structure of the C interface; each is tried before its first use.
"""

from __future__ import annotations

import ctypes
import functools
import importlib
from typing import Final

import numpy as np

__all__ = ["LOOPS", "loop"]

#: ufunc -> letters of the types of its operands, for float64 and float32
LOOPS: Final = {
    "fft": ("Dd->D", "Ff->F"),
    "ifft": ("Dd->D", "Ff->F"),
    "irfft": ("Dd->d", "Ff->f"),
    "rfft_n_even": ("dd->D", "ff->F"),
    "rfft_n_odd": ("dd->D", "ff->F"),
}
# Offsets in PyUFuncObject: number of arguments, loops, their data.
_NARGS, _FUNCTIONS, _DATA = 24, 32, 40


@functools.cache
def loop(name: str, part: np.dtype) -> tuple[int, int]:
    """Addresses of a loop of LOOPS and of its data; zeros where this NumPy has none that answers as it does.

    ``part``: the dtype of real numbers."""
    ufunc = _ufunc(name)
    signature = LOOPS[name][part == np.float32]
    if ufunc is None or signature not in ufunc.types:
        return 0, 0
    word = ctypes.c_void_p.from_address
    if ctypes.c_int.from_address(id(ufunc) + _NARGS).value != ufunc.nargs:
        return 0, 0
    place = 8 * ufunc.types.index(signature)
    functions, data = word(id(ufunc) + _FUNCTIONS).value, word(id(ufunc) + _DATA).value
    if not functions:
        return 0, 0
    found = word(functions + place).value or 0, (word(data + place).value or 0) if data else 0
    return found if found[0] and _answers_as_numpy(ufunc, signature, *found) else (0, 0)


def _ufunc(name: str) -> np.ufunc | None:
    try:
        module = importlib.import_module("numpy.fft._pocketfft_umath")
    except ImportError:
        return None
    found = getattr(module, name, None)
    return found if isinstance(found, np.ufunc) else None


def _answers_as_numpy(ufunc: np.ufunc, signature: str, function: int, data: int) -> bool:
    n = 7 if ufunc.__name__.endswith("odd") else 6
    taken, factor, given = [np.dtype(signature[place]) for place in (0, 1, 4)]
    x = np.linspace(-1, 2, 2 * n).reshape(2, n).astype(taken) * (1 + 0.5j if taken.kind == "c" else 1)
    x, scale = x.astype(taken), np.full(1, 0.3, factor)
    want = ufunc(x, scale[0], out=np.empty((2, n if taken.kind == "c" else n // 2 + 1), given))
    got = np.empty_like(want)
    addresses = np.array([x.ctypes.data, scale.ctypes.data, got.ctypes.data], np.intp)
    dimensions = np.array([2, n, want.shape[1]], np.intp)
    steps = np.array([x.strides[0], 0, got.strides[0], x.itemsize, got.itemsize], np.intp)
    call = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 4)(function)
    call(addresses.ctypes.data, dimensions.ctypes.data, steps.ctypes.data, data)
    return np.array_equal(got, want)
