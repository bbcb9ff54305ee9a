"""Reductions in registers as LLVM IR: vectors of partial results over blocks, blocks combined by a binary counter.

A block's total waits in a register until the next block is done: a row of one block never touches the stack. What
was pushed is combined as a binary counter carries, so that every total is of terms that are about equally many.
"""

from __future__ import annotations

from ..kernels.vector_ir import literal
from .kernel import Reduction, Ref, Stage
from .llvm_memory import Memory
from .llvm_operations import combine, memory_type, neutral

__all__ = ["Sums"]

#: vectors that a sum adds up before the total goes to the pairwise counter: at most 32 terms a partial sum
BLOCK_VECTORS = 64
#: independent partial sums, to hide the latency of an addition
UNROLL = 4

#: running state of a reduction: how many blocks are done, and the totals of the latest
State = list[str]


class Sums(Memory):
    """Reductions of one stage over the innermost axes."""

    def _body(
        self, stage: Stage, pointers: list[str], index: str, mask: str, hoisted: dict[Ref, str]
    ) -> dict[Ref, str]:
        raise NotImplementedError

    def _stacks(self) -> None:
        """One stack of partial results for each reduction, in the entry block."""
        self.stacks = [f"%stack{i}" for i in range(len(self.kernel.reductions))]
        self.out.lines += [
            f"  {stack} = alloca [64 x {memory_type(r.element)}], align 64"
            for stack, r in zip(self.stacks, self.kernel.reductions)
        ]

    def _totals(self, stage: Stage, axis: int, pointers: list[str]) -> list[str]:
        """The results of a stage's reductions over ``axis`` and all that follow, which must be reduced."""
        start = ["0", *[literal(r.element, neutral(r.op, r.element)) for r in stage.reductions]]
        state = self._over_rows(stage, axis, pointers, start)
        return self._popped(stage, state)

    def _over_rows(self, stage: Stage, axis: int, pointers: list[str], state: State) -> State:
        if axis == self.kernel.rank - 1:
            return self._reduce_row(stage, pointers, state)

        def iteration(index: str, names: list[str]) -> list[str]:
            self.indices[axis] = index
            return self._over_rows(stage, axis + 1, self._advanced(pointers, axis, index), names)

        return self._loop("0", self.dims[axis], 1, self._typed(stage, state), iteration)

    def _typed(self, stage: Stage, state: State) -> list[tuple[str, str]]:
        return list(zip(["i64", *[r.element for r in stage.reductions]], state, strict=True))

    def _reduce_row(self, stage: Stage, pointers: list[str], state: State) -> State:
        """Cut the innermost axis into blocks; what came before each of them is pushed."""
        count = self.dims[-1]
        hoisted = self._hoist(stage, pointers)
        size = BLOCK_VECTORS * self.out.lanes

        def block(start: str, names: list[str]) -> list[str]:
            blocks, *latest = names
            earlier = self.scalar.let(f"icmp ne i64 {blocks}, 0")
            self._if(earlier, [], lambda: self._push(stage, latest, self.scalar.let(f"sub i64 {blocks}, 1")))
            limit = self.scalar.let(f"add i64 {start}, {size}")
            stop = self.scalar.let(f"call i64 @llvm.smin.i64(i64 {limit}, i64 {count})")
            self.out.declare("declare i64 @llvm.smin.i64(i64, i64)")
            totals = self._reduce_block(stage, pointers, hoisted, start, stop)
            return [self.scalar.let(f"add i64 {blocks}, 1"), *totals]

        return self._loop("0", count, size, self._typed(stage, state), block)

    # ---------------------------------------------------------------- one block

    def _reduce_block(
        self, stage: Stage, pointers: list[str], hoisted: dict[Ref, str], start: str, stop: str
    ) -> list[str]:
        """The horizontal results of the elements ``start`` to ``stop``."""
        out, lanes, s = self.out, self.out.lanes, self.scalar
        kinds = [out.type(r.element) for r in stage.reductions]
        zeros = [out.constant(r.element, neutral(r.op, r.element)) for r in stage.reductions]
        unroll = UNROLL if self._is_small(stage) else 1

        def add(index: str, mask: str, sums: list[str]) -> list[str]:
            values = self._body(stage, pointers, index, mask, hoisted)
            results = []
            for reduction, total, zero in zip(stage.reductions, sums, zeros):
                term = values[reduction.ref]
                if mask:
                    term = out.select(reduction.element, mask, term, zero)
                results.append(combine(out, reduction.op, reduction.element, total, term))
            return results

        def several(index: str, sums: list[str]) -> list[str]:
            width = len(kinds)
            results = []
            for part in range(unroll):
                at = s.let(f"add nsw i64 {index}, {part * lanes}") if part else index
                results += add(at, "", sums[part * width : (part + 1) * width])
            return results

        length = s.let(f"sub i64 {stop}, {start}")
        bulk = s.let(f"and i64 {length}, {-lanes * unroll}")
        end = s.let(f"add nsw i64 {start}, {bulk}")
        carried = list(zip(kinds * unroll, zeros * unroll))
        if lanes > 1 and self.kernel.windows_of(stage):
            sums = self._around_box(start, end, lanes * unroll, carried, several, several)
        else:
            sums = self._loop(start, end, lanes * unroll, carried, several)
        sums = self._fold(stage, sums, unroll)
        if unroll > 1:
            middle, whole = end, s.let(f"and i64 {length}, {-lanes}")
            end = s.let(f"add nsw i64 {start}, {whole}")
            sums = self._loop(middle, end, lanes, list(zip(kinds, sums)), lambda index, sums: add(index, "", sums))
        if lanes > 1:
            rest = s.let(f"sub i64 {stop}, {end}")
            some = s.let(f"icmp sgt i64 {rest}, 0")
            sums = self._if(some, list(zip(kinds, sums)), lambda: add(end, out.first_lanes(rest), sums))
        return [self._across(r.op, r.element, total) for r, total in zip(stage.reductions, sums)]

    def _is_small(self, stage: Stage) -> bool:
        """Whether a body is worth printing several times."""
        return len(stage.reductions) <= 2 and len(stage.body) <= (12 if len(self.kernel.stages) == 1 else 4)

    def _fold(self, stage: Stage, sums: list[str], unroll: int) -> list[str]:
        """Combine the unrolled partial results pairwise."""
        width = len(stage.reductions)
        while unroll > 1:
            half = unroll // 2
            sums = [
                combine(self.out, r.op, r.element, sums[part * width + i], sums[(part + half) * width + i])
                for part in range(half)
                for i, r in enumerate(stage.reductions)
            ]
            unroll = half
        return sums

    def _across(self, op: str, element: str, vector: str) -> str:
        """The lanes of a vector combined pairwise to a scalar."""
        body = self.out
        while body.lanes > 1:
            half = body.at_lanes(body.lanes // 2)
            if half.lanes == 1:
                halves = [body.lane(element, vector, start) for start in (0, 1)]
            else:
                halves = [body.slice(element, vector, start, half.lanes) for start in (0, half.lanes)]
            vector = combine(half, op, element, halves[0], halves[1])
            body = half
        return vector

    # ---------------------------------------------------------------- blocks

    def _stack_of(self, stage: Stage, number: int) -> tuple[str, Reduction]:
        reduction = stage.reductions[number]
        return self.stacks[self.kernel.first_reduction(stage) + number], reduction

    def _push(self, stage: Stage, totals: list[str], counter: str) -> list[str]:
        """Add a block's results to the stacks as a binary counter adds one: equal sizes are combined."""
        s = self.scalar
        height = s.let(f"call i64 @llvm.ctpop.i64(i64 {counter})")
        self.out.declare("declare i64 @llvm.ctpop.i64(i64)")
        carries = s.let(f"call i64 @llvm.cttz.i64(i64 {s.let(f'xor i64 {counter}, -1')}, i1 false)")
        self.out.declare("declare i64 @llvm.cttz.i64(i64, i1)")
        kinds = [r.element for r in stage.reductions]

        def carry(index: str, totals: list[str]) -> list[str]:
            return self._with_entry(stage, totals, s.let(f"sub i64 {s.let(f'sub i64 {height}, 1')}, {index}"))

        totals = self._loop("0", carries, 1, list(zip(kinds, totals)), carry)
        place = s.let(f"sub i64 {height}, {carries}")
        for i, total in enumerate(totals):
            stack, reduction = self._stack_of(stage, i)
            self._store_scalar(reduction.element, total, s.element(memory_type(reduction.element), stack, place))
        return []

    def _with_entry(self, stage: Stage, totals: list[str], place: str) -> list[str]:
        """Totals combined with what the stacks hold at a place, which came before."""
        results = []
        for i, total in enumerate(totals):
            stack, r = self._stack_of(stage, i)
            below = self._load_scalar(r.element, self.scalar.element(memory_type(r.element), stack, place))
            results.append(combine(self.scalar, r.op, r.element, below, total))
        return results

    def _popped(self, stage: Stage, state: State) -> list[str]:
        """The latest totals combined with all entries of the stacks, top first; neutral where there was no block."""
        s = self.scalar
        blocks, *latest = state
        some = s.let(f"icmp ne i64 {blocks}, 0")
        pushed = s.select("i64", some, s.let(f"sub i64 {blocks}, 1"), "0")
        height = s.let(f"call i64 @llvm.ctpop.i64(i64 {pushed})")
        self.out.declare("declare i64 @llvm.ctpop.i64(i64)")
        last = s.let(f"sub i64 {height}, 1")
        kinds = [r.element for r in stage.reductions]
        return self._loop(
            "0",
            height,
            1,
            list(zip(kinds, latest)),
            lambda step, totals: self._with_entry(stage, totals, s.let(f"sub i64 {last}, {step}")),
        )
