"""Ways to run a kernel graph: by NumPy, by LLVM kernels, by Numba kernels, by the printed Python."""

from __future__ import annotations

import ctypes
import math
import types
from collections.abc import Callable

import numpy as np
import scipy.special

from autograd_jit.kernels import scalar_math
from autograd_jit.lower import emit_python, folds, parts
from autograd_jit.lower.axis_order import turn_short_rows
from autograd_jit.lower.compile import compile_kernel
from autograd_jit.lower.fuse import fuse
from autograd_jit.lower.graph import Gemm, Graph, Init, Inside, Literal, Map, Piece, Reduce, Term, Value, View, verify
from autograd_jit.lower.kernel import ELEMENT, Launch, build
from autograd_jit.lower.plan import row_buffers, stored_values
from autograd_jit.lower.python_expressions import DTYPE
from autograd_jit.lower.short_axes import unroll_short_axes
from autograd_jit.lower.simplify import drop_dead_nodes
from autograd_jit.lower.windows import gather_pieces

Memory = dict[Value, np.ndarray]  # flat buffers


# ---------------------------------------------------------------- by NumPy

UFUNCS = {
    "and": np.logical_and,
    "or": np.logical_or,
    "xor": np.logical_xor,
    "not": np.logical_not,
    "where": np.where,
    "gammaln": scipy.special.gammaln,
    "erf": scipy.special.erf,
    "erfc": scipy.special.erfc,
}
REDUCTIONS = {"sum": np.sum, "prod": np.prod, "max": np.max, "min": np.min, "all": np.all, "any": np.any}


def read(view: Term, memory: Memory) -> np.ndarray:
    """The array that an operand stands for."""
    if isinstance(view, Inside):
        inside = np.zeros(view.shape, bool)
        inside[tuple([slice(*bounds) if bounds else slice(None) for bounds in view.window])] = True
        return inside
    if isinstance(view, Literal):
        return np.asarray(view.value, view.dtype)
    size = view.dtype.itemsize
    strides = tuple([stride * size for stride in view.strides])
    return np.ndarray(view.shape, view.dtype, memory[view.value], view.offset * size, strides)


def by_numpy(graph: Graph, inputs: list[np.ndarray]) -> tuple[list[np.ndarray], float]:
    """The outputs, and the largest finite magnitude that was met on the way."""
    memory = _start(graph, inputs)
    largest = 1.0
    with np.errstate(all="ignore"):
        for node in graph.nodes:
            _evaluate(node, memory)
            for value in node.outs:
                sizes = np.abs(memory[value].astype(float))
                largest = max(largest, float(np.max(sizes[np.isfinite(sizes)], initial=0.0)))
    return [read(out, memory).copy() for out in graph.outputs], largest


def _start(graph: Graph, inputs: list[np.ndarray]) -> Memory:
    memory = {value: _flat(array) for value, array in zip(graph.inputs, inputs, strict=True)}
    return memory | {value: _flat(array) for value, array in graph.constants.items()}


def _flat(array: np.ndarray) -> np.ndarray:
    return np.array(array, order="C").reshape(-1)


def _evaluate(node: object, memory: Memory) -> None:
    if isinstance(node, Map):
        args = [read(arg, memory) for arg in node.args]
        memory[node.out] = _flat(np.broadcast_to(_apply(node, args, memory), node.out.shape).astype(node.out.dtype))
    elif isinstance(node, Reduce):
        result = REDUCTIONS[node.op](read(node.arg, memory), axis=node.axes, dtype=node.out.dtype) if node.op in (
            "sum", "prod"
        ) else REDUCTIONS[node.op](read(node.arg, memory), axis=node.axes)  # fmt: skip
        memory[node.out] = _flat(np.asarray(result, node.out.dtype))
    elif isinstance(node, Init):
        source = np.zeros((), node.out.dtype) if node.source is None else read(node.source, memory)
        memory[node.out] = _flat(np.broadcast_to(source, node.out.shape))
    elif isinstance(node, Piece):
        _write(node, memory)
    else:
        assert isinstance(node, Gemm)
        memory[node.out] = _flat(read(node.left, memory) @ read(node.right, memory))


