"""Recorded values as the traced program sees them.

A box stands for an array, a NumPy scalar or a Python scalar, and behaves as that one: a recorded Python float adds,
divides and compares as floats do. Operations become ops of the tape. Taking the value out (``if x``, ``float(x)``,
``x.tolist()``, handing it to foreign code) records a guard that the value was this. Writing into it ends the trace.

Once the trace is over its recorder is closed, and a box left behind somewhere acts as its plain value.
"""

from __future__ import annotations

import math
import operator
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from ..errors import AutogradJitError
from ..numpy import elementwise as ew
from ..numpy.array_box import ArrayBox
from ..numpy.protocols import apply_function, apply_ufunc
from .tape import source_line
from .tracer import BOX_TYPES, Box, Primitive, concrete

if TYPE_CHECKING:
    from .recorder import Recorder

__all__ = [
    "TAPE_BOXES",
    "LeaveTrace",
    "NumpyScalarTapeBox",
    "PythonScalarTapeBox",
    "TapeBox",
    "box_class",
    "python_function",
]


class LeaveTrace(BaseException):
    """The running trace cannot go on soundly. Not an ``Exception``, so that user code does not swallow it."""


#: functions of NumPy that write into one of their arguments
_WRITERS = frozenset("copyto put place putmask fill_diagonal put_along_axis shuffle".split())
#: attributes that give access to the memory of an array, or depend on its layout
_MEMORY = frozenset("data ctypes setflags strides flags base getfield".split())
_WRITING_METHODS = frozenset(
    "fill sort partition put resize itemset setfield byteswap __setstate__ __delitem__".split()
)


