"""Tapes as they are kept: what most operations of most tapes have in common is kept once.

A program holds its tape for whoever asks for it (``jitted.tape``, ``explain``, ``verify``, the stages of lowering), and
a session may hold thousands of programs. A recorded operation takes 0.5 kB in a handful of objects; packed it is two
references and a few numbers. The operation without its values (primitive, static arguments, the user's line) is a
:class:`_Template`, shared by all tapes of the process that perform it; so are the types. :attr:`PackedTape.ops`
makes the operations again at each reading.
"""

from __future__ import annotations

import struct
import weakref
from array import array
from collections.abc import Callable
from typing import Any

import numpy as np

from .tape import Constant, Guard, Op, Tape, TensorType, Var
from .tracer import Primitive

__all__ = ["PackedTape", "pack"]


class _Slot:
    """The place of a value in a template: ``VALUE``, of a tape variable, or ``CONSTANT``."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"<{self.name}>"


VALUE, CONSTANT = _Slot("value"), _Slot("constant")


class _Template:
    """An operation, or a guard, without its values. ``simple``: values are arguments themselves, not parts of them.

    Of a guard ``prim`` is None, ``args`` are its kind and what it expects."""

    __slots__ = ("__weakref__", "args", "kwargs", "line", "outputs", "prim", "simple", "structure")

    def __init__(
        self, prim: Primitive | None, args: tuple, kwargs: dict, line: str, outputs: int = 0, structure: Any = None
    ) -> None:
        self.prim, self.args, self.kwargs, self.line = prim, args, kwargs, line
        self.outputs, self.structure = outputs, structure
        self.simple = not kwargs and not any(type(arg) in _CONTAINERS for arg in args)


_CONTAINERS = frozenset([tuple, list, dict, slice])

#: weak: a template goes with the last tape that has it
_templates: weakref.WeakValueDictionary[tuple, _Template] = weakref.WeakValueDictionary()
_types: weakref.WeakValueDictionary[TensorType, TensorType] = weakref.WeakValueDictionary()


class PackedTape(Tape):
    """A tape whose operations are made when they are read, with the same numbers and constants each time."""

    def __init__(self, tape: Tape) -> None:
        for name in ("name", "inputs", "outputs", "structure", "aliases"):
            object.__setattr__(self, name, getattr(tape, name))
        object.__setattr__(self, "_packed", _Packed(tape))

    @property
    def ops(self) -> tuple[Op | Guard, ...]:  # type: ignore[override]
        """The operations and guards, in order."""
        return self._packed.unpacked((*self.inputs, *[out for out in self.outputs if type(out) is Var]))  # type: ignore[attr-defined,no-any-return]

    def unpacked(self) -> Tape:
        """The tape with its operations."""
        return Tape(self.name, self.inputs, self.ops, self.outputs, self.structure, self.aliases)


def pack(tape: Tape) -> PackedTape:
    """The same tape in less memory."""
    return tape if isinstance(tape, PackedTape) else PackedTape(tape)


class _Packed:
    """The columns of a tape: ``templates``, one an operation; ``numbers`` of what it reads, then of what it gives;
    ``types`` of what it gives; ``constants`` in the order in which they are used."""

    __slots__ = ("constants", "names", "numbers", "templates", "types")

    def __init__(self, tape: Tape) -> None:
        self.numbers = array("q")
        self.names: dict[int, str] = {}
        templates: list[_Template] = []
        types: list[TensorType] = []
        constants: list[Constant] = []
        shared: dict[int, TensorType] = {}  # by the identity of the tape's: a type is hashed once, not at each use
        known: dict[tuple, _Template] = {}
        numbers: list[int] = []
        for op in tape.ops:
            if isinstance(op, Guard):
                templates.append(_guard_template(op))
                numbers.append(op.var.number)
                continue
            templates.append(_op_template(op, numbers, constants, known))
            for var in op.outputs:
                numbers.append(var.number)
                type_ = var.type
                one = shared.get(id(type_))
                if one is None:
                    one = shared[id(type_)] = _shared_type(type_)
                types.append(one)
                if var.name:
                    self.names[var.number] = var.name
        self.numbers.extend(numbers)
        self.templates, self.types, self.constants = tuple(templates), tuple(types), tuple(constants)

    def unpacked(self, known: tuple[Var, ...]) -> tuple[Op | Guard, ...]:
        """The operations; variables in ``known`` are those very objects."""
        variables = {var.number: var for var in known}
        numbers, types, constants = iter(self.numbers), iter(self.types), iter(self.constants)

        def fill(slot: Any) -> Any:
            return variables[next(numbers)] if slot is VALUE else next(constants) if slot is CONSTANT else slot

        def made() -> Var:
            number, type_ = next(numbers), next(types)
            if number not in variables:
                variables[number] = Var(number, type_, self.names.get(number, ""))
            return variables[number]

        ops: list[Op | Guard] = []
        for template in self.templates:
            if template.prim is None:
                kind, expected = template.args
                ops.append(Guard(variables[next(numbers)], kind, expected, template.line))
                continue
            if template.simple:
                args, kwargs = tuple([fill(arg) for arg in template.args]), {}
            else:
                args, kwargs = _rebuilt(template.args, fill), _rebuilt(template.kwargs, fill)
            outputs = tuple([made() for _ in range(template.outputs)])
            ops.append(Op(template.prim, args, kwargs, outputs, template.structure, template.line))
        return tuple(ops)


def _shared_type(type_: TensorType) -> TensorType:
    return type_ if type_.dtype.metadata is not None else _types.setdefault(type_, type_)


def _guard_template(guard: Guard) -> _Template:
    args = (guard.kind, guard.expected)
    try:
        key = (None, _key(args), guard.line)
    except _NoKey:
        return _Template(None, args, {}, guard.line)
    known = _templates.get(key)
    return _templates.setdefault(key, _Template(None, args, {}, guard.line)) if known is None else known


def _op_template(op: Op, values: list[int], constants: list[Constant], known: dict[tuple, _Template]) -> _Template:
    """The template of an operation; what it reads is added to ``values`` and ``constants``.

    ``known``: the templates that this tape has had, which a loop asks for again and again."""
    prim, kwargs, line, structure = op.prim, op.kwargs, op.line, op.structure

    def take(leaf: Any) -> Any:
        kind = type(leaf)
        if kind is Var:
            values.append(leaf.number)
            return VALUE
        if kind is Constant:
            constants.append(leaf)
            return CONSTANT
        return leaf

    args: Any = []
    arguments: Any = []  # of the key; None for what is yet to be looked at
    for arg in op.args:
        kind = type(arg)
        if kind is Var:
            values.append(arg.number)
            args.append(VALUE)
            arguments.append(VALUE)
        elif kind in _BY_VALUE:
            args.append(arg)
            arguments.append((kind, arg))
        else:
            args.append(_rebuilt(arg, take) if kind in _CONTAINERS else take(arg))
            arguments.append(None)
    args = tuple(args)
    if kwargs:
        kwargs = _rebuilt(kwargs, take)
    outputs = len(op.outputs)
    try:
        if None in arguments:
            arguments = [_key(arg) if key is None else key for arg, key in zip(args, arguments, strict=True)]
        key = (prim, *arguments, _key(kwargs) if kwargs else None, line, outputs, structure and _key(structure))
        found = known.get(key)
    except (TypeError, _NoKey):  # objects that cannot be hashed, or told apart by their contents
        return _Template(prim, args, kwargs, line, outputs, structure)
    if found is None:
        found = _templates.get(key)
        if found is None:
            found = _templates.setdefault(key, _Template(prim, args, kwargs, line, outputs, structure))
        known[key] = found
    return found


def _rebuilt(value: Any, leaf: Callable[[Any], Any]) -> Any:
    """``value`` with ``leaf`` of everything in it; the containers are those that tapes look into."""
    kind = type(value)
    if kind is tuple:
        return tuple([_rebuilt(item, leaf) if type(item) in _CONTAINERS else leaf(item) for item in value])
    if kind is list:
        return [_rebuilt(item, leaf) for item in value]
    if kind is dict:
        return {key: _rebuilt(item, leaf) for key, item in value.items()}
    if kind is slice:
        return slice(_rebuilt(value.start, leaf), _rebuilt(value.stop, leaf), _rebuilt(value.step, leaf))
    return leaf(value)


class _NoKey(Exception):
    """A static argument that is not known by its contents."""


#: static arguments that are equal only where they are the same for every purpose
_BY_VALUE = frozenset([int, bool, str, bytes, type(None), type(Ellipsis), type])


def _key(value: Any) -> Any:
    """A hashable stand-in: equal ones mean the same static arguments, to the sign of zero and the type of a number."""
    kind = type(value)
    if kind is _Slot:
        return value
    if kind is tuple or kind is list:
        return (kind, *[_key(item) for item in value])
    if kind in _BY_VALUE:
        return kind, value
    if kind is float:
        return kind, struct.pack("<d", value)
    if kind is slice:
        return kind, _key(value.start), _key(value.stop), _key(value.step)
    if kind is dict:
        return kind, *[(type(key), key, _key(item)) for key, item in value.items()]
    if isinstance(value, np.generic):
        return kind, value.dtype.str, value.tobytes()
    if isinstance(value, np.dtype) and value.metadata is None:
        return kind, value.str, id(value)  # `is` is asked of dtypes: only the same object will do
    raise _NoKey
