"""The recorder: the trace level under all others, which writes what happens on a tape.

Every way out of the tape is recorded or guarded. Operations on recorded values become ops; taking a
value out (``if x``, ``float(x)``, ``x.item()``, handing it to foreign code) records a guard that the value
was this. What can be neither recorded nor guarded raises :class:`LeaveTrace`, and the caller runs the
function interpreted.
"""

from __future__ import annotations

from typing import Any, ClassVar, NoReturn

import numpy as np

from ..numpy.array_box import ArrayBox
from . import tree
from .tape import Constant, Guard, Op, Tape, Var, source_line, tensor_type
from .tracer import BOX_TYPES, Box, Node, Primitive, getval, new_level

__all__ = ["LeaveTrace", "Recorder", "TapeBox"]


class LeaveTrace(BaseException):
    """The running trace cannot go on soundly. Not an ``Exception``, so that user code does not swallow it."""


class TapeVar(Node):
    """The node of a recorded value: its recorder and its variable."""

    __slots__ = ("recorder", "var")
    sees_nondifferentiable: ClassVar[bool] = True

    def __init__(self, recorder: Recorder, var: Var) -> None:
        self.recorder = recorder
        self.var = var

    @staticmethod
    def apply(prim: Primitive, level: int, values: list, kwargs: dict, boxed: list) -> Any:
        recorder = boxed[0][1].recorder
        recorded = list(values)
        for position, node in boxed:
            recorded[position] = node.var
        return recorder.record(prim, level, values, recorded, kwargs)

    def apply_nested(self, prim: Primitive, level: int, args: tuple, kwargs: dict) -> Any:
        """Apply ``prim`` to arguments that hold boxes inside containers or keyword arguments."""
        return self.recorder.record(prim, level, list(args), list(args), kwargs)


class Recorder:
    """Collects the ops and guards of one run.

    ``invalid`` is a reason, in the user's terms, once something happened that the tape cannot reproduce.
    """

    def __init__(self, name: str, max_ops: int = 1_000_000) -> None:
        self.name = name
        self.level = new_level()
        self.inputs: list[Var] = []
        self.ops: list[Op | Guard] = []
        self.invalid: str | None = None
        self.max_ops = max_ops
        self._numbers = 0
        self._constants: dict[int, tuple[Any, Constant]] = {}

    # ---------------------------------------------------------------- inputs and outputs

    def _new_var(self, value: Any, name: str = "") -> Var:
        self._numbers += 1
        type_ = tensor_type(value)
        assert type_ is not None
        return Var(self._numbers, type_, name)

    def add_input(self, value: Any, name: str) -> TapeBox:
        """A box for an argument or a captured array."""
        var = self._new_var(value, name)
        self.inputs.append(var)
        return TapeBox(value, self.level, TapeVar(self, var))

    def finish(self, result: Any, facts: dict[str, Any]) -> Tape:
        """The tape of a run that returned ``result`` (a container of boxes and plain values)."""
        leaves, structure = tree.flatten(result)
        outputs = [self._output(leaf) for leaf in leaves]
        return Tape(self.name, tuple(self.inputs), tuple(self.ops), tuple(outputs), structure, facts)

    def _output(self, leaf: Any) -> Any:
        if type(leaf) in BOX_TYPES:
            if leaf._trace == self.level:
                return leaf._node.var
            self.spoil("the function returned a value traced by an outer transformation")
            return None
        if type(leaf) is np.ndarray:
            return self._constant(leaf)
        if tensor_type(leaf) is None and not isinstance(leaf, (str, bytes, type(None), int)):
            self.spoil(f"the function returned an object of type {type(leaf).__name__}")
        return leaf

    def spoil(self, reason: str) -> None:
        """Note that this run cannot be replayed."""
        if self.invalid is None:
            self.invalid = reason

    # ---------------------------------------------------------------- operations

    def record(self, prim: Primitive, level: int, values: list, recorded: list, kwargs: dict) -> Any:
        """Apply ``prim`` to plain values and write it down. ``recorded``: values with Vars in place of boxes."""
        if getattr(prim, "draws", False):
            self.spoil(f"{prim.name} draws random numbers")
        plain = [self._strip(value) for value in values]
        plain_kwargs = {name: self._strip(value) for name, value in kwargs.items()} if kwargs else {}
        if self._foreign(plain) or (plain_kwargs and self._foreign(list(plain_kwargs.values()))):
            self.spoil("it uses a value traced by an outer transformation")
            return prim.wrapped(*plain, **plain_kwargs)
        # Before the call: a primitive that wrote into a plain argument would change the snapshot.
        args = tuple([self._recorded(value) for value in recorded])
        named = {name: self._recorded(value) for name, value in kwargs.items()}
        ans = prim.fun(*plain, **plain_kwargs)
        if len(self.ops) >= self.max_ops:
            self.spoil(f"it performs more than {self.max_ops:,} operations")
            return ans
        leaves, structure = tree.flatten(ans)
        outputs, boxes = [], []
        for leaf in leaves:
            if tensor_type(leaf) is None:
                self.spoil(f"{prim.name} returned an object of type {type(leaf).__name__}")
                return ans
            var = self._new_var(leaf)
            outputs.append(var)
            boxes.append(TapeBox(leaf, level, TapeVar(self, var)))
        self.ops.append(Op(prim, args, named, tuple(outputs), structure, source_line(3)))
        return tree.unflatten(structure, boxes)

    def _strip(self, value: Any) -> Any:
        """``value`` with this recorder's boxes opened, inside containers and slices too."""
        kind = type(value)
        if kind in BOX_TYPES:
            return value._value if value._trace == self.level else value
        if kind is tuple or kind is list:
            return kind([self._strip(item) for item in value])
        if kind is slice:
            return slice(self._strip(value.start), self._strip(value.stop), self._strip(value.step))
        if kind is dict:
            return {key: self._strip(item) for key, item in value.items()}
        return value

    def _foreign(self, values: list) -> bool:
        return any(
            type(v) in BOX_TYPES or (type(v) in (tuple, list) and self._foreign(list(v))) for v in values
        )

    def _recorded(self, value: Any) -> Any:
        """``value`` as the tape holds it: boxes as Vars, plain arrays as Constants."""
        kind = type(value)
        if kind in BOX_TYPES:
            return value._node.var
        if kind is np.ndarray:
            return self._constant(value)
        if kind is tuple or kind is list:
            return kind([self._recorded(item) for item in value])
        if kind is slice:
            return slice(self._recorded(value.start), self._recorded(value.stop), self._recorded(value.step))
        if kind is dict:
            return {key: self._recorded(item) for key, item in value.items()}
        return value

    def _constant(self, array: np.ndarray) -> Constant:
        """A snapshot of a plain array; one snapshot serves as long as the array does not change."""
        known = self._constants.get(id(array))
        if known is not None and _same(known[1].value, array):
            return known[1]
        snapshot = np.array(array)
        snapshot.setflags(write=False)
        constant = Constant(snapshot)
        self._constants[id(array)] = (array, constant)
        return constant

    # ---------------------------------------------------------------- values that leave the tape

    def guard(self, node: TapeVar, kind: str, expected: Any) -> None:
        """Write down that the path depends on this value."""
        self.ops.append(Guard(node.var, kind, expected, source_line(3)))


