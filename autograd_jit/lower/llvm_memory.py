"""Memory as LLVM IR: the elements that a kernel's accesses stand for, consecutive, strided or looked up."""

from __future__ import annotations

from ..kernels import cpu
from ..kernels.llvm import ELEMENT_BYTES
from ..kernels.vector_ir import Emission, literal
from .kernel import Access, Kernel, Ref, Stage
from .llvm_operations import combine, memory_type
from .llvm_windows import Windows

__all__ = ["Memory"]


class Memory(Windows):
    """Loads and stores."""

    def __init__(self, kernel: Kernel, lanes: int) -> None:
        super().__init__(kernel, lanes)
        self.strides: list[list[str]] = []
        #: what is the same throughout a row: values of row stages and totals, as scalars
        self.row: dict[Ref, str] = {}

    # ---------------------------------------------------------------- single elements, vectors

    def _load_scalar(self, element: str, pointer: str) -> str:
        value = self.scalar.load(memory_type(element), pointer)
        return self.scalar.compare("ne", "i8", value, "0") if element == "i1" else value

    def _store_scalar(self, element: str, value: str, pointer: str) -> None:
        if element == "i1":
            value = self.scalar.convert("zext", "i1", value, "i8")
        self.scalar.store(memory_type(element), value, pointer)

    def _load_unit(self, element: str, pointer: str, mask: str) -> str:
        value = self.out.load(memory_type(element), pointer, mask)
        return (
            self.out.compare("ne", "i8", value, "zeroinitializer" if self.out.lanes > 1 else "0")
            if element == "i1"
            else value
        )

    def _store_unit(self, element: str, value: str, pointer: str, mask: str) -> None:
        if element == "i1":
            value = self.out.convert("zext", "i1", value, "i8")
        self.out.store(memory_type(element), value, pointer, mask)

    # ---------------------------------------------------------------- before the innermost loop

    def _hoist(self, stage: Stage, pointers: list[str]) -> dict[Ref, str]:
        """What is the same throughout the innermost axis: loads that do not move, results of earlier stages."""
        self._open_windows(stage)
        elements = self.kernel.row_elements
        hoisted = {ref: self.out.broadcast(elements[ref], self.row[ref]) for ref in stage.refs if ref in self.row}
        for index in stage.loads:
            access = self.kernel.loads[index]
            if access.inner == "zero" and not access.pointer:
                value = self._load_if_inside(access, pointers[index])
                hoisted[Ref("load", index)] = self.out.broadcast(access.element, value)
        return hoisted

    def _load_if_inside(self, access: Access, pointer: str) -> str:
        if access.window < 0:
            return self._load_scalar(access.element, pointer)
        filler = [(access.element, literal(access.element, 1))]
        return self._if(self._meets(access.window), filler, lambda: [self._load_scalar(access.element, pointer)])[0]

    # ---------------------------------------------------------------- accesses of any kind

    def _advanced(self, pointers: list[str], axis: int, index: str, first: int = 0) -> list[str]:
        """Pointers moved ``index`` steps along ``axis``; the first of them is of access ``first``."""
        moved = []
        for number, pointer in enumerate(pointers, first):
            distance = self.scalar.let(f"mul nsw i64 {index}, {self.strides[number][axis]}")
            moved.append(self.scalar.element("i8", pointer, distance))
        return moved

    def _load(self, number: int, pointer: str, index: str, mask: str, inside: dict[int, str]) -> str:
        """The elements of an access that changes along the innermost axis."""
        access = self.kernel.loads[number]
        if access.window >= 0 and self.is_plain:
            if not self._is_usual(access.window):
                return self.out.constant(access.element, 1)
        elif access.window >= 0:
            mask = self._both(mask, access.window, inside[access.window])
        if self.kernel.rank == 0:
            return self._load_scalar(access.element, pointer)
        if mask and self.out.lanes == 1:  # one element: there is nothing to mask but the load itself
            filler = [(access.element, literal(access.element, 1))]
            return self._if(mask, filler, lambda: [self._load_any(number, access, pointer, index, "")])[0]
        return self._load_any(number, access, pointer, index, mask)

    def _both(self, mask: str, window: int, inside: str) -> str:
        """Lanes of the row that lie in a window. One that bounds the row's axis ends no later than the row."""
        if mask and window not in self.distances:
            return self.out.op("and", "i1", mask, inside)
        return inside

    def _load_any(self, number: int, access: Access, pointer: str, index: str, mask: str) -> str:
        if access.inner == "unit":
            return self._load_unit(access.element, self.out.element(memory_type(access.element), pointer, index), mask)
        if access.inner == "pair" and not mask and self.out.lanes > 1:
            return self._load_pairs(access.element, pointer, index)
        return self._gather(number, access, pointer, index, mask)

    def _store(self, number: int, access: Access, add: bool, pointer: str, index: str, mask: str, value: str) -> None:
        if self.kernel.rank == 0:
            if add:
                old = self._load_scalar(access.element, pointer)
                value = combine(self.scalar, "sum", access.element, old, value)
            self._store_scalar(access.element, value, pointer)
        elif access.inner == "unit":
            place = self.out.element(memory_type(access.element), pointer, index)
            if add:
                value = combine(self.out, "sum", access.element, self._load_unit(access.element, place, mask), value)
            self._store_unit(access.element, value, place, mask)
        else:
            if add:
                old = self._load_any(number, access, pointer, index, mask)
                value = combine(self.out, "sum", access.element, old, value)
            if access.inner == "pair" and not mask and self.out.lanes > 1 and cpu.vector_bytes() == 64:
                self._store_pairs(access.element, value, pointer, index)
            else:
                self._scatter(number, access, pointer, index, mask, value)

    # ---------------------------------------------------------------- every other element

    def _every_other(self) -> tuple[Emission, str]:
        """Vectors of twice as many lanes, and the mask of the even ones: what lies between is nobody's here, and after
        the last element there may be no memory."""
        wide = self.out.at_lanes(2 * self.out.lanes)
        return wide, f"<{', '.join(['i1 true, i1 false'] * self.out.lanes)}>"

    def _load_pairs(self, element: str, pointer: str, index: str) -> str:
        """As a gather does: two loads and a shuffle, where that takes an instruction for each lane."""
        wide, even = self._every_other()
        both = wide.load(element, self.out.element(element, pointer, self.scalar.let(f"shl i64 {index}, 1")), even)
        order = ", ".join([f"i32 {2 * lane}" for lane in range(self.out.lanes)])
        kind = wide.type(element)
        return self.out.let(f"shufflevector {kind} {both}, {kind} poison, <{self.out.lanes} x i32> <{order}>")

    def _store_pairs(self, element: str, value: str, pointer: str, index: str) -> None:
        """As a scatter does. Of shorter vectors stores under a mask are slow on some processors."""
        wide, even = self._every_other()
        order = ", ".join([f"i32 {lane}, i32 poison" for lane in range(self.out.lanes)])
        kind = self.out.type(element)
        spread = self.out.let(f"shufflevector {kind} {value}, {kind} poison, <{wide.lanes} x i32> <{order}>")
        wide.store(element, spread, self.out.element(element, pointer, self.scalar.let(f"shl i64 {index}, 1")), even)

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
        out, memory = self.out, memory_type(access.element)
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
        memory = memory_type(access.element)
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
        out, memory = self.out, memory_type(access.element)
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
