"""Full code for hot kernels, compiled by a thread while the program runs on quick code.

A thread, not a process: LLVM is called without the interpreter lock (measured: docs/design.md), and a process would
cost its start-up. The thread exists while there is something to compile and ends with the last of it, so nothing idles
and nothing has to be stopped; at exit of the process the rest of the queue is dropped.
"""

from __future__ import annotations

import atexit
import os
import threading
import weakref
from collections import deque
from collections.abc import Iterable

from .compile import CompiledKernel, logger

__all__ = ["promote", "wait"]

_queue: deque[weakref.ref[CompiledKernel]] = deque()
_waiting: weakref.WeakValueDictionary[int, CompiledKernel] = weakref.WeakValueDictionary()  # queued or failed, by id
_lock = threading.Lock()
_worker: threading.Thread | None = None


def promote(kernels: Iterable[CompiledKernel]) -> None:
    """Have the kernels that run quick code compiled in full; returns at once. Each is tried once."""
    global _worker
    with _lock:
        for kernel in kernels:
            if kernel.tier == "quick" and id(kernel) not in _waiting:
                _waiting[id(kernel)] = kernel
                _queue.append(weakref.ref(kernel))
        if _queue and (_worker is None or not _worker.is_alive()):
            worker = threading.Thread(target=_work, name="autograd_jit compiler", daemon=True)
            try:
                worker.start()
            except RuntimeError:  # the interpreter is shutting down, or no more threads: quick code is right too
                _queue.clear()
                return
            _worker = worker


def wait(timeout: float | None = None) -> bool:
    """Wait until nothing is left to compile; whether that was so in time."""
    worker = _worker
    if worker is not None and worker is not threading.current_thread():
        worker.join(timeout)
        return not worker.is_alive()
    return True


def _work() -> None:
    global _worker
    while True:
        with _lock:
            if not _queue:
                _worker = None  # under the lock: whoever queues next starts another thread
                return
            kernel = _queue.popleft()()
        if kernel is not None:  # its program may have been thrown out
            _compile(kernel)
        del kernel


def _compile(kernel: CompiledKernel) -> None:
    try:
        kernel.replace(kernel.full_code())
    except Exception as error:  # rejected by the compiler, no memory: it stays on quick code, which is right too
        logger.warning("a kernel stays on quick code, its full tier could not be made: %s", error)


def _forget() -> None:
    """In a forked child: the thread is not there, and its lock may be held for ever."""
    global _worker, _lock
    _lock = threading.Lock()
    _worker = None
    _queue.clear()
    _waiting.clear()  # the child promotes for itself what is still quick


def _stop() -> None:
    with _lock:
        _queue.clear()
    wait(5.0)  # LLVM must not be inside a kernel while the process takes itself apart


atexit.register(_stop)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
