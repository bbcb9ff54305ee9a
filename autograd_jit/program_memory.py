"""The memory that programs keep, and who has to go when it is more than ``config.memory_limit``.

Counted are the arenas of frames, constants and tables of all known programs, and the machine code of all kernels.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import weakref
from collections import OrderedDict
from collections.abc import Hashable
from typing import Any

from .config import config
from .known_programs import Compiled, Entry
from .records import record

__all__ = ["added", "bytes_kept", "used"]

_logger = logging.getLogger("autograd_jit")


@record
class _Kept:
    """A signature with programs. Nothing here keeps it alive: other bounds may throw it out as well."""

    entry: weakref.ref[Entry]
    compiled: weakref.ref[Compiled]
    key: Hashable


#: by the id of the entry, least recently used first
_kept: OrderedDict[int, _Kept] = OrderedDict()
#: of programs, when they were last counted, and those added since; never less than what there is but for new frames
_estimate = 0
_lock = threading.Lock()


def added(compiled: Compiled, key: Hashable, entry: Entry, program: Any) -> None:
    """``entry`` has ``program``, a new one or that of a tape which it had.

    Others are thrown out, least recently used first, until all are within the limit.

    The entry itself stays, however large: its program is about to run.
    """
    global _estimate
    with _lock:
        _kept[id(entry)] = _Kept(weakref.ref(entry), weakref.ref(compiled), key)
        _kept.move_to_end(id(entry))
        _estimate += program.bytes_kept
        if _estimate + _code_bytes() > config.memory_limit:
            _shrink(entry)


def used(entry: Entry) -> None:
    """``entry`` is the most recently used one. Called where calls take the slow path: the fast one has no time."""
    with _lock:
        if id(entry) in _kept:
            _kept.move_to_end(id(entry))


def bytes_kept() -> int:
    """What is counted, now."""
    with _lock:
        return _count() + _code_bytes()


def _count() -> int:
    """The bytes of all programs; forgets entries that are gone."""
    global _estimate
    for number, kept in list(_kept.items()):
        entry = kept.entry()
        if entry is None or id(entry) != number:
            del _kept[number]
    _estimate = sum([entry.bytes_kept for kept in _kept.values() if (entry := kept.entry()) is not None])
    return _estimate


def _code_bytes() -> int:
    # imported with the first kernel and not before; another thread may be at that just now
    count = getattr(sys.modules.get("autograd_jit.lower.compile"), "code_bytes", None)
    return count() if count is not None else 0


def _shrink(newest: Entry) -> None:
    """Throw out the least recently used entries; in a second round also those that a fast path is at just now."""
    global _estimate
    total, thrown_out = _count() + _code_bytes(), 0
    for spares_active in (True, False):
        for number, kept in list(_kept.items()):
            entry = kept.entry()
            if total <= config.memory_limit:
                break
            if entry is None or entry is newest or (spares_active and entry.is_active):
                continue
            before, freed = _code_bytes(), entry.bytes_kept
            _throw_out(kept, entry)
            del _kept[number], entry  # the last reference: kernels that no other program has go with it
            _estimate -= freed
            total -= freed + before - _code_bytes()
            thrown_out += 1
    if thrown_out:
        _logger.info("%d signatures thrown out: programs keep %d bytes, config.memory_limit", thrown_out, total)


def _throw_out(kept: _Kept, entry: Entry) -> None:
    compiled = kept.compiled()
    if compiled is not None and compiled.entries.get(kept.key) is entry:
        compiled.entries.pop(kept.key, None)  # at worst another thread traces anew
    for path in entry.paths:
        for handle in list(path.holders):
            handle.forget(path)
        path.branches.clear()  # these and the frames are cycles, which would stay until a collection
        path.program.frames.clear()
    entry.paths.clear()
    entry.last = None


def _forked() -> None:
    global _lock
    _lock = threading.Lock()  # another thread of the parent may have held it


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
