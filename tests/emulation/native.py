"""The C parts, compiled at their first use: the scheduler alone, and the library that stands in for the CUDA driver."""

from __future__ import annotations

import ctypes
import functools
import os
import subprocess
import tempfile
from pathlib import Path

from tests.emulation import cache, packages

SOURCES = Path(__file__).parent / "c"
# Jumping between stacks is what the scheduler does; the fortified longjmp takes it for an error.
_FLAGS = [
    "-shared",
    "-fPIC",
    "-O2",
    "-g",
    "-std=gnu11",
    "-Wall",
    "-Wextra",
    "-Wno-unused-parameter",
    "-U_FORTIFY_SOURCE",
]


class Executable(ctypes.Structure):
    """c/scheduler.h; only ever made by compiled kernels, and passed on by its address."""


RUN_GRID = [
    ctypes.c_void_p,
    ctypes.c_uint32 * 3,
    ctypes.c_uint32 * 3,
    ctypes.c_uint32,
    ctypes.c_uint64,
    ctypes.POINTER(ctypes.c_void_p),
    ctypes.c_char_p,
    ctypes.c_size_t,
]


def library(name: str, sources: list[str], include: Path | None = None) -> Path:
    """Path of the shared library `name`, whose soname is `name`: a later dlopen(name) finds it if it is loaded."""
    folder = cache.folder() / f"lib-{cache.version()}"
    path = folder / name
    if path.exists():
        return path
    folder.mkdir(exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=folder)
    os.close(handle)
    command = [packages.compiler() or "cc", *_FLAGS, f"-Wl,-soname,{name}", "-o", temporary]
    command += [f"-I{include}"] if include else []
    command += [str(SOURCES / source) for source in sources] + ["-ldl", "-lpthread"]
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode:
        raise RuntimeError(f"the emulated device does not compile: {' '.join(command)}\n{result.stderr}")
    Path(temporary).replace(path)
    return path


@functools.cache
def scheduler() -> ctypes.CDLL:
    lib = ctypes.CDLL(str(library("libemulation-scheduler.so", ["scheduler.c"])))
    lib.emulation_run_grid.argtypes = RUN_GRID
    return lib