def _same(a: np.ndarray, b: np.ndarray) -> bool:
    return (
        a.dtype == b.dtype
        and a.shape == b.shape
        and (a is b or np.ascontiguousarray(a).tobytes() == np.ascontiguousarray(b).tobytes())
    )


class TapeBox(ArrayBox):
    """A recorded array or scalar of any dtype. Taking its value out records a guard."""

    __slots__ = ()

    @property
    def __class__(self) -> Any:  # so that isinstance() answers as it would for the plain value
        return type(self._value)

    def _take(self, kind: str, expected: Any) -> Any:
        self._node.recorder.guard(self._node, kind, expected)
        return expected

    def __bool__(self) -> bool:
        return self._take("truth", bool(self._value))

    def __int__(self) -> int:
        return self._take("int", int(self._value))

    def __index__(self) -> int:
        return self._take("value", self._value.__index__())

    def __float__(self) -> float:
        number = float(self._value)
        self._take("value", self._value)
        return number

    def __complex__(self) -> complex:
        number = complex(self._value)
        self._take("value", self._value)
        return number

    def _plain(self) -> Any:
        """The plain value, guarded element by element."""
        value = self._value
        self._take("value", np.array(value) if isinstance(value, np.ndarray) else value)
        return value

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return np.array(self._plain(), dtype=dtype)

    def __format__(self, spec: str) -> str:
        return format(self._plain(), spec)

    def __str__(self) -> str:
        return str(self._plain())

    def __repr__(self) -> str:
        return repr(self._plain())

    def __hash__(self) -> int:
        return hash(self._plain())

    def __round__(self, digits: Any = None) -> Any:
        return round(self._plain(), digits) if digits is not None else round(self._plain())

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self._plain().__reduce_ex__(protocol)

    def item(self, *args: Any) -> Any:
        return self._plain().item(*args)

    def tolist(self) -> Any:
        value = self._plain()
        return value.tolist()

    def __getattr__(self, name: str) -> Any:
        """An attribute that boxes do not have: the plain value's, guarded."""
        if name.startswith("__array_"):
            raise AttributeError(name)
        if not hasattr(self._value, name):
            raise AttributeError(f"{type(self._value).__name__!r} object has no attribute {name!r}")
        if name in _WRITING_METHODS:
            self._leave(f".{name}()")
        return getattr(self._plain(), name)

    # ---------------------------------------------------------------- writing

    def _leave(self, what: str) -> NoReturn:
        raise LeaveTrace(f"{what} writes into an array at {source_line(3)}")

    def __setitem__(self, index: Any, value: Any) -> None:
        if isinstance(self._value, np.ndarray):
            self._leave("an item assignment")
        raise TypeError(f"{type(self._value).__name__!r} object does not support item assignment")

    def copy(self, order: str = "C") -> Any:
        from .. import numpy as anp

        if isinstance(self._value, np.ndarray):
            return anp.positive(self) if self.dtype.kind != "b" else anp.logical_or(self, False)
        return self


_WRITING_METHODS = frozenset(
    ["fill", "sort", "partition", "put", "resize", "itemset", "setflags", "setfield", "byteswap", "__setstate__"]
)


def _in_place(name: str) -> Any:
    """``x += y``: arrays would be written, so the trace ends; scalars are rebound."""
    operator = f"__{name}__"

    def method(self: TapeBox, other: Any) -> Any:
        if isinstance(self._value, np.ndarray):
            self._leave(f"an in-place __i{name}__")
        return getattr(self, operator)(other)

    method.__name__ = f"__i{name}__"
    return method


for _name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "and", "or", "xor"):
    setattr(TapeBox, f"__i{_name}__", _in_place(_name))

BOX_TYPES.add(TapeBox)
Box.type_mappings[TapeBox] = ArrayBox


def plain(value: Any) -> Any:
    """``value`` with all boxes opened, containers included, without guards (for results only)."""
    return tree.map_leaves(getval, value)
