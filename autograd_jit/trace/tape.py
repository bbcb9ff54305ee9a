"""The tape: a typed program in single-assignment form, recorded from one run of a Python function.

A tape is made of small records that nothing writes to once they are made, prints as readable Python with the user's
own lines as comments, and has a verifier. It knows nothing of levels, boxes or kernels.

    def tape(x: f64[3]):
        v1: f64[3] = tanh(x)          # model.py:7: np.tanh(x)
        v2: f64 = reduce_sum(v1, (0,), False)
        return v2
"""

from __future__ import annotations

import linecache
import math
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..errors import TapeError
from ..records import field, record
from . import tree
from .tracer import Primitive

__all__ = [
    "Constant",
    "Guard",
    "Op",
    "SourceLines",
    "Tape",
    "TensorType",
    "Var",
    "source_line",
    "tensor_type",
    "verify",
]

_SHORT = {"float": "f", "complex": "c", "int": "i", "uint": "u", "bool": "b"}


@record(frozen=True)
class TensorType:
    """Shape and dtype of a tape value, and what Python object holds it.

    ``kind``: ``"array"`` (ndarray), ``"scalar"`` (NumPy scalar) or the name of a weakly typed Python scalar
    (``"float"``, ``"complex"``, ``"int"``, ``"bool"``).
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    kind: str = "array"

    @property
    def weak(self) -> bool:
        """Whether NumPy's promotion treats it as a Python scalar."""
        return self.kind not in ("array", "scalar")

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    def __str__(self) -> str:
        name = self.dtype.name.rstrip("0123456789")
        bits = self.dtype.name[len(name) :]
        dims = f"[{','.join(map(str, self.shape))}]" if self.shape else ""
        return f"{_SHORT.get(name, name)}{bits}{dims}" + ("~" if self.weak else "")


def tensor_type(value: Any) -> TensorType | None:
    """The type of an array or scalar; None for anything else."""
    kind = type(value)
    if kind is np.ndarray:
        return TensorType(value.shape, value.dtype, "array") if value.dtype.kind in "fciub" else None
    if isinstance(value, np.generic):
        return TensorType((), value.dtype, "scalar") if value.dtype.kind in "fciub" else None
    if kind in (float, complex, int, bool):
        if kind is int and not -(2**63) <= value < 2**63:
            return None
        return TensorType((), np.dtype(kind), kind.__name__)
    return None


@record(eq=False, slots=True)
class Var:
    """A value of the tape, by number."""

    number: int
    type: TensorType
    name: str = ""

    def __str__(self) -> str:
        return self.name or f"v{self.number}"


@record(eq=False, slots=True)
class Constant:
    """A plain array that the program used and that is no input: a snapshot of it, never written."""

    value: np.ndarray

    def __str__(self) -> str:
        if self.value.size <= 4:
            return f"array({self.value.tolist()})"
        return f"<constant {TensorType(self.value.shape, self.value.dtype)}>"


@record(eq=False, slots=True)
class Op:
    """One primitive applied. ``args`` and ``kwargs`` hold Vars, Constants and static values, containers too."""

    prim: Primitive
    args: tuple
    kwargs: dict[str, Any]
    outputs: tuple[Var, ...]
    structure: Any  # how the outputs make up the primitive's result
    line: str = ""
    note: str = ""  # why a user's primitive was not followed

    def operands(self) -> Iterator[Var]:
        """The Vars among the arguments, in order, with repetition."""
        yield from _vars_in((self.args, self.kwargs))

    def __str__(self) -> str:
        arguments = [_show(arg) for arg in self.args]
        arguments += [f"{name}={_show(arg)}" for name, arg in self.kwargs.items()]
        targets = ", ".join([f"{var}: {var.type}" for var in self.outputs]) or "_"
        return f"{targets} = {self.prim.name}({', '.join(arguments)})"


@record(eq=False, slots=True)
class Guard:
    """A fact about a value that the recorded path depends on.

    ``kind``: ``"truth"`` (``bool(var) == expected``), ``"int"`` (``int(var) == expected``) or ``"value"``
    (all elements equal ``expected`` bit for bit, NaN equal to NaN).
    """

    var: Var
    kind: str
    expected: Any
    line: str = ""

    def operands(self) -> Iterator[Var]:
        yield self.var

    def __str__(self) -> str:
        function = {"truth": "bool", "int": "int", "value": "value"}[self.kind]
        return f"guard({function}({self.var}) == {_show(self.expected)})"


@record(frozen=True, eq=False)
class Tape:
    """A recorded program: its inputs, its operations and guards in order, its outputs.

    ``outputs`` are Vars or Constants (or static leaves), ``structure`` the container they make up. ``aliases``: outputs
    that share memory with others or with inputs, by position (`aliases.Alias`).
    """

    name: str
    inputs: tuple[Var, ...]
    ops: tuple[Op | Guard, ...]
    outputs: tuple[Any, ...]
    structure: Any = tree.LEAF
    aliases: dict[int, Any] = field(default_factory=dict)

    @property
    def roots(self) -> tuple[Var, ...]:
        """Computed values that aliases are views of and that are no outputs themselves."""
        known = {var.number for var in self.inputs}
        known |= {out.number for i, out in enumerate(self.outputs) if isinstance(out, Var) and i not in self.aliases}
        roots = {root.number: root for alias in self.aliases.values() for root in alias.roots}
        return tuple([root for number, root in roots.items() if number not in known])

    @property
    def guards(self) -> tuple[Guard, ...]:
        return tuple([op for op in self.ops if isinstance(op, Guard)])

    def __str__(self) -> str:
        parameters = ", ".join([f"{var}: {var.type}" for var in self.inputs])
        lines = [f"def {self.name}({parameters}):"]
        statements = [(f"    {text}", op.line) for op in self.ops for text in (str(op), *_section_lines(op))]
        width = min(max([len(text) for text, _ in statements], default=0), 72)
        previous = ""
        for text, line in statements:
            comment = f"  # {line}" if line and line != previous else ""
            lines.append(f"{text:<{width}}{comment}".rstrip())
            previous = line
        returned = tree.unflatten(self.structure, [_Shown(out) for out in self.outputs])
        lines.append(f"    return {returned!r}")
        return "\n".join(lines)


