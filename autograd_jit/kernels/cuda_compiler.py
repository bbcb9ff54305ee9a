"""CUDA kernels in Python to machine code: the one module that knows Numba's CUDA compiler.

numba-cuda translates a kernel's Python to NVVM IR, NVIDIA's libNVVM that to PTX, nvJitLink that to a cubin; none of
them needs a driver or a device. Signatures are pointers and scalars: one parameter an array instead of seven.

No fast-math flag is given, and products are not contracted with sums (``fma=0``): a contraction keeps bits that a
comparison, and so the path that a program takes, may hang on. Quotients and square roots of float32 are rounded to the
nearest unless approximations are asked for; other functions have names of their own then (:mod:`.cuda_math`). A general
fast-math flag is not given even so: it would take infinities and NaN for impossible and flush denormals.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import linecache
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from ..errors import BackendError
from ..records import record
from . import cuda_math

__all__ = ["DeviceCode", "compile_source", "missing_packages", "toolkit_major", "versions"]

#: packages that compiling for CUDA takes, by their names on the package index
PACKAGES: Final = ("numba-cuda", "cuda-core", "cuda-bindings")

#: packages of the compilers proper, which may be installed without Python's knowledge
TOOLS: Final = ("cuda-toolkit", "nvidia-nvvm", "nvidia-nvjitlink")

_ELEMENTS: Final = {"double": "float64", "float": "float32", "i64": "int64", "i32": "int32", "i1": "int8"}


#: Numba locks its own passes, but not what comes after them
_compiling = threading.Lock()


@record(frozen=True)
class DeviceCode:
    """A cubin and the name of its kernel."""

    name: str
    cubin: bytes

    def to_bytes(self) -> bytes:
        return self.name.encode() + b"\0" + self.cubin

    @classmethod
    def from_bytes(cls, stored: bytes) -> DeviceCode:
        name, _, cubin = stored.partition(b"\0")
        return cls(name.decode(), cubin)


@functools.cache
def missing_packages() -> tuple[str, ...]:
    """Packages that are not installed."""
    return tuple([package for package in PACKAGES if _version(package) is None])


@functools.cache
def versions() -> str:
    """Everything besides the source that the code depends on."""
    return " ".join([f"{package} {_version(package)}" for package in (*PACKAGES, "numba", *TOOLS)])


def toolkit_major() -> int:
    """The version of CUDA that code is made for; 0 where the tool kit is no Python package."""
    return int((_version("cuda-toolkit") or "0").partition(".")[0])


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def compile_source(
    source: str, signature: Sequence[str], capability: tuple[int, int], fast: bool = False
) -> tuple[DeviceCode, str]:
    """The kernel ``kernel`` of ``source`` for a compute capability, and where it is from: "disk" or "compiled".

    ``signature``: for each parameter "*double" (a pointer to an element type), "+double" (an array, for atomic
    operations) or "double" (a scalar). ``fast``: with approximate quotients and square roots of float32. Raises
    BackendError where the compiler rejects it.
    """
    from ..lower.cache import default_cache

    text = f"cuda {capability} {'fast ' * fast}{versions()} {' '.join(signature)}\n{source}"
    key = hashlib.sha256(text.encode()).hexdigest()
    stored = default_cache().get(key)
    if stored is not None:
        return DeviceCode.from_bytes(stored), "disk"
    try:
        with _compiling:
            code = _apart(lambda: _compile(python_kernel(source), signature, capability, fast))
    except Exception as error:
        raise BackendError(f"the CUDA compiler rejects a kernel: {error}\n{source}") from error
    default_cache().put(key, code.to_bytes())
    return code, "compiled"


def _apart(make: Callable[[], DeviceCode]) -> DeviceCode:
    """``make()``, on a stack of its own: Numba leaves exceptions in cycles, which hold frames, and those all callers.

    The callers' programs and their memory would stay until the next collection."""
    with ThreadPoolExecutor(1) as worker:
        return worker.submit(make).result()


def python_kernel(source: str) -> Any:
    """The kernel as a Python function whose names are those of the device."""
    import numba
    from numba import cuda

    if "numba_cuda" not in cuda.__file__:
        raise BackendError("numba.cuda is Numba's own, deprecated one: install numba-cuda")
    name = f"<autograd_jit CUDA kernel {hashlib.sha256(source.encode()).hexdigest()[:12]}>"
    linecache.cache[name] = (len(source), None, source.splitlines(True), name)
    code = compile(source, name, "exec")
    scope: dict[str, Any] = {"cuda": cuda, "LANES": 256, "min": min}
    scope |= {kind: getattr(numba, kind) for kind in ("float64", "float32", "int64", "int32", "int8")}
    exec(code, scope)
    scope |= cuda_math.namespace(scope["kernel"].__code__.co_names)
    return scope["kernel"]


def numba_types(signature: Sequence[str]) -> list[Any]:
    """Numba's types of a signature."""
    from numba.core import types

    pointer: Any = types.CPointer  # type: ignore[attr-defined]
    found: list[Any] = []
    for parameter in signature:
        element = getattr(types, _ELEMENTS[parameter.lstrip("*+")])
        if parameter.startswith("*"):
            found.append(pointer(element))
        elif parameter.startswith("+"):
            found.append(types.Array(element, 1, "C"))
        else:
            found.append(types.boolean if parameter == "i1" else element)
    return found


def _compile(function: Any, signature: Sequence[str], capability: tuple[int, int], fast: bool) -> DeviceCode:
    library, name = kernel_library(function, signature, capability, fast)
    return DeviceCode(name, bytes(library.get_cubin(cc=(*capability, "")).code))


def kernel_library(
    function: Any, signature: Sequence[str], capability: tuple[int, int], fast: bool = False
) -> tuple[Any, str]:
    """Numba's library of a kernel, which has its PTX and its cubin, and the kernel's name there."""
    from numba.core import types
    from numba.cuda.compiler import compile_cuda
    from numba.cuda.cudadrv import nvvm

    # No catch_warnings: it changes the filters of all threads, and may leave them changed.
    compiled = compile_cuda(
        function,
        types.void,
        tuple(numba_types(signature)),
        nvvm_options={"fastmath": False, "opt": 3, "fma": 0, "prec-div": not fast, "prec-sqrt": not fast},
        cc=capability,
        abi="numba",
    )
    library = compiled.library
    name = compiled.fndesc.llvm_func_name
    kernel = library.get_function(name)
    library._entry_name = name
    _as_kernel(kernel)
    nvvm.set_launch_bounds(kernel, None)
    return library, name


def _as_kernel(kernel: Any) -> None:
    from numba.cuda.compiler import kernel_fixup

    kernel_fixup(kernel, False)
