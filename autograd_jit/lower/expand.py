"""Tape to kernel graph: what each primitive means, in one table of rules.

A rule takes the builder, the recorded op and its arguments (views and literals for traced values, plain
Python for static ones) and returns the result's view. It raises :class:`NoLowering` for what it cannot express;
the op then becomes a Python step, which is slower and never wrong.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..divergence import compared_dtype
from ..trace.linear_rows import Section, linear_rows
from ..trace.tape import Constant, Guard, Op, Tape, Var
from . import pairs, rules
from .builder import Builder, NoLowering
from .graph import (
    Call,
    Gemm,
    Graph,
    Init,
    Literal,
    Map,
    Node,
    Operand,
    Piece,
    Reduce,
    RowsEnd,
    RowsStart,
    Step,
    View,
    dense_strides,
)
from .pairs import PARTS, Pair, Whole
from .row_loops import repeated_rows, unit_vector
from .rules.table import RULES

__all__ = ["RULES", "expand"]


def expand(tape: Tape, for_device: bool = False) -> Graph:
    """The kernel graph of a tape, dead code included (see :mod:`autograd_jit.lower.simplify`).

    ``for_device``: products with vectors are loops, and rows of a Jacobian are none: they are computed all at once, or
    have nodes of their own each.
    """
    return _Expansion(tape, for_device).graph()


_STATIC = frozenset([int, float, bool, str, type(None)])
#: what may hold values
_LOOKED_INTO = frozenset([Var, Constant, tuple, list, slice])
#: nodes that compute, whatever their operands hold
_CANNOT_STOP = (Map, Reduce, Init, Piece, Gemm, RowsStart, RowsEnd)


def _can_stop(node: Node) -> bool:
    return node.may_stop if isinstance(node, Call) else not isinstance(node, _CANNOT_STOP)


class _Expansion:
    """State of one expansion: the builder and the operand of each tape variable."""

    def __init__(self, tape: Tape, for_device: bool) -> None:
        self.tape = tape
        self.for_device = for_device
        self.builder = Builder(calls_gemv=not for_device)
        self.operands: dict[int, Whole] = {}
        self.constants: dict[int, Whole] = {}
        #: whether there has been a complex number: most tapes have none, and are not looked through for them
        self.has_pairs = any([var.type.dtype in PARTS for var in tape.inputs])

    def graph(self) -> Graph:
        for var in self.tape.inputs:
            self.operands[var.number] = self._input(var)
        guards = 0
        for op in self.tape.ops:
            if isinstance(op, Guard):
                self._check(op, guards)
                guards += 1
            else:
                self._op(op)
        self.builder.graph.outputs = [self._output(out) for out in (*self.tape.outputs, *self.tape.roots)]
        return self.builder.graph

    def _input(self, var: Var) -> Whole:
        return pairs.in_memory(self.builder.input(*pairs.storage(var.type.shape, var.type.dtype)), var.type.dtype)

    def _op(self, op: Op) -> None:
        if op.prim.draws is not None:
            return self._draw(op)
        if op.prim is linear_rows:
            return self._rows(op)
        is_complex = self._is_complex(op)
        rule = rules.find_complex(op.prim) if is_complex else RULES.get(op.prim) or rules.find(op.prim)
        operands = self.operands
        try:
            if rule is None:
                raise NoLowering(op.note or f"no lowering rule{' for complex numbers' if is_complex else ''}")
            arguments = [operands[a.number] if type(a) is Var else self._argument(a) for a in op.args]
            kwargs = {name: self._argument(value) for name, value in op.kwargs.items()} if op.kwargs else op.kwargs
            results = rule(self.builder, op, *arguments, **kwargs)
            results = results if isinstance(results, list) else [results]
            for var, result in zip(op.outputs, results, strict=True):
                type_ = var.type
                if result.shape != type_.shape or result.dtype != type_.dtype:
                    raise NoLowering(f"the rule gives {result.dtype}{result.shape}, not {var.type}")
        except NoLowering as why:
            results = self._step(op, str(why))
        for var, result in zip(op.outputs, results):
            operands[var.number] = result

    def _rows(self, op: Op) -> None:
        """A section: once, for all rows or to be repeated for each, or else once for each of them."""
        section: Section = op.args[0]

        def rows_of(seed: Operand) -> list[Operand]:
            self.operands[section.seed.number] = seed
            for inner in section.ops:
                self._op(inner)
            return [self._real(row) for row in section.rows]

        seed, constants = section.seed.type, dict(self.constants)
        results = repeated_rows(self.builder, rows_of, seed.shape, seed.dtype, self.for_device)
        if results is None:
            self.constants = constants  # of those met since, what holds them is gone
            results = self._stacked(section, rows_of)
        for var, result in zip(op.outputs, results, strict=True):
            self.operands[var.number] = result

    def _real(self, var: Var) -> Operand:
        """The operand of a variable that is no complex number."""
        operand = self.operands[var.number]
        assert not isinstance(operand, Pair)
        return operand

    def _stacked(self, section: Section, rows_of: Callable[[Operand], list[Operand]]) -> list[View]:
        """The rows of a section, each computed by itself."""
        b, seed = self.builder, section.seed.type
        b.graph.unrolled.append(section.count)
        stacked = [b.assemble((section.count, *row.type.shape), row.type.dtype, None) for row in section.rows]
        for number in range(section.count):
            for out, row in zip(stacked, rows_of(unit_vector(b, seed.shape, seed.dtype, number)), strict=True):
                shape = out.shape[1:]
                b.piece(View(out, shape, dense_strides(shape), number * math.prod(shape)), row, False)
        return [out.view() for out in stacked]

    def _draw(self, op: Op) -> None:
        """A random draw: an input, where nothing before it can stop the run, which would then have drawn too much."""
        nodes = self.builder.graph.nodes
        if not any(_can_stop(node) for node in nodes):
            self.builder.graph.draws.append(op)
            results = [self._input(var) for var in op.outputs]
        else:
            results = self._step(op, "draws random numbers")
        for var, result in zip(op.outputs, results, strict=True):
            self.operands[var.number] = result

    def _step(self, op: Op, reason: str) -> list:
        args = {var.number: pairs.stored(self.builder, self.operands[var.number]) for var in op.operands()}
        types = [var.type for var in op.outputs]
        results = tuple([self.builder.new_value(*pairs.storage(type_.shape, type_.dtype)) for type_ in types])
        self.builder.graph.nodes.append(Step(op, args, results, reason))
        return [pairs.in_memory(value.view(), type_.dtype) for value, type_ in zip(results, types, strict=True)]

    def _is_complex(self, op: Op) -> bool:
        """Whether complex numbers go in or come out."""
        for var in op.outputs:
            if var.type.dtype in PARTS:
                self.has_pairs = True
                return True
        return self.has_pairs and any([var.type.dtype in PARTS for var in op.operands()])

    def _argument(self, arg: Any) -> Any:
        """Vars and Constants as operands; static values unchanged."""
        kind = type(arg)
        if kind is Var:
            return self.operands[arg.number]
        if kind is Constant:
            return self._constant(arg)
        if kind in _STATIC:
            return arg
        if isinstance(arg, (tuple, list)):
            return kind([self._argument(a) for a in arg]) if any([type(a) in _LOOKED_INTO for a in arg]) else arg
        if type(arg) is slice:
            return slice(self._argument(arg.start), self._argument(arg.stop), self._argument(arg.step))
        return arg

    def _constant(self, constant: Constant) -> Whole:
        known = self.constants.get(id(constant))
        if known is None:
            array = constant.value
            known = pairs.constant(self.builder, array) if array.dtype in PARTS else self.builder.constant(array)
            self.constants[id(constant)] = known
        return known

    def _check(self, guard: Guard, number: int) -> None:
        b = self.builder
        whole = self.operands[guard.var.number]
        if isinstance(whole, Pair) and guard.kind != "truth":
            return b.check(pairs.stored(b, whole), pairs.bits(guard.expected, guard.var.type.dtype), guard, number)
        operand = pairs.nonzero(b, whole) if isinstance(whole, Pair) else whole
        dtype = compared_dtype(guard)
        if guard.kind == "truth":
            operand = b.convert(operand, dtype)
            if operand.shape != ():
                operand = View(b.view(operand).value, (), (), b.view(operand).offset)
        elif guard.kind == "int" and operand.dtype.kind == "f":
            operand = b.convert(operand, dtype)
            operand = b.map("trunc", (operand,), dtype, operand.shape)
            zero = Literal(dtype.type(0), dtype)  # int(-0.5) is 0, as bits: -0.0 + 0.0 is 0.0
            operand = b.map("add", (operand, zero), dtype, operand.shape)
        b.check(operand, np.asarray(guard.expected, dtype), guard, number)

    def _output(self, out: Any) -> Any:
        if isinstance(out, Var):
            return pairs.stored(self.builder, self.operands[out.number])
        return out
