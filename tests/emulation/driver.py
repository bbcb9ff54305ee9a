"""The library that stands in for the CUDA driver: putting it in place, and what tests ask of it."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import struct
import sys
from collections.abc import Iterator

from autograd_jit.kernels import cuda_compiler, device_library
from tests.emulation import build, cache, codegen_hook, native, packages
from tests.emulation.host_ir import EmulationError
from tests.emulation.image import KernelImage
from tests.emulation.library import EmulatedLibrary

_SOURCES = ["scheduler.c", "report.c", "memory.c", "streams.c", "code.c", "graphs.c", "context.c"]
_LIVE = ("live_allocations", "live_pinned", "live_graphs", "live_streams", "live_events")

_Build = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.POINTER(ctypes.c_void_p), ctypes.c_void_p, ctypes.c_size_t
)
_FindImage = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)


class EmulatedDevice:
    """The process's one emulated device: counters, faults, settings."""

    def __init__(self, library: ctypes.CDLL):
        self._library = library
        library.emulation_counter_names.restype = ctypes.c_char_p
        library.emulation_counters.restype = ctypes.POINTER(ctypes.c_long)
        library.emulation_fault.restype = ctypes.c_char_p
        library.emulation_set_seed.argtypes = [ctypes.c_uint64]
        self._names = library.emulation_counter_names().decode().split()
        self._build = _Build(self._build_kernel)
        self._find = _FindImage(self._find_image)
        self._images: list[ctypes.Array[ctypes.c_char]] = []
        self.exceptions: list[BaseException] = []  # of builds that failed; their text is among the faults too
        library.emulation_set_callbacks(self._build, self._find)

    # ------------------------------------------------------------ what happened

    def counters(self) -> dict[str, int]:
        """Counts since the process started: launches, graph_launches, h2d, d2h, d2d, memset, syncs, their bytes,
        allocations, allocations_in_capture, host_functions, and what is live: live_allocations, live_bytes,
        live_pinned, live_graphs, live_streams, live_events."""
        values = self._library.emulation_counters()
        return {name: values[i] for i, name in enumerate(self._names)}

    @contextlib.contextmanager
    def counting(self) -> Iterator[dict[str, int]]:
        """`with device.counting() as counts: ...`: afterwards `counts` holds what happened inside."""
        counts: dict[str, int] = {}
        before = self.counters()
        yield counts
        counts.update({name: value - before[name] for name, value in self.counters().items()})

    def faults(self) -> list[str]:
        """What went wrong and was not forgotten: failed launches, overwritten canaries, refused calls and why."""
        return [self._library.emulation_fault(i).decode() for i in range(self._library.emulation_fault_count())]

    def forget_faults(self) -> None:
        self._library.emulation_forget_faults()
        self.exceptions.clear()

    def check(self) -> None:
        """Run what is queued, look at every canary, and raise EmulationError for any fault since the last look."""
        self._library.emulation_run_all()
        self._library.emulation_check_canaries()
        faults, causes = self.faults(), list(self.exceptions)
        self.forget_faults()
        if faults:
            raise EmulationError("; ".join(faults)) from (causes[0] if causes else None)

    def live(self) -> dict[str, int]:
        """What is allocated and not freed."""
        counters = self.counters()
        return {name: counters[name] for name in _LIVE}

    # ------------------------------------------------------------ settings

    @contextlib.contextmanager
    def broken(self) -> Iterator[None]:
        """Every synchronisation reports a failed launch, as after a fault in a kernel."""
        self._library.emulation_set_broken(1)
        try:
            yield
        finally:
            self._library.emulation_set_broken(0)

    def seed(self, seed: int) -> None:
        """Order of blocks and threads in every later launch."""
        self._library.emulation_set_seed(seed)

    def capability(self, major: int, minor: int) -> None:
        self._library.emulation_set_capability(major, minor)

    @contextlib.contextmanager
    def deferred(self) -> Iterator[None]:
        """Work waits in its stream's queue until somebody synchronises: what forgot to reads poison or old values."""
        self._library.emulation_set_deferred(1)
        try:
            yield
        finally:
            self._library.emulation_set_deferred(0)

    # ------------------------------------------------------------ called by the library

    def _build_kernel(self, image: int, size: int, result: ctypes.Array, message: int, room: int) -> int:
        try:
            kernel = KernelImage.unpack(ctypes.string_at(image, size))
            result[0] = build.executable(kernel.modules, kernel.entry, kernel.fastmath, kernel.contract)
        except BaseException as error:
            self.exceptions.append(error)
            text = f"{type(error).__name__}: {error}".encode()[: room - 1] + b"\0"
            ctypes.memmove(message, text, len(text))
            return 1
        return 0

    def _find_image(self, code: int) -> int | None:
        try:
            image = codegen_hook.find_image(ctypes.string_at(code, _elf_size(code)))
        except BaseException as error:
            self.exceptions.append(error)
            return None
        if image is None:
            return None
        self._images = [ctypes.create_string_buffer(image, len(image))]  # the library copies it at once
        return ctypes.addressof(self._images[0])


def _elf_size(address: int) -> int:
    """Bytes of a true cubin, an ELF file whose section headers come last.  The driver interface gives no size."""
    header = ctypes.string_at(address, 64)
    if header[:4] != b"\x7fELF":
        raise ValueError("neither an image of the emulated device nor a cubin")
    program_start, section_start = struct.unpack_from("<QQ", header, 32)
    program_size, program_count, section_size, section_count = struct.unpack_from("<HHHH", header, 54)
    return max(section_start + section_size * section_count, program_start + program_size * program_count)


@functools.cache
def install(real_code: bool = False) -> EmulatedDevice:
    """Load the stand-in before anything else asks for the driver.  Raises EmulationError where it is too late."""
    reason = packages.missing()
    if reason:
        raise EmulationError(reason)
    if "cuda.bindings.driver" in sys.modules or "numba.cuda.cudadrv.driver" in sys.modules:
        raise EmulationError(
            "the CUDA bindings are loaded already: install the emulated device before anything imports them"
        )
    path = native.library("libcuda.so.1", _SOURCES, packages.cuda_headers())
    # Whoever opens "libcuda.so.1" later gets the library of that soname that is loaded already: this one.
    device = EmulatedDevice(ctypes.CDLL(str(path), mode=ctypes.RTLD_GLOBAL))
    codegen_hook.install(real_code)
    device_library.install(EmulatedLibrary())
    known = cuda_compiler.versions()
    cuda_compiler.versions = lambda: f"emulated: {known}"  # also where both share a folder
    # What is compiled here is no machine code: it must never be found by a program on a real device.
    os.environ.setdefault("AUTOGRAD_JIT_CACHE_DIR", str(cache.folder() / f"programs-{cache.version()}"))
    return device
