"""Totals of parts made the total of the whole, to the same bits.

A kernel adds blocks of elements up as a binary counter counts (:mod:`.llvm_sums`): that is a tree over the blocks.
Where each part of a launch but the last has the same power of two of blocks, its total is a whole branch of that tree,
and what is left to do is the top of it. Each combination of a reduction and an element type is a function
``i64 fold(slots, words)`` of its own, compiled once; its words:

    0, 1   slot and byte offset of the result        4     pairs
    2, 3   slot and byte offset of the parts' totals 5 ... each pair: byte offsets of two totals; the second is added to
                                                           the first
"""

from __future__ import annotations

import functools

from ..kernels.llvm import KERNEL_ATTRIBUTES, CompiledCode
from .compile import code_of
from .llvm_flow import Flow
from .llvm_operations import combine, memory_type

__all__ = ["CELL", "address", "order", "words"]

#: bytes from one part's total to the next part's
CELL = 8


@functools.cache
def order(count: int) -> tuple[tuple[int, int], ...]:
    """Which of so many totals are combined, one pair after the other, the result in place of the first.

    As the counter does it: the latest total waits; what is pushed is combined with entries of its own size; in the
    end the latest is combined with all entries, the last of them first.

    >>> order(4)
    ((0, 1), (2, 3), (0, 2))
    >>> order(5)
    ((0, 1), (2, 3), (0, 2), (0, 4))
    """
    pairs: list[tuple[int, int]] = []
    stack: list[tuple[int, int]] = []  # first block, number of blocks
    for block in range(count - 1):
        first, size = block, 1
        while stack and stack[-1][1] == size:
            below, _ = stack.pop()
            pairs.append((below, first))
            first, size = below, 2 * size
        stack.append((first, size))
    latest = count - 1
    while stack:
        below, _ = stack.pop()
        pairs.append((below, latest))
        latest = below
    return tuple(pairs)


def words(result: tuple[int, int], totals: tuple[int, int], count: int) -> list[int]:
    """The words of a fold of so many totals; ``result`` and ``totals`` are places (slot, byte offset)."""
    pairs = order(count)
    return [*result, *totals, len(pairs), *[CELL * place for pair in pairs for place in pair]]


_known: dict[tuple[str, str], CompiledCode] = {}


def address(op: str, element: str) -> int:
    """The fold of a reduction of elements of a type; there for good."""
    found = _known.get((op, element))
    if found is None:  # of threads that come at once, all get the code of one
        found = _known.setdefault((op, element), code_of(_Fold(op, element).module()))
    return found.address("fold")


class _Fold(Flow):
    """Prints one."""

    def __init__(self, op: str, element: str) -> None:
        super().__init__(lanes=1)
        self.op, self.element = op, element

    def module(self) -> str:
        out = self.out
        result, totals, pairs = self._place(0), self._place(2), self._word("4")

        def one(number: str, _: list[str]) -> list[str]:
            at = out.op("add", "i64", out.op("shl", "i64", number, "1"), "5")
            first = out.element("i8", totals, self._word(at))
            second = out.element("i8", totals, self._word(out.op("add", "i64", at, "1")))
            value = combine(out, self.op, self.element, self._load(first), self._load(second))
            self._store(value, first)
            return []

        self._loop("0", pairs, 1, [], one)
        self._store(self._load(totals), result)
        out.line("ret i64 0")
        head = f"define i64 @fold(ptr %slots, ptr %args) {KERNEL_ATTRIBUTES} {{"
        return "\n".join([head, "entry:", *out.lines, "}", *sorted(out.declarations)])

    def _word(self, index: str) -> str:
        return self.out.load("i64", self.out.element("i64", "%args", index))

    def _place(self, index: int) -> str:
        slot = self.out.element("ptr", "%slots", self._word(str(index)))
        base = self.out.let(f"load ptr, ptr {slot}, align 8")
        return self.out.element("i8", base, self._word(str(index + 1)))

    def _load(self, pointer: str) -> str:
        value = self.out.load(memory_type(self.element), pointer)
        return self.out.compare("ne", "i8", value, "0") if self.element == "i1" else value

    def _store(self, value: str, pointer: str) -> None:
        if self.element == "i1":
            value = self.out.convert("zext", "i1", value, "i8")
        self.out.store(memory_type(self.element), value, pointer)