def _section_lines(op: Op | Guard) -> list[str]:
    """The operations inside of one that is done for each of several seeds."""
    section = op.args[0] if isinstance(op, Op) and op.args else None
    return [f"    {line}" for line in section.lines(op.outputs)] if hasattr(section, "lines") else []  # type: ignore[union-attr]


class _Shown:
    """An output in a printed container."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __repr__(self) -> str:
        return _show(self.value)


def _vars_in(value: Any) -> Iterator[Var]:
    kind = type(value)
    if kind is Var:
        yield value
    elif kind is tuple or kind is list:
        for item in value:
            yield from _vars_in(item)
    elif kind is dict:
        for item in value.values():
            yield from _vars_in(item)
    elif kind is slice:
        yield from _vars_in((value.start, value.stop, value.step))


def _show(value: Any) -> str:
    kind = type(value)
    if kind is Var or kind is Constant:
        return str(value)
    if kind is tuple:
        return "(" + ", ".join(map(_show, value)) + ("," if len(value) == 1 else "") + ")"
    if kind is list:
        return "[" + ", ".join(map(_show, value)) + "]"
    if kind is slice:
        parts = ["" if p is None else _show(p) for p in (value.start, value.stop)]
        return ":".join(parts) + ("" if value.step is None else f":{_show(value.step)}")
    if isinstance(value, np.dtype):
        return value.name
    text = repr(value)
    return text if len(text) < 60 else text[:57] + "..."


def verify(tape: Tape) -> None:
    """Raise TapeError unless every Var is defined exactly once, before its uses, with one type."""
    defined: dict[int, TensorType] = {}

    def define(var: Var) -> None:
        if var.number in defined:
            raise TapeError(f"{var} is defined twice in {tape.name}")
        if not isinstance(var.type.dtype, np.dtype) or any(size < 0 for size in var.type.shape):
            raise TapeError(f"{var} has no valid type: {var.type}")
        defined[var.number] = var.type

    def use(var: Var, where: Any) -> None:
        if defined.get(var.number) != var.type:
            raise TapeError(f"{where} uses {var}: {var.type}, which is not defined before it with that type")

    for var in tape.inputs:
        define(var)
    for op in tape.ops:
        for var in op.operands():
            use(var, op)
        if isinstance(op, Op):
            for var in op.outputs:
                define(var)
        elif op.kind not in ("truth", "int", "value"):
            raise TapeError(f"unknown guard kind {op.kind!r}")
    for out in tape.outputs:
        if isinstance(out, Var):
            use(out, "return")


def source_line(depth: int = 1) -> str:
    """``file:line: text`` of the innermost caller outside this package and NumPy."""
    return SourceLines().above(depth + 1)


class SourceLines:
    """As :func:`source_line`, for many calls: what a file is and what its lines say is looked up once.

    ``base``: the function that a run starts in, above which the answer is always the same; ``backward``: the one whose
    calls have one answer each. Backward passes are most of a tape: the walk is 2 us shorter for them.
    """

    __slots__ = ("_above_base", "_backward", "_base", "_is_library", "_last_backward", "_texts")

    def __init__(self, base: Callable | None = None, backward: Callable | None = None) -> None:
        self._base = base.__code__ if base is not None else None
        self._backward = backward.__code__ if backward is not None else None
        #: the frame, by its id, of the backward pass that was last walked through, and the line above it
        self._last_backward: tuple[int, str] = (0, "")
        self._above_base: str | None = None
        self._is_library: dict[str, bool] = {}
        self._texts: dict[tuple[str, int], str] = {}

    def above(self, depth: int) -> str:
        """The line of the innermost frame outside libraries, from ``depth`` frames up."""
        frame: Any = sys._getframe(depth)
        is_library, base, backward = self._is_library, self._base, self._backward
        passed = 0  # the backward pass that is under way
        while frame is not None:
            code = frame.f_code
            if not is_library.get(code.co_filename) and not self._look_at(frame):
                text = self._texts.get((code.co_filename, frame.f_lineno)) or self._text(frame)
                break
            if code is backward and not passed:
                passed = id(frame)
                if passed == self._last_backward[0]:
                    return self._last_backward[1]
            frame = frame.f_back
            if code is base:
                text = self._beyond(frame)
                break
        else:
            text = ""
        self._last_backward = passed, text
        return text

    def _beyond(self, frame: Any) -> str:
        """The line that called the run, whose caller is ``frame``."""
        if self._above_base is None:
            while frame is not None and self._look_at(frame):
                frame = frame.f_back
            self._above_base = "" if frame is None else self._text(frame)
        return self._above_base

    def _look_at(self, frame: Any) -> bool:
        filename = frame.f_code.co_filename
        library = self._is_library.get(filename)
        if library is None:
            module = frame.f_globals.get("__name__", "")
            library = filename.startswith("<") or module.startswith(("autograd_jit.", "numpy.", "scipy."))
            self._is_library[filename] = library
        return library

    def _text(self, frame: Any) -> str:
        filename, number = frame.f_code.co_filename, frame.f_lineno
        text = linecache.getline(filename, number, frame.f_globals).strip()
        text = f"{os.path.basename(filename)}:{number}: {text}".rstrip(": ")
        self._texts[filename, number] = text
        return text
