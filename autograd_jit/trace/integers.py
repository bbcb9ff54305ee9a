"""Integer arguments: a program depends on what is made of them, not on the numbers themselves.

While a call is recorded, an integer argument is an :class:`IntegerBox`. What Python computes of it (``step % batches``)
stays an expression; whatever needs the number itself (an index, a shape, a comparison, arithmetic with arrays) takes
it, and the value of that expression is part of the signature from then on. So ``loss(params, step)`` that makes no use
of ``step`` has one program, one that reads ``data[step % batches]`` has one for each batch, and one that computes with
the number has one for each number.

An expression is its own Python source, with the integer arguments named ``i0``, ``i1``, ... in order.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, ClassVar

from .recorder import TapeVar
from .tape_box import PythonScalarTapeBox
from .tracer import BOX_TYPES

if TYPE_CHECKING:
    from .recorder import Recorder

__all__ = ["IntegerBox", "IntegerFacts", "integer_name"]

#: beyond these the number is taken: expressions are compiled, and evaluated at every call
MAX_SOURCE = 200
LARGEST_NUMBER = 2**64
MAX_SOURCES = 32


def integer_name(position: int) -> str:
    """The name of an integer argument in expressions: the first is ``i0``."""
    return f"i{position}"


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

    def _taken(self, function: Callable[[Any], Any], kind: str = "value") -> Any:
        return function(self._value)

    def __bool__(self) -> bool:
        return self != 0

    def __hash__(self) -> int:
        return hash(self._value)


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
        left, right = (other, self) if swapped else (self, other)
        if function in _DIVISIONS:  # only a known divisor is known not to be zero at the next call
            right = _plain(right)
            return _combined(template if right else "", function, left, right)
        return _combined(template, function, left, right)

    return method


def _unary(template: str, function: Callable) -> Callable:
    def method(self: IntegerBox) -> Any:
        return _combined(template, function, self)

    return method


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
    """

    def __init__(self, count: int) -> None:
        self.names = tuple([integer_name(position) for position in range(count)])
        self.sources: tuple[str, ...] = ()
        self.boxes = True
        self._evaluate: Callable[..., tuple] = lambda *integers: ()

    def key(self, integers: Iterable[int]) -> tuple:
        """What calls with these integers must share to share programs."""
        return self.sources, self._evaluate(*integers)

    def add(self, sources: Iterable[str]) -> None:
        """More expressions; too many, and it is the integers themselves."""
        new = tuple([source for source in sources if source not in self.sources])
        if not new:
            return
        self.sources += new
        if len(self.sources) > MAX_SOURCES:
            self.fix()
        else:
            self._compile()

    def fix(self) -> None:
        """From now on programs depend on the integers themselves, and traces see them plain."""
        self.boxes = False
        self.sources = self.names
        self._compile()

    def _compile(self) -> None:
        values = "".join([f"{source}, " for source in self.sources])
        self._evaluate = eval(f"lambda {', '.join(self.names)}: ({values})")
