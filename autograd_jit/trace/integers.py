"""Integer arguments: a program depends on what is made of them, not on the numbers themselves.

While a call is recorded, an integer argument is an :class:`IntegerBox`. What Python computes of it (``step % batches``)
stays an expression; whatever needs the number itself (an index, a shape, a comparison, arithmetic with arrays) takes
it, and the value of that expression is part of the signature from then on. So ``loss(params, step)`` that makes no use
of ``step`` has one program, one that reads ``data[step % batches]`` has one for each batch, and one that computes with
the number has one for each number.

An expression is its own Python source, with the integer arguments named ``i0``, ``i1``, ... in order.

Where an expression meets floats (``0.1 * step``), Python and NumPy compute with ``float(expression)``. The number is
part of the signature at first. Once there have been several, that float is an input of the next programs, as if it had
been the argument: a step counter in a formula costs no trace a step.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np

from .recorder import TapeVar
from .tape_box import PythonScalarTapeBox
from .tracer import BOX_TYPES, concrete

if TYPE_CHECKING:
    from .recorder import Recorder

__all__ = ["IntegerBox", "IntegerFacts", "evaluated", "in_range", "integer_name"]

#: beyond these the number is taken: expressions are compiled, and evaluated at every call
MAX_SOURCE = 200
LARGEST_NUMBER = 2**64
MAX_SOURCES = 32
#: numbers that an expression has had when floats that it meets become inputs: a constant is worth knowing
MOST_CONSTANTS = 2
#: up to here every integer is a float
LARGEST_EXACT: Final = 2**53


def integer_name(position: int) -> str:
    """The name of an integer argument in expressions: the first is ``i0``."""
    return f"i{position}"


def in_range(source: str) -> str:
    """The expression that says whether ``float(source)`` is the same number."""
    return f"(abs({source}) <= {LARGEST_EXACT})"


def evaluated(sources: tuple[str, ...], integers: Iterable[int]) -> tuple[int, ...]:
    """The values of expressions."""
    integers = tuple(integers)
    return _evaluation(sources, len(integers))(*integers) if sources else ()


@functools.lru_cache(maxsize=256)
def _evaluation(sources: tuple[str, ...], count: int) -> Callable[..., tuple]:
    names = ", ".join([integer_name(position) for position in range(count)])
    return eval(f"lambda {names}: ({''.join([f'{source}, ' for source in sources])})")


class IntegerNode(TapeVar):
    """A number and where it comes from. As an operand of a recorded operation it is the plain number, taken."""

    __slots__ = ("number", "source")

    def __init__(self, recorder: Recorder, number: int, source: str) -> None:
        self.recorder = recorder
        self.number = number
        self.source = source

    def take(self) -> int:
        """The plain number; the program depends on it now."""
        if not self.recorder.is_closed:
            self.recorder.integers[self.source] = self.number
            self.recorder.meets_floats_only[self.source] = False
        return self.number

    def take_among_floats(self) -> Any:
        """The number for arithmetic that makes a float of it: an input of the tape, or as by :meth:`take`."""
        recorder, source = self.recorder, self.source
        if recorder.is_closed:
            return self.number
        known = recorder.numbers.get(source)
        if known is not None:
            return recorder._box(float(self.number), known)
        recorder.integers[source] = self.number
        recorder.meets_floats_only.setdefault(source, True)
        return self.number

    var = property(take)  # type: ignore[assignment]


class IntegerBox(PythonScalarTapeBox):
    """An integer argument, or what was computed of one with Python's exact arithmetic.

    There is no way to the plain number past ``_value``, and that takes it: nothing can depend on it unseen.
    """

    __slots__ = ()
    stands_for_integer: ClassVar[bool] = True
    _node: IntegerNode

    def __init__(self, recorder: Recorder, number: int, source: str) -> None:
        self._trace = recorder.level
        self._node = IntegerNode(recorder, number, source)

    __class__ = property(lambda self: int)  # type: ignore[assignment]
    _value = property(lambda self: self._node.take())  # type: ignore[assignment]
    real = property(lambda self: self._value)
    imag = property(lambda self: 0)

    def conjugate(self) -> int:
        return self._value

    def as_operand(self, primitive: Any, args: tuple) -> Any:
        """What a primitive gets that is given this box among others: a float, where it computes with floats."""
        among_floats = primitive.name in _WITH_FLOATS and all([arg is self or _is_float(arg) for arg in args])
        if among_floats or primitive.name in _OF_FLOATS:
            return self._node.take_among_floats()
        return self._value

    def _taken(self, function: Callable[[Any], Any], kind: str = "value") -> Any:
        return function(self._value)

    def __bool__(self) -> bool:
        return self != 0

    def __hash__(self) -> int:
        return hash(self._value)


def _is_float(value: Any) -> bool:
    """Whether an integer among floats like this one is converted to a float, exactly or as the float would be."""
    if type(value) is IntegerBox:
        return False
    value = concrete(value)
    if isinstance(value, (np.ndarray, np.generic)):
        return value.dtype in _FLOATS
    return type(value) is float or type(value) is complex


_FLOATS = frozenset(map(np.dtype, (np.float64, np.float32, np.complex128, np.complex64)))
#: primitives of two operands to which an integer among floats is a float
_WITH_FLOATS = frozenset(["add", "subtract", "multiply", "divide", "true_divide"])
#: primitives of one operand that make a float of an integer first
_OF_FLOATS = frozenset(
    "sqrt cbrt exp exp2 expm1 log log2 log10 log1p sin cos tan sinh cosh tanh arctan arcsinh".split()
)


def _is_expression(value: Any) -> bool:
    return type(value) is IntegerBox and not value._node.recorder.is_closed


def _plain(value: Any) -> Any:
    return value._value if type(value) is IntegerBox else value


def _source(value: Any) -> str:
    return value._node.source if type(value) is IntegerBox else f"({value})" if value < 0 else str(value)


def _number(value: Any) -> int:
    return value._node.number if type(value) is IntegerBox else value


def _combined(template: str, function: Callable, *operands: Any) -> Any:
    """``function`` of integers and expressions: an expression, too, where it can be one."""
    recorders = [value._node.recorder for value in operands if type(value) is IntegerBox]
    if recorders and template and all([type(value) is int or _is_expression(value) for value in operands]):
        number = function(*map(_number, operands))
        source = template.format(*map(_source, operands))
        if type(number) is bool:
            recorders[0].integers[source] = number
            return number
        if len(source) <= MAX_SOURCE and abs(number) <= LARGEST_NUMBER:
            return IntegerBox(recorders[0], number, source)
    return function(*map(_plain, operands))


def _binary(template: str, function: Callable, swapped: bool) -> Callable:
    def method(self: IntegerBox, other: Any) -> Any:
        if function in _FLOAT_ARITHMETIC and _makes_float(function, other, swapped):
            number = self._node.take_among_floats()
            other = other._node.take_among_floats() if type(other) is IntegerBox else other
            return function(other, number) if swapped else function(number, other)
        left, right = (other, self) if swapped else (self, other)
        if function in _DIVISIONS:  # only a known divisor is known not to be zero at the next call
            right = _plain(right)
            return _combined(template if right else "", function, left, right)
        return _combined(template, function, left, right)

    return method


def _makes_float(function: Callable, other: Any, swapped: bool) -> bool:
    """Whether Python computes with ``float`` of an integer that meets ``other``."""
    if function is operator.pow:  # NumPy has ways of its own for whole exponents, and Python for whole bases
        return swapped and type(other) is not IntegerBox and type(concrete(other)) is float
    if function is operator.truediv and (type(other) is IntegerBox or type(other) is int):
        return type(other) is IntegerBox or abs(other) <= LARGEST_EXACT
    return _is_float(other)


def _unary(template: str, function: Callable) -> Callable:
    def method(self: IntegerBox) -> Any:
        return _combined(template, function, self)

    return method


_FLOAT_ARITHMETIC = (operator.add, operator.sub, operator.mul, operator.truediv, operator.pow)
_DIVISIONS = (operator.floordiv, operator.mod)
#: operator -> its expression; "" for those that are left to the plain numbers
_BINARY = {
    "add": "({} + {})", "sub": "({} - {})", "mul": "({} * {})", "floordiv": "({} // {})", "mod": "({} % {})",
    "truediv": "", "pow": "", "lshift": "", "rshift": "", "xor": "", "and_": "", "or_": "", "matmul": "",
}  # fmt: skip
_COMPARISONS = {"lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "==", "ne": "!="}
_UNARY = {"neg": "(-{})", "pos": "{}", "abs": "abs({})", "invert": "(~{})"}

for _name, _template in _BINARY.items():
    _function = getattr(operator, _name)
    setattr(IntegerBox, f"__{_name.strip('_')}__", _binary(_template, _function, False))
    setattr(IntegerBox, f"__r{_name.strip('_')}__", _binary(_template, _function, True))
for _name, _symbol in _COMPARISONS.items():
    setattr(IntegerBox, f"__{_name}__", _binary(f"({{}} {_symbol} {{}})", getattr(operator, _name), False))
for _name, _template in _UNARY.items():
    setattr(IntegerBox, f"__{_name}__", _unary(_template, getattr(operator, _name)))

BOX_TYPES.add(IntegerBox)


class IntegerFacts:
    """The expressions of integer arguments that the programs of one signature depend on.

    ``boxes``: whether integers are boxed when a call is traced; not so where the function cannot work with boxes.
    ``numbers``: expressions whose values are inputs of the programs that are traced next, as floats.
    """

    def __init__(self, count: int) -> None:
        self.names = tuple([integer_name(position) for position in range(count)])
        self.sources: tuple[str, ...] = ()
        self.numbers: tuple[str, ...] = ()
        self.boxes = True
        self._seen: dict[str, set[int]] = {}
        self._constants: set[str] = set()

    def key(self, integers: Iterable[int]) -> tuple:
        """What calls with these integers must share to share programs."""
        sources = self.sources
        return sources, evaluated(sources, integers)

    def key_with(self, sources: Iterable[str], integers: Iterable[int]) -> tuple:
        """`key` for a program that depends on these expressions, whatever other threads have made of them since."""
        while True:
            key = self.key(integers)
            missing = [source for source in sources if source not in key[0]]
            if not missing or key[0] == self.names:  # all of them follow from the integers themselves
                return key
            self.sources += tuple(missing)

    def add(self, sources: Mapping[str, int], meets_floats_only: Mapping[str, bool]) -> None:
        """The expressions that a trace depended on; too many, and it is the integers themselves.

        ``meets_floats_only``: of those that meet floats, whether they could be inputs.
        """
        self.sources += tuple([source for source in sources if source not in self.sources])
        if len(self.sources) > MAX_SOURCES:
            self.fix()
        if not self.boxes:
            return
        for source, is_number in meets_floats_only.items():
            if not is_number:
                self._keep_constant(source)
            elif source in sources and source not in self._constants and source not in self.numbers:
                self._seen.setdefault(source, set()).add(sources[source])

    def inputs_from_now_on(self) -> tuple[str, ...]:
        """`numbers` for a trace that is about to be made: what has been many numbers becomes one of them.

        Not before: a program that holds a number has its expression in the key under which it is put down.
        """
        for source in [each for each, values in list(self._seen.items()) if len(values) >= MOST_CONSTANTS]:
            self._seen.pop(source, None)  # another thread may have been first
            kept = [each for each in self.sources if each not in (source, in_range(source))]
            self.sources = (*kept, in_range(source))
            self.numbers = (*[each for each in self.numbers if each != source], source)
        return self.numbers

    def _keep_constant(self, source: str) -> None:
        self._constants.add(source)
        self._seen.pop(source, None)
        if source in self.numbers:
            self.numbers = tuple([each for each in self.numbers if each != source])
            self.sources += (source,)

    def fix(self) -> None:
        """From now on programs depend on the integers themselves, and traces see them plain."""
        self.boxes = False
        self.numbers = ()
        self._seen.clear()
        self.sources = self.names
