"""Tape to kernel graph: what each primitive means, in one table of rules.

A rule takes the builder, the recorded op and its arguments (views and literals for traced values, plain
Python for static ones) and returns the result's view. It raises :class:`NoLowering` for what it cannot express;
the op then becomes a Python step, which is slower and never wrong.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..divergence import compared_dtype
from ..trace.tape import Constant, Guard, Op, Tape, Var
from . import rules
from .builder import Builder, NoLowering
from .graph import Gemm, Graph, Init, Literal, Map, Operand, Piece, Reduce, Step, View
from .rules.table import RULES

__all__ = ["RULES", "expand"]


def expand(tape: Tape, calls_gemv: bool = True) -> Graph:
    """The kernel graph of a tape, dead code included (see :mod:`autograd_jit.lower.simplify`)."""
    return _Expansion(tape, calls_gemv).graph()


_STATIC = frozenset([int, float, bool, str, type(None)])
#: nodes that compute, whatever their operands hold
_CANNOT_STOP = (Map, Reduce, Init, Piece, Gemm)


class _Expansion:
    """State of one expansion: the builder and the operand of each tape variable."""

    def __init__(self, tape: Tape, calls_gemv: bool) -> None:
        self.tape = tape
        self.builder = Builder(calls_gemv)
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
            return self.builder.view(self.operands[out.number])
        return out
