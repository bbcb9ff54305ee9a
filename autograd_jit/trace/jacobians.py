"""Jacobians and Hessians of functions of one argument, row by row in reverse or column by column in forward mode."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import MissingRuleError, NonDifferentiableError
from . import tree
from .arguments import Refusal
from .cotangent import abstract
from .derivatives import Argument, Linearisation, finish, separate, warn_independent
from .forward import jvp_leaves
from .linear_rows import record_columns, record_rows, unit_vectors
from .reverse import backward_pass
from .tracer import BOX_TYPES, concrete, getval

__all__ = ["hessian", "jacobian"]


def jacobian(fun: Callable, x: Any) -> Any:
    """The array of partial derivatives, shape ``out.shape + x.shape``; nested containers for containers.

    Complex numbers: a real function of complex arguments has ``du/dx - 1j * du/dy``, as ``grad``; a complex
    function must be holomorphic in complex arguments, and then has the complex derivative.
    """
    argument = Argument(x)
    kinds = [abstract(leaf) for leaf in argument.inputs]
    if any(shape is None for shape, _ in kinds):
        raise Refusal(NonDifferentiableError, "is of a type that has no Jacobian: it is not an array", True)
    size = sum(int(np.prod(shape)) for shape, _ in kinds)
    real = all(dtype.kind == "f" for _, dtype in kinds)
    if real and size == 1:
        found = _jacobian_by_columns(fun, argument, None)
        if found is not None:
            return found
    line = Linearisation(fun, argument)
    outputs = sum(int(np.prod(abstract(leaf)[0] or ())) for leaf in line.out_leaves)
    # A column costs a run of the function, which is dearer than a pull: about twice.
    if real and 1 < 2 * size <= outputs:
        found = _jacobian_by_columns(fun, argument, line.out_leaves)
        if found is not None:
            return found
    return _jacobian_by_rows(line)


def hessian(fun: Callable, x: Any) -> Any:
    """The Jacobian of the Jacobian."""
    return jacobian(lambda x: jacobian(fun, x), x)


def _jacobian_by_rows(line: Linearisation) -> Any:
    """One pull per output element."""
    return tree.unflatten(line.out_structure, [_rows_of_output(line, k) for k in range(len(line.nodes))])


def _rows_of_output(line: Linearisation, number: int) -> Any:
    leaf = line.out_leaves[number]
    shape, dtype = abstract(leaf)
    if shape is None:
        return None
    argument = line.argument
    if line.nodes[number] is None:
        blocks = [_block([None] * int(np.prod(shape)), shape, leaf_in, dtype) for leaf_in in argument.inputs]
    elif dtype.kind == "c":
        blocks = _complex_blocks(line, number, shape, dtype)
    else:
        blocks = _real_blocks(line, number, shape, dtype)
    return argument.gradient(separate(blocks))


def _real_blocks(line: Linearisation, number: int, shape: tuple, dtype: Any) -> list:
    """Blocks of a real output: under the recorder one pull for all rows, where that can be."""
    inputs = line.argument.inputs
    node = line.nodes[number]
    stacked = record_rows(lambda seed: backward_pass([(node, seed)], line.inputs), inputs, inputs, shape, dtype)
    if stacked is None:
        columns = _columns(line, number, shape, dtype, 1)
        return [_block(column, shape, leaf, dtype) for column, leaf in zip(columns, inputs)]
    from .. import numpy as anp

    none = [None] * int(np.prod(shape))
    return [
        _block(none, shape, leaf, dtype) if rows is None else anp.reshape(rows, shape + abstract(leaf)[0])
        for rows, leaf in zip(stacked, inputs)
    ]


def _columns(line: Linearisation, number: int, shape: tuple, dtype: Any, unit: Any) -> list[list]:
    """Per input its cotangents for each standard basis vector (times ``unit``) of one output."""
    node, inputs = line.nodes[number], line.inputs
    pulled = [backward_pass([(node, basis)], inputs) for basis in unit_vectors(shape, dtype, unit)]
    return [list(column) for column in zip(*pulled)] if pulled else [[] for _ in inputs]


def _complex_blocks(line: Linearisation, number: int, shape: tuple, dtype: Any) -> list:
    """Blocks of a complex output: ``du - 1j * (-dv)`` for real inputs; for complex ones the complex
    derivative."""
    real = _columns(line, number, shape, dtype, 1)
    imag = _columns(line, number, shape, dtype, 1j)
    blocks = []
    for u, v, leaf in zip(real, imag, line.argument.inputs):
        block_u, block_v = _block(u, shape, leaf, dtype), _block(v, shape, leaf, dtype)
        if abstract(leaf)[1].kind == "c":
            _require_holomorphic(block_u, block_v)
            blocks.append(block_u)
        else:
            blocks.append(block_u - 1j * block_v)
    return blocks


def _require_holomorphic(by_real: Any, by_imag: Any) -> None:
    """The Cauchy-Riemann equations, in values."""
    first, second = np.atleast_1d(getval(by_real)), np.atleast_1d(getval(by_imag))
    finite = np.isfinite(first) & np.isfinite(second)
    first, second = first[finite], second[finite]
    tolerance = 1e-4 * np.max(np.abs(first), initial=np.max(np.abs(second), initial=0.0))
    if not np.allclose(second, 1j * first, rtol=0.0, atol=tolerance):
        raise Refusal(
            NonDifferentiableError,
            "The function is not holomorphic (its output depends on the argument's conjugate), so that no "
            "complex Jacobian exists: write it as a function of the argument's real and imaginary parts",
        )


def _block(cotangents: list, out_shape: tuple, leaf: Any, out_dtype: Any) -> Any:
    """The cotangents of one input stacked to ``out_shape + leaf.shape``."""
    shape, dtype = abstract(leaf)
    if not out_shape:
        g = cotangents[0]
        return finish(g, leaf)
    if BOX_TYPES.isdisjoint(map(type, cotangents)):
        block = np.zeros((len(cotangents), *shape), dtype)
        for row, g in zip(block, cotangents) if shape else ():
            if g is not None:
                row[...] = g
        if not shape:
            block[:] = [0 if g is None else g for g in cotangents]
        return block.reshape(out_shape + shape)
    from .. import numpy as anp

    rows = [np.zeros(shape, dtype) if g is None else g for g in cotangents]
    return anp.reshape(anp.stack(rows), out_shape + shape)


def _jacobian_by_columns(fun: Callable, argument: Argument, expected: list | None) -> Any:
    """One forward run per input element; None where a function has no forward rule.

    ``expected``: the output leaves of an earlier run. None is returned too where a run gives other values, as
    a function that draws random numbers does: its columns would belong to different functions.
    """
    runs = _ForwardRuns(fun, argument, expected)
    try:
        found = [runs.columns_of(number) for number in range(len(argument.inputs))]
    except (MissingRuleError, _OtherValuesError):
        return None
    if not any(columns is not None for of_leaf in found for columns in of_leaf):
        warn_independent()
    leaves: list = []
    for number, out in enumerate(runs.outs):
        shape, dtype = abstract(out)
        if shape is None:
            leaves.append(None)
            continue
        columns = [of_leaf[number] if of_leaf else None for of_leaf in found]
        blocks = [_column_block(of_leaf, shape, dtype, leaf) for of_leaf, leaf in zip(columns, argument.inputs)]
        leaves.append(argument.gradient(separate(blocks)))
    return tree.unflatten(runs.structure, leaves)


class _OtherValuesError(Exception):
    """A run of the function gave something else than the one before."""


class _ForwardRuns:
    """A function's runs with tangents: ``outs`` and their ``structure`` are those of the last one."""

    def __init__(self, fun: Callable, argument: Argument, expected: list | None) -> None:
        self.fun, self.argument, self.expected = fun, argument, expected
        self.outs: list = []
        self.structure: Any = None

    def columns_of(self, number: int) -> list:
        """For each output its columns by one input: None where all are zero, a list with None for zero, or, of a
        section, an array with the columns along its first axis."""
        inputs = self.argument.inputs

        def push(tangent: Any) -> list:
            return self._tangents(number, tangent)

        return record_columns(push, inputs, self.expected or [], *abstract(inputs[number]))

    def _tangents(self, number: int, tangent: Any) -> list:
        inputs = self.argument.inputs
        tangents = [tangent if position == number else None for position in range(len(inputs))]
        rebuilt = self.argument.rebuilt
        self.outs, found, self.structure = jvp_leaves(lambda boxes: self.fun(rebuilt(boxes)), inputs, tangents)
        if self.expected is not None and not _same_values(self.outs, self.expected):
            raise _OtherValuesError
        return [None if abstract(out)[0] is None else t for out, t in zip(self.outs, found)]