class TapeBox(ArrayBox):
    """A recorded array of any dtype. Taking its value out records a guard."""

    __slots__ = ()

    @property  # type: ignore[misc]
    def __class__(self) -> Any:  # so that isinstance() answers as it would for the plain value
        return type(self._value)

    @property
    def _recorder(self) -> Recorder:
        return self._node.recorder  # type: ignore[attr-defined]

    # ---------------------------------------------------------------- values that leave the tape

    def _taken(self, function: Callable[[Any], Any], kind: str = "value") -> Any:
        """``function`` of the plain value, guarded. An exception depends on the value as an answer does."""
        try:
            answer = function(self._value)
        except Exception:
            self._recorder.guard(self._node, "value", _copied(self._value))  # type: ignore[arg-type]
            raise
        expected = _copied(self._value) if kind == "value" else answer
        self._recorder.guard(self._node, kind, expected)  # type: ignore[arg-type]
        return answer

    def _plain(self) -> Any:
        """The plain value, guarded element by element. Arrays are read-only: a write shows as an error."""
        self._expose()
        return self._taken(_read_only)

    def _expose(self) -> None:
        """Somebody is given a copy of this array who, interpreted, would look at the array itself."""
        if not self._recorder.is_closed and isinstance(self._value, np.ndarray):
            self._recorder.exposed.append(self._value)

    def __bool__(self) -> bool:
        return self._taken(bool, "truth")

    def __int__(self) -> int:
        return self._taken(int, "int")

    def __index__(self) -> int:
        return self._taken(operator.index)

    def __float__(self) -> float:
        return self._taken(float)

    def __complex__(self) -> complex:
        return self._taken(complex)

    def __trunc__(self) -> int:
        return self._taken(math.trunc)

    def __floor__(self) -> int:
        return self._taken(math.floor)

    def __ceil__(self) -> int:
        return self._taken(math.ceil)

    def __format__(self, spec: str) -> str:
        return self._taken(lambda value: format(value, spec))

    def __str__(self) -> str:
        return self._taken(str)

    def __repr__(self) -> str:
        return self._taken(repr)

    def __hash__(self) -> int:
        return self._taken(hash)

    def __round__(self, digits: Any = None) -> Any:
        return self._taken(lambda value: round(value) if digits is None else round(value, digits))

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self._taken(lambda value: value.__reduce_ex__(protocol))

    def item(self, *args: Any) -> Any:
        return self._taken(lambda value: value.item(*args))

    def tolist(self) -> Any:
        return self._taken(lambda value: value.tolist())

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        plain = self._plain()
        if copy or (dtype is not None and np.dtype(dtype) != self.dtype):
            return np.array(plain, dtype=dtype)
        return np.asarray(plain)

    def __getattr__(self, name: str) -> Any:
        """An attribute that boxes do not have: the plain value's, guarded."""
        if name.startswith("__array_"):
            raise AttributeError(name)
        if not hasattr(self._value, name):
            raise AttributeError(f"{type(self._value).__name__!r} object has no attribute {name!r}")
        if name in _WRITING_METHODS or name in _MEMORY:
            self._leave(f"`.{name}` of a traced array")
        return getattr(self._plain(), name)

    strides = property(lambda self: self._leave("`.strides` of a traced array"))
    flags = property(lambda self: self._leave("`.flags` of a traced array"))
    base = property(lambda self: self._leave("`.base` of a traced array"))  # type: ignore[assignment]

    @property
    def flat(self) -> Any:
        from ..numpy.shaping import own, ravel

        self._expose()
        return own(ravel(self))

    # ---------------------------------------------------------------- NumPy's protocols

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, out: Any = None, **kwargs: Any) -> Any:
        has_one_name = out is not None and sys.getrefcount(out[0]) <= _REFERENCES.of_target
        if self._recorder.is_outer_to(inputs):
            return apply_ufunc(ufunc, method, inputs, out, kwargs)
        if has_one_name and method == "__call__" and type(out[0]) is np.ndarray and out[0] is inputs[0]:
            return self._rebound(ufunc, inputs, out[0], kwargs)
        if method == "at" or (out is not None and any(target is not None for target in out)):
            self._leave(f"numpy.{ufunc.__name__} into an array that exists")
        function = ufunc if method == "__call__" else getattr(ufunc, method)
        try:
            return apply_ufunc(ufunc, method, inputs, None, dict(kwargs))
        except AutogradJitError:
            return self._recorder.record_foreign(function, f"{ufunc.__name__}.{method}", inputs, kwargs)

    def __array_function__(self, function: Any, types: Any, args: tuple, kwargs: dict) -> Any:
        if self._recorder.is_outer_to((args, kwargs)):
            return apply_function(function, args, kwargs)
        if function.__name__ in _WRITERS or kwargs.get("out") is not None:
            self._leave(f"numpy.{function.__name__} into an array that exists")
        recorder = self._recorder
        mark = len(recorder.ops)
        try:
            answer = apply_function(function, args, kwargs)
            if recorder.agrees(answer, function, args, kwargs):
                return answer
        except AutogradJitError:
            pass
        del recorder.ops[mark:]
        return recorder.record_foreign(function, function.__name__, args, kwargs)

    # ---------------------------------------------------------------- writing

    def _leave(self, what: str) -> NoReturn:
        self._recorder.leave(f"{what}, at {source_line(3)}")

    def _rebound(self, ufunc: Any, inputs: tuple, target: Any, kwargs: dict) -> Any:
        """``target += y`` where nothing but one name holds ``target``: the name is bound to a new recorded array."""
        if self._recorder.is_closed or concrete(target).base is not None:
            self._leave(f"numpy.{ufunc.__name__} into an array that exists")
        return apply_ufunc(ufunc, "__call__", inputs, (target,), kwargs)

    def __setitem__(self, index: Any, value: Any) -> Any:
        if self._recorder.is_closed:
            self._value[index] = value
            return None
        self._leave("an item assignment writes into a traced array")

    def _refuse_writing(self, what: str) -> NoReturn:
        self._leave(f"{what} writes into a traced array")

    def view(self, *args: Any, **kwargs: Any) -> Any:
        self._leave("`.view()` of a traced array")

    def conjugate(self) -> Any:
        return ew.conj(self) if self.dtype.kind == "c" else self

    conj = conjugate

    def __pow__(self, other: Any) -> Any:
        """NumPy's operator takes the square root for ``x ** 0.5``, which is another function at -0.0 and -inf."""
        if type(other) is float and other == 0.5 and self.dtype.kind in "fc" and type(self) is TapeBox:
            return ew.sqrt(self)
        if type(other) is int and other == 2 and self.dtype.kind == "b" and type(self) is TapeBox:
            return ew.square(self)  # an int8; the power is an int64
        return super().__pow__(other)

    def copy(self, order: str = "C") -> Any:
        from ..numpy.shaping import own

        return own(self)


