"""The loop form as CUDA kernels in Python, for Numba's CUDA compiler.

The kernel of ``np.sum(np.exp(-x) * 0.5, axis=-1)``, one block a row, reads

    def kernel(status, x0, out0, c0, n0, n1, x0_s0, rows, terms, chunk, chunks):
        # float64 x0, out0, c0
        if status[0] >= 0:
            return
        shared_float64 = cuda.shared.array(LANES, float64)
        lane, lanes = cuda.threadIdx.x, cuda.blockDim.x
        at = cuda.blockIdx.x
        while at < rows * chunks:
            i = at % rows
            first = at // rows * chunk
            stop = min(first + chunk, terms)
            total0 = 0.0
            start = first + lane
            while start < stop:
                ...

Names are those of :mod:`.emit_python`. ``status[0]`` is the number of the first guard that failed, or -1: nothing
runs after it. How the iterations are given to threads is the *mapping*:

    element   no reductions: a thread an element, in strides of the grid
    thread    a thread a row, which goes through the row's terms alone: for short rows, and where neighbouring rows lie
              side by side in memory
    block     a block a row: its threads share the terms, and add up their sums in shared memory

A reduction over many terms is cut into ``chunks`` of ``chunk`` terms, whose totals a second kernel adds up in order.
Sums add 32 terms one after the other, then such sums. The order of all additions is fixed by the sizes: a replay gives
the same bits every time. The exception is a scatter that adds where positions repeat, by atomic additions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final, Literal, TypeAlias

from ..kernels import cuda_math
from .emit_python import BLOCK, Parameter, Printer, parameters
from .kernel import Instruction, Kernel, Ref, Stage, Store
from .python_expressions import ATOM, COMPARE, DTYPE, FLOATS, INFIX, PRODUCT, SPECIAL_FORMS, SUM, UNARY, Text

__all__ = ["LANES", "Mapping", "device_parameters", "emit", "signature", "unsupported"]

Mapping: TypeAlias = Literal["element", "thread", "block"]

#: threads of the largest block; the size of arrays in shared memory
LANES: Final = 256


def device_parameters(kernel: Kernel, mapping: Mapping) -> list[Parameter]:
    """The parameters of a CUDA kernel, in order: those of the printed form without strides of totals, and sizes.

    Besides the kinds that :class:`Parameter` names: "status"; "atomic", memory that is added to by atomic operations;
    "origin", where in its buffer a load or store begins, in elements (:func:`has_origin`); "size", under its own
    name.
    """
    stores = len(kernel.loads) + len(kernel.stores)
    found = [Parameter("status", "status", 0)]
    for parameter in parameters(kernel):
        if parameter.kind == "stride" and parameter.number >= stores:
            continue
        is_pointer = parameter.kind == "pointer"
        if is_pointer and _is_atomic(kernel, parameter.number):
            parameter = parameter._replace(kind="atomic")
        found.append(parameter)
        if is_pointer and has_origin(kernel, parameter.number):
            found.append(Parameter(f"{parameter.name}_o", "origin", parameter.number))
    sizes = ("total",) if mapping == "element" else ("rows", "terms", "chunk", "chunks")
    return [*found, *[Parameter(name, "size", 0) for name in sizes]]


def signature(kernel: Kernel, mapping: Mapping) -> list[str]:
    """The types of the parameters, as :func:`autograd_jit.kernels.cuda_compiler.compile_source` takes them."""
    return [_type_of(parameter) for parameter in device_parameters(kernel, mapping)]


def _type_of(parameter: Parameter) -> str:
    if parameter.kind == "literal":
        return parameter.element
    prefix = {"pointer": "*", "status": "*", "atomic": "+"}.get(parameter.kind)
    return "i64" if prefix is None else prefix + parameter.element


def emit(kernel: Kernel, mapping: Mapping, name: str = "kernel") -> str:
    """The source of one kernel. Raises KeyError where the device knows no function for an operation."""
    return _CudaPrinter(kernel, mapping).function(name)


def unsupported(kernel: Kernel) -> list[str]:
    """Operations that have no function on the device."""
    plain = {*SPECIAL_FORMS, *INFIX, "gather"}
    others = [i for i in kernel.body if i.op not in plain]
    return sorted({i.op for i in others if not cuda_math.has(i.op, i.element)})


def has_origin(kernel: Kernel, access: int) -> bool:
    """Whether a load or store is given the start of its buffer, and where in it it begins.

    Loads under a window may begin outside, where a pointer must not be. Numba takes a negative index of an atomic
    operation for one from the end, so what walks backwards counts from the start.
    """
    if access < len(kernel.loads):
        return kernel.loads[access].window >= 0
    return _is_atomic(kernel, access)


def _is_atomic(kernel: Kernel, access: int) -> bool:
    number = access - len(kernel.loads)
    if not 0 <= number < len(kernel.stores):
        return False
    store = kernel.stores[number]
    return store.add and store.position is not None and store.access.element != "i1"


def _literal(element: str, text: str) -> str:
    """A constant of exactly that type: an untyped one would make float32 arithmetic float64."""
    return text if element in ("double", "i64") else f"{DTYPE[element]}({text})"


class _CudaPrinter(Printer):
    """Prints one kernel under one mapping."""

    def __init__(self, kernel: Kernel, mapping: Mapping) -> None:
        super().__init__(kernel)
        self.mapping = mapping
        self.kept = [axis for axis in range(kernel.rank) if not kernel.reduced[axis]]
        self.reduced = [axis for axis in range(kernel.rank) if kernel.reduced[axis]]

    # ---------------------------------------------------------------- the function

    def function(self, name: str) -> str:
        kernel = self.kernel
        names = [parameter.name for parameter in device_parameters(kernel, self.mapping)]
        with self.block(f"def {name}({', '.join(names)}):"):
            self._types()
            with self.block("if status[0] >= 0:"):
                self.line("return")
            if self.mapping == "element":
                self._elements()
            else:
                self._each_row()
        return "\n".join(self.lines) + "\n"

    def _elements(self) -> None:
        self.line("at = cuda.grid(1)")
        with self.block("while at < total:"):
            self._unravel("at", list(range(self.kernel.rank)))
            (stage,) = self.kernel.stages
            self._body(stage)
            self.line("at += cuda.gridsize(1)")

    def _each_row(self) -> None:
        kernel, by_block = self.kernel, self.mapping == "block"
        if by_block:
            for element in sorted({reduction.element for reduction in kernel.reductions}):
                self.line(f"shared_{DTYPE[element]} = cuda.shared.array(LANES, {_in_memory(element)})")
            self.line("lane, lanes = cuda.threadIdx.x, cuda.blockDim.x")
        self.line("at = cuda.blockIdx.x" if by_block else "at = cuda.grid(1)")
        with self.block("while at < rows * chunks:"):
            self.line("row = at % rows")
            self._unravel("row", self.kept)
            self.line("first = at // rows * chunk")
            self.line("stop = min(first + chunk, terms)")
            for stage in kernel.stages:
                if stage.row:
                    self._once_a_row(stage)
                else:
                    self._terms_of_row(stage)
            self.line(f"at += cuda.{'gridDim.x' if by_block else 'gridsize(1)'}")

    def _unravel(self, source: str, axes: list[int]) -> None:
        """The counters of ``axes`` from the number of an iteration over them, the last axis running fastest."""
        if not axes:
            return
        if len(axes) == 1:
            self.line(f"{self.axes[axes[0]]} = {source}")
            return
        rest = source
        for axis in reversed(axes[1:]):
            self.line(f"{self.axes[axis]} = {rest} % n{axis}")
            self.line(f"rest = {rest} // n{axis}")
            rest = "rest"
        self.line(f"{self.axes[axes[0]]} = rest")

    # ---------------------------------------------------------------- rows

    @contextmanager
    def _first_lane(self) -> Iterator[None]:
        """What one thread does for all."""
        if self.mapping == "thread":
            yield
            return
        with self.block("if lane == 0:"):
            yield

    def _once_a_row(self, stage: Stage) -> None:
        """Every thread computes a row's scalars for itself; one of them stores."""
        for axis in self.reduced:
            self.line(f"{self.axes[axis]} = 0")
        stores = stage.stores
        values = self._computed(stage)
        if stores:
            with self._first_lane():
                self._stored(stage, values)
            self._barrier()

    def _terms_of_row(self, stage: Stage) -> None:
        numbered = self._numbered(stage)
        for number, reduction in numbered:
            self.line(f"total{number} = {self.neutral(reduction.op, reduction.element)}")
        if any([self._is_blocked(number) for number, _ in numbered]):
            self._blocked_terms(stage)
        else:
            self._loop(stage, "first", "stop")
        if self.mapping == "block":
            for number, reduction in numbered:
                self._across(number, reduction.op, reduction.element)
        for number, _ in numbered:
            self.known[Ref("total", number)] = Text(f"total{number}", ATOM)
        if numbered:
            with self._first_lane():
                for number, _ in numbered:
                    index = len(self.kernel.loads) + len(self.kernel.stores) + number
                    self.line(f"{self.names[index]}[at] = total{number}")
        if len(self.kernel.stages) > 1:
            self._barrier()

    def _is_blocked(self, number: int) -> bool:
        reduction = self.kernel.reductions[number]
        return reduction.op == "sum" and reduction.element in FLOATS

    def _blocked_terms(self, stage: Stage) -> None:
        """Sums of floats: 32 terms of a thread one after the other, then the next 32."""
        blocked = [number for number, _ in self._numbered(stage) if self._is_blocked(number)]
        width = f"{BLOCK} * lanes" if self.mapping == "block" else f"{BLOCK}"
        self.line("start = first")
        with self.block("while start < stop:"):
            for number in blocked:
                self.line(f"part{number} = {self.neutral('sum', self.kernel.reductions[number].element)}")
            self.line(f"end = min(start + {width}, stop)")
            self._loop(stage, "start", "end", blocked)
            for number in blocked:
                self.line(f"total{number} += part{number}")
            self.line(f"start += {width}")

    def _loop(self, stage: Stage, first: str, stop: str, blocked: Sequence[int] = ()) -> None:
        by_block = self.mapping == "block"
        self.line(f"term = {first} + lane" if by_block else f"term = {first}")
        with self.block(f"while term < {stop}:"):
            self._unravel("term", self.reduced)
            values = self._body(stage)
            for number, reduction in self._numbered(stage):
                name = f"part{number}" if number in blocked else f"total{number}"
                self._accumulate(reduction.op, reduction.element, name, values[reduction.ref])
            self.line(f"term += {'lanes' if by_block else '1'}")

    def _across(self, number: int, op: str, element: str) -> None:
        """The totals of a block's threads combined as a tree, in shared memory."""
        shared, total = f"shared_{DTYPE[element]}", f"total{number}"
        self.line(f"{shared}[lane] = {total}")
        self._barrier()
        self.line("width = lanes // 2")
        with self.block("while width > 0:"):
            with self.block("if lane < width:"):
                mine, other = [
                    Text(f"{shared}[{place}] != 0", COMPARE)
                    if element == "i1"
                    else Text(f"{shared}[{place}]", ATOM)
                    for place in ("lane", "lane + width")
                ]
                self.line(f"{shared}[lane] = {self.combined(op, element, mine, other)}")
            self._barrier()
            self.line("width //= 2")
        self.line(f"{total} = {shared}[0]{' != 0' if element == 'i1' else ''}")
        self._barrier()

    def _barrier(self) -> None:
        if self.mapping == "block":
            self.line("cuda.syncthreads()")

    # ---------------------------------------------------------------- bodies

    def _position(self, index: int, inner: str) -> str:
        place = super()._position(index, inner)
        if not has_origin(self.kernel, index):
            return place
        return f"{self.names[index]}_o" if place == "0" else f"{place} + {self.names[index]}_o"

    def _body(self, stage: Stage) -> dict[Ref, Text]:
        values = self._computed(stage)
        self._stored(stage, values)
        return values

    def _store(self, index: int, store: Store, values: dict[Ref, Text]) -> None:
        if not store.add or store.position is None:
            super()._store(index, store, values)
            return
        place = self._place_of(index, store, values)
        if store.access.element == "i1":  # reading and writing back what another thread writes would lose it
            with self.block(f"if {values[store.ref].text}:"):
                self.line(f"{self.names[index]}[{place}] = True")
        else:
            self.line(f"cuda.atomic.add({self.names[index]}, {place}, {values[store.ref].text})")

    # ---------------------------------------------------------------- operations

    def neutral(self, op: str, element: str) -> str:
        if op in ("all", "any"):
            return "True" if op == "all" else "False"
        point = ".0" if element in FLOATS else ""
        if op in ("sum", "prod"):
            return _literal(element, f"{0 if op == 'sum' else 1}{point}")
        if element in FLOATS:
            return _literal(element, "-INFINITY" if op == "max" else "INFINITY")
        return _literal(element, f"INT{element[1:]}_{'MIN' if op == 'max' else 'MAX'}")

    def combined(self, op: str, element: str, x: Text, y: Text) -> str:
        if op in ("max", "min"):
            return f"{cuda_math.name(f'{op}imum', element)}({x.text}, {y.text})"
        if op in ("all", "any"):
            return super().combined(op, element, x, y)
        strength, sign = (SUM, "+") if op == "sum" else (PRODUCT, "*")
        return self._fitted(element, f"{x.at(strength)} {sign} {y.at(strength + 1)}", strength).text

    def expression(self, instruction: Instruction, args: list[Text]) -> Text:
        op, element = instruction.op, instruction.element
        if op in ("where", "not", "isnan"):
            return SPECIAL_FORMS[op](instruction, args)
        if op in INFIX:
            sign, strength = INFIX[op]
            left = strength + 1 if strength == COMPARE else strength  # a < b < c means something else
            text = f"{args[0].at(left)} {sign} {args[1].at(strength + 1)}"
            return self._fitted(element, text, strength) if strength >= SUM else Text(text, strength)
        if op == "cast":
            return self._cast(instruction, args[0])
        if op == "square":
            return self._fitted(element, f"{args[0].at(PRODUCT)} * {args[0].at(PRODUCT + 1)}", PRODUCT)
        if op == "negative":
            return self._fitted(element, f"-{args[0].at(UNARY)}", UNARY)
        if op == "reciprocal":
            return Text(f"{_literal(element, '1.0')} / {args[0].at(PRODUCT + 1)}", PRODUCT)
        return Text(f"{cuda_math.name(op, element)}({', '.join([arg.text for arg in args])})", ATOM)

    def _fitted(self, element: str, text: str, strength: int) -> Text:
        """An arithmetic result in its own type: Numba widens int32."""
        return Text(f"int32({text})", ATOM) if element == "i32" else Text(text, strength)

    def _cast(self, instruction: Instruction, value: Text) -> Text:
        source, target = instruction.element, instruction.result
        if target == "i1":
            zero = "0" if source not in FLOATS else _literal(source, "0.0")
            return Text(f"{value.at(COMPARE + 1)} != {zero}", COMPARE)
        if source in FLOATS and target not in FLOATS:
            return Text(f"{cuda_math.name(f'to_{DTYPE[target]}', source)}({value.text})", ATOM)
        return Text(f"{DTYPE[target]}({value.text})", ATOM)


def _in_memory(element: str) -> str:
    return "int8" if element == "i1" else DTYPE[element]
