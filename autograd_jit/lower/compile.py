"""Kernels to machine code: one compilation for each structure, kept in memory and on disk."""

from __future__ import annotations

import hashlib
import threading
import time
from dataclasses import dataclass, field

from ..errors import BackendError
from ..kernels.llvm import CodegenError, CompiledCode, compile_ir, load_object
from .cache import default_cache
from .emit_llvm import emit
from .kernel import Kernel

__all__ = ["CompiledKernel", "compile_kernel", "compiled_kernels", "counters"]


@dataclass
class Counters:
    """What this process has compiled and loaded so far."""

    compiled: int = 0
    loaded: int = 0
    seconds: float = 0.0


counters = Counters()


@dataclass
class CompiledKernel:
    """Machine code of one kernel structure. ``origin``: "compiled" or "disk"."""

    kernel: Kernel
    code: CompiledCode
    address: int
    origin: str
    seconds: float
    uses: int = field(default=0)


_known: dict[Kernel, CompiledKernel] = {}
_lock = threading.Lock()


def compiled_kernels() -> dict[Kernel, CompiledKernel]:
    """All kernels in memory, by structure."""
    return dict(_known)


def compile_kernel(kernel: Kernel) -> CompiledKernel:
    """The machine code of ``kernel``: from memory, from disk, or compiled now.

    Raises BackendError where the compiler rejects it.
    """
    found = _known.get(kernel)
    if found is not None:
        return found
    with _lock:
        found = _known.get(kernel)
        if found is None:
            found = _known[kernel] = _load(kernel)
        return found


def _load(kernel: Kernel) -> CompiledKernel:
    started = time.perf_counter()
    text = emit(kernel)
    key = hashlib.sha256(text.encode()).hexdigest()
    cache = default_cache()
    code = None
    stored = cache.get(key)
    if stored is not None:
        try:
            code = load_object(stored)
        except CodegenError:
            code = None
    origin = "disk"
    if code is None:
        origin = "compiled"
        try:
            code = compile_ir(text, name_hint=key[:12])
        except CodegenError as error:
            raise BackendError(str(error)) from error
        cache.put(key, code.object_code)
    seconds = time.perf_counter() - started
    counters.seconds += seconds
    if origin == "disk":
        counters.loaded += 1
    else:
        counters.compiled += 1
    return CompiledKernel(kernel, code, code.address("kernel"), origin, seconds)