class NumpyScalarTapeBox(TapeBox):
    """A recorded NumPy scalar."""

    __slots__ = ()
    __iter__ = None  # type: ignore[assignment]
    __len__ = None  # type: ignore[assignment]

    def __setitem__(self, index: Any, value: Any) -> Any:
        raise TypeError(f"{type(self._value).__name__!r} object does not support item assignment")

    def copy(self, order: str = "C") -> Any:
        return self

    def _foreign(self, operator_: Callable, other: Any) -> Any:
        """The answer of the plain scalar, where the other operand is no number to NumPy; guarded, unless it is None."""
        return operator_(self._value, None) if other is None else self._taken(lambda value: operator_(value, other))

    def __eq__(self, other: Any) -> Any:
        return super().__eq__(other) if _is_numeric(other) else self._foreign(operator.eq, other)

    def __ne__(self, other: Any) -> Any:
        return super().__ne__(other) if _is_numeric(other) else self._foreign(operator.ne, other)

    def __mul__(self, other: Any) -> Any:
        return self._foreign(operator.mul, other) if isinstance(other, _REPEATED) else super().__mul__(other)

    def __rmul__(self, other: Any) -> Any:
        return self._foreign(operator.mul, other) if isinstance(other, _REPEATED) else super().__rmul__(other)


class PythonScalarTapeBox(NumpyScalarTapeBox):
    """A recorded Python float, complex number, int or bool, which computes as Python does."""

    __slots__ = ()

    def __getattribute__(self, name: str) -> Any:
        """Attributes of an array (``shape``) exist for this package's own code only."""
        if name.startswith("_") or name in _NUMBER_ATTRIBUTES:
            return object.__getattribute__(self, name)
        if sys._getframe(1).f_globals.get("__name__", "").startswith("autograd_jit."):
            return object.__getattribute__(self, name)
        return TapeBox.__getattr__(self, name)

    def __getitem__(self, index: Any) -> Any:
        return self._value[index]  # raises what the plain number raises

    def __copy__(self) -> Any:
        return self

    def __deepcopy__(self, memo: Any) -> Any:
        return self

    def __pos__(self) -> Any:
        return self if type(self._value) in (float, complex) else self._recorder.record_python(operator.pos, self)

    @property
    def real(self) -> Any:
        return self if isinstance(self._value, float) else self._recorder.record_python(_real, self)

    @property
    def imag(self) -> Any:
        return self._recorder.record_python(_imag, self) if isinstance(self._value, complex) else self._value.imag

    def conjugate(self) -> Any:
        return self if isinstance(self._value, float) else self._recorder.record_python(_conjugate, self)

    def __matmul__(self, other: Any) -> Any:
        return super().__matmul__(other) if _is_numpy(other) else NotImplemented

    def __rmatmul__(self, other: Any) -> Any:
        return super().__rmatmul__(other) if _is_numpy(other) else NotImplemented


#: sequences that a NumPy integer repeats as an integer does
_REPEATED = (list, tuple, str, bytes, bytearray)
_NUMERIC = (np.ndarray, np.generic, int, float, complex, list, tuple)


