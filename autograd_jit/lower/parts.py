"""Large launches cut into parts, one for each thread.

A part is the same kernel with another block of integers: fewer turns of the outermost axis, and addresses, windows
included, that begin where its turns do. So nothing is compiled for it, and each element is computed as it always is:
the bits do not depend on how many threads there are. A buffer for the row that is worked on is there once for each
part. What cannot be cut this way runs whole: totals over the outermost axis, whose order of additions would be another,
and scatters.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping

import numpy as np

from ..config import config
from ..kernels import executor, thread_pool, vecmath
from .graph import Value
from .kernel import Kernel, Launch

__all__ = ["FUNCTION_WORD", "LEAST_SECONDS", "count", "entry", "parts", "seconds"]

#: a launch that takes less runs whole. Measured on two cores: at 500 us 1.6 to 1.8 times the speed, at 2 ms 1.8 to 2.0;
#: a thread that sleeps is awake after 30 to 60
LEAST_SECONDS = 150e-6
#: what an element takes: an access, an operation, a division or root, a function of the maths library. Measured on
#: arrays of 1e5 to 1e6 elements, to a factor of two
ACCESS, OPERATION, SLOW_OPERATION, FUNCTION = 0.02e-9, 0.015e-9, 0.1e-9, 1e-9
#: what no element exceeds: a kernel has 128 operations at most
MOST_AN_ELEMENT = 128 * FUNCTION
_SLOW = frozenset(["divide", "sqrt", "floor_divide", "remainder", "mod", "fmod"])
#: turns of the outermost axis that are worth sharing
FEWEST_TURNS = 16
#: where a row's block of integers has the address of its kernel
FUNCTION_WORD = 1
#: parts begin at multiples of so many elements, where rows are one element: whole cache lines
_LINE = 64


def seconds(launch: Launch) -> float:
    """What a launch is expected to take on one core."""
    return launch.elements * _element_seconds(launch.kernel)


def _element_seconds(kernel: Kernel) -> float:
    total = ACCESS * kernel.accesses
    for instruction in kernel.body:
        op = instruction.op
        total += FUNCTION if op in vecmath.LIBM else SLOW_OPERATION if op in _SLOW else OPERATION
    return total


def count(launch: Launch, rows: Collection[Value]) -> int:
    """Into how many parts a launch is cut; 1 where it runs whole. ``rows``: values of which it keeps one row."""
    if launch.elements * MOST_AN_ELEMENT < LEAST_SECONDS:  # nearly all launches of long tapes
        return 1
    if config.threads < 2 or not thread_pool.supported() or seconds(launch) < LEAST_SECONDS:
        return 1
    return config.threads * thread_pool.PARTS_PER_THREAD if _can_be_cut(launch, rows) else 1


def _can_be_cut(launch: Launch, rows: Collection[Value]) -> bool:
    """Whether parts along the outermost axis write different memory, each of them what the whole would write there."""
    kernel = launch.kernel
    if not launch.dims or kernel.reduced[0] or kernel.adds_in_memory or launch.dims[0] < FEWEST_TURNS:
        return False
    if any([store.add or store.position is not None for store in kernel.stores]):
        return False
    written = launch.placements[len(kernel.loads) :]
    return all([placement.strides[0] != 0 or placement.value in rows for placement in written])


def entry(
    launch: Launch, address: int, words: list[int], number: int, rows: Mapping[Value, int]
) -> tuple[int, np.ndarray]:
    """The row of the executor's table for a launch that is cut into a ``number`` of parts.

    ``address``: of the kernel; ``words``: of the whole launch; ``rows``: values of which it keeps one row, of so many
    elements; there is memory for one row a part.
    """
    head = [thread_pool.pool(number // thread_pool.PARTS_PER_THREAD), address, len(words)]
    blocks = parts(launch, words, number, rows)
    block = np.array([*head, *words, *[word for part in blocks for word in part]], np.int64)
    return executor.utility("agj_parts"), block


def parts(launch: Launch, words: list[int], number: int, rows: Mapping[Value, int] = {}) -> list[list[int]]:
    """So many blocks of integers, which together do what ``words`` do."""
    kernel, size = launch.kernel, launch.dims[0]
    line = _LINE if len(launch.dims) == 1 else 1
    bounds = [min(size, -(-size * part // (number * line)) * line) for part in range(number)] + [size]
    blocks = []
    for part, (start, stop) in enumerate(itertools.pairwise(bounds)):
        block = words.copy()
        block[0] = stop - start
        for access, (value, _, strides) in enumerate(launch.placements):
            own_row = part * rows[value] * value.dtype.itemsize if value in rows else 0
            block[kernel.word_of_access(access) + 1] += start * strides[0] + own_row
        for window, bounded in enumerate(kernel.windows):
            if bounded[0]:
                word = kernel.word_of_window(window, 0)
                block[word] -= start
                block[word + 1] -= start
        blocks.append(block)
    return blocks
