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

from ..trace.linear_rows import Section, linear_rows
from ..trace.tape import Constant, Guard, Op, Tape, Var
from . import rules
from .builder import Builder, NoLowering, is_native
from .graph import Gemm, Graph, Init, Literal, Map, Operand, Piece, Reduce, RowsEnd, RowsStart, Step, View, dense_strides
from .row_loops import loop_over_rows, unit_vector
from .rules.table import BOOL, RULES

__all__ = ["RULES", "expand"]



def expand(tape: Tape, for_device: bool = False) -> Graph:
    """The kernel graph of a tape, dead code included (see :mod:`autograd_jit.lower.simplify`).

    ``for_device``: products with vectors are loops, and the rows of a Jacobian are computed one after the other.
    """
    return _Expansion(tape, for_device).graph()


_STATIC = frozenset([int, float, bool, str, type(None)])
#: nodes that compute, whatever their operands hold
_CANNOT_STOP = (Map, Reduce, Init, Piece, Gemm, RowsStart, RowsEnd)


class _Expansion:
    """State of one expansion: the builder and the operand of each tape variable."""

    def __init__(self, tape: Tape, for_device: bool) -> None:
        self.tape = tape
        self.for_device = for_device
        self.builder = Builder(calls_gemv=not for_device)
        self.operands: dict[int, Operand] = {}
        self.constants: dict[int, Operand] = {}

    def graph(self) -> Graph:
        for var in self.tape.inputs:
            self.operands[var.number] = self.builder.input(var.type.shape, var.type.dtype)
        guards = 0
        for op in self.tape.ops:
            if isinstance(op, Guard):
                self._check(op, guards)
                guards += 1
            else:
                self._op(op)
        self.builder.graph.outputs = [self._output(out) for out in (*self.tape.outputs, *self.tape.roots)]
        return self.builder.graph

    def _op(self, op: Op) -> None:
        if op.prim.draws is not None:
            return self._draw(op)
        if op.prim is linear_rows:
            return self._rows(op)
        rule = RULES.get(op.prim) or rules.find(op.prim)
        operands = self.operands
        try:
            if rule is None:
                raise NoLowering(op.note or "no lowering rule")
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
        for var, result in zip(op.outputs, results, strict=True):
            operands[var.number] = result

    def _rows(self, op: Op) -> None:
        """A section: once, to be repeated for each row, or else once for each of the rows."""
        section: Section = op.args[0]

        def rows_of(seed: Operand) -> list[Operand]:
            self.operands[section.seed.number] = seed
            for inner in section.ops:
                self._op(inner)
            return [self.operands[row.number] for row in section.rows]

        seed, constants = section.seed.type, dict(self.constants)
        results = None if self.for_device else loop_over_rows(self.builder, rows_of, seed.shape, seed.dtype)
        if results is None:
            self.constants = constants  # of those met since, what holds them is gone
            results = self._stacked(section, rows_of)
        for var, result in zip(op.outputs, results, strict=True):
            self.operands[var.number] = result

    def _stacked(self, section: Section, rows_of: Callable[[Operand], list[Operand]]) -> list[View]:
        """The rows of a section, each computed by itself."""
        b, seed = self.builder, section.seed.type
        stacked = [b.assemble((section.count, *row.type.shape), row.type.dtype, None) for row in section.rows]
        for number in range(section.count):
            for out, row in zip(stacked, rows_of(unit_vector(b, seed.shape, seed.dtype, number)), strict=True):
                b.piece(View(out, out.shape[1:], dense_strides(out.shape[1:]), number * math.prod(out.shape[1:])), row, False)
        return [out.view() for out in stacked]

    def _draw(self, op: Op) -> None:
        """A random draw: an input, where nothing before it can stop the run, which would then have drawn too much."""
        nodes = self.builder.graph.nodes
        if all(isinstance(node, _CANNOT_STOP) for node in nodes):
            self.builder.graph.draws.append(op)
            results = [self.builder.input(var.type.shape, var.type.dtype) for var in op.outputs]
        else:
            results = self._step(op, "draws random numbers")
        for var, result in zip(op.outputs, results, strict=True):
            self.operands[var.number] = result

    def _step(self, op: Op, reason: str) -> list:
        args = {var.number: self.builder.view(self.operands[var.number]) for var in op.operands()}
        results = tuple([self.builder.new_value(var.type.shape, var.type.dtype) for var in op.outputs])
        self.builder.graph.nodes.append(Step(op, args, results, reason))
        return [value.view() for value in results]

    def _argument(self, arg: Any) -> Any:
        """Vars and Constants as operands; static values unchanged."""
        kind = type(arg)
        if kind is Var:
            return self.operands[arg.number]
        if kind is Constant:
            return self._constant(arg)
        if kind in _STATIC:
            return arg
        if isinstance(arg, (tuple, list)) and any(isinstance(a, (Var, Constant, tuple, list, slice)) for a in arg):
            return type(arg)([self._argument(a) for a in arg])
        if type(arg) is slice:
            return slice(self._argument(arg.start), self._argument(arg.stop), self._argument(arg.step))
        return arg

    def _constant(self, constant: Constant) -> Operand:
        known = self.constants.get(id(constant))
        if known is None:
            known = self.constants[id(constant)] = self.builder.constant(constant.value)
        return known

    def _check(self, guard: Guard, number: int) -> None:
        operand = self.operands[guard.var.number]
        b = self.builder
        if guard.kind == "truth":
            operand = b.convert(operand, BOOL)
            expected: Any = np.asarray(guard.expected, BOOL)
            if operand.shape != ():
                operand = View(b.view(operand).value, (), (), b.view(operand).offset)
        elif guard.kind == "int" and operand.dtype.kind == "f":
            operand = b.convert(operand, operand.dtype if is_native(operand.dtype) else np.dtype(float))
            operand = b.map("trunc", (operand,), operand.dtype, operand.shape)
            zero = Literal(operand.dtype.type(0), operand.dtype)  # int(-0.5) is 0, as bits: -0.0 + 0.0 is 0.0
            operand = b.map("add", (operand, zero), operand.dtype, operand.shape)
            expected = np.asarray(guard.expected, operand.dtype)
        else:
            expected = np.asarray(guard.expected, operand.dtype)
        b.check(operand, expected, guard, number)

    def _output(self, out: Any) -> Any:
        if isinstance(out, Var):
            return self.builder.view(self.operands[out.number])
        return out
