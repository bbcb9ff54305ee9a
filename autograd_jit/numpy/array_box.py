"""``ArrayBox``: a traced array or scalar, which behaves as the array that it stands for."""

from __future__ import annotations

import dis
import math
import sys
from typing import Any, NoReturn

import numpy as _np

from ..errors import TracedValueError
from ..trace.tracer import Box, concrete, getval
from . import construction, cumulative, indexing, products, reductions, shaping, sorting
from . import elementwise as ew
from .arguments import refuse

__all__ = ["ArrayBox"]


_STORE_SUBSCR = dis.opmap["STORE_SUBSCR"]


def _refuse_storing() -> None:
    """Raise where NumPy asks for the number to store it: ``plain[i] = traced`` would lose the derivative unseen.

    ``float(x)`` is the user's own wish; what runs in the caller's frame then is a call.
    """
    frame = sys._getframe(2)
    if frame.f_code.co_code[frame.f_lasti] == _STORE_SUBSCR:
        raise TracedValueError(
            "an item of a plain array was assigned a traced value, which would lose its derivative. Build the array "
            "of its parts instead: np.array([...]), np.concatenate or np.where(mask, value, array); "
            "float(x) if no derivative is wanted."
        )


class ArrayBox(Box):
    """A traced NumPy array or scalar: the whole of ``ndarray``'s public surface, recorded."""

    __slots__ = ()
    __array_priority__ = 100.0
    __hash__ = Box.__hash__

    # -------------------------------------------------- what it is

    @property
    def shape(self) -> tuple:
        try:
            return self._value.shape
        except AttributeError:  # a Python scalar
            return ()

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def dtype(self) -> Any:
        try:
            return self._value.dtype
        except AttributeError:  # a Python scalar
            return _np.asarray(self._value).dtype

    @property
    def itemsize(self) -> int:
        return self.dtype.itemsize

    @property
    def nbytes(self) -> int:
        return self.size * self.itemsize

    @property
    def strides(self) -> tuple:
        return _np.asarray(concrete(self)).strides

    @property
    def flags(self) -> Any:
        return _np.asarray(concrete(self)).flags

    @property
    def base(self) -> None:
        return None

    @property
    def device(self) -> str:
        return "cpu"

    @property
    def T(self) -> Any:
        return shaping.transpose(self)

    @property
    def mT(self) -> Any:
        return shaping.matrix_transpose(self)

    @property
    def real(self) -> Any:
        return ew.real(self)

    @property
    def imag(self) -> Any:
        return ew.imag(self)

    @property
    def flat(self) -> Any:
        return iter(shaping.ravel(self))

    def __len__(self) -> int:
        return len(self._value)

    # -------------------------------------------------- NumPy's protocols: plain numpy functions see a box

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, out: Any = None, **kwargs: Any) -> Any:
        from .protocols import apply_ufunc

        return apply_ufunc(ufunc, method, inputs, out, kwargs)

    def __array_function__(self, function: Any, types: Any, args: tuple, kwargs: dict) -> Any:
        from .protocols import apply_function

        return apply_function(function, args, kwargs)

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        if dtype is not None and _np.dtype(dtype).kind in "iub":  # np.int64(x): a step function, of derivative zero
            return _np.array(getval(self), dtype)
        raise TracedValueError(
            "a traced value was handed to code that needs a plain array, which would lose its derivative. "
            "Use the functions of autograd_jit.numpy, wrap the foreign function with @primitive, "
            "or take the plain value with autograd_jit.tracer.getval(x)."
        )

    # -------------------------------------------------- operators

    def __neg__(self) -> Any:
        return ew.negative(self)

    def __pos__(self) -> Any:
        return ew.positive(self)

    def __abs__(self) -> Any:
        return ew.absolute(self)

    def __invert__(self) -> Any:
        return ew.invert(self)

    def __add__(self, other: Any) -> Any:
        return ew.add(self, other)

    def __sub__(self, other: Any) -> Any:
        return ew.subtract(self, other)

    def __mul__(self, other: Any) -> Any:
        return ew.multiply(self, other)

    def __truediv__(self, other: Any) -> Any:
        return ew.divide(self, other)

    def __floordiv__(self, other: Any) -> Any:
        return ew.floor_divide(self, other)

    def __mod__(self, other: Any) -> Any:
        return ew.mod(self, other)

    def __divmod__(self, other: Any) -> Any:
        return ew.floor_divide(self, other), ew.mod(self, other)

    def __pow__(self, other: Any) -> Any:
        return ew.power(self, other)

    def __matmul__(self, other: Any) -> Any:
        return products.matmul(self, other)

    def __radd__(self, other: Any) -> Any:
        return ew.add(other, self)

    def __rsub__(self, other: Any) -> Any:
        return ew.subtract(other, self)

    def __rmul__(self, other: Any) -> Any:
        return ew.multiply(other, self)

    def __rtruediv__(self, other: Any) -> Any:
        return ew.divide(other, self)

    def __rfloordiv__(self, other: Any) -> Any:
        return ew.floor_divide(other, self)

    def __rmod__(self, other: Any) -> Any:
        return ew.mod(other, self)

    def __rdivmod__(self, other: Any) -> Any:
        return ew.floor_divide(other, self), ew.mod(other, self)

    def __rpow__(self, other: Any) -> Any:
        return ew.power(other, self)

    def __rmatmul__(self, other: Any) -> Any:
        return products.matmul(other, self)

    def __lshift__(self, other: Any) -> Any:
        return ew.left_shift(self, other)

    def __rlshift__(self, other: Any) -> Any:
        return ew.left_shift(other, self)

    def __rshift__(self, other: Any) -> Any:
        return ew.right_shift(self, other)

    def __rrshift__(self, other: Any) -> Any:
        return ew.right_shift(other, self)

    def __and__(self, other: Any) -> Any:
        return ew.bitwise_and(self, other)

    def __rand__(self, other: Any) -> Any:
        return ew.bitwise_and(other, self)

    def __or__(self, other: Any) -> Any:
        return ew.bitwise_or(self, other)

    def __ror__(self, other: Any) -> Any:
        return ew.bitwise_or(other, self)

    def __xor__(self, other: Any) -> Any:
        return ew.bitwise_xor(self, other)

    def __rxor__(self, other: Any) -> Any:
        return ew.bitwise_xor(other, self)

    def __eq__(self, other: Any) -> Any:  # type: ignore[override]
        return ew.equal(self, other)

    def __ne__(self, other: Any) -> Any:  # type: ignore[override]
        return ew.not_equal(self, other)

    def __lt__(self, other: Any) -> Any:
        return ew.less(self, other)

    def __le__(self, other: Any) -> Any:
        return ew.less_equal(self, other)

    def __gt__(self, other: Any) -> Any:
        return ew.greater(self, other)

    def __ge__(self, other: Any) -> Any:
        return ew.greater_equal(self, other)

    # -------------------------------------------------- indexing

    def __getitem__(self, index: Any) -> Any:
        return indexing.getitem(self, index)

    def __setitem__(self, index: Any, value: Any) -> NoReturn:
        self._refuse_writing("x[index] = value")

    def _refuse_writing(self, what: str) -> NoReturn:
        raise TracedValueError(
            f"{what} writes into a traced array, which would change values that derivatives need. Build a new "
            f"array instead: np.where(mask, value, x), np.concatenate, or a list of rows and np.array(rows)."
        )

    def __iter__(self) -> Any:
        if self.ndim == 0:
            raise TypeError("iteration over a 0-d array")
        return (self[i] for i in range(self.shape[0]))

    def __contains__(self, value: Any) -> bool:
        return bool(reductions.any(ew.equal(self, value)))

    # -------------------------------------------------- taking the value out

    def __int__(self) -> int:
        _refuse_storing()
        return int(self._value)

    def __float__(self) -> float:
        _refuse_storing()
        return float(self._value)

    def __complex__(self) -> complex:
        _refuse_storing()
        return complex(self._value)

    def __index__(self) -> int:
        return self._value.__index__()

    def __format__(self, spec: str) -> str:
        return format(self._value, spec)

    def __round__(self, digits: Any = None) -> Any:
        return round(self._value, digits) if digits is not None else round(self._value)

    def __trunc__(self) -> int:
        return math.trunc(self._value)

    def __floor__(self) -> int:
        return math.floor(self._value)

    def __ceil__(self) -> int:
        return math.ceil(self._value)

    # -------------------------------------------------- methods

    def astype(
        self, dtype: Any, order: str = "K", casting: str = "unsafe", subok: bool = True, copy: bool = True
    ) -> Any:
        if not _np.can_cast(self.dtype, dtype, casting):  # type: ignore[arg-type]
            raise TypeError(f"Cannot cast array data from {self.dtype!r} to {_np.dtype(dtype)!r} by {casting!r}")
        return shaping.astype(self, dtype, copy=copy)

    def copy(self, order: str = "C") -> Any:
        return ew.positive(self) if self.dtype.kind != "b" else self

    def __copy__(self) -> Any:
        return self.copy()

    def __deepcopy__(self, memo: Any) -> Any:
        return self.copy()

    def item(self, *args: Any) -> Any:
        if len(args) > 1 or (args and isinstance(args[0], tuple)):
            return self[args if len(args) > 1 else args[0]]
        if not args and self.size != 1:
            raise ValueError("can only convert an array of size 1 to a Python scalar")
        return shaping.reshape(self, (-1,))[args[0] if args else 0]

    def tolist(self) -> Any:
        return [row.tolist() for row in self] if self.ndim else self

    def reshape(self, *shape: Any, order: str = "C", copy: Any = None) -> Any:
        return shaping.reshape(self, shape[0] if len(shape) == 1 else shape, order=order)

    def transpose(self, *axes: Any) -> Any:
        return shaping.transpose(self, (axes[0] if len(axes) == 1 else axes) or None)

    def ravel(self, order: str = "C") -> Any:
        return shaping.ravel(self, order)

    def flatten(self, order: str = "C") -> Any:
        return shaping.own(shaping.ravel(self, order))

    def conj(self) -> Any:
        return ew.conj(self)

    def conjugate(self) -> Any:
        return ew.conj(self)

    def swapaxes(self, axis1: int, axis2: int) -> Any:
        return shaping.swapaxes(self, axis1, axis2)

    def squeeze(self, axis: Any = None) -> Any:
        return shaping.squeeze(self, axis)

    def repeat(self, repeats: Any, axis: Any = None) -> Any:
        return shaping.repeat(self, repeats, axis)

    def diagonal(self, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
        return shaping.diagonal(self, offset, axis1, axis2)

    def trace(self, offset: int = 0, axis1: int = 0, axis2: int = 1, **kwargs: Any) -> Any:
        return shaping.trace(self, offset, axis1, axis2, **kwargs)

    def dot(self, other: Any, out: Any = None) -> Any:
        return products.dot(self, other, out)

    def sum(self, *args: Any, **kwargs: Any) -> Any:
        return reductions.sum(self, *args, **kwargs)

    def mean(self, *args: Any, **kwargs: Any) -> Any:
        return reductions.mean(self, *args, **kwargs)

    def prod(self, *args: Any, **kwargs: Any) -> Any:
        return reductions.prod(self, *args, **kwargs)

    def var(self, *args: Any, **kwargs: Any) -> Any:
        return reductions.var(self, *args, **kwargs)

    def std(self, *args: Any, **kwargs: Any) -> Any:
        return reductions.std(self, *args, **kwargs)

    def max(self, *args: Any, **kwargs: Any) -> Any:
        return reductions.max(self, *args, **kwargs)

    def min(self, *args: Any, **kwargs: Any) -> Any:
        return reductions.min(self, *args, **kwargs)

    def all(self, *args: Any, **kwargs: Any) -> Any:
        return reductions.all(self, *args, **kwargs)

    def any(self, *args: Any, **kwargs: Any) -> Any:
        return reductions.any(self, *args, **kwargs)

    def argmax(self, *args: Any, **kwargs: Any) -> Any:
        return reductions.argmax(self, *args, **kwargs)

    def argmin(self, *args: Any, **kwargs: Any) -> Any:
        return reductions.argmin(self, *args, **kwargs)

    def cumsum(self, axis: Any = None, dtype: Any = None, out: Any = None) -> Any:
        return cumulative.cumsum(self, axis, dtype, out)

    def cumprod(self, axis: Any = None, dtype: Any = None, out: Any = None) -> Any:
        return cumulative.cumprod(self, axis, dtype, out)

    def argsort(self, *args: Any, **kwargs: Any) -> Any:
        return sorting.argsort(self, *args, **kwargs)

    def clip(self, *args: Any, **kwargs: Any) -> Any:
        return reductions.clip(self, *args, **kwargs)

    def round(self, decimals: int = 0, out: Any = None) -> Any:
        refuse("round", out=out)
        return ew.round(self, decimals)

    def argpartition(self, kth: Any, axis: Any = -1, kind: str = "introselect", order: Any = None) -> Any:
        return sorting.argpartition(self, kth, axis, kind, order)

    def searchsorted(self, v: Any, side: Any = "left", sorter: Any = None) -> Any:
        return sorting.searchsorted(self, v, side, sorter)

    def compress(self, condition: Any, axis: Any = None, out: Any = None) -> Any:
        return indexing.compress(condition, self, axis, out)

    def choose(self, choices: Any, out: Any = None, mode: str = "raise") -> Any:
        return construction.choose(self, choices, out, mode)

    def view(self, *args: Any, **kwargs: Any) -> Any:
        if args or kwargs:
            raise TracedValueError("view() of a traced array as another type has no derivative; use astype")
        return self.copy()

    def to_device(self, device: str, /, *, stream: Any = None) -> Any:
        if device != "cpu" or stream is not None:
            raise ValueError(f"unsupported device {device!r}")
        return self

    def sort(self, *args: Any, **kwargs: Any) -> NoReturn:
        self._refuse_writing("x.sort()")

    def partition(self, *args: Any, **kwargs: Any) -> NoReturn:
        self._refuse_writing("x.partition()")

    def fill(self, value: Any) -> NoReturn:
        self._refuse_writing("x.fill()")

    def put(self, *args: Any, **kwargs: Any) -> NoReturn:
        self._refuse_writing("x.put()")

    def resize(self, *args: Any, **kwargs: Any) -> NoReturn:
        self._refuse_writing("x.resize()")

    def nonzero(self) -> Any:
        return sorting.nonzero(self)

    def take(self, indices: Any, axis: Any = None, **kwargs: Any) -> Any:
        return indexing.take(self, indices, axis, **kwargs)


for _kind in (
    _np.ndarray,
    float,
    _np.float64,
    _np.float32,
    _np.float16,
    _np.longdouble,
    complex,
    _np.complex64,
    _np.complex128,
    _np.clongdouble,
):
    ArrayBox.register(_kind)
