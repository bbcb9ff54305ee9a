"""The loop form as LLVM IR: outer axes are scalar loops, the innermost one runs over vectors.

The innermost axis is cut into full vectors and one masked rest, both printed from the same body, so that an
element's value does not depend on its position. A kernel has the uniform signature
``i64 kernel(ptr slots, ptr args)``: ``slots`` holds buffer addresses, ``args`` the block of integers that
:meth:`autograd_jit.lower.kernel.Launch.words` writes.

Sums are pairwise: vectors of partial sums over blocks, block sums combined by a binary counter. Where the reduced
axes are not innermost, rows are added into the result in memory, in order, as NumPy does.
"""

from __future__ import annotations

from collections.abc import Callable

from ..kernels.llvm import ELEMENT_BYTES, KERNEL_ATTRIBUTES
from ..kernels.llvm import lanes as native_lanes
from ..kernels.vector_ir import Emission, literal, math
from .kernel import Access, Instruction, Kernel, Reduction, Ref

__all__ = ["emit"]

#: vectors that a sum adds up before the total goes to the pairwise counter: at most 32 terms a partial sum
BLOCK_VECTORS = 64
#: independent partial sums, to hide the latency of an addition
UNROLL = 4

_MEMORY = {"i1": "i8"}
_NEUTRAL = {
    "sum": 0.0,
    "prod": 1.0,
    "max": float("-inf"),
    "min": float("inf"),
    "all": 1,
    "any": 0,
}


def emit(kernel: Kernel) -> str:
    """The LLVM module of one kernel; its function is called ``kernel``."""
    return _Emitter(kernel).module()


def _memory(element: str) -> str:
    return _MEMORY.get(element, element)


def _neutral(op: str, element: str) -> float:
    if element[0] == "i" and element != "i1" and op in ("max", "min"):
        limit = 2 ** (int(element[1:]) - 1)
        return -limit if op == "max" else limit - 1
    return _NEUTRAL[op]


