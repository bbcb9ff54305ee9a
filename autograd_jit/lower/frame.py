"""A run of a program: memory, arguments in and results out, Python steps, and what stopped it.

A :class:`Frame` is the memory of one run in progress, with the built-in function that runs it. :class:`StepRunner` is
what it shares with frames on a device: the Python steps between native stretches.
"""

from __future__ import annotations

import ctypes
import functools
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..divergence import Diverged, describe
from ..errors import BackendError
from ..kernels import executor
from ..trace import tree
from ..trace.aliases import Alias
from ..trace.capture_values import is_library
from ..trace.draws import perform
from ..trace.tape import Constant, Op, TensorType, Var
from .compile import swap_lock
from .graph import CopyStep, Step, Value, View
from .pairs import as_complex

if TYPE_CHECKING:
    from .program import Program

__all__ = [
    "FILLED_SCALARS", "NATIVE_SCALARS", "PYTHON_SCALARS", "Frame", "StepRunner", "Stopped", "drawn_leaves", "finish",
    "ready",
]  # fmt: skip

#: above this many element operations a run gives up the interpreter lock (which costs about 0.1 us)
RELEASE_ABOVE = 20_000
#: scalars that are objects of their own whenever they are made, which bools are not
FILLED_SCALARS: dict[np.dtype, type] = {np.dtype(kind): kind for kind in (np.float64, np.float32, np.int64, np.int32)}
#: Python's integers lie in memory in a way of their own
NATIVE_SCALARS: dict[type, type] = {int: np.int64, bool: np.bool_}
PYTHON_SCALARS: dict[str, type] = {"float": float, "complex": complex, "int": np.int64, "bool": np.bool_}


class Stopped(Exception):
    """A native routine met values for which NumPy raises (a singular matrix): the call is for the interpreter."""


class StepRunner:
    """What a frame needs to run Python steps: NumPy arrays over its values."""

    generators: Sequence[Any] = ()

    def array(self, view: View, held: dict[Value, Any]) -> np.ndarray:
        """A NumPy array over a value's memory; ``held``: values that lie in arrays of their own."""
        raise NotImplementedError

    def step(self, step: Step, held: dict[Value, Any]) -> None:
        if isinstance(step, CopyStep):
            self.array(step.results[0].view(), held)[...] = self.array(step.source, held)
            return

        is_users = not is_library(getattr(step.op.prim.fun, "__module__", None) or "numpy")

        def plain(value: Any) -> Any:
            kind = type(value)
            if kind is Var:
                array = as_complex(self.array(step.args[value.number], held), value.type.dtype)
                return _as_kind(np.array(array) if is_users else array, value.type)
            if kind is Constant:
                return value.value
            if kind is tuple or kind is list:
                return kind([plain(item) for item in value])
            if kind is slice:
                return slice(plain(value.start), plain(value.stop), plain(value.step))
            if kind is dict:
                return {key: plain(item) for key, item in value.items()}
            return value

        op = step.op
        if op.prim.draws is not None:
            self.keep(step, drawn_leaves(op, perform(op, self.generators)), held)
            return
        function = op.prim.replayed or op.prim.fun
        ans = function(*[plain(a) for a in op.args], **{name: plain(v) for name, v in op.kwargs.items()})
        leaves, structure = tree.flatten(ans, opened=True)
        if structure != op.structure:
            raise Diverged(None, None, f"{op.prim.name} returned another structure than when it was traced")
        self.keep(step, leaves, held)

    def keep(self, step: Step, leaves: list, held: dict[Value, Any]) -> None:
        """Store the results of a Python step, if they are of the types that were traced."""
        op = step.op
        for leaf, var, value in zip(leaves, op.outputs, step.results, strict=True):
            array, type_ = np.asarray(leaf), var.type
            if array.shape != type_.shape or array.dtype != type_.dtype:
                raise Diverged(
                    None,
                    None,
                    f"{op.prim.name} gave {array.dtype}{list(array.shape)} where {type_.dtype}{list(type_.shape)} "
                    f"was traced ({op.line})",
                )
            as_complex(self.array(value.view(), held), type_.dtype)[...] = array


