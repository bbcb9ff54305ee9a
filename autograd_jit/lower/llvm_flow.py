"""Control flow as LLVM IR: loops and conditions with the phi nodes that carry values through them."""

from __future__ import annotations

from collections.abc import Callable

from ..kernels.vector_ir import Emission

__all__ = ["Flow"]


class Flow:
    """Prints one function. ``out`` collects lines; ``label`` is the block being written, for phi nodes."""

    def __init__(self, lanes: int) -> None:
        self.out = Emission(lanes)
        self.out.name()  # the counter of names must exist before it is shared
        self.scalar = self.out.at_lanes(1)
        self.label = "entry"
        self.labels = 0

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
