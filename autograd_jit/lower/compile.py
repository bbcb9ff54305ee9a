"""Kernels to machine code: one compilation for each structure, kept in memory and, by LLVM, on disk.

``config.compiler`` says which form is compiled, the LLVM IR or the printed Python (see :mod:`autograd_jit.config`).
Where LLVM rejects a kernel, Numba is tried.
"""

from __future__ import annotations

import hashlib
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from ..config import config
from ..errors import BackendError
from ..kernels.llvm import CodegenError, compile_ir, load_object
from .cache import default_cache
from .emit_llvm import emit
from .kernel import Kernel

__all__ = ["CompiledKernel", "compile_kernel", "compile_kernels", "compiled_kernels", "counters"]


@dataclass
class Counters:
    """What this process has compiled and loaded so far."""

    compiled: int = 0
    loaded: int = 0
    seconds: float = 0.0


counters = Counters()


@dataclass
class CompiledKernel:
    """Machine code of one kernel structure.

    ``code`` owns the memory at ``address``. ``origin``: "compiled" or "disk"; ``compiler``: "llvm" or "numba".
    """

    kernel: Kernel
    code: Any
    address: int
    origin: str
    seconds: float
    compiler: str = "llvm"
    uses: int = field(default=0)


_known: dict[tuple[str, Kernel], CompiledKernel] = {}
_lock = threading.Lock()


def compiled_kernels() -> list[CompiledKernel]:
    """All kernels in memory."""
    return list(_known.values())


def compile_kernel(kernel: Kernel) -> CompiledKernel:
    """The machine code of ``kernel``: from memory, from disk, or compiled now.

    Raises BackendError where no compiler takes it.
    """
    key = (config.compiler, kernel)
    found = _known.get(key)
    if found is not None:
        return found
    with _lock:
        found = _known.get(key)
        if found is None:
            found = _known[key] = _load(*key)
        return found


def compile_kernels(kernels: Iterable[Kernel]) -> dict[Kernel, CompiledKernel]:
    """As :func:`compile_kernel`, for all of a program; counts them on stderr if ``config.progress`` is set."""
    distinct = list(dict.fromkeys(kernels))
    shown = _counted(distinct) if config.progress else distinct
    return {kernel: compile_kernel(kernel) for kernel in shown}


def _counted(kernels: list[Kernel]) -> Iterator[Kernel]:
    """The kernels, one by one, with a line on stderr that counts those that are new."""
    compiler = config.compiler
    new = [kernel for kernel in kernels if (compiler, kernel) not in _known]
    done = 0
    for kernel in kernels:
        yield kernel
        if kernel in new:
            done += 1
            end = "\n" if done == len(new) else ""
            sys.stderr.write(f"\rautograd_jit: kernels ready: {done} of {len(new)}{end}")
            sys.stderr.flush()


def _load(compiler: str, kernel: Kernel) -> CompiledKernel:
    started = time.perf_counter()
    if compiler == "numba":
        try:
            found = _by_numba(kernel)
        except Exception as error:
            raise BackendError(f"Numba could not compile a kernel: {error}") from error
    else:
        found = _by_llvm_or_numba(kernel)
    found.seconds = time.perf_counter() - started
    counters.seconds += found.seconds
    if found.origin == "disk":
        counters.loaded += 1
    else:
        counters.compiled += 1
    return found


def _by_llvm_or_numba(kernel: Kernel) -> CompiledKernel:
    try:
        return _by_llvm(kernel)
    except Exception as rejected:  # whatever a printer or a compiler raises: the other may still do it
        try:
            return _by_numba(kernel)
        except Exception as error:
            raise BackendError(f"no compiler takes a kernel. LLVM: {rejected}; Numba: {error}") from rejected


def _by_llvm(kernel: Kernel) -> CompiledKernel:
    text = emit(kernel)
    key = hashlib.sha256(text.encode()).hexdigest()
    cache = default_cache()
    code = None
    stored = cache.get(key)
    if stored is not None:
        try:
            code = load_object(stored)
        except CodegenError:  # a damaged entry: make it anew
            code = None
    origin = "disk"
    if code is None:
        origin = "compiled"
        code = compile_ir(text, name_hint=key[:12])
        cache.put(key, code.object_code)
    return CompiledKernel(kernel, code, code.address("kernel"), origin, 0.0)


def _by_numba(kernel: Kernel) -> CompiledKernel:
    from .emit_numba import compile_python  # a second of import

    code = compile_python(kernel)
    return CompiledKernel(kernel, code, code.address("kernel"), "compiled", 0.0, "numba")