class _Emitter:
    """Prints one kernel. ``out`` collects lines; ``label`` is the block being written, for phi nodes."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        elements = {access.element for access in kernel.loads} | {s.access.element for s in kernel.stores}
        elements |= {i.element for i in kernel.body} | {i.result for i in kernel.body}
        elements |= {r.element for r in kernel.reductions}
        wide = [_memory(element) for element in elements if element != "i1"] or ["i8"]
        scatters = any(store.position is not None for store in kernel.stores)
        lanes = native_lanes(*wide) if kernel.rank and not scatters else 1
        self.out = Emission(min(lanes, 16))
        self.out.name()  # the counter of names must exist before it is shared
        self.scalar = self.out.at_lanes(1)
        self.label = "entry"
        self.labels = 0
        self.bodies = 0

    # ---------------------------------------------------------------- frame

    def module(self) -> str:
        self._prologue()
        self._nest()
        self.out.line("ret i64 0")
        return "\n".join(
            [
                f"define i64 @kernel(ptr %slots, ptr %args) {KERNEL_ATTRIBUTES} {{",
                "entry:",
                *self.out.lines,
                "}",
                *sorted(self.out.declarations),
            ]
        )

    def _word(self, index: int, type_: str = "i64") -> str:
        return self.scalar.let(f"load {type_}, ptr {self.scalar.element('i64', '%args', str(index))}, align 8")

    def _prologue(self) -> None:
        kernel, s = self.kernel, self.scalar
        self.dims = [self._word(axis) for axis in range(kernel.rank)]
        self.pointers: list[str] = []
        self.strides: list[list[str]] = []
        for index in range(kernel.accesses):
            word = kernel.word_of_access(index)
            slot = s.element("ptr", "%slots", self._word(word))
            base = s.let(f"load ptr, ptr {slot}, align 8")
            self.pointers.append(s.element("i8", base, self._word(word + 1)))
            self.strides.append([self._word(word + 2 + axis) for axis in range(kernel.rank)])
        self.literals = [self._literal(i, element) for i, element in enumerate(kernel.literals)]

    def _literal(self, index: int, element: str) -> str:
        value = self._word(self.kernel.word_of_literal(index), _memory(element))
        if element == "i1":
            value = self.scalar.compare("ne", "i8", value, "0")
        return self.out.broadcast(element, value)

    # ---------------------------------------------------------------- loops

    def _block(self, name: str) -> None:
        self.out.label(name)
        self.label = name

    def _branch(self, name: str) -> None:
        self.out.line(f"br label %{name}")

    def _loop(
        self,
        start: str,
        stop: str,
        step: int,
        carried: list[tuple[str, str]],
        iteration: Callable[[str, list[str]], list[str]],
    ) -> list[str]:
        """``for index in range(start, stop, step)`` with loop-carried values ``(type, start)``; their final values."""
        self.labels += 1
        name = f"L{self.labels}"
        before = self.label
        any_ = self.scalar.let(f"icmp slt i64 {start}, {stop}")
        self.out.line(f"br i1 {any_}, label %{name}, label %{name}.done")
        self._block(name)
        place = len(self.out.lines)  # phi nodes go here, once the values of the next round are known
        index = f"%{name}.i"
        names = [f"%{name}.c{i}" for i in range(len(carried))]
        results = iteration(index, names)
        following = self.scalar.let(f"add nuw nsw i64 {index}, {step}")
        more = self.scalar.let(f"icmp slt i64 {following}, {stop}")
        self.out.line(f"br i1 {more}, label %{name}, label %{name}.done")
        latch = self.label
        phis = [f"  {index} = phi i64 [ {start}, %{before} ], [ {following}, %{latch} ]"]
        for (type_, first), carried_name, result in zip(carried, names, results):
            phis.append(f"  {carried_name} = phi {type_} [ {first}, %{before} ], [ {result}, %{latch} ]")
        self.out.lines[place:place] = phis
        self._block(f"{name}.done")
        return [
            self.out.let(f"phi {type_} [ {first}, %{before} ], [ {result}, %{latch} ]")
            for (type_, first), result in zip(carried, results)
        ]

    def _if(self, condition: str, carried: list[tuple[str, str]], then: Callable[[], list[str]]) -> list[str]:
        """``if condition: values = then()``; the values, or those given, afterwards."""
        self.labels += 1
        name = f"I{self.labels}"
        before = self.label
        self.out.line(f"br i1 {condition}, label %{name}, label %{name}.done")
        self._block(name)
        results = then()
        self._branch(f"{name}.done")
        latch = self.label
        self._block(f"{name}.done")
        return [
            self.out.let(f"phi {type_} [ {first}, %{before} ], [ {result}, %{latch} ]")
            for (type_, first), result in zip(carried, results)
        ]

    # ---------------------------------------------------------------- the nest

    def _nest(self) -> None:
        kernel = self.kernel
        if kernel.rank == 0:
            self._point()
            return
        trailing = 0
        while trailing < kernel.rank and kernel.reduced[kernel.rank - 1 - trailing]:
            trailing += 1
        if not kernel.reductions:
            trailing = 0
        in_memory = kernel.reductions and any(kernel.reduced[: kernel.rank - trailing])
        if trailing:
            self._stacks()
        if in_memory:
            self._initialise()
        self._axes(0, self.pointers, kernel.rank - trailing, bool(in_memory))

    def _initialise(self) -> None:
        """Fill the results of reductions that add up in memory with the neutral element."""
        kernel = self.kernel
        first = len(kernel.loads) + len(kernel.stores)

        def axis_loop(axis: int, pointers: list[str]) -> None:
            if axis == kernel.rank:
                for reduction, pointer in zip(kernel.reductions, pointers):
                    value = literal(reduction.element, _neutral(reduction.op, reduction.element))
                    self._store_scalar(reduction.element, value, pointer)
                return
            if kernel.reduced[axis]:
                axis_loop(axis + 1, pointers)
                return

            def iteration(index: str, _: list[str]) -> list[str]:
                axis_loop(axis + 1, self._advanced(pointers, axis, index, first))
                return []

            self._loop("0", self.dims[axis], 1, [], iteration)

        axis_loop(0, self.pointers[first:])

    def _advanced(self, pointers: list[str], axis: int, index: str, first: int = 0) -> list[str]:
        """Pointers moved ``index`` steps along ``axis``."""
        moved = []
        for number, pointer in enumerate(pointers, first):
            distance = self.scalar.let(f"mul nsw i64 {index}, {self.strides[number][axis]}")
            moved.append(self.scalar.element("i8", pointer, distance))
        return moved

    def _axes(self, axis: int, pointers: list[str], kept: int, in_memory: bool) -> None:
        """Loops over axes ``axis`` and on; the first ``kept`` axes are outside the register reductions."""
        kernel = self.kernel
        if axis == kept and kept < kernel.rank:
            self._reduce(axis, pointers, in_memory)
        elif axis == kernel.rank - 1:
            self._inner_map(pointers, in_memory)
        else:

            def iteration(index: str, _: list[str]) -> list[str]:
                self._axes(axis + 1, self._advanced(pointers, axis, index), kept, in_memory)
                return []

            self._loop("0", self.dims[axis], 1, [], iteration)

    def _point(self) -> None:
        """A kernel without axes: scalars."""
        values = self._body(self.pointers, "0", "", self.scalar)
        for reduction, pointer in zip(self.kernel.reductions, self._reduction_pointers(self.pointers)):
            value = self._single(reduction, self._get(values, reduction.ref), self.scalar)
            self._store_scalar(reduction.element, value, pointer)

    def _single(self, reduction: Reduction, value: str, out: Emission) -> str:
        """A reduction over unit axes, which are gone: the value itself, but NumPy's sums start from +0.0."""
        if reduction.op != "sum" or reduction.element not in _FLOATS:
            return value
        return out.op("fadd", reduction.element, value, out.constant(reduction.element, 0.0))

    def _reduction_pointers(self, pointers: list[str]) -> list[str]:
        return pointers[len(self.kernel.loads) + len(self.kernel.stores) :]

    # ---------------------------------------------------------------- the innermost axis without register reductions

    def _inner_map(self, pointers: list[str], in_memory: bool) -> None:
        count, lanes = self.dims[-1], self.out.lanes
        hoisted = self._hoist(pointers)

        def vector(index: str, mask: str) -> None:
            values = self._body(pointers, index, mask, self.out, hoisted)
            for reduction, pointer in zip(self.kernel.reductions, self._reduction_pointers(pointers)):
                place = self.out.element(_memory(reduction.element), pointer, index)
                new = self._get(values, reduction.ref)
                if in_memory:
                    old = self._load_unit(reduction.element, place, mask)
                    new = self._combine(reduction.op, reduction.element, old, new)
                else:
                    new = self._single(reduction, new, self.out)
                self._store_unit(reduction.element, new, place, mask)

        def iteration(index: str, _: list[str]) -> list[str]:
            vector(index, "")
            return []

        full = self.scalar.let(f"and i64 {count}, {-lanes}")
        self._loop("0", full, lanes, [], iteration)
        if lanes == 1:
            return
        rest = self.scalar.let(f"sub i64 {count}, {full}")

        def tail() -> list[str]:
            vector(full, self.out.first_lanes(rest))
            return []

        self._if(self.scalar.let(f"icmp sgt i64 {rest}, 0"), [], tail)

    # ---------------------------------------------------------------- reductions in registers

    def _reduce(self, axis: int, pointers: list[str], in_memory: bool) -> None:
        """Reduce over axes ``axis`` and on, all of them reduced, and deliver the results."""
        kernel = self.kernel
        elements = [r.element for r in kernel.reductions]
        counter = [("i64", "0")]
        if axis == kernel.rank - 1:
            single = self._reduce_row(pointers, counter)
        else:

            def nest(level: int, at: list[str], state: list[tuple[str, str]]) -> list[str]:
                if level == kernel.rank - 1:
                    return self._reduce_row(at, state)

                def iteration(index: str, names: list[str]) -> list[str]:
                    return nest(level + 1, self._advanced(at, level, index), [("i64", names[0])])

                return self._loop("0", self.dims[level], 1, state, iteration)

            single = nest(axis, pointers, counter)
        totals = [self._pop(i, single[0]) for i in range(len(elements))]
        for reduction, pointer, total in zip(kernel.reductions, self._reduction_pointers(pointers), totals):
            if in_memory:
                old = self._load_scalar(reduction.element, pointer)
                total = self._combine(reduction.op, reduction.element, old, total, self.scalar)
            self._store_scalar(reduction.element, total, pointer)

    def _stacks(self) -> None:
        """One stack of partial results for each reduction, in the entry block."""
        self.stacks = [f"%stack{i}" for i in range(len(self.kernel.reductions))]
        lines = [
            f"  {stack} = alloca [64 x {_memory(r.element)}], align 64"
            for stack, r in zip(self.stacks, self.kernel.reductions)
        ]
        self.out.lines.extend(lines)

    def _reduce_row(self, pointers: list[str], state: list[tuple[str, str]]) -> list[str]:
        """Cut the innermost axis into blocks; push each block's result. The counter afterwards."""
        count, lanes = self.dims[-1], self.out.lanes
        hoisted = self._hoist(pointers)
        size = BLOCK_VECTORS * lanes

        def block(start: str, names: list[str]) -> list[str]:
            limit = self.scalar.let(f"add i64 {start}, {size}")
            stop = self.scalar.let(f"call i64 @llvm.smin.i64(i64 {limit}, i64 {count})")
            self.out.declare("declare i64 @llvm.smin.i64(i64, i64)")
            partial = self._reduce_block(pointers, hoisted, start, stop)
            return [self._push(partial, names[0])]

        return self._loop("0", count, size, state, block)

    def _reduce_block(self, pointers: list[str], hoisted: dict, start: str, stop: str) -> list[str]:
        """The horizontal results of the elements ``start`` to ``stop``."""
        kernel, out, lanes = self.kernel, self.out, self.out.lanes
        kinds = [out.type(r.element) for r in kernel.reductions]
        neutral = [
            out.constant(r.element, _neutral(r.op, r.element))
            if lanes > 1
            else literal(r.element, _neutral(r.op, r.element))
            for r in kernel.reductions
        ]
        unroll = UNROLL if len(kernel.reductions) <= 2 and len(kernel.body) <= 12 else 1

        def add(index: str, mask: str, sums: list[str]) -> list[str]:
            values = self._body(pointers, index, mask, out, hoisted)
            results = []
            for reduction, total, zero in zip(kernel.reductions, sums, neutral):
                term = self._get(values, reduction.ref)
                if mask:
                    term = out.select(reduction.element, mask, term, zero)
                results.append(self._combine(reduction.op, reduction.element, total, term))
            return results

        length = self.scalar.let(f"sub i64 {stop}, {start}")

        def several(index: str, sums: list[str]) -> list[str]:
            width = len(kinds)
            results = []
            for part in range(unroll):
                at = self.scalar.let(f"add nsw i64 {index}, {part * lanes}") if part else index
                results += add(at, "", sums[part * width : (part + 1) * width])
            return results

        bulk = self.scalar.let(f"and i64 {length}, {-lanes * unroll}")
        middle = self.scalar.let(f"add nsw i64 {start}, {bulk}")
        sums = self._loop(start, middle, lanes * unroll, list(zip(kinds * unroll, neutral * unroll)), several)
        sums = self._fold(sums, unroll)
        if unroll > 1:
            whole = self.scalar.let(f"and i64 {length}, {-lanes}")
            end = self.scalar.let(f"add nsw i64 {start}, {whole}")
            sums = self._loop(middle, end, lanes, list(zip(kinds, sums)), lambda index, s: add(index, "", s))
        else:
            end = middle
        if lanes > 1:
            rest = self.scalar.let(f"sub i64 {stop}, {end}")
            sums = self._if(
                self.scalar.let(f"icmp sgt i64 {rest}, 0"),
                list(zip(kinds, sums)),
                lambda: add(end, out.first_lanes(rest), sums),
            )
        return [self._across(r.op, r.element, total) for r, total in zip(kernel.reductions, sums)]

    def _fold(self, sums: list[str], unroll: int) -> list[str]:
        """Combine the unrolled partial results pairwise."""
        width = len(self.kernel.reductions)
        while unroll > 1:
            half = unroll // 2
            sums = [
                self._combine(r.op, r.element, sums[part * width + i], sums[(part + half) * width + i])
                for part in range(half)
                for i, r in enumerate(self.kernel.reductions)
            ]
            unroll = half
        return sums

    def _across(self, op: str, element: str, vector: str) -> str:
        """The lanes of a vector combined pairwise to a scalar."""
        body = self.out
        while body.lanes > 1:
            half = body.at_lanes(body.lanes // 2)
            kind = body.type(element)
            halves = []
            for start in (0, half.lanes):
                if half.lanes == 1:
                    halves.append(body.lane(element, vector, start))
                else:
                    order = ", ".join(f"i32 {start + i}" for i in range(half.lanes))
                    halves.append(
                        body.let(f"shufflevector {kind} {vector}, {kind} poison, <{half.lanes} x i32> <{order}>")
                    )
            vector = self._combine(op, element, halves[0], halves[1], half)
            body = half
        return vector

    def _push(self, partial: list[str], counter: str) -> str:
        """Add a block's results to the stacks as a binary counter adds one: equal sizes are combined."""
        s = self.scalar
        height = s.let(f"call i64 @llvm.ctpop.i64(i64 {counter})")
        self.out.declare("declare i64 @llvm.ctpop.i64(i64)")
        carries = s.let(f"call i64 @llvm.cttz.i64(i64 {s.let(f'xor i64 {counter}, -1')}, i1 false)")
        self.out.declare("declare i64 @llvm.cttz.i64(i64, i1)")
        kinds = [r.element for r in self.kernel.reductions]

        def carry(index: str, totals: list[str]) -> list[str]:
            top = s.let(f"sub i64 {s.let(f'sub i64 {height}, 1')}, {index}")
            results = []
            for i, reduction in enumerate(self.kernel.reductions):
                below = self._load_scalar(reduction.element, s.element(_memory(kinds[i]), self.stacks[i], top))
                results.append(self._combine(reduction.op, reduction.element, below, totals[i], s))
            return results

        totals = self._loop("0", carries, 1, list(zip(kinds, partial)), carry)
        place = s.let(f"sub i64 {height}, {carries}")
        for i, total in enumerate(totals):
            self._store_scalar(kinds[i], total, s.element(_memory(kinds[i]), self.stacks[i], place))
        return s.let(f"add i64 {counter}, 1")

    def _pop(self, index: int, counter: str) -> str:
        """The combination of all entries of a stack, top first; neutral where nothing was pushed."""
        s, reduction = self.scalar, self.kernel.reductions[index]
        element = reduction.element
        height = s.let(f"call i64 @llvm.ctpop.i64(i64 {counter})")
        last = s.let(f"sub i64 {height}, 1")

        def combine(step: str, totals: list[str]) -> list[str]:
            at = s.element(_memory(element), self.stacks[index], s.let(f"sub i64 {last}, {step}"))
            return [self._combine(reduction.op, element, self._load_scalar(element, at), totals[0], s)]

        def take() -> list[str]:
            top = self._load_scalar(element, s.element(_memory(element), self.stacks[index], last))
            return self._loop("1", height, 1, [(element, top)], combine)

        neutral = literal(element, _neutral(reduction.op, element))
        return self._if(s.let(f"icmp sgt i64 {height}, 0"), [(element, neutral)], take)[0]

    def _combine(self, op: str, element: str, x: str, y: str, body: Emission | None = None) -> str:
        body = body or self.out
        if element == "i1":
            return body.op("and" if op == "all" else "or", "i1", x, y)
        floating = element in ("double", "float")
        if op == "sum":
            return body.op("fadd" if floating else "add", element, x, y)
        if op == "prod":
            return body.op("fmul" if floating else "mul", element, x, y)
        if floating:
            return math(body, "maximum" if op == "max" else "minimum", element, [x, y])
        return body.intrinsic("llvm.smax" if op == "max" else "llvm.smin", element, x, y)

    # ---------------------------------------------------------------- memory

    def _load_scalar(self, element: str, pointer: str) -> str:
        value = self.scalar.load(_memory(element), pointer)
        return self.scalar.compare("ne", "i8", value, "0") if element == "i1" else value

    def _store_scalar(self, element: str, value: str, pointer: str) -> None:
        if element == "i1":
            value = self.scalar.convert("zext", "i1", value, "i8")
        self.scalar.store(_memory(element), value, pointer)

    def _load_unit(self, element: str, pointer: str, mask: str) -> str:
        value = self.out.load(_memory(element), pointer, mask)
        return (
            self.out.compare("ne", "i8", value, "zeroinitializer" if self.out.lanes > 1 else "0")
            if element == "i1"
            else value
        )

    def _store_unit(self, element: str, value: str, pointer: str, mask: str) -> None:
        if element == "i1":
            value = self.out.convert("zext", "i1", value, "i8")
        self.out.store(_memory(element), value, pointer, mask)

    def _hoist(self, pointers: list[str]) -> dict[int, str]:
        """Loads that are the same throughout the innermost axis, done once before it."""
        return {
            index: self.out.broadcast(access.element, self._load_scalar(access.element, pointers[index]))
            for index, access in enumerate(self.kernel.loads)
            if access.inner == "zero" and not access.pointer
        }

    def _lane_pointers(self, access_index: int, pointer: str, index: str) -> str:
        """Addresses of consecutive elements along an axis of any stride."""
        distances = self._lane_distances(access_index, index)
        return self.out.let(f"getelementptr i8, ptr {pointer}, {self.out.type('i64')} {distances}")

    def _lane_distances(self, access_index: int, index: str) -> str:
        out = self.out
        stride = out.broadcast("i64", self.strides[access_index][-1])
        first = out.broadcast("i64", index)
        numbers = ", ".join(f"i64 {i}" for i in range(out.lanes))
        positions = out.op("add", "i64", first, f"<{numbers}>")
        return out.op("mul", "i64", positions, stride)

    def _gather(self, access_index: int, access: Access, pointer: str, index: str, mask: str) -> str:
        out = self.out
        if out.lanes == 1:
            distance = out.op("mul", "i64", index, self.strides[access_index][-1])
            return self._load_scalar(access.element, out.element("i8", pointer, distance))
        return self._gather_from(access, self._lane_pointers(access_index, pointer, index), mask)

    def _gather_from(self, access: Access, pointers: str, mask: str) -> str:
        out, memory = self.out, _memory(access.element)
        kind, flags = out.type(memory), out.type("i1")
        name = f"llvm.masked.gather.{out.suffix(memory)}.v{out.lanes}p0"
        out.declare(f"declare {kind} @{name}(<{out.lanes} x ptr>, {flags}, {kind})")
        given = mask or "splat (i1 true)"
        filler = out.constant(memory, 1)
        value = out.let(
            f"call {kind} @{name}(<{out.lanes} x ptr> align 1 {pointers}, {flags} {given}, {kind} {filler})"
        )
        return out.compare("ne", "i8", value, "zeroinitializer") if access.element == "i1" else value

    def _look_up(self, number: int, pointer: str, index: str, mask: str, position: str, out: Emission) -> str:
        """The element ``position`` elements away from where access ``number`` points at ``index``."""
        access = self.kernel.loads[number]
        memory = _memory(access.element)
        distances = out.op("mul", "i64", position, out.constant("i64", ELEMENT_BYTES[memory]))
        if out.lanes == 1:
            place = out.element("i8", pointer, distances)
            if self.kernel.rank and access.inner != "zero":
                place = out.element("i8", place, out.op("mul", "i64", index, self.strides[number][-1]))
            return self._load_scalar(access.element, place)
        if access.inner != "zero":
            distances = out.op("add", "i64", distances, self._lane_distances(number, index))
        pointers = out.let(f"getelementptr i8, ptr {pointer}, {out.type('i64')} {distances}")
        return self._gather_from(access, pointers, mask)

    def _scatter(self, access_index: int, access: Access, pointer: str, index: str, mask: str, value: str) -> None:
        out, memory = self.out, _memory(access.element)
        if out.lanes == 1:
            distance = out.op("mul", "i64", index, self.strides[access_index][-1])
            self._store_scalar(access.element, value, out.element("i8", pointer, distance))
            return
        if access.element == "i1":
            value = out.convert("zext", "i1", value, "i8")
        pointers = self._lane_pointers(access_index, pointer, index)
        kind, flags = out.type(memory), out.type("i1")
        name = f"llvm.masked.scatter.{out.suffix(memory)}.v{out.lanes}p0"
        out.declare(f"declare void @{name}({kind}, <{out.lanes} x ptr>, {flags})")
        given = mask or "splat (i1 true)"
        out.line(f"call void @{name}({kind} {value}, <{out.lanes} x ptr> align 1 {pointers}, {flags} {given})")

    # ---------------------------------------------------------------- the body

    def _body(self, pointers: list[str], index: str, mask: str, out: Emission, hoisted: dict | None = None) -> dict:
        """Loads, instructions and stores at ``index``; what each Ref stands for."""
        kernel = self.kernel
        values: dict[Ref, str] = {Ref("literal", i): value for i, value in enumerate(self.literals)}
        for number, access in enumerate(kernel.loads):
            if access.pointer:
                continue
            values[Ref("load", number)] = self._load(number, access, pointers[number], index, mask, hoisted)
        for number, instruction in enumerate(kernel.body):
            if instruction.op == "gather":
                pointer, position = instruction.args[0].index, values[instruction.args[1]]
                values[Ref("value", number)] = self._look_up(pointer, pointers[pointer], index, mask, position, out)
                continue
            args = [values[ref] for ref in instruction.args]
            values[Ref("value", number)] = _instruction(out, instruction, args)
        for number, store in enumerate(kernel.stores, len(kernel.loads)):
            place = pointers[number]
            if store.position is not None:
                size = ELEMENT_BYTES[_memory(store.access.element)]
                place = out.element("i8", place, out.op("mul", "i64", values[store.position], str(size)))
            self._store(number, store.access, store.add, place, index, mask, values[store.ref])
        return values

    def _get(self, values: dict[Ref, str], ref: Ref) -> str:
        return values[ref]

    def _load(self, number: int, access: Access, pointer: str, index: str, mask: str, hoisted: dict | None) -> str:
        if self.kernel.rank == 0:
            return self._load_scalar(access.element, pointer)
        if access.inner == "zero":
            assert hoisted is not None
            return hoisted[number]
        if access.inner == "unit":
            return self._load_unit(access.element, self.out.element(_memory(access.element), pointer, index), mask)
        return self._gather(number, access, pointer, index, mask)

    def _store(self, number: int, access: Access, add: bool, pointer: str, index: str, mask: str, value: str) -> None:
        if self.kernel.rank == 0:
            if add:
                old = self._load_scalar(access.element, pointer)
                value = self._combine("sum", access.element, old, value, self.scalar)
            self._store_scalar(access.element, value, pointer)
        elif access.inner == "unit":
            place = self.out.element(_memory(access.element), pointer, index)
            if add:
                value = self._combine("sum", access.element, self._load_unit(access.element, place, mask), value)
            self._store_unit(access.element, value, place, mask)
        else:
            if add:
                old = self._gather(number, access, pointer, index, mask)
                value = self._combine("sum", access.element, old, value)
            self._scatter(number, access, pointer, index, mask, value)


# ---------------------------------------------------------------- single operations

_COMPARISONS = {
    "equal": ("oeq", "eq"),
    "not_equal": ("une", "ne"),
    "less": ("olt", "slt"),
    "less_equal": ("ole", "sle"),
    "greater": ("ogt", "sgt"),
    "greater_equal": ("oge", "sge"),
}
_INTEGER = {"add": "add", "subtract": "sub", "multiply": "mul"}
_BITS = {"and": "and", "or": "or", "xor": "xor"}
_FLOATS = ("double", "float")


def _instruction(out: Emission, instruction: Instruction, args: list[str]) -> str:
    op, element = instruction.op, instruction.element
    if op == "where":
        return out.select(element, *args)
    if op == "cast":
        return _cast(out, element, instruction.result, args[0])
    if op in _COMPARISONS:
        predicate = _COMPARISONS[op][element not in _FLOATS]
        if element == "i1":  # as a signed number, True would be -1
            predicate = predicate.replace("s", "u")
        return out.compare(predicate, element, *args)
    if op in _BITS:
        return out.op(_BITS[op], element, *args)
    if op == "not":
        return out.op("xor", "i1", args[0], out.constant("i1", 1))
    if op in ("isnan", "isinf", "isfinite"):
        return _predicate(out, op, element, args[0])
    if element in _FLOATS:
        return math(out, op, element, args)
    return _integer(out, op, element, args)


def _integer(out: Emission, op: str, element: str, args: list[str]) -> str:
    if op in _INTEGER:
        return out.op(_INTEGER[op], element, *args)
    if op == "square":
        return out.op("mul", element, args[0], args[0])
    if op == "negative":
        return out.op("sub", element, out.constant(element, 0), args[0])
    if op in ("mod", "floor_divide"):
        return _integer_division(out, op, element, *args)
    if op in ("maximum", "fmax"):
        return out.intrinsic("llvm.smax", element, *args)
    if op in ("minimum", "fmin"):
        return out.intrinsic("llvm.smin", element, *args)
    negated = out.op("sub", element, out.constant(element, 0), args[0])
    if op == "absolute":
        return out.intrinsic("llvm.smax", element, args[0], negated)
    assert op == "sign", op
    one, minus = out.constant(element, 1), out.constant(element, -1)
    return out.intrinsic("llvm.smax", element, out.intrinsic("llvm.smin", element, args[0], one), minus)


def _integer_division(out: Emission, op: str, element: str, x: str, y: str) -> str:
    """Rounded towards minus infinity, as Python's // and %; by zero both are 0, as in NumPy.

    The hardware traps on a division by zero and on that of the smallest integer by -1: these divide by 1 instead.
    """
    zero, one, minus = (out.constant(element, value) for value in (0, 1, -1))
    by_zero, by_minus = out.compare("eq", element, y, zero), out.compare("eq", element, y, minus)
    safe = out.select(element, out.op("or", "i1", by_zero, by_minus), one, y)
    quotient = out.op("sdiv", element, x, safe)
    rest = out.op("sub", element, x, out.op("mul", element, quotient, safe))
    negative = out.compare("slt", element, out.op("xor", element, rest, safe), zero)
    low = out.op("and", "i1", negative, out.compare("ne", element, rest, zero))
    if op == "mod":
        return out.select(element, low, out.op("add", element, rest, safe), rest)
    floored = out.select(element, low, out.op("sub", element, quotient, one), quotient)
    floored = out.select(element, by_minus, out.op("sub", element, zero, x), floored)
    return out.select(element, by_zero, zero, floored)


def _predicate(out: Emission, op: str, element: str, x: str) -> str:
    if op == "isnan":
        return out.compare("uno", element, x, x)
    size = math(out, "absolute", element, [x])
    return out.compare("oeq" if op == "isinf" else "olt", element, size, out.constant(element, float("inf")))


def _cast(out: Emission, source: str, target: str, value: str) -> str:
    if target == "i1":
        if source in _FLOATS:
            return out.compare("une", source, value, out.constant(source, 0.0))
        return out.compare("ne", source, value, out.constant(source, 0))
    if source == "i1":
        return out.convert("uitofp" if target in _FLOATS else "zext", "i1", value, target)
    if source in _FLOATS and target in _FLOATS:
        return out.convert("fpext" if target == "double" else "fptrunc", source, value, target)
    if target in _FLOATS:
        return out.convert("sitofp", source, value, target)
    if source in _FLOATS:
        return _to_integer(out, source, target, value)
    return out.convert("sext" if int(target[1:]) > int(source[1:]) else "trunc", source, value, target)


def _to_integer(out: Emission, source: str, target: str, value: str) -> str:
    """A float cast to an integer; NaN and what does not fit give the smallest integer, as hardware does for NumPy."""
    limit = 2.0 ** (int(target[1:]) - 1)
    low = out.compare("oge", source, value, out.constant(source, -limit))
    high = out.compare("olt", source, value, out.constant(source, limit))
    fits = out.op("and", "i1", low, high)
    safe = out.select(source, fits, value, out.constant(source, 0.0))
    return out.select(target, fits, out.convert("fptosi", source, safe, target), out.constant(target, -int(limit)))
