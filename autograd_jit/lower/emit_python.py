"""The loop form as Python: what ``jitted.kernels(*args)`` shows, and what Numba compiles where LLVM IR is not used.

The kernel of ``np.sum(np.exp(-x) * 0.5, axis=-1)`` reads

    def kernel(x0, out0, c0, n0, n1, x0_s0, out0_s0):
        # float64 x0, out0, c0
        stack0 = np.zeros(64, np.float64)
        for i in range(n0):
            blocks = 0
            for start in range(0, n1, 32):
                total0 = 0.0
                for j in range(start, min(start + 32, n1)):
                    total0 += math.exp(-x0[i * x0_s0 + j]) * c0
                push(stack0, blocks, total0)
                blocks += 1
            out0[i * out0_s0] = pop(stack0, blocks)

``x0``... are what it loads, ``out0``... what it stores and then what it reduces to: memory from the first element on,
bools as bytes. ``c0``... are constants, ``n0``... the lengths of the axes, ``x0_s0`` is the distance, in elements, of
neighbours of ``x0`` along axis 0. ``w0`` says whether the current element lies in a window, which begins at
``w0_first0`` along axis 0 and ends before ``w0_stop0``: outside, some loads would leave their buffers. Functions that
are not in :mod:`math` are those of :mod:`autograd_jit.kernels.scalar_math` and of ``scipy.special``. A kernel loads
what it stores only where a loop that is over has stored it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

from . import python_expressions
from .kernel import Instruction, Kernel, Reduction, Ref, Stage, Store
from .python_expressions import ATOM, CHOICE, COMPARE, DTYPE, FLOATS, NAMES_TWICE, OR, PRODUCT, SUM, Text

__all__ = ["BLOCK", "Parameter", "Printer", "emit", "parameters"]

#: terms that a sum adds one after the other, as in the LLVM form
BLOCK: Final = 32
#: an expression that is longer gets a name
LONGEST_INLINE: Final = 60

_AXES: Final = "ijkmpq"


class Parameter(NamedTuple):
    """One parameter of a printed kernel: what it is called and what it stands for.

    ``kind``: "pointer" (of access ``number``), "literal", "dim" (of axis ``number``), "stride" (of access ``number``
    along ``axis``), "first" or "stop" (of window ``number`` along ``axis``). Accesses count loads, then stores, then
    reductions.
    """

    name: str
    kind: str
    number: int
    element: str = "i64"
    axis: int = -1


def parameters(kernel: Kernel) -> list[Parameter]:
    """The parameters of a printed kernel, in order."""
    names, elements = _access_names(kernel), _access_elements(kernel)
    found = [Parameter(names[i], "pointer", i, element) for i, element in enumerate(elements)]
    found += [Parameter(f"c{i}", "literal", i, element) for i, element in enumerate(kernel.literals)]
    found += [Parameter(f"n{axis}", "dim", axis) for axis in range(kernel.rank)]
    for index, name in enumerate(names):
        for axis in range(kernel.rank):
            if _has_stride(kernel, index, axis):
                found.append(Parameter(f"{name}_s{axis}", "stride", index, elements[index], axis))
    for index, bounded in enumerate(kernel.windows):
        for axis in [axis for axis, bounds in enumerate(bounded) if bounds]:
            found.append(Parameter(f"w{index}_first{axis}", "first", index, axis=axis))
            found.append(Parameter(f"w{index}_stop{axis}", "stop", index, axis=axis))
    return found


def emit(kernel: Kernel, name: str = "kernel") -> str:
    """The source of one kernel."""
    return Printer(kernel).function(name)


def _access_names(kernel: Kernel) -> list[str]:
    stores = len(kernel.stores) + len(kernel.reductions)
    return [*[f"x{i}" for i in range(len(kernel.loads))], *[f"out{i}" for i in range(stores)]]


def _access_elements(kernel: Kernel) -> list[str]:
    loads, stores = [a.element for a in kernel.loads], [s.access.element for s in kernel.stores]
    return [*loads, *stores, *[r.element for r in kernel.reductions]]


def _has_stride(kernel: Kernel, index: int, axis: int) -> bool:
    """Whether the distance along an axis is an argument: not where the structure says that it is 0 or 1."""
    accesses = [*kernel.loads, *[store.access for store in kernel.stores]]
    if index >= len(accesses):  # the result of a reduction: dense, without the reduced axes
        return not kernel.reduced[axis] and axis < kernel.rank - 1
    return axis < kernel.rank - 1 or accesses[index].inner in ("pair", "any")


class Printer:
    """Prints one kernel; ``lines`` collects it, ``depth`` is the indentation."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.names = _access_names(kernel)
        self.axes = [_AXES[axis] if axis < len(_AXES) else f"i{axis}" for axis in range(kernel.rank)]
        self.uses = _uses(kernel)
        self.lines: list[str] = []
        self.depth = 0
        self.known: dict[Ref, Text] = {}  # what loops that are printed later can name

    # ---------------------------------------------------------------- what other languages say differently

    def neutral(self, op: str, element: str) -> str:
        return python_expressions.neutral(op, element)

    def combined(self, op: str, element: str, x: Text, y: Text) -> str:
        return python_expressions.combined(op, element, x, y)

    def expression(self, instruction: Instruction, args: list[Text]) -> Text:
        return python_expressions.expression(instruction, args)

    # ---------------------------------------------------------------- lines

    def line(self, text: str) -> None:
        self.lines.append("    " * self.depth + text)

    @contextmanager
    def block(self, head: str) -> Iterator[None]:
        self.line(head)
        self.depth += 1
        before = len(self.lines)
        yield
        if len(self.lines) == before:
            self.line("pass")
        self.depth -= 1

    def loop(self, axis: int):  # type: ignore[no-untyped-def]  # a context manager
        return self.block(f"for {self.axes[axis]} in range(n{axis}):")

    # ---------------------------------------------------------------- the function

    def function(self, name: str) -> str:
        kernel = self.kernel
        with self.block(f"def {name}({', '.join([p.name for p in parameters(kernel)])}):"):
            self._types()
            if kernel.trailing:
                self._stacks()
            if kernel.adds_in_memory:
                self._initialise(0)
            self._rows(0)
        return "\n".join(self.lines) + "\n"

    def _types(self) -> None:
        groups: dict[str, list[str]] = defaultdict(list)
        for parameter in parameters(self.kernel):
            if parameter.kind in ("pointer", "literal"):
                groups[DTYPE[parameter.element]].append(parameter.name)
        if groups:
            self.line("# " + "; ".join([f"{dtype} {', '.join(names)}" for dtype, names in groups.items()]))

    def _rows(self, axis: int) -> None:
        """Loops over the axes outside of the stages, which run at every point of them."""
        kernel = self.kernel
        if axis < kernel.rank - max(kernel.trailing, 1):
            with self.loop(axis):
                self._rows(axis + 1)
            return
        for stage in kernel.stages:
            if stage.row:
                self._body(stage)
            elif stage.reductions and kernel.trailing:
                self._reduce(stage, axis)
            else:
                self._map(stage, axis)

    def _map(self, stage: Stage, axis: int) -> None:
        kernel = self.kernel
        if axis < kernel.rank:
            if axis == kernel.rank - 1:
                self._hoist(stage)
            with self.loop(axis):
                self._map(stage, axis + 1)
            return
        values = self._body(stage)
        for number, reduction in enumerate(stage.reductions, kernel.first_reduction(stage)):
            self._deliver(number, values[reduction.ref])

    # ---------------------------------------------------------------- reductions

    def _initialise(self, axis: int) -> None:
        """Fill results that add up in memory with the neutral element."""
        kernel = self.kernel
        if axis == kernel.rank:
            for number, reduction in enumerate(kernel.reductions):
                self.line(f"{self._result(number)} = {self.neutral(reduction.op, reduction.element)}")
        elif kernel.reduced[axis]:
            self._initialise(axis + 1)
        else:
            with self.loop(axis):
                self._initialise(axis + 1)

    def _result(self, number: int) -> str:
        index = len(self.kernel.loads) + len(self.kernel.stores) + number
        return f"{self.names[index]}[{self._position(index, 'unit')}]"

    def _deliver(self, number: int, value: Text) -> None:
        reduction, target = self.kernel.reductions[number], self._result(number)
        if self.kernel.adds_in_memory:
            self._accumulate(reduction.op, reduction.element, target, value)
        elif not self.kernel.trailing and reduction.op == "sum" and reduction.element in FLOATS:
            self.line(f"{target} = 0.0 + {value.at(PRODUCT)}")  # over unit axes: -0.0 becomes 0.0
        else:
            self.line(f"{target} = {value.text}")

    def _accumulate(self, op: str, element: str, target: str, value: Text) -> None:
        """``target = op(target, value)`` as one writes it."""
        if element != "i32" and op in ("sum", "prod"):
            self.line(f"{target} {'+=' if op == 'sum' else '*='} {value.text}")
        else:
            old = Text(f"{target} != 0", COMPARE) if element == "i1" and "[" in target else Text(target, ATOM)
            self.line(f"{target} = {self.combined(op, element, old, value)}")

    def _numbered(self, stage: Stage) -> list[tuple[int, Reduction]]:
        return list(enumerate(stage.reductions, self.kernel.first_reduction(stage)))

    def _stacks(self) -> None:
        for number, reduction in enumerate(self.kernel.reductions):
            if _is_pairwise(reduction):
                self.line(f"stack{number} = np.zeros(64, np.{DTYPE[reduction.element]})")

    def _reduce(self, stage: Stage, axis: int) -> None:
        """Reduce over ``axis`` and all that follow, and deliver the totals."""
        if any([_is_pairwise(reduction) for reduction in stage.reductions]):
            self.line("blocks = 0")
        for number, reduction in self._numbered(stage):
            if not _is_pairwise(reduction):
                self.line(f"total{number} = {self.neutral(reduction.op, reduction.element)}")
        self._terms(stage, axis)
        for number, reduction in self._numbered(stage):
            total = f"pop(stack{number}, blocks)" if _is_pairwise(reduction) else f"total{number}"
            if self.uses[Ref("total", number)] and _is_pairwise(reduction):
                self.line(f"total{number} = {total}")
                total = f"total{number}"
            self._deliver(number, Text(total, ATOM))
            self.known[Ref("total", number)] = Text(f"total{number}", ATOM)

    def _terms(self, stage: Stage, axis: int) -> None:
        last = self.kernel.rank - 1
        if axis < last:
            with self.loop(axis):
                self._terms(stage, axis + 1)
            return
        self._hoist(stage)
        pairwise = [number for number, reduction in self._numbered(stage) if _is_pairwise(reduction)]
        if not pairwise:
            with self.loop(last):
                self._add_terms(stage)
            return
        with self.block(f"for start in range(0, n{last}, {BLOCK}):"):
            for number in pairwise:
                self.line(f"total{number} = {self.neutral('sum', self.kernel.reductions[number].element)}")
            with self.block(f"for {self.axes[last]} in range(start, min(start + {BLOCK}, n{last})):"):
                self._add_terms(stage)
            for number in pairwise:
                self.line(f"push(stack{number}, blocks, total{number})")
            self.line("blocks += 1")

    def _add_terms(self, stage: Stage) -> None:
        values = self._body(stage)
        for number, reduction in self._numbered(stage):
            self._accumulate(reduction.op, reduction.element, f"total{number}", values[reduction.ref])

    # ---------------------------------------------------------------- memory

    def _position(self, index: int, inner: str) -> str:
        """Where access ``index`` is at the current indices, in elements."""
        kernel, name, terms = self.kernel, self.names[index], []
        for axis, counter in enumerate(self.axes):
            if _has_stride(kernel, index, axis):
                terms.append(f"{counter} * {name}_s{axis}")
            elif axis == kernel.rank - 1 and inner == "unit" and not self._is_reduced_result(index, axis):
                terms.append(counter)
        return " + ".join(terms) or "0"

    def _is_reduced_result(self, index: int, axis: int) -> bool:
        return index >= len(self.kernel.loads) + len(self.kernel.stores) and self.kernel.reduced[axis]

    def _loaded(self, number: int, position: Text | None = None) -> Text:
        access = self.kernel.loads[number]
        place = _moved(self._position(number, access.inner), position)
        text = f"{self.names[number]}[{place}]"
        value = Text(f"{text} != 0", COMPARE) if access.element == "i1" else Text(text, ATOM)
        if access.window < 0:
            return value
        filler = "True" if access.element == "i1" else self.neutral("prod", access.element)
        return Text(f"{value.at(OR)} if w{access.window} else {filler}", CHOICE)

    def _hoist(self, stage: Stage) -> None:
        """Name what is the same throughout the innermost axis."""
        for number in stage.loads:
            access = self.kernel.loads[number]
            if access.inner == "zero" and not access.pointer and access.window < 0:
                self.line(f"a{number} = {self._loaded(number).text}")
                self.known[Ref("load", number)] = Text(f"a{number}", ATOM)

    # ---------------------------------------------------------------- the body

    def _windows(self, stage: Stage) -> None:
        for window in self.kernel.windows_of(stage):
            terms = [
                f"w{window}_first{axis} <= {self.axes[axis]} < w{window}_stop{axis}"
                for axis, bounded in enumerate(self.kernel.windows[window])
                if bounded
            ]
            self.line(f"w{window} = {' and '.join(terms) or 'True'}")
            self.known[Ref("window", window)] = Text(f"w{window}", ATOM)

    def _body(self, stage: Stage) -> dict[Ref, Text]:
        """Loads, instructions and stores at the current indices; the expression of each Ref."""
        values = self._computed(stage)
        self._stored(stage, values)
        return values

    def _computed(self, stage: Stage) -> dict[Ref, Text]:
        """Loads and instructions at the current indices; the expression of each Ref."""
        kernel = self.kernel
        self._windows(stage)
        values = {Ref("literal", i): Text(f"c{i}", ATOM) for i in range(len(kernel.literals))} | self.known
        for number in stage.loads:
            ref = Ref("load", number)
            moves = not stage.row and kernel.loads[number].inner != "zero"
            if (moves or ref not in values) and not kernel.loads[number].pointer:
                values[ref] = self._named(ref, f"a{number}", self._loaded(number))
        for number, instruction in enumerate(stage.body, kernel.first_instruction(stage)):
            ref = Ref("value", number)
            if self.uses[ref]:
                values[ref] = self._named(ref, f"t{number}", self._instruction(instruction, values), stage.row)
                if stage.row:
                    self.known[ref] = values[ref]
        return values

    def _stored(self, stage: Stage, values: dict[Ref, Text]) -> None:
        for number, store in enumerate(stage.stores, self.kernel.first_store(stage)):
            self._store(number, store, values)

    def _named(self, ref: Ref, name: str, value: Text, always: bool = False) -> Text:
        """An expression that is used once and short stays where it is used; others get a name."""
        if not always and self.uses[ref] <= 1 and len(value.text) <= LONGEST_INLINE:
            return value
        self.line(f"{name} = {value.text}")
        return Text(name, ATOM)

    def _instruction(self, instruction: Instruction, values: dict[Ref, Text]) -> Text:
        if instruction.op == "gather":
            pointer, position = instruction.args
            return self._loaded(pointer.index, values[position])
        return self.expression(instruction, [values[ref] for ref in instruction.args])

    def _store(self, index: int, store: Store, values: dict[Ref, Text]) -> None:
        target = f"{self.names[index]}[{self._place_of(index, store, values)}]"
        if store.add:
            op = "any" if store.access.element == "i1" else "sum"
            self._accumulate(op, store.access.element, target, values[store.ref])
        else:
            self.line(f"{target} = {values[store.ref].text}")

    def _place_of(self, index: int, store: Store, values: dict[Ref, Text]) -> str:
        position = values[store.position] if store.position is not None else None
        return _moved(self._position(index, store.access.inner), position)


def _moved(place: str, position: Text | None) -> str:
    """A place in a buffer, ``position`` elements further."""
    if position is None:
        return place
    return position.text if place == "0" else f"{place} + {position.at(SUM + 1)}"


def _is_pairwise(reduction: Reduction) -> bool:
    """Sums of floats are added in blocks, and the blocks pairwise, to be as exact as NumPy."""
    return reduction.op == "sum" and reduction.element in FLOATS


def _uses(kernel: Kernel) -> Counter[Ref]:
    """How often the printed text names each operand."""
    uses: Counter[Ref] = Counter()
    for instruction in kernel.body:
        for ref in instruction.args:
            uses[ref] += 2 if instruction.op in NAMES_TWICE else 1
    for store in kernel.stores:
        uses[store.ref] += 1
        if store.position is not None:
            uses[store.position] += 1
    uses.update([reduction.ref for reduction in kernel.reductions])
    return uses
