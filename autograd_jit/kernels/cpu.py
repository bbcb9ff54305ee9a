"""What the processor can do, read without LLVM (a process that only loads cached code must not import it)."""

from __future__ import annotations

import functools
import os
import platform
from typing import Final

# Lines of /proc/cpuinfo that decide which code is right and fast here.
_IDENTITY: Final = ("vendor_id", "cpu family", "model", "model name", "stepping", "flags", "Features")
# libmvec's 512-bit functions want AVX512F and DQ; narrow compares and masks want BW and VL.
_WIDE: Final = {"avx512f", "avx512dq", "avx512bw", "avx512vl"}
_MIDDLE: Final = {"avx2", "fma"}


@functools.cache
def _facts() -> dict[str, str]:
    """The first processor's lines of /proc/cpuinfo; empty where there is no such file."""
    facts: dict[str, str] = {}
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as lines:
            for line in lines:
                if not line.strip():
                    break
                name, _, value = line.partition(":")
                facts[name.strip()] = value.strip()
    except OSError:
        pass
    return facts


@functools.cache
def flags() -> frozenset[str]:
    facts = _facts()
    return frozenset((facts.get("flags") or facts.get("Features") or "").split())


#: more were never measured; beyond, memory is what kernels wait for
MOST_THREADS: Final = 8


def usable() -> int:
    """Processors that this process may use, and that are worth using."""
    try:
        count = len(os.sched_getaffinity(0))
    except (AttributeError, OSError):
        count = os.cpu_count() or 1
    return max(1, min(count, MOST_THREADS))


@functools.cache
def vector_bytes() -> int:
    """The widest vectors worth printing: 64, 32 or 16 bytes.

    512 bits where the CPU has them whole: 1.4 to 1.9 times 256-bit code on AMD Zen 5."""
    if flags() >= _WIDE:
        return 64
    return 32 if flags() >= _MIDDLE else 16


def fuses() -> bool:
    """Whether a product and a sum that round once are an instruction; else they are a call of the C library a lane."""
    return "fma" in flags() or platform.machine() in ("aarch64", "arm64")


@functools.cache
def identity() -> str:
    """Text that differs between processors for which code may differ: part of every cache key."""
    facts = [f"{name}={_facts()[name]}" for name in _IDENTITY if name in _facts()]
    return "; ".join([platform.machine(), platform.system(), *(facts or [platform.processor()])])
