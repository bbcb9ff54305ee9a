"""Linking: the executor's table of a program, one row of (function, block of integers) for each native step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ..kernels import executor, library
from . import parts
from .compile import CompiledKernel
from .graph import Call, Check, Gemm, Node, RowsEnd, RowsStart, Step, Value, View
from .kernel import Kernel
from .routines import CompiledRoutine, compiled_routine

if TYPE_CHECKING:
    from .program import Program, Stages

__all__ = ["link", "link_entry"]


class Places(Protocol):
    """Whatever knows where values lie."""

    def address_of(self, value: Value) -> tuple[int, int]: ...


def link(
    program: Program, stages: Stages, compiled: dict[Kernel, CompiledKernel], routines: dict[Any, CompiledRoutine]
) -> None:
    """Fill the table of (function, argument block), cut at Python steps."""
    rows: list[tuple[int, np.ndarray]] = []
    start = loop = 0
    turns = 1  # how often what is linked runs
    for group, launch, cut in zip(stages.groups, stages.launches, stages.cuts, strict=True):
        if launch is not None:
            kernel = compiled[launch.kernel]
            program.kernels.append(kernel)
            program.kernel_at[len(rows)] = kernel
            kernel.users.add(program)
            program.operations += turns * launch.elements * max(len(launch.kernel.body), 1)
            words = launch.words(program.address_of)
            if cut is not None and (kernel.compiler == "llvm" or not cut.is_total):  # Numba's code has other blocks
                program.function_words[len(rows)] = parts.FUNCTION_WORD
                totals = program.arena_slot, stages.totals
                rows.append(parts.entry(launch, kernel.address, words, cut, stages.rows, totals))
            else:
                rows.append((kernel.address, np.array(words, np.int64)))
            continue
        node = group.nodes[0]
        if isinstance(node, Check):
            program.checks[len(rows)] = node
            rows.append(link_entry(program, node))
        elif isinstance(node, Gemm):
            rows.append(link_entry(program, node))
            program.operations += turns * node.out.size * node.left.shape[2]
        elif isinstance(node, Call):
            program.calls[len(rows)] = node
            routine = routines[node.code]
            program.routines.append(routine)
            program.kernel_at[len(rows)] = routine
            routine.users.add(program)
            rows.append((routine.address, _call_words(program, node)))
            program.operations += turns * node.work
        elif isinstance(node, RowsStart):
            loop, turns = len(rows), node.count
            rows.append(_loop_start(program, node))
        elif isinstance(node, RowsEnd):
            rows.append(_loop_end(program, node, len(rows) - loop))
            turns = 1
        else:
            assert isinstance(node, Step)
            if len(rows) > start:
                program.segments.append((start, len(rows)))
            program.segments.append(node)
            start = len(rows)
    if len(rows) > start or not program.segments:
        program.segments.append((start, len(rows)))
    program.table, program.words = _packed(rows)
    for position, word in program.function_words.items():
        start_of_block = int(program.table[position, 1]) - program.words.ctypes.data
        program.function_words[position] = start_of_block // program.words.itemsize + word


def _packed(rows: list[tuple[int, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """The table, and all blocks of integers in one array."""
    words = np.concatenate([block for _, block in rows]) if rows else np.empty(0, np.int64)
    starts = np.cumsum([0, *[len(block) for _, block in rows]])[:-1] * words.itemsize + words.ctypes.data
    functions = [function for function, _ in rows]
    return np.stack([np.array(functions, np.int64), starts.astype(np.int64)], axis=1), words


def link_entry(places: Places, node: Node) -> tuple[int, np.ndarray]:
    """The row of the executor's table for a guard, a product or a routine: function and words."""
    if isinstance(node, Check):
        return executor.utility("agj_check"), _check_words(places, node)
    if isinstance(node, Gemm):
        return executor.utility("agj_gemm"), _gemm_words(places, node)
    assert isinstance(node, Call)
    return compiled_routine(*library.routine(*node.code)).address, _call_words(places, node)


def _loop_start(places: Places, node: RowsStart) -> tuple[int, np.ndarray]:
    """The row of the table that begins a loop over rows."""
    basis_slot, basis = places.address_of(node.basis.value)
    starts = [(basis_slot, basis + (node.count - 1) * node.seed.dtype.itemsize), *map(places.address_of, node.stacked)]
    words = [*places.address_of(node.counter), len(starts)]
    for value, start in zip(node.moving, starts, strict=True):
        words += [places.address_of(value)[0], *start]
    return executor.utility("agj_loop_start"), np.array(words, np.int64)


def _loop_end(places: Places, node: RowsEnd, length: int) -> tuple[int, np.ndarray]:
    """The row of the table that ends a loop, ``length`` rows below its start."""
    start = node.start
    steps = [-start.seed.dtype.itemsize, *[row.nbytes for row in start.rows]]
    words = [*places.address_of(start.counter), start.count, length, len(steps)]
    for value, step in zip(start.moving, steps, strict=True):
        words += [places.address_of(value)[0], step]
    return executor.utility("agj_loop_end"), np.array(words, np.int64)


def _check_words(program: Places, node: Check) -> np.ndarray:
    slot, offset = program.address_of(node.arg.value)
    expected = np.frombuffer(node.expected.ljust(-(-len(node.expected) // 8) * 8, b"\0"), np.int64)
    return np.concatenate([np.array([slot, offset, len(node.expected)], np.int64), expected])


def _call_words(program: Places, node: Call) -> np.ndarray:
    """The words of a native routine: see :mod:`autograd_jit.kernels.library`."""
    addresses = library.addresses(*node.code)
    words = [*node.numbers, *[0] * (library.NUMBERS - len(node.numbers)), *addresses]
    for view in node.args:
        slot, offset = program.address_of(view.value)
        words += [slot, offset + view.offset * view.dtype.itemsize, *view.strides]
    for value in node.results:
        words += program.address_of(value)
    return np.array(words, np.int64)


def _gemm_words(program: Places, node: Gemm) -> np.ndarray:
    from ..kernels.blas import product_address

    size = node.out.dtype.itemsize
    words: list[int] = []
    for view in (node.left, node.right):
        slot, offset = program.address_of(view.value)
        words += [slot, offset + view.offset * size]
    words += [*program.address_of(node.out)]
    count, m, k = node.left.shape
    n = node.right.shape[2]
    (left_trans, left_ld), (right_trans, right_ld) = _orientation(node.left), _orientation(node.right)
    steps = [node.left.strides[0] * size, node.right.strides[0] * size, m * n * size]
    words += [m, n, k, left_ld, right_ld, max(n, 1), left_trans, right_trans, count, *steps]
    cells = np.zeros(2, np.int64)
    cells[:1].view(node.out.dtype)[0] = 1
    words += [*cells.tolist(), product_address("dgemm" if size == 8 else "sgemm")]
    assert len(words) == executor.GEMM_WORDS
    return np.array(words, np.int64)


def _orientation(view: View) -> tuple[int, int]:
    """``(transpose character, leading dimension)`` of a matrix as column-major BLAS sees its transpose."""
    _, rows, columns = view.shape
    _, row_stride, column_stride = view.strides
    if column_stride == 1 and (row_stride >= columns or rows == 1):
        return ord("N"), max(row_stride, columns, 1)
    return ord("T"), max(column_stride, rows, 1)
