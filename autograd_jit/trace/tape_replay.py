"""A tape replayed over NumPy: each operation's own function is called again, in order, without boxes or graphs.

This is the first tier of a compiled function. Making it takes a microsecond an operation and no import, and it gives
the bits that the interpreted call gives, in less than half of its time for small arrays: the forward pass is not
recorded for derivatives, and the backward pass is what the tape says. Guards are checked on the way.

    replay = TapeReplay(tape)
    leaves = replay.run(inputs, generators)       # or Diverged
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ..divergence import Diverged, compared_dtype, describe, expected_bytes
from ..records import record
from . import tree
from .aliases import plain_argument
from .draws import perform
from .heap_mark import WatchedValues
from .tape import Constant, Guard, Op, Tape, TensorType, Var
from .tape_box import python_function

__all__ = ["TapeReplay"]

#: arrays of so many bytes are let go of after their last use, so that the next ones lie in the same, cached memory
LARGE = 1 << 11


@record(eq=False, slots=True)
class _Step:
    """An operation, or a guard, ready to be called.

    ``places``: where its arguments lie among the values, where all are values; else None. ``checked``: the class, the
    shape and the dtype of its one result. ``operands``: numbers of the variables that it reads. ``dead``: places of
    large arrays that nothing reads later.
    """

    op: Op | Guard
    function: Callable | None
    places: tuple[int, ...] | None
    out: int
    checked: tuple[type, tuple[int, ...] | None, np.dtype]
    operands: list[int]
    dead: tuple[int, ...] = ()
    number: int = -1


#: class, shape and dtype that values of a type have, and whether they are large
_Facts = tuple[tuple[type, tuple[int, ...] | None, np.dtype], bool]


class TapeReplay:
    """``tape`` as calls of NumPy. Threads may share it: what it keeps of its first run is only a mark on the heap."""

    def __init__(self, tape: Tape) -> None:
        self._tape = tape
        self._template: list[Any] = []
        self._place_of: dict[int, int] = {}
        self._static: dict[int, int] = {}  # places of arguments that are no variables, by id; `_template` holds them
        self._constants: set[int] = set()  # arrays of the tape that operations are given, by id
        self._facts: dict[int, _Facts] = {}  # by the id of a type, which operations share
        for var in tape.inputs:
            self._new_place(var)
        self._steps: list[_Step] = []
        guards = 0
        for op in tape.ops:
            if isinstance(op, Guard):
                self._steps.append(_guard_step(op, guards, self._place_of[op.var.number]))
                guards += 1
            else:
                self._steps.append(self._step(op))
        self._let_go()
        self._reuse_memory()
        #: the steps as the loop of a run takes them apart: 0.3 us a step less than by their names
        self._program: list[Any] = [
            (step.function, step.places, len(step.places or ()), step.out, *step.checked, step.dead, step)
            for step in self._steps
        ]
        self._template = [value.value if type(value) is Constant else value for value in self._template]
        self._is_watched = any([step.dead for step in self._steps])
        self._heap_mark: np.ndarray | None = None

    # ---------------------------------------------------------------- making it

    def _new_place(self, var: Var) -> int:
        place = self._place_of[var.number] = len(self._template)
        self._template.append(None)
        return place

    def _place(self, arg: Any) -> int | None:
        """Where an argument lies; None for a container that may hold variables."""
        kind = type(arg)
        if kind is Var:
            return self._place_of[arg.number]
        if kind is list or kind is dict or (kind in (tuple, slice) and not _is_static(arg)):
            return None
        known = self._static.get(id(arg))
        if known is None:
            known = self._static[id(arg)] = len(self._template)
            self._template.append(arg)
            if kind is Constant:
                self._constants.add(id(arg.value))
        return known

    def _facts_of(self, type_: TensorType) -> _Facts:
        facts = self._facts.get(id(type_))
        if facts is None:
            facts = self._facts[id(type_)] = _checked(type_), type_.size * type_.dtype.itemsize >= LARGE
        return facts

    def _step(self, op: Op) -> _Step:
        function = op.prim.replayed or op.prim.fun
        places = self._places(op)
        if places is None:
            self._constants.update([id(array) for array in _constants_in(op)])
            operands = [var.number for var in op.operands()]
        else:
            operands = [arg.number for arg in op.args if type(arg) is Var]
            if op.outputs[0].type.weak:
                function = python_function(op.prim) or function
            elif op.prim.fun in _OF_NUMBERS and all([type(arg) is Var and arg.type == _FLOAT64 for arg in op.args]):
                function = _OF_NUMBERS[op.prim.fun]
        outs = [self._new_place(var) for var in op.outputs]
        checked = self._facts_of(op.outputs[0].type)[0] if len(outs) == 1 else (object, None, _NONE)
        return _Step(op, function, places, outs[0] if outs else -1, checked, operands)

    def _places(self, op: Op) -> tuple[int, ...] | None:
        """Where the arguments of an operation lie; None where it is not simply a function of values with one result."""
        is_simple = op.args and not op.kwargs and op.prim.draws is None
        if not is_simple or len(op.outputs) != 1 or op.structure is not tree.LEAF:
            return None
        places = []
        for arg in op.args:
            place = self._place(arg)
            if place is None:
                return None
            places.append(place)
        return tuple(places)

    def _let_go(self) -> None:
        """Note for each step which large arrays nothing reads after it."""
        large = {
            var.number
            for step in self._steps if isinstance(step.op, Op)
            for var in step.op.outputs if self._facts_of(var.type)[1]
        }  # fmt: skip
        large -= {out.number for out in self._tape.outputs if isinstance(out, Var)}
        for step in reversed(self._steps):
            if not large:
                break
            last = large.intersection(step.operands)
            if last:
                large -= last
                step.dead = tuple([self._place_of[number] for number in last])

    def _reuse_memory(self) -> None:
        """Have ufuncs write large results over an operand that nothing reads later, as an interpreted sum of
        cotangents does: fresh memory of that size takes longer than the arithmetic.

        An operand that a ufunc made, and that ufuncs and guards alone read, has no views.
        """
        seen_otherwise = {out.number for out in self._tape.outputs if isinstance(out, Var)}
        made: dict[int, TensorType] = {}
        taking: list[_Step] = []
        for step in self._steps:
            if not isinstance(step.op, Op):
                continue
            is_ufunc = isinstance(step.function, np.ufunc) and step.function is step.op.prim.fun
            if not is_ufunc or step.places is None:
                seen_otherwise.update(step.operands)
                continue
            out = step.op.outputs[0]
            if out.type.kind == "array" and self._facts_of(out.type)[1]:
                made[out.number] = out.type
                if step.dead:
                    taking.append(step)
        for step in taking:
            assert isinstance(step.op, Op) and step.places is not None
            type_ = step.op.outputs[0].type
            dying = [number for number in step.operands if self._place_of[number] in step.dead]
            free = [n for n in dying if n in made and made[n] == type_ and n not in seen_otherwise]
            if free:
                step.function = _writing(step.op.prim.fun, step.places.index(self._place_of[free[0]]))

    # ---------------------------------------------------------------- running it

    def run(self, inputs: Sequence[Any], generators: Sequence[Any] = ()) -> list:
        """The output leaves. Raises Diverged where the recorded path is not the one that these values take, and
        whatever an operation raises."""
        values = WatchedValues(self._template) if self._is_watched else self._template.copy()
        values[: len(inputs)] = inputs
        for function, places, count, out, kind, shape, dtype, dead, step in self._program:
            if count == 2:
                answer = function(values[places[0]], values[places[1]])
            elif count:
                answer = function(*[values[place] for place in places])
            else:
                if function is None:
                    _check(step, values[out])
                else:
                    self._general(step, values, generators)
                for place in dead:
                    values[place] = None
                continue
            if type(answer) is not kind or (shape is not None and (answer.shape != shape or answer.dtype != dtype)):
                raise _other_type(step.op, answer)
            values[out] = answer
            for place in dead:
                values[place] = None
        leaves = [self._output(out, values) for out in self._tape.outputs]
        if type(values) is WatchedValues:
            self._is_watched, self._heap_mark = False, values.mark()
        return leaves

    def _general(self, step: _Step, values: list, generators: Sequence[Any]) -> None:
        """A draw, several results, keywords, or values inside of containers."""
        op = step.op
        assert isinstance(op, Op) and step.function is not None
        if op.prim.draws is not None:
            answer = perform(op, generators)
            leaves = tree.flatten(answer)[0] if op.outputs else []
        else:
            view = _Values(values, self._place_of)
            answer = step.function(*plain_argument(op.args, view), **plain_argument(op.kwargs, view))
            leaves, structure = tree.flatten(answer, opened=True)
            if structure != op.structure:
                raise Diverged(None, None, f"{op.prim.name} returned another structure than when it was traced")
        for var, leaf in zip(op.outputs, leaves, strict=True):
            if not _fits(leaf, *_checked(var.type)):
                raise _other_type(op, leaf)
            values[self._place_of[var.number]] = leaf

    def _output(self, out: Any, values: list) -> Any:
        if type(out) is Constant:
            return out.value.copy()
        if type(out) is not Var:
            return out.copy() if isinstance(out, np.ndarray) else out
        value = values[self._place_of[out.number]]
        return value.copy() if self._is_view_of_constant(value) else value

    def _is_view_of_constant(self, value: Any) -> bool:
        """Whether it shares the memory of a constant of the tape, which the caller must not be able to write."""
        while self._constants and isinstance(value, np.ndarray):
            if id(value) in self._constants:
                return True
            value = value.base
        return False


def _constants_in(op: Op) -> Iterator[np.ndarray]:
    """The arrays of the tape that an operation is given, inside of containers, too."""
    pending: list[Any] = [*op.args, *op.kwargs.values()]
    while pending:
        value = pending.pop()
        if type(value) is Constant:
            yield value.value
        elif type(value) is tuple or type(value) is list:
            pending += value
        elif type(value) is dict:
            pending += value.values()


def _is_static(arg: Any) -> bool:
    """Whether an argument is the same at each replay, and nothing that the function could change."""
    kind = type(arg)
    if kind is tuple:
        return all([_is_static(item) for item in arg])
    if kind is slice:
        return _is_static(arg.start) and _is_static(arg.stop) and _is_static(arg.step)
    return kind not in (Var, Constant, list, dict)


class _Values(Mapping):
    """Values by the numbers of their variables."""

    __slots__ = ("_place_of", "_values")

    def __init__(self, values: list, place_of: dict[int, int]) -> None:
        self._values, self._place_of = values, place_of

    def __getitem__(self, number: int) -> Any:
        return self._values[self._place_of[number]]

    def __iter__(self) -> Iterator[int]:
        return iter(self._place_of)

    def __len__(self) -> int:
        return len(self._place_of)


def _writing(ufunc: Any, position: int) -> Callable:
    """The ufunc, with its result in the memory of an operand."""
    if ufunc.nin == 1:
        return lambda x: ufunc(x, x)
    if ufunc.nin == 2:
        return (lambda x, y: ufunc(x, y, y)) if position else (lambda x, y: ufunc(x, y, x))
    return ufunc


_NONE = np.dtype(bool)
_FLOAT64 = TensorType((), np.dtype(np.float64), "scalar")
#: what numbers of NumPy compute by themselves, to the bit, in a fifth of the time
_OF_NUMBERS: dict[Callable, Callable] = {
    np.add: operator.add, np.subtract: operator.sub, np.multiply: operator.mul, np.true_divide: operator.truediv,
    np.negative: operator.neg,
}  # fmt: skip
_PYTHON = {"float": float, "complex": complex, "int": int, "bool": bool}


def _checked(type_: TensorType) -> tuple[type, tuple[int, ...] | None, np.dtype]:
    """Class, shape and dtype that a result must have; of scalars the class says it all."""
    if type_.kind == "array":
        return np.ndarray, type_.shape, type_.dtype
    return (type_.dtype.type if type_.kind == "scalar" else _PYTHON[type_.kind]), None, type_.dtype


def _fits(answer: Any, kind: type, shape: tuple[int, ...] | None, dtype: np.dtype) -> bool:
    is_kind = type(answer) is kind
    return is_kind and (shape is None or (answer.shape == shape and answer.dtype == dtype))


def _guard_step(guard: Guard, number: int, place: int) -> _Step:
    return _Step(guard, None, None, place, (object, None, _NONE), [guard.var.number], number=number)


def _check(step: _Step, value: Any) -> None:
    """Raise Diverged unless the guard holds of the value."""
    guard = step.op
    assert isinstance(guard, Guard)
    seen = bool(value) if guard.kind == "truth" else int(value) if guard.kind == "int" else value
    dtype = compared_dtype(guard)
    actual = np.asarray(seen, dtype).tobytes()
    if actual != expected_bytes(guard):
        raise Diverged(step.number, actual, functools.partial(describe, guard, actual, dtype))


def _other_type(op: Op | Guard, answer: Any) -> Diverged:
    assert isinstance(op, Op)
    found = f"{answer.dtype}{list(answer.shape)}" if isinstance(answer, np.ndarray) else type(answer).__name__
    return Diverged(None, None, f"{op.prim.name} gave {found} where {op.outputs[0].type} was traced ({op.line})")
