"""Kernels to machine code: one compilation a tier for each structure, kept on disk and while a program uses it.

Two tiers of one text: "quick" (no optimiser, a third of the time) runs at once; "full" replaces it when a program has
proved hot (:mod:`.promote`). Both compute the same bits: the text fixes every operation and has no fast-math flag.

``config.compiler`` says which form is compiled, the LLVM IR or the printed Python (see :mod:`autograd_jit.config`).
Where LLVM rejects a kernel, Numba is tried.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import threading
import time
import weakref
from collections.abc import Callable, Iterable
from typing import Any

from ..config import CompileMode, config
from ..errors import BackendError
from ..kernels.llvm import CodegenError, CompiledCode, Tier, compile_ir, load_object
from ..records import field, record
from .cache import default_cache
from .emit_llvm import emit
from .kernel import Kernel
from .progress import counted

__all__ = [
    "CompiledKernel", "code_bytes", "code_of", "compile_kernel", "compile_kernels", "compiled_kernels", "count",
    "counters", "tally",
]  # fmt: skip

logger = logging.getLogger("autograd_jit")


@record
class Counters:
    """What this process has compiled and loaded so far."""

    compiled: int = 0
    loaded: int = 0
    seconds: float = 0.0


counters = Counters()


class Tally(threading.local):
    """What this thread has compiled and loaded so far: lowering goes on in several."""

    compiled = 0
    loaded = 0


tally = Tally()


def count(origin: str) -> None:
    """A kernel has been "compiled", or came from "disk" or "memory"."""
    for sums in (counters, tally):
        sums.compiled += origin == "compiled"
        sums.loaded += origin == "disk"


@record
class CompiledKernel:
    """Machine code of one kernel structure.

    ``code`` owns the memory at ``address``. ``origin``: "compiled" or "disk"; ``compiler``: "llvm" or "numba".
    ``replaced`` is the code of the quick tier: another thread may be inside it when it is replaced, so it lives as long
    as the kernel does. ``users`` are told of a new address. ``text``: what quick code was made of, kept until full code
    is: to print it again would hold the interpreter lock while the program runs.
    """

    kernel: Any
    code: Any
    address: int
    origin: str
    seconds: float
    compiler: str = "llvm"
    tier: Tier = "full"
    replaced: Any = None
    text: str = ""
    users: weakref.WeakSet = field(default_factory=weakref.WeakSet)

    @property
    def symbol(self) -> str:
        """What its function is called in the code."""
        return "kernel"

    def full_code(self) -> CompiledCode:
        """The code of the full tier, from disk or compiled now. Raises what the compiler raises."""
        return full_code(self.kernel, self.text)

    @property
    def size(self) -> int:
        """Bytes of machine code; 0 where the compiler keeps that to itself."""
        return getattr(self.code, "size", 0) + getattr(self.replaced, "size", 0)

    def replace(self, code: CompiledCode) -> None:
        """Go over to the full tier, between two launches of whatever runs at the moment."""
        with swap_lock:
            self.replaced, self.code = self.code, code
            self.address, self.tier, self.text = code.address(self.symbol), "full", ""
            for user in list(self.users):
                user.relink(self)


# Weak: the code of a program that has been thrown out goes with it, unless another program shares it.
_known: weakref.WeakValueDictionary[tuple[str, Kernel], CompiledKernel] = weakref.WeakValueDictionary()
lock = threading.RLock()
#: held while an address is replaced, and while one is read into a table
swap_lock = threading.RLock()


def _before_fork() -> None:
    """A child must not inherit a lock that a thread holds which it does not have. Order: as compiling takes them."""
    lock.acquire()
    swap_lock.acquire()


def _after_fork() -> None:
    swap_lock.release()
    lock.release()


if hasattr(os, "register_at_fork"):  # after llvm's, hence taken before llvm's: the order in which compiling takes them
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork)


def compiled_kernels() -> list[CompiledKernel]:
    """All kernels in memory. By their references, which are listed in one step: other threads add kernels."""
    return [kernel for reference in _known.valuerefs() if (kernel := reference()) is not None]


def code_bytes() -> int:
    """Memory that the machine code of all kernels takes, whole pages."""
    return sum(kernel.size for kernel in compiled_kernels())


def compile_kernel(kernel: Kernel, mode: CompileMode = "eager", text: str = "") -> CompiledKernel:
    """The machine code of ``kernel``: from memory, from disk, or compiled now.

    ``mode`` "eager" compiles the full tier; the others the quick one, unless the full one is there already.
    ``text``: its IR, where that has been printed. Raises BackendError where no compiler takes it.
    """
    key = (config.compiler, kernel)
    found = _known.get(key)
    if found is not None and (found.tier == "full" or mode != "eager"):
        return found
    with lock:
        found = _known.get(key)
        if found is None:
            found = _load(*key, "full" if mode == "eager" else "quick", text)
            _known[key] = found
        elif found.tier == "quick" and mode == "eager":
            try:
                found.replace(found.full_code())
            except Exception as error:  # the quick code is right too
                logger.warning("a kernel stays on quick code: %s", error)
        return found


def compile_kernels(
    kernels: Iterable[Kernel], mode: CompileMode = "eager", formed: Callable[[int], None] | None = None
) -> dict[Kernel, CompiledKernel]:
    """As :func:`compile_kernel`, for all of a program; counts them on stderr as ``config.progress`` says.

    ``formed`` is told before, how many of them neither memory nor disk has."""
    distinct = list(dict.fromkeys(kernels))
    texts = _printed(distinct) if formed is not None and config.compiler == "llvm" else {}
    if formed is not None:
        formed(sum(1 for text in texts.values() if not _is_on_disk(text)))
    compiler = config.compiler
    shown = counted(distinct, lambda kernel: (compiler, kernel) not in _known)
    return {kernel: compile_kernel(kernel, mode, texts.get(kernel, "")) for kernel in shown}


def _printed(kernels: list[Kernel]) -> dict[Kernel, str]:
    """The IR of those that are not in memory; of what the printer rejects, none."""
    texts = {}
    for kernel in kernels:
        if (config.compiler, kernel) not in _known:
            try:
                texts[kernel] = emit(kernel)
            except Exception:  # it raises again where somebody can try another compiler
                texts[kernel] = ""
    return texts


def _is_on_disk(text: str) -> bool:
    cache = default_cache()
    return any(cache.has(_disk_key(text, tier)) for tier in ("full", "quick"))


def _load(compiler: str, kernel: Kernel, tier: Tier, text: str = "") -> CompiledKernel:
    started = time.perf_counter()
    if compiler == "numba":
        try:
            found = _by_numba(kernel)
        except Exception as error:
            raise BackendError(f"Numba could not compile a kernel: {error}") from error
    else:
        found = _by_llvm_or_numba(kernel, tier, text)
    found.seconds = time.perf_counter() - started
    counters.seconds += found.seconds
    count(found.origin)
    verb = "cache hit" if found.origin == "disk" else "compiled"
    logger.debug(
        "%s: kernel of %d operations, %s, %s, %.1f ms",
        *(verb, len(kernel.body), found.compiler, found.tier, found.seconds * 1e3),
    )
    return found


def _by_llvm_or_numba(kernel: Kernel, tier: Tier, text: str) -> CompiledKernel:
    try:
        return _by_llvm(kernel, tier, text or emit(kernel))
    except Exception as rejected:  # whatever a printer or a compiler raises: the other may still do it
        logger.info("LLVM rejected a kernel, Numba is tried: %s", rejected)
        try:
            return _by_numba(kernel)
        except Exception as error:
            raise BackendError(f"no compiler takes a kernel. LLVM: {rejected}; Numba: {error}") from rejected


def _by_llvm(kernel: Kernel, tier: Tier, text: str) -> CompiledKernel:
    for known in dict.fromkeys(("full", tier)):  # a full one serves every wish
        code = _from_disk(text, known)
        if code is not None:
            return _held(kernel, code, "disk", known, text)
    return _held(kernel, _compile(text, tier), "compiled", tier, text)


def _held(kernel: Kernel, code: CompiledCode, origin: str, tier: Tier, text: str) -> CompiledKernel:
    kept = text if tier == "quick" else ""
    return CompiledKernel(kernel, code, code.address("kernel"), origin, 0.0, tier=tier, text=kept)


def full_code(kernel: Kernel, text: str = "") -> CompiledCode:
    """The code of the full tier, from disk or compiled now. Raises what the compiler raises."""
    started = time.perf_counter()
    code = code_of(text or emit(kernel))
    logger.debug("full tier of a kernel ready, %.1f ms", (time.perf_counter() - started) * 1e3)
    return code


def code_of(text: str) -> CompiledCode:
    """Optimised code of a module of IR, from disk or compiled now. Raises what the compiler raises."""
    code = _from_disk(text, "full")
    return code if code is not None else _compile(text, "full")


def _disk_key(text: str, tier: Tier) -> str:
    key = hashlib.sha256(text.encode()).hexdigest()
    return key if tier == "full" else f"{key} {tier}"


def _from_disk(text: str, tier: Tier) -> CompiledCode | None:
    stored = default_cache().get(_disk_key(text, tier))
    if stored is not None:
        with contextlib.suppress(CodegenError):  # a damaged entry: it is made anew
            return load_object(stored)
    return None


def _compile(text: str, tier: Tier) -> CompiledCode:
    key = _disk_key(text, tier)
    code = compile_ir(text, name_hint=key[:12], tier=tier)
    default_cache().put(key, code.object_code)
    return code


def _by_numba(kernel: Kernel) -> CompiledKernel:
    from .emit_numba import compile_python  # a second of import

    code = compile_python(kernel)
    return CompiledKernel(kernel, code, code.address("kernel"), "compiled", 0.0, "numba")