def _is_numeric(value: Any) -> bool:
    """Whether NumPy compares with it as with an array."""
    return type(value) in BOX_TYPES or isinstance(value, _NUMERIC)


_NUMBER_ATTRIBUTES = frozenset(["real", "imag", "conjugate"])
_PYTHON_NUMBERS = frozenset([float, complex, int, bool])


def _real(z: complex) -> float:
    return z.real


def _imag(z: complex) -> float:
    return z.imag


def _conjugate(z: complex) -> complex:
    return z.conjugate()


def _is_numpy(value: Any) -> bool:
    return type(value) in BOX_TYPES or isinstance(value, (np.ndarray, np.generic))


def _copied(value: Any) -> Any:
    return np.array(value) if isinstance(value, np.ndarray) else value


def _read_only(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        value = np.array(value)
        value.setflags(write=False)
    return value


# ---------------------------------------------------------------- arithmetic of Python's scalars

#: of floats alone, these are the same in Python and NumPy: one native operation
_NATIVE: dict[Callable, Primitive] = {
    getattr(operator, python): getattr(ew, name).primitive
    for python, name in dict(
        add="add", sub="subtract", mul="multiply", neg="negative", pos="positive", abs="absolute",
        lt="less", le="less_equal", gt="greater", ge="greater_equal", eq="equal", ne="not_equal",
    ).items()
}  # fmt: skip
#: and these where the answer is finite: otherwise Python raises, or goes over to complex numbers
_NATIVE_IF_FINITE: dict[Callable, Primitive] = {
    operator.truediv: ew.divide.primitive,  # type: ignore[attr-defined]
    operator.pow: ew.power.primitive,  # type: ignore[attr-defined]
}
#: and back
_PYTHON_OF = {primitive: function for function, primitive in (_NATIVE | _NATIVE_IF_FINITE).items()}
LARGEST_EXACT_INTEGER = 2**53


def python_function(prim: Primitive) -> Callable | None:
    """Python's own operation that stands on a tape as ``prim``, where its result is a Python number."""
    return _PYTHON_OF.get(prim)


def native_primitive(function: Callable, values: tuple) -> tuple[Primitive | None, bool]:
    """``(primitive, whether a guard must see that its answer is finite)`` for an operation on Python numbers."""
    for value in values:
        if type(value) is not float and not (type(value) is int and abs(value) < LARGEST_EXACT_INTEGER):
            return None, False
    if function in _NATIVE:
        return _NATIVE[function], False
    return _NATIVE_IF_FINITE.get(function), True


def _binary(name: str, function: Callable, swapped: bool) -> Callable:
    def method(self: PythonScalarTapeBox, other: Any) -> Any:
        kind = type(other)
        if kind is not PythonScalarTapeBox and issubclass(kind, PythonScalarTapeBox):  # an integer argument
            other, kind = other._value, int
        if kind is not PythonScalarTapeBox and kind not in _PYTHON_NUMBERS:
            return getattr(TapeBox, name)(self, other) if _is_numpy(other) else NotImplemented
        return self._recorder.record_python(function, *((other, self) if swapped else (self, other)))

    method.__name__ = name
    return method


def _unary(name: str, function: Callable) -> Callable:
    def method(self: PythonScalarTapeBox) -> Any:
        return self._recorder.record_python(function, self)

    method.__name__ = name
    return method


_OPERATORS = dict(
    add=operator.add, sub=operator.sub, mul=operator.mul, truediv=operator.truediv, floordiv=operator.floordiv,
    mod=operator.mod, pow=operator.pow, lshift=operator.lshift, rshift=operator.rshift, xor=operator.xor,
)  # fmt: skip
_OPERATORS |= {"and": operator.and_, "or": operator.or_}
for _name, _function in _OPERATORS.items():
    setattr(PythonScalarTapeBox, f"__{_name}__", _binary(f"__{_name}__", _function, False))
    setattr(PythonScalarTapeBox, f"__r{_name}__", _binary(f"__r{_name}__", _function, True))
for _name in ("lt", "le", "gt", "ge", "eq", "ne"):
    setattr(PythonScalarTapeBox, f"__{_name}__", _binary(f"__{_name}__", getattr(operator, _name), False))
for _name in ("neg", "abs", "invert"):
    setattr(PythonScalarTapeBox, f"__{_name}__", _unary(f"__{_name}__", getattr(operator, _name)))


def _divmod(self: Any, other: Any) -> Any:
    return self // other, self % other


def _rdivmod(self: Any, other: Any) -> Any:
    return other // self, other % self


PythonScalarTapeBox.__divmod__ = _divmod  # type: ignore[method-assign]
PythonScalarTapeBox.__rdivmod__ = _rdivmod  # type: ignore[method-assign]
PythonScalarTapeBox.__hash__ = TapeBox.__hash__  # type: ignore[method-assign]
NumpyScalarTapeBox.__hash__ = TapeBox.__hash__  # type: ignore[method-assign]


# ---------------------------------------------------------------- in-place operators


class _References:
    """How many references there are to an array during ``array += y`` when one name holds it, on this Python.

    With more, another name, a container, a view or the graph of a derivative would see the array change, and so must
    see it change under the recorder, which binds the name to a new one.
    """

    def __init__(self) -> None:
        probe = _Probe()
        plain: Any = np.zeros(1)
        plain += probe
        self.of_target = probe.seen
        named = _Probe()
        named += 1
        self.of_box = named.seen


class _Probe:
    """Counts as the methods of :class:`TapeBox` do."""

    def __init__(self) -> None:
        self.seen = 0

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, out: Any = None, **kwargs: Any) -> Any:
        self.seen = sys.getrefcount(out[0])
        return out[0]

    def __iadd__(self, other: Any) -> Any:
        self.seen = sys.getrefcount(self)
        return self


