"""A CUDA device as programs use it: memory, copies, launches and graphs, through ``cuda.core``.

Launching through ``cuda.core`` with raw pointers takes 1 to 2 us of the host's time, through Numba's dispatcher 60 to
200; a graph of any length about half a microsecond. All work goes to one stream, in order.
"""

from __future__ import annotations

import ctypes
import functools
import os
import threading
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from ..errors import BackendError
from .cuda_compiler import DeviceCode, missing_packages

__all__ = ["CudaDevice", "Dim", "Launchable", "current_device", "why_unavailable"]

#: what addresses of buffers are multiples of
ALIGNMENT: Final = 256

Dim = tuple[int, int, int]


class Launchable(NamedTuple):
    """One launch: a loaded kernel, its grid and block, and its arguments (ints, floats, NumPy scalars)."""

    kernel: Any
    grid: Dim
    block: Dim
    arguments: tuple


class DeviceMemory:
    """Memory of the device, given back with the object."""

    def __init__(self, buffer: Any, nbytes: int) -> None:
        self._buffer = buffer
        self.address = int(buffer.handle)
        self.nbytes = nbytes


class HostMemory:
    """Page-locked memory of the host, from which and to which copies run without the processor."""

    def __init__(self, nbytes: int) -> None:
        from cuda.bindings import driver

        self.nbytes = nbytes
        self.address = int(_checked(driver.cuMemHostAlloc(max(nbytes, 1), 0)))
        self._free = driver.cuMemFreeHost
        kind = ctypes.c_uint8 * max(nbytes, 1)
        self.bytes = np.ctypeslib.as_array(kind.from_address(self.address))[:nbytes]

    def __del__(self) -> None:
        address, self.address = getattr(self, "address", 0), 0
        if address:
            self._free(address)


class CudaDevice:
    """One device, its stream and its loaded kernels."""

    def __init__(self, ordinal: int = 0) -> None:
        from cuda.core import Device

        self._device = Device(ordinal)
        self._device.set_current()
        self._local = threading.local()
        #: one thread at a time: while a graph is captured, the driver refuses what others do
        self.lock = threading.RLock()
        self._local.is_current = True
        self.ordinal = ordinal
        self.process = os.getpid()
        self.stream = self._device.create_stream()
        self.name: str = self._device.name
        capability = self._device.compute_capability
        self.capability: tuple[int, int] = (capability.major, capability.minor)
        self.processors: int = self._device.properties.multiprocessor_count
        self._kernels: dict[DeviceCode, Any] = {}

    def make_current(self) -> None:
        """Make it the calling thread's device: the driver keeps one for each thread.

        Raises BackendError in a process that was forked since: the driver does not survive that."""
        if self.process != os.getpid():
            raise BackendError("the CUDA device was in use when this process was forked from another: use spawn")
        if not getattr(self._local, "is_current", False):
            self._device.set_current()
            self._local.is_current = True

    # ---------------------------------------------------------------- memory

    def allocate(self, nbytes: int) -> DeviceMemory:
        with self.lock:
            return DeviceMemory(self._device.allocate(max(nbytes, 1), stream=self.stream), nbytes)

    def copy_in(self, target: int, source: int, nbytes: int) -> None:
        """From the host to the device, in the order of the stream."""
        from cuda.bindings import driver

        with self.lock:
            _checked(driver.cuMemcpyHtoDAsync(target, source, nbytes, int(self.stream.handle)))

    def copy_out(self, target: int, source: int, nbytes: int) -> None:
        """From the device to the host; there after :meth:`synchronize`."""
        from cuda.bindings import driver

        with self.lock:
            _checked(driver.cuMemcpyDtoHAsync(target, source, nbytes, int(self.stream.handle)))

    def copy(self, target: int, source: int, nbytes: int) -> None:
        """From one place of the device to another."""
        from cuda.bindings import driver

        with self.lock:
            _checked(driver.cuMemcpyDtoDAsync(target, source, nbytes, int(self.stream.handle)))

    def synchronize(self) -> None:
        with self.lock:
            self.stream.sync()

    # ---------------------------------------------------------------- code

    def load(self, code: DeviceCode) -> Any:
        """A kernel ready to be launched."""
        from cuda.core import ObjectCode

        with self.lock:
            kernel = self._kernels.get(code)
            if kernel is None:
                kernel = ObjectCode.from_cubin(code.cubin, name=code.name).get_kernel(code.name)
                self._kernels[code] = kernel
            return kernel

    def launch(self, launches: Sequence[Launchable]) -> None:
        """Run kernels one after the other, each launched by itself."""
        with self.lock:
            _launch(self.stream, launches)

    def capture(self, launches: Sequence[Launchable]) -> Callable[[], None]:
        """A function that runs the kernels as one graph."""
        with self.lock:
            builder = self._device.create_graph_builder().begin_building()
            _launch(builder, launches)
            graph = builder.end_building().complete()

        def replay() -> None:
            with self.lock:
                graph.launch(self.stream)

        return replay


def _launch(target: Any, launches: Sequence[Launchable]) -> None:
    from cuda.core import LaunchConfig, launch

    for kernel, grid, block, arguments in launches:
        launch(target, LaunchConfig(grid=grid, block=block), kernel, *arguments)


def _checked(answer: Any) -> Any:
    """The result of a call of the driver. Raises BackendError where it failed."""
    status, *result = answer
    if int(status) != 0:
        raise BackendError(f"the CUDA driver reports {status.name}")
    return result[0] if result else None


_starting = threading.Lock()


def current_device() -> CudaDevice:
    """The device that programs run on. Raises BackendError where there is none."""
    with _starting:  # two threads must not make one each, nor import cuda.core at once: it does not survive that
        return _device()


@functools.cache
def _device() -> CudaDevice:
    reason = why_unavailable()
    if reason is not None:
        raise BackendError(reason)
    return CudaDevice()


@functools.cache
def why_unavailable() -> str | None:
    """What is missing for ``target="cuda"`` and how to get it; None where everything is there."""
    missing = missing_packages()
    if missing:
        return (
            f"the packages {', '.join(missing)} are not installed; pip install 'autograd_jit[cuda]' brings all that "
            f"compiling for CUDA takes"
        )
    from cuda.bindings import driver

    try:
        status = driver.cuInit(0)[0]
    except RuntimeError as error:  # cuda.bindings cannot load the library
        return f"the NVIDIA driver is not installed ({error}); install it from your distribution or from NVIDIA"
    if int(status) != 0:
        return f"the NVIDIA driver does not start ({status.name}); nvidia-smi says more"
    status, count = driver.cuDeviceGetCount()
    if int(status) != 0 or count == 0:
        return "the NVIDIA driver finds no device; nvidia-smi lists what it sees, CUDA_VISIBLE_DEVICES may hide devices"
    return None
