"""Work that calls need not wait for, done by one thread: lowering first, then the optimised code of hot kernels.

A thread, not a process: LLVM is called without the interpreter lock (measured: docs/design.md), and a process would
cost its start-up. The thread exists while there is something to do and ends with the last of it, so nothing idles
and nothing has to be stopped; at exit of the process the rest of the queue is dropped.
"""

from __future__ import annotations

import atexit
import logging
import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable

from .trace import collector

__all__ = ["submit", "submit_all", "wait"]

Job = Callable[[], object]

#: seconds for which the interpreter lock is kept from a thread that wants it, while there is work. LLVM is called with
#: dozens of short calls a kernel, each of which gives the lock up; with Python's 5 ms to have it back, a kernel would
#: take a tenth of a second beside a busy loop.
TURN = 0.0005

_logger = logging.getLogger("autograd_jit")
_urgent: deque[Job] = deque()
_others: deque[Job] = deque()
_lock = threading.Lock()
_worker: threading.Thread | None = None
_is_over = False


def submit(job: Job) -> bool:
    """Have ``job`` done before all that is not urgent; returns at once. False: nothing will do it."""
    return submit_all([job], _urgent)


def submit_all(jobs: Iterable[Job], queue: deque[Job] = _others) -> bool:
    """Have the jobs done, in order, when nothing urgent is left. False: nothing will do them."""
    global _worker
    with _lock:
        if _is_over:
            return False
        queue.extend(jobs)
        if not (_urgent or _others) or (_worker is not None and _worker.is_alive()):
            return True
        worker = threading.Thread(target=_work, name="autograd_jit compiler", daemon=True)
        try:
            worker.start()
        except RuntimeError:  # the interpreter is shutting down, or no more threads
            _urgent.clear()
            _others.clear()
            return False
        _worker = worker
        return True


def wait(timeout: float | None = None) -> bool:
    """Wait until nothing is left to do; whether that was so in time."""
    worker = _worker
    if worker is not None and worker is not threading.current_thread():
        worker.join(timeout)
        return not worker.is_alive()
    return True


def _work() -> None:
    before = sys.getswitchinterval()
    if before > TURN:
        sys.setswitchinterval(TURN)
    try:
        _work_off()
    finally:
        if before > TURN and abs(sys.getswitchinterval() - TURN) < 1e-6:  # nobody else has set it
            sys.setswitchinterval(before)


def _work_off() -> None:
    """Jobs until there are none."""
    global _worker
    while True:
        with _lock:
            queue = _urgent or _others
            if not queue:
                _worker = None  # under the lock: whoever queues next starts another thread
                return
            job = queue.popleft()
        try:
            with collector.in_background():
                job()
        except BaseException:  # jobs say what went wrong themselves: a defect of ours, which must cost nobody else
            _logger.exception("a job of the compiler thread failed")
        del job


def _forget() -> None:
    """In a forked child: the thread is not there, and its lock may be held for ever."""
    global _worker, _lock
    _lock = threading.Lock()
    _worker = None
    _urgent.clear()
    _others.clear()


def _stop() -> None:
    global _is_over
    with _lock:
        _is_over = True
        _urgent.clear()
        _others.clear()
    wait(5.0)  # LLVM must not be inside a kernel while the process takes itself apart


atexit.register(_stop)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
