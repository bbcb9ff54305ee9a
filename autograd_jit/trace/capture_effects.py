"""Calls whose answer is not a function of what they are given: clocks, random numbers, the environment.

`verdict` says what mentioning an object means for a function that is to be compiled.

    >>> import time
    >>> verdict(time.time)
    Verdict(what='impure', name='time.time')
"""

from __future__ import annotations

import builtins
import collections
import os
import random
import sys
import types
from typing import Any, Literal

import numpy

from ..records import record

__all__ = ["GENERATOR_TYPES", "MUTABLE_TYPES", "MUTATORS", "Verdict", "mutates", "verdict"]


@record(frozen=True, slots=True)
class Verdict:
    """`what`: "impure" (another answer each time), "effect" (harmless to the answer, not repeated by
    a replay), "unsound" (reads or writes state out of sight), "introspects" (reads attributes that the
    code does not name)."""

    what: Literal["impure", "effect", "unsound", "introspects"]
    name: str


GENERATOR_TYPES: tuple[type, ...] = (
    numpy.random.Generator,
    numpy.random.RandomState,
    numpy.random.BitGenerator,
    random.Random,
)
_GENERATOR_MAKERS = (numpy.random.RandomState, numpy.random.default_rng, random.Random)
MUTABLE_TYPES: tuple[type, ...] = (list, dict, set, bytearray, collections.deque, numpy.ndarray)
MUTATORS = frozenset(
    """append extend insert pop remove clear update setdefault add discard popitem sort reverse write
    appendleft extendleft popleft rotate move_to_end subtract intersection_update difference_update
    symmetric_difference_update fill put resize partition itemset setfield setflags __setitem__ __delitem__
    __setattr__ __delattr__ __iadd__ __imul__""".split()
)

_UNSOUND_BUILTINS = frozenset("globals locals eval exec open input __import__ compile breakpoint".split())
_INTROSPECTING = frozenset(
    """builtins.getattr builtins.setattr builtins.delattr builtins.hasattr builtins.vars builtins.dir
    operator.attrgetter operator.methodcaller copy.copy copy.deepcopy copy.replace dataclasses.asdict
    dataclasses.astuple dataclasses.replace dataclasses.fields""".split()
)
_INTROSPECTING_MODULES = frozenset("inspect pickle _pickle json json.encoder pprint reprlib".split())
_IMPURE = frozenset(
    """time.time time.time_ns time.perf_counter time.perf_counter_ns time.monotonic
    time.monotonic_ns time.process_time time.process_time_ns time.thread_time time.thread_time_ns
    time.localtime time.gmtime time.ctime time.asctime time.strftime datetime.datetime.now
    datetime.datetime.today datetime.datetime.utcnow datetime.date.today os.getenv os.urandom
    posix.urandom posix.getpid posix.getppid posix.times posix.listdir posix.stat posix.getcwd
    posix.cpu_count posix.getloadavg genericpath.exists genericpath.isfile genericpath.isdir
    genericpath.getmtime genericpath.getsize uuid.uuid1 uuid.uuid4 builtins.id _thread.get_ident
    threading.current_thread threading.get_ident nt.urandom nt.getpid sys.getrecursionlimit
    sys._getframe sys.exc_info numpy.geterr""".split()
)
_IMPURE_MODULES = frozenset(["random", "secrets", "socket", "subprocess", "tempfile", "contextvars"])
_EFFECTS = frozenset(["builtins.print", "warnings.warn", "_warnings.warn"])
_EFFECT_MODULES = frozenset(["logging"])


def _qualified_name(value: Any) -> str:
    owner = getattr(value, "__self__", None)
    name = getattr(value, "__name__", "") or ""
    if isinstance(owner, type):
        return f"{owner.__module__}.{owner.__qualname__}.{name}"
    return f"{getattr(value, '__module__', None) or ''}.{getattr(value, '__qualname__', name)}"


def verdict(value: Any) -> Verdict | None:
    """What a function that mentions `value` does besides computing, or None."""
    if isinstance(value, types.ModuleType):
        return None
    owner = getattr(value, "__self__", None)
    if value is os.environ or owner is os.environ:
        return Verdict("impure", "os.environ")
    if value is type:
        return Verdict("unsound", "type")
    if value is sys.stdout or value is sys.stderr:
        return Verdict("effect", "sys.stdout" if value is sys.stdout else "sys.stderr")
    if isinstance(owner, GENERATOR_TYPES) and _is_global_generator(owner):
        module = "random" if isinstance(owner, random.Random) else "numpy.random"
        return Verdict("impure", f"{module}.{value.__name__}")
    if any(value is maker for maker in _GENERATOR_MAKERS):
        return Verdict("impure", _qualified_name(value))
    if not callable(value):
        return None
    if getattr(value, "__name__", None) == "rvs":
        return Verdict("impure", "rvs")
    name = _qualified_name(value)
    module = getattr(value, "__module__", None) or ""
    if module == "builtins" and getattr(builtins, name.partition(".")[2], None) is not value:
        return None
    if module == "builtins" and name.partition(".")[2] in _UNSOUND_BUILTINS:
        return Verdict("unsound", name.partition(".")[2])
    if name in ("io.open", "_io.open"):
        return Verdict("unsound", "open")
    if name in _IMPURE or (module in _IMPURE_MODULES and not isinstance(value, type)):
        return Verdict("impure", name)
    if name in _EFFECTS or module in _EFFECT_MODULES:
        return Verdict("effect", name.removeprefix("builtins."))
    if name in _INTROSPECTING or module in _INTROSPECTING_MODULES:
        return Verdict("introspects", name)
    return None


def _is_global_generator(owner: object) -> bool:
    return owner is getattr(random, "_inst", None) or owner is numpy.random.mtrand._rand


def mutates(owner: object, method: str) -> bool:
    """Whether calling this method of this object changes it."""
    return method in MUTATORS and isinstance(owner, MUTABLE_TYPES)