_REFERENCES = _References()
#: to the array of a box that alone holds it: the box and the argument of getrefcount
_REFERENCES_OF_VALUE = 2


def _in_place(name: str, ufunc: Any) -> Callable:
    """``x += y``: a name alone is bound to a new array; otherwise the array would be written, and the trace ends.

    Scalars are always rebound.
    """

    def method(self: TapeBox, other: Any) -> Any:
        if type(self) is not TapeBox:
            return NotImplemented  # so that Python goes on to the ordinary operator
        has_one_name = sys.getrefcount(self) <= _REFERENCES.of_box
        if ufunc is None or not has_one_name or sys.getrefcount(self._value) > _REFERENCES_OF_VALUE:
            self._leave(f"an in-place __i{name}__ writes into a traced array")
        return self._rebound(ufunc, (self, other), self, {})

    method.__name__ = f"__i{name}__"
    return method


_UFUNCS = dict(
    add=np.add, sub=np.subtract, mul=np.multiply, truediv=np.true_divide, floordiv=np.floor_divide, mod=np.remainder,
    pow=np.power, lshift=np.left_shift, rshift=np.right_shift, xor=np.bitwise_xor, **{"and": np.bitwise_and},
    **{"or": np.bitwise_or}, matmul=None,
)  # fmt: skip
for _name, _ufunc in _UFUNCS.items():
    setattr(TapeBox, f"__i{_name}__", _in_place(_name, _ufunc))

TAPE_BOXES: tuple[type[TapeBox], ...] = (TapeBox, NumpyScalarTapeBox, PythonScalarTapeBox)
for _class in TAPE_BOXES:
    BOX_TYPES.add(_class)
    Box.type_mappings[_class] = ArrayBox


def box_class(value: Any) -> type[TapeBox]:
    """The class that stands for ``value`` on a tape."""
    if isinstance(value, np.ndarray):
        return TapeBox
    return NumpyScalarTapeBox if isinstance(value, np.generic) else PythonScalarTapeBox
