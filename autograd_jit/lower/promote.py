"""Full code for hot kernels, compiled by the background thread while the program runs on quick code."""

from __future__ import annotations

import functools
import os
import threading
import weakref
from collections.abc import Iterable

from ..background import submit_all, wait
from .compile import CompiledKernel, logger

__all__ = ["promote", "wait"]

_asked: weakref.WeakValueDictionary[int, CompiledKernel] = weakref.WeakValueDictionary()  # queued or failed, by id
_lock = threading.Lock()


def promote(kernels: Iterable[CompiledKernel]) -> None:
    """Have the kernels that run quick code compiled in full; returns at once. Each is tried once."""
    with _lock:
        asked = {id(kernel): kernel for kernel in kernels if kernel.tier == "quick" and id(kernel) not in _asked}
        _asked.update(asked)
    submit_all([functools.partial(_compile, weakref.ref(kernel)) for kernel in asked.values()])


def _compile(reference: weakref.ref[CompiledKernel]) -> None:
    kernel = reference()
    if kernel is None:  # its program has been thrown out
        return
    try:
        kernel.replace(kernel.full_code())
    except Exception as error:  # rejected by the compiler, no memory: it stays on quick code, which is right too
        logger.warning("a kernel stays on quick code, its full tier could not be made: %s", error)


def _forget() -> None:
    """In a forked child, which promotes for itself what is still quick."""
    global _lock
    _lock = threading.Lock()
    _asked.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
