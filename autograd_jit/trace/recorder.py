"""The recorder: the trace level under all others, which writes what happens on a tape.

Every way out of the tape is recorded or guarded. Operations on recorded values become ops; taking a
value out (``if x``, ``float(x)``, ``x.item()``, handing it to foreign code) records a guard that the value
was this. What can be neither recorded nor guarded raises :class:`LeaveTrace`, and the caller runs the
function interpreted.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any, ClassVar, NoReturn

import numpy as np

from . import tree
from .aliases import Alias, find_aliases, share_memory
from .capture_values import is_library
from .companions import Companions
from .draws import Draw, draw_primitive
from .float_errors import default_error_state, error_state, stops_on_errors
from .linear_rows import Section
from .registered import apply_recorded, apply_to_registered, meet_types
from .reverse import backward_pass
from .snapshots import plain_copies, restored, same_contents
from .tape import Constant, Guard, Op, SourceLines, Tape, TensorType, Var, _vars_in, tensor_type
from .tape_box import LeaveTrace, PythonScalarTapeBox, TapeBox, box_class, native_primitive
from .tracer import BOX_TYPES, Node, Primitive, concrete, new_level

__all__ = ["LeaveTrace", "Recorder", "TapeBox"]

_blank = object.__new__


class TapeVar(Node):
    """The node of a recorded value: its recorder and its variable."""

    __slots__ = ("recorder", "var")
    sees_nondifferentiable: ClassVar[bool] = True
    records: ClassVar[bool] = True

    def __init__(self, recorder: Recorder, var: Var) -> None:
        self.recorder = recorder
        self.var = var

    @staticmethod
    def apply(prim: Primitive, level: int, values: list, kwargs: dict, boxed: list) -> Any:
        recorder = boxed[0][1].recorder
        most_operands = recorder.ours.get(prim)
        if most_operands is None and recorder.is_users(prim):
            for position, node in boxed:
                values[position] = recorder._box(values[position], node.var)
            return apply_recorded(recorder, prim, tuple(values), kwargs)
        recorded = values.copy()
        for position, node in boxed:
            recorded[position] = node.var
        if (  # most operations: `record`, where nothing has to be looked at
            most_operands is not None and len(values) <= most_operands and not kwargs
            and not recorder.is_closed and not recorder.integers and _SIMPLE.issuperset(map(type, recorded))
        ):  # fmt: skip
            if error_state() is not default_error_state:
                return recorder._written(prim, tuple(recorded), kwargs, recorder._applied(prim, values, kwargs))
            try:
                ans = prim.fun(*values)
            except Exception as error:
                recorder.note_error(prim, error)
                raise
            return recorder._written(prim, tuple(recorded), kwargs, ans)
        return recorder.record(prim, level, values, recorded, kwargs)

    def apply_nested(self, prim: Primitive, level: int, args: tuple, kwargs: dict) -> Any:
        """Apply ``prim`` to arguments that hold boxes inside containers or keyword arguments."""
        if self.recorder.is_users(prim):
            return apply_recorded(self.recorder, prim, args, kwargs)
        return self.recorder.record(prim, level, list(args), list(args), kwargs)

    def apply_to_registered(self, prim: Primitive, args: tuple, kwargs: dict) -> Any:
        """Apply ``prim`` to arguments among which is a value of a registered type."""
        return apply_to_registered(self.recorder, prim, args, kwargs)


class Recorder:
    """Collects the ops and guards of one run.

    ``invalid`` is a reason, in the user's terms, once something happened that the tape cannot reproduce;
    ``left`` one why the run itself is void; ``handled_error`` names an error that the function may have handled.
    ``base``: the function that the run starts in (see :class:`SourceLines`).
    """

    def __init__(self, name: str, max_ops: int = 1_000_000, base: Callable | None = None) -> None:
        self.name = name
        self.level = new_level()
        self.inputs: list[Var] = []
        self.input_values: list[Any] = []
        self.ops: list[Op | Guard] = []
        self.invalid: str | None = None
        self.left: str | None = None
        self.handled_error: str | None = None
        self.is_closed = False
        self.max_ops = max_ops
        #: the random generators that the function captures, by number; those that it makes itself, with a seed
        self.generators: list[Any] = []
        self.own_generators: list[Any] = []
        self.draws: list[Draw] = []
        #: expressions of integer arguments whose values the run took (``integers.py``)
        self.integers: dict[str, int] = {}
        #: expressions that met floats, and whether nothing else needed their values; those that are inputs, as floats
        self.meets_floats_only: dict[str, bool] = {}
        self.numbers: dict[str, Var] = {}
        #: users' code that runs although the function does not capture it
        self.companions = Companions()
        self._numbers = 0
        self._constants: dict[int, tuple[Any, Constant]] = {}
        self._types: dict[tuple, TensorType] = {}  # of arrays: one object for each
        self._last_type: TensorType = _NO_ARRAY
        #: arrays that something besides the names of the function may show later: held here, so that their count of
        #: references tells an in-place operator
        self.exposed: list[np.ndarray] = []
        #: primitives that are known to leave their arguments alone, if they have no more than so many operands
        self.ours: dict[Primitive, int] = {}
        self._lines = SourceLines(base, backward_pass)

    # ---------------------------------------------------------------- inputs and outputs

    def _new_var(self, value: Any, name: str = "") -> Var:
        self._numbers += 1
        type_ = tensor_type(value)
        assert type_ is not None
        return Var(self._numbers, type_, name)

    def _box(self, value: Any, var: Var) -> TapeBox:
        return box_class(value)(value, self.level, TapeVar(self, var))

    def add_input(self, value: Any, name: str) -> TapeBox:
        """A box for an argument or a captured array."""
        var = self._new_var(value, name)
        self.inputs.append(var)
        self.input_values.append(value)
        return self._box(value, var)

    def finish(self, result: Any) -> Tape:
        """The tape of a run that returned ``result`` (a container of boxes and plain values)."""
        leaves, structure = tree.flatten(result, opened=True)
        meet_types(self, structure)
        outputs = [self._output(leaf) for leaf in leaves]
        return Tape(self.name, tuple(self.inputs), tuple(self.ops), tuple(outputs), structure, self._aliases(leaves))

    def _aliases(self, leaves: list) -> dict[int, Alias]:
        """Results that share memory with others or with inputs."""
        plain = [leaf for leaf in leaves if type(leaf) is np.ndarray]
        if plain and share_memory(plain):
            self.spoil("it returns constant arrays that share memory")
        recorded = [type(leaf) is TapeBox and leaf._trace == self.level for leaf in leaves]
        if not any(recorded):
            return {}
        results = [(leaf._node.var, leaf._value) if is_one else None for leaf, is_one in zip(leaves, recorded)]
        found = find_aliases(results, list(zip(self.inputs, self.input_values)), self.ops)
        if isinstance(found, str):
            self.spoil(found)
            return {}
        return found

    def _output(self, leaf: Any) -> Any:
        if type(leaf) in BOX_TYPES:
            if leaf._trace == self.level:
                return leaf._node.var
            self._void("the function returned a value traced by an outer transformation")
            return None
        if type(leaf) is np.ndarray and not leaf.dtype.hasobject:
            if not leaf.flags.writeable:  # as the values that a trace hands out are
                self._void("the function returned a read-only array")
            return self._constant(leaf)
        if tensor_type(leaf) is None and type(leaf) not in _IMMUTABLE and not isinstance(leaf, np.generic):
            self._void(f"the function returned an object of type {type(leaf).__name__}")
        return leaf

    def close(self) -> None:
        """The run is over: boxes that are still held somewhere act as their plain values from now on."""
        self.is_closed = True
        self.exposed.clear()

    # ---------------------------------------------------------------- what spoils a trace

    def spoil(self, reason: str) -> None:
        """Note that this run cannot be replayed. Its result stands."""
        if self.invalid is None:
            self.invalid = reason

    def _void(self, reason: str) -> None:
        """Note that the result of this run must not be used either."""
        if self.left is None:
            self.left = reason

    def leave(self, reason: str) -> NoReturn:
        """End the run. The reason is kept as well: a bare ``except:`` could swallow the exception."""
        self._void(reason)
        raise LeaveTrace(reason)

    # ---------------------------------------------------------------- operations

    def record(self, prim: Primitive, level: int, values: list, recorded: list, kwargs: dict) -> Any:
        """Apply ``prim`` to plain values and write it down.

        ``recorded``: values with Vars in place of boxes. Both lists belong to this call.
        """
        if self.is_closed:
            return prim.wrapped(*self._strip(values), **self._strip(kwargs))
        if (kwargs and kwargs.get("out") is not None) or len(values) > _place_of_out(prim.fun):
            self.leave(f"{prim.name} writes into the array given as out=")
        is_foreign = self._prepare(values, recorded)
        plain_kwargs, named = kwargs, kwargs
        if kwargs:
            plain_kwargs = {name: self._strip(value) for name, value in kwargs.items()}
            is_foreign = is_foreign or self._foreign(list(plain_kwargs.values()))
            named = {name: self._recorded(value) for name, value in kwargs.items()}
        if is_foreign:
            self.spoil("it uses a value traced by an outer transformation")
            return prim.wrapped(*values, **plain_kwargs)
        if self.integers and next(_vars_in((tuple(recorded), named)), None) is None:  # integer arguments, plain by now
            return prim.wrapped(*values, **plain_kwargs)
        watched = None if prim in self.ours or self._is_ours(prim) else plain_copies((values, plain_kwargs))
        ans = self._applied(prim, values, plain_kwargs)
        if prim.name == "broadcast_to":  # small results are copies here, and views for the interpreted run
            self.exposed.append(values[0])
        if watched and restored(watched):
            self.leave(f"{prim.name} writes into its argument")
        return self._written(prim, tuple(recorded), named, ans)

    def _prepare(self, values: list, recorded: list) -> bool:
        """Make ``values`` plain and ``recorded`` what the tape holds; whether a value is of an outer trace.

        Done before the call: a primitive that wrote into a plain argument would change the snapshot.
        """
        is_foreign = False
        for position, value in enumerate(values):
            kind = type(value)
            if kind is np.ndarray:
                if type(recorded[position]) is not Var:
                    recorded[position] = self._constant(value)
            elif kind not in _STATIC and (kind is not tuple or not _STATIC.issuperset(map(type, value))):
                values[position] = plain = self._strip(value)
                is_foreign = is_foreign or self._foreign([plain])
                recorded[position] = self._recorded(recorded[position])
        return is_foreign

    def _is_ours(self, prim: Primitive) -> bool:
        """Whether the primitive is part of this package: of others it is not known that they leave arguments alone."""
        known = isinstance(prim.fun, np.ufunc) or str(getattr(prim.fun, "__module__", "")).startswith("autograd_jit.")
        if known:
            self.ours[prim] = _place_of_out(prim.fun) if prim.name != "broadcast_to" else 0
        return known

    def is_users(self, prim: Primitive) -> bool:
        """Whether a user made the primitive, of a function of his own."""
        return not self._is_ours(prim) and not is_library(getattr(prim.fun, "__module__", None) or "numpy")

    def _applied(self, prim: Primitive, plain: list, kwargs: dict) -> Any:
        if error_state() is not default_error_state and stops_on_errors():
            self.spoil("it computes under np.errstate(...='raise'), which a replay does not watch")
        try:
            return prim.fun(*plain, **kwargs)
        except Exception as error:
            self.note_error(prim, error)
            raise

    def note_error(self, prim: Primitive, error: Exception) -> None:
        """An operation raised an error, which the function may handle."""
        self.handled_error = f"{type(error).__name__} of {prim.name} at {self._lines.above(4)}"

    def _written(self, prim: Primitive, args: tuple, kwargs: dict, ans: Any) -> Any:
        """Write an op down; its results, boxed."""
        if len(self.ops) >= self.max_ops:
            self.spoil(f"it performs more than {self.max_ops:,} operations")
            return ans
        kind = type(ans)
        if kind is np.ndarray:
            last = self._last_type  # most arrays are like the one before
            if ans.dtype is last.dtype and ans.shape == last.shape:
                type_: TensorType | None = last
            else:
                type_ = self._types.get((ans.shape, ans.dtype)) or self._type_of(ans)
                self._last_type = type_ or _NO_ARRAY
        else:
            type_ = _FLOAT64 if kind is np.float64 else tensor_type(ans)
        if type_ is None:
            return self._written_container(prim, args, kwargs, ans)
        self._numbers += 1
        # all of these without the calls of __init__: 0.1 us each, and 0.2 us for that of an Op
        var = _blank(Var)
        var.number = self._numbers
        var.type = type_
        var.name = ""
        op = _blank(Op)
        op.prim = prim
        op.args = args
        op.kwargs = kwargs
        op.outputs = (var,)
        op.structure = tree.LEAF
        op.line = self._lines.above(4)
        op.note = ""
        self.ops.append(op)
        box = _blank(_BOXES.get(kind) or box_class(ans))
        box._value = ans
        box._trace = self.level
        box._node = node = _blank(TapeVar)
        node.recorder = self
        node.var = var
        return box

    def _type_of(self, array: np.ndarray) -> TensorType | None:
        type_ = tensor_type(array)
        if type_ is not None:
            self._types[array.shape, array.dtype] = type_
        return type_

    def _written_container(self, prim: Primitive, args: tuple, kwargs: dict, ans: Any) -> Any:
        """As :meth:`_written` for a primitive that returned several values, or something else than numbers."""
        leaves, structure = tree.flatten(ans, opened=True)
        meet_types(self, structure)
        outputs, boxes = [], []
        for leaf in leaves:
            if tensor_type(leaf) is None:
                self.spoil(f"{prim.name} returned an object of type {type(leaf).__name__}")
                return ans
            var = self._new_var(leaf)
            outputs.append(var)
            boxes.append(self._box(leaf, var))
        self.ops.append(Op(prim, args, kwargs, tuple(outputs), structure, self._lines.above(5)))
        return tree.unflatten(structure, boxes)

    def add_seed(self, value: Any) -> TapeBox:
        """A box for the seed of a section (:mod:`.linear_rows`), which is no input of the tape."""
        return self._box(value, self._new_var(value))

    def record_section(self, prim: Primitive, section: Section, values: tuple) -> list[TapeBox]:
        """Write down an operation that holds a section; ``values``: its results, boxed."""
        outputs = tuple([self._new_var(value) for value in values])
        structure = tree.flatten(values)[1]
        self.ops.append(Op(prim, (section, *section.operands), {}, outputs, structure, self._lines.above(3)))
        return [self._box(value, var) for value, var in zip(values, outputs)]

    def record_draw(self, draw: Draw, answer: Any) -> Any:
        """A draw from a random generator: a step that draws anew at every replay. Gives ``answer``, boxed."""
        if self.is_closed or any(generator is draw.generator for generator in self.own_generators):
            return answer  # of a generator that is seeded in each call: the same samples every time
        number = self._number_of(draw.generator)
        if number is None:
            self.spoil(f"it draws ({draw.name}) from a generator that is neither captured nor made from a seed")
        elif draw.name == "shuffle" or "out" in draw.kwargs:
            self.spoil(f"it draws ({draw.name}) into an array that is there; `permutation` gives a new one")
        self.draws.append(draw)
        args = tuple([self._recorded(arg) for arg in draw.args])
        kwargs = {name: self._recorded(value) for name, value in draw.kwargs.items()}
        if answer is None:  # seed()
            self.ops.append(Op(draw_primitive(draw.name), (number, *args), kwargs, (), tree.LEAF, self._lines.above(4)))
            return None
        return self._written(draw_primitive(draw.name), (number, *args), kwargs, answer)

    def _number_of(self, generator: Any) -> int | None:
        """The number by which replays know a generator; that of NumPy's global one is -1."""
        if isinstance(generator, ModuleType):
            return -1
        return next((i for i, captured in enumerate(self.generators) if captured is generator), None)

    def record_foreign(self, function: Callable, name: str, args: tuple, kwargs: dict) -> Any:
        """A function of NumPy that has no counterpart here: a step that calls it again at every replay."""
        return self.record(_primitive_of(function, name), self.level, list(args), list(args), kwargs)

    def agrees(self, answer: Any, function: Callable, args: tuple, kwargs: dict) -> bool:
        """Whether our counterpart of a function of NumPy gave what NumPy gives, in structure, kind and dtype."""
        try:
            expected = function(*self._strip(args), **self._strip(kwargs))
        except Exception:
            return False
        return _kinds(concrete_leaves(answer)) == _kinds(expected)

    def record_python(self, function: Callable, *operands: Any) -> Any:
        """An operation of Python on Python numbers, with Python's result and Python's errors."""
        values = tuple([self._strip(operand) for operand in operands])
        if self.is_closed:
            return function(*values)
        prim, must_be_finite = native_primitive(function, values)
        ans = self._python_answer(function, values, operands)
        if prim is not None and must_be_finite and not (type(ans) is float and np.isfinite(ans)):
            prim = None
        recorded = tuple([self._recorded(operand) for operand in operands])
        boxed = self._written(prim or _primitive_of(function, function.__name__), recorded, {}, ans)
        if prim is not None and must_be_finite:
            bool(np.isfinite(boxed))  # records the guard
        return boxed

    def _python_answer(self, function: Callable, values: tuple, operands: tuple) -> Any:
        try:
            return function(*values)
        except ArithmeticError:
            for operand in operands:
                if type(operand) is PythonScalarTapeBox:
                    operand._plain()
            raise

    def is_outer_to(self, values: Any) -> bool:
        """Whether another level than this one sees any of the values."""
        return self._foreign([self._strip(values)])

    def _strip(self, value: Any) -> Any:
        """``value`` with this recorder's boxes opened, inside containers and slices too."""
        kind = type(value)
        if kind in BOX_TYPES:
            if value._trace == self.level or (isinstance(value._node, TapeVar) and value._node.recorder.is_closed):
                return value._value
            return value
        if kind is tuple or kind is list:
            return kind([self._strip(item) for item in value])
        if kind is slice:
            return slice(self._strip(value.start), self._strip(value.stop), self._strip(value.step))
        if kind is dict:
            return {key: self._strip(item) for key, item in value.items()}
        return value

    def _foreign(self, values: list) -> bool:
        return any(
            type(v) in BOX_TYPES
            or (type(v) in (tuple, list) and self._foreign(list(v)))
            or (type(v) is dict and self._foreign(list(v.values())))
            for v in values
        )

    def _recorded(self, value: Any) -> Any:
        """``value`` as the tape holds it: boxes as Vars, plain arrays as Constants."""
        kind = type(value)
        if kind in BOX_TYPES:
            if value._trace != self.level:  # of an earlier trace, left behind by it
                return self._recorded(value._value)
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
        if known is not None and same_contents(known[1].value, array):
            return known[1]
        snapshot = np.array(array)
        snapshot.setflags(write=False)
        constant = Constant(snapshot)
        self._constants[id(array)] = (array, constant)
        return constant

    # ---------------------------------------------------------------- values that leave the tape

    def guard(self, node: TapeVar, kind: str, expected: Any) -> None:
        """Write down that the path depends on this value."""
        if not self.is_closed:
            self.ops.append(Guard(node.var, kind, expected, self._lines.above(3)))