def _same_values(outs: list, expected: list) -> bool:
    if len(outs) != len(expected):
        return False
    pairs = zip(map(concrete, outs), map(concrete, expected))
    return all(abstract(a)[0] is None or np.array_equal(a, b, equal_nan=True) for a, b in pairs)


def _column_block(columns: Any, out_shape: tuple, out_dtype: Any, leaf: Any) -> Any:
    """The columns of one output by one input, stacked along the last axes."""
    from .. import numpy as anp

    shape, dtype = abstract(leaf)
    kind = np.result_type(dtype, out_dtype) if out_dtype.kind == "c" else dtype
    if columns is not None and type(columns) is not list:
        return _as_dtype(anp.reshape(anp.moveaxis(columns, 0, -1), out_shape + shape), kind)
    taken = columns or [None] * int(np.prod(shape))
    if not shape and taken[0] is not None and (out_shape or type(taken[0]) in BOX_TYPES):
        return _as_dtype(taken[0], kind)
    if BOX_TYPES.isdisjoint(map(type, taken)):
        block = np.zeros(out_shape + (len(taken),), kind)
        for position, tangent in enumerate(taken):
            if tangent is not None:
                block[..., position] = tangent
        block = block.reshape(out_shape + shape)
        return block[()] if type(leaf) is not np.ndarray else block
    zeros = np.zeros(out_shape, kind)
    block = anp.stack([zeros if tangent is None else tangent for tangent in taken], axis=-1)
    return _as_dtype(anp.reshape(block, out_shape + shape), kind)


def _as_dtype(block: Any, dtype: Any) -> Any:
    if abstract(block)[1] == dtype:
        return block if type(block) is not np.ndarray or block.flags.writeable else block.copy()
    from .. import numpy as anp

    return anp.astype(block, dtype)
