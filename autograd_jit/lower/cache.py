"""Object code on disk: a second process compiles nothing.

One file an entry, named by a hash of its key; 32 bytes of header:

    b"AGJ1" | 12 bytes of the key's hash | 16 bytes of the content's hash | content

The key's hash finds entries that were swapped or renamed, the content's hash those that were cut or altered;
either is a miss, and the file is removed so that it is written anew.  Nothing is ever unpickled.  An entry is
written to a temporary file and renamed: readers see all of it or nothing, however many processes write.

A cache that cannot be used (read-only home, full disk, a folder that others may write into) is no cache:
`get` misses, `put` does nothing, and a folder that is unsafe is reported once.

Reading 100 entries of 2 kB takes 2.7 ms, linking them 7.4: one pack file for all would save 2 of these 10 ms.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.util
import itertools
import os
import stat
import threading
import time
import warnings
from collections.abc import Iterator
from typing import Final, NamedTuple

_MAGIC: Final = b"AGJ1"
_KEY_BYTES, _CONTENT_BYTES = 12, 16
_HEADER = len(_MAGIC) + _KEY_BYTES + _CONTENT_BYTES
_SUFFIX: Final = ".kernel"
_TEMPORARY: Final = ".tmp"
DEFAULT_LIMIT: Final = 256 * 2**20
# A temporary file older than this belongs to a process that died while writing.
_ABANDONED_SECONDS: Final = 3600.0
# Reading an entry renews its time only when that is older: LRU needs no more, and a read stays a read.
_RENEW_SECONDS: Final = 3600.0
# Between two looks at the folder's size: a sixteenth of the limit may be written by this process.
_TRIM_SHARE: Final = 16
_TRIM_TO: Final = 0.8
_numbers = itertools.count()


class Statistics(NamedTuple):
    """What `python -m autograd_jit.cache` shows."""

    folder: str
    entries: int
    bytes: int
    limit_bytes: int


class CacheWarning(UserWarning):
    """The disk cache is not used, and why."""


class ObjectCache:
    """Entries of bytes under text keys, in a folder that belongs to the user alone; safe between processes.

    `salt` is what every key depends on besides its own text (see `environment`): entries of other versions
    and processors may lie in the same folder and are never seen."""

    def __init__(self, folder: str | os.PathLike[str], limit_bytes: int = DEFAULT_LIMIT, *, salt: str = "") -> None:
        self.folder = os.fspath(folder)
        self.limit_bytes = limit_bytes
        self._salt = salt
        self._lock = threading.Lock()
        self._written = 0
        self._usable: bool | None = None

    def get(self, key: str) -> bytes | None:
        """The entry, or None.  A damaged entry is removed."""
        if not self._is_usable():
            return None
        path = self._path(key)
        try:
            with open(path, "rb") as file:
                content = _checked(file.read(), self._digest(key))
                if content is not None:
                    _renew(file.fileno(), path)
        except OSError:
            return None
        if content is None:
            _remove(path)
        return content

    def has(self, key: str) -> bool:
        """Whether there is an entry, sound or not."""
        return self._is_usable() and os.path.exists(self._path(key))

    def put(self, key: str, content: bytes) -> None:
        """Store an entry; never raises for what the disk does."""
        if not self._is_usable() or len(content) > self.limit_bytes:
            return
        digest = self._digest(key)
        try:
            self._write(self._path(key), _MAGIC + digest[:_KEY_BYTES] + _content_hash(content) + content)
        except OSError:
            self._usable = None  # the folder may have gone: look again before the next entry
            return
        self._count(_HEADER + len(content))

    def clear(self) -> int:
        """Remove all entries; how many there were."""
        return sum(_remove(path) for path in self._files(_SUFFIX, _TEMPORARY)) if self._is_usable() else 0

    def statistics(self) -> Statistics:
        sizes = [found.st_size for _, found in self._entries()]
        return Statistics(self.folder, len(sizes), sum(sizes), self.limit_bytes)

    # inside

    def _digest(self, key: str) -> bytes:
        return hashlib.blake2b(f"{self._salt}\0{key}".encode(), digest_size=24).digest()

    def _path(self, key: str) -> str:
        return f"{self.folder}{os.sep}{self._digest(key).hex()}{_SUFFIX}"

    def _is_usable(self) -> bool:
        if self._usable is None:
            self._usable = _prepare(self.folder)
        return self._usable

    def _write(self, path: str, data: bytes) -> None:
        temporary = f"{self.folder}{os.sep}{os.getpid()}-{time.time_ns()}-{next(_numbers)}{_TEMPORARY}"
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            os.replace(temporary, path)
        except OSError:
            _remove(temporary)
            raise

    def _count(self, size: int) -> None:
        with self._lock:
            first = not self._written
            self._written += size
            due = first or self._written > self.limit_bytes // _TRIM_SHARE
            if due:
                self._written = 1
        if due:
            self._trim()

    def _trim(self) -> None:
        """Remove the least recently used entries if the folder is over its limit, and dead writers' files."""
        entries = sorted(self._entries(), key=lambda entry: entry[1].st_mtime)
        excess = sum(found.st_size for _, found in entries) - self.limit_bytes
        if excess > 0:
            excess += int(self.limit_bytes * (1 - _TRIM_TO))
        for path, found in entries:
            if excess <= 0:
                break
            excess -= found.st_size if _remove(path) else 0
        self._remove_abandoned()

    def _remove_abandoned(self) -> None:
        for path in self._files(_TEMPORARY):
            with contextlib.suppress(OSError):
                if abs(time.time() - os.stat(path).st_mtime) > _ABANDONED_SECONDS:
                    _remove(path)

    def _entries(self) -> Iterator[tuple[str, os.stat_result]]:
        for path in self._files(_SUFFIX):
            with contextlib.suppress(OSError):
                yield path, os.stat(path)

    def _files(self, *suffixes: str) -> list[str]:
        try:
            return [entry.path for entry in os.scandir(self.folder) if entry.name.endswith(suffixes)]
        except OSError:
            return []


