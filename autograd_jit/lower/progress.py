"""The line on stderr that counts kernels while a program's are compiled: ``config.progress``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from ..config import config

__all__ = ["counted"]

T = TypeVar("T")


def counted(kernels: Sequence[T], is_new: Callable[[T], bool]) -> Iterable[T]:
    """The kernels, one by one, and where progress is to be shown, how many of the new ones are ready."""
    return _counted(kernels, sum(map(is_new, kernels)), is_new) if _is_shown() else kernels


def _is_shown() -> bool:
    if config.progress != "auto":
        return config.progress
    try:
        return sys.stderr.isatty()
    except (AttributeError, ValueError):  # no stderr, or one that was closed
        return False


def _counted(kernels: Sequence[T], count: int, is_new: Callable[[T], bool]) -> Iterator[T]:
    done = 0
    for kernel in kernels:
        counts = is_new(kernel)
        yield kernel
        if counts:
            done += 1
            end = "" if done < count else "\r\x1b[K" if config.progress == "auto" else "\n"
            sys.stderr.write(f"\rautograd_jit: kernels ready: {done} of {count}{end}")
            sys.stderr.flush()
