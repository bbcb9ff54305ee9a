"""Kernels by Numba: the printed Python form behind the executor's signature. Imported only where it is asked for.

For a kernel of one load, one store and one axis the entry point reads

    def entry(slots, args):
        table, words = int64_at(slots), int64_at(args)
        kernel(float64_at(table[words[1]] + words[2]), float64_at(table[words[4]] + words[5]), words[0])
        return 0

It gets the addresses of both blocks as integers, which is what a pointer is to the machine.
"""

from __future__ import annotations

import ctypes
import functools
import linecache
import math
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from ..kernels import scalar_math, vecmath
from ..kernels.llvm import ELEMENT_BYTES, math_library
from .emit_python import Parameter, emit, parameters
from .kernel import Kernel
from .python_expressions import DTYPE

__all__ = ["NumbaCode", "compile_python", "entry_source"]

_OPTIONS = {"error_model": "numpy", "nogil": True}
#: element types in memory: bools are bytes
_MEMORY = {"double": types.float64, "float": types.float32, "i64": types.int64, "i32": types.int32, "i1": types.int8}


class NumbaCode:
    """Compiled code and its address, which is valid as long as this object lives. Its memory is never given back."""

    def __init__(self, source: str, entry: Any) -> None:
        self.source = source
        self._entry = entry

    def address(self, symbol: str = "kernel") -> int:
        return self._entry.address


def compile_python(kernel: Kernel) -> NumbaCode:
    """Compile the printed form of a kernel. Raises whatever Numba raises."""
    source = emit(kernel)
    scope = {"kernel": _function("kernel", source, _names_in(source))}
    scope |= {f"{name}_at": _pointer_at(element) for element, name in DTYPE.items()}
    text = entry_source(kernel)
    namespace: dict[str, Any] = dict(scope)
    exec(compile(text, _registered(text), "exec"), namespace)
    signature = types.int64(types.int64, types.int64)
    return NumbaCode(source, numba.cfunc(signature, **_OPTIONS)(namespace["entry"]))


def entry_source(kernel: Kernel) -> str:
    """The function with the executor's signature."""
    arguments = ", ".join([_argument(kernel, parameter) for parameter in parameters(kernel)])
    return (
        "def entry(slots, args):\n"
        "    table, words = int64_at(slots), int64_at(args)\n"
        f"    kernel({arguments})\n"
        "    return 0\n"
    )


def _argument(kernel: Kernel, parameter: Parameter) -> str:
    kind, index, element = parameter.kind, parameter.number, parameter.element
    if kind == "dim":
        return f"words[{index}]"
    if kind == "literal":
        value = f"{DTYPE[element]}_at(args + {8 * kernel.word_of_literal(index)})[0]"
        return f"{value} != 0" if element == "i1" else value
    if kind in ("first", "stop"):
        return f"words[{kernel.word_of_window(index, parameter.axis) + (kind == 'stop')}]"
    word = kernel.word_of_access(index)
    if kind == "pointer":
        return f"{DTYPE[element]}_at(table[words[{word}]] + words[{word + 1}])"
    size = 1 if element == "i1" else ELEMENT_BYTES[element]
    return f"words[{word + 2 + parameter.axis}] // {size}"


def _names_in(source: str) -> set[str]:
    """All names that a source text uses."""
    code = compile(source, "<kernel>", "exec")
    names: set[str] = set()
    stack = [code]
    while stack:
        code = stack.pop()
        names.update(code.co_names)
        stack += [constant for constant in code.co_consts if hasattr(constant, "co_names")]
    return names


def _function(name: str, source: str, names: set[str]) -> Any:
    """The source as a function that other compiled functions can call."""
    scope: dict[str, Any] = {"math": math, "np": np, **scalar_math.CONSTANTS}
    scope |= {n: _helper(n) for n in names if n in scalar_math.FUNCTIONS}
    scope |= {n: _library_function(n) for n in names if n == "cbrt" or n in vecmath.SPECIAL}
    exec(compile(source, _registered(source), "exec"), scope)
    return numba.njit(**_OPTIONS)(scope[name])


@functools.cache
def _helper(name: str) -> Any:
    return numba.njit(**_OPTIONS)(scalar_math.FUNCTIONS[name])


@functools.cache
def _library_function(name: str) -> Callable:
    """A function of C or of ``scipy.special`` by address. SciPy's take one more argument, which means nothing."""
    if name == "cbrt":
        prototype = ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_double)
        return prototype(("cbrt", math_library()))
    count = vecmath.SPECIAL[name]
    prototype = ctypes.CFUNCTYPE(ctypes.c_double, *[ctypes.c_double] * count, ctypes.c_int)
    arguments = ", ".join([f"x{i}" for i in range(count)])
    scope: dict[str, Any] = {"routine": prototype(vecmath.special_address(name))}
    exec(f"def {name}({arguments}): return routine({arguments}, 0)", scope)
    return numba.njit(**_OPTIONS)(scope[name])


@functools.cache
def _pointer_at(element: str) -> Any:
    """A function that makes an address a pointer to elements, which is indexed without wrapping around."""
    pointer: Any = numba.types.CPointer(_MEMORY[element])  # type: ignore[attr-defined]

    @intrinsic
    def at(typing_context: Any, address: Any) -> Any:
        def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> ir.Value:
            return builder.inttoptr(args[0], context.get_value_type(pointer))

        return pointer(types.int64), generate

    return at


def _registered(source: str) -> str:
    """A file name under which tracebacks and Numba's errors find the source."""
    name = f"<autograd_jit kernel {hash(source) & 0xFFFFFFFF:08x}>"
    linecache.cache[name] = (len(source), None, source.splitlines(True), name)
    return name