def default_folder() -> str:
    """$AUTOGRAD_JIT_CACHE_DIR, else $XDG_CACHE_HOME/autograd_jit, else ~/.cache/autograd_jit."""
    if own := os.environ.get("AUTOGRAD_JIT_CACHE_DIR"):
        return own
    if (shared := os.environ.get("XDG_CACHE_HOME")) and os.path.isabs(shared):
        return os.path.join(shared, "autograd_jit")
    return os.path.join(os.path.expanduser("~"), ".cache", "autograd_jit")


def default_cache() -> ObjectCache:
    """The cache of this installation on this machine; one object a folder."""
    return _cache_in(default_folder())


@functools.cache
def _cache_in(folder: str) -> ObjectCache:
    return ObjectCache(folder, salt=environment())


@functools.cache
def environment() -> str:
    """All that machine code depends on besides its kernel: part of every key.

    Neither llvmlite (65 ms) nor importlib.metadata (20 ms) is imported for it: a package's version is its
    main file's place, size and date.  Our own emitter's is those of its source files, which change in
    development without a new version number."""
    from ..kernels import cpu, vecmath

    parts = [_installed(name) for name in ("llvmlite", "numba", "scipy")]
    parts += [_sources(os.path.dirname(module)) for module in (__file__, cpu.__file__)]
    return "; ".join([*parts, vecmath.library_version(), f"{cpu.vector_bytes()} bytes", cpu.identity()])


def _installed(name: str) -> str:
    found = importlib.util.find_spec(name)
    return f"{name} {_stamp(found.origin)}" if found and found.origin else f"no {name}"


def _sources(folder: str) -> str:
    with os.scandir(folder) as entries:
        return " ".join(sorted(_stamp(entry.path) for entry in entries if entry.name.endswith(".py")))


def _stamp(path: str) -> str:
    try:
        found = os.stat(path)
    except OSError:
        return path
    return f"{path}:{found.st_size}:{found.st_mtime_ns}"


def _content_hash(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=_CONTENT_BYTES).digest()


def _checked(data: bytes, digest: bytes) -> bytes | None:
    """The content of an entry, or None if it is not the entry that was written under this key."""
    content = data[_HEADER:]
    return content if data[:_HEADER] == _MAGIC + digest[:_KEY_BYTES] + _content_hash(content) else None


def _renew(handle: int, path: str) -> None:
    """Mark an entry as used; a clock that was set back counts as long ago."""
    with contextlib.suppress(OSError):
        age = time.time() - os.fstat(handle).st_mtime
        if not 0 <= age < _RENEW_SECONDS:
            os.utime(path)


def _remove(path: str) -> bool:
    try:
        os.unlink(path)
    except OSError:
        return False
    return True


def _prepare(folder: str) -> bool:
    """Make the folder and look whether it is safe: what lies in it will be executed."""
    try:
        os.makedirs(os.path.dirname(os.path.abspath(folder)), exist_ok=True)
        with contextlib.suppress(FileExistsError):
            os.mkdir(folder, mode=0o700)
        found = os.stat(folder)
    except OSError:
        return False  # a read-only home: no cache, nothing to warn of
    reason = _unsafe(found)
    if reason:
        warnings.warn(
            f"the kernel cache in {folder} is not used: {reason}. Compiled code is executed, so its folder "
            f"must be yours alone: run `chmod 700 {folder}`, or set AUTOGRAD_JIT_CACHE_DIR to another.",
            CacheWarning,
            stacklevel=4,
        )
    return not reason


def _unsafe(found: os.stat_result) -> str:
    """Why a folder may not be trusted, or nothing."""
    if not stat.S_ISDIR(found.st_mode):
        return "it is not a folder"
    if not hasattr(os, "getuid"):
        return ""  # Windows: a user's profile is the user's
    if found.st_uid != os.getuid():
        return f"it belongs to another user (uid {found.st_uid})"
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return f"others may write into it (mode {stat.S_IMODE(found.st_mode):o})"
    return ""
