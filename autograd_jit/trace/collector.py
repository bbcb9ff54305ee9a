"""Python's cyclic garbage collector while a tape is recorded or lowered.

Both make millions of objects that all stay. The collector, which runs after every 700 of them and looks at
everything there is after every quarter more, took two thirds of the time of a tape of 30,000 operations.
"""

from __future__ import annotations

import contextlib
import gc
import threading
from collections.abc import Iterator

__all__ = ["in_background", "paused", "relaxed"]

#: new objects between collections, and collections between those of older objects, while a function is recorded
RELAXED = (50_000, 20, 100)
_lock = threading.Lock()
_thread = threading.local()
_depth = 0
_before = gc.get_threshold()


@contextlib.contextmanager
def paused() -> Iterator[None]:
    """No collections: for this package's own code, which makes no cycles.

    Not in the background: there the switch, which belongs to the process, is the user's.
    """
    if getattr(_thread, "is_background", False):
        yield
        return
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@contextlib.contextmanager
def in_background() -> Iterator[None]:
    """What this thread does is in nobody's way: fewer collections."""
    _thread.is_background = True
    with relaxed():
        yield


@contextlib.contextmanager
def relaxed() -> Iterator[None]:
    """Fewer collections: for a run of the user's code, whose cyclic garbage must still go.

    The thresholds belong to the process: of threads that record at the same time the last one restores them, unless
    the function has set others.
    """
    global _depth, _before
    with _lock:
        _depth += 1
        if _depth == 1:
            _before = gc.get_threshold()
            if 0 < _before[0] < RELAXED[0]:  # 0 would be off
                gc.set_threshold(*RELAXED)
    try:
        yield
    finally:
        with _lock:
            _depth -= 1
            if _depth == 0 and gc.get_threshold() == RELAXED:
                gc.set_threshold(*_before)