def _apply(node: Map, args: list[np.ndarray], memory: Memory) -> np.ndarray:
    if node.op in ("copy", "cast"):
        return args[0]
    if node.op == "gather":
        places, buffer = _places(node.args[0]) + args[1], memory[node.args[0].value]
        return buffer[places]
    return UFUNCS.get(node.op, getattr(np, node.op, None))(*args)


def _places(view: View) -> np.ndarray:
    """The position in its buffer of each element of a view."""
    places = np.full(view.shape, view.offset)
    for axis, stride in enumerate(view.strides):
        lengths = [1] * len(view.shape)
        lengths[axis] = -1
        places = places + stride * np.arange(view.shape[axis]).reshape(lengths)
    return places


def _write(node: Piece, memory: Memory) -> None:
    places = _places(node.region)
    if node.position is not None:
        places = places + read(node.position, memory)
    values = np.broadcast_to(read(node.arg, memory), places.shape)
    if node.add:
        np.add.at(memory[node.region.value], places, values)
    else:
        memory[node.region.value][places] = values


# ---------------------------------------------------------------- by kernels


def launches(graph: Graph, shares_rows: bool = True) -> tuple[Graph, list]:
    """The graph without dead nodes, and its launches (or groups of one node that is no loop), in order."""
    verify(graph)
    graph = turn_short_rows(unroll_short_axes(gather_pieces(drop_dead_nodes(graph))))
    verify(graph)
    groups = fuse(graph)
    stored, rows = stored_values(graph, groups), row_buffers(graph, groups) if shares_rows else {}
    return graph, [build(group, stored, rows) if group.domain is not None else group for group in groups]


def by_kernels(
    graph: Graph, inputs: list[np.ndarray], run: Callable[[Launch, Memory], None], shares_rows: bool = True
) -> list[np.ndarray]:
    """The outputs, each launch executed by ``run``; memory that nothing writes holds nonsense."""
    graph, steps = launches(graph, shares_rows)
    memory = _start(graph, inputs)
    for node in graph.nodes:
        for value in node.outs:
            if value not in memory:
                memory[value] = np.full(value.size * value.dtype.itemsize + 64, 77, np.uint8)[
                    : value.size * value.dtype.itemsize
                ].view(value.dtype)
    for step in steps:
        if isinstance(step, Launch):
            run(step, memory)
        else:
            _evaluate(step.nodes[0], memory)
    return [read(out, memory).copy() for out in graph.outputs]


def run_native(launch: Launch, memory: Memory) -> None:
    """A launch by the machine code of ``config.compiler``."""
    values = list({placement.value for placement in launch.placements})
    slots = np.array([memory[value].ctypes.data for value in values], np.int64)
    words = np.array(launch.words(lambda value: (values.index(value), 0)), np.int64)
    kernel = compile_kernel(launch.kernel)
    function = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p)(kernel.address)
    assert function(slots.ctypes.data, words.ctypes.data) == 0


def run_in_parts(launch: Launch, memory: Memory) -> bool:
    """A launch by its parts, the last one first, held against the whole: no part may need what another has done.

    Says whether it could be cut.
    """
    kernel, loads = launch.kernel, len(launch.kernel.loads)
    stored = launch.placements[loads : loads + len(kernel.stores)]
    read = {placement.value for placement in launch.placements[:loads]}
    row = math.prod(launch.dims[kernel.rank - kernel.trailing :])
    rows = {p.value: row for p in stored if p.value in read and kernel.trailing and p.strides[0] == 0}
    how = parts.cut(launch, rows)
    if how is None:
        run_native(launch, memory)
        return False
    apart = {p.value: memory[p.value].copy() for p in launch.placements}
    run_native(launch, memory)
    apart |= {value: np.zeros(how.number * row, value.dtype) for value in rows}
    totals = np.zeros(max(how.cells(launch), 1), np.int64)
    values = list(apart)
    slots = np.array([*[apart[value].ctypes.data for value in values], totals.ctypes.data], np.int64)
    words = launch.words(lambda value: (values.index(value), 0))
    place = len(values), 0
    compiled = compile_kernel(kernel)  # held weakly elsewhere
    for block in reversed(parts.parts(launch, words, how, rows, place)):
        _call(compiled.address, slots, block)
    for reduction, fold in zip(kernel.reductions if how.is_total else (), parts.folds_of(launch, words, how, place)):
        _call(folds.address(reduction.op, reduction.element), slots, fold)
    for value in apart.keys() - rows.keys():
        np.testing.assert_array_equal(_bits(apart[value]), _bits(memory[value]), err_msg=f"{value}: {how} of {launch}")
    return True


