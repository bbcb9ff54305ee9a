"""Which compiler packages there are, and where their files lie."""

from __future__ import annotations

import functools
import importlib.metadata
import shutil
from pathlib import Path

REQUIRED = ("numba-cuda", "cuda-core", "cuda-bindings", "cuda-pathfinder", "nvidia-nvvm", "nvidia-nvjitlink",
            "nvidia-cuda-runtime")  # fmt: skip


@functools.cache
def missing() -> str | None:
    """Why nothing can be emulated here, or None where everything is present."""
    absent = [name for name in REQUIRED if not _installed(name)]
    if absent:
        return f"the CUDA compiler packages are not installed ({', '.join(absent)}): pip install autograd_jit[cuda]"
    if compiler() is None:
        return "no C compiler (gcc or cc) to build the emulated device with"
    return None


@functools.cache
def _installed(name: str) -> bool:
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def compiler() -> str | None:
    return shutil.which("gcc") or shutil.which("cc")


def cuda_headers() -> Path:
    """The folder of cuda.h, which the nvidia-cuda-runtime wheel brings."""
    from cuda import pathfinder

    return Path(pathfinder.find_nvidia_header_directory("cudart"))


def libdevice_bitcode() -> bytes:
    from numba.cuda.cudadrv.libs import get_libdevice

    return Path(get_libdevice()).read_bytes()
