"""What ``jitted.kernels(*args)`` returns: the kernels of one program, as text and one by one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..records import record
from . import emit_llvm, emit_python
from .compile import CompiledKernel
from .graph import Call, Check, Gemm, Node, RowsEnd, RowsStart
from .kernel import Launch

if TYPE_CHECKING:
    from .program import Program, Stages

__all__ = ["KernelEntry", "KernelListing"]

#: launches of one kernel, and steps of the schedule, that are shown one by one
MOST_SHOWN = 40


@record(frozen=True)
class KernelEntry:
    """One distinct kernel of a program and its launches. Prints its figures and its Python source."""

    name: str
    compiled: CompiledKernel
    launches: tuple[Launch, ...]

    @property
    def source(self) -> str:
        """The kernel as Python that Numba compiles."""
        return emit_python.emit(self.compiled.kernel, self.name)

    @property
    def llvm(self) -> str:
        """The kernel as LLVM IR."""
        return emit_llvm.emit(self.compiled.kernel)

    @property
    def dims(self) -> list[tuple[int, ...]]:
        """The lengths of the axes in each launch, neighbouring axes merged."""
        return [launch.dims for launch in self.launches]

    def __str__(self) -> str:
        count = len(self.launches)
        sizes = ", ".join(["x".join(map(str, dims)) or "one element" for dims in self.dims[:MOST_SHOWN]])
        more = ", ..." if count > MOST_SHOWN else ""
        compiled = self.compiled
        how = "loaded from disk" if compiled.origin == "disk" else f"compiled by {compiled.compiler}"
        return (
            f"# {self.name}: {_counted(count, 'launch', 'launches')} over {sizes}{more}; "
            f"{how} in {compiled.seconds * 1e3:.1f} ms\n{self.source}"
        )


class KernelListing:
    """The distinct kernels of a program, in the order of their first launch.

    ``str()`` shows each kernel's source and the schedule: kernels, calls of BLAS, guards and Python steps in the order
    in which they run. Iterating gives a :class:`KernelEntry` each; ``sources`` and ``llvm`` are lists of texts,
    ``schedule`` a list of lines and ``groups``, as long, the operations that each of its steps is made of; ``program``
    is what all of it belongs to.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        stages = program.stages
        launches: dict[int, list[Launch]] = {}
        compiled: dict[int, CompiledKernel] = {}
        made = iter(program.kernels)
        for launch in stages.launches:
            if launch is not None:
                kernel = next(made)
                compiled[id(kernel)] = kernel
                launches.setdefault(id(kernel), []).append(launch)
        self.entries = [
            KernelEntry(f"kernel{number}", compiled[key], tuple(launches[key])) for number, key in enumerate(launches)
        ]
        self.schedule = self._schedule(stages)
        self.groups = stages.groups

    def _schedule(self, stages: Stages) -> list[str]:
        names = {id(launch): entry.name for entry in self.entries for launch in entry.launches}
        return [
            f"{names[id(launch)]} over {'x'.join(map(str, launch.dims)) or 'one element'}"
            if launch is not None
            else _alone(group.nodes[0])
            for group, launch in zip(stages.groups, stages.launches, strict=True)
        ]

    @property
    def sources(self) -> list[str]:
        return [entry.source for entry in self.entries]

    @property
    def llvm(self) -> list[str]:
        return [entry.llvm for entry in self.entries]

    def __iter__(self) -> Iterator[KernelEntry]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, position: int) -> KernelEntry:
        return self.entries[position]

    def __str__(self) -> str:
        steps = [f"    {line}" for line in _abridged(_repeated(self.schedule))]
        kernels = _counted(len(self.entries), "kernel", "kernels")
        head = f"# {kernels}; {_counted(len(self.schedule), 'step', 'steps')} in this order:"
        return "\n".join([*[f"{entry}" for entry in self.entries], head, *[f"#{line[1:]}" for line in steps]])

    __repr__ = __str__


def _alone(node: Node) -> str:
    """What a step is that is no kernel of ours."""
    if isinstance(node, Check):
        return f"{node.guard}" + (f"  ({node.guard.line})" if node.guard.line else "")
    if isinstance(node, Gemm):
        (batch, rows, inner), columns = node.left.shape, node.right.shape[2]
        routine = "dgemm" if node.out.dtype.itemsize == 8 else "sgemm"
        return f"BLAS {routine}, {batch} times {rows}x{inner} @ {inner}x{columns}"
    if isinstance(node, Call):
        return f"{node.routine} over {', '.join(['x'.join(map(str, view.shape)) for view in node.args])}"
    if isinstance(node, RowsStart):
        return f"for each of {node.count} rows:"
    if isinstance(node, RowsEnd):
        return f"the next of {node.start.count} rows"
    return f"Python step: {node}"


def _repeated(lines: list[str]) -> list[str]:
    """Equal neighbours as one line."""
    shown: list[tuple[str, int]] = []
    for line in lines:
        if shown and shown[-1][0] == line:
            shown[-1] = (line, shown[-1][1] + 1)
        else:
            shown.append((line, 1))
    return [line if count == 1 else f"{line}, {count} times" for line, count in shown]


def _abridged(lines: list[str]) -> list[str]:
    if len(lines) <= MOST_SHOWN:
        return lines
    return [*lines[: MOST_SHOWN - 1], f"... and {len(lines) - MOST_SHOWN + 1} more"]


def _counted(count: int, one: str, several: str) -> str:
    return f"{count} {one if count == 1 else several}"
