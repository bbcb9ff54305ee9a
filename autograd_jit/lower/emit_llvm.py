"""The loop form as LLVM IR: outer axes are scalar loops, the innermost one runs over vectors.

The innermost axis is cut into full vectors and one masked rest, both printed from the same body, so that an
element's value does not depend on its position; with windows also into what no window bounds and what is around it
(`llvm_windows.py`). A kernel has the uniform signature
``i64 kernel(ptr slots, ptr args)``: ``slots`` holds buffer addresses, ``args`` the block of integers that
:meth:`autograd_jit.lower.kernel.Launch.words` writes.

Sums over innermost axes are pairwise (`llvm_sums.py`). Where the reduced axes are not innermost, rows are added into
the result in memory, in order, as NumPy does.

A kernel may load what an earlier stage stored: no access is declared free of aliases, and a stage's loop over a row
is over before the next begins.
"""

from __future__ import annotations

from collections.abc import Callable

from ..kernels.llvm import ELEMENT_BYTES, KERNEL_ATTRIBUTES
from ..kernels.llvm import lanes as native_lanes
from ..kernels.vector_ir import Emission, literal
from .kernel import Kernel, Reduction, Ref, Stage
from .llvm_operations import FLOATS, combine, instruction, memory_type, neutral
from .llvm_sums import BLOCK_VECTORS, Sums

__all__ = ["block_elements", "emit"]

#: literals that a loop keeps in vector registers. Of more it keeps none: each becomes a memory operand of what uses it
#: (AVX-512 repeats it for all lanes at no cost), where a compiler would move them from register to register and stack
#: (sea water's equation of state: 127 instructions for 112 operations instead of 185, and 1.2 times as fast; so are
#: great-circle distances with their 14 literals and calls, which leave no register alone)
LITERALS_IN_REGISTERS = 12


def emit(kernel: Kernel) -> str:
    """The LLVM module of one kernel; its function is called ``kernel``."""
    return _Emitter(kernel).module()


def block_elements(kernel: Kernel) -> int:
    """Elements of a row that a reduction in registers takes together, before it adds blocks up as a tree."""
    return BLOCK_VECTORS * _lanes(kernel)


def _lanes(kernel: Kernel) -> int:
    """Elements that are handled at a time."""
    elements = {access.element for access in kernel.loads} | {s.access.element for s in kernel.stores}
    elements |= {i.element for i in kernel.body} | {i.result for i in kernel.body}
    elements |= {r.element for r in kernel.reductions}
    wide = [memory_type(element) for element in elements if element != "i1"] or ["i8"]
    scatters = any(store.position is not None for store in kernel.stores)
    return min(native_lanes(*wide), 16) if kernel.rank and not scatters else 1


