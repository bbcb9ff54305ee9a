"""Kernels and small host programs that the emulation's own tests run."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import cuda, float32, float64, int64, types

FLOATS = {"float32": float32, "float64": float64}


def pointer(dtype: str) -> Any:
    return types.CPointer(FLOATS[dtype])


def elementwise(expression: str, dtype: str) -> Callable[..., None]:
    """y[i] = expression of `v`, over a grid-stride loop; parameters (x, y, n)."""
    source = f"""
def kernel(x, y, n):
    i = cuda.grid(1)
    while i < n:
        v = x[i]
        y[i] = {expression}
        i += cuda.gridsize(1)
"""
    return _function(source, dtype)


def block_sum(dtype: str, *, first_barrier: str = "cuda.syncthreads()", guard: str = "t < w") -> Callable[..., None]:
    """Sums of what each block of 128 threads reads, in shared memory; parameters (x, out, n).  The two texts are
    there to be broken."""
    source = f"""
def kernel(x, out, n):
    partial = cuda.shared.array(128, T)
    t = cuda.threadIdx.x
    i = cuda.grid(1)
    total = T(0)
    while i < n:
        total += x[i]
        i += cuda.gridsize(1)
    partial[t] = total
    {first_barrier}
    w = 64
    while w > 0:
        if {guard}:
            partial[t] += partial[t + w]
        cuda.syncthreads()
        w //= 2
    if t == 0:
        out[cuda.blockIdx.x] = partial[0]
"""
    return _function(source, dtype)


def _function(source: str, dtype: str) -> Callable[..., None]:
    scope = {"cuda": cuda, "math": math, "T": FLOATS[dtype], "float32": float32, "float64": float64}
    exec(source, scope)
    return scope["kernel"]


class HostProgram:
    """The host side in its shortest form: one stream, some buffers, kernels from the bytes of their code."""

    def __init__(self) -> None:
        from cuda.core import Device

        self.device = Device(0)
        self.device.set_current()
        self.stream = self.device.create_stream()
        self.buffers: list[Any] = []

    def __enter__(self) -> HostProgram:
        return self

    def __exit__(self, *_: object) -> None:
        for buffer in self.buffers:
            buffer.close(self.stream)
        self.stream.sync()
        self.stream.close()

    def kernel(self, function: Callable[..., None], *signature: Any, **options: Any) -> Any:
        from cuda.core import ObjectCode

        code, name = compile_code(function, *signature, **options)
        return ObjectCode.from_cubin(code, name=name).get_kernel(name)

    def allocate(self, size: int) -> int:
        self.buffers.append(self.device.allocate(size, stream=self.stream))
        return int(self.buffers[-1].handle)

    def put(self, array: np.ndarray) -> int:
        address = self.allocate(array.nbytes)
        self.copy_in(address, array)
        return address

    def copy_in(self, address: int, array: np.ndarray) -> None:
        _call("cuMemcpyHtoDAsync", address, array.ctypes.data, array.nbytes, int(self.stream.handle))

    def copy_out(self, array: np.ndarray, address: int, sync: bool = True) -> None:
        _call("cuMemcpyDtoHAsync", array.ctypes.data, address, array.nbytes, int(self.stream.handle))
        if sync:
            self.stream.sync()

    def launch(self, kernel: Any, *arguments: Any, grid: int = 4, block: int = 64, on: Any = None) -> None:
        from cuda.core import LaunchConfig, launch

        launch(on or self.stream, LaunchConfig(grid=grid, block=block), kernel, *arguments)


def compile_code(function: Callable[..., None], *signature: Any, **options: Any) -> tuple[bytes, str]:
    """What the program would keep on disk: the kernel's code, and its name."""
    from numba.cuda.compiler import _compile_pyfunc_with_fixup

    library, _ = _compile_pyfunc_with_fixup(
        function, types.void(*signature), device=False, abi="numba", cc=(9, 0), **options
    )
    return bytes(library.get_cubin(cc=(9, 0, "")).code), library._entry_name


def _call(name: str, *arguments: Any) -> None:
    from cuda.bindings import driver

    status = getattr(driver, name)(*arguments)[0]
    if int(status):
        raise RuntimeError(f"{name}: {driver.cuGetErrorString(status)[1].decode()}")


__all__ = ["HostProgram", "block_sum", "compile_code", "elementwise", "int64", "pointer"]
