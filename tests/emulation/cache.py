"""Files made once and kept between runs: the C libraries and the kernels' object code."""

from __future__ import annotations

import functools
import getpass
import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path


@functools.cache
def folder() -> Path:
    """AUTOGRAD_JIT_EMULATION_CACHE, or a folder of this user's among the temporary files."""
    chosen = os.environ.get("AUTOGRAD_JIT_EMULATION_CACHE")
    path = Path(chosen) if chosen else Path(tempfile.gettempdir()) / f"autograd-jit-emulation-{getpass.getuser()}"
    path.mkdir(parents=True, exist_ok=True)
    return path


@functools.cache
def version() -> str:
    """Changes with the emulation's own sources and the compiler below it, so that nothing stale is ever loaded."""
    import llvmlite
    import llvmlite.binding as llvm

    digest = hashlib.sha256(f"{llvmlite.__version__} {llvm.get_host_cpu_name()}".encode())
    here = Path(__file__).parent
    for path in sorted([*here.glob("*.py"), *here.glob("c/*")]):
        if not path.name.startswith("test_"):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def remember(name: str, make: Callable[[], bytes]) -> bytes:
    """The file `name`, made at the first use.  Several processes may make it at once: the last one to finish wins."""
    path = folder() / f"{name}-{version()}"
    try:
        return path.read_bytes()
    except FileNotFoundError:
        content = make()
        temporary = path.with_suffix(f".{os.getpid()}")
        temporary.write_bytes(content)
        temporary.replace(path)
        return content
