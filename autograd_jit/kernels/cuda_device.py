"""A CUDA device as programs use it: memory, copies, launches and graphs, through ``cuda.core``.

Launching through ``cuda.core`` with raw pointers takes 1 to 2 us of the host's time, through Numba's dispatcher 60 to
200; a graph of any length about half a microsecond. All work goes to one stream, in order.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import threading
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from ..errors import BackendError
from .cuda_compiler import DeviceCode, missing_packages, toolkit_major

__all__ = ["CudaDevice", "Dim", "Launchable", "Mark", "current_device", "why_unavailable"]

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
    """Page-locked memory of the host, from which and to which copies run without the processor.

    ``used_by``: a device on which copies from or to it may be under way, which are waited for before it is given back.
    """

    used_by: CudaDevice | None = None

    def __init__(self, nbytes: int) -> None:
        from cuda.bindings import driver

        self.nbytes = nbytes
        self.address = int(_checked(driver.cuMemHostAlloc(max(nbytes, 1), 0)))
        self._free = driver.cuMemFreeHost
        kind = ctypes.c_uint8 * max(nbytes, 1)
        self.bytes = np.ctypeslib.as_array(kind.from_address(self.address))[:nbytes]

    def __del__(self) -> None:
        address, self.address = getattr(self, "address", 0), 0
        if not address:
            return
        if self.used_by is not None:
            with contextlib.suppress(BackendError), self.used_by.current():
                self.used_by.synchronize()
        self._free(address)


class Mark:
    """A place in the order of a device's stream, which the host can wait for while what comes behind it runs on."""

    def __init__(self, device: CudaDevice) -> None:
        from cuda.bindings import driver

        self._device, self._driver = device, driver
        self._event = _checked(driver.cuEventCreate(driver.CUevent_flags.CU_EVENT_DISABLE_TIMING))

    def set(self) -> None:
        """Put it behind all that was asked for so far."""
        with self._device.lock:
            _checked(self._driver.cuEventRecord(self._event, int(self._device.stream.handle)))

    def wait(self) -> None:
        """Wait for all that comes before it. Raises BackendError where some of that failed."""
        with self._device.lock, _reported():
            _checked(self._driver.cuEventSynchronize(self._event))

    def __del__(self) -> None:
        event, self._event = getattr(self, "_event", None), None
        if event is not None:
            self._driver.cuEventDestroy(event)


