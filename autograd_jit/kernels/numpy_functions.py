"""NumPy's own sorting functions by address, for arrays of plain numbers.

NumPy 2 publishes them in its C interface: entry 365 of the table, ``PyDataType_GetArrFuncs``, gives the functions of a
dtype, in a structure of pointers. They need no interpreter for numbers. Each is tried on numbers with ties before its
first use, since NumPy may come to sort by other functions than those it publishes, as it does for "heapsort".
"""

from __future__ import annotations

import ctypes
import functools
from typing import Final

import numpy as np

__all__ = ["PLACES", "function_address"]

_GET_FUNCTIONS: Final = 365
#: places in the structure, in pointers
PLACES: Final = {"argmax": 26, "argmin": 46, "argsort quick": 36, "argsort stable": 38}


@functools.cache
def function_address(name: str, dtype: np.dtype) -> int:
    """The address of a function of PLACES, or 0 where this NumPy has none that answers as it does.

    ``argsort``: ``int (data, order, n, NULL)``; ``argmax``: ``int (data, n, place, NULL)``."""
    if int(np.__version__.split(".")[0]) != 2:
        return 0
    address = _published(name, dtype)
    return address if address and _answers_as_numpy(name, dtype, address) else 0


def _published(name: str, dtype: np.dtype) -> int:
    capsule = np._core._multiarray_umath._ARRAY_API  # type: ignore[attr-defined]
    pointer = ctypes.pythonapi.PyCapsule_GetPointer
    pointer.restype, pointer.argtypes = ctypes.c_void_p, (ctypes.py_object, ctypes.c_char_p)
    entry = ctypes.cast(pointer(capsule, None), ctypes.POINTER(ctypes.c_void_p))[_GET_FUNCTIONS]
    functions = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object)(entry)(dtype) if entry else None
    return ctypes.cast(functions, ctypes.POINTER(ctypes.c_void_p))[PLACES[name]] or 0 if functions else 0


def _answers_as_numpy(name: str, dtype: np.dtype, address: int) -> bool:
    call = ctypes.CFUNCTYPE(ctypes.c_int, *[ctypes.c_void_p] * 4)(address)
    for n in (20, 700):
        x = (np.arange(n) * 7919 % 13).astype(dtype)
        if name in ("argmax", "argmin"):
            place = np.zeros(1, np.int64)
            call(x.ctypes.data, n, place.ctypes.data, None)
            if place[0] != getattr(np, name)(x):
                return False
            continue
        order = np.arange(n)
        call(x.ctypes.data, order.ctypes.data, n, None)
        if not np.array_equal(order, np.argsort(x, stable=name == "argsort stable")):
            return False
    return True