class _Emitter(Sums):
    """Prints one kernel."""

    def __init__(self, kernel: Kernel) -> None:
        super().__init__(kernel, _lanes(kernel))

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

    def _prologue(self) -> None:
        kernel, s = self.kernel, self.scalar
        self.dims = [self._word(axis) for axis in range(kernel.rank)]
        self.pointers: list[str] = []
        for index in range(kernel.accesses):
            word = kernel.word_of_access(index)
            slot = s.element("ptr", "%slots", self._word(word))
            base = s.let(f"load ptr, ptr {slot}, align 8")
            self.pointers.append(s.element("i8", base, self._word(word + 1)))
            self.strides.append([self._word(word + 2 + axis) for axis in range(kernel.rank)])
        self.literals = [self._literal(i, element) for i, element in enumerate(kernel.literals)]
        in_memory = self.out.lanes > 1 and len(kernel.literals) > LITERALS_IN_REGISTERS
        self.vectors = {
            number: self.out.broadcast(element, scalar)
            for number, (element, scalar) in enumerate(zip(kernel.literals, self.literals))
            if element == "i1" or not in_memory
        }
        self._open_kernel()

    def _literal(self, index: int, element: str) -> str:
        value = self._word(self.kernel.word_of_literal(index), memory_type(element))
        return self.scalar.compare("ne", "i8", value, "0") if element == "i1" else value

    # ---------------------------------------------------------------- the nest

    def _nest(self) -> None:
        kernel = self.kernel
        if kernel.trailing:
            self._stacks()
        if kernel.adds_in_memory:
            self._initialise(0, self.pointers[len(kernel.loads) + len(kernel.stores) :])
        self._rows(0, self.pointers)

    def _initialise(self, axis: int, pointers: list[str]) -> None:
        """Fill the results of reductions that add up in memory with the neutral element."""
        kernel = self.kernel
        first = len(kernel.loads) + len(kernel.stores)
        if axis == kernel.rank:
            for reduction, pointer in zip(kernel.reductions, pointers):
                value = literal(reduction.element, neutral(reduction.op, reduction.element))
                self._store_scalar(reduction.element, value, pointer)
        elif kernel.reduced[axis]:
            self._initialise(axis + 1, pointers)
        else:

            def iteration(index: str, _: list[str]) -> list[str]:
                self._initialise(axis + 1, self._advanced(pointers, axis, index, first))
                return []

            self._loop("0", self.dims[axis], 1, [], iteration)

    def _loop_over(self, axis: int, pointers: list[str], inside: Callable[[int, list[str]], None]) -> None:
        def iteration(index: str, _: list[str]) -> list[str]:
            self.indices[axis] = index
            inside(axis + 1, self._advanced(pointers, axis, index))
            return []

        self._loop("0", self.dims[axis], 1, [], iteration)

    def _rows(self, axis: int, pointers: list[str]) -> None:
        """Loops over the axes outside of the stages, which run at every point of them."""
        kernel = self.kernel
        inner = max(kernel.trailing, 1 if kernel.rank else 0)
        if axis < kernel.rank - inner:
            self._loop_over(axis, pointers, self._rows)
            return
        self.row.clear()
        for stage in kernel.stages:
            if stage.row:
                self._row(stage, pointers)
            elif stage.reductions and kernel.trailing:
                self._reduce(stage, axis, pointers)
            elif kernel.rank:
                self._map(stage, axis, pointers)
            else:
                self._point(stage, pointers)

    def _row(self, stage: Stage, pointers: list[str]) -> None:
        """What is done once a row, on scalars."""
        kernel = self.kernel
        values = self._literals(self.scalar) | self.row
        for i in stage.loads:
            values[Ref("load", i)] = self._load_scalar(kernel.loads[i].element, pointers[i])
        for number, what in enumerate(stage.body, kernel.first_instruction(stage)):
            ref = Ref("value", number)
            values[ref] = self.row[ref] = instruction(
                self.scalar, what, [values[ref] for ref in what.args], precise=kernel.precise
            )
        for number, store in enumerate(stage.stores, kernel.first_store(stage)):
            self._store_scalar(store.access.element, values[store.ref], pointers[number])

    def _point(self, stage: Stage, pointers: list[str]) -> None:
        """A kernel without axes: scalars."""
        values = self._body(stage, pointers, "0", "", {})
        for reduction, pointer in self._results(stage, pointers):
            value = self._single(reduction, values[reduction.ref], self.scalar)
            self._store_scalar(reduction.element, value, pointer)

    def _single(self, reduction: Reduction, value: str, out: Emission) -> str:
        """A reduction over unit axes, which are gone: the value itself, but NumPy's sums start from +0.0."""
        if reduction.op != "sum" or reduction.element not in FLOATS:
            return value
        return out.op("fadd", reduction.element, value, out.constant(reduction.element, 0.0))

    def _results(self, stage: Stage, pointers: list[str]) -> list[tuple[Reduction, str]]:
        first = len(self.kernel.loads) + len(self.kernel.stores) + self.kernel.first_reduction(stage)
        return list(zip(stage.reductions, pointers[first:]))

    def _reduce(self, stage: Stage, axis: int, pointers: list[str]) -> None:
        """Reduce over ``axis`` and all that follow, and deliver the totals."""
        totals = self._totals(stage, axis, pointers)
        first = self.kernel.first_reduction(stage)
        for number, (total, (reduction, pointer)) in enumerate(zip(totals, self._results(stage, pointers)), first):
            if self.kernel.adds_in_memory:
                old = self._load_scalar(reduction.element, pointer)
                total = combine(self.scalar, reduction.op, reduction.element, old, total)
            self._store_scalar(reduction.element, total, pointer)
            self.row[Ref("total", number)] = total

    # ---------------------------------------------------------------- the innermost axis without register reductions

    def _map(self, stage: Stage, axis: int, pointers: list[str]) -> None:
        if axis < self.kernel.rank - 1:
            self._loop_over(axis, pointers, lambda following, moved: self._map(stage, following, moved))
        else:
            self._inner_map(stage, pointers)

    def _inner_map(self, stage: Stage, pointers: list[str]) -> None:
        count, lanes = self.dims[-1], self.out.lanes
        hoisted = self._hoist(stage, pointers)

        def rest_of(index: str) -> str:
            return self.out.first_lanes(self.scalar.op("sub", "i64", count, index))

        def vector(index: str, mask: str) -> list[str]:
            values = self._body(stage, pointers, index, mask, hoisted)
            for reduction, pointer in self._results(stage, pointers):
                place = self.out.element(memory_type(reduction.element), pointer, index)
                self._add_to_row(reduction, place, mask, values)
            return []

        def plain(index: str, _: list[str]) -> list[str]:
            return vector(index, "")

        if lanes > 1 and self.kernel.windows_of(stage):
            self._around_box("0", count, lanes, [], lambda index, _: vector(index, rest_of(index)), plain)
            return
        full = self.scalar.let(f"and i64 {count}, {-lanes}")
        self._loop("0", full, lanes, [], plain)
        if lanes > 1:
            rest = self.scalar.let(f"sub i64 {count}, {full}")
            self._if(self.scalar.let(f"icmp sgt i64 {rest}, 0"), [], lambda: vector(full, self.out.first_lanes(rest)))

    def _add_to_row(self, reduction: Reduction, place: str, mask: str, values: dict[Ref, str]) -> None:
        """Results that are rows in memory: the innermost axis is kept."""
        new = values[reduction.ref]
        if self.kernel.adds_in_memory:
            old = self._load_unit(reduction.element, place, mask)
            new = combine(self.out, reduction.op, reduction.element, old, new)
        else:
            new = self._single(reduction, new, self.out)
        self._store_unit(reduction.element, new, place, mask)

    # ---------------------------------------------------------------- the body

    def _body(
        self, stage: Stage, pointers: list[str], index: str, mask: str, hoisted: dict[Ref, str]
    ) -> dict[Ref, str]:
        """Loads, instructions and stores at ``index``; what each Ref stands for."""
        values = self._literals(self.out) | hoisted
        inside = self._insides(stage, index)
        values |= {Ref("window", window): flags for window, flags in inside.items()}
        for number in stage.loads:
            if Ref("load", number) not in values and not self.kernel.loads[number].pointer:
                values[Ref("load", number)] = self._load(number, pointers[number], index, mask, inside)
        for number, what in enumerate(stage.body, self.kernel.first_instruction(stage)):
            if what.op == "gather":
                base, position = what.args[0].index, self._operand(values, what.args[1])
                values[Ref("value", number)] = self._look_up(base, pointers[base], index, mask, position, self.out)
            elif self.is_plain and what.op == "where" and what.args[0].kind == "window":
                chosen = what.args[1 if self._is_usual(what.args[0].index) else 2]
                values[Ref("value", number)] = self._operand(values, chosen)
            else:
                args = [self._operand(values, ref) for ref in what.args]
                values[Ref("value", number)] = instruction(self.out, what, args, precise=self.kernel.precise)
        for ref in [*[store.ref for store in stage.stores], *[r.ref for r in stage.reductions]]:
            self._operand(values, ref)
        for number, store in enumerate(stage.stores, self.kernel.first_store(stage)):
            place = pointers[number]
            if store.position is not None:
                size = ELEMENT_BYTES[memory_type(store.access.element)]
                place = self.out.element("i8", place, self.out.op("mul", "i64", values[store.position], str(size)))
            self._store(number, store.access, store.add, place, index, mask, values[store.ref])
        return values

    def _literals(self, out: Emission) -> dict[Ref, str]:
        """The literals that stay in registers."""
        texts = self.vectors if out.lanes > 1 else dict(enumerate(self.literals))
        return {Ref("literal", number): text for number, text in texts.items()}

    def _operand(self, values: dict[Ref, str], ref: Ref) -> str:
        """What a Ref stands for; a literal that has no register is read where it is first used."""
        if ref.kind == "literal" and ref not in values:
            element = self.kernel.literals[ref.index]
            values[ref] = self.out.broadcast(element, self._word(self.kernel.word_of_literal(ref.index), element))
        return values[ref]
