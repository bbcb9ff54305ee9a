"""The device library of the emulated device: NumPy and SciPy on views of its memory, behind what CuPy offers.

NumPy takes more than CuPy: arrays of the host among those of the device, other names, other options. A routine that
uses any of that works here and fails on hardware, so arrays and functions here refuse what CuPy's do: what is not in
the tables below there is not.
"""

from __future__ import annotations

import ctypes
import inspect
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import scipy.linalg

#: parameters of CuPy 14's functions, by module; of ufuncs those that are used
SIGNATURES: dict[str, dict[str, Callable]] = {
    "cupy": {
        "arange": lambda start, stop=None, step=1, dtype=None: None,
        "argsort": lambda a, axis=-1, kind=None: None,
        "asarray": lambda a, dtype=None, order=None, *, copy=None, blocking=False: None,
        "ascontiguousarray": lambda a, dtype=None: None,
        "bincount": lambda x, weights=None, minlength=None: None,
        "concatenate": lambda tup, axis=0, out=None, *, dtype=None, casting="same_kind": None,
        "cumsum": lambda a, axis=None, dtype=None, out=None: None,
        "diagonal": lambda a, offset=0, axis1=0, axis2=1: None,
        "searchsorted": lambda a, v, side="left", sorter=None: None,
        "take_along_axis": lambda a, indices, axis: None,
        "where": lambda condition, x=None, y=None: None,
        "zeros": lambda shape, dtype=float, order="C": None,
    },
    "cupy ufuncs": {
        "isfinite": lambda x: None,
        "matmul": lambda x1, x2, out=None: None,
        "minimum": lambda x1, x2, out=None: None,
    },
    "cupy.linalg": {
        "cholesky": lambda a: None,
        "eigh": lambda a, UPLO="L": None,
        "qr": lambda a, mode="reduced": None,
        "svd": lambda a, full_matrices=True, compute_uv=True: None,
    },
    "cupy.fft": {
        name: lambda a, n=None, axis=-1, norm=None: None for name in ("fft", "ifft", "rfft", "irfft")
    },
    "cupy.lib.stride_tricks": {"as_strided": lambda x, shape=None, strides=None: None},
    "cupyx.scipy.linalg": {
        "lu_factor": lambda a, overwrite_a=False, check_finite=True: None,
        "lu_solve": lambda lu_and_piv, b, trans=0, overwrite_b=False, check_finite=True: None,
        "solve_triangular": (
            lambda a, b, trans=0, lower=False, unit_diagonal=False, overwrite_b=False, check_finite=False: None
        ),
    },
}  # fmt: skip

_OPERATORS = (
    "__abs__ __add__ __radd__ __sub__ __rsub__ __mul__ __rmul__ __truediv__ __rtruediv__ __pow__ __neg__ __invert__ "
    "__and__ __or__ __eq__ __ne__ __lt__ __le__ __gt__ __ge__ swapaxes reshape astype view all any max min sum"
).split()


class HeldArray:
    """An array on the device: no NumPy function takes it, and it takes no array of NumPy's."""

    __array_ufunc__ = None
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, held: np.ndarray) -> None:
        self.held = held

    def __array__(self, *_: Any, **__: Any) -> np.ndarray:
        raise TypeError("implicit conversion to a NumPy array is not allowed")

    shape = property(lambda self: self.held.shape)
    strides = property(lambda self: self.held.strides)
    dtype = property(lambda self: self.held.dtype)
    ndim = property(lambda self: self.held.ndim)
    T = property(lambda self: HeldArray(self.held.T))
    real = property(lambda self: HeldArray(self.held.real))
    imag = property(lambda self: HeldArray(self.held.imag))

    def __len__(self) -> int:
        return len(self.held)

    def __bool__(self) -> bool:
        return bool(self.held)

    def __iter__(self) -> Iterator[HeldArray]:
        return iter([self[place] for place in range(len(self))])

    def __getitem__(self, index: Any) -> Any:
        return _put(self.held[_taken(index)])

    def __setitem__(self, index: Any, value: Any) -> None:
        self.held[_taken(index)] = _taken(value)


def _operator(name: str) -> Callable:
    def apply(self: HeldArray, *args: Any, **options: Any) -> Any:
        return _put(getattr(self.held, name)(*_taken(args), **_taken(options)))

    return apply


for _name in _OPERATORS:
    setattr(HeldArray, _name, _operator(_name))


def _taken(value: Any) -> Any:
    """The arguments of a function as NumPy's. Raises TypeError for arrays of the host."""
    if isinstance(value, HeldArray):
        return value.held
    if isinstance(value, np.ndarray):
        raise TypeError(f"unsupported type {type(value)}: an array of the host among arrays of the device")
    if isinstance(value, (tuple, list)):
        return type(value)([_taken(part) for part in value])
    return {name: _taken(part) for name, part in value.items()} if isinstance(value, dict) else value


def _put(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple([_put(part) for part in value])
    return HeldArray(np.asarray(value)) if isinstance(value, (np.ndarray, np.generic)) else value


def _as_cupy(module: Any, name: str, signature: Callable) -> Callable:
    """A function of NumPy or SciPy with the parameters of CuPy's."""
    function, parameters = getattr(module, name), inspect.signature(signature)

    def call(*args: Any, **options: Any) -> Any:
        parameters.bind(*args, **options)
        if name == "argsort" and options.get("kind") not in (None, "stable"):
            raise ValueError("CuPy sorts in one way, which is stable")
        if name == "asarray":
            return HeldArray(np.array(args[0].held if isinstance(args[0], HeldArray) else args[0]))
        if name == "bincount":
            options = {"minlength": 0, **options}
        return _put(function(*_taken(args), **_taken(options)))

    return call


def _module(source: Any, *tables: str) -> types.SimpleNamespace:
    functions = {name: sign for table in tables for name, sign in SIGNATURES[table].items()}
    return types.SimpleNamespace(**{name: _as_cupy(source, name, sign) for name, sign in functions.items()})


def _array_module() -> types.SimpleNamespace:
    module = _module(np, "cupy", "cupy ufuncs")
    module.linalg = _module(np.linalg, "cupy.linalg")
    module.fft = _module(np.fft, "cupy.fft")
    module.lib = types.SimpleNamespace(stride_tricks=_module(np.lib.stride_tricks, "cupy.lib.stride_tricks"))
    return module


class EmulatedLibrary:
    """A `device_library.Library`. `fetched` counts the values that it took to the host."""

    xp = _array_module()
    linalg = _module(scipy.linalg, "cupyx.scipy.linalg")

    def __init__(self) -> None:
        self.fetched = 0

    def view(
        self, device: Any, memory: Any, offset: int, shape: tuple[int, ...], dtype: np.dtype, strides: tuple[int, ...]
    ) -> HeldArray:
        block = (ctypes.c_char * memory.nbytes).from_address(memory.address)
        return HeldArray(np.ndarray(shape, dtype, block, offset, strides))

    @contextmanager
    def running(self, device: Any) -> Iterator[None]:
        device.synchronize()  # NumPy does not wait for a stream
        with np.errstate(all="ignore"):
            yield

    def host(self, array: HeldArray) -> np.ndarray:
        self.fetched += 1
        return np.array(array.held)
