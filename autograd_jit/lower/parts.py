"""Large launches cut into parts, some for each thread.

A part is the same kernel with another block of integers: fewer turns of one axis, and addresses, windows included, that
begin where its turns do. So nothing is compiled for it, and each element is computed as it always is: the bits do not
depend on how many threads there are. A buffer for the row that is worked on is there once for each part.

The axis is the outermost one that is kept and long enough, be it inside of one that is summed over: every column is
then added up in the order of its rows. Totals over all axes are cut where the order of additions allows it, which is
fixed (:mod:`.folds`). What cannot be cut runs whole: stages that wait for the total of all, and scatters.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from ..config import config
from ..kernels import blas, executor, library, thread_pool, vecmath
from . import folds
from .emit_llvm import block_elements
from .graph import Call, Gemm, Graph, Value
from .kernel import Kernel, Launch

__all__ = [
    "FUNCTION_WORD", "LEAST_SECONDS", "Cut", "cut", "cuts", "entry", "folds_of", "parts", "seconds", "wakes_blas",
]  # fmt: skip

#: a launch that takes less runs whole. Measured on two cores: at 500 us 1.6 to 1.8 times the speed, at 2 ms 1.8 to 2.0;
#: a thread that sleeps is awake after 30 to 60
LEAST_SECONDS = 150e-6
#: the same where the program calls BLAS with threads: those spin for a tenth of a second after a product, and ours must
#: first get a processor from them. Right behind a product of two threads, on two cores: 0.2 to 0.7 ms took 1.1 to 1.4
#: times as long as on one thread, 1.1 ms and more 0.6 times, now and then as long
LEAST_BESIDE_BLAS = 1e-3
#: what an element takes: an access, one that is strided or looked up, an operation, a division or root, a function of
#: the maths library; and a byte of an array that is read or written. Measured on arrays of 1e5 to 1e6 elements: 22
#: launches take 0.4 to 1.2 times what is expected, most of them 0.6 to 1
ACCESS, APART, OPERATION, SLOW_OPERATION, FUNCTION = 0.02e-9, 0.4e-9, 0.015e-9, 0.1e-9, 1e-9
BYTE = 0.009e-9
#: what no element exceeds: a kernel has 128 operations at most
MOST_AN_ELEMENT = 128 * FUNCTION
_SLOW = frozenset(["divide", "sqrt", "floor_divide", "remainder", "mod", "fmod"])
#: turns of an axis that are worth sharing
FEWEST_TURNS = 16
#: turns of the innermost axis are taken together, so many: parts begin at whole cache lines, and no vector is torn,
#: since that is a multiple of all numbers of lanes (the sign of a NaN may hang on whether a vector is masked)
LINE = 64
#: the same of the innermost of several axes: shorter strips of every row take longer than whole rows (sums of 1,000
#: columns 1.5 times as long, of 10,000 columns 0.6 times)
STRIP = 512
#: where a row's block of integers has the address of its kernel
FUNCTION_WORD = 1


class Cut(NamedTuple):
    """A launch in parts along ``axis``: part ``i`` is ``bounds[i]`` to ``bounds[i + 1]``; the last ones may be empty.

    ``is_total``: all axes are reduced, and what the parts give is folded.
    """

    axis: int
    bounds: tuple[int, ...]
    is_total: bool = False

    @property
    def number(self) -> int:
        return len(self.bounds) - 1

    @property
    def filled(self) -> int:
        """Parts that are not empty."""
        return sum([start < stop for start, stop in itertools.pairwise(self.bounds)])

    def cells(self, launch: Launch) -> int:
        """Totals of parts that it needs memory for."""
        return self.number * len(launch.kernel.reductions) if self.is_total else 0


def seconds(launch: Launch) -> float:
    """What a launch is expected to take on one core."""
    touched = {placement.value for placement in launch.placements}
    most = launch.elements
    traffic = sum([min(value.size, most) * value.dtype.itemsize for value in touched])  # of a part of it, or repeated
    return most * _element_seconds(launch.kernel) + BYTE * traffic


def _element_seconds(kernel: Kernel) -> float:
    total = ACCESS * kernel.accesses
    for access in (*kernel.loads, *[store.access for store in kernel.stores]):
        total += APART if access.inner == "any" or access.pointer else 0.0
    for instruction in kernel.body:
        op = instruction.op
        total += FUNCTION if op in vecmath.LIBM else SLOW_OPERATION if op in _SLOW else OPERATION
    return total


def wakes_blas(graph: Graph) -> bool:
    """Whether a program calls BLAS in a way for which it asks its threads."""
    if blas.threads() == 1:
        return False
    products = [math.prod(node.left.shape[1:]) * node.right.shape[2] for node in graph.nodes if isinstance(node, Gemm)]
    calls = [node.work for node in graph.nodes if isinstance(node, Call) and library.ROUTINES[node.routine].lapack]
    return max([*products, *calls], default=0) > blas.THREADED


def cuts(graph: Graph, launches: Sequence[Launch | None], rows: Collection[Value]) -> list[Cut | None]:
    """How the launches of a program are cut. ``rows``: values of which they keep one row."""
    found = [None if launch is None else cut(launch, rows) for launch in launches]
    if any(found) and wakes_blas(graph):
        return [None if launch is None else cut(launch, rows, LEAST_BESIDE_BLAS) for launch in launches]
    return found


def cut(launch: Launch, rows: Collection[Value], least: float | None = None) -> Cut | None:
    """How a launch is cut; None where it runs whole, or is expected to take less than ``least`` seconds."""
    least = LEAST_SECONDS if least is None else least
    if launch.elements * MOST_AN_ELEMENT < least:  # nearly all launches of long tapes
        return None
    if config.threads < 2 or not thread_pool.supported():
        return None
    if seconds(launch) < least:
        return None
    if any([store.add or store.position is not None for store in launch.kernel.stores]):
        return None
    number = config.threads * thread_pool.PARTS_PER_THREAD
    kept = _along_kept_axis(launch, rows, number)
    return kept if kept is not None else _along_total(launch, number)


def _along_kept_axis(launch: Launch, rows: Collection[Value], number: int) -> Cut | None:
    """Parts that write different memory, each of them what the whole would write there."""
    kernel = launch.kernel
    written = launch.placements[len(kernel.loads) :]
    for axis in range(kernel.rank - kernel.trailing):
        line = 1 if axis < kernel.rank - 1 else LINE if axis == 0 else STRIP
        size = launch.dims[axis]
        if kernel.reduced[axis] or -(-size // line) < FEWEST_TURNS:
            continue
        if all([placement.strides[axis] != 0 or placement.value in rows for placement in written]):
            bounds = [min(size, -(-size * part // (number * line)) * line) for part in range(number)]
            return Cut(axis, (*bounds, size))
    return None


def _along_total(launch: Launch, number: int) -> Cut | None:
    """Parts of a power of two of blocks each, for totals over all axes."""
    kernel, dims = launch.kernel, launch.dims
    if len(kernel.stages) > 1 or not kernel.reductions or kernel.trailing < kernel.rank or not kernel.rank:
        return None
    stored = launch.placements[len(kernel.loads) : len(kernel.loads) + len(kernel.stores)]
    if any([placement.strides[0] == 0 for placement in stored]):
        return None
    block = block_elements(kernel)
    if kernel.rank > 1:  # a row ends its last block
        blocks = math.prod(dims[1:-1]) * -(-dims[-1] // block)
        if blocks & (blocks - 1):
            return None
        block = 1
    units = -(-dims[0] // block)
    if units < FEWEST_TURNS:
        return None
    step = block << max(0, (-(-units // number) - 1).bit_length())
    return Cut(0, tuple([min(dims[0], part * step) for part in range(number + 1)]), is_total=True)


def entry(
    launch: Launch, address: int, words: list[int], how: Cut, rows: Mapping[Value, int], totals: tuple[int, int]
) -> tuple[int, np.ndarray]:
    """The row of the executor's table for a launch that is cut.

    ``address``: of the kernel; ``words``: of the whole launch; ``rows``: values of which it keeps one row, of so many
    elements; there is memory for one row a part. ``totals``: the place for the totals of parts, slot and byte offset.
    """
    head = [thread_pool.pool(how.number // thread_pool.PARTS_PER_THREAD), address, len(words)]
    blocks = parts(launch, words, how, rows, totals)
    tail = []
    for reduction, fold in zip(launch.kernel.reductions, folds_of(launch, words, how, totals)):
        tail += [folds.address(reduction.op, reduction.element), len(fold), *fold]
    block = np.array([*head, *words, *[word for part in blocks for word in part], *tail, 0], np.int64)
    return executor.utility("agj_parts"), block


def parts(
    launch: Launch, words: list[int], how: Cut, rows: Mapping[Value, int] = {}, totals: tuple[int, int] = (0, 0)
) -> list[list[int]]:
    """Blocks of integers, which together do what ``words`` do (but for folding ``totals``)."""
    kernel, axis = launch.kernel, how.axis
    blocks = []
    for part, (start, stop) in enumerate(itertools.pairwise(how.bounds)):
        block = words.copy()
        block[axis] = stop - start
        for access, (value, _, strides) in enumerate(launch.placements):
            own_row = part * rows[value] * value.dtype.itemsize if value in rows else 0
            block[kernel.word_of_access(access) + 1] += start * strides[axis] + own_row
        for window, bounded in enumerate(kernel.windows):
            if bounded[axis]:
                word = kernel.word_of_window(window, axis)
                block[word] -= start
                block[word + 1] -= start
        if how.is_total:
            for number in range(len(kernel.reductions)):
                word = _word_of_total(kernel, number)
                block[word : word + 2] = _place_of_totals(how, number, totals, part)
        blocks.append(block)
    return blocks


def folds_of(launch: Launch, words: list[int], how: Cut, totals: tuple[int, int]) -> list[list[int]]:
    """The words that each reduction's fold needs, after the parts have run."""
    found = []
    for number in range(len(launch.kernel.reductions) if how.is_total else 0):
        word = _word_of_total(launch.kernel, number)
        result = words[word], words[word + 1]
        found.append(folds.words(result, _place_of_totals(how, number, totals), how.filled))
    return found


def _word_of_total(kernel: Kernel, number: int) -> int:
    """Where a block has the slot of a reduction's result; the byte offset follows."""
    return kernel.word_of_access(len(kernel.loads) + len(kernel.stores) + number)


def _place_of_totals(how: Cut, number: int, totals: tuple[int, int], part: int = 0) -> tuple[int, int]:
    """Slot and byte offset of what a part gives for a reduction."""
    slot, offset = totals
    return slot, offset + folds.CELL * (number * how.number + part)
