"""Loop forms by structure: what a loop repeats is formed once.

A loop of T steps gives T groups of nodes that differ in their buffers and in where they begin in them. The first
of them is formed by :func:`autograd_jit.lower.kernel.build`; for the others the kernel, the dimensions and the
strides are looked up, and only the buffers are filled in.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NamedTuple

from .fuse import Group
from .graph import Inside, Literal, Map, Node, Piece, Reduce, Term, Value, View, Window
from .kernel import Kernel, Launch, Placement, build

__all__ = ["Forms"]


class _Form(NamedTuple):
    """A launch without its buffers: ``places`` are (number of the value, byte offset, byte strides)."""

    kernel: Kernel
    dims: tuple[int, ...]
    places: tuple[tuple[int, int, tuple[int, ...]], ...]
    literals: tuple[bytes, ...]
    windows: tuple[Window, ...]


class Forms:
    """Makes launches of groups. ``stored``, ``rows`` and ``precise``: as for :func:`autograd_jit.lower.kernel.build`.

    ``built`` counts the structures met, ``found`` the groups that had one of these.
    """

    def __init__(self, stored: set[Value], rows: Collection[Value] = (), precise: bool = False) -> None:
        self.stored = stored
        self.rows = rows
        self.precise = precise
        self.built = self.found = 0
        self._known: dict[tuple, _Form] = {}

    def launch(self, group: Group) -> Launch:
        """What :func:`autograd_jit.lower.kernel.build` makes of ``group``."""
        shape = _Structure(group, self.stored, self.rows)
        form = self._known.get(shape.key)
        if form is None:
            self.built += 1
            launch = build(group, self.stored, self.rows, self.precise)
            self._known[shape.key] = shape.form(launch)
            return launch
        self.found += 1
        values, starts = shape.values, shape.starts
        placements = tuple(
            [
                Placement(values[number], starts[number] * values[number].dtype.itemsize + offset, strides)
                for number, offset, strides in form.places
            ]
        )
        return Launch(form.kernel, form.dims, placements, form.literals, group, form.windows)


class _Structure:
    """All that the form of a group depends on, as one hashable ``key``.

    Values are numbered as they are met. Where a buffer is first read from or written to is not part of the key
    (``starts``, in elements): step t of a loop reads row t.
    """

    __slots__ = ("_numbers", "key", "starts", "values")

    def __init__(self, group: Group, stored: set[Value], rows: Collection[Value]) -> None:
        self.values: list[Value] = []
        self.starts: list[int] = []
        self._numbers: dict[Value, int] = {}
        nodes = tuple([self._node(node, stored) for node in group.nodes])
        self.key = (group.domain, group.axes, nodes, tuple(group.stages), self._kept(group, rows))

    def _kept(self, group: Group, rows: Collection[Value]) -> tuple:
        """Which values of a group of several stages live for a row, in memory or not."""
        if not rows and not group.row_values and not group.carried:
            return ()
        sets = (group.row_values, group.carried, rows)
        return tuple([tuple([value in values for value in self.values]) for values in sets])

    def _node(self, node: Node, stored: set[Value]) -> tuple:
        if type(node) is Map:
            numbers, starts = self._numbers, self.starts
            args: list[Any] = [node.op, node.out in stored]
            for arg in node.args:
                # most are all of a value of this group, in its own order: that number says it all
                number = numbers.get(arg.value) if type(arg) is View and arg is arg.value._whole else None
                args.append(number if number is not None and not starts[number] else self._operand(arg))
            args += self._made(node.out)
            return tuple(args)
        if type(node) is Reduce:
            return node.op, self._operand(node.arg), node.axes, self._made(node.out)
        assert type(node) is Piece
        position = None if node.position is None else self._operand(node.position)
        return self._operand(node.arg), self._operand(node.region), node.add, position

    def _made(self, value: Value) -> tuple:
        """A value that the group computes: it begins where its buffer does.

        Maps that are computed again may be read before they come: then which one it was is part of the key.
        """
        number = self._numbers.get(value)
        if number is not None:
            return value.shape, value.dtype, number, self.starts[number]
        self._numbers[value] = len(self.values)
        self.values.append(value)
        self.starts.append(0)
        return value.shape, value.dtype

    def _operand(self, operand: Term) -> tuple:
        if type(operand) is Literal:
            return "literal", operand.key
        if type(operand) is Inside:
            return (operand.window,)
        value, shape, strides, offset, window = operand
        number = self._numbers.get(value)
        if number is None:
            number = self._numbers[value] = len(self.values)
            self.values.append(value)
            self.starts.append(offset)
            return value.dtype, shape, strides, window
        return number, offset - self.starts[number], shape, strides, window

    def form(self, launch: Launch) -> _Form:
        places = []
        for value, offset, strides in launch.placements:
            number = self._numbers[value]
            places.append((number, offset - self.starts[number] * value.dtype.itemsize, strides))
        return _Form(launch.kernel, launch.dims, tuple(places), launch.literals, launch.windows)