class CudaDevice:
    """One device, its stream and its loaded kernels."""

    def __init__(self, ordinal: int = 0) -> None:
        from cuda.core import Device

        before = _current_context()
        self._device = Device(ordinal)
        self._device.set_current()
        #: one thread at a time: while a graph is captured, the driver refuses what others do
        self.lock = threading.RLock()
        self._context = _current_context()
        self.ordinal = ordinal
        self.process = os.getpid()
        self.stream = self._device.create_stream()
        self.name: str = self._device.name
        capability = self._device.compute_capability
        self.capability: tuple[int, int] = (capability.major, capability.minor)
        self.processors: int = self._device.properties.multiprocessor_count
        self._kernels: dict[DeviceCode, Any] = {}
        _give_back(before, self._context)

    def current(self) -> _Current:
        """``with device.current():`` it is the calling thread's device, and afterwards the one that was. The driver
        keeps one for each thread, and other libraries set it (``torch.cuda.set_device``).

        Raises BackendError in a process that was forked since: the driver does not survive that."""
        return _Current(self)

    # ---------------------------------------------------------------- memory

    def allocate(self, nbytes: int) -> DeviceMemory:
        with self.lock, _reported(), self.current():
            return DeviceMemory(self._device.allocate(max(nbytes, 1), stream=self.stream), nbytes)

    def copy_in(self, target: int, source: int, nbytes: int) -> None:
        """From the host to the device, in the order of the stream."""
        self._copy("cuMemcpyHtoDAsync", target, source, nbytes)

    def copy_out(self, target: int, source: int, nbytes: int) -> None:
        """From the device to the host; there after :meth:`synchronize`."""
        self._copy("cuMemcpyDtoHAsync", target, source, nbytes)

    def copy(self, target: int, source: int, nbytes: int) -> None:
        """From one place of the device to another."""
        self._copy("cuMemcpyDtoDAsync", target, source, nbytes)

    def _copy(self, function: str, target: int, source: int, nbytes: int) -> None:
        from cuda.bindings import driver

        if nbytes:
            with self.lock:
                _checked(getattr(driver, function)(target, source, nbytes, int(self.stream.handle)))

    def synchronize(self) -> None:
        """Wait for all that was asked for. Raises BackendError where some of it failed."""
        with self.lock, _reported():
            self.stream.sync()

    # ---------------------------------------------------------------- code

    def load(self, code: DeviceCode) -> Any:
        """A kernel ready to be launched."""
        from cuda.bindings import driver
        from cuda.core import ObjectCode

        with self.lock, _reported():
            kernel = self._kernels.get(code)
            if kernel is None:
                kernel = ObjectCode.from_cubin(code.cubin, name=code.name).get_kernel(code.name)
                _checked(driver.cuKernelGetFunction(kernel.handle))  # else its first launch loads it, in a capture
                self._kernels[code] = kernel
            return kernel

    def launch(self, launches: Sequence[Launchable]) -> None:
        """Run kernels one after the other, each launched by itself."""
        with self.lock, _reported():
            _launch(self.stream, launches)

    def capture(self, launches: Sequence[Launchable]) -> Callable[[], None]:
        """A function that runs the kernels as one graph."""
        with self.lock, _reported():
            builder = self._device.create_graph_builder().begin_building()
            _launch(builder, launches)
            graph = builder.end_building().complete()

        def replay() -> None:
            with self.lock, _reported():
                graph.launch(self.stream)

        return replay


class _Current:  # no generator: of contextlib's kind it would take a microsecond a call
    def __init__(self, device: CudaDevice) -> None:
        self._device = device
        self._before = 0

    def __enter__(self) -> None:
        device = self._device
        if device.process != os.getpid():
            raise BackendError("the CUDA device was in use when this process was forked from another: use spawn")
        self._before = _current_context()
        if self._before != device._context:
            device._device.set_current()

    def __exit__(self, *_: object) -> None:
        _give_back(self._before, self._device._context)


def _give_back(before: int, ours: int) -> None:
    """Make the context current that was; a thread that had none keeps ours."""
    from cuda.bindings import driver

    if before not in (0, ours):
        _checked(driver.cuCtxSetCurrent(before))


def _launch(target: Any, launches: Sequence[Launchable]) -> None:
    from cuda.core import LaunchConfig, launch

    for kernel, grid, block, arguments in launches:
        launch(target, LaunchConfig(grid=grid, block=block), kernel, *arguments)


class _reported:  # a context manager: of contextlib's kind it would take a microsecond a replay
    """Makes what ``cuda.core`` raises a BackendError.

    After a fault of a kernel the driver answers nothing else in this process, so every later call fails, too, and runs
    interpreted."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        if isinstance(error, Exception) and not isinstance(error, BackendError):
            raise BackendError(
                f"the CUDA device fails ({error}); after a fault in a kernel, or where another process has reset the "
                f"device, only a new process can use it again"
            ) from error


def _current_context() -> int:
    from cuda.bindings import driver

    return int(_checked(driver.cuCtxGetCurrent()))


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
    version = _checked(driver.cuDriverGetVersion())
    if version // 1000 < toolkit_major():
        return (
            f"the NVIDIA driver is made for CUDA {version // 1000}.{version % 1000 // 10}, and the installed compiler "
            f"writes code for CUDA {toolkit_major()}; a newer driver takes it"
        )
    status, count = driver.cuDeviceGetCount()
    if int(status) != 0 or count == 0:
        return "the NVIDIA driver finds no device; nvidia-smi lists what it sees, CUDA_VISIBLE_DEVICES may hide devices"
    return None