#: types of results that are what they are: text, bytes, None, numbers of any size
_IMMUTABLE = frozenset([str, bytes, type(None), int, bool, float, complex, type(Ellipsis), type(NotImplemented)])


#: types of arguments that are on the tape as they are
_STATIC = frozenset([float, int, bool, complex, str, type(None), type(Ellipsis), np.float64, np.float32])
#: types of what the tape holds of arguments that need no second look
_SIMPLE = _STATIC | {Var}
_FLOAT64 = TensorType((), np.dtype(np.float64), "scalar")
_NO_ARRAY = TensorType((-1,), np.dtype(np.float64))
#: box classes of the commonest results
_BOXES = {kind: box_class(kind(0)) for kind in (np.float64, np.float32, float, int, bool)} | {np.ndarray: TapeBox}


@functools.lru_cache(maxsize=1024)
def _primitive_of(function: Callable, name: str) -> Primitive:
    return Primitive(function, name, differentiable=False)


@functools.lru_cache(maxsize=4096)
def _place_of_out(function: Callable) -> int:
    """The position at which a function of NumPy takes the array to write into."""
    if isinstance(function, np.ufunc):
        return function.nin
    try:
        parameters = list(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        return sys.maxsize
    return parameters.index("out") if "out" in parameters else sys.maxsize


def concrete_leaves(value: Any) -> Any:
    """``value`` with all boxes opened, containers included, without guards: for results and types only."""
    return tree.map_leaves(concrete, value)


def _kinds(value: Any) -> Any:
    leaves, structure = tree.flatten(value)
    return structure, [(type(leaf), getattr(leaf, "dtype", None), getattr(leaf, "shape", None)) for leaf in leaves]