class Frame(StepRunner):
    """Memory of one run in progress: slots, arena, blocks; ``call`` binds arguments and runs."""

    def __init__(self, program: Program) -> None:
        self.program = program
        count = program.arena_slot + 1
        self.slots = np.zeros(count, np.int64)
        self.arena = np.empty(program.arena_bytes + 64, np.uint8)
        self.slots[program.arena_slot] = -(-self.arena.ctypes.data // 64) * 64
        for value, array in program.bound.constants.items():
            self.slots[program.slots[value]] = array.ctypes.data
        with swap_lock:
            self.table = program.table.copy()
            program.all_frames.add(self)
        self.specs = program.specs
        self.arguments = len(program.input_types) + len(program.bound.outputs)
        self.generators: Sequence[Any] = ()
        self.blocks: list[np.ndarray] = []
        self._busy = threading.Lock()
        self._arrays: dict[View, np.ndarray] = {}  # what Python steps read and write in the arena
        if program.is_native:
            self.call = self._caller(self.arguments, (0, len(program.table)))
        else:
            self.call = self._caller(self.arguments, (0, 0))
            self.segments = [
                self._caller(0, segment) if isinstance(segment, tuple) else segment for segment in program.segments
            ]

    def acceptance(self) -> Callable:
        """A built-in function that gives None for arguments that fit the tape's inputs, and runs nothing."""
        block = np.zeros(executor.BLOCK_WORDS, np.int64)
        slots = np.zeros_like(self.slots)  # those of the frame may be in use by another thread
        block[:5] = len(self.program.tape.inputs), self.specs.ctypes.data, slots.ctypes.data, self.table.ctypes.data, 0
        self.blocks += [block, slots]
        return executor.make_caller(block)

    def _caller(self, arguments: int, segment: tuple[int, int]) -> Callable:
        start, stop = segment
        block = np.zeros(executor.BLOCK_WORDS, np.int64)
        block[0] = arguments
        block[1] = self.specs.ctypes.data
        block[2] = self.slots.ctypes.data
        block[3] = self.table[start:].ctypes.data if stop > start else self.table.ctypes.data
        block[4] = stop - start
        block[7] = self.program.operations > RELEASE_ABOVE
        self.blocks.append(block)
        return executor.make_caller(block)

    def call_with_steps(self, *arguments: Any) -> bool | None:
        """As ``call`` of a native program: None after a run, False where the call must be made in the general way.

        That is so, too, where a step raises or the run diverges: the general way runs it again and sorts that out.
        """
        if not self._busy.acquire(blocking=False):  # another thread's, or that of a call further up, inside of a step
            return False
        try:
            if self.call(*arguments) is not None:
                return False
            count = len(self.program.input_types)
            self._run_segments(arguments[:count], arguments[count:])
        except Exception:
            return False
        finally:
            self._busy.release()
        return None

    # ------------------------------------------------------------ the general run, any layout, Python steps

    def run(self, inputs: tuple, generators: Sequence[Any] = ()) -> list:
        """As :meth:`Program.run`. Arguments of any layout are accepted."""
        program = self.program
        self.generators = generators
        drawn = [leaf for op in program.draws for leaf in drawn_leaves(op, perform(op, generators))]
        given = zip((*inputs, *drawn), program.input_types, strict=True)
        inputs_ready = tuple([ready(x, type_) for x, type_ in given])
        fresh = [np.empty(type_.shape, type_.dtype) for type_ in program.fresh_types]
        answer = self.call(*inputs_ready, *fresh)
        if answer is False:
            raise Diverged(None, None, "an argument does not have the type that was traced")
        if answer is NotImplemented:
            raise BackendError("a frame was entered twice")  # frames are handed out one run at a time
        if answer is True:
            raise self.diverged(0)
        if not program.is_native:
            self._run_segments(inputs_ready, fresh)
        return finish(program, inputs, fresh)

    def _run_segments(self, inputs: Sequence[Any], fresh: Sequence[Any]) -> None:
        held = {**dict(zip(self.program.bound.inputs, inputs, strict=True))}
        held.update(zip([out.value for out in self.program.bound.outputs], fresh, strict=True))
        block = 0
        for segment, shape in zip(self.segments, self.program.segments, strict=True):
            if isinstance(segment, Step):
                self.step(segment, held)
                continue
            block += 1
            if segment() is True:
                assert isinstance(shape, tuple)
                raise self.diverged(block, shape[0])

    def array(self, view: View, held: dict[Value, Any]) -> np.ndarray:
        """A NumPy array over a value's memory."""
        known = self._arrays.get(view)
        if known is not None:
            return known
        size = view.dtype.itemsize
        strides = tuple([s * size for s in view.strides])
        if view.value in held:  # memory of this run only
            base = np.asarray(held[view.value])
            return np.ndarray(view.shape, view.dtype, _buffer(base), view.offset * size, strides)
        if view.value in self.program.bound.constants:
            buffer, start = _buffer(self.program.bound.constants[view.value]), 0
        else:
            slot, offset = self.program.address_of(view.value)
            buffer, start = self.arena, int(self.slots[slot]) - self.arena.ctypes.data + offset
        found = self._arrays[view] = np.ndarray(view.shape, view.dtype, buffer, start + view.offset * size, strides)
        return found

    # ------------------------------------------------------------ divergence

    def diverged(self, block: int, start: int = 0) -> Diverged | Stopped:
        """What stopped the run just made: a guard, and the bytes found; or a routine."""
        status = int(self.blocks[block][6])
        position = start + (status >> 8)
        check = self.program.checks.get(position)
        if position in self.program.calls:
            return Stopped(f"{self.program.calls[position]} stopped with reason {status & 255}")
        if check is None:
            return Diverged(None, None, f"kernel {position} stopped with reason {status & 255}")
        slot, offset = self.program.address_of(check.arg.value)
        actual = ctypes.string_at(int(self.slots[slot]) + offset, len(check.expected))
        return Diverged(check.number, actual, functools.partial(describe, check.guard, actual, check.arg.dtype))


def drawn_leaves(op: Op, answer: Any) -> list:
    """The leaves of a draw as a frame takes them; of what `seed` gives there are none."""
    leaves = tree.flatten(answer)[0] if op.outputs else []
    return [NATIVE_SCALARS[type(leaf)](leaf) if type(leaf) in NATIVE_SCALARS else leaf for leaf in leaves]


def _buffer(array: np.ndarray) -> Any:
    """The array's bytes as a buffer, read-only or not."""
    return array.reshape(-1).view(np.uint8) if array.flags.c_contiguous else np.ascontiguousarray(array)


def ready(x: Any, type_: TensorType) -> Any:
    """An argument in the layout that kernels read: C-contiguous, aligned, native, with the canonical dtype object."""
    if type_.kind != "array" or type(x) is not np.ndarray:
        return x
    if x.dtype is not type_.dtype or not (x.flags.c_contiguous and x.flags.aligned):
        if x.dtype != type_.dtype or x.shape != type_.shape:
            return x
        return np.array(x, dtype=type_.dtype, order="C", copy=True)
    return x


def _as_kind(array: np.ndarray, type_: TensorType) -> Any:
    """A tape value as the Python object that a primitive was traced with. The user's own primitives get copies of
    arrays: they may keep them."""
    if type_.kind == "array" or type(array) is not np.ndarray:  # what stays on a device stays an array
        return array
    return array[()] if type_.kind == "scalar" else array.item()


def finish(program: Program, inputs: tuple, fresh: list) -> list:
    """The output leaves, each as the kind of object that the traced run returned."""
    arrays = iter(fresh)
    leaves: list[Any] = []
    values = dict(zip([var.number for var in program.tape.inputs], inputs))
    for out in program.outputs:
        if out.kind == "input":
            leaves.append(inputs[out.what])
        elif out.kind == "static":
            leaves.append(out.what.copy() if isinstance(out.what, np.ndarray) else out.what)
        elif out.kind == "alias":
            leaves.append(out.what)
        else:
            assert out.type is not None and out.var is not None
            value = values[out.var.number] = _as_kind(next(arrays), out.type)
            if out.kind == "fresh":
                leaves.append(value)
    return [leaf.value(values) if type(leaf) is Alias else leaf for leaf in leaves]
