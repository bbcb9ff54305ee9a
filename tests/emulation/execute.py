"""Run one kernel on NumPy arrays, from the compiler's own IR, with no driver at all.

>>> kernel = EmulatedKernel(double, (CPointer(float32), int64))     # doctest: +SKIP
>>> kernel(grid, block, array, array.size, seed=3)                  # doctest: +SKIP
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tests.emulation import build, host_ir, native

_CTYPES = {"i1": ctypes.c_int8, "i8": ctypes.c_int8, "i16": ctypes.c_int16, "i32": ctypes.c_int32,
           "i64": ctypes.c_int64, "float": ctypes.c_float, "double": ctypes.c_double}  # fmt: skip


def compile_to_ir(
    function: Callable[..., None], signature: Sequence[Any], **options: Any
) -> tuple[tuple[str, ...], str]:
    """The compiler's modules before NVVM, and the kernel's name in them.  Needs no driver."""
    from numba import types
    from numba.cuda.compiler import _compile_pyfunc_with_fixup

    options = {"cc": (9, 0), **options}
    library, _ = _compile_pyfunc_with_fixup(function, types.void(*signature), device=False, abi="numba", **options)
    return modules(library), library._entry_name


def modules(library: Any) -> tuple[str, ...]:
    """What numba-cuda would give to NVVM: its IR, with its own atomics on floats filled in."""
    from numba.cuda.cudadrv.nvvm import llvm_replace

    return tuple(llvm_replace(text) for text in library.llvm_strs)


class EmulatedKernel:
    """A kernel compiled for the CPU.

    Arrays are passed by their pointers (parameters `CPointer(dtype)`) or, where the signature says an array type, by
    numba's seven-part description; they are used in place.  `contract`: a*b + c may be fused, as on the device.
    """

    def __init__(
        self,
        function: Callable[..., None],
        signature: Sequence[Any],
        fastmath: bool = False,
        contract: bool = True,
        **options: Any,
    ):
        self.signature = tuple(signature)
        self.modules, self.name = compile_to_ir(function, signature, fastmath=fastmath, **options)
        self.parameters = host_ir.parameters("\n".join(self.modules), self.name)
        self.executable = build.executable(self.modules, self.name, fastmath, contract)

    def __call__(self, grid: Any, block: Any, *arguments: Any, seed: int = 0, dynamic_shared: int = 0) -> None:
        """Run the grid to its end; `seed` decides the order of blocks and threads.  Raises EmulationError."""
        flat = [value for kind, argument in zip(self.signature, arguments) for value in _flatten(kind, argument)]
        if len(flat) != len(self.parameters):
            raise TypeError(f"the kernel takes {len(self.parameters)} parameters, not {len(flat)}")
        values = [_as_ctype(kind)(value) for kind, value in zip(self.parameters, flat)]
        pointers = (ctypes.c_void_p * len(values))(*[ctypes.addressof(value) for value in values])
        message = ctypes.create_string_buffer(1024)
        triple = ctypes.c_uint32 * 3
        blocks, threads = triple(*_three(grid)), triple(*_three(block))
        failed = native.scheduler().emulation_run_grid(
            self.executable, blocks, threads, dynamic_shared, seed, pointers, message, 1024
        )
        if failed:
            raise host_ir.EmulationError(f"kernel {self.name}: {message.value.decode()}")


def _three(size: Any) -> tuple[int, int, int]:
    sizes = (size,) if isinstance(size, int) else tuple(size)
    return (*sizes, *(1,) * (3 - len(sizes)))


def _as_ctype(kind: str) -> Any:
    return ctypes.c_void_p if kind.endswith("*") or kind.startswith("ptr") else _CTYPES[kind]


def _flatten(kind: Any, argument: Any) -> list[Any]:
    """The machine-level arguments for one argument of numba's type `kind`."""
    from numba import types

    if isinstance(kind, types.Array):  # meminfo and parent (unused on devices), then what describes the array
        return [None, None, argument.size, argument.itemsize, argument.ctypes.data, *argument.shape, *argument.strides]
    if isinstance(argument, np.ndarray):
        return [argument.ctypes.data]
    return [argument.item() if isinstance(argument, np.generic) else argument]