def _call(address: int, slots: np.ndarray, words: list[int]) -> None:
    block = np.array(words, np.int64)
    function = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p)(address)
    assert function(slots.ctypes.data, block.ctypes.data) == 0


def _bits(array: np.ndarray) -> np.ndarray:
    """Signs of zeros tell them apart, those of NaN do not: they hang on where a vector ends."""
    flat = np.where(np.isnan(array), np.nan, array).astype(array.dtype) if array.dtype.kind == "f" else array
    return flat.view(np.uint8)


def run_python(launch: Launch, memory: Memory) -> None:
    """A launch by its printed form, executed by plain Python on NumPy scalars."""
    scope = python_scope()
    exec(compile(emit_python.emit(launch.kernel), "<printed kernel>", "exec"), scope)
    with np.errstate(all="ignore"):
        scope["kernel"](*[_argument(launch, p, memory) for p in emit_python.parameters(launch.kernel)])


class Pointer:
    """Memory from an element on, as C sees it: negative indices are what lies before. Leaving the buffer raises."""

    def __init__(self, buffer: np.ndarray, start: int) -> None:
        self.buffer, self.start = buffer, start

    def __getitem__(self, index: int) -> object:
        return self.buffer[self._place(index)]

    def __setitem__(self, index: int, value: object) -> None:
        self.buffer[self._place(index)] = value

    def _place(self, index: int) -> int:
        place = self.start + int(index)
        if not 0 <= place < self.buffer.size:
            raise IndexError(f"element {place} of {self.buffer.size}")
        return place


def _argument(launch: Launch, parameter: emit_python.Parameter, memory: Memory) -> object:
    kind, index = parameter.kind, parameter.number
    if kind == "dim":
        return launch.dims[index]
    if kind in ("first", "stop"):
        return launch.windows[index][parameter.axis][kind == "stop"]
    dtype = np.dtype(DTYPE[parameter.element])
    if kind == "literal":
        return np.frombuffer(launch.literals[index], dtype, 1)[0]
    value, offset, strides = launch.placements[index]
    assert ELEMENT[value.dtype] == parameter.element
    return (
        strides[parameter.axis] // dtype.itemsize
        if kind == "stride"
        else Pointer(memory[value], offset // dtype.itemsize)
    )


def python_scope() -> dict:
    """What a printed kernel names. ``math`` works on NumPy's scalars: overflow is infinity, float32 stays float32."""
    renamed = {"asin": "arcsin", "acos": "arccos", "atan": "arctan", "atan2": "arctan2"}
    renamed |= {"asinh": "arcsinh", "acosh": "arccosh", "atanh": "arctanh"}
    names = "exp exp2 expm1 log log2 log10 log1p sin cos tan sinh cosh tanh hypot sqrt copysign isinf isfinite"
    functions = {name: getattr(np, name) for name in names.split()}
    functions |= {name: getattr(np, numpy_name) for name, numpy_name in renamed.items()}
    functions |= {"erf": scipy.special.erf, "erfc": scipy.special.erfc, "lgamma": scipy.special.gammaln}
    scope: dict = {"math": types.SimpleNamespace(inf=math.inf, nan=math.nan, **functions), "np": np, "cbrt": np.cbrt}
    scope |= scalar_math.CONSTANTS
    for name, function in scalar_math.FUNCTIONS.items():
        scope[name] = types.FunctionType(function.__code__, scope)
    return scope
